"""Buildings: footprints that are extruded; of one with parts, what the parts leave over is drawn."""

from __future__ import annotations

from layers.kinds import heights, kind_table, vector
from layers.kinds.base import Columns, SourceBatch

TABLE = kind_table.of("building")


def normalise(batch: SourceBatch) -> Columns:
    """height_m, height_source, min_height_m, levels, name, use, cim_level, cim_class."""
    import pyarrow as pa
    import pyarrow.compute as pc

    out = heights.normalise(batch, TABLE)
    out["name"] = vector.texts(TABLE.column(batch, "name"))
    uses = vector.texts(TABLE.column(batch, "use"))
    said = pc.is_in(uses, pa.array(["yes", "no"]))
    out["use"] = pc.if_else(said, pa.scalar(None, pa.string()), uses)
    for name in ("cim_level", "cim_class"):
        out[name] = pa.array(TABLE.codes(batch, name), pa.string())
    return vector.result(batch, out)


KIND = TABLE.kind("building", normalise)
