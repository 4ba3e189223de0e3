"""A city of an earlier format becomes one of this, in one transaction and without a copy of its rows."""

from __future__ import annotations

from layers.store.postgis import ddl, layer_table, log_function, numbering, schema
from layers.store.postgis.connection import quoted
from layers.store.postgis.ddl import DdlTarget


def migrate(place: DdlTarget) -> None:
    """Bring a city of format 4 or 5 to format 6, inside the caller's transaction."""
    con, s = place.con, place.s
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
