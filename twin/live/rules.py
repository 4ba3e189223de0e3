"""Thresholds with hysteresis: what state a value puts its datastream in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from layers.errors import BadBody

type Level = Literal["blue", "yellow", "orange", "red"]
type Side = Literal["above", "below"]

#: Warning levels, least severe first (TERMS: 蓝色, 黄色, 橙色, 红色).
LEVELS: tuple[Level, ...] = ("blue", "yellow", "orange", "red")
STALE_PERIODS = 3
MAX_THRESHOLDS = 16


@dataclass(frozen=True, slots=True)
class Threshold:
    """One raise/clear pair: raised at ``raise_at``, and not cleared before ``clear_at`` is passed."""

    level: Level
    side: Side
    raise_at: float
    clear_at: float

    def __post_init__(self) -> None:
        """Refuse a pair that would clear where it raises the other way round."""
        if self.level not in LEVELS:
            raise ValueError(f"level: one of {', '.join(LEVELS)}")
        if self.side not in ("above", "below"):
            raise ValueError("side: above or below")
        if self.side == "above" and self.clear_at > self.raise_at:
            raise ValueError("above: clear must not be higher than raise")
        if self.side == "below" and self.clear_at < self.raise_at:
            raise ValueError("below: clear must not be lower than raise")

    def holds(self, value: float, raised: bool) -> bool:
        """Whether the threshold is raised after this value."""
        if self.side == "above":
            return value >= self.raise_at or (raised and value > self.clear_at)
        return value <= self.raise_at or (raised and value < self.clear_at)

    def public(self) -> dict[str, object]:
        """As the page and properties.thresholds write it."""
        return {"level": self.level, "side": self.side, "raise": self.raise_at, "clear": self.clear_at}


@dataclass(frozen=True, slots=True)
class Rule:
    """The thresholds of one datastream and its nominal period in seconds (None: never stale)."""

    thresholds: tuple[Threshold, ...] = ()
    period: float | None = None

    def step(self, value: float, raised: int) -> int:
        """The raised thresholds, one bit each, after a value; the bits before it are ``raised``."""
        bits = 0
        for i, threshold in enumerate(self.thresholds):
            if threshold.holds(value, bool(raised >> i & 1)):
                bits |= 1 << i
        return bits

    def state(self, raised: int) -> str:
        """The most severe raised level, or ``ok``."""
        levels = [t.level for i, t in enumerate(self.thresholds) if raised >> i & 1]
        return max(levels, key=LEVELS.index) if levels else "ok"

    def stale(self, time: int | None, now: int) -> bool:
        """Whether the newest value (ms) is older than three periods; without any value, it is."""
        if time is None:
            return True
        return self.period is not None and now - time > self.period * 1000 * STALE_PERIODS

    def until(self, time: int | None) -> int | None:
        """Up to when (ms) a newest value is not stale; None without one, or where it never is."""
        return None if time is None or self.period is None else int(time + self.period * 1000 * STALE_PERIODS)


def thresholds(rows: Iterable[Mapping[str, Any]], where: str) -> tuple[Threshold, ...]:
    """Thresholds as data (level, side, raise, clear). Raises BadBody naming the faulty one."""
    if not isinstance(rows, list) or len(rows) > MAX_THRESHOLDS:
        raise BadBody(f"{where}: a list of at most {MAX_THRESHOLDS} thresholds")
    result = []
    for i, row in enumerate(rows):
        try:
            if set(row) != {"level", "side", "raise", "clear"}:
                raise ValueError("needs exactly level, side, raise, clear")
            pair = [row["raise"], row["clear"]]
            if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in pair):
                raise ValueError("raise and clear are numbers")
            result.append(Threshold(row["level"], row["side"], float(pair[0]), float(pair[1])))
        except (ValueError, TypeError) as error:
            raise BadBody(f"{where}[{i}]: {error}") from error
    return tuple(result)


def override(properties: Mapping[str, Any], base: Rule) -> Rule:
    """The rule of a datastream: its own ``thresholds`` and ``period`` win over the theme's.

    Raises BadBody when they are malformed."""
    own, period = base.thresholds, base.period
    if "thresholds" in properties:
        own = thresholds(properties["thresholds"], "properties.thresholds")
    if "period" in properties:
        period = properties["period"]
        if isinstance(period, bool) or not isinstance(period, int | float) or not 0 < period < 1e8:
            raise BadBody("properties.period: seconds, more than 0")
    return Rule(own, period)
