"""Values of rasters at positions and along lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from layers.crs import from_lonlat
from layers.errors import BadFile, Unavailable
from layers.raster.grid import named

if TYPE_CHECKING:
    from rasterio import DatasetReader
    from rasterio.windows import Window

type Floats = NDArray[np.float64]

#: Cells of a window that is read at once.
_AT_ONCE = 1 << 16
#: The four cells around a position: columns to the right and rows down.
_CORNERS = np.array([(0, 0), (1, 0), (0, 1), (1, 1)])


def at(
    rasters: Iterable[AbstractContextManager[DatasetReader]],
    lonlat: Floats,
    bands: Sequence[int],
    smooth: bool,
) -> Floats:
    """The values (bands, n) of bands (counted from 1) at positions (n, 2: longitude, latitude in degrees),
    NaN where there is none; of the raster that is drawn last there, ``rasters`` being in the order in which
    they are drawn.

    ``smooth``: bilinear between the middles of the four cells around; else that of the cell. A position in a
    cell without value has none; a neighbour without value has no weight. Raises Unavailable."""
    values = np.full((len(bands), len(lonlat)), np.nan)
    left = np.arange(len(lonlat))
    for lent in reversed(list(rasters)):
        with lent as dataset:
            found = _of_one(dataset, lonlat[left], bands, smooth)
        values[:, left] = np.where(np.isnan(values[:, left]), found, values[:, left])
        left = left[np.isnan(values[:, left]).any(axis=0)]
        if not len(left):
            break
    return values


def _of_one(dataset: DatasetReader, lonlat: Floats, bands: Sequence[int], smooth: bool) -> Floats:
    try:
        xy = from_lonlat(lonlat, named(dataset.crs), x_first=True)
    except BadFile as error:
        raise Unavailable(f"its raster cannot be asked at a position: {error.reason}") from error
    if dataset.crs.is_geographic:  # its longitudes may go on beyond 180
        middle = (dataset.bounds.left + dataset.bounds.right) / 2
        xy[:, 0] = (xy[:, 0] - middle + 180.0) % 360.0 - 180.0 + middle
    back = ~dataset.transform
    with np.errstate(invalid="ignore"):
        columns = back.a * xy[:, 0] + back.b * xy[:, 1] + back.c
        rows = back.d * xy[:, 0] + back.e * xy[:, 1] + back.f
    values = np.full((len(bands), len(lonlat)), np.nan)
    with np.errstate(invalid="ignore"):
        inside = (columns >= 0) & (columns <= dataset.width) & (rows >= 0) & (rows <= dataset.height)
    places = np.flatnonzero(inside)
    cells = np.stack([columns[places], rows[places]], axis=1)
    for some in _pieces(cells, np.arange(len(places))):
        values[:, places[some]] = _read(dataset, cells[some], bands, smooth)
    scales = np.array([(dataset.scales[index - 1], dataset.offsets[index - 1]) for index in bands])
    values *= scales[:, :1]
    values += scales[:, 1:]
    return values


def _pieces(cells: Floats, some: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """The positions in runs that lie close enough together to be read at once."""
    if not len(some):
        return
    area = np.prod(np.ptp(cells[some], axis=0) + 2)
    if len(some) == 1 or area <= _AT_ONCE:
        yield some
        return
    half = len(some) // 2
    yield from _pieces(cells, some[:half])
    yield from _pieces(cells, some[half:])


def _read(dataset: DatasetReader, cells: Floats, bands: Sequence[int], smooth: bool) -> Floats:
    """Values as they are stored at columns and rows (n, 2) inside the raster."""
    from rasterio.windows import Window

    size = np.array([dataset.width, dataset.height])
    own = np.minimum(np.floor(cells).astype(np.int64), size - 1)
    first = np.floor(cells - 0.5).astype(np.int64) if smooth else own
    low = np.maximum(first.min(axis=0), 0)
    high = np.minimum((first.max(axis=0) + 1) if smooth else own.max(axis=0), size - 1)
    window = Window(int(low[0]), int(low[1]), int(high[0] - low[0] + 1), int(high[1] - low[1] + 1))
    stored = dataset.read(list(bands), window=window)
    grid = stored.astype(np.float64)
    missing = _missing(dataset, bands, window, stored.dtype, grid) | ~np.isfinite(grid)
    at_own = own[:, 1] - low[1], own[:, 0] - low[0]
    if not smooth:
        return np.where(missing[:, *at_own], np.nan, grid[:, *at_own])
    part = cells - 0.5 - first
    corners = np.clip(first[:, None] + _CORNERS, 0, size - 1) - low
    weights = np.prod(np.abs(1 - _CORNERS - part[:, None]), axis=2)
    around = ~missing[:, corners[..., 1], corners[..., 0]] * weights
    values = np.where(around > 0, grid[:, corners[..., 1], corners[..., 0]], 0.0)
    total = around.sum(axis=2)
    gone = missing[:, *at_own] | (total == 0)
    return np.where(gone, np.nan, (around * values).sum(axis=2) / np.where(gone, 1.0, total))


def _missing(
    dataset: DatasetReader, bands: Sequence[int], window: Window, dtype: np.dtype[Any], grid: Floats
) -> NDArray[np.bool_]:
    """Which cells of a window have no value. The mask is read where nothing else tells: that takes as long
    as the cells."""
    from rasterio.enums import MaskFlags

    told = [dataset.nodatavals[index - 1] for index in bands]
    if all(one is not None for one in told):
        known = np.array(told, np.float64)
        if dtype == np.float32:  # the value as the cells can hold it
            with np.errstate(over="ignore"):
                known = known.astype(np.float32).astype(np.float64)
        return np.asarray(grid == known[:, None, None])
    flags = dataset.mask_flag_enums
    if all(MaskFlags.all_valid in flags[index - 1] for index in bands):
        return np.zeros(grid.shape, bool)
    return np.asarray(dataset.read_masks(list(bands), window=window) == 0)


def along(line: Floats, number: int) -> Floats:
    """Positions (number, 2) at equal distances along a line (n, 2: longitude, latitude), its ends included;
    a segment is straight in degrees, and takes the short way where it crosses the antimeridian."""
    ends, so_far = _measured(line)
    at_ = np.linspace(0.0, so_far[-1], number)
    return _wrapped(np.stack([np.interp(at_, so_far, ends[:, axis]) for axis in (0, 1)], axis=1))


def every(line: Floats, step: float, most: int) -> Floats:
    """The corners of a line, and between them positions so close that none is further than ``step`` metres
    from the next; wider apart where they would be more than ``most``."""
    ends, so_far = _measured(line)
    room = most - len(line)
    wide = max(step, so_far[-1] / room) if room > 0 else so_far[-1] + step
    between = np.arange(wide, so_far[-1], wide)[: max(room, 0)] if wide > 0 else np.empty(0)
    at_ = np.unique(np.concatenate([so_far, between]))
    return _wrapped(np.stack([np.interp(at_, so_far, ends[:, axis]) for axis in (0, 1)], axis=1))


def _measured(line: Floats) -> tuple[Floats, Floats]:
    """The corners with longitudes that go on beyond 180, and how far along the line each is (m)."""
    from pyproj import Geod

    steps = (np.diff(line[:, 0]) + 180) % 360 - 180
    lon = line[0, 0] + np.concatenate([[0.0], np.cumsum(steps)])
    lengths = Geod(ellps="WGS84").inv(line[:-1, 0], line[:-1, 1], line[1:, 0], line[1:, 1])[2]
    return np.stack([lon, line[:, 1]], axis=1), np.concatenate([[0.0], np.cumsum(lengths)])


def _wrapped(positions: Floats) -> Floats:
    positions[:, 0] = (positions[:, 0] + 180) % 360 - 180
    return positions
