"""Who edited a feature: its edits through this program, for callers who may edit, since it names people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from layers.errors import NoKey
from layers.model import Layer
from twin.access import caller
from twin.access.caller import CALLER
from twin.http import answers, respond
from twin.http.context import Context
from twin.http.formats import JSON
from twin.http.ogc.ids import feature_id
from twin.http.openapi_parts import (
    array_of,
    errors,
    keyed,
    object_of,
    ok,
    path_parameter,
)
from twin.http.respond import Receive, Scope, Send
from twin.http.room import Paths, Room, Route, Site

if TYPE_CHECKING:
    from twin.catalogue.view import View

_TEXT, _WHOLE = {"type": "string"}, {"type": "integer", "format": "int64"}
_HISTORY = object_of(
    {
        "layer": _TEXT,
        "feature": _WHOLE,
        "revision": _WHOLE,
        "edits": array_of(
            object_of(
                {"revision": _WHOLE, "actor": _TEXT, "at": {"type": "string", "format": "date-time"}},
                "revision actor at",
            )
        ),
    },
    "layer feature revision edits",
)


def room(site: Site) -> Room:
    """The route of a feature's history."""
    city = site.city

    async def history(scope: Scope, receive: Receive, send: Send, layer_id: str, text: str) -> None:
        respond.query_map(scope, ())
        _permitted(scope)
        document = await city.read(_history, city.catalogue.of(scope[CALLER]), layer_id, text)
        await answers.give_json(scope, send, document, [(b"cache-control", b"no-store")])

    path = "/ogc/collections/{layer}/items/{feature}/history"
    return Room(
        "history",
        ("Who edited a feature", "要素的编辑记录"),
        (Route(path, {"GET": history}, describe_all=_paths),),
        schemas=lambda context: {"history": _HISTORY},
    )


def _permitted(scope: Scope) -> None:
    try:
        caller.require(scope, "edit")
    except NoKey as error:
        raise NoKey("who edited a feature is told to callers with a key that may edit") from error


def _history(view: View, layer_id: str, text: str) -> dict[str, Any]:
    """The edits of a feature, newest first. Raises NotFound."""
    fid = feature_id(layer_id, text)
    revision = view.revision(layer_id, fid)
    edits = [{"revision": n, "actor": name, "at": at} for n, name, at in view.actors(layer_id, fid)]
    return {"layer": layer_id, "feature": fid, "revision": revision, "edits": edits}


def _paths(context: Context) -> Paths:
    return {
        f"/ogc/collections/{layer.id}/items/{{featureId}}/history": _path(context, layer)
        for layer in context.view.feature_layers()
    }


def _path(context: Context, layer: Layer) -> dict[str, Any]:
    say = context.say
    summary = say("Who edited the feature", "谁编辑过该要素")
    return {
        "parameters": [path_parameter("featureId", _WHOLE, say("The feature's id", "要素标识"))],
        "get": keyed(
            {
                "operationId": f"{layer.id}.getHistory",
                "tags": [layer.id],
                "summary": summary,
                "responses": {"200": ok(summary, {JSON: "history"}), **errors(400, 403, 404, 503)},
            }
        ),
    }
