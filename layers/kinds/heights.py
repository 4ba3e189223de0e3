"""The height chain of buildings and their parts: measured → storeys × 3.2 m → default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from layers.errors import shown
from layers.kinds.base import STOREY_M, Batch, Columns, Prism, blank, metres, storeys
from layers.types import Field

#: Above the tallest structure on earth; a larger figure is a unit mistake.
HIGHEST_M = 1000.0
LEAST_M = 0.1
MOST_STOREYS = 250.0
#: How far the underside of a part may lie below ground.
LOWEST_M, LOWEST_STOREY = -50.0, -10.0

ALIASES: Mapping[str, tuple[str, ...]] = {
    "height_m": (
        "height_m",
        "height",
        "building:height",
        "measuredHeight",
        "measured_height",
        "est_height",
        "建筑高度",
        "高度",
    ),
    "levels": (
        "levels",
        "building:levels",
        "storeysAboveGround",
        "storeys",
        "floors",
        "num_floors",
        "地上层数",
        "建筑层数",
        "层数",
    ),
    "min_height_m": ("min_height_m", "min_height", "building:min_height"),
    "min_level": ("building:min_level", "min_level"),
    "use": ("use", "building:use", "building", "building:part", "function", "usage", "用途", "建筑用途"),
    "name": ("name", "名称", "建筑名称"),
}

SOURCES: Mapping[str, Mapping[str, str]] = {
    "measured": {"zh-CN": "实测", "en": "measured"},
    "levels": {"zh-CN": "推算(层数×3.2 m)", "en": "from storeys × 3.2 m"},
    "default": {"zh-CN": "默认(推定)", "en": "default (assumed)"},
}

FIELDS = (
    Field("height_m", "number", {"zh-CN": "高度", "en": "Height"}, "m"),
    Field("height_source", "string", {"zh-CN": "高度来源", "en": "Height source"}, codes=SOURCES),
    Field("min_height_m", "number", {"zh-CN": "底部高度", "en": "Height of underside"}, "m"),
    Field("levels", "number", {"zh-CN": "层数", "en": "Storeys"}),
)

PRISM = Prism("min_height_m", "height_m")

#: Assumed total height by use where neither height nor storeys are known, in metres.
DEFAULTS: Mapping[str, float] = {
    "roof": 4.0,
    "garage": STOREY_M,
    "garages": STOREY_M,
    "shed": STOREY_M,
    "hut": STOREY_M,
    "kiosk": STOREY_M,
    "carport": STOREY_M,
    "toilets": STOREY_M,
}
DEFAULT_M = 9.6


@dataclass(frozen=True, slots=True)
class _Read:
    """What one row says of its height."""

    height: float | None
    levels: float | None
    bottom: float | None
    min_level: float | None
    given: str | None
    use: str


def normalise(batch: Batch) -> Columns:
    """The columns of FIELDS for every row; each row says which link of the chain it got."""
    raw = {name: batch.first(names) for name, names in ALIASES.items() if name not in ("use", "name")}
    given = batch.first(("height_source",))
    uses = batch.first(ALIASES["use"])
    out: Columns = {f.name: [] for f in FIELDS}
    for i in range(len(batch)):
        read = _Read(
            _checked(batch, i, "height", raw["height_m"][i], metres, LEAST_M, HIGHEST_M),
            _checked(batch, i, "levels", raw["levels"][i], storeys, 0.0, MOST_STOREYS),
            _checked(batch, i, "min_height", raw["min_height_m"][i], metres, LOWEST_M, HIGHEST_M),
            _checked(batch, i, "min_level", raw["min_level"][i], storeys, LOWEST_STOREY, MOST_STOREYS),
            given[i] if given[i] in SOURCES else None,
            str(uses[i] or "").casefold(),
        )
        height, source, bottom = _chain(batch, i, read)
        out["height_m"].append(round(height, 3))
        out["height_source"].append(source)
        out["min_height_m"].append(round(bottom, 3))
        out["levels"].append(read.levels)
    return out


def _checked(batch: Batch, i: int, what: str, value: Any, read: Any, low: float, high: float) -> float | None:
    """The value as a number within its range, or None with a note."""
    if blank(value):
        return None
    result: float | None = read(value)
    if result is None:
        batch.note(i, f"{what}.unreadable", f"{what} {shown(value)} is not a number with a known unit")
        return None
    if not low <= result <= high:
        batch.note(i, f"{what}.range", f"{what} {shown(value)} is outside {low:g} to {high:g}")
        return None
    return result


def _chain(batch: Batch, i: int, read: _Read) -> tuple[float, str, float]:
    """(height, source, height of the underside) of one row."""
    bottom = read.bottom if read.bottom is not None else (read.min_level or 0.0) * STOREY_M
    if read.height is not None:
        if read.height > bottom:
            return read.height, read.given or "measured", bottom
        batch.note(i, "height.below_min", f"height {read.height:g} m is not above min_height {bottom:g} m")
        return read.height, read.given or "measured", 0.0
    if read.levels:
        top = read.levels * STOREY_M
        if top > bottom:
            return top, "levels", bottom
        batch.note(
            i, "levels.above_min", f"{read.levels:g} storeys are taken to stand on the underside {bottom:g} m"
        )
        return bottom + top, "levels", bottom
    default = DEFAULTS.get(read.use, DEFAULT_M)
    return (default if default > bottom else bottom + STOREY_M), "default", bottom
