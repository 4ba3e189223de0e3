"""The registers of the administration as files: units, posts, items, duties, the calendar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from twin.demo.lanjiang import files, names, plan
from twin.demo.lanjiang.administration import clocks, duties, items, people, sheets, units
from twin.demo.lanjiang.subject import City, Entry, Made
from twin.demo.lanjiang.survey import OPERATION

#: The days of past cases and of the table of who was on duty.
FIRST, LAST = date(2026, 4, 1), date(2026, 6, 30)


@dataclass(frozen=True, slots=True)
class _Register:
    """A table without places, and the kind of layer that it is to be one day."""

    name: str
    file: str
    kind: str
    title: tuple[str, str]
    heads: tuple[str, ...]

    @property
    def entry(self) -> Entry:
        """Its line of the manifest."""
        return Entry(self.name, f"{OPERATION}/{self.file}", self.kind, self.title, optional=True)


_UNITS = _Register(
    "organisation",
    "单位.csv",
    "unit",
    ("单位", "Units"),
    ("单位编码", "单位名称", "上级单位", "类别", "层级", "区域代码", "电话"),
)
_ALIASES = _Register(
    "aliases", "单位别名.csv", "unit_alias", ("单位别名", "Names of units"), ("别名", "单位编码")
)
_FUNCTIONS = _Register(
    "functions",
    "区域职能.csv",
    "area_unit",
    ("区域职能", "Units of areas"),
    ("职能", "区域类别", "区域代码", "单位编码"),
)
_POSTS = _Register(
    "posts",
    "岗位.csv",
    "post",
    ("岗位", "Posts"),
    ("岗位编码", "角色", "岗位名称", "单位编码", "范围", "值班时间", "人员编号"),
)
_PEOPLE = _Register(
    "people",
    "人员.csv",
    "person",
    ("人员", "People"),
    ("人员编号", "姓名", "手机"),
)
_ROSTER = _Register(
    "roster",
    "值班表.csv",
    "shift",
    ("值班表", "Duty table"),
    ("日期", "班次", "带班领导", "值班长", "受理员"),
)
_DUTIES = _Register(
    "duties",
    "权责清单.csv",
    "duty",
    ("权责清单", "Duties"),
    ("行号", "范围", "分工", "责任", "区域代码", "次序", "生效", "失效", "时段", "依据"),
)
_DISPUTES = _Register(
    "disputes",
    "争议清单.csv",
    "dispute",
    ("争议清单", "Decided disputes"),
    ("决定号", "范围", "区域代码", "单位编码", "日期"),
)
_ITEMS = Entry("items", f"{OPERATION}/事项清单.xlsx", "item", ("事项清单", "Items"), optional=True)
_CALENDAR = Entry(
    "calendar", f"{OPERATION}/城市日历{clocks.YEAR}.yml", "calendar", ("城市日历", "Calendar"), optional=True
)


def write(city: City) -> Made:
    """Write all registers."""
    cells = list(plan.cells(city.size))
    of_size = items.of_size(city.size)
    found, functions = units.of(city.seed, cells)
    grids = [code for part in city.tables("duty_grids") for code in part["网格编码"].to_pylist()]
    posts = list(people.posts(found, grids))
    subdistricts = sorted({names.subdistrict(*cell)[0] for cell in cells})
    duty = (
        row
        for rows in (
            duties.citywide(of_size),
            *(duties.of_subdistrict(city.seed, code, of_size) for code in subdistricts),
        )
        for row in rows
    )
    disputes = (row for cell in cells for row in duties.disputes(city.seed, *cell, of_size))
    tables: tuple[tuple[_Register, Iterable[Sequence[object]]], ...] = (
        (_UNITS, ((u.code, u.name, u.above, u.kind, u.tier, u.place, u.phone) for u in found)),
        (_ALIASES, ((alias, u.code) for u in found for alias in u.aliases)),
        (_FUNCTIONS, ((f.what, f.area_kind, f.area, f.unit) for f in functions)),
        (_POSTS, ((p.id, p.role, p.title, p.unit, p.scope, p.hours, p.person) for p in posts)),
        (_PEOPLE, (_person(city.seed, p.person) for p in posts)),
        (_ROSTER, people.roster(FIRST, LAST)),
        (_DUTIES, map(_duty, duty)),
        (_DISPUTES, ((d.id, d.scope, d.where, d.unit, d.decided) for d in disputes)),
    )
    written = {one.name: sheets.write(city.out / one.entry.path, one.heads, rows) for one, rows in tables}
    written["items"] = sheets.workbook(city.out / _ITEMS.path, of_size)
    written["calendar"] = _calendar(city.out / _CALENDAR.path)
    return Made(
        (*(one.entry for one, _ in tables), _ITEMS, _CALENDAR),
        {name: count for name, (count, _) in written.items()},
        {name: digest for name, (_, digest) in written.items()},
    )


def _person(seed: int, person: str) -> tuple[str, str, str]:
    number = people.number(person)
    return person, people.name(seed, number), people.phone(number)


def _duty(row: duties.Duty) -> tuple[object, ...]:
    season = "/".join(f"{day:%m-%d}" for day in row.season) if row.season else ""
    return (
        row.id,
        row.scope,
        row.part,
        row.who,
        row.where,
        row.order,
        row.since,
        row.until,
        season,
        row.basis,
    )


def _calendar(file: Path) -> tuple[int, str]:
    """Write the days of the year that are not what their weekday says."""
    seen = files.Rows()
    periods = ", ".join(f'"{begin:%H:%M}-{end:%H:%M}"' for begin, end in clocks.PERIODS)
    lines = [
        f"# {names.CITY}: {names.NOTICE}; {clocks.SOURCE}",
        f"year: {clocks.YEAR}",
        "week: [mon, tue, wed, thu, fri]",
        f"periods: [{periods}]",
        "days:",
    ]
    for row in sorted(clocks.days()):
        seen.see(row)
        day, kind, name = row
        lines.append(f"  - {{date: {day}, kind: {kind}, name: {name}}}")
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return seen.count, seen.digest.hexdigest()
