"""Cases and calls of 12345 as rows of their files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import shapely

from twin.demo.lanjiang import names
from twin.demo.lanjiang.administration import hotline, people
from twin.demo.lanjiang.administration.cases import Case, cases
from twin.demo.lanjiang.draws import draws
from twin.demo.lanjiang.known import Known
from twin.demo.lanjiang.subject import SHAPE, Rows

_CALLED, _RATINGS = "12345", ("非常满意", "满意", "基本满意", "不满意")


@dataclass(frozen=True, slots=True)
class Call:
    """A call about a case."""

    id: str
    case: Case
    at: datetime
    text: str
    caller: str
    phone: str
    again: int
    visited: bool
    rating: str


def calls(known: Known) -> Iterator[Call]:
    """The calls of a superblock: one of each case that a call brought, of some of them several."""
    for case in cases(known):
        if case.source != _CALLED:
            continue
        number = people.number(case.code)
        random = draws(known.seed, "calls", number)
        urgent = case.condition.limit.urgent
        many = 1 + int(random.poisson(0.9 if urgent else 0.12))
        at = case.reported
        for turn in range(many):
            who = people.number(f"{case.code}/{turn}")
            yield Call(
                f"R{case.code.replace('-', '')}{turn + 1:02d}",
                case,
                at,
                hotline.said(random, case.item, case.condition, case.called, case.road),
                f"{people.name(known.seed, who)[0]}{'女士' if who % 2 else '先生'}",
                people.phone(who),
                turn,
                bool(random.random() < 0.7),
                str(_RATINGS[min(3, int(random.integers(0, 3)) + (case.outcome != "正常结案"))]),
            )
            at += timedelta(seconds=int(random.integers(40, 1_500)))


def case_rows(known: Known) -> Rows:
    """Rows of cases."""
    code, _ = names.community(known.of.i, known.of.j)
    for one in cases(known):
        times = one.times
        yield {
            "案件编号": one.code,
            "来源": one.source,
            "类型": one.item.sheet,
            "大类": one.item.main_name,
            "小类": one.item.name,
            "立案条件编号": one.condition.id,
            "问题描述": f"{one.called}{one.condition.text}",
            "部件标识码": one.component or None,
            "地址": one.where,
            "地点": one.called,
            "单元网格": one.grid,
            "责任网格": one.duty_grid,
            "社区代码": code,
            "紧急程度": "紧急" if one.condition.limit.urgent else "一般",
            "上报时间": _text(one.reported),
            "受理时间": _text(times.accepted if times else None),
            "立案时间": _text(times.filed if times else None),
            "派遣时间": _text(times.dispatched if times else None),
            "签收时间": _text(times.signed if times else None),
            "反馈时间": _text(times.handled if times else None),
            "处置截止": _text(times.deadline if times else None),
            "核查时间": _text(times.checked if times else None),
            "结案时间": _text(times.closed if times else None),
            "返工次数": str(times.rework) if times else None,
            "主办单位": one.unit or None,
            "协办单位": "、".join(one.assists) or None,
            "权责行号": one.row or None,
            "结果": one.outcome,
            SHAPE: shapely.Point(one.place),
        }


def call_rows(known: Known) -> Rows:
    """Rows of calls."""
    for one in calls(known):
        filed = one.case.times is not None
        yield {
            "工单编号": one.id,
            "来电时间": _text(one.at),
            "来电号码": one.phone,
            "诉求人": one.caller,
            "诉求类型": hotline.wanted(one.case.item),
            "诉求内容": one.text,
            "事发地址": one.case.where,
            "是否回访": "是" if one.visited else "否",
            "重复次数": str(one.again),
            "办理结果": "已解决" if filed else "不合理诉求",
            "满意度": one.rating if one.visited else None,
            "案件编号": one.case.code,
            SHAPE: shapely.Point(one.case.place),
        }


def _text(at: datetime | None) -> str | None:
    return None if at is None else f"{at:%Y-%m-%d %H:%M:%S}"
