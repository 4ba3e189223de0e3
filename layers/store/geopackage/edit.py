"""What an edit of a feature says to SQLite; see :mod:`layers.store.edit`."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layers.errors import Conflict, Gone, Unavailable
from layers.model import Author
from layers.store.drafts import KEEP
from layers.store.edit import Editor, OldRow
from layers.store.geopackage import blob, keeping, past, recorded, sets
from layers.store.geopackage.catalog import FeatureTable
from layers.store.geopackage.connection import quoted
from layers.store.geopackage.done import GeoPackageDone
from layers.store.geopackage.read_view import encode

#: Features that are written as GeoJSON at a time.
_ENCODED = 500


class GeoPackageEditor(Editor):
    """Implements :class:`layers.store.edit.Editor`."""

    def __init__(self, con: sqlite3.Connection, table: FeatureTable) -> None:
        super().__init__()
        self._con, self._table = con, table
        self.table = table
        self._past: dict[int, Mapping[str, str] | None] = {}

    def changing(self, by: Author) -> AbstractContextManager[object]:
        return sets.writing(self._con, by, self._table.id)

    @property
    def done(self) -> GeoPackageDone:
        return GeoPackageDone(self._con)

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

    def former(self, fid: int, seq: int) -> OldRow | None:
        con, layer = self._con, self._table.id
        if seq not in self._past:
            if keeping.since(con, layer) > seq:
                raise Gone(f"what layer {layer} was after change @{seq} is not kept")
            if recorded.at(con, layer, seq) is None or recorded.ended(con, layer, seq) is not None:
                raise Conflict(f"layer {layer} was made after change @{seq}, or dropped since")
            self._past[seq] = past.lasting(con, layer, seq) if past.is_there(con, layer) else None
        columns = self._past[seq]
        if columns is None:
            return None
        source = columns.get(quoted("source_id"), "NULL")
        old = quoted(past.table(layer))
        row = con.execute(
            f"SELECT p.n, p.there, {source} FROM {old} p WHERE p.fid=? AND p.until > ?"
            " ORDER BY p.until LIMIT 1",
            (fid, seq),
        ).fetchone()
        return None if row is None else OldRow(row[0], bool(row[1]), row[2], columns)

    def restore(self, fid: int, former: OldRow, present: bool) -> None:
        con, table = self._con, self._table
        old = quoted(past.table(table.id))
        geom, body = past.geometry(table.id, present=True), past.body(table.id, present=True)
        columns = {"geom": geom, **former.columns}
        if present and self._stays(geom, fid, former.key):
            del columns["geom"]
        names, values = ", ".join(columns), ", ".join(columns.values())
        if not present:
            con.execute(
                f"INSERT INTO {table.name} (fid, {names}) SELECT p.fid, {values} FROM {old} p WHERE p.n=?",
                (former.key,),
            )
        elif columns:
            con.execute(
                f"UPDATE {table.name} SET ({names}) = (SELECT {values} FROM {old} p WHERE p.n=?) WHERE fid=?",
                (former.key, fid),
            )
        else:
            con.execute(f"UPDATE {table.name} SET fid=fid WHERE fid=?", (fid,))
        # the triggers have kept the old body with the old row
        con.execute(f"DELETE FROM {table.mesh} WHERE fid=?", (fid,))
        con.execute(
            f"INSERT INTO {table.mesh} (fid, body) SELECT p.fid, {body} FROM {old} p"
            f" WHERE p.n=? AND {past.HAS_BODY}",
            (former.key,),
        )

    def _stays(self, geom: str, fid: int, key: int) -> bool:
        """Whether an old row has the geometry of now: to name it all the same would cost as much again, for
        the R-tree would be written."""
        old = f"SELECT {geom} FROM {quoted(past.table(self._table.id))} p WHERE p.n=?"
        sql = f"SELECT geom IS ({old}) FROM {self._table.name} WHERE fid=?"
        return bool(self._con.execute(sql, (key, fid)).fetchone()[0])

    def put_back_all(self, rows: Sequence[tuple[int, OldRow]]) -> None:
        super().put_back_all(rows)
        for some in itertools.batched((fid for fid, _ in rows), _ENCODED):
            keep(self._con, self._table, encode(self._con, self._table, some)[1])

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
