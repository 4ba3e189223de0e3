"""Roads and paths: lines with a class and a name."""

from __future__ import annotations

from typing import Any

from layers.kinds import kind_table
from layers.kinds.base import Columns, SourceBatch

TABLE = kind_table.of("road")


def normalise(batch: SourceBatch) -> Columns:
    """class, name."""
    classes: list[Any] = [code or "other" for code in TABLE.codes(batch, "class")]
    return {"class": classes, "name": TABLE.texts(batch, "name")}


KIND = TABLE.kind("road", normalise)
