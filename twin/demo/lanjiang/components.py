"""City components (城市部件) along the streets: trees, lamps, manholes, hydrants, signals, signs, cabinets.

A component's code has 16 digits: the division's six, two and two for its class, six of its own. Of classes
the first two digits (公用设施, 交通设施, 市容环境, 园林绿化) are the standard's (GB/T 30428.2, not verified).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from twin.demo.lanjiang import names
from twin.demo.lanjiang.draws import draws
from twin.demo.lanjiang.plan import WIDTHS, Class, Layout, Street, Superblock, Use
from twin.demo.lanjiang.quads import Point, mm

#: Numbers that a superblock has of each class.
OWN = 384


@dataclass(frozen=True, slots=True)
class Kind:
    """A class of components: its four digits, its name, who owns and who keeps it."""

    code: str
    name: str
    owner: str
    keeper: str


TREE = Kind("0401", "行道树", "岚江市园林绿化中心", "岚江市园林绿化中心")
LAMP = Kind("0118", "路灯", "岚江市城市照明管理所", "岚江市城市照明管理所")
WATER = Kind("0101", "上水井盖", "岚江市供水集团", "岚江市供水集团")
SEWER = Kind("0102", "污水井盖", "岚江市排水有限公司", "岚江市市政工程管理处")
RAIN = Kind("0103", "雨水井盖", "岚江市排水有限公司", "岚江市市政工程管理处")
HYDRANT = Kind("0121", "消火栓", "岚江市消防救援支队", "岚江市供水集团")
CABINET = Kind("0122", "电力设施箱体", "岚江供电公司", "岚江供电公司")
SIGNAL = Kind("0207", "交通信号灯", "岚江市公安局交警支队", "岚江市公安局交警支队")
SIGN = Kind("0201", "交通标志", "岚江市公安局交警支队", "岚江市公安局交警支队")
CAMERA = Kind("0206", "监控摄像头", "岚江市公安局", "岚江市公安局")
GRATE = Kind("0104", "雨水箅子", "岚江市排水有限公司", "岚江市市政工程管理处")
BIN = Kind("0304", "果皮箱", "岚江市城市管理局", "岚江市城市管理局")
KINDS = (TREE, LAMP, WATER, SEWER, RAIN, HYDRANT, CABINET, SIGNAL, SIGN, CAMERA, GRATE, BIN)


@dataclass(frozen=True, slots=True)
class Component:
    """A component at a place, and the street of the superblock where it stands."""

    code: str
    kind: Kind
    place: Point
    street: int


#: Of a class of roads: what stands along it, metres from one to the next, and how far inside the red line
#: it stands; on both sides, or on the left (1) or right (-1) alone, or so far from the middle (no side).
_ALONG: dict[Class, tuple[tuple[Kind, float, float, tuple[int, ...]], ...]] = {
    Class.MAIN: (
        (LAMP, 35.0, 1.0, (1, -1)),
        (TREE, 18.0, 2.2, (1, -1)),
        (HYDRANT, 110.0, 1.6, (-1,)),
        (CABINET, 230.0, 0.8, (1,)),
        (SIGN, 300.0, 0.6, (1, -1)),
        (GRATE, 32.0, 5.5, (1, -1)),
        (BIN, 90.0, 1.9, (1, -1)),
    ),
    Class.COLLECTOR: (
        (LAMP, 32.0, 0.8, (1, -1)),
        (TREE, 18.0, 1.8, (1, -1)),
        (HYDRANT, 110.0, 1.2, (-1,)),
        (CABINET, 200.0, 0.6, (1,)),
        (SIGN, 260.0, 0.5, (1,)),
        (GRATE, 32.0, 4.0, (1, -1)),
        (BIN, 90.0, 1.6, (1, -1)),
    ),
    Class.STREET: (
        (LAMP, 34.0, 0.7, (1,)),
        (TREE, 29.0, 1.4, (-1,)),
        (HYDRANT, 115.0, 1.0, (-1,)),
        (CABINET, 260.0, 0.5, (1,)),
        (GRATE, 34.0, 3.0, (1, -1)),
        (BIN, 120.0, 1.2, (-1,)),
    ),
    Class.LANE: ((LAMP, 48.0, 0.5, (1,)),),
}
#: What stands along roads between fields and villages, and how much farther apart than in the city.
_RURAL = {LAMP: 1.0, TREE: 2.0, SIGN: 1.0, SEWER: 1.6, WATER: 1.6}
#: On which side of the main roads around it a superblock lies.
_INSIDE = (1, 1, -1, -1)
#: Manholes: the share of half the width at which their pipe lies, left positive, and metres between them.
_COVERS = ((SEWER, 0.2, 40.0), (RAIN, -0.2, 40.0), (WATER, -0.6, 95.0))


def components(seed: int, of: Superblock, laid: Layout) -> list[Component]:
    """The components of a superblock: along its streets, and at its own side of the main roads around it."""
    random = draws(seed, "components", of.i, of.j)
    rural = of.use in (Use.VILLAGE, Use.FIELDS, Use.HILL)
    number = dict.fromkeys(KINDS, names.cell(of.i, of.j) * OWN)
    made: list[Component] = []

    def stand(kind: Kind, place: Point, street: int) -> None:
        number[kind] += 1
        code = f"{names.CODE}{kind.code}{number[kind]:06d}"
        made.append(Component(code, kind, place, street))

    for at, street in enumerate(laid.streets):
        bridge = of.use is Use.RIVER and at in (1, 3)
        others = [one for number, one in enumerate(laid.streets) if number != at]
        for kind, step, within, sides in _ALONG[street.cls]:
            if (bridge and kind is not LAMP) or (rural and kind not in _RURAL):
                continue
            step *= _RURAL[kind] if rural else 1.0
            off = WIDTHS[street.cls] / 2 - within
            for side in sides if at >= len(_INSIDE) else {_INSIDE[at]} & set(sides):
                start = round(float(random.uniform(0.2, 0.8)) * step, 2)
                for place in _places(street, side * off, step, start, WIDTHS[Class.MAIN] / 2 + 3):
                    if not _is_on(others, place):
                        stand(kind, place, at)
        if bridge or at in (1, 2):
            continue
        for kind, share, step in _COVERS:
            if rural and (kind not in _RURAL or of.use is not Use.VILLAGE):
                continue
            off = share * WIDTHS[street.cls] / 2
            step *= _RURAL[kind] if rural else 1.0
            for place in _places(street, off, step, step / 2, WIDTHS[street.cls] / 2):
                stand(kind, place, at)
    if of.use is not Use.FIELDS and of.use is not Use.HILL:
        for place in _corners(laid):
            stand(SIGNAL, place, 0)
        stand(CAMERA, _corners(laid)[0], 0)
    return made


def _places(street: Street, off: float, step: float, start: float, free: float) -> Iterator[Point]:
    """Places along a street, so far to its left, but not so near its ends."""
    (ax, ay), (bx, by) = street.start, street.end
    long = math.dist(street.start, street.end)
    dx, dy = (bx - ax) / long, (by - ay) / long
    along = free + start
    while along < long - free:
        yield mm(ax + dx * along - dy * off, ay + dy * along + dx * off)
        along = round(along + step, 3)


def _is_on(streets: list[Street], place: Point) -> bool:
    """Whether a place is within the red lines of a street."""
    for street in streets:
        (ax, ay), (bx, by) = street.start, street.end
        dx, dy = _direction(street)
        along = (place[0] - ax) * dx + (place[1] - ay) * dy
        off = abs((place[1] - ay) * dx - (place[0] - ax) * dy)
        if 0 <= along <= math.dist((ax, ay), (bx, by)) and round(off, 3) < WIDTHS[street.cls] / 2:
            return True
    return False


def _corners(laid: Layout) -> list[Point]:
    """Where signals stand at the crossing in the south-west: a corner for each arm of it that is there."""
    level, upright = laid.streets[0], laid.streets[3]
    (x, y), half = level.start, WIDTHS[Class.MAIN] / 2 - 1.5
    east, north = _direction(level), _direction(upright)
    signs = ((1, 1), (1, -1), (-1, -1), (-1, 1))
    return [
        mm(x + half * (a * east[0] + b * north[0]), y + half * (a * east[1] + b * north[1])) for a, b in signs
    ]


def _direction(street: Street) -> Point:
    (ax, ay), (bx, by) = street.start, street.end
    long = math.dist(street.start, street.end)
    return (bx - ax) / long, (by - ay) / long
