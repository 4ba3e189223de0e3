"""Edits of single features: one transaction each, logged by the triggers like any other program's."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

import numpy as np

from layers.errors import BadBody, Exists, NotFound, Stale, Unavailable, shown
from layers.store import feature
from layers.store.geopackage import blob
from layers.store.geopackage.catalog import Table
from layers.store.geopackage.connection import quoted, transaction
from layers.store.geopackage.view import encode

_KEEP = object()


def create(
    con: sqlite3.Connection, table: Table, body: Mapping[str, Any], actor: str | None
) -> tuple[int, int]:
    """POST. Returns the fid, never used before, and the revision."""
    shape, values = feature.new(table, body)
    with transaction(con):
        _free_source(con, table, None, values)
        columns = dict(values) | {"geom": None if shape is None else blob.encode(_array(shape))[0]}
        names, marks = ", ".join(quoted(name) for name in columns), ", ".join("?" * len(columns))
        sql = f"INSERT INTO {table.name} ({names}) VALUES ({marks})"
        try:
            fid = con.execute(sql, tuple(columns.values())).lastrowid
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_FULL:
                raise
            raise Unavailable("the layer has no feature id left, or the disk is full") from error
        assert fid is not None
        keep(con, table, encode(con, table, [fid]))
        number = revision(con, table.id, fid)
        _sign(con, table, fid, number, actor)
        return fid, number


def delete(con: sqlite3.Connection, table: Table, fid: int, if_match: int | None, actor: str | None) -> int:
    """DELETE. Returns the log number; the triggers take the mesh and the GeoJSON along."""
    with transaction(con):
        _present(con, table, fid, if_match)
        con.execute(f"DELETE FROM {table.name} WHERE fid=?", (fid,))
        number = revision(con, table.id, fid)
        _sign(con, table, fid, number, actor)
        return number


def replace(
    con: sqlite3.Connection,
    table: Table,
    fid: int,
    body: Mapping[str, Any],
    if_match: int | None,
    actor: str | None,
) -> int:
    """PUT. Returns the new revision."""
    shape, values = feature.whole(table, fid, body)
    return _write(con, table, fid, shape, values, if_match, actor)


def patch(
    con: sqlite3.Connection,
    table: Table,
    fid: int,
    body: Mapping[str, Any],
    if_match: int | None,
    actor: str | None,
) -> int:
    """PATCH (RFC 7396). Returns the new revision."""
    named, shape, values = feature.partial(table, fid, body)
    return _write(con, table, fid, shape if named else _KEEP, values, if_match, actor)


def _write(
    con: sqlite3.Connection,
    table: Table,
    fid: int,
    shape: Any,
    values: dict[str, Any],
    if_match: int | None,
    actor: str | None,
) -> int:
    with transaction(con):
        present, source = _present(con, table, fid, if_match)
        if source is not None and "source_id" in values and values["source_id"] is None:
            raise BadBody("properties: source_id: cannot be removed")
        _free_source(con, table, fid, values)
        columns = dict(values)
        if shape is not _KEEP and not feature.same(table, blob.shapes([present]), shape):
            columns["geom"] = None if shape is None else blob.encode(_array(shape))[0]
        _set(con, table, fid, columns)
        keep(con, table, encode(con, table, [fid]))
        number = revision(con, table.id, fid)
        _sign(con, table, fid, number, actor)
        return number


def _present(
    con: sqlite3.Connection, table: Table, fid: int, if_match: int | None
) -> tuple[bytes | None, str | None]:
    """Geometry and source id of a feature that may be written. Raises NotFound, Stale."""
    if abs(fid) >= 2**63:
        raise NotFound(f"layer {table.id} has no feature {shown(fid)}")
    sql = f"SELECT geom, source_id FROM {table.name} WHERE fid=?"
    row: tuple[bytes | None, str | None] | None = con.execute(sql, (fid,)).fetchone()
    if row is None:
        raise NotFound(f"layer {table.id} has no feature {fid}")
    current = revision(con, table.id, fid)
    if if_match is not None and if_match != current:
        raise Stale(f"the feature is at revision {current}, not {if_match}; read it again")
    return row


def _sign(con: sqlite3.Connection, table: Table, fid: int, number: int, actor: str | None) -> None:
    if actor is not None:
        sql = "INSERT INTO twin_actors (seq, actor, layer, fid) VALUES (?, ?, ?, ?)"
        con.execute(sql, (number, actor, table.id, fid))


def _free_source(con: sqlite3.Connection, table: Table, fid: int | None, values: Mapping[str, Any]) -> None:
    source = values.get("source_id")
    sql = f"SELECT 1 FROM {table.name} WHERE source_id=? AND fid IS NOT ?"
    if source is not None and con.execute(sql, (source, fid)).fetchone():
        raise Exists("properties: source_id: another feature has it")


def _array(shape: Any) -> Any:
    one = np.empty(1, dtype=object)
    one[0] = shape
    return one


def _set(con: sqlite3.Connection, table: Table, fid: int, columns: Mapping[str, Any]) -> None:
    # An edit that names nothing still counts as one: fid=fid fires the triggers.
    assignments = ", ".join(f"{quoted(name)}=?" for name in columns) or "fid=fid"
    con.execute(f"UPDATE {table.name} SET {assignments} WHERE fid=?", (*columns.values(), fid))


def keep(con: sqlite3.Connection, table: Table, made: Mapping[int, bytes]) -> None:
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
