"""Pipelines: lines drawn as tubes. Diameter and depth: measured → default by medium.

Depth is to the pipe's axis. Where a source column
gives 埋深 as CJJ 61-2017 means it (top of a pressure pipe or cable, invert of a gravity drain), half the
diameter is added or taken off.
"""

from __future__ import annotations

import math
import re
from typing import Any

from layers.errors import shown
from layers.kinds import codes, kind_table
from layers.kinds.base import Columns, SourceBatch, blank, metres, number

TABLE = kind_table.of("pipeline")
_LOCATIONS = codes.named("pipe_location")

#: Diameters (mm) and depths (m, negative above ground) beyond these are mistakes of unit.
LEAST_MM, MOST_MM = 5, 20_000
HIGHEST_M, DEEPEST_M = -30, 200


_SECTION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*[x×*X]\s*(\d+(?:\.\d+)?)\s*(?:mm)?\s*$")
_DN = re.compile(r"^\s*(?:DN|D|d|Φ|φ|ø|Ø)\s*(\d+(?:\.\d+)?)\s*(?:mm)?\s*$")
_TO_MM = {
    "": 1.0,
    "mm": 1.0,
    "毫米": 1.0,
    "cm": 10.0,
    "m": 1000.0,
    '"': 25.4,
    "″": 25.4,
    "in": 25.4,
    "inch": 25.4,
}


def diameter(value: Any) -> tuple[float, str | None] | None:
    """(diameter in mm, note) of a source value: ``300``, ``4"``, ``DN300``, ``0.3 m``, ``400x300``.

    A rectangular section becomes the circle of equal area. None when it is not a diameter.
    """
    if isinstance(value, str):
        if match := _DN.match(value):
            return float(match[1]), None
        if match := _SECTION.match(value):
            width, height = float(match[1]), float(match[2])
            return 2 * math.sqrt(width * height / math.pi), "drawn as the circle of equal area"
    read = number(value)
    if read is None or read[1].casefold() not in _TO_MM:
        return None
    factor = _TO_MM[read[1].casefold()]
    return read[0] * factor, "read as inches" if factor == 25.4 else None


def _medium(batch: SourceBatch) -> list[str]:
    out = []
    for i, value in enumerate(TABLE.values(batch, "medium")):
        medium = TABLE.code("medium", value)
        if medium is None and not blank(value):
            batch.note(i, "medium.unknown", f"medium {shown(value)} is not known; kept as other")
            medium = "other"
        out.append(medium or "unknown")
    return out


def _diameters(batch: SourceBatch, media: list[str]) -> tuple[list[float], list[str]]:
    sizes, sources = [], []
    defaults = TABLE.figures["diameter_mm"]
    diameter_sources, lost = TABLE.values(batch, "diameter_source"), TABLE.lost(batch, "diameter_source")
    for i, value in enumerate(TABLE.values(batch, "diameter_mm")):
        size = None if blank(value) else _diameter(batch, i, value)
        assumed = size is None or diameter_sources[i] == "default" or lost[i]
        sizes.append(defaults.of(media[i]) if size is None else round(size, 2))
        sources.append("default" if assumed else "measured")
    return sizes, sources


def _diameter(batch: SourceBatch, i: int, value: Any) -> float | None:
    read = diameter(value)
    if read is None:
        batch.note(i, "diameter.unreadable", f"diameter {shown(value)} is not a size; the default is used")
        return None
    if not LEAST_MM <= read[0] <= MOST_MM:
        reason = f"diameter {shown(value)} is outside {LEAST_MM} to {MOST_MM} mm; the default is used"
        batch.note(i, "diameter.range", reason)
        return None
    if read[1]:
        batch.note(i, "diameter.converted", f"diameter {shown(value)} is {read[1]}: {read[0]:.1f} mm")
    return read[0]


def _depths(
    batch: SourceBatch, media: list[str], sizes: list[float]
) -> tuple[list[float], list[str], list[float | None]]:
    """Depths of the axis, in the middle of a pipe whose ends are known; where they are from; and by how much
    the last point is deeper than the first."""
    depths, sources = [], []
    changes = [metres(value) for value in TABLE.values(batch, "depth_change_m")]
    defaults = TABLE.figures["depth_m"]
    axis, cover = TABLE.values(batch, "depth_m"), TABLE.values(batch, "cover")
    ends = TABLE.values(batch, "cover_start"), TABLE.values(batch, "cover_end")
    depth_sources, location = TABLE.values(batch, "depth_source"), TABLE.values(batch, "location")
    lost = TABLE.lost(batch, "depth_source")
    for i, medium in enumerate(media):
        depth = _depth(batch, i, axis[i], None)
        if depth is None:
            first, last = metres(ends[0][i]), metres(ends[1][i])
            both = [d for d in (first, last) if d is not None]
            if len(both) < 2:
                both += [d for d in (metres(cover[i]),) if d is not None]
            half = sizes[i] / 2000 * (-1 if medium == "drainage" else 1)
            depth = _depth(batch, i, sum(both) / len(both) if both else None, half)
            if depth is not None and first is not None and last is not None:
                changes[i] = round(last - first, 3)
        assumed = depth is None or depth_sources[i] == "default" or lost[i]
        if depth is None:
            over = _LOCATIONS.find(location[i]) == "above"
            depth = -sizes[i] / 2000 if over else defaults.of(medium)
        depths.append(round(depth, 3))
        sources.append("default" if assumed else "measured")
    within = [c if c is not None and abs(c) <= DEEPEST_M - HIGHEST_M else None for c in changes]
    return depths, sources, within


def _depth(batch: SourceBatch, i: int, value: Any, half: float | None) -> float | None:
    if blank(value):
        return None
    depth = metres(value)
    if depth is None or not HIGHEST_M <= depth <= DEEPEST_M:
        reason = f"depth {shown(value)} is not metres between {HIGHEST_M} and {DEEPEST_M}"
        batch.note(i, "depth.unreadable", reason)
        return None
    return depth + (half or 0.0)


def normalise(batch: SourceBatch) -> Columns:
    """medium, diameter_mm, diameter_source, depth_m, depth_change_m, depth_source, name."""
    media = _medium(batch)
    sizes, size_sources = _diameters(batch, media)
    depths, depth_sources, changes = _depths(batch, media, sizes)
    return {
        "medium": list(media),
        "diameter_mm": list(sizes),
        "diameter_source": list(size_sources),
        "depth_m": list(depths),
        "depth_change_m": list(changes),
        "depth_source": list(depth_sources),
        "name": TABLE.texts(batch, "name"),
    }


KIND = TABLE.kind("pipeline", normalise)
