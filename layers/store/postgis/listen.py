"""One thread a process that hears of changes at once, and looks for what nobody tells.

Every commit that changed a layer notifies its newest number. DDL notifies nobody (an event trigger would
need a superuser), so the thread compares the tables and triggers with what they were found to be.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg

from layers.errors import TwinError
from layers.store.postgis.connection import Connection, discard, shut

LOOK_S = 0.6  # between two looks at the tables
RETRY_S = 0.3


@dataclass(eq=False)
class Listener:
    """``make`` connects and listens; ``look`` is called with that connection now and then."""

    make: Callable[[], Connection]
    look: Callable[[Connection], None]
    newest: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _closed: bool = False
    _con: Connection | None = None
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; a database that is away is waited for."""
        self._thread = threading.Thread(target=self._run, name="postgis-listen", daemon=True)
        self._thread.start()

    def tell(self, seq: int) -> None:
        """A number was seen: wake those who wait for it."""
        if seq > self.newest:
            with self._changed:
                self.newest = max(seq, self.newest)
                self._changed.notify_all()

    def wait(self, since: int, seconds: float) -> int:
        """Until a number above ``since`` is known, or the time is over: the newest known one."""
        with self._changed:
            self._changed.wait_for(lambda: self.newest > since or self._closed, max(0.0, seconds))
            return self.newest

    def reset(self, seq: int) -> None:
        """The history began anew: numbers may be lower than before."""
        with self._changed:
            self.newest = seq
            self._changed.notify_all()

    def _run(self) -> None:
        while not self._closed:
            try:
                if self._con is None:
                    self._con = self.make()
                self.look(self._con)
                self._receive(self._con)
            except (psycopg.Error, TwinError):
                self._drop()
                with self._changed:
                    if not self._closed:
                        self._changed.wait(RETRY_S)
        self._drop()  # one that came while it was closed

    def _receive(self, con: Connection) -> None:
        until = time.monotonic() + LOOK_S
        while not self._closed and (left := until - time.monotonic()) > 0:
            for note in con.notifies(timeout=left, stop_after=1):
                with suppress(ValueError):
                    self.tell(int(note.payload))

    def _drop(self) -> None:
        con, self._con = self._con, None
        discard(con)

    def close(self) -> None:
        """End; waiters return."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._con is not None:
            shut(self._con)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(LOOK_S + 2)
        self._drop()
