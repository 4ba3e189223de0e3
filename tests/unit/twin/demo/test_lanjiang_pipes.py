"""Pipelines of 岚江: covered, apart from each other and from houses, and every drain falls to an outfall.

What is asked for is GB 50289-2016 as far as it could be read; the mathematics is shapely's, not the
generator's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import shapely

from twin.demo.lanjiang import plan, relief
from twin.demo.lanjiang.known import Known
from twin.demo.lanjiang.pipelines import media, network
from twin.demo.lanjiang.pipelines import subject as pipes
from twin.demo.lanjiang.pipelines.media import (
    GAS,
    HEAT,
    INDUSTRY,
    MEDIA,
    POWER,
    RAIN,
    SEWER,
    TELECOM,
    WATER,
    Medium,
)
from twin.demo.lanjiang.pipelines.network import Node, Section

SEED = 1
DRAINS = (RAIN, SEWER)
#: Metres from the ground to the top (table 4.1.1, under a carriageway; ducts).
COVER = {WATER: 0.7, SEWER: 0.7, RAIN: 0.7, GAS: 0.9, POWER: 0.5, TELECOM: 0.6, HEAT: 0.7}
#: Metres from outer wall to outer wall on the plan (table 4.1.9), of gas at medium pressure.
APART = {
    frozenset(pair): least
    for pair, least in (
        ((WATER, SEWER), 1.0),
        ((WATER, RAIN), 1.0),
        ((WATER, GAS), 0.5),
        ((GAS, SEWER), 1.2),
        ((GAS, RAIN), 1.2),
        ((HEAT, POWER), 2.0),
        ((WATER, TELECOM), 1.0),
        ((POWER, TELECOM), 0.5),
    )
}
#: And from buildings.
FROM_HOUSES = {GAS: 1.5, WATER: 1.0, SEWER: 2.5, RAIN: 2.5, HEAT: 3.0, POWER: 0.6}
#: Metres between them where one passes over the other (table 4.1.14), of ducts.
OVER = {frozenset((WATER, SEWER)): 0.4, frozenset((WATER, RAIN)): 0.4}
#: Metres of a junction, in which pipes of two roads turn into a third.
JUNCTION = plan.WIDTHS[plan.Class.MAIN]


def over(a: Medium, b: Medium) -> float:
    return OVER.get(frozenset((a, b)), 0.25 if POWER in (a, b) else 0.15)


@dataclass
class Pipes:
    """All of some superblocks."""

    media: list[Medium]
    sections: list[Section]
    nodes: dict[str, tuple[Medium, Node]]

    def __post_init__(self) -> None:
        self.shapes = np.array([shapely.LineString(one.places) for one in self.sections])
        self.half = np.array([one.size[0] / 2_000 for one in self.sections])
        self.high = np.array([one.size[-1] / 1_000 for one in self.sections])

    def band(self, at: int, place: np.ndarray) -> tuple[float, float]:
        """Bottom and top of a section near a place."""
        one = self.sections[at]
        share = shapely.line_locate_point(self.shapes[at], shapely.Point(place), normalized=True)
        level = one.levels[0] + (one.levels[1] - one.levels[0]) * share
        drained = self.media[at] in DRAINS
        return (level, level + self.high[at]) if drained else (level - self.high[at], level)


def every(cells: frozenset[tuple[int, int]]) -> Pipes:
    kinds: list[Medium] = []
    sections: list[Section] = []
    nodes: dict[str, tuple[Medium, Node]] = {}
    for cell in sorted(cells):
        for medium, points, found in network.network(SEED, *cell, cells):
            for node in points:
                assert node.id not in nodes
                nodes[node.id] = (medium, node)
            sections += found
            kinds += [medium] * len(found)
    return Pipes(kinds, sections, nodes)


@cache
def small() -> Pipes:
    return every(frozenset(plan.cells("S")))


@cache
def outskirts() -> Pipes:
    """Beside the hill, in the plain and in a town far out."""
    return every(frozenset((i, j) for i in range(1, 6) for j in range(1, 7)) | {(10, 9), (11, 9), (-13, -13)})


@pytest.fixture(params=[small, outskirts], ids=["S", "outskirts"])
def laid(request: pytest.FixtureRequest) -> Pipes:
    found: Pipes = request.param()
    return found


def test_sections_lead_from_a_point_to_another_of_their_class(laid: Pipes) -> None:
    assert len({one.id for one in laid.sections}) == len(laid.sections)
    here = 0
    for medium, one in zip(laid.media, laid.sections, strict=True):
        assert one.start != one.end
        assert 0.25 < math.dist(*one.places) <= 91
        for name, place, ground in zip((one.start, one.end), one.places, one.grounds, strict=True):
            if name in laid.nodes:
                kind, node = laid.nodes[name]
                assert (kind, node.place, node.ground_m) == (medium, place, ground)
                here += 1
    assert here > 1.9 * len(laid.sections)
    for _, node in laid.nodes.values():
        assert (node.feature == "") != (node.fitted == "")
    if laid is small():
        assert {one.start for one in laid.sections} | {one.end for one in laid.sections} == set(laid.nodes)


def test_pipes_are_covered(laid: Pipes) -> None:
    shares = np.linspace(0, 1, 6)
    for at, (medium, one) in enumerate(zip(laid.media, laid.sections, strict=True)):
        (ax, ay), (bx, by) = one.places
        ground = relief.height(ax + (bx - ax) * shares, ay + (by - ay) * shares)
        top = one.levels[0] + (one.levels[1] - one.levels[0]) * shares
        top += laid.high[at] if medium in DRAINS else 0
        if medium is INDUSTRY:
            assert (top - laid.high[at] - ground).min() > 5
        else:
            assert (ground - top).min() >= COVER[medium] - 0.02, one


def near(laid: Pipes, reach: float) -> Iterator[tuple[int, int]]:
    a, b = shapely.STRtree(laid.shapes).query(laid.shapes, predicate="dwithin", distance=reach)
    yield from zip(a[a < b].tolist(), b[a < b].tolist(), strict=True)


def test_pipes_pass_over_each_other_with_room_between(laid: Pipes) -> None:
    crossings = 0
    for a, b in near(laid, 0.0):
        one, other = laid.sections[a], laid.sections[b]
        if {one.start, one.end} & {other.start, other.end} and laid.media[a] is laid.media[b]:
            continue
        place = np.array(shapely.intersection(laid.shapes[a], laid.shapes[b]).coords[0])
        (low, top), (under, upper) = laid.band(a, place), laid.band(b, place)
        gap = max(low - upper, under - top)
        assert gap >= over(laid.media[a], laid.media[b]) - 0.02, (one, other, gap)
        crossings += 1
    assert crossings > 1_000


def test_pipes_lie_apart(laid: Pipes) -> None:
    """On the plan, or one well over the other as far as a junction goes; never along each other."""
    for a, b in near(laid, 3.5):
        least = APART.get(frozenset((laid.media[a], laid.media[b])))
        if least is None:
            continue
        apart = shapely.distance(laid.shapes[a], laid.shapes[b]) - laid.half[a] - laid.half[b]
        if apart >= least:
            continue
        place = np.array(shapely.shortest_line(laid.shapes[a], laid.shapes[b]).coords[0])
        (low, top), (under, upper) = laid.band(a, place), laid.band(b, place)
        assert max(low - upper, under - top) >= over(laid.media[a], laid.media[b]) - 0.02
        assert road(laid.sections[a]) != road(laid.sections[b])
        along = laid.shapes[b].intersection(laid.shapes[a].buffer(least + laid.half[a] + laid.half[b])).length
        assert along < JUNCTION, (laid.sections[a], laid.sections[b])


def road(one: Section) -> str:
    return one.id[2:].rpartition("L")[0]


def test_pipes_keep_from_houses() -> None:
    laid = small()
    houses = [
        shapely.Polygon(one.ring)
        for cell in plan.cells("S")
        for _, built in Known(SEED, *cell, "S").built
        for one in built
    ]
    pairs, distances = shapely.STRtree(houses).query_nearest(
        laid.shapes, return_distance=True, all_matches=False
    )
    for at, distance in zip(pairs[0].tolist(), distances.tolist(), strict=True):
        assert distance - laid.half[at] >= FROM_HOUSES.get(laid.media[at], 0.5)


@pytest.mark.parametrize("medium", DRAINS, ids=["rain", "sewage"])
def test_every_drain_falls_to_an_outfall(medium: Medium) -> None:
    laid = small()
    ways: dict[str, list[Section]] = {}
    for kind, one in zip(laid.media, laid.sections, strict=True):
        if kind is medium:
            assert one.levels[0] - one.levels[1] >= 0.0009 * math.dist(*one.places), one
            ways.setdefault(one.start, []).append(one)
    last = {network.OUTFALL} if medium is RAIN else {network.WORKS}
    starts = [name for name, (kind, _) in laid.nodes.items() if kind is medium]
    reached = {}
    for name in starts:
        seen, at, widest, low = set(), name, 0, math.inf
        while laid.nodes[at][1].fitted not in last:
            assert at not in seen
            seen.add(at)
            (onwards, *others) = sorted(ways[at], key=lambda one: one.levels[0])
            assert not others or laid.nodes[at][1].fitted == "检修井"
            assert onwards.levels[0] <= low + 0.002
            assert onwards.size[0] >= widest, onwards
            at, low, widest = onwards.end, onwards.levels[1], onwards.size[0]
        reached[at] = reached.get(at, 0) + 1
    assert len(reached) == (8 if medium is RAIN else 2)
    if medium is RAIN:
        for name in reached:
            assert laid.nodes[name][1].low_m > relief.WATER_M


def test_hydrants_and_valves_are_near_enough() -> None:
    laid = small()
    mains = shapely.union_all([s for s, m in zip(laid.shapes, laid.media, strict=True) if m is WATER])
    places = {
        what: shapely.MultiPoint([n.place for m, n in laid.nodes.values() if m is WATER and n.fitted == what])
        for what in (network.HYDRANT, network.VALVE)
    }
    along = shapely.points(
        [(c.x, c.y) for c in (mains.interpolate(d) for d in range(0, int(mains.length), 20))]
    )
    assert shapely.distance(along, places[network.HYDRANT]).max() <= 60
    assert len(places[network.VALVE].geoms) > 100


def test_layers_of_depth_leave_room_whatever_is_laid() -> None:
    """From above: no class is so high anywhere that it comes near the next."""
    order = (TELECOM, POWER, GAS, WATER, HEAT)
    for upper, lower in itertools.pairwise(order):
        deepest = upper.cover + max(size[-1] for size in upper.size.values()) / 1_000
        assert lower.cover - deepest >= over(upper, lower) - 0.005
    assert HEAT.cover + HEAT.size[plan.Class.MAIN][0] / 1_000 + 0.15 <= media.DRAIN_COVER


def test_a_smaller_city_has_the_rows_of_a_larger_one() -> None:
    for cell in ((0, 0), (-1, -2)):
        small_, large = (Known(SEED, *cell, size) for size in "SM")
        for medium in MEDIA:
            some, more = (
                {tuple(row.items()) for row in pipes.lines(medium, known)} for known in (small_, large)
            )
            assert more <= some


def test_tables_read_as_surveys_do() -> None:
    known = Known(SEED, 0, 0, "S")
    for medium in MEDIA:
        nodes = {one["物探点号"]: one for one in pipes.points(medium, known)}
        for row in pipes.lines(medium, known):
            assert row["管线类别"] == medium.name
            for end in ("起点", "终点"):
                if (node := nodes.get(row[f"{end}点号"])) and medium not in DRAINS:
                    assert row[f"{end}高程"] == node["管线高程"]
                    assert row[f"{end}埋深"] == pytest.approx(medium.cover)
