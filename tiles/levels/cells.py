"""Cells of groups, and what of a batch belongs to which: the grid that all pyramids share.

A zoom's *groups* are the features whose box's middle lies in one cell of the zoom :data:`DEEPER` below, if
the box is no larger than that cell; larger ones are drawn one by one. Which group a feature is in depends on
nothing but its box (:mod:`layers.quadtree`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layers import quadtree
from layers.quadtree import DEEPEST, SIZE_BITS
from tiles.batch import Batch

#: Zooms from a tile to the cells of its groups: 16 x 16 of them, 32 pixels wide.
DEEPER = 4
#: Groups from one side of a tile to the other.
ACROSS = 1 << DEEPER
#: Parts of a tile around it on which its content depends: the groups beside it.
NEAR = 1 / ACROSS


def cell_of(places: NDArray[np.uint64], depth: int) -> NDArray[np.uint64]:
    """The numbers along the Z-curve of the cells of a depth in which places lie."""
    return np.asarray(places >> np.uint64(SIZE_BITS + 2 * (DEEPEST - depth)))


def size_of(places: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The deepest depth whose cells are as large as the box of a place."""
    return np.asarray(places & np.uint64((1 << SIZE_BITS) - 1)).astype(np.int64)


def counted(batch: Batch) -> NDArray[np.bool_]:
    """The rows that count: of a collection, which has one for each dimension, the first."""
    return np.asarray(np.diff(batch.fids, prepend=-1) != 0)


@dataclass(frozen=True, slots=True)
class Field:
    """The groups of a tile and those around it, on which its content may depend.

    ``cells`` uint64 (n,) along the Z-curve, ``keys`` the same counted from ``origin`` (a column and row),
    ascending; ``columns``, ``rows`` int64 (n,) from −1 to 16, where 0 to 15 are the tile's own."""

    z: int
    x: int
    y: int
    origin: tuple[int, int]
    cells: NDArray[np.uint64]
    keys: NDArray[np.uint64]
    columns: NDArray[np.int64]
    rows: NDArray[np.int64]

    @property
    def depth(self) -> int:
        """The zoom of the cells."""
        return self.z + DEEPER

    @property
    def own(self) -> NDArray[np.bool_]:
        """Which cells lie in the tile."""
        inside = (self.columns >= 0) & (self.columns < ACROSS) & (self.rows >= 0) & (self.rows < ACROSS)
        return np.asarray(inside)


def field(z: int, x: int, y: int, *, near: bool = False) -> Field:
    """The groups of a tile and those around it, as far as the world reaches; ``near``: their keys count from
    the first of them, so that they are short."""
    span = np.arange(-1, ACROSS + 1)
    columns, rows = (part.ravel() for part in np.meshgrid(span, span))
    n = 1 << (z + DEEPER)
    east, south = columns + x * ACROSS, rows + y * ACROSS
    inside = (east >= 0) & (east < n) & (south >= 0) & (south < n)
    columns, rows, east, south = columns[inside], rows[inside], east[inside], south[inside]
    origin = (int(east.min()), int(south.min())) if near else (0, 0)
    keys = quadtree.morton(east - origin[0], south - origin[1])
    order = np.argsort(keys)
    cells = quadtree.morton(east, south)
    return Field(z, x, y, origin, cells[order], keys[order], columns[order], rows[order])
