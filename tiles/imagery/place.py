"""Where a picture lies."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from layers.types import Bbox, lon_spans
from tiles import scheme

WEB_MERCATOR = "EPSG:3857"
#: Cells a side of a tile.
TILE = 256


@dataclass(frozen=True, slots=True)
class Place:
    """West, south, east, north in the units of ``crs`` (as rasterio reads it), and the size in cells."""

    crs: str
    bounds: Bbox
    width: int
    height: int

    def widened(self) -> Place:
        """With one cell more on each side."""
        west, south, east, north = self.bounds
        x, y = (east - west) / self.width, (north - south) / self.height
        box = west - x, south - y, east + x, north + y
        return Place(self.crs, box, self.width + 2, self.height + 2)


def of_tile(z: int, x: int, y: int) -> Place:
    """A tile of WebMercatorQuad."""
    west, north, east, south = scheme.tile_box(z, x, y)
    half = scheme.CIRCUMFERENCE / 2
    box = (2 * west - 1) * half, (1 - 2 * south) * half, (2 * east - 1) * half, (1 - 2 * north) * half
    return Place(WEB_MERCATOR, box, TILE, TILE)


def meet(one: Bbox, other: Bbox) -> bool:
    """Whether two boxes in lon/lat meet; west > east across the antimeridian."""
    if one[1] > other[3] or other[1] > one[3]:
        return False
    spans = (lon_spans(box[0], box[2]) for box in (one, other))
    return any(a[0] <= b[1] and b[0] <= a[1] for a, b in product(*spans))
