"""Drains of the main roads: which way they fall, and how deep they lie at a crossing.

All that is told of a crossing follows from its place alone: from it the way goes to the river, towards the
middle of the city where a hill is between, or to an outfall of the plain. A smaller city so has every outfall
that its drains need.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from twin.demo.lanjiang import plan, relief
from twin.demo.lanjiang.pipelines.media import BELOW_RAIN, DRAIN_COVER, RAIN, SEWER, Medium
from twin.demo.lanjiang.plan import RIVER_ROW, Class
from twin.demo.lanjiang.quads import Point, mm

type Cell = tuple[int, int]
type Floats = NDArray[np.float64]

#: Fall of trunk drains: at least, and at most.
LEAST, MOST = 0.001, 0.02
#: How much deeper than needed trunks lie, that drains of streets may fall to them.
SPARE = 1.4
#: A main road steeper than this has no pipelines.
_STEEP = 0.035
#: Rows of crossings beside the river, and the rows of the plain at which drains end, every so many rows.
BANKS, _NORTH, _SOUTH, _EVERY = (RIVER_ROW + 1, RIVER_ROW), 7, -9, 2
#: How much deeper the ends in the plain lie: those who fall to them have no slope of the ground.
_PLAIN = 2.2
#: How much deeper a crossing lies for each that falls to it along a row.
_ROUND = 1.3


@lru_cache(maxsize=4096)
def spot(seed: int, medium: Medium, i: int, j: int) -> Point:
    """Where the lines of a class meet at a crossing."""
    (x, y), off = plan.crossing(seed, i, j), medium.off[Class.MAIN]
    return mm(x + off, y + off)


def ground(a: Point, b: Point, shares: Floats) -> Floats:
    """Heights of the ground at shares of the way from a to b."""
    return relief.height(a[0] + (b[0] - a[0]) * shares, a[1] + (b[1] - a[1]) * shares)


_SHARES = np.linspace(0, 1, 25)


@lru_cache(maxsize=4096)
def has_pipes(seed: int, level: bool, i: int, j: int) -> bool:
    """Whether pipelines lie in the main road from crossing (i, j) eastwards (``level``) or northwards: not
    on the hill, not across the river."""
    if not level and j == RIVER_ROW:
        return False
    a, b = plan.crossing(seed, i, j), plan.crossing(seed, *beyond(level, i, j))
    step = math.dist(a, b) / (len(_SHARES) - 1)
    return bool(np.abs(np.diff(ground(a, b, _SHARES))).max() / step < _STEEP)


def beyond(level: bool, i: int, j: int) -> Cell:
    """The crossing at the other end of a main road."""
    return (i + 1, j) if level else (i, j + 1)


def ends(j: int) -> bool:
    """Whether drains end at the crossings of a row."""
    far = (j - _NORTH) if j >= _NORTH else (_SOUTH - j) if j <= _SOUTH else -1
    return j in BANKS or (far >= 0 and far % _EVERY == 0)


@lru_cache(maxsize=4096)
def downstream(seed: int, i: int, j: int) -> Cell | None:
    """The crossing to which the drains of one fall; None where they end."""
    if ends(j):
        return None
    onwards = (i, j - 1) if j > RIVER_ROW else (i, j + 1)
    inwards, outwards = ((i - 1, j), (i + 1, j)) if i > 0 else ((i + 1, j), (i - 1, j))
    here = float(ground(plan.crossing(seed, i, j), plan.crossing(seed, i, j), np.zeros(1))[0])
    found = [one for one in (onwards, inwards, outwards) if _joined(seed, (i, j), one)]
    for one in found:
        there = plan.crossing(seed, *one)
        if float(ground(there, there, np.zeros(1))[0]) < here + 1.0:
            return one
    return found[0] if found else None


def drained(seed: int, i: int, j: int) -> bool:
    """Whether what comes to a crossing goes on from there."""
    return ends(j) or downstream(seed, i, j) is not None


def _joined(seed: int, a: Cell, b: Cell) -> bool:
    (i, j), level = min(a, b), a[1] == b[1]
    return has_pipes(seed, level, i, j)


def size(j: int) -> tuple[int, int]:
    """Diameters (mm) of the rain drain and the sewer that fall from a crossing of that row."""
    far = j - BANKS[0] if j > RIVER_ROW else BANKS[1] - j
    return ((1500, 800), (1500, 800), (1200, 800), (1200, 600))[far] if far < 4 else (1000, 600)


def depth(seed: int, j: int) -> float:
    """From the ground to the invert of the trunk of rain that falls from a crossing of that row."""
    return DRAIN_COVER + size(j)[0] / 1_000 + SPARE


@lru_cache(maxsize=8192)
def rain(seed: int, i: int, j: int) -> float:
    """The invert (m) of the rain drains at a crossing."""
    here = spot(seed, RAIN, i, j)
    down = downstream(seed, i, j)
    if down is None:
        high = float(relief.height(np.array(here[0]), np.array(here[1])))
        return round(high - depth(seed, j) - (_PLAIN if j not in BANKS else 0.0), 3)
    there = spot(seed, RAIN, *down)
    base, long = rain(seed, *down), math.dist(here, there)
    share = _SHARES[1:]
    highest = (ground(there, here, share) - depth(seed, j) - (1 - share) * base) / share
    deeper = _ROUND * _round(seed, i, j)
    return round(max(min(float(highest.min()) - deeper, base + MOST * long), base + LEAST * long), 3)


def _round(seed: int, i: int, j: int) -> int:
    """How many crossings fall to one along its row, one after the other."""
    outer = (i + 1, j) if i >= 0 else (i - 1, j)
    return 1 + _round(seed, *outer) if downstream(seed, *outer) == (i, j) else 0


def sewer(seed: int, i: int, j: int) -> float:
    """The invert (m) of the sewers at a crossing: below the rain drains, at the banks of the intercepting
    sewer that leads to the works."""
    if j not in BANKS:
        return round(rain(seed, i, j) - size(j)[1] / 1_000 - BELOW_RAIN, 3)
    works = treatment(i)
    lowest = min(
        rain(seed, one, j) - INTERCEPTOR / 1_000 - BELOW_RAIN - LEAST * _far(seed, one, works, j)
        for one in range(works - 2, works + 3)
        if treatment(one) == works
    )
    return round(lowest + LEAST * _far(seed, i, works, j), 3)


#: Diameter (mm) of the intercepting sewers along the river.
INTERCEPTOR = 1000


def treatment(i: int) -> int:
    """The column of the works that clean the sewage of a column, along a bank of the river."""
    if -1 <= i <= 2:
        return 1
    return 3 + (i - 3) // 3 * 3 if i > 0 else -2 - (-2 - i) // 3 * 3


def _far(seed: int, i: int, k: int, j: int) -> float:
    step = 1 if k > i else -1
    spots = [spot(seed, SEWER, one, j) for one in range(i, k + step, step)] if i != k else []
    return sum(math.dist(a, b) for a, b in itertools.pairwise(spots))


def outfall(seed: int, i: int, j: int) -> tuple[Point, float]:
    """Where the rain drain of a crossing at the river comes out, and its invert (m)."""
    start = spot(seed, RAIN, i, j)
    other = spot(seed, RAIN, i, BANKS[1] if j == BANKS[0] else BANKS[0])
    share = np.linspace(0, 1, 601)
    x, y = (start[axis] + (other[axis] - start[axis]) * share for axis in (0, 1))
    off = np.round(np.abs(y - relief.axis(x)), 3)
    at = int(np.argmax(off < relief.RIVER + relief.BANK * 0.6))
    end = mm(float(x[at]), float(y[at]))
    return end, round(rain(seed, i, j) - 0.002 * math.dist(start, end), 3)
