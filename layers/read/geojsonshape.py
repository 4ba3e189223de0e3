"""Geometries of GeoJSON (RFC 7946, section 3.1) as ISO WKB."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

type Positions = NDArray[np.float64]

#: Type → its WKB code, and how deep the positions are nested in its coordinates.
_TYPES = {
    "Point": (1, 0),
    "LineString": (2, 1),
    "Polygon": (3, 2),
    "MultiPoint": (4, 1),
    "MultiLineString": (5, 2),
    "MultiPolygon": (6, 3),
}
_COLLECTION = 7
#: The code of each part of a geometry of several.
_PART = {4: 1, 5: 2, 6: 3}
_HIGH = 1000


def wkb(geometry: Any) -> tuple[bytes, bool]:
    """A geometry, and whether its positions have a fourth number, which is left out (section 3.1.1).

    Has heights where any position has; those of others are NaN. A ring that is open stays so. Raises
    ValueError for what is no geometry."""
    members = _flattened(geometry)
    size = max((array.shape[1] for _, parts in members for array in _arrays(parts)), default=2)
    high = size > 2
    blobs = [_one(code, parts, high) for code, parts in members]
    if geometry.get("type") != "GeometryCollection":
        return blobs[0], size > 3
    return _head(_COLLECTION, high) + struct.pack("<I", len(blobs)) + b"".join(blobs), size > 3


def _flattened(geometry: Any) -> list[tuple[int, Any]]:
    """(WKB code, positions nested as in the type) of each geometry that is no collection."""
    if not isinstance(geometry, Mapping):
        raise ValueError("it is no object")
    kind = geometry.get("type")
    if kind == "GeometryCollection":
        members = geometry.get("geometries")
        if not isinstance(members, list):
            raise ValueError("the collection has no geometries")
        return [one for member in members for one in _flattened(member)]
    if not isinstance(kind, str) or kind not in _TYPES:
        raise ValueError("its type is none of RFC 7946")
    code, depth = _TYPES[kind]
    return [(code, _nested(geometry.get("coordinates"), depth))]


def _nested(coordinates: Any, depth: int) -> Any:
    """Coordinates with every list of positions as an array (n, 2 or more)."""
    if not isinstance(coordinates, list):
        raise ValueError("coordinates are missing")
    if depth == 0:
        return _positions([coordinates] if coordinates else [])
    if depth == 1:
        return _positions(coordinates)
    return [_nested(part, depth - 1) for part in coordinates]


def _positions(positions: list[Any]) -> Positions:
    if not positions:
        return np.empty((0, 2))
    try:
        array = np.array(positions)
    except ValueError:
        array = np.empty(0)
    if array.ndim == 2 and array.dtype.kind in "iuf" and array.shape[1] >= 2:
        return array.astype(np.float64)
    size = max((len(each) for each in positions if isinstance(each, list)), default=0)
    if size < 2:
        raise ValueError("a position has two or three numbers")
    return np.array([[*_numbers(each), *[np.nan] * (size - len(each))] for each in positions], np.float64)


def _numbers(position: Any) -> list[float]:
    if not isinstance(position, list) or len(position) < 2:
        raise ValueError("a position has two or three numbers")
    numbers = [np.nan if n is None else n for n in position]
    if any(isinstance(n, bool) or not isinstance(n, int | float) for n in numbers):
        raise ValueError("a coordinate is no number")
    return [float(n) for n in numbers]


def _arrays(parts: Any) -> list[Positions]:
    return [parts] if isinstance(parts, np.ndarray) else [a for part in parts for a in _arrays(part)]


def _head(code: int, high: bool) -> bytes:
    return struct.pack("<BI", 1, code + _HIGH * high)


def _numbered(array: Positions, high: bool) -> bytes:
    """Positions of the size that the geometry has."""
    size = 3 if high else 2
    if array.shape[1] < size:
        array = np.column_stack((array, np.full(len(array), np.nan)))
    return np.ascontiguousarray(array[:, :size], "<f8").tobytes()


def _one(code: int, parts: Any, high: bool) -> bytes:
    head = _head(code, high)
    if code == 1:
        return head + (_numbered(parts, high) or struct.pack("<d", np.nan) * (2 + high))
    if code == 2:
        return head + struct.pack("<I", len(parts)) + _numbered(parts, high)
    if code == 3:
        rings = [struct.pack("<I", len(ring)) + _numbered(ring, high) for ring in parts]
        return head + struct.pack("<I", len(rings)) + b"".join(rings)
    singles = [parts[i : i + 1] for i in range(len(parts))] if code == 4 else parts
    blobs = [_one(_PART[code], single, high) for single in singles]
    return head + struct.pack("<I", len(blobs)) + b"".join(blobs)
