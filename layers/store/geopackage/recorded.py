"""What was said of a layer: its record before each change of it, as JSON; none while there was no layer."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from layers.store.geopackage import log

_TABLES = ("twin_layers", "twin_forms")


def present(con: sqlite3.Connection, layer: str) -> str | None:
    """The record of a layer as it is now."""
    for table in _TABLES:
        cursor = con.execute(f"SELECT * FROM {table} WHERE id=?", (layer,))
        row = cursor.fetchone()
        if row is not None:
            names = [column[0] for column in cursor.description]
            return json.dumps({"table": table, **dict(zip(names, row, strict=True))}, ensure_ascii=False)
    return None


@contextmanager
def kept(con: sqlite3.Connection, layer: str) -> Iterator[None]:
    """Whatever is done to a layer's record within, what it was before is kept.

    It ends with the newest number of the log. Where nothing was logged, as of a load that changed no row,
    that is the one before: of this moment, which was the newest, the new record is told from now on."""
    before = present(con, layer)
    yield
    if present(con, layer) != before:
        values = (layer, log.last_seq(con), before)
        con.execute("INSERT OR IGNORE INTO twin_records VALUES (?,?,?)", values)


def at(con: sqlite3.Connection, layer: str, seq: int) -> Mapping[str, Any] | None:
    """The record of a layer after a change of the log; None where there was no layer."""
    row = con.execute(
        "SELECT record FROM twin_records WHERE layer=? AND until > ? ORDER BY until LIMIT 1", (layer, seq)
    ).fetchone()
    text = row[0] if row else present(con, layer)
    return None if text is None else json.loads(text)


def layers(con: sqlite3.Connection) -> list[str]:
    """Every layer that there is, or was."""
    every = " UNION ".join(f"SELECT id FROM {table}" for table in _TABLES)
    return [row[0] for row in con.execute(f"{every} UNION SELECT layer FROM twin_records ORDER BY 1")]


def ended(con: sqlite3.Connection, layer: str, seq: int) -> int | None:
    """The number at which the layer that there was after a change had gone, so that rows with its name are
    of another one; None where it goes on."""
    row = con.execute(
        "SELECT min(until) FROM twin_records WHERE layer=? AND until > ? AND record IS NULL", (layer, seq)
    ).fetchone()
    if row[0] is not None or present(con, layer) is not None:
        end: int | None = row[0]
        return end
    newest = con.execute("SELECT max(until) FROM twin_records WHERE layer=? AND until > ?", (layer, seq))
    return int(newest.fetchone()[0] or 0)
