"""The paths of one layer in the API document, and the schemas of its features."""

from __future__ import annotations

from typing import Any

from layers import query as queries
from layers.crs import supported
from layers.model import FeatureLayer, Layer
from layers.raster import query as coverage_queries
from layers.types import Field
from tiles.imagery import maps
from twin.http import author, etags, formats
from twin.http.context import Context
from twin.http.formats import GEOJSON, HTML, MERGE_PATCH
from twin.http.imagery import style_parameters
from twin.http.negotiate import text
from twin.http.ogc import schemas as schemas_
from twin.http.ogc.download import OF_RASTERS, OFFER
from twin.http.ogc.edit import KINDS
from twin.http.openapi_parts import (
    BINARY,
    TEXT,
    answer,
    array_of,
    errors,
    feature_schema,
    form,
    get,
    header_parameter,
    object_of,
    ok,
    path_parameter,
    profile,
    reference,
    write,
)

_MATCHED = "How many features match; left out where counting them would take long"
#: Files that are text.
_FILES = {GEOJSON: reference("featureCollection"), formats.CSV: {"type": "string"}}


def all_schemas(context: Context) -> dict[str, Any]:
    """The schemas of the features of every layer."""
    return {name: one for layer in context.view.feature_layers() for name, one in schemas(layer).items()}


def schemas(layer: FeatureLayer) -> dict[str, Any]:
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


def _geometry(layer: FeatureLayer) -> dict[str, Any]:
    """What a layer takes as a geometry: one of its type, or of the single one of a multiple type."""
    kind = layer.geometry_type
    if kind == "Geometry":
        return {"allOf": [reference("geometry")], "nullable": True}
    named = [kind, kind.removeprefix("Multi")] if kind.startswith("Multi") else [kind]
    return {"oneOf": [reference(f"geometry{name}") for name in named], "nullable": True}


def _writable(schema: dict[str, Any], field: Field) -> dict[str, Any]:
    codes = schemas_.codes(field)
    return schema | ({"enum": [*codes, None]} if codes else {})


def standard(layer: FeatureLayer | None) -> list[dict[str, Any]]:
    """The parameters of an items path but for its properties, from the parsing table."""
    parameters = [one.openapi() for one in queries.PARAMETERS.values()]
    for one in parameters:
        if layer is not None and one["name"] in ("crs", "bbox-crs", "filter-crs"):
            one["schema"] |= {"enum": list(supported(layer))}
    return parameters


def _by_property(context: Context, layer: FeatureLayer) -> list[dict[str, Any]]:
    known = queries.filters(layer)
    return [
        known[one.name].openapi() | {"description": text(one.title, context.lang, one.name)}
        for one in schemas_.parameters(layer)
    ]


def items(context: Context, layer: FeatureLayer) -> dict[str, Any]:
    """The path item of a layer's features."""
    say = context.say
    summary = say("Features of the layer", "图层要素")
    ok = answer(summary, {GEOJSON: f"{layer.id}.features"} | _other(formats.PAGE))
    whole = {"type": "integer", "minimum": 0}
    ok["headers"] = {
        "OGC-NumberMatched": {"description": _MATCHED, "schema": whole},
        "OGC-NumberReturned": {"description": "How many are in this page", "schema": whole},
        "Link": {"description": "The links of the page, `next` among them", "schema": {"type": "string"}},
    }
    parameters = [*standard(layer), *_by_property(context, layer), profile(), form(formats.PAGE)]
    path_item = {
        "get": get(f"{layer.id}.getFeatures", layer.id, summary, ok, parameters),
        "post": _write(
            f"{layer.id}.createFeature",
            layer,
            say("Add a feature", "新增要素"),
            {GEOJSON: f"{layer.id}.newFeature"},
            (409,),
        )
        | {"parameters": [_content_crs(layer), author.PARAMETER]},
        "options": _options(f"{layer.id}.items.options", layer),
    }
    return _possible(layer, path_item)


def _possible(layer: FeatureLayer, operations: dict[str, Any]) -> dict[str, Any]:
    """The operations of a path without those that nobody may do to the layer."""
    written = {method.lower(): kind for method, kind in KINDS.items()}
    return {name: one for name, one in operations.items() if written.get(name) in (None, *layer.edits)}


def item(context: Context, layer: FeatureLayer) -> dict[str, Any]:
    """The path item of one feature."""
    say = context.say
    crs = next(one for one in standard(layer) if one["name"] == "crs")
    ok = answer(say("The feature", "要素"), {GEOJSON: f"{layer.id}.feature"} | _other(formats.FEATURE))
    if_match = header_parameter(
        "If-Match",
        "The ETag of the feature as it was read; its revision number alone is taken too",
        {"type": "string", "pattern": etags.PATTERN},
    )
    if_match["required"] = context.view.published(layer.id).strict
    new, part = {GEOJSON: f"{layer.id}.newFeature"}, {MERGE_PATCH: f"{layer.id}.patch"}
    more = (409, 412, 428)
    put = _write(f"{layer.id}.replaceFeature", layer, say("Replace a feature", "替换要素"), new, more)
    patch = _write(f"{layer.id}.updateFeature", layer, say("Change a feature", "更新要素"), part, more)
    delete = _write(f"{layer.id}.deleteFeature", layer, say("Delete a feature", "删除要素"), {}, (412, 428))
    written = [_content_crs(layer), if_match, author.PARAMETER]
    fid = {"type": "integer", "format": "int64"}
    parameters = [crs, profile(), form(formats.FEATURE)]
    path_item = {
        "parameters": [path_parameter("featureId", fid, "The feature's id")],
        "get": get(f"{layer.id}.getFeature", layer.id, say("One feature", "单个要素"), ok, parameters),
        "put": put | {"parameters": written},
        "patch": patch | {"parameters": written},
        "delete": delete | {"parameters": [if_match, author.PARAMETER]},
        # clients ask for ``unknown_id`` in an empty layer
        "options": _options(f"{layer.id}.item.options", layer)
        | {"parameters": [path_parameter("featureId", {"type": "string"}, "An id, or any word")]},
    }
    return _possible(layer, path_item)


def _other(offer: formats.Offer) -> dict[str, Any]:
    """The content of the representations other than GeoJSON and HTML."""
    content: dict[str, Any] = {}
    for one in offer:
        if one.media == formats.JSONFG:
            content[one.media] = reference("jsonfg")
        elif one.media not in (GEOJSON, HTML):
            content[one.media] = TEXT if one.media == formats.CSV else BINARY
    return content


def _content_crs(layer: FeatureLayer) -> dict[str, Any]:
    uris = list(supported(layer))
    schema = {"type": "string", "enum": [f"<{uri}>" for uri in uris] + uris}
    return header_parameter("Content-Crs", "The CRS of the geometry in the body", schema)


def _write(
    operation: str, layer: FeatureLayer, summary: str, body: dict[str, Any], more: tuple[int, ...]
) -> dict[str, Any]:
    etag = {"ETag": {"description": "The new revision", "schema": {"type": "string"}}}
    done: dict[str, Any] = {"204": {"description": "Done", "headers": etag}}
    if operation.endswith("createFeature"):
        where = {"Location": {"description": "The new feature", "schema": {"type": "string"}}}
        done = {"201": {"description": "Created", "headers": where | etag}}
    elif operation.endswith("deleteFeature"):
        done = {"204": {"description": "Deleted"}}
    return write(operation, layer.id, summary, done, body, more=more)


def _options(operation: str, layer: FeatureLayer) -> dict[str, Any]:
    allow = {"Allow": {"description": "The methods", "required": True, "schema": {"type": "string"}}}
    return {
        "operationId": operation,
        "tags": [layer.id],
        "summary": "What the key of this request may do here",
        "responses": {"200": {"description": "See Allow", "headers": allow}, **errors(403, 404, 503)},
    }


def download(context: Context, layer: FeatureLayer) -> dict[str, Any]:
    """The path item of a layer's download."""
    summary = context.say("Everything that matches, as one file", "符合条件的全部要素（文件）")
    ok: dict[str, Any] = {
        "description": summary,
        "content": {one.media: {"schema": _FILES.get(one.media, BINARY)} for one in OFFER},
    }
    parameters = [one for one in standard(layer) if one["name"] not in queries.PAGING]
    parameters += [*_by_property(context, layer), form(OFFER)]
    parameters.append(header_parameter("Range", "One range of bytes", {"type": "string"}))
    operation = get(f"{layer.id}.download", layer.id, summary, ok, parameters)
    operation["responses"] |= {"206": ok | {"description": "The part"}, **errors(409, 413, 416)}
    return {"get": operation}


def raster_download(context: Context, layer: Layer) -> dict[str, Any]:
    """``…/download`` of a raster: values with the parameters of Coverages, a picture with those of Maps."""
    summary = context.say("A part of the raster as a file", "栅格数据文件")
    tables = {**coverage_queries.TABLE, **maps.TABLE}
    styles = [one for one in style_parameters() if one["name"] not in {*tables, "v"}]
    parameters = [form(OF_RASTERS), *(one.openapi() for one in tables.values()), *styles]
    content = {one.media: BINARY for one in OF_RASTERS}
    operation = get(f"{layer.id}.download", layer.id, summary, ok(summary, content), parameters)
    operation["responses"] |= errors(409, 413, 416)
    operation["responses"] = dict(sorted(operation["responses"].items()))
    return {"get": operation}
