"""What is true of a city's file now: reading connections, one a thread, each brought up to its snapshot."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from layers.errors import Unavailable
from layers.store.geopackage import catalog, epoch, walindex
from layers.store.geopackage.connection import Mode, connect, sqlite_errors
from layers.store.geopackage.read_view import ReadView
from layers.store.mark import Mark, fresh_epoch

READ_SECONDS = 5.0
REPAIR_WAIT_S = 0.25
LOOK_S = 0.05  # between two looks whether the file is still at its place

#: Puts in order what other programs did to the tables; the shape of the file then, None if it must wait.
type Repair = Callable[[], tuple[int, str] | None]


class Snapshots:
    """The views of a file, verified when its schema moved; ``repair`` is None where it cannot be written."""

    def __init__(self, path: Path, crs_also: tuple[str, ...], mark: Path, repair: Repair | None) -> None:
        self._path, self._crs_also, self._repair = path, crs_also, repair
        self._mode: Mode = _reading_mode(path) if repair is None else "rw"
        self._keeper = epoch.Keeper(mark)
        self._local = threading.local()
        self._lock = threading.Lock()
        self._mark_lock = threading.Lock()
        self._views: list[tuple[threading.Thread, ReadView]] = []
        self._verified: tuple[int, str] = (-1, "")  # the shape in which every layer was found in order
        self._busy_until = 0.0
        self._marked = -1
        self._looked = 0.0
        self._epoch = self._private_epoch = ""
        self._wal: walindex.WalIndex | None = None
        self._closed = False
        self._inode = path.stat().st_ino
        self._log = path.with_name(f"{path.name}-wal")
        self._log_inode: int | None = None  # None where there is no log to be held

    def start(self, private_epoch: str | None) -> None:
        """Take the first view, once the file has its tables."""
        self._private_epoch = private_epoch or ""
        self.view().con.execute("SELECT 1 FROM twin_meta").fetchone()
        self._wal = None if self._repair is None else walindex.find(self._path)
        self._log_inode = None if self._repair is None else _inode(self._log)
        self._renewed(self.view())

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            self._closed = True
            for _, view in self._views:
                view.con.close()
            self._views.clear()
        with self._mark_lock:
            self._keeper.close()

    @property
    def epoch(self) -> str:
        """As of the last look at the file."""
        return self._private_epoch or self._epoch

    def view(self) -> ReadView:
        """This thread's connection. Raises Unavailable."""
        if self._closed:
            raise Unavailable("the store is closed")
        view: ReadView | None = getattr(self._local, "view", None)
        if view is None:
            with self._lock:
                for thread, old in self._views:
                    if not thread.is_alive():
                        old.con.close()
                view = self._local.view = self.fresh()
                alive = [(thread, v) for thread, v in self._views if thread.is_alive()]
                self._views = [*alive, (threading.current_thread(), view)]
        return view

    def fresh(self) -> ReadView:
        """A connection of the caller's own."""
        return ReadView(self.connection(), self._crs_also)

    def connection(self) -> sqlite3.Connection:
        """A connection for reading, of the caller's own."""
        return connect(self._path, self._mode)

    def same_file(self) -> None:
        """Refuse to go on with a file that is no longer at its place: its answers would be another city's.

        So of its log: a connection that begins now would have another one, and each would spoil what the
        other writes (sqlite.org/howtocorrupt.html, section 2.4)."""
        now = time.monotonic()
        if now < self._looked + LOOK_S:
            return
        self._looked = now
        same = _inode(self._path) == self._inode
        if same and self._log_inode in (None, _inode(self._log)):
            return
        self._looked = 0.0
        if self._closed:  # SQLite has removed the log
            raise Unavailable("the store is closed")
        if not same:
            raise Unavailable("the city's store was replaced while it was open; restart the server")
        raise Unavailable(
            f"{self._log.name} was taken away while the city's store was open; restart the server, which "
            "saves what it still holds of it"
        )

    def current(self) -> ReadView:
        """This thread's view, brought up to the file; outside a transaction."""
        self.same_file()
        view = self.view()
        header = self.header()
        if header and view.header == header and view.shape == self._verified:
            return view
        with sqlite_errors():
            stale = view.data_version() != view.version
        if stale or self._is_unverified(view):
            self._renewed(view)
        else:
            view.header = header
        return view

    def header(self) -> bytes:
        """What moves with every commit of any process; empty where that cannot be looked at."""
        return self._wal.header() if self._wal is not None else b""

    @contextmanager
    def reading(self, seconds: float | None = READ_SECONDS) -> Iterator[ReadView]:
        """One read transaction: every answer is of one moment, the old generation whole or the new."""
        self.same_file()
        view = self.view()
        with sqlite_errors():
            self.begin(view)
            view.limit(seconds)
            try:
                yield view
            finally:
                view.limit(None)
                _end(view.con)

    def begin(self, view: ReadView) -> None:
        """Begin a read transaction in which the view's knowledge is the snapshot's; none where that fails."""
        try:
            self._begin(view)
        except BaseException:
            if view.con.in_transaction:
                view.con.execute("ROLLBACK")
            raise

    def _begin(self, view: ReadView) -> None:
        for _ in range(3):
            view.con.execute("BEGIN")
            if view.data_version() == view.version and not self._is_unverified(view):
                return
            _end(view.con)
            self._renewed(view)
        view.con.execute("BEGIN")  # written to without pause: what the snapshot holds is good enough
        view.renew(view.data_version())

    def _is_unverified(self, view: ReadView) -> bool:
        return view.shape != self._verified and time.monotonic() > self._busy_until

    def _renewed(self, view: ReadView) -> None:
        """Bring a view up to the file, verifying the layers when the schema moved."""
        with sqlite_errors():
            for _ in range(3):
                # taken before the snapshot: a commit between the two is then seen at the next look
                view.header = self.header()
                with _snapshot(view.con):
                    view.renew(view.data_version())
                if not self._is_unverified(view):
                    break
                self._verify(view)
        self._epoch = view.epoch
        self._remember(view)

    def _verify(self, view: ReadView) -> None:
        """Find out what other programs did to the tables, and repair it where that is ours to do."""
        with _snapshot(view.con):
            shape = catalog.shape(view.con)
            findings = catalog.examine(view.con)
        if not any(f.changed or f.overtaken for f in findings):
            self._verified = shape
        elif self._repair is None:
            view.distrust(findings)
            self._verified = shape
        else:
            # another writer, of this process or not, may be at work: look again soon
            self._busy_until = time.monotonic() + REPAIR_WAIT_S
            repaired = self._repair()
            if repaired is not None:
                self._verified, self._busy_until = repaired, 0.0

    def _remember(self, view: ReadView) -> None:
        """Keep the mark before the number is shown, so that no later restore can show it again."""
        if view.seq <= self._marked or self._repair is None:
            return
        with self._mark_lock:
            try:
                self._keeper.keep(Mark(view.epoch, view.seq, view.nonce, self._inode))
            except OSError:
                # No mark can be kept: ETags of this process then hold for this process only.
                self._private_epoch = self._private_epoch or fresh_epoch()
            self._marked = max(self._marked, view.seq)


@contextmanager
def _snapshot(con: sqlite3.Connection) -> Iterator[None]:
    con.execute("BEGIN")
    try:
        yield
    finally:
        _end(con)


def _inode(path: Path) -> int | None:
    try:
        return os.stat(path).st_ino
    except OSError:
        return None


def _end(con: sqlite3.Connection) -> None:
    """End a read transaction, if SQLite has not: it does where the file fails, and a second end would hide
    why."""
    if con.in_transaction:
        con.execute("COMMIT")


def _reading_mode(path: Path) -> Mode:
    """``immutable`` needs no side files; a WAL that still holds commits must be read, if it can be."""
    wal = path.with_name(path.name + "-wal")
    with suppress(OSError):
        if wal.stat().st_size > 0:
            return "ro"
    return "immutable"
