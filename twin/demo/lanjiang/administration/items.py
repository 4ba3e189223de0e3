"""The table of items (事项清单): sub-classes of components and events, conditions, limits, who is to act.

An item is 部件-CC-SS or 事件-CC-SS, a condition has its number within it. The wording is our own (样例)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

from twin.demo.lanjiang.administration.clocks import Limit, limit

COMPONENT, EVENT = "部件", "事件"
#: Laws that there are only here.
LAW = "岚江市城市管理条例(虚构)"


@dataclass(frozen=True, slots=True)
class Condition:
    """A row of the table."""

    id: str
    text: str
    limit: Limit
    closing: str


@dataclass(frozen=True, slots=True)
class Item:
    """A sub-class. ``who``: words for who is to act, in this order; ``when`` it comes more often: with rain
    (雨), in the evening (夜), where something is built (施). ``small``: whether the smallest city has it."""

    sheet: str
    main: str
    main_name: str
    sub: str
    name: str
    who: tuple[str, ...]
    when: str
    small: bool
    conditions: tuple[Condition, ...]
    #: Of a component, those whose conditions it shares.
    family: str = ""

    @property
    def id(self) -> str:
        """Its id."""
        return f"{self.sheet}-{self.main}-{self.sub}"

    @property
    def kept_by(self) -> str:
        """Who looks after that it is done."""
        return "岚江市城市管理局" if self.sheet == EVENT else "岚江市城市运行管理服务中心"


@cache
def every() -> tuple[Item, ...]:
    """All items: components, then events."""
    text = resources.files("twin.demo.lanjiang.administration").joinpath("items.yml").read_text("utf-8")
    table = yaml.safe_load(text)
    return (*_components(table["component"]), *_events(table["event"]))


def of_size(size: str) -> tuple[Item, ...]:
    """The items of a city of a size."""
    return tuple(one for one in every() if one.small or size != "S")


def _components(table: dict[str, Any]) -> Iterator[Item]:
    for main, lines in table["items"].items():
        for line in lines:
            sub, name, family, *star = line.split()
            head = f"{COMPONENT}-{main}-{sub}"
            yield Item(
                COMPONENT,
                main,
                table["classes"][main],
                sub,
                name,
                ("各产权单位", "所属街办"),
                "雨" if family in ("grate", "tree", "pit", "wire") else "",
                bool(star),
                _conditions(head, table["families"][family], name),
                family,
            )


def _events(table: dict[str, Any]) -> Iterator[Item]:
    for main, lines in table["items"].items():
        for line in lines:
            sub, name, *star = line["item"].split()
            head = f"{EVENT}-{main}-{sub}"
            yield Item(
                EVENT,
                main,
                table["classes"][main],
                sub,
                name,
                tuple(line["who"].split("、")),
                line["when"],
                bool(star),
                _conditions(head, line["c"], ""),
            )


def _conditions(head: str, rows: list[list[str]], name: str) -> tuple[Condition, ...]:
    return tuple(
        Condition(f"{head}-{number}", f"{name}{text}", limit(long), closing)
        for number, (text, long, closing) in enumerate(rows, 1)
    )
