"""What callers of 12345 say: sentences that somebody would say of a matter, with a place that there is."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import yaml

from twin.demo.lanjiang.administration.items import Condition, Item

#: What a caller wants, by main class of the event.
_WANTS = {"05": "求助", "06": "举报", "07": "投诉"}


@cache
def phrases() -> dict[str, Any]:
    """All that is said."""
    text = resources.files("twin.demo.lanjiang.administration").joinpath("phrases.yml").read_text("utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def said(random: np.random.Generator, item: Item, condition: Condition, address: str, road: str) -> str:
    """What a caller says of a condition at an address (as people call it) of a road."""
    words = phrases()
    where = _one(random, words["near"]).format(a=address, r=road)
    ways = words["say"].get(condition.id) or _of_component(words, item, condition)
    matter = _one(random, ways).format(p=where, c=item.name)
    since = _one(random, words["since_urgent" if condition.limit.urgent else "since"])
    first, second = (matter + "，", since) if random.random() < 0.5 else (since, matter + "，")
    harm = words["harm"]["any"] + words["harm"].get(words["tags"].get(item.family or item.id), [])
    text = f"{_one(random, words['open'])}{first}{second}"
    return f"{text.rstrip('，')}。{_one(random, harm)}{_one(random, words['ask'])}"


def _of_component(words: dict[str, Any], item: Item, condition: Condition) -> list[str]:
    number = condition.id.rpartition("-")[2]
    own: list[str] | None = words["component"].get(f"{item.family}-{number}")
    if own:
        return own
    plain = condition.text.removeprefix(item.name)
    return [f"{{p}}的{{c}}{plain}", f"{{p}}{{c}}有问题，{plain}", f"在{{p}}看到{{c}}的事，{plain}"]


def wanted(item: Item) -> str:
    """What kind of call it is."""
    return _WANTS.get(item.main, "投诉") if item.family == "" else "求助"


def _one(random: np.random.Generator, of: list[str]) -> str:
    return of[int(random.integers(len(of)))]
