"""A raster seen along the axes of its CRS, or in the tiles of WebMercatorQuad."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from rasterio import DatasetReader
from rasterio.enums import Resampling
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
) -> Iterator[WarpedVRT]:
    """The raster, warped as it is read: to its own CRS, or if ``mercator`` to the zoom level that is next to
    its resolution. Outside of what it shows it has no value, for which ``nodata`` stands if declared."""
    how = _options(dataset, nodata)
    place = (
        {"src_crs": placement.crs}
        if placement.points
        else {"src_crs": placement.crs, "src_transform": placement.transform}
    )
    with WarpedVRT(dataset, crs=placement.crs, **place, **how) as plain:
        if not mercator:
            yield plain
            return
        from rio_cogeo.utils import get_web_optimized_params

        grid = get_web_optimized_params(plain)
        if placement.points:  # with them a warp has a grid of its own choice
            how.pop("add_alpha", None)
            with WarpedVRT(plain, **grid, **how) as aligned:
                yield aligned
            return
    with WarpedVRT(dataset, **grid, **place, **how) as aligned:
        yield aligned


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
