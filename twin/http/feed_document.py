"""Parameters and schemas of the feed, and what the API document says of it."""

from __future__ import annotations

from typing import Any

from layers.parameters import PARAMETERS as OF_ITEMS
from layers.parameters import Parameter, between
from layers.types import LAYER_ID
from twin.http import sse
from twin.http.context import Context, Link, link
from twin.http.formats import JSON, Offer, Representation
from twin.http.openapi_parts import (
    TEXT,
    array_of,
    errors,
    form,
    get,
    header_parameter,
    object_of,
    ok,
    reference,
)
from twin.http.room import EventStream
from twin.live.feed import DEFAULT, MOST

AS_JSON = Representation(("json",), JSON, (JSON,), ("JSON", "JSON"))
AS_EVENTS = Representation(("sse",), sse.MEDIA, (sse.MEDIA,), ("events", "事件流"))
OFFER: Offer = (AS_JSON, AS_EVENTS)
#: Layers that one reader may name.
MOST_LAYERS = 100
_LONGEST = 100
_WHOLE = {"type": "integer", "format": "int64"}
_NULLABLE = {"nullable": True}


def _layers(text: str) -> frozenset[str]:
    ids = text.split(",")
    if len(ids) > MOST_LAYERS or len(set(ids)) < len(ids) or not all(map(LAYER_ID.fullmatch, ids)):
        raise ValueError(f"ids of layers separated by commas, each once, {MOST_LAYERS} at most")
    return frozenset(ids)


def _after(text: str) -> str:
    if not 0 < len(text) <= _LONGEST:
        raise ValueError(f"1 to {_LONGEST} characters")
    return text


PARAMETERS: dict[str, Parameter] = {
    one.name: one
    for one in (
        Parameter(
            "layers",
            "Only what changed of these layers; of all that are seen without it.",
            array_of(TEXT) | {"minItems": 1, "maxItems": MOST_LAYERS},
            _layers,
        ),
        Parameter(
            "bbox",
            "Only features whose box meets this one, as they were or as they are.",
            OF_ITEMS["bbox"].schema,
            OF_ITEMS["bbox"].parse,
        ),
        Parameter(
            "after",
            "What follows this place: the `cursor` of a page or the id of an event; or a moment: an instant "
            "with its zone (RFC 3339), or `@` and a number of the change log. Without it, what follows from "
            "now on.",
            TEXT | {"maxLength": _LONGEST},
            _after,
        ),
        Parameter(
            "limit",
            "Features of a page at most; of pages only.",
            {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT},
            between(1, MOST),
        ),
        Parameter("f", "", {}, str),
    )
}

FEATURE = object_of(
    {
        "layer": TEXT,
        "id": _WHOLE,
        "change": {"type": "string", "enum": ["added", "removed", "changed"]},
        "seq": _WHOLE | _NULLABLE,
        "set": _WHOLE | _NULLABLE,
    },
    "layer id change seq set",
)
LAYER = object_of(
    {"id": TEXT, "generation": _WHOLE | _NULLABLE, "listed": {"type": "boolean"}}, "id generation listed"
)
TILE = object_of({"url": TEXT, "version": TEXT}, "url version")
EVENT = object_of(
    {
        "cursor": TEXT,
        "complete": {"type": "boolean"},
        "reset": {"type": "boolean"},
        "features": array_of(FEATURE),
        "layers": array_of(LAYER),
        "tiles": array_of(TILE),
    },
    "cursor complete reset features layers tiles",
)


def schemas(context: Context) -> dict[str, Any]:
    """Of the API document."""
    page = EVENT["properties"] | {"links": array_of(reference("link"))}
    return {"feedPage": object_of(page, "cursor complete reset features layers tiles links")}


def landing(context: Context) -> list[Link]:
    """The links of the landing page."""
    title = _title(context)
    return [
        # RFC 5989, section 3.2
        link("monitor", f"{context.root}/changes?f=sse", sse.MEDIA, title),
        link("changes", f"{context.root}/changes", JSON, title),
    ]


def _title(context: Context) -> str:
    return context.say(
        "What changed after a cursor: features, layers and tiles", "游标之后的变更：要素、图层与瓦片"
    )


def describe(context: Context) -> dict[str, Any]:
    """The path item."""
    parameters = [one.openapi() for one in PARAMETERS.values() if one.name != "f"]
    known = "The id of the last event that was received, in place of `after`"
    parameters += [form(OFFER), header_parameter("Last-Event-ID", known, TEXT)]
    answer = ok(_title(context), {JSON: "feedPage", sse.MEDIA: TEXT})
    operation = get("getFeed", "feed", _title(context), answer, parameters)
    del operation["responses"]["304"]
    return {"get": operation | {"responses": {**operation["responses"], **errors(410)}}}


def streams(context: Context) -> list[EventStream]:
    """The feed as an event stream."""
    say = context.say
    hello = say("Where the stream begins", "事件流的起点")
    events = {"hello": (hello, object_of({"cursor": TEXT}, "cursor")), "changes": (_title(context), EVENT)}
    return [EventStream("/changes", _title(context), events)]
