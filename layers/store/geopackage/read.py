"""Pages and items: the bytes, or the columns, of the features that were chosen."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import orjson

from layers.mesh import Mesh
from layers.model import FeatureLayer, FeaturePage, Rows, Selection
from layers.query import Query
from layers.store import geojson, unreadable
from layers.store.geopackage import blob, selection
from layers.store.geopackage.catalog import FeatureTable
from layers.store.geopackage.connection import quoted
from layers.store.geopackage.filter import INSTANT, shifted
from layers.store.geopackage.past_table import PastTable
from layers.store.geopackage.read_view import ReadView, encode, fetch, listed
from layers.store.layer_record import chosen_fields
from layers.types import CRS84, Cursor, Field, Interval

#: A page that has grown beyond this is given with fewer features than its limit allows.
PAGE_BYTES = 64 * 2**20
_CHUNK = 500  # features between two looks at the size
#: GeoJSON has no such byte. To count what is stored would cost as much again where it is a scalar query.
_MISSING = b"\0"
_LAST = 2**63 - 1
_JOINED = "CAST(group_concat(coalesce(body, x'00'), ',') AS BLOB)"


def page(
    view: ReadView, table: FeatureTable, query: Query, layer: FeatureLayer, few: int
) -> tuple[FeaturePage, dict[int, bytes]]:
    """A page, and the GeoJSON that had to be made for it (to be kept by the caller).

    ``layer`` is the table's summary at this snapshot."""
    wanted = chosen_fields(table, query)
    if _plain(table, query):
        stored = _stored(view, table, query, layer.count)
        if stored is not None:
            return stored, {}
    chosen = selection.choose(view, table, query, layer, few)
    parts: list[bytes] = []
    made: dict[int, bytes] = {}
    returned = 0
    for fids in _chunks(chosen.fids):
        parts.append(_part(view, table, query, wanted, fids, made))
        returned += len(fids)
        if sum(map(len, parts)) > PAGE_BYTES:
            break
    after = chosen.fids[returned - 1] if returned < len(chosen.fids) or chosen.more else None
    return FeaturePage(b",".join(parts), returned, chosen.matched, _cursor(view, table, query, after)), made


def _cursor(view: ReadView, table: FeatureTable, query: Query, fid: int | None) -> Cursor | None:
    return None if fid is None else selection.cursor(view, table, query, fid)


def _chunks(fids: list[int]) -> Iterator[list[int]]:
    return (fids[start : start + _CHUNK] for start in range(0, len(fids), _CHUNK))


def _plain(table: FeatureTable, query: Query) -> bool:
    """Whether the page is the layer's stored GeoJSON in order of fid, whatever the limit and offset."""
    conditions = query.bbox or query.equals or query.datetime or query.filter or query.words or query.sort
    return not conditions and query.properties is None and query.crs == CRS84 and table.trusted


def _stored(view: ReadView, table: FeatureTable, query: Query, count: int) -> FeaturePage | None:
    """A page without conditions, its stored GeoJSON joined by SQLite; None where some is not stored.

    A thousand rows as Python objects cost twice what joining them does."""
    after = -(2**63) if query.after is None else query.after[-1]
    offset, left, size, parts = query.offset, query.limit or 0, 0, []
    while left and size <= PAGE_BYTES:
        returned, last, body = view.con.execute(
            f"SELECT count(*), max(fid), {_JOINED} FROM"
            f" (SELECT fid, body FROM ({table.texts}) WHERE fid > ? ORDER BY fid LIMIT ? OFFSET ?)",
            (after, min(left, _CHUNK), offset),
        ).fetchone()
        if _lacks(view, table, after, _LAST if returned < min(left, _CHUNK) else last):
            return None
        if not returned:
            break
        if _MISSING in body:
            return None
        parts.append(body)
        after, offset, size, left = last, 0, size + len(body), left - returned
        if returned < _CHUNK:
            break
    more = bool(parts) and _follows(view, table, after)
    total = (query.limit or 0) - left
    return FeaturePage(b",".join(parts), total, count, (after,) if more else None)


def _lacks(view: ReadView, table: FeatureTable, after: Any, last: int) -> bool:
    """Whether a page up to there may lack features whose GeoJSON is not stored."""
    untold, bound = table.untold, {"after": after, "last": last}
    return untold is not None and bool(view.con.execute(untold, bound).fetchone()[0])


def _follows(view: ReadView, table: FeatureTable, fid: Any) -> bool:
    row = view.con.execute(f"SELECT 1 FROM {table.name} t WHERE t.fid > ? LIMIT 1", (fid,)).fetchone()
    return row is not None


def _part(
    view: ReadView,
    table: FeatureTable,
    query: Query,
    fields: tuple[Field, ...],
    fids: list[int],
    made: dict[int, bytes],
) -> bytes:
    """The GeoJSON of some features in their order, joined by commas."""
    if query.crs != CRS84:
        return b",".join(projected(view, table, fids, query.crs, fields))
    if query.properties is None and table.trusted:
        joined = _joined(view, table, fids)
        if joined is not None:
            return joined
    bodies, fresh = texts(view, table, fids)
    made |= fresh
    if query.properties is not None:
        names = [f.name for f in fields]
        bodies = [_only(body, names) for body in bodies]
    return b",".join(bodies)


def _joined(view: ReadView, table: FeatureTable, fids: list[int]) -> bytes | None:
    sql, value = view.texts_of(table, fids)
    found, body = view.con.execute(f"SELECT count(*), {_JOINED} FROM ({sql})", (value,)).fetchone()
    return None if found < len(fids) or _MISSING in body else body


_PROPERTIES = b',"properties":'


def _only(body: bytes, names: Sequence[str]) -> bytes:
    """A Feature with only those properties; nothing before them in it can look like their beginning."""
    at = body.index(_PROPERTIES) + len(_PROPERTIES)
    values = orjson.loads(body[at:-1])
    return body[:at] + orjson.dumps({name: values.get(name) for name in names}) + b"}"


def select(view: ReadView, table: FeatureTable, query: Query, layer: FeatureLayer, few: int) -> Selection:
    """A page as columns, in the order of the query."""
    wanted = chosen_fields(table, query)
    chosen = selection.choose(view, table, query, layer, few)
    records: list[Any] = []
    size = 0
    for fids in _chunks(chosen.fids):
        rows = _rows(view, table, fids, wanted)
        records += rows
        size += sum(len(row[1] or b"") for row in rows)
        if size > PAGE_BYTES:
            break
    after = (
        chosen.fids[len(records) - 1]
        if records and (len(records) < len(chosen.fids) or chosen.more)
        else None
    )
    return Selection(columns(table, wanted, records), chosen.matched, _cursor(view, table, query, after))


def _rows(view: ReadView, table: FeatureTable, fids: list[int], fields: tuple[Field, ...]) -> list[Any]:
    """Fid, blob and some values of features in their order."""
    sql = f"SELECT t.fid, t.geom{table.named(fields)} FROM json_each(?) e"
    rows = fetch(view.con, f"{sql} CROSS JOIN {table.name} t ON t.fid = e.value", (listed(fids),))
    if table.in_order:
        return rows
    by_fid = {row[0]: row for row in rows}
    return [by_fid[fid] for fid in fids if fid in by_fid]


def of(view: ReadView, table: FeatureTable, query: Query, fids: list[int]) -> Rows:
    """The fields that a query wants of some features, in the order of these."""
    fields = chosen_fields(table, query)
    return columns(table, fields, _rows(view, table, fids, fields))


def texts(view: ReadView, table: FeatureTable, fids: list[int]) -> tuple[list[bytes], dict[int, bytes]]:
    """GeoJSON of features in their order, and the part of it that had to be made now and may be kept."""
    stored: dict[int, bytes] = {}
    if table.trusted:
        stored = dict(
            view.con.execute(
                f"SELECT fid, body FROM {table.json} WHERE fid IN (SELECT value FROM json_each(?))",
                (listed(fids),),
            ).fetchall()
        )
    missing = [fid for fid in fids if fid not in stored]
    made, lasting = encode(view.con, table, missing) if missing else ({}, {})
    stored |= made
    return [stored[fid] for fid in fids if fid in stored], lasting


def projected(
    view: ReadView, table: FeatureTable, fids: list[int], crs: str, fields: tuple[Field, ...]
) -> list[bytes]:
    """GeoJSON of features in another CRS, in the axis order of its authority, with some of their fields."""
    rows = _rows(view, table, fids, fields)
    shapes = blob.shapes(_sound(table, rows))
    tails = geojson.projected(shapes, fields, (row[2:] for row in rows), crs)
    return [geojson.feature(row[0], tail) for row, tail in zip(rows, tails, strict=True)]


def rows(view: ReadView, table: FeatureTable, fids: Sequence[int] | None, meshes: bool) -> Rows:
    """Features that have a geometry, as columns."""
    chosen = "" if fids is None else " WHERE t.fid IN (SELECT value FROM json_each(?))"
    bound = () if fids is None else (listed(int(f) for f in fids),)
    records = fetch(
        view.con,
        f"SELECT t.fid, t.geom{table.columns} FROM {table.name} t{chosen} ORDER BY t.fid",
        bound,
    )
    # not by SQLite, which looks up the geometry of an old row as often as it is named
    records = [record for record in records if blob.envelope(record[1]) is not None]
    placed = unreadable.placed(columns(table, table.fields, records))
    return replace(placed, meshes=_meshes(view, table, fids)) if meshes else placed


def chosen(view: ReadView, table: PastTable, fids: Sequence[int]) -> Rows:
    """Some features of what was, as columns, with their bodies."""
    asked, bound = "SELECT value FROM json_each(:fids)", {"fids": listed(int(f) for f in fids)}
    records = fetch(
        view.con, f"SELECT t.fid, t.geom{table.columns} FROM ({table.of(asked)}) t ORDER BY t.fid", bound
    )
    bodies = view.con.execute(table.bodies(asked), bound).fetchall()
    return replace(columns(table, table.fields, records), meshes=unreadable.meshes(table.id, bodies))


def fault(view: ReadView, table: FeatureTable, fid: int) -> str | None:
    """Why the geometry of a feature cannot be read; None where it can, or there is none."""
    row = view.con.execute(f"SELECT geom FROM {table.name} WHERE fid=?", (fid,)).fetchone()
    return None if row is None or row[0] is None else blob.fault(row[0])


def _sound(table: FeatureTable, rows: Sequence[Sequence[Any]]) -> list[bytes | None]:
    """The geometries of rows of fid, blob and values, without those that cannot be read."""
    return unreadable.sound(table.id, (row[0] for row in rows), [row[1] for row in rows], blob.faults)


#: SQLite's 0 and 1 as booleans; anything else another program stored stays as it is.
_BOOLEANS: dict[Any, Any] = {0: False, 1: True}


def columns(table: FeatureTable, fields: Sequence[Field], records: Sequence[Sequence[Any]]) -> Rows:
    """Rows of fid, blob and values as columns. A geometry that is empty or unreadable is None."""
    transposed = list(zip(*records, strict=True)) or [()] * (2 + len(fields))
    properties = {
        field.name: list(map(_BOOLEANS.get, values, values)) if field.type == "boolean" else list(values)
        for field, values in zip(fields, transposed[2:], strict=True)
    }
    return Rows(
        fids=np.asarray(transposed[0], np.int64),
        wkb=[blob.present(value) for value in _sound(table, records)],
        properties=properties,
    )


def _meshes(view: ReadView, table: FeatureTable, fids: Sequence[int] | None) -> dict[int, Mesh]:
    chosen = "" if fids is None else " WHERE fid IN (SELECT value FROM json_each(?))"
    bound = () if fids is None else (listed(int(f) for f in fids),)
    records = view.con.execute(f"SELECT fid, body FROM {table.mesh}{chosen}", bound).fetchall()
    return unreadable.meshes(table.id, records)


#: Texts of one moment in different zones are at most a day apart from it, in either direction.
_APART = 3


def interval(con: sqlite3.Connection, table: FeatureTable) -> Interval:
    """The least and the greatest value of the time field; None twice without such a field or value."""
    field = table.field(table.time_field or "")
    if field is None:
        return None, None
    column = quoted(field.name)
    value = f"date({column})" if field.type == "date" else f"strftime('{INSTANT}', {column})"
    first = _end(con, table, column, f"min({value})", "min", "<=", _APART)
    return first, _end(con, table, column, f"max({value})", "max", ">=", -_APART)


def _end(
    con: sqlite3.Connection, table: FeatureTable, column: str, wanted: str, end: str, operator: str, days: int
) -> str | None:
    """One end: by the index of the texts, among those whose text is near its end.

    Another program may have written what is no time: then all are looked at."""
    order = "ASC" if end == "min" else "DESC"
    row = con.execute(
        f"SELECT {column} FROM {table.name} WHERE {column} IS NOT NULL ORDER BY {column} {order} LIMIT 1"
    ).fetchone()
    rough = row[0] if row else None
    bound = shifted(rough[:10], days) if isinstance(rough, str) else None
    value: str | None = None
    if bound is not None:
        near = f"SELECT {wanted} FROM {table.name} WHERE {column} {operator} ?"
        value = con.execute(near, (bound,)).fetchone()[0]
    if value is None and rough is not None:
        value = con.execute(f"SELECT {wanted} FROM {table.name}").fetchone()[0]
    return value
