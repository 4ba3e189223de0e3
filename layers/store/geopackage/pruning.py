"""Old rows that are older than the settings say go, a few at a time, beside edits and loads."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from layers import instants
from layers.errors import TwinError
from layers.store.geopackage import keeping, past, recorded, sets
from layers.store.geopackage.connection import quoted
from layers.store.history import Retention

STEP = 500  # rows in one transaction, which an edit may have to wait for: some milliseconds
EVERY_S = 600.0  # between two looks whether there is something to be pruned
AGAIN_S = 10.0  # after a step that could not be done
PAUSE_S = 0.05  # between two steps

_log = logging.getLogger("twin")


def step(con: sqlite3.Connection, retention: Retention, now: datetime) -> bool:
    """Remove some old rows and records that ended too long ago, within the caller's transaction; whether
    there may be more. From the first of them on nothing is known of the layer before that time."""
    for layer in recorded.layers(con):
        days = retention.of(layer)
        if days is None:
            continue
        number = _horizon(con, now, days)
        if number is not None and _prune(con, layer, number):
            return True
    return False


def _horizon(con: sqlite3.Connection, now: datetime, days: float) -> int | None:
    """The newest number that was given so many days ago."""
    try:
        then = instants.utc(now - timedelta(days=days))
    except OverflowError:
        return None
    found = sets.not_after(con, then)
    return None if found is None else found.last


def _prune(con: sqlite3.Connection, layer: str, number: int) -> bool:
    rows = quoted(past.table(layer))
    chosen = f"SELECT n FROM {rows} WHERE until <= ? ORDER BY until LIMIT ?"
    gone = 0
    if past.is_there(con, layer):  # layers of other forms have records only
        gone = con.execute(f"DELETE FROM {rows} WHERE n IN ({chosen})", (number, STEP)).rowcount
    told = con.execute("DELETE FROM twin_records WHERE layer=? AND until <= ?", (layer, number)).rowcount
    if not (gone or told):
        return False
    con.execute("DELETE FROM twin_kept WHERE layer=? AND seq <= ?", (layer, number))
    keeping.cut(con, layer, number, "pruned")
    if recorded.present(con, layer) is None and layer not in recorded.layers(con):
        past.drop(con, layer)  # of a layer that is gone longer than anything is kept
    return True


class Pruner(threading.Thread):
    """Calls a step of a store again and again until it is stopped. A step that fails is tried later.

    ``soon``: the first step is due."""

    def __init__(self, step: Callable[[], bool], *, soon: bool = False) -> None:
        super().__init__(name="history-pruner", daemon=True)
        self._step, self._soon = step, soon
        self._stopped = threading.Event()

    def run(self) -> None:
        """Look from time to time, and go on as long as there is something."""
        while not self._stopped.wait(AGAIN_S if self._soon else EVERY_S):
            more = True
            while more and not self._stopped.wait(PAUSE_S):
                more = self._tried()

    def _tried(self) -> bool:
        """Do a step; whether there may be more at once."""
        try:
            more = self._step()
            self._soon = False
            return more
        except TwinError:  # somebody else writes, or the disk is full
            self._soon = True
        except Exception:
            self._soon = False
            _log.exception("old rows could not be pruned; tried again later")
        return False

    def stopping(self) -> bool:
        """Whether it is to end: asked by a step that takes long."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """End after the present step."""
        self._stopped.set()
        if self.is_alive() and threading.current_thread() is not self:
            self.join()


def now() -> datetime:
    """The present instant."""
    return datetime.now(UTC)
