"""Which cells have no value: what the file says, what its owner declares, and what the numbers look like."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio import DatasetReader

from layers.errors import BadFile
from layers.read.base import Sink
from layers.read.rasters.cells import BandSummary
from layers.source import Declared


@dataclass(frozen=True, slots=True)
class Nodata:
    """``own``: the value of each band in the file, None where it has none; ``value``: what is written."""

    own: tuple[float | None, ...]
    value: float | None

    def unified(self, cells: NDArray[np.generic]) -> NDArray[np.generic]:
        """The cells (bands, rows, columns) with the written value where they have none."""
        value = self.value
        if value is None:
            return cells
        kind = cells.dtype.type
        for band, own in zip(cells, self.own, strict=True):
            if own is not None and not math.isnan(own) and own != value:
                band[band == kind(own)] = value
            if cells.dtype.kind == "f" and not math.isnan(value):
                band[~np.isfinite(band)] = value
        return cells


def nodata(dataset: DatasetReader, declared: Declared, dtype: str, sink: Sink) -> Nodata:
    """What stands for no value. Raises BadFile nodata.declared: none of the file's type."""
    own: list[float | None] = []
    kind = np.dtype(dataset.dtypes[0])
    for value in dataset.nodatavals:
        own.append(value if value is not None and _fits(value, kind) else None)
    if any(value is not None and not _fits(value, kind) for value in dataset.nodatavals):
        sink.note(
            "nodata.range",
            f"the nodata value {_first(dataset.nodatavals):g} is none of {kind}: no cell has it",
        )
    wanted = declared.nodata
    if wanted is not None:
        if not _fits(wanted, kind):
            raise BadFile(
                "nodata.declared", f"a cell of {kind} cannot be {wanted:g}; declare another --nodata"
            )
        if own[0] is not None and not equal(own[0], wanted):
            sink.note("nodata.declared", f"the file says {own[0]:g}; the declared {wanted:g} is used")
        return Nodata((wanted,) * dataset.count, wanted)
    if np.dtype(dtype).kind == "f" and kind.kind != "f":
        return Nodata(tuple(own), math.nan)
    first = _first(own)
    if first is None and kind.kind == "f":
        first = math.nan
    return Nodata(tuple(own), first)


def tell(seen: list[BandSummary], sink: Sink, *, surface: bool, whole: bool) -> None:
    """What the numbers say of it. Raises BadFile nodata.undeclared, raster.empty."""
    for band, one in enumerate(seen, 1):
        of = f"band {band}: " if len(seen) > 1 else ""
        for value, count in one.fillers.items():
            some = f"{of}{count} cells have {value:g}, which is not the file's nodata value"
            if surface:
                raise BadFile(
                    "nodata.undeclared", f"{some}, and no height; declare it with --nodata {value:g}"
                )
            sink.note("nodata.suspect", some)
        if one.empty:
            sink.note("nodata.nan", f"{of}{one.empty} cells are not a number, and have no value")
        holes = one.cells - one.valid
        if surface and one.valid and holes:
            share = 100 * holes / one.cells
            sink.note("height.holes", f"{holes} of {one.cells} cells ({share:.2g} %) have no height")
    if whole and not any(one.valid for one in seen):
        raise BadFile("raster.empty", "no cell of the raster has a value; is its nodata value right?")


def _first(values: tuple[float | None, ...] | list[float | None]) -> float | None:
    return next((value for value in values if value is not None), None)


def equal(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def _fits(value: float, kind: np.dtype[np.generic]) -> bool:
    if kind.kind == "f":
        return True
    if not math.isfinite(value) or value != int(value):
        return False
    limits = np.iinfo(kind)  # type: ignore[type-var]
    return bool(limits.min <= value <= limits.max)
