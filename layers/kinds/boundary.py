"""Boundaries: districts and management grids."""

from __future__ import annotations

from layers.kinds.base import GROUPS, NAME, Batch, Columns, Kind, plain_style, texts
from layers.types import Field

ALIASES = {
    "name": ("name", "名称", "行政区名称", "XZQMC", "NAME_CHN"),
    "code": ("code", "adcode", "行政区代码", "XZQDM", "网格编码", "单元网格编码", "cp_code"),
}


def normalise(batch: Batch) -> Columns:
    """name, code."""
    return {name: texts(batch.first(names)) for name, names in ALIASES.items()}


KIND = Kind(
    id="boundary",
    title={"zh-CN": "行政区划", "en": "Boundaries"},
    group=GROUPS["base"],
    body=None,
    fields=(NAME, Field("code", "string", {"zh-CN": "代码", "en": "Code"})),
    aliases=ALIASES,
    normalise=normalise,
    style=plain_style("#a06a8c", "区划界线", "Boundary", width=2),
    geometry=frozenset({"polygon", "line"}),
    key=("code",),
    signature=("adcode", "行政区代码", "单元网格编码"),
)
