"""The documents of the API: path → what builds it, its media type and its HTML template."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from layers.errors import NotFound, shown
from twin.http.context import Context
from twin.http.formats import JSON, OPENAPI, SCHEMA
from twin.http.ogc import documents, openapi, schemas, tilesets

type Build = Callable[[Context], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Page:
    """One document. Its HTML form is the plain one (the JSON, readable) unless it has its own."""

    build: Build
    media: str = JSON
    template: str = "document.html"
    extra: Mapping[str, str] | None = None


def find(segments: Sequence[str]) -> Page:
    """The document at the path segments below /ogc. Raises NotFound."""
    match segments:
        case [] | [""]:
            return Page(documents.landing, template="landing_page.html")
        case ["conformance"]:
            return Page(documents.conformance, template="conformance.html")
        case ["api"]:
            return Page(openapi.document, OPENAPI, "api.html")
        case ["collections"]:
            return Page(_collections, template="collections/index.html")
        case ["functions"]:
            return Page(documents.functions, template="functions.html")
        case ["tileMatrixSets"]:
            return Page(tilesets.tile_matrix_sets)
        case ["tileMatrixSets", name]:
            return Page(lambda _: tilesets.tile_matrix_set(name))
        case ["collections", layer_id, *rest]:
            return _of_layer(layer_id, rest)
    raise NotFound(f"there is nothing at {shown('/ogc/' + '/'.join(segments))}")


def _of_layer(layer_id: str, rest: Sequence[str]) -> Page:
    def layered(build: Callable[..., dict[str, Any]], *args: str) -> Build:
        return lambda context: build(context, context.view.layer(layer_id), *args)

    match rest:
        case []:
            return Page(layered(documents.collection), template="collections/collection.html")
        case ["schema"]:
            extra = {"layer_id": layer_id, "page": "schema"}
            return Page(layered(schemas.schema), SCHEMA, "collections/schema.html", extra)
        case ["schema", "geojson"]:
            return Page(layered(schemas.geojson), SCHEMA, extra={"layer_id": layer_id})
        case ["queryables"]:
            extra = {"layer_id": layer_id, "page": "queryables"}
            return Page(layered(schemas.queryables), SCHEMA, "collections/schema.html", extra)
        case ["sortables"]:
            extra = {"layer_id": layer_id, "page": "sortables"}
            return Page(layered(schemas.sortables), SCHEMA, "collections/schema.html", extra)
        case ["tiles"]:
            return Page(layered(tilesets.tilesets), extra={"layer_id": layer_id})
        case ["tiles", name]:
            return Page(layered(tilesets.tileset, name), extra={"layer_id": layer_id})
    raise NotFound(f"a layer has no {shown('/'.join(rest))!r}")


def _collections(context: Context) -> dict[str, Any]:
    return documents.collections(context, context.view.layers())
