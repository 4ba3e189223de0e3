"""A layer becomes what it was after a change of the log, as a new generation, in one transaction.

Its rows are copied from the old rows inside the database. One that is gone is made anew; of one that there
is, what changed since is written back, and its triggers log that.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from types import MappingProxyType

from layers.errors import Conflict, Gone, NotFound, shown
from layers.model import Author
from layers.store import matching
from layers.store.postgis import (
    ddl,
    forms,
    history,
    layer_table,
    moments,
    old_rows,
    past_table,
    publish,
    repair,
    schema,
)
from layers.store.postgis.connection import bound, quoted
from layers.store.postgis.ddl import DdlTarget
from layers.store.postgis.layer_table import LayerTable, TableColumn, json_type, of_any_length, restored
from layers.store.postgis.old_rows import OldRows
from layers.store.postgis.past_table import PastTable
from layers.store.staged import LOGGED_EACH
from layers.types import Field

#: Of each feature that changed since, until when its old row of then was true, and whether it was there.
_FORMER = "pg_temp.twin_former"


def revert(place: DdlTarget, layer: str, seq: int, unchanged_since: int, by: Author) -> int:
    """Within the caller's transaction; the newest number of the log that it made.

    Raises Conflict, Gone, NotFound as :meth:`layers.store.base.Store.revert`."""
    con = place.con
    con.execute("SET LOCAL statement_timeout = 0")
    forms.hold(place, layer)
    repair.repair(place, [layer], touched=False)
    newest = place.one(f"SELECT max(seq) FROM {place.s}.twin_changes WHERE layer = %s", (layer,)) or 0
    if newest > unchanged_since:
        raise Conflict(f"layer {layer} was changed meanwhile, by change @{newest}")
    if moments.kept(con, place.schema, layer).seq > seq:
        raise Gone(f"what layer {layer} was after change @{seq} is not kept")
    known = past_table.past_layers(con, place.schema, seq, 0)
    present = layer_table.tables(con, place.schema).get(layer)
    then = known.tables.get(layer)
    if layer in known.contents or forms.present(place, layer) is not None:
        raise Conflict(f"layer {layer} has another form than features: it is not taken back")
    if any(table is not None and table.source is not None for table in (present, then)):
        raise Conflict(f"layer {layer} is a table that city.yml names: features of it are taken back alone")
    generation = publish.generation(place, layer) + 1
    if then is None:
        if present is None:
            raise NotFound(f"there is no layer {shown(layer)}")
        ddl.drop(place, present)
        ddl.touch(place)
        number = history.number(con, place.schema, by)
    else:
        then.usable()
        if present is None:
            _make(place, then)
        elif then.present is None:
            raise Conflict(f"layer {layer} was dropped since, and made again")
        else:
            _renew(place, present.usable(), then)
        publish.register(place, then, generation, then.fields, then.geometry_type)
        ddl.touch(place)
        number = history.number(con, place.schema, by, generation)
    return newest if number is None else number


def _make(place: DdlTarget, then: PastTable) -> None:
    """The layer anew, filled; the triggers come last, the log gets one row for the whole."""
    con, layer = place.con, then.id
    if place.one("SELECT to_regclass(%s)", (place.relation(layer),)) is not None:
        raise Conflict(f"the database has a table {layer} of another program by now")
    high = publish.high_fid(place, layer, False)
    ddl.create_table(place, layer, then.fields, high + 1)
    con.execute("SET LOCAL maintenance_work_mem = '256MB'")
    _retype(place, then)
    _find(place, layer, then.seq, then.before)
    _write(place, layer, None, {column.name: column for column in then.kept.values()})
    count = int(place.one(f"SELECT count(*) FROM {place.relation(layer)}"))
    ddl.set_high(place, layer, high)
    ddl.check_geometry(place, layer, then.geometry_type, scan=False)
    timed = any(field.name == then.time_field for field in then.fields)
    ddl.create_indexes(place, layer, then.time_field if timed else None)
    con.execute(f"ANALYZE {place.relation(layer)}")
    ddl.create_triggers(place, layer)
    ddl.log_whole(place, layer, count, None, publish.extent(place, layer))


def _retype(place: DdlTarget, then: PastTable) -> None:
    """Give columns of other programs, of a table that is empty, the types that they had."""
    for field in then.fields:
        column = then.kept.get(field.name)
        if column is not None and (pg := _type(place, column, field)) != ddl.column_type(field):
            altered = f"ALTER COLUMN {quoted(column.name)} TYPE {pg} USING NULL"
            place.con.execute(f"ALTER TABLE {place.relation(then.id)} {altered}")


def _type(place: DdlTarget, column: TableColumn, field: Field) -> str:
    """The type that a column had, without its length, which nobody knows any more; that of its field where it
    was ours, or is there no more."""
    own, pg = ddl.column_type(field), of_any_length(column.pg)
    if own.startswith(column.pg) or place.one("SELECT to_regtype(%s)", (pg,)) is None:
        return own
    return pg


def _renew(place: DdlTarget, present: LayerTable, then: PastTable) -> None:
    """Write back what changed since, fields that came and went among it."""
    layer = present.id
    fields = {field.name: field for field in present.fields if field.name in present.columns}
    change = matching.altered(fields, present.fields, then.fields, "replace")
    other = then.geometry_type != present.geometry_type
    alters = bool(change.drop or change.add or other)
    publish.lock(place, present.raw, "ACCESS EXCLUSIVE" if alters else "SHARE ROW EXCLUSIVE")
    if other:
        ddl.check_geometry(place, layer, "Geometry", scan=False)
    added = _add(place, present, then, change.add)
    count = _find(place, layer, then.seq, None)
    old = publish.extent(place, layer)
    whole = None
    if change.drop or change.add or count > LOGGED_EACH:
        whole = ddl.log_whole(place, layer, _delta(place, present), old, None)
        publish.told_by(place, str(whole), entire=bool(change.drop or change.add))
    same = {c.name: c for name, c in then.kept.items() if name not in added and _same(present, then, name)}
    named = same | {column: then.kept[name] for name, column in added.items()}
    beside = layer_table.beside(place.con, present.oid).items()
    defaults = layer_table.defaults(place.con, present.oid)
    columns = {name: TableColumn(name, pg, "string") for name, pg in beside}
    _write(place, layer, present, named, columns, defaults)
    if whole is not None:
        publish.keep_fields(place, present, change.drop, whole)
        publish.told_by(place, "")
        publish.widen(place, layer, whole)
    publish.rename(place, present, change.drop, added)
    if other:
        ddl.check_geometry(place, layer, then.geometry_type, scan=False)


def _add(place: DdlTarget, present: LayerTable, then: PastTable, fields: tuple[Field, ...]) -> dict[str, str]:
    """Columns for fields that come back, under names that no reader sees till they are filled."""
    prefix = f"{schema.HIDDEN}{secrets.token_hex(4)}_"
    added = {field.name: f"{prefix}{i}" for i, field in enumerate(fields)}
    for field in fields:
        column = f"{quoted(added[field.name])} {_type(place, then.kept[field.name], field)}"
        place.con.execute(f"ALTER TABLE {present.raw} ADD COLUMN {column}")
    return added


def _find(place: DdlTarget, layer: str, seq: int, before: int | None) -> int:
    """Which old row each feature had then, of those that changed since, ``before`` the next layer of the same
    id; how many these are."""
    con = place.con
    end = "" if before is None else f" AND until < {before}"
    con.execute("DROP TABLE IF EXISTS pg_temp.twin_former")
    con.execute(
        "CREATE TEMP TABLE twin_former ON COMMIT DROP AS SELECT DISTINCT ON (fid) fid, until, there"
        f" FROM {_old(place, layer)} WHERE until > {seq}{end} ORDER BY fid, until"
    )
    con.execute("CREATE UNIQUE INDEX ON pg_temp.twin_former (fid)")
    con.execute("ANALYZE pg_temp.twin_former")
    return int(place.one(f"SELECT count(*) FROM {_FORMER}"))


def _old(place: DdlTarget, layer: str) -> str:
    return f"{place.s}.{quoted(schema.past_table(layer))}"


def _delta(place: DdlTarget, present: LayerTable) -> int:
    there = f"EXISTS (SELECT FROM {present.raw} t WHERE t.fid = f.fid)"
    return int(place.one(f"SELECT coalesce(sum(f.there::int - {there}::int), 0) FROM {_FORMER} f"))


def _write(
    place: DdlTarget,
    layer: str,
    present: LayerTable | None,
    columns: Mapping[str, TableColumn],
    beside: Mapping[str, TableColumn] | None = None,
    defaults: Mapping[str, str] | None = None,
) -> None:
    """Write what was found into the layer's table: ``columns`` of then, by the names that they have there;
    into rows that are made anew also those ``beside`` the fields, or their ``defaults``. ``present`` is the
    layer that old rows lend from."""
    con, raw = place.con, place.relation(layer).replace("%", "%%")
    con.execute(f"DELETE FROM {raw} t USING {_FORMER} f WHERE t.fid = f.fid AND NOT f.there", ())
    now = set() if present is None else {column.name for column in present.columns.values()}
    lent = tuple(bound(column.name) for column in columns.values() if column.name in now)
    old = OldRows(_old(place, layer).replace("%", "%%"), present, lent)
    names, values, source = _values(old, columns)
    con.execute(
        f"UPDATE {raw} AS t SET ({names}) = ROW({values}) FROM {source} WHERE t.fid = f.fid AND f.there", ()
    )
    names, values, source = _values(old, {**columns, **(beside or {})}, defaults or {})
    con.execute(
        f"INSERT INTO {raw} (fid, {names}) OVERRIDING SYSTEM VALUE SELECT f.fid, {values} FROM {source}"
        f" WHERE f.there AND NOT EXISTS (SELECT FROM {raw} t WHERE t.fid = f.fid) ORDER BY f.fid",
        (),
    )
    bodies = f"SELECT f.fid, CASE WHEN f.there THEN p.mesh END FROM {_joined(old)}"
    old_rows.put_bodies(con, place.schema, layer, bodies)


def _joined(old: OldRows) -> str:
    return f"{_FORMER} f JOIN {old.whole()} p ON p.fid = f.fid AND p.until = f.until"


def _values(
    old: OldRows, columns: Mapping[str, TableColumn], defaults: Mapping[str, str] = MappingProxyType({})
) -> tuple[str, str, str]:
    """SQL of the columns to write, of their values, and of where these are read: the old rows that were
    found."""
    source = _joined(old)
    if columns:
        defined = ", ".join(f"{bound(column.name)} {json_type(column.pg)}" for column in columns.values())
        source += f" CROSS JOIN LATERAL json_to_record(p.old) o({defined})"
    names = ", ".join(["geom", *map(bound, columns)])
    read = {column.name: restored(bound(column.name), column.pg) for column in columns.values()}
    read |= {name: f"coalesce({read[name]}, {default})" for name, default in defaults.items()}
    return names, ", ".join(["p.geom", *read.values()]), source


def _same(present: LayerTable, then: PastTable, name: str) -> bool:
    """Whether a column of then is there, and not another one."""
    column = present.columns.get(name)
    return column is not None and not column.fixed and column.type == then.kept[name].type
