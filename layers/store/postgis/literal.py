"""A geometry literal of a filter in the coordinate reference system of a table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from layers import crs as crs_
from layers.errors import BadFile, BadParameter

#: An edge of 0.01° that is straight in lon/lat departs by 1 cm at most from its chord in a grid.
_EDGE_DEGREES = 0.01
_MOST_POSITIONS = 20_000
_MARGIN_DEGREES = 2.0


@dataclass(frozen=True, slots=True)
class Literal:
    """``ewkb`` in the table's CRS; ``cut`` where the literal reached beyond the area of that CRS."""

    ewkb: bytes
    cut: bool


def literal(shape: Any, srid: int) -> Literal | None:
    """A shapely geometry in lon/lat as EWKB of that SRID; None when it lies outside the CRS's area.

    Edges that are straight in lon/lat bend in a projected CRS, so long ones get more positions. Raises
    BadParameter when there is no accurate way to the CRS."""
    import shapely

    if srid == 4326:
        return Literal(shapely.to_wkb(shapely.set_srid(shape, srid), include_srid=True), False)
    inside = _within_area(shape, srid)
    if inside.is_empty:
        return None
    cut = inside is not shape
    edge = max(_EDGE_DEGREES, inside.length / _MOST_POSITIONS)
    dense = shapely.segmentize(inside, edge) if inside.length else inside
    moved = _projected(dense, f"EPSG:{srid}")
    if moved is None:
        return None
    return Literal(shapely.to_wkb(shapely.set_srid(moved, srid), include_srid=True), cut)


def _within_area(shape: Any, srid: int) -> Any:
    """The part in which the CRS is valid, the shape itself where it is all."""
    import shapely

    area = crs_.definition(f"EPSG:{srid}").area_of_use
    if area is None or area.west > area.east:
        return shape
    west, south = max(-180.0, area.west - _MARGIN_DEGREES), max(-90.0, area.south - _MARGIN_DEGREES)
    east, north = min(180.0, area.east + _MARGIN_DEGREES), min(90.0, area.north + _MARGIN_DEGREES)
    bounds = shape.bounds
    if bounds[0] >= west and bounds[1] >= south and bounds[2] <= east and bounds[3] <= north:
        return shape
    return shapely.intersection(shape, shapely.box(west, south, east, north))


def _projected(shape: Any, crs: str) -> Any:
    import numpy as np
    import shapely

    try:
        moved = shapely.transform(shape, lambda xy: crs_.from_lonlat(xy, crs, x_first=True))
    except BadFile as error:
        raise BadParameter("filter", crs, "a geometry cannot be brought into the layer's CRS") from error
    coordinates = shapely.get_coordinates(moved)
    return moved if math.isfinite(float(np.abs(coordinates).max())) else None
