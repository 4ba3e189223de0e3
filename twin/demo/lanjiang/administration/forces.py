"""Forces (队伍), stores (物资) and shelters (避难场所): how many, where, how soon."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import shapely

from twin.demo.lanjiang import names, quads
from twin.demo.lanjiang.administration import facilities, people
from twin.demo.lanjiang.draws import draws
from twin.demo.lanjiang.known import Known
from twin.demo.lanjiang.plan import Use
from twin.demo.lanjiang.quads import Point
from twin.demo.lanjiang.subject import SHAPE, Rows


@dataclass(frozen=True, slots=True)
class _Form:
    """Forces of a kind: what they are called, whose they are, people (least, most), what they can, minutes
    until they leave."""

    kind: str
    title: str
    unit: str
    people: tuple[int, int]
    able: str
    minutes: int


_GRID = _Form("grid_worker", "网格员队", "{head}01", (4, 10), "巡查、转移群众", 5)
_SWEEP = _Form("cleaning", "保洁队", "{head}03", (6, 20), "清扫、除雪", 20)
_HELP = _Form("volunteer", "志愿者队", "{head}01", (10, 40), "引导、安置", 40)
_POLICE = _Form("police", "巡警组", "{head}04", (4, 8), "警戒、交通管制", 3)
_FIRE = _Form("fire", "消防站", "U014", (18, 40), "灭火、举高32米、泡沫", 1)
_HEALTH = _Form("medical", "急救站", "U012", (4, 9), "急救、转运", 3)
_FLOOD = _Form("flood_team", "防汛队", "U019", (10, 24), "排水1000立方米每小时、冲锋舟", 15)
_PIPES = _Form("pipe_crew", "抢修队", "U018", (6, 14), "开挖、堵漏、焊接", 15)
_GAS = _Form("pipe_crew", "燃气抢修队", "U020", (5, 10), "关阀、堵漏、检测", 10)
_UAV = _Form("uav", "无人机组", "U001", (2, 4), "航拍、喊话", 10)
#: Which forces a superblock has.
_AT = {
    Use.CORE: (_GRID, _SWEEP, _HELP, _POLICE, _UAV),
    Use.ESTATE: (_GRID, _SWEEP, _HELP, _POLICE),
    Use.OLD: (_GRID, _SWEEP, _HELP, _GAS),
    Use.INDUSTRY: (_GRID, _SWEEP, _FIRE, _PIPES),
    Use.CAMPUS: (_GRID, _SWEEP, _HEALTH, _HELP),
    Use.VILLAGE: (_GRID, _HELP),
    Use.HILL: (_GRID,),
    Use.FIELDS: (_GRID,),
    Use.RIVER: (_GRID, _FLOOD),
}
#: What a store has at hand, its unit, least and most.
_GOODS = (
    ("sandbag", "沙袋", "袋", 200, 3_000),
    ("pump_truck", "排水泵车", "台", 1, 4),
    ("generator", "应急发电机", "台", 1, 6),
    ("store", "棉被", "床", 50, 800),
    ("store", "饮用水", "箱", 60, 900),
    ("boat", "橡皮艇", "艘", 1, 6),
)
#: Square metres of open ground for each who shelters there.
_EACH = 2.0
_OPEN = {"公园": 60.0, "广场": 30.0}


def bases(known: Known) -> Rows:
    """Rows of forces."""
    code, community = names.community(known.of.i, known.of.j)
    random = draws(known.seed, "forces", known.of.i, known.of.j)
    for number, form in enumerate(_AT[known.of.use], 1):
        least, most = form.people
        yield {
            "队伍编号": f"Q{code}{number:02d}",
            "名称": f"{community.removesuffix('社区')}{form.title}",
            "类别": form.kind,
            "单位编码": form.unit.format(head=f"U{code[6:9]}"),
            "人数": int(random.integers(least, most + 1)),
            "能力": form.able,
            "出动分钟": form.minutes,
            "联系电话": people.phone(people.number(f"Q{code}{number}")),
            "状态": "待命",
            SHAPE: shapely.Point(_base(known, random.random())),
        }


def _base(known: Known, share: float) -> Point:
    """A door, or a place beside the road in the west where there is none."""
    if known.plates:
        return known.plates[int(share * len(known.plates))].place
    return quads.at(known.of.quad, 0.02, 0.1 + 0.8 * round(share, 6))


@dataclass(frozen=True, slots=True)
class Resource:
    """A store of something, or a shelter for so many."""

    id: str
    name: str
    kind: str
    goods: str
    amount: int
    unit: str
    place: Point


def resources(known: Known) -> Iterator[Resource]:
    """The stores and shelters of a superblock."""
    code, community = names.community(known.of.i, known.of.j)
    stem = community.removesuffix("社区")
    random = draws(known.seed, "resources", known.of.i, known.of.j)
    number = 0
    for one in facilities.facilities(known):
        if one.kind in _OPEN:
            number += 1
            room = max(10, round(one.holds * _OPEN[one.kind] / _EACH / 4 / 10) * 10)
            yield Resource(
                f"W{code}{number:03d}", f"{one.name}避难场所", "shelter", "应急避难", room, "人", one.place
            )
        elif one.kind in ("小学", "初级中学"):
            number += 1
            yield Resource(
                f"W{code}{number:03d}", f"{one.name}避难点", "shelter", "室内避难", one.holds, "人", one.place
            )
    many = 2 if not known.plates else 4
    store = _base(known, float(random.random()))
    for at in sorted(int(each) for each in random.choice(len(_GOODS), many, replace=False)):
        kind, goods, unit, least, most = _GOODS[at]
        number += 1
        amount = int(random.integers(least, most + 1))
        yield Resource(f"W{code}{number:03d}", f"{stem}物资点{goods}", kind, goods, amount, unit, store)


def stores(known: Known) -> Rows:
    """Rows of stores and shelters."""
    code, _ = names.community(known.of.i, known.of.j)
    for one in resources(known):
        yield {
            "资源编号": one.id,
            "名称": one.name,
            "类别": one.kind,
            "物资": one.goods,
            "数量": one.amount,
            "计量单位": one.unit,
            "单位编码": f"U{code[6:9]}01",
            SHAPE: shapely.Point(one.place),
        }
