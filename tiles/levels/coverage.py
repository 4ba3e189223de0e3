"""How much of each cell of a grid footprints cover: for merged areas.

A zoom's cells are of the zoom :data:`FINER` below it, 2 pixels wide where a tile has 512. A footprint is in
the grids of the zooms at which it belongs to a group (:mod:`tiles.levels.cells`). A row of a table is a cell
along the Z-curve with ``area``, in units of 2⁻⁵⁴ of the world."""

from __future__ import annotations

import numpy as np

from layers import quadtree
from tiles.batch import Batch
from tiles.levels import table
from tiles.levels.table import Numbers, Table
from tiles.scheme import Floats

#: Zooms from a tile to the cells of its coverage.
FINER = 8
#: Zooms from a tile's groups to them.
IN_GROUP = 4
#: Parts of the world's area in one unit.
UNITS = 2.0**54


def covered(batch: Batch, rows: Numbers, zoom: int, origin: tuple[int, int] = (0, 0)) -> Table:
    """The coverage of some footprints (r,) of a batch in the grid of a zoom; cells count from ``origin``, a
    cell of the grid.

    The area of a footprint is spread over the cells in its box by how much of the box lies in each."""
    n = float(1 << (zoom + FINER))
    boxes = batch.boxes[rows] * n
    low, high = np.floor(boxes[:, :2]).astype(np.int64), np.ceil(boxes[:, 2:]).astype(np.int64)
    wide, tall = np.maximum(high - low, 1).T
    each = wide * tall
    of = np.repeat(np.arange(len(rows)), each)
    place = np.arange(int(each.sum())) - np.repeat(np.cumsum(each) - each, each)
    x, y = low[of, 0] + place % wide[of], low[of, 1] + place // wide[of]
    share = _overlap(x, boxes[of, 0], boxes[of, 2]) * _overlap(y, boxes[of, 1], boxes[of, 3])
    area = np.rint(batch.measure[rows][of] * UNITS * share).astype(np.int64)
    keys = quadtree.morton(np.maximum(x - origin[0], 0), np.maximum(y - origin[1], 0))
    return table.of(keys, area[:, None])


def _overlap(cell: Numbers, low: Floats, high: Floats) -> Floats:
    """The share of a span that lies in a cell."""
    length = high - low
    inside = np.minimum(high, cell + 1) - np.maximum(low, cell)
    return np.where(length > 0, np.clip(inside, 0, None) / np.where(length > 0, length, 1), 1.0)


def coarser(fine: Table) -> Table:
    """The coverage in the grid of the zoom above."""
    return table.of(fine.keys >> np.uint64(2), fine.sums)


def cell_units(zoom: int) -> float:
    """The area of a whole cell in units."""
    return UNITS / 4.0 ** (zoom + FINER)
