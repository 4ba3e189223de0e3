"""One file of heights: where its pixels lie, and what is between them.

Files are read through rasterio, overviews included; a height at a place is bilinear between the centres of
the four pixels around it, as GDAL has it, and a pixel without a height has no part in it."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from layers import crs
from layers.raster.files import FileKey, OpenFiles, file_key
from layers.raster.grid import named
from layers.types import Bbox
from tiles.cache import Cache
from tiles.scheme import METRES_PER_DEGREE, Floats
from tiles.terrain.places import Places

if TYPE_CHECKING:
    from rasterio import DatasetReader

type Heights = NDArray[np.float32]
#: Heights of the pixels to the left and right above, and to the left and right below.
type Corners = tuple[Heights, Heights, Heights, Heights]

#: Pixels on a side of what is decoded at a time.
BLOCK = 256
#: Memory for decoded blocks.
BLOCK_BYTES = 64 << 20
#: Metres beyond which a number is no height on Earth but a mark that a file forgot to declare.
BEYOND = 12_000.0
#: Degrees around a file in which its CRS is asked for pixels.
NEAR = 5.0


@dataclass(frozen=True, slots=True)
class Block:
    """Decoded heights (rows, columns), NaN where there is none; ``gaps`` whether there is such."""

    heights: Heights
    gaps: bool

    @property
    def weight(self) -> int:
        """Bytes held."""
        return self.heights.nbytes + 200


@dataclass(frozen=True, slots=True)
class Extremes:
    """The lowest and the highest (m) of some pixels; ``gaps`` where any has no height."""

    low: float
    high: float
    gaps: bool


class Blocks:
    """Decoded blocks of all files of a city. Safe to use from several threads."""

    def __init__(self, files: OpenFiles | None = None, limit: int = BLOCK_BYTES) -> None:
        """``files`` are those of the city that are open, where others read them, too."""
        self.files = OpenFiles() if files is None else files
        self.cache: Cache[Block] = Cache(limit)
        self.lock = threading.Lock()
        self.sheets: dict[FileKey, Sheet] = {}

    def sheet(self, path: Path) -> Sheet:
        """A file of heights in its present state. Raises Unavailable; BadFile where its CRS is none."""
        key = file_key(path)
        known = self.sheets.get(key)
        if known is None:
            with self.files.lend(path) as dataset:
                known = _sheet(key, dataset)
            with self.lock:
                self.sheets[key] = known
        return known


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """A file as it was opened: ``inverse`` brings CRS coordinates to columns and rows of pixel centres,
    ``box`` is what it covers in degrees with longitudes around ``middle`` (beyond ±180 across the
    antimeridian), ``resolution`` the metres of a pixel."""

    file: FileKey
    crs: str
    width: int
    height: int
    inverse: tuple[float, ...]
    box: Bbox
    middle: float
    resolution: float
    scale: float
    offset: float

    @property
    def top(self) -> int:
        """The level at which the file is one pixel; each level has half the pixels of that before."""
        return max(0, math.ceil(math.log2(max(self.width, self.height))))

    def level(self, spacing: float) -> int:
        """The level for samples so many metres apart."""
        if spacing <= self.resolution:
            return 0
        return min(self.top, int(math.log2(spacing / self.resolution)))

    def pixels(self, places: Places) -> tuple[Floats, Floats]:
        """Columns and rows of places, whole numbers at the centres of pixels; not finite where the CRS does
        not reach."""
        return places.projected(self._pixels, self.middle)

    def _pixels(self, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
        # far from where it is meant, a projection may give a place again that lies in the file
        west, south, east, north = self.box
        near = (lon >= west - NEAR) & (lon <= east + NEAR) & (lat >= south - NEAR) & (lat <= north + NEAR)
        if not near.all():
            x, y = np.full(len(lon), np.nan), np.full(len(lon), np.nan)
            if near.any():
                x[near], y[near] = self._projected(lon[near], lat[near])
        else:
            x, y = self._projected(lon, lat)
        a, b, c, d, e, f = self.inverse
        return a * x + b * y + c, d * x + e * y + f

    def _projected(self, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
        if not self.crs:
            return lon, lat
        x, y = _operation(self).transform(lon, lat, direction="INVERSE")
        lost = ~(np.isfinite(x) & np.isfinite(y))
        return np.where(lost, np.nan, x), np.where(lost, np.nan, y)

    def inside(self, column: Floats, row: Floats) -> NDArray[np.bool_]:
        """Which places lie in the file."""
        return (column >= -0.5) & (column <= self.width - 0.5) & (row >= -0.5) & (row <= self.height - 0.5)

    def holds(self, column: Floats, row: Floats) -> bool:
        """Whether all places lie in the file."""
        ends = (column.min(), self.width - 1 - column.max(), row.min(), self.height - 1 - row.max())
        return all(end >= -0.5 for end in ends)

    def at(self, blocks: Blocks, level: int, column: Floats, row: Floats) -> tuple[Heights, Heights | None]:
        """Heights (m) at columns and rows of level 0 (beyond the file: those at its edge), and how much (0 to
        1) of each is of pixels that have a height, 0 metres where that is 0; None where all is."""
        columns, rows = -(-self.width >> level), -(-self.height >> level)
        u, left, c0, c1 = _along(column, level, columns)
        v, upper, r0, r1 = _along(row, level, rows)
        if (c1 - c0) * (r1 - r0) > max(4 * BLOCK * BLOCK, 8 * len(u)):
            corners, gaps = self._apart(blocks, level, left + c0, upper + r0)
        else:
            window, gaps = self._window(blocks, level, (c0, r0, c1, r1))
            corners = _corners(window, left, upper)
        return _bilinear(corners, gaps, u, v)

    def _apart(
        self, blocks: Blocks, level: int, column: NDArray[np.intp], row: NDArray[np.intp]
    ) -> tuple[Corners, bool]:
        """The corners of places far apart, from each block those that lie in it."""
        right = np.minimum(column + 1, (-(-self.width >> level)) - 1)
        down = np.minimum(row + 1, (-(-self.height >> level)) - 1)
        x, y = np.concatenate([column, right, column, right]), np.concatenate([row, row, down, down])
        of = y // BLOCK * (1 << 32) + x // BLOCK
        order = np.argsort(of, kind="stable")
        found, gaps = np.empty(len(of), np.float32), False
        for some in np.split(order, np.flatnonzero(np.diff(of[order])) + 1):
            j, i = divmod(int(of[some[0]]), 1 << 32)
            block = self._block(blocks, level, i, j)
            found[some] = block.heights[y[some] - j * BLOCK, x[some] - i * BLOCK]
            gaps = gaps or block.gaps
        a, b, c, d = found.reshape(4, -1)
        return (a, b, c, d), gaps

    def extremes(self, blocks: Blocks, window: tuple[int, int, int, int], most: int) -> Extremes | None:
        """The lowest and the highest (m) of the pixels in a window (first column and row, then the ends), or
        None where none has a height. Of a window with more than ``most`` pixels on a side, means of several
        are looked at, and the largest step between neighbours is added."""
        level = max(0, math.ceil(math.log2(max(window[2] - window[0], window[3] - window[1]) / most)))
        c0, r0 = (begin >> level for begin in window[:2])
        c1, r1 = (-(-end >> level) for end in window[2:])
        pixels, gaps = self._window(blocks, level, (c0, r0, c1, r1))
        low, high = float(np.fmin.reduce(pixels, axis=None)), float(np.fmax.reduce(pixels, axis=None))
        gaps = gaps and bool(np.isnan(pixels).any())
        if math.isnan(low):
            return None
        if not level:
            return Extremes(low, high, gaps)
        across, down = np.abs(np.diff(pixels, axis=1)), np.abs(np.diff(pixels, axis=0))
        steps = [float(np.fmax.reduce(one, axis=None)) for one in (across, down) if one.size]
        step = max((one for one in steps if math.isfinite(one)), default=0.0)
        return Extremes(low - step, high + step, gaps)

    def _window(self, blocks: Blocks, level: int, at: tuple[int, int, int, int]) -> tuple[Heights, bool]:
        c0, r0, c1, r1 = at
        first, low, last, high = c0 // BLOCK, r0 // BLOCK, (c1 - 1) // BLOCK, (r1 - 1) // BLOCK
        if first == last and low == high:
            block = self._block(blocks, level, first, low)
            x, y = first * BLOCK, low * BLOCK
            return block.heights[r0 - y : r1 - y, c0 - x : c1 - x], block.gaps
        out = np.empty((r1 - r0, c1 - c0), np.float32)
        gaps = False
        for j in range(low, high + 1):
            for i in range(first, last + 1):
                block = self._block(blocks, level, i, j)
                x, y = i * BLOCK, j * BLOCK
                left, right, top, end = max(c0, x), min(c1, x + BLOCK), max(r0, y), min(r1, y + BLOCK)
                out[top - r0 : end - r0, left - c0 : right - c0] = block.heights[
                    top - y : end - y, left - x : right - x
                ]
                gaps = gaps or block.gaps
        return out, gaps

    def _block(self, blocks: Blocks, level: int, i: int, j: int) -> Block:
        key = self.file, level, i, j
        return blocks.cache.make(key, lambda: self._read(blocks, level, i, j))

    def _read(self, blocks: Blocks, level: int, i: int, j: int) -> Block:
        from rasterio.enums import Resampling
        from rasterio.windows import Window

        size = BLOCK << level
        x, y = i * size, j * size
        wide, high = min(size, self.width - x), min(size, self.height - y)
        shape = -(-high >> level), -(-wide >> level)
        with blocks.files.lend(self.file.path) as dataset:
            read = dataset.read(
                1,
                window=Window(x, y, wide, high),
                out_shape=shape,
                masked=True,
                out_dtype=np.float64,
                resampling=Resampling.average if level else Resampling.nearest,
            )
        heights = read.data * self.scale + self.offset
        missing = np.ma.getmaskarray(read) | ~(np.abs(heights) < BEYOND)
        heights[missing] = np.nan
        return Block(heights.astype(np.float32), bool(missing.any()))


def _along(at: Floats, level: int, count: int) -> tuple[Heights, NDArray[np.intp], int, int]:
    """Of places along an axis of a level of so many pixels: the part of a pixel by which each is beyond a
    whole one, that one counted from the first that is needed; the first, and the end of those needed."""
    if level:
        at = (at + 0.5) / (1 << level) - 0.5
    least, most = float(at.min()), float(at.max())
    if least < 0 or most > count - 1:
        at = np.clip(at, 0, count - 1)
        least, most = min(max(least, 0.0), count - 1.0), max(min(most, count - 1.0), 0.0)
    first, last = min(int(least), max(count - 2, 0)), min(int(most) + 2, count)
    at = at - first
    whole = at.astype(np.intp)
    if most == count - 1:
        np.minimum(whole, max(last - first - 2, 0), out=whole)
    return (at - whole).astype(np.float32), whole, first, last


def _corners(window: Heights, column: NDArray[np.intp], row: NDArray[np.intp]) -> Corners:
    """The four pixels around places whose whole columns and rows are counted from those of a window."""
    high, wide = window.shape
    right, down = int(wide > 1), wide if high > 1 else 0
    flat = window.reshape(-1)
    at = row * wide
    at += column
    return flat.take(at), flat[right:].take(at), flat[down:].take(at), flat[down + right :].take(at)


def _bilinear(corners: Corners, gaps: bool, u: Heights, v: Heights) -> tuple[Heights, Heights | None]:
    """Values at parts ``u``, ``v`` of a pixel to the right of and below the first of four, and the share of
    each that is known. The corners are used up."""
    a, b, c, d = corners
    if not gaps:
        b -= a
        b *= u
        b += a
        d -= c
        d *= u
        d += c
        d -= b
        d *= v
        d += b
        return d, None
    weights = [(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v]
    total, share = np.zeros(len(u), np.float32), np.zeros(len(u), np.float32)
    for value, weight in zip((a, b, c, d), weights, strict=True):
        known = np.isfinite(value)
        share += np.where(known, weight, 0)
        total += np.where(known, value * weight, 0)
    # of four that are known, the sum of weights is 1 but for the last bit
    share = np.where(share > 1 - 1e-5, np.float32(1), share)
    return np.divide(total, share, out=np.zeros_like(total), where=share > 0), share


def _sheet(key: FileKey, dataset: DatasetReader) -> Sheet:
    text = "" if dataset.crs is None else named(dataset.crs)
    text = text if text and crs.transformers(text) else ""
    inverse = ~dataset.transform
    # pixel centres are whole numbers
    affine = (inverse.a, inverse.b, inverse.c - 0.5, inverse.d, inverse.e, inverse.f - 0.5)
    outline = _outline(dataset)
    lonlat = crs.to_lonlat(outline, text) if text else outline
    lon, lat = lonlat[np.isfinite(lonlat[:, 0])].T
    middle = float(lon[0])
    lon = (lon - middle + 180) % 360 - 180 + middle
    box = float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())
    pixels = math.sqrt(dataset.width * dataset.height)
    wide = (box[2] - box[0]) * math.cos(math.radians((box[1] + box[3]) / 2))
    metres = math.sqrt(max(wide * (box[3] - box[1]), 1e-18)) * METRES_PER_DEGREE
    return Sheet(
        key,
        text,
        dataset.width,
        dataset.height,
        affine,
        box,
        (box[0] + box[2]) / 2,
        metres / pixels,
        float(dataset.scales[0]),
        float(dataset.offsets[0]),
    )


def _outline(dataset: DatasetReader) -> Floats:
    """Points (n, 2) along the edge of a file in its CRS."""
    part = np.linspace(0, 1, 17)
    column = np.concatenate([part, np.ones(17), part[::-1], np.zeros(17)]) * dataset.width
    row = np.concatenate([np.zeros(17), part, np.ones(17), part[::-1]]) * dataset.height
    t = dataset.transform
    return np.stack([t.a * column + t.b * row + t.c, t.d * column + t.e * row + t.f], axis=1)


def _operation(sheet: Sheet) -> Any:
    """The way to longitude/latitude that is valid in the middle of a file."""
    operations = crs.transformers(sheet.crs)
    lat = (sheet.box[1] + sheet.box[3]) / 2
    for operation in operations:
        area = operation.area_of_use
        if area is None or (area.south <= lat <= area.north and area.west <= sheet.middle <= area.east):
            return operation
    return operations[0]
