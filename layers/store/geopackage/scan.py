"""Everything a query selects, of one moment, for as long as the reader takes.

A reader who holds a snapshot keeps SQLite from reusing the write-ahead log, which then grows with
every edit. So a snapshot is held for ``HOLD_S`` seconds at most: what was not read by then is copied
to a temporary table of the connection (SQLite's temporary folder needs room for it), the snapshot is
given back, and the scan goes on from the copy. The log grows by what is written in those seconds and
while the copy is made, however slow the reader is or whether it ever comes back.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Generator
from contextlib import suppress
from functools import partial
from typing import Any

from layers.errors import TwinError, Unavailable
from layers.model import FeatureLayer, Rows
from layers.query import Query
from layers.store.geopackage import read, selection
from layers.store.geopackage.catalog import FeatureTable
from layers.store.geopackage.connection import sqlite_errors
from layers.store.geopackage.read_view import ReadView
from layers.store.layer_record import chosen_fields

HOLD_S = 10.0
_STEP = 250  # rows between two looks at the size of a batch
_BATCH_BYTES = 32 * 2**20


class Cursor:
    """The rows of a scan, given by one thread while another may copy the rest of them aside."""

    def __init__(self, view: ReadView, sql: str, values: list[Any]) -> None:
        """``view`` has a read transaction open, and belongs to this object from now on."""
        self._view = view
        self._lock = threading.Lock()
        self._given = 0
        self._lenient = False
        #: What is being read, its values, and how many rows were given before its first.
        self._source: tuple[str, list[Any], int] = sql, values, 0
        self._closed = False
        self._rows = view.con.execute(sql, values)

    def take(self, size: int) -> list[Any]:
        """The next rows, up to ``size`` of them or some megabytes; none at the end."""
        with self._lock, sqlite_errors():
            if self._closed:
                raise Unavailable("the store is closed")
            batch: list[Any] = []
            weight = 0
            while len(batch) < size and weight < _BATCH_BYTES:
                rows = self._next(min(_STEP, size - len(batch)), self._given + len(batch))
                if not rows:
                    break
                batch += rows
                weight += sum(len(row[1] or b"") for row in rows)
            self._given += len(batch)
            return batch

    def _next(self, size: int, given: int) -> list[Any]:
        """Up to so many rows; ``given`` of them were given before."""
        try:
            return self._rows.fetchmany(size)
        except sqlite3.OperationalError as error:
            if "decode" not in str(error) or self._lenient:
                raise
        # a text that is no UTF-8: what decodes those costs a call a text, so it is not there before
        self._lenient = True
        con = self._view.con
        con.text_factory = partial(str, encoding="utf-8", errors="replace")
        self._rows.close()
        sql, values, first = self._source
        self._rows = con.execute(f"{sql} LIMIT -1 OFFSET ?", [*values, given - first])
        return self._rows.fetchmany(size)

    def set_aside(self) -> None:
        """Copy what is left and give the snapshot back. On a failure the scan keeps its snapshot."""
        con = self._view.con
        with self._lock, suppress(TwinError), sqlite_errors():
            if self._closed:
                return
            sql, values, _ = self._source
            con.execute(f"CREATE TEMP TABLE rest AS {sql} LIMIT -1 OFFSET ?", [*values, self._given])
            self._rows.close()
            con.execute("COMMIT")  # before the next statement: one that reads would keep the snapshot
            self._source = "SELECT * FROM temp.rest ORDER BY rowid", [], self._given
            self._rows = con.execute(self._source[0])

    def close(self) -> None:
        """Give everything back. May be called again, and from any thread."""
        with suppress(sqlite3.ProgrammingError):  # it is closed already
            self._view.con.interrupt()
        with self._lock:
            if not self._closed:
                self._closed = True
                self._view.con.close()


def open(view: ReadView, table: FeatureTable, query: Query, layer: FeatureLayer) -> Cursor:
    """Begin a scan. Raises BadParameter."""
    fields = chosen_fields(table, query)
    source = selection.ordered(view, table, query, layer)
    return Cursor(view, f"SELECT t.fid, t.geom{table.named(fields)} {source.sql}", source.values)


def batches(cursor: Cursor, table: FeatureTable, query: Query, size: int) -> Generator[Rows]:
    """The rows of a scan as columns; it is closed at the end."""
    fields = chosen_fields(table, query)
    timer = threading.Timer(HOLD_S, cursor.set_aside)
    timer.daemon = True
    timer.start()
    try:
        while rows := cursor.take(size):
            yield read.columns(table, fields, rows)
    finally:
        timer.cancel()
        cursor.close()
