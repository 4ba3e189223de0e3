"""Tables and views of other programs, published as layers where they lie, in their own CRS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import psycopg

from layers.errors import BadFile, BadParameter
from layers.store.database import Registered
from layers.store.layer_record import OK
from layers.store.postgis import copied, ddl, forms, introspect, layer_table, repair, schema
from layers.store.postgis.connection import quoted
from layers.store.postgis.ddl import DdlTarget
from layers.store.postgis.layer_table import LayerTable, TableSource

_NO_GRANT = (
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.UndefinedTable,
    psycopg.errors.InvalidSchemaName,
)


def sync(place: DdlTarget, wanted: Mapping[str, Registered]) -> None:
    """Make the registered layers those of the settings, inside the caller's transaction.

    A table that cannot be published is a layer that says why. Raises BadParameter where a loaded layer has
    the id."""
    present = layer_table.tables(place.con, place.schema)
    for layer, table in present.items():
        if table.source is not None and layer not in wanted:
            ddl.drop(place, table)
            ddl.touch(place)
    for layer, entry in wanted.items():
        known = present.get(layer)
        if known is not None and known.source is None:
            raise BadParameter(
                f"layers.{layer}.table", entry.table, "a loaded layer has this id; take another"
            )
        if (other := forms.present(place, layer)) is not None:
            raise BadParameter(
                f"layers.{layer}.table", entry.table, f"a {other.form} has this id; take another"
            )
        _register(place, layer, entry, known)


def _register(place: DdlTarget, layer: str, entry: Registered, known: LayerTable | None) -> None:
    source, problem = _resolve(place, entry)
    words = (
        entry.kind,
        json.dumps(dict(entry.title), ensure_ascii=False),
        f"EPSG:{source.srid}",
        entry.time_field,
        json.dumps(asdict(source)),
    )
    if known is not None and not problem and _words(place, layer) == words:
        return
    if known is not None and not problem and known.source == source and known.state == OK:
        place.con.execute(
            f"UPDATE {place.s}.twin_layers SET kind = %s, title = %s, crs = %s, time_field = %s, source = %s"
            " WHERE id = %s",
            (*words, layer),
        )
        ddl.log_whole(place, layer, 0, None, None)
        ddl.touch(place)
        return
    place.con.execute(
        f"INSERT INTO {place.s}.twin_layers (id, kind, title, crs, time_field, source, geometry_type, key,"
        " fields, generation, logger, state, signature, columns, base_seq, base_count)"
        " VALUES (%s, %s, %s, %s, %s, %s, 'Geometry', '[]', '[]', 1, %s, %s, '', '[]', 0, 0)"
        " ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, title = excluded.title, crs = excluded.crs,"
        " time_field = excluded.time_field, source = excluded.source, state = excluded.state, signature = ''",
        (layer, *words, schema.log_function(layer), problem or "it was not looked at yet"),
    )
    ddl.drop_logging(place, layer)
    if problem:
        now = ddl.facts(place)[layer]
        place.con.execute(
            f"UPDATE {place.s}.twin_layers SET signature = %s WHERE id = %s", (now.signature, layer)
        )
        ddl.touch(place)
    else:
        repair.repair(place, [layer])


def _words(place: DdlTarget, layer: str) -> tuple[Any, ...] | None:
    return place.con.execute(
        f"SELECT kind, title, crs, time_field, source FROM {place.s}.twin_layers WHERE id = %s", (layer,)
    ).fetchone()


def _resolve(place: DdlTarget, entry: Registered) -> tuple[TableSource, str]:
    """Where the table lies, and what keeps it from being published (empty when nothing does)."""
    namespace, _, name = entry.table.rpartition(".")
    rows = place.con.execute(
        "SELECT c.oid::bigint, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n"
        " ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'v', 'p', 'm', 'f') AND"
        " ((c.relname = %s AND n.nspname = %s) OR (c.relname = %s AND n.nspname NOT LIKE 'pg\\_%%'"
        "   AND n.nspname <> 'information_schema') OR c.oid = to_regclass(%s))"
        " ORDER BY n.nspname = %s DESC, n.nspname = 'public' DESC",
        (name, namespace, entry.table, _as_written(entry.table), namespace),
    ).fetchall()
    guess = TableSource(namespace or "public", name, entry.fid or "fid", entry.geometry or "geom", 0)
    if not rows:
        return guess, "the table or view is not there"
    oid, namespace, name = rows[0]
    fid = entry.fid or _key(place, oid)
    shape = entry.geometry or _geometry(place, oid)
    if fid is None or shape is None:
        missing = "fid: it has no primary key of one integer" if fid is None else "geometry: it has not one"
        return TableSource(namespace, name, fid or "fid", shape or "geom", 0), f"name its {missing} column"
    source = TableSource(namespace, name, fid, shape, 0, entry.refresh)
    return _with_crs(place, oid, source)


def _as_written(table: str) -> str | None:
    """A name that PostgreSQL can read as an identifier, possibly quoted; None for one that it cannot."""
    plain = table.replace('"', "").replace(".", "").replace("_", "a")
    quotes = table.count('"')
    return table if plain.isidentifier() or (quotes and quotes % 2 == 0) else None


def _with_crs(place: DdlTarget, oid: int, source: TableSource) -> tuple[TableSource, str]:
    import layers.crs as crs_

    try:
        with place.con.transaction():
            _, srid = introspect.geometry(place.con, place.postgis, oid, source.relation, source.geometry)
    except psycopg.errors.InsufficientPrivilege:
        return source, copied.NO_SELECT
    except psycopg.errors.UndefinedColumn:
        return source, f"it has no column {source.geometry}"
    source = replace(source, srid=srid)
    if not srid:
        return source, "its geometries have no CRS (SRID 0)"
    try:
        crs_.transformers(f"EPSG:{srid}")
    except BadFile as error:
        return source, error.reason
    return source, ""


def _key(place: DdlTarget, oid: int) -> str | None:
    column: str | None = place.one(
        "SELECT a.attname FROM pg_index i"
        " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]"
        " WHERE i.indrelid = %s AND i.indisprimary AND i.indnkeyatts = 1"
        " AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)",
        (oid,),
    )
    return column


def _geometry(place: DdlTarget, oid: int) -> str | None:
    rows = place.con.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s AND NOT attisdropped AND attnum > 0"
        f" AND atttypid = '{place.postgis}.geometry'::regtype",
        (oid,),
    ).fetchall()
    return rows[0][0] if len(rows) == 1 else None


def grant(place: DdlTarget, role: str) -> None:
    """Let the reading role read the registered tables, where this server may say so."""
    for table in layer_table.tables(place.con, place.schema).values():
        if table.source is None or table.copied:
            continue
        for sql in (
            f"GRANT USAGE ON SCHEMA {quoted(table.source.schema)} TO {role}",
            f"GRANT SELECT ON {table.raw} TO {role}",
        ):
            try:
                with place.con.transaction():
                    place.con.execute(sql)
            except _NO_GRANT:
                continue
