"""Geometries on their way out: the parts of a WKB geometry, whoever wrote it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layers import wkb as wkb_
from layers.types import GeometryType

#: Type codes of OGC 06-103r4 table 7, which FlatGeobuf shares.
CODES: dict[GeometryType, int] = {
    "Geometry": 0,
    "Point": 1,
    "LineString": 2,
    "Polygon": 3,
    "MultiPoint": 4,
    "MultiLineString": 5,
    "MultiPolygon": 6,
}
COLLECTION = 7
NAMES = {code: name for name, code in CODES.items() if code} | {COLLECTION: "GeometryCollection"}
#: The box around nothing, which :func:`around` begins with.
NOWHERE = np.array([np.inf, np.inf, -np.inf, -np.inf])
_MANY = frozenset({4, 5, 6, COLLECTION})
_HEAD = struct.Struct("<BI")
#: How an empty line, polygon or point is told inside another geometry; coordinates may look so too.
_VOIDS = (
    *(struct.pack("<BII", 1, code + high, 0) for code in (2, 3) for high in (0, 1000)),
    *(struct.pack("<BId", 1, 1 + high, float("nan")) for high in (0, 1000)),
)


def kind(wkb: bytes) -> int:
    """Type code of ISO WKB, plus 1000 with heights; 0 for any other encoding (big-endian, EWKB, M)."""
    order, code = _HEAD.unpack_from(wkb)
    return code if order == 1 and (code <= COLLECTION or 1000 < code <= 1000 + COLLECTION) else 0


def kinds(wkb: Sequence[bytes | None]) -> set[int]:
    """The kinds that occur."""
    heads = {one[:5] for one in wkb if one is not None}
    return {kind(head) if len(head) == 5 else 0 for head in heads}


def iso(wkb: Sequence[bytes | None]) -> list[bytes | None]:
    """The same geometries as little-endian ISO WKB without measures and without empty members; None for
    empty and unreadable ones."""
    out = list(wkb)
    present = kinds(wkb)
    if 0 in present:
        strange = [i for i, one in enumerate(wkb) if one is not None and (len(one) < 9 or not kind(one))]
        shapes = parse([wkb[i] for i in strange])
        for i, one in zip(strange, encode(shapes), strict=True):
            out[i] = one
        present = kinds(out)
    if not _MANY.isdisjoint(kind % 1000 for kind in present):
        _drop_voids(out)
    # an empty geometry has no bytes beyond its head, but for a point
    return [None if one is None or (len(one) < 30 and _is_empty(one)) else one for one in out]


def _drop_voids(wkb: list[bytes | None]) -> None:
    """Take the empty members out of what is made of several: formats have no place for them."""
    suspect = [i for i, one in enumerate(wkb) if one is not None and any(empty in one for empty in _VOIDS)]
    if suspect:
        whole = [_without_voids(shape) for shape in parse([wkb[i] for i in suspect])]
        for i, one in zip(suspect, encode(np.array([*whole, None], object)[:-1]), strict=True):
            wkb[i] = one


def _without_voids(shape: Any) -> Any:
    if shape is None or not hasattr(shape, "geoms"):
        return shape
    return type(shape)([_without_voids(one) for one in shape.geoms if not one.is_empty])


def _is_empty(wkb: bytes) -> bool:
    """Whether a geometry is empty: an empty point is a pair of NaN, anything else has no parts."""
    if wkb[1:3] in (b"\x01\x00", b"\xe9\x03"):
        return wkb[11:13] == b"\xf8\x7f"
    return wkb[5:9] == b"\0\0\0\0"


def around(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The box (west, south, east, north) around a box and one or more others (n, 4), all finite."""
    low, high = np.minimum(box[:2], boxes[:, :2].min(axis=0)), np.maximum(box[2:], boxes[:, 2:].max(axis=0))
    return np.concatenate([low, high])


def parse(wkb: Sequence[bytes | None]) -> NDArray[Any]:
    """An object array of shapely geometries; None for null and for what cannot be read."""
    return wkb_.shapes(wkb)


def encode(shapes: NDArray[Any]) -> list[bytes | None]:
    """Shapely geometries as little-endian ISO WKB without measures, None for null and empty ones."""
    import shapely

    shapes = wkb_.without_measures(shapes)
    empty = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    made = shapely.to_wkb(shapes, byte_order=1, flavor="iso", output_dimension=3)
    return [None if none else one for none, one in zip(empty.tolist(), made.tolist(), strict=True)]
