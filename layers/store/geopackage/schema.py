"""The tables of the file: what GeoPackage 1.3 prescribes, and our own ``twin_`` tables beside it."""

# Identifiers come quoted from the catalog and values are bound: ruff cannot see that.
# ruff: noqa: S608

from __future__ import annotations

import sqlite3

from layers.errors import Unavailable
from layers.model import Field, FieldType
from layers.store.geopackage.connection import literal, quoted

FORMAT = 1
APPLICATION_ID = 0x47504B47  # "GPKG"
USER_VERSION = 10300  # GDAL 3.6 and QGIS 3.22 edit 1.3 without a warning, 1.4 with one

COLUMN_TYPES: dict[FieldType, str] = {
    "string": "TEXT",
    "integer": "INTEGER",
    "number": "REAL",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "datetime": "DATETIME",
}

_WGS84 = (
    'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563,AUTHORITY["EPSG","7030"]],'
    'AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],UNIT["degree",'
    '0.0174532925199433,AUTHORITY["EPSG","9122"]],AXIS["Latitude",NORTH],AXIS["Longitude",EAST],'
    'AUTHORITY["EPSG","4326"]]'
)

# OGC 12-128r18 annex C, tables 22 to 25 and 33.
_GEOPACKAGE = """
CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY,
  organization TEXT NOT NULL, organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL,
  description TEXT);
CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL,
  identifier TEXT UNIQUE, description TEXT DEFAULT '',
  last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER,
  CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL,
  geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL, z TINYINT NOT NULL, m TINYINT NOT NULL,
  CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name),
  CONSTRAINT uk_gc_table_name UNIQUE (table_name),
  CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
  CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id));
CREATE TABLE gpkg_extensions (table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL,
  definition TEXT NOT NULL, scope TEXT NOT NULL,
  CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name));
CREATE TABLE gpkg_ogr_contents (table_name TEXT NOT NULL PRIMARY KEY, feature_count INTEGER DEFAULT NULL);
"""

# twin_changes.nonce makes each log row unlike the row of that number in any other history of the file
# (see epoch.py). Without one registered "attributes" table GDAL lists every table as a layer.
_TWIN = """
CREATE TABLE twin_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE twin_changes (seq INTEGER PRIMARY KEY AUTOINCREMENT, layer TEXT NOT NULL, fid INTEGER,
  old_minx REAL, old_miny REAL, old_maxx REAL, old_maxy REAL,
  new_minx REAL, new_miny REAL, new_maxx REAL, new_maxy REAL,
  nonce INTEGER NOT NULL DEFAULT (random()));
CREATE INDEX twin_changes_layer ON twin_changes (layer, seq);
CREATE INDEX twin_changes_feature ON twin_changes (layer, fid, seq);
CREATE TABLE twin_actors (seq INTEGER PRIMARY KEY, actor TEXT NOT NULL,
  at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')));
CREATE TABLE twin_layers (id TEXT PRIMARY KEY, kind TEXT NOT NULL, title TEXT NOT NULL,
  geometry_type TEXT NOT NULL, crs TEXT NOT NULL, time_field TEXT, key TEXT NOT NULL,
  locking TEXT NOT NULL, generation INTEGER NOT NULL, fields TEXT NOT NULL, columns TEXT NOT NULL,
  state TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE twin_history (layer TEXT PRIMARY KEY, high_fid INTEGER NOT NULL,
  generation INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE twin_reports (layer TEXT PRIMARY KEY, report TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE twin_about (id INTEGER PRIMARY KEY, note TEXT NOT NULL);
INSERT INTO twin_about (note) VALUES
  ('The twin_ tables belong to OneMap Twin; edit the layers, not these.');
INSERT INTO gpkg_contents (table_name, data_type, identifier, description)
  VALUES ('twin_about', 'attributes', 'twin_about', 'A note on the tables of OneMap Twin');
"""


def create(con: sqlite3.Connection, epoch: str) -> None:
    """Make an empty store in an empty file, inside the caller's transaction."""
    for script in (_GEOPACKAGE, _TWIN):
        for statement in script.split(";\n"):
            if statement.strip():
                con.execute(statement)
    con.executemany(
        "INSERT INTO gpkg_spatial_ref_sys VALUES (?,?,?,?,?,?)",
        [
            ("Undefined Cartesian SRS", -1, "NONE", -1, "undefined", "undefined Cartesian CRS"),
            ("Undefined geographic SRS", 0, "NONE", 0, "undefined", "undefined geographic CRS"),
            ("WGS 84 geodetic", 4326, "EPSG", 4326, _WGS84, "longitude and latitude in degrees"),
        ],
    )
    con.executemany(
        "INSERT INTO twin_meta VALUES (?,?)",
        [("format", str(FORMAT)), ("epoch", epoch), ("stamp", "0")],
    )
    con.execute(f"PRAGMA application_id={APPLICATION_ID}")
    con.execute(f"PRAGMA user_version={USER_VERSION}")


def check(con: sqlite3.Connection) -> None:
    """Refuse a file that is not a store of this format. Raises Unavailable."""
    tables = {row[0] for row in con.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    if "twin_meta" not in tables:
        raise Unavailable("city.gpkg is not a store of OneMap Twin; load it with twin load instead")
    found = con.execute("SELECT value FROM twin_meta WHERE key='format'").fetchone()
    if found is None or found[0] != str(FORMAT):
        raise Unavailable(f"city.gpkg has store format {found and found[0]}; this version reads {FORMAT}")


def rtree(layer: str) -> str:
    """Name of the layer's R-tree (OGC 12-128r18 annex F.3: ``rtree_<table>_<column>``)."""
    return f"rtree_{layer}_geom"


def json_table(layer: str) -> str:
    """Name of the table of the layer's pre-serialised GeoJSON."""
    return f"twin_json_{layer}"


def mesh_table(layer: str) -> str:
    """Name of the table of the layer's meshes."""
    return f"twin_mesh_{layer}"


def declare(fields: tuple[Field, ...]) -> str:
    """Column declarations of the property columns, ready to follow ``source_id``."""
    return "".join(f", {quoted(f.name)} {COLUMN_TYPES[f.type]}" for f in fields if f.name != "source_id")


def create_layer(con: sqlite3.Connection, layer: str, fields: tuple[Field, ...], geometry_type: str) -> None:
    """The feature table and its registrations; triggers come separately, after a bulk load."""
    con.execute(
        f"CREATE TABLE {quoted(layer)} (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,"
        f" geom {geometry_type.upper()}, source_id TEXT{declare(fields)})"
    )
    con.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id) VALUES (?,'features',?,4326)",
        (layer, layer),
    )
    con.execute(
        "INSERT INTO gpkg_geometry_columns VALUES (?,'geom',?,4326,0,0)", (layer, geometry_type.upper())
    )
    con.execute(
        "INSERT INTO gpkg_extensions VALUES (?,'geom','gpkg_rtree_index',"
        "'http://www.geopackage.org/spec120/#extension_rtree','write-only')",
        (layer,),
    )
    con.execute("INSERT OR REPLACE INTO gpkg_ogr_contents VALUES (?,0)", (layer,))
    con.execute(f"CREATE VIRTUAL TABLE {quoted(rtree(layer))} USING rtree(id, minx, maxx, miny, maxy)")
    create_companions(con, layer)


def create_companions(con: sqlite3.Connection, layer: str) -> None:
    """Our tables beside a feature table, and the index on source ids; harmless when they are there."""
    for name in (json_table(layer), mesh_table(layer)):
        con.execute(
            f"CREATE TABLE IF NOT EXISTS {quoted(name)} (fid INTEGER PRIMARY KEY, body BLOB NOT NULL)"
        )
    con.execute(f"CREATE INDEX IF NOT EXISTS {quoted(f'twin_source_{layer}')} ON {quoted(layer)} (source_id)")


def drop_layer(con: sqlite3.Connection, layer: str) -> None:
    """Everything of a layer except its history and the change log."""
    for name in (rtree(layer), json_table(layer), mesh_table(layer), layer):
        con.execute(f"DROP TABLE IF EXISTS {quoted(name)}")
    for table in ("gpkg_geometry_columns", "gpkg_extensions", "gpkg_ogr_contents", "gpkg_contents"):
        con.execute(f"DELETE FROM {table} WHERE lower(table_name)=?", (layer,))
    con.execute("DELETE FROM twin_layers WHERE id=?", (layer,))
    con.execute("DELETE FROM twin_reports WHERE layer=?", (layer,))


def rtree_triggers(layer: str) -> dict[str, str]:
    """The six triggers of OGC 12-128r18 (1.3) annex F.3, name → SQL."""
    table, index = quoted(layer), quoted(rtree(layer))
    row = "NEW.fid, ST_MinX(NEW.geom), ST_MaxX(NEW.geom), ST_MinY(NEW.geom), ST_MaxY(NEW.geom)"
    full = "(NEW.geom NOT NULL AND NOT ST_IsEmpty(NEW.geom))"
    void = "(NEW.geom ISNULL OR ST_IsEmpty(NEW.geom))"
    put = f"INSERT OR REPLACE INTO {index} VALUES ({row});"
    drop = f"DELETE FROM {index} WHERE id=OLD.fid;"
    clear = f"DELETE FROM {index} WHERE id IN (OLD.fid, NEW.fid);"
    bodies = {
        "insert": f"AFTER INSERT ON {table} WHEN {full} BEGIN {put} END",
        "update1": f"AFTER UPDATE OF geom ON {table} WHEN OLD.fid = NEW.fid AND {full} BEGIN {put} END",
        "update2": f"AFTER UPDATE OF geom ON {table} WHEN OLD.fid = NEW.fid AND {void} BEGIN {drop} END",
        "update3": f"AFTER UPDATE ON {table} WHEN OLD.fid != NEW.fid AND {full} BEGIN {drop} {put} END",
        "update4": f"AFTER UPDATE ON {table} WHEN OLD.fid != NEW.fid AND {void} BEGIN {clear} END",
        "delete": f"AFTER DELETE ON {table} WHEN OLD.geom NOT NULL BEGIN {drop} END",
    }
    return _named({f"{rtree(layer)}_{name}": body for name, body in bodies.items()})


def count_triggers(layer: str) -> dict[str, str]:
    """The feature-count triggers that GDAL keeps, by GDAL's names, so that it finds its own."""
    set_count = "UPDATE gpkg_ogr_contents SET feature_count = feature_count"
    where = f"WHERE lower(table_name) = lower({literal(layer)});"
    more, less = f"{set_count} + 1 {where}", f"{set_count} - 1 {where}"
    table = quoted(layer)
    return _named(
        {
            f"trigger_insert_feature_count_{layer}": f"AFTER INSERT ON {table} BEGIN {more} END",
            f"trigger_delete_feature_count_{layer}": f"AFTER DELETE ON {table} BEGIN {less} END",
        }
    )


def log_triggers(layer: str) -> dict[str, str]:
    """Our triggers: each edit writes the log, and removes the GeoJSON and body made from the old row."""
    table, text, mesh = quoted(layer), quoted(json_table(layer)), quoted(mesh_table(layer))
    boxes = {
        row: ", ".join(f"ST_{side}({row}.geom)" for side in ("MinX", "MinY", "MaxX", "MaxY"))
        for row in ("OLD", "NEW")
    }
    none = "NULL, NULL, NULL, NULL"

    def log(fid: str, old: str, new: str) -> str:
        return (
            "INSERT INTO twin_changes (layer, fid, old_minx, old_miny, old_maxx, old_maxy,"
            f" new_minx, new_miny, new_maxx, new_maxy) VALUES ({literal(layer)}, {fid}, {old}, {new});"
        )

    stale = "".join(f" DELETE FROM {text} WHERE fid={row}.fid;" for row in ("NEW", "OLD"))
    forget = "".join(f" DELETE FROM {t} WHERE fid={{0}}.fid;" for t in (text, mesh))
    created, removed = log("NEW.fid", none, boxes["NEW"]), log("OLD.fid", boxes["OLD"], none)
    changed = log("NEW.fid", boxes["OLD"], boxes["NEW"])
    bodies = {
        "insert": f"AFTER INSERT ON {table} BEGIN {created}{forget.format('NEW')} END",
        "update": f"AFTER UPDATE ON {table} WHEN OLD.fid = NEW.fid BEGIN {changed}{stale} END",
        "body": f"AFTER UPDATE ON {table} WHEN OLD.fid = NEW.fid AND OLD.geom IS NOT NEW.geom"
        f" BEGIN DELETE FROM {mesh} WHERE fid=OLD.fid; END",
        "move": f"AFTER UPDATE ON {table} WHEN OLD.fid != NEW.fid"
        f" BEGIN {removed} {created}{forget.format('OLD')}{forget.format('NEW')} END",
        "delete": f"AFTER DELETE ON {table} BEGIN {removed}{forget.format('OLD')} END",
    }
    return _named({f"twin_log_{layer}_{name}": body for name, body in bodies.items()})


def _named(bodies: dict[str, str]) -> dict[str, str]:
    return {name: f"CREATE TRIGGER {quoted(name)} {body}" for name, body in bodies.items()}


def triggers(layer: str) -> dict[str, str]:
    """Every trigger of a layer, name → SQL."""
    return rtree_triggers(layer) | count_triggers(layer) | log_triggers(layer)


def create_triggers(con: sqlite3.Connection, layer: str) -> None:
    """Put every trigger of the layer in place."""
    for name, sql in triggers(layer).items():
        con.execute(f"DROP TRIGGER IF EXISTS {quoted(name)}")
        con.execute(sql)


def drop_triggers(con: sqlite3.Connection, layer: str) -> None:
    """Take every trigger of the layer away, for a bulk publish inside one transaction."""
    for name in triggers(layer):
        con.execute(f"DROP TRIGGER IF EXISTS {quoted(name)}")
