"""Geometries in the native encodings of GeoArrow 0.2 and GeoParquet 1.1 (lists of coordinates) as WKB of
ISO 13249-3."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from layers.errors import BadFile

type _Offsets = Sequence[Sequence[int]]

#: Encoding → type code of WKB and how deep the lists of its coordinates lie within one another.
_FORMS: Mapping[str, tuple[int, int]] = {
    "point": (1, 0),
    "linestring": (2, 1),
    "polygon": (3, 2),
    "multipoint": (4, 1),
    "multilinestring": (5, 2),
    "multipolygon": (6, 3),
}
ENCODINGS = frozenset(_FORMS)
#: The type of the members of what is more than one.
_MEMBER = {4: 1, 5: 2, 6: 3}
#: Dimensions → what is added to the type code.
_THOUSANDS = {"xy": 0, "xyz": 1000, "xym": 2000, "xyzm": 3000}


@dataclass(frozen=True, slots=True)
class _Positions:
    """Coordinates (n, 2 to 4) in the order of the dimensions, little-endian; what a type code grows by."""

    values: NDArray[np.float64]
    thousand: int

    def head(self, kind: int) -> bytes:
        """Byte order and type of a geometry."""
        return struct.pack("<BI", 1, kind + self.thousand)

    def some(self, start: int, end: int) -> bytes:
        """Of a part of the coordinates."""
        return self.values[start:end].tobytes()


def to_wkb(array: pa.Array, encoding: str) -> list[bytes | None]:
    """The geometries of a column; None for null. An empty point has coordinates that are no numbers.

    Raises BadFile geometry.encoding: the column is not built as the encoding says."""
    kind, levels = _FORMS[encoding]
    array.validate(full=True)
    there = array.is_valid().to_pylist()
    ends: list[list[int]] = []
    inner = array
    for _ in range(levels):
        if not (pa.types.is_list(inner.type) or pa.types.is_large_list(inner.type)):
            raise _unlike(encoding, array.type)
        ends.append(inner.offsets.to_pylist())
        inner = inner.values
    positions = _positions(inner, encoding)
    return [_encoded(kind, ends, row, positions) if ok else None for row, ok in enumerate(there)]


def _unlike(encoding: str, kind: pa.DataType) -> BadFile:
    reason = f"the geometries are said to be encoded as {encoding}, but are {str(kind)[:80]}"
    return BadFile("geometry.encoding", f"{reason}; write them as WKB")


def _positions(array: pa.Array, encoding: str) -> _Positions:
    """Separated (a struct of x, y, …) or interleaved (a list of fixed size). Raises BadFile."""
    kind = array.type
    if pa.types.is_struct(kind):
        names = [member.name for member in kind]
        columns = [
            _floats(column, encoding)
            for _, column in sorted(zip(names, array.flatten(), strict=True), key=_turn)
        ]
        dimensions = "".join(sorted(names, key="xyzm".find))
        values = np.column_stack(columns) if columns else np.empty((0, 0))
    elif pa.types.is_fixed_size_list(kind):
        size = kind.list_size
        name = kind.value_field.name
        dimensions = name if name in _THOUSANDS and len(name) == size else "xyzm"[:size]
        whole = array.values.slice(array.offset * size, len(array) * size)
        values = _floats(whole, encoding).reshape(-1, max(size, 1))
    else:
        raise _unlike(encoding, kind)
    if dimensions not in _THOUSANDS:
        raise _unlike(encoding, kind)
    return _Positions(np.ascontiguousarray(values, "<f8"), _THOUSANDS[dimensions])


def _turn(named: tuple[str, pa.Array]) -> int:
    return "xyzm".find(named[0])


def _floats(array: pa.Array, encoding: str) -> NDArray[np.float64]:
    """Null coordinates are no numbers."""
    if not (pa.types.is_floating(array.type) or pa.types.is_integer(array.type)):
        raise _unlike(encoding, array.type)
    values: NDArray[np.float64] = array.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return values


def _encoded(kind: int, ends: _Offsets, at: int, positions: _Positions) -> bytes:
    """One geometry: number ``at`` of those whose lists end at ``ends``, the outermost level first."""
    head = positions.head(kind)
    if not ends:
        return head + positions.some(at, at + 1)
    start, end = ends[0][at], ends[0][at + 1]
    count = struct.pack("<I", end - start)
    if kind in _MEMBER:
        parts = (_encoded(_MEMBER[kind], ends[1:], each, positions) for each in range(start, end))
        return b"".join((head, count, *parts))
    if len(ends) == 1:
        return head + count + positions.some(start, end)
    rings = zip(ends[1][start:end], ends[1][start + 1 : end + 1], strict=True)
    return b"".join((head, count, *(struct.pack("<I", b - a) + positions.some(a, b) for a, b in rings)))
