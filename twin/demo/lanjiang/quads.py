"""Convex quadrilaterals on the plan (metres, counter-clockwise from the south-west): all is made of them.

Coordinates are rounded to millimetres wherever something is decided by them, so that no machine decides
otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

type Point = tuple[float, float]
#: South-west, south-east, north-east, north-west.
type Quad = tuple[Point, Point, Point, Point]


def mm(x: float, y: float) -> Point:
    """A point to the millimetre."""
    return round(x, 3), round(y, 3)


def at(quad: Quad, u: float, v: float) -> Point:
    """The point at a share of the way from west to east (u) and from south to north (v)."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = quad
    south, north = (1 - u) * (1 - v), (1 - u) * v
    east, far = u * (1 - v), u * v
    return mm(ax * south + bx * east + cx * far + dx * north, ay * south + by * east + cy * far + dy * north)


def part(quad: Quad, west: float, south: float, east: float, north: float) -> Quad:
    """What lies between shares of the ways."""
    return at(quad, west, south), at(quad, east, south), at(quad, east, north), at(quad, west, north)


def inset(quad: Quad, south: float, east: float, north: float, west: float) -> Quad | None:
    """With its sides moved inwards so far; None where nothing is left."""
    lines = [_moved(quad[i], quad[(i + 1) % 4], by) for i, by in enumerate((south, east, north, west))]
    corners = [_crossing(lines[i - 1], lines[i]) for i in range(4)]
    if any(corner is None for corner in corners):
        return None
    made: Quad = tuple(mm(*corner) for corner in corners if corner is not None)  # type: ignore[assignment]
    turned = all(_along(made[i], made[(i + 1) % 4], quad[i], quad[(i + 1) % 4]) > 0 for i in range(4))
    return made if turned and area(made) > 0 else None


def area(ring: tuple[Point, ...]) -> float:
    """Square metres of any ring, positive counter-clockwise."""
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, (*ring[1:], ring[0]), strict=True)) / 2


def sides(quad: Quad) -> tuple[float, float]:
    """Mean length of the sides from west to east, and from south to north."""
    a, b, c, d = quad
    return (math.dist(a, b) + math.dist(d, c)) / 2, (math.dist(b, c) + math.dist(a, d)) / 2


def middle(quad: Quad) -> Point:
    """The mean of the corners."""
    return mm(sum(p[0] for p in quad) / 4, sum(p[1] for p in quad) / 4)


def across(quad: Quad, y: float, turn: float = 0.0) -> tuple[float, float] | None:
    """Where a line enters and leaves, in axes turned by ``turn`` (radians, counter-clockwise), of which it is
    the line of that y; None where it does not meet the inside."""
    found = []
    corners = [turned(p, -turn) for p in quad]
    for (ax, ay), (bx, by) in zip(corners, (*corners[1:], corners[0]), strict=True):
        if (ay <= y) != (by <= y):
            found.append(ax + (y - ay) / (by - ay) * (bx - ax))
    return (min(found), max(found)) if len(found) == 2 else None


def turned(point: Point, by: float) -> Point:
    """Turned about the origin, counter-clockwise (radians)."""
    x, y = point
    return x * math.cos(by) - y * math.sin(by), x * math.sin(by) + y * math.cos(by)


@dataclass(frozen=True, slots=True)
class _Line:
    """A point and a direction of length 1."""

    x: float
    y: float
    dx: float
    dy: float


def _moved(a: Point, b: Point, by: float) -> _Line:
    """The line through two points, moved to its left."""
    length = math.dist(a, b) or 1.0
    dx, dy = (b[0] - a[0]) / length, (b[1] - a[1]) / length
    return _Line(a[0] - dy * by, a[1] + dx * by, dx, dy)


def _crossing(a: _Line, b: _Line) -> Point | None:
    turn = a.dx * b.dy - a.dy * b.dx
    if abs(turn) < 1e-9:
        return None
    along = ((b.x - a.x) * b.dy - (b.y - a.y) * b.dx) / turn
    return a.x + along * a.dx, a.y + along * a.dy


def _along(a: Point, b: Point, c: Point, d: Point) -> float:
    """How far from a to b goes the way from c to d."""
    return (b[0] - a[0]) * (d[0] - c[0]) + (b[1] - a[1]) * (d[1] - c[1])
