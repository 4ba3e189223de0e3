"""The tables of the file: what GeoPackage 1.3 prescribes, and our own ``twin_`` tables beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from layers.store.geopackage.connection import quoted
from layers.types import Field, FieldType

FORMAT = 8
APPLICATION_ID = 0x47504B47  # "GPKG"
USER_VERSION = 10300  # GDAL 3.6 and QGIS 3.22 edit 1.3 without a warning, 1.4 with one

COLUMN_TYPES: dict[FieldType, str] = {
    "string": "TEXT",
    "integer": "INTEGER",
    "number": "REAL",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "datetime": "DATETIME",
    "array": "TEXT",  # JSON
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

# twin_changes.at: the instant in milliseconds since 1970, NULL in rows of before format 7.
# twin_counts: the features of each layer, so that no count is ever a scan; twin_unplaced: those of them that
# the R-tree cannot hold. Both are kept by the log triggers.
# twin_pruned: the number up to which superseded rows of the layer's log are gone.
# twin_changes.nonce makes each log row unlike the row of that number in any other history of the file
# (see epoch.py). Without one registered "attributes" table GDAL lists every table as a layer.
_TWIN = """
CREATE TABLE twin_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE twin_changes (seq INTEGER PRIMARY KEY AUTOINCREMENT, layer TEXT NOT NULL, fid INTEGER,
  old_minx REAL, old_miny REAL, old_maxx REAL, old_maxy REAL,
  new_minx REAL, new_miny REAL, new_maxx REAL, new_maxy REAL,
  nonce INTEGER NOT NULL DEFAULT (random()), at INTEGER);
CREATE INDEX twin_changes_layer ON twin_changes (layer, seq);
CREATE INDEX twin_changes_feature ON twin_changes (layer, fid, seq);
CREATE TABLE twin_layers (id TEXT PRIMARY KEY, kind TEXT NOT NULL, title TEXT NOT NULL,
  geometry_type TEXT NOT NULL, crs TEXT NOT NULL, time_field TEXT, key TEXT NOT NULL,
  generation INTEGER NOT NULL, fields TEXT NOT NULL, columns TEXT NOT NULL,
  state TEXT NOT NULL, vertical_datum TEXT NOT NULL, model_version TEXT) WITHOUT ROWID;
CREATE TABLE twin_forms (id TEXT PRIMARY KEY, form TEXT NOT NULL, kind TEXT NOT NULL, title TEXT NOT NULL,
  crs TEXT NOT NULL, vertical_datum TEXT NOT NULL, minx REAL, miny REAL, maxx REAL, maxy REAL,
  generation INTEGER NOT NULL, assets TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE twin_counts (layer TEXT PRIMARY KEY, features INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE twin_unplaced (layer TEXT NOT NULL, fid INTEGER NOT NULL, PRIMARY KEY (layer, fid))
  WITHOUT ROWID;
CREATE TABLE twin_pruned (layer TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE twin_history (layer TEXT PRIMARY KEY, high_fid INTEGER NOT NULL,
  generation INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE twin_reports (layer TEXT PRIMARY KEY, report TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE twin_about (id INTEGER PRIMARY KEY, note TEXT NOT NULL);
INSERT INTO twin_about (note) VALUES
  ('The twin_ tables belong to OneMap Twin; edit the layers, not these.');
INSERT INTO gpkg_contents (table_name, data_type, identifier, description)
  VALUES ('twin_about', 'attributes', 'twin_about', 'A note on the tables of OneMap Twin');
"""


# What was true before: the old rows of a layer are in a table of its own (see past.py), and these say the
# rest. twin_columns: where they keep the values of each column that the layer has or had; twin_records: what
# twin_layers or twin_forms said of a layer until a change of the log, NULL while there was none; twin_sets:
# the change sets (see sets.py), in order of their numbers; twin_kept: nothing of before ``seq`` is known of
# a layer, or of the city ('').
HISTORY = """
CREATE TABLE twin_sets (id INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL,
  at TEXT NOT NULL, actor TEXT, via TEXT NOT NULL, message TEXT NOT NULL, address TEXT NOT NULL,
  layer TEXT, generation INTEGER, undone INTEGER);
CREATE TABLE twin_records (layer TEXT NOT NULL, until INTEGER NOT NULL, record TEXT,
  PRIMARY KEY (layer, until)) WITHOUT ROWID;
CREATE TABLE twin_columns (layer TEXT NOT NULL, name TEXT NOT NULL, place TEXT NOT NULL, type TEXT NOT NULL,
  first INTEGER NOT NULL, until INTEGER);
CREATE INDEX twin_columns_layer ON twin_columns (layer);
CREATE TABLE twin_kept (layer TEXT NOT NULL, seq INTEGER NOT NULL, why TEXT NOT NULL, at TEXT NOT NULL,
  PRIMARY KEY (layer, seq, why)) WITHOUT ROWID;
CREATE TABLE twin_epochs (epoch TEXT PRIMARY KEY, seq INTEGER NOT NULL, at TEXT NOT NULL) WITHOUT ROWID;
"""


def standard(con: sqlite3.Connection) -> None:
    """Make an empty file a GeoPackage without layers, inside the caller's transaction."""
    run(con, _GEOPACKAGE)
    con.executemany(
        "INSERT INTO gpkg_spatial_ref_sys VALUES (?,?,?,?,?,?)",
        [
            ("Undefined Cartesian SRS", -1, "NONE", -1, "undefined", "undefined Cartesian CRS"),
            ("Undefined geographic SRS", 0, "NONE", 0, "undefined", "undefined geographic CRS"),
            ("WGS 84 geodetic", 4326, "EPSG", 4326, _WGS84, "longitude and latitude in degrees"),
        ],
    )
    con.execute(f"PRAGMA application_id={APPLICATION_ID}")
    con.execute(f"PRAGMA user_version={USER_VERSION}")


def create(con: sqlite3.Connection, epoch: str) -> None:
    """Make an empty store in an empty file, inside the caller's transaction."""
    standard(con)
    run(con, _TWIN)
    run(con, HISTORY)
    con.executemany(
        "INSERT INTO twin_meta VALUES (?,?)",
        [("format", str(FORMAT)), ("epoch", epoch), ("stamp", "0")],
    )


def run(con: sqlite3.Connection, script: str) -> None:
    """Every statement of a script, inside the caller's transaction."""
    for statement in script.split(";\n"):
        if statement.strip():
            con.execute(statement)


def recount(con: sqlite3.Connection, layer: str) -> None:
    """Count a layer anew, after its triggers were away."""
    con.execute(
        f"INSERT OR REPLACE INTO twin_counts SELECT ?, (SELECT count(*) FROM {quoted(layer)})", (layer,)
    )
    con.execute("DELETE FROM twin_unplaced WHERE layer=?", (layer,))
    placed = f"SELECT rowid FROM {quoted(rtree(layer) + '_rowid')}"
    con.execute(
        f"INSERT INTO twin_unplaced SELECT ?, fid FROM {quoted(layer)} WHERE fid NOT IN ({placed})", (layer,)
    )


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


def feature_table(
    name: str, fields: tuple[Field, ...], geometry_type: str, *, key: str = "PRIMARY KEY AUTOINCREMENT"
) -> str:
    """SQL of a feature table."""
    return (
        f"CREATE TABLE {quoted(name)} (fid INTEGER {key} NOT NULL,"
        f" geom {geometry_type.upper()}, source_id TEXT{declare(fields)})"
    )


def companion_table(name: str) -> str:
    """SQL of one of our tables beside a feature table."""
    return f"CREATE TABLE IF NOT EXISTS {quoted(name)} (fid INTEGER PRIMARY KEY, body BLOB NOT NULL)"


def create_layer(con: sqlite3.Connection, layer: str, fields: tuple[Field, ...], geometry_type: str) -> None:
    """The feature table, its companions and registrations; the index on source ids (:func:`index_sources`)
    and the triggers come separately, after a bulk load."""
    con.execute(feature_table(layer, fields, geometry_type))
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
    con.execute("INSERT OR REPLACE INTO twin_counts VALUES (?,0)", (layer,))
    con.execute(f"CREATE VIRTUAL TABLE {quoted(rtree(layer))} USING rtree(id, minx, maxx, miny, maxy)")
    _create_companions(con, layer)


def create_companions(con: sqlite3.Connection, layer: str) -> None:
    """Our tables beside a feature table, and the index on source ids; harmless when they are there."""
    _create_companions(con, layer)
    index_sources(con, layer)


def _create_companions(con: sqlite3.Connection, layer: str) -> None:
    for name in (json_table(layer), mesh_table(layer)):
        con.execute(companion_table(name))


def index_sources(con: sqlite3.Connection, layer: str) -> None:
    """The index on source ids; harmless when it is there."""
    con.execute(f"CREATE INDEX IF NOT EXISTS {quoted(f'twin_source_{layer}')} ON {quoted(layer)} (source_id)")


def create_indexes(con: sqlite3.Connection, layer: str, time_field: str | None, key: Sequence[str]) -> None:
    """Indexes on the layer's time and key, as far as they are columns; harmless when they are there."""
    columns = {row[1] for row in con.execute(f"PRAGMA table_info({quoted(layer)})")}
    for name in {time_field, *key} & columns:
        plain, other = _indexes(layer, str(name))
        owner = _owner(con, plain)
        index = quoted(plain if owner in (None, layer) else other)
        con.execute(f"CREATE INDEX IF NOT EXISTS {index} ON {quoted(layer)} ({quoted(str(name))})")


def drop_index(con: sqlite3.Connection, layer: str, column: str) -> None:
    """Take away the index that would keep a column from being dropped."""
    for name in _indexes(layer, column):
        if _owner(con, name) == layer:
            con.execute(f"DROP INDEX {quoted(name)}")


def _indexes(layer: str, column: str) -> tuple[str, str]:
    """The name of an index, and that for the case that another layer has it: ``a_b`` with ``c``, ``a`` with
    ``b_c``."""
    return f"twin_index_{layer}_{column}", f"twin_index_{layer}@{column}"


def _owner(con: sqlite3.Connection, index: str) -> str | None:
    """The table that an index is of."""
    sql = "SELECT tbl_name FROM sqlite_master WHERE type='index' AND lower(name)=lower(?)"
    row = con.execute(sql, (index,)).fetchone()
    return None if row is None else str(row[0])


def drop_layer(con: sqlite3.Connection, layer: str) -> None:
    """Everything of a layer except its history and the change log."""
    for name in (rtree(layer), json_table(layer), mesh_table(layer), layer):
        con.execute(f"DROP TABLE IF EXISTS {quoted(name)}")
    for table in ("gpkg_geometry_columns", "gpkg_extensions", "gpkg_ogr_contents", "gpkg_contents"):
        con.execute(f"DELETE FROM {table} WHERE lower(table_name)=?", (layer,))
    con.execute("DELETE FROM twin_layers WHERE id=?", (layer,))
    for table in ("twin_reports", "twin_counts", "twin_unplaced"):
        con.execute(f"DELETE FROM {table} WHERE layer=?", (layer,))
