"""Old rows that are older than the settings say go, a few at a time, beside edits and loads."""

from __future__ import annotations

from layers.store.history import Retention
from layers.store.postgis import ddl, history, layer_table, log_function, schema
from layers.store.postgis.connection import quoted
from layers.store.postgis.ddl import DdlTarget

STEP = 2_000  # rows in one transaction
EVERY_S = 600.0  # between two looks whether there is something to be pruned


def keep_for(place: DdlTarget, wanted: Retention) -> None:
    """Note for how long old rows are to be kept, and begin or end to write those of the layers for which that
    changes; inside the caller's transaction."""
    before = ddl.retention(place)
    if before == wanted:
        return
    place.con.execute(f"UPDATE {place.s}.twin_meta SET history = %s", (wanted.text(),))
    for table in layer_table.tables(place.con, place.schema).values():
        name = f"{place.s}.{quoted(schema.log_function(table.id))}()"
        turned = (before.of(table.id) == 0) != (wanted.of(table.id) == 0)
        if turned and place.one("SELECT to_regprocedure(%s)", (name,)) is not None:
            place.con.execute(
                f"LOCK TABLE {table.raw} IN SHARE ROW EXCLUSIVE MODE"
            )  # who edits has committed
            told = ddl.logged(place, table.id, None if table.source is None else table.rows)
            cut = history.keep_from_now if told.keeps else history.keep_nothing
            cut(place.con, place.schema, table.id)
            place.con.execute(log_function.function(told))
    ddl.touch(place)


def prune(place: DdlTarget) -> bool:
    """Remove some old rows that ended too long ago, in one transaction; whether there may be more. Of several
    processes one does. From the first of them on nothing is known of the layer before that time."""
    with place.con.transaction():
        if not place.one("SELECT pg_try_advisory_xact_lock(%s)", (schema.key(place.schema, "prune"),)):
            return False
        kept = ddl.retention(place)
        layers = place.con.execute(
            f"SELECT layer FROM {place.s}.twin_records UNION SELECT id FROM {place.s}.twin_layers"
        ).fetchall()
        return any(_prune(place, layer, kept.of(layer)) for (layer,) in layers)


def _prune(place: DdlTarget, layer: str, days: float | None) -> bool:
    s, past = place.s, f"{place.s}.{quoted(schema.past_table(layer))}"
    ended = (
        f"SELECT last FROM {s}.twin_sets WHERE at <= clock_timestamp() - %s * interval '1 day'"
        " ORDER BY at DESC, id DESC LIMIT 1"
    )
    number = 0 if days is None or days > _MOST else int(place.one(ended, (days,)) or 0)
    cut = int(place.one(f"SELECT seq FROM {s}.twin_kept WHERE layer = %s", (layer,)) or 0)
    number = max(number, cut)
    chosen = f"SELECT ctid FROM {past} WHERE until <= %s ORDER BY until LIMIT {STEP}"
    told = f"DELETE FROM {s}.twin_records WHERE layer = %s AND until <= %s"
    gone = place.con.execute(told, (layer, number)).rowcount
    if place.one("SELECT to_regclass(%s)", (past,)) is not None:  # of features
        gone += place.con.execute(f"DELETE FROM {past} WHERE ctid = ANY(ARRAY({chosen}))", (number,)).rowcount
    if gone and number > cut:
        place.con.execute(
            f"INSERT INTO {s}.twin_kept AS k (layer, seq, at, why)"
            " VALUES (%s, %s, date_trunc('milliseconds', clock_timestamp()), 'pruned')"
            " ON CONFLICT (layer) DO UPDATE SET seq = excluded.seq, at = excluded.at,"
            " why = CASE k.why WHEN 'off' THEN 'off' ELSE 'pruned' END",
            (layer, number),
        )
    return gone > 0


_MOST = 3_000_000  # days that PostgreSQL's instants reach back
