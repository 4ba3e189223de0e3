"""A COG that is registered where it lies: nothing can be put right in it."""

from __future__ import annotations

from pathlib import Path

from rasterio import DatasetReader
from rio_cogeo.cogeo import cog_validate

from layers.errors import BadFile
from layers.read.rasters.georeference import Placement
from layers.read.rasters.heights import Heights
from layers.read.rasters.nodata import equal
from layers.source import Declared

_LOAD = "load it without --in-place"


def check(
    dataset: DatasetReader, path: Path, placement: Placement, heights: Heights | None, declared: Declared
) -> None:
    """Raises BadFile raster.in_place: the file is no COG, or would have to be another one."""
    if dataset.driver != "GTiff":
        raise BadFile("raster.in_place", f"only a COG is read where it lies; {_LOAD}")
    wrong = [
        (placement.told, "the file has no CRS, or another than declared"),
        (
            bool(placement.points) or placement.rotated or any(placement.flipped),
            "it has to be turned or warped",
        ),
        (heights is not None and heights.changed, "its heights have to be converted"),
        (declared.nodata is not None and not _has(dataset, declared.nodata), "its nodata value is another"),
    ]
    for is_wrong, why in wrong:
        if is_wrong:
            raise BadFile("raster.in_place", f"it cannot be read where it lies: {why}; {_LOAD}")
    valid, errors, _ = cog_validate(path, quiet=True)
    if not valid:
        how = f"{_LOAD}, or make one (rio cogeo create in.tif out.tif)"
        raise BadFile("raster.in_place", f"it is no COG: {errors[0]}; {how}")


def _has(dataset: DatasetReader, nodata: float) -> bool:
    return dataset.nodata is not None and equal(dataset.nodata, nodata)
