"""Buildings: footprints that are extruded; one that has CIM parts keeps its data only."""

from __future__ import annotations

from layers.kinds import heights
from layers.kinds.base import GROUPS, NAME, Batch, Columns, Kind, legend, texts
from layers.types import Field


def normalise(batch: Batch) -> Columns:
    """height_m, height_source, min_height_m, levels, has_parts, name, use."""
    out = heights.normalise(batch)
    out["has_parts"] = [False] * len(batch)
    out["name"] = texts(batch.first(heights.ALIASES["name"]))
    out["use"] = [None if v in ("yes", "no") else v for v in texts(batch.first(heights.ALIASES["use"]))]
    return out


KIND = Kind(
    id="building",
    title={"zh-CN": "建筑物", "en": "Buildings"},
    group=GROUPS["survey"],
    body=heights.PRISM,
    fields=(
        *heights.FIELDS,
        Field("has_parts", "boolean", {"zh-CN": "有建筑部件", "en": "Has building parts"}),
        NAME,
        Field("use", "string", {"zh-CN": "用途", "en": "Use"}),
    ),
    aliases=heights.ALIASES,
    normalise=normalise,
    style={
        "color": {
            "property": "height_source",
            "values": {"measured": "#cdbfa6", "levels": "#dcd3c2", "default": "#eceae4"},
            "default": "#eceae4",
        },
        "legend": [
            legend("高度实测", "Height measured", "#cdbfa6", "measured"),
            legend("高度推算(层数)", "Height from storeys", "#dcd3c2", "levels", assumed=True),
            legend("高度默认(推定)", "Height assumed", "#eceae4", "default", assumed=True),
        ],
        "assumed": {"property": "height_source", "values": ["levels", "default"]},
    },
    geometry=frozenset({"polygon"}),
    signature=("building", "building:levels", "measuredHeight", "建筑高度", "地上层数"),
    flat=True,
    provenance=("height_source",),
)
