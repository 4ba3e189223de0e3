"""What is in the cells of a raster: a pass over all of them, or a sample, in windows of bounded memory."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio import DatasetReader
from rasterio.windows import Window

from layers.errors import BadFile

#: Bytes of cells in one window, and of one block of the file, at most.
WINDOW = 32 << 20
MOST_BLOCK = 256 << 20
#: Blocks that a sample has, and bytes of their cells, at most; blocks whose place in the file is looked at.
SAMPLED = 48
MOST_SAMPLED = 256 << 20
_MOST_BLOCKS = 200_000
#: Drivers that find a block only by reading all before it.
_SEQUENTIAL = frozenset({"AAIGrid"})
#: How the lines of an ASCII grid before its cells begin.
_KEYS = (b"ncols", b"nrows", b"xll", b"yll", b"cellsize", b"dx", b"dy", b"nodata")
#: Bytes of a line at most, and of what is read at a time.
_LINE, _PIECE = 64 << 20, 4 << 20
#: Numbers that are added up at once: they stay in a cache.
_PART = 1 << 16
#: Edge of the blocks of a COG.
BLOCK = 512
#: Values that programs write where they have none, in signed numbers; beyond the largest, any.
_FILLERS = (-999.0, -9999.0, -99999.0, -32767.0, -32768.0, 32767.0, -2147483648.0, 99999.0, 1e20)
_HUGE = 1e30


def is_filler(value: float) -> bool:
    """Whether a value looks like one that stands for none."""
    return value in _FILLERS or abs(value) >= _HUGE


@dataclass(slots=True)
class BandSummary:
    """What was seen of a band: how many cells, how many have a value, what these are; ``empty`` are NaN or
    infinite ones beside another nodata value; ``fillers`` counts values that look like none."""

    cells: int = 0
    valid: int = 0
    minimum: float = math.inf
    maximum: float = -math.inf
    total: float = 0.0
    squares: float = 0.0
    empty: int = 0
    fillers: Counter[float] = field(default_factory=Counter)

    @property
    def mean(self) -> float:
        """Of the valid cells."""
        return self.total / self.valid if self.valid else math.nan

    @property
    def deviation(self) -> float:
        """Standard deviation of the valid cells."""
        return math.sqrt(max(self.squares / self.valid - self.mean**2, 0.0)) if self.valid else math.nan

    def add(self, cells: NDArray[Any], shown: NDArray[np.bool_] | None, nodata: float | None) -> None:
        """Count the cells of a window, of which a mask shows some (None: all)."""
        self.cells += cells.size
        values = cells.ravel() if shown is None or shown.all() else cells[shown]
        if nodata is not None and not math.isnan(nodata):
            values = values[values != nodata]
        if values.dtype.kind == "f":
            finite = np.isfinite(values)
            if not finite.all():
                self.empty += int(values.size - np.count_nonzero(finite))
                values = values[finite]
        if not values.size:
            return
        low, high = float(values.min()), float(values.max())
        self.valid += values.size
        self.minimum, self.maximum = min(self.minimum, low), max(self.maximum, high)
        if values.dtype.kind != "u":
            for value in {v for v in (low, high) if is_filler(v)}:
                self.fillers[value] += int(np.count_nonzero(values == values.dtype.type(value)))
        self._sum(values)

    def _sum(self, values: NDArray[Any]) -> None:
        """Add up values and their squares."""
        if values.dtype == np.uint8:
            counts = np.bincount(values, minlength=256).astype(np.float64)
            self.total += float(counts @ np.arange(256))
            self.squares += float(counts @ np.square(np.arange(256)))
            return
        for part in np.array_split(values, 1 + values.size // _PART):
            exact = part.astype(np.float64)
            self.total += float(exact.sum())
            self.squares += float(exact @ exact)


def windows(dataset: DatasetReader) -> list[Window]:
    """The whole raster in windows that hold whole blocks of the file and of a COG, as far as memory permits.

    Raises BadFile raster.block."""
    high, wide = dataset.block_shapes[0]
    size = np.dtype(dataset.dtypes[0]).itemsize * dataset.count
    if high * wide * size > MOST_BLOCK:
        reason = f"it is stored in blocks of {wide} × {high} cells, which no memory holds"
        raise BadFile(
            "raster.block", f"{reason}; save it in tiles: gdal_translate -co TILED=YES in.tif out.tif"
        )
    rows = _multiple(BLOCK, high) if high < 4 * BLOCK else high
    step = _multiple(BLOCK, wide)
    columns = max(WINDOW // (rows * size), 1) // step * step or step
    return [
        Window(x, y, min(columns, dataset.width - x), min(rows, dataset.height - y))
        for y in range(0, dataset.height, rows)
        for x in range(0, dataset.width, columns)
    ]


def sample(dataset: DatasetReader) -> list[Window]:
    """Blocks of the file, spread over it, the first and the last among them; the first ones where one is
    found only by reading all before it."""
    high, wide = dataset.block_shapes[0]
    size = high * wide * dataset.count * np.dtype(dataset.dtypes[0]).itemsize
    if dataset.driver in _SEQUENTIAL:
        chosen = list(range(min(_blocks(dataset), max(WINDOW // size, 1))))
    else:
        chosen = _spread(_blocks(dataset), min(SAMPLED, max(MOST_SAMPLED // size, 2)))
    along = math.ceil(dataset.width / wide)
    return [
        Window(
            x := number % along * wide,
            y := number // along * high,
            min(wide, dataset.width - x),
            min(high, dataset.height - y),
        )
        for number in chosen
    ]


def _blocks(dataset: DatasetReader) -> int:
    """How many blocks a band has."""
    high, wide = dataset.block_shapes[0]
    return int(math.ceil(dataset.height / high) * math.ceil(dataset.width / wide))


def _spread(count: int, most: int) -> list[int]:
    """Numbers below ``count``, the first and the last among them."""
    chosen: list[int] = np.unique(np.linspace(0, count - 1, most).astype(np.int64)).tolist()
    return chosen


def _multiple(most: int, of: int) -> int:
    """A multiple of ``of`` near ``most``, and of both where one divides the other."""
    return of if of >= most else most // of * of if most % of else most


def missing_rows(path: Path, width: int, height: int) -> int:
    """How many rows an ASCII grid lacks that has a line for each; 0 of one that is laid out otherwise."""
    with path.open("rb") as file:
        line = file.readline(_LINE)
        while line.lstrip().lower().startswith(_KEYS):
            line = file.readline(_LINE)
        if len(line.split()) != width:
            return 0
        rows, last = 0, line.removesuffix(b"\n")
        rows += len(line) > len(last)
        while block := file.read(_PIECE):
            rows += block.count(b"\n")
            last = block[block.rfind(b"\n") + 1 :] if b"\n" in block else last + block
    return max(height - rows - (len(last.split()) == width), 0)


def missing_blocks(dataset: DatasetReader, size: int) -> int:
    """How many blocks of a TIFF, of very many a sample, begin or end beyond the ``size`` of the file."""
    along = math.ceil(dataset.width / dataset.block_shapes[0][1])
    separate = dataset.interleaving is not None and dataset.interleaving.value == "BAND"
    bands = range(1, (dataset.count if separate else 1) + 1)
    beyond = 0
    for number in _spread(_blocks(dataset), min(_blocks(dataset), max(_MOST_BLOCKS // len(bands), 2))):
        row, column = divmod(number, along)
        for band in bands:
            offset = dataset.get_tag_item(f"BLOCK_OFFSET_{column}_{row}", "TIFF", bidx=band)
            if offset is not None:
                length = dataset.get_tag_item(f"BLOCK_SIZE_{column}_{row}", "TIFF", bidx=band)
                beyond += int(offset) + int(length or 0) > size
    return beyond
