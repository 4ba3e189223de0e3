"""Moments that are read: a few connections, each with what has changed since its moment."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from layers.errors import BadInput, Busy, Gone, NotFound, Unavailable, Unreadable
from layers.store.geopackage.connection import sqlite_errors
from layers.store.geopackage.past_view import PastView
from layers.store.geopackage.snapshot import READ_SECONDS, Snapshots

#: Connections that wait for the next reader of their moment.
KEPT = 8
#: Connections that are read at a time; more readers wait for one.
OPEN = 16
#: Failures after which a connection is as it was before.
_HARMLESS = (BadInput, Gone, NotFound, Unreadable)


class Moments:
    """The connections of a store's past moments. Safe to use from several threads."""

    def __init__(self, now: Snapshots, crs_also: tuple[str, ...], few: int) -> None:
        self.now, self.few = now, few
        self._crs_also = crs_also
        self._idle: OrderedDict[PastView, None] = OrderedDict()
        self._lock = threading.Lock()
        self._places = threading.Semaphore(OPEN)
        self._closed = False

    @contextmanager
    def reading(self, moment: int, seconds: float | None) -> Iterator[PastView]:
        """One read transaction of a moment, by a connection that nobody else has meanwhile. Raises Busy."""
        if not self._places.acquire(timeout=READ_SECONDS):
            raise Busy("too much is being read as it was; try again")
        try:
            with self._reading(moment, seconds) as view:
                yield view
        finally:
            self._places.release()

    @contextmanager
    def _reading(self, moment: int, seconds: float | None) -> Iterator[PastView]:
        self.now.current()  # what other programs did to the tables is put in order, or told
        view = self._take(moment)
        sound = False
        try:
            with sqlite_errors():
                view.begin()
                view.limit(seconds)
                yield view
                view.con.execute("COMMIT")
            sound = True
        except _HARMLESS:
            if view.con.in_transaction:
                view.con.execute("COMMIT")
                sound = True
            raise
        finally:
            view.limit(None)
            self._give_back(view, sound)

    def _take(self, moment: int) -> PastView:
        with self._lock:
            if self._closed:
                raise Unavailable("the store is closed")
            for view in reversed(self._idle):
                if view.moment == moment:
                    del self._idle[view]
                    return view
        return PastView(self.now.connection(), self._crs_also, moment)

    def _give_back(self, view: PastView, sound: bool) -> None:
        surplus = [] if sound else [view]
        with self._lock:
            if sound:
                self._idle[view] = None
            while self._idle and (self._closed or len(self._idle) > KEPT):
                surplus.append(self._idle.popitem(last=False)[0])
        for old in surplus:
            old.con.close()

    def close(self) -> None:
        """Close every connection; those that are read end with that."""
        with self._lock:
            self._closed = True
            views, self._idle = list(self._idle), OrderedDict()
        for view in views:
            view.con.close()
