"""Boundaries: districts and management grids."""

from __future__ import annotations

from layers.kinds import kind_table
from layers.kinds.base import Columns, SourceBatch

TABLE = kind_table.of("boundary")


def normalise(batch: SourceBatch) -> Columns:
    """name, code."""
    return {name: TABLE.texts(batch, name) for name in TABLE.rows}


KIND = TABLE.kind("boundary", normalise)
