"""``live.gpkg``: the one file of live things, opened, with its connections.

One SQLite file in WAL mode holds SensorThings entities, observations, the latest value and rule
state of each datastream, incidents and their log: SQLite commits are not atomic across files, and
an acknowledged observation must never be there without the state it caused.

What is acknowledged must be in the file that is read after the next start. So whether it is still the
file that was opened, as we left it, is asked before and after each commit (:meth:`LiveFile.changed`), and
one that was deleted, replaced or damaged is opened anew (:meth:`LiveFile.renew`) by the rules of a start:
what cannot be used is kept beside it, what can be read of it taken over, and ``told`` says so.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from layers import damage, synced
from layers.errors import Busy, ReadOnly, Unavailable
from layers.observations import rescue
from layers.observations.tables import FORMAT, SCHEMA
from layers.store import cancellation

log = logging.getLogger("twin")

READ_SECONDS = 5.0
BUSY_SECONDS = 3.0
#: How long a reader waits while the file is opened anew.
RENEW_SECONDS = 10.0
#: Pages (estimated) that the log holds before they are folded into the file, as SQLite's own default.
FOLD_PAGES = 1000
DAMAGED = "the live data cannot be read: live.gpkg is damaged"

# No part of the format: which are open, the worst first, without reading those that ended.
_FINDING = "CREATE INDEX IF NOT EXISTS incident_open ON incident (status, level, id)"


@dataclass(frozen=True, slots=True)
class _Stamp:
    """Which file it is, and how we left it."""

    device: int
    inode: int
    size: int
    changed: int


class LiveFile:
    """The open file: one connection a reading thread, one for the writer thread.

    Where the folder cannot be written the file is opened for reading, or, when there is none yet,
    an empty one is kept in memory; ``read_only`` says so. ``told`` is what befell the file and was mended
    since the start, None where nothing did."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "live.gpkg"
        self._mark = folder / "derived" / "live.mark"
        self._local = threading.local()
        self._guard = threading.Condition()
        self._open: list[sqlite3.Connection] = []
        self._reading = self._opened = 0
        self._renewing = self._suspect = False
        self._stamp: _Stamp | None = None
        # numbers that only the file as we folded it last holds
        self._folded: tuple[str, ...] = ()
        self._unfolded = 0
        self._uri = f"file:{quote(str(self._path))}"
        self.notice: str | None = None
        self.read_only = not self._writable()
        self._keep = self._prepare()
        #: The history that revisions in this file count in.
        self.epoch = self._epoch()

    def _writable(self) -> bool:
        if not os.access(self._path.parent, os.W_OK):
            return False
        return not self._path.exists() or os.access(self._path, os.W_OK)

    def _epoch(self) -> str:
        epoch: str = self._keep.execute("SELECT value FROM twin_live WHERE key='epoch'").fetchone()[0]
        return epoch

    # -- opening

    def _prepare(self) -> sqlite3.Connection:
        """Open, make or mend the file; the connection returned keeps an in-memory file alive."""
        if self.read_only:
            return self._open_read_only() if self._path.exists() else self._in_memory()
        self._without_foreign_log()
        reason = self._unfit()
        if reason is not None:
            self._rebuild(reason, None)
        conn = self._connect(self._uri + "?mode=rwc")
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("PRAGMA synchronous=FULL")
        # only we fold the log, so that a file that changes otherwise is noticed
        conn.execute("PRAGMA wal_autocheckpoint=0")
        if not conn.execute("SELECT 1 FROM sqlite_master WHERE name='observation'").fetchone():
            conn.executescript(SCHEMA)
        conn.execute(_FINDING)
        self._remember(conn)
        return conn

    def _in_memory(self) -> sqlite3.Connection:
        self._uri = f"file:live-{id(self)}?mode=memory&cache=shared"
        keep = self._connect(self._uri)
        keep.executescript(SCHEMA)
        return keep

    def _open_read_only(self) -> sqlite3.Connection:
        # a WAL file in a folder without write access opens only as immutable (sqlite.org/wal.html)
        for mode in ("?mode=ro", "?immutable=1&mode=ro"):
            conn = self._connect(self._uri + mode)
            try:
                reason = rescue.damage(conn, self._path.stat().st_size)
            except sqlite3.OperationalError:
                continue
            if reason is None:
                self._uri += mode
                return conn
            self._report(
                f"live.gpkg cannot be used ({reason}) and this folder cannot be written: no live data"
            )
            return self._in_memory()
        raise Unavailable("live.gpkg cannot be read")

    def _unfit(self) -> str | None:
        """Why the file that lies there is not one to go on with; None for one that is, or a first start.
        Raises Unavailable where it cannot be told."""
        if not self._path.exists():
            return "it is gone" if self._kept_mark() is not None else None
        size = self._path.stat().st_size
        if not size:
            # SQLite takes it for a new one, and drops its log
            return "it is empty"
        try:
            with contextlib.closing(self._plain("?mode=ro")) as conn:
                reason = rescue.damage(conn, size)
                if reason == "it is of another format":
                    self._refuse_format(conn)
                return reason
        except sqlite3.Error as error:
            if damage.is_damage(error):
                return "it cannot be opened"
            raise Unavailable("live.gpkg cannot be opened now: another program holds it") from error

    def _refuse_format(self, conn: sqlite3.Connection) -> None:
        """A file of another edition of this program is no damage: to begin anew would hide its data."""
        version = dict(conn.execute("SELECT key, value FROM twin_live")).get("format", "")
        if str(version).isdigit() and int(version) != FORMAT:
            raise Unavailable(f"live.gpkg has format {version}; this server reads format {FORMAT}")

    def _plain(self, mode: str) -> sqlite3.Connection:
        return sqlite3.connect(self._uri + mode, uri=True, isolation_level=None, timeout=BUSY_SECONDS)

    def _without_foreign_log(self) -> None:
        """SQLite would merge the log of a file that was replaced while no server ran into this one."""
        mark, log_file = self._kept_mark(), Path(f"{self._path}-wal")
        if mark is None or not log_file.exists() or log_file.stat().st_ino != mark["log"]:
            return
        if not self._path.exists() or self._folded_number() in mark["folded"]:
            return
        moved = damage.free_name(log_file, "foreign")
        log_file.rename(moved)
        self._report(f"live.gpkg was replaced: the log of the file before it is kept as {moved.name}")

    def _folded_number(self) -> str | None:
        """The number in the file itself, without its log.

        What closes here lets go of every lock that this process has on the file (fcntl(2)), so all
        connections are opened anew behind it."""
        if not self._path.stat().st_size:
            return None
        try:
            with contextlib.closing(self._plain("?mode=ro&immutable=1")) as conn:
                conn.execute("PRAGMA writable_schema=ON")
                row = conn.execute("SELECT value FROM twin_live WHERE key='folded'").fetchone()
                return None if row is None else str(row[0])
        except sqlite3.Error:
            return None

    # -- what befalls it

    def changed(self) -> bool:
        """Whether the file is another, or not as we left it: what is committed now may not be in the file
        that is read after the next start."""
        return self._suspect or (not self.read_only and _stamp(self._path) != self._stamp)

    def suspect(self) -> None:
        """Something that was read is damaged: look before the next commit."""
        self._suspect = True

    def renew(self) -> bool:
        """Open the file anew if it is another or damaged; whether it was. For the writer thread alone.

        Raises OSError, sqlite3.Error where neither works; the next call tries again."""
        now = _stamp(self._path)
        if now is None:
            self._alone(lambda: self._rebuild("it was deleted while it was open", self._keep))
        elif self._stamp is None or now.inode != self._stamp.inode:
            self._alone(self._adopt)
        elif now == self._stamp and self._sound(now):
            self._suspect = False
            return False
        else:
            self._alone(lambda: self._judge(now))
        return True

    def _judge(self, now: _Stamp) -> None:
        """The same file, written by another: folded, damaged, or with another's contents."""
        if not now.size or not self._sound(now):
            self._rebuild("it was damaged while it was open", self._keep)
        elif self._folded_number() not in self._folded:
            self._overwritten()

    def _overwritten(self) -> None:
        """The file has the contents of another: the log that lies beside it is not of those."""
        moved = damage.free_name(self._path, "replaced")
        for end in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{self._path}{end}", f"{moved}{end}")
        # SQLite folds no log into a file that has moved
        away = self._path.with_suffix(".part")
        self._path.rename(away)
        self._close()
        away.rename(self._path)
        self._report(
            f"live.gpkg was written over while it was open: the log of before is kept as {moved.name}-wal"
        )

    def _sound(self, now: _Stamp) -> bool:
        """Whether the file of our connection is whole, as another program reads it."""
        if not now.size:
            return False
        try:
            with contextlib.closing(self._plain("?mode=ro")) as conn:
                return rescue.damage(conn, now.size) is None
        except sqlite3.Error as error:
            if damage.is_damage(error):
                return False
            raise

    def _alone(self, call: Callable[[], None]) -> None:
        """Run a call while nobody reads, then open the file that lies there now."""
        with self._guard:
            self._renewing = True
            self._guard.wait_for(lambda: not self._reading, READ_SECONDS + 1)
        try:
            call()
            self._close()
            self._keep = self._prepare()
            self.epoch = self._epoch()
            self._suspect = False
        finally:
            with self._guard:
                self._renewing = False
                self._opened += 1
                self._guard.notify_all()

    def _rebuild(self, reason: str, source: sqlite3.Connection | None) -> None:
        """Put a file in its place that holds what can be read; what lay there is kept. Raises OSError,
        sqlite3.Error."""
        part = self._path.with_suffix(".part")
        rescued = rescue.RescueResult(0, whole=False)
        with contextlib.closing(rescue.make(part)) as target:
            if source is not None:
                rescued = rescue.take_over(source, target)
            elif self._path.exists() and self._path.stat().st_size:
                with contextlib.suppress(sqlite3.Error), contextlib.closing(self._plain("?mode=ro")) as conn:
                    rescued = rescue.take_over(conn, target)
        there = self._path.exists()
        moved = damage.aside(self._path, "damaged" if there else "left")
        # SQLite folds no log into a file that has moved, so what is kept stays as it is
        self._close()
        part.replace(self._path)
        synced.sync(self._path.parent)
        rows = "all" if rescued.whole else "what can be read,"
        what = f"{rows} {rescued.rows} rows were taken over" if rescued.rows else "live data begins anew"
        self._report(f"live.gpkg: {reason}; {what}" + (f"; the file is kept as {moved}" if there else ""))

    def _adopt(self) -> None:
        """Another file lies there: it is the one from now on; what the one before held is kept."""
        moved = damage.free_name(self._path, "replaced")
        with contextlib.closing(rescue.make(moved)) as target:
            rescue.take_over(self._keep, target)
        mark, log_file = self._kept_mark(), Path(f"{self._path}-wal")
        if mark is None or _inode(log_file) == mark["log"]:
            for end in ("-wal", "-shm"):
                Path(f"{self._path}{end}").unlink(missing_ok=True)
        self._close()
        self._report(f"live.gpkg was replaced while it was open: what it held is kept as {moved.name}")

    def _report(self, what: str) -> None:
        log.warning("%s", what)
        self.notice = what

    # -- the mark

    def _remember(self, conn: sqlite3.Connection) -> None:
        """Fold the log into the file, and keep which file and log we go on with, also for the next start."""
        number = secrets.token_hex(8)
        with contextlib.suppress(sqlite3.OperationalError):  # another program writes: the next time does it
            row = conn.execute("SELECT value FROM twin_live WHERE key='folded'").fetchone()
            conn.execute("INSERT OR REPLACE INTO twin_live VALUES ('folded', ?)", (number,))
            self._folded = (number, *(row or ("None",)))
            self._write_mark()
            _, pages, done = conn.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if pages == done:
                self._folded = (number,)
        self._write_mark()
        self._stamp = _stamp(self._path)

    def _write_mark(self) -> None:
        mark = {"log": _inode(Path(f"{self._path}-wal")), "folded": self._folded}
        with contextlib.suppress(OSError):
            self._mark.parent.mkdir(exist_ok=True)
            self._mark.write_text(json.dumps(mark), "ascii")

    def _kept_mark(self) -> dict[str, Any] | None:
        try:
            recorded = json.loads(self._mark.read_text("ascii"))
            return {"log": int(recorded["log"] or 0), "folded": tuple(map(str, recorded["folded"]))}
        except (OSError, ValueError, KeyError, TypeError):
            return None

    # -- connections

    def _connect(self, uri: str) -> sqlite3.Connection:
        conn = sqlite3.connect(
            uri,
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=BUSY_SECONDS,
            cached_statements=256,
        )
        with self._guard:
            self._open.append(conn)
        return conn

    def writer(self) -> sqlite3.Connection:
        """The connection of the one writing thread. Raises ReadOnly."""
        if self.read_only:
            raise ReadOnly("the city folder cannot be written: live data is served for reading only")
        return self._keep

    def fold(self, rows: int) -> None:
        """After each commit of the writer: now and then fold its log into the file."""
        self._unfolded += 5 + rows // 16
        if self._unfolded >= FOLD_PAGES and not self.changed():
            self._unfolded = 0
            self._remember(self._keep)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """This thread's reading connection inside one snapshot.

        Raises Unavailable when the statements together take longer than 5 s, or the file is damaged, Busy
        when nobody waits any more (:mod:`layers.store.cancellation`)."""
        deadline = time.monotonic() + READ_SECONDS
        conn: sqlite3.Connection | None = None
        self._begin_reading()
        try:
            conn = self._reader()
            stop = cancellation.current()
            conn.set_progress_handler(
                lambda: time.monotonic() > deadline or (stop is not None and stop.is_set()), 20_000
            )
            conn.execute("BEGIN")
            yield conn
        except sqlite3.Error as error:
            if damage.is_damage(error):
                self.suspect()
                raise Unavailable(DAMAGED) from error
            if cancellation.is_stopped():
                raise Busy("nobody waits any more for what was read") from error
            if time.monotonic() > deadline and isinstance(error, sqlite3.OperationalError):
                raise Unavailable(f"the query took longer than {READ_SECONDS:g} s: narrow it") from error
            raise
        finally:
            if conn is not None:
                _end(conn)
            with self._guard:
                self._reading -= 1
                if self._renewing:
                    self._guard.notify_all()

    def _begin_reading(self) -> None:
        with self._guard:
            if self._renewing and not self._guard.wait_for(lambda: not self._renewing, RENEW_SECONDS):
                raise Unavailable("live.gpkg is opened anew: try again in a moment")
            self._reading += 1

    def _reader(self) -> sqlite3.Connection:
        conn: sqlite3.Connection | None = getattr(self._local, "conn", None)
        if conn is None or self._local.opened != self._opened:
            uri = self._uri if "?" in self._uri else self._uri + "?mode=ro"
            conn = self._local.conn = self._connect(uri)
            self._local.opened = self._opened
        return conn

    def close(self) -> None:
        """Close every connection; the last one folds the WAL into the file."""
        self._close()

    def _close(self) -> None:
        with self._guard:
            for conn in reversed(self._open):
                conn.close()
            self._open.clear()


def _end(conn: sqlite3.Connection) -> None:
    # of a damaged file nothing more can be asked
    with contextlib.suppress(sqlite3.Error):
        conn.set_progress_handler(None, 0)
        if conn.in_transaction:
            conn.execute("ROLLBACK")


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return _Stamp(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None
