"""Cursors in the city's database, where several servers are at one city: a name is a lock of a session."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from layers.errors import Busy, TwinError
from layers.store.postgis import schema
from layers.store.postgis.connection import Connection, bound, discard
from layers.store.postgis.session import DatabaseSessions

_SECONDS = 5.0


class DatabaseCursors:
    """Implements :class:`layers.store.cursors.Cursors`. One connection, made when a name is first asked for:
    with it go the locks, and the names may be another server's then."""

    def __init__(self, sessions: DatabaseSessions, name: str) -> None:
        self._sessions, self._schema = sessions, name
        self._table = f"{bound(name)}.twin_cursors"
        self._lock = threading.Lock()
        self._con: Connection | None = None
        self._held: set[str] = set()

    def hold(self, name: str) -> bool:
        with self._connected() as con:
            if name in self._held:
                con.execute("SELECT")  # where the connection is gone, so is the lock
                return True
            lock = schema.key(self._schema, f"cursor {name}")
            if con.execute("SELECT pg_try_advisory_lock(%s)", (lock,)).fetchone() != (True,):
                return False
            self._held.add(name)
            return True

    def get(self, name: str) -> str | None:
        with self._connected() as con:
            row = con.execute(f"SELECT cursor FROM {self._table} WHERE name = %s", (name,)).fetchone()
            return None if row is None else str(row[0])

    def put(self, name: str, cursor: str) -> None:
        with self._connected() as con:
            held = name in self._held
            if held:
                con.execute(
                    f"INSERT INTO {self._table} VALUES (%s, %s)"
                    " ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor",
                    (name, cursor),
                )
        if not held:
            raise Busy("the cursor may be another server's by now")

    def close(self) -> None:
        with self._lock:
            self._drop()

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        with self._lock:
            if self._con is None:
                self._con = self._sessions.single(write=True)
                with self._watched(self._con), self._con.transaction():
                    # two servers that begin at once: IF NOT EXISTS alone fails for one of them
                    key = schema.key(self._schema, "cursors")
                    self._con.execute("SELECT pg_advisory_xact_lock(%s)", (key,))
                    # no part of the format: most cities need none, and who does not know it loses nothing
                    self._con.execute(
                        f"CREATE TABLE IF NOT EXISTS {self._table}"
                        " (name text PRIMARY KEY, cursor text NOT NULL)"
                    )
            with self._watched(self._con):
                yield self._con

    @contextmanager
    def _watched(self, con: Connection) -> Iterator[None]:
        """Whatever fails costs the connection: a lock is worth nothing on one that may be gone."""
        try:
            with self._sessions.watched(con, _SECONDS):
                yield
        except TwinError:
            self._drop()
            raise

    def _drop(self) -> None:
        con, self._con = self._con, None
        self._held.clear()
        discard(con)
