"""A GeoJSON feature in a request body, checked against its layer before anything is written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from numpy.typing import NDArray

from layers.errors import SHOWN, BadBody, BadFile, shown
from layers.store import geojson
from layers.store.staged import promote
from layers.types import Field
from layers.values import stored


class FeatureSchema(Protocol):
    """What a check needs of a layer: its columns and the type of its geometry."""

    @property
    def fields(self) -> tuple[Field, ...]: ...
    @property
    def geometry_type(self) -> str: ...
    def field(self, name: str) -> Field | None: ...


MAX_VERTICES = 100_000
_CODES_SHOWN = 20
_FAULTS_TOLD = 20
_DEPTH = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}


def geometry(table: FeatureSchema, value: object) -> Any:
    """A GeoJSON geometry as the shapely geometry that the layer keeps, or None for null.

    Raises BadBody: type, position, ring, range, validity or fit."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise BadBody("geometry: must be a GeoJSON geometry or null")
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in _DEPTH:
        raise BadBody(f"geometry: type {shown(kind)} is not one of {', '.join(_DEPTH)}")
    counter = _Counter()
    shape = _build(kind, _coordinates(value.get("coordinates"), _DEPTH[kind], counter))
    return _fit(shape, table)


class _Counter:
    """Positions seen so far, and whether they have heights: all of one geometry, or none."""

    def __init__(self) -> None:
        self.positions = 0
        self.size: int | None = None

    def position(self, value: object) -> tuple[float, ...]:
        self.positions += 1
        if self.positions > MAX_VERTICES:
            raise BadBody(f"geometry: more than {MAX_VERTICES} positions")
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) not in (2, 3):
            raise BadBody(f"geometry: {shown(value)} is not a position (2 or 3 numbers)")
        for number in value:
            if isinstance(number, bool) or not isinstance(number, int | float):
                raise BadBody(f"geometry: {shown(number)} is not a number")
        if self.size not in (None, len(value)):
            raise BadBody("geometry: some positions have a height and some have none")
        self.size = len(value)
        if not all(abs(n) <= 1e12 for n in value):  # also refuses NaN, and integers beyond a float
            raise BadBody(f"geometry: {shown(value)} is not finite")
        if not (abs(value[0]) <= 180 and abs(value[1]) <= 90):
            raise BadBody(f"geometry: {shown(value)} is not longitude (±180), latitude (±90)")
        return tuple(float(n) for n in value)


def _coordinates(value: object, depth: int, counter: _Counter) -> Any:
    if depth == 0:
        return counter.position(value)
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise BadBody("geometry: coordinates are missing, empty or not nested as the type demands")
    return [_coordinates(part, depth - 1, counter) for part in value]


def _build(kind: str, coordinates: Any) -> Any:
    import shapely

    if kind == "Point":
        return shapely.Point(coordinates)
    if kind == "MultiPoint":
        return shapely.MultiPoint(coordinates)
    if kind == "LineString":
        return _line(coordinates)
    if kind == "MultiLineString":
        return shapely.MultiLineString([_line(part) for part in coordinates])
    if kind == "Polygon":
        return _polygon(coordinates)
    return shapely.MultiPolygon([_polygon(part) for part in coordinates])


def _line(positions: list[tuple[float, ...]]) -> Any:
    import shapely

    if len(positions) < 2:
        raise BadBody("geometry: a line has at least two positions")
    return shapely.LineString(positions)


def _polygon(rings: list[list[tuple[float, ...]]]) -> Any:
    import shapely

    for ring in rings:
        if len(ring) < 4 or ring[0] != ring[-1]:
            raise BadBody("geometry: a ring has at least four positions and ends where it began")
    return shapely.Polygon(rings[0], rings[1:])


def _fit(shape: Any, table: FeatureSchema) -> Any:
    import numpy as np
    import shapely

    if not shapely.is_valid(shape):
        raise BadBody(f"geometry: {shapely.is_valid_reason(shape)}")
    one = np.empty(1, dtype=object)
    one[0] = shape
    try:
        return _keep(one, table)[0]
    except BadFile as error:
        raise BadBody(f"geometry: {error.reason}") from error


def _keep(shapes: NDArray[Any], table: FeatureSchema) -> NDArray[Any]:
    """Shapes as a load leaves them, with their rings turned as RFC 7946, section 3.1.6, asks."""
    import shapely

    return promote(shapely.orient_polygons(shapes), table.geometry_type)


def same(table: FeatureSchema, present: NDArray[Any], shape: Any) -> bool:
    """Whether a client sent back what it read: a geometry (or None) equal to the digits that are served of
    the one stored (an array of one). The stored digits, and a mesh made from them, are then kept."""
    import numpy as np

    if present[0] is None or shape is None:
        return present[0] is None and shape is None
    with suppress(BadFile):
        present = _keep(present, table)
    sent = np.empty(1, dtype=object)
    sent[0] = shape
    return geojson.geometries(present) == geojson.geometries(sent)


def properties(table: FeatureSchema, value: object) -> dict[str, Any]:
    """The properties that a body names, as column values. Raises BadBody naming every fault."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise BadBody("properties: must be an object or null")
    faults: list[tuple[str, str]] = []
    out: dict[str, Any] = {}
    for name, member in value.items():
        field = table.field(str(name))
        if field is None:
            faults.append((str(name), "the layer has no such property"))
            continue
        try:
            if isinstance(member, float) and not math.isfinite(member):
                raise ValueError("a number must be finite")
            if field.type == "array" and isinstance(member, str):  # a file has a list as text, JSON has lists
                raise ValueError(f"{shown(member)} is not a list")
            out[field.name] = None if member is None else stored(field.type, member)
            _one_of(field, out[field.name])
        except ValueError as error:
            faults.append((field.name, str(error)))
    if faults:
        raise wrong_properties(faults[:_FAULTS_TOLD])
    return out


def wrong_properties(faults: Sequence[tuple[str, str]]) -> BadBody:
    """The error of properties, by name, and why each is wrong."""
    told = "; ".join(f"{shown(name)}: {reason}" for name, reason in faults)
    return BadBody(f"properties: {told}", [(_pointer(name), reason) for name, reason in faults])


def _pointer(name: str) -> str:
    """The JSON pointer of a property (RFC 6901, section 3); of all of them where its name is too long to be
    repeated."""
    if len(name) > SHOWN:
        return "/properties"
    return "/properties/" + name.replace("~", "~0").replace("/", "~1")


def _one_of(field: Field, value: object) -> None:
    if field.codes and value is not None and str(value) not in field.codes:
        known = ", ".join(list(field.codes)[:_CODES_SHOWN])
        more = ", …" if len(field.codes) > _CODES_SHOWN else ""
        raise ValueError(f"{shown(value)} is not one of its codes: {known}{more}")


def new(table: FeatureSchema, feature: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """A complete Feature for POST: its geometry, and a value for each field.

    An ``id`` in it says nothing: the store gives the new feature its own (OGC 20-002r1, clause 6.3)."""
    shape, members = _complete(table, feature)
    return shape, {f.name: None for f in table.fields} | members


def whole(table: FeatureSchema, fid: int, feature: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """A complete Feature for PUT: its geometry, and a value for each field but ``source_id``."""
    _same_id(fid, feature)
    shape, members = _complete(table, feature)
    return shape, {f.name: None for f in table.fields if f.name != "source_id"} | members


def _complete(table: FeatureSchema, feature: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    if feature.get("type") != "Feature":
        raise BadBody("type: must be Feature")
    for name in ("geometry", "properties"):
        if name not in feature:
            raise BadBody(f"{name}: is missing (RFC 7946 section 3.2)")
    return _both(table, feature["geometry"], feature["properties"])


def _both(table: FeatureSchema, place: object, values: object) -> tuple[Any, dict[str, Any]]:
    """Geometry and properties, so that a body with faults in both learns of all of them."""
    try:
        shape = geometry(table, place)
    except BadBody as error:
        faults = (("/geometry", str(error).removeprefix("geometry: ")),)
        try:
            properties(table, values)
        except BadBody as other:
            raise BadBody(f"{error}; {other}", faults + other.faults) from error
        raise BadBody(str(error), faults) from error
    return shape, properties(table, values)


def partial(table: FeatureSchema, fid: int, patch: Mapping[str, Any]) -> tuple[bool, Any, dict[str, Any]]:
    """A merge-patch: whether it names the geometry, the geometry, and the properties it names."""
    unknown = set(patch) - {"type", "id", "geometry", "properties"}
    if unknown:
        raise BadBody(f"{shown(min(unknown, key=str))}: only geometry and properties can be patched")
    if patch.get("type", "Feature") != "Feature":
        raise BadBody("type: must be Feature")
    _same_id(fid, patch)
    if "properties" in patch and patch["properties"] is None:
        raise BadBody("properties: cannot be removed; name those to set to null")
    named = "geometry" in patch
    return named, *_both(table, patch.get("geometry"), patch.get("properties"))


def _same_id(fid: int, body: Mapping[str, Any]) -> None:
    if "id" in body and str(body["id"]) != str(fid):
        raise BadBody(f"id: {shown(body['id'])} is not the feature in the address ({fid})")
