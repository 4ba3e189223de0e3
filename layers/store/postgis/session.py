"""The connections of one city: for reading, for writing, and those that live as long as the store."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import conninfo_to_dict

from layers.errors import BadParameter, ReadOnly, Unavailable
from layers.store.database import Database
from layers.store.postgis import schema, values
from layers.store.postgis.connection import GIVE_WAY_S, Connection, connect, quoted, refuse_standby
from layers.store.postgis.pool import Guard, Pool, Use

_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,39}")


class DatabaseSessions:
    """Pools and single connections. ``check`` runs on each new one, before it serves anybody. ``read_only``
    ones can write nothing, whatever the role may."""

    def __init__(
        self, database: Database, check: Callable[[Connection], None], *, read_only: bool = False
    ) -> None:
        if not _SCHEMA.fullmatch(database.schema) or database.schema.startswith("pg_"):
            raise BadParameter("schema", database.schema, "small letters, digits and _, at most 40")
        for url in (database.url, database.read_url):
            _readable(url)
        self.database = database
        self.read_only = read_only
        self.postgis = "public"
        self.geometry = 0  # oid of the type
        self.writer = ""  # the role that writes
        self._check = check
        self._closed = False
        self.guard = Guard(database.url, self._bare)
        self.watched = self.guard.watched  # a call on a connection of one's own
        self._writers = self._pool(database.url, database.writers, self._writing)
        self._readers = self._pool(database.read_url or database.url, database.readers, self._reading)

    def _pool(self, url: str, size: int, setup: Callable[[Connection], None]) -> Pool:
        return Pool(url, size, self.database.wait_seconds, setup, self.guard)

    def _bare(self, con: Connection) -> None:
        con.execute("SET statement_timeout = '2s'")

    def _common(self, con: Connection, statement: float, lock: float, read_only: bool = False) -> None:
        values.prepare(con, self.geometry)
        con.execute(
            f"SET search_path = {self.postgis}; SET timezone = 'UTC'; SET client_encoding = 'UTF8';"
            f" SET statement_timeout = {int(statement * 1000)}; SET lock_timeout = {int(lock * 1000)};"
            " SET idle_in_transaction_session_timeout = '60s'; SET jit = off;"
            # what is now is written as JSON as the triggers write what was
            " SET extra_float_digits = 1; SET bytea_output = hex;"
            " SET standard_conforming_strings = on; SET max_parallel_workers_per_gather = 0;"
            # Each statement is of one moment. Not REPEATABLE READ: its moment would be before the wait for a
            # lock, and a table that was rewritten meanwhile would look empty.
            " SET default_transaction_isolation = 'read committed';"
            f" SET default_transaction_read_only = {'on' if read_only else 'off'}"
        )

    def _reading(self, con: Connection) -> None:
        self._common(con, self.database.read_seconds, GIVE_WAY_S, read_only=True)
        self._check(con)

    def _writing(self, con: Connection) -> None:
        self._common(con, self.database.write_seconds, min(10.0, self.database.write_seconds))
        self._check(con)

    def reading(self) -> Use:
        """A connection that cannot write, each statement of one moment. Raises Unavailable, Busy."""
        return self._readers.connection(self.database.read_seconds)

    @contextmanager
    def reading_long(self) -> Iterator[Connection]:
        """A transaction for reading without a limit of time, of one moment."""
        with self._readers.connection(None) as con, con.transaction():
            con.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL statement_timeout = 0")
            yield con

    def writing(self) -> Use:
        """A connection that writes. Raises Unavailable, Busy, ReadOnly."""
        self._refuse_read_only()
        return self._writers.connection(self.database.write_seconds)

    def single(self, *, write: bool) -> Connection:
        """A connection of one's own, to be closed by the caller. Raises Unavailable, ReadOnly."""
        if self._closed:
            raise Unavailable("the store is closed")
        if write:
            self._refuse_read_only()
            return connect(self.database.url, self._writing)
        return connect(self.database.read_url or self.database.url, self._reading)

    def _refuse_read_only(self) -> None:
        if self.read_only:
            raise ReadOnly("the city was opened for reading alone")

    def forget(self) -> None:
        """Close the idle connections: one was found dead."""
        self._readers.forget()
        self._writers.forget()

    def close(self) -> None:
        """Close everything."""
        self._closed = True
        self._readers.close()
        self._writers.close()
        self.guard.close()

    def bootstrap(self) -> Connection:
        """The first connection: it finds PostGIS, or installs it where it may write. To be closed by the
        caller."""

        def find(con: Connection) -> None:
            refuse_standby(con)
            row = con.execute("SELECT current_setting('server_encoding'), current_user").fetchone()
            assert row is not None
            encoding, self.writer = row
            if encoding != "UTF8":
                raise Unavailable("the city's database must have the encoding UTF8")
            self.postgis = schema.extension(con, install=not self.read_only)
            oid = con.execute("SELECT %s::regtype::oid", (f"{self.postgis}.geometry",)).fetchone()
            assert oid is not None
            self.geometry = oid[0]
            self._common(con, 0, 30, read_only=self.read_only)

        return connect(self.database.url, find)

    def reader_role(self) -> str | None:
        """The role that reads, quoted, where it is not the one that writes."""
        if self.database.read_url is None:
            return None
        user = conninfo_to_dict(self.database.read_url).get("user")
        return quoted(str(user)) if user else None


def _readable(url: str | None) -> None:
    """Refuse an address that is none, without repeating it: it may hold a password."""
    if url is None:
        return
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise BadParameter("store", "…", "an address like postgresql://user@host:5432/database") from error
