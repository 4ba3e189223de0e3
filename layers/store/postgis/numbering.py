"""The tables of the history, and how what a transaction changed gets its numbers when it commits.

The triggers of a layer write to ``twin_pending``, under the number of their transaction, what they log and
what the rows were (``log_function``). ``twin_number`` takes the city's lock, moves both under the next
numbers to ``twin_changes`` and ``twin_past``, writes the change set of the transaction to ``twin_sets``, and
notifies once. ``twin_past`` has a partition a layer: an edit then writes by one statement, planned once a
session, and an index of places serves its layer alone.

An old row is what was true of a feature until change ``until``; ``there`` is false where it did not exist,
and ``lent`` tells what it has of later ones (``old_rows``). A row of ``twin_records`` is what was said of a
layer until then, null where there was no such layer.

Who makes a change set is said by a setting of the transaction, ``twin.author``, and believed of sessions that
have the rights of the city's owner; of others it is the role, the application and the address.
"""

from __future__ import annotations

from layers.store.postgis import shape
from layers.store.postgis.connection import Connection, literal, quoted
from layers.store.postgis.old_rows import GEOMETRY
from layers.store.postgis.schema import BOXES, channel, key, past_table


def make(con: Connection, schema: str, postgis: str) -> None:
    """Begin the history of a city that has none, inside the caller's transaction."""
    s = quoted(schema)
    con.execute(_tables(s, postgis))
    con.execute(numbering(schema) + _joining(s) + _committing(s))
    con.execute(_recording(s))


def make_past(con: Connection, schema: str, layer: str) -> None:
    """The old rows of a layer; those that are there already stay.

    Attached, not made as a partition: that would wait for whoever edits any layer."""
    s = quoted(schema)
    name = f"{s}.{quoted(past_table(layer))}"
    if con.execute("SELECT to_regclass(%s)", (name,)).fetchone() != (None,):
        return
    con.execute(f"CREATE TABLE {name} (LIKE {s}.twin_past INCLUDING INDEXES INCLUDING STORAGE)")
    con.execute(f"ALTER TABLE {s}.twin_past ATTACH PARTITION {name} FOR VALUES IN ({literal(layer)})")


def _tables(s: str, postgis: str) -> str:
    """``since`` and ``began`` say from which number on the city keeps its history, and since when;
    ``history`` for how long, as a :class:`layers.store.history.Retention`."""
    return f"""
ALTER TABLE {s}.twin_meta ADD COLUMN since bigint NOT NULL DEFAULT 0,
  ADD COLUMN began timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp()),
  ADD COLUMN history text;
ALTER TABLE {s}.twin_layers ADD COLUMN seen oid;
ALTER TABLE {s}.twin_pending ADD COLUMN part bigint, ADD COLUMN there boolean, ADD COLUMN old json,
  ADD COLUMN geom {postgis}.geometry, ADD COLUMN mesh bytea;
ALTER TABLE {s}.twin_pending ADD COLUMN lent smallint;
CREATE TABLE {s}.twin_past (fid bigint, until bigint NOT NULL, layer text COLLATE "C" NOT NULL,
  there boolean NOT NULL, lent smallint NOT NULL DEFAULT 0, old json, geom {postgis}.geometry, mesh bytea)
  PARTITION BY LIST (layer);
CREATE INDEX twin_past_fid ON {s}.twin_past (fid, until);
CREATE INDEX twin_past_until ON {s}.twin_past (until, fid);
{places(s, postgis)}
CREATE TABLE {s}.twin_records (layer text COLLATE "C" NOT NULL, until bigint, xid xid8, record json);
CREATE INDEX twin_records_layer ON {s}.twin_records (layer, until);
CREATE INDEX twin_records_xid ON {s}.twin_records (xid) WHERE until IS NULL;
CREATE TABLE {s}.twin_sets (id bigint PRIMARY KEY, first bigint NOT NULL, last bigint NOT NULL,
  at timestamptz NOT NULL, actor text, via text NOT NULL, message text NOT NULL, address text NOT NULL,
  layers text[] NOT NULL, generation bigint, undone bigint, xid xid8);
CREATE UNIQUE INDEX twin_sets_last ON {s}.twin_sets (last);
CREATE INDEX twin_sets_at ON {s}.twin_sets (at, id);
CREATE SEQUENCE {s}.twin_set_id MINVALUE 0;
CREATE SEQUENCE {s}.twin_set_at MINVALUE 0;
CREATE TABLE {s}.twin_kept (layer text COLLATE "C" PRIMARY KEY, seq bigint, at timestamptz NOT NULL,
  why text NOT NULL, xid xid8);
CREATE TABLE {s}.twin_epochs (epoch text PRIMARY KEY, seq bigint NOT NULL, at timestamptz NOT NULL);
INSERT INTO {s}.twin_epochs SELECT epoch, coalesce((SELECT max(seq) FROM {s}.twin_changes), 0),
  date_trunc('milliseconds', clock_timestamp()) FROM {s}.twin_meta;
"""


def places(s: str, postgis: str) -> str:
    """DDL of the indexes by which old rows are found that have a place of their own, or none."""
    unplaced = shape.null_geometry_sql("geom", f"{postgis}.")
    return f"""CREATE INDEX twin_past_place ON {s}.twin_past USING gist (geom) WHERE geom IS NOT NULL;
CREATE INDEX twin_past_unplaced ON {s}.twin_past (fid)
  WHERE there AND lent & {GEOMETRY} = 0 AND {unplaced};"""


_DEFINER = "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$"


def numbering(schema: str) -> str:
    """DDL of the functions that give a transaction's changes their numbers when it commits."""
    s = quoted(schema)
    sequence = f"{literal(s + '.twin_seq')}::regclass"
    return f"""CREATE OR REPLACE FUNCTION {s}.twin_number() RETURNS bigint {_DEFINER}
DECLARE
  mine xid8 := pg_current_xact_id();
  before bigint;
  oldest bigint;
  newest bigint;
  changed text[];
BEGIN
  IF NOT EXISTS (SELECT FROM {s}.twin_pending WHERE xid = mine) THEN
    RETURN NULL;
  END IF;
  PERFORM pg_advisory_xact_lock({key(schema, "number")});
  before := nextval({sequence}) - 1;
  WITH gone AS (DELETE FROM {s}.twin_pending WHERE xid = mine RETURNING *),
  numbered AS MATERIALIZED (SELECT gone.*, before + count(*) FILTER (WHERE part IS NULL)
    OVER (ORDER BY coalesce(part, id), id) AS seq FROM gone),
  put AS (INSERT INTO {s}.twin_changes (seq, layer, fid, delta, {BOXES}, nonce)
    SELECT seq, layer, fid, delta, {BOXES},
      ('x' || substr(md5(random()::text || clock_timestamp()::text), 1, 16))::bit(64)::bigint
    FROM numbered WHERE part IS NULL),
  kept AS (INSERT INTO {s}.twin_past (layer, fid, until, there, old, geom, mesh, lent)
    SELECT layer, fid, seq, there, old, geom, mesh, lent FROM numbered WHERE there IS NOT NULL)
  SELECT min(seq), max(seq), array_agg(DISTINCT layer) INTO oldest, newest, changed FROM numbered;
  PERFORM setval({sequence}, newest);
  UPDATE {s}.twin_records SET until = newest WHERE xid = mine AND until IS NULL;
  UPDATE {s}.twin_kept SET seq = newest, xid = NULL WHERE xid = mine;
  PERFORM {s}.twin_set(mine, oldest, newest, changed);
  PERFORM pg_notify({literal(channel(schema))}, newest::text);
  RETURN newest;
END $body$;
REVOKE ALL ON FUNCTION {s}.twin_number() FROM PUBLIC;
"""


def _joining(s: str) -> str:
    """DDL of the function that makes numbered changes a change set, or more of that of their transaction."""
    return f"""CREATE OR REPLACE FUNCTION {s}.twin_set(mine xid8, oldest bigint, newest bigint,
  changed text[]) RETURNS void
{_DEFINER}
DECLARE
  present {s}.twin_sets;
  said json;
  next bigint;
  now_ms bigint := 1000 * extract(epoch FROM date_trunc('milliseconds', clock_timestamp()));
BEGIN
  SELECT * INTO present FROM {s}.twin_sets ORDER BY id DESC LIMIT 1;
  IF present.xid = mine THEN
    UPDATE {s}.twin_sets SET last = newest,
      layers = ARRAY(SELECT DISTINCT unnest(layers || changed) ORDER BY 1) WHERE id = present.id;
    RETURN;
  END IF;
  IF current_setting('twin.author', true) <> '' AND pg_has_role(session_user, current_user, 'MEMBER') THEN
    said := current_setting('twin.author', true);
  ELSE
    said := json_build_object('via', 'other', 'actor', session_user, 'message',
      current_setting('application_name'), 'address', coalesce(host(inet_client_addr()), ''));
  END IF;
  -- an older snapshot does not show the sets that were made since: the sequences do
  next := coalesce(present.id, 0) + 1;
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    next := (SELECT last_value FROM {s}.twin_set_id) + 1;
  END IF;
  now_ms := greatest(now_ms, (SELECT last_value FROM {s}.twin_set_at));
  PERFORM setval({literal(s + ".twin_set_id")}::regclass, next);
  PERFORM setval({literal(s + ".twin_set_at")}::regclass, now_ms);
  INSERT INTO {s}.twin_sets VALUES (next, oldest, newest,
    greatest(present.at, to_timestamp(now_ms / 1000.0)), said->>'actor', said->>'via',
    coalesce(said->>'message', ''), coalesce(said->>'address', ''), changed, (said->>'generation')::bigint,
    (said->>'undone')::bigint, mine);
END $body$;
REVOKE ALL ON FUNCTION {s}.twin_set(xid8, bigint, bigint, text[]) FROM PUBLIC;
"""


def _committing(s: str) -> str:
    """DDL of the trigger by which a transaction that commits numbers its changes."""
    return f"""CREATE OR REPLACE FUNCTION {s}.twin_commit() RETURNS trigger {_DEFINER}
BEGIN
  PERFORM {s}.twin_number();
  RETURN NULL;
END $body$;
DROP TRIGGER IF EXISTS twin_commit ON {s}.twin_pending;
CREATE CONSTRAINT TRIGGER twin_commit AFTER INSERT ON {s}.twin_pending DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.first) EXECUTE FUNCTION {s}.twin_commit();
ALTER TABLE {s}.twin_pending ENABLE ALWAYS TRIGGER twin_commit;
"""


#: What of a layer's row is of the moment, and not what is said of the layer.
_PASSING = "ARRAY['base_seq', 'base_count', 'signature', 'logger', 'seen']"


def _recording(s: str) -> str:
    """DDL of the triggers that keep what was said of a layer, till the end of the transaction that says
    something else. Where that logs no change, it logs one of the whole layer; of a load that found all equal,
    the new generation is no change: it is that of the newest number from now on."""
    return f"""CREATE FUNCTION {s}.twin_record() RETURNS trigger {_DEFINER}
DECLARE
  mine xid8 := pg_current_xact_id();
  was json := CASE WHEN TG_OP <> 'INSERT' THEN row_to_json(OLD) END;
  named text := coalesce(NEW.id, OLD.id);
BEGIN
  IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - {_PASSING} = to_jsonb(OLD) - {_PASSING} THEN
    RETURN NULL;
  END IF;
  IF NOT EXISTS (SELECT FROM {s}.twin_records WHERE xid = mine AND until IS NULL AND layer = named) THEN
    INSERT INTO {s}.twin_records (layer, xid, record) VALUES (named, mine, was);
  END IF;
  RETURN NULL;
END $body$;
CREATE FUNCTION {s}.twin_recorded() RETURNS trigger {_DEFINER}
DECLARE
  now jsonb := coalesce((SELECT to_jsonb(l) FROM {s}.twin_layers l WHERE id = NEW.layer),
    (SELECT to_jsonb(f) FROM {s}.twin_forms f WHERE id = NEW.layer));
  passing text[] := {_PASSING} || 'generation'::text;
  newest bigint;
BEGIN
  IF NOT EXISTS (SELECT FROM {s}.twin_records
    WHERE xid = NEW.xid AND until IS NULL AND layer = NEW.layer) THEN
    RETURN NULL;
  END IF;
  IF NOT EXISTS (SELECT FROM {s}.twin_pending WHERE xid = NEW.xid) THEN
    IF now - passing = NEW.record::jsonb - passing THEN
      SELECT coalesce(max(last), 0) INTO newest FROM {s}.twin_sets;
      UPDATE {s}.twin_records SET until = newest WHERE xid = NEW.xid AND until IS NULL AND layer = NEW.layer
        AND NOT EXISTS (SELECT FROM {s}.twin_records o WHERE o.layer = NEW.layer AND o.until = newest);
      DELETE FROM {s}.twin_records WHERE xid = NEW.xid AND until IS NULL AND layer = NEW.layer;
      RETURN NULL;
    END IF;
    INSERT INTO {s}.twin_pending (xid, first, layer, delta) VALUES (NEW.xid, false, NEW.layer, 0);
  END IF;
  PERFORM {s}.twin_number();
  RETURN NULL;
END $body$;
CREATE CONSTRAINT TRIGGER twin_recorded AFTER INSERT ON {s}.twin_records DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION {s}.twin_recorded();
ALTER TABLE {s}.twin_records ENABLE ALWAYS TRIGGER twin_recorded;
CREATE TRIGGER twin_record AFTER INSERT OR UPDATE OR DELETE ON {s}.twin_layers
  FOR EACH ROW EXECUTE FUNCTION {s}.twin_record();
CREATE TRIGGER twin_record AFTER INSERT OR UPDATE OR DELETE ON {s}.twin_forms
  FOR EACH ROW EXECUTE FUNCTION {s}.twin_record();
"""
