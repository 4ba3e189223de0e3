"""Where a road leaves the ground: underpasses, whose lanes dip below a crossing main road while side roads
stay level, tunnels through the hill, bridges over the river."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.demo.lanjiang import names, relief
from twin.demo.lanjiang.plan import WIDTHS, Class, Street, crossing
from twin.demo.lanjiang.quads import Point, mm

type Floats = NDArray[np.float64]

#: Crossings below which the road from south to north dips.
UNDERPASSES = ((0, 0), (1, 0))
#: How deep (m), how far from the crossing it is so deep, on how long a ramp it comes up (5 %), and how wide
#: the lanes are between their walls.
DEEP_M, RAMP_M, LANES_M = 5.5, 110.0, 16.0
LEVEL_M = WIDTHS[Class.MAIN] / 2 + 2
#: Free height below the road above (m): what is deep, less its deck.
CLEAR_M = 4.5
#: A road is in a tunnel if the ground is so much higher than a straight way between its ends (m).
_TUNNEL_M = 8.0


@dataclass(frozen=True, slots=True)
class Underpass:
    """Lanes that dip: from the south, the crossing, to the north; and the roads that meet there."""

    i: int
    j: int
    line: tuple[Point, Point, Point]
    road: str
    above: str

    @property
    def low_m(self) -> float:
        """The lowest place of the lanes, metres above the datum of 1985."""
        x, y = np.array(self.line[1]).reshape(2, 1)
        return round(float(relief.height(x, y)[0]) - DEEP_M, 2)


def underpass(seed: int, i: int, j: int) -> Underpass | None:
    """The underpass at a crossing, None where roads meet at one level."""
    if (i, j) not in UNDERPASSES:
        return None
    south, middle, north = (crossing(seed, i, j + step) for step in (-1, 0, 1))
    ends = (_toward(middle, end, LEVEL_M + RAMP_M) for end in (south, north))
    first, last = ends
    road, above = names.main_road(False, i, j), names.main_road(True, j, i)
    return Underpass(i, j, (first, middle, last), road, above)


def surface(seed: int, x: Floats, y: Floats) -> Floats:
    """The ground with what is dug for underpasses, metres above the datum of 1985; ``relief.height`` is it
    without."""
    ground = relief.height(x, y)
    for place in UNDERPASSES:
        found = underpass(seed, *place)
        assert found is not None
        ground = ground - _dug(found, x, y)
    rounded: Floats = np.round(ground, 2)
    return rounded


def in_tunnel(street: Street) -> bool:
    """Whether the hill is above a road."""
    share = np.linspace(0, 1, 25)
    (ax, ay), (bx, by) = street.start, street.end
    ground = relief.height(ax + (bx - ax) * share, ay + (by - ay) * share)
    return bool((ground - (ground[0] + (ground[-1] - ground[0]) * share)).max() > _TUNNEL_M)


def _toward(start: Point, end: Point, by: float) -> Point:
    share = by / math.dist(start, end)
    return mm(start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share)


def _dug(found: Underpass, x: Floats, y: Floats) -> Floats:
    """How deep the ground is dug at places (m)."""
    deep = np.zeros(np.broadcast(x, y).shape)
    middle = found.line[1]
    for end in (found.line[0], found.line[2]):
        long = math.dist(middle, end)
        dx, dy = (end[0] - middle[0]) / long, (end[1] - middle[1]) / long
        along = (x - middle[0]) * dx + (y - middle[1]) * dy
        off = np.abs((y - middle[1]) * dx - (x - middle[0]) * dy)
        # a little beyond the crossing, so that where the arms bend there is no wedge between them
        arm = np.clip((LEVEL_M + RAMP_M - along) / RAMP_M, 0, 1) * DEEP_M
        deep = np.maximum(deep, np.where((off < LANES_M / 2) & (along > -LANES_M / 2), arm, 0.0))
    return deep
