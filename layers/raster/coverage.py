"""A coverage that is open: the rasters of a layer that are true at one time, read as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from layers.errors import Unavailable
from layers.model import ContentLayer
from layers.raster import bands as bands_
from layers.raster import grid as grids
from layers.raster.bands import Band
from layers.raster.files import OpenFiles, located, true_at
from layers.raster.grid import Grid
from layers.types import Bbox

if TYPE_CHECKING:
    from rasterio import DatasetReader

#: Values of a window with its mask: bands, rows, columns; masked where there is none.
type Values = np.ma.MaskedArray[Any, np.dtype[Any]]
type Resampling = Literal["nearest", "bilinear"]


#: Parts of a cell by which a place may be off in another CRS; GDAL takes an eighth without a word.
_EXACTLY = {"tolerance": 0.001}
#: How many times as large cells may be as those of the file and are not means of several of them.
_AS_FINE = 1.2


class Coverage:
    """Reads windows of open rasters of one layer; the later ones lie over the earlier ones."""

    def __init__(self, datasets: Sequence[DatasetReader], time: str | None = None) -> None:
        self.datasets = list(datasets)
        #: When it is true: a day or an instant, None for always.
        self.time = time

    @cached_property
    def grid(self) -> Grid:
        """Its own cells."""
        return grids.of(self.datasets)

    @cached_property
    def bands(self) -> tuple[Band, ...]:
        """Its fields."""
        return bands_.bands(self.datasets[0])

    @property
    def categories(self) -> bool:
        """Whether the values are numbers of colours, between which there is nothing."""
        return "palette" in [meaning.name for meaning in self.datasets[0].colorinterp]

    @cached_property
    def lonlat(self) -> Bbox:
        """Its bounds in longitude and latitude, west > east across the antimeridian."""
        return grids.lonlat(self.grid.crs, self.grid.bounds)

    def measured(self, values: Values, bands: Sequence[Band]) -> Values:
        """Values as they are meant, where the file stores them by a scale and an offset."""
        first = self.datasets[0]
        scales = [(first.scales[band.index - 1], first.offsets[band.index - 1]) for band in bands]
        if all(one == (1, 0) for one in scales):
            return values
        factors, offsets = (np.array(column).reshape(-1, 1, 1) for column in zip(*scales, strict=True))
        result: Values = values * factors + offsets
        return result

    def read(self, grid: Grid, indexes: Sequence[int], resampling: Resampling | None = None) -> Values:
        """The values of some bands (counted from 1) in the cells of a grid.

        Cells of the file that fall on cells of the grid come unchanged; else they are resampled: bilinear,
        or nearest where the values are categories. Raises Unavailable where a file is damaged."""
        from rasterio.errors import RasterioError
        from rio_tiler.errors import RioTilerError
        from rio_tiler.reader import part

        how: Resampling = resampling or ("nearest" if self.categories else "bilinear")
        result: Values | None = None
        for dataset in self.datasets:
            if len(self.datasets) > 1 and not _meets(dataset, grid):
                continue
            try:
                values: Values = part(
                    dataset,
                    grid.bounds,
                    height=grid.height,
                    width=grid.width,
                    dst_crs=grid.crs,
                    indexes=list(indexes),
                    resampling_method=how,
                    reproject_method=how,
                    vrt_options=_warping(dataset, grid),
                ).array
            except (RasterioError, RioTilerError) as error:
                raise Unavailable("its raster cannot be read: it is damaged") from error
            result = values if result is None else np.ma.where(np.ma.getmaskarray(values), result, values)
        if result is None:
            shape = len(indexes), grid.height, grid.width
            result = np.ma.masked_all(shape, self.datasets[0].dtypes[0])
        return result


def _warping(dataset: DatasetReader, grid: Grid) -> dict[str, float] | None:
    """How GDAL is to warp into the cells of a grid; None where it need not."""
    if dataset.crs == grid.crs:
        return None
    own = Grid(dataset.crs, tuple(dataset.bounds), dataset.width, dataset.height).warped(grid.crs).cell
    if any(cell > _AS_FINE * of_file for cell, of_file in zip(grid.cell, own, strict=True)):
        return _EXACTLY
    # cells of about one size: GDAL guesses by how much from what it reads, and is up to a fifteenth off
    return {**_EXACTLY, "XSCALE": 1.0, "YSCALE": 1.0}


def _meets(dataset: DatasetReader, grid: Grid) -> bool:
    west, south, east, north = grids.spanned(dataset.crs, grid.crs, tuple(dataset.bounds))
    bounds = grid.bounds
    turns = (0.0, -360.0, 360.0) if grid.crs.is_geographic else (0.0,)
    across = any(west + turn < bounds[2] and bounds[0] < east + turn for turn in turns)
    return bool(across and south < bounds[3] and bounds[1] < north)


@contextmanager
def opened(
    files: OpenFiles, folder: Path, layer: ContentLayer, instant: str | None = None
) -> Iterator[Coverage]:
    """The coverage of a layer at an instant (see :func:`layers.raster.files.at_time`).

    Raises NotFound where nothing is known of so long ago, Unavailable where a file cannot be read."""
    assets = true_at(layer, instant)
    times = [asset.time for asset in assets if asset.time is not None]
    with ExitStack() as stack:
        try:
            datasets = [stack.enter_context(files.lend(located(folder, asset))) for asset in assets]
        except Unavailable as error:
            raise Unavailable(f"layer {layer.id}: {error}") from error
        if any(dataset.crs is None for dataset in datasets):
            raise Unavailable(f"layer {layer.id}: its raster names no coordinate system")
        yield Coverage(datasets, times[-1] if times else None)
