"""The quadtree of WebMercatorQuad (OGC 17-083r4, annex D.1): in which cell the middle of a lon/lat box lies.

A cell (z, x, y) is half open: west <= lon < east and south < lat <= north, where the outermost cells reach on
beyond the square to the end of the world. Its edges are doubles, the same wherever they are asked for, and
whoever sorts features into cells compares with these, so that arrays, SQLite and PostgreSQL agree in every
bit. The middle of a box is (west + east) / 2, (south + north) / 2 in degrees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

type Floats = NDArray[np.float64]
type Keys = NDArray[np.uint64]

#: The deepest zoom of a cell.
DEEPEST = 26
#: Parts of a cell within which a place may lie on the other side of its computed edge.
_NEAR = 1e-3
#: The zoom from which cells are so small that a degree is as high everywhere in one, and how near to the next
#: size (as a power of two) a box may be all the same.
_FLAT, _UNSURE = 14, 0.05
#: Bits of a place that tell its size.
SIZE_BITS = 5
_MASKS = (
    (16, 0x0000FFFF0000FFFF),
    (8, 0x00FF00FF00FF00FF),
    (4, 0x0F0F0F0F0F0F0F0F),
    (2, 0x3333333333333333),
    (1, 0x5555555555555555),
)


@dataclass(frozen=True, slots=True)
class Edges:
    """What a box is compared with: the edges of a cell (degrees, infinite where it is outermost), and its
    width and height (degrees, of the cell within the square)."""

    west: float
    south: float
    east: float
    north: float
    width: float
    height: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The cell within the world: west, south, east, north."""
        return max(self.west, -180.0), max(self.south, -90.0), min(self.east, 180.0), min(self.north, 90.0)


def edges(z: int, x: int, y: int) -> Edges:
    """The edges of a cell. Raises ValueError for one that there is not."""
    if not 0 <= z <= DEEPEST or not (0 <= x < 1 << z and 0 <= y < 1 << z):
        raise ValueError(
            f"there is no tile {z}, {x}, {y}: zooms are 0 to {DEEPEST}, columns and rows 0 to 2^z - 1"
        )
    west, east = (float(v) for v in lon_of(np.array([x, x + 1]), z))
    north, south = (float(v) for v in lat_of(np.array([y, y + 1]), z))
    last = (1 << z) - 1
    return Edges(
        -np.inf if x == 0 else west,
        -np.inf if y == last else south,
        np.inf if x == last else east,
        np.inf if y == 0 else north,
        360.0 / (1 << z),
        north - south,
    )


def lon_of(columns: NDArray[np.int64], z: int) -> Floats:
    """The west edges (degrees) of columns of a zoom."""
    return np.asarray((columns / float(1 << z) - 0.5) * 360.0)


def lat_of(rows: NDArray[np.int64], z: int) -> Floats:
    """The north edges (degrees) of rows of a zoom."""
    return _lat(rows / float(1 << z))


def _lat(y: Floats) -> Floats:
    return np.asarray(np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * y)))))


def cells_of(lon: Floats, lat: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The columns and rows (n,) of :data:`DEEPEST` in which places (degrees) lie."""
    n = float(1 << DEEPEST)
    x = np.clip((lon / 360.0 + 0.5) * n, 0, n - 0.5)
    phi = np.radians(np.clip(lat, -89.9, 89.9))
    y = np.clip((0.5 - np.arctanh(np.sin(phi)) / (2 * np.pi)) * n, 0, n - 0.5)
    columns, rows = x.astype(np.int64), y.astype(np.int64)
    near, edge = _near(x)
    columns[near] = np.where(lon[near] >= lon_of(edge, DEEPEST), edge, edge - 1)
    near, edge = _near(y)
    rows[near] = np.where(lat[near] <= lat_of(edge, DEEPEST), edge, edge - 1)
    return np.clip(columns, 0, (1 << DEEPEST) - 1), np.clip(rows, 0, (1 << DEEPEST) - 1)


def _near(exact: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which places may lie on the other side of an edge than computed, and the number of that edge."""
    edge = np.rint(exact)
    near = np.flatnonzero(np.abs(exact - edge) < _NEAR)
    return near, edge[near].astype(np.int64)


def sizes_of(boxes: Floats, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The deepest zooms (n,) whose cell around the middle of a box (n, 4: west, south, east, north in
    degrees) is as wide and as high; ``rows`` are those of the middles. A box fits all zooms above, too."""
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    sizes = np.full(len(boxes), DEEPEST)
    some = np.flatnonzero((width > 0) | (height > 0))
    if not len(some):
        return sizes
    width, height, rows = width[some], height[some], rows[some]
    # a side of nothing, or of next to nothing, fits every cell
    with np.errstate(divide="ignore", over="ignore"):
        shrunk = np.cos(np.radians(lat_of(rows, DEEPEST)))
        guess = np.minimum(np.log2(360.0 / width), np.log2(360.0 * shrunk / height))
    guess = np.minimum(guess, DEEPEST + 0.5)
    found = np.clip(np.floor(guess), 0, DEEPEST).astype(np.int64)
    # a guess at a distance from the next size is right where a cell is small
    open_ = np.flatnonzero((found < _FLAT) | (np.abs(guess - np.rint(guess)) < _UNSURE))
    while len(open_):
        w, h, row, at = width[open_], height[open_], rows[open_], found[open_]
        less = ~_fits(w, h, row, at) & (at > 0)
        more = (at < DEEPEST) & _fits(w, h, row, np.minimum(at + 1, DEEPEST)) & ~less
        found[open_] += more.astype(np.int64) - less
        open_ = open_[less | more]
    sizes[some] = found
    return sizes


def _fits(width: Floats, height: Floats, rows: NDArray[np.int64], z: NDArray[np.int64]) -> NDArray[np.bool_]:
    cell = rows >> (DEEPEST - z)
    n = np.exp2(z.astype(float))
    north, south = _lat(cell / n), _lat((cell + 1) / n)
    return np.asarray((width <= 360.0 / n) & (height <= north - south))


def morton(x: NDArray[np.int64], y: NDArray[np.int64]) -> Keys:
    """The numbers of cells along a Z-curve: those of one cell of a zoom above are neighbours, and its own
    number is theirs without the last two bits a zoom."""
    return _spread(x) | (_spread(y) << np.uint64(1))


def _spread(values: NDArray[np.int64]) -> Keys:
    out = values.astype(np.uint64)
    for shift, mask in _MASKS:
        out = (out | (out << np.uint64(shift))) & np.uint64(mask)
    return out


def columns_rows(keys: Keys) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The columns and rows of numbers along a Z-curve."""
    return _gathered(keys), _gathered(keys >> np.uint64(1))


def _gathered(keys: Keys) -> NDArray[np.int64]:
    out = keys & np.uint64(_MASKS[-1][1])
    for (shift, _), mask in zip(
        reversed(_MASKS), (*(m for _, m in reversed(_MASKS[:-1])), 0xFFFFFFFF), strict=True
    ):
        out = (out | (out >> np.uint64(shift))) & np.uint64(mask)
    return out.astype(np.int64)


def places_of(boxes: Floats) -> Keys:
    """Where boxes (n, 4: west, south, east, north in degrees) belong: the number of the cell of
    :data:`DEEPEST` around the middle, five bits of :func:`sizes_of` after it."""
    x, y = cells_of((boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2)
    return morton(x, y) << np.uint64(SIZE_BITS) | sizes_of(boxes, y).astype(np.uint64)
