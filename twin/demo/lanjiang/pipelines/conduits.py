"""Lines of each class of pipelines: where in which road they run, and where they meet those of other roads.

A line is straight. Its ends lie on the lines of its class in the roads where its own road ends. Of the main
roads the lines of both superblocks beside them are asked for, whether or not a size of the city has these.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from twin.demo.lanjiang import names, plan
from twin.demo.lanjiang.pipelines import trunks
from twin.demo.lanjiang.pipelines.media import HEAT, INDUSTRY, Medium
from twin.demo.lanjiang.plan import WIDTHS, Class, Layout, Street, Superblock, Use
from twin.demo.lanjiang.quads import Point, mm

#: Who has no lines of a class.
_WITHOUT = {Use.VILLAGE: (HEAT,)}
#: Where joints are nearer to each other than this (m), they are one.
_ONE = 0.3


@dataclass(frozen=True, slots=True)
class Joint:
    """Where the line of a street ends on that of another one: which street of its superblock, at its start
    or not, and how far (m) along the other."""

    street: int
    at_start: bool
    along: float


@dataclass(frozen=True, slots=True)
class Line:
    """A line; ``number`` is that of its street in the superblock, ``parents`` of the streets on whose lines
    its ends lie (None: it ends there by itself)."""

    number: int
    cls: Class
    start: Point
    end: Point
    parents: tuple[int | None, int | None]

    @property
    def long(self) -> float:
        """Metres."""
        return math.dist(self.start, self.end)

    def at(self, along: float) -> Point:
        """The point so many metres along it."""
        share = along / self.long
        (ax, ay), (bx, by) = self.start, self.end
        return mm(ax + (bx - ax) * share, ay + (by - ay) * share)

    def along(self, point: Point) -> float:
        """How far along it lies the foot of a point."""
        (ax, ay), (bx, by) = self.start, self.end
        return round(((point[0] - ax) * (bx - ax) + (point[1] - ay) * (by - ay)) / self.long, 3)


@dataclass(frozen=True, slots=True)
class Laid:
    """The lines of a class in a superblock by street, and the joints on each."""

    lines: dict[int, Line]
    joints: dict[int, list[Joint]]


def main(seed: int, medium: Medium, level: bool, i: int, j: int) -> Line | None:
    """The line of a class in a main road."""
    if medium is INDUSTRY or not trunks.has_pipes(seed, level, i, j):
        return None
    start = trunks.spot(seed, medium, i, j)
    end = trunks.spot(seed, medium, *trunks.beyond(level, i, j))
    return Line(0 if level else 3, Class.MAIN, start, end, (None, None))


#: The main roads at the sides of a superblock: whether level, and the crossing where they start.
SIDES = ((True, 0, 0), (False, 1, 0), (True, 0, 1), (False, 0, 0))


@lru_cache(maxsize=64)
def layout(seed: int, i: int, j: int) -> tuple[Superblock, Layout, tuple[tuple[int, int], ...]]:
    """A superblock, its streets, and at which streets each of them starts and ends."""
    of = plan.superblock(seed, i, j)
    laid = plan.layout(seed, of)
    met = tuple(
        (_met(laid.streets[:number], one.start), _met(laid.streets[:number], one.end))
        for number, one in enumerate(laid.streets)
        if number >= len(SIDES)
    )
    return of, laid, met


def _met(streets: tuple[Street, ...], point: Point) -> int:
    """The street on which a point lies."""
    return min(range(len(streets)), key=lambda number: (round(_off(streets[number], point), 2), number))


def _off(street: Street, point: Point) -> float:
    (ax, ay), (bx, by) = street.start, street.end
    long = math.dist(street.start, street.end)
    dx, dy = (bx - ax) / long, (by - ay) / long
    along = (point[0] - ax) * dx + (point[1] - ay) * dy
    beyond = max(0.0, -along, along - long)
    return math.hypot(abs((point[1] - ay) * dx - (point[0] - ax) * dy), beyond)


@lru_cache(maxsize=512)
def laid(seed: int, medium: Medium, i: int, j: int) -> Laid:
    """The lines of a class in a superblock and in the main roads around it, and its own joints on each."""
    of, streets, met = layout(seed, i, j)
    lines: dict[int, Line] = {}
    joints: dict[int, list[Joint]] = {}
    for number, (level, di, dj) in enumerate(SIDES):
        if line := main(seed, medium, level, i + di, j + dj):
            lines[number] = line
    if medium in _WITHOUT.get(of.use, ()) or (medium is INDUSTRY and of.use is not Use.INDUSTRY):
        return Laid(lines, joints)
    for number, (street, parents) in enumerate(
        zip(streets.streets[len(SIDES) :], met, strict=True), len(SIDES)
    ):
        if street.cls not in medium.off:
            continue
        found: list[tuple[Point, int | None]] = []
        moved = _moved(street, medium.off[street.cls])
        for parent, point in zip(parents, moved, strict=True):
            other = lines.get(parent)
            if other is None:
                back = WIDTHS[streets.streets[parent].cls] / 2 + 2
                found.append((_towards(point, moved[0] if point == moved[1] else moved[1], back), None))
            else:
                found.append((_crossing(moved, other), parent))
        (start, a), (end, b) = found
        lines[number] = Line(number, street.cls, start, end, (a, b))
        for at_start, place, on in ((True, start, a), (False, end, b)):
            if on is not None:
                along = lines[on].along(place)
                joints.setdefault(on, []).append(Joint(number, at_start, along))
    return Laid(lines, joints)


def _moved(street: Street, off: float) -> tuple[Point, Point]:
    """The line so far north or east of the middle of a street."""
    (ax, ay), (bx, by) = street.start, street.end
    long = math.dist(street.start, street.end)
    dx, dy = (bx - ax) / long * off, (by - ay) / long * off
    if not street.level:
        dx, dy = -dx, -dy
    return mm(ax - dy, ay + dx), mm(bx - dy, by + dx)


def _towards(a: Point, b: Point, by: float) -> Point:
    share = by / math.dist(a, b)
    return mm(a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share)


def _crossing(a: tuple[Point, Point], b: Line) -> Point:
    (ax, ay), (bx, by) = a
    (cx, cy), (dx, dy) = b.start, b.end
    ux, uy, vx, vy = bx - ax, by - ay, dx - cx, dy - cy
    share = ((cx - ax) * vy - (cy - ay) * vx) / (ux * vy - uy * vx)
    return mm(ax + ux * share, ay + uy * share)


@lru_cache(maxsize=512)
def main_joints(seed: int, medium: Medium, level: bool, i: int, j: int) -> tuple[float, ...]:
    """How far along a main road's line lie the joints of the superblocks at both sides of it."""
    beside = (((i, j), 0), ((i, j - 1), 2)) if level else (((i, j), 3), ((i - 1, j), 1))
    return merged(
        joint.along for cell, side in beside for joint in laid(seed, medium, *cell).joints.get(side, ())
    )


def merged(joints: Iterable[float]) -> tuple[float, ...]:
    """Joints in order; those next to each other are the first of them."""
    found: list[float] = []
    for along in sorted(joints):
        if not found or along - found[-1] > _ONE:
            found.append(along)
    return tuple(found)


def code(i: int, j: int) -> str:
    """Six digits of a superblock."""
    community, _ = names.community(i, j)
    return community[6:]
