"""Units (单位): who there is, who is above whom, by which names they go, and who does what where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from twin.demo.lanjiang import names, plan

#: Functions (职能) that an area's unit has, and the words of tables for them.
STREET, ENFORCEMENT, SANITATION, STATION, PROPERTY = (
    "street_office",
    "enforcement",
    "sanitation",
    "police",
    "property",
)


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit. ``place`` is the code of the area that it is for: the city, a subdistrict, a community."""

    code: str
    name: str
    above: str
    kind: str
    tier: str
    place: str
    aliases: tuple[str, ...] = ()

    @property
    def phone(self) -> str:
        """A number that no telephone has: none begins with 000."""
        return f"000-{int(self.code[1:]) % 10**8:08d}"


@dataclass(frozen=True, slots=True)
class Function:
    """What a unit does for an area."""

    what: str
    area_kind: str
    area: str
    unit: str


CENTRE = "U001"
#: Number, name without the city's, kind; further names beside those that follow from the name.
_CITY: tuple[tuple[int, str, str, tuple[str, ...]], ...] = (
    (1, "城市运行管理服务中心", "centre", ("城运中心",)),
    (2, "城市管理局", "bureau", ("城管局", "市城管局")),
    (3, "住房和城乡建设局", "bureau", ("住建局",)),
    (4, "自然资源和规划局", "bureau", ("资规局",)),
    (5, "公安局", "bureau", ("市局",)),
    (6, "交通运输局", "bureau", ("交通局",)),
    (7, "水务局", "bureau", ()),
    (8, "生态环境局", "bureau", ("环保局",)),
    (9, "应急管理局", "bureau", ("应急局",)),
    (10, "市场监督管理局", "bureau", ("市监局",)),
    (11, "民政局", "bureau", ()),
    (12, "卫生健康委员会", "bureau", ("卫健委",)),
    (13, "公安局交警支队", "bureau", ("交警支队", "交警")),
    (14, "消防救援支队", "bureau", ("消防支队",)),
    (15, "园林绿化中心", "enterprise", ("园林中心", "园林所")),
    (16, "城市照明管理所", "enterprise", ("路灯所",)),
    (17, "市政工程管理处", "enterprise", ("市政处",)),
    (18, "供水集团", "owner", ("自来水公司",)),
    (19, "排水有限公司", "owner", ("排水公司",)),
    (20, "燃气公司", "owner", ("天然气公司",)),
    (21, "热力公司", "owner", ()),
    (22, "供电公司", "owner", ("供电局", "国网岚江")),
    (23, "通信公司", "owner", ("电信公司",)),
)
#: Where companies keep the houses.
_KEPT = (plan.Use.CORE, plan.Use.ESTATE, plan.Use.OLD, plan.Use.CAMPUS, plan.Use.INDUSTRY)
#: Those whose name has no 市.
_WITHOUT = {22, 23}


def city() -> Iterator[Unit]:
    """The units of the city as a whole."""
    for number, name, kind, more in _CITY:
        whole = f"{'岚江' if number in _WITHOUT else names.CITY}{name}"
        short = () if number in _WITHOUT else (f"市{name}",)
        above = "" if number == 1 else "U005" if number == 13 else "U002" if 15 <= number <= 17 else CENTRE
        yield Unit(f"U{number:03d}", whole, above, kind, "city", names.CODE, (*short, name, *more))


def of_subdistrict(code: str, name: str) -> tuple[Unit, ...]:
    """The units of a subdistrict: its office, its force, its cleaners, its police station."""
    stem, head = name.removesuffix("街道"), f"U{code[-3:]}"
    office = f"{head}01"
    return (
        Unit(office, f"{name}办事处", CENTRE, "street", "town", code, (f"{stem}街道办", f"{name}")),
        Unit(f"{head}02", f"{name}综合行政执法队", office, "street", "town", code, (f"{stem}执法队",)),
        Unit(f"{head}03", f"{name}环境卫生所", office, "street", "town", code, (f"{stem}环卫所",)),
        Unit(f"{head}04", f"{stem}派出所", "U005", "bureau", "town", code, (f"岚江市公安局{stem}派出所",)),
    )


def of_community(seed: int, i: int, j: int) -> Unit | None:
    """The company that keeps the estates of a community, where it has some."""
    if plan.superblock(seed, i, j).use not in _KEPT:
        return None
    code, name = names.community(i, j)
    office = f"U{code[6:9]}01"
    # two communities far from each other may have one name
    stem = names.subdistrict(i, j)[1].removesuffix("街道") + name.removesuffix("社区")
    return Unit(
        f"U{code[6:12]}05", f"{stem}物业服务有限公司", office, "enterprise", "village", code, (f"{stem}物业",)
    )


def of(seed: int, cells: Iterable[tuple[int, int]]) -> tuple[list[Unit], list[Function]]:
    """All units of some superblocks, and what each does for which area."""
    units, functions = list(city()), []
    subdistricts: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for cell in cells:
        subdistricts.setdefault(names.subdistrict(*cell), []).append(cell)
    for (code, name), within in sorted(subdistricts.items()):
        own = of_subdistrict(code, name)
        units += own
        whats = (STREET, ENFORCEMENT, SANITATION, STATION)
        functions += [Function(what, "街道", code, one.code) for what, one in zip(whats, own, strict=True)]
        for cell in within:
            if company := of_community(seed, *cell):
                units.append(company)
                functions.append(Function(PROPERTY, "社区", names.community(*cell)[0], company.code))
    return units, functions
