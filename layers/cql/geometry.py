"""Geometry literals of a filter (GeoJSON, or a bbox) → shapely in lon/lat, checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layers import crs as crs_
from layers.errors import BadFile, BadParameter, shown
from layers.types import CRS84, lon_spans

TYPES = (
    "Point",
    "MultiPoint",
    "LineString",
    "MultiLineString",
    "Polygon",
    "MultiPolygon",
    "GeometryCollection",
)
#: A straight edge of 1 km in a projected CRS departs by a few centimetres from its chord in lon/lat.
_EDGE_METRES = 1000.0
_MOST_POSITIONS = 10_000
_FAR = 1e12


def geometry(value: Mapping[str, Any], crs: str = CRS84) -> Any:
    """A GeoJSON geometry in a CRS (axis order of its authority) as a two-dimensional shapely geometry in
    lon/lat. Long edges in a projected CRS get more positions. Raises ValueError saying what is wrong."""
    import shapely

    shape = _placed(shapely.force_2d(_shape(value, 0)), crs)
    west, south, east, north = shape.bounds
    if not (west >= -180 and east <= 180 and south >= -90 and north <= 90):
        raise ValueError("a geometry lies within longitude ±180 and latitude ±90")
    if not shapely.is_valid(shape):
        raise ValueError(f"a geometry is not valid: {shapely.is_valid_reason(shape)}")
    return _plain(shape)


def bbox(value: Any, crs: str = CRS84) -> Any:
    """A bbox of 4 or 6 numbers as a geometry; west greater than east crosses the antimeridian (two boxes).

    Raises ValueError."""
    import shapely

    if not isinstance(value, list) or len(value) not in (4, 6):
        raise ValueError("a bbox has 4 or 6 numbers")
    numbers = [_number(v) for v in value]
    if len(numbers) == 6:
        if numbers[2] > numbers[5]:
            raise ValueError("in a bbox the lower height comes before the upper one")
        numbers = numbers[:2] + numbers[3:5]
    if crs != CRS84 and crs_.swaps(crs):
        numbers = [numbers[1], numbers[0], numbers[3], numbers[2]]
    west, south, east, north = numbers
    if south > north:
        raise ValueError("in a bbox south comes before north")
    if not crs_.is_geographic(crs):
        if west > east:
            raise ValueError("in a bbox west comes before east")
        return _plain(_lonlat(box(west, south, east, north), crs))
    if west > east and not (abs(west) <= 180 and abs(east) <= 180):
        raise ValueError("in a bbox west comes before east (across 180° both within ±180)")
    low, high = max(south, -90.0), min(north, 90.0)
    boxes = [
        _lonlat(box(max(a, -180.0), low, min(b, 180.0), high), crs)
        for a, b in lon_spans(west, east)
        if a <= 180 and b >= -180 and low <= high
    ]
    if not boxes:
        raise ValueError("a bbox lies within longitude ±180 and latitude ±90")
    return boxes[0] if len(boxes) == 1 else _plain(shapely.union_all(boxes))


def box(west: float, south: float, east: float, north: float) -> Any:
    """A box as a polygon; a line or a point where it has no area."""
    import shapely

    if west == east and south == north:
        return shapely.Point(west, south)
    if west == east or south == north:
        return shapely.LineString([(west, south), (east, north)])
    return shapely.box(west, south, east, north)


def mixed(shape: Any) -> bool:
    """Whether it is a collection of different dimensions, for which some relations have no definition."""
    return bool(shape.geom_type == "GeometryCollection")


def _plain(shape: Any) -> Any:
    """A collection whose members have one dimension as the multi geometry of their union."""
    import shapely

    if shape.geom_type != "GeometryCollection":
        return shape
    parts = [_plain(p) for p in shapely.get_parts(shape)]
    if len({shapely.get_dimensions(p) for p in parts}) == 1:
        return shapely.union_all(parts)
    return shapely.GeometryCollection([q for p in parts for q in shapely.get_parts(p)])


def _shape(value: Any, level: int) -> Any:
    import shapely

    if not isinstance(value, Mapping):
        raise ValueError(f"{shown(value)} is not a GeoJSON geometry")
    kind = value.get("type")
    if kind not in TYPES:
        raise ValueError(f"{shown(kind)} is not a type of geometry; allowed are {', '.join(TYPES)}")
    if kind == "GeometryCollection":
        parts = value.get("geometries")
        if not isinstance(parts, list) or not parts or level:
            raise ValueError("a GeometryCollection has a list of other geometries")
        return shapely.GeometryCollection([_shape(p, 1) for p in parts])
    return _MAKERS[kind](value.get("coordinates"))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _FAR:
        raise ValueError(f"{shown(value)} is not a finite number")
    return float(value)


def _position(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list) or len(value) not in (2, 3):
        raise ValueError(f"{shown(value)} is not a position of 2 or 3 numbers")
    return tuple(_number(v) for v in value)[:2]


def _list(value: Any, least: int, what: str) -> list[Any]:
    if not isinstance(value, list) or len(value) < least:
        raise ValueError(what)
    return value


def _point(value: Any) -> Any:
    import shapely

    return shapely.Point(_position(value))


def _line(value: Any) -> Any:
    import shapely

    return shapely.LineString([_position(p) for p in _list(value, 2, "a line has two positions or more")])


def _ring(value: Any) -> list[tuple[float, ...]]:
    what = "a ring has four positions or more and ends where it began"
    ring = [_position(p) for p in _list(value, 4, what)]
    if ring[0] != ring[-1]:
        raise ValueError(what)
    return ring


def _polygon(value: Any) -> Any:
    import shapely

    rings = [_ring(r) for r in _list(value, 1, "a polygon has a ring")]
    return shapely.Polygon(rings[0], rings[1:])


def _multi(name: str, make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def multi(value: Any) -> Any:
        import shapely

        parts = [make(v) for v in _list(value, 1, f"a {name} has a part")]
        return getattr(shapely, name)(parts)

    return multi


_MAKERS: Mapping[str, Callable[[Any], Any]] = {
    "Point": _point,
    "LineString": _line,
    "Polygon": _polygon,
    "MultiPoint": _multi("MultiPoint", _point),
    "MultiLineString": _multi("MultiLineString", _line),
    "MultiPolygon": _multi("MultiPolygon", _polygon),
}


def _placed(shape: Any, crs: str) -> Any:
    import shapely

    if crs != CRS84 and crs_.swaps(crs):
        shape = shapely.transform(shape, _swapped)
    return _lonlat(shape, crs)


def _swapped(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    return xy[:, [1, 0]]


def _lonlat(shape: Any, crs: str) -> Any:
    """A geometry with x first, in a CRS, to lon/lat."""
    import shapely

    if crs == CRS84:
        return shape
    if not crs_.is_geographic(crs) and shape.length:
        shape = shapely.segmentize(shape, max(_EDGE_METRES, shape.length / _MOST_POSITIONS))
    one = np.empty(1, dtype=object)
    one[0] = shape
    try:
        moved = crs_.shapes_to_lonlat(one, crs)[0]
    except (BadFile, BadParameter) as error:
        raise ValueError("a geometry lies outside the area of its CRS") from error
    if not math.isfinite(float(np.abs(shapely.get_coordinates(moved)).max())):
        raise ValueError("a geometry lies outside the area of its CRS")
    return moved
