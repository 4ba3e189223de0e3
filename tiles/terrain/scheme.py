"""The tiles of terrain: the geodetic quadtree with two tiles at zoom 0 and rows from the south (TMS 1.0.0,
global-geodetic; WorldCRS84Quad of OGC 17-083r4 has the same tiles with rows from the north)."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from layers.errors import NotFound, shown
from layers.types import Bbox
from tiles.scheme import METRES_PER_DEGREE, Floats

#: Samples between the edges of a tile.
SIZE = 256
#: Zooms at which the whole Earth has tiles: below them, a mesh of the zoom before is flatter than the Earth.
WHOLE_EARTH = 10
#: The shallowest and the deepest zoom at which terrain may end.
DEEPEST = (18, 20)
#: Geometric error (m) of zoom 0 as clients take it (Cesium: a quarter of the equator in 2 × 65 samples).
ERROR = 77_067.34


def tolerance(z: int) -> float:
    """Metres by which a mesh may differ from the samples: half of what a client takes for its error."""
    return ERROR / (1 << z) / 2


def spacing(z: int) -> float:
    """Metres between the samples of a zoom, along a meridian."""
    return 180.0 / (1 << z) / SIZE * METRES_PER_DEGREE


def deepest(resolution: float) -> int:
    """The last zoom for files with pixels of so many metres."""
    finest = math.ceil(math.log2(spacing(0) / max(resolution, 1e-3)))
    return min(max(finest, DEEPEST[0]), DEEPEST[1])


def check(z: int, x: int, y: int, last: int) -> None:
    """Raises NotFound for a tile outside the zooms or the matrix."""
    if not 0 <= z <= last:
        raise NotFound(f"zoom {shown(z)} is outside 0…{last}")
    if not (0 <= x < 2 << z and 0 <= y < 1 << z):
        raise NotFound(f"tile column {shown(x)}, row {shown(y)} is outside the matrix of zoom {z}")


def bounds(z: int, x: int, y: int) -> Bbox:
    """West, south, east, north (degrees) of a tile."""
    size = 180.0 / (1 << z)
    return x * size - 180, y * size - 90, (x + 1) * size - 180, (y + 1) * size - 90


def samples(z: int, x: int, y: int, pad: int) -> tuple[Floats, Floats]:
    """Longitudes and latitudes (SIZE + 1 + 2 · pad each; latitudes from the north) of the samples of a tile:
    one that tiles share is the same number in each."""
    part = 180.0 / ((1 << z) * SIZE)
    column = np.arange(x * SIZE - pad, (x + 1) * SIZE + pad + 1, dtype=np.float64)
    row = np.arange((y + 1) * SIZE + pad, y * SIZE - pad - 1, -1, dtype=np.float64)
    return column * part - 180, np.clip(row * part - 90, -90, 90)


type Range = dict[str, int]


def available(boxes: Iterable[Bbox], last: int) -> list[list[Range]]:
    """The tiles that there are, by zoom, as ``available`` of a layer.json has them: all of the Earth, deeper
    those that meet one of some boxes (degrees, longitudes beyond ±180 allowed)."""
    boxes = list(boxes)
    levels: list[list[Range]] = []
    for z in range(last + 1):
        if z <= WHOLE_EARTH:
            levels.append([_range(0, 0, (2 << z) - 1, (1 << z) - 1)])
        else:
            levels.append([one for box in boxes for one in _ranges(z, box)])
    return levels


def _ranges(z: int, box: Bbox) -> list[Range]:
    size = 180.0 / (1 << z)
    wide, high = 2 << z, 1 << z
    low = max(0, math.floor((box[1] + 90) / size))
    top = min(high - 1, math.floor((box[3] + 90) / size))
    first, last = math.floor((box[0] + 180) / size), math.floor((box[2] + 180) / size)
    if last - first >= wide - 1:
        return [_range(0, low, wide - 1, top)]
    first, last = first % wide, last % wide
    if first <= last:
        return [_range(first, low, last, top)]
    return [_range(first, low, wide - 1, top), _range(0, low, last, top)]


def _range(x0: int, y0: int, x1: int, y1: int) -> Range:
    return {"startX": x0, "startY": y0, "endX": x1, "endY": y1}


def holds(ranges: Iterable[Range], x: int, y: int) -> bool:
    """Whether a tile is in one of some ranges."""
    return any(r["startX"] <= x <= r["endX"] and r["startY"] <= y <= r["endY"] for r in ranges)
