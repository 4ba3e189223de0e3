"""A raster seen along the axes of its CRS, or in the tiles of WebMercatorQuad."""

from __future__ import annotations

from typing import Any

from rasterio import DatasetReader
from rasterio.enums import ColorInterp, Resampling
from rasterio.vrt import WarpedVRT

from layers.read.rasters import cog
from layers.read.rasters.georeference import Placement

#: Pixels by which a warped cell may be off.
_TOLERANCE = 0.01


def upright(dataset: DatasetReader, placement: Placement, *, mercator: bool) -> WarpedVRT:
    """The raster, warped as it is read: to its own CRS, or if ``mercator`` to the zoom level that is next to
    its resolution. Outside of what it shows it has no value."""
    options: dict[str, Any] = {
        "src_crs": placement.crs,
        "resampling": Resampling.bilinear,
        "tolerance": _TOLERANCE,
    }
    if cog.is_palette(dataset):
        options["resampling"] = Resampling.nearest
    if not placement.points:
        options["src_transform"] = placement.transform
    if cog.is_picture(dataset) and ColorInterp.alpha not in dataset.colorinterp and dataset.nodata is None:
        options["add_alpha"] = not cog.has_mask(dataset)
    if not mercator:
        return WarpedVRT(dataset, crs=placement.crs, **options)
    from rio_cogeo.utils import get_web_optimized_params

    with WarpedVRT(dataset, crs=placement.crs, **options) as plain:
        grid = get_web_optimized_params(plain)
    return WarpedVRT(dataset, **grid, **options)
