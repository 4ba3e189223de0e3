"""The chain of a GeoPackage's audit: a table beside the others, made with its first link.

Triggers refuse to change a link, and to remove one that was not cut off at the old end: other programs are
told, and who takes the triggers away is found by :mod:`layers.audit.verify`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from layers.model import ChangeSet, Link
from layers.store.geopackage import schema, sets
from layers.store.geopackage.connection import transaction

_COLUMNS = "n, entry, hash, change"
_TABLE = """
CREATE TABLE IF NOT EXISTS twin_audit (n INTEGER PRIMARY KEY, entry TEXT NOT NULL, hash TEXT NOT NULL,
  change INTEGER UNIQUE);
CREATE TRIGGER IF NOT EXISTS twin_audit_changed BEFORE UPDATE ON twin_audit
  BEGIN SELECT RAISE(ABORT, 'an audit is only appended to'); END;
CREATE TRIGGER IF NOT EXISTS twin_audit_removed BEFORE DELETE ON twin_audit
  WHEN OLD.n > coalesce((SELECT CAST(value AS INTEGER) FROM twin_meta WHERE key = 'audit_cut'), 0)
  BEGIN SELECT RAISE(ABORT, 'an audit is only appended to'); END;
"""

type Use = Callable[[], AbstractContextManager[sqlite3.Connection]]


class GeoPackageAudit:
    """Implements :class:`layers.store.base.Audit`, by the store's connections. ``looking`` is a read
    transaction, ``writing`` the writer outside of one, if not ``read_only``."""

    def __init__(self, looking: Use, writing: Use, *, read_only: bool) -> None:
        self._looking, self._writing, self._read_only = looking, writing, read_only

    def head(self) -> Link | None:
        found = self._read(f"SELECT {_COLUMNS} FROM twin_audit ORDER BY n DESC LIMIT 1")
        return found[0] if found else None

    def sealed(self) -> int | None:
        order = "WHERE change IS NOT NULL ORDER BY change DESC LIMIT 1"
        found = self._read(f"SELECT {_COLUMNS} FROM twin_audit {order}")
        return found[0].set if found else None

    def links(self, after: int = 0, limit: int = 1_000) -> list[Link]:
        return self._read(f"SELECT {_COLUMNS} FROM twin_audit WHERE n > ? ORDER BY n LIMIT ?", (after, limit))

    def _read(self, sql: str, values: Sequence[int] = ()) -> list[Link]:
        with self._looking() as con:
            if not _is_there(con):
                return []
            return [Link(*row) for row in con.execute(sql, values)]

    def sets(self, after: int, limit: int = 100) -> list[ChangeSet]:
        with self._looking() as con:
            behind = bool(sets.pending(con))
        if (
            behind and not self._read_only
        ):  # of another program: a set is only then what it will be when it is written
            with self._writing() as con, transaction(con):
                sets.adopt(con)
        sql = f"SELECT {sets.COLUMNS} FROM twin_sets WHERE id > ? ORDER BY id LIMIT ?"
        with self._looking() as con:
            return [sets.read(row) for row in con.execute(sql, (after, limit))]

    def append(self, head: int, links: Sequence[Link]) -> bool:
        rows = [(link.n, link.entry, link.hash, link.set) for link in links]
        with self._writing() as con, transaction(con):
            if not _is_there(con):
                schema.run(con, _TABLE)
            if con.execute("SELECT coalesce(max(n), 0) FROM twin_audit").fetchone()[0] != head:
                return False
            con.executemany(f"INSERT INTO twin_audit ({_COLUMNS}) VALUES (?,?,?,?)", rows)
        return True

    def cut(self, through: int) -> None:
        with self._writing() as con, transaction(con):
            con.execute("INSERT OR REPLACE INTO twin_meta VALUES ('audit_cut', ?)", (str(through),))
            con.execute("DELETE FROM twin_audit WHERE n <= ?", (through,))


def _is_there(con: sqlite3.Connection) -> bool:
    sql = "SELECT 1 FROM sqlite_master WHERE type='table' AND name='twin_audit'"
    return con.execute(sql).fetchone() is not None
