"""A stage becomes the layer's new generation, in one transaction.

Rows are matched to the present ones, so that a feature keeps its fid: by source id; else, where one
of the two has none, by geometry and key together, then by key alone. What did not change is not touched.
Other writers of the layer wait for that transaction; readers do not, unless the fields of the layer change.
"""

# Identifiers come quoted from the catalog and values are bound: ruff cannot see that.
# ruff: noqa: S608

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import psycopg
from psycopg.types.numeric import Int8

from layers.errors import BadFile, Busy, Exists
from layers.store import layer_record, staged
from layers.store.base import Published
from layers.store.forms import taken
from layers.store.postgis import ddl, forms, layer_table, repair, schema
from layers.store.postgis.connection import Connection, literal, quoted
from layers.store.postgis.ddl import Place
from layers.store.postgis.layer_table import Table
from layers.store.postgis.stage import PostgisStage
from layers.store.staged import LOGGED_EACH, Plan
from layers.types import Bbox, Field

_WAIT_S = 60.0  # for transactions that edit the layer, or read fields that change, to end


def publish(con: Connection, stage: PostgisStage, mode: str, postgis: str) -> Published:
    """Publish through the stage's own connection, to be closed then. Raises Exists, BadFile, Busy."""
    staged.check_mode(mode)
    place = Place(con, stage.schema, postgis)
    con.execute(f"ANALYZE {stage.table}")
    con.execute("SELECT pg_advisory_lock(%s)", (schema.key(stage.schema, f"layer {stage.spec.id}"),))
    prepared = _prepare(place, stage, mode)
    try:
        with con.transaction():
            con.execute("SET LOCAL statement_timeout = 0")
            con.execute("SET LOCAL work_mem = '64MB'")
            return _publish(place, stage, mode, prepared)
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


def _prepare(place: Place, stage: PostgisStage, mode: str) -> Prepared | None:
    """Make room for new fields, in columns that no reader sees; None when none is needed.

    In a short transaction of its own: they are filled in the long one, and get their names at its end, so
    that the table is locked for readers for moments only."""
    layer = stage.spec.id
    with place.con.transaction():
        repair.repair(place, [layer])
        present = layer_table.tables(place.con, place.schema).get(layer)
        if (
            mode == "create"
            or present is None
            or present.source is not None
            or present.state != layer_record.OK
        ):
            return None
        _, _, add = _altered(present, stage, mode)
        prefix = f"{schema.HIDDEN}{secrets.token_hex(4)}_"
        added = {field.name: f"{prefix}{i}" for i, field in enumerate(add)}
        other = present.geometry_type != staged.geometry_type(
            present.geometry_type, stage.spec.geometry_type, mode
        )
        left = _left_over(place, present)
        if not added and not other and not left:
            return None
        _lock(place, present.raw, "ACCESS EXCLUSIVE")
        for name in left:
            place.con.execute(f"ALTER TABLE {present.raw} DROP COLUMN {quoted(name)}")
        for field in add:
            column = f"{quoted(added[field.name])} {ddl.column_type(field)}"
            place.con.execute(f"ALTER TABLE {present.raw} ADD COLUMN {column}")
        if other:
            ddl.check_geometry(place, layer, "Geometry", scan=False)
            ddl.settle(place, layer)
        return Prepared(added, present.geometry_type if other else None)


def _left_over(place: Place, present: Table) -> list[str]:
    """Columns of a publish that was killed: of this layer no other one is at work."""
    rows = place.con.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND NOT attisdropped"
        " AND left(attname, %s) = %s",
        (present.raw, len(schema.HIDDEN), schema.HIDDEN),
    ).fetchall()
    return [row[0] for row in rows]


def _undo(place: Place, layer: str, prepared: Prepared) -> None:
    with suppress(psycopg.Error, Busy), place.con.transaction():
        _lock(place, place.relation(layer), "ACCESS EXCLUSIVE")
        for name in prepared.added.values():
            place.con.execute(f"ALTER TABLE {place.relation(layer)} DROP COLUMN IF EXISTS {quoted(name)}")
        if prepared.unchecked is not None:
            ddl.check_geometry(place, layer, prepared.unchecked, scan=False)
            ddl.settle(place, layer)


def _lock(place: Place, relation: str, mode: str) -> None:
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


def _publish(place: Place, stage: PostgisStage, mode: str, prepared: Prepared | None) -> Published:
    con, layer = place.con, stage.spec.id
    repair.repair(place, [layer], touched=False)
    present = layer_table.tables(con, place.schema).get(layer)
    if (form := forms.form(place, layer)) is not None:
        raise taken(layer, form)
    if mode == "create" and present is not None:
        raise Exists(f"layer {layer} exists already; use --replace or --append")
    if present is not None and present.source is not None:
        raise Exists(f"layer {layer} is a table of another program; nothing is loaded into it")
    if present is not None and present.state != layer_record.OK:
        if mode == "append":
            present.usable()
        ddl.drop(place, present)
        present = None
    generation = _generation(place, layer) + 1
    if present is None:
        plan, fields = _first(place, stage), stage.fields
        geometry_type: str = stage.spec.geometry_type
        ddl.log_whole(place, layer, plan.created, None, _extent(place, layer))
    else:
        _lock(place, present.raw, "SHARE ROW EXCLUSIVE")
        geometry_type = staged.geometry_type(present.geometry_type, stage.spec.geometry_type, mode)
        fields, plan = _replace(place, present, stage, mode, geometry_type, prepared)
    _register(place, stage, generation, fields, geometry_type, present, plan)
    numbered = place.one(f"SELECT {place.s}.twin_number()")
    newest = place.one(f"SELECT coalesce(max(seq), 0) FROM {place.s}.twin_changes")
    return Published(generation, plan.created, plan.updated, plan.unchanged, plan.deleted, numbered or newest)


def _generation(place: Place, layer: str) -> int:
    sql = (
        f"SELECT greatest((SELECT generation FROM {place.s}.twin_layers WHERE id = %s),"
        f" (SELECT generation FROM {place.s}.twin_history WHERE layer = %s), 0)"
    )
    return int(place.one(sql, (layer, layer)))


def _high_fid(place: Place, layer: str, there: bool) -> int:
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


def _first(place: Place, stage: PostgisStage) -> Plan:
    """Make the layer and fill it; the triggers come last, the log gets one row for the whole."""
    con, layer = place.con, stage.spec.id
    if place.one("SELECT to_regclass(%s)", (f"{place.s}.{quoted(layer)}",)) is not None:
        raise Exists(f"the database has a table {layer} of another program already")
    high = _high_fid(place, layer, False)
    count = int(place.one(f"SELECT count(*) FROM {stage.table}"))
    ddl.create_table(place, layer, stage.fields, high + 1)
    con.execute("SET LOCAL maintenance_work_mem = '256MB'")
    _insert(place, stage, {}, f"n + {high}", "true")
    if count:
        ddl.set_high(place, layer, int(place.one(f"SELECT max(fid) FROM {place.relation(layer)}")))
    ddl.check_geometry(place, layer, stage.spec.geometry_type, scan=True)
    timed = any(f.name == stage.spec.time_field for f in stage.fields)
    ddl.create_indexes(place, layer, stage.spec.time_field if timed else None)
    mesh = f"{place.s}.{quoted(schema.mesh_table(layer))}"
    con.execute(f"INSERT INTO {mesh} SELECT n + {high}, mesh FROM {stage.table} WHERE mesh IS NOT NULL")
    con.execute(f"ANALYZE {place.relation(layer)}")
    ddl.create_triggers(place, layer)
    return Plan(count, 0, 0, 0, True)


def _replace(
    place: Place,
    present: Table,
    stage: PostgisStage,
    mode: str,
    geometry_type: str,
    prepared: Prepared | None,
) -> tuple[tuple[Field, ...], Plan]:
    """Match, then make the table what the stage says; the log row, where it is one for all, included."""
    con = place.con
    fields, drop, add = _altered(present, stage, mode)
    added = {} if prepared is None else prepared.added
    other = geometry_type != present.geometry_type
    if {f.name for f in add} != set(added) or (other and (prepared is None or prepared.unchecked is None)):
        raise Busy("the layer's fields were changed meanwhile; load again")
    plan = _match(place, present, stage, mode, bool(drop or add))
    old = _extent(place, present.id)
    _apply(place, present, stage, plan, added)
    if drop or added or other:
        _lock(place, present.raw, "ACCESS EXCLUSIVE")
        for name in drop:
            con.execute(f"ALTER TABLE {present.raw} DROP COLUMN {quoted(schema.short(name))}")
        for name, column in added.items():
            con.execute(
                f"ALTER TABLE {present.raw} RENAME COLUMN {quoted(column)} TO {quoted(schema.short(name))}"
            )
    if other:
        ddl.check_geometry(place, present.id, geometry_type, scan=False)
    if plan.whole:
        con.execute(
            f"DELETE FROM {place.s}.twin_pending WHERE xid = pg_current_xact_id() AND layer = %s",
            (present.id,),
        )
        ddl.log_whole(place, present.id, plan.created - plan.deleted, old, _extent(place, present.id))
    return fields, plan


def _altered(
    present: Table, stage: PostgisStage, mode: str
) -> tuple[tuple[Field, ...], list[str], list[Field]]:
    """The fields of the new generation, and the columns to drop and to add for them."""
    wanted = {f.name: f for f in stage.fields}
    have = {f.name: f for f in present.fields if f.name in present.columns}
    folded = {name.lower(): name for name in have}
    drop: list[str] = []
    if mode == "append":
        clash = [n for n, f in wanted.items() if n in have and have[n].type != f.type]
        if clash:
            raise BadFile("store.field-type", f"{clash[0]} has another type in the layer")
        fields = (*present.fields, *(f for f in stage.fields if f.name not in have))
    else:
        fields = stage.fields
        drop = [n for n, f in have.items() if n not in wanted or wanted[n].type != f.type]
    for name in drop:
        del folded[name.lower()]
    add = [f for f in fields if f.name.lower() not in folded]
    other = [f for f in fields if folded.get(f.name.lower(), f.name) != f.name]
    if other:
        raise BadFile("store.field-name", f"{other[0].name} differs only in case from a column of the layer")
    return fields, drop, add


def _match(place: Place, present: Table, stage: PostgisStage, mode: str, altered: bool) -> Plan:
    """Give each staged row its fid and state (0 unchanged, 1 created, 2 updated), and count."""
    con, table, rows = place.con, present.raw, stage.table
    if present.columns.get("source_id") is not None:
        con.execute(
            f"UPDATE {rows} s SET fid = t.fid FROM (SELECT source_id, min(fid) AS fid FROM {table}"
            " WHERE source_id IS NOT NULL GROUP BY source_id) t WHERE t.source_id = s.source_id"
        )
    con.execute(f"CREATE INDEX ON {rows} (fid)")
    con.execute(f"ANALYZE {rows}")
    types = {f.name: f.type for f in present.fields if f.name in present.columns}
    shared = [
        (f, column)
        for f, column in zip(stage.fields[1:], stage.columns, strict=True)
        if types.get(f.name) == f.type
    ]
    keys = [(f, column) for f, column in shared if f.name in stage.spec.key]
    _pair(place, present, rows, keys, True)
    if keys:
        _pair(place, present, rows, keys, False)
    high = _high_fid(place, present.id, True)
    con.execute(
        f"UPDATE {rows} s SET state = 1, fid = %s + new.r FROM (SELECT n, row_number() OVER (ORDER BY n) AS r"
        f" FROM {rows} WHERE fid IS NULL) new WHERE new.n = s.n",
        (Int8(high),),
    )
    columns = [f"t.{quoted(schema.short(f.name))} IS DISTINCT FROM s.{column}" for f, column in shared]
    missing = [
        f"s.{c} IS NOT NULL"
        for f, c in zip(stage.fields[1:], stage.columns, strict=True)
        if types.get(f.name) != f.type
    ]
    differs = ["t.geom::bytea IS DISTINCT FROM s.geom::bytea", "t.source_id IS DISTINCT FROM s.source_id"]
    differs += [*columns, *missing]
    con.execute(
        f"UPDATE {rows} s SET state = CASE WHEN {' OR '.join(differs)} OR m.body IS DISTINCT FROM s.mesh"
        f" THEN 2 ELSE 0 END FROM {table} t LEFT JOIN {present.mesh} m ON m.fid = t.fid"
        " WHERE s.state IS NULL AND t.fid = s.fid"
    )
    return _plan(place, table, rows, mode, altered)


def _plan(place: Place, table: str, rows: str, mode: str, altered: bool) -> Plan:
    counts: dict[int, int] = dict(
        place.con.execute(f"SELECT state, count(*) FROM {rows} GROUP BY state").fetchall()
    )
    deleted = 0
    if mode != "append":
        gone = f"SELECT count(*) FROM {table} t WHERE NOT EXISTS (SELECT FROM {rows} s WHERE s.fid = t.fid)"
        deleted = int(place.one(gone))
    created, updated, unchanged = counts.get(1, 0), counts.get(2, 0), counts.get(0, 0)
    whole = altered or created + updated + deleted > LOGGED_EACH
    return Plan(created, updated, unchanged, deleted, whole)


def _pair(place: Place, present: Table, rows: str, keys: list[tuple[Field, str]], by_geometry: bool) -> None:
    """Match rows where one side has no source id; the n-th of equal ones with the n-th."""
    free = f"NOT EXISTS (SELECT FROM {rows} x WHERE x.fid = t.fid) AND t.geom IS NOT NULL"
    left = place.one(f"SELECT EXISTS (SELECT FROM {rows} WHERE fid IS NULL)")
    if not left or not place.one(f"SELECT EXISTS (SELECT FROM {present.raw} t WHERE {free})"):
        return
    theirs = ", ".join(f"t.{quoted(schema.short(f.name))}" for f, _ in keys)
    ours = ", ".join(f"s.{column}" for _, column in keys)
    geometry = ("t.geom::bytea", "s.geom::bytea") if by_geometry else ("''::bytea", "''::bytea")
    place.con.execute(
        f"WITH s AS MATERIALIZED (SELECT s.n, {geometry[1]} AS g, jsonb_build_array({ours})::text AS k,"
        f" s.source_id IS NULL AS bare, row_number() OVER (PARTITION BY {geometry[1]},"
        f" jsonb_build_array({ours})::text ORDER BY s.n) AS r FROM {rows} s WHERE s.fid IS NULL),"
        f" t AS MATERIALIZED (SELECT t.fid, {geometry[0]} AS g, jsonb_build_array({theirs})::text AS k,"
        f" t.source_id IS NULL AS bare, row_number() OVER (PARTITION BY {geometry[0]},"
        f" jsonb_build_array({theirs})::text ORDER BY t.fid) AS r FROM {present.raw} t WHERE {free})"
        f" UPDATE {rows} x SET fid = t.fid FROM s JOIN t ON s.k = t.k AND s.g = t.g AND s.r = t.r"
        " WHERE (s.bare OR t.bare) AND x.n = s.n"
    )


def _apply(place: Place, present: Table, stage: PostgisStage, plan: Plan, added: Mapping[str, str]) -> None:
    """Write the difference; the triggers log it."""
    con, table, rows = place.con, present.raw, stage.table
    if plan.deleted:
        con.execute(f"DELETE FROM {table} t WHERE NOT EXISTS (SELECT FROM {rows} s WHERE s.fid = t.fid)")
    if plan.updated:
        pairs = ["geom = s.geom", "source_id = s.source_id"]
        pairs += [f"{column} = s.{staged}" for column, staged in _columns(stage, added)]
        con.execute(
            f"UPDATE {table} t SET {', '.join(pairs)} FROM {rows} s WHERE s.state = 2 AND s.fid = t.fid"
        )
    if plan.created:
        _insert(place, stage, added)
        high = int(place.one(f"SELECT max(fid) FROM {rows} WHERE state = 1"))
        ddl.set_high(place, present.id, max(high, ddl.high_fid(place, present.id)))
    if plan.created or plan.updated:
        _meshes(place, stage)


def _insert(
    place: Place,
    stage: PostgisStage,
    added: Mapping[str, str],
    fid: str = "fid",
    chosen: str = "state = 1",
) -> None:
    columns = _columns(stage, added)
    names = "".join(f", {name}" for name, _ in columns)
    staged = "".join(f", {column}" for _, column in columns)
    place.con.execute(
        f"INSERT INTO {place.relation(stage.spec.id)} (fid, geom, source_id{names})"
        f" SELECT {fid}, geom, source_id{staged} FROM {stage.table} WHERE {chosen} ORDER BY n"
    )


def _meshes(place: Place, stage: PostgisStage) -> None:
    mesh = f"{place.s}.{quoted(schema.mesh_table(stage.spec.id))}"
    place.con.execute(f"DELETE FROM {mesh} m USING {stage.table} s WHERE s.fid = m.fid AND s.state = 2")
    place.con.execute(
        f"INSERT INTO {mesh} SELECT fid, mesh FROM {stage.table} WHERE mesh IS NOT NULL AND state IN (1, 2)"
    )


def _extent(place: Place, layer: str) -> Bbox | None:
    return layer_table.index_extent(place.con, place.relation(layer), "geom", place.postgis)


_WORDS = "kind, title, geometry_type, crs, time_field, key, fields, vertical_datum"


def _register(
    place: Place,
    stage: PostgisStage,
    generation: int,
    fields: tuple[Field, ...],
    geometry_type: str,
    present: Table | None,
    plan: Plan,
) -> None:
    """What the store says of the layer; a change of its words alone is logged as one of the whole."""
    spec, layer, con = stage.spec, stage.spec.id, place.con
    told = f"SELECT ROW({_WORDS})::text FROM {place.s}.twin_layers WHERE id = {literal(layer)}"
    before = place.one(told)
    con.execute(
        f"INSERT INTO {place.s}.twin_layers AS l (id, {_WORDS}, generation, logger, state, signature,"
        " columns, base_seq, base_count) VALUES (%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,'ok','','[]',0,0)"
        " ON CONFLICT (id) DO UPDATE SET "
        + ", ".join(f"{name.strip()} = excluded.{name.strip()}" for name in _WORDS.split(","))
        + ", generation = excluded.generation, state = 'ok'",
        (
            layer,
            spec.kind,
            json.dumps(dict(spec.title), ensure_ascii=False),
            geometry_type,
            spec.crs,
            spec.time_field,
            json.dumps(list(spec.key)),
            layer_record.dump_fields(fields),
            spec.vertical_datum,
            generation,
            schema.log_function(layer),
        ),
    )
    ddl.settle(place, layer)
    if present is not None and not plan.whole and place.one(told) != before:
        ddl.log_whole(place, layer, 0, None, _extent(place, layer))
    ddl.touch(place)
