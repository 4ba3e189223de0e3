"""Layers of other forms than features in the file: their records, and nothing else of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from layers.model import ContentLayer
from layers.store import forms
from layers.store.base import FormSpec
from layers.store.geopackage import catalog, log, recorded


def records(con: sqlite3.Connection) -> dict[str, Sequence[Any]]:
    """The records by layer id; each as :func:`layers.store.forms.layer` reads it."""
    rows = con.execute(f"SELECT {forms.COLUMNS} FROM twin_forms ORDER BY id").fetchall()
    return {row[0]: row for row in rows}


def present(con: sqlite3.Connection, layer: str) -> ContentLayer | None:
    """The recorded layer of an id; None where there is no record."""
    row = records(con).get(layer)
    return None if row is None else forms.layer(row, 0)


def record(con: sqlite3.Connection, spec: FormSpec) -> int:
    """Put a record in place inside the caller's transaction; the layer's new generation. Raises Exists."""
    if con.execute("SELECT 1 FROM twin_layers WHERE id=?", (spec.id,)).fetchone() is not None:
        raise forms.in_use(spec.id, "features")
    known = present(con, spec.id)
    gone = con.execute("SELECT generation FROM twin_history WHERE layer=?", (spec.id,)).fetchone()
    generation = 1 + max(known.generation if known else 0, gone[0] if gone else 0)
    values = forms.values(spec, generation)
    marks = ",".join("?" * len(values))
    with recorded.kept(con, spec.id):
        con.execute(f"INSERT OR REPLACE INTO twin_forms ({forms.COLUMNS}) VALUES ({marks})", values)
        log.whole(con, spec.id, known.extent if known else None, spec.extent)
    catalog.touch(con)
    return generation


def drop(con: sqlite3.Connection, layer: str) -> bool:
    """Remove a record inside the caller's transaction; whether there was one."""
    known = present(con, layer)
    if known is None:
        return False
    with recorded.kept(con, layer):
        con.execute("DELETE FROM twin_forms WHERE id=?", (layer,))
        con.execute("DELETE FROM twin_reports WHERE layer=?", (layer,))
        catalog.remember(con, layer, 0, known.generation)
        log.whole(con, layer, known.extent, None)
    catalog.touch(con)
    return True
