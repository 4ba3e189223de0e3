"""Which features a query selects: how many in all, and those of one page in their order.

A box is answered by the R-tree alone for almost every feature; the geometry is read only for those
whose box meets a corner of it or reaches across it. A feature without a place meets every box
(17-069r4, /req/core/fc-bbox-response C). Everything that must hold every match in memory
stops at ``FEW``; beyond it the same is asked of SQLite again with a limit.
"""

# Identifiers come quoted from the catalog and values are bound: ruff cannot see that.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from layers.model import Bbox, Cursor, Layer, Query
from layers.store import compile, geojson
from layers.store.geopackage import blob
from layers.store.geopackage.catalog import Table
from layers.store.geopackage.filter import Sqlite
from layers.store.geopackage.view import View, listed

FEW = 20_000
_HANDFUL = 300
_GEOMETRIES = 1_000  # read at once for the exact test


@dataclass(frozen=True, slots=True)
class Chosen:
    """The features of a page in order, how many match in all, and whether more follow."""

    fids: list[int]
    matched: int
    more: bool


@dataclass(frozen=True, slots=True)
class Source:
    """``FROM … WHERE …`` of the matching features, with the alias ``t`` for their table."""

    sql: str
    values: list[Any]


def choose(view: View, table: Table, query: Query, layer: Layer) -> Chosen:
    """The page of a query. ``layer`` is the table's summary at this snapshot.

    Raises BadParameter: a property that is not a field."""
    query = simplified(query, layer)
    where, values = _where(table, query, layer)
    boxes = _boxes(query)
    found = few(view, table, boxes, where, values) if boxes or where else None
    if found is None:
        matched = layer.count
        source = Source(f"FROM {table.name} t WHERE 1", [])
        if boxes or where:
            source = matching(view, table, boxes, where, values, whole=bool(query.sort))
            matched = view.con.execute(f"SELECT count(*) {source.sql}", source.values).fetchone()[0]
        return _page(view, table, query, source, matched)
    if query.sort:
        source = Source(
            f"FROM json_each(?) e CROSS JOIN {table.name} t ON t.fid = e.value WHERE 1", [listed(found)]
        )
        return _page(view, table, query, source, len(found))
    return _slice(np.sort(np.array(found, np.int64)), query)


def _slice(found: NDArray[np.int64], query: Query) -> Chosen:
    """The page of features that are all at hand, in order of fid."""
    start = query.offset
    if query.after is not None:
        start += int(np.searchsorted(found, np.int64(str(query.after[-1])), side="right"))
    fids = found[start : start + (query.limit or 0)].tolist()
    return Chosen(fids, len(found), bool(fids) and start + len(fids) < len(found))


def _page(view: View, table: Table, query: Query, source: Source, matched: int) -> Chosen:
    """One page in the order of the query, with one feature more to see whether any follow."""
    limit = query.limit or 0
    after, bound = compile.after(Sqlite(table), query)
    order, keys = compile.order(Sqlite(table), query)
    rows = view.con.execute(
        f"SELECT t.fid {source.sql}{after} ORDER BY {order} LIMIT ? OFFSET ?",
        (*source.values, *bound, *keys, limit + 1, query.offset),
    ).fetchall()
    return Chosen([row[0] for row in rows[:limit]], matched, len(rows) > limit)


def cursor(view: View, table: Table, query: Query, fid: int) -> Cursor:
    """The cursor of a feature: the values of the sort fields, then its fid."""
    if not query.sort:
        return (fid,)
    keys = compile.sort_values(Sqlite(table), query)
    row = view.fetch(f"SELECT t.fid{keys} FROM {table.name} t WHERE t.fid = ?", (fid,))[0]
    fields = [table.field(key.field) for key in query.sort]
    values = zip(fields, row[1:], strict=True)
    return (*(geojson.boolean(v) if f and f.type == "boolean" else v for f, v in values), fid)  # type: ignore[arg-type]


def ordered(view: View, table: Table, query: Query, layer: Layer) -> Source:
    """Everything a query selects, as a subquery of fids ``q`` in its order, for a whole download."""
    query = simplified(query, layer)
    where, values = _where(table, query, layer)
    source = matching(view, table, _boxes(query), where, values, whole=bool(query.sort))
    order, keys = compile.order(Sqlite(table), query)
    # a LIMIT keeps SQLite from dropping the order, and from sorting whole rows instead of their keys
    return Source(
        f"FROM (SELECT t.fid AS fid {source.sql} ORDER BY {order} LIMIT -1) q"
        f" CROSS JOIN {table.name} t ON t.fid = q.fid",
        [*source.values, *keys],
    )


def simplified(query: Query, layer: Layer) -> Query:
    """Without a box that holds every feature, as the first box of a map client often does."""
    if query.bbox is None or not _holds(query.bbox, layer.extent):
        return query
    return replace(query, bbox=None)


def _where(table: Table, query: Query, layer: Layer) -> tuple[str, list[Any]]:
    """The conditions on properties, behind the R-tree's answer to those on the geometry."""
    where, values = compile.where(Sqlite(table), query)
    box = compile.envelope(query)
    if box is None or _holds(box, layer.extent):
        return where, values
    near = f" AND t.fid IN (SELECT n.id FROM {table.rtree} n WHERE {_overlap('n')})"
    return near + where, [*_overlapping(box), *values]


def _holds(box: Bbox, extent: Bbox | None) -> bool:
    return extent is not None and (
        box[0] <= extent[0] and box[1] <= extent[1] and extent[2] <= box[2] and extent[3] <= box[3]
    )


def _boxes(query: Query) -> list[Bbox]:
    """The box of a query; one that crosses the antimeridian (west > east) is two."""
    if query.bbox is None:
        return []
    west, south, east, north = query.bbox
    if west <= east:
        return [query.bbox]
    return [(west, south, 180.0, north), (-180.0, south, east, north)]


def _overlap(alias: str) -> str:
    return f"{alias}.maxx >= ? AND {alias}.minx <= ? AND {alias}.maxy >= ? AND {alias}.miny <= ?"


def _overlapping(box: Bbox) -> tuple[float, ...]:
    west, south, east, north = box
    return west, east, south, north


# A feature touches every side of its own box. So it meets the query's box for certain when its box
# lies between two opposite sides of it and has one of its own other sides inside, the more when it
# lies inside whole. What is left crosses a corner, or reaches across. The R-tree's 32-bit boxes are
# rounded outward by less than 2**-21 of the number, hence the margin on the side that must be inside.
_SURE = (
    "r.minx >= ? AND r.maxx <= ? AND (r.maxy BETWEEN ? AND ? OR r.miny BETWEEN ? AND ?)"
    " OR r.miny >= ? AND r.maxy <= ? AND (r.maxx BETWEEN ? AND ? OR r.minx BETWEEN ? AND ?)"
)
_ROUNDING = 2.0**-21


def _surely(box: Bbox) -> tuple[float, ...]:
    west, south, east, north = box
    dx, dy = _margins(box)
    across = (west, east, south + dy, north, south, north - dy)
    return (*across, south, north, west + dx, east, west, east - dx)


def _margins(box: Bbox) -> tuple[float, float]:
    west, south, east, north = box
    return max(abs(west), abs(east)) * _ROUNDING, max(abs(south), abs(north)) * _ROUNDING


def _frame(box: Bbox) -> list[Bbox]:
    """The four sides of a box: whatever lies within them is certain."""
    west, south, east, north = box
    dx, dy = _margins(box)
    return [
        (west, south, west + dx, north),
        (east - dx, south, east, north),
        (west, south, east, south + dy),
        (west, north - dy, east, north),
    ]


def few(
    view: View, table: Table, boxes: Sequence[Bbox], where: str, values: Sequence[Any]
) -> list[int] | None:
    """The matching features in no order; None when they are more than ``FEW``."""
    if not boxes:
        return _up_to_few(view, f"SELECT t.fid AS id FROM {table.name} t WHERE 1{where}", values)
    join = f" JOIN {table.name} t ON t.fid = r.id" if where else ""
    sql = f"SELECT r.id AS id FROM {table.rtree} r{join} WHERE {_overlap('r')}{where}"
    all_: list[int] = []
    for box in boxes:
        found = _up_to_few(view, sql, (*_overlapping(box), *values))
        if found is None:
            return None
        # a second walk of the R-tree costs less than a first one that gives the certainty of each
        outside = _outside(view, table, box, len(found)) if found else None
        all_ += [fid for fid in found if fid not in outside] if outside else found
    if view.unplaced(table):
        join = f" JOIN {table.name} t ON t.fid = u.fid" if where else ""
        sql = f"SELECT u.fid AS id FROM twin_unplaced u{join} WHERE u.layer = ?{where}"
        found = _up_to_few(view, sql, (table.id, *values))
        if found is None:
            return None
        all_ += found
    return all_ if len(boxes) == 1 else list(set(all_))


def _up_to_few(view: View, sql: str, values: Sequence[Any]) -> list[int] | None:
    row = view.con.execute(f"SELECT group_concat(id) FROM ({sql} LIMIT ?)", (*values, FEW + 1)).fetchone()
    found = _numbers(row[0])
    return found if len(found) <= FEW else None


def _numbers(text: str | None) -> list[int]:
    found: list[int] = [] if text is None else orjson.loads(f"[{text}]")
    return found


def matching(
    view: View, table: Table, boxes: Sequence[Bbox], where: str, values: Sequence[Any], *, whole: bool
) -> Source:
    """The features that meet one of the boxes, if there are any, and fulfil the conditions.

    ``whole``: every column is needed, not just ``t.fid``."""
    if not boxes:
        return Source(f"FROM {table.name} t WHERE 1{where}", [*values])
    parts, bound = [], []
    for box in boxes:
        outside = _outside(view, table, box, FEW)
        parts.append(
            f"SELECT r.id AS fid FROM {table.rtree} r WHERE {_overlap('r')}"
            + (" AND r.id NOT IN (SELECT value FROM json_each(?))" if outside else "")
        )
        bound += [*_overlapping(box), *([listed(outside)] if outside else [])]
    if view.unplaced(table):
        parts.append("SELECT u.fid FROM twin_unplaced u WHERE u.layer = ?")
        bound.append(table.id)
    ids = f"({' UNION '.join(parts)})"
    if not where and not whole:
        return Source(f"FROM {ids} t WHERE 1", bound)
    return Source(f"FROM {ids} r JOIN {table.name} t ON t.fid = r.fid WHERE 1{where}", [*bound, *values])


def _outside(view: View, table: Table, box: Bbox, about: int) -> set[int]:
    """The features, of ``about`` so many, that the R-tree gives for a box but that do not meet it."""
    sql = f"SELECT r.id FROM {table.rtree} r WHERE {_overlap('r')} AND NOT ({_SURE})"
    outside: set[int] = set()
    # to look at all of a handful of features costs less than to ask four times
    for part in [box] if about < _HANDFUL else _frame(box):
        cursor = view.con.execute(sql, (*_overlapping(part), *_surely(box)))
        while rows := cursor.fetchmany(_GEOMETRIES):
            unsure = {row[0] for row in rows} - outside
            outside |= unsure.difference(touching(view, table, box, unsure))
    return outside


def touching(view: View, table: Table, bbox: Bbox, fids: Iterable[int]) -> list[int]:
    """Those of the features whose geometry meets the box."""
    import shapely

    rows = view.con.execute(
        f"SELECT t.fid, t.geom FROM {table.name} t WHERE t.fid IN (SELECT value FROM json_each(?))",
        (listed(fids),),
    ).fetchall()
    area = _area(bbox)
    if len(rows) > 10:  # preparing costs what ten tests do
        shapely.prepare(area)
    hits = shapely.intersects(area, blob.shapes([row[1] for row in rows]))
    return [row[0] for row, hit in zip(rows, hits.tolist(), strict=True) if hit]


def _area(bbox: Bbox) -> Any:
    import shapely

    west, south, east, north = bbox
    if west == east and south == north:
        return shapely.Point(west, south)
    if west == east or south == north:
        return shapely.LineString([(west, south), (east, north)])
    return shapely.box(west, south, east, north)
