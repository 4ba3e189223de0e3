"""The API document at ``/ogc/api``: OpenAPI 3.0, one path a layer written out, no outside ``$ref``.

3.0 on purpose: the official suites and several clients read nothing newer. Its paths are what the rooms
declare with their routes, and parameters come from the tables that also parse requests, so it is true.
The OGC API is its server; a path beside it has a server of its own (OpenAPI 3.0.3, Path Item Object).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from twin.http.context import Context
from twin.http.formats import PAGE
from twin.http.negotiate import text
from twin.http.ogc import openapi_layer
from twin.http.openapi_parts import form, profile, responses, schemas, security_schemes
from twin.http.room import Room

VERSION = "3.0.3"
ROOT = "/ogc"


def document(context: Context, rooms: Sequence[Room]) -> dict[str, Any]:
    """The whole document for the catalogue as it is now."""
    served: dict[str, Mapping[str, Any]] = {}
    typed = schemas()
    for room in rooms:
        for route in room.routes:
            served |= route.paths(context)
        typed |= room.schemas(context)
    paths: dict[str, Any] = {}
    for path, item in served.items():
        paths |= _placed(context, path, item, served)
    return {
        "openapi": VERSION,
        "info": {
            "title": text(context.city.settings.title, context.lang, "City"),
            "description": context.say(
                "Layers of the city: features, schemas, downloads and tiles; live sensors and incidents.",
                "城市图层：要素、模式、下载与瓦片；实时感知与事件。",
            ),
            "version": "1.0.0",
        },
        "servers": [{"url": context.base}],
        "tags": [{"name": name, "description": title} for name, title in _tags(context, rooms).items()],
        "paths": paths,
        "components": {
            "parameters": {
                one["name"]: one for one in [*openapi_layer.standard(None), profile(), form(PAGE)]
            },
            "schemas": typed,
            "responses": responses(),
            "securitySchemes": security_schemes(),
        },
    }


def _tags(context: Context, rooms: Sequence[Room]) -> dict[str, str]:
    """Titles by tag: the rooms, the layers, and the collections that are none."""
    others = {one["id"]: one["title"] for room in rooms for one in room.collections(context)}
    layers = {layer.id: context.title(layer) for layer in context.view.layers()}
    return {**others, **{room.name: context.say(*room.title) for room in rooms}, **layers}


def _placed(context: Context, path: str, item: Mapping[str, Any], served: Collection[str]) -> dict[str, Any]:
    """A path item under the path that the document has for a path of the server, of all those served."""
    within = path.removeprefix(ROOT) or "/"
    if path == ROOT or (path.startswith(f"{ROOT}/") and within not in served):
        return {within: dict(item)}
    return {path: {"servers": [{"url": context.root}], **item}}
