"""Moments that are read: a few connections, each with what has changed since its moment."""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from layers.errors import BadInput, Busy, Gone, NotFound, TwinError, Unavailable, Unreadable
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
        self._held = threading.local()

    @contextmanager
    def reading(self, moment: int, seconds: float | None) -> Iterator[PastView]:
        """One read transaction of a moment, by a connection that nobody else has meanwhile. Raises Busy."""
        held: PastView | None = getattr(self._held, "view", None)
        if held is not None and held.moment == moment:
            yield held
            return
        if not self._places.acquire(timeout=READ_SECONDS):
            raise Busy("too much is being read as it was; try again")
        try:
            with self._reading(moment, seconds) as view:
                yield view
        finally:
            self._places.release()

    def at_once[T](self, moment: int, layer: str, read: Callable[[], T]) -> T | None:
        """What a call gives that reads a layer by this store, on this thread, as :meth:`glance`; None also
        where what changed of the layer is not at hand."""

        def held(view: PastView) -> T:
            self._held.view = view
            view.limit(READ_SECONDS)
            try:
                return read()
            finally:
                self._held.view = None
                view.limit(None)

        return self.glance(moment, held, layer)

    def glance[T](self, moment: int, read: Callable[[PastView], T], layer: str | None = None) -> T | None:
        """What a call reads without a transaction, by a connection that waits; None where there is none, or
        somebody has written since it was used, or writes meanwhile.

        Statements between two looks at a WAL index that did not move are of one moment."""
        self.now.current()
        header = self.now.header()
        view = self._waiting(moment, layer, header)
        if view is None:
            return None
        sound = False
        try:
            with sqlite_errors():
                found = read(view)
            sound = True
        except (TwinError, sqlite3.Error) as error:  # such as that a table went meanwhile
            sound = isinstance(error, _HARMLESS)
            if self.now.header() == header:
                raise
            found = None
        finally:
            if self.now.header() != header:
                view.doubt()
            self._give_back(view, sound)
        return found if self.now.header() == header else None

    def _waiting(self, moment: int, layer: str | None, header: bytes) -> PastView | None:
        with self._lock:
            for view in reversed(self._idle):
                current = view.moment == moment and header and view.header == header
                if current and (layer is None or view.has_all(layer)):
                    del self._idle[view]
                    return view
        return None

    @contextmanager
    def _reading(self, moment: int, seconds: float | None) -> Iterator[PastView]:
        self.now.current()  # what other programs did to the tables is put in order, or told
        header = self.now.header()
        view = self._take(moment)
        view.header = header
        with self._transaction(view, seconds):
            yield view

    @contextmanager
    def _transaction(self, view: PastView, seconds: float | None) -> Iterator[None]:
        sound = False
        try:
            with sqlite_errors():
                view.begin()
                view.limit(seconds)
                yield
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
