"""The plan of the city: crossings of main roads, superblocks between them, their streets, blocks and parcels.

A superblock is laid out by itself: its own random numbers, the four crossings at its corners, nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from twin.demo.lanjiang import quads
from twin.demo.lanjiang.draws import draws
from twin.demo.lanjiang.quads import Point, Quad, mm

#: Metres from one main road to the next, eastwards and northwards.
WIDE, HIGH = 700.0, 600.0
#: The row of superblocks in which the river runs, and how high it is.
RIVER_ROW, RIVER_HIGH = -2, 300.0
#: Columns and rows of superblocks of a size; the middle of the city is the south-west corner of (0, 0).
SIZES = {"S": ((-1, 1), (-2, 0)), "M": ((-4, 4), (-6, 4)), "L": ((-21, 21), (-25, 24))}
#: Middle (m) of the hill, and the distance at which it has fallen to a third.
HILL, HILL_WIDE = (2_500.0, 2_300.0), 620.0


class Class(StrEnum):
    """Classes of roads, as the kind of roads has them, and their widths from red line to red line (m)."""

    MAIN = "main"
    COLLECTOR = "collector"
    STREET = "street"
    LANE = "service"


WIDTHS = {Class.MAIN: 40.0, Class.COLLECTOR: 24.0, Class.STREET: 15.0, Class.LANE: 7.0}


class Use(StrEnum):
    """What a superblock is mostly for."""

    CORE = "core"
    ESTATE = "estate"
    OLD = "old"
    INDUSTRY = "industry"
    CAMPUS = "campus"
    VILLAGE = "village"
    HILL = "hill"
    FIELDS = "fields"
    RIVER = "river"


#: Sides (m) of a block, and the class of the streets that part it from others.
_BLOCKS = {
    Use.CORE: (140.0, 115.0, Class.STREET),
    Use.ESTATE: (250.0, 200.0, Class.STREET),
    Use.OLD: (130.0, 100.0, Class.LANE),
    Use.INDUSTRY: (260.0, 200.0, Class.STREET),
    Use.CAMPUS: (260.0, 210.0, Class.STREET),
    Use.VILLAGE: (150.0, 120.0, Class.LANE),
}
#: The middle of the city is drawn, so that its smallest size has one of each.
_CENTRE = {
    (0, 0): Use.CORE,
    (-1, 0): Use.ESTATE,
    (1, 0): Use.CAMPUS,
    (-1, -1): Use.INDUSTRY,
    (0, -1): Use.OLD,
    (1, -1): Use.ESTATE,
}


@dataclass(frozen=True, slots=True)
class Street:
    """A road as far as it runs in a superblock or at its side, from west to east or from south to north."""

    cls: Class
    start: Point
    end: Point

    @property
    def level(self) -> bool:
        """Whether it runs from west to east."""
        return abs(self.end[0] - self.start[0]) >= abs(self.end[1] - self.start[1])


@dataclass(frozen=True, slots=True)
class Block:
    """What lies between roads, to their middles, and which of the superblock's streets lie at its sides
    (south, east, north, west)."""

    quad: Quad
    roads: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Superblock:
    """What main roads enclose, column and row of it."""

    i: int
    j: int
    use: Use
    quad: Quad


def cells(size: str) -> Iterator[tuple[int, int]]:
    """Columns and rows of the superblocks of a size."""
    (west, east), (south, north) = SIZES[size]
    return ((i, j) for j in range(south, north + 1) for i in range(west, east + 1))


def crossing(seed: int, i: int, j: int) -> Point:
    """Where two main roads meet."""
    random = draws(seed, "crossing", i, j)
    x, y = i * WIDE, j * HIGH + (HIGH - RIVER_HIGH if j <= RIVER_ROW else 0.0)
    bend = 140 * math.sin(x / 2_900 + 0.4), 110 * math.sin(y / 2_300) + 70 * math.sin(x / 1_700)
    off = random.uniform(-1, 1, 2) * (45 if j not in (RIVER_ROW, RIVER_ROW + 1) else 15)
    return mm(x + bend[0] + float(off[0]), y + bend[1] + float(off[1]))


def superblock(seed: int, i: int, j: int) -> Superblock:
    """The superblock of a column and a row."""
    corners = ((i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1))
    a, b, c, d = (crossing(seed, *corner) for corner in corners)
    return Superblock(i, j, _use(seed, i, j, quads.middle((a, b, c, d))), (a, b, c, d))


def _use(seed: int, i: int, j: int, middle: Point) -> Use:
    if j == RIVER_ROW:
        return Use.RIVER
    if (i, j) in _CENTRE:
        return _CENTRE[i, j]
    if math.dist(middle, HILL) < 1.25 * HILL_WIDE:
        return Use.HILL
    chance = float(draws(seed, "use", i, j).random())
    for use, share in _shares(_settled(middle)):
        chance -= share
        if chance < 0:
            return use
    return Use.FIELDS


#: Shares of the uses where a place is settled at least so much, the densest first; fields have the rest.
_SHARES: tuple[tuple[float, tuple[tuple[Use, float], ...]], ...] = (
    (
        0.72,
        (
            (Use.ESTATE, 0.52),
            (Use.CORE, 0.1),
            (Use.OLD, 0.13),
            (Use.CAMPUS, 0.11),
            (Use.INDUSTRY, 0.06),
            (Use.VILLAGE, 0.08),
        ),
    ),
    (
        0.3,
        (
            (Use.ESTATE, 0.57),
            (Use.INDUSTRY, 0.14),
            (Use.VILLAGE, 0.12),
            (Use.CAMPUS, 0.07),
            (Use.OLD, 0.05),
            (Use.CORE, 0.04),
        ),
    ),
    (
        0.08,
        (
            (Use.VILLAGE, 0.38),
            (Use.ESTATE, 0.3),
            (Use.INDUSTRY, 0.22),
            (Use.CAMPUS, 0.03),
            (Use.OLD, 0.02),
        ),
    ),
    (0.0, ((Use.VILLAGE, 0.66), (Use.INDUSTRY, 0.06), (Use.ESTATE, 0.05))),
)
#: Middle (m) of the city and of its towns, weight of each, and the distance (m) at which it has fallen to a
#: third: of how high is built there, and of how much.
_TOWNS = (
    ((0.0, 0.0), 1.0, 2_600.0, 4_200.0),
    ((8_400.0, 6_000.0), 0.75, 1_700.0, 2_900.0),
    ((-9_100.0, -7_800.0), 0.7, 1_600.0, 2_800.0),
    ((-8_800.0, 8_600.0), 0.6, 1_300.0, 2_600.0),
    ((9_600.0, -8_200.0), 0.6, 1_300.0, 2_600.0),
)


def _shares(settled: float) -> tuple[tuple[Use, float], ...]:
    return next(shares for least, shares in _SHARES if settled >= least)


def centrality(point: Point) -> float:
    """How near to the middle of the city, or of one of its towns, a place is: 1 there, 0 far out."""
    return max(_fallen(point, at, weight, fades) for at, weight, fades, _ in _TOWNS)


def _settled(point: Point) -> float:
    """How densely settled a place is: 1 in the middle, 0 far out."""
    return max(_fallen(point, at, weight, fades) for at, weight, _, fades in _TOWNS)


def _fallen(point: Point, at: Point, weight: float, fades: float) -> float:
    return round(weight * math.exp(-((math.dist(point, at) / fades) ** 2)), 6)


@dataclass(frozen=True, slots=True)
class Layout:
    """Blocks of a superblock and its streets, of which the first four are the main roads at its south, east,
    north and west side."""

    blocks: tuple[Block, ...]
    streets: tuple[Street, ...]

    def inside(self, block: Block) -> Quad | None:
        """What a block has within the red lines."""
        south, east, north, west = (WIDTHS[self.streets[road].cls] / 2 for road in block.roads)
        return quads.inset(block.quad, south, east, north, west)


def layout(seed: int, of: Superblock) -> Layout:
    """Halved by a street, and halved again, as long as a half is larger than blocks of its use are."""
    a, b, c, d = of.quad
    streets = [Street(Class.MAIN, *ends) for ends in ((a, b), (b, c), (d, c), (a, d))]
    if of.use not in _BLOCKS:
        return Layout((), tuple(streets))
    wide, high, least = _BLOCKS[of.use]
    random = draws(seed, "streets", of.i, of.j)
    blocks: list[Block] = []
    waiting: list[tuple[tuple[float, float, float, float], tuple[int, int, int, int], int]] = [
        ((0.0, 0.0, 1.0, 1.0), (0, 1, 2, 3), 0)
    ]
    while waiting:
        (west, south, east, north), (s, e, n, w), depth = waiting.pop()
        quad = quads.part(of.quad, west, south, east, north)
        x, y = quads.sides(quad)
        if max(x / wide, y / high) < 1.35:
            blocks.append(Block(quad, (s, e, n, w)))
            continue
        share = round(0.5 + float(random.uniform(-0.1, 0.1)), 3)
        cls = Class.STREET if depth < 3 else least
        if depth == 0 and least is not Class.LANE:
            cls = Class.COLLECTOR
        own = len(streets)
        if x / wide >= y / high:
            cut = round(west + (east - west) * share, 4)
            streets.append(Street(cls, quads.at(of.quad, cut, south), quads.at(of.quad, cut, north)))
            waiting.append(((cut, south, east, north), (s, e, n, own), depth + 1))
            waiting.append(((west, south, cut, north), (s, own, n, w), depth + 1))
        else:
            cut = round(south + (north - south) * share, 4)
            streets.append(Street(cls, quads.at(of.quad, west, cut), quads.at(of.quad, east, cut)))
            waiting.append(((west, cut, east, north), (own, e, n, w), depth + 1))
            waiting.append(((west, south, east, cut), (s, e, own, w), depth + 1))
    return Layout(tuple(blocks), tuple(streets))
