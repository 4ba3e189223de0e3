"""A layer becomes what it was after a change of the log, as a new generation, in one transaction.

Its rows are copied from the old rows inside the file, value by value, so that nothing passes a format on its
way. One that is gone is made anew; of one that there is, what changed since is written back.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from layers.errors import Conflict, Gone, NotFound, shown
from layers.store import layer_record, matching
from layers.store.geopackage import (
    catalog,
    forms,
    keeping,
    log,
    past,
    publish,
    recorded,
    rtree,
    schema,
    triggers,
)
from layers.store.geopackage.catalog import FeatureTable
from layers.store.geopackage.connection import quoted
from layers.types import Field

#: The old rows by which a layer becomes what it was: of each feature, its old row then, null where none.
_FORMER = "temp.twin_former"


def revert(con: sqlite3.Connection, layer: str, seq: int, unchanged_since: int) -> int | None:
    """Within the caller's transaction; the new generation, None where there was no such layer then.

    Raises Conflict, Gone, NotFound as :meth:`layers.store.base.Store.revert`."""
    if layer not in recorded.layers(con):
        raise NotFound(f"there is no layer {shown(layer)}")
    newest = con.execute("SELECT max(seq) FROM twin_changes WHERE layer=?", (layer,)).fetchone()[0] or 0
    if newest > unchanged_since:
        raise Conflict(f"layer {layer} was changed meanwhile, by change @{newest}")
    if keeping.since(con, layer) > seq:
        raise Gone(f"what layer {layer} was after change @{seq} is not kept")
    record = recorded.at(con, layer, seq)
    if forms.present(con, layer) is not None or (record is not None and record["table"] == "twin_forms"):
        raise Conflict(f"layer {layer} has another form than features: it is not taken back")
    present = catalog.tables(con).get(layer)
    if record is None:
        if present is not None:
            publish.drop(con, layer)
        return None
    then = FeatureTable(**catalog.described(record)).usable()
    with recorded.kept(con, layer):
        generation = publish.generation(con, layer) + 1
        places = _places(con, layer, seq)
        if present is None:
            _find(con, layer, seq, recorded.ended(con, layer, seq))
            _make(con, then, places)
        else:
            present.usable()
            if recorded.ended(con, layer, seq) is not None:
                raise Conflict(f"layer {layer} was dropped since, and made again")
            _find(con, layer, seq, None)
            _renew(con, present, then, places)
        con.execute("DROP TABLE temp.twin_former")
        _register(con, record, generation, keep=present is not None)
    return generation


def _find(con: sqlite3.Connection, layer: str, seq: int, end: int | None) -> None:
    """Which old row each feature had after a change, of those that changed since: (fid, n)."""
    con.execute("CREATE TEMP TABLE IF NOT EXISTS twin_former (fid INTEGER PRIMARY KEY, n INTEGER)")
    con.execute("DELETE FROM temp.twin_former")
    if past.is_there(con, layer):
        until = "" if end is None else f" AND until <= {end}"
        first = f"SELECT fid, n, there, min(until) FROM {_old(layer)} WHERE until > {seq}{until} GROUP BY fid"
        con.execute(f"INSERT INTO {_FORMER} SELECT fid, CASE WHEN there THEN n END FROM ({first})")


def _places(con: sqlite3.Connection, layer: str, seq: int) -> dict[str, tuple[str, str]]:
    """Of each column that the layer had: in which of its old rows its values are, and their affinity."""
    rows = con.execute(
        "SELECT name, place, type FROM twin_columns WHERE layer=? AND first <= ?"
        " AND (until IS NULL OR until > ?) ORDER BY rowid",
        (layer, seq, seq),
    )
    return {name: (place, type_) for name, place, type_ in rows}


def _old(layer: str) -> str:
    return f"main.{quoted(past.table(layer))}"


def _then(layer: str, some: str = "f.n IS NOT NULL") -> str:
    """The old rows ``p`` of features ``f``."""
    return f"{_FORMER} f CROSS JOIN {_old(layer)} p ON p.n = f.n WHERE {some}"


def _make(con: sqlite3.Connection, then: FeatureTable, places: Mapping[str, tuple[str, str]]) -> None:
    """The layer anew, filled; one log row for the whole."""
    layer = then.id
    if con.execute("SELECT 1 FROM sqlite_master WHERE lower(name)=?", (layer,)).fetchone() is not None:
        raise Conflict(f"the store has a table {layer} of another program by now")
    high = publish.high_fid(con, layer)
    schema.create_layer(con, layer, then.fields, then.geometry_type)
    known = {field.name for field in then.fields}
    for name, (_, type_) in places.items():
        if name not in known and name != "source_id":  # of bytes, which are no field
            con.execute(f"ALTER TABLE {quoted(layer)} ADD COLUMN {quoted(name)} {type_}")
    _insert(con, layer, places, "f.n IS NOT NULL")
    con.execute(
        "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?",
        (high, layer),
    )
    if not con.execute("SELECT changes()").fetchone()[0]:
        con.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?,?)", (layer, high))
    rtree.fill(con, schema.rtree(layer), _boxes(layer))
    schema.index_sources(con, layer)
    _bodies(con, layer)
    past.settle(con, layer, log.last_seq(con) + 1)
    triggers.create(con, layer)
    log.whole(con, layer, None, catalog.extent(con, layer))


def _renew(
    con: sqlite3.Connection, present: FeatureTable, then: FeatureTable, places: Mapping[str, tuple[str, str]]
) -> None:
    """Write back what changed since, fields that came and went among it; one log row for the whole."""
    layer, until = present.id, log.last_seq(con) + 1
    old = catalog.extent(con, layer)
    change = matching.altered(_by_name(present), present.fields, then.fields, "replace")
    publish.alter(con, present, change, until)
    triggers.drop(con, layer)
    here = f"SELECT fid FROM main.{quoted(layer)}"
    if keeping.is_kept(con, layer):
        past.keep_rows(con, layer, until, f"t.fid IN (SELECT fid FROM {_FORMER})")
        made = f"SELECT fid FROM {_FORMER} WHERE n IS NOT NULL AND fid NOT IN ({here})"
        past.keep_births(con, layer, until, made)
    con.execute(f"DELETE FROM {quoted(layer)} WHERE fid IN (SELECT fid FROM {_FORMER} WHERE n IS NULL)")
    columns = _columns(con, layer, places)
    names = ", ".join(["geom", *columns])
    values = ", ".join([past.geometry(layer, present=True), *columns.values()])
    con.execute(
        f"UPDATE {quoted(layer)} AS t SET ({names}) = (SELECT {values} FROM {_then(layer, 'f.fid = t.fid')})"
        f" WHERE fid IN (SELECT fid FROM {_FORMER} WHERE n IS NOT NULL)"
    )
    _insert(con, layer, places, f"f.fid NOT IN ({here})")
    for table in (schema.json_table(layer), schema.mesh_table(layer)):
        con.execute(f"DELETE FROM {quoted(table)} WHERE fid IN (SELECT fid FROM {_FORMER})")
    if change.drop or change.add:
        con.execute(f"DELETE FROM {quoted(schema.json_table(layer))}")
    _bodies(con, layer)
    index = quoted(schema.rtree(layer))
    staying = (
        f"SELECT i.id, i.minx, i.maxx, i.miny, i.maxy FROM {index} i"
        f" WHERE i.id NOT IN (SELECT fid FROM {_FORMER})"
    )
    rtree.fill(con, schema.rtree(layer), f"{staying} UNION ALL {_boxes(layer)}")
    triggers.create(con, layer)
    log.whole(con, layer, old, catalog.extent(con, layer))


def _by_name(table: FeatureTable) -> dict[str, Field]:
    return {field.name: field for field in table.fields}


def _columns(con: sqlite3.Connection, layer: str, places: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """The layer's columns, quoted, with how they are read of an old row ``p``."""
    info = con.execute(f"PRAGMA table_info({quoted(layer)})").fetchall()
    present = {row[1] for row in info}
    return {quoted(name): f"p.{quoted(place)}" for name, (place, _) in places.items() if name in present}


def _insert(con: sqlite3.Connection, layer: str, places: Mapping[str, tuple[str, str]], some: str) -> None:
    columns = _columns(con, layer, places)
    names = ", ".join(["fid, geom", *columns])
    values = ", ".join(["p.fid", past.geometry(layer, present=True), *columns.values()])
    con.execute(f"INSERT INTO {quoted(layer)} ({names}) SELECT {values} FROM {_then(layer, some)}")


def _bodies(con: sqlite3.Connection, layer: str) -> None:
    con.execute(
        f"INSERT INTO {quoted(schema.mesh_table(layer))} (fid, body)"
        f" SELECT p.fid, {past.body(layer, present=True)} FROM {_then(layer, past.HAS_BODY)}"
    )


def _boxes(layer: str) -> str:
    return f"SELECT p.fid, p.minx, p.maxx, p.miny, p.maxy FROM {_then(layer, 'p.minx IS NOT NULL')}"


#: Whether a geometry has heights, as far as its header or, of a point, its WKB begins.
_HIGH = "substr(geom, 4, 1) IN (x'05', x'07') OR substr(geom, 9, 5) = x'01E9030000'"


def _register(con: sqlite3.Connection, record: Mapping[str, Any], generation: int, *, keep: bool) -> None:
    """What the store and GeoPackage say of the layer, as they did then."""
    layer = record["id"]
    said = {name: value for name, value in record.items() if name != "table"}
    columns = json.dumps(catalog.columns(con, layer))
    said |= {"generation": generation, "state": layer_record.OK, "columns": columns}
    con.execute(
        f"INSERT OR REPLACE INTO twin_layers ({', '.join(said)}) VALUES ({', '.join('?' * len(said))})",
        tuple(said.values()),
    )
    high = con.execute(f"SELECT EXISTS (SELECT 1 FROM {quoted(layer)} WHERE {_HIGH})").fetchone()[0]
    publish.describe(
        con,
        layer,
        record["geometry_type"],
        record["time_field"],
        json.loads(record["key"]),
        high=bool(high),
        keep=keep,
        whole=True,
    )
