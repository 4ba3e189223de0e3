"""City components (城市部件): lamps, hydrants, cabinets, signals, manholes, cameras, signs."""

from __future__ import annotations

from typing import Any

from layers.errors import shown
from layers.kinds import kind_table, vector
from layers.kinds.base import Columns, SourceBatch, blank

TABLE = kind_table.of("component")


def normalise(batch: SourceBatch) -> Columns:
    """class, name."""
    told = vector.each(TABLE.column(batch, "class"), _class)
    out: list[Any] = []
    for i, ((code, unknown), tagged) in enumerate(zip(told, TABLE.tagged(batch, "class"), strict=True)):
        if unknown and tagged is None:
            batch.note(i, "component.class", unknown)
        out.append(code or tagged or "other")
    return {"class": out, "name": TABLE.texts(batch, "name")}


def _class(value: Any) -> tuple[str | None, str]:
    """The code of a class, and what is to be noted where nothing else tells it."""
    code = TABLE.code("class", value)
    unknown = code is None and not blank(value)
    return code, f"class {shown(value)} is not known; kept as other" if unknown else ""


KIND = TABLE.kind("component", normalise)
