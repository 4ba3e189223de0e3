"""Values of a coverage at points: bilinear between the middles of the four cells around each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from layers import crs as crs_
from layers.raster.coverage import Coverage

if TYPE_CHECKING:
    from rasterio import DatasetReader

#: Cells of a window that is read at once for many points; points farther apart are read by blocks.
MOST_CELLS = 1 << 20
#: Cells along the side of a block.
BLOCK = 512
type Points = NDArray[np.float64]
type Sampled = np.ma.MaskedArray[tuple[int, int], np.dtype[np.float64]]


def at(coverage: Coverage, points: Points, indexes: Sequence[int]) -> Sampled:
    """Values (n, bands) at longitudes and latitudes (n, 2), masked where there are none.

    A point has a value where the cell that it lies in has one. Cells without one take no part in the mean of
    the four; categories are those of the cell itself. Raises BadFile for a CRS without an accurate way."""
    result: Sampled = np.ma.masked_all((len(points), len(indexes)), np.float64)
    for dataset in coverage.datasets:
        text = dataset.crs.to_wkt() if (code := dataset.crs.to_epsg()) is None else f"EPSG:{code}"
        places = _cells(dataset, crs_.from_lonlat(np.asarray(points, np.float64), text, x_first=True))
        inside = (places >= 0).all(axis=1) & (places < (dataset.width, dataset.height)).all(axis=1)
        if inside.any():
            values = _values(dataset, places[inside], indexes, smooth=not coverage.categories)
            kept = result[inside]
            result[inside] = np.ma.where(np.ma.getmaskarray(values), kept, values)
    return result


def _cells(dataset: DatasetReader, places: Points) -> Points:
    """Columns and rows (n, 2), whose whole numbers are the edges of cells; NaN outside the CRS."""
    inverse = ~dataset.transform
    x, y = places[:, 0], places[:, 1]
    with np.errstate(invalid="ignore"):
        return np.column_stack(
            [inverse.a * x + inverse.b * y + inverse.c, inverse.d * x + inverse.e * y + inverse.f]
        )


def _values(dataset: DatasetReader, cells: Points, indexes: Sequence[int], *, smooth: bool) -> Sampled:
    low = np.floor(cells.min(axis=0) - 0.5)
    high = np.floor(cells.max(axis=0) + 0.5)
    if np.prod(high - low + 1) <= MOST_CELLS:
        return _window(dataset, cells, indexes, smooth=smooth)
    result: Sampled = np.ma.masked_all((len(cells), len(indexes)), np.float64)
    _, which = np.unique(np.floor(cells / BLOCK).astype(np.int64), axis=0, return_inverse=True)
    for number in range(which.max() + 1):
        chosen = which.ravel() == number
        result[chosen] = _window(dataset, cells[chosen], indexes, smooth=smooth)
    return result


def _window(dataset: DatasetReader, cells: Points, indexes: Sequence[int], *, smooth: bool) -> Sampled:
    """Values of points that lie near each other, from one read."""
    from rasterio.windows import Window

    own = np.floor(cells).astype(np.int64)
    size = np.array([dataset.width, dataset.height])
    low = np.maximum(np.floor(cells.min(axis=0) - 0.5).astype(np.int64), 0)
    high = np.minimum(np.floor(cells.max(axis=0) + 0.5).astype(np.int64) + 1, size)
    window = Window(*low.tolist(), *(high - low).tolist())
    read: Any = dataset.read(list(indexes), window=window, masked=True)
    valid = ~np.ma.getmaskarray(read)
    if read.dtype.kind == "f":
        valid &= np.isfinite(read.data)
    known = valid[:, own[:, 1] - low[1], own[:, 0] - low[0]]
    if not smooth:
        values = read.data[:, own[:, 1] - low[1], own[:, 0] - low[0]].astype(np.float64)
        return np.ma.array(values, mask=~known).T
    first = np.floor(cells - 0.5).astype(np.int64)
    share = cells - 0.5 - first
    total = np.zeros((len(indexes), len(cells)))
    weights = np.zeros_like(total)
    for right in (0, 1):
        for down in (0, 1):
            column = np.clip(first[:, 0] + right, 0, size[0] - 1) - low[0]
            row = np.clip(first[:, 1] + down, 0, size[1] - 1) - low[1]
            weight = np.abs(1 - right - share[:, 0]) * np.abs(1 - down - share[:, 1])
            there = valid[:, row, column]
            total += np.where(there, weight * np.where(there, read.data[:, row, column], 0), 0)
            weights += np.where(there, weight, 0)
    values = np.divide(total, weights, out=np.full_like(total, np.nan), where=weights > 0)
    return np.ma.array(values, mask=~known | (weights == 0)).T
