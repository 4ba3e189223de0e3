"""What reading has in common, and single features: a statement also tells of which moment its answer is."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from psycopg.types.numeric import Int8

from layers.errors import Unavailable
from layers.mesh import Mesh
from layers.model import Rows
from layers.query import Query
from layers.store import compile, geojson, unreadable
from layers.store.layer_record import chosen_fields
from layers.store.postgis import project
from layers.store.postgis.connection import Connection, ReadingErrors, bound, literal
from layers.store.postgis.filter import Postgis
from layers.store.postgis.layer_table import LayerTable
from layers.store.postgis.schema import HALF_RESTORED
from layers.store.postgis.values import Ewkb, geometries
from layers.types import Bbox, Cursor, Field


@dataclass(frozen=True, slots=True)
class SnapshotState:
    """The moment of an answer: which history, catalogue and log number it was made at."""

    epoch: str
    stamp: int
    meta: int  # oid of twin_meta: another one is another history
    seq: int
    nonce: int
    layer_seq: int = 0
    oid: int = 0  # of the layer's table
    since: int = 0  # of a past: from which number on the history of the layer is kept


@lru_cache(maxsize=1024)
def _state_sql(schema: str, layer: str | None, relation: str | None, past: bool) -> str:
    s = bound(schema)
    newest = f"(SELECT seq, nonce FROM {s}.twin_changes ORDER BY seq DESC LIMIT 1)"
    words = ["m.stamp", "m.tableoid", "coalesce(c.seq, 0)", "coalesce(c.nonce, 0)"]
    if layer is not None and relation is not None:
        name, table = (literal(text).replace("%", "%%") for text in (layer, relation))
        own = f"(SELECT max(seq) FROM {s}.twin_changes WHERE layer = {name})"
        words += [f"coalesce({own}, 0)", f"coalesce(to_regclass({table})::oid, 0)"]
        if past:
            cut = (
                f"SELECT CASE why WHEN 'off' THEN {own} ELSE seq END FROM {s}.twin_kept WHERE layer = {name}"
            )
            words.append(f"greatest(m.since, ({cut}))")
    return (
        f"SELECT m.epoch || concat_ws('|', '', {', '.join(words)}) AS state"
        f" FROM (SELECT) o LEFT JOIN {s}.twin_meta m ON true LEFT JOIN {newest} c ON true LIMIT 1"
    )


def state_sql(schema: str, table: LayerTable | None = None) -> str:
    """SQL of one row with one text, ``state``, for a statement with parameters; null where the store's
    tables are there and not yet their rows."""
    if table is None:
        return _state_sql(schema, None, None, past=False)
    return _state_sql(schema, table.id, table.raw, past=table.upto is not None)


def state(text: str | None) -> SnapshotState:
    """What :func:`state_sql` gives. Raises Unavailable."""
    if text is None:
        raise Unavailable(HALF_RESTORED)
    epoch, *numbers = text.split("|")
    return SnapshotState(epoch, *map(int, numbers))


def moment(con: Connection, schema: str, table: LayerTable | None = None) -> SnapshotState:
    """The present moment, of a layer too where its table is given. Raises Unavailable."""
    row = con.execute(state_sql(schema, table), (), binary=True).fetchone()
    assert row is not None
    return state(row[0])


@dataclass(frozen=True, slots=True)
class RowPage:
    """A page as rows: fid, geometry, properties in the order of ``fields`` (then sort fields).

    ``matched`` is None where it was not counted; ``whole`` tells that every feature matches."""

    state: SnapshotState
    fields: tuple[Field, ...]
    rows: list[tuple[Any, ...]]
    matched: int | None = None
    next_after: Cursor | None = None
    whole: bool = False


def shape_sql(table: LayerTable, wkb: bool) -> str:
    """The geometry as EWKB, or as the ISO WKB that columns hold."""
    return f"ST_AsBinary({table.shape}, 'NDR')" if wkb and table.srid == 4326 else table.shape


def selection(table: LayerTable, query: Query, unplaced: bool = True) -> tuple[str, list[Any]]:
    """SQL conditions of a query but its cursor, and their values."""
    plain = not (query.filter or query.equals or query.words or query.datetime)
    sql, values = ("", []) if plain else compile.where(Postgis(table), query)
    if query.bbox is None:
        return sql, values
    box, bound_ = within(table, query.bbox, unplaced)
    return box + sql, [*bound_, *values]


def within(table: LayerTable, bbox: Bbox, unplaced: bool) -> tuple[str, list[Any]]:
    """Features that intersect a box."""
    boxes = compile.boxes(bbox)
    # 17-069r4, /req/core/fc-bbox-response C: features without a geometry match every box
    placeless = f" OR {table.null_geometry}" if unplaced or not table.live else ""
    if table.srid != 4326:
        sql, values_ = project.within(table, boxes)
        return f" AND ({sql}{placeless})", values_
    parts, values = [], list[Any]()
    for box in boxes:
        inner, area = inside(box), envelope(box)
        if inner is None or table.untyped:
            parts.append(f"({table.geom} && %s AND ST_Intersects({table.shape}, %s))")
            values += [area, area]
        else:  # CASE, not OR: the planner would search the index once for each
            exact = f"CASE WHEN {table.geom} @ %s THEN true ELSE ST_Intersects({table.geom}, %s) END"
            parts.append(f"({table.geom} && %s AND {exact})")
            values += [area, envelope(inner), area]
    return f" AND ({' OR '.join(parts)}{placeless})", values


_POLYGON = struct.Struct("<BIIII10d")
_LINE = struct.Struct("<BIII4d")
_POINT = struct.Struct("<BII2d")


def envelope(box: Bbox) -> Ewkb:
    """A box as EWKB: a polygon, or the line or point that it has shrunk to."""
    x1, y1, x2, y2 = box
    if x1 == x2 and y1 == y2:
        return Ewkb(_POINT.pack(1, 0x20000001, 4326, x1, y1))
    if x1 == x2 or y1 == y2:
        return Ewkb(_LINE.pack(1, 0x20000002, 4326, 2, x1, y1, x2, y2))
    return Ewkb(_POLYGON.pack(1, 0x20000003, 4326, 1, 5, x1, y1, x1, y2, x2, y2, x2, y1, x1, y1))


def inside(box: Bbox) -> Bbox | None:
    """A box that is within also after PostGIS has rounded it outward to 32-bit floats, as ``@`` compares."""
    west, south, east, north = box
    west, south = west + abs(west) * _ROUNDING, south + abs(south) * _ROUNDING
    east, north = east - abs(east) * _ROUNDING, north - abs(north) * _ROUNDING
    if west < east and south < north and max(abs(v) for v in box) < _FLOAT32:
        return west, south, east, north
    return None


_ROUNDING = 5e-7  # four times the distance of neighbouring 32-bit floats
_FLOAT32 = 1e38


def bodies(table: LayerTable, page: RowPage, crs: str) -> list[bytes]:
    """GeoJSON of the rows of a page."""
    if not page.rows:
        return []
    count = 2 + len(page.fields)
    stored = [row[1] for row in page.rows]
    sound = unreadable.sound(table.id, (row[0] for row in page.rows), stored)
    shapes = project.to_lonlat(table, geometries(sound))
    values = (row[2:count] for row in page.rows)
    tails = geojson.projected(shapes, page.fields, values, crs)
    return [geojson.feature(row[0], tail) for row, tail in zip(page.rows, tails, strict=True)]


def item(con: Connection, table: LayerTable, fid: int) -> tuple[SnapshotState, tuple[int, RowPage]]:
    """One feature with its revision, in one statement; no row when it is not there."""
    sql = table.memo.get("item")
    if sql is None:
        columns = "".join(f", {table.column(f)}" for f in table.fields)
        sql = table.memo["item"] = (
            f"SELECT s.state, {revision_sql(table)}, {table.fid}, {table.shape}{columns}"
            f" FROM ({state_sql(table.schema, table)}) s"
            f" LEFT JOIN {table.relation} t ON {table.fid} = %s"
        )
    with ReadingErrors():
        records = con.execute(sql, (Int8(fid), Int8(fid)), binary=True).fetchall()
    row, now = records[0], state(records[0][0])
    rows = [one[2:] for one in records if one[2] is not None]
    return now, (row[1], RowPage(now, table.fields, rows))


def revision_sql(table: LayerTable) -> str:
    """The highest log number of a feature (the one parameter), or of its layer as a whole."""
    s, layer, upto = bound(table.schema), literal(table.id), table.upto
    newest = f"SELECT coalesce(max(seq), 0) FROM {s}.twin_changes WHERE layer = {layer}"
    if upto is None:
        return f"greatest(({newest} AND fid = %s), ({newest} AND fid IS NULL))"
    old = (
        f"SELECT max(until) FROM {s}.twin_past WHERE layer = {layer} AND until <= {upto}"  # the log is pruned
    )
    return (
        f"(SELECT greatest(({newest} AND fid = v.fid AND seq <= {upto}), ({old} AND fid = v.fid),"
        f" ({newest} AND fid IS NULL AND seq <= {upto})) FROM (SELECT %s::bigint AS fid OFFSET 0) v)"
    )


def revision(con: Connection, table: LayerTable, fid: int) -> tuple[SnapshotState, tuple[int, bool]]:
    """The revision of a feature, and whether it is there."""
    sql = table.memo.get("revision")
    if sql is None:
        sql = table.memo["revision"] = (
            f"SELECT s.state, {revision_sql(table)},"
            f" EXISTS (SELECT FROM {table.relation} t WHERE {table.fid} = %s)"
            f" FROM ({state_sql(table.schema, table)}) s"
        )
    row = con.execute(sql, (Int8(fid), Int8(fid)), binary=True).fetchone()
    assert row is not None
    return state(row[0]), (row[1], row[2])


def placeless(con: Connection, table: LayerTable) -> tuple[SnapshotState, bool]:
    """Whether a registered table has a feature without a geometry."""
    row = con.execute(
        f"SELECT s.state, EXISTS (SELECT FROM {table.relation} t WHERE {table.null_geometry})"
        f" FROM ({state_sql(table.schema, table)}) s",
        (),
        binary=True,
    ).fetchone()
    assert row is not None
    return state(row[0]), row[1]


def as_columns(table: LayerTable, fields: Sequence[Field], rows: Sequence[tuple[Any, ...]]) -> Rows:
    """Rows of a page whose geometries are WKB as columns. Raises Unreadable."""
    columns = list(zip(*rows, strict=True)) or [()] * (2 + len(fields))
    wkb = unreadable.sound(table.id, columns[0], columns[1])
    if table.srid != 4326:
        wkb = project.wkb(table, geometries(wkb))
    return Rows(
        fids=np.asarray(columns[0], np.int64),
        wkb=wkb,
        properties={f.name: list(v) for f, v in zip(fields, columns[2:], strict=False)},
    )


def hold(con: Connection, relation: str) -> None:
    """Keep a table from being rewritten, before the moment of the transaction is taken: to an older moment
    a rewritten table looks empty (PostgreSQL's manual, "Caveats" of its chapter on concurrency control)."""
    con.execute(f"LOCK TABLE {relation} IN ACCESS SHARE MODE")


def everything(
    con: Connection, table: LayerTable, fids: Sequence[int] | None, meshes: bool, *, placed: bool = True
) -> tuple[SnapshotState, Rows]:
    """Features as columns, if ``placed`` those that have a geometry; within the caller's transaction."""
    conditions = [_placed(table)] if placed else []
    values = []
    if fids is not None:
        conditions.append(f"{table.fid} = ANY(%s)")
        values.append([int(f) for f in fids])
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    hold(con, table.raw)
    now = moment(con, table.schema, table)
    with ReadingErrors():
        rows = con.execute(
            f"SELECT {_columns(table)} FROM {table.relation} t{where} ORDER BY 1", values, binary=True
        ).fetchall()
    found = as_columns(table, table.fields, rows)
    found = unreadable.placed(found) if placed else found
    bodies_ = _meshes(con, table, fids) if meshes and table.source is None else {}
    return now, replace(found, meshes=bodies_)


def some(con: Connection, table: LayerTable, fids: Sequence[int]) -> tuple[SnapshotState, Rows]:
    """A few features that have a geometry as columns, in one statement."""
    sql = table.memo.get("some")
    if sql is None:
        sql = table.memo["some"] = (
            f"SELECT s.state, {_columns(table)} FROM ({state_sql(table.schema, table)}) s"
            f" LEFT JOIN {table.relation} t ON {table.fid} = ANY(%s) AND {_placed(table)} ORDER BY 2"
        )
    with ReadingErrors():
        records = con.execute(sql, ([int(f) for f in fids],), binary=True).fetchall()
    rows = [one[1:] for one in records if one[1] is not None]
    return state(records[0][0]), unreadable.placed(as_columns(table, table.fields, rows))


def _placed(table: LayerTable) -> str:
    return f"{table.shape} IS NOT NULL AND NOT ST_IsEmpty({table.shape})"


def _columns(table: LayerTable) -> str:
    columns = "".join(f", {table.column(f)}" for f in table.fields)
    return f"{table.fid}, {shape_sql(table, True)}{columns}"


def _meshes(con: Connection, table: LayerTable, fids: Sequence[int] | None) -> dict[int, Mesh]:
    chosen, values = ("", []) if fids is None else (" WHERE fid = ANY(%s)", [[int(f) for f in fids]])
    sql = f"SELECT fid, body FROM {table.meshes} m{chosen} ORDER BY fid"
    records = con.execute(sql, values, binary=True).fetchall()
    return unreadable.meshes(table.id, records)


def batches(con: Connection, table: LayerTable, query: Query, size: int) -> Iterator[Rows]:
    """Everything a query selects, in batches, by a cursor of the caller's transaction."""
    fields = chosen_fields(table, query)
    columns = "".join(f", {table.column(f)}" for f in fields)
    conditions, values = selection(table, query)
    by, by_values = compile.order(Postgis(table), query)
    limit = "" if query.limit is None else f" LIMIT {query.limit} OFFSET {query.offset}"
    with ReadingErrors(query), con.cursor("twin_scan", binary=True) as cursor:
        cursor.execute(
            f"SELECT {table.fid}, {shape_sql(table, True)}{columns} FROM {table.relation} t"
            f" WHERE true{conditions} ORDER BY {by}{limit}",
            [*values, *by_values],
        )
        while rows := cursor.fetchmany(size):
            yield as_columns(table, fields, rows)
