"""Scripts: something that happens somewhere at a time, which changes what sensors read and what is reported.

What a sensor reads while one is played is a pure function, too: of seed, stream, time, script and start."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from layers.errors import BadParameter
from twin.demo.lanjiang import names
from twin.demo.lanjiang.devices import superblock
from twin.demo.lanjiang.observations import CURVES, Floats, Stream, observed

#: Metres of a degree of latitude.
_DEGREE = 110_574.0
_CALLS = 37


@dataclass(frozen=True, slots=True)
class Effect:
    """What becomes of the sensors of a property within ``reach`` (m) of the place: by minutes since the
    start, what is added, or by what share of it a value rises; ``fades`` with the distance."""

    property: str
    reach: float
    profile: tuple[tuple[float, float], ...]
    how: Literal["add", "share"] = "add"
    fades: bool = True
    #: Metres within which it is not felt.
    beyond: float = 0.0
    #: Degrees from the north towards which the wind blows it; it goes everywhere without one.
    towards: float | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """A report to the city so many minutes after the start: its class and level, and by whom."""

    minute: float
    cls: str
    level: int
    title: str
    source: str = "hotline"


@dataclass(frozen=True, slots=True)
class Script:
    """What happens: at the first sensor of ``property`` in a superblock of the middle, which is its number.
    ``cases`` is how many the reports are of."""

    name: str
    title: str
    property: str
    effects: tuple[Effect, ...]
    told: tuple[Told, ...]
    units: tuple[str, ...]
    cases: int
    superblock: int = 0
    drill: bool = False


_HOTLINE = (
    "小区门口污水井往外冒水，味道很大",
    "路边井盖冒水，行人没法走",
    "污水漫到人行道上了，请派人来看看",
    "井里的水溢出来流到车道上",
    "门口积了污水，孩子上学要绕路",
    "上午就打过电话，污水还在冒",
    "商铺门前污水横流，没法做生意",
    "污水井满了，水都漫到台阶上了",
)


def _calls() -> tuple[Told, ...]:
    """Calls that come thick at first and thin out."""
    return tuple(
        Told(round(3 + 75 * (number / _CALLS) ** 1.6, 2), "water", 3, _HOTLINE[number * 5 % len(_HOTLINE)])
        for number in range(_CALLS)
    )


_BURST = Script(
    "burst",
    "DN600 供水管爆管",
    "water_pressure",
    (
        Effect("water_pressure", 520, ((0, 0), (4, -0.8), (55, -0.8), (90, 0)), "share"),
        Effect("water_flow", 300, ((0, 0), (4, 1.4), (55, 1.4), (70, -0.6), (90, 0)), "share"),
        Effect("turbidity", 420, ((10, 0), (25, 3.2), (80, 2.4), (150, 0))),
        Effect("road_water", 260, ((6, 0), (30, 60), (60, 52), (110, 0))),
    ),
    (
        Told(5, "water", 2, "路面突然大量冒水，疑似水管爆裂"),
        Told(8, "water", 3, "家里没水了，整栋楼都没有"),
        Told(11, "water", 3, "水压很小，热水器打不着火"),
        Told(16, "road", 3, "路面塌了一块，水一直往外涌"),
        Told(24, "water", 3, "放出来的水是浑的"),
    ),
    ("岚江市供水集团", "岚江市市政工程管理处", "岚江市公安局交警支队"),
    2,
)
_RAINSTORM = Script(
    "rainstorm",
    "暴雨橙色预警，下穿通道积水 15、27、50 厘米",
    "road_water",
    (
        Effect("rainfall", 2_600, ((0, 0), (15, 38), (40, 56), (70, 34), (120, 0)), fades=False),
        Effect("water_level", 2_600, ((8, 0), (50, 1.3), (90, 1.1), (180, 0))),
        Effect("road_water", 90, ((10, 0), (26, 15), (41, 27), (61, 50), (90, 50), (150, 0)), fades=False),
        Effect("road_water", 900, ((15, 0), (60, 12), (90, 10), (150, 0)), beyond=90),
        Effect("pump_power", 1_200, ((8, 0), (20, 1.0), (120, 1.0), (180, 0)), "share"),
    ),
    (
        Told(0, "water", 3, "气象台发布暴雨橙色预警信号", "warning"),
        Told(26, "water", 3, "下穿通道积水 15 厘米", "inspector"),
        Told(41, "water", 2, "下穿通道积水 27 厘米，小车熄火"),
        Told(61, "water", 1, "下穿通道积水 50 厘米，需要封路", "inspector"),
    ),
    ("岚江市排水有限公司", "岚江市公安局交警支队", "水务局"),
    1,
)
_GAS = Script(
    "gas",
    "燃气泄漏窜入相邻电力井",
    "gas_lel",
    (
        Effect("gas_lel", 20, ((2, 0), (8, 9), (18, 24), (35, 61), (60, 58), (80, 0)), fades=False),
        Effect("gas_lel", 180, ((14, 0), (30, 34), (60, 34), (85, 0))),
    ),
    (
        Told(12, "gas", 2, "路口能闻到很重的煤气味"),
        Told(22, "gas", 1, "电力井里有煤气味，担心起火"),
    ),
    ("岚江燃气集团", "岚江供电公司", "岚江市消防救援支队"),
    1,
)
_FIRE = Script(
    "fire",
    "储罐火灾，西北风",
    "pm10",
    (
        Effect("pm10", 1_500, ((2, 0), (12, 900), (70, 760), (130, 0)), towards=135),
        Effect("pm2_5", 1_500, ((3, 0), (14, 520), (70, 430), (140, 0)), towards=135),
    ),
    (
        Told(3, "fire", 1, "厂区储罐着火，有浓烟"),
        Told(7, "environment", 2, "黑烟飘过来了，呛得厉害"),
        Told(15, "environment", 3, "空气有刺鼻气味，要不要关窗"),
    ),
    ("岚江市消防救援支队", "生态环境局", "应急管理局"),
    1,
    superblock=names.cell(-1, -1),
)
_OVERFLOW = Script(
    "overflow",
    "污水井溢流，37 个热线电话",
    "water_level",
    (Effect("water_level", 60, ((0, 0), (6, 1.9), (95, 1.9), (120, 0)), fades=False),),
    _calls(),
    ("岚江市排水有限公司", "岚江市市政工程管理处"),
    1,
)
_DRILL = Script(
    "drill",
    "防汛演练",
    "road_water",
    (),
    (
        Told(1, "water", 4, "下穿通道积水 30 厘米", "drill"),
        Told(6, "water", 4, "泵站停电，请求支援", "drill"),
        Told(15, "water", 4, "人员转移完毕", "drill"),
    ),
    ("水务局", "应急管理局"),
    0,
    drill=True,
)
SCRIPTS = {one.name: one for one in (_BURST, _RAINSTORM, _GAS, _FIRE, _OVERFLOW, _DRILL)}


@dataclass(frozen=True, slots=True)
class Scene:
    """A script at a sensor's place, from a time (seconds since 1970)."""

    script: Script
    start: float
    at: Stream

    def observed(self, seed: int, stream: Stream, times: Floats) -> Floats:
        """What a stream reads at times while this is played; what the city's day says wherever it is not."""
        values = observed(seed, stream, times)
        minutes = (np.asarray(times, np.float64) - self.start) / 60
        for effect in self.script.effects:
            share = _felt(effect, self.at, stream)
            if share > 0:
                at, sizes = np.array(effect.profile, np.float64).T
                much = share * np.interp(minutes, at, sizes, left=0.0, right=0.0)
                values = values + (much if effect.how == "add" else values * much)
        return np.maximum(np.round(values, CURVES[stream.property][1]), 0.0)

    def affects(self, stream: Stream) -> bool:
        """Whether a stream ever reads something else because of it."""
        return any(_felt(effect, self.at, stream) > 0 for effect in self.script.effects)

    def title(self, told: Told) -> str:
        """A report as it is written: one of a drill never looks real."""
        return f"【演练】{told.title}（演练）" if self.script.drill else told.title


def scene(name: str, streams: Iterable[Stream], start: float) -> Scene:
    """A script, where it happens among the sensors of a city: in its middle, at the same place at any size.

    Raises BadParameter: no such script, no such sensor."""
    if name not in SCRIPTS:
        raise BadParameter("script", name, f"one of {', '.join(SCRIPTS)}")
    script = SCRIPTS[name]
    near = [one for one in streams if superblock(one.code) == script.superblock]
    there = [one for one in near if one.property == script.property]
    if not there:
        raise BadParameter("script", name, f"for a city whose device lists have {script.property}")
    return Scene(script, start, min(there, key=lambda one: (_seen(script, one, near), one.code)))


def _seen(script: Script, at: Stream, near: Sequence[Stream]) -> float:
    """Metres to the nearest other sensor of each property that a script changes, together: the fewer, the
    better it is seen there."""
    whole = 0.0
    for prop in {effect.property for effect in script.effects}:
        others = [math.hypot(*away(at, one)) for one in near if one.property == prop and one.code != at.code]
        whole += min(others, default=1_000.0)
    return round(whole, 1)


def away(a: Stream, b: Stream) -> tuple[float, float]:
    """Metres from one to another, eastwards and northwards."""
    east = (b.lon - a.lon) * _DEGREE * 1.0067 * math.cos(math.radians(a.lat))
    return east, (b.lat - a.lat) * _DEGREE


def _felt(effect: Effect, at: Stream, stream: Stream) -> float:
    """How much of an effect a stream feels, 0 to 1."""
    if stream.property != effect.property:
        return 0.0
    east, north = away(at, stream)
    metres = math.hypot(east, north)
    if not effect.beyond <= metres < effect.reach:
        return 0.0
    share = 1 - metres / effect.reach if effect.fades else 1.0
    if effect.towards is None or metres < 30:
        return share
    turn = math.radians(effect.towards)
    down = east * math.sin(turn) + north * math.cos(turn)
    if down <= 0:
        return 0.0
    aside = east * math.cos(turn) - north * math.sin(turn)
    return share * math.exp(-((aside / (60 + 0.28 * down)) ** 2))


def reports(of: Scene, since: float, until: float) -> Sequence[Told]:
    """What is told after one time and up to another (seconds since 1970)."""
    return [one for one in of.script.told if since < of.start + one.minute * 60 <= until]
