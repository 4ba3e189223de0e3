"""Pipelines: lines drawn as tubes. Diameter and depth: measured → default by medium.

Depth is to the pipe's axis. Where a source column
gives 埋深 as CJJ 61-2017 means it (top of a pressure pipe or cable, invert of a gravity drain), half the
diameter is added or taken off.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from layers.errors import shown
from layers.kinds import codes, kind_table, vector
from layers.kinds.base import Columns, SourceBatch, blank, metres, number
from layers.kinds.vector import Floats, Mask

if TYPE_CHECKING:
    import pyarrow as pa

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


class _Read(NamedTuple):
    """What a source's value says, None where nothing, and what is to be noted of it."""

    value: float | None = None
    rule: str = ""
    reason: str = ""


def _floats(values: Iterable[float | None]) -> Floats:
    return np.array([math.nan if value is None else value for value in values], float)


def _read(notes: vector.Notes, column: pa.Array | list[Any], of: Callable[[Any], _Read]) -> Floats:
    """(n): the values of a column, NaN where there is none."""
    found = vector.each(column, of)
    for i, one in enumerate(found):
        if one.rule:
            notes.add(i, one.rule, one.reason)
    return _floats(one.value for one in found)


def _media(batch: SourceBatch, notes: vector.Notes) -> list[str]:
    column = TABLE.column(batch, "medium")
    found = vector.each(column, _medium)
    for i, (_, reason) in enumerate(found):
        if reason:
            notes.add(i, "medium.unknown", reason)
    return [medium for medium, _ in found]


def _medium(value: Any) -> tuple[str, str]:
    """The code of a medium, and what is to be noted."""
    code = TABLE.code("medium", value)
    if code is None and not blank(value):
        return "other", f"medium {shown(value)} is not known; kept as other"
    return code or "unknown", ""


def _size(value: Any) -> _Read:
    if blank(value):
        return _Read()
    read = diameter(value)
    if read is None:
        reason = f"diameter {shown(value)} is not a size; the default is used"
        return _Read(None, "diameter.unreadable", reason)
    if not LEAST_MM <= read[0] <= MOST_MM:
        reason = f"diameter {shown(value)} is outside {LEAST_MM} to {MOST_MM} mm; the default is used"
        return _Read(None, "diameter.range", reason)
    if read[1]:
        reason = f"diameter {shown(value)} is {read[1]}: {read[0]:.1f} mm"
        return _Read(read[0], "diameter.converted", reason)
    return _Read(read[0])


def _depth(value: Any) -> _Read:
    if blank(value):
        return _Read()
    depth = metres(value)
    if depth is None or not HIGHEST_M <= depth <= DEEPEST_M:
        reason = f"depth {shown(value)} is not metres between {HIGHEST_M} and {DEEPEST_M}"
        return _Read(None, "depth.unreadable", reason)
    return _Read(depth)


def _assumed(batch: SourceBatch, source: str, given: Mask) -> Mask:
    """Which values were not measured: that are not there, or that the field ``source`` says so of."""
    said = vector.each(TABLE.column(batch, source), lambda value: value == "default")
    out: Mask = ~given | np.array(said, bool) | np.array(TABLE.lost(batch, source), bool)
    return out


def _usual(name: str, media: list[str]) -> Floats:
    return np.array(vector.distinct(media, TABLE.figures[name].of), float)


def _by_cover(batch: SourceBatch, notes: vector.Notes, axis: Floats, half: Floats) -> tuple[Floats, Floats]:
    """Depths of the axis, of ``axis`` or from the cover of the ends, else of the pipe, and by how much the
    last point is deeper than the first where the ends say so; ``half`` leads from the cover to the axis."""
    inputs = ("cover_start", "cover_end", "cover")
    first, last, cover = (_floats(vector.each(TABLE.column(batch, one), metres)) for one in inputs)
    ends = (~np.isnan(first)).astype(int) + ~np.isnan(last)
    whole = (ends < 2) & ~np.isnan(cover)
    total = np.nan_to_num(first) + np.nan_to_num(last) + np.where(whole, np.nan_to_num(cover), 0.0)
    asked = np.isnan(axis) & (ends + whole > 0)
    mean = np.where(asked, total / np.maximum(ends + whole, 1), np.nan)
    within = (mean >= HIGHEST_M) & (mean <= DEEPEST_M)
    for i in np.flatnonzero(asked & ~within).tolist():
        _, rule, reason = _depth(float(mean[i]))
        notes.add(i, rule, reason)
    depth = np.where(within, mean, np.nan) + half
    between = np.where(~np.isnan(depth), vector.rounded(last - first), np.nan)
    return np.where(np.isnan(axis), depth, axis), between


def normalise(batch: SourceBatch) -> Columns:
    """medium, diameter_mm, diameter_source, depth_m, depth_change_m, depth_source, name."""
    import pyarrow as pa
    import pyarrow.compute as pc

    notes = vector.Notes(batch)
    media = _media(batch, notes)
    sizes = _read(notes, TABLE.column(batch, "diameter_mm"), _size)
    no_size = _assumed(batch, "diameter_source", ~np.isnan(sizes))
    sizes = np.where(np.isnan(sizes), _usual("diameter_mm", media), vector.rounded(sizes, 2))
    axis = _read(notes, TABLE.column(batch, "depth_m"), _depth)
    radius = sizes / 2000
    drained = np.array(vector.distinct(media, lambda medium: medium == "drainage"), bool)
    depth, between = _by_cover(batch, notes, axis, np.where(drained, -radius, radius))
    no_depth = _assumed(batch, "depth_source", ~np.isnan(depth))
    above = vector.each(TABLE.column(batch, "location"), lambda value: _LOCATIONS.find(value) == "above")
    usual = np.where(np.array(above, bool), -radius, _usual("depth_m", media))
    change = _floats(vector.each(TABLE.column(batch, "depth_change_m"), metres))
    change = np.where(np.isnan(between), change, between)
    within = np.abs(change) <= DEEPEST_M - HIGHEST_M
    notes.tell()
    columns = {
        "medium": pa.array(media, pa.string()),
        "diameter_mm": pa.array(sizes),
        "diameter_source": pc.if_else(pa.array(no_size), "default", "measured"),
        "depth_m": pa.array(vector.rounded(np.where(np.isnan(depth), usual, depth))),
        "depth_change_m": pa.array(np.where(within, change, np.nan), from_pandas=True),
        "depth_source": pc.if_else(pa.array(no_depth), "default", "measured"),
        "name": vector.texts(TABLE.column(batch, "name")),
    }
    return vector.result(batch, columns)


KIND = TABLE.kind("pipeline", normalise)
