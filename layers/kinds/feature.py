"""Features: anything that no other kind describes."""

from __future__ import annotations

from layers.kinds import table
from layers.kinds.base import Columns, SourceBatch

TABLE = table.of("feature")


def normalise(batch: SourceBatch) -> Columns:
    """name."""
    return {"name": TABLE.texts(batch, "name")}


KIND = TABLE.kind("feature", normalise)
