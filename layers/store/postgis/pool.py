"""A bounded pool, and the guard that ends calls which a silent server will never answer.

``statement_timeout`` is kept by the server, so it is worth nothing when the server is stopped, frozen or
behind a cable that was pulled: TCP then reports nothing for minutes. The guard therefore asks a server
that has kept a call waiting for a second whether it is there at all, over a connection of its own, and
shuts the sockets of the waiting calls when it is not.
"""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psycopg
from psycopg.pq import TransactionStatus

from layers.errors import Busy, Unavailable
from layers.store import cancellation
from layers.store.postgis.connection import CONNECT_S, Connection, connect, discard, shut, translate

PATIENCE_S = 0.7  # a call that waits longer makes the guard look whether the server is there
PROBE_S = 0.8
LOOK_S = 0.15
AGAIN_S = 0.4  # while calls are long and the server is there
LOST_S = 0.5  # for so long after a failed attempt nobody tries to connect again


@dataclass(eq=False, slots=True)
class PendingCall:
    """A call that waits for the server: since when, until when at most, and while somebody waits for it."""

    con: Connection
    since: float
    deadline: float | None
    stop: threading.Event | None
    shut: bool = False
    cancelled: bool = False


@dataclass(eq=False)
class Guard:
    """Watches the calls of all pools of one database. ``setup`` makes its own connection ready."""

    url: str
    setup: Callable[[Connection], None]
    _calls: set[PendingCall] = field(default_factory=set)
    _lock: threading.Condition = field(default_factory=threading.Condition)
    _probe: Connection | None = None
    _thread: threading.Thread | None = None
    _closed: bool = False

    def add(self, con: Connection, seconds: float | None) -> PendingCall:
        """Watch a call that the server itself ends after ``seconds``, until it is removed."""
        now = time.monotonic()
        call = PendingCall(con, now, None if seconds is None else now + seconds + 1.0, cancellation.current())
        with self._lock:
            self._calls.add(call)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="postgis-guard", daemon=True)
                self._thread.start()
        return call

    def remove(self, call: PendingCall, error: BaseException | None) -> None:
        """End the watch. Raises what an error of the call means, in the words of the error tree."""
        with self._lock:
            self._calls.discard(call)
        if call.cancelled:
            call.con.close()  # the cancelling may come late, and would end what the connection does next
        if not isinstance(error, psycopg.Error):
            return
        if call.shut:
            raise Unavailable("the city's database does not answer") from error
        translated = translate(error)
        if translated is not None:
            raise translated from error

    @contextmanager
    def watched(self, con: Connection, seconds: float | None) -> Iterator[None]:
        """A call on a connection of no pool."""
        call = self.add(con, seconds)
        try:
            yield
        except BaseException as error:
            self.remove(call, error)
            raise
        self.remove(call, None)

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._closed:
                    discard(self._probe)  # one that came while it was closed
                    return
                waiting = any(time.monotonic() - c.since > PATIENCE_S for c in self._calls)
                if not waiting:
                    self._lock.wait(LOOK_S)
            if waiting:
                answers = self._answers()
                self._judge(answers)
                self._cancel()
                time.sleep(AGAIN_S if answers else LOOK_S)

    def _judge(self, answers: bool) -> None:
        now = time.monotonic()
        with self._lock:
            for call in self._calls:
                overdue = call.deadline is not None and now > call.deadline
                if overdue or (not answers and now - call.since > PATIENCE_S):
                    call.shut = True
                    shut(call.con)

    def _cancel(self) -> None:
        """End the calls for which nobody waits any more."""
        with self._lock:
            gone = [c for c in self._calls if c.stop is not None and c.stop.is_set() and not c.cancelled]
            for call in gone:
                call.cancelled = True
        for call in gone:
            with suppress(psycopg.Error):
                call.con.cancel_safe(timeout=PROBE_S)

    def _answers(self) -> bool:
        """Whether the server answers within PROBE_S, on the probe's connection or on a new one."""
        until = time.monotonic() + PROBE_S
        if self._probe is not None:
            timer = threading.Timer(PROBE_S, shut, (self._probe,))
            timer.daemon = True
            timer.start()
            try:
                self._probe.execute("SELECT 1")
                return True
            except psycopg.Error:
                discard(self._probe)
                self._probe = None
            finally:
                timer.cancel()
        try:
            self._probe = connect(self.url, self.setup, max(0.05, until - time.monotonic()))
        except Busy:
            return True  # it says that it is full
        except Unavailable:
            return False
        return True

    def close(self) -> None:
        """End the watch; calls that still run are shut."""
        with self._lock:
            self._closed = True
            for call in self._calls:
                call.shut = True
                shut(call.con)
            self._lock.notify_all()
        if self._thread is not None:
            self._thread.join(PROBE_S + 1)
        discard(self._probe)


def _alive(con: Connection) -> bool:
    """Whether an idle connection is as it was left: a server that went away leaves an end of file there."""
    try:
        return not con.closed and not select.select([con.fileno()], [], [], 0)[0]
    except (OSError, ValueError, psycopg.Error):
        return False


class Use:
    """One call on a connection of a pool, as a context manager; a class, for each read enters it."""

    __slots__ = ("_call", "_con", "_pool", "_seconds")

    def __init__(self, pool: Pool, seconds: float | None) -> None:
        self._pool, self._seconds = pool, seconds

    def __enter__(self) -> Connection:
        self._con = self._pool.take()
        self._call = self._pool.guard.add(self._con, self._seconds)
        return self._con

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            self._pool.guard.remove(self._call, error)
        finally:
            self._pool.give(self._con)


class Pool:
    """Up to ``size`` connections, made when needed. Thread-safe."""

    def __init__(
        self, url: str, size: int, wait: float, setup: Callable[[Connection], None], guard: Guard
    ) -> None:
        self._url, self._wait, self._setup, self.guard = url, wait, setup, guard
        self._places = threading.BoundedSemaphore(size)
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._lost_at = float("-inf")
        self._closed = False

    def connection(self, seconds: float | None) -> Use:
        """A connection for one call that the server ends after ``seconds`` (None: it does not).

        Entering it raises Busy when none gets free in time, Unavailable when the server does not answer."""
        return Use(self, seconds)

    def take(self) -> Connection:
        """A connection that is alive, for the caller alone until it is given back."""
        if self._closed:
            raise Unavailable("the store is closed")
        began = time.monotonic()
        if not self._places.acquire(timeout=self._wait):
            raise Busy("the city's database is busy; try again")
        try:
            return self._alive_or_new(began)
        except BaseException:
            self._places.release()
            raise

    def _alive_or_new(self, began: float) -> Connection:
        with self._lock:
            while self._idle:
                con = self._idle.pop()
                if _alive(con):
                    return con
                con.close()
            now = time.monotonic()
            if now < self._lost_at + LOST_S:
                raise Unavailable("the city's database does not answer")
        seconds = max(0.2, CONNECT_S - (now - began))
        try:
            return connect(self._url, self._setup, seconds)
        except Unavailable:
            with self._lock:
                self._lost_at = time.monotonic()
            raise

    def give(self, con: Connection) -> None:
        """Take a connection back; one that is not as it was is closed."""
        usable = not con.closed and con.pgconn.transaction_status == TransactionStatus.IDLE
        with self._lock:
            keep = usable and not self._closed
            if keep:
                self._idle.append(con)
        if not keep:
            con.close()
        self._places.release()

    def forget(self) -> None:
        """Close the idle connections: after one was found dead the others likely are, too."""
        with self._lock:
            idle, self._idle = self._idle, []
        for con in idle:
            con.close()

    def close(self) -> None:
        """Close every idle connection, and those in use as soon as they are given back."""
        self._closed = True
        self.forget()
