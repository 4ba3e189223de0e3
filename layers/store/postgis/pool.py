"""A bounded pool, and the guard that ends calls which a silent server will never answer.

``statement_timeout`` is kept by the server, so it is worth nothing when the server is stopped, frozen or
behind a cable that was pulled: TCP then reports nothing for minutes. The guard therefore asks a server
that has kept a call waiting for half a second whether it is there at all, over a connection of its own, and
shuts the sockets of the waiting calls when two probes in a row stayed without an answer. One alone proves
nothing: on a busy machine a new connection may take as long. A refusal is an answer, and so is the end of
any other call.
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
from layers.store.postgis.connection import (
    CONNECT_S,
    Attempt,
    Connection,
    Refused,
    connect,
    discard,
    shut,
    translate,
)

PATIENCE_S = 0.5  # a call that waits longer makes the guard look whether the server is there
PROBE_S = 0.55
PROBES = 2  # so many in a row without an answer, and the server is not there: within 2 s of a call's begin
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
    _attempts: list[Attempt] = field(default_factory=list)
    _told: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _closed: bool = False
    _answered_at: float = float("-inf")

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
        if not call.shut and (error is None or _is_of_server(error)):
            self._answered_at = time.monotonic()
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
        silent = 0
        while True:
            with self._lock:
                if self._closed:
                    discard(self._probe)  # one that came while it was closed
                    return
                waiting = any(time.monotonic() - c.since > PATIENCE_S for c in self._calls)
                if not waiting:
                    self._lock.wait(LOOK_S)
            if not waiting:
                silent = 0
                continue
            began = time.monotonic()
            answers = self._answers(began + PROBE_S) or self._answered_at > began
            silent = 0 if answers else silent + 1
            self._judge(silent >= PROBES)
            self._cancel()
            time.sleep(AGAIN_S if answers else max(0.0, began + LOOK_S - time.monotonic()))

    def _judge(self, lost: bool) -> None:
        now = time.monotonic()
        with self._lock:
            for call in self._calls:
                overdue = call.deadline is not None and now > call.deadline
                if overdue or (lost and now - call.since > PATIENCE_S):
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

    def _answers(self, until: float) -> bool:
        """Whether the server answers until then, on the probe's connection, else to one who connects."""
        if self._probe is None:
            return self._takes_connection(until)
        timer = threading.Timer(until - time.monotonic(), shut, (self._probe,))
        timer.daemon = True
        timer.start()
        try:
            self._probe.execute("SELECT 1")
            return True
        except psycopg.Error:
            discard(self._probe)
            self._probe = None
            return False
        finally:
            timer.cancel()

    def _takes_connection(self, until: float) -> bool:
        """Whether a connection comes until then: a new one, or one that an earlier probe asked for."""
        self._told.clear()
        if len(self._attempts) < PROBES:
            self._attempts.append(Attempt(self.url, self.setup, self._told.set))
        while self._attempts:
            for attempt in [one for one in self._attempts if one.has_ended]:
                self._attempts.remove(attempt)
                try:
                    self._probe = attempt.result(until)
                except (Busy, Refused):
                    return True
                except Unavailable:
                    continue
                self._forget_attempts()
                return True
            if not self._told.wait(max(0.0, until - time.monotonic())):
                return False
            self._told.clear()
        return False

    def _forget_attempts(self) -> None:
        for attempt in self._attempts:
            attempt.give_up()
        self._attempts = []

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
        self._forget_attempts()
        discard(self._probe)


def _is_of_server(error: BaseException) -> bool:
    """Whether the server itself says this: libpq's own errors have no code."""
    return isinstance(error, psycopg.Error) and error.sqlstate is not None


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
