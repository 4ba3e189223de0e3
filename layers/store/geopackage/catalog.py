"""What the file says of its layers, and whether that is still true after other programs wrote to it."""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from layers.store.geopackage import keeping, log, past, recorded, schema, triggers
from layers.store.geopackage.connection import quoted
from layers.store.layer_record import MISSING, OK, LayerRecord, read_mark
from layers.types import Bbox, Field, FieldType, GeometryType


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureTable(LayerRecord):
    """One layer as it lies in the file: its words, its property columns, its readiness."""

    trusted: bool = True  # False: a read-only file whose GeoJSON may lag behind its rows

    @property
    def in_order(self) -> bool:
        """Whether rows that are looked up for a list come in the order of the list."""
        return True

    @property
    def texts(self) -> str:
        """SQL of every feature's ``fid`` and stored GeoJSON ``body``, null where none is stored."""
        # a join costs a fifth less than a query for each row
        join = f"LEFT JOIN {self.json} j ON j.fid = t.fid"
        return f"SELECT t.fid AS fid, j.body AS body FROM {self.name} t {join}"

    @property
    def untold(self) -> str | None:
        """SQL of whether :attr:`texts` may lack features of fids above ``:after`` and up to ``:last``; None
        where it lacks none."""
        return None

    @property
    def name(self) -> str:
        """Quoted table name."""
        return quoted(self.id)

    @property
    def json(self) -> str:
        """Quoted name of the GeoJSON table."""
        return quoted(schema.json_table(self.id))

    @property
    def mesh(self) -> str:
        """Quoted name of the mesh table."""
        return quoted(schema.mesh_table(self.id))

    @property
    def rtree(self) -> str:
        """Quoted name of the R-tree."""
        return quoted(schema.rtree(self.id))

    @property
    def unplaced(self) -> str:
        """Name of the table of (layer, fid) of features that the R-tree cannot hold."""
        return "twin_unplaced"

    @property
    def columns(self) -> str:
        """Quoted property columns of alias ``t``, each preceded by a comma."""
        return self.named(self.fields)

    def named(self, fields: tuple[Field, ...]) -> str:
        """Quoted columns of some fields, of alias ``t``, each preceded by a comma."""
        return "".join(f", t.{quoted(f.name)}" for f in fields)


def tables(con: sqlite3.Connection) -> dict[str, FeatureTable]:
    """Every layer the store knows, by id, usable or not."""
    cursor = con.execute("SELECT * FROM twin_layers ORDER BY id")
    names = [column[0] for column in cursor.description]
    records = (dict(zip(names, row, strict=True)) for row in cursor)
    return {record["id"]: FeatureTable(**described(record)) for record in records}


def described(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a row of ``twin_layers``, by column, says of a layer: the arguments of a :class:`FeatureTable`."""
    return {
        "id": record["id"],
        "kind": record["kind"],
        "title": json.loads(record["title"]),
        "fields": _merged(json.loads(record["fields"]), json.loads(record["columns"])),
        "geometry_type": cast(GeometryType, record["geometry_type"]),
        "crs": record["crs"],
        "time_field": record["time_field"],
        "key": tuple(json.loads(record["key"])),
        "generation": record["generation"],
        "state": record["state"],
        "vertical_datum": record["vertical_datum"],
        "model_version": read_mark(record.get("model_version")),  # which records of before have not
    }


def _merged(stored: list[dict[str, Any]], columns: list[list[str]]) -> tuple[Field, ...]:
    """The fields of the load that are still columns, in its order, then columns added by other programs."""
    present = {column[0] for column in columns}
    known = [Field(**f) for f in stored if f["name"] in present]
    names = {f.name for f in known}
    added = [Field(name, cast(FieldType, kind)) for name, kind in columns if name not in names]
    return (*known, *added)


def columns(con: sqlite3.Connection, layer: str) -> list[list[str]] | None:
    """[name, field type] of the property columns, ``source_id`` first; None when no such table."""
    rows = con.execute(f"PRAGMA table_info({quoted(layer)})").fetchall()
    if not rows:
        return None
    pairs = [
        [row[1], kind] for row in rows if (kind := _field_type(row[2])) and row[1] not in ("fid", "geom")
    ]
    return sorted(pairs, key=lambda column: column[0] != "source_id")


def _field_type(declared: str) -> str | None:
    """The field type of a GeoPackage column type (OGC 12-128r18 table 1); None for a BLOB."""
    base = declared.upper().split("(")[0].strip()
    if base == "BLOB":
        return None
    if base in ("BOOLEAN", "DATE", "DATETIME"):
        return base.lower()
    if base in ("INTEGER", "INT", "MEDIUMINT", "SMALLINT", "TINYINT"):
        return "integer"
    if base in ("REAL", "DOUBLE", "FLOAT"):
        return "number"
    return "string"


def shape(con: sqlite3.Connection) -> tuple[int, str]:
    """What moves when a program changes tables, triggers or registrations: compared, never read."""
    version = con.execute("PRAGMA schema_version").fetchone()[0]
    rows = con.execute(
        "SELECT table_name, column_name, srs_id FROM gpkg_geometry_columns ORDER BY table_name"
    ).fetchall()
    return int(version), repr(rows)


def count(con: sqlite3.Connection, table: FeatureTable) -> int:
    """How many features a layer has; no scan, unless the triggers that count are gone from a file that
    cannot be repaired."""
    row: tuple[int] | None = None
    if table.trusted:
        row = con.execute("SELECT features FROM twin_counts WHERE layer=?", (table.id,)).fetchone()
    return int((row or con.execute(f"SELECT count(*) FROM {table.name}").fetchone())[0])


def extent(con: sqlite3.Connection, layer: str) -> Bbox | None:
    """The union of the boxes in the root node of the R-tree: exact to 32-bit floats, rounded outward, but
    not beyond the world.

    One row instead of a scan; the node's form is fixed by SQLite's file format (ext/rtree/rtree.c)."""
    row = con.execute(f"SELECT data FROM {quoted(schema.rtree(layer) + '_node')} WHERE nodeno=1").fetchone()
    cells = struct.unpack_from(">H", row[0], 2)[0] if row else 0
    if not cells:
        return None
    boxes = [struct.unpack_from(">4f", row[0], 4 + 24 * cell + 8) for cell in range(cells)]
    west, east, south, north = zip(*boxes, strict=True)
    return max(min(west), -180.0), max(min(south), -90.0), min(max(east), 180.0), min(max(north), 90.0)


@dataclass(frozen=True, slots=True)
class Finding:
    """What verification found of one layer, against what the store remembers of it."""

    layer: str
    state: str
    columns: list[list[str]]
    replaced: bool  # the table is not the one our triggers were put on
    gap: bool  # rows may have been changed without their old ones being kept
    changed: bool  # something must be written: state, columns or triggers
    overtaken: bool  # triggers of another program run before those by which edits are logged


def examine(con: sqlite3.Connection) -> list[Finding]:
    """Compare every layer with its table, registrations, index and triggers."""
    entries = con.execute(
        "SELECT type, name, sql, lower(tbl_name) FROM sqlite_master ORDER BY rowid"
    ).fetchall()
    names = {(kind, name): sql for kind, name, sql, _ in entries}
    ordered: dict[str, list[str]] = {}
    for kind, name, _, table in entries:
        if kind == "trigger":
            ordered.setdefault(table, []).append(name)
    registered = dict(
        con.execute(
            "SELECT lower(c.table_name), g.srs_id FROM gpkg_contents c JOIN gpkg_geometry_columns g"
            " ON lower(g.table_name)=lower(c.table_name)"
            " WHERE c.data_type='features' AND g.column_name='geom'"
        ).fetchall()
    )
    rows = con.execute("SELECT id, columns, state FROM twin_layers").fetchall()
    return [_examine(con, row, names, registered, ordered.get(row[0].lower(), ())) for row in rows]


def _expected(
    con: sqlite3.Connection, layer: str, names: Mapping[tuple[str, str], str | None]
) -> tuple[dict[str, str], dict[str, str], bool]:
    """The triggers by which edits are logged, and those that keep old rows, name → SQL; and whether all is
    there that these need."""
    if ("table", "twin_kept") not in names:  # of format 6, in a file that is only read
        return triggers.log_triggers(layer, kept=False, stamped=False), {}, True
    every = triggers.ours(con, layer)
    kept = {name: sql for name, sql in every.items() if name.startswith("twin_past_")}
    there = not kept or ("table", past.table(layer)) in names
    return {name: sql for name, sql in every.items() if name not in kept}, kept, there


def _examine(
    con: sqlite3.Connection,
    row: tuple[str, str, str],
    names: Mapping[tuple[str, str], str | None],
    registered: Mapping[str, int],
    ordered: Sequence[str],
) -> Finding:
    layer, known, state = row
    present = columns(con, layer)
    now = _state(con, layer, present, names, registered)
    logs, keeps, there = _expected(con, layer, names)
    gone = now != MISSING and any(names.get(("trigger", name)) != sql for name, sql in logs.items())
    gap = now != MISSING and (gone or not there or any(("trigger", name) not in names for name in keeps))
    if now == OK and not gap and keeps:
        same = past.same_named(con, layer)
        gap = _is_anew(con, layer, [name for name, _ in present or () if name in same])
    # a column that was renamed is so in the trigger, too
    stale = now != MISSING and any(names.get(("trigger", name)) != sql for name, sql in keeps.items())
    stored = json.loads(known)
    changed = gap or stale or now != state or (present is not None and present != stored)
    overtaken = not changed and triggers.are_overtaken(layer, ordered)
    return Finding(layer, now, present if present is not None else stored, gone, gap, changed, overtaken)


#: Kept texts of features that are compared with their rows, and the longest of these, in bytes.
_COMPARED, _LONGEST = 25, 20_000


def _is_anew(con: sqlite3.Connection, layer: str, names: Sequence[str]) -> bool:
    """Whether one of the columns was dropped and added anew, which else only their order may show: the
    GeoJSON kept of rows has values that these no longer have, and no trigger saw them go."""
    texts = f"SELECT fid, body FROM {quoted(schema.json_table(layer))} LIMIT {_COMPARED}"
    values = "".join(f", t.{quoted(name)} IS NULL" for name in names)
    rows = con.execute(
        f"SELECT j.body{values} FROM ({texts}) j JOIN {quoted(layer)} t ON t.fid = j.fid"
        f" WHERE length(j.body) <= {_LONGEST}"
    )
    for body, *empty in rows:
        with suppress(ValueError, LookupError, TypeError, AttributeError):  # written by another program, too
            properties = json.loads(body)["properties"]
            gone = (name for name, none in zip(names, empty, strict=True) if none)
            if any(properties.get(name) is not None for name in gone):
                return True
    return False


def _state(
    con: sqlite3.Connection,
    layer: str,
    present: list[list[str]] | None,
    names: Mapping[tuple[str, str], str | None],
    registered: Mapping[str, int],
) -> str:
    if present is None:
        return MISSING
    info = {row[1]: row for row in con.execute(f"PRAGMA table_info({quoted(layer)})")}
    if "fid" not in info or not info["fid"][5]:
        return "it has no integer key column named fid"
    if "geom" not in info:
        return "it has no geometry column named geom"
    if layer not in registered:
        return "it is not registered as a feature table"
    if registered[layer] != 4326:
        return "its coordinates are not longitude and latitude (EPSG:4326)"
    if ("table", schema.rtree(layer)) not in names:
        return "it has no spatial index"
    return OK


def repair(con: sqlite3.Connection, findings: list[Finding]) -> None:
    """Put back what a foreign tool removed and log each such layer as changed whole; and have our triggers
    run before those that another program has made since.

    Runs inside the caller's write transaction. An R-tree is never made here: GDAL makes its own
    when it closes, and would fail on one that is there."""
    for finding in findings:
        if finding.changed:
            with recorded.kept(con, finding.layer):
                _repair(con, finding)
        elif finding.overtaken:
            triggers.log_first(con, finding.layer)
    touch(con)


def _repair(con: sqlite3.Connection, finding: Finding) -> None:
    layer, known = finding.layer, finding.columns
    if finding.state != MISSING:
        if ["source_id", "string"] not in known:
            con.execute(f"ALTER TABLE {quoted(layer)} ADD COLUMN source_id TEXT")
            known = columns(con, layer) or known
        schema.create_companions(con, layer)
    con.execute(f"DELETE FROM {quoted(schema.json_table(layer))}")
    if finding.replaced or finding.state == MISSING:
        con.execute(f"DELETE FROM {quoted(schema.mesh_table(layer))}")
    if finding.state == OK:
        schema.recount(con, layer)
    con.execute(
        "UPDATE twin_layers SET columns=?, state=? WHERE id=?", (json.dumps(known), finding.state, layer)
    )
    seq = log.whole(con, layer, None, None)
    there = {"fid", "geom"} <= _names(con, layer)
    gap = finding.gap or finding.state == MISSING
    if gap or (there and past.settle(con, layer, seq)):
        past.drop(con, layer)
        keeping.cut(con, layer, seq, "gap")
        if there:
            past.settle(con, layer, seq)
    if there:
        triggers.create_ours(con, layer)


def _names(con: sqlite3.Connection, layer: str) -> set[str]:
    return {row[1] for row in con.execute(f"PRAGMA table_info({quoted(layer)})")}


def touch(con: sqlite3.Connection) -> None:
    """Tell every other connection that ``twin_layers`` changed."""
    con.execute("UPDATE twin_meta SET value=hex(randomblob(8)) WHERE key='stamp'")


def remember(con: sqlite3.Connection, layer: str, high_fid: int, generation: int) -> None:
    """Keep the highest fid and generation of a layer that goes, so that neither is used again."""
    con.execute(
        "INSERT INTO twin_history VALUES (?,?,?) ON CONFLICT (layer) DO UPDATE SET"
        " high_fid=max(high_fid, excluded.high_fid), generation=max(generation, excluded.generation)",
        (layer, high_fid, generation),
    )
