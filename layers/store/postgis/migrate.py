"""A city of an earlier format becomes one of this, in one transaction and without a copy of its rows."""

from __future__ import annotations

from layers.store.postgis import ddl, layer_table, log_function, numbering, schema
from layers.store.postgis.connection import quoted
from layers.store.postgis.ddl import DdlTarget


def migrate(place: DdlTarget) -> None:
    """Bring a city of format 4 to format 5, inside the caller's transaction: its history begins now.

    Who edited features before is known of single numbers: each becomes a change set."""
    con, s = place.con, place.s
    if place.one(f"SELECT format FROM {s}.twin_meta FOR UPDATE") != schema.BEFORE_HISTORY:
        return
    con.execute(f"LOCK TABLE {s}.twin_pending IN ACCESS EXCLUSIVE MODE")  # all who edit have committed
    numbering.make(con, place.schema, place.postgis)
    con.execute(
        f"INSERT INTO {s}.twin_sets SELECT row_number() OVER (ORDER BY seq), seq, seq,"
        " max(date_trunc('milliseconds', at)) OVER (ORDER BY seq), actor, 'api', '', '', ARRAY[layer]"
        f" FROM {s}.twin_actors"
    )
    con.execute(f"DROP TABLE {s}.twin_actors")
    con.execute(
        f"UPDATE {s}.twin_meta SET format = %s, stamp = stamp + 1,"
        f" since = (SELECT coalesce(max(seq), 0) FROM {s}.twin_changes)",
        (schema.FORMAT,),
    )
    for table in layer_table.tables(con, place.schema).values():
        numbering.make_past(con, place.schema, table.id)
        name = f"{s}.{quoted(schema.log_function(table.id))}()"
        if place.one("SELECT to_regprocedure(%s)", (name,)) is not None:
            rows = None if table.source is None else table.rows
            con.execute(log_function.function(ddl.logged(place, table.id, rows)))
    con.execute(
        f"UPDATE {s}.twin_layers SET seen = '{s}.twin_meta'::regclass WHERE id <> ALL(%s)",
        (ddl.moved(place),),  # of a dump that was just restored: see repair
    )
