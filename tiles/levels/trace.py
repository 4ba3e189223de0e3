"""Covered cells of a grid as polygons: their outlines, by group, on the grid's lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tiles.levels import order

type Numbers = NDArray[np.int64]

#: The sides of a cell, clockwise on the map from the upper one: where each starts, and the cell across it.
_STARTS = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
_ACROSS = np.array([(0, -1), (1, 0), (0, 1), (-1, 0)])


@dataclass(frozen=True, slots=True)
class Outlines:
    """Rings of groups: ``group`` int64 (r,) ascending, ``outer`` uint8 (r,) 1 for an exterior, which its
    holes follow; ``offsets`` int64 (r + 1) into ``xy`` int64 (m, 2), corners in cells, y to the south,
    exteriors clockwise on the map, without a closing point."""

    group: Numbers
    outer: NDArray[np.uint8]
    offsets: Numbers
    xy: Numbers


def outlines(x: Numbers, y: Numbers, group: Numbers) -> Outlines:
    """The outlines of cells (n,), each once, of groups. Cells of a group that touch at a corner alone are two
    polygons; those of two groups share the line between them."""
    if not len(x):
        none = np.empty(0, np.int64)
        return Outlines(none, none.astype(np.uint8), np.zeros(1, np.int64), none.reshape(0, 2))
    across, corners = _neighbours(x, y, group)
    edge, part = across < 0, _parts(across)
    links = _links(across, edge, np.where(part[corners] == part[:, None], corners, -1))
    number = np.full(4 * len(x), -1)
    kept = np.flatnonzero(edge.ravel())
    number[kept] = np.arange(len(kept))
    along, ring = order.ordered(number[links[kept]])
    edges = kept[along]
    # only corners are kept: where a side follows another side
    starts = np.flatnonzero(np.diff(ring, prepend=-1))
    before = np.arange(len(ring)) - 1
    before[starts] = np.append(starts[1:], len(ring)) - 1
    corner = edges % 4 != edges[before] % 4
    edges, ring = edges[corner], ring[corner]
    cell, side = edges // 4, edges % 4
    xy = np.stack([x[cell], y[cell]], axis=1) + _STARTS[side]
    offsets = np.append(np.flatnonzero(np.diff(ring, prepend=-1)), len(ring))
    return _sorted(xy, offsets, group[cell[offsets[:-1]]], part[cell[offsets[:-1]]])


def _neighbours(x: Numbers, y: Numbers, group: Numbers) -> tuple[Numbers, Numbers]:
    """The cells (n, 4) of the same group across each side, and those across the corner in which a side ends;
    −1 where there is none."""
    x0, y0 = int(x.min()) - 1, int(y.min()) - 1
    grid = np.full((int(y.max()) - y0 + 2, int(x.max()) - x0 + 2), -1)
    grid[y - y0, x - x0] = np.arange(len(x))

    def beside(steps: Numbers) -> Numbers:
        found = np.stack([grid[y - y0 + dy, x - x0 + dx] for dx, dy in steps.tolist()], axis=1)
        return np.where((found >= 0) & (group[found] == group[:, None]), found, -1)

    return beside(_ACROSS), beside(_ACROSS + np.roll(_ACROSS, -1, axis=0))


def _links(across: Numbers, edge: NDArray[np.bool_], corners: Numbers) -> Numbers:
    """The edge that follows each (4 n,). Where two cells touch at a corner alone it goes around its own cell,
    so that two polygons stay apart; around the other where that is of the same one, or its outline would
    touch itself."""
    links = np.full(across.shape, -1)
    for side in range(4):
        turn, back = (side + 1) % 4, (side + 3) % 4
        beside = across[:, turn]
        ahead = np.where(edge[beside, side], 4 * beside + side, 4 * across[beside, side] + back)
        around = np.where(
            corners[:, side] >= 0, 4 * corners[:, side] + back, 4 * np.arange(len(across)) + turn
        )
        links[:, side] = np.where(edge[:, turn], around, ahead)
    return links.ravel()


def _parts(across: Numbers) -> Numbers:
    """The polygon (n,) in which each cell lies."""
    # each pair once: what lies to the east and to the south
    cells, sides = np.nonzero(across[:, 1:3] >= 0)
    return order.parts(len(across), cells, across[cells, sides + 1])


def _sorted(xy: Numbers, offsets: Numbers, group: Numbers, part: Numbers) -> Outlines:
    sizes = np.diff(offsets)
    follow = np.arange(1, len(xy) + 1)
    follow[offsets[1:] - 1] = offsets[:-1]
    here, there = xy, xy[follow]
    area = np.add.reduceat(here[:, 0] * there[:, 1] - there[:, 0] * here[:, 1], offsets[:-1])
    hole = area < 0
    rank = np.lexsort((hole, part, group))
    moved = np.concatenate([[0], np.cumsum(sizes[rank])])
    index = np.arange(len(xy)) + np.repeat(offsets[:-1][rank] - moved[:-1], sizes[rank])
    return Outlines(group[rank], (~hole[rank]).astype(np.uint8), moved, xy[index])
