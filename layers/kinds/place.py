"""Places: points that name a town, a district or a quarter."""

from __future__ import annotations

from layers.kinds import kind_table
from layers.kinds.base import Columns, SourceBatch

TABLE = kind_table.of("place")


def normalise(batch: SourceBatch) -> Columns:
    """class, name."""
    classes = [TABLE.code("class", value) or "other" for value in TABLE.values(batch, "class")]
    return {"class": list(classes), "name": TABLE.texts(batch, "name")}


KIND = TABLE.kind("place", normalise)
