"""Registers of 岚江: workbooks as offices write them, clocks with 调休, units that rows mean."""

from __future__ import annotations

import csv
import zipfile
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path

import openpyxl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from twin.demo.lanjiang import components, generate, names, plan
from twin.demo.lanjiang.administration import clocks, duties, items, people, units

SEED = 1
OPERATION = "城市运行管理服务中心"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("lanjiang") / "S"
    generate.generate(out, size="S", seed=SEED, workers=1)
    return out / OPERATION


def read(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(encoding="gb18030", newline="") as file:
        return list(csv.DictReader(file))


#: Start, limit, deadline: worked out with the package chinesecalendar 1.11.0.
DEADLINES = [
    ("2026-02-13 17:00", "4工作时", "2026-02-14 11:00"),
    ("2026-02-14 15:00", "1工作日", "2026-02-24 15:00"),
    ("2026-09-30 16:00", "1工作日", "2026-10-08 16:00"),
    ("2026-09-19 10:00", "2工作时", "2026-09-20 10:00"),
    ("2026-04-30 17:30", "5工作日", "2026-05-11 17:30"),
    ("2026-06-18 11:59:30", "4工作时", "2026-06-18 17:59:30"),
    ("2026-01-02 09:00", "3工作日", "2026-01-06 18:00"),
    ("2026-05-08 13:00", "1工作日", "2026-05-09 12:00"),
    ("2026-02-14 23:30", "2紧急工作时", "2026-02-15 01:30"),
]


@pytest.mark.parametrize(("start", "limit", "deadline"), DEADLINES)
def test_limits_end_when_the_calendar_says(start: str, limit: str, deadline: str) -> None:
    ends = clocks.after(datetime.fromisoformat(start), clocks.limit(limit))
    assert ends == datetime.fromisoformat(deadline)


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 11, 1)).map(lambda one: one.replace(microsecond=0)),
    st.integers(1, 3_000),
)
def test_working_time_is_counted_minute_by_minute(start: datetime, minutes: int) -> None:
    end = clocks.walked(start, timedelta(minutes=minutes), urgent=False)
    worked, day = 0.0, start.date()
    while day <= end.date():
        for begin, until in clocks.PERIODS if clocks.works(day) else ():
            a = max(start, datetime.combine(day, begin))
            b = min(end, datetime.combine(day, until))
            worked += max(0.0, (b - a).total_seconds())
        day += timedelta(days=1)
    assert worked == minutes * 60
    assert clocks.walked(start, timedelta(minutes=minutes), urgent=True) - start == timedelta(minutes=minutes)


def test_words_that_are_no_limit_are_refused() -> None:
    with pytest.raises(ValueError, match="4小时"):
        clocks.limit("4小时")


def test_the_calendar_is_that_of_the_clocks(folder: Path) -> None:
    told = yaml.safe_load((folder / "城市日历2026.yml").read_text("utf-8"))
    kinds = {one["date"]: one["kind"] for one in told["days"]}
    worked = sorted(day for day, kind in kinds.items() if kind == "work")
    assert [f"{day:%m-%d}" for day in worked] == ["01-04", "02-14", "02-28", "05-09", "09-20", "10-10"]
    for n in range(365):
        day = date(2026, 1, 1) + timedelta(days=n)
        assert clocks.works(day) == (kinds.get(day, "work" if day.weekday() < 5 else "holiday") == "work")


def test_the_table_of_items_has_merged_cells_and_no_time_of_its_own(folder: Path) -> None:
    file = folder / "事项清单.xlsx"
    assert {one.date_time for one in zipfile.ZipFile(file).infolist()} == {(1980, 1, 31, 0, 0, 0)}
    book = openpyxl.load_workbook(file)
    assert book.properties.created == book.properties.modified == datetime(2026, 1, 1)
    assert book.sheetnames == [items.COMPONENT, items.EVENT]
    found = []
    for page in book.worksheets:
        spans = {(one.min_row, one.min_col): one for one in page.merged_cells.ranges}
        assert "虚构演示数据" in page.cell(1, 1).value
        assert spans[1, 1].max_col == 12
        above: list[str] = [""] * 12
        for number, row in enumerate(page.iter_rows(min_row=3, values_only=True), 3):
            covered = [
                any(one.min_row < number <= one.max_row and one.min_col == at for one in spans.values())
                for at in range(1, 13)
            ]
            assert [value is None for value in row] == covered
            above = [last if value is None else value for last, value in zip(above, row, strict=True)]
            found.append((page.title, above[0], above[2], above[4], above[5]))
        assert any(one.max_row > one.min_row for one in spans.values() if one.min_col == 3)
    wanted = [
        (item.sheet, item.main, item.sub, one.text, f"{one.limit.value}{one.limit.clock}")
        for item in items.of_size("S")
        for one in item.conditions
    ]
    assert found == wanted
    assert len(wanted) >= 100


def test_items_have_codes_of_their_own_and_words_that_mean_somebody() -> None:
    every = items.every()
    assert len({one.id for one in every}) == len(every) >= 190
    conditions = [one.id for item in every for one in item.conditions]
    assert len(set(conditions)) == len(conditions) > 340
    assert len({(item.id, one.text) for item in every for one in item.conditions}) == len(conditions)
    known = set(duties.aliases()) | set(duties.WORDS)
    assert {word for item in every for word in item.who} <= known
    # a component of the city is of a class of the table, by its name, too
    classes = {
        item.main + item.sub: item.name for item in items.of_size("S") if item.sheet == items.COMPONENT
    }
    assert all(classes[kind.code] == kind.name for kind in components.KINDS)


def test_units_are_a_tree_and_own_the_components(folder: Path) -> None:
    rows = read(folder, "单位.csv")
    codes = {row["单位编码"]: row for row in rows}
    assert len(codes) == len(rows) == len({row["单位名称"] for row in rows})
    assert [row["单位编码"] for row in rows if not row["上级单位"]] == [units.CENTRE]
    for row in rows:
        seen, at = set(), row["单位编码"]
        while at != units.CENTRE:
            assert at not in seen
            seen.add(at)
            at = codes[at]["上级单位"]
    assert {kind.owner for kind in components.KINDS} <= {row["单位名称"] for row in rows}
    assert {kind.keeper for kind in components.KINDS} <= {row["单位名称"] for row in rows}
    alias = read(folder, "单位别名.csv")
    assert len({row["别名"] for row in alias}) == len(alias)
    assert {row["单位编码"] for row in alias} <= set(codes)
    assert all(row["电话"].startswith("000-") for row in rows)
    of = Counter((row["区域代码"], row["职能"]) for row in read(folder, "区域职能.csv"))
    assert max(of.values()) == 1
    assert {what for _, what in of} == set(duties.FUNCTIONS.values())


def test_every_post_is_held_and_every_row_means_a_unit(folder: Path) -> None:
    codes = {row["单位编码"] for row in read(folder, "单位.csv")}
    posts, persons = read(folder, "岗位.csv"), {row["人员编号"]: row for row in read(folder, "人员.csv")}
    assert {row["人员编号"] for row in posts} == set(persons)
    assert {row["单位编码"] for row in posts} <= codes
    assert len({row["手机"] for row in persons.values()}) > 0.9 * len(persons)
    assert all(row["手机"].startswith("10") and "****" in row["手机"] for row in persons.values())
    for row in read(folder, "值班表.csv"):
        assert {row["带班领导"], row["值班长"], row["受理员"]} <= set(persons)
    scopes = {one.id for one in items.of_size("S")}
    scopes |= {one.id for item in items.of_size("S") for one in item.conditions}
    rows = read(folder, "权责清单.csv")
    assert len({row["行号"] for row in rows}) == len(rows) >= 150
    for row in rows:
        assert row["范围"] in scopes
        assert row["责任"] in duties.FUNCTIONS or row["责任"] in {duties.OWNER, *(f"unit:{c}" for c in codes)}
    for row in read(folder, "争议清单.csv"):
        assert row["单位编码"] in codes
        assert row["范围"] in scopes


def test_every_condition_is_somebodys_wherever_people_live() -> None:
    for cell in plan.cells("M"):
        if plan.superblock(SEED, *cell).use in (plan.Use.RIVER, plan.Use.HILL, plan.Use.FIELDS):
            continue
        tables = duties.Tables(SEED, *cell, items.of_size("M"))
        place = duties.Place(names.subdistrict(*cell)[0], names.community(*cell)[0], None)
        for item in items.of_size("M"):
            for one in item.conditions:
                unit, row = tables.main(item, one.id, place, date(2026, 6, 1))
                assert unit.startswith("U")
                assert row


def test_registers_of_a_smaller_city_are_in_those_of_a_larger_one() -> None:
    small, large = (units.of(SEED, list(plan.cells(size))) for size in ("S", "L"))
    called = Counter(name for one in large[0] for name in (one.name, *one.aliases))
    assert max(called.values()) == 1
    assert set(small[0]) <= set(large[0])
    assert set(small[1]) <= set(large[1])
    rows = [set(duties.of_subdistrict(SEED, "980100001", items.of_size(size))) for size in ("S", "M")]
    assert rows[0] < rows[1]
    rows = [set(duties.citywide(items.of_size(size))) for size in ("S", "M")]
    assert rows[0] < rows[1]
    assert len({people.name(SEED, number) for number in range(300)}) > 200
