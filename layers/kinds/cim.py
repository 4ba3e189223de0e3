"""CIM: building parts and city objects with a body of their own, kept as meshes."""

from __future__ import annotations

from layers.kinds import heights, kind_table, roofs
from layers.kinds.base import Columns, SourceBatch, metres

TABLE = kind_table.of("cim")


def normalise(batch: SourceBatch) -> Columns:
    """height_m, height_source, min_height_m, levels, roof_shape, roof_height_m, building_id, name."""
    out = heights.normalise(batch, TABLE)
    _by_mesh(batch, out)
    shapes = [s.casefold() if s else None for s in TABLE.texts(batch, "roof_shape")]
    out["roof_shape"] = shapes
    out["roof_height_m"] = [metres(v) for v in TABLE.values(batch, "roof_height_m")]
    out["building_id"] = TABLE.texts(batch, "building_id")
    out["name"] = TABLE.texts(batch, "name")
    return out


def _by_mesh(batch: SourceBatch, out: Columns) -> None:
    """A body that came with the source tells its own height, unless an attribute was measured."""
    for i, height in enumerate(batch.first(("mesh_height_m",))):
        if height is not None and out["height_source"][i] != "measured":
            out["height_m"][i], out["height_source"][i] = float(height), "measured"
            out["min_height_m"][i] = 0.0


KIND = TABLE.kind("cim", normalise, roofs.meshes)
