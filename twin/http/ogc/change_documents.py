"""Parameters, forms and schemas of changes and change sets; what the API document says of them."""

from __future__ import annotations

import re
from typing import Any

from layers.model import FeatureLayer
from layers.parameters import AT, Parameter, between
from layers.parameters import PARAMETERS as OF_ITEMS
from layers.types import LAYER_ID
from twin.catalogue.changed import Place
from twin.http.context import Context, Link, link
from twin.http.formats import CSV, GEOJSON, HTML, JSON, Offer, Representation
from twin.http.openapi_parts import TEXT, answer, array_of, errors, form, get, object_of, reference
from twin.http.room import Paths

LIMIT, DEFAULT = 1_000, 100
AS_JSON = Representation(("json",), JSON, (JSON,), ("JSON", "JSON"))
AS_HTML = Representation(("html",), HTML, (HTML, "application/xhtml+xml"), ("HTML", "网页"))
AS_GEOJSON = Representation(("geojson",), GEOJSON, (GEOJSON,), ("GeoJSON", "GeoJSON"))
AS_CSV = Representation(("csv",), CSV, (CSV,), ("CSV", "CSV"))
OFFER: Offer = (AS_JSON, AS_HTML, AS_GEOJSON, AS_CSV)
SETS_OFFER: Offer = (AS_JSON, AS_HTML)
_PLACE = re.compile(r"([a-z][a-z0-9_]{0,62})\.(-?\d{1,19})", re.ASCII)
_WHOLE = {"type": "integer", "format": "int64"}
MOMENT = "An instant with its zone (RFC 3339), or `@` and a number of the change log"


def _place(text: str) -> Place:
    match = _PLACE.fullmatch(text)
    if match is None or abs(int(match[2])) >= 2**63:
        raise ValueError("a layer and a feature, as in the link to the next page")
    return match[1], int(match[2])


def _actor(text: str) -> str:
    if not 0 < len(text) <= 200 or "\0" in text:
        raise ValueError("the name of a key or of a role, of 1 to 200 characters")
    return text


def _layer(text: str) -> str:
    if not LAYER_ID.fullmatch(text):
        raise ValueError("the id of a layer")
    return text


#: Ids of change sets that a store can compare with the next one.
MOST_SETS = 2**63 - 2


def _table(*parameters: Parameter) -> dict[str, Parameter]:
    return {one.name: one for one in parameters}


_ACTOR = Parameter("actor", "Only what this person changed; for keys that may edit.", TEXT, _actor)
_LIMIT = Parameter(
    "limit",
    "How many at most.",
    {"type": "integer", "minimum": 1, "maximum": LIMIT, "default": DEFAULT},
    between(1, LIMIT),
)
PARAMETERS = _table(
    Parameter(
        "from",
        f"{MOMENT}: what was then is the old state. Without it, what the newest change set did.",
        TEXT,
        AT.parse,
    ),
    Parameter("to", f"{MOMENT}: the new state, that of now without it.", TEXT, AT.parse),
    Parameter(
        "set",
        "What this change set did, in place of `from` and `to`.",
        {**_WHOLE, "minimum": 1},
        between(1, MOST_SETS),
    ),
    Parameter(
        "bbox",
        "Only features that meet this box, now or before.",
        OF_ITEMS["bbox"].schema,
        OF_ITEMS["bbox"].parse,
    ),
    _ACTOR,
    _LIMIT,
    Parameter("after", "Where a page begins; `next` links carry it.", TEXT, _place),
)
SETS = _table(
    Parameter("from", f"{MOMENT}: only change sets after it.", TEXT, AT.parse),
    Parameter("to", f"{MOMENT}: only change sets up to it.", TEXT, AT.parse),
    Parameter("layer", "Only change sets of this layer.", TEXT, _layer),
    Parameter(
        "bbox",
        "Only change sets that changed a feature which meets this box, now or before. A page of them may be "
        "shorter than asked for, with a link to the next.",
        OF_ITEMS["bbox"].schema,
        OF_ITEMS["bbox"].parse,
    ),
    _ACTOR,
    _LIMIT,
    Parameter(
        "before",
        "Only change sets before this one; `next` links carry it.",
        {**_WHOLE, "minimum": 1},
        between(1, MOST_SETS),
    ),
)
_NULLABLE = {"nullable": True}
SET = object_of(
    {
        "id": _WHOLE,
        "first": _WHOLE,
        "last": _WHOLE,
        "at": {"type": "string", "format": "date-time"},
        "via": TEXT,
        "layer": TEXT | _NULLABLE,
        "generation": _WHOLE | _NULLABLE,
        "actor": TEXT | _NULLABLE,
        "message": TEXT,
        "undone": _WHOLE,
        "links": array_of(reference("link")),
    },
    "id first last at via",
)
_BOX = array_of({"type": "number"}) | _NULLABLE
_ONE = object_of(
    {
        "layer": TEXT,
        "id": _WHOLE,
        "change": {"type": "string", "enum": ["added", "removed", "changed"]},
        "fields": {"type": "object", "additionalProperties": object_of({"old": {}, "new": {}}, "old new")},
        "geometryChanged": {"type": "boolean"},
        "bodyChanged": {"type": "boolean"},
        "bbox": object_of({"old": _BOX, "new": _BOX}, "old new"),
        "seq": _WHOLE | _NULLABLE,
        "set": {"type": "object", "nullable": True},
    },
    "layer id change fields geometryChanged bodyChanged bbox seq set",
)
_AT = object_of({"seq": _WHOLE, "at": TEXT}, "seq at")
_COUNTS = object_of(
    {name: {"type": "integer"} for name in ("added", "removed", "changed", "geometry")}
    | {"fields": {"type": "object", "additionalProperties": {"type": "integer"}}},
    "added removed changed geometry fields",
)
CHANGES = object_of(
    {
        "from": _AT,
        "to": _AT,
        "summary": {"type": "object", "additionalProperties": _COUNTS},
        "complete": {"type": "boolean"},
        "gone": array_of(object_of({"layer": TEXT, "reason": TEXT}, "layer reason")),
        "changes": array_of(_ONE),
        "links": array_of(reference("link")),
    },
    "from to changes links",
)


def landing(context: Context) -> list[Link]:
    """The links of the landing page."""
    return [
        link("changes", f"{context.base}/changes", JSON, _title(context)),
        link("change-sets", f"{context.base}/change-sets", JSON, context.say("Change sets", "变更集")),
    ]


def of_layer(context: Context, layer: FeatureLayer) -> list[Link]:
    """The link of a layer."""
    return [link("changes", f"{context.base}/collections/{layer.id}/changes", JSON, _title(context))]


def _title(context: Context) -> str:
    return context.say("What changed between two moments", "两个时刻之间的变更")


def _get(operation: str, tag: str, context: Context) -> dict[str, Any]:
    content = {JSON: "changes", GEOJSON: "featureCollection", CSV: TEXT}
    given = [*(one.openapi() for one in PARAMETERS.values()), form(OFFER)]
    return _with_gone(get(operation, tag, _title(context), answer(_title(context), content), given))


def _with_gone(operation: dict[str, Any]) -> dict[str, Any]:
    return operation | {"responses": {**operation["responses"], **errors(410)}}


def describe(context: Context) -> dict[str, Any]:
    """The changes of the city."""
    return {"get": _get("getChanges", "changes", context)}


def describe_all(context: Context) -> Paths:
    """The changes of each layer."""
    return {
        f"/ogc/collections/{layer.id}/changes": {"get": _get(f"{layer.id}.getChanges", layer.id, context)}
        for layer in context.view.feature_layers()
    }


def describe_sets(context: Context) -> dict[str, Any]:
    """The change sets."""
    schema = object_of(
        {"changeSets": array_of(reference("changeSet")), "links": array_of(reference("link"))},
        "changeSets links",
    )
    title = context.say("Who changed what, when and through what", "变更集：时间、方式与作者")
    given = [*(one.openapi() for one in SETS.values()), form(SETS_OFFER)]
    return {"get": _with_gone(get("getChangeSets", "changes", title, answer(title, {JSON: schema}), given))}
