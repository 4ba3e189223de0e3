"""The one writer of ``live.gpkg``: a bounded queue, group commit, acknowledge, then fan out.

The next group begins when the last commit ends: no timer, so a lone observation waits for nothing
and a flood shares its syncs. A write's future is resolved only after the commit that holds it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, repeat
from typing import Any

from layers.damage import is_damage
from layers.errors import Busy, TwinError, Unavailable
from layers.observations.livefile import LiveFile
from layers.observations.series import ALWAYS, Latest, Observation, Series, Step

log = logging.getLogger("twin")

MAX_WAITING_WRITES = 2_000
MAX_WAITING_ROWS = 200_000
GROUP_WRITES = 512
GROUP_ROWS = 20_000


@dataclass(slots=True)
class Transaction:
    """What a write may use: the connection, the series, and what to do once it is on disk:
    ``settle`` before the acknowledgement (memory must know what a client was told is there),
    ``after`` behind it (fan-out)."""

    conn: sqlite3.Connection
    series: Series
    #: The moment (ms) after which a value is not due yet.
    now: int = ALWAYS
    moved: dict[int, Latest] = field(default_factory=dict)
    #: The ids of observations that were older than the newest when they came.
    late: set[int] = field(default_factory=set)
    settle: list[Callable[[], None]] = field(default_factory=list)
    after: list[Callable[[], None]] = field(default_factory=list)

    def append(self, rows: Iterable[Observation]) -> list[int]:
        """Keep observations; their ids, in order."""
        done = self.series.append(self.conn, rows, self.now)
        self.moved.update(done.moved)
        self.late |= done.late
        return done.ids


type Work = Callable[[Transaction], Any]


@dataclass(frozen=True, slots=True)
class _PendingWrite:
    """``work``, or one observation that needs no more than to be kept; ``loop`` is that of the ``future``,
    None of one that threads wait for."""

    work: Work | Observation
    rows: int
    future: Future[Any] | asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop | None = None


#: A write with what it returned or raised.
type _Answer = tuple[_PendingWrite, Any, BaseException | None]


class Ingest:
    """The writer thread. ``moved`` is called after each commit, before its acknowledgement, with the
    datastreams that moved; what it returns is called behind the acknowledgement. ``renewed`` is called when
    the file was opened anew: whatever memory holds of it is of another. ``clock`` gives the moment (ms) after
    which a value is not due yet."""

    def __init__(
        self,
        file: LiveFile,
        step: Step,
        moved: Callable[[dict[int, Latest]], Callable[[], None]],
        renewed: Callable[[], None] = lambda: None,
        clock: Callable[[], int] = lambda: ALWAYS,
    ) -> None:
        self._file = file
        self._step = step
        with file.reading() as conn:
            self.series = Series(conn, step)
        self._moved = moved
        self._renewed = renewed
        self._clock = clock
        #: Why nothing can be stored now, None where it can.
        self.failing: str | None = None
        #: Commits, and rows committed, since the start.
        self.commits = self.rows = 0
        self._poked = False
        self._pending: deque[_PendingWrite] = deque()
        self._rows = 0
        self._ready = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to write. A read-only file has no writer: every put then raises ReadOnly."""
        if not self._file.read_only:
            self._thread = threading.Thread(target=self._run, name="live-writer", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Write what is queued, then end the thread."""
        with self._ready:
            self._stopping = True
            self._ready.notify_all()
        if self._thread is not None:
            self._thread.join()

    def submit(self, work: Work, rows: int = 1) -> Future[Any]:
        """Queue work. Raises ReadOnly, Busy (the queue is full), Unavailable (the server stops).

        The future holds what ``work`` returned, once it is committed, or what it raised."""
        future: Future[Any] = Future()
        self._queue(_PendingWrite(work, rows, future))
        return future

    async def put(self, work: Work, rows: int = 1) -> Any:
        """Queue work and wait until it is committed; whoever stops waiting does not stop it. Raises as
        :meth:`submit`, and what work raised."""
        return await self._wait(work, rows)

    async def keep(self, one: Observation) -> tuple[int, bool]:
        """Keep one observation: its id, and whether it came late. Raises as :meth:`submit`."""
        kept: tuple[int, bool] = await self._wait(one, 1)
        return kept

    async def _wait(self, work: Work | Observation, rows: int) -> Any:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._queue(_PendingWrite(work, rows, future, loop))
        return await future

    def _queue(self, write: _PendingWrite) -> None:
        self._file.writer()
        with self._ready:
            if self._stopping:
                raise Unavailable("the server is stopping")
            full = len(self._pending) >= MAX_WAITING_WRITES or self._rows + write.rows > MAX_WAITING_ROWS
            if full and self._pending:
                raise Busy("too many observations are waiting to be stored: try again in a moment")
            self._pending.append(write)
            self._rows += write.rows
            self._ready.notify()

    @property
    def waiting(self) -> int:
        """Jobs that wait for their commit."""
        return len(self._pending)

    def look(self) -> None:
        """Have the writer see whether the file is still the one it opened, also while nothing is written."""
        with self._ready:
            self._poked = True
            self._ready.notify()

    def _run(self) -> None:
        while (group := self._take()) is not None:
            if self._file.changed() and not self._renew():
                self._fail(group)
            elif group or self.series.due(self._clock()) or self.series.ahead_of(self._clock()):
                self._write(self._file.writer(), group)

    def _take(self) -> list[_PendingWrite] | None:
        """The next group, without a write when there is something to look at; None when the writer stops."""
        with self._ready:
            self._ready.wait_for(lambda: self._pending or self._stopping or self._poked)
            self._poked = False
            if self._stopping and not self._pending:
                return None
            group: list[_PendingWrite] = []
            rows = 0
            while self._pending and len(group) < GROUP_WRITES and (not group or rows < GROUP_ROWS):
                group.append(self._pending.popleft())
                rows += group[-1].rows
            self._rows -= rows
            return group

    def _renew(self) -> bool:
        """Go on with the file that lies there now; whether that went well."""
        try:
            if self._file.renew():
                with self._file.reading() as conn:
                    self.series = Series(conn, self._step)
                self._renewed()
        except (OSError, sqlite3.Error, TwinError) as error:
            self._failed(f"live.gpkg was deleted, replaced or damaged, and cannot be put right: {error}")
            return False
        return True

    def _failed(self, why: str) -> None:
        if self.failing != why:
            log.warning("live data could not be stored: %s", why)
        self.failing = why

    def _fail(self, group: list[_PendingWrite]) -> None:
        why = "the data could not be stored now: try again"
        _tell([(write, None, Unavailable(why)) for write in group])

    def _write(self, conn: sqlite3.Connection, group: list[_PendingWrite]) -> None:
        tx = Transaction(conn, self.series, self._clock())
        answers: list[_Answer] = []
        try:
            conn.execute("BEGIN IMMEDIATE")
            if not group:
                # looked at when nothing is written: to ask each time would cost a walk over all
                tx.moved.update(self.series.set_back(conn, tx.now))
            if self.series.due(tx.now):
                tx.moved.update(self.series.fall_due(conn, tx.now))
            answers.extend(self._each(tx, group))
            conn.execute("COMMIT")
        except sqlite3.Error as error:
            self._failed(str(error))
            if is_damage(error):
                self._file.suspect()
            with contextlib.suppress(sqlite3.Error):
                if conn.in_transaction:
                    conn.execute("ROLLBACK")
            self.series.rolled_back()
            self._fail(group)
            return
        if self._file.changed():
            # what was committed may not be in the file that is read after the next start
            self.series.rolled_back()
            self._fail(group)
            return
        self.failing = None
        self.commits += 1
        self.rows += sum(write.rows for write in group)
        self.series.committed()
        self._guarded(tx.settle)
        if tx.moved:
            self._guarded([lambda: tx.after.append(self._moved(tx.moved))])
        _tell(answers)
        self._guarded(tx.after)
        self._guarded([lambda: self._file.fold(sum(write.rows for write in group))])

    def _each(self, tx: Transaction, group: Iterable[_PendingWrite]) -> Iterator[_Answer]:
        """Every write of a group in its order; observations that follow each other are kept as one."""
        for alike, run in groupby(group, lambda write: isinstance(write.work, Observation)):
            writes = list(run)
            if alike:
                kept, failure = self._one(tx, partial(_keep, writes))
                if failure is None:
                    yield from zip(writes, kept, repeat(None), strict=False)
                    continue
            for write in writes:
                work = partial(_keep_lone, write.work) if isinstance(write.work, Observation) else write.work
                yield write, *self._one(tx, work)

    def _one(self, tx: Transaction, work: Work) -> tuple[Any, BaseException | None]:
        """Some work inside its savepoint: what it raises undoes it alone."""
        mark, moved = self.series.mark(), dict(tx.moved)
        settle, after, late = list(tx.settle), list(tx.after), set(tx.late)
        tx.conn.execute("SAVEPOINT write")
        try:
            result = work(tx)
        except Exception as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            if isinstance(error, sqlite3.Error) and is_damage(error):
                raise
            tx.conn.execute("ROLLBACK TO write")
            tx.conn.execute("RELEASE write")
            self.series.reset(mark)
            tx.moved, tx.settle, tx.after, tx.late = moved, settle, after, late
            if not isinstance(error, TwinError):
                log.exception("unexpected error while storing live data")
            return None, error
        tx.conn.execute("RELEASE write")
        return result, None

    def _guarded(self, calls: Iterable[Callable[[], None]]) -> None:
        """What follows a commit. A fault here is ours and must not stop the writer."""
        for call in calls:
            try:
                call()
            except Exception:
                log.exception("unexpected error after storing live data")


def _keep(writes: Iterable[_PendingWrite], tx: Transaction) -> list[tuple[int, bool]]:
    ids = tx.append([write.work for write in writes if isinstance(write.work, Observation)])
    return [(made, made in tx.late) for made in ids]


def _keep_lone(one: Observation, tx: Transaction) -> tuple[int, bool]:
    (made,) = tx.append([one])
    return made, made in tx.late


def _tell(answers: Iterable[_Answer]) -> None:
    """Resolve what is waited for: of those who wait in an event loop, all in one call into it."""
    waiting: dict[asyncio.AbstractEventLoop, list[_Answer]] = {}
    for answer in answers:
        loop = answer[0].loop
        if loop is None:
            _resolve([answer])
        else:
            waiting.setdefault(loop, []).append(answer)
    for loop, some in waiting.items():
        # a loop that was closed has nobody who waits
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_resolve, some)


def _resolve(answers: Iterable[_Answer]) -> None:
    for write, result, failure in answers:
        if write.future.cancelled():
            continue
        if failure is None:
            write.future.set_result(result)
        else:
            write.future.set_exception(failure)
