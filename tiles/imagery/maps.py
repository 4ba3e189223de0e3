"""A map of a coverage: what is asked for (OGC 20-058), and the place and size of the picture that answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from layers.crs import LABEL84, label, swaps, uri
from layers.errors import BadParameter, NotFound, TooLarge
from layers.parameters import Parameter
from layers.raster import axes, plan
from layers.raster import query as queries
from layers.raster.coverage import Coverage
from layers.raster.grid import Grid
from layers.raster.query import PLACE, SIZE, Region
from layers.types import Bbox, Interval
from tiles.imagery.colors import Rgb, read_color
from tiles.imagery.place import WEB_MERCATOR
from tiles.imagery.style import read_flag
from tiles.scheme import MAX_LATITUDE

#: Cells of a map, and along one side of it; the longer side of one whose size is not asked for.
MOST, MOST_SIDE, USUAL = 1 << 24, 16_384, 1024
#: Metres of a degree at the equator, and millimetres of a pixel (OGC 20-058, 8.2.2).
DEGREE, PIXEL = math.pi * 6_378_137 / 180, 0.28


def _center(text: str) -> tuple[float, float]:
    parts = text.split(",")
    if len(parts) != 2:
        raise ValueError("two numbers separated by a comma")
    return axes.number(parts[0].strip()), axes.number(parts[1].strip())


_NUMBER = {"type": "number", "minimum": 0, "exclusiveMinimum": True}
TABLE: dict[str, Parameter] = {
    one.name: one
    for one in (
        *PLACE,
        *SIZE,
        Parameter(
            "center",
            "The middle of the map, in place of a box; its size is said by width, height and scale.",
            {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
            _center,
        ),
        Parameter(
            "center-crs",
            "The CRS of center, in the axis order of its authority.",
            {"type": "string", "format": "uri", "default": uri(LABEL84)},
            lambda text: label(text, "center-crs"),
        ),
        Parameter("scale-denominator", "The scale: 10000 is 1 : 10 000.", _NUMBER, axes.positive),
        Parameter(
            "mm-per-pixel",
            "How large a pixel of the screen is (mm), which the scale is of.",
            _NUMBER | {"default": PIXEL},
            axes.positive,
        ),
        Parameter(
            "bgcolor",
            "The colour behind the map: six hexadecimal digits, or a name of a web colour; white without it.",
            {"type": "string"},
            read_color,
        ),
        Parameter(
            "transparent",
            "Whether nothing is behind the map; true where no bgcolor is given and the format can.",
            {"type": "boolean"},
            read_flag,
        ),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MapQuery:
    """What is wanted of a map; ``crs`` is the short name of its CRS, None for the coverage's own."""

    region: Region | None = None
    center: Region | None = None
    crs: str | None = None
    interval: Interval | None = None
    width: int | None = None
    height: int | None = None
    #: Metres on the ground of a pixel.
    ground: float | None = None
    background: Rgb | None = None
    transparent: bool = True


def parse(pairs: Sequence[tuple[str, str]]) -> MapQuery:
    """The query of a request, those of style apart. Raises BadParameter."""
    values = queries.read(pairs, TABLE)
    region, interval = queries.where(values)
    center = values.get("center")
    if center is not None and region is not None:
        raise BadParameter("center", center, f"not together with {region.parameter}")
    scale = values.get("scale-denominator")
    sizes = [name for name in ("width", "height") if name in values]
    if scale is not None and region is not None and sizes:
        raise BadParameter(
            "scale-denominator", scale, f"not together with {region.parameter} and {sizes[0]}, which say it"
        )
    background = values.get("bgcolor")
    return MapQuery(
        region=region,
        center=None if center is None else _around_center(values, center),
        crs=values.get("crs"),
        interval=interval,
        width=values.get("width"),
        height=values.get("height"),
        ground=None if scale is None else scale * values.get("mm-per-pixel", PIXEL) / 1000,
        background=background,
        transparent=values.get("transparent", background is None),
    )


def _around_center(values: dict[str, Any], center: tuple[float, float]) -> Region:
    crs = values.get("center-crs", LABEL84)
    return Region((*center, *center), crs, x_first=crs == LABEL84, parameter="center")


def placed(coverage: Coverage, query: MapQuery) -> Grid:
    """The place and size of the map: exactly the part that is asked for, its cells square where its size is
    not. Raises BadParameter, NotFound for a part that lies nowhere, TooLarge."""
    full = plan.full_grid(coverage, query.crs)
    unit = DEGREE if full.crs.is_geographic else full.crs.linear_units_factor[1]
    cell = query.ground / unit if query.ground is not None else None
    sized = query.region is None and bool(query.width or query.height)
    if query.center is not None or (cell is not None and sized):
        return _checked(_about(coverage, query, full, cell or full.cell[0]))
    box = full.bounds if query.region is None else _box(coverage, query.region, full)
    across, down = box[2] - box[0], box[3] - box[1]
    if across <= 0 or down <= 0:
        raise BadParameter(query.region.parameter if query.region else "bbox", box, "it has no area")
    width, height = _size(query, across, down, cell, full)
    return _checked(Grid(full.crs, box, width, height))


def _size(query: MapQuery, across: float, down: float, cell: float | None, full: Grid) -> tuple[int, int]:
    if cell is not None:
        width, height = across / cell, down / cell
    elif query.width is not None and query.height is not None:
        width, height = query.width, query.height
    elif query.width is not None:
        width, height = query.width, query.width * down / across
    elif query.height is not None:
        width, height = query.height * across / down, query.height
    else:
        least = max(across, down) / USUAL
        side = max(least, min(full.cell))
        width, height = across / side, down / side
    for one in (width, height):
        if one > MOST_SIDE:
            raise TooLarge(
                f"{one:.3g} pixels along one side, and at most {MOST_SIDE} are drawn at once: ask for a "
                "smaller part, a smaller size or a smaller scale"
            )
    return max(1, round(width)), max(1, round(height))


def _about(coverage: Coverage, query: MapQuery, full: Grid, cell: float) -> Grid:
    """A map of so many cells around a middle: the one that is asked for, or that of the coverage."""
    west, south, east, north = full.bounds
    if query.center is not None:
        west, south, east, north = plan.box_of(coverage, query.center, full.crs)
    x, y = (west + east) / 2, (south + north) / 2
    width = query.width or query.height or USUAL
    height = query.height or query.width or USUAL
    half = width * cell / 2, height * cell / 2
    return Grid(full.crs, (x - half[0], y - half[1], x + half[0], y + half[1]), width, height)


def _checked(grid: Grid) -> Grid:
    if grid.width * grid.height > MOST or max(grid.width, grid.height) > MOST_SIDE:
        raise TooLarge(
            f"a map of {grid.width} × {grid.height} pixels; at most {MOST} are drawn at once, and "
            f"{MOST_SIDE} along one side: ask for a smaller size, or for parts"
        )
    return grid


def _box(coverage: Coverage, region: Region, full: Grid) -> Bbox:
    """The region in the CRS of the map. Of the whole world Web Mercator has what it can show."""
    of = coverage.grid.crs if region.crs is None else plan.system(region.crs)
    if not of.is_geographic:
        return plan.box_of(coverage, region, full.crs)
    box = region.box
    if not region.x_first and region.crs is not None and swaps(region.crs):
        box = box[1], box[0], box[3], box[2]
    if _beyond(box[1], box[3], 90) or (box[0] <= box[2] and _beyond(box[0], box[2], 360)):
        raise NotFound(f"there is nothing at {region.parameter}={','.join(f'{end:g}' for end in region.box)}")
    limit = MAX_LATITUDE if full.crs == plan.system(WEB_MERCATOR) else 90.0
    south, north = (end if math.isinf(end) else max(-limit, min(limit, end)) for end in (box[1], box[3]))
    west, east = (end if math.isinf(end) else max(-180.0, min(180.0, end)) for end in (box[0], box[2]))
    clipped = Region((west, south, east, north), region.crs, parameter=region.parameter)
    return plan.box_of(coverage, clipped, full.crs)


def _beyond(low: float, high: float, limit: float) -> bool:
    return low > limit or high < -limit
