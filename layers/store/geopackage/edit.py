"""What an edit of a feature says to SQLite; see :mod:`layers.store.edit`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layers.errors import Unavailable
from layers.model import Author
from layers.store.drafts import KEEP
from layers.store.edit import Editor
from layers.store.geopackage import blob, sets
from layers.store.geopackage.catalog import FeatureTable
from layers.store.geopackage.connection import quoted
from layers.store.geopackage.read_view import encode


class GeoPackageEditor(Editor):
    """Implements :class:`layers.store.edit.Editor`."""

    def __init__(self, con: sqlite3.Connection, table: FeatureTable) -> None:
        super().__init__()
        self._con, self._table = con, table
        self.table = table

    def changing(self, by: Author) -> AbstractContextManager[object]:
        return sets.writing(self._con, by, self._table.id)

    @contextmanager
    def step(self) -> Iterator[None]:
        self._con.execute("SAVEPOINT step")
        try:
            yield
        except BaseException:
            if self._con.in_transaction:  # a full disk ends the whole
                self._con.execute("ROLLBACK TO step")
                self._con.execute("RELEASE step")
            raise
        self._con.execute("RELEASE step")

    def hold(self, fids: Sequence[int]) -> None:
        """The transaction has the whole file."""

    def with_source(self, source: str) -> int | None:
        sql = f"SELECT fid FROM {self._table.name} WHERE source_id=?"
        row = self._con.execute(sql, (source,)).fetchone()
        return None if row is None else row[0]

    def lock(self, fid: int) -> tuple[bytes | None, str | None] | None:
        sql = f"SELECT geom, source_id FROM {self._table.name} WHERE fid=?"
        row: tuple[bytes | None, str | None] | None = self._con.execute(sql, (fid,)).fetchone()
        return row

    def row(self, fid: int) -> dict[str, Any]:
        names = [field.name for field in self._table.fields]
        columns = ", ".join(map(quoted, names))
        row = self._con.execute(f"SELECT {columns} FROM {self._table.name} WHERE fid=?", (fid,)).fetchone()
        return dict(zip(names, row, strict=True))

    def shapes(self, stored: bytes | None) -> NDArray[Any]:
        return blob.shapes([stored])

    def is_taken(self, source: str, fid: int | None) -> bool:
        sql = f"SELECT 1 FROM {self._table.name} WHERE source_id=? AND fid IS NOT ?"
        return self._con.execute(sql, (source, fid)).fetchone() is not None

    def insert(self, shape: Any, values: Mapping[str, Any]) -> int:
        columns = _columns(shape, values)
        names, marks = ", ".join(quoted(name) for name in columns), ", ".join("?" * len(columns))
        sql = f"INSERT INTO {self._table.name} ({names}) VALUES ({marks})"
        try:
            fid = self._con.execute(sql, tuple(columns.values())).lastrowid
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_FULL:
                raise
            raise Unavailable("the layer has no feature id left, or the disk is full") from error
        assert fid is not None
        keep(self._con, self._table, encode(self._con, self._table, [fid])[1])
        return fid

    def update(self, fid: int, shape: Any, values: Mapping[str, Any]) -> None:
        columns = _columns(shape, values)
        # An edit that names nothing still counts as one: fid=fid fires the triggers.
        assignments = ", ".join(f"{quoted(name)}=?" for name in columns) or "fid=fid"
        sql = f"UPDATE {self._table.name} SET {assignments} WHERE fid=?"
        self._con.execute(sql, (*columns.values(), fid))
        keep(self._con, self._table, encode(self._con, self._table, [fid])[1])

    def remove(self, fid: int) -> None:
        self._con.execute(f"DELETE FROM {self._table.name} WHERE fid=?", (fid,))

    def revision(self, fid: int) -> int:
        return revision(self._con, self._table.id, fid)


def _columns(shape: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    if shape is KEEP:
        return dict(values)
    one = np.empty(1, dtype=object)
    one[0] = shape
    return {**values, "geom": None if shape is None else blob.encode(one)[0]}


def keep(con: sqlite3.Connection, table: FeatureTable, made: Mapping[int, bytes]) -> None:
    """Store GeoJSON that was made from the present rows, within the caller's transaction."""
    con.executemany(f"INSERT OR IGNORE INTO {table.json} VALUES (?,?)", made.items())


#: The revision of the feature ``:fid`` of ``:layer``.
REVISION = (
    "max((SELECT coalesce(max(seq), 0) FROM twin_changes WHERE layer=:layer AND fid=:fid),"
    " (SELECT coalesce(max(seq), 0) FROM twin_changes WHERE layer=:layer AND fid IS NULL))"
)


def revision(con: sqlite3.Connection, layer: str, fid: int) -> int:
    """The highest log number of a feature, or of its layer as a whole; 0 when neither was logged."""
    row = con.execute(f"SELECT {REVISION}", {"layer": layer, "fid": fid}).fetchone()
    return int(row[0])
