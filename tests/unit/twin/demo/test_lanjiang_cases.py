"""Past cases of 岚江: the unit of each follows from the tables that are shipped, its times from their clocks,
and there are more where and when there are more people, older houses and rain."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import openpyxl
import pyogrio
import pytest
import shapely
import yaml
from pyproj import Transformer

from twin.demo.lanjiang import generate
from twin.demo.lanjiang.administration.cases import rain

SEED = 1
OPERATION = "城市运行管理服务中心"
#: Words of the table of duties, and the function of an area's unit that they ask for, by kind of area.
ASKED = {
    "street_of()": ("街道代码", "street_office"),
    "enforcement_of()": ("街道代码", "enforcement"),
    "area_unit(sanitation)": ("街道代码", "sanitation"),
    "police_of()": ("街道代码", "police"),
    "property_of(building)": ("社区代码", "property"),
}
HOURS = {"紧急工作时": 1, "紧急工作日": 24, "工作时": 1, "工作日": 8}


class Shipped:
    """The files of a city, and nothing that made them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cases = self._read("历史案件.csv")
        self.calls = self._read("热线工单.csv")
        self.duties = self._read("权责清单.csv")
        self.disputes = {(r["范围"], r["区域代码"]): r["单位编码"] for r in self._read("争议清单.csv")}
        self.functions = {(r["区域代码"], r["职能"]): r["单位编码"] for r in self._read("区域职能.csv")}
        self.units = {r["单位名称"]: r["单位编码"] for r in self._read("单位.csv")}
        self.units |= {r["别名"]: r["单位编码"] for r in self._read("单位别名.csv")}
        self.limits = dict(self._limits())
        told = yaml.safe_load((folder / OPERATION / "城市日历2026.yml").read_text("utf-8"))
        self.days = {one["date"]: one["kind"] for one in told["days"]}
        _, table = pyogrio.read_arrow(folder / OPERATION / "城市部件.shp", read_geometry=False)
        self.owners = {row["部件标识码"]: row["主管部门"] for row in table.to_pylist()}

    def _read(self, name: str) -> list[dict[str, str]]:
        with (self.folder / OPERATION / name).open(encoding="gb18030", newline="") as file:
            return list(csv.DictReader(file))

    def _limits(self) -> Iterator[tuple[str, str]]:
        """Limits by the number of the condition: those of a sub-class count from one."""
        for page in openpyxl.load_workbook(self.folder / OPERATION / "事项清单.xlsx").worksheets:
            main = sub = ""
            number = 0
            for row in page.iter_rows(min_row=3, values_only=True):
                number += 1
                if row[0] is not None:
                    main = row[0]
                if row[2] is not None:
                    sub, number = row[2], 1
                yield f"{page.title}-{main}-{sub}-{number}", row[5]

    def unit(self, case: dict[str, str]) -> str:
        """The unit that is to act: the order of A7, step by step."""
        day = datetime.fromisoformat(case["派遣时间"]).date()
        condition = case["立案条件编号"]
        item = condition.rpartition("-")[0]
        if decided := self.disputes.get((item, case["社区代码"])):
            return decided
        street = case["社区代码"][:9]
        left = [
            (row, unit)
            for row in self.duties
            if row["分工"] == "主办"
            and row["范围"] in (condition, item)
            and row["区域代码"] in ("980100", street)
            and date.fromisoformat(row["生效"]) <= day <= date.fromisoformat(row["失效"])
            and (not row["时段"] or row["时段"][:5] <= f"{day:%m-%d}" <= row["时段"][6:])
            and (unit := self.meant(row["责任"], case))
        ]
        owners = [one for one in left if one[0]["责任"].startswith("owner_of")]
        areas = [one for one in left if one not in owners]
        for some in (owners, areas) if case["类型"] == "部件" else (areas, owners):
            exact = [one for one in some if one[0]["范围"] == condition] or some
            small = [one for one in exact if one[0]["区域代码"] == street] or exact
            if small:
                return min(small, key=lambda one: (int(one[0]["次序"]), one[1]))[1]
        raise AssertionError(f"nobody is to act: {case}")

    def meant(self, words: str, case: dict[str, str]) -> str | None:
        if words.startswith("unit:"):
            return words[5:]
        if words.startswith("owner_of"):
            return self.units[self.owners[case["部件标识码"]]] if case["部件标识码"] else None
        column, what = ASKED[words]
        return self.functions.get((case["社区代码"][:9] if column == "街道代码" else case["社区代码"], what))

    def works(self, day: date) -> bool:
        return self.days.get(day, "work" if day.weekday() < 5 else "holiday") == "work"

    def used(self, start: datetime, end: datetime, urgent: bool) -> float:
        """Hours between two times, by the calendar that is shipped."""
        if urgent:
            return (end - start).total_seconds() / 3_600
        hours, day = 0.0, datetime.combine(start.date(), datetime.min.time())
        while day <= end:
            for begin, until in ((8, 12), (14, 18)) if self.works(day.date()) else ():
                a, b = max(start, day + timedelta(hours=begin)), min(end, day + timedelta(hours=until))
                hours += max(0.0, (b - a).total_seconds() / 3_600)
            day += timedelta(days=1)
        return hours


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    folder = tmp_path_factory.mktemp("lanjiang") / "S"
    generate.generate(folder, size="S", seed=SEED, workers=1)
    return Shipped(folder)


def filed(shipped: Shipped) -> list[dict[str, str]]:
    return [case for case in shipped.cases if case["结果"] != "不予立案"]


def test_the_unit_of_every_case_follows_from_the_tables(shipped: Shipped) -> None:
    wrong = [case for case in filed(shipped) if shipped.unit(case) != case["主办单位"]]
    assert wrong == []
    rows = {row["行号"]: row for row in shipped.duties}
    used = [rows[case["权责行号"]] for case in filed(shipped) if case["权责行号"] in rows]
    by = Counter(row["责任"].partition(":")[0] for row in used)
    # owners, areas' units and units by name decide, and disputes do
    assert {"owner_of(component)", "street_of()", "enforcement_of()", "unit"} <= set(by)
    assert any(case["权责行号"].startswith("Z-") for case in filed(shipped))
    assert len({case["主办单位"] for case in filed(shipped)}) > 15
    # in the months of the rain another unit than before
    assert any(row["时段"] for row in used)


def test_cases_that_were_not_filed_have_no_unit(shipped: Shipped) -> None:
    left = [case for case in shipped.cases if case["结果"] == "不予立案"]
    assert 0 < len(left) < 0.1 * len(shipped.cases)
    assert {(case["主办单位"], case["立案时间"], case["结案时间"]) for case in left} == {("", "", "")}
    assert {case["来源"] for case in left} <= {"12345", "公众上报", "视频识别"}


def test_times_obey_their_clocks(shipped: Shipped) -> None:
    steps = ("上报", "受理", "立案", "派遣", "签收", "反馈", "核查", "结案")
    late = 0
    for case in filed(shipped):
        at = [datetime.fromisoformat(case[f"{step}时间"]) for step in steps]
        assert at == sorted(at)
        limit = shipped.limits[case["立案条件编号"]]
        number = int("".join(letter for letter in limit if letter.isdigit()))
        clock = limit.removeprefix(str(number))
        urgent = clock.startswith("紧急")
        due = datetime.fromisoformat(case["处置截止"])
        assert shipped.used(at[3], due, urgent) == pytest.approx(number * HOURS[clock], abs=1e-6)
        assert case["紧急程度"] == ("紧急" if urgent else "一般")
        if not urgent:
            assert shipped.works(due.date())
            assert shipped.works(at[5].date())
        if case["返工次数"] == "0":
            assert case["结果"] == ("超时结案" if at[5] > due else "正常结案")
        late += at[5] > due
        assert (at[1] - at[0]).total_seconds() < 40 * 60
    assert 0.05 < late / len(filed(shipped)) < 0.16


def test_cases_lie_in_the_grids_that_they_name(shipped: Shipped) -> None:
    _, units = pyogrio.read_arrow(shipped.folder / OPERATION / "单元网格.shp")
    shapes = {row["网格编码"]: shapely.from_wkb(row["wkb_geometry"]) for row in units.to_pylist()}
    to = Transformer.from_crs(4490, 4547, always_xy=True)
    for case in shipped.cases:
        place = shapely.Point(to.transform(float(case["经度"]), float(case["纬度"])))
        assert shapes[case["单元网格"]].distance(place) < 0.01
        assert case["单元网格"].startswith(case["社区代码"])
        assert case["责任网格"].startswith(case["社区代码"])
    assert len({case["案件编号"] for case in shipped.cases}) == len(shipped.cases)


def test_curves_of_days_weeks_and_rain(shipped: Shipped) -> None:
    at = [datetime.fromisoformat(case["上报时间"]) for case in shipped.cases]
    hours = Counter(one.hour for one in at)
    assert sum(hours[hour] for hour in (8, 9, 10)) > 3 * sum(hours[hour] for hour in (2, 3, 4))
    days = [date(2026, 4, 1) + timedelta(days=n) for n in range(91)]
    wet = rain(SEED).sum(axis=1)
    rainy = {"道路积水", "下水道堵塞外溢", "路面塌陷"}
    told = [(one.date(), case["小类"] in rainy) for one, case in zip(at, shipped.cases, strict=True)]
    of = Counter(day for day, by_rain in told if by_rain)
    assert np.corrcoef(wet, [of[day] for day in days])[0, 1] > 0.5
    dry = Counter(
        one.date() for one, case in zip(at, shipped.cases, strict=True) if case["小类"] not in rainy
    )
    worked, off = ([dry[day] for day in days if shipped.works(day) is yes] for yes in (True, False))
    assert np.mean(worked) > 1.2 * np.mean(off)


def test_older_houses_and_more_people_have_more_cases(shipped: Shipped) -> None:
    _, houses = pyogrio.read_arrow(shipped.folder / "住房和城乡建设局/建筑物.gpkg", read_geometry=False)
    with (shipped.folder / "公安局/门牌地址.csv").open(encoding="gb18030", newline="") as file:
        at = {row["标准地址"]: row["建筑编号"] for row in csv.DictReader(file)}
    found = Counter(at[case["地址"]] for case in shipped.cases if case["类型"] == "事件")
    people: Counter[str] = Counter()
    count: Counter[str] = Counter()
    living: Counter[bool] = Counter()
    cases: Counter[bool] = Counter()
    for row in houses.to_pylist():
        code, community = row["建筑编号"], row["建筑编号"][:12]
        people[community] += row["人数"]
        count[community] += found[code]
        # of large houses, since somebody passes by a small one, too
        if row["人数"] > 60:
            living[row["建成年份"] < 2008] += row["人数"]
            cases[row["建成年份"] < 2008] += found[code]
    codes = sorted(people)
    assert np.corrcoef([people[code] for code in codes], [count[code] for code in codes])[0, 1] > 0.9
    assert cases[True] / living[True] > cases[False] / living[False]


def test_callers_say_what_a_case_is_about_each_in_their_words(shipped: Shipped) -> None:
    cases = {case["案件编号"]: case for case in shipped.cases}
    texts = Counter(call["诉求内容"] for call in shipped.calls)
    assert len(texts) >= 0.99 * len(shipped.calls) > 200
    for call in shipped.calls:
        case = cases[call["案件编号"]]
        assert case["来源"] == "12345"
        assert datetime.fromisoformat(call["来电时间"]) >= datetime.fromisoformat(case["上报时间"])
        # a place that there is
        assert case["地点"] in call["诉求内容"]
        assert case["地点"] in case["地址"]
        assert call["来电号码"].startswith("10")
        assert "****" in call["来电号码"]
        assert "{" not in call["诉求内容"]
        assert "，，" not in call["诉求内容"]
    told = {call["案件编号"] for call in shipped.calls}
    assert told == {code for code, case in cases.items() if case["来源"] == "12345"}
    assert any(int(call["重复次数"]) > 0 for call in shipped.calls)
