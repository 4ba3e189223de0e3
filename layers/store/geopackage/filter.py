"""A query's filter, order and keyset as SQLite; the functions that its SQL calls are in ``functions``."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import orjson

from layers.cql import ast, fold
from layers.errors import BadParameter
from layers.model import Field, FieldType, Query
from layers.store import compile as compile_
from layers.store.compile import Dialect, Sql, joined, listed, sql
from layers.store.geopackage import functions, relations
from layers.store.geopackage.catalog import Table
from layers.store.geopackage.connection import quoted

_MOST_ARGUMENTS = 100  # of a function in SQLite are 127
_INSTANT = "%Y-%m-%dT%H:%M:%fZ"
_ARITHMETIC = {
    "+": "twin_plus",
    "-": "twin_minus",
    "*": "twin_times",
    "/": "twin_over",
    "div": "twin_div",
    "%": "twin_mod",
    "^": "twin_power",
}


def where(table: Table, query: Query) -> tuple[str, list[Any]]:
    """Everything but bbox, order and keyset: `` AND (…)`` for each condition on alias ``t``, and the values.

    Raises BadParameter for a property that the table does not have. The values keep what the SQL refers
    to alive, so they must live until the statement is done."""
    parts = compile_.conditions(_Sqlite(table), table, query)
    if query.datetime is not None and table.time_field is not None:
        field = table.field(table.time_field)
        if field is not None:
            parts.append(_time(field, query.datetime))
    return compile_.anded(parts)


def order(table: Table, query: Query) -> tuple[str, list[Any]]:
    """What follows ORDER BY, for alias ``t``. Raises BadParameter."""
    return compile_.order(_Sqlite(table), table, query)


def after(table: Table, query: Query) -> tuple[str, list[Any]]:
    """The keyset condition, `` AND (…)``, or an empty text. Raises BadParameter."""
    return compile_.after(_Sqlite(table), table, query)


def sort_values(table: Table, query: Query) -> str:
    """The sort keys of a row, each preceded by a comma: what a cursor is made of, before the fid."""
    dialect = _Sqlite(table)
    columns = (dialect.column(table.field(key.field) or ast.FID) for key in query.sort)
    return "".join(f", {c.text}" for c in columns)


def register(con: sqlite3.Connection) -> None:
    """Give a connection the functions that filters call."""
    functions.register(con)


def _time(field: Field, interval: tuple[str | None, str | None]) -> Sql:
    # strftime brings the spellings of other programs (no fraction, an offset) to the one of the bounds;
    # the plain comparison before it, a day wider for any offset, spares it for most rows.
    raw, day = Sql(f"t.{quoted(field.name)}"), field.type == "date"
    column = raw if day else _canonical(raw)
    parts = []
    for bound, operator, days in zip(interval, (">=", "<="), (-1, 2), strict=True):
        if bound is None:
            continue
        if not day and (rough := _shifted(bound[:10], days)):
            parts.append(sql(f"{{}} {operator} {{}}", raw, Sql("?", (rough,))))
        parts.append(sql(f"{{}} {operator} {{}}", column, Sql("?", (bound[:10] if day else bound,))))
    return compile_.timed(raw, parts)


def _shifted(text: str, days: int) -> str | None:
    try:
        return (date.fromisoformat(text) + timedelta(days=days)).isoformat()
    except (ValueError, OverflowError):
        return None


def _raw(text: Sql) -> Sql:
    """A text for a function of ours: another program may have stored bytes that are not UTF-8, on which
    the call itself would fail. For the same reason numbers are cast, too."""
    return sql("CAST({} AS BLOB)", text)


def _canonical(instant: Sql) -> Sql:
    return sql(f"strftime('{_INSTANT}', {{}})", instant)


class _Sqlite(Dialect):
    def __init__(self, table: Table) -> None:
        self._table = table

    def column(self, field: Field) -> Sql:
        if field is ast.FID:
            return self.fid()
        if self._table.field(field.name) is None:
            raise BadParameter("filter", field.name, f"layer {self._table.id} has no such property")
        raw = Sql(f"t.{quoted(field.name)}")
        return _canonical(raw) if field.type == "datetime" else raw

    def fid(self) -> Sql:
        return Sql("t.fid")

    def geometry(self) -> Sql:
        return Sql("t.geom")

    def value(self, value: str | int | float | bool, type_: FieldType) -> Sql:
        if type_ == "number":
            return Sql("?", (float(value),))
        return Sql("?", (int(value) if isinstance(value, bool) else value,))

    def truth(self, value: bool) -> Sql:
        return Sql("1" if value else "0")

    def double(self, part: Sql) -> Sql:
        return sql("CAST({} AS REAL)", part)

    def ordered(self, part: Sql, type_: FieldType) -> Sql:
        return part

    def moment(self, part: Sql, end: bool) -> Sql:
        return sql("({} || 'T23:59:59.999Z')" if end else "({} || 'T00:00:00.000Z')", part)

    def folded(self, how: str, part: Sql) -> Sql:
        return sql(f"twin_{how}({{}})", _raw(part))

    def call(self, name: str, arguments: Sequence[Sql], types: Sequence[FieldType]) -> Sql:
        parts = [
            self.double(p) if t in ("integer", "number") else _raw(p)
            for p, t in zip(arguments, types, strict=True)
        ]
        return sql(f"twin_{name}({{}})", listed(parts))

    def arithmetic(self, op: ast.Arithmetic, left: Sql, right: Sql) -> Sql:
        return sql(f"{_ARITHMETIC[op]}({{}}, {{}})", self.double(left), self.double(right))

    def like(self, text: Sql, pattern: Sql) -> Sql:
        return sql("twin_like({}, {})", _raw(text), _raw(pattern))

    def array(self, op: ast.ArrayOp, left: Sql, right: Sql) -> Sql:
        return sql(f"twin_{op}({{}}, {{}})", _raw(left), _raw(right))

    def items(self, values: Sequence[str | int | float | bool]) -> Sql:
        return Sql("?", (orjson.dumps(values).decode(),))

    def empty(self) -> Sql:
        return Sql("(t.geom IS NULL OR ST_IsEmpty(t.geom) IS NOT 0)")

    def spatial(self, op: ast.SpatialOp, shape: Any) -> Sql:
        return Sql(f"twin_{op}(CAST(t.geom AS BLOB), ?)", (relations.handle(shape),))

    def words(self, terms: Sequence[str], columns: Sequence[Sql]) -> Sql:
        folded = Sql("?", (orjson.dumps([fold.both(t) for t in terms]).decode(),))
        groups = [columns[i : i + _MOST_ARGUMENTS] for i in range(0, len(columns), _MOST_ARGUMENTS)]
        found = [sql("twin_words({}, {})", folded, listed([_raw(c) for c in g])) for g in groups]
        return joined("OR", found) if found else self.truth(False)
