"""What opening a city's file does before anything is read of it: tables and the epoch."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from layers.store.geopackage import catalog, epoch, schema
from layers.store.geopackage.connection import sqlite_errors, transaction
from layers.store.mark import fresh_epoch
from layers.store.mark import read as read_mark


def prepare(con: sqlite3.Connection) -> None:
    """Make the tables of an empty file, and check the form.

    Raises Unavailable: not a city's file, or of a form this program does not know."""
    with sqlite_errors():
        empty = _is_empty(con)
    if empty:
        with transaction(con):
            if _is_empty(con):
                schema.create(con, fresh_epoch())
        with sqlite_errors():
            con.execute("PRAGMA wal_checkpoint")  # GDAL looks for "GPKG" in the file itself
    with sqlite_errors():
        schema.check(con)


def _is_empty(con: sqlite3.Connection) -> bool:
    return bool(con.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0)


def begin_epoch(con: sqlite3.Connection, path: Path, mark: Path, *, read_only: bool) -> str | None:
    """Renew the epoch unless the mark shows that the file continues its history.

    Gives the epoch that holds for this process alone, where the file cannot be written."""
    kept = read_mark(mark)
    with sqlite_errors():
        if epoch.continues(con, kept, epoch.of(con, path)):
            return None
    if read_only:
        return fresh_epoch()
    with transaction(con):
        # another process may have opened it at the same moment and been first
        if not epoch.continues(con, read_mark(mark), epoch.of(con, path)):
            con.execute("UPDATE twin_meta SET value=? WHERE key='epoch'", (fresh_epoch(),))
            catalog.touch(con)
    return None
