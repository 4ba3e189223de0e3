"""Writing a COG: the cells in one pass as they are to be, then GDAL's COG driver over them."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio import DatasetReader
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetWriter
from rasterio.shutil import copy
from rasterio.windows import Window

from layers.errors import BadFile
from layers.read.rasters.cells import BLOCK, BandSummary

#: Bytes of free disk below which a failed write is one for want of room.
_FULL = 64 << 20
#: The file that was written, in the folder that was given.
NAME = "cog.tif"
_CELLS = "cells.tif"
_PICTURE = (
    (ColorInterp.red, ColorInterp.green, ColorInterp.blue),
    (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha),
)
#: Longest tag that is taken over.
_TAG = 4000
_MANY_BANDS = 4
#: Of DEFLATE: level 6, its usual one, takes two and a half times as long for 2 % fewer bytes (a photo).
_LEVEL = 5


def is_picture(dataset: DatasetReader) -> bool:
    """Whether a raster is to be looked at: red, green and blue in eight bits. Any other has values."""
    return dataset.colorinterp in _PICTURE and set(dataset.dtypes) == {"uint8"}


def is_lossy(dataset: DatasetReader) -> bool:
    """Whether its cells came from a lossy compression, and another of good quality loses nothing more."""
    kind = str(dataset.tags(ns="IMAGE_STRUCTURE").get("COMPRESSION", "")).upper()
    return dataset.driver == "JPEG" or "JPEG" in kind or kind == "WEBP"


def has_mask(dataset: DatasetReader) -> bool:
    """Whether a mask of its own, no alpha band and no nodata value, says which cells are shown."""
    return all(set(flags) == {MaskFlags.per_dataset} for flags in dataset.mask_flag_enums)


def has_alpha(dataset: DatasetReader) -> bool:
    """Whether one of its bands says how much is seen of the others."""
    return ColorInterp.alpha in dataset.colorinterp


def is_palette(dataset: DatasetReader) -> bool:
    """Whether numbers stand for colours: between two lies no third."""
    return ColorInterp.palette in dataset.colorinterp


class CellsWriter:
    """The raster beside its COG, uncompressed: tiles of the COG with the cells as they are to be. ``lossy``:
    they may be compressed so that they look the same, and no more; ``masked``: a mask says which are seen."""

    def __init__(
        self, folder: Path, source: DatasetReader, profile: dict[str, Any], *, lossy: bool, masked: bool
    ) -> None:
        self._folder = folder
        self._path = folder / _CELLS
        self._source = source
        self._lossy = lossy
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise BadFile(
                "raster.unwritten", f"the city's folder cannot be written: {error.strerror}"
            ) from error
        try:
            self._out: DatasetWriter = rasterio.open(
                self._path,
                "w",
                driver="GTiff",
                width=source.width,
                height=source.height,
                count=source.count,
                tiled=True,
                blockxsize=BLOCK,
                blockysize=BLOCK,
                bigtiff="YES",
                sparse_ok=True,
                interleave="band" if source.count > _MANY_BANDS else "pixel",
                **profile,
            )
            self._masked = masked
            self._describe()
        except RasterioError as error:
            raise self._unwritten(error) from error

    def _describe(self) -> None:
        """What the source says of itself and its bands, but for nodata, place and statistics."""
        source, out = self._source, self._out
        out.update_tags(**{k: v for k, v in source.tags().items() if len(k) + len(v) <= _TAG})
        out.colorinterp = source.colorinterp
        out.descriptions = [text and text[:_TAG] for text in source.descriptions]
        for band in source.indexes:
            tags = {k: v for k, v in source.tags(band).items() if len(k) + len(v) <= _TAG}
            out.update_tags(band, **{k: v for k, v in tags.items() if not k.startswith("STATISTICS_")})
            if source.colorinterp[band - 1] == ColorInterp.palette:
                out.write_colormap(band, source.colormap(band))

    def values(self, units: Sequence[str | None], scales: Sequence[float], offsets: Sequence[float]) -> None:
        """What the numbers of the bands count."""
        self._out.units, self._out.scales, self._out.offsets = list(units), list(scales), list(offsets)

    def write(self, cells: NDArray[np.generic], window: Window, shown: NDArray[np.bool_] | None) -> None:
        """Write the cells (bands, rows, columns) of a window. Raises BadFile limit.disk."""
        try:
            self._out.write(cells, window=window)
            if self._masked and shown is not None:
                self._out.write_mask(shown, window=window)
        except RasterioError as error:
            raise self._unwritten(error) from error

    def finish(self, seen: Sequence[BandSummary], *, surface: bool) -> Path:
        """Make the COG; it lies in the folder. Raises BadFile limit.disk."""
        for band, one in enumerate(seen, 1):
            if one.valid:
                self._out.update_tags(band, **_statistics(one))
        # the COG driver takes overviews that are there; its own cost it four times as much
        nearest = is_palette(self._source) or (
            self._source.count == 1 and not surface and self._out.dtypes[0][0] == "u"
        )
        path = self._folder / NAME
        try:
            self._out.close()
            with rasterio.open(self._path, "r+", driver="GTiff") as cells:
                block = _block(cells.width, cells.height)
                levels = range(1, 1 + _overviews(cells.width, cells.height, block))
                how = Resampling.nearest if nearest else Resampling.average
                cells.build_overviews([1 << level for level in levels], how)
            with rasterio.open(self._path, driver="GTiff") as cells:
                options = _options(cells, block, lossy=self._lossy)
                copy(cells, path, driver="COG", **options)
        except RasterioError as error:
            raise self._unwritten(error) from error
        self._path.unlink()
        return path

    def _unwritten(self, error: Exception) -> BadFile:
        if shutil.disk_usage(self._folder).free < _FULL:
            return BadFile(
                "limit.disk", "there is no room for the raster in the city's folder; make room and load again"
            )
        return BadFile("raster.unwritten", f"the raster cannot be written: {error.__cause__ or error}")


def _statistics(seen: BandSummary) -> dict[str, str]:
    """As GDAL writes them."""
    return {
        "STATISTICS_MINIMUM": f"{seen.minimum:.14g}",
        "STATISTICS_MAXIMUM": f"{seen.maximum:.14g}",
        "STATISTICS_MEAN": f"{seen.mean:.14g}",
        "STATISTICS_STDDEV": f"{seen.deviation:.14g}",
        "STATISTICS_VALID_PERCENT": f"{100 * seen.valid / seen.cells:.4g}",
    }


def _options(cells: DatasetReader, block: int, *, lossy: bool) -> dict[str, Any]:
    options: dict[str, Any] = {
        "BLOCKSIZE": block,
        "BIGTIFF": "IF_SAFER",
        "NUM_THREADS": "ALL_CPUS",
        "INTERLEAVE": "TILE" if cells.count > _MANY_BANDS else "PIXEL",
    }
    if lossy:
        return {**options, "COMPRESS": "JPEG", "QUALITY": 90}
    return {**options, "COMPRESS": "DEFLATE", "LEVEL": _LEVEL, "PREDICTOR": "YES"}


def _block(width: int, height: int) -> int:
    """The edge of the blocks: validators take a level of one column of blocks for one that is not tiled."""
    for block in (BLOCK, BLOCK // 2):
        levels = range(1 + _overviews(width, height, block))
        if all(math.ceil(width / 2**n) != block or math.ceil(height / 2**n) <= BLOCK for n in levels):
            return block
    return BLOCK // 4


def _overviews(width: int, height: int, block: int) -> int:
    """How often it is halved until one block holds it."""
    return max(0, math.ceil(math.log2(max(width, height) / block)))
