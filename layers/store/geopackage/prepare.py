"""A file becomes a store when it is opened: an empty one gets its tables, one of format 6 the history's, one
of format 7 the triggers that keep less of a row."""

from __future__ import annotations

import sqlite3

from layers.errors import Unavailable
from layers.store import layer_record
from layers.store.geopackage import catalog, keeping, log, past, schema, triggers
from layers.store.geopackage.connection import sqlite_errors, transaction
from layers.store.history import Retention
from layers.store.mark import fresh_epoch

#: The format before there was a history.
WITHOUT = 6


def prepare(con: sqlite3.Connection, *, read_only: bool) -> bool:
    """Make the tables of an empty file, and bring one of format 6 or 7 to this one; whether it has a history:
    one of format 6 that is only read has none.

    Raises Unavailable: not a city's file, or of a form this program does not know."""
    with sqlite_errors():
        empty = _is_empty(con)
    if empty:
        with transaction(con):
            if _is_empty(con):
                _create(con)
        with sqlite_errors():
            con.execute("PRAGMA wal_checkpoint")  # GDAL looks for "GPKG" in the file itself
    with sqlite_errors():
        found = _format(con)
    if found != schema.FORMAT and not read_only:
        with transaction(con):
            before = _format(con)
            if before == WITHOUT:
                _begin_history(con)
            elif before == keeping.WHOLE:
                _share(con)
    if not read_only and not _has_marks(con):
        with transaction(con):
            if not _has_marks(con):
                _mark(con)
    return found != WITHOUT or not read_only


def _is_empty(con: sqlite3.Connection) -> bool:
    return bool(con.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0)


def _create(con: sqlite3.Connection) -> None:
    schema.create(con, fresh_epoch())  # whose mark is nowhere yet: see epoch.begin
    keeping.begin(con)


def _format(con: sqlite3.Connection) -> int:
    """The format of the file. Raises Unavailable: not a store, or of a format that is not read here."""
    if not con.execute("SELECT 1 FROM sqlite_master WHERE type='table' AND name='twin_meta'").fetchone():
        raise Unavailable("city.gpkg is not a store of OneMap Twin; load it with twin load instead")
    row = con.execute("SELECT value FROM twin_meta WHERE key='format'").fetchone()
    for known in (WITHOUT, keeping.WHOLE, schema.FORMAT):
        if row == (str(known),):
            return known
    raise Unavailable(
        f"city.gpkg has store format {row and row[0]}, this version reads {schema.FORMAT}: load it anew"
    )


def keep_for(con: sqlite3.Connection, wanted: Retention) -> None:
    """Note for how long old rows are to be kept, and begin or end to write those of the layers for which that
    changes: of them nothing is known of before."""
    if keeping.retention(con) == wanted:
        return
    with transaction(con):
        before = keeping.retention(con)
        con.execute("INSERT OR REPLACE INTO twin_meta VALUES ('history', ?)", (wanted.text(),))
        present = _triggers(con)
        for (layer,) in con.execute("SELECT id FROM twin_layers").fetchall():
            turned = (before.of(layer) == 0) != (wanted.of(layer) == 0)
            if turned and present.issuperset(triggers.log_triggers(layer, kept=False)):
                number = log.last_seq(con)
                past.drop(con, layer)
                keeping.cut(con, layer, number, "off")
                past.settle(con, layer, number)
                triggers.create_ours(con, layer)
        catalog.touch(con)


def _triggers(con: sqlite3.Connection) -> set[str]:
    return {row[0] for row in con.execute("SELECT name FROM sqlite_master WHERE type='trigger'")}


def _share(con: sqlite3.Connection) -> None:
    """From now on old rows leave out what their change leaves as it is; those that are there stay whole."""
    sql = "SELECT name, sql FROM sqlite_master WHERE type='trigger'"
    present = dict(con.execute(sql).fetchall())
    layers = [layer for (layer,) in con.execute("SELECT id FROM twin_layers")]
    whole = {layer: triggers.ours(con, layer) for layer in layers}
    _note(con)
    for layer, before in whole.items():
        if before.items() <= present.items():
            triggers.create_ours(con, layer)
        elif before.keys() <= present.keys():  # a column was renamed in them: the next look follows that
            for name, missing in triggers.ours(con, layer).items():
                if name not in present:
                    con.execute(missing)


def _has_marks(con: sqlite3.Connection) -> bool:
    with sqlite_errors():
        sql = "SELECT EXISTS (SELECT 1 FROM pragma_table_info('twin_layers') WHERE name='model_version')"
        return bool(con.execute(sql).fetchone()[0])


def _mark(con: sqlite3.Connection) -> None:
    """From now on it is recorded of a layer what it is to model versions; earlier, only their loads told."""
    con.execute("ALTER TABLE twin_layers ADD COLUMN model_version TEXT")
    found = layer_record.formerly(dict(con.execute("SELECT layer, report FROM twin_reports")))
    con.executemany(
        "UPDATE twin_layers SET model_version=? WHERE id=?", [(mark, layer) for layer, mark in found.items()]
    )
    catalog.touch(con)


def _note(con: sqlite3.Connection) -> None:
    con.execute("UPDATE twin_meta SET value=? WHERE key='format'", (str(schema.FORMAT),))


def _begin_history(con: sqlite3.Connection) -> None:
    """Begin the history of a city: nothing is copied, since present rows have no old ones yet."""
    con.execute("ALTER TABLE twin_changes ADD COLUMN at INTEGER")
    schema.run(con, schema.HISTORY)
    con.execute(
        "INSERT INTO twin_sets (first, last, at, actor, via, message, address, layer)"
        " SELECT seq, seq, max(at) OVER (ORDER BY seq), actor, 'api', '', '', layer FROM twin_actors"
        " ORDER BY seq"
    )
    con.execute("DROP TABLE twin_actors")
    keeping.begin(con)
    keeping.begin_epoch(con, con.execute("SELECT value FROM twin_meta WHERE key='epoch'").fetchone()[0])
    _note(con)
    number = keeping.beginning(con)[0]
    present = _triggers(con)
    for (layer,) in con.execute("SELECT id FROM twin_layers").fetchall():
        # what another program took away is found missing by the next look, as ever
        if present.issuperset(triggers.log_triggers(layer, kept=False)):
            past.settle(con, layer, number)
            triggers.create_ours(con, layer)
    catalog.touch(con)
