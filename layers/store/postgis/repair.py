"""What other programs did to the tables of layers, put right, or why it cannot be."""

# Identifiers come quoted from the catalog and values are bound: ruff cannot see that.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence

from layers.store.layer_record import OK
from layers.store.postgis import ddl, introspect, layer_table, watched
from layers.store.postgis.ddl import Place
from layers.store.postgis.introspect import Facts
from layers.store.postgis.layer_table import Table
from layers.store.postgis.schema import short


def repair(place: Place, layers: Sequence[str], *, touched: bool = True) -> None:
    """Put back what another program removed from these layers and log each such one as changed whole.

    Runs inside the caller's transaction; ``touched`` tells the other processes."""
    rows = place.con.execute(
        f"SELECT id, signature FROM {place.s}.twin_layers WHERE id = ANY(%s) ORDER BY id FOR UPDATE",
        (list(layers),),
    ).fetchall()
    found = ddl.facts(place)
    broken = [(layer, signature) for layer, signature in rows if found[layer].signature != signature]
    present = layer_table.tables(place.con, place.schema) if broken else {}
    for layer, signature in broken:
        _repair(place, present[layer], found[layer], signature)
    if broken and touched:
        ddl.touch(place)


def _repair(place: Place, table: Table, found: Facts, signature: str) -> None:
    kind, srid = table.geometry_type, 0
    if found.oid is not None and found.typmod is not None:
        kind, srid = introspect.geometry(
            place.con, place.postgis, found.oid, table.raw, table.geom_column, table.srid
        )
    state = introspect.state(found, srid or table.srid, table.source)
    replaced, unseen = (test(found.signature, signature) for test in (introspect.replaced, introspect.unseen))
    restored = state == OK and table.source is None and introspect.restored(found.signature, signature)
    if restored:
        # its bodies were put back with it; those of features that were not are nobody's
        place.con.execute(
            f"DELETE FROM {table.mesh} m WHERE NOT EXISTS (SELECT FROM {table.raw} f WHERE f.fid = m.fid)"
        )
    elif state == OK and (replaced or (table.source is not None and (unseen or table.state != OK))):
        state = _adopt(place, table, found)
    elif state != OK or replaced:
        _forget_meshes(place, table)
    before = int(place.one(f"SELECT {ddl.count_sql(place.s, table.id)}"))
    counted = unseen or state != table.state
    delta = (_count(place, table) if state == OK else 0) - before if counted else 0
    ddl.log_whole(place, table.id, delta, None, None)
    now = ddl.facts(place)[table.id]
    place.con.execute(
        f"UPDATE {place.s}.twin_layers SET state = %s, signature = %s, columns = %s, geometry_type = %s"
        " WHERE id = %s",
        (
            state,
            now.signature,
            layer_table.dump_columns(now.columns),
            kind if replaced else table.geometry_type,
            table.id,
        ),
    )


def _adopt(place: Place, table: Table, found: Facts) -> str:
    """Make a table that another program made, or took the triggers from, a layer's table again; its state."""
    if table.source is not None:
        return watched.watch(place, table, found.heirs)
    place.con.execute(f"LOCK TABLE {table.raw} IN SHARE ROW EXCLUSIVE MODE")
    if not any(c.name == "source_id" for c in found.columns):
        place.con.execute(f"ALTER TABLE {table.raw} ADD COLUMN source_id {ddl.TEXT}")
    _forget_meshes(place, table)
    time_field = next((c.name for c in found.columns if c.name == short(table.time_field or "")), None)
    ddl.create_indexes(place, table.id, time_field)
    ddl.create_triggers(place, table.id)
    return OK


def _forget_meshes(place: Place, table: Table) -> None:
    if table.source is None:
        ddl.create_mesh_table(place, table.id)
        place.con.execute(f"DELETE FROM {table.mesh}")


def _count(place: Place, table: Table) -> int:
    return int(place.one(f"SELECT count(*) FROM {table.raw}"))
