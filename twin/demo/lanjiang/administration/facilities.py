"""Public facilities and what they hold: schools by places, hospitals by beds, parks by visitors, stops.

What a facility holds follows from the floor or ground that it has.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import shapely

from twin.demo.lanjiang import addresses, names, quads
from twin.demo.lanjiang.buildings import Building
from twin.demo.lanjiang.draws import draws
from twin.demo.lanjiang.known import Known
from twin.demo.lanjiang.parcels import Land, Parcel
from twin.demo.lanjiang.plan import WIDTHS, Class, Use
from twin.demo.lanjiang.quads import Point, mm
from twin.demo.lanjiang.subject import SHAPE, Rows


@dataclass(frozen=True, slots=True)
class Facility:
    """A facility at a place. ``holds`` counts what ``unit`` says; ``plate`` is its door plate, where it
    is in a building."""

    id: str
    name: str
    kind: str
    holds: int
    unit: str
    place: Point
    plate: addresses.Plate | None = None


@dataclass(frozen=True, slots=True)
class _Rule:
    """Facilities on land of a use: m² of floor (or of ground) a place, and how many places come together."""

    kind: str
    unit: str
    square_m: float
    step: int
    ground: bool = False


_RULES = {
    Land.SCHOOL: _Rule("小学", "学位", 10.5, 45),
    Land.NURSERY: _Rule("幼儿园", "学位", 14.0, 30),
    Land.HOSPITAL: _Rule("综合医院", "床位", 95.0, 10),
    Land.CULTURE: _Rule("文化馆", "座位", 40.0, 10),
    Land.PARK: _Rule("公园", "人", 60.0, 10, ground=True),
    Land.SQUARE: _Rule("广场", "人", 30.0, 10, ground=True),
}
#: What a community of so many people (last) has in its houses: kind, unit, people a place.
_SMALL = (
    ("社区服务中心", "座位", 60, 200),
    ("社区卫生服务站", "床位", 900, 400),
    ("日间照料中心", "床位", 260, 800),
    ("农贸市场", "摊位", 70, 1_500),
    ("公共厕所", "蹲位", 450, 300),
)


def facilities(known: Known) -> Iterator[Facility]:
    """The facilities of a superblock, each with a number of its own."""
    code, community = names.community(known.of.i, known.of.j)
    stem = community.removesuffix("社区")
    number = 0
    counts: dict[str, int] = {}
    for parcel, built in known.built:
        rule = _RULES.get(parcel.land)
        if rule is None or not (rule.ground or built):
            continue
        number += 1
        kind = _kind(rule.kind, counts)
        counts[kind] = counts.get(kind, 0) + 1
        name = f"{stem}{f'第{names.numeral(counts[kind])}' if counts[kind] > 1 else ''}{kind}"
        plate = None if rule.ground else _plate(known, built[0].id)
        place = plate.place if plate else quads.middle(parcel.quad)
        yield Facility(
            f"F{code}{number:03d}", name, kind, _holds(rule, parcel, built), rule.unit, place, plate
        )
    yield from _small(known, number, f"F{code}", stem)


def _kind(kind: str, counts: dict[str, int]) -> str:
    """Every second school is one for the older."""
    return "初级中学" if kind == "小学" and counts.get("小学", 0) > counts.get("初级中学", 0) else kind


def _holds(rule: _Rule, parcel: Parcel, built: list[Building]) -> int:
    floor = sum(shapely.Polygon(one.ring).area * one.storeys for one in built)
    over = quads.area(parcel.quad) if rule.ground else floor
    return max(1, math.floor(round(over / rule.square_m / rule.step, 6))) * rule.step


def _small(known: Known, number: int, head: str, stem: str) -> Iterator[Facility]:
    people = sum(one.people for _, built in known.built for one in built)
    homes = {one.id: one for _, built in known.built for one in built if one.use in ("住宅", "商业")}
    plates = [plate for plate in known.plates if plate.building in homes]
    random = draws(known.seed, "facilities", known.of.i, known.of.j)
    for kind, unit, each, least in _SMALL:
        if people < least or not plates:
            continue
        number += 1
        plate = plates[int(random.integers(len(plates)))]
        yield Facility(
            f"{head}{number:03d}", f"{stem}{kind}", kind, max(2, people // each), unit, plate.place, plate
        )


def _plate(known: Known, building: str) -> addresses.Plate:
    return next(one for one in known.plates if one.building == building)


@dataclass(frozen=True, slots=True)
class Stop:
    """A bus stop at the kerb of a road; ``riders`` a working day."""

    id: str
    name: str
    road: str
    lines: tuple[str, ...]
    riders: int
    place: Point


#: Metres of a stop from the beginning of its road, and how far within the red line.
_ALONG, _WITHIN = 170.0, 3.5


def stops(known: Known) -> Iterator[Stop]:
    """The stops of a superblock: on its own side of the main roads around it, and along its collectors."""
    if known.of.use in (Use.FIELDS, Use.HILL, Use.RIVER):
        return
    code, _ = names.community(known.of.i, known.of.j)
    people = sum(one.people for _, built in known.built for one in built)
    random = draws(known.seed, "stops", known.of.i, known.of.j)
    served = [
        (at, side)
        for at, street in enumerate(known.laid.streets)
        for side in (
            (1, 1, -1, -1)[at : at + 1] if at < 4 else (1, -1) if street.cls is Class.COLLECTOR else ()
        )
    ]
    for number, (at, side) in enumerate(served, 1):
        street = known.laid.streets[at]
        long = math.dist(street.start, street.end)
        (ax, ay), (bx, by) = street.start, street.end
        dx, dy = (bx - ax) / long, (by - ay) / long
        off = side * (WIDTHS[street.cls] / 2 - _WITHIN)
        along = min(_ALONG, long / 2)
        if side < 0:
            along = long - along
        road = addresses.road_name(known.of, known.laid, at)
        # the road that it meets there
        cross = addresses.road_name(known.of, known.laid, 3 if at in (0, 2) else 0)
        yield Stop(
            f"S{code}{number:02d}",
            f"{road}{cross if side > 0 or at < 4 else '东' if street.level else '北'}站",
            road,
            _lines(known, at),
            round(people / len(served) * 0.35 * float(random.uniform(0.6, 1.4))) + 20,
            mm(ax + dx * along - dy * off, ay + dy * along + dx * off),
        )


def _lines(known: Known, at: int) -> tuple[str, ...]:
    """The lines that run along a road: those of its row or column, and of the collector one more."""
    i, j = known.of.i, known.of.j
    line = (j, i + 1, j + 1, i)[at] if at < 4 else i
    first = 2 * abs(line) + (line < 0) + 1 + (100 if at in (0, 2) else 200 if at < 4 else 300)
    return (f"{first}路",) if at >= 4 else (f"{first}路", f"{first + 400}路")


def places(known: Known) -> Rows:
    """Rows of facilities."""
    code, _ = names.community(known.of.i, known.of.j)
    for one in facilities(known):
        yield {
            "设施编号": one.id,
            "名称": one.name,
            "类别": one.kind,
            "容量": one.holds,
            "容量单位": one.unit,
            "地址": addresses.full(known.of, one.plate) if one.plate else None,
            "建筑编号": one.plate.building if one.plate else None,
            "社区代码": code,
            SHAPE: shapely.Point(one.place),
        }


def bus_stops(known: Known) -> Rows:
    """Rows of bus stops."""
    for one in stops(known):
        yield {
            "站点编号": one.id,
            "站名": one.name,
            "所在道路": one.road,
            "线路": "、".join(one.lines),
            "日客流": one.riders,
            SHAPE: shapely.Point(one.place),
        }
