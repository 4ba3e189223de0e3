"""The GDAL of rasterio in a guarded child, with no driver that no reader wants. Importing this loads it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rasterio
from rasterio.errors import RasterioError

from layers.errors import BadFile, scrubbed, shown
from layers.read.base import AGAIN
from layers.read.gdal import in_fork

#: What writes a COG and what lies between, beside the drivers of what is read.
OUT = frozenset({"COG", "GTiff", "MEM"})
#: Megabytes of blocks that GDAL keeps.
CACHE = 192
#: What it may do with a file: no files beside it that lead elsewhere, no memory that a header only claims.
_OPTIONS = {
    "GDAL_CACHEMAX": CACHE,
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_JP2K_ALT_OFFSETVECTOR_ORDER": "NO",
    "GDAL_TIFF_INTERNAL_MASK": True,
    "GTIFF_IGNORE_READ_ERRORS": False,
}


def limit_drivers(wanted: frozenset[str]) -> None:
    """Let GDAL begin with these drivers alone; once in a process. Raises RuntimeError when that cannot be.

    Its list is asked of a fork: in this process GDAL takes GDAL_SKIP only before its drivers are there."""
    os.environ["GDAL_SKIP"] = ",".join(sorted(in_fork(_installed) - wanted - OUT))
    with rasterio.Env() as env:
        foreign = set(env.drivers()) - wanted - OUT
    if foreign:
        raise RuntimeError(f"this GDAL does not let its drivers be limited: {sorted(foreign)}")


def _installed() -> list[str]:
    with rasterio.Env() as env:
        return list(env.drivers())


@contextmanager
def opened(path: Path, driver: str) -> Iterator[rasterio.DatasetReader]:
    """The open raster, in the settings of the guarded child. Raises BadFile."""
    with rasterio.Env(**_OPTIONS):
        try:
            dataset = rasterio.open(path, driver=driver)
        except RasterioError as error:
            raise damaged(error, path) from error
        with dataset:
            yield dataset


def damaged(error: Exception, path: Path) -> BadFile:
    """What GDAL cannot read, as it says it."""
    why = shown(scrubbed(str(error.__cause__ or error), str(path.parent)))
    return BadFile(
        "file.damaged", f"the raster cannot be read ({why}); {AGAIN.replace('GeoPackage', 'GeoTIFF')}"
    )
