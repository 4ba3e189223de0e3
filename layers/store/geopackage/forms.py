"""Layers of other forms than features in the file: their records, and nothing else of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from layers.store import forms
from layers.store.base import FormSpec
from layers.store.geopackage import catalog
from layers.types import Bbox


def records(con: sqlite3.Connection) -> dict[str, Sequence[Any]]:
    """The records by layer id; each as :func:`layers.store.forms.layer` reads it."""
    rows = con.execute(f"SELECT {forms.COLUMNS} FROM twin_forms ORDER BY id").fetchall()
    return {row[0]: row for row in rows}


def record(con: sqlite3.Connection, spec: FormSpec) -> int:
    """Put a record in place inside the caller's transaction; the layer's new generation. Raises Exists."""
    if con.execute("SELECT 1 FROM twin_layers WHERE id=?", (spec.id,)).fetchone() is not None:
        raise forms.taken(spec.id, "features")
    present = _present(con, spec.id)
    gone = con.execute("SELECT generation FROM twin_history WHERE layer=?", (spec.id,)).fetchone()
    generation = 1 + max(present[1] if present else 0, gone[0] if gone else 0)
    values = forms.values(spec, generation)
    marks = ",".join("?" * len(values))
    con.execute(f"INSERT OR REPLACE INTO twin_forms ({forms.COLUMNS}) VALUES ({marks})", values)
    catalog.log_whole(con, spec.id, present[0] if present else None, spec.extent)
    catalog.touch(con)
    return generation


def drop(con: sqlite3.Connection, layer: str) -> bool:
    """Remove a record inside the caller's transaction; whether there was one."""
    present = _present(con, layer)
    if present is None:
        return False
    con.execute("DELETE FROM twin_forms WHERE id=?", (layer,))
    con.execute("DELETE FROM twin_reports WHERE layer=?", (layer,))
    catalog.remember(con, layer, 0, present[1])
    catalog.log_whole(con, layer, present[0], None)
    catalog.touch(con)
    return True


def form(con: sqlite3.Connection, layer: str) -> str | None:
    """The form of a recorded layer; None where there is no record."""
    row = con.execute("SELECT form FROM twin_forms WHERE id=?", (layer,)).fetchone()
    return None if row is None else str(row[0])


def _present(con: sqlite3.Connection, layer: str) -> tuple[Bbox | None, int] | None:
    """Extent and generation of a record."""
    row = con.execute(
        "SELECT minx, miny, maxx, maxy, generation FROM twin_forms WHERE id=?", (layer,)
    ).fetchone()
    if row is None:
        return None
    return (None if row[0] is None else (row[0], row[1], row[2], row[3])), row[4]
