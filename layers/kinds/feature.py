"""Features: anything that no other kind describes."""

from __future__ import annotations

from layers.kinds import kind_table
from layers.kinds.base import Columns, SourceBatch

TABLE = kind_table.of("feature")


def normalise(batch: SourceBatch) -> Columns:
    """name."""
    return {"name": TABLE.texts(batch, "name")}


KIND = TABLE.kind("feature", normalise)
