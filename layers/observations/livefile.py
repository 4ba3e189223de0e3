"""``live.gpkg``: the one file of live things, opened, with its connections.

One SQLite file in WAL mode holds SensorThings entities, observations, the latest value and rule
state of each datastream, incidents and their log: SQLite commits are not atomic across files, and
an acknowledged observation must never be there without the state it caused. It is a GeoPackage
(OGC 12-128r18), so that QGIS lists its incidents as a point layer.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from layers.errors import ReadOnly, Unavailable

FORMAT = 2
READ_SECONDS = 5.0
BUSY_SECONDS = 3.0

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


class LiveFile:
    """The open file: one connection a reading thread, one for the writer thread.

    Where the folder cannot be written the file is opened for reading, or, when there is none yet,
    an empty one is kept in memory; ``read_only`` says so."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "live.gpkg"
        self._local = threading.local()
        self._guard = threading.Lock()
        self._open: list[sqlite3.Connection] = []
        self._uri = f"file:{quote(str(self._path))}"
        self.read_only = not self._writable()
        self._keep = self._prepare()
        #: The history that revisions in this file count in.
        self.epoch: str = self._keep.execute("SELECT value FROM twin_live WHERE key='epoch'").fetchone()[0]

    def _writable(self) -> bool:
        if not os.access(self._path.parent, os.W_OK):
            return False
        return not self._path.exists() or os.access(self._path, os.W_OK)

    def _prepare(self) -> sqlite3.Connection:
        """Make or check the schema; the connection returned keeps an in-memory file alive."""
        if self.read_only:
            if not self._path.exists():
                self._uri = f"file:live-{id(self)}?mode=memory&cache=shared"
                keep = self._connect(self._uri)
                self._make(keep)
                return keep
            return self._open_read_only()
        conn = self._connect(self._uri + "?mode=rwc")
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("PRAGMA synchronous=FULL")
        if not conn.execute("SELECT 1 FROM sqlite_master WHERE name='observation'").fetchone():
            self._make(conn)
        found = conn.execute("SELECT value FROM twin_live WHERE key='format'").fetchone()[0]
        if int(found) != FORMAT:
            raise Unavailable(f"live.gpkg has format {found}; this server reads format {FORMAT}")
        return conn

    def _open_read_only(self) -> sqlite3.Connection:
        # a WAL file in a folder without write access opens only as immutable (sqlite.org/wal.html)
        for mode in ("?mode=ro", "?immutable=1&mode=ro"):
            try:
                conn = self._connect(self._uri + mode)
                conn.execute("SELECT 1 FROM observation LIMIT 1").fetchone()
            except sqlite3.OperationalError:
                continue
            self._uri += mode
            return conn
        raise Unavailable("live.gpkg cannot be read")

    def _make(self, conn: sqlite3.Connection) -> None:
        conn.executescript(SCHEMA)

    def _connect(self, uri: str) -> sqlite3.Connection:
        conn = sqlite3.connect(
            uri,
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=BUSY_SECONDS,
            cached_statements=256,
        )
        with self._guard:
            self._open.append(conn)
        return conn

    def writer(self) -> sqlite3.Connection:
        """The connection of the one writing thread. Raises ReadOnly."""
        if self.read_only:
            raise ReadOnly("the city folder cannot be written: live data is served for reading only")
        return self._keep

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """This thread's reading connection inside one snapshot.

        Raises Unavailable when the statements together take longer than 5 s."""
        conn: sqlite3.Connection | None = getattr(self._local, "conn", None)
        if conn is None:
            uri = self._uri if "?" in self._uri else self._uri + "?mode=ro"
            conn = self._local.conn = self._connect(uri)
        deadline = time.monotonic() + READ_SECONDS
        conn.set_progress_handler(lambda: time.monotonic() > deadline, 20_000)
        conn.execute("BEGIN")
        try:
            yield conn
        except sqlite3.OperationalError as error:
            if time.monotonic() > deadline:
                raise Unavailable(f"the query took longer than {READ_SECONDS:g} s: narrow it") from error
            raise
        finally:
            conn.set_progress_handler(None, 0)
            if conn.in_transaction:
                conn.execute("ROLLBACK")

    def close(self) -> None:
        """Close every connection; the last one folds the WAL into the file."""
        with self._guard:
            for conn in reversed(self._open):
                conn.close()
            self._open.clear()
