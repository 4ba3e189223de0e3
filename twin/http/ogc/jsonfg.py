"""Features as JSON-FG 1.0 (OGC 21-045r1): GeoJSON with the time, the type and other CRSs in their place.

Made from the GeoJSON of the store, so values and geometries are equal in both. Conforms to Core and to
Feature Types and Schemas; the parameter ``profile`` chooses it within GeoJSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from layers.errors import BadParameter
from layers.model import FeatureLayer
from layers.query import Query
from layers.types import CRS84
from twin.http.formats import PROFILE, PROFILES
from twin.http.ogc.schemas import dimension

CONFORMS = tuple(
    f"http://www.opengis.net/spec/json-fg-1/1.0/conf/{name}" for name in ("core", "types-schemas")
)


def profile(text: str | None) -> str | None:
    """The GeoJSON profile that the parameter ``profile`` asks for, None without one.

    Of several the first is given (OGC 23-058r2, clause 13). Raises BadParameter for another one."""
    if text is None:
        return None
    chosen = []
    for part in text.split(","):
        name = part.removeprefix(PROFILE)
        if part.startswith("[ogc-profile:") and part.endswith("]"):
            name = part[len("[ogc-profile:") : -1]
        if name not in PROFILES:
            raise BadParameter("profile", text, "one of " + ", ".join(PROFILES))
        chosen.append(name)
    return chosen[0]


def wanted(layer: FeatureLayer, query: Query) -> Query:
    """The query with the time among its properties: ``time`` is told even where they leave it out."""
    time = layer.time_field
    if time is None or query.properties is None or time in query.properties:
        return query
    return replace(query, properties=(*query.properties, time))


def collection(layer: FeatureLayer, query: Query, features: bytes, schema: str) -> tuple[bytes, bytes]:
    """The features of a page (GeoJSON joined by commas) and the members of their root object.

    The second part begins with a comma, for the end of the FeatureCollection. ``schema`` is the
    address of the layer's schema."""
    hidden = None
    if query.properties is not None and layer.time_field not in query.properties:
        hidden = layer.time_field
    made = [_feature(layer, one, query.crs, hidden) for one in orjson.loads(b"[" + features + b"]")]
    root = _root(layer, query.crs, schema)
    if (dimensions := dimension(layer)) is not None:
        root["geometryDimension"] = dimensions
    return orjson.dumps(made)[1:-1], b"," + orjson.dumps(root)[1:-1]


def feature(layer: FeatureLayer, crs: str, body: bytes, schema: str) -> bytes:
    """One feature; its own root object."""
    return orjson.dumps(_feature(layer, orjson.loads(body), crs, None) | _root(layer, crs, schema))


def _root(layer: FeatureLayer, crs: str, schema: str) -> dict[str, Any]:
    """``coordRefSys`` only beside a ``place``: without it the CRS follows from the dimension, which a
    layer may mix (clause 8, CRS84 or CRS84h)."""
    document: dict[str, Any] = {
        "conformsTo": list(CONFORMS),
        "featureType": layer.id,
        "featureSchema": schema,
    }
    return document if crs == CRS84 else document | {"coordRefSys": crs}


def _feature(layer: FeatureLayer, one: dict[str, Any], crs: str, hidden: str | None) -> dict[str, Any]:
    """``place`` never holds lon/lat, ``geometry`` nothing else (/req/core/place-geometries)."""
    document = {"type": "Feature", "id": one["id"], "time": _time(layer, one["properties"])}
    document |= (
        {"place": None, "geometry": one["geometry"]}
        if crs == CRS84
        else {"place": one["geometry"], "geometry": None}
    )
    if hidden is not None:
        del one["properties"][hidden]
    return document | {"properties": one["properties"]}


def _time(layer: FeatureLayer, properties: Mapping[str, Any]) -> dict[str, str] | None:
    field = layer.field(layer.time_field) if layer.time_field else None
    value = properties.get(field.name) if field else None
    if field is None or not isinstance(value, str):
        return None
    return {"date" if field.type == "date" else "timestamp": value}
