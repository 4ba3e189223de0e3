"""A query's filter, order and keyset as SQLite; the functions that its SQL calls are in ``functions``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import orjson

from layers.cql import ast, fold
from layers.quadtree import Edges
from layers.store.compile import Dialect, Sql, joined, listed, sql
from layers.store.geopackage import relations
from layers.store.geopackage.connection import quoted
from layers.types import Field, FieldType

_MOST_ARGUMENTS = 100  # of a function in SQLite are 127
#: How ``strftime`` writes an instant as stores give it.
INSTANT = "%Y-%m-%dT%H:%M:%fZ"
_ARITHMETIC = {
    "+": "twin_plus",
    "-": "twin_minus",
    "*": "twin_times",
    "/": "twin_over",
    "div": "twin_div",
    "%": "twin_mod",
    "^": "twin_power",
}


def shifted(text: str, days: int) -> str | None:
    """A date so many days later; None for what is none, or beyond the calendar."""
    try:
        return (date.fromisoformat(text) + timedelta(days=days)).isoformat()
    except (ValueError, OverflowError):
        return None


def _raw(text: Sql) -> Sql:
    """A text for a function of ours: another program may have stored bytes that are not UTF-8, on which
    the call itself would fail. For the same reason numbers are cast, too."""
    return sql("CAST({} AS BLOB)", text)


class Sqlite(Dialect):
    """The SQL of SQLite, with the functions of :mod:`layers.store.geopackage.functions`."""

    def raw(self, field: Field) -> Sql:
        return Sql(f"t.{quoted(field.name)}")

    def instant(self, raw: Sql) -> Sql:
        return sql(f"strftime('{INSTANT}', {{}})", raw)

    def during(self, field: Field, interval: tuple[str | None, str | None]) -> list[Sql]:
        # strftime brings the spellings of other programs (no fraction, an offset) to the one of the bounds;
        # the plain comparison before it, a day wider for any offset, spares it for most rows.
        raw, day = self.raw(field), field.type == "date"
        parts = []
        for bound, operator, days in zip(interval, (">=", "<="), (-1, 2), strict=True):
            if bound is None:
                continue
            if not day and (rough := shifted(bound[:10], days)):
                parts.append(sql(f"{{}} {operator} {{}}", raw, Sql("?", (rough,))))
            value = Sql("?", (bound[:10] if day else bound,))
            parts.append(sql(f"{{}} {operator} {{}}", self.column(field), value))
        return parts

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

    def json(self, text: str) -> Sql:
        return Sql("?", (text,))

    def members(self, parts: Sequence[Sql], types: Sequence[FieldType]) -> Sql:
        kinds = Sql("?", (",".join(types),))
        plain = ("integer", "number", "boolean")
        arguments = [p if t in plain else _raw(p) for p, t in zip(parts, types, strict=True)]
        return sql("twin_members({}, {})", kinds, listed(arguments))

    def empty(self) -> Sql:
        return Sql("(t.geom IS NULL OR ST_IsEmpty(t.geom) IS NOT 0)")

    def spatial(self, op: ast.SpatialOp, shape: Any) -> Sql:
        return Sql(f"twin_{op}(CAST(t.geom AS BLOB), ?)", (relations.handle(shape),))

    def in_tile(self, name: str, edges: Edges) -> Sql:
        if name == "fits_tile":
            return Sql("twin_fits_tile(CAST(t.geom AS BLOB), ?, ?)", (edges.width, edges.height))
        sides = (edges.west, edges.south, edges.east, edges.north)
        return Sql("twin_middle_in_tile(CAST(t.geom AS BLOB), ?, ?, ?, ?)", sides)

    def words(self, terms: Sequence[str], columns: Sequence[Sql]) -> Sql:
        folded = Sql("?", (orjson.dumps([fold.both(t) for t in terms]).decode(),))
        groups = [columns[i : i + _MOST_ARGUMENTS] for i in range(0, len(columns), _MOST_ARGUMENTS)]
        conditions = [sql("twin_words({}, {})", folded, listed([_raw(c) for c in g])) for g in groups]
        return joined("OR", conditions) if conditions else self.truth(False)
