"""A stage becomes the layer's new generation, in one transaction.

Other writers of the layer wait for that transaction; readers do not, unless the fields of the layer change.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psycopg

from layers.errors import Busy, Exists
from layers.model import Author
from layers.store import layer_record, matching, staged
from layers.store.base import LayerSpec, Published
from layers.store.forms import in_use
from layers.store.layer_record import WORDS
from layers.store.matching import Script
from layers.store.postgis import (
    ddl,
    forms,
    history,
    layer_table,
    log_function,
    old_rows,
    repair,
    schema,
    textures,
)
from layers.store.postgis.connection import Connection, literal, quoted
from layers.store.postgis.ddl import DdlTarget
from layers.store.postgis.layer_table import LayerTable
from layers.store.postgis.stage import PostgisStage
from layers.store.staged import PublishPlan
from layers.types import Bbox, Field

_WAIT_S = 60.0  # for transactions that edit the layer, or read fields that change, to end


def publish(
    con: Connection,
    stage: PostgisStage,
    mode: str,
    postgis: str,
    by: Author,
    unchanged_since: int | None,
) -> Published:
    """Publish through the stage's own connection, to be closed then. Raises Exists, BadFile, Busy, Stale."""
    staged.check_mode(mode)
    place = DdlTarget(con, stage.schema, postgis)
    con.execute(f"ANALYZE {stage.table}")
    con.execute("SELECT pg_advisory_lock(%s)", (schema.key(stage.schema, f"layer {stage.spec.id}"),))
    prepared = _prepare(place, stage, mode)
    try:
        with con.transaction():
            con.execute("SET LOCAL statement_timeout = 0")
            con.execute("SET LOCAL work_mem = '64MB'")
            return _publish(place, stage, mode, prepared, by, unchanged_since)
    except BaseException:
        if prepared is not None:
            _undo(place, stage.spec.id, prepared)
        raise


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was done to the table before the publish proper: the column of each new field, and the geometry
    type whose check was taken away (None: it stays)."""

    added: Mapping[str, str]
    unchecked: str | None


def _prepare(place: DdlTarget, stage: PostgisStage, mode: str) -> Prepared | None:
    """Make room for new fields, in columns that no reader sees; None when none is needed.

    In a short transaction of its own: they are filled in the long one, and get their names at its end, so
    that the table is locked for readers for moments only."""
    layer = stage.spec.id
    with place.con.transaction():
        history.sign(place.con, history.REPAIR)
        repair.repair(place, [layer])
        present = layer_table.tables(place.con, place.schema).get(layer)
        if (
            mode == "create"
            or present is None
            or present.source is not None
            or present.state != layer_record.OK
        ):
            return None
        add = _altered(present, stage, mode).add
        prefix = f"{schema.HIDDEN}{secrets.token_hex(4)}_"
        added = {field.name: f"{prefix}{i}" for i, field in enumerate(add)}
        other = present.geometry_type != staged.geometry_type(
            present.geometry_type, stage.spec.geometry_type, mode
        )
        left = _left_over(place, present)
        if not added and not other and not left:
            return None
        lock(place, present.raw, "ACCESS EXCLUSIVE")
        for name in left:
            place.con.execute(f"ALTER TABLE {present.raw} DROP COLUMN {quoted(name)}")
        for field in add:
            column = f"{quoted(added[field.name])} {ddl.column_type(field)}"
            place.con.execute(f"ALTER TABLE {present.raw} ADD COLUMN {column}")
        if other:
            ddl.check_geometry(place, layer, "Geometry", scan=False)
            ddl.remember_signature(place, layer)
        return Prepared(added, present.geometry_type if other else None)


def _left_over(place: DdlTarget, present: LayerTable) -> list[str]:
    """Columns of a publish that was killed: of this layer no other one is at work."""
    rows = place.con.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND NOT attisdropped"
        " AND left(attname, %s) = %s",
        (present.raw, len(schema.HIDDEN), schema.HIDDEN),
    ).fetchall()
    return [row[0] for row in rows]


def _undo(place: DdlTarget, layer: str, prepared: Prepared) -> None:
    with suppress(psycopg.Error, Busy), place.con.transaction():
        lock(place, place.relation(layer), "ACCESS EXCLUSIVE")
        for name in prepared.added.values():
            place.con.execute(f"ALTER TABLE {place.relation(layer)} DROP COLUMN IF EXISTS {quoted(name)}")
        if prepared.unchecked is not None:
            ddl.check_geometry(place, layer, prepared.unchecked, scan=False)
            ddl.remember_signature(place, layer)


def lock(place: DdlTarget, relation: str, mode: str) -> None:
    """Lock a table till the transaction ends; nobody queues behind an attempt for long. Raises Busy."""
    until = time.monotonic() + _WAIT_S
    while True:
        try:
            with place.con.transaction():
                place.con.execute("SET LOCAL lock_timeout = '300ms'")
                place.con.execute(f"LOCK TABLE {relation} IN {mode} MODE")
                place.con.execute("SET LOCAL lock_timeout = '30s'")
            return
        except psycopg.errors.LockNotAvailable as error:
            if time.monotonic() > until:
                raise Busy("the layer is being edited, or read while its fields change; try again") from error
        time.sleep(0.2)


def _publish(
    place: DdlTarget,
    stage: PostgisStage,
    mode: str,
    prepared: Prepared | None,
    by: Author,
    unchanged_since: int | None,
) -> Published:
    con, layer = place.con, stage.spec.id
    repair.repair(place, [layer], touched=False)
    present = layer_table.tables(con, place.schema).get(layer)
    if (other := forms.present(place, layer)) is not None:
        raise in_use(layer, other.form)
    if mode == "create" and present is not None:
        raise Exists(f"layer {layer} exists already; use --replace or --append")
    if present is not None and present.source is not None:
        raise Exists(f"layer {layer} is a table of another program; nothing is loaded into it")
    if present is not None and present.state != layer_record.OK:
        if mode == "append":
            present.usable()
        ddl.drop(place, present)
        present = None
    number = generation(place, layer) + 1
    if present is None:
        plan, fields = _first(place, stage), stage.fields
        geometry_type: str = stage.spec.geometry_type
        ddl.log_whole(place, layer, plan.created, None, extent(place, layer))
    else:
        lock(place, present.raw, "SHARE ROW EXCLUSIVE")
        newest = place.one(f"SELECT max(seq) FROM {place.s}.twin_changes WHERE layer = %s", (layer,))
        staged.refuse_stale(layer, newest, unchanged_since)
        geometry_type = staged.geometry_type(present.geometry_type, stage.spec.geometry_type, mode)
        fields, plan = _replace(place, present, stage, mode, geometry_type, prepared)
    textures.publish(place, layer, stage.textures)
    _register(place, stage, number, fields, geometry_type, present, plan)
    numbered = history.number(con, place.schema, by, number)
    newest = place.one(f"SELECT coalesce(max(seq), 0) FROM {place.s}.twin_changes")
    last = numbered or newest
    return Published(number, plan.created, plan.updated, plan.unchanged, plan.deleted, last, plan.vague)


def generation(place: DdlTarget, layer: str) -> int:
    """The highest generation that a layer has or had."""
    sql = (
        f"SELECT greatest((SELECT generation FROM {place.s}.twin_layers WHERE id = %s),"
        f" (SELECT generation FROM {place.s}.twin_history WHERE layer = %s), 0)"
    )
    return int(place.one(sql, (layer, layer)))


def high_fid(place: DdlTarget, layer: str, there: bool) -> int:
    """The highest fid that a layer gave out; ``there``: it has a table."""
    sql = (
        f"SELECT greatest((SELECT high_fid FROM {place.s}.twin_history WHERE layer = %s),"
        f" (SELECT max(fid) FROM {place.s}.twin_changes WHERE layer = %s), 0)"
    )
    high = int(place.one(sql, (layer, layer)))
    return max(high, ddl.high_fid(place, layer)) if there else high


def _columns(stage: PostgisStage, added: Mapping[str, str]) -> list[tuple[str, str]]:
    """(column of the layer, quoted; column of the stage) of the properties but the source id."""
    names = [quoted(added.get(f.name) or schema.short(f.name)) for f in stage.fields[1:]]
    return list(zip(names, stage.columns, strict=True))


def _first(place: DdlTarget, stage: PostgisStage) -> PublishPlan:
    """Make the layer and fill it; the triggers come last, the log gets one row for the whole."""
    con, layer = place.con, stage.spec.id
    if place.one("SELECT to_regclass(%s)", (f"{place.s}.{quoted(layer)}",)) is not None:
        raise Exists(f"the database has a table {layer} of another program already")
    high = high_fid(place, layer, False)
    count = int(place.one(f"SELECT count(*) FROM {stage.table}"))
    ddl.create_table(place, layer, stage.fields, high + 1)
    con.execute("SET LOCAL maintenance_work_mem = '256MB'")
    script = _script(place, stage)
    matching.insert(script, _columns(stage, {}), f"n + {high}", "true")
    if count:
        ddl.set_high(place, layer, int(place.one(f"SELECT max(fid) FROM {place.relation(layer)}")))
    ddl.check_geometry(place, layer, stage.spec.geometry_type, scan=True)
    timed = any(f.name == stage.spec.time_field for f in stage.fields)
    ddl.create_indexes(place, layer, stage.spec.time_field if timed else None)
    matching.meshes(script, f"n + {high}", "true")
    con.execute(f"ANALYZE {place.relation(layer)}")
    ddl.create_triggers(place, layer)
    return PublishPlan(count, 0, 0, 0, True)


def _replace(
    place: DdlTarget,
    present: LayerTable,
    stage: PostgisStage,
    mode: str,
    geometry_type: str,
    prepared: Prepared | None,
) -> tuple[tuple[Field, ...], PublishPlan]:
    """Match, then make the table what the stage says; the log row, where it is one for all, included."""
    change = _altered(present, stage, mode)
    fields, drop, add = change.fields, change.drop, change.add
    added = {} if prepared is None else prepared.added
    other = geometry_type != present.geometry_type
    if {f.name for f in add} != set(added) or (other and (prepared is None or prepared.unchecked is None)):
        raise Busy("the layer's fields were changed meanwhile; load again")
    plan = _match(place, present, stage, mode, bool(drop or add))
    old = extent(place, present.id)
    delta = plan.created - plan.deleted
    whole = ddl.log_whole(place, present.id, delta, old, None) if plan.whole else None
    if whole is not None:
        told_by(place, str(whole), entire=bool(drop or add))
    _apply(place, present, stage, plan, added)
    if whole is not None:
        keep_fields(place, present, drop, whole)
        told_by(place, "")
    if drop or added or other:
        lock(place, present.raw, "ACCESS EXCLUSIVE")
        rename(place, present, drop, added)
    if other:
        ddl.check_geometry(place, present.id, geometry_type, scan=False)
    if whole is not None:
        widen(place, present.id, whole)
    return fields, plan


def rename(place: DdlTarget, present: LayerTable, drop: Sequence[str], added: Mapping[str, str]) -> None:
    """Take columns away, and give those of new fields their names."""
    for name in drop:
        place.con.execute(f"ALTER TABLE {present.raw} DROP COLUMN {quoted(schema.short(name))}")
    for name, column in added.items():
        place.con.execute(
            f"ALTER TABLE {present.raw} RENAME COLUMN {quoted(column)} TO {quoted(schema.short(name))}"
        )


def widen(place: DdlTarget, layer: str, whole: int) -> None:
    """Let a pending change of the whole tell where the layer lies now."""
    if (box := extent(place, layer)) is not None:
        place.con.execute(
            f"UPDATE {place.s}.twin_pending SET new_minx = %s, new_miny = %s, new_maxx = %s, new_maxy = %s"
            " WHERE id = %s",
            (*box, whole),
        )


def told_by(place: DdlTarget, whole: str, *, entire: bool = False) -> None:
    """Let the triggers keep old rows under one log row for all, and log none themselves. ``entire``: old rows
    with all that they were, for columns come or go."""
    place.con.execute(
        "SELECT set_config('twin.whole', %s, true), set_config(%s, %s, true)",
        (whole, old_rows.ENTIRE_SETTING, "on" if entire else ""),
    )


def keep_fields(place: DdlTarget, present: LayerTable, drop: Sequence[str], whole: int) -> None:
    """Keep the rows that the load leaves as they are but for values of fields that go."""
    table = ddl.logged(place, present.id)
    if drop and table.keeps:
        lost = " OR ".join(f"r.{quoted(schema.short(name))} IS NOT NULL" for name in drop)
        kept = f"SELECT fid FROM {place.s}.twin_pending WHERE xid = pg_current_xact_id() AND part = {whole}"
        place.con.execute(log_function.keep(table, whole, f"({lost}) AND r.fid NOT IN ({kept})"))


def _altered(present: LayerTable, stage: PostgisStage, mode: str) -> matching.Altered:
    return matching.altered(_in_table(present), present.fields, stage.fields, mode)


def _in_table(present: LayerTable) -> dict[str, Field]:
    """The fields that have a column in the layer's table."""
    return {f.name: f for f in present.fields if f.name in present.columns}


def _script(place: DdlTarget, stage: PostgisStage) -> Script:
    layer = stage.spec.id
    return Script(
        place.con.execute,
        rows=stage.table,
        table=place.relation(layer),
        mesh=f"{place.s}.{quoted(schema.mesh_table(layer))}",
        distinct="IS DISTINCT FROM",
        raw="::bytea",
        key=lambda columns: f"jsonb_build_array({', '.join(columns)})::text",
    )


def _match(
    place: DdlTarget, present: LayerTable, stage: PostgisStage, mode: str, changed: bool
) -> PublishPlan:
    """Give each staged row its fid and state, and count."""
    script = _script(place, stage)
    if present.columns.get("source_id") is not None:
        matching.by_source(script)
    place.con.execute(f"CREATE INDEX ON {stage.table} (fid)")
    place.con.execute(f"ANALYZE {stage.table}")
    known = _in_table(present)
    shared: list[tuple[str, str]] = []
    keys: list[tuple[str, str]] = []
    gained: list[str] = []
    for field, pair in zip(stage.fields[1:], _columns(stage, {}), strict=True):
        if field.name not in known or known[field.name].type != field.type:
            gained.append(pair[1])
            continue
        shared.append(pair)
        if field.name in stage.spec.key:
            keys.append(pair)
    vague = matching.match(script, shared, gained, keys, high_fid(place, present.id, True))
    return matching.plan(script, mode, changed=changed, vague=vague)


def _apply(
    place: DdlTarget, present: LayerTable, stage: PostgisStage, plan: PublishPlan, added: Mapping[str, str]
) -> None:
    """Write the difference; the triggers log it."""
    script, columns = _script(place, stage), _columns(stage, added)
    if plan.deleted:
        place.con.execute(f"DELETE FROM {present.raw} t WHERE {script.gone}")
    if plan.updated:
        matching.update(script, columns)
        bodies = f"SELECT fid, mesh FROM {stage.table.replace('%', '%%')} WHERE state = 2"
        old_rows.keep_bodies(place.con, place.schema, present.id, bodies)
    if plan.created:
        matching.insert(script, columns)
        high = int(place.one(f"SELECT max(fid) FROM {stage.table} WHERE state = 1"))
        ddl.set_high(place, present.id, max(high, ddl.high_fid(place, present.id)))
    if plan.created or plan.updated:
        matching.meshes(script)


def extent(place: DdlTarget, layer: str) -> Bbox | None:
    """Where a layer of our own lies, as its index knows."""
    return layer_table.index_extent(place.con, place.relation(layer), "geom", place.postgis)


def _register(
    place: DdlTarget,
    stage: PostgisStage,
    generation: int,
    fields: tuple[Field, ...],
    geometry_type: str,
    present: LayerTable | None,
    plan: PublishPlan,
) -> None:
    """What the store says of the layer; a change of its words alone is logged as one of the whole."""
    layer = stage.spec.id
    row = f"SELECT ROW({WORDS})::text FROM {place.s}.twin_layers WHERE id = {literal(layer)}"
    before = place.one(row)
    register(place, stage.spec, generation, fields, geometry_type)
    if present is not None and not plan.whole and place.one(row) != before:
        ddl.log_whole(place, layer, 0, None, extent(place, layer))
    ddl.touch(place)


def register(
    place: DdlTarget, spec: LayerSpec, generation: int, fields: tuple[Field, ...], geometry_type: str
) -> None:
    """Write what the store says of a layer."""
    place.con.execute(
        f"INSERT INTO {place.s}.twin_layers AS l (id, {WORDS}, generation, logger, state, signature,"
        " columns, base_seq, base_count) VALUES (%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,'ok','','[]',0,0)"
        " ON CONFLICT (id) DO UPDATE SET "
        + ", ".join(f"{name.strip()} = excluded.{name.strip()}" for name in WORDS.split(","))
        + ", generation = excluded.generation, state = 'ok'",
        (spec.id, *layer_record.words(spec, geometry_type, fields), generation, schema.log_function(spec.id)),
    )
    ddl.remember_signature(place, spec.id)
