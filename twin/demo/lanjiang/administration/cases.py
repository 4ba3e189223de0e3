"""Past cases (案件): what was reported where and when, which unit was to act, how long it took, how it ended.

Cases follow people, the age of houses and the rain; their times, the clocks and the calendar; their units,
the rows of duty that are shipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray

from twin.demo.lanjiang import addresses, grids, names, weather
from twin.demo.lanjiang.administration import areas, clocks, duties, items
from twin.demo.lanjiang.administration.items import COMPONENT, Condition, Item
from twin.demo.lanjiang.administration.registers import FIRST, LAST
from twin.demo.lanjiang.draws import draws
from twin.demo.lanjiang.frame import MIDDLE
from twin.demo.lanjiang.known import Known
from twin.demo.lanjiang.plan import cells
from twin.demo.lanjiang.quads import Point

type Floats = NDArray[np.float64]

#: Days of the time, and cases in it: of a person, of a component, and of both a millimetre of rain.
DAYS = (LAST - FIRST).days + 1
_A_PERSON, _A_COMPONENT, _BY_RAIN = 0.013, 0.018, 0.0035
#: Numbers of a day that a superblock has.
OWN = 380
#: Cases by weekday, from Monday, and on days off.
_WEEK, _OFF = (1.12, 1.05, 1.02, 1.0, 1.05, 0.7, 0.58), 0.55
#: Cases by hour: of the day, of the evening, of what is built.
_HOURS = {
    "": (1, 0, 0, 0, 0, 1, 4, 9, 15, 17, 15, 10, 6, 7, 12, 14, 12, 9, 6, 5, 4, 3, 2, 1),
    "夜": (2, 1, 0, 0, 0, 0, 1, 2, 3, 3, 3, 4, 4, 3, 3, 4, 5, 8, 13, 17, 16, 12, 7, 4),
    "施": (4, 2, 1, 0, 0, 1, 3, 6, 9, 10, 9, 7, 8, 6, 8, 9, 8, 6, 4, 3, 5, 9, 11, 8),
}
#: Who tells of a case, and how often.
_SOURCES = {
    "采集员上报": 0.46,
    "12345": 0.3,
    "公众上报": 0.12,
    "视频识别": 0.07,
    "领导督办": 0.02,
    "自行处置": 0.03,
}
#: Sources whose matter is looked at before it becomes a case.
VERIFIED = ("12345", "公众上报", "视频识别")
#: What is reported most.
_OFTEN = {
    "暴露垃圾": 7,
    "机动车乱停": 7,
    "店外经营": 5,
    "无照经营游商": 5,
    "非法小广告": 5,
    "非机动车乱停": 4,
    "道路不洁": 4,
    "共享单车淤积": 3,
    "道路积水": 5,
    "下水道堵塞外溢": 3,
    "楼道堆物": 3,
    "施工扰民": 3,
}


@dataclass(frozen=True, slots=True)
class Times:
    """When a case was where; ``handled`` is the first feedback, which decides whether it was in time."""

    reported: datetime
    accepted: datetime
    filed: datetime
    dispatched: datetime
    signed: datetime
    handled: datetime
    deadline: datetime
    checked: datetime
    closed: datetime
    rework: int


@dataclass(frozen=True, slots=True)
class Case:
    """A case; without ``times`` and ``unit`` where it was not filed. ``where`` is its address as it is
    written, ``called`` as people call it."""

    code: str
    source: str
    item: Item
    condition: Condition
    reported: datetime
    place: Point
    where: str
    called: str
    road: str
    component: str
    grid: str
    duty_grid: str
    unit: str
    row: str
    assists: tuple[str, ...]
    times: Times | None

    @property
    def outcome(self) -> str:
        """How it ended."""
        if self.times is None:
            return "不予立案"
        if self.times.rework:
            return "返工结案"
        return "正常结案" if self.times.handled <= self.times.deadline else "超时结案"


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a case is about and where: at a house's door or a component."""

    item: Item
    condition: Condition
    place: Point
    where: str
    called: str
    road: str
    component: str
    owner: str | None


@cache
def rain(seed: int) -> Floats:
    """Millimetres of rain in each hour of the time, (days, 24): that of the middle of the city."""
    first = datetime.combine(FIRST, datetime.min.time(), UTC) - timedelta(hours=8)
    times: Floats = first.timestamp() + 300.0 + 600.0 * np.arange(DAYS * 24 * 6, dtype=np.float64)
    fallen = weather.rain(seed, *MIDDLE, times)
    return np.round(fallen.reshape(DAYS, 24, 6).mean(axis=2), 3)


@lru_cache(maxsize=1)
def cases(known: Known) -> tuple[Case, ...]:
    """The cases of a superblock, in the order of their days; their file and that of calls ask in turn."""
    return tuple(_made(known))


def _made(known: Known) -> Iterator[Case]:
    seed, of = known.seed, known.of
    maker = _Maker(known)
    random = draws(seed, "cases", of.i, of.j)
    wet = rain(seed)
    week = _week()
    each = maker.people * _A_PERSON + len(maker.components) * _A_COMPONENT
    dry = int(random.poisson(each))
    rainy = int(random.poisson(each * _BY_RAIN * float(wet.sum())))
    days = [(int(day), False) for day in random.choice(DAYS, dry, p=week / week.sum())]
    fallen = wet.sum(axis=1)
    if fallen.sum() > 0:
        days += [(int(day), True) for day in random.choice(DAYS, rainy, p=fallen / fallen.sum())]
    numbers: dict[int, int] = {}
    for day, by_rain in sorted(days):
        subject = maker.subject(random, by_rain)
        if subject is None:
            continue
        number = numbers[day] = numbers.get(day, 0) + 1
        if number <= OWN:
            hours = wet[day] if by_rain else np.array(_HOURS.get(subject.item.when, _HOURS[""]), float)
            yield maker.case(random, subject, FIRST + timedelta(days=day), hours, number)


def _week() -> Floats:
    """How much is reported on each day: a weekend that is worked is a Monday."""
    made = []
    for n in range(DAYS):
        day = FIRST + timedelta(days=n)
        if clocks.works(day):
            made.append(_WEEK[day.weekday() if day.weekday() < 5 else 0])
        else:
            made.append(_WEEK[day.weekday()] if day.weekday() > 4 else _OFF)
    return np.array(made)


class _Maker:
    """A superblock with what its cases are drawn of."""

    def __init__(self, known: Known) -> None:
        self.known = known
        of = known.of
        # a part of the smallest city has its items in every size
        size = "S" if (of.i, of.j) in frozenset(cells("S")) else "M"
        self.items = items.of_size(size)
        self.tables = duties.Tables(known.seed, of.i, of.j, self.items)
        self.houses = [one for _, built in known.built for one in built]
        self.people = sum(one.people for one in self.houses)
        age = np.array([(one.people + 3) * (1 + (2026 - one.year) / 25) for one in self.houses])
        self.house_shares = age / age.sum() if self.houses else age
        self.plates: dict[str, list[addresses.Plate]] = {}
        for plate in known.plates:
            self.plates.setdefault(plate.building, []).append(plate)
        own = {item.main + item.sub: item for item in self.items if item.sheet == COMPONENT}
        self.component_items = own
        events = [item for item in self.items if item.sheet != COMPONENT]
        self.events = {
            wet: _weighted([item for item in events if not wet or item.when == "雨"]) for wet in (False, True)
        }
        self.owners = duties.aliases()
        units = list(grids.units(of, known.laid))
        self.grids = [code for code, _ in units]
        self.outlines = shapely.STRtree(areas.noded([quad for _, quad in units]))
        stand = [one for one in known.components if one.kind.code in own]
        within = self.outlines.query(shapely.points([one.place for one in stand]), predicate="intersects")[0]
        self.components = [stand[at] for at in np.unique(within).tolist()]
        self.doors = shapely.STRtree([shapely.Point(plate.place) for plate in known.plates])
        self.duty = {unit: one.code for one in areas.duty(known) for unit in one.units}
        self.subdistrict = names.subdistrict(of.i, of.j)[0]
        self.community = names.community(of.i, of.j)[0]

    def subject(self, random: np.random.Generator, by_rain: bool) -> _Subject | None:
        """What a case is about."""
        share = (
            self.people * _A_PERSON / (self.people * _A_PERSON + len(self.components) * _A_COMPONENT or 1.0)
        )
        if self.houses and float(random.random()) < share:
            return self._event(random, by_rain)
        return self._component(random, by_rain) if self.components else None

    def _event(self, random: np.random.Generator, by_rain: bool) -> _Subject:
        some, shares = self.events[by_rain]
        item = some[int(random.choice(len(some), p=shares))]
        house = self.houses[int(random.choice(len(self.houses), p=self.house_shares))]
        plates = self.plates[house.id]
        plate = plates[int(random.integers(len(plates)))]
        return _Subject(
            item,
            item.conditions[int(random.integers(len(item.conditions)))],
            plate.place,
            addresses.full(self.known.of, plate),
            _called(plate),
            plate.street,
            "",
            None,
        )

    def _component(self, random: np.random.Generator, by_rain: bool) -> _Subject:
        one = self.components[int(random.integers(len(self.components)))]
        item = self.component_items[one.kind.code]
        road = addresses.road_name(self.known.of, self.known.laid, one.street)
        # a storm fells trees and lifts covers, which are first in their tables
        at = 0 if by_rain else int(random.integers(len(item.conditions)))
        called = self._near(one.place) or road
        return _Subject(
            item,
            item.conditions[at],
            one.place,
            f"{names.CITY}{names.district(self.known.of.i, self.known.of.j)}{road}(近{called})",
            called,
            road,
            one.code,
            self.owners[one.kind.owner],
        )

    def _near(self, place: Point) -> str:
        """What people call the nearest door, where there is one."""
        if not self.known.plates:
            return ""
        return _called(self.known.plates[int(self.doors.nearest(shapely.Point(place)))])

    def case(
        self, random: np.random.Generator, about: _Subject, day: date, hours: Floats, number: int
    ) -> Case:
        """A case about something on a day."""
        of = self.known.of
        reported = _moment(random, day, hours)
        source = str(random.choice(list(_SOURCES), p=list(_SOURCES.values())))
        at = int(self.outlines.query(shapely.Point(about.place), predicate="intersects").min())
        filed = not (source in VERIFIED and float(random.random()) < 0.08)
        unit = row = ""
        assists: list[str] = []
        times = None
        if filed:
            times = _times(random, reported, about.condition.limit, source in VERIFIED)
            place = duties.Place(self.subdistrict, self.community, about.owner)
            when = times.dispatched.date()
            unit, row = self.tables.main(about.item, about.condition.id, place, when)
            assists = [one for one in self.tables.assists(about.item, place, when) if one != unit]
        return Case(
            f"{day:%Y-%m%d}-{names.cell(of.i, of.j) * OWN + number:06d}",
            source,
            about.item,
            about.condition,
            reported,
            about.place,
            about.where,
            about.called,
            about.road,
            about.component,
            self.grids[at],
            self.duty[self.grids[at]],
            unit,
            row,
            tuple(assists),
            times,
        )


def _called(plate: addresses.Plate) -> str:
    return f"{plate.estate}{plate.house}" if plate.estate else f"{plate.street}{plate.number}"


def _weighted(some: list[Item]) -> tuple[list[Item], Floats]:
    """Items and the share of cases that each has; those of the smallest city are the usual ones."""
    weights = np.array([float(_OFTEN.get(one.name, 1)) * (1.0 if one.small else 0.3) for one in some])
    return some, weights / weights.sum()


def _moment(random: np.random.Generator, day: date, hours: Floats) -> datetime:
    hour = int(random.choice(24, p=hours / hours.sum()))
    return datetime(day.year, day.month, day.day, hour) + timedelta(seconds=int(random.integers(3_600)))


def _times(random: np.random.Generator, reported: datetime, limit: clocks.Limit, verified: bool) -> Times:
    """When each step was taken; of ten cases nine are handled in time."""

    def soon(least: float, most: float) -> timedelta:
        return timedelta(seconds=round(60 * float(random.uniform(least, most))))

    accepted = reported + soon(1, 14.5 if random.random() < 0.96 else 40)
    filed = accepted + (soon(10, 29) if verified else soon(2, 12)) + soon(0.5, 9)
    dispatched = filed + soon(1, 14)
    deadline = clocks.after(dispatched, limit)
    signed = clocks.after(dispatched, limit, round(float(random.uniform(0.01, 0.22)), 4))
    late = random.random() < 0.1
    share = random.uniform(1.03, 2.0) if late else 0.24 + 0.74 * random.beta(2.2, 1.8)
    handled = clocks.after(dispatched, limit, round(float(share), 4))
    again = handled
    rework = int(random.random() < 0.05)
    if rework:
        again = clocks.after(handled, limit, round(float(random.uniform(0.3, 0.7)), 4))
    checked = clocks.walked(again, soon(6, 30 if random.random() < 0.93 else 90), limit.urgent)
    closed = checked + soon(2, 40)
    return Times(reported, accepted, filed, dispatched, signed, handled, deadline, checked, closed, rework)
