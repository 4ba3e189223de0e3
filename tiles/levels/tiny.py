"""Features that a tile's own grid would swallow: they are drawn as large as it can show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tiles.batch import LINE, POINT, Batch
from tiles.dictionary import slices
from tiles.scheme import Floats

#: Units of a tile below which rounding may leave nothing of a feature, and its size when it is drawn.
_LEAST = 2.0


def enlarged(batch: Batch, unit: float) -> Batch:
    """The batch with lines and areas of less than two units (of the world, each) as lines and squares of
    two."""
    sides = (batch.boxes[:, 2:] - batch.boxes[:, :2]).max(axis=1) if len(batch) else np.empty(0)
    small = (batch.dims != POINT) & (sides < _LEAST * unit)
    if not small.any():
        return batch
    rows = np.flatnonzero(small)
    size = np.where(batch.dims[rows] == LINE, 2, 4)
    rest = np.flatnonzero(~small)
    parts, bounds = slices(batch.parts, rest)
    index, coords = slices(batch.coords, parts)
    # the others, then those, then all in their order
    bounds = np.append(bounds, bounds[-1] + np.arange(1, len(rows) + 1))
    coords = np.append(coords, coords[-1] + np.cumsum(size))
    outer = np.append(batch.outer[parts], np.ones(len(rows), np.uint8))
    xy = np.concatenate([batch.xy[index], _around(batch.boxes[rows], size, unit)])
    order = np.argsort(np.append(rest, rows))
    moved, parts_ = slices(bounds, order)
    places, coords_ = slices(coords, moved)
    boxes = batch.boxes.copy()
    middle = (boxes[rows, :2] + boxes[rows, 2:]) / 2
    boxes[rows] = np.concatenate([middle - unit, middle + unit], axis=1)
    return replace(batch, parts=parts_, coords=coords_, outer=outer[moved], xy=xy[places], boxes=boxes)


def _around(boxes: Floats, size: NDArray[np.int64], unit: float) -> Floats:
    """A line or a square (clockwise on the map) of two units around the middle of each box."""
    half = _LEAST / 2 * unit
    corners = np.array([[-half, -half], [half, -half], [half, half], [-half, half]])
    ends = np.array([[-half, 0.0], [half, 0.0]])
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    of = np.repeat(np.arange(len(boxes)), size)
    place = np.arange(len(of)) - np.repeat(np.cumsum(size) - size, size)
    shift = np.where((size[of] == 2)[:, None], ends[place % 2], corners[place])
    return np.asarray(middle[of] + shift)
