"""Pages and items: which features match, and their bytes."""

# Identifiers come quoted from the catalog and values are bound: ruff cannot see that.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np

from layers.errors import BadParameter
from layers.model import CRS84, Bbox, Layer, Mesh, Page, Query, Rows
from layers.store import geojson
from layers.store.geopackage import blob
from layers.store.geopackage.catalog import Table
from layers.store.geopackage.connection import quoted
from layers.store.geopackage.schema import rtree
from layers.store.geopackage.view import View, encode, listed


@dataclass(frozen=True, slots=True)
class Chosen:
    """The features of a page, in order, how many match in all, and whether more follow."""

    fids: list[int]
    matched: int
    more: bool


def page(view: View, table: Table, query: Query, layer: Layer) -> tuple[Page, dict[int, bytes]]:
    """A page, and the GeoJSON that had to be made for it (to be kept by the caller).

    ``layer`` is the table's summary at this snapshot."""
    if query.bbox is not None and _everything(view, table, query.bbox, layer):
        query = replace(query, bbox=None)
    stored = _stored(view, table, query, layer.count)
    if stored is not None:
        return stored, {}
    chosen = choose(view, table, query, layer.count)
    made: dict[int, bytes] = {}
    if query.crs == CRS84:
        bodies, made = texts(view, table, chosen.fids)
    else:
        bodies = projected(view, table, chosen.fids, query.crs)
    after = chosen.fids[-1] if chosen.more and chosen.fids else None
    return Page(b",".join(bodies), len(bodies), chosen.matched, after), made


def _stored(view: View, table: Table, query: Query, count: int) -> Page | None:
    """A page without conditions whose GeoJSON is all stored, joined by SQLite in one statement.

    None where it does not apply. A thousand rows as Python objects cost twice what joining them does."""
    if query.bbox or query.equals or query.datetime or query.crs != CRS84 or not table.trusted:
        return None
    after = -(2**63) if query.after is None else query.after
    returned, kept, last, body = view.con.execute(
        "SELECT count(*), count(body), max(fid), CAST(group_concat(body, ',') AS BLOB) FROM"
        f" (SELECT t.fid AS fid, j.body AS body FROM {table.name} t LEFT JOIN {table.json} j ON j.fid = t.fid"
        " WHERE t.fid > ? ORDER BY t.fid LIMIT ? OFFSET ?)",
        (after, query.limit, query.offset),
    ).fetchone()
    if kept < returned:
        return None
    more = returned == query.limit and _follows(view, table, last)
    return Page(body or b"", returned, count, last if more else None)


def _follows(view: View, table: Table, fid: int) -> bool:
    found = view.con.execute(f"SELECT 1 FROM {table.name} t WHERE t.fid > ? LIMIT 1", (fid,)).fetchone()
    return found is not None


def choose(view: View, table: Table, query: Query, count: int) -> Chosen:
    """Which features a query selects. Raises BadParameter for a property that is not a field."""
    where, values = conditions(table, query)
    if query.bbox is None:
        return _by_key(view, table, query, where, values, count)
    matching = sorted(within(view, table, query.bbox, where, values))
    start = query.offset
    if query.after is not None:
        start += int(np.searchsorted(np.asarray(matching, np.int64), query.after, side="right"))
    fids = matching[start : start + query.limit]
    return Chosen(fids, len(matching), start + len(fids) < len(matching))


def _everything(view: View, table: Table, bbox: Bbox, layer: Layer) -> bool:
    """Whether a box holds every feature, as the first box of a map client often does."""
    box = layer.extent
    if box is None or not (
        bbox[0] <= box[0] and bbox[1] <= box[1] and box[2] <= bbox[2] and box[3] <= bbox[3]
    ):
        return False
    indexed = f"SELECT count(*) FROM {quoted(rtree(table.id) + '_rowid')}"
    return bool(view.con.execute(indexed).fetchone()[0] == layer.count)  # else some have no geometry


def _by_key(view: View, table: Table, query: Query, where: str, values: Sequence[Any], count: int) -> Chosen:
    if where:
        sql = f"SELECT count(*) FROM {table.name} t WHERE 1{where}"
        count = view.con.execute(sql, values).fetchone()[0]
    rows = view.con.execute(
        f"SELECT t.fid FROM {table.name} t WHERE t.fid > ?{where} ORDER BY t.fid LIMIT ? OFFSET ?",
        (-(2**63) if query.after is None else query.after, *values, query.limit + 1, query.offset),
    ).fetchall()
    return Chosen([row[0] for row in rows[: query.limit]], count, len(rows) > query.limit)


def conditions(table: Table, query: Query) -> tuple[str, list[Any]]:
    """SQL conditions on properties and time, and their bound values."""
    parts, values = [], []
    for name, value in query.equals:
        if table.field(name) is None:
            raise BadParameter(name, value, f"layer {table.id} has no such property")
        parts.append(f" AND t.{quoted(name)} = ?")
        values.append(int(value) if isinstance(value, bool) else value)
    if query.datetime is not None and table.time_field is not None:
        field = table.field(table.time_field)
        if field is not None:
            sql, bounds = _time(field.name, field.type == "date", query.datetime)
            parts.append(sql)
            values.extend(bounds)
    return "".join(parts), values


def _time(name: str, day: bool, interval: tuple[str | None, str | None]) -> tuple[str, list[str]]:
    # strftime brings the spellings of other programs (no fraction, an offset) to the one of the bounds;
    # the plain comparison before it, a day wider for any offset, spares it for most rows.
    raw = f"t.{quoted(name)}"
    column = raw if day else f"strftime('%Y-%m-%dT%H:%M:%fZ', {raw})"
    parts, values = [], []
    for bound, operator, days in zip(interval, (">=", "<="), (-1, 2), strict=True):
        if bound is None:
            continue
        if not day and (rough := _shifted(bound[:10], days)):
            parts.append(f" AND {raw} {operator} ?")
            values.append(rough)
        parts.append(f" AND {column} {operator} ?")
        values.append(bound[:10] if day else bound)
    return "".join(parts), values


def _shifted(text: str, days: int) -> str | None:
    try:
        return (date.fromisoformat(text) + timedelta(days=days)).isoformat()
    except (ValueError, OverflowError):
        return None


def within(view: View, table: Table, bbox: Bbox, where: str, values: Sequence[Any]) -> list[int]:
    """Features that intersect a box; one that crosses the antimeridian (west > east) is two boxes."""
    west, south, east, north = bbox
    if west <= east:
        return _within(view, table, bbox, where, values)
    left = _within(view, table, (west, south, 180.0, north), where, values)
    right = _within(view, table, (-180.0, south, east, north), where, values)
    return list({*left, *right})


def _within(view: View, table: Table, bbox: Bbox, where: str, values: Sequence[Any]) -> list[int]:
    # The R-tree rounds its 32-bit boxes outward: a box inside is certain, one that crosses an edge is not.
    west, south, east, north = bbox
    join = f" JOIN {table.name} t ON t.fid = r.id" if where else ""
    rows = view.con.execute(
        f"SELECT r.id, r.minx >= ? AND r.maxx <= ? AND r.miny >= ? AND r.maxy <= ? FROM {table.rtree} r{join}"
        f" WHERE r.maxx >= ? AND r.minx <= ? AND r.maxy >= ? AND r.miny <= ?{where}",
        (west, east, south, north, west, east, south, north, *values),
    ).fetchall()
    certain = [fid for fid, inside in rows if inside]
    crossing = [fid for fid, inside in rows if not inside]
    return certain + _touching(view, table, bbox, crossing) if crossing else certain


def _touching(view: View, table: Table, bbox: Bbox, fids: list[int]) -> list[int]:
    import shapely

    rows = view.con.execute(
        f"SELECT t.fid, t.geom FROM {table.name} t WHERE t.fid IN (SELECT value FROM json_each(?))",
        (listed(fids),),
    ).fetchall()
    area = _area(bbox)
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


def texts(view: View, table: Table, fids: list[int]) -> tuple[list[bytes], dict[int, bytes]]:
    """GeoJSON of features in order of fid, and the part of it that had to be made now."""
    kept: dict[int, bytes] = {}
    if table.trusted:
        kept = dict(
            view.con.execute(
                f"SELECT fid, body FROM {table.json} WHERE fid IN (SELECT value FROM json_each(?))",
                (listed(fids),),
            ).fetchall()
        )
    made = encode(view.con, table, [f for f in fids if f not in kept]) if len(kept) < len(fids) else {}
    kept |= made
    return [kept[fid] for fid in fids if fid in kept], made


def projected(view: View, table: Table, fids: list[int], crs: str) -> list[bytes]:
    """GeoJSON of features in another CRS, in the axis order of its authority."""
    import layers.crs as crs_

    rows = view.fetch(
        f"SELECT t.fid, t.geom{table.columns} FROM {table.name} t"
        " WHERE t.fid IN (SELECT value FROM json_each(?)) ORDER BY t.fid",
        (listed(fids),),
    )
    shapes = crs_.shapes_from_lonlat(blob.shapes([row[1] for row in rows]), crs)
    decimals = geojson.DEGREE_DECIMALS if crs_.is_geographic(crs) else geojson.METRE_DECIMALS
    pairs = zip(
        rows,
        geojson.geometries(shapes, decimals),
        geojson.properties(table.fields, (row[2:] for row in rows)),
        strict=True,
    )
    return [
        geojson.feature(row[0], b',"geometry":' + g.encode() + b',"properties":' + p + b"}")
        for row, g, p in pairs
    ]


def rows(view: View, table: Table, fids: Sequence[int] | None, meshes: bool) -> Rows:
    """Features that have a geometry, as columns."""
    chosen = "" if fids is None else " AND t.fid IN (SELECT value FROM json_each(?))"
    bound = () if fids is None else (listed(int(f) for f in fids),)
    found = view.fetch(
        f"SELECT t.fid, t.geom{table.columns} FROM {table.name} t"
        f" WHERE t.geom IS NOT NULL AND NOT ST_IsEmpty(t.geom){chosen} ORDER BY t.fid",
        bound,
    )
    columns = list(zip(*found, strict=True)) or [()] * (2 + len(table.fields))
    properties = {
        field.name: [geojson.boolean(v) for v in values] if field.type == "boolean" else list(values)
        for field, values in zip(table.fields, columns[2:], strict=True)
    }
    return Rows(
        fids=np.asarray(columns[0], np.int64),
        wkb=[blob.wkb(value) for value in columns[1]],
        properties=properties,
        meshes=_meshes(view, table, fids) if meshes else {},
    )


def _meshes(view: View, table: Table, fids: Sequence[int] | None) -> dict[int, Mesh]:
    chosen = "" if fids is None else " WHERE fid IN (SELECT value FROM json_each(?))"
    bound = () if fids is None else (listed(int(f) for f in fids),)
    found = view.con.execute(f"SELECT fid, body FROM {table.mesh}{chosen}", bound).fetchall()
    return {fid: Mesh.from_bytes(body) for fid, body in found}
