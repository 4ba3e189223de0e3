"""Lists of axes with values, as ``subset``, ``scale-size``, ``scale-axes`` and ``resolution`` have them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

#: What clients call the axes: of longitude and latitude, of a projected system, of time.
LON, LAT = frozenset({"lon", "long", "longitude"}), frozenset({"lat", "latitude"})
EAST, NORTH = frozenset({"e", "x", "easting", "i"}), frozenset({"n", "y", "northing", "j"})
TIME = frozenset({"time", "t", "datetime"})
X, Y = LON | EAST, LAT | NORTH
#: Axes of one list, its characters.
MOST = 8
_ITEM = re.compile(r"\s*([A-Za-z_]\w{0,30})\(([^()]{0,80})\)\s*(?:,|$)", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class AxisValue:
    """One axis as it was written, and what stands in its brackets."""

    name: str
    text: str

    @property
    def axis(self) -> str:
        """The name in lower case."""
        return self.name.lower()


def items(text: str) -> tuple[AxisValue, ...]:
    """``Lat(40:50),Lon(10)`` by axis. Raises ValueError with the form that is allowed."""
    found: list[AxisValue] = []
    at = 0
    while at < len(text):
        match = _ITEM.match(text, at)
        if match is None or len(found) == MOST:
            raise ValueError("axes with values in brackets, separated by commas, as Lat(40:50),Lon(10:11)")
        found.append(AxisValue(match[1], match[2].strip()))
        at = match.end()
    if not found or text.rstrip().endswith(","):
        raise ValueError("axes with values in brackets, separated by commas, as Lat(40:50),Lon(10:11)")
    return tuple(found)


def number(text: str) -> float:
    """A finite number. Raises ValueError."""
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise ValueError(f"{text!r} is no finite number")
    return float(text)


def positive(text: str) -> float:
    """A finite number above 0. Raises ValueError."""
    value = number(text)
    if value <= 0:
        raise ValueError("a number above 0")
    return value


def limits(text: str) -> tuple[float, float]:
    """``low:high`` of a subset; ``*`` is an open end, one number is both ends. Raises ValueError."""
    low, mark, high = text.partition(":")
    if not mark:
        return number(low), number(low)
    ends = (
        -math.inf if low.strip() == "*" else number(low.strip()),
        math.inf if high.strip() == "*" else number(high.strip()),
    )
    return ends
