"""SQLite connections for a GeoPackage: modes, the five ST_ functions, errors as the project's own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from layers.errors import BadParameter, Busy, ReadOnly, TwinError, Unavailable
from layers.store.geopackage import blob, functions

type Mode = Literal["rwc", "rw", "ro", "immutable"]
WRITE_WAIT_S = 10.0


def connect(path: Path, mode: Mode, *, wait_s: float = WRITE_WAIT_S) -> sqlite3.Connection:
    """Open the file in manual-commit mode. Raises Unavailable, Busy or ReadOnly.

    WAL is set at every writable open: the last QGIS to close a GeoPackage puts the journal back
    to DELETE, which would let a reader block a writer."""
    options = "mode=ro&immutable=1" if mode == "immutable" else f"mode={mode}"
    with sqlite_errors():
        con = sqlite3.connect(
            f"file:{quote(str(path))}?{options}",
            uri=True,
            timeout=wait_s,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        try:
            register(con)
            functions.register(con)
            con.execute("PRAGMA cache_size=-16000")
            con.execute("PRAGMA trusted_schema=ON")  # the R-tree triggers call the ST_ functions
            if mode in ("rwc", "rw"):
                con.execute("PRAGMA journal_mode=WAL")
                con.execute("PRAGMA synchronous=FULL")
                con.execute("PRAGMA journal_size_limit=67108864")  # a load leaves a log as large as itself
        except BaseException:
            con.close()
            raise
    return con


def register(con: sqlite3.Connection) -> None:
    """The functions that GeoPackage R-tree triggers call (OGC 12-128r18 annex F.3)."""

    def empty(value: bytes | None) -> int | None:
        return None if value is None else int(blob.envelope(value) is None)

    def side(index: int) -> object:
        def of(value: bytes | None) -> float | None:
            box = blob.envelope(value)
            return None if box is None else box[index]

        return of

    con.create_function("ST_IsEmpty", 1, empty, deterministic=True)
    for index, name in enumerate(("ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY")):
        con.create_function(name, 1, side(index), deterministic=True)  # type: ignore[arg-type]


_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def translate(error: sqlite3.Error) -> TwinError:
    """An SQLite failure in the words of the error tree; never its text, which may name a path."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _BUSY:
        return Busy("the city's store is being written by another program; try again")
    if code == sqlite3.SQLITE_INTERRUPT:
        return Busy("reading took too long; ask for a smaller area or fewer features")
    if code == sqlite3.SQLITE_READONLY:
        return ReadOnly("the city folder cannot be written")
    if code in _DAMAGED:
        return Unavailable("the city's store is damaged; restore city.gpkg from a copy")
    if code == sqlite3.SQLITE_FULL:
        return Unavailable("the disk is full")
    if code == sqlite3.SQLITE_CANTOPEN:
        return Unavailable("the city's store cannot be opened")
    return Unavailable("the city's store cannot be read or written now")


_PASS = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISUSE, sqlite3.SQLITE_CONSTRAINT, 0}


class sqlite_errors:
    """Turn failures of the file or its locks into TwinErrors; our own faulty SQL stays an exception.

    Every read enters one: as a generator it would cost a microsecond."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> Literal[False]:
        if isinstance(error, sqlite3.Error):
            if isinstance(error, sqlite3.ProgrammingError) and "closed database" in str(error):
                raise Unavailable("the store is closed") from error
            if "parser stack overflow" in str(error):
                # its stack is of 100 symbols in most builds; only a client's filter gets there
                raise BadParameter("filter", "…", "nests too deep for a city kept in a file") from error
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _PASS:
                raise translate(error) from error
        return False


@contextmanager
def waiting(con: sqlite3.Connection, seconds: float) -> Iterator[None]:
    """Within, the connection waits for another writer that long."""
    before = con.execute("PRAGMA busy_timeout").fetchone()[0]
    con.execute(f"PRAGMA busy_timeout={int(seconds * 1000)}")
    try:
        yield
    finally:
        con.execute(f"PRAGMA busy_timeout={before}")


@contextmanager
def transaction(con: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One write transaction: committed whole or rolled back."""
    with sqlite_errors():
        con.execute("BEGIN IMMEDIATE")
        try:
            yield con
            con.execute("COMMIT")
        except BaseException:
            if con.in_transaction:
                con.execute("ROLLBACK")
            raise


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """An SQL text literal, for DDL, where parameters are not allowed."""
    return "'" + text.replace("'", "''") + "'"
