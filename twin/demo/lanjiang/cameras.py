"""Cameras at crossings and gates, as the list of a video platform has them, and the sectors that they see.

A camera's code has 20 digits: eight of the centre (division, station), two of the trade, three of the type
(132, a network camera), seven of its own (GB/T 28181, annex D, rule A; not verified)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely

from twin.demo.lanjiang import addresses, components, names
from twin.demo.lanjiang.draws import draws
from twin.demo.lanjiang.frame import GEOGRAPHIC
from twin.demo.lanjiang.known import Known
from twin.demo.lanjiang.parcels import Land
from twin.demo.lanjiang.plan import WIDTHS, Class, Use, centrality
from twin.demo.lanjiang.quads import Point, middle, mm
from twin.demo.lanjiang.subject import SHAPE, Delivery, Rows, Subject

OFFICE = "公安局"
#: Numbers that a superblock has.
_OWN = 64
#: 社会治安路面接入, and 社会治安社区接入: of roads, and of gates.
_ROADS, _GATES = "00", "01"
_NETWORK_CAMERA = "132"
#: Directions as the list has them, by eighths of a circle from the north.
_TOWARDS = ((4, "北"), (6, "东北"), (1, "东"), (5, "东南"), (3, "南"), (7, "西南"), (2, "西"), (8, "西北"))
#: Degrees from one point of a sector's arc to the next, at most.
_ARC = 6.0
_WATCHED = (Land.SCHOOL, Land.NURSERY, Land.HOSPITAL, Land.OFFICES_OF_STATE, Land.SQUARE, Land.CULTURE)


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera: where it stands, the way it looks (degrees from the north, clockwise), how wide (degrees) and
    how far (m) it sees; ``dome`` is one that turns."""

    code: str
    place: Point
    at: str
    towards: float
    wide: float
    far: float
    high: float
    dome: bool

    def sector(self) -> shapely.Polygon:
        """What it sees of the plan, were nothing in the way."""
        steps = max(2, math.ceil(self.wide / _ARC) + 1)
        angles = np.radians(self.towards + np.linspace(-self.wide / 2, self.wide / 2, steps))
        x, y = self.place
        arc = [mm(x + self.far * math.sin(a), y + self.far * math.cos(a)) for a in angles.tolist()]
        return shapely.Polygon([self.place, *arc])


@dataclass(frozen=True, slots=True)
class _Post:
    """Where one may stand, what it looks at, how far from there it is used, and whether at a gate."""

    place: Point
    looks_at: Point
    at: str
    gate: bool = False


def cameras(known: Known) -> list[Camera]:
    """The cameras of a superblock."""
    random = draws(known.seed, "cameras", known.of.i, known.of.j)
    posts = list(_posts(known))
    few = sorted(random.permutation(len(posts))[: _many(known)].tolist())
    made = []
    for number, post in enumerate((posts[at] for at in few), 1):
        dome = float(random.random()) < (0.5 if post.gate else 0.3)
        wide, far = float(random.integers(32, 58)), float(random.integers(45, 95))
        if dome:
            wide, far = 62.0, 120.0
        trade = _GATES if post.gate else _ROADS
        serial = names.cell(known.of.i, known.of.j) * _OWN + number
        code = f"{names.CODE}{_station(known):02d}{trade}{_NETWORK_CAMERA}{serial:07d}"
        (x, y), (u, v) = post.place, post.looks_at
        towards = round(math.degrees(math.atan2(u - x, v - y)) + float(random.uniform(-6, 6))) % 360
        high = 6.5 if not post.gate else 3.5
        made.append(Camera(code, post.place, post.at, float(towards), wide, far, high, dome))
    return made


def _station(known: Known) -> int:
    """The police station whose district a superblock is of, two digits."""
    _, _, own = names.subdistrict(known.of.i, known.of.j)[0].partition(names.CODE)
    return int(own) % 100


def _many(known: Known) -> int:
    """Fewer outside of towns and in villages, few where nothing is built."""
    near = centrality(middle(known.of.quad))
    if not known.parcels:
        return 2 if near > 0.05 else 0
    if known.of.use is Use.VILLAGE:
        return 6
    return 24 if near > 0.05 else 12


def _posts(known: Known) -> Iterator[_Post]:
    """Beside crossings, across the road that another street runs into, and at gates."""
    streets = known.laid.streets
    crossing = streets[0].start
    for one in known.components:
        if one.kind is components.SIGNAL:
            yield _Post(one.place, crossing, _named(known, one.street) + "路口")
    for number, street in enumerate(streets[4:], 4):
        for end, other in ((street.start, street.end), (street.end, street.start)):
            met = _met(known, number, end)
            long = math.dist(end, other)
            if met is None or long < 1:
                continue
            off = WIDTHS[streets[met].cls] / 2 - 0.9
            beyond = 1 + off / long
            place = mm(*(b + (a - b) * beyond for a, b in zip(end, other, strict=True)))
            yield _Post(place, other, f"{_named(known, met)}与{_named(known, number)}路口")
    for parcel in known.parcels:
        if parcel.land in _WATCHED and streets[parcel.street].cls is not Class.LANE:
            gate = mm(*(sum(axis) / 2 for axis in zip(parcel.quad[0], parcel.quad[1], strict=True)))
            inside = middle(parcel.quad)
            long = math.dist(gate, inside)
            place = mm(gate[0] - (inside[0] - gate[0]) / long, gate[1] - (inside[1] - gate[1]) / long)
            at = f"{_named(known, parcel.street)}{parcel.name or '单位'}门口"
            yield _Post(place, inside, at, gate=True)


def _met(known: Known, number: int, end: Point) -> int | None:
    """The street that one runs into with an end."""
    line = [shapely.LineString([one.start, one.end]) for one in known.laid.streets]
    near = [
        (shapely.distance(one, shapely.Point(end)), at)
        for at, one in enumerate(line)
        if at != number and shapely.distance(one, shapely.Point(end)) < 1.0
    ]
    return min(near)[1] if near else None


def _named(known: Known, street: int) -> str:
    return addresses.road_name(known.of, known.laid, street)


def listed(known: Known) -> Rows:
    """The list of cameras (一机一档)."""
    for one in cameras(known):
        number, name = _TOWARDS[round(one.towards / 45) % 8]
        yield {
            "设备编码": one.code,
            "名称": f"{one.at}{name}向",
            "部件类型": "摄像头",
            "摄像机类型": 1 if one.dome else 3,
            "监视方位": number,
            "方位角": one.towards,
            "水平视场角": one.wide,
            "可视距离": one.far,
            "安装高度": one.high,
            "分辨率": "3840*2160" if one.dome else "2560*1440",
            "安装地址": f"{names.CITY}{names.district(known.of.i, known.of.j)}{one.at}",
            "管理单位": f"{names.subdistrict(known.of.i, known.of.j)[1]}派出所",
            "共享范围": "部门共享",
            "设备状态": "在线",
            SHAPE: shapely.Point(one.place),
        }


def sectors(known: Known) -> Rows:
    """What each sees."""
    for one in cameras(known):
        yield {"设备编码": one.code, "名称": one.at, "可视距离": one.far, SHAPE: one.sector()}


SUBJECT = Subject(
    "cameras",
    (
        Delivery(
            "camera_sectors",
            f"{OFFICE}/视频监控视域.gpkg",
            "feature",
            ("视频监控视域", "What cameras see"),
            {"id_field": "设备编码"},
            table="camera_sectors",
            rows=sectors,
            geometry="Polygon",
            floats=("可视距离",),
        ),
        Delivery(
            "cameras",
            f"{OFFICE}/视频监控点位.csv",
            "component",
            ("视频监控点位", "Cameras"),
            {"id_field": "设备编码", "crs": f"EPSG:{GEOGRAPHIC}"},
            table="cameras",
            rows=listed,
            geometry="Point",
            floats=("方位角", "水平视场角", "可视距离", "安装高度"),
            integers=("摄像机类型", "监视方位"),
        ),
    ),
)
