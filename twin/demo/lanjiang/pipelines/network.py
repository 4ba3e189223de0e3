"""Survey points and sections of the pipelines of a superblock, of the main roads that it owns with them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from twin.demo.lanjiang import relief
from twin.demo.lanjiang.pipelines import conduits, falls, trunks
from twin.demo.lanjiang.pipelines.conduits import Line
from twin.demo.lanjiang.pipelines.falls import Branch
from twin.demo.lanjiang.pipelines.media import MEDIA, RAIN, SEWER, WATER, Medium
from twin.demo.lanjiang.pipelines.trunks import BANKS
from twin.demo.lanjiang.plan import RIVER_ROW, WIDTHS, Class
from twin.demo.lanjiang.quads import Point

#: Metres from a hydrant to the next on a line at most, and from the end of a line to its valve (beyond the
#: red line of a main road).
HYDRANTS, _VALVE = 80.0, 5.0
#: Between points of a line at least.
_APART = 2.5
_VALVED = ("JS", "RQ", "RL")
_FITTED = {"WS": "检修井", "YS": "检修井", "DL": "人孔井", "TX": "人孔井", "GY": "管架", "RL": "检修井"}
VALVE, HYDRANT, OUTFALL, WORKS, TEE, STRAIGHT = "阀门", "消防栓", "出水口", "污水处理厂", "三通", "直线点"

#: A point of another line, or none.
type End = tuple[Point, str] | None


@dataclass(frozen=True, slots=True)
class Node:
    """A survey point: either a feature of the line or something fitted to it. ``low_m``: invert of the drains
    there, else top of the pipe (m, 1985); ``street``: of the superblock, for its name."""

    id: str
    place: Point
    ground_m: float
    low_m: float
    street: int
    feature: str = ""
    fitted: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A pipe from a point to the next, drains as they fall; levels (m, 1985) as of nodes; ``size`` in mm."""

    id: str
    start: str
    end: str
    places: tuple[Point, Point]
    grounds: tuple[float, float]
    levels: tuple[float, float]
    size: tuple[int, ...]
    street: int
    cls: Class


@dataclass(frozen=True, slots=True)
class _Place:
    """A point of a line's own: how far along it, and what is there."""

    along: float
    fitted: str = ""
    joint: bool = False


@dataclass(frozen=True, slots=True)
class _Run:
    """A line with its own points; ``ends``: those at its ends that are another's."""

    medium: Medium
    line: Line
    prefix: str
    own: tuple[_Place, ...]
    ends: tuple[End, End]
    branches: tuple[Branch, ...] = ()
    pipe: tuple[int, ...] = ()

    def id(self, number: int) -> str:
        return f"{self.prefix}{number + 1:03d}"


def height(place: Point) -> float:
    """The ground at a place."""
    return float(relief.height(np.array(place[0]), np.array(place[1])))


def crossing_id(medium: Medium, i: int, j: int) -> str:
    """The point of a class at a crossing of main roads."""
    return f"{medium.code}{conduits.code(i, j)}X"


def network(
    seed: int, i: int, j: int, cells: frozenset[tuple[int, int]]
) -> Iterator[tuple[Medium, list[Node], list[Section]]]:
    """Of each class: points and sections. A main road, and a crossing, is made with the superblock in the
    north or east of it, or the next that ``cells`` have."""
    for medium in MEDIA:
        nodes: list[Node] = []
        sections: list[Section] = []
        for number, (level, di, dj) in enumerate(conduits.SIDES):
            owner = (i + di, j + dj)
            if owner != (i, j) and owner in cells:
                continue
            run = _main(seed, medium, level, *owner)
            if run:
                _laid(run, number, nodes, sections)
            if medium is RAIN and not level and owner[1] == RIVER_ROW:
                for bank in BANKS:
                    _outfall(seed, owner[0], bank, number, nodes, sections)
        for corner in itertools.product((0, 1), (0, 1)):
            place = (i + corner[0], j + corner[1])
            if _owner(place, cells) == (i, j) and (node := _at_crossing(seed, medium, place, corner)):
                nodes.append(node)
        for number in conduits.laid(seed, medium, i, j).lines:
            if number >= len(conduits.SIDES) and (run := _inner(seed, medium, i, j, number)):
                _laid(run, number, nodes, sections)
        yield medium, nodes, sections


def _owner(place: tuple[int, int], cells: frozenset[tuple[int, int]]) -> tuple[int, int] | None:
    i, j = place
    return next((one for one in ((i, j), (i - 1, j), (i, j - 1), (i - 1, j - 1)) if one in cells), None)


def _at_crossing(seed: int, medium: Medium, place: tuple[int, int], corner: tuple[int, int]) -> Node | None:
    i, j = place
    roads = ((True, i, j), (True, i - 1, j), (False, i, j), (False, i, j - 1))
    met = sum(conduits.main(seed, medium, *road) is not None for road in roads)
    if not met:
        return None
    spot = trunks.spot(seed, medium, i, j)
    ground, fitted = height(spot), _FITTED.get(medium.code, "")
    low = round(ground - medium.cover, 3)
    if medium in (RAIN, SEWER):
        if not trunks.drained(seed, i, j):
            return None
        low = trunks.rain(seed, i, j) if medium is RAIN else trunks.sewer(seed, i, j)
        if medium is SEWER and trunks.ends(j) and (j not in BANKS or trunks.treatment(i) == i):
            fitted = WORKS
        if medium is RAIN and trunks.ends(j) and j not in BANKS:
            fitted = OUTFALL
    feature = "" if fitted else ("", "", "直线点", "三通", "四通")[met] or "端点"
    return Node(crossing_id(medium, i, j), spot, ground, low, 2 if corner[1] else 0, feature, fitted)


@lru_cache(maxsize=2048)
def _main(seed: int, medium: Medium, level: bool, i: int, j: int) -> _Run | None:
    line = conduits.main(seed, medium, level, i, j)
    if line is None:
        return None
    joints = conduits.main_joints(seed, medium, level, i, j)
    prefix = f"{medium.code}{conduits.code(i, j)}{'S' if level else 'W'}"
    far = trunks.beyond(level, i, j)
    ends = ((line.start, crossing_id(medium, i, j)), (line.end, crossing_id(medium, *far)))
    branches: tuple[Branch, ...] = ()
    pipe = medium.size[Class.MAIN]
    if medium in (RAIN, SEWER):
        fall = falls.main(seed, level, i, j)
        if fall is None:
            return None
        branches, pipe = fall.of(medium), (fall.pipes[medium is SEWER],)
    own = _places(medium, line, joints, (True, True), branches)
    return _Run(medium, line, prefix, own, ends, branches, pipe)


@lru_cache(maxsize=4096)
def _inner(seed: int, medium: Medium, i: int, j: int, number: int) -> _Run | None:
    found = conduits.laid(seed, medium, i, j)
    line = found.lines[number]
    joints = conduits.merged(one.along for one in found.joints.get(line.number, ()))
    branches: tuple[Branch, ...] = ()
    if medium in (RAIN, SEWER):
        fall = falls.inside(seed, i, j).get(line.number)
        if fall is None:
            return None
        branches = fall.of(medium)
    ends = [_on(seed, medium, i, j, line, end) for end in (0, 1)]
    own = _places(medium, line, joints, (ends[0] is not None, ends[1] is not None), branches)
    prefix = f"{medium.code}{conduits.code(i, j)}{line.number - len(conduits.SIDES) + 1:02d}"
    return _Run(medium, line, prefix, own, (ends[0], ends[1]), branches, medium.size[line.cls])


def _on(seed: int, medium: Medium, i: int, j: int, line: Line, end: int) -> End:
    """The point of another line on which one ends."""
    number = line.parents[end]
    if number is None:
        return None
    parent = conduits.laid(seed, medium, i, j).lines[number]
    if number < len(conduits.SIDES):
        level, di, dj = conduits.SIDES[number]
        run = _main(seed, medium, level, i + di, j + dj)
    else:
        run = _inner(seed, medium, i, j, number)
    if run is None:
        return None
    along = parent.along(line.end if end else line.start)
    near = min(range(len(run.own)), key=lambda one: abs(run.own[one].along - along))
    return run.line.at(run.own[near].along), run.id(near)


def _places(
    medium: Medium,
    line: Line,
    joints: Sequence[float],
    joined: tuple[bool, bool],
    branches: tuple[Branch, ...],
) -> tuple[_Place, ...]:
    """A line's own points, in order."""
    long = line.long
    spans = [sorted((one.head * long, one.outlet * long)) for one in branches]
    if medium not in (RAIN, SEWER):
        spans = [[0.0, long]]
    made: list[_Place] = []
    for low, high in spans:
        fixed = [_Place(one, "", True) for one in joints if low - 0.01 <= one <= high + 0.01]
        for at, is_other in ((low, joined[0] and low < 0.01), (high, joined[1] and high > long - 0.01)):
            if not is_other:
                fixed.append(_Place(round(at, 3)))
        for one in _fittings(medium, line, low, high):
            for by in (0, 3, -3, 6, -6):
                at = round(one.along + by, 3)
                clear = all(abs(at - other.along) > _APART for other in fixed)
                if clear and low + _APART < at < high - _APART:
                    fixed.append(_Place(at, one.fitted))
                    break
        stops = sorted({low, high, *(one.along for one in fixed)})
        for a, b in itertools.pairwise(stops):
            count = math.ceil((b - a) / medium.step)
            fixed += [_Place(round(a + (b - a) * k / count, 3)) for k in range(1, count)]
        made += sorted(fixed, key=lambda one: one.along)
    return tuple(sorted(made, key=lambda one: one.along))


def _fittings(medium: Medium, line: Line, low: float, high: float) -> Iterator[_Place]:
    if medium is WATER:
        count = math.ceil((high - low) / HYDRANTS)
        step = (high - low) / count
        yield from (_Place(round(low + (k + 0.5) * step, 3), HYDRANT) for k in range(count))
    if medium.code in _VALVED:
        free = _VALVE + WIDTHS[Class.MAIN] / 2 * (line.cls is Class.MAIN)
        yield from (_Place(round(at, 3), VALVE) for at in (low + free, high - free)[: 1 + (medium is WATER)])


def _laid(run: _Run, street: int, nodes: list[Node], sections: list[Section]) -> None:
    """Put the points of a line and the sections between them to the others."""
    medium, long = run.medium, run.line.long
    stops = [(one.along, run.line.at(one.along), run.id(number)) for number, one in enumerate(run.own)]
    first, last = run.ends
    if first:
        stops.insert(0, (0.0, *first))
    if last:
        stops.append((long, *last))
    x, y = np.array([place for _, place, _ in stops]).reshape(-1, 2).T
    grounds: list[float] = relief.height(x, y).tolist()
    shift = bool(first)
    usual = _FITTED.get(medium.code, "")
    for number, one in enumerate(run.own):
        ground, (_, place, name) = grounds[number + shift], stops[number + shift]
        fitted = one.fitted or usual
        feature = "" if fitted else TEE if one.joint else STRAIGHT
        branch = _branch(run, one.along)
        low = round(branch.level(one.along / long) if branch else ground - medium.cover, 3)
        nodes.append(Node(name, place, ground, low, street, feature, fitted))
    for number in range(len(stops) - 1):
        branch = _branch(run, (stops[number][0] + stops[number + 1][0]) / 2)
        if medium in (RAIN, SEWER) and branch is None:
            continue
        a, b = number, number + 1
        if branch and branch.outlet < branch.head:
            a, b = b, a
        levels = [
            round(branch.level(stops[at][0] / long) if branch else grounds[at] - medium.cover, 3)
            for at in (a, b)
        ]
        sections.append(
            Section(
                f"{run.prefix}L{number + 1:03d}",
                stops[a][2],
                stops[b][2],
                (stops[a][1], stops[b][1]),
                (grounds[a], grounds[b]),
                (levels[0], levels[1]),
                run.pipe,
                street,
                run.line.cls,
            )
        )


def _branch(run: _Run, along: float) -> Branch | None:
    return next((one for one in run.branches if one.has(along / run.line.long)), None)


def _outfall(seed: int, i: int, bank: int, street: int, nodes: list[Node], sections: list[Section]) -> None:
    """The rain drain from a crossing beside the river into it."""
    start, (end, low) = trunks.spot(seed, RAIN, i, bank), trunks.outfall(seed, i, bank)
    line = Line(street, Class.MAIN, start, end, (None, None))
    branch = Branch(0.0, 1.0, trunks.rain(seed, i, bank), low)
    prefix = f"{RAIN.code}{conduits.code(i, bank)}{'N' if bank == BANKS[1] else 'T'}"
    own = _places(RAIN, line, (), (True, False), (branch,))
    run = _Run(
        RAIN,
        line,
        prefix,
        own,
        ((start, crossing_id(RAIN, i, bank)), None),
        (branch,),
        (trunks.size(bank)[0],),
    )
    _laid(run, street, nodes, sections)
    last = nodes.pop()
    nodes.append(Node(last.id, last.place, last.ground_m, last.low_m, street, "", OUTFALL))
