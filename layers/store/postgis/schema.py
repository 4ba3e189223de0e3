"""The tables of a city in its schema: the layers, and our own ``twin_`` tables beside them.

How edits get their numbers is told in ``numbering``: when they commit, under a lock of the city, which
PostgreSQL gives back only after the transaction became visible (CommitTransaction in xact.c). So numbers
become visible in their order, and a transaction that stays open for an hour holds nobody up.

The functions run as the owner of the schema with a fixed search path, so whoever may edit a layer needs no
right on our tables. The triggers are ENABLE ALWAYS: they fire under session_replication_role = replica, too.

How a half restored city is told. pg_restore, and psql with a plain dump, fill a materialized view after all
else, indexes, triggers and rights included, in parallel too (RESTORE_PASS_POST_ACL in pg_backup_archiver.h).
``twin_complete`` is one: while it is not filled, nothing is read, written or repaired.
"""

from __future__ import annotations

import hashlib

from layers.errors import Unavailable
from layers.store.postgis.connection import Connection, bound, quoted
from layers.types import FieldType

FORMAT = 6
BEFORE_HISTORY, BEFORE_LENDING = 4, 5  # formats that are brought to this one when the city is opened
HALF_RESTORED = "the city is being restored in its database; try again when pg_restore has ended"
HIDDEN = "twin_new_"  # how the columns that a publish is still filling begin
_LONGEST = 63  # bytes of an identifier (NAMEDATALEN - 1)
_SYSTEM = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})

COLUMN_TYPES: dict[FieldType, str] = {
    "string": "text",
    "integer": "bigint",
    "number": "double precision",
    "boolean": "boolean",
    "date": "date",
    "datetime": "timestamp with time zone",
    "array": "jsonb",
}

BOXES = "old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy"
_BOX_COLUMNS = BOXES.replace(",", " double precision,") + " double precision"


def short(name: str) -> str:
    """A name as PostgreSQL can keep it: itself, or its beginning and a hash; never a system column's."""
    if name.startswith(HIDDEN):
        name = f"_{name}"
    raw = name.encode()
    if len(raw) <= _LONGEST and name not in _SYSTEM:
        return name
    digest = hashlib.sha256(raw).hexdigest()[:10]
    return raw[: _LONGEST - 11].decode(errors="ignore") + "_" + digest


def channel(schema: str) -> str:
    """The channel on which each commit that changed a layer says its newest number."""
    return short(f"twin_{schema}")


def key(schema: str, what: str) -> int:
    """A 64-bit key for an advisory lock of this city."""
    digest = hashlib.sha256(f"{schema}\x00{what}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def pending_index(s: str) -> str:
    """DDL of the index by which a transaction finds what it has logged, and what of it since a row."""
    return f"CREATE INDEX twin_pending_xid ON {s}.twin_pending (xid, id);"


def tables(schema: str) -> str:
    """DDL of our own tables but those of the history: see :mod:`layers.store.postgis.numbering`."""
    s = quoted(schema)
    return f"""
CREATE TABLE {s}.twin_meta (one boolean PRIMARY KEY DEFAULT true CHECK (one), format integer NOT NULL,
  epoch text NOT NULL, stamp bigint NOT NULL, origin text NOT NULL, former text NOT NULL DEFAULT '',
  pruned bigint NOT NULL DEFAULT 0);
CREATE TABLE {s}.twin_changes (seq bigint PRIMARY KEY, layer text COLLATE "C" NOT NULL, fid bigint,
  delta bigint NOT NULL, {_BOX_COLUMNS}, nonce bigint NOT NULL);
CREATE INDEX twin_changes_layer ON {s}.twin_changes (layer, seq) INCLUDE (delta);
CREATE INDEX twin_changes_feature ON {s}.twin_changes (layer, fid, seq);
CREATE SEQUENCE {s}.twin_seq;
CREATE UNLOGGED TABLE {s}.twin_pending (id bigint GENERATED ALWAYS AS IDENTITY, xid xid8 NOT NULL,
  first boolean NOT NULL, layer text COLLATE "C" NOT NULL, fid bigint, delta bigint NOT NULL, {_BOX_COLUMNS});
{pending_index(s)}
CREATE TABLE {s}.twin_pruned (layer text COLLATE "C" PRIMARY KEY, seq bigint NOT NULL);
CREATE TABLE {s}.twin_layers (id text COLLATE "C" PRIMARY KEY, kind text NOT NULL, title text NOT NULL,
  geometry_type text NOT NULL, crs text NOT NULL, time_field text, key text NOT NULL,
  generation bigint NOT NULL, fields text NOT NULL, source text, logger text NOT NULL, state text NOT NULL,
  signature text NOT NULL,  columns text NOT NULL, base_seq bigint NOT NULL, base_count bigint NOT NULL,
  vertical_datum text NOT NULL DEFAULT '', model_version text);
CREATE TABLE {s}.twin_forms (id text COLLATE "C" PRIMARY KEY, form text NOT NULL, kind text NOT NULL,
  title text NOT NULL, crs text NOT NULL, vertical_datum text NOT NULL, minx double precision,
  miny double precision, maxx double precision, maxy double precision, generation bigint NOT NULL,
  assets text NOT NULL);
CREATE TABLE {s}.twin_history (layer text COLLATE "C" PRIMARY KEY, high_fid bigint NOT NULL,
  generation bigint NOT NULL);
CREATE TABLE {s}.twin_reports (layer text COLLATE "C" PRIMARY KEY, report text NOT NULL);
CREATE TABLE {s}.twin_refresh (layer text COLLATE "C" PRIMARY KEY, every double precision NOT NULL,
  due timestamptz NOT NULL);
CREATE TABLE {s}.twin_stages (name text PRIMARY KEY, lock bigint NOT NULL);
COMMENT ON SCHEMA {s} IS 'A city of OneMap Twin: edit the layers, not the tables named twin_';
"""


def create(con: Connection, schema: str, epoch: str, origin: str) -> None:
    """Make an empty city but for its history, inside the caller's transaction."""
    con.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")
    con.execute(tables(schema))
    con.execute(
        f"INSERT INTO {quoted(schema)}.twin_meta (format, epoch, stamp, origin) VALUES (%s, %s, 0, %s)",
        (FORMAT, epoch, origin),
    )


def make_restorable(con: Connection, schema: str) -> None:
    """Let the city's next dump tell when it is restored; cities of earlier versions cannot."""
    view = f"{quoted(schema)}.twin_complete"
    if con.execute("SELECT to_regclass(%s)", (view,)).fetchone() == (None,):
        con.execute(f"CREATE MATERIALIZED VIEW {view} AS SELECT true AS complete")


def exists(con: Connection, schema: str) -> bool:
    """Whether the schema holds a city, of this format or one before.

    Raises Unavailable for one of another format, or half restored."""
    if con.execute("SELECT to_regclass(%s)", (f"{quoted(schema)}.twin_meta",)).fetchone() == (None,):
        return False
    _refuse(con, schema, (BEFORE_HISTORY, BEFORE_LENDING, FORMAT))
    return True


def refuse_half_restored(con: Connection, schema: str) -> None:
    """Raises Unavailable while a dump is being restored into the schema, or for a city of another format."""
    _refuse(con, schema, (FORMAT,))


def has_history(con: Connection, schema: str) -> bool:
    """Whether the city is of the format whose old rows are read."""
    return con.execute(f"SELECT format FROM {quoted(schema)}.twin_meta").fetchone() == (FORMAT,)


def _refuse(con: Connection, schema: str, formats: tuple[int, ...]) -> None:
    row = con.execute(
        f"SELECT format FROM {bound(schema)}.twin_meta WHERE NOT EXISTS (SELECT FROM pg_class WHERE"
        " relnamespace = to_regnamespace(%s) AND relname = 'twin_complete' AND NOT relispopulated)",
        (quoted(schema),),
    ).fetchone()
    if row is None:
        raise Unavailable(HALF_RESTORED)
    if row[0] not in formats:
        raise Unavailable(f"the city's database has format {row[0]}; this version reads {FORMAT}")


def extension(con: Connection, *, install: bool) -> str:
    """The schema in which PostGIS lies, quoted; to ``install`` it, the role must be allowed to. Raises
    Unavailable."""
    sql = (
        "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
        " WHERE extname = 'postgis'"
    )
    row = con.execute(sql).fetchone()
    if row is None:
        import psycopg

        if not install:
            raise Unavailable("the city's database has no PostGIS")
        try:
            con.execute("CREATE EXTENSION postgis")
        except psycopg.Error as error:
            raise Unavailable("the city's database has no PostGIS; run CREATE EXTENSION postgis") from error
        row = con.execute(sql).fetchone()
    assert row is not None
    return quoted(row[0])


def mesh_table(layer: str) -> str:
    """Name of the table of the layer's meshes."""
    return short(f"twin_mesh_{layer}")


def copy_table(layer: str) -> str:
    """Name of the table that holds a copy of a registered relation's rows."""
    return short(f"twin_copy_{layer}")


def past_table(layer: str) -> str:
    """Name of the table of the layer's old rows."""
    return short(f"twin_past_{layer}")


def log_function(layer: str) -> str:
    """Name of the function that logs changes of a layer."""
    return short(f"twin_log_{layer}")
