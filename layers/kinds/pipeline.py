"""Pipelines: lines drawn as tubes. Diameter and depth: measured → default by medium.

Classes, codes and colours after CJJ 61-2017; depth is to the pipe's axis. Where a source column
gives the standard's 埋深 (top of a pressure pipe or cable, invert of a gravity drain), half the
diameter is added or taken off.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from layers.errors import shown
from layers.kinds.base import (
    GROUPS,
    NAME,
    Batch,
    Columns,
    Kind,
    Tube,
    blank,
    legend,
    metres,
    number,
    text,
    texts,
)
from layers.types import Field

#: Diameters (mm) and depths (m, negative above ground) beyond these are mistakes of unit.
LEAST_MM, MOST_MM = 5, 20_000
HIGHEST_M, DEEPEST_M = -30, 200


@dataclass(frozen=True, slots=True)
class Medium:
    """What is assumed of a medium: titles, colour, diameter (mm), depth of the axis (m), source words."""

    zh: str
    en: str
    color: str
    diameter_mm: float
    depth_m: float
    words: tuple[str, ...]


MEDIA: Mapping[str, Medium] = {
    "water": Medium(
        "给水",
        "Water",
        "#1e88e5",
        200,
        1.8,
        ("water", "drinking_water", "给水", "供水", "原水", "中水", "配水", "js"),
    ),
    "drainage": Medium(
        "排水",
        "Drainage",
        "#6d4c33",
        400,
        2.5,
        (
            "drainage",
            "sewage",
            "sewer",
            "wastewater",
            "waste_water",
            "rainwater",
            "stormwater",
            "drain",
            "排水",
            "雨水",
            "污水",
            "合流",
            "雨污合流",
            "ps",
            "ys",
            "ws",
            "hs",
        ),
    ),
    "gas": Medium(
        "燃气",
        "Gas",
        "#d81b8c",
        150,
        1.0,
        ("gas", "natural_gas", "燃气", "天然气", "煤气", "液化气", "rq", "tr", "mq"),
    ),
    "heat": Medium(
        "热力",
        "Heat",
        "#fb8c00",
        250,
        1.3,
        ("heat", "hot_water", "steam", "district_heating", "热力", "热水", "蒸汽", "rl", "rs", "zq"),
    ),
    "cooling": Medium(
        "供冷", "Cooling", "#00acc1", 400, 1.5, ("cooling", "cold", "cold_water", "供冷", "冷水")
    ),
    "power": Medium(
        "电力",
        "Power",
        "#e53935",
        150,
        0.8,
        ("power", "electricity", "cable", "电力", "供电", "路灯", "dl", "gd", "ld"),
    ),
    "telecom": Medium(
        "通信",
        "Telecom",
        "#43a047",
        110,
        0.7,
        ("telecom", "communication", "telephone", "通信", "电信", "tx", "dx", "dh", "ds", "xx", "gb"),
    ),
    "industrial": Medium(
        "工业",
        "Industrial",
        "#424242",
        200,
        1.5,
        ("industrial", "oil", "fuel", "hydrogen", "oxygen", "工业", "gy"),
    ),
    "other": Medium("其他", "Other", "#6a3ab2", 150, 1.2, ("other", "其他", "综合管沟", "qt", "zh")),
    "unknown": Medium("不明", "Unknown", "#8e8e93", 150, 1.2, ("unknown", "不明", "bm")),
}

_BY_WORD = {word: name for name, medium in MEDIA.items() for word in (name, *medium.words)}

ALIASES: Mapping[str, tuple[str, ...]] = {
    "medium": (
        "medium",
        "type",
        "substance",
        "utility",
        "network_type",
        "管线类别",
        "管线类型",
        "管线种类",
        "管类",
        "介质",
    ),
    "diameter_mm": ("diameter_mm", "diameter", "管径", "断面尺寸", "管径或断面尺寸", "GJ"),
    "depth_m": ("depth_m", "depth"),
    "cover": ("埋深", "MS"),
    "cover_start": ("起点埋深", "起始埋深", "QDMS"),
    "cover_end": ("终点埋深", "终止埋深", "ZDMS"),
    "name": ("name", "名称", "管线名称"),
}

_SOURCES = {
    "measured": {"zh-CN": "实测", "en": "measured"},
    "default": {"zh-CN": "默认(推定)", "en": "default (assumed)"},
}
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


def _medium(batch: Batch) -> list[str]:
    out = []
    for i, value in enumerate(batch.first(ALIASES["medium"])):
        word = (text(value) or "").casefold()
        medium = _BY_WORD.get(word)
        if word and medium is None:
            batch.note(i, "medium.unknown", f"medium {shown(value)} is not known; kept as other")
            medium = "other"
        out.append(medium or "unknown")
    return out


def _diameters(batch: Batch, media: list[str]) -> tuple[list[float], list[str]]:
    sizes, sources = [], []
    given = batch.first(("diameter_source",))
    for i, value in enumerate(batch.first(ALIASES["diameter_mm"])):
        size = None if blank(value) else _diameter(batch, i, value)
        assumed = size is None or given[i] == "default"
        sizes.append(MEDIA[media[i]].diameter_mm if size is None else round(size, 2))
        sources.append("default" if assumed else "measured")
    return sizes, sources


def _diameter(batch: Batch, i: int, value: Any) -> float | None:
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


def _depths(batch: Batch, media: list[str], sizes: list[float]) -> tuple[list[float], list[str]]:
    depths, sources = [], []
    axis, cover = batch.first(ALIASES["depth_m"]), batch.first(ALIASES["cover"])
    ends = batch.first(ALIASES["cover_start"]), batch.first(ALIASES["cover_end"])
    given, location = batch.first(("depth_source",)), batch.first(("location",))
    for i, medium in enumerate(media):
        depth = _depth(batch, i, axis[i], None)
        if depth is None:
            both = [d for d in (metres(cover[i]), metres(ends[0][i]), metres(ends[1][i])) if d is not None]
            half = sizes[i] / 2000 * (-1 if medium == "drainage" else 1)
            depth = _depth(batch, i, sum(both) / len(both) if both else None, half)
        assumed = depth is None or given[i] == "default"
        if depth is None:
            over = str(location[i] or "").casefold() in ("overground", "overhead", "架空", "地上")
            depth = -sizes[i] / 2000 if over else MEDIA[medium].depth_m
        depths.append(round(depth, 3))
        sources.append("default" if assumed else "measured")
    return depths, sources


def _depth(batch: Batch, i: int, value: Any, half: float | None) -> float | None:
    if blank(value):
        return None
    depth = metres(value)
    if depth is None or not HIGHEST_M <= depth <= DEEPEST_M:
        reason = f"depth {shown(value)} is not metres between {HIGHEST_M} and {DEEPEST_M}"
        batch.note(i, "depth.unreadable", reason)
        return None
    return depth + (half or 0.0)


def normalise(batch: Batch) -> Columns:
    """medium, diameter_mm, diameter_source, depth_m, depth_source, name."""
    media = _medium(batch)
    sizes, size_sources = _diameters(batch, media)
    depths, depth_sources = _depths(batch, media, sizes)
    return {
        "medium": list(media),
        "diameter_mm": list(sizes),
        "diameter_source": list(size_sources),
        "depth_m": list(depths),
        "depth_source": list(depth_sources),
        "name": texts(batch.first(ALIASES["name"])),
    }


KIND = Kind(
    id="pipeline",
    title={"zh-CN": "地下管线", "en": "Pipelines"},
    group=GROUPS["survey"],
    body=Tube("depth_m", "diameter_mm"),
    fields=(
        Field(
            "medium",
            "string",
            {"zh-CN": "管类", "en": "Medium"},
            codes={name: {"zh-CN": m.zh, "en": m.en} for name, m in MEDIA.items()},
        ),
        Field("diameter_mm", "number", {"zh-CN": "管径", "en": "Diameter"}, "mm"),
        Field("diameter_source", "string", {"zh-CN": "管径来源", "en": "Diameter source"}, codes=_SOURCES),
        Field("depth_m", "number", {"zh-CN": "埋深(管轴)", "en": "Depth of axis"}, "m"),
        Field("depth_source", "string", {"zh-CN": "埋深来源", "en": "Depth source"}, codes=_SOURCES),
        NAME,
    ),
    aliases=ALIASES,
    normalise=normalise,
    style={
        "color": {
            "property": "medium",
            "values": {name: m.color for name, m in MEDIA.items()},
            "default": MEDIA["unknown"].color,
        },
        "width": 3,
        "legend": [
            *(legend(m.zh, m.en, m.color, name) for name, m in MEDIA.items()),
            legend("埋深默认(推定)", "Depth assumed", "#8e8e93", assumed=True),
        ],
        "assumed": {"property": "depth_source", "values": ["default"]},
    },
    geometry=frozenset({"line"}),
    signature=("管径", "埋深", "管线类别", "起点埋深", "diameter_mm", "man_made=pipeline"),
    buried=True,
    provenance=("diameter_source", "depth_source"),
)
