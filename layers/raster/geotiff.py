"""A window of a coverage as GeoTIFF (OGC 19-008r4), with what its file says of the bands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from layers.raster.bands import Band
from layers.raster.coverage import Coverage, Values
from layers.raster.grid import Grid

#: Cells along the edge of a tile; a smaller raster is kept in strips.
_TILE = 512
#: TIFF's predictor by the kind of numbers: differences of neighbours (TIFF 6, section 14); floats have one.
_PREDICTORS = {"f": 3, "i": 2, "u": 2}


def encode(coverage: Coverage, grid: Grid, bands: Sequence[Band], values: Values) -> bytes:
    """The bytes of a file, deflated, its cells areas (GTRasterTypeGeoKey 1).

    Cells without a value have that of nodata, where the bands have one; else a mask tells of them."""
    import rasterio
    from rasterio.io import MemoryFile

    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), MemoryFile() as memory:
        with memory.open(**_profile(grid, bands)) as file:
            missing = bands[0].nodata is None and bool(np.ma.getmaskarray(values).any())
            _fill(file, bands, values, 0, masked=missing)
            _describe(file, coverage, bands)
        memory.seek(0)
        body: bytes = memory.read()
    return body


def strips(grid: Grid, bands: Sequence[Band], most: int) -> Iterator[tuple[int, Grid]]:
    """The grid from north to south in parts whose values have about ``most`` bytes; each with its first
    row."""
    itemsize = np.result_type(*(band.dtype for band in bands)).itemsize
    rows = max(1, most // (grid.width * len(bands) * itemsize) // _TILE) * _TILE
    west, _, east, north = grid.bounds
    down = grid.cell[1]
    for first in range(0, grid.height, rows):
        last = min(first + rows, grid.height)
        bounds = west, north - last * down, east, north - first * down
        yield first, Grid(grid.crs, bounds, grid.width, last - first)


def write(
    path: Path,
    coverage: Coverage,
    grid: Grid,
    bands: Sequence[Band],
    parts: Iterable[tuple[int, Values]],
) -> None:
    """As :func:`encode`, a file whose values come in strips, each with its first row. Raises OSError."""
    import rasterio

    profile = _profile(grid, bands)
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", **profile, BIGTIFF="IF_SAFER") as file,
    ):
        for first, values in parts:
            # what the mask of a later strip has not been told of is masked
            _fill(file, bands, values, first, masked=profile["nodata"] is None)
        _describe(file, coverage, bands)


def _profile(grid: Grid, bands: Sequence[Band]) -> dict[str, Any]:
    dtype = np.result_type(*(band.dtype for band in bands))
    tiled = min(grid.width, grid.height) >= _TILE
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "width": grid.width,
        "height": grid.height,
        "count": len(bands),
        "dtype": dtype,
        "crs": grid.crs,
        "transform": grid.transform,
        "nodata": bands[0].nodata,
        "compress": "deflate",
        "predictor": _PREDICTORS.get(dtype.kind, 1),
        "tiled": tiled,
    }
    return profile | ({"blockxsize": _TILE, "blockysize": _TILE} if tiled else {})


def _fill(file: Any, bands: Sequence[Band], values: Values, first: int, *, masked: bool) -> None:
    """Write a strip that begins at a row, with a mask where one is to tell of missing cells."""
    from rasterio.windows import Window

    nodata = bands[0].nodata
    window = Window(0, first, values.shape[2], values.shape[1])
    cells = values.data.astype(file.dtypes[0]) if nodata is None else values.filled(nodata)
    file.write(cells, window=window)
    if masked:
        file.write_mask(~np.ma.getmaskarray(values).all(axis=0), window=window)


def _describe(file: Any, coverage: Coverage, bands: Sequence[Band]) -> None:
    source = coverage.datasets[0]
    for number, band in enumerate(bands, 1):
        file.set_band_description(number, band.name)
        file.set_band_unit(number, band.unit)
    file.scales = [source.scales[band.index - 1] for band in bands]
    file.offsets = [source.offsets[band.index - 1] for band in bands]
    file.colorinterp = [source.colorinterp[band.index - 1] for band in bands]
    if coverage.categories and len(bands) == 1:
        file.write_colormap(1, source.colormap(bands[0].index))
    if coverage.time is not None:
        # TIFFTAG_DATETIME, as TIFF 6.0 writes it
        file.update_tags(TIFFTAG_DATETIME=_tiff_time(coverage.time))


def _tiff_time(time: str) -> str:
    clock = time[11:19] if len(time) > 10 else "00:00:00"
    return f"{time[:10].replace('-', ':')} {clock}"
