"""Some buildings with their roofs: solids of LoD 2 whose surfaces say what they are, as CityJSON 2.0.

A model is the building of the same id in the layer of buildings: its outline, its height; what is pitched has
its eaves and its ridge as far above and below that (GB 55031 takes the mean of the two).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely

from twin.demo.lanjiang import names, plan, quads, relief
from twin.demo.lanjiang.buildings import Building
from twin.demo.lanjiang.draws import draws
from twin.demo.lanjiang.files import Rows as Seen
from twin.demo.lanjiang.frame import Frame
from twin.demo.lanjiang.known import Known
from twin.demo.lanjiang.plan import Use
from twin.demo.lanjiang.quads import Point
from twin.demo.lanjiang.subject import City, Entry, Made, Subject

FILE = "自然资源和规划局/三维模型.city.json"
#: Models of a superblock that is built on, and of one beside the middle of the city.
_EACH, _MIDDLE = 5, 7
GROUND, WALL, ROOF = range(3)
#: How far off its plane the corner of a roof may lie (m); else the roof is made of triangles.
_PLANAR_M = 0.005
_SURFACES = ("GroundSurface", "WallSurface", "RoofSurface")

type Place = tuple[float, float, float]
type Face = list[list[Place]]


@dataclass(slots=True)
class Solid:
    """Faces that enclose a building, each with its outer ring counter-clockwise from outside and its holes,
    and what it is; how its roof is called."""

    roof: str
    faces: list[Face] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)

    def add(self, kind: int, *rings: list[Place]) -> None:
        """One more face."""
        self.faces.append(list(rings))
        self.kinds.append(kind)


def chosen(known: Known) -> list[Building]:
    """The buildings of a superblock that have a model, the same at every size."""
    of = known.of
    houses = [one for _, built in known.built for one in built if one.use != "配套"]
    if of.use is Use.VILLAGE or not houses:
        return []
    count = _MIDDLE if max(abs(of.i), abs(of.j)) <= 1 else _EACH
    random = draws(known.seed, "models", of.i, of.j)
    highest = sorted(houses, key=lambda one: (-one.height_m, one.id))[:2]
    others = [one for one in houses if one not in highest]
    drawn = [others[at] for at in random.permutation(len(others))[: count - 2].tolist()]
    return sorted(highest + drawn, key=lambda one: one.id)


def solid(house: Building) -> Solid:
    """The body of a building, metres on the plan and above the datum of 1985."""
    ring = house.ring
    x, y = np.array(ring).T
    base = round(float(relief.height(x, y).min()), 2)
    top = base + house.height_m
    if len(ring) == 4 and house.storeys <= 6 and house.use in ("住宅", "教育", "工业", "仓储"):
        return _gabled(ring, base, top, house.height_m)
    inner = _smaller(ring)
    return _flat(ring, base, top, inner if house.storeys >= 5 else None)


def _gabled(ring: tuple[Point, ...], base: float, mean: float, height: float) -> Solid:
    """A ridge along the longer sides; the gables are walls."""
    a, b, c, d = ring
    if math.dist(a, b) + math.dist(c, d) < math.dist(b, c) + math.dist(d, a):
        a, b, c, d = b, c, d, a
    rise = round(min((math.dist(b, c) + math.dist(d, a)) / 4 * 0.5, 0.4 * height), 2)
    eaves, ridge = round(mean - rise / 2, 2), round(mean + rise / 2, 2)
    east = quads.mm((b[0] + c[0]) / 2, (b[1] + c[1]) / 2)
    west = quads.mm((d[0] + a[0]) / 2, (d[1] + a[1]) / 2)
    low, high = ([(*corner, at) for corner in (a, b, c, d)] for at in (base, eaves))
    e, w = (*east, ridge), (*west, ridge)
    made = Solid("双坡屋顶")
    made.add(GROUND, low[::-1])
    made.add(WALL, [low[0], low[1], high[1], high[0]])
    made.add(WALL, [low[1], low[2], high[2], e, high[1]])
    made.add(WALL, [low[2], low[3], high[3], high[2]])
    made.add(WALL, [low[3], low[0], high[0], w, high[3]])
    for one, other, end, start in ((high[0], high[1], e, w), (high[2], high[3], w, e)):
        if _off_plane(one, other, end, start) < _PLANAR_M:
            made.add(ROOF, [one, other, end, start])
        else:
            made.add(ROOF, [one, other, end])
            made.add(ROOF, [one, end, start])
    return made


def _off_plane(a: Place, b: Place, c: Place, d: Place) -> float:
    """How far the fourth corner lies off the plane of the others (m)."""
    origin, *others = np.array((a, b, c, d))
    ab, ac, ad = (one - origin for one in others)
    normal = np.cross(ab, ac)
    return float(abs(normal @ ad) / np.linalg.norm(normal))


def _flat(ring: tuple[Point, ...], base: float, top: float, inner: tuple[Point, ...] | None) -> Solid:
    """A level roof, with the room of the lifts on it where there is one."""
    made = Solid("平屋顶" if inner is None else "平屋顶带机房")
    top = round(top, 2)
    made.add(GROUND, [(*one, base) for one in reversed(ring)])
    _walls(made, ring, base, top)
    roof: list[Place] = [(*one, top) for one in ring]
    if inner is None:
        made.add(ROOF, roof)
        return made
    above = round(top + 3.6, 2)
    made.add(ROOF, roof, [(*one, top) for one in reversed(inner)])
    _walls(made, inner, top, above)
    made.add(ROOF, [(*one, above) for one in inner])
    return made


def _walls(made: Solid, ring: tuple[Point, ...], low: float, high: float) -> None:
    for a, b in zip(ring, (*ring[1:], ring[0]), strict=True):
        made.add(WALL, [(*a, low), (*b, low), (*b, high), (*a, high)])


def _smaller(ring: tuple[Point, ...]) -> tuple[Point, ...] | None:
    """The same form in the middle of a roof, None where it does not lie within."""
    whole = shapely.Polygon(ring)
    x, y = whole.centroid.coords[0]
    made = tuple(quads.mm(x + (px - x) * 0.4, y + (py - y) * 0.4) for px, py in ring)
    return made if whole.buffer(-0.5).contains(shapely.Polygon(made)) else None


def rows(city: City) -> Iterator[tuple[Building, Solid]]:
    """The models of a city, superblock by superblock."""
    for cell in plan.cells(city.size):
        for house in chosen(Known(city.seed, *cell, city.size)):
            yield house, solid(house)


def cityjson(frame: Frame, models: Iterator[tuple[Building, Solid]]) -> dict[str, Any]:
    """A CityJSON 2.0 object; vertices are shared, in millimetres."""
    found: dict[Place, int] = {}
    easting, northing = frame.origin
    objects: dict[str, dict[str, Any]] = {}
    for house, body in models:
        faces = [[[found.setdefault(at, len(found)) for at in ring] for ring in face] for face in body.faces]
        part = f"{house.id}P1"
        objects[house.id] = {
            "type": "Building",
            "children": [part],
            "attributes": {
                "用途": house.use,
                "地上层数": house.storeys,
                "屋顶形式": body.roof,
                "建成年份": house.year,
                "说明": names.NOTICE,
            },
        }
        objects[part] = {
            "type": "BuildingPart",
            "parents": [house.id],
            "geometry": [
                {
                    "type": "Solid",
                    "lod": "2.2",
                    "boundaries": [faces],
                    "semantics": {
                        "surfaces": [{"type": one} for one in _SURFACES],
                        "values": [body.kinds],
                    },
                }
            ],
        }
    return {
        "type": "CityJSON",
        "version": "2.0",
        "transform": {"scale": [0.001] * 3, "translate": [easting, northing, 0.0]},
        "metadata": {
            "title": f"{names.CITY}三维模型({names.NOTICE})",
            "referenceSystem": f"https://www.opengis.net/def/crs/EPSG/0/{frame.epsg}",
        },
        "CityObjects": objects,
        "vertices": [[round(value * 1000) for value in at] for at in found],
    }


def _whole(city: City) -> Made:
    made = cityjson(city.frame, rows(city))
    seen = Seen()
    for name, one in made["CityObjects"].items():
        if one["type"] == "BuildingPart":
            corners = [
                [[made["vertices"][at] for at in ring] for ring in face]
                for face in one["geometry"][0]["boundaries"][0]
            ]
            seen.see((name, *made["CityObjects"][one["parents"][0]]["attributes"].values(), corners))
    file = city.out / FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(made, ensure_ascii=False, separators=(",", ":")) + "\n", "utf-8")
    entry = Entry("models", FILE, "cim", ("三维模型", "Building models"), visible=True)
    return Made((entry,), {"models": seen.count}, {"models": seen.digest.hexdigest()})


SUBJECT = Subject("models", whole=_whole)
