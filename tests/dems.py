"""Small DEMs for tests, and the heights that rasterio reads from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.transform import from_origin
from rasterio.warp import reproject, transform_bounds
from rasterio.windows import Window
from rio_cogeo.cogeo import cog_translate
from rio_cogeo.profiles import cog_profiles

from layers.model import Asset
from layers.store.base import FormSpec, Store
from layers.types import Bbox
from tests import raster_sources

#: Helsinki, in its own grid.
EAST, NORTH, GRID = 25_497_000.0, 6_674_000.0, "EPSG:3879"


def hills(rows: int, columns: int, steep: float = 20.0) -> NDArray[np.float32]:
    """Heights (m) of hills, with detail in every pixel."""
    y, x = np.mgrid[:rows, :columns]
    rough = np.random.default_rng(7).normal(0, steep / 100, (rows, columns))
    return np.asarray(50 + steep * (np.sin(x / 17) + np.cos(y / 23)) + x / 10 + rough, np.float32)


def write(
    path: Path,
    heights: NDArray[Any],
    *,
    pixel: float = 2.0,
    origin: tuple[float, float] = (EAST, NORTH),
    crs: str = GRID,
    nodata: float | None = None,
    cog: bool = True,
) -> Path:
    """A DEM whose north-west corner is the origin: a COG with overviews, or a plain GeoTIFF."""
    plain = path.with_suffix(".plain.tif") if cog else path
    raster_sources.write(plain, heights, crs=crs, transform=from_origin(*origin, pixel, pixel), nodata=nodata)
    if cog:
        options = {"quiet": True, "in_memory": True, "overview_resampling": "average"}
        cog_translate(plain, path, cog_profiles.get("deflate"), **options)
        plain.unlink()
    return path


def record(
    store: Store, layer: str, *files: Path, below: Path, datum: str = "N2000 height", box: Bbox | None = None
) -> int:
    """Record files below a city folder as a surface; its box is theirs."""
    if box is None:
        boxes = []
        for file in files:
            with rasterio.open(file) as dataset:
                boxes.append(transform_bounds(dataset.crs, "EPSG:4326", *dataset.bounds))
        west, south, east, north = np.array(boxes).T
        box = float(west.min()), float(south.min()), float(east.max()), float(north.max())
    assets = tuple(Asset(href=file.relative_to(below).as_posix()) for file in files)
    return store.record(FormSpec(layer, "surface", "terrain", {"en": layer}, GRID, box, datum, assets))


def read(file: Path, lon: NDArray[Any], lat: NDArray[Any]) -> NDArray[Any]:
    """Heights at places as GDAL has them, bilinear, NaN where there is none: of a warp to a small pixel
    around each."""
    out = np.full(len(lon), np.nan)
    size = 1e-7
    with rasterio.open(file) as dataset:
        to = Transformer.from_crs(4326, dataset.crs, always_xy=True)
        for i, (x, y) in enumerate(zip(lon, lat, strict=True)):
            row, column = dataset.index(*to.transform(x, y))
            if not (0 <= row < dataset.height and 0 <= column < dataset.width):
                continue
            around = Window(column - 3, row - 3, 7, 7).intersection(
                Window(0, 0, dataset.width, dataset.height)
            )
            one = np.full((1, 1), np.nan)
            reproject(
                dataset.read(1, window=around, masked=True).astype(np.float64).filled(np.nan),
                one,
                src_transform=dataset.window_transform(around),
                src_crs=dataset.crs,
                src_nodata=np.nan,
                dst_transform=from_origin(x - size / 2, y + size / 2, size, size),
                dst_crs=CRS.from_epsg(4326),
                dst_nodata=np.nan,
                resampling=Resampling.bilinear,
                tolerance=0,
            )
            out[i] = one[0, 0]
    return out
