"""A raster in the guarded child: looked at, told of, and written as a COG where a folder is given."""

from __future__ import annotations

import math
import resource
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio import DatasetReader
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.transform import Affine
from rasterio.windows import Window

from layers.errors import BadFile
from layers.model import BandFacts, RasterFacts
from layers.read.base import ReadOptions, Sink
from layers.read.rasters import cog, in_place, warp
from layers.read.rasters import heights as of_heights
from layers.read.rasters import nodata as of_nodata
from layers.read.rasters.cells import BandSummary, missing_blocks, missing_rows, sample, windows
from layers.read.rasters.gdal import damaged, opened
from layers.read.rasters.georeference import Placement, place
from layers.read.rasters.heights import Heights
from layers.read.rasters.nodata import Nodata

#: Bytes of cells that a check reads whole.
_SMALL = 256 << 20
#: The latitude at which the square of Web Mercator ends.
_MERCATOR = 85.06
_SHORT = {"metre": "m", "meter": "m", "US survey foot": "ftUS"}
#: What a band of numbers that may be heights has: a range in metres.
_LOWEST, _HIGHEST, _RANGE = -500, 9000, 10


def read(path: Path, options: ReadOptions, sink: Sink, driver: str) -> None:
    """Look at a raster in a child of its own; write it where that is wanted. Raises BadFile."""
    _set_ceilings(options)
    look(path, options, sink, driver)


def look(path: Path, options: ReadOptions, sink: Sink, driver: str) -> None:
    """The same without ceilings."""
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    with opened(path, driver) as dataset:
        _RasterRead(dataset, path, options, sink).run()


def _set_ceilings(options: ReadOptions) -> None:
    """Those of rasters: less memory; where one is written, more time and room."""
    limits = options.limits
    _lower(resource.RLIMIT_AS, limits.raster_memory + _mapped())
    if options.into is not None:
        _raise(resource.RLIMIT_CPU, limits.raster_seconds)
        _raise(resource.RLIMIT_FSIZE, 2 * limits.raster_cells)


def _mapped() -> int:
    """Bytes of address space that are taken already, mostly by libraries."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def _lower(which: int, to: int) -> None:
    soft, hard = resource.getrlimit(which)
    resource.setrlimit(which, (to if soft < 0 else min(soft, to), hard))


def _raise(which: int, to: int) -> None:
    hard = resource.getrlimit(which)[1]
    resource.setrlimit(which, (to if hard < 0 else min(to, hard), hard))


class _RasterRead:
    """One raster on its way."""

    def __init__(self, dataset: DatasetReader, path: Path, options: ReadOptions, sink: Sink) -> None:
        self._dataset, self._path, self._options, self._sink = dataset, path, options, sink
        self._declared = options.declared
        self._surface = options.declared.kind == "terrain"
        #: Of a raster that is warped and has no mask: where it lies, more than 0 in the cells that it fills.
        self._footprint: DatasetReader | None = None
        self._into = Path(options.into) if options.into else None

    def run(self) -> None:
        self._check_size()
        placement = place(self._dataset, self._path, self._declared, self._sink)
        heights: Heights | None = None
        if self._surface:
            told, city = placement.text, self._options.vertical_datum
            heights = of_heights.heights(self._dataset, self._declared, told, city, self._sink)
        datum = heights.datum if heights else of_heights.vertical(self._declared, placement.text)[0]
        if self._declared.in_place:
            in_place.check(self._dataset, self._path, placement, heights, self._declared)
        picture = cog.is_picture(self._dataset) and not self._surface and not self._declared.in_place
        mercator = picture and not placement.crossing and _in_mercator(placement)
        with self._upright(placement, mercator=mercator) as (upright, transform):
            dtype = "float32" if heights and heights.changed else upright.dtypes[0]
            empty = of_nodata.nodata(upright, self._declared, dtype, self._sink)
            seen = self._pass(upright, transform, placement, heights, empty, dtype)
            facts = self._facts(upright, transform, placement, seen, empty, dtype, heights, aligned=mercator)
        self._sink.meta |= {
            "driver": self._dataset.driver,
            "crs": placement.text,
            "raster": asdict(facts),
            "vertical_datum": datum,
            "extent": placement.extent,
        }

    def _check_size(self) -> None:
        """Raises BadFile limit.cells, raster.type, raster.block, file.damaged."""
        dataset, most = self._dataset, self._options.limits.raster_cells
        kinds = {np.dtype(each).kind for each in dataset.dtypes if not each.startswith("complex_int")}
        if len(kinds) != 1 or kinds - set("uif"):
            raise BadFile(
                "raster.type",
                f"cells of the type {dataset.dtypes[0]} are not read: they are no numbers of one kind",
            )
        size = _bytes(dataset)
        if size > most and not self._declared.in_place:
            reason = (
                f"its {dataset.width} × {dataset.height} cells of {dataset.count} bands are {size >> 30} GiB"
            )
            how = "cut it up (gdal_translate -srcwin) and add the pieces with --append"
            raise BadFile(
                "limit.cells",
                f"{reason}, the limit is {most >> 30} GiB; {how}, or register a COG with --in-place",
            )
        windows(dataset)
        if dataset.driver == "GTiff" and (beyond := missing_blocks(dataset, self._path.stat().st_size)):
            raise BadFile(
                "file.damaged",
                f"the file is cut off: {beyond} of its blocks lie beyond its end; copy it again",
            )

        if dataset.driver == "AAIGrid" and (gone := missing_rows(self._path, dataset.width, dataset.height)):
            raise BadFile(
                "file.damaged",
                f"the file is cut off: {gone} of its {dataset.height} rows are not there; copy it again",
            )

    @contextmanager
    def _upright(self, placement: Placement, *, mercator: bool) -> Iterator[tuple[DatasetReader, Affine]]:
        """The raster along the axes of its CRS, as it is where it lies so, or in WebMercatorQuad."""
        if placement.rotated:
            self._sink.note(
                "raster.rotated", "its rows are not along the axes of its CRS: it is warped to them"
            )
        if not mercator and not placement.points and not placement.rotated:
            yield self._dataset, placement.transform
            return
        with warp.upright(self._dataset, placement, self._declared.nodata, mercator=mercator) as (
            warped,
            whole,
        ):
            self._footprint = whole
            yield warped, warped.transform

    def _pass(
        self,
        dataset: DatasetReader,
        transform: Affine,
        placement: Placement,
        heights: Heights | None,
        empty: Nodata,
        dtype: str,
    ) -> list[BandSummary]:
        """Go through the cells, all of them where they are written; what is seen of each band."""
        left, up = transform.a < 0, transform.e > 0
        if left or up:
            self._sink.note(
                "raster.flipped", "its rows or columns are stored from the other side: they are turned"
            )
        whole = self._into is not None or self._options.limits.rows is None or _bytes(dataset) <= _SMALL
        chosen = windows(dataset) if whole else sample(dataset)
        whole = sum(each.width * each.height for each in chosen) == dataset.width * dataset.height
        seen = [BandSummary() for _ in dataset.indexes]
        writer = None
        if self._into is not None:
            profile = {
                "dtype": dtype,
                "nodata": empty.value,
                "crs": dataset.crs if dataset is not self._dataset else placement.crs,
            }
            profile["transform"] = _turned(transform, dataset, left=left, up=up)
            lossy = cog.is_picture(self._dataset) and cog.is_lossy(self._dataset) and not self._surface
            masked = self._footprint is not None or cog.has_mask(dataset)
            writer = cog.CellsWriter(self._into, dataset, profile, lossy=lossy, masked=masked)
            self._units(writer, dataset, heights)
        for window in chosen:
            cells, shown = self._cells(dataset, window)
            for band, summary, own in zip(cells, seen, empty.own, strict=True):
                summary.add(band, shown, own)
            if writer is not None:
                made = _metres(cells, empty, heights) if heights and heights.changed else empty.unified(cells)
                place_of = _turned_window(window, dataset, left=left, up=up)
                turned = made[:, :: -1 if up else 1, :: -1 if left else 1]
                mask = shown[:: -1 if up else 1, :: -1 if left else 1] if shown is not None else None
                writer.write(np.ascontiguousarray(turned), place_of, mask)
        if not whole:
            self._sink.note(
                "check.cells",
                f"{len(chosen)} blocks of the raster were looked at; a load looks at all",
            )
        of_nodata.tell(seen, self._sink, surface=self._surface, whole=whole)
        seen = [_in_metres(one, heights) for one in seen] if heights else seen
        self._plausible(dataset, seen, heights)
        if writer is not None:
            writer.finish(seen, surface=self._surface)
        return seen

    def _cells(
        self, dataset: DatasetReader, window: Window
    ) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        """The cells of a window, and which of them are seen where a band or mask says it."""
        try:
            cells = dataset.read(window=window)
            if self._footprint is not None:
                return cells, self._footprint.read(1, window=window) > 0
            if cog.has_alpha(dataset):
                return cells, cells[dataset.colorinterp.index(ColorInterp.alpha)] > 0
            return cells, dataset.dataset_mask(window=window) > 0 if cog.has_mask(dataset) else None
        except RasterioError as error:
            raise damaged(error, self._path) from error

    def _units(self, writer: cog.CellsWriter, dataset: DatasetReader, heights: Heights | None) -> None:
        if heights is None:
            writer.values(dataset.units, dataset.scales, dataset.offsets)
        else:
            writer.values(["m"], [1.0], [0.0])

    def _plausible(self, dataset: DatasetReader, seen: list[BandSummary], heights: Heights | None) -> None:
        low, high = min(one.minimum for one in seen), max(one.maximum for one in seen)
        if heights is not None:
            if seen[0].valid and of_heights.implausible(low, high):
                self._sink.note(
                    "height.range", f"heights from {low:g} to {high:g} m are not those of any ground"
                )
            return
        numbers = dataset.count == 1 and np.dtype(dataset.dtypes[0]).kind in "if" and math.isfinite(low)
        if numbers and low >= _LOWEST and high <= _HIGHEST and high - low >= _RANGE:
            self._sink.note("kind.raster", f"its numbers, {low:g} to {high:g}, may be heights")

    def _facts(
        self,
        dataset: DatasetReader,
        transform: Affine,
        placement: Placement,
        seen: list[BandSummary],
        empty: Nodata,
        dtype: str,
        heights: Heights | None,
        *,
        aligned: bool,
    ) -> RasterFacts:
        bands = tuple(
            BandFacts(
                name=dataset.descriptions[index] or "",
                type=dtype,
                unit="m" if heights else dataset.units[index] or "",
                colour=dataset.colorinterp[index].name,
                nodata=None if empty.value is None else f"{empty.value:g}",
                minimum=one.minimum if one.valid else None,
                maximum=one.maximum if one.valid else None,
                filled=round(100 * one.valid / one.cells, 2),
            )
            for index, one in enumerate(seen)
        )
        crs = dataset.crs if dataset is not self._dataset else placement.crs
        return RasterFacts(
            width=dataset.width,
            height=dataset.height,
            cell=(abs(transform.a), abs(transform.e)),
            cell_unit="°" if crs.is_geographic else _SHORT.get(crs.linear_units, crs.linear_units),
            bands=bands,
            aligned=aligned,
            in_place=bool(self._declared.in_place),
        )


def _bytes(dataset: DatasetReader) -> int:
    sizes = sum(np.dtype(each).itemsize for each in dataset.dtypes)
    return int(dataset.width * dataset.height * sizes)


def _in_mercator(placement: Placement) -> bool:
    return placement.extent[1] >= -_MERCATOR and placement.extent[3] <= _MERCATOR


def _metres(cells: NDArray[np.generic], empty: Nodata, heights: Heights) -> NDArray[np.float32]:
    """Heights in metres as 32-bit numbers, NaN where there is none."""
    own = empty.own[0]
    out = (cells.astype(np.float64) * heights.factor + heights.offset).astype(np.float32)
    if own is not None and not math.isnan(own):
        out[cells == cells.dtype.type(own)] = np.nan
    if empty.value is not None and not math.isnan(empty.value):
        out[~np.isfinite(out)] = empty.value
    return out


def _in_metres(seen: BandSummary, heights: Heights) -> BandSummary:
    if not heights.changed or not seen.valid:
        return seen
    ends = sorted(
        (seen.minimum * heights.factor + heights.offset, seen.maximum * heights.factor + heights.offset)
    )
    mean = seen.mean * heights.factor + heights.offset
    total, spread = mean * seen.valid, (seen.deviation * heights.factor) ** 2
    return BandSummary(
        seen.cells, seen.valid, ends[0], ends[1], total, (spread + mean**2) * seen.valid, seen.empty
    )


def _turned(transform: Affine, dataset: DatasetReader, *, left: bool, up: bool) -> Any:
    """The same place with columns to the east and rows to the south."""
    a, e = transform.a, transform.e
    c, f = transform.c + a * dataset.width * left, transform.f + e * dataset.height * up
    return Affine(abs(a), 0.0, c, 0.0, -abs(e), f)


def _turned_window(window: Window, dataset: DatasetReader, *, left: bool, up: bool) -> Window:
    x = dataset.width - window.col_off - window.width if left else window.col_off
    y = dataset.height - window.row_off - window.height if up else window.row_off
    return Window(x, y, window.width, window.height)
