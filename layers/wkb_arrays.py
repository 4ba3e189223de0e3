"""Many geometries out of WKB at once: where the positions of each part lie, without a parser a geometry.

What a parser has to decide upon (curves, big-endian numbers, rings that are not closed, geometries with
hundreds of parts) is not read here but told apart, so that whoever asks gives those to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

type Floats = NDArray[np.float64]

#: Parts from which a geometry is left to a parser: each is a step of the walk through all.
_MOST_PARTS = 64
#: Bytes of a header: order, type, count.
_HEAD = 9
#: Bytes of a position by thousands of the type code: plain, with heights, with measures, with both.
_WIDTHS = np.array([16, 24, 24, 32])
#: Bytes behind the last geometry, so that what is read at its end needs no look at where that is.
_ROOM = 16


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the parts (points, lines, rings) of some geometries lie in their bytes.

    ``plain`` bool (n,) tells which geometries were walked through; ``dims`` uint8 (n,) 0 points, 1 lines,
    2 polygons; of p parts ``owner`` int64 (p,) ascending, ``at`` int64 (p,) the byte of the first position,
    ``count`` int64 (p,) positions, ``width`` int64 (p,) bytes of one, ``outer`` bool (p,) not a hole."""

    plain: NDArray[np.bool_]
    dims: NDArray[np.uint8]
    owner: NDArray[np.int64]
    at: NDArray[np.int64]
    count: NDArray[np.int64]
    width: NDArray[np.int64]
    outer: NDArray[np.bool_]


def joined(blobs: Sequence[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All bytes one after the other with some room behind, and where each begins, with the end of the last
    (n + 1)."""
    offsets = np.zeros(len(blobs) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, blobs), np.int64, len(blobs)), out=offsets[1:])
    return np.frombuffer(b"".join([*blobs, bytes(_ROOM)]), np.uint8), offsets


def parts(data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> Parts:
    """The parts of the geometries from ``starts`` to ``ends`` (n,) of the bytes of :func:`joined`."""
    return _Walk(data, starts, ends).parts()


class _Walk:
    """One step goes through one part of each geometry that has more."""

    def __init__(self, data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> None:
        self._bytes, self._ends = data, ends
        self._numbers: NDArray[np.uint32] = np.ndarray((len(data) - 3,), "<u4", data, strides=(1,))
        self._at = starts.copy()
        code, whole = self._head(np.arange(len(starts)), _HEAD)
        base = code % 1000
        self._kind = np.where(base > 3, base - 3, base)
        self._thousand = code // 1000
        self._plain = whole & (base >= 1) & (base <= 6) & (code < 4000)
        # geometries still to come, and of the one that is being read the rings
        self._left = np.ones(len(starts), np.int64)
        self._rings = np.zeros(len(starts), np.int64)
        many = np.flatnonzero(self._plain & (base > 3))
        self._left[many] = self._numbers[self._at[many] + 5]
        self._at[many] += _HEAD
        self._plain[self._left > _MOST_PARTS] = False

    def _head(self, rows: NDArray[np.int64], least: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The type codes at which some geometries stand, and whether there are so many bytes of a
        little-endian one."""
        at = self._at[rows]
        there = at + least <= self._ends[rows]
        safe = np.where(there, at, 0)
        return self._numbers[safe + 1].astype(np.int64), there & (self._bytes[safe] == 1)

    def parts(self) -> Parts:
        found: list[tuple[NDArray[np.int64], ...]] = []
        rows = np.flatnonzero(self._plain)
        for _ in range(_MOST_PARTS):
            rows = rows[self._plain[rows] & ((self._left[rows] > 0) | (self._rings[rows] > 0))]
            if not len(rows):
                break
            found.append(self._step(rows))
        self._plain[rows[self._plain[rows] & ((self._left[rows] > 0) | (self._rings[rows] > 0))]] = False
        owner, at, count, outer = (
            np.concatenate(column) if found else np.empty(0, np.int64)
            for column in (zip(*found, strict=True) if found else [()] * 4)
        )
        order = np.argsort(owner, kind="stable")
        order = order[self._plain[owner[order]]]
        owner = owner[order]
        width = _WIDTHS[self._thousand[owner]]
        dims = np.where(self._plain, self._kind - 1, 0).astype(np.uint8)
        return Parts(self._plain, dims, owner, at[order], count[order], width, outer[order].astype(bool))

    def _step(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
        """The next part of each: its geometry, first byte, positions, whether it is not a hole."""
        fresh = self._rings[rows] == 0
        self._begin(rows[fresh])
        kind = self._kind[rows]
        counted = np.flatnonzero(kind > 1)
        at = self._at[rows]
        there = self._plain[rows] & (at + 4 * (kind > 1) <= self._ends[rows])
        count = np.ones(len(rows), np.int64)
        safe = np.where(there, at, 0)
        count[counted] = self._numbers[safe[counted]]
        at = at + 4 * (kind > 1)
        end = at + count * _WIDTHS[self._thousand[rows]]
        self._plain[rows[~there | (end > self._ends[rows])]] = False
        self._at[rows], self._rings[rows] = end, self._rings[rows] - 1
        return rows, at, count, fresh.astype(np.int64)

    def _begin(self, rows: NDArray[np.int64]) -> None:
        """Read the heads of geometries: afterwards they stand at what counts their first part's positions."""
        code, whole = self._head(rows, 5)
        same = code == self._kind[rows] + 1000 * self._thousand[rows]
        flat = self._kind[rows] == 3
        whole &= same & (~flat | (self._at[rows] + _HEAD <= self._ends[rows]))
        self._plain[rows[~whole]] = False
        rows, flat = rows[whole], flat[whole]
        self._rings[rows] = 1
        self._rings[rows[flat]] = self._numbers[self._at[rows[flat]] + 5]
        # a polygon without rings is a parser's
        self._plain[rows[self._rings[rows] == 0]] = False
        self._plain[rows[self._rings[rows] > _MOST_PARTS]] = False
        self._at[rows] += np.where(flat, _HEAD, 5)
        self._left[rows] -= 1


def positions(data: NDArray[np.uint8], at: NDArray[np.int64]) -> Floats:
    """The x and y (m, 2) of the positions that begin at some bytes."""
    numbers: Floats = np.ndarray((len(data) - 7,), "<f8", data, strides=(1,))
    return np.stack([numbers[at], numbers[at + 8]], axis=1)
