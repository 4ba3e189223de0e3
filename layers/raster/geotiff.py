"""A window of a coverage as GeoTIFF (OGC 19-008r4), with what its file says of the bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from layers.raster.bands import Band
from layers.raster.coverage import Coverage, Values
from layers.raster.grid import Grid

#: Cells along the edge of a tile; a smaller raster is kept in strips.
_TILE = 512
#: Below this type GDAL's horizontal predictor makes nothing of values; floats have one of their own.
_PREDICTORS = {"f": 3, "i": 2, "u": 2}


def encode(coverage: Coverage, grid: Grid, bands: Sequence[Band], values: Values) -> bytes:
    """The bytes of a file, deflated, its cells areas (GTRasterTypeGeoKey 1).

    Cells without a value have that of nodata, where the bands have one; else a mask tells of them."""
    import rasterio
    from rasterio.io import MemoryFile

    dtype = np.result_type(*(band.dtype for band in bands))
    nodata = bands[0].nodata
    tiled = min(grid.width, grid.height) >= _TILE
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "width": grid.width,
        "height": grid.height,
        "count": len(bands),
        "dtype": dtype,
        "crs": grid.crs,
        "transform": grid.transform,
        "nodata": nodata,
        "compress": "deflate",
        "predictor": _PREDICTORS.get(dtype.kind, 1),
        "tiled": tiled,
    }
    if tiled:
        profile |= {"blockxsize": _TILE, "blockysize": _TILE}
    missing = np.ma.getmaskarray(values)
    source = coverage.datasets[0]
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), MemoryFile() as memory:
        with memory.open(**profile) as file:
            file.write(values.filled(nodata) if nodata is not None else values.data.astype(dtype))
            if nodata is None and missing.any():
                file.write_mask(~missing.all(axis=0))
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
        memory.seek(0)
        body: bytes = memory.read()
    return body


def _tiff_time(time: str) -> str:
    clock = time[11:19] if len(time) > 10 else "00:00:00"
    return f"{time[:10].replace('-', ':')} {clock}"
