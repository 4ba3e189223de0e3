"""The paths of one layer in the API document, and the schemas of its features."""

from __future__ import annotations

from typing import Any

from layers import query as queries
from layers.crs import supported
from layers.model import Layer
from layers.types import Field
from twin.http import formats
from twin.http.context import Context
from twin.http.formats import GEOJSON, HTML, JSON, MERGE_PATCH, SCHEMA
from twin.http.negotiate import text
from twin.http.ogc import schemas as schemas_
from twin.http.ogc.documents import TMS
from twin.http.ogc.download import OFFER
from twin.http.ogc.edit import KINDS
from twin.http.ogc.tilesets import MVT
from twin.http.openapi_parts import (
    answer,
    array_of,
    errors,
    feature_schema,
    form,
    get,
    header_parameter,
    object_of,
    path_parameter,
    profile,
    reference,
)

SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"basic": []}, {"header": []}]
_MATCHED = "How many features match; left out where counting them would take long"
_BINARY = {"type": "string", "format": "binary"}
#: Files that are text.
_FILES = {GEOJSON: reference("featureCollection"), formats.CSV: {"type": "string"}}


def paths(context: Context, layer: Layer) -> dict[str, Any]:
    """Every path of a layer."""
    here, say = f"/collections/{layer.id}", context.say

    def one(name: str, summary: str, schema: str, media: str = JSON) -> dict[str, Any]:
        ok = answer(summary, {media: schema})
        return {"get": get(f"{layer.id}.{name}", layer.id, summary, ok, [form(formats.DOCUMENT)])}

    return {
        here: one("getCollection", say("The layer", "图层"), "collection"),
        f"{here}/schema": one("getSchema", say("Its schema", "模式"), "document", SCHEMA),
        f"{here}/schema/geojson": one(
            "getGeojsonSchema", say("Its schema as GeoJSON", "GeoJSON 模式"), "document", SCHEMA
        ),
        f"{here}/queryables": one("getQueryables", say("Its queryables", "可查询属性"), "document", SCHEMA),
        f"{here}/sortables": one("getSortables", say("Its sortables", "可排序属性"), "document", SCHEMA),
        f"{here}/items": _items(context, layer),
        f"{here}/items/{{featureId}}": _item(context, layer),
        f"{here}/download": {"get": _download(context, layer)},
        f"{here}/tiles": one("getTilesets", say("Its tilesets", "瓦片集"), "document"),
        f"{here}/tiles/{TMS}": one("getTileset", say("Its tileset metadata", "瓦片集元数据"), "document"),
        f"{here}/tiles/{TMS}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}": {"get": _tile(context, layer)},
    }


def schemas(layer: Layer) -> dict[str, Any]:
    """The schemas of a layer's features: as they are read, new, and as a patch."""
    properties = {
        one.name: schemas_.json_type(one) | {"nullable": True} for one in schemas_.properties(layer)
    }
    written = {
        one.name: _writable(properties[one.name], one)
        for one in schemas_.properties(layer)
        if not one.read_only
    }
    read = {"type": "object", "properties": properties, "nullable": True}
    computed = any(one.read_only for one in layer.fields)  # a whole feature may be sent back with these
    new = {"type": "object", "properties": written, "additionalProperties": computed}
    geometry = _geometry(layer)
    anywhere = {"allOf": [reference("geometry")], "nullable": True}
    return {
        f"{layer.id}.feature": feature_schema(anywhere, read, read_only=True),
        f"{layer.id}.newFeature": feature_schema(geometry, new | {"nullable": True}, read_only=False),
        f"{layer.id}.patch": object_of({"properties": new, "geometry": geometry}, "")
        | {"additionalProperties": False},
        f"{layer.id}.features": object_of(
            {
                "type": {"type": "string", "enum": ["FeatureCollection"]},
                "features": array_of(reference(f"{layer.id}.feature")),
                "links": array_of(reference("link")),
                "timeStamp": {"type": "string", "format": "date-time"},
                "numberMatched": {"type": "integer", "minimum": 0, "description": _MATCHED},
                "numberReturned": {"type": "integer", "minimum": 0},
            },
            "type features links timeStamp numberReturned",
        ),
    }


def _geometry(layer: Layer) -> dict[str, Any]:
    """What a layer takes as a geometry: one of its type, or of the single one of a multiple type."""
    kind = layer.geometry_type
    if kind == "Geometry":
        return {"allOf": [reference("geometry")], "nullable": True}
    named = [kind, kind.removeprefix("Multi")] if kind.startswith("Multi") else [kind]
    return {"oneOf": [reference(f"geometry{name}") for name in named], "nullable": True}


def _writable(schema: dict[str, Any], field: Field) -> dict[str, Any]:
    codes = schemas_.codes(field)
    return schema | ({"enum": [*codes, None]} if codes else {})


def standard(layer: Layer | None) -> list[dict[str, Any]]:
    """The parameters of an items path but for its properties, from the parsing table."""
    found = [one.openapi() for one in queries.PARAMETERS.values()]
    for one in found:
        if layer is not None and one["name"] in ("crs", "bbox-crs", "filter-crs"):
            one["schema"] |= {"enum": list(supported(layer))}
    return found


def _by_property(context: Context, layer: Layer) -> list[dict[str, Any]]:
    known = queries.filters(layer)
    return [
        known[one.name].openapi() | {"description": text(one.title, context.lang, one.name)}
        for one in schemas_.parameters(layer)
    ]


def _items(context: Context, layer: Layer) -> dict[str, Any]:
    say = context.say
    summary = say("Features of the layer", "图层要素")
    ok = answer(summary, {GEOJSON: f"{layer.id}.features"} | _other(formats.PAGE))
    whole = {"type": "integer", "minimum": 0}
    ok["headers"] = {
        "OGC-NumberMatched": {"description": _MATCHED, "schema": whole},
        "OGC-NumberReturned": {"description": "How many are in this page", "schema": whole},
        "Link": {"description": "The links of the page, `next` among them", "schema": {"type": "string"}},
    }
    given = [*standard(layer), *_by_property(context, layer), profile(), form(formats.PAGE)]
    found = {
        "get": get(f"{layer.id}.getFeatures", layer.id, summary, ok, given),
        "post": _write(f"{layer.id}.createFeature", layer, say("Add a feature", "新增要素"), (409,))
        | {"requestBody": _body(GEOJSON, f"{layer.id}.newFeature"), "parameters": [_content_crs(layer)]},
        "options": _options(f"{layer.id}.items.options", layer),
    }
    return _possible(layer, found)


def _possible(layer: Layer, operations: dict[str, Any]) -> dict[str, Any]:
    """The operations of a path without those that nobody may do to the layer."""
    written = {kind.lower(): what for kind, what in KINDS.items()}
    return {name: one for name, one in operations.items() if written.get(name) in (None, *layer.edits)}


def _item(context: Context, layer: Layer) -> dict[str, Any]:
    say = context.say
    crs = next(one for one in standard(layer) if one["name"] == "crs")
    ok = answer(say("The feature", "要素"), {GEOJSON: f"{layer.id}.feature"} | _other(formats.FEATURE))
    if_match = header_parameter(
        "If-Match",
        "The ETag of the feature as it was read; its revision number alone is taken too",
        {"type": "string", "pattern": r'^(\*|(W/)?"[!#-~]*"|[0-9]{1,18})$'},
    )
    if_match["required"] = context.view.published(layer.id).strict
    put = _write(f"{layer.id}.replaceFeature", layer, say("Replace a feature", "替换要素"), (409, 412, 428))
    patch = _write(f"{layer.id}.updateFeature", layer, say("Change a feature", "更新要素"), (409, 412, 428))
    delete = _write(f"{layer.id}.deleteFeature", layer, say("Delete a feature", "删除要素"), (412, 428))
    written = [_content_crs(layer), if_match]
    fid = {"type": "integer", "format": "int64"}
    given = [crs, profile(), form(formats.FEATURE)]
    found = {
        "parameters": [path_parameter("featureId", fid, "The feature's id")],
        "get": get(f"{layer.id}.getFeature", layer.id, say("One feature", "单个要素"), ok, given),
        "put": put | {"requestBody": _body(GEOJSON, f"{layer.id}.newFeature"), "parameters": written},
        "patch": patch | {"requestBody": _body(MERGE_PATCH, f"{layer.id}.patch"), "parameters": written},
        "delete": delete | {"parameters": [if_match]},
        # clients ask for ``unknown_id`` in an empty layer
        "options": _options(f"{layer.id}.item.options", layer)
        | {"parameters": [path_parameter("featureId", {"type": "string"}, "An id, or any word")]},
    }
    return _possible(layer, found)


def _other(offer: formats.Offer) -> dict[str, Any]:
    """The content of the representations other than GeoJSON and HTML."""
    found: dict[str, Any] = {}
    for one in offer:
        if one.media == formats.JSONFG:
            found[one.media] = {"schema": reference("jsonfg")}
        elif one.media not in (GEOJSON, HTML):
            found[one.media] = {"schema": {"type": "string"} if one.media == formats.CSV else _BINARY}
    return found


def _content_crs(layer: Layer) -> dict[str, Any]:
    uris = list(supported(layer))
    schema = {"type": "string", "enum": [f"<{uri}>" for uri in uris] + uris}
    return header_parameter("Content-Crs", "The CRS of the geometry in the body", schema)


def _body(media: str, schema: str) -> dict[str, Any]:
    return {"required": True, "content": {media: {"schema": reference(schema)}}}


def _write(operation: str, layer: Layer, summary: str, more: tuple[int, ...]) -> dict[str, Any]:
    etag = {"ETag": {"description": "The new revision", "schema": {"type": "string"}}}
    ok: dict[str, Any] = {"204": {"description": "Done", "headers": etag}}
    if operation.endswith("createFeature"):
        where = {"Location": {"description": "The new feature", "schema": {"type": "string"}}}
        ok = {"201": {"description": "Created", "headers": where | etag}}
    elif operation.endswith("deleteFeature"):
        ok = {"204": {"description": "Deleted"}}
    return {
        "operationId": operation,
        "tags": [layer.id],
        "summary": summary,
        "security": SECURITY,
        "responses": ok | errors(400, 401, 403, 404, 413, 415, 503, *more),
    }


def _options(operation: str, layer: Layer) -> dict[str, Any]:
    allow = {"Allow": {"description": "The methods", "required": True, "schema": {"type": "string"}}}
    return {
        "operationId": operation,
        "tags": [layer.id],
        "summary": "What the key of this request may do here",
        "responses": {"200": {"description": "See Allow", "headers": allow}, **errors(403, 404, 503)},
    }


def _download(context: Context, layer: Layer) -> dict[str, Any]:
    summary = context.say("Everything that matches, as one file", "符合条件的全部要素（文件）")
    ok: dict[str, Any] = {
        "description": summary,
        "content": {one.media: {"schema": _FILES.get(one.media, _BINARY)} for one in OFFER},
    }
    given = [one for one in standard(layer) if one["name"] not in queries.PAGING]
    given += [*_by_property(context, layer), form(OFFER)]
    found = get(f"{layer.id}.download", layer.id, summary, ok, given)
    found["responses"] |= errors(409, 413)
    return found


def _tile(context: Context, layer: Layer) -> dict[str, Any]:
    summary = context.say("A vector tile", "矢量瓦片")
    ok: dict[str, Any] = {"description": summary, "content": {MVT: {"schema": _BINARY}}}
    place = {"type": "integer", "minimum": 0}
    parameters = [
        path_parameter("tileMatrix", {"type": "string"}, "The zoom level"),
        path_parameter("tileRow", place, "The row, from the north"),
        path_parameter("tileCol", place, "The column, from the west"),
    ]
    return get(f"{layer.id}.vector.getTile", layer.id, summary, ok, parameters)
