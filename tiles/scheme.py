"""WebMercatorQuad (OGC 17-083r4, annex D.1) in world units.

World units run from 0 to 1 on both axes of the Mercator square, x to the east and y to the
south, so tile (z, x, y) covers x … x + 1 of 2^z parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from layers.errors import NotFound, shown
from layers.types import Bbox

type Floats = NDArray[np.float64]

#: Latitude (degrees) at which the Mercator square ends.
MAX_LATITUDE = 85.0511287798066
#: Equatorial circumference of the WGS 84 ellipsoid (m).
CIRCUMFERENCE = 2 * np.pi * 6_378_137.0
#: Along the equator, and near enough along a meridian for sizes.
METRES_PER_DEGREE = 111_320.0
#: Side of a vector tile in its own units (MVT 2.1, clause 4.1).
EXTENT = 4096
#: The deepest zoom of the vector tiles of a layer that names no other; clients draw deeper ones from it.
MAX_ZOOM = 16
#: The deepest that a layer may name: there a unit of a tile is less than a centimetre.
DEEPEST_ZOOM = 20
#: Zooms of the nodes of the 3D tree, largest features first.
SCENE_ZOOMS = (14, 15, 16)

#: Pairs of boxes that are compared one with the other; of more, a tree is made.
_FEW = 20_000


@dataclass(frozen=True, slots=True)
class Cells:
    """A range of cells of one zoom, both ends included; empty when x1 < x0 or y1 < y0."""

    z: int
    x0: int
    y0: int
    x1: int
    y1: int

    def __len__(self) -> int:
        return max(0, self.x1 - self.x0 + 1) * max(0, self.y1 - self.y0 + 1)

    def __iter__(self) -> Any:
        return ((self.z, x, y) for x in range(self.x0, self.x1 + 1) for y in range(self.y0, self.y1 + 1))


def world(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """World units of longitudes and latitudes (degrees); latitudes are held to the square."""
    phi = np.radians(np.clip(lat, -MAX_LATITUDE, MAX_LATITUDE))
    return lon / 360.0 + 0.5, 0.5 - np.arctanh(np.sin(phi)) / (2 * np.pi)


def lonlat(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Longitudes and latitudes (degrees) of world units."""
    return (x - 0.5) * 360.0, np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * y))))


def world_boxes(boxes: Floats) -> Floats:
    """Lon/lat boxes (n, 4) as world boxes (n, 4): minx, miny, maxx, maxy with y to the south."""
    x0, y1 = world(boxes[:, 0], boxes[:, 1])
    x1, y0 = world(boxes[:, 2], boxes[:, 3])
    return np.stack([x0, y0, x1, y1], axis=1)


def tile_box(z: int, x: int, y: int, buffer: float = 0.0) -> Bbox:
    """The world box of a tile, widened on every side by ``buffer`` parts of a tile."""
    n = 1 << z
    return (x - buffer) / n, (y - buffer) / n, (x + 1 + buffer) / n, (y + 1 + buffer) / n


def tile_bounds(z: int, x: int, y: int) -> Bbox:
    """West, south, east, north (degrees) of a tile."""
    x0, y0, x1, y1 = tile_box(z, x, y)
    lon, lat = lonlat(np.array([x0, x1]), np.array([y1, y0]))
    return float(lon[0]), float(lat[0]), float(lon[1]), float(lat[1])


def cells(box: Bbox, z: int, buffer: float = 0.0) -> Cells:
    """The cells of one zoom whose box, widened by ``buffer`` parts of a tile, meets a world box."""
    n = 1 << z
    x0, y0 = int(np.floor(box[0] * n - buffer)), int(np.floor(box[1] * n - buffer))
    x1, y1 = int(np.floor(box[2] * n + buffer)), int(np.floor(box[3] * n + buffer))
    return Cells(z, max(0, x0), max(0, y0), min(n - 1, x1), min(n - 1, y1))


def meets(boxes: Floats, box: Bbox) -> NDArray[np.bool_]:
    """Which world boxes (n, 4) meet one box, edges included."""
    return (
        (boxes[:, 0] <= box[2]) & (boxes[:, 2] >= box[0]) & (boxes[:, 1] <= box[3]) & (boxes[:, 3] >= box[1])
    )


def within(boxes: Floats, box: Bbox) -> NDArray[np.bool_]:
    """Which world boxes (n, 4) lie in one box, edges included."""
    return (
        (boxes[:, 0] >= box[0]) & (boxes[:, 2] <= box[2]) & (boxes[:, 1] >= box[1]) & (boxes[:, 3] <= box[3])
    )


def blocks(ordered: Floats, size: int) -> Floats:
    """The boxes around each ``size`` world boxes that follow one another."""
    if not len(ordered):
        return np.empty((0, 4))
    starts = np.arange(0, len(ordered), size)
    low = np.minimum.reduceat(ordered[:, :2], starts)
    high = np.maximum.reduceat(ordered[:, 2:], starts)
    return np.concatenate([low, high], axis=1)


def morton(boxes: Floats) -> NDArray[np.uint64]:
    """Z-curve keys of the middles of world boxes, 24 bits an axis."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    cells = np.clip(middle * 2.0**24, 0, 2**24 - 1).astype(np.uint64)
    for shift, mask in (
        (16, 0x0000FFFF0000FFFF),
        (8, 0x00FF00FF00FF00FF),
        (4, 0x0F0F0F0F0F0F0F0F),
        (2, 0x3333333333333333),
        (1, 0x5555555555555555),
    ):
        cells = (cells | (cells << np.uint64(shift))) & np.uint64(mask)
    return cells[:, 0] | (cells[:, 1] << np.uint64(1))


def meets_any(boxes: Floats, others: Floats) -> NDArray[np.bool_]:
    """Which world boxes (n, 4) meet at least one of some others (m, 4), edges included."""
    if len(boxes) * len(others) <= _FEW:
        a, b = boxes[:, None], others[None]
        met = (a[..., :2] <= b[..., 2:]) & (a[..., 2:] >= b[..., :2])
        return np.asarray(met.all(axis=2).any(axis=1))
    out = np.zeros(len(boxes), bool)
    out[shapely.STRtree(shapely.box(*boxes.T)).query(shapely.box(*others.T))[1]] = True
    return out


def hull(boxes: Floats) -> Bbox:
    """The box around world boxes (n, 4), n > 0."""
    west, north = boxes[:, :2].min(axis=0).tolist()
    east, south = boxes[:, 2:].max(axis=0).tolist()
    return west, north, east, south


def check_tile(z: int, x: int, y: int, zooms: tuple[int, int] = (0, MAX_ZOOM)) -> None:
    """Raises NotFound for a tile outside the zooms or the matrix."""
    if not zooms[0] <= z <= zooms[1]:
        raise NotFound(f"zoom {shown(z)} is outside {zooms[0]}…{zooms[1]}")
    if not (0 <= x < 1 << z and 0 <= y < 1 << z):
        raise NotFound(f"tile column {shown(x)}, row {shown(y)} is outside the matrix of zoom {z}")
