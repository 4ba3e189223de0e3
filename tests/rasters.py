"""Small rasters, and layers of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin
from rasterio.warp import transform_bounds

from layers.model import Asset
from layers.store.base import FormSpec
from layers.store.open import open_store
from layers.types import Form
from tests import raster_sources
from tests.raster_sources import Words

#: Where the rasters begin (north-west, EPSG:3857), in Helsinki.
WEST, NORTH, CELL = 2_776_000.0, 8_438_000.0, 10.0
COG = "image/tiff; application=geotiff; profile=cloud-optimized"


def ramp(width: int = 300, height: int = 200, missing: float | None = -9999.0) -> NDArray[np.float32]:
    """Values that rise by 1 a column and 1000 a row; the first five of five rows are missing."""
    rows, columns = np.mgrid[0:height, 0:width]
    values: NDArray[np.float32] = (columns + 1000 * rows).astype(np.float32)
    if missing is not None:
        values[:5, :5] = missing
    return values


def write(
    path: Path,
    bands: Sequence[NDArray[Any]] | None = None,
    *,
    crs: str = "EPSG:3857",
    origin: tuple[float, float] = (WEST, NORTH),
    cell: float = CELL,
    nodata: float | None = -9999.0,
    names: Sequence[str] = ("height",),
    units: Sequence[str] = ("m",),
    alpha: bool = False,
) -> Path:
    """A cloud-optimised GeoTIFF of these bands (one that rises without them)."""
    values = np.stack(bands) if bands is not None else ramp()[None]
    rgba = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    told = Words(names=names, units=units, colors=rgba if alpha else ())
    grid = {"crs": crs, "transform": from_origin(*origin, cell, cell), "nodata": nodata}
    return raster_sources.write(path, values, "COG", told, blocksize=128, **grid)


def record(
    city: Path,
    layer: str,
    *assets: str | tuple[str, str | None],
    form: Form = "coverage",
    crs: str = "EPSG:3879",
    vertical_datum: str = "",
) -> None:
    """A layer of rasters below the city folder, each by its path, or with the time when it is true."""
    given = [(one, None) if isinstance(one, str) else one for one in assets]
    with rasterio.open(city / given[0][0]) as file:
        west, south, east, north = transform_bounds(file.crs, "EPSG:4326", *file.bounds)
    store = open_store(city)
    kind = "terrain" if form == "surface" else "raster"
    files = tuple(Asset(href=href, media_type=COG, time=time) for href, time in given)
    title = {"en": layer.capitalize(), "zh-CN": "高程"}
    store.record(FormSpec(layer, form, kind, title, crs, (west, south, east, north), vertical_datum, files))
    store.close()
