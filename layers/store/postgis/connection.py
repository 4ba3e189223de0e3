"""Connections to PostgreSQL: how one is made in bounded time, and its failures as the project's own."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from layers.errors import BadBody, BadParameter, Busy, Exists, ReadOnly, TwinError, Unavailable, Unreadable
from layers.query import Query

type Connection = psycopg.Connection[tuple[Any, ...]]

CONNECT_S = 1.5
#: How long all but an edit or a load waits for a lock (s). Less than deadlock_timeout, 1 s by default: who
#: finds a deadlock is ended, and that must not be an administrator's DROP SCHEMA.
GIVE_WAY_S = 0.6
_ALIVE = {
    "connect_timeout": 2,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "tcp_user_timeout": 5000,
}

#: What libpq says of a connection that was ended while it was made.
_ENDED = ("terminating connection", "server closed the connection", "reset by peer")


def connect(url: str, setup: Callable[[Connection], None], seconds: float = CONNECT_S) -> Connection:
    """A connection that commits each statement, made ready by ``setup``. Raises Unavailable, Busy.

    It is made in a thread of its own: resolving a name, or a server that takes the connection and then
    says nothing, may last longer than anyone should wait. One that the server ends while it is made is
    made again: the server is there, and ended this one alone."""
    until = time.monotonic() + seconds
    with suppress(ConnectionLost):
        return Attempt(url, setup).result(until)
    return Attempt(url, setup).result(until)


class Attempt(threading.Thread):
    """A connection that is being made, in its own thread; ``ended``, where given, is called there when it has
    come to an end."""

    def __init__(
        self, url: str, setup: Callable[[Connection], None], ended: Callable[[], None] | None = None
    ) -> None:
        super().__init__(name="postgis-connect", daemon=True)
        self._url, self._setup, self._ended = url, setup, ended
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._given_up = False
        self._made: Connection | None = None
        self._error: TwinError | None = None
        self.start()

    def run(self) -> None:
        con: Connection | None = None
        try:
            options = conninfo_to_dict(self._url)
            defaults: dict[str, Any] = {k: v for k, v in _ALIVE.items() if k not in options}
            defaults.setdefault("application_name", options.get("application_name", "onemap-twin"))
            con = psycopg.connect(self._url, autocommit=True, prepare_threshold=2, **defaults)
            self._setup(con)
        except BaseException as error:
            self._error = error if isinstance(error, TwinError) else _refused(error, con)
        with self._lock:
            if con is not None and (self._given_up or self._error is not None):
                con.close()
            else:
                self._made = con
        self._done.set()
        if self._ended is not None:
            self._ended()

    @property
    def has_ended(self) -> bool:
        """Whether :meth:`result` waits for nothing."""
        return self._done.is_set()

    def give_up(self) -> None:
        """Close what it makes, now or when it comes."""
        with self._lock:
            self._given_up = True
            discard(self._made)

    def result(self, until: float) -> Connection:
        """The connection. Raises Unavailable at that time (``time.monotonic``), and gives up; else what it
        was refused with."""
        if not self._done.wait(max(0.0, until - time.monotonic())):
            self.give_up()
            raise Unavailable("the city's database does not answer")
        if self._error is not None:
            raise self._error
        assert self._made is not None
        return self._made


def _refused(error: BaseException, con: Connection | None) -> TwinError:
    """Why there is no connection, or why the one there was could not be made ready; never the server's
    text, which names hosts and users."""
    if isinstance(error, errors.TooManyConnections) or "too many" in str(error):
        return Busy("the city's database has no free connection; try again")
    if isinstance(error, errors.DiskFull) or _NO_SPACE in str(error):
        return Refused(_DISK_FULL)
    if (con is not None and con.closed) or any(word in str(error) for word in _ENDED):
        return ConnectionLost("the city's database does not answer")
    if isinstance(error, psycopg.Error) and "starting up" not in str(error):
        known = ("password", "role", "database", "pg_hba", "authentication")
        for word in known:
            if word in str(error):
                return Refused(f"the city's database refuses the connection ({word})")
    return Unavailable("the city's database does not answer")


def shut(con: Connection) -> None:
    """End whatever waits on the connection's socket, in any thread: it reads an end of file."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(con.fileno())) as same:
        same.shutdown(socket.SHUT_RDWR)


def discard(con: Connection | None) -> None:
    """Close a connection, whatever has become of it."""
    if con is not None:
        with suppress(psycopg.Error):
            con.close()


class ConnectionLost(Unavailable):
    """The connection ended under a call: the server was stopped, or ended it. A read may try again."""


class Refused(Unavailable):
    """The server is there, and says why it takes no connection."""


_DISK_FULL = "the disk of the city's database is full"
_NO_SPACE = "No space left on device"  # strerror(3) of ENOSPC, where a connection is refused without a code
_TEXT_BUSY = "the city's database is busy with another change; try again"


def translate(error: psycopg.Error) -> TwinError | None:
    """A failure of the server, of locks, of rights or of a client's value; None for our own faulty SQL.

    Never the server's text, which may hold SQL, names and values of others."""
    if isinstance(error, errors.QueryCanceled):
        return Busy("the query took too long; ask for a smaller area or fewer features")
    if isinstance(error, errors.LockNotAvailable | errors.DeadlockDetected | errors.SerializationFailure):
        return Busy(_TEXT_BUSY)
    if isinstance(error, errors.ReadOnlySqlTransaction | errors.InsufficientPrivilege):
        return ReadOnly("the city's database does not let this server do that")
    if isinstance(error, errors.TooManyConnections):
        return Busy("the city's database has no free connection; try again")
    if isinstance(error, errors.DiskFull):
        return Unavailable(_DISK_FULL)
    if isinstance(error, errors.UniqueViolation):
        return Exists("properties: another feature has a value that must be unique")
    if isinstance(error, psycopg.IntegrityError):
        return BadBody("properties: the table's constraints do not permit this" + _which(error))
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return ConnectionLost("the city's database does not answer")
    return None


def _which(error: psycopg.Error) -> str:
    column = error.diag.column_name
    return f" ({column})" if column else ""


@contextmanager
def postgres_errors() -> Iterator[None]:
    """Turn failures of the server into TwinErrors; our own faulty SQL stays an exception."""
    try:
        yield
    except psycopg.Error as error:
        translated = translate(error)
        if translated is None:
            raise
        raise translated from error


class ReadingErrors:
    """What values of a client's query make the server fail on, such as a number out of range, is the
    client's fault; without any it is the table's, as in a view that divides by zero."""

    __slots__ = ("_filtered",)

    def __init__(self, query: Query | None = None) -> None:
        self._filtered = query is not None and bool(query.filter or query.words or query.equals)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, psycopg.DataError | psycopg.InternalError | UnicodeEncodeError):
            return
        if self._filtered:
            raise BadParameter("filter", "…", "a value of the expression is out of range") from error
        raise Unreadable("the layer cannot be read: its rows make the database fail") from error


def refuse_standby(con: Connection) -> None:
    """Raises Unavailable for a standby: it is behind, and its answers would be stale."""
    if con.execute("SELECT pg_is_in_recovery()").fetchone() == (True,):
        raise Unavailable("the city's database is a standby that only follows another; name the primary")


def quoted(name: str) -> str:
    """An SQL identifier, for a statement without parameters."""
    return '"' + name.replace('"', '""') + '"'


def bound(name: str) -> str:
    """An SQL identifier, for a statement with parameters, where a percent sign is written twice."""
    return quoted(name).replace("%", "%%")


def literal(text: str) -> str:
    """An SQL text literal, for DDL, where parameters are not allowed."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f" E'{escaped}'" if "\\" in text else f"'{escaped}'"
