"""The cells of a raster or of a window of it: where they lie and how many there are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from layers.types import Bbox

if TYPE_CHECKING:
    from affine import Affine
    from rasterio import DatasetReader
    from rasterio.crs import CRS

#: A cell is not cut off for less than this part of its width, which is the noise of a transformation.
_NOISE = 1e-6
#: Longitudes from the antimeridian, in which what lies across it has no edge: for counting cells.
_TURNED = "+proj=longlat +datum=WGS84 +pm=180"


@dataclass(frozen=True)
class Grid:
    """``bounds`` are west, south, east, north in the units of ``crs``, x (east) first whatever the axis order
    of its authority; the cells are areas, ``width`` × ``height`` of them, north up."""

    crs: CRS
    bounds: Bbox
    width: int
    height: int

    @property
    def cell(self) -> tuple[float, float]:
        """Width and height of a cell."""
        west, south, east, north = self.bounds
        return (east - west) / self.width, (north - south) / self.height

    @cached_property
    def transform(self) -> Affine:
        """Column and row to x and y."""
        from rasterio.transform import from_bounds

        transform: Affine = from_bounds(*self.bounds, self.width, self.height)
        return transform

    def window(self, box: Bbox) -> Grid | None:
        """The cells of which some of the inside lies in a box; None where there are none. Of a box without
        width (or height), a slice, the cells that it goes through."""
        west, _, _, north = self.bounds
        across, down = self.cell
        columns = _between((box[0] - west) / across, (box[2] - west) / across, self.width)
        rows = _between((north - box[3]) / down, (north - box[1]) / down, self.height)
        if columns is None or rows is None:
            return None
        (left, right), (top, bottom) = columns, rows
        bounds = west + left * across, north - bottom * down, west + right * across, north - top * down
        return Grid(self.crs, bounds, right - left, bottom - top)

    def sized(self, width: int, height: int) -> Grid:
        """The same place in another number of cells."""
        return Grid(self.crs, self.bounds, width, height)

    def warped(self, crs: CRS) -> Grid:
        """The grid in another CRS, with cells of about the same size, as GDAL proposes it; see
        :func:`spanned`."""
        if crs == self.crs:
            return self
        from rasterio.transform import array_bounds
        from rasterio.warp import calculate_default_transform

        if crs.is_geographic and (bounds := spanned(self.crs, crs, self.bounds))[2] > 180:
            _, width, height = calculate_default_transform(
                self.crs, _TURNED, self.width, self.height, *self.bounds
            )
            return Grid(crs, bounds, width, height)
        transform, width, height = calculate_default_transform(
            self.crs, crs, self.width, self.height, *self.bounds
        )
        return Grid(crs, array_bounds(height, width, transform), width, height)


@lru_cache(maxsize=64)
def code(crs: CRS) -> str | None:
    """The short name of a raster's CRS; None where it has no code."""
    number = crs.to_epsg()
    return None if number is None else f"EPSG:{number}"


def named(crs: CRS) -> str:
    """A raster's CRS as :mod:`layers.crs` takes it: by its code, where it has one, so that values lie where
    features of the same CRS do."""
    return code(crs) or str(crs.to_wkt())


def spanned(of: CRS, crs: CRS, bounds: Bbox) -> Bbox:
    """Bounds in another CRS; in degrees, of what lies across the antimeridian the east is beyond 180."""
    from rasterio.warp import transform_bounds

    west, south, east, north = transform_bounds(of, crs, *bounds, densify_pts=21)
    return west, south, east + 360.0 if crs.is_geographic and west > east else east, north


def lonlat(of: CRS, bounds: Bbox) -> Bbox:
    """Bounds in longitude and latitude from -180 to 180, west > east across the antimeridian (RFC 7946,
    5.2)."""
    from rasterio.crs import CRS

    return wrapped(spanned(of, CRS.from_user_input("OGC:CRS84"), bounds))


def wrapped(box: Bbox) -> Bbox:
    """A box in degrees with longitudes from -180 to 180, west > east across the antimeridian."""
    west, south, east, north = box
    south, north = max(south, -90.0), min(north, 90.0)
    if east - west >= 360.0:
        return -180.0, south, 180.0, north
    if west >= -180.0 and east <= 180.0:
        return west, south, east, north
    return (west + 180.0) % 360.0 - 180.0, south, 180.0 - (180.0 - east) % 360.0, north


def _between(low: float, high: float, count: int) -> tuple[int, int] | None:
    """The first cell of an interval and the one behind its last; None where it holds none of them."""
    if low >= count or high < 0 or (high == 0 and low < 0):
        return None
    first = max(0, math.floor(low + _NOISE))
    last = min(count, math.ceil(high - _NOISE)) if high > low else first + 1
    return (first, last) if first < last <= count else None


def of(datasets: list[DatasetReader]) -> Grid:
    """The grid of rasters that are one coverage: the CRS of the first, the cells of the finest, the bounds of
    all."""
    first = datasets[0]
    crs = first.crs
    grids = [Grid(one.crs, tuple(one.bounds), one.width, one.height) for one in datasets]
    if len(grids) == 1:
        return grids[0]
    same = [one.warped(crs) for one in grids]
    across, down = min(one.cell[0] for one in same), min(one.cell[1] for one in same)
    boxes = [spanned(one.crs, crs, one.bounds) for one in grids]
    west, south = min(box[0] for box in boxes), min(box[1] for box in boxes)
    east, north = max(box[2] for box in boxes), max(box[3] for box in boxes)
    width, height = math.ceil((east - west) / across - _NOISE), math.ceil((north - south) / down - _NOISE)
    return Grid(crs, (west, north - height * down, west + width * across, north), width, height)
