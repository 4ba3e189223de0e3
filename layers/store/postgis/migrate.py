"""A city of an earlier format becomes one of this, in one transaction and without a copy of its rows."""

from __future__ import annotations

from layers.store import layer_record
from layers.store.postgis import ddl, layer_table, log_function, numbering, schema
from layers.store.postgis.connection import quoted
from layers.store.postgis.ddl import DdlTarget


def migrate(place: DdlTarget) -> None:
    """Bring a city of format 4 or 5 to format 6, and one without marks of model versions to them, inside the
    caller's transaction."""
    con, s = place.con, place.s
    _mark(place)
    before = place.one(f"SELECT format FROM {s}.twin_meta FOR UPDATE")
    if before == schema.FORMAT:
        return
    con.execute(f"LOCK TABLE {s}.twin_pending IN ACCESS EXCLUSIVE MODE")  # all who edit have committed
    con.execute(f"DROP INDEX {s}.twin_pending_xid; {schema.pending_index(s)}")
    if before == schema.BEFORE_HISTORY:
        _begin_history(place)
    else:
        _begin_lending(place)
    con.execute(f"UPDATE {s}.twin_meta SET format = %s, stamp = stamp + 1", (schema.FORMAT,))
    for table in layer_table.tables(con, place.schema).values():
        numbering.make_past(con, place.schema, table.id)
        name = f"{s}.{quoted(schema.log_function(table.id))}()"
        if place.one("SELECT to_regprocedure(%s)", (name,)) is not None:
            rows = None if table.source is None else table.rows
            con.execute(log_function.function(ddl.logged(place, table.id, rows)))
    if before == schema.BEFORE_HISTORY:
        con.execute(
            f"UPDATE {s}.twin_layers SET seen = '{s}.twin_meta'::regclass WHERE id <> ALL(%s)",
            (ddl.moved(place),),  # of a dump that was just restored: see repair
        )


def _mark(place: DdlTarget) -> None:
    """From now on it is recorded of a layer what it is to model versions; earlier, only their loads told.

    No change of a layer is logged for that."""
    con, s = place.con, place.s
    table = f"{s}.twin_layers"
    has = "SELECT FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = 'model_version'"
    if place.one(f"SELECT EXISTS ({has})", (table,)):
        return
    con.execute(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS model_version text")
    found = layer_record.formerly(dict(con.execute(f"SELECT layer, report FROM {s}.twin_reports").fetchall()))
    if not found:
        return
    recording = place.one(
        "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND tgname = 'twin_record')",
        (table,),
    )
    if recording:
        con.execute(f"ALTER TABLE {table} DISABLE TRIGGER twin_record")
    for layer, mark in found.items():
        con.execute(f"UPDATE {table} SET model_version = %s WHERE id = %s", (mark, layer))
    if recording:
        con.execute(f"ALTER TABLE {table} ENABLE TRIGGER twin_record")
    con.execute(f"UPDATE {s}.twin_meta SET stamp = stamp + 1")


def _begin_history(place: DdlTarget) -> None:
    """From format 4: the history begins now.

    Who edited features before is known of single numbers: each becomes a change set."""
    con, s = place.con, place.s
    numbering.make(con, place.schema, place.postgis)
    con.execute(
        f"INSERT INTO {s}.twin_sets SELECT row_number() OVER (ORDER BY seq), seq, seq,"
        " max(date_trunc('milliseconds', at)) OVER (ORDER BY seq), actor, 'api', '', '', ARRAY[layer]"
        f" FROM {s}.twin_actors"
    )
    con.execute(f"DROP TABLE {s}.twin_actors")
    con.execute(f"UPDATE {s}.twin_meta SET since = (SELECT coalesce(max(seq), 0) FROM {s}.twin_changes)")


def _begin_lending(place: DdlTarget) -> None:
    """From format 5: old rows lend from later ones from now on. Those that there are stay as they lie; two of
    their indexes are made anew."""
    con, s = place.con, place.s
    con.execute(f"DROP INDEX {s}.twin_past_place, {s}.twin_past_unplaced")
    con.execute(f"ALTER TABLE {s}.twin_pending ADD COLUMN lent smallint")
    con.execute(f"ALTER TABLE {s}.twin_past ADD COLUMN lent smallint NOT NULL DEFAULT 0")
    con.execute(numbering.places(s, place.postgis))
    con.execute(numbering.numbering(place.schema))
