"""What lies under the streets: eight classes of pipelines, their place in the cross-section, cover and size.

Clearances and covers follow GB 50289-2016 as far as they could be read (not verified). Each class has a layer
of depth of its own, so that where streets meet any two classes pass over each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from twin.demo.lanjiang.plan import Class

#: Metres of cover that no rain drain has less of: all but the drains lie above.
DRAIN_COVER = 3.55
#: Metres from the top of a sewer to the invert of the rain drain beside it.
BELOW_RAIN = 0.35


@dataclass(frozen=True, slots=True, eq=False)
class Medium:
    """A class of pipelines. ``off``: metres from the middle of a road of a class, east of it or north of it
    positive; ``size``: diameter, or width and height of a duct (mm); ``cover``: metres above the top, of
    drains the least; ``step``: metres between survey points at most."""

    code: str
    name: str
    owner: str
    material: str
    laying: str
    off: Mapping[Class, float]
    size: Mapping[Class, tuple[int, ...]]
    cover: float
    step: float
    pressure: str = ""
    voltage: str = ""

    def high(self, cls: Class) -> float:
        """Height outside (m)."""
        return self.size[cls][-1] / 1_000

    def wide(self, cls: Class) -> float:
        """Width outside (m)."""
        return self.size[cls][0] / 1_000


def _roads(main: float, collector: float, street: float, lane: float | None = None) -> dict[Class, float]:
    found = {Class.MAIN: main, Class.COLLECTOR: collector, Class.STREET: street}
    return found if lane is None else {**found, Class.LANE: lane}


def _sizes(*each: tuple[int, ...]) -> dict[Class, tuple[int, ...]]:
    return dict(zip((Class.MAIN, Class.COLLECTOR, Class.STREET, Class.LANE), each, strict=False))


_DUCT, _SMALL = (400, 250), (300, 250)
TELECOM = Medium(
    "TX",
    "通信",
    "岚江通信管道公司",
    "PVC",
    "管块",
    _roads(-16.5, -10.6, -6.4, -2.9),
    _sizes((400, 200), (300, 200), (300, 200), (200, 100)),
    0.68,
    60.0,
)
GAS = Medium(
    "RQ",
    "燃气",
    "岚江燃气公司",
    "PE",
    "直埋",
    _roads(-11.5, -7.6, -4.5, -1.9),
    _sizes((200,), (200,), (160,), (110,)),
    1.77,
    90.0,
    pressure="中压A",
)
RAIN = Medium(
    "YS",
    "雨水",
    "岚江市排水有限公司",
    "砼",
    "直埋",
    _roads(-5.0, -2.8, -1.7),
    _sizes((800,), (800,), (600,)),
    DRAIN_COVER,
    50.0,
)
SEWER = Medium(
    "WS",
    "污水",
    "岚江市排水有限公司",
    "HDPE",
    "直埋",
    _roads(1.5, 0.7, 0.6, -0.2),
    _sizes((500,), (500,), (400,), (300,)),
    DRAIN_COVER,
    50.0,
)
HEAT = Medium(
    "RL",
    "热力",
    "岚江市热力公司",
    "钢",
    "直埋",
    _roads(5.5, 3.9, 2.7),
    _sizes((400,), (300,), (200,)),
    2.95,
    90.0,
    pressure="1.6MPa",
)
WATER = Medium(
    "JS",
    "给水",
    "岚江市供水集团",
    "球墨铸铁",
    "直埋",
    _roads(10.5, 7.3, 4.8, 1.5),
    _sizes((600,), (400,), (300,), (150,)),
    2.15,
    90.0,
    pressure="0.4MPa",
)
POWER = Medium(
    "DL",
    "电力",
    "岚江供电公司",
    "BLG",
    "管块",
    _roads(16.5, 10.6, 6.9, 2.9),
    _sizes(_DUCT, _DUCT, _SMALL, _SMALL),
    1.2,
    60.0,
    voltage="10kV",
)
#: Nitrogen from works to works, on racks along the streets between them.
INDUSTRY = Medium(
    "GY",
    "工业",
    "岚江工业气体公司",
    "钢",
    "架空",
    {Class.COLLECTOR: -11.6, Class.STREET: -7.2},
    _sizes((200,), (200,), (150,)),
    -6.0,
    60.0,
    pressure="0.8MPa",
)
MEDIA = (WATER, SEWER, RAIN, GAS, POWER, TELECOM, HEAT, INDUSTRY)
