"""The tables of a city in its schema: the layers, and our own ``twin_`` tables beside them.

How edits get their numbers. Statement triggers write what they changed to ``twin_pending``, under the
number of their transaction. At commit a deferred constraint trigger takes the city's advisory lock, moves
the rows of its transaction to ``twin_changes`` under the next numbers, and notifies once. PostgreSQL gives
the lock back only after the transaction became visible (CommitTransaction in xact.c), so numbers become
visible in their order, and a transaction that stays open for an hour holds nobody up.

The functions run as the owner of the schema with a fixed search path, so whoever may edit a layer needs no
right on our tables. The triggers are ENABLE ALWAYS: they fire under session_replication_role = replica, too.

How a half restored city is told. pg_restore, and psql with a plain dump, fill a materialized view after all
else, indexes, triggers and rights included, in parallel too (RESTORE_PASS_POST_ACL in pg_backup_archiver.h).
``twin_complete`` is one: while it is not filled, nothing is read, written or repaired.
"""

from __future__ import annotations

import hashlib

from layers.errors import Unavailable
from layers.store.postgis.connection import Connection, bound, literal, quoted
from layers.store.staged import LOGGED_EACH
from layers.types import FieldType

FORMAT = 4
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


def tables(schema: str) -> str:
    """DDL of our own tables and of the functions that number changes."""
    s = quoted(schema)
    own = f"""
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
CREATE INDEX twin_pending_xid ON {s}.twin_pending (xid);
CREATE TABLE {s}.twin_pruned (layer text COLLATE "C" PRIMARY KEY, seq bigint NOT NULL);
CREATE TABLE {s}.twin_actors (layer text COLLATE "C", fid bigint, seq bigint, actor text NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (layer, fid, seq));
CREATE TABLE {s}.twin_layers (id text COLLATE "C" PRIMARY KEY, kind text NOT NULL, title text NOT NULL,
  geometry_type text NOT NULL, crs text NOT NULL, time_field text, key text NOT NULL,
  generation bigint NOT NULL, fields text NOT NULL, source text, logger text NOT NULL, state text NOT NULL,
  signature text NOT NULL,  columns text NOT NULL, base_seq bigint NOT NULL, base_count bigint NOT NULL,
  vertical_datum text NOT NULL DEFAULT '');
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
"""
    return own + _numbering(schema)


def _numbering(schema: str) -> str:
    """DDL of the functions that give a transaction's changes their numbers when it commits."""
    s = quoted(schema)
    return f"""CREATE FUNCTION {s}.twin_number() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  newest bigint;
  mine xid8 := pg_current_xact_id();
BEGIN
  IF NOT EXISTS (SELECT FROM {s}.twin_pending WHERE xid = mine) THEN
    RETURN NULL;
  END IF;
  PERFORM pg_advisory_xact_lock({key(schema, "number")});
  WITH gone AS (DELETE FROM {s}.twin_pending WHERE xid = mine RETURNING *),
  put AS (INSERT INTO {s}.twin_changes (seq, layer, fid, delta, {BOXES}, nonce)
    SELECT nextval({literal(s + ".twin_seq")}::regclass), layer, fid, delta, {BOXES},
      ('x' || substr(md5(random()::text || clock_timestamp()::text), 1, 16))::bit(64)::bigint
    FROM (SELECT * FROM gone ORDER BY id) ordered RETURNING seq)
  SELECT max(seq) INTO newest FROM put;
  PERFORM pg_notify({literal(channel(schema))}, newest::text);
  RETURN newest;
END $body$;
REVOKE ALL ON FUNCTION {s}.twin_number() FROM PUBLIC;
CREATE FUNCTION {s}.twin_commit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  PERFORM {s}.twin_number();
  RETURN NULL;
END $body$;
CREATE CONSTRAINT TRIGGER twin_commit AFTER INSERT ON {s}.twin_pending DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.first) EXECUTE FUNCTION {s}.twin_commit();
ALTER TABLE {s}.twin_pending ENABLE ALWAYS TRIGGER twin_commit;
COMMENT ON SCHEMA {s} IS 'A city of OneMap Twin: edit the layers, not the tables named twin_';
"""


def create(con: Connection, schema: str, epoch: str, origin: str) -> None:
    """Make an empty city, inside the caller's transaction."""
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
    """Whether the schema holds a city. Raises Unavailable for one of another format, or half restored."""
    if con.execute("SELECT to_regclass(%s)", (f"{quoted(schema)}.twin_meta",)).fetchone() == (None,):
        return False
    refuse_half_restored(con, schema)
    return True


def refuse_half_restored(con: Connection, schema: str) -> None:
    """Raises Unavailable while a dump is being restored into the schema, or for a city of another format."""
    row = con.execute(
        f"SELECT format FROM {bound(schema)}.twin_meta WHERE NOT EXISTS (SELECT FROM pg_class WHERE"
        " relnamespace = to_regnamespace(%s) AND relname = 'twin_complete' AND NOT relispopulated)",
        (quoted(schema),),
    ).fetchone()
    if row is None:
        raise Unavailable(HALF_RESTORED)
    if row[0] != FORMAT:
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


def log_function(layer: str) -> str:
    """Name of the function that logs changes of a layer."""
    return short(f"twin_log_{layer}")


OPERATIONS = ("INSERT", "UPDATE", "DELETE", "TRUNCATE")
_TRANSITION = {
    "INSERT": "REFERENCING NEW TABLE AS new_rows",
    "UPDATE": "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "DELETE": "REFERENCING OLD TABLE AS old_rows",
    "TRUNCATE": "",
}
_FUNCTION = (
    "RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$\n"
)


def logging(
    schema: str,
    postgis: str,
    layer: str,
    relation: str,
    fid: str,
    geom: str,
    srid: int,
    mesh: bool,
) -> list[str]:
    """The log function of a table and the four triggers on it. ``fid`` and ``geom`` are column names."""
    function = f"{quoted(schema)}.{quoted(log_function(layer))}()"
    body = _body(schema, postgis, layer, quoted(fid), quoted(geom), srid, mesh)
    statements = [f"CREATE FUNCTION {function} {_FUNCTION}{body}$body$"]
    return [*statements, *(_trigger(schema, layer, relation, o, _TRANSITION[o]) for o in OPERATIONS)]


def log_trigger(schema: str, layer: str, operation: str) -> str:
    """Name of a layer's trigger for INSERT, UPDATE, DELETE or TRUNCATE."""
    return short(f"twin_{schema}_{layer}_{operation.lower()}")


def _trigger(schema: str, layer: str, relation: str, operation: str, tables: str) -> str:
    when = "BEFORE" if operation == "TRUNCATE" else "AFTER"
    return (
        f"CREATE TRIGGER {quoted(log_trigger(schema, layer, operation))} {when} {operation} ON {relation}"
        f" {tables} FOR EACH STATEMENT EXECUTE FUNCTION {quoted(schema)}.{quoted(log_function(layer))}()"
    )


def always(schema: str, layer: str, relation: str) -> list[str]:
    """Let the triggers fire for every session, also one that replicates; for the table's owner only."""
    names = (quoted(log_trigger(schema, layer, operation)) for operation in OPERATIONS)
    return [f"ALTER TABLE {relation} ENABLE ALWAYS TRIGGER {name}" for name in names]


def _boxed(postgis: str, fid: str, geom: str, srid: int, rows: str) -> str:
    """Each row of a transition table as its fid and its box in lon/lat: x1, y1, x2, y2."""
    shape = f"r.{geom}"
    if srid != 4326:
        shape = f"{postgis}.st_envelope({postgis}.st_transform({shape}, 4326))"
    sides = (("xmin", "x1"), ("ymin", "y1"), ("xmax", "x2"), ("ymax", "y2"))
    columns = ", ".join(f"{postgis}.st_{side}({shape}) AS {name}" for side, name in sides)
    return f"SELECT r.{fid} AS fid, {columns} FROM {rows} r"


def _extent(row: str) -> str:
    columns = (f"min({row}.x1)", f"min({row}.y1)", f"max({row}.x2)", f"max({row}.y2)")
    return ", ".join(columns)


# A coordinate that cannot be brought to longitude and latitude must not keep anybody from editing.
_GUARD = (
    "BEGIN",
    "EXCEPTION WHEN data_exception OR internal_error THEN"
    " {put}VALUES (mine, true, {name}, NULL, made - gone, {none}, {none}); END;",
)


def _body(schema: str, postgis: str, layer: str, fid: str, geom: str, srid: int, mesh: bool) -> str:
    s, name = quoted(schema), literal(layer)
    old, new = (_boxed(postgis, fid, geom, srid, rows) for rows in ("old_rows", "new_rows"))
    put = f"INSERT INTO {s}.twin_pending (xid, first, layer, fid, delta, {BOXES}) "
    head = f"SELECT mine, row_number() OVER () = 1, {name}"
    none = "NULL, NULL, NULL, NULL"
    o, n = "o.x1, o.y1, o.x2, o.y2", "n.x1, n.y1, n.x2, n.y2"
    meshes = f"{s}.{quoted(mesh_table(layer))}"
    forget_updated = (
        f" IF EXISTS (SELECT FROM {meshes}) THEN DELETE FROM {meshes} m USING old_rows o"
        f" WHERE m.fid = o.{fid} AND NOT EXISTS (SELECT FROM new_rows n WHERE n.{fid} = o.{fid}"
        f" AND n.{geom}::bytea IS NOT DISTINCT FROM o.{geom}::bytea); END IF;\n"
    )
    forget_deleted = f" DELETE FROM {meshes} m USING old_rows o WHERE m.fid = o.{fid};\n"
    return f"""DECLARE
 mine xid8 := pg_current_xact_id();
 gone bigint := 0;
 made bigint := 0;
BEGIN
 IF TG_OP = 'TRUNCATE' THEN
  EXECUTE format('SELECT count(*) FROM %I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME) INTO gone;
  {put}VALUES (mine, true, {name}, NULL, -gone, {none}, {none});
  {f"DELETE FROM {meshes};" if mesh else ""}
  RETURN NULL;
 END IF;
 IF TG_OP <> 'INSERT' THEN SELECT count(*) INTO gone FROM old_rows; END IF;
 IF TG_OP <> 'DELETE' THEN SELECT count(*) INTO made FROM new_rows; END IF;
 IF gone = 0 AND made = 0 THEN RETURN NULL; END IF;
 {f"IF TG_OP = 'UPDATE' THEN{forget_updated} END IF;" if mesh else ""}
 {f"IF TG_OP = 'DELETE' THEN{forget_deleted} END IF;" if mesh else ""}
 {_GUARD[0] if srid != 4326 else ""}
 IF greatest(gone, made) > {LOGGED_EACH} THEN
  IF TG_OP = 'INSERT' THEN
   {put}SELECT mine, true, {name}, NULL, made, {none}, {_extent("n")} FROM ({new}) n;
  ELSIF TG_OP = 'DELETE' THEN
   {put}SELECT mine, true, {name}, NULL, -gone, {_extent("o")}, {none} FROM ({old}) o;
  ELSE
   {put}SELECT mine, true, {name}, NULL, 0, o.*, n.* FROM (SELECT {_extent("o")} FROM ({old}) o) o,
    (SELECT {_extent("n")} FROM ({new}) n) n;
  END IF;
 ELSIF TG_OP = 'INSERT' THEN
  {put}{head}, n.fid, 1, {none}, {n} FROM ({new}) n ORDER BY n.fid;
 ELSIF TG_OP = 'DELETE' THEN
  {put}{head}, o.fid, -1, {o}, {none} FROM ({old}) o ORDER BY o.fid;
 ELSIF made = 1 AND (SELECT o.{fid} = n.{fid} FROM old_rows o, new_rows n) THEN
  {put}{head}, n.fid, 0, {o}, {n} FROM ({old}) o, ({new}) n;
 ELSE
  {put}{head}, coalesce(n.fid, o.fid),
   CASE WHEN o.fid IS NULL THEN 1 WHEN n.fid IS NULL THEN -1 ELSE 0 END, {o}, {n}
   FROM ({old}) o FULL JOIN ({new}) n ON n.fid = o.fid ORDER BY coalesce(n.fid, o.fid);
 END IF;
 {_GUARD[1].format(put=put, name=name, none=none) if srid != 4326 else ""}
 RETURN NULL;
END """
