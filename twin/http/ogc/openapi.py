"""The API document at ``/ogc/api``: OpenAPI 3.0, one path a layer written out, no outside ``$ref``.

3.0 on purpose: the official suites and several clients read nothing newer. The parameters come
from the one strict table that also parses requests (``layers.query``), so the document is true.
"""

from __future__ import annotations

from typing import Any

from layers import query as queries
from layers.crs import supported
from layers.model import Layer
from twin.http.ogc import schemas as schemas_
from twin.http.ogc.context import Context, strict
from twin.http.ogc.documents import TMS
from twin.http.ogc.negotiate import GEOJSON, JSON, MERGE_PATCH, OPENAPI, SCHEMA, text
from twin.http.ogc.openapi_components import answer, errors, responses, schemas, security_schemes
from twin.http.ogc.tilesets import MVT

VERSION = "3.0.3"
SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"basic": []}, {"header": []}]


def document(context: Context) -> dict[str, Any]:
    """The whole document for the catalogue as it is now."""
    layers = context.city.store.layers()
    paths = _fixed_paths(context)
    for layer in layers:
        paths |= _layer_paths(context, layer)
    return {
        "openapi": VERSION,
        "info": {
            "title": text(context.city.settings.title, context.lang, "City"),
            "description": context.say(
                "Layers of the city: features, their schemas and vector tiles.",
                "城市图层：要素、模式与矢量瓦片。",
            ),
            "version": "1.0.0",
        },
        "servers": [{"url": context.base}],
        "tags": [
            {"name": "city"},
            *({"name": layer.id, "description": context.title(layer)} for layer in layers),
        ],
        "paths": paths,
        "components": {
            "parameters": {one["name"]: one for one in [*_items_parameters(None), _format()]},
            "schemas": schemas(),
            "responses": responses(),
            "securitySchemes": security_schemes(),
        },
    }


def _format() -> dict[str, Any]:
    values = ["json", "geojson", "html"]
    return _query("f", {"type": "string", "enum": values}, "The representation; it wins over Accept")


def _query(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "description": description,
        "required": False,
        "style": "form",
        "explode": False,
        "schema": schema,
    }


def _path(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def _items_parameters(layer: Layer | None) -> list[dict[str, Any]]:
    """The parameters of an items path but for its properties, from the parsing table."""
    found = [one.openapi() for one in queries.PARAMETERS.values()]
    for one in found:
        if layer is not None and one["name"] in ("crs", "bbox-crs"):
            one["schema"] |= {"enum": list(supported(layer))}
    return found


def _get(
    operation: str, tag: str, summary: str, ok: dict[str, Any], parameters: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "operationId": operation,
        "tags": [tag],
        "summary": summary,
        "parameters": parameters,
        "responses": {"200": ok, **errors(400, 404, 406)},
    }


def _fixed_paths(context: Context) -> dict[str, Any]:
    say = context.say

    def one(operation: str, summary: str, schema: str, media: str = JSON) -> dict[str, Any]:
        ok = answer(summary, schema, media)
        return {"get": _get(operation, "city", summary, ok, [_format()])}

    matrix_set = one("getTileMatrixSet", say("A tile matrix set", "瓦片矩阵集"), "document")
    matrix_set["parameters"] = [_path("tileMatrixSetId", {"type": "string", "enum": [TMS]}, "The set's id")]
    return {
        "/": one("getLandingPage", say("Landing page", "首页"), "landingPage"),
        "/conformance": one("getConformance", say("Conformance classes", "符合性类"), "conformance"),
        "/api": one("getApi", say("This document", "本文档"), "document", OPENAPI),
        "/collections": one("getCollections", say("The layers", "图层列表"), "collections"),
        "/tileMatrixSets": one("getTileMatrixSets", say("Tile matrix sets", "瓦片矩阵集"), "document"),
        "/tileMatrixSets/{tileMatrixSetId}": matrix_set,
    }


def _layer_paths(context: Context, layer: Layer) -> dict[str, Any]:
    here, say = f"/collections/{layer.id}", context.say

    def one(name: str, summary: str, schema: str, media: str = JSON) -> dict[str, Any]:
        ok = answer(summary, schema, media)
        return {"get": _get(f"{layer.id}.{name}", layer.id, summary, ok, [_format()])}

    return {
        here: one("getCollection", say("The layer", "图层"), "collection"),
        f"{here}/schema": one("getSchema", say("Its schema", "模式"), "document", SCHEMA),
        f"{here}/schema/geojson": one(
            "getGeojsonSchema", say("Its schema as GeoJSON", "GeoJSON 模式"), "document", SCHEMA
        ),
        f"{here}/queryables": one("getQueryables", say("Its queryables", "可查询属性"), "document", SCHEMA),
        f"{here}/items": {"get": _items(context, layer)},
        f"{here}/items/{{featureId}}": _item(context, layer),
        f"{here}/tiles": one("getTilesets", say("Its tilesets", "瓦片集"), "document"),
        f"{here}/tiles/{TMS}": one("getTileset", say("Its tileset metadata", "瓦片集元数据"), "document"),
        f"{here}/tiles/{TMS}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}": {"get": _tile(context, layer)},
    }


def _items(context: Context, layer: Layer) -> dict[str, Any]:
    summary = context.say("Features of the layer", "图层要素")
    properties = [
        one.openapi() | {"description": text(field.title, context.lang, field.name)}
        for field in schemas_.queryable(layer)
        for one in (queries.filters(layer)[field.name],)
    ]
    ok = answer(summary, "featureCollection", GEOJSON)
    found = [*_items_parameters(layer), *properties, _format()]
    return _get(f"{layer.id}.getFeatures", layer.id, summary, ok, found)


def _item(context: Context, layer: Layer) -> dict[str, Any]:
    say = context.say
    crs = next(one for one in _items_parameters(layer) if one["name"] == "crs")
    ok = answer(say("The feature", "要素"), "feature", GEOJSON)
    if_match = {
        "name": "If-Match",
        "in": "header",
        "required": strict(context.city, layer),
        "description": "The ETag of the feature as it was read",
        "schema": {"type": "string"},
    }
    return {
        "parameters": [_path("featureId", {"type": "integer", "minimum": 0}, "The feature's id")],
        "get": _get(f"{layer.id}.getFeature", layer.id, say("One feature", "单个要素"), ok, [crs, _format()]),
        "put": _write(f"{layer.id}.replaceFeature", layer, say("Replace a feature", "替换要素"), if_match)
        | {"requestBody": _body(GEOJSON, "newFeature")},
        "patch": _write(f"{layer.id}.updateFeature", layer, say("Change a feature", "更新要素"), if_match)
        | {"requestBody": _body(MERGE_PATCH, "patch")},
    }


def _body(media: str, schema: str) -> dict[str, Any]:
    return {"required": True, "content": {media: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}


def _write(operation: str, layer: Layer, summary: str, if_match: dict[str, Any]) -> dict[str, Any]:
    return {
        "operationId": operation,
        "tags": [layer.id],
        "summary": summary,
        "security": SECURITY,
        "parameters": [if_match],
        "responses": {
            "204": {"description": "Done; ETag names the new revision"},
            **errors(400, 401, 403, 404, 412, 413, 415, 428, 503),
        },
    }


def _tile(context: Context, layer: Layer) -> dict[str, Any]:
    summary = context.say("A vector tile", "矢量瓦片")
    ok = {"description": summary, "content": {MVT: {"schema": {"type": "string", "format": "binary"}}}}
    place = {"type": "integer", "minimum": 0}
    parameters = [
        _path("tileMatrix", {"type": "string"}, "The zoom level"),
        _path("tileRow", place, "The row, from the north"),
        _path("tileCol", place, "The column, from the west"),
    ]
    return _get(f"{layer.id}.vector.getTile", layer.id, summary, ok, parameters)
