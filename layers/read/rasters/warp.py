"""A raster seen along the axes of its CRS, or in the tiles of WebMercatorQuad."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from rasterio import DatasetReader
from rasterio.enums import Resampling
from rasterio.io import MemoryFile
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT

from layers.read.rasters import cog
from layers.read.rasters.georeference import Placement

#: Pixels by which a warped cell may be off.
_TOLERANCE = 0.01
#: The number of a palette that stands for no colour where a file names none.
_NO_COLOUR = 255


@contextmanager
def upright(
    dataset: DatasetReader, placement: Placement, nodata: float | None, *, mercator: bool
) -> Iterator[tuple[WarpedVRT, WarpedVRT | None]]:
    """The raster, warped as it is read: to its own CRS, or if ``mercator`` to the zoom level that is next to
    its resolution. Outside of what it shows it has no value, for which ``nodata`` stands if declared;
    a mask says where that is if nothing in it does."""
    how = _options(dataset, nodata)
    place = {"src_crs": placement.crs}
    if not placement.points:
        place["src_transform"] = placement.transform
    with WarpedVRT(dataset, crs=placement.crs, **place, **how) as plain:
        if not mercator:
            yield plain, None
            return
        from rio_cogeo.utils import get_web_optimized_params

        grid = get_web_optimized_params(plain)
        if placement.points:  # with them a warp has a grid of its own choice
            how.pop("add_alpha", None)
            with WarpedVRT(plain, **grid, **how) as aligned:
                yield aligned, None
            return
    if not how.get("add_alpha") or cog.has_mask(dataset):
        with WarpedVRT(dataset, **grid, **place, **how) as aligned:
            yield aligned, None
        return
    del how["add_alpha"]
    with WarpedVRT(dataset, **grid, **place, **how) as aligned, _footprint(dataset, placement, grid) as whole:
        yield aligned, whole


@contextmanager
def _footprint(dataset: DatasetReader, placement: Placement, grid: dict[str, Any]) -> Iterator[WarpedVRT]:
    """Where a raster lies in a grid, as a mask: its outline as one cell. With an alpha band GDAL warps all
    as if each cell might be missing, which costs more than twice as much."""
    size = {"width": 1, "height": 1, "count": 1, "dtype": "uint8"}
    outline = placement.transform @ Affine.scale(dataset.width, dataset.height)
    near = _TOLERANCE / max(dataset.width, dataset.height)
    with MemoryFile() as file:
        with file.open(driver="GTiff", crs=placement.crs, transform=outline, **size) as out:
            out.write(np.full((1, 1, 1), 255, np.uint8))
        with (
            file.open() as one,
            WarpedVRT(one, **grid, resampling=Resampling.nearest, tolerance=near) as warped,
        ):
            yield warped


def _options(dataset: DatasetReader, nodata: float | None) -> dict[str, Any]:
    palette = cog.is_palette(dataset)
    how: dict[str, Any] = {"resampling": Resampling.nearest if palette else Resampling.bilinear}
    how["tolerance"] = _TOLERANCE
    own = nodata if nodata is not None else dataset.nodata
    if own is not None:
        return {**how, "src_nodata": own, "nodata": own}
    if cog.has_alpha(dataset) or cog.is_picture(dataset):
        return how if cog.has_alpha(dataset) else {**how, "add_alpha": True}
    if palette:
        return {**how, "nodata": _NO_COLOUR}
    kind = np.dtype(dataset.dtypes[0])
    wide = kind.kind != "f" and kind.itemsize > 2
    return {**how, "dtype": "float64" if wide else np.promote_types(kind, "float32").name, "nodata": math.nan}
