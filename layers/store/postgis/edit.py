"""Edits of single features: one transaction each, logged by the triggers like any other program's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.types.numeric import Int8

from layers.errors import BadBody, Exists, NotEditable, NotFound, Stale, shown
from layers.store import feature
from layers.store.postgis import constraint_errors, project
from layers.store.postgis.connection import Connection, bound, literal
from layers.store.postgis.layer_table import Table
from layers.store.postgis.read import revision_sql
from layers.store.postgis.values import geometries
from layers.types import EditKind

type Columns = dict[str, tuple[str, Any]]  # column name → SQL with one parameter, and its value

_KEEP = object()
_TRIES = 3


def replace(
    con: Connection, table: Table, fid: int, body: Mapping[str, Any], if_match: int | None, actor: str | None
) -> int:
    """PUT. Returns the new revision."""
    shape, values = feature.whole(table, fid, body)
    return _write(con, table, fid, shape, values, if_match, actor)


def patch(
    con: Connection, table: Table, fid: int, body: Mapping[str, Any], if_match: int | None, actor: str | None
) -> int:
    """PATCH (RFC 7396). Returns the new revision."""
    named, shape, values = feature.partial(table, fid, body)
    if computed := [name for name in values if name in table.columns and table.columns[name].fixed]:
        raise BadBody(f"properties: {', '.join(computed)}: computed by the database")
    return _write(con, table, fid, shape if named else _KEEP, values, if_match, actor)


def delete(con: Connection, table: Table, fid: int, if_match: int | None, actor: str | None) -> int:
    """DELETE. Returns the log number."""
    _permitted(table, "delete", fid)
    with _changing(con, table):
        _locked(con, table, fid, if_match)
        con.execute(f"DELETE FROM {table.relation} t WHERE {table.fid} = %s", (Int8(fid),))
        return _number(con, table, fid, actor)


def create(con: Connection, table: Table, body: Mapping[str, Any], actor: str | None) -> tuple[int, int]:
    """POST. Returns the fid and the revision."""
    _editable(table, "create")
    shape, values = feature.new(table, body)
    for attempt in range(_TRIES):
        try:
            return _created(con, table, shape, values, actor)
        except Exists as error:  # two took the same number, where other programs choose their own
            again = table.source is None and error.__cause__ is not None
            if attempt == _TRIES - 1 or not again:
                raise
    raise AssertionError("unreachable")


def _created(
    con: Connection, table: Table, shape: Any, values: Mapping[str, Any], actor: str | None
) -> tuple[int, int]:
    columns = _columns(table, {k: v for k, v in values.items() if v is not None})
    columns[table.geom_column] = ("%s", project.ewkb(table, shape))
    with _changing(con, table, columns):
        _free_source(con, table, None, None, values)
        if table.source is None:
            columns["fid"] = ("%s", Int8(_next_fid(con, table)))
        names = ", ".join(bound(name) for name in columns)
        marks = ", ".join(mark for mark, _ in columns.values())
        row = con.execute(
            f"INSERT INTO {table.relation} AS t ({names}) VALUES ({marks}) RETURNING {table.fid}",
            [value for _, value in columns.values()],
        ).fetchone()
        if row is None or row[0] is None:
            raise NotEditable(_no_number(table))
        return row[0], _number(con, table, row[0], actor)


def _next_fid(con: Connection, table: Table) -> int:
    """A number that no feature of the layer has or had, also where other programs chose their own."""
    s = bound(table.schema)
    relation = literal(table.raw).replace("%", "%%")
    row = con.execute(
        f"SELECT nextval(pg_get_serial_sequence({relation}, 'fid')::regclass),"
        f" coalesce((SELECT max(fid) FROM {s}.twin_changes WHERE layer = {literal(table.id)}), 0)",
        (),
    ).fetchone()
    assert row is not None
    fid, high = row
    if high >= fid:
        fid = high + 1
        con.execute(f"SELECT setval(pg_get_serial_sequence({relation}, 'fid')::regclass, %s)", (Int8(fid),))
    return int(fid)


def _write(
    con: Connection,
    table: Table,
    fid: int,
    shape: Any,
    values: Mapping[str, Any],
    if_match: int | None,
    actor: str | None,
) -> int:
    _permitted(table, "update", fid)
    columns = _columns(table, values)
    with _changing(con, table, columns):
        stored, source = _locked(con, table, fid, if_match)
        _free_source(con, table, fid, source, values)
        if shape is not _KEEP and not feature.same(
            table, project.to_lonlat(table, geometries([stored])), shape
        ):
            columns[table.geom_column] = ("%s", project.ewkb(table, shape))
        _set(con, table, fid, columns)
        return _number(con, table, fid, actor)


def _editable(table: Table, kind: EditKind) -> None:
    if kind not in table.edits:
        raise NotEditable(f"layer {table.id} is not edited so: {table.fixed_because}")


def _permitted(table: Table, kind: EditKind, fid: int) -> None:
    _editable(table, kind)
    if abs(fid) >= 2**63:
        raise NotFound(f"layer {table.id} has no feature {shown(fid)}")


def _no_number(table: Table) -> str:
    return f"layer {table.id} takes no new features: its column {table.fid_column} numbers none by itself"


@contextmanager
def _changing(con: Connection, table: Table, columns: Columns | None = None) -> Iterator[None]:
    """One transaction; what the table does not permit is the client's fault, and named."""
    try:
        with con.transaction():
            yield
    except psycopg.errors.NotNullViolation as error:
        if error.diag.column_name == table.fid_column:
            raise NotEditable(_no_number(table)) from error
        raise constraint_errors.integrity(table, error) from error
    except psycopg.IntegrityError as error:
        raise constraint_errors.integrity(table, error) from error
    except psycopg.DataError as error:
        raise constraint_errors.value(con, table, columns or {}, error) from error
    except psycopg.errors.RaiseException as error:
        raise BadBody("the table's own rules do not permit this") from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise constraint_errors.right(table) from error


def _locked(con: Connection, table: Table, fid: int, if_match: int | None) -> tuple[bytes | None, str | None]:
    """Lock the row; its geometry and source id. Raises NotFound, Stale."""
    row = con.execute(
        f"SELECT {table.shape}, {table.column('source_id')} FROM {table.relation} t"
        f" WHERE {table.fid} = %s FOR UPDATE",
        (Int8(fid),),
        binary=True,
    ).fetchone()
    if row is None:
        raise NotFound(f"layer {table.id} has no feature {fid}")
    # A statement of its own: one that waited for the lock would still see the log as it was before.
    current = revision(con, table, fid)
    if if_match is not None and if_match != current:
        raise Stale(f"the feature is at revision {current}, not {if_match}; read it again")
    return row[0], row[1]


def _free_source(
    con: Connection, table: Table, fid: int | None, present: str | None, values: Mapping[str, Any]
) -> None:
    """Raises BadBody, Exists: a source id is not taken from a feature that has one, nor given twice."""
    source = values.get("source_id")
    if "source_id" in values and source is None and present is not None:
        raise BadBody("properties: source_id: cannot be removed")
    if source is None:
        return
    if "source_id" not in table.columns:
        raise BadBody("properties: source_id: the layer keeps none")
    row = con.execute(
        f"SELECT 1 FROM {table.relation} t WHERE {table.column('source_id')} = %s"
        f" AND {table.fid} IS DISTINCT FROM %s LIMIT 1",
        (source, None if fid is None else Int8(fid)),
    ).fetchone()
    if row is not None:
        raise Exists("properties: source_id: another feature has it")


def _columns(table: Table, values: Mapping[str, Any]) -> Columns:
    out = {}
    for name, value in values.items():
        column = table.columns.get(name)
        if column is not None and not column.fixed:
            text = None if value is None else value if isinstance(value, str) else repr(value)
            out[column.name] = (column.write, text)
    return out


def _set(con: Connection, table: Table, fid: int, columns: Mapping[str, tuple[str, Any]]) -> None:
    # An edit that names nothing still counts as one: the triggers fire for an assignment to itself.
    own = bound(table.fid_column)
    assignments = ", ".join(f"{bound(name)} = {mark}" for name, (mark, _) in columns.items())
    con.execute(
        f"UPDATE {table.relation} AS t SET {assignments or f'{own} = {table.fid}'} WHERE {table.fid} = %s",
        (*(value for _, value in columns.values()), Int8(fid)),
    )


def _number(con: Connection, table: Table, fid: int, actor: str | None) -> int:
    """Number what this transaction changed, now instead of at commit; the revision of the feature."""
    s = bound(table.schema)
    con.execute(f"SELECT {s}.twin_number()", ())
    number = revision(con, table, fid)
    if actor is not None:
        con.execute(
            f"INSERT INTO {s}.twin_actors (layer, fid, seq, actor) VALUES (%s, %s, %s, %s)",
            (table.id, Int8(fid), Int8(number), actor),
        )
    return number


def revision(con: Connection, table: Table, fid: int) -> int:
    """The highest log number of a feature, or of its layer as a whole; 0 when neither was logged."""
    row = con.execute(f"SELECT {revision_sql(table)}", (Int8(fid),)).fetchone()
    assert row is not None
    return int(row[0])
