"""Pipelines of eight classes as their owners survey them: tables of lines and of points of each.

Heads and codes are those of CJJ 61-2017 as far as they could be read (not verified). Depths are to the top of
what is under pressure, of cables and ducts, and to the invert of drains; levels as depths.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial

import shapely

from twin.demo.lanjiang import addresses
from twin.demo.lanjiang.draws import draws
from twin.demo.lanjiang.known import Known
from twin.demo.lanjiang.pipelines import epanet, network, swmm
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
from twin.demo.lanjiang.plan import Class
from twin.demo.lanjiang.subject import SHAPE, City, Delivery, Entry, Made, Rows, Subject

_ENGLISH = {
    WATER: ("water", "Water pipes"),
    SEWER: ("sewage", "Sewers"),
    RAIN: ("rain", "Rain drains"),
    GAS: ("gas", "Gas pipes"),
    POWER: ("power", "Power ducts"),
    TELECOM: ("telecom", "Telecom ducts"),
    HEAT: ("heat", "Heat pipes"),
    INDUSTRY: ("industrial", "Industrial pipes"),
}
#: Files that do not say their encoding.
_UNSAID = (SEWER, GAS, TELECOM)
_OLDEST, _NEWEST = 1992, 2025


@lru_cache(maxsize=2)
def _surveyed(
    seed: int, i: int, j: int, cells: frozenset[tuple[int, int]]
) -> dict[Medium, tuple[list[Node], list[Section]]]:
    return {one: (nodes, sections) for one, nodes, sections in network.network(seed, i, j, cells)}


def surveyed(known: Known, medium: Medium) -> tuple[list[Node], list[Section]]:
    """Points and sections of a class in a superblock."""
    return _surveyed(known.seed, known.of.i, known.of.j, known.size)[medium]


def lines(medium: Medium, known: Known) -> Rows:
    """The table of lines of a class."""
    for one in surveyed(known, medium)[1]:
        (a, b), (first, last) = one.grounds, one.levels
        yield {
            "管线编号": one.id,
            "起点点号": one.start,
            "终点点号": one.end,
            "管线类别": medium.name,
            "管径": "X".join(map(str, one.size)) if len(one.size) > 1 else f"DN{one.size[0]}",
            "材质": medium.material,
            "埋设方式": medium.laying,
            "起点埋深": round(a - first, 3),
            "终点埋深": round(b - last, 3),
            "起点高程": first,
            "终点高程": last,
            "压力": medium.pressure or None,
            "电压": medium.voltage or None,
            "权属单位": medium.owner,
            "建设年代": _year(known.seed, one.id, one.cls),
            "所在道路": addresses.road_name(known.of, known.laid, one.street),
            SHAPE: shapely.LineString(one.places),
        }


def points(medium: Medium, known: Known) -> Rows:
    """The table of points of a class."""
    for one in surveyed(known, medium)[0]:
        yield {
            "物探点号": one.id,
            "管线类别": medium.name,
            "特征": one.feature or None,
            "附属物": one.fitted or None,
            "地面高程": one.ground_m,
            "管线高程": one.low_m,
            "埋深": round(one.ground_m - one.low_m, 3),
            "权属单位": medium.owner,
            "所在道路": addresses.road_name(known.of, known.laid, one.street),
            SHAPE: shapely.Point(one.place),
        }


@lru_cache(maxsize=512)
def _laid_in(seed: int, road: str, main: bool) -> int:
    number = int.from_bytes(road.encode(), "big")
    year = int(draws(seed, "pipes", number).integers(_OLDEST, _NEWEST + 1))
    return max(year, _OLDEST + 8) if main else year


def _year(seed: int, section: str, cls: Class) -> int:
    """When the line of a section was laid: all of it at once."""
    return _laid_in(seed, section.rpartition("L")[0], cls is Class.MAIN)


def _deliveries(medium: Medium) -> tuple[Delivery, Delivery]:
    table, title = _ENGLISH[medium]
    said = medium not in _UNSAID
    return (
        Delivery(
            f"{table}_pipes",
            f"{medium.owner}/{medium.name}管线.shp",
            "pipeline",
            (f"{medium.name}管线", title),
            {"id_field": "管线编号"},
            visible=True,
            table=f"{table}_pipes",
            rows=partial(lines, medium),
            geometry="LineString",
            floats=("起点埋深", "终点埋深", "起点高程", "终点高程"),
            integers=("建设年代",),
            cpg=said,
        ),
        Delivery(
            f"{table}_points",
            f"{medium.owner}/{medium.name}管点.shp",
            "feature",
            (f"{medium.name}管点", f"Survey points of {title.lower()}"),
            {"id_field": "物探点号"},
            table=f"{table}_points",
            rows=partial(points, medium),
            geometry="Point",
            floats=("地面高程", "管线高程", "埋深"),
            cpg=said,
        ),
    )


#: Models of networks: no kind takes them yet.
_MODELS = (
    Entry(
        "water_model",
        f"{WATER.owner}/给水管网.inp",
        "network",
        ("给水管网模型", "Model of the water network"),
    ),
    Entry("drain_model", f"{RAIN.owner}/排水管网.inp", "network", ("排水管网模型", "Model of the drains")),
)


def _whole(city: City) -> Made:
    water, drains = (replace(one, optional=True) for one in _MODELS)
    truth = {
        water.layer: epanet.write(city, city.out / water.path),
        drains.layer: swmm.write(city, city.out / drains.path),
    }
    return Made((water, drains), truth=truth)


SUBJECT = Subject("pipelines", tuple(one for medium in MEDIA for one in _deliveries(medium)), _whole)
