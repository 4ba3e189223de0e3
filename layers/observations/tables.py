"""The tables of ``live.gpkg``: a GeoPackage (OGC 12-128r18), so that QGIS lists incidents as points."""

from __future__ import annotations

import struct

FORMAT = 2

_SRS = """
CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER PRIMARY KEY,
  organization TEXT NOT NULL, organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL,
  description TEXT);
CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL,
  identifier TEXT UNIQUE, description TEXT DEFAULT '',
  last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER
  REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL UNIQUE REFERENCES gpkg_contents(table_name),
  column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL
  REFERENCES gpkg_spatial_ref_sys(srs_id), z TINYINT NOT NULL, m TINYINT NOT NULL,
  PRIMARY KEY (table_name, column_name));
INSERT INTO gpkg_spatial_ref_sys VALUES
 ('Undefined Cartesian', -1, 'NONE', -1, 'undefined', NULL),
 ('Undefined geographic', 0, 'NONE', 0, 'undefined', NULL),
 ('WGS 84', 4326, 'EPSG', 4326, 'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563,
AUTHORITY["EPSG","7030"]],AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],
UNIT["degree",0.0174532925199433,AUTHORITY["EPSG","9122"]],AUTHORITY["EPSG","4326"]]', NULL);
INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id)
 VALUES ('incident', 'features', 'incident', 4326), ('incident_log', 'attributes', 'incident_log', NULL),
        ('datastream', 'attributes', 'datastream', NULL), ('latest', 'attributes', 'latest', NULL);
INSERT INTO gpkg_geometry_columns VALUES ('incident', 'geom', 'POINT', 4326, 0, 0);
"""

_THINGS = """
CREATE TABLE thing (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, description TEXT NOT NULL,
  properties TEXT);
CREATE TABLE location (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, description TEXT NOT NULL,
  encodingType TEXT NOT NULL, location TEXT NOT NULL, properties TEXT, foi INTEGER);
CREATE TABLE thing_location (thing INTEGER NOT NULL, location INTEGER NOT NULL,
  PRIMARY KEY (thing, location)) WITHOUT ROWID;
CREATE INDEX thing_location_back ON thing_location (location);
CREATE TABLE historical_location (id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL,
  thing INTEGER NOT NULL);
CREATE INDEX historical_location_thing ON historical_location (thing);
CREATE TABLE historical_location_location (historical INTEGER NOT NULL, location INTEGER NOT NULL,
  PRIMARY KEY (historical, location)) WITHOUT ROWID;
CREATE INDEX historical_location_back ON historical_location_location (location);
CREATE TABLE sensor (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, description TEXT NOT NULL,
  encodingType TEXT NOT NULL, metadata TEXT NOT NULL, properties TEXT);
CREATE TABLE observed_property (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,
  definition TEXT NOT NULL, description TEXT NOT NULL, properties TEXT);
CREATE TABLE feature_of_interest (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,
  description TEXT NOT NULL, encodingType TEXT NOT NULL, feature TEXT NOT NULL, properties TEXT);
CREATE TABLE datastream (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,
  description TEXT NOT NULL, observationType TEXT NOT NULL, unitOfMeasurement TEXT NOT NULL,
  observedArea TEXT, properties TEXT, thing INTEGER NOT NULL, sensor INTEGER NOT NULL,
  observed_property INTEGER NOT NULL);
CREATE INDEX datastream_thing ON datastream (thing);
CREATE INDEX datastream_sensor ON datastream (sensor);
CREATE INDEX datastream_property ON datastream (observed_property);
"""

# Clustered by (datastream, time): 24 h of one stream is one range of leaves. The id index grows at
# its right end only. `num` has no affinity on purpose: an integer stays an integer.
_SERIES = """
CREATE TABLE observation (ds INTEGER NOT NULL, t INTEGER NOT NULL, n INTEGER NOT NULL, id INTEGER NOT NULL,
  t_end INTEGER, rt INTEGER, num, txt TEXT, extra TEXT, foi INTEGER,
  PRIMARY KEY (ds, t, n)) WITHOUT ROWID;
CREATE UNIQUE INDEX observation_id ON observation (id);
CREATE TABLE latest (ds INTEGER PRIMARY KEY, id INTEGER NOT NULL, t INTEGER NOT NULL, num, txt TEXT,
  first INTEGER NOT NULL, count INTEGER NOT NULL, raised INTEGER NOT NULL DEFAULT 0, since INTEGER);
"""

_INCIDENTS = """
CREATE TABLE incident (id INTEGER PRIMARY KEY AUTOINCREMENT, geom BLOB, code TEXT NOT NULL UNIQUE,
  title TEXT NOT NULL, description TEXT NOT NULL, class TEXT NOT NULL, level INTEGER NOT NULL,
  status TEXT NOT NULL, lon REAL, lat REAL, address TEXT, source TEXT NOT NULL,
  simulated BOOLEAN NOT NULL, sensor INTEGER, reported INTEGER NOT NULL, changed INTEGER NOT NULL,
  revision INTEGER NOT NULL);
CREATE INDEX incident_changed ON incident (changed);
CREATE TABLE incident_log (seq INTEGER PRIMARY KEY AUTOINCREMENT, incident INTEGER NOT NULL,
  at INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, "from" TEXT, "to" TEXT NOT NULL,
  note TEXT NOT NULL);
CREATE INDEX incident_log_incident ON incident_log (incident);
CREATE TRIGGER incident_log_append_only_u BEFORE UPDATE ON incident_log
  BEGIN SELECT RAISE(ABORT, 'the incident log is append-only'); END;
CREATE TRIGGER incident_log_append_only_d BEFORE DELETE ON incident_log
  BEGIN SELECT RAISE(ABORT, 'the incident log is append-only'); END;
"""


SCHEMA = "\n".join(
    (
        "BEGIN IMMEDIATE;",
        "PRAGMA application_id=0x47504B47; PRAGMA user_version=10300;",
        _SRS,
        _THINGS,
        _SERIES,
        _INCIDENTS,
        "CREATE TABLE twin_live (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;",
        f"INSERT INTO twin_live VALUES ('format', '{FORMAT}');",  # noqa: S608
        "INSERT INTO twin_live VALUES ('epoch', lower(hex(randomblob(4))));",
        "COMMIT;",
    )
)


def point(lon: float, lat: float) -> bytes:
    """A GeoPackage point blob in EPSG:4326, without envelope (OGC 12-128r18 clause 2.1.3)."""
    return struct.pack("<2sBBiBIdd", b"GP", 0, 1, 4326, 1, 1, lon, lat)
