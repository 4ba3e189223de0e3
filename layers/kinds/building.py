"""Buildings: footprints that are extruded; of one with parts, what the parts leave over is drawn."""

from __future__ import annotations

from layers.kinds import heights, kind_table
from layers.kinds.base import Columns, SourceBatch

TABLE = kind_table.of("building")


def normalise(batch: SourceBatch) -> Columns:
    """height_m, height_source, min_height_m, levels, name, use, cim_level, cim_class."""
    out = heights.normalise(batch, TABLE)
    out["name"] = TABLE.texts(batch, "name")
    out["use"] = [None if v in ("yes", "no") else v for v in TABLE.texts(batch, "use")]
    for name in ("cim_level", "cim_class"):
        out[name] = [TABLE.code(name, value) for value in TABLE.values(batch, name)]
    return out


KIND = TABLE.kind("building", normalise)
