"""City components (城市部件): lamps, hydrants, cabinets, signals, manholes, cameras, signs."""

from __future__ import annotations

from layers.errors import shown
from layers.kinds import kind_table
from layers.kinds.base import Columns, SourceBatch, blank

TABLE = kind_table.of("component")


def normalise(batch: SourceBatch) -> Columns:
    """class, name."""
    tagged = TABLE.tagged(batch, "class")
    out: list[str] = []
    for i, value in enumerate(TABLE.values(batch, "class")):
        code = TABLE.code("class", value) or tagged[i]
        if code is None and not blank(value):
            batch.note(i, "component.class", f"class {shown(value)} is not known; kept as other")
        out.append(code or "other")
    return {"class": list(out), "name": TABLE.texts(batch, "name")}


KIND = TABLE.kind("component", normalise)
