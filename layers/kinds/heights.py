"""The height chain of buildings and their parts: measured → storeys × 3.2 m → default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from layers.errors import shown
from layers.kinds.base import STOREY_M, Columns, SourceBatch, blank, metres, storeys
from layers.kinds.codes import named
from layers.kinds.kind_table import Assumed, KindTable

#: Above the tallest structure on earth; a larger figure is a unit mistake.
HIGHEST_M = 1000.0
LEAST_M = 0.1
MOST_STOREYS = 250.0
#: How far the underside of a part may lie below ground.
LOWEST_M, LOWEST_STOREY = -50.0, -10.0


@dataclass(frozen=True, slots=True)
class _Read:
    """What one row says of its height."""

    height: float | None
    levels: float | None
    bottom: float | None
    min_level: float | None
    stated: str | None
    use: str


def normalise(batch: SourceBatch, table: KindTable) -> Columns:
    """height_m, height_source, min_height_m, levels, as ``config/kinds/parts/heights.yml`` has them, which
    the kind's table includes; each row says which link of the chain it got."""
    raw = {name: table.values(batch, name) for name in ("height_m", "levels", "min_height_m", "min_level")}
    height_sources, uses = table.values(batch, "height_source"), table.values(batch, "use")
    lost = table.lost(batch, "height_source")
    assumed, sources = table.figures["height_m"], named("height_source")
    out: Columns = {name: [] for name in ("height_m", "height_source", "min_height_m", "levels")}
    for i in range(len(batch)):
        read = _Read(
            _checked(batch, i, "height", raw["height_m"][i], metres, LEAST_M, HIGHEST_M),
            _checked(batch, i, "levels", raw["levels"][i], storeys, 0.0, MOST_STOREYS),
            _checked(batch, i, "min_height", raw["min_height_m"][i], metres, LOWEST_M, HIGHEST_M),
            _checked(batch, i, "min_level", raw["min_level"][i], storeys, LOWEST_STOREY, MOST_STOREYS),
            "default" if lost[i] else sources.find(height_sources[i]),
            str(uses[i] or "").casefold(),
        )
        height, source, bottom = _chain(batch, i, read, assumed)
        out["height_m"].append(round(height, 3))
        out["height_source"].append(source)
        out["min_height_m"].append(round(bottom, 3))
        out["levels"].append(read.levels)
    return out


def _checked(
    batch: SourceBatch, i: int, what: str, value: Any, read: Any, low: float, high: float
) -> float | None:
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


def _chain(batch: SourceBatch, i: int, read: _Read, assumed: Assumed) -> tuple[float, str, float]:
    """(height, source, height of the underside) of one row."""
    bottom = read.bottom if read.bottom is not None else (read.min_level or 0.0) * STOREY_M
    if read.height is not None:
        if read.height > bottom:
            return read.height, read.stated or "measured", bottom
        batch.note(i, "height.below_min", f"height {read.height:g} m is not above min_height {bottom:g} m")
        return read.height, read.stated or "measured", 0.0
    if read.levels:
        top = read.levels * STOREY_M
        if top > bottom:
            return top, "levels", bottom
        batch.note(
            i, "levels.above_min", f"{read.levels:g} storeys are taken to stand on the underside {bottom:g} m"
        )
        return bottom + top, "levels", bottom
    default = assumed.of(read.use)
    return (default if default > bottom else bottom + STOREY_M), "default", bottom
