"""Schema, queryables and sortables of a layer as JSON Schema.

OGC API Features Part 5, which is Common Part 3 (OGC 23-058r2), and Features Part 3 (OGC 19-079r2)."""

from __future__ import annotations

from typing import Any

from layers import query as queries
from layers.cql.ast import FID
from layers.model import FeatureLayer
from layers.types import SOURCE_FIELD, Field
from twin.http.context import Context
from twin.http.negotiate import text

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_FORMATS = {"date": "date", "datetime": "date-time"}
_GEOMETRIES = {
    "Point": "geometry-point",
    "LineString": "geometry-linestring",
    "Polygon": "geometry-polygon",
    "MultiPoint": "geometry-multipoint",
    "MultiLineString": "geometry-multilinestring",
    "MultiPolygon": "geometry-multipolygon",
    "Geometry": "geometry-any",
}
_DIMENSIONS = {"Point": 0, "LineString": 1, "Polygon": 2}
#: A layer declared MultiPolygon holds polygons too, and so on.
_EITHER = {
    "MultiPoint": "geometry-point-or-multipoint",
    "MultiLineString": "geometry-linestring-or-multilinestring",
    "MultiPolygon": "geometry-polygon-or-multipolygon",
}


def properties(layer: FeatureLayer) -> tuple[Field, ...]:
    """The properties of a layer's features, ``source_id`` first."""
    return (SOURCE_FIELD, *(one for one in layer.fields if one.name != SOURCE_FIELD.name))


def parameters(layer: FeatureLayer) -> tuple[Field, ...]:
    """What is a query parameter: the id and the properties, but no lists, and none named like a parameter
    of ours."""
    known = queries.filters(layer)
    own = properties(layer)
    everything = own if layer.field(FID.name) is not None else (FID, *own)
    return tuple(field for field in everything if field.name in known)


def json_type(field: Field) -> dict[str, Any]:
    """The JSON Schema of a value of this field, without annotations."""
    kind = "string" if field.type in _FORMATS else field.type
    schema: dict[str, Any] = {"type": kind}
    if field.type == "array":
        schema["items"] = {"anyOf": [{"type": one} for one in ("string", "number", "boolean")]}
    if field.type in _FORMATS:
        schema["format"] = _FORMATS[field.type]
    return schema


def dimension(layer: FeatureLayer) -> int | None:
    """0 for points, 1 for lines, 2 for areas; None for a layer that mixes them."""
    return _DIMENSIONS.get(layer.geometry_type.removeprefix("Multi"))


def schema(context: Context, layer: FeatureLayer) -> dict[str, Any]:
    """``…/schema``: what is returned and, but for what is ``readOnly``, received.

    A null property is there and null."""
    members = {_free(layer, "id"): _id(context), _free(layer, "geometry"): _geometry(context, layer)}
    members |= {field.name: _property(context, layer, field) for field in properties(layer)}
    return _document(context, layer, "schema", members)


def queryables(context: Context, layer: FeatureLayer) -> dict[str, Any]:
    """``…/queryables``: the properties that a filter may name; single values are query parameters too.

    ``additionalProperties`` false says that any other name is refused."""
    members = {"id": _id(context), "geometry": _geometry(context, layer)}
    members |= {field.name: _property(context, layer, field) for field in properties(layer)}
    return _document(context, layer, "queryables", members)


def sortables(context: Context, layer: FeatureLayer) -> dict[str, Any]:
    """``…/sortables``: the properties that ``sortby`` may name."""
    members = {
        one.name: _id(context) if one is FID else _property(context, layer, one)
        for one in queries.sortables(layer)
    }
    return _document(context, layer, "sortables", members)


def geojson(context: Context, layer: FeatureLayer) -> dict[str, Any]:
    """``…/schema/geojson``: a feature as GeoJSON has it, linked as ``describedby``.

    GDAL types its columns by this; without it, by the first 20 features. It knows no wide integer
    here and silently cuts one at 2 147 483 647, so integers are numbers that are multiples of 1."""
    whole = {"type": "number", "multipleOf": 1}
    members = {
        field.name: whole if field.type == "integer" else json_type(field) for field in properties(layer)
    }
    return {
        "$schema": DRAFT,
        "$id": f"{context.base}/collections/{layer.id}/schema/geojson",
        "type": "object",
        "title": context.title(layer),
        "required": ["type", "id", "geometry", "properties"],
        "properties": {
            "type": {"type": "string", "enum": ["Feature"]},
            "id": {"type": "integer"},
            "geometry": {},
            "properties": {"type": "object", "properties": members},
        },
    }


def _document(context: Context, layer: FeatureLayer, name: str, members: dict[str, Any]) -> dict[str, Any]:
    return {
        "$schema": DRAFT,
        "$id": f"{context.base}/collections/{layer.id}/{name}",
        "type": "object",
        "title": context.title(layer),
        "properties": {
            key: one | {"x-ogc-propertySeq": place} for place, (key, one) in enumerate(members.items(), 1)
        },
        "additionalProperties": False,
    }


def _free(layer: FeatureLayer, name: str) -> str:
    """A name for what is not a property, when a property has it already."""
    while layer.field(name) is not None:
        name += "_"
    return name


def _id(context: Context) -> dict[str, Any]:
    return {
        "title": context.say("Feature id", "要素编号"),
        "type": "integer",
        "readOnly": True,
        "x-ogc-role": "id",
    }


def _geometry(context: Context, layer: FeatureLayer) -> dict[str, Any]:
    kind = _EITHER.get(layer.geometry_type) or _GEOMETRIES[layer.geometry_type]
    return {
        "title": context.say("Geometry", "几何"),
        "x-ogc-role": "primary-geometry",
        "format": kind,
    }


def _property(context: Context, layer: FeatureLayer, field: Field) -> dict[str, Any]:
    member: dict[str, Any] = {"title": text(field.title, context.lang, field.name), **json_type(field)}
    if field.title:
        member["x-titles"] = dict(field.title)
    if field.unit:
        member |= {"x-ogc-unit": field.unit, "x-ogc-unitLang": "UCUM"}
    if field.codes:
        member["enum"] = codes(field)
        member["x-enum-titles"] = {
            code: text(titles, context.lang, code) for code, titles in field.codes.items()
        }
    if field.name == layer.time_field:
        member["x-ogc-role"] = "primary-instant"
    if field.read_only:
        member["readOnly"] = True
    return member


def codes(field: Field) -> list[str] | list[int]:
    """The codes in the type of their field, for code tables have text keys; empty without a table."""
    values = list(field.codes or ())
    return [int(code) for code in values] if field.type == "integer" else values


def functions(context: Context) -> dict[str, Any]:
    """``/ogc/functions``: what a filter may call (Features Part 3, clause 8; CQL2, Functions)."""
    from layers.cql.functions import FUNCTIONS

    return {
        "functions": [
            {
                "name": one.name,
                "description": one.description,
                "arguments": [{"title": arg.title, "type": sorted(arg.types)} for arg in one.arguments],
                "returns": [one.returns],
            }
            for one in FUNCTIONS.values()
        ],
        "links": context.self_links(),
    }
