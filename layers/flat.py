"""Plain geometries of a column of WKB, all at once: points, lines and polygons of one ring, in the plane.

That is what most features are. Their positions are read, and written, without an object for each of them;
whatever else there is goes through GEOS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

type Floats = NDArray[np.float64]
type Indices = NDArray[np.int64]

POINT, LINE, POLYGON = 1, 2, 3
#: Bytes before the positions: byte order and type; a count; a polygon has a count of rings, too.
_HEADS = {POINT: 5, LINE: 9, POLYGON: 13}
_FEWEST = {POINT: 1, LINE: 2, POLYGON: 4}
_POSITION = 16
_LITTLE = 1


@dataclass(frozen=True, slots=True)
class Flat:
    """n plain geometries: ``kinds`` (n) of them, ``firsts`` (n + 1), where the positions of each begin, and
    ``positions`` (m, 2), all finite. Rings are closed."""

    kinds: NDArray[np.uint32]
    firsts: Indices
    positions: Floats

    def boxes(self) -> Floats:
        """(n, 4): minx, maxx, miny, maxy."""
        out = np.empty((len(self.kinds), 4))
        if len(out):
            low = np.minimum.reduceat(self.positions, self.firsts[:-1], axis=0)
            high = np.maximum.reduceat(self.positions, self.firsts[:-1], axis=0)
            out[:, 0::2], out[:, 1::2] = low, high
        return out

    def areas(self) -> Floats:
        """(n): twice the signed area of each ring, positive where it runs counter-clockwise; else zero."""
        out = np.zeros(len(self.kinds))
        rings = np.flatnonzero(self.kinds == POLYGON)
        if not len(rings):
            return out
        # about the first position of each: the shoelace of large coordinates loses the area of a small ring
        origin = np.repeat(self.positions[self.firsts[:-1]], np.diff(self.firsts), axis=0)
        x, y = (self.positions - origin).T
        cross = np.zeros(len(x))
        cross[:-1] = x[:-1] * y[1:] - x[1:] * y[:-1]
        out[rings] = np.add.reduceat(cross, self.firsts[:-1])[rings]
        return out


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where in ``data`` each of n geometries begins, how long it is, its kind and count of positions; a kind
    of 0 is none of the plain ones."""

    data: NDArray[np.uint8]
    starts: Indices
    lengths: Indices
    kinds: NDArray[np.uint32]
    counts: Indices


def whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column of WKB as one array of binary with 32-bit offsets."""
    import pyarrow as pa

    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):  # what is empty, or too long for one
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    return array if pa.types.is_binary(array.type) else array.cast(pa.binary())


def plain(column: pa.Array) -> NDArray[np.bool_]:
    """(n): which of a column of binary are plain geometries, as far as their heads and lengths say; null is
    none."""
    return _layout(column).kinds > 0


def read(column: pa.Array) -> Flat | None:
    """The geometries of a column of binary; None where one of them is not plain, finite and closed."""
    layout = _layout(column)
    if not (layout.kinds > 0).all():
        return None
    firsts = np.concatenate([[0], np.cumsum(layout.counts)])
    flat = Flat(layout.kinds, firsts, _positions(layout))
    sound = bool(np.isfinite(flat.positions).all()) and _closed(flat)
    return flat if sound else None


def _closed(flat: Flat) -> bool:
    rings = flat.kinds == POLYGON
    first, last = flat.positions[flat.firsts[:-1][rings]], flat.positions[flat.firsts[1:][rings] - 1]
    return bool((first == last).all())


def replaced(column: pa.Array, positions: Floats) -> pa.Array:
    """A column of plain geometries with other positions (m, 2), in the order of :func:`read`."""
    layout = _layout(column)
    begin, end = int(layout.starts[0]), int(layout.starts[-1] + layout.lengths[-1])
    data = layout.data[begin:end].copy()
    data[_places(layout)] = np.ascontiguousarray(positions, "<f8").view(np.uint8).ravel()
    offsets = np.concatenate([layout.starts, [end]]) - begin
    return binary(data, offsets)


def binary(data: NDArray[np.uint8], offsets: Indices, kind: pa.DataType | None = None) -> pa.Array:
    """An array of binary (or of ``kind``) over bytes, each from one offset (n + 1) to the next."""
    import pyarrow as pa

    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data)]
    return pa.Array.from_buffers(kind or pa.binary(), len(offsets) - 1, buffers)


def _layout(column: pa.Array) -> _Layout:
    count = len(column)
    _, ends, values = column.buffers()
    offsets = np.frombuffer(ends, np.int32, count + 1, column.offset * 4).astype(np.int64)
    data = np.frombuffer(values or b"", np.uint8)
    starts, lengths = offsets[:-1], np.diff(offsets)
    kinds, counts = np.zeros(count, np.uint32), np.zeros(count, np.int64)
    if not len(data):
        return _Layout(data, starts, lengths, kinds, counts)
    # a head that ends early is read from what follows, and its length then does not fit
    heads = data[np.minimum(starts[:, None] + np.arange(13), len(data) - 1)]
    little = heads[:, 0] == _LITTLE
    numbers = np.ascontiguousarray(heads[:, 1:]).view("<u4").astype(np.int64)
    found = {POINT: np.ones(count, np.int64), LINE: numbers[:, 1], POLYGON: numbers[:, 2]}
    for kind, many in found.items():
        chosen = little & (numbers[:, 0] == kind) & (lengths == _HEADS[kind] + many * _POSITION)
        chosen &= many >= _FEWEST[kind]
        if kind == POLYGON:
            chosen &= numbers[:, 1] == 1
        kinds[chosen], counts[chosen] = kind, many[chosen]
    if column.null_count:
        kinds[column.is_null().to_numpy(zero_copy_only=False)] = 0
    return _Layout(data, starts, lengths, kinds, counts)


def _places(layout: _Layout) -> NDArray[np.bool_]:
    """Which bytes, from the first geometry to the last, are of positions."""
    begin, end = int(layout.starts[0]), int(layout.starts[-1] + layout.lengths[-1])
    out = np.ones(end - begin, bool)
    for kind, size in _HEADS.items():
        starts = layout.starts[layout.kinds == kind] - begin
        for byte in range(size):
            out[starts + byte] = False
    return out


def _positions(layout: _Layout) -> Floats:
    if not len(layout.starts):
        return np.empty((0, 2))
    begin, end = int(layout.starts[0]), int(layout.starts[-1] + layout.lengths[-1])
    return layout.data[begin:end][_places(layout)].view("<f8").astype(np.float64).reshape(-1, 2)
