"""What other programs did to the tables of layers, put right, or why it cannot be."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from layers.store.layer_record import OK
from layers.store.postgis import copied, ddl, history, introspect, layer_table, log_function, schema
from layers.store.postgis.ddl import DdlTarget
from layers.store.postgis.introspect import Facts
from layers.store.postgis.layer_table import LayerTable
from layers.store.postgis.schema import short


def repair(place: DdlTarget, layers: Sequence[str], *, touched: bool = True, again: bool = False) -> None:
    """Put back what another program removed from these layers and log each such one as changed whole.

    Runs inside the caller's transaction; ``touched`` tells the other processes. ``again``: try also what
    looks as it did when it could not be read. Raises Unavailable while the city is half restored."""
    rows = place.con.execute(
        f"SELECT id, signature FROM {place.s}.twin_layers WHERE id = ANY(%s) ORDER BY id FOR UPDATE",
        (list(layers),),
    ).fetchall()
    schema.refuse_half_restored(place.con, place.schema)  # under the lock, so that it stays so
    facts = ddl.facts(place)
    broken = [(layer, signature) for layer, signature in rows if again or facts[layer].signature != signature]
    present = layer_table.tables(place.con, place.schema) if broken else {}
    repaired = [_repair(place, present[layer], facts[layer], signature) for layer, signature in broken]
    if any(repaired) and touched:
        ddl.touch(place)


def _repair(place: DdlTarget, table: LayerTable, facts: Facts, signature: str) -> bool:
    """Whether anything is not as it was."""
    source = table.source
    kind, state = _geometry(place, table, facts)
    replaced, unseen = (test(facts.signature, signature) for test in (introspect.replaced, introspect.unseen))
    before = int(place.one(f"SELECT {ddl.count_sql(place.s, table.id)}"))
    if source is not None:
        state = follow(place, table, facts) if state == OK else state
        if state == table.state and state != OK and facts.signature == signature:
            return False
        unseen = True
    elif state == OK and introspect.restored(facts.signature, signature):
        # its bodies were put back with it; those of features that were not are nobody's
        place.con.execute(
            f"DELETE FROM {table.mesh} m WHERE NOT EXISTS (SELECT FROM {table.raw} f WHERE f.fid = m.fid)"
        )
    elif state == OK and replaced:
        _adopt(place, table, facts)
    elif state != OK or replaced:
        _forget_meshes(place, table)
    now = ddl.facts(place)[table.id]
    if state != OK or table.state != OK or _is_cut(place, table, now, signature):
        history.cut(place.con, place.schema, table.id, "gap")
    place.con.execute(
        f"UPDATE {place.s}.twin_layers SET state = %s, signature = %s, columns = %s, geometry_type = %s,"
        f" seen = '{place.s}.twin_meta'::regclass WHERE id = %s",
        (
            state,
            now.signature,
            layer_table.dump_columns(now.columns),
            kind if replaced or source is not None else table.geometry_type,
            table.id,
        ),
    )
    delta = 0
    if unseen or state != table.state:
        rows = layer_table.tables(place.con, place.schema)[table.id].raw
        delta = (int(place.one(f"SELECT count(*) FROM {rows}")) if state == OK else 0) - before
    ddl.log_whole(place, table.id, delta, None, None)
    return True


def _is_cut(place: DdlTarget, table: LayerTable, now: Facts, signature: str) -> bool:
    """Whether rows, or values of theirs, may have been lost without an old row that tells of them."""
    if not signature or now.followed != (signature.split(" ")[2] == "followed") or table.copied:
        return True
    if introspect.restored(now.signature, signature) and table.source is None:
        # put back with its history, or alone
        same = f"SELECT seen = '{place.s}.twin_meta'::regclass FROM {place.s}.twin_layers WHERE id = %s"
        return bool(place.one(same, (table.id,)))
    there = {(column.name, column.pg) for column in now.columns}
    lost = any((column.name, column.pg) not in there for column in table.columns.values())
    return lost or introspect.unseen(now.signature, signature)


def _geometry(place: DdlTarget, table: LayerTable, facts: Facts) -> tuple[str, str]:
    """The geometry type of a layer's table, and the state that follows from what it is."""
    if facts.oid is None or facts.typmod is None:
        return table.geometry_type, introspect.state(facts, table.srid, table.source)
    relation, column = table.raw, "geom"
    if table.source is not None:
        relation, column = table.source.relation, table.source.geometry
    try:
        with place.con.transaction():
            kind, srid = introspect.geometry(
                place.con, place.postgis, facts.oid, relation, column, table.srid
            )
    except psycopg.errors.InsufficientPrivilege:
        return table.geometry_type, copied.NO_SELECT
    return kind, introspect.state(facts, srid or table.srid, table.source)


def follow(place: DdlTarget, table: LayerTable, facts: Facts) -> str:
    """Follow a table of another program by triggers, or copy what it shows; the layer's state."""
    assert table.source is not None
    if not facts.followed:
        ddl.drop_logging(place, table.id)
        return copied.make(place, table, facts)
    copied.drop(place, table)
    source = table.source
    try:
        with place.con.transaction():
            if not facts.triggered:
                ddl.create_triggers(place, table.id, source)
            if place.one("SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = %s", (facts.oid,)):
                for sql in log_function.always(ddl.logged(place, table.id, source)):
                    place.con.execute(sql)
    except psycopg.errors.InsufficientPrivilege:  # of a schema
        return copied.NO_SELECT
    return OK


def _adopt(place: DdlTarget, table: LayerTable, facts: Facts) -> None:
    """Make a table that another program made, or took the triggers from, a layer's table again."""
    place.con.execute(f"LOCK TABLE {table.raw} IN SHARE ROW EXCLUSIVE MODE")
    if not any(c.name == "source_id" for c in facts.columns):
        place.con.execute(f"ALTER TABLE {table.raw} ADD COLUMN source_id {ddl.TEXT}")
    _forget_meshes(place, table)
    time_field = next((c.name for c in facts.columns if c.name == short(table.time_field or "")), None)
    ddl.create_indexes(place, table.id, time_field)
    ddl.create_triggers(place, table.id)


def _forget_meshes(place: DdlTarget, table: LayerTable) -> None:
    ddl.create_mesh_table(place, table.id)
    place.con.execute(f"DELETE FROM {table.mesh}")
