"""One thread a process that reads copied relations again when they are due."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg

from layers.errors import TwinError
from layers.store.postgis import copied, history, repair
from layers.store.postgis.connection import GIVE_WAY_S, Connection, discard, shut
from layers.store.postgis.ddl import DdlTarget
from layers.store.postgis.session import DatabaseSessions

LOOK_S = 0.25


def refresh_due(place: DdlTarget) -> None:
    """Compare each copy whose time has come; what cannot be compared is made anew, if it can be read."""
    for layer in copied.due(place):
        if not copied.refresh(place, layer):
            with place.con.transaction():
                history.sign(place.con, history.REPAIR)
                repair.repair(place, [layer], again=True)


class Refresher:
    """On a connection of its own; ``place`` says where its DDL happens."""

    def __init__(self, sessions: DatabaseSessions, place: Callable[[Connection], DdlTarget]) -> None:
        self._sessions, self._place = sessions, place
        self._closed = threading.Event()
        self._con: Connection | None = None
        self._thread = threading.Thread(target=self._run, name="postgis-refresh", daemon=True)

    def start(self) -> None:
        """Begin; a database that is away is waited for."""
        self._thread.start()

    def _run(self) -> None:
        while not self._closed.wait(LOOK_S):
            try:
                con = self._con = self._con or self._connect()
                with self._sessions.watched(con, None):
                    refresh_due(self._place(con))
            except (psycopg.Error, TwinError):
                self._drop()
        self._drop()

    def _connect(self) -> Connection:
        con = self._sessions.single(write=True)
        con.execute(f"SET lock_timeout = '{GIVE_WAY_S}s'")
        return con

    def _drop(self) -> None:
        con, self._con = self._con, None
        discard(con)

    def close(self) -> None:
        """End; a comparison that runs is given up."""
        self._closed.set()
        if self._con is not None:
            shut(self._con)
        if self._thread.is_alive():
            self._thread.join(3)
