"""Buildings: footprints that are extruded; one that has CIM parts keeps its data only."""

from __future__ import annotations

from layers.kinds import heights, table
from layers.kinds.base import Batch, Columns

TABLE = table.of("building")


def normalise(batch: Batch) -> Columns:
    """height_m, height_source, min_height_m, levels, has_parts, name, use."""
    out = heights.normalise(batch, TABLE)
    out["has_parts"] = [False] * len(batch)
    out["name"] = TABLE.texts(batch, "name")
    out["use"] = [None if v in ("yes", "no") else v for v in TABLE.texts(batch, "use")]
    return out


KIND = TABLE.kind("building", normalise)
