"""Sensors of the city, as the device lists of those who keep them: what is observed where, and on what.

Those that stand on pipes stand at their manholes and hydrants: where a sensor stands is asked of ``_sites``
alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import shapely

from twin.demo.lanjiang import addresses, components, names, relief
from twin.demo.lanjiang.components import Component, Kind
from twin.demo.lanjiang.draws import draws
from twin.demo.lanjiang.frame import GEOGRAPHIC
from twin.demo.lanjiang.known import Known
from twin.demo.lanjiang.parcels import Land
from twin.demo.lanjiang.plan import Use
from twin.demo.lanjiang.quads import Point, middle
from twin.demo.lanjiang.subject import SHAPE, Delivery, Rows, Subject

#: Themes that have what is observed.
THEMES = ("water", "flood", "gas", "air", "facilities")
#: Numbers that a superblock has of each property.
_OWN = 64


@dataclass(frozen=True, slots=True)
class Observed:
    """What is observed: as a device list calls it, its unit there, how many a superblock with buildings has,
    and from where to where its nominal value goes."""

    property: str
    title: str
    unit: str
    many: int
    nominal: tuple[float, float] = (0.0, 0.0)


#: By the office that keeps the list: its layer and file, English title, what is on it.
LISTS: dict[str, tuple[str, str, str, tuple[Observed, ...]]] = {
    "devices_water": (
        "岚江市供水集团",
        "供水监测设备",
        "Devices of the water supply",
        (
            Observed("water_pressure", "管网压力", "MPa", 15),
            Observed("water_flow", "管网流量", "m³/h", 9, (40, 420)),
            Observed("turbidity", "浊度", "NTU", 4),
        ),
    ),
    "devices_drainage": (
        "岚江市排水有限公司",
        "排水监测设备",
        "Devices of the drains",
        (
            Observed("water_level", "窨井水位", "m", 24, (0.12, 0.4)),
            Observed("pump_power", "泵组功率", "kW", 2, (45, 160)),
        ),
    ),
    "devices_gas": (
        "岚江燃气集团",
        "燃气监测设备",
        "Devices of the gas supply",
        (Observed("gas_lel", "可燃气体浓度", "%LEL", 17),),
    ),
    "devices_air": (
        "生态环境局",
        "环境监测站点",
        "Stations of the environment",
        (
            Observed("noise", "噪声", "dB(A)", 5),
            Observed("pm10", "扬尘 PM10", "μg/m³", 4),
            Observed("pm2_5", "空气 PM2.5", "μg/m³", 3),
        ),
    ),
    "devices_flood": (
        "水务局",
        "雨情积水监测站点",
        "Stations of rain and flooding",
        (
            Observed("rainfall", "雨强", "mm/h", 2),
            Observed("road_water", "道路积水", "cm", 7),
        ),
    ),
    "devices_buildings": (
        "住房和城乡建设局",
        "房屋安全监测设备",
        "Devices on buildings",
        (Observed("tilt", "房屋倾角", "°", 10),),
    ),
    "devices_streets": (
        "城市运行管理服务中心",
        "物联感知设备",
        "Devices of the streets",
        (
            Observed("lamp_current", "路灯电流", "A", 22),
            Observed("cover_tilt", "井盖倾角", "°", 20),
            Observed("parking", "占用车位", "个", 6, (30, 240)),
        ),
    ),
}
PROPERTIES = {one.title: one for *_, several in LISTS.values() for one in several}
_NUMBERS = {
    name: number for number, name in enumerate(sorted(one.property for one in PROPERTIES.values()), 1)
}


@dataclass(frozen=True, slots=True)
class Site:
    """Where a sensor stands, and what it stands on: the code of a component or of a building."""

    place: Point
    on: str
    at: str


def listed(known: Known, layer: str) -> Rows:
    """The rows of a device list in a superblock."""
    office, *_, several = LISTS[layer]
    for one in several:
        random = draws(known.seed, f"devices/{one.property}", known.of.i, known.of.j)
        sites = _sites(known, one.property)
        chosen = random.permutation(len(sites))[: _many(known, one)].tolist()
        for number, at in enumerate(sorted(chosen), 1):
            site = sites[at]
            low, high = one.nominal
            nominal = round(low + (high - low) * float(random.random()), 2 if high < 10 else 0)
            serial = names.cell(known.of.i, known.of.j) * _OWN + number
            yield {
                "测点编码": f"{names.CODE}{_NUMBERS[one.property]:02d}{serial:06d}",
                "名称": f"{site.at}{one.title}{number:02d}",
                "部件类型": "监测站",
                "监测项目": one.title,
                "计量单位": one.unit,
                "标称值": nominal or None,
                "安装位置": site.at,
                "依附对象": site.on,
                "权属单位": office,
                "上报周期秒": 300,
                SHAPE: shapely.Point(site.place),
            }


def superblock(code: str) -> int:
    """The number of the superblock of a sensor, by its code."""
    return (int(code[-6:]) - 1) // _OWN


def _many(known: Known, one: Observed) -> int:
    """How many a superblock has, where there are sites for them."""
    if known.parcels:
        return one.many if known.of.use is not Use.VILLAGE else -(-one.many // 2)
    outside = {
        "water_level": 4,
        "rainfall": 1,
        "road_water": 2,
        "lamp_current": 4,
        "cover_tilt": 2,
        "pm2_5": 1,
    }
    return outside.get(one.property, 0)


def _sites(known: Known, prop: str) -> list[Site]:
    """Where sensors of a property may stand in a superblock, always in the same order."""
    return _SITES[prop](known)


def _at(known: Known, *kinds: Kind) -> list[Site]:
    return [_site(known, one) for one in known.components if one.kind in kinds]


def _site(known: Known, one: Component) -> Site:
    return Site(one.place, one.code, addresses.road_name(known.of, known.laid, one.street))


def _lowest(known: Known, share: int) -> list[Site]:
    """The lowest of the gullies of a superblock, one of so many."""
    gullies = [one for one in known.components if one.kind is components.RAIN]
    low = sorted(
        gullies, key=lambda one: (float(relief.height(*np.array(one.place).reshape(2, 1))[0]), one.code)
    )
    return [_site(known, one) for one in low[: -(-len(low) // share)]]


def _houses(known: Known, old: bool) -> list[Site]:
    """The corners of buildings; first of all of those that are old or tall."""
    built = [one for _, several in known.built for one in several]
    some = [one for one in built if not old or one.year < 1990 or one.storeys > 17] or built
    return [Site(one.ring[0], one.id, one.name or one.use) for one in some]


def _car_parks(known: Known) -> list[Site]:
    used = (Land.SHOPS, Land.OFFICES, Land.HOUSING, Land.HOSPITAL, Land.CULTURE, Land.PARK)
    return [Site(middle(one.quad), one.id, one.name or "停车场") for one in known.parcels if one.land in used]


_SITES: dict[str, Callable[[Known], list[Site]]] = {
    "water_pressure": lambda known: _at(known, components.HYDRANT),
    "water_flow": lambda known: _at(known, components.WATER),
    "turbidity": lambda known: _at(known, components.WATER),
    "water_level": lambda known: _at(known, components.SEWER, components.RAIN),
    "pump_power": partial(_lowest, share=4),
    "gas_lel": lambda known: _at(known, components.SEWER, components.CABINET),
    "noise": lambda known: _at(known, components.LAMP),
    "pm10": lambda known: _at(known, components.LAMP),
    "pm2_5": lambda known: _at(known, components.LAMP),
    "rainfall": lambda known: _at(known, components.SIGNAL, components.LAMP),
    "road_water": partial(_lowest, share=2),
    "tilt": partial(_houses, old=True),
    "lamp_current": lambda known: _at(known, components.LAMP),
    "cover_tilt": lambda known: _at(known, components.WATER, components.SEWER, components.RAIN),
    "parking": _car_parks,
}


def _deliveries() -> Iterator[Delivery]:
    for layer, (office, file, english, _) in LISTS.items():
        yield Delivery(
            layer,
            f"{office}/{file}.csv",
            "component",
            (file, english),
            {"id_field": "测点编码", "crs": f"EPSG:{GEOGRAPHIC}"},
            table=layer,
            rows=partial(listed, layer=layer),
            geometry="Point",
            floats=("标称值",),
            integers=("上报周期秒",),
        )


SUBJECT = Subject("devices", tuple(_deliveries()))
