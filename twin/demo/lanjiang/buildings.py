"""Buildings: what stands on each parcel, in rows that face south, along the street, or around a yard."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from twin.demo.lanjiang import quads
from twin.demo.lanjiang.draws import draws
from twin.demo.lanjiang.parcels import LIMITS, Land, Parcel
from twin.demo.lanjiang.plan import Superblock, centrality
from twin.demo.lanjiang.quads import Point, Quad, mm

type Ring = tuple[Point, ...]

#: People of a dwelling, on average.
HOUSEHOLD = 2.6
#: Shops side by side in a building of shops along a street.
BAYS = 3


@dataclass(frozen=True, slots=True)
class Building:
    """A building: its outline, storeys above ground and their height (m). ``entrances`` and ``doors`` (of
    each storey at each entrance) of what people live in, else 0."""

    id: str
    parcel: str
    ring: Ring
    storeys: int
    storey_m: float
    use: str
    year: int
    name: str = ""
    entrances: int = 0
    doors: int = 0
    people: int = 0

    @property
    def height_m(self) -> float:
        """Above ground."""
        return round(self.storeys * self.storey_m, 1)


@dataclass(frozen=True, slots=True)
class _Form:
    """A building without what follows from its parcel."""

    ring: Ring
    storeys: int
    storey_m: float
    use: str
    name: str = ""
    entrances: int = 0
    doors: int = 0


def buildings(seed: int, of: Superblock, parcel: Parcel) -> list[Building]:
    """The buildings of a parcel, the nearest to its street first."""
    random = draws(seed, "buildings", of.i, of.j, int(parcel.id[-4:]))
    near = centrality(quads.middle(parcel.quad))
    year = (
        int(random.integers(1952, 1988))
        if parcel.old
        else int(np.clip(random.normal(2021 - 22 * near, 6), 1982, 2025))
    )
    made = []
    forms = _allowed(parcel, [*_FORMS[parcel.land](parcel, near, year, random), *_lodges(parcel)])
    for number, form in enumerate(forms, 1):
        people = round(
            form.storeys * form.entrances * form.doors * HOUSEHOLD * float(random.uniform(0.75, 1.05))
        )
        made.append(
            Building(
                f"{parcel.id}B{number:03d}",
                parcel.id,
                form.ring,
                form.storeys,
                form.storey_m,
                form.use,
                year,
                form.name,
                form.entrances,
                form.doors,
                people,
            )
        )
    return made


def _allowed(parcel: Parcel, forms: list[_Form]) -> list[_Form]:
    """With no more floors than the plan allows, nor higher: the higher ones lose most."""
    ratio, _, _, high = LIMITS[parcel.land]
    most = ratio * quads.area(parcel.quad)
    forms = [replace(one, storeys=min(one.storeys, max(1, int(high // one.storey_m)))) for one in forms]
    areas = [quads.area(one.ring) for one in forms]
    for _ in range(8):
        floors = sum(area * one.storeys for area, one in zip(areas, forms, strict=True))
        if round(floors, 1) <= most:
            break
        share = round(most / floors, 6)
        forms = [replace(one, storeys=max(1, int(one.storeys * share))) for one in forms]
    return forms


#: What stands at the back of a parcel, sides of it (m) and how high its storey is.
_LODGES = {
    Land.HOUSING: (("配电房", 8.0, 3.6), ("换热站", 11.0, 4.2), ("垃圾房", 6.0, 3.0)),
    Land.INDUSTRY: (("配电房", 9.0, 3.6), ("门卫", 5.0, 3.0)),
    Land.STORAGE: (("门卫", 5.0, 3.0),),
    Land.HOSPITAL: (("配电房", 9.0, 3.6), ("污水处理站", 12.0, 4.0)),
    Land.SCHOOL: (("门卫", 5.0, 3.0),),
}


def _lodges(parcel: Parcel) -> Iterator[_Form]:
    """Small buildings of supply along the back of a parcel, between its wall and what else stands there."""
    outer = quads.inset(parcel.quad, 1.5, 1.5, 1.5, 1.5)
    if parcel.old or outer is None:
        return
    strip = _strip((outer[2], outer[3], outer[0], outer[1]), 4.6)
    if strip is None:
        return
    lodges = _LODGES.get(parcel.land, ())
    back = strip[0]
    wide = math.dist(back[0], back[1])
    for number, (name, long, high) in enumerate(lodges):
        start = round((number + 0.35 + int(parcel.id[-2:]) % 7 / 20) / len(lodges), 4)
        if start + long / wide < 0.96 and min(quads.sides(back)) > 4:
            yield _Form(quads.part(back, start, 0, round(start + long / wide, 4), 1), 1, high, "配套", name)


def _rectangle(x: float, y: float, wide: float, deep: float, turn: float) -> Ring:
    """In axes turned by ``turn`` its south-west corner is (x, y)."""
    corners = ((x, y), (x + wide, y), (x + wide, y + deep), (x, y + deep))
    return tuple(mm(*quads.turned(corner, turn)) for corner in corners)


def _rows(quad: Quad, deep: float, apart: float, turn: float) -> Iterator[tuple[float, float, float]]:
    """Strips of a parcel that run from west to east: (y, from x, to x) in axes turned by ``turn``; what is
    over is left at both ends."""
    ys = [quads.turned(corner, -turn)[1] for corner in quad]
    low, high = min(ys), max(ys)
    count = int((high - low + apart) // (deep + apart))
    y = low + max(0.0, (high - low - count * (deep + apart) + apart) / 2)
    for _ in range(count):
        below, above = (quads.across(quad, round(at, 3), turn) for at in (y + 0.01, y + deep - 0.01))
        if below and above:
            yield round(y, 3), max(below[0], above[0]), min(below[1], above[1])
        y += deep + apart


def _along(start: float, end: float, long: float, gap: float, offset: float = 0.0) -> list[float]:
    """Where pieces of a length begin that fit between two places, spread evenly."""
    free = end - start - offset
    count = int((free + gap) // (long + gap))
    over = free - count * long - max(0, count - 1) * gap
    return [round(start + offset + over / 2 + k * (long + gap), 3) for k in range(count)]


def _strip(quad: Quad, deep: float) -> tuple[Quad, Quad] | None:
    """What lies along the first side, so deep, and the rest."""
    rest = quads.inset(quad, deep, 0, 0, 0)
    if rest is None:
        return None
    return (quad[0], quad[1], rest[1], rest[0]), rest


def _cut(quad: Quad, long: float, gap: float) -> list[Quad]:
    """Pieces along the first side, about so long, with gaps between them."""
    wide = math.dist(quad[0], quad[1])
    count = max(1, round(wide / (long + gap)))
    step, half = 1 / count, gap / 2 / wide
    return [quads.part(quad, k * step + half, 0, (k + 1) * step - half, 1) for k in range(count)]


def _housing(parcel: Parcel, near: float, year: int, random: np.random.Generator) -> Iterator[_Form]:
    if parcel.old:
        yield from _courtyards(parcel, random)
        return
    within = quads.inset(parcel.quad, 4, 8, 8, 8)
    if within is None:
        return
    yards = _strip(within, 12)
    if yards and random.random() < 0.75:
        front, within = yards[0], quads.inset(yards[1], 14, 0, 0, 0) or yards[1]
        for number, piece in enumerate(_cut(front, 46, 10), 1):
            yield _Form(piece, 2, 4.2, "商业", f"沿街商铺{number}号楼", BAYS)
    turn = round(float(random.uniform(-0.09, 0.09)), 3)
    if year < 1999:
        storeys, deep, long, gap, entrances, doors = 6, 11.0, 46.0, 8.0, 3, 3
    elif year < 2009:
        storeys, deep, long, gap, entrances, doors = 11, 13.5, 38.0, 11.0, 2, 3
    elif random.random() < 0.45:
        storeys, deep, long, gap, entrances, doors = 18, 14.5, 40.0, 14.0, 2, 3
    else:
        storeys, deep, long, gap, entrances, doors = int(random.integers(25, 34)), 17.0, 30.0, 20.0, 1, 6
    apart = round({6: 22.0, 11: 38.0, 18: 46.0}.get(storeys, 52.0) * float(random.uniform(0.95, 1.1)), 1)
    number = 0
    rows = list(_rows(within, deep, apart, turn))
    for row, (y, start, end) in enumerate(rows):
        if end - start < long:
            continue
        offset = (long + gap) / 2 if storeys > 11 and row % 2 and end - start > 2 * long + gap else 0.0
        for x in _along(start, end, long, gap, offset):
            number += 1
            less = int(random.integers(0, 3)) if storeys > 11 else 0
            ring = _slab(x, y, long, deep, turn, storeys)
            yield _Form(ring, storeys - less, 2.9, "住宅", f"{number}幢", entrances, doors)


def _slab(x: float, y: float, long: float, deep: float, turn: float, storeys: int) -> Ring:
    """A slab of dwellings: of higher ones the stairs stand out to the north."""
    if storeys <= 11:
        return _rectangle(x, y, long, deep, turn)
    third, back = long / 3, deep - 3.2
    corners = (
        (0.0, 0.0),
        (long, 0.0),
        (long, back),
        (2 * third, back),
        (2 * third, deep),
        (third, deep),
        (third, back),
        (0.0, back),
    )
    return tuple(mm(*quads.turned((x + dx, y + dy), turn)) for dx, dy in corners)


def _courtyards(parcel: Parcel, random: np.random.Generator) -> Iterator[_Form]:
    """Lots of an old quarter: houses around yards that are open to the first side, or filling their lot."""
    waiting = [parcel.quad]
    while waiting:
        lot = waiting.pop()
        x, y = quads.sides(lot)
        if max(x, y) > 31:
            share = round(0.5 + float(random.uniform(-0.12, 0.12)), 3)
            level = x >= y
            waiting.append(quads.part(lot, share, 0, 1, 1) if level else quads.part(lot, 0, share, 1, 1))
            waiting.append(quads.part(lot, 0, 0, share, 1) if level else quads.part(lot, 0, 0, 1, share))
            continue
        house = quads.inset(lot, *(round(float(each), 2) for each in random.uniform(0.5, 1.1, 4)))
        if house is None or random.random() < 0.07:
            continue
        storeys = int(random.choice((1, 2, 2, 3)))
        ring: Ring = house
        if min(x, y) > 15 and random.random() < 0.7:
            west, east, back = (
                round(float(each), 2) for each in random.uniform((0.28, 0.62, 0.45), (0.38, 0.72, 0.6))
            )
            inner = [quads.at(house, *at) for at in ((east, 0), (east, back), (west, back), (west, 0))]
            ring = (house[0], *reversed(inner), house[1], house[2], house[3])
        yield _Form(ring, storeys, 3.0, "住宅", "", 1, 1)


def _shops(parcel: Parcel, near: float, year: int, random: np.random.Generator) -> Iterator[_Form]:
    within = quads.inset(parcel.quad, 10, 9, 9, 9)
    if within is None:
        return
    x, y = quads.sides(within)
    if x * y < 3_500 or near < 0.45:
        for piece in _cut(within, 60, 9):
            yield _Form(piece, int(random.integers(2, 5)), 4.8, "商业")
        return
    podium, rest = (quads.part(within, 0, 0, 0.57, 1), quads.part(within, 0.61, 0, 1, 1))
    yield _Form(podium, int(random.integers(4, 7)), 5.4, "商业", "商场")
    yield from _tower(rest, near, "商务", random)


def _tower(quad: Quad, near: float, use: str, random: np.random.Generator) -> Iterator[_Form]:
    """A tower in the middle of a place, its corners cut in."""
    x, y = quads.sides(quad)
    side = round(float(random.uniform(30, 42)), 1)
    u, v = min(side / x, 0.94) / 2, min(side / y, 0.94) / 2
    plan = quads.part(quad, 0.5 - u, 0.5 - v, 0.5 + u, 0.5 + v)
    storeys = max(9, round((8 + 34 * near**1.5) * float(random.uniform(0.75, 1.3))))
    cut = 0.16 if random.random() < 0.5 else 0.0
    places = ((cut, 0), (1 - cut, 0), (1, cut), (1, 1 - cut), (1 - cut, 1), (cut, 1), (0, 1 - cut), (0, cut))
    ring = tuple(quads.at(plan, *place) for place in places) if cut else plan
    yield _Form(ring, storeys, 3.9, use, "大厦")


def _offices(parcel: Parcel, near: float, year: int, random: np.random.Generator) -> Iterator[_Form]:
    within = quads.inset(parcel.quad, 14, 10, 10, 10)
    if within is None:
        return
    x, _ = quads.sides(within)
    count = max(1, min(3, round(x / 75)))
    for k in range(count):
        yield from _tower(quads.part(within, k / count, 0, (k + 1) / count, 0.72), near, "商务", random)
    back = quads.part(within, 0.04, 0.82, 0.96, 1)
    if quads.sides(back)[1] > 9:
        yield _Form(back, 3, 4.2, "商务", "附楼")


def _school(parcel: Parcel, near: float, year: int, random: np.random.Generator) -> Iterator[_Form]:
    """Class rooms in one half, in rows to the south; the other half is the sports ground."""
    within = quads.inset(parcel.quad, 12, 10, 10, 10)
    if within is None:
        return
    half = quads.part(within, 0, 0, 0.5, 1)
    storeys = 3 if parcel.land is Land.NURSERY else int(random.integers(4, 6))
    for number, (y, start, end) in enumerate(_rows(half, 10.5, 26, 0.0), 1):
        if end - start > 28:
            long = round(min(end - start, 68.0), 2)
            ring = _rectangle(round(start + (end - start - long) / 2, 3), y, long, 10.5, 0.0)
            yield _Form(ring, storeys, 3.7, "教育", f"{'活动室' if storeys == 3 else '教学楼'}{number}")


def _hospital(parcel: Parcel, near: float, year: int, random: np.random.Generator) -> Iterator[_Form]:
    within = quads.inset(parcel.quad, 22, 14, 14, 14)
    if within is None:
        return
    yield _Form(quads.part(within, 0.1, 0, 0.62, 0.3), 5, 4.2, "医疗", "门诊楼")
    yield _Form(quads.part(within, 0.7, 0, 0.98, 0.26), 4, 4.2, "医疗", "急诊楼")
    for number, (y, start, end) in enumerate(_rows(quads.part(within, 0.08, 0.44, 0.92, 1), 19, 30, 0.0), 1):
        if end - start > 60:
            long = round(min(end - start, 92.0), 2)
            yield _Form(
                _rectangle(round(start, 3), y, long, 19, 0.0), 14 - 2 * number, 3.9, "医疗", f"住院楼{number}"
            )


def _works(parcel: Parcel, near: float, year: int, random: np.random.Generator) -> Iterator[_Form]:
    within = quads.inset(parcel.quad, 12, 9, 9, 9)
    if within is None:
        return
    yards = _strip(within, 16)
    if yards and quads.sides(yards[1])[1] > 50:
        first, *_ = _cut(yards[0], 42, 14)
        yield _Form(first, int(random.integers(3, 6)), 3.8, "办公", "综合楼")
        within = quads.inset(yards[1], 16, 0, 0, 0) or yards[1]
    x, y = quads.sides(within)
    columns, lines = max(1, round(x / 62)), max(1, round(y / 95))
    for row in range(lines):
        for column in range(columns):
            hall = quads.part(
                within, column / columns, row / lines, (column + 1) / columns, (row + 1) / lines
            )
            ring = quads.inset(hall, *(round(float(each), 1) for each in random.uniform(4, 9, 4)))
            if ring and min(quads.sides(ring)) > 14 and random.random() < 0.93:
                use = "仓储" if parcel.land is Land.STORAGE else "工业"
                yield _Form(
                    ring,
                    1,
                    round(float(random.uniform(8, 14)), 1),
                    use,
                    f"{row * columns + column + 1}号{'库' if use == '仓储' else '厂房'}",
                )


def _halls(parcel: Parcel, near: float, year: int, random: np.random.Generator) -> Iterator[_Form]:
    """A public building around a forecourt, and a lower one behind it."""
    within = quads.inset(parcel.quad, 30, 16, 14, 16)
    if within is None:
        return
    use = "文化" if parcel.land is Land.CULTURE else "行政办公"
    plan = quads.part(within, 0.12, 0.1, 0.88, 0.55)
    places = ((0, 0), (0.3, 0), (0.3, 0.45), (0.7, 0.45), (0.7, 0), (1, 0), (1, 1), (0, 1))
    yield _Form(
        tuple(quads.at(plan, *place) for place in places), int(random.integers(4, 9)), 4.2, use, "主楼"
    )
    yield _Form(quads.part(within, 0.2, 0.72, 0.8, 0.98), 3, 4.2, use, "附楼")


def _village(parcel: Parcel, near: float, year: int, random: np.random.Generator) -> Iterator[_Form]:
    within = quads.inset(parcel.quad, 5, 5, 5, 5)
    if within is None:
        return
    turn = round(float(random.uniform(-0.12, 0.12)), 3)
    for y, start, end in _rows(within, 10.5, 5.5, turn):
        for x in _along(start, end, 11.0, 2.5):
            if random.random() < 0.88:
                wide = round(float(random.uniform(9.0, 11.0)), 1)
                deep = round(float(random.uniform(8.4, 10.5)), 1)
                storeys, doors = int(random.integers(1, 4)), 1 + (float(random.random()) < 0.3)
                yield _Form(_rectangle(x, y, wide, deep, turn), storeys, 3.1, "住宅", "", 1, doors)


def _nothing(parcel: Parcel, near: float, year: int, random: np.random.Generator) -> Iterator[_Form]:
    return iter(())


_FORMS: dict[Land, Callable[[Parcel, float, int, np.random.Generator], Iterator[_Form]]] = {
    Land.HOUSING: _housing,
    Land.VILLAGE: _village,
    Land.OFFICES_OF_STATE: _halls,
    Land.CULTURE: _halls,
    Land.SCHOOL: _school,
    Land.NURSERY: _school,
    Land.HOSPITAL: _hospital,
    Land.SHOPS: _shops,
    Land.OFFICES: _offices,
    Land.INDUSTRY: _works,
    Land.STORAGE: _works,
    Land.PARK: _nothing,
    Land.SQUARE: _nothing,
}
