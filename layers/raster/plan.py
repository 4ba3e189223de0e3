"""Which cells answer a request for a part of a coverage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from layers.crs import LABEL84, swaps
from layers.errors import BadParameter, NotFound, TooLarge
from layers.raster.bands import Band
from layers.raster.coverage import Coverage
from layers.raster.grid import Grid, spanned
from layers.raster.query import MOST_SIDE, CoverageQuery, Region
from layers.types import Bbox

if TYPE_CHECKING:
    from rasterio.crs import CRS

#: Bytes of the values of an answer.
MOST_BYTES = 1 << 26
#: Metres beyond which what lies across the antimeridian was torn into both ends of a projection.
_WIDEST = 2e7
#: How GDAL names longitude and latitude, x first.
_LONLAT = "EPSG:4326"


@lru_cache(maxsize=64)
def system(label: str) -> CRS:
    """A CRS by its short name, for rasters: x first. The code has been found to be one."""
    from rasterio.crs import CRS

    crs: CRS = CRS.from_user_input(_LONLAT if label == LABEL84 else label)
    return crs


def planned(coverage: Coverage, query: CoverageQuery) -> Grid:
    """The cells of the answer. Raises BadParameter, NotFound (404) for a part where the coverage has none."""
    full = full_grid(coverage, query.crs)
    part = full
    if query.region is not None:
        exact = query.width is not None or query.height is not None
        box = box_of(coverage, query.region, full.crs, whole=exact)
        inside = full.window(box)
        if inside is None:
            west, south, east, north = coverage.lonlat
            raise NotFound(
                "the coverage has nothing in that part; in longitude and latitude it lies in "
                f"{west:.6f},{south:.6f},{east:.6f},{north:.6f}"
            )
        _check_slice(query, query.region, box)
        exact = exact and box[0] < box[2] and box[1] < box[3]
        part = _exactly(full, box) if exact else inside
    return _scaled(part, query)


def full_grid(coverage: Coverage, crs: str | None) -> Grid:
    """All of a coverage in a CRS, its own without one. Raises BadParameter where the CRS ends within it."""
    own = coverage.grid
    if crs is None or (wanted := system(crs)) == own.crs:
        return own
    west, _, east, _ = coverage.lonlat
    if west > east and not wanted.is_geographic:
        ends = spanned(own.crs, wanted, own.bounds)
        if (ends[2] - ends[0]) * wanted.linear_units_factor[1] > _WIDEST:
            raise BadParameter("crs", crs, "the coverage lies across the antimeridian, where that CRS ends")
    return own.warped(wanted)


def _check_slice(query: CoverageQuery, region: Region, box: Bbox) -> None:
    """A slice along an axis has one cell there (19-087, /req/subsetting-spatial/subset-scaling-exclusivity).
    Raises BadParameter."""
    across, down = query.resolution or (None, None)
    for low, high, scale in (
        (box[0], box[2], query.width or across),
        (box[1], box[3], query.height or down),
    ):
        if low == high and scale is not None:
            raise BadParameter(region.parameter, _text(region), "a slice is one cell wide: it has no scale")


def check_size(grid: Grid, bands: Sequence[Band], most: int = MOST_BYTES) -> None:
    """Raises TooLarge where the values would be more than ``most`` bytes, with what to ask instead."""
    itemsize = np.result_type(*(band.dtype for band in bands)).itemsize
    size = grid.width * grid.height * len(bands) * itemsize
    if size <= most:
        return
    factor = math.ceil(math.sqrt(size / most))
    raise TooLarge(
        f"{grid.width} × {grid.height} cells of {len(bands)} fields are {size / 1e6:.0f} MB, and at most "
        f"{most / 1e6:.0f} MB are given at once: ask for a smaller part (bbox), fewer fields (properties) or "
        f"fewer cells (scale-factor={factor})"
    )


def box_of(coverage: Coverage, region: Region, crs: CRS, *, whole: bool = True) -> Bbox:
    """A region as a box in a CRS, x first; its open ends are those of the coverage. Not ``whole``, what lies
    far from the coverage may be left out of it: no CRS of a town has a place for the whole world.

    Raises BadParameter."""
    from rasterio.errors import CRSError, RasterioError
    from rasterio.warp import transform_bounds

    of = coverage.grid.crs if region.crs is None else system(region.crs)
    west, south, east, north = region.box
    if not region.x_first and region.crs is not None and swaps(region.crs):
        west, south, east, north = south, west, north, east
    own = _within(coverage, of)
    if of.is_geographic and math.isfinite(west) and math.isfinite(east):
        west, east = _turned(region, west, east, own)
    ends = zip((west, south, east, north), own, strict=True)
    box: Bbox = tuple(end if math.isfinite(end) else edge for end, edge in ends)  # type: ignore[assignment]
    if box[0] > box[2] or box[1] > box[3]:
        raise BadParameter(region.parameter, _text(region), "the lower end comes before the upper one")
    if of == crs:
        return box
    if not whole:
        box = _near(box, own)
    try:
        west, south, east, north = transform_bounds(of, crs, *box, densify_pts=21)
    except (CRSError, RasterioError) as error:
        raise BadParameter(region.parameter, _text(region), "it lies outside its CRS") from error
    if not all(map(math.isfinite, (west, south, east, north))):
        raise BadParameter(region.parameter, _text(region), "it lies outside its CRS")
    return west, south, east, north


def _near(box: Bbox, own: Bbox) -> Bbox:
    """The part of a box that meets the coverage with as much around it; another box as it is."""
    across, down = own[2] - own[0], own[3] - own[1]
    west, south = max(box[0], own[0] - across), max(box[1], own[1] - down)
    east, north = min(box[2], own[2] + across), min(box[3], own[3] + down)
    return (west, south, east, north) if west <= east and south <= north else box


def _within(coverage: Coverage, crs: CRS) -> Bbox:
    own = coverage.grid
    return own.bounds if crs == own.crs else spanned(own.crs, crs, own.bounds)


def _turned(region: Region, west: float, east: float, own: Bbox) -> tuple[float, float]:
    """The ends of a box in degrees (west > east across the antimeridian) where the coverage lies, which is
    beyond ±180 where that lies across the antimeridian. Raises BadParameter for both ends of one that is all
    around."""
    if own[0] >= -180.0 and own[2] <= 180.0:
        return (west, east) if west <= east else _half(region, west, east, own)
    end = east + 360.0 if west > east else east
    if end - west >= 360.0:
        return min(west, own[0]), max(end, own[2])
    turns = [turn for turn in (0.0, 360.0, -360.0) if west + turn < own[2] and own[0] < end + turn]
    turn = turns[0] if turns else 0.0
    return west + turn, end + turn


def _half(region: Region, west: float, east: float, own: Bbox) -> tuple[float, float]:
    halves = [(low, high) for low, high in ((west, 180.0), (-180.0, east)) if low < own[2] and own[0] < high]
    if len(halves) > 1:
        raise BadParameter(region.parameter, _text(region), "the coverage lies on both sides: ask for each")
    return halves[0] if halves else (west, 180.0)


def _text(region: Region) -> str:
    return ",".join("*" if math.isinf(end) else f"{end:g}" for end in region.box)


def _exactly(full: Grid, box: Bbox) -> Grid:
    """The box with as many cells as the coverage has there, at its edges and beyond."""
    across, down = full.cell
    width = (box[2] - box[0]) / across
    height = (box[3] - box[1]) / down
    return Grid(full.crs, box, *(max(1, round(min(one, 1e9))) for one in (width, height)))


def _scaled(part: Grid, query: CoverageQuery) -> Grid:
    if not query.scaled:
        return part
    width: float = part.width
    height: float = part.height
    if query.factors is not None:
        width, height = width / query.factors[0], height / query.factors[1]
    if query.resolution is not None:
        west, south, east, north = part.bounds
        across, down = query.resolution
        width = width if across is None else (east - west) / across
        height = height if down is None else (north - south) / down
    width = query.width if query.width is not None else width
    height = query.height if query.height is not None else height
    for side in (width, height):
        if side > MOST_SIDE:
            raise TooLarge(
                f"{side:.3g} cells along one side, and at most {MOST_SIDE} are given at once: "
                "ask for a smaller part or for larger cells"
            )
    return part.sized(max(1, math.ceil(width - 1e-6)), max(1, math.ceil(height - 1e-6)))
