"""Blocks for far views: what stands in one cell of a fixed grid, by classes of height, as one box each.

A cell holds a feature by the middle of its box alone, so an edit renews the blocks above it and moves no
other. Sums of cells are sums of finer ones: a level is made of the level below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tiles import geocentric, scheme
from tiles.ground import Ground
from tiles.scene.tree import SPLIT
from tiles.scheme import CIRCUMFERENCE, Floats

#: Heights (m) at which another class begins: towers are not lost among what stands around them.
CLASSES = np.array([20.0, 45.0, 90.0, 150.0, 220.0, 300.0, 400.0, 600.0])
#: Metres by which what stands by itself is higher, and parts of the geometric error: three pixels where it
#: is seen from as near as it is ever.
TOWER, TOWERING = 20.0, 1 / 6
#: What a block covers, against what its features do: yards and lanes are among them.
AMONG = 2.0
#: Least height of a block (m), and least area (world units) of a feature.
LOWEST, SMALLEST = 0.1, 1e-17
_CLASS_BITS, _CELL_BITS = 4, 21


@dataclass(frozen=True, slots=True)
class Cells:
    """What features of cells add up to. keys int64 (m,) ascending: row, column and class of height; sums
    float64 (m, 5): count, area (world units), and that area times height (m), x and y of the middle; boxes
    float64 (m, 4) around them, world units; highest float64 (m,) in metres; votes float64 (m, k): area by
    value of the style."""

    keys: NDArray[np.int64]
    sums: Floats
    boxes: Floats
    highest: Floats
    votes: Floats

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def weight(self) -> int:
        """Bytes held."""
        arrays = self.keys, self.sums, self.boxes, self.highest, self.votes
        return 200 + sum(each.nbytes for each in arrays)

    @property
    def places(self) -> NDArray[np.int64]:
        """Column, row and class of height (m, 3)."""
        cell = self.keys >> _CLASS_BITS
        mask = (1 << _CELL_BITS) - 1
        return np.stack([cell & mask, cell >> _CELL_BITS, self.keys & ((1 << _CLASS_BITS) - 1)], axis=1)

    @property
    def heights(self) -> Floats:
        """Mean heights (m,) in metres, each feature counting by its area."""
        return np.maximum(self.sums[:, 2] / self.sums[:, 1], LOWEST)


def cells(z: int, boxes: Floats, area: Floats, height: Floats, value: NDArray[np.int64], k: int) -> Cells:
    """The cells of a node of zoom ``z``: features with world boxes (n, 4), areas (n,) in world units, heights
    (n,) in metres, and one of ``k`` values of the style each."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    n = 1 << (z + SPLIT)
    at = np.clip(np.floor(middle * n), 0, n - 1).astype(np.int64)
    area = np.maximum(area, SMALLEST)
    votes = np.zeros((len(boxes), k))
    votes[np.arange(len(boxes)), value] = area
    weighed = area[:, None] * np.column_stack([height, middle])
    sums = np.column_stack([np.ones(len(boxes)), area, weighed])
    keys = _key(at[:, 0], at[:, 1], np.searchsorted(CLASSES, height, "right"))
    return _added(Cells(keys, sums, boxes, height, votes))


def coarser(children: Sequence[Cells]) -> Cells:
    """The cells of a node, of those of the nodes in it."""
    places = np.concatenate([each.places for each in children])
    return _added(
        Cells(
            _key(places[:, 0] >> 1, places[:, 1] >> 1, places[:, 2]),
            np.concatenate([each.sums for each in children]),
            np.concatenate([each.boxes for each in children]),
            np.concatenate([each.highest for each in children]),
            np.concatenate([each.votes for each in children]),
        )
    )


def _key(x: NDArray[np.int64], y: NDArray[np.int64], of_height: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray((y << _CELL_BITS | x) << _CLASS_BITS | of_height)


def _added(rows: Cells) -> Cells:
    """Rows of one key as one."""
    if not len(rows):
        return rows
    order = np.argsort(rows.keys, kind="stable")
    keys = rows.keys[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    low, high = rows.boxes[order, :2], rows.boxes[order, 2:]
    return Cells(
        keys[starts],
        np.add.reduceat(rows.sums[order], starts),
        np.hstack([np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)]),
        np.maximum.reduceat(rows.highest[order], starts),
        np.add.reduceat(rows.votes[order], starts),
    )


def footprints(held: Cells) -> Floats:
    """The world boxes (m, 4) of blocks, each within the box of its features and about their middle: of one
    feature as large as it is, of several with what lies among them."""
    size = held.boxes[:, 2:] - held.boxes[:, :2]
    around = np.maximum(size.prod(axis=1), SMALLEST)
    among = np.where(held.sums[:, 0] > 1, AMONG, 1.0)
    half = size / 2 * np.sqrt(np.minimum(1.0, among * held.sums[:, 1] / around))[:, None]
    middle = held.sums[:, 3:] / held.sums[:, 1:2]
    middle = np.clip(middle, held.boxes[:, :2] + half, held.boxes[:, 2:] - half)
    return np.hstack([middle - half, middle + half])


def drawn(held: Cells, error: float) -> Cells:
    """At most two blocks a cell, the classes of their keys 0 and 1: what is more than twice as high as all
    of it, and more than ``TOWER`` metres and a part of the geometric error (m) higher, stands by itself."""
    if not len(held):
        return held
    cell = held.keys >> _CLASS_BITS
    return _added(replace(held, keys=cell << _CLASS_BITS | _above(held, error)))


def _above(held: Cells, error: float) -> NDArray[np.bool_]:
    cell = held.keys >> _CLASS_BITS
    starts = np.flatnonzero(np.diff(cell, prepend=-1))
    area, volume = (np.add.reduceat(held.sums[:, i], starts) for i in (1, 2))
    mean = np.repeat(volume / area, np.diff(starts, append=len(cell)))
    return np.asarray(held.heights > np.maximum(2 * mean, mean + max(TOWER, error * TOWERING)))


def stand_out(held: Cells, height: Floats, error: float) -> NDArray[np.bool_]:
    """Which features (n,), all that one cell holds, belong to the block that stands by itself where the
    geometric error (m) is so large."""
    out = np.zeros(len(CLASSES) + 1, bool)
    if len(held):
        out[held.places[:, 2]] = _above(held, error)
    return out[np.searchsorted(CLASSES, height, "right")]


@dataclass(frozen=True, slots=True)
class Boxes:
    """Boxes in axes of their own. origin float64 (3,) geocentric metres; axes float64 (3, 3), its columns
    east, up and south there; feet float64 (m, 3) the middles of their undersides, sizes float64 (m, 3)."""

    origin: Floats
    axes: Floats
    feet: Floats
    sizes: Floats


def boxes(held: Cells, ground: Ground, lon: float, lat: float) -> Boxes:
    """The blocks in the axes of a place on the ground (degrees), each on the ground at its middle."""
    west, north, east, south = footprints(held).T
    x = np.stack([(west + east) / 2, west, east, east, west], axis=1)
    y = np.stack([(north + south) / 2, south, south, north, north], axis=1)
    places = scheme.lonlat(x, y)
    under = ground.at(*places)
    low = under.min(axis=1)
    high = np.maximum(under[:, 0] + held.heights, under.max(axis=1) + LOWEST)
    origin = geocentric.ecef(np.array(lon), np.array(lat), ground.at(np.array(lon), np.array(lat)))
    turned = geocentric.axes(lon, lat)
    axes = np.column_stack([turned[:, 0], turned[:, 2], -turned[:, 1]])
    feet = (geocentric.ecef(places[0][:, 0], places[1][:, 0], low) - origin) @ axes
    metres = CIRCUMFERENCE * np.cos(np.radians(places[1][:, 0]))
    return Boxes(
        origin, axes, feet, np.stack([(east - west) * metres, high - low, (south - north) * metres], axis=1)
    )
