"""What was done once, in a table of the file that is made with its first row."""

from __future__ import annotations

import sqlite3

from layers.model import Once
from layers.store.once import KEPT_DAYS

_TABLE = (
    "CREATE TABLE twin_done (actor TEXT NOT NULL, key TEXT NOT NULL, digest TEXT NOT NULL,"
    " outcomes TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (actor, key))"
)


class GeoPackageDone:
    """Implements :class:`layers.store.once.Done`."""

    def __init__(self, con: sqlite3.Connection) -> None:
        self._con = con

    def _is_there(self) -> bool:
        sql = "SELECT 1 FROM sqlite_master WHERE type='table' AND name='twin_done'"
        return self._con.execute(sql).fetchone() is not None

    def find(self, once: Once) -> tuple[str, str] | None:
        if not self._is_there():
            return None
        sql = "SELECT digest, outcomes FROM twin_done WHERE actor=? AND key=?"
        found: tuple[str, str] | None = self._con.execute(sql, (once.actor, once.key)).fetchone()
        return found

    def keep(self, once: Once, outcomes: str) -> None:
        if not self._is_there():
            self._con.execute(_TABLE)
        self._con.execute("DELETE FROM twin_done WHERE at < datetime('now', ?)", (f"-{KEPT_DAYS} days",))
        self._con.execute(
            "INSERT INTO twin_done VALUES (?, ?, ?, ?, datetime('now'))",
            (once.actor, once.key, once.digest, outcomes),
        )
