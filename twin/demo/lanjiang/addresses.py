"""Door plates along roads, odd on one side and even on the other, and the rooms behind them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from twin.demo.lanjiang import names, quads
from twin.demo.lanjiang.buildings import Building
from twin.demo.lanjiang.parcels import Land, Parcel
from twin.demo.lanjiang.plan import HIGH, WIDE, Layout, Superblock
from twin.demo.lanjiang.quads import Point, mm

#: Metres of a road for a number on each side.
_STEP = 6.0
#: How far within a building its plate is drawn (m).
_WITHIN = 1.2


@dataclass(frozen=True, slots=True)
class Plate:
    """A door plate. ``unit`` is the entrance of a building of dwellings."""

    id: str
    building: str
    place: Point
    street: str
    number: str
    estate: str = ""
    house: str = ""
    unit: str = ""


def road_name(of: Superblock, laid: Layout, street: int) -> str:
    """The name of a street of a superblock."""
    i, j = of.i, of.j
    main = (True, j, i), (False, i + 1, j), (True, j + 1, i), (False, i, j)
    if street < len(main):
        return names.main_road(*main[street])
    return names.street(i, j, street - 3, laid.streets[street].cls)


def plates(of: Superblock, laid: Layout, built: list[tuple[Parcel, list[Building]]]) -> list[Plate]:
    """The plates of a superblock."""
    used: dict[tuple[str, str], int] = {}
    made: list[Plate] = []
    for parcel, houses in built:
        street = road_name(of, laid, parcel.street)
        gate = _number(of, laid, parcel.street, _middle(parcel.quad[0], parcel.quad[1]))
        gate_number = _own(used, street, gate) if houses else ""
        for house in houses:
            own = parcel.old or parcel.land is Land.VILLAGE or house.name.startswith("沿街")
            estate = "" if own else parcel.name
            name = "" if own else house.name
            doors = max(1, house.entrances)
            for entrance in range(1, doors + 1):
                place = _door(house.ring, (entrance - 0.5) / doors)
                number = _own(used, street, _number(of, laid, parcel.street, place)) if own else gate_number
                unit = "" if own or doors == 1 else f"{entrance}单元"
                made.append(
                    Plate(f"{house.id}M{entrance}", house.id, place, street, number, estate, name, unit)
                )
    return made


def rooms(house: Building) -> Iterator[str]:
    """The rooms behind each entrance of a building, by storey and door."""
    for storey in range(1, house.storeys + 1):
        for door in range(1, house.doors + 1):
            yield f"{storey}{door:02d}室"


def full(of: Superblock, plate: Plate) -> str:
    """The whole address, without rooms."""
    _, subdistrict = names.subdistrict(of.i, of.j)
    head = f"{names.CITY}{names.district(of.i, of.j)}{subdistrict}{plate.street}{plate.number}"
    return f"{head}{plate.estate}{plate.house}{plate.unit}"


def _own(used: dict[tuple[str, str], int], street: str, number: int) -> str:
    """A number of a road that no other plate has."""
    text = f"{number}"
    count = used[street, text] = used.get((street, text), 0) + 1
    return f"{text}号" if count == 1 else f"{text}-{count - 1}号"


def _number(of: Superblock, laid: Layout, street: int, place: Point) -> int:
    road = laid.streets[street]
    (ax, ay), (bx, by) = road.start, road.end
    long = math.dist(road.start, road.end)
    along = ((place[0] - ax) * (bx - ax) + (place[1] - ay) * (by - ay)) / long
    left = (bx - ax) * (place[1] - ay) - (by - ay) * (place[0] - ax) > 0
    if street < 4:
        # of a road that is called so from a superblock before
        along += (
            of.i % names.SECTION * (WIDE + 60) if street in (0, 2) else of.j % names.SECTION * (HIGH + 60)
        )
    return 2 * int(round(max(along, 0.0), 3) // _STEP) + (1 if left else 2)


def _door(ring: tuple[Point, ...], share: float) -> Point:
    """A place within a building, at the side with which it begins."""
    a, b = ring[0], ring[1]
    x, y = a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share
    long = math.dist(a, b)
    return mm(x - (b[1] - a[1]) / long * _WITHIN, y + (b[0] - a[0]) / long * _WITHIN)


def _middle(a: Point, b: Point) -> Point:
    return quads.mm((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)
