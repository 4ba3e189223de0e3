"""What a tile of a low zoom leaves out, and in which order when it must leave out more.

Rank is a property of the feature alone, so neighbouring tiles and zooms agree on it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tiles.batch import LINE, POINT, POLYGON, Batch
from tiles.scheme import Floats
from tiles.vector.clip import EXTENT

#: Features of one layer in one tile.
BUDGET = 20_000
#: Tile units of one pixel when a client draws a tile 512 pixels wide.
PIXEL = EXTENT / 512
#: From this zoom nothing is left out for being small.
WHOLE_ZOOM = 14


def thin(batch: Batch, z: int) -> tuple[Batch, int]:
    """The features worth drawing at a zoom, and how many the budget left out.

    Below z14 polygons under one square pixel and lines under one pixel go."""
    if z < WHOLE_ZOOM:
        batch = _visible(batch, z)
    over = len(batch) - BUDGET
    if over <= 0:
        return batch, 0
    keep = np.argsort(-_rank(batch), kind="stable")[:BUDGET]
    return batch.take(np.sort(keep)), over


def _visible(batch: Batch, z: int) -> Batch:
    unit = EXTENT * float(1 << z)
    size = batch.measure * np.where(batch.dims == POLYGON, unit * unit, unit)
    least = np.array([0.0, PIXEL, PIXEL * PIXEL])[batch.dims]
    keep = (batch.dims == POINT) | (size >= least)
    return batch if keep.all() else batch.take(np.flatnonzero(keep))


def _rank(batch: Batch) -> Floats:
    """Polygons and lines by size, before points, which come in an order drawn from their id."""
    size = np.where(batch.dims == LINE, batch.measure * 1e-6, batch.measure)
    return np.where(batch.dims == POINT, -1 - _hash(batch.fids), size)


def _hash(fids: NDArray[np.int64]) -> Floats:
    """Evenly spread numbers in [0, 1) (the finaliser of splitmix64)."""
    h = fids.astype(np.uint64)
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (h ^ (h >> np.uint64(31))).astype(np.float64) / 2.0**64
