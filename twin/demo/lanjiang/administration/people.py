"""Posts (岗位), who holds them, and who is on duty when. Names and numbers are made up, and say so."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from twin.demo.lanjiang.administration import clocks
from twin.demo.lanjiang.administration.units import CENTRE, Unit
from twin.demo.lanjiang.draws import draws

_FAMILY = "王李张刘陈杨黄赵吴周徐孙马朱胡林郭何高罗郑梁谢宋唐许邓冯韩曹曾彭萧蔡潘田董袁于余叶蒋杜苏魏程吕丁沈"
_GIVEN = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华建国志文辉玲红云飞鹏宇浩晨雪琳佳欣怡然子涵博思雨梓轩"
)

#: Roles of the centre: code, title, how many, how long on duty.
_CENTRE = (
    ("acceptor", "受理员", 4, "白班"),
    ("foreman", "值班长", 3, "轮班"),
    ("dispatcher", "派遣员", 3, "白班"),
    ("duty_leader", "带班领导", 3, "轮班"),
    ("evaluator", "考核员", 1, "白班"),
    ("sysadmin", "系统管理员", 1, "白班"),
    ("secadmin", "安全管理员", 1, "白班"),
    ("auditor", "审计员", 1, "白班"),
)


@dataclass(frozen=True, slots=True)
class Post:
    """A post: a role at a unit, for an area (a code); ``person`` holds it."""

    id: str
    role: str
    title: str
    unit: str
    scope: str
    hours: str

    @property
    def person(self) -> str:
        """The id of who holds it."""
        return f"P{self.id[1:]}"


def posts(units: Iterable[Unit], grids: Iterable[str]) -> Iterator[Post]:
    """The posts of some units, and a collector (信息采集员) for each duty grid."""
    for unit in units:
        head = f"G{unit.code[1:]}"
        if unit.code == CENTRE:
            for role, title, many, hours in _CENTRE:
                for number in range(1, many + 1):
                    yield Post(f"{head}-{role}-{number}", role, title, unit.code, unit.place, hours)
            continue
        yield Post(f"{head}-clerk-1", "clerk", "联络员", unit.code, unit.place, "白班")
        if unit.kind != "bureau":
            yield Post(f"{head}-handler-1", "handler", "处置人员", unit.code, unit.place, "轮班")
    for grid in grids:
        yield Post(f"G{grid}-collector-1", "collector", "信息采集员", f"U{grid[6:9]}01", grid, "巡查")


def name(seed: int, number: int) -> str:
    """A made-up name."""
    random = draws(seed, "people", number)
    given = "".join(_GIVEN[int(at)] for at in random.integers(0, len(_GIVEN), int(random.integers(1, 3))))
    return _FAMILY[int(random.integers(len(_FAMILY)))] + given


def number(person: str) -> int:
    """The number of somebody, from which their name and telephone follow."""
    return int.from_bytes(hashlib.blake2b(person.encode(), digest_size=5).digest())


def phone(number: int) -> str:
    """A masked number of nobody: no telephone of eleven digits begins with 10."""
    return f"10{number % 10}****{number // 10 % 10_000:04d}"


def roster(first: date, last: date) -> Iterator[tuple[date, str, str, str, str]]:
    """Day, shift (白班 08–20, 夜班 20–08), and the ids of the leader, the foreman and the acceptor."""
    head = f"P{CENTRE[1:]}"
    for n in range((last - first).days + 1):
        day = first + timedelta(days=n)
        for at, shift in enumerate(("白班", "夜班")):
            turn = 2 * n + at
            acceptor = turn % 4 + 1 if clocks.works(day) or at else 1
            yield (
                day,
                shift,
                f"{head}-duty_leader-{n % 3 + 1}",
                f"{head}-foreman-{turn % 3 + 1}",
                f"{head}-acceptor-{acceptor}",
            )
