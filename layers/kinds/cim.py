"""CIM: building parts and city objects with a body of their own, kept as meshes."""

from __future__ import annotations

from dataclasses import replace

from layers.kinds import heights, roofs
from layers.kinds.base import GROUPS, NAME, Batch, Columns, Kind, legend, metres, texts
from layers.types import Field

ALIASES = {
    **heights.ALIASES,
    "roof_shape": ("roof_shape", "roof:shape", "roofType", "屋顶形式"),
    "roof_height_m": ("roof_height_m", "roof:height"),
    "building_id": ("building_id", "gml_parent_id", "parent_id"),
}


def normalise(batch: Batch) -> Columns:
    """height_m, height_source, min_height_m, levels, roof_shape, roof_height_m, building_id, name."""
    out = heights.normalise(batch)
    _by_mesh(batch, out)
    shapes = [s.casefold() if s else None for s in texts(batch.first(ALIASES["roof_shape"]))]
    out["roof_shape"] = shapes
    out["roof_height_m"] = [metres(v) for v in batch.first(ALIASES["roof_height_m"])]
    out["building_id"] = texts(batch.first(ALIASES["building_id"]))
    out["name"] = texts(batch.first(ALIASES["name"]))
    return out


def _by_mesh(batch: Batch, out: Columns) -> None:
    """A body that came with the source tells its own height, unless an attribute was measured."""
    for i, height in enumerate(batch.first(("mesh_height_m",))):
        if height is not None and out["height_source"][i] != "measured":
            out["height_m"][i], out["height_source"][i] = float(height), "measured"
            out["min_height_m"][i] = 0.0


KIND = Kind(
    id="cim",
    title={"zh-CN": "CIM模型", "en": "City model"},
    group=GROUPS["cim"],
    body=replace(heights.PRISM, stored=True),
    fields=(
        *heights.FIELDS,
        Field("roof_shape", "string", {"zh-CN": "屋顶形式", "en": "Roof shape"}),
        Field("roof_height_m", "number", {"zh-CN": "屋顶高度", "en": "Roof height"}, "m"),
        Field("building_id", "string", {"zh-CN": "所属建筑", "en": "Building"}),
        NAME,
    ),
    aliases=ALIASES,
    normalise=normalise,
    style={
        "color": {"property": None, "values": {}, "default": "#d9cdb8"},
        "legend": [
            legend("屋顶面", "Roof surface", "#c9a58f"),
            legend("墙面", "Wall surface", "#e2dccf"),
            legend("高度推算或默认", "Height assumed", "#e9e7e2", assumed=True),
        ],
        "assumed": {"property": "height_source", "values": ["levels", "default"]},
    },
    geometry=frozenset({"polygon"}),
    signature=("building:part",),
    mesh=roofs.meshes,
    formats=("CityJSON",),
    flat=True,
    provenance=("height_source",),
    part_of="building",
    parent="building_id",
)
