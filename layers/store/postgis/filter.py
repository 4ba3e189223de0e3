"""A query's filter, order and keyset as PostgreSQL with PostGIS.

Texts are for psycopg's placeholders: a per cent sign that is none is written twice.
PostgreSQL ends a statement with an error where a number leaves the range of doubles, so arithmetic is
guarded; ``OFFSET 0`` keeps the planner from writing an operand out once for each time it is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from layers.cql import ast, geometry
from layers.quadtree import Edges
from layers.query import Query
from layers.store.compile import Dialect, Sql, joined, listed, order, sql, where
from layers.store.postgis.literal import Literal, literal
from layers.store.postgis.schema import COLUMN_TYPES
from layers.types import Bbox, Field, FieldType

_C = 'COLLATE "C"'
_ICU = 'COLLATE "und-x-icu"'
_PARTS = frozenset({"year", "month", "day", "hour", "minute", "second"})
_PLAIN = {"trim": "btrim({}, ' ')", "char_length": "char_length({})::bigint", "abs": "abs({})"}
_WHOLE = {"floor": "floor({})", "ceil": "ceil({})"}
_RELATIONS: dict[str, str] = {
    "s_intersects": "ST_Intersects",
    "s_disjoint": "ST_Disjoint",
    "s_equals": "ST_Equals",
    "s_touches": "ST_Touches",
    "s_within": "ST_Within",
    "s_contains": "ST_Contains",
    "s_overlaps": "ST_Overlaps",
    "s_crosses": "ST_Crosses",
}


class Postgis(Dialect):
    """The SQL of PostgreSQL with PostGIS, for a table of :mod:`layers.store.postgis.layer_table`."""

    def raw(self, field: Field) -> Sql:
        return Sql(self.table.column(field))

    def instant(self, raw: Sql) -> Sql:
        return sql("date_trunc('milliseconds', {})", raw)

    def during(self, field: Field, interval: tuple[str | None, str | None]) -> list[Sql]:
        # The column as it is, so that an index serves; a millisecond is whole up to the next one.
        column, day = self.raw(field), field.type == "date"
        start, end = interval
        parts = []
        if start is not None:
            bound = Sql("%s::date", (start[:10],)) if day else Sql("%s::timestamptz", (start,))
            parts.append(sql("{} >= {}", column, bound))
        if end is not None and day:
            parts.append(sql("{} <= {}", column, Sql("%s::date", (end[:10],))))
        elif end is not None:
            bound = Sql("%s::timestamptz + interval '1 millisecond'", (end,))
            parts.append(sql("{} < {}", column, bound))
        return parts

    def fid(self) -> Sql:
        return Sql(self.table.fid)

    def geometry(self) -> Sql:
        return Sql(self.table.shape)

    def value(self, value: str | int | float | bool, type_: FieldType) -> Sql:
        if type_ == "integer" and isinstance(value, float):  # beyond 64 bits
            return Sql("%s::numeric", (int(value),))
        bound: Any = float(value) if type_ == "number" else bool(value) if type_ == "boolean" else value
        return Sql(f"%s::{COLUMN_TYPES[type_]}", (bound,))

    def truth(self, value: bool) -> Sql:
        return Sql("TRUE" if value else "FALSE")

    def double(self, part: Sql) -> Sql:
        return sql("({})::double precision", part)

    def ordered(self, part: Sql, type_: FieldType) -> Sql:
        return sql(f"(({{}}) {_C})", part) if type_ == "string" else part

    def moment(self, part: Sql, end: bool) -> Sql:
        start = sql("(({})::timestamp AT TIME ZONE 'UTC')", part)
        return sql("({} + interval '23:59:59.999')", start) if end else start

    def folded(self, how: str, part: Sql) -> Sql:
        if how == "casei":
            return sql(f"(lower(upper(({{}}) {_ICU}) {_ICU}) {_C})", part)
        bare = f"regexp_replace(normalize(({{}}) {_C}, NFD), '[\u0300-\u036f]', '', 'g')"
        return sql(f"(normalize({bare}, NFC) {_C})", part)

    def call(self, name: str, arguments: Sequence[Sql], types: Sequence[FieldType]) -> Sql:
        (argument,) = arguments
        if name in ("lower", "upper"):
            return sql(f"({name}(({{}}) {_ICU}) {_C})", argument)
        if name in _PARTS:
            moment = sql("({}) AT TIME ZONE 'UTC'", argument) if types[0] == "datetime" else argument
            whole = f"CASE WHEN isfinite(v.a) THEN floor(extract({name} FROM v.a))::bigint END"
            return sql(f"(SELECT {whole} FROM (SELECT {{}} AS a OFFSET 0) v)", moment)
        if name == "round":
            half = "CASE WHEN abs(v.a - trunc(v.a)) >= 0.5 THEN sign(v.a) ELSE 0 END"
            return sql(f"(SELECT trunc(v.a) + {half} FROM (SELECT {{}} AS a OFFSET 0) v)", argument)
        return sql(_PLAIN.get(name) or _WHOLE[name], argument)

    def arithmetic(self, op: ast.Arithmetic, left: Sql, right: Sql) -> Sql:
        pair = sql("(SELECT {} AS a, {} AS b OFFSET 0) v", left, right)
        return sql(f"(SELECT {_ARITHMETIC[op]} FROM {{}})", pair)

    def like(self, text: Sql, pattern: Sql) -> Sql:
        return sql(f"(({{}}) {_C} LIKE ({{}}) {_C} ESCAPE '\\')", text, pattern)

    def array(self, op: ast.ArrayOp, left: Sql, right: Sql) -> Sql:
        pair = sql("(SELECT {} AS a, {} AS b OFFSET 0) v", left, right)
        both = "jsonb_typeof(v.a) = 'array' AND jsonb_typeof(v.b) = 'array'"
        return sql(f"(SELECT CASE WHEN {both} THEN {_SETS[op]} END FROM {{}})", pair)

    def json(self, text: str) -> Sql:
        return Sql("%s::jsonb", (text,))

    def members(self, parts: Sequence[Sql], types: Sequence[FieldType]) -> Sql:
        shown = [sql(_SHOWN.get(t, "{}"), p) for p, t in zip(parts, types, strict=True)]
        return sql("jsonb_build_array({})", listed(shown))

    def empty(self) -> Sql:
        return sql("({} IS NULL OR ST_IsEmpty({}))", self.geometry(), self.geometry())

    def spatial(self, op: ast.SpatialOp, shape: Any) -> Sql:
        bound = literal(shape, self.table.srid)
        if bound is None or (bound.cut and op in ("s_contains", "s_equals")):
            return self._apart(op == "s_disjoint")
        related = sql(f"{_RELATIONS[op]}({{}}, {{}})", self.geometry(), _bound(bound))
        if self.table.untyped and op != "s_disjoint":  # no index is of what is made of a column
            return sql("({} && {} AND {})", Sql(self.table.geom), _bound(bound), related)
        return related

    def in_tile(self, name: str, edges: Edges) -> Sql:
        shape = self.geometry().text
        if self.table.srid != 4326:
            shape = f"ST_Transform({shape}, 4326)"
        sides = "ST_XMin(f.g) AS w, ST_XMax(f.g) AS e, ST_YMin(f.g) AS s, ST_YMax(f.g) AS n"
        box = f"(SELECT {sides} FROM (SELECT {shape} AS g OFFSET 0) f OFFSET 0) v"
        if name == "fits_tile":
            sizes = (edges.width, edges.height)
            fits = Sql("v.e - v.w <= %s::float8 AND v.n - v.s <= %s::float8", sizes)
            return sql(f"(CASE WHEN ST_IsEmpty({shape}) THEN false ELSE (SELECT {{}} FROM {box}) END)", fits)
        lon = Sql("(v.w + v.e) / 2 >= %s::float8 AND (v.w + v.e) / 2 < %s::float8", (edges.west, edges.east))
        lat = Sql(
            "(v.s + v.n) / 2 > %s::float8 AND (v.s + v.n) / 2 <= %s::float8", (edges.south, edges.north)
        )
        within = sql(f"(SELECT {{}} AND {{}} FROM {box})", lon, lat)
        near = literal(geometry.box(*self._around(edges)), self.table.srid)
        if near is None:
            return self._apart(False)
        return sql("({} && {} AND {})", Sql(self.table.geom), _bound(near), within)

    def _around(self, edges: Edges) -> Bbox:
        """A box that every feature meets whose middle lies in a tile: in a grid that is turned against the
        meridians its box is another one there."""
        west, south, east, north = edges.box
        if self.table.srid == 4326:
            return edges.box
        wide, high = east - west, north - south
        box = max(west - wide, -180.0), max(south - high, -90.0)
        return *box, min(east + wide, 180.0), min(north + high, 90.0)

    def _apart(self, disjoint: bool) -> Sql:
        """The answer for a literal that no geometry of the table can reach."""
        return sql("(CASE WHEN {} IS NOT NULL THEN {} END)", self.geometry(), self.truth(disjoint))

    def words(self, terms: Sequence[str], columns: Sequence[Sql]) -> Sql:
        text = self._both(sql("concat_ws(E'\\x01', {})", listed(columns))) if columns else Sql("''")
        conditions = [self._both(Sql("%s::text", (term,))) for term in terms]
        hit = Sql("strpos(v.a, w.b) > 0")
        rows = joined("UNION ALL", [sql("SELECT {} AS b", f) for f in conditions])
        return sql("EXISTS (SELECT 1 FROM (SELECT {} AS a OFFSET 0) v, ({}) w WHERE {})", text, rows, hit)

    def _both(self, part: Sql) -> Sql:
        return self.folded("casei", self.folded("accenti", part))


class _Noting(Postgis):
    """Notes of which fields a query has the values."""

    def __init__(self, table: Any) -> None:
        super().__init__(table)
        self.named: set[str] = set()

    def raw(self, field: Field) -> Sql:
        self.named.add(field.name)
        return super().raw(field)


def fields_named(table: Any, query: Query) -> frozenset[str]:
    """The fields by which a query chooses and sorts. Raises BadParameter."""
    if not (query.sort or query.filter or query.equals or query.words or query.datetime):
        return frozenset()
    noting = _Noting(table)
    where(noting, query)
    order(noting, query)
    return frozenset(noting.named)


def _bound(value: Literal) -> Sql:
    return Sql("ST_GeomFromEWKB(%s::bytea)", (value.ewkb,))


_SMALL = "abs(v.a) <= 1e304 AND abs(v.b) <= 1e304"
_PRODUCT = "abs(ln(abs(v.a)) + ln(abs(v.b))) <= 700"
_QUOTIENT = "abs(ln(abs(v.a)) - ln(abs(v.b))) <= 700"


def _quotient(result: str) -> str:
    """A result that needs a / b: null for a divisor 0, and beyond the range."""
    guard = f"CASE WHEN {_QUOTIENT} THEN {result} END"
    return f"CASE WHEN v.b = 0 OR v.b IS NULL THEN NULL WHEN v.a = 0 THEN 0 ELSE {guard} END"


_ARITHMETIC: dict[ast.Arithmetic, str] = {
    "+": f"CASE WHEN {_SMALL} THEN v.a + v.b END",
    "-": f"CASE WHEN {_SMALL} THEN v.a - v.b END",
    "*": (
        "CASE WHEN v.a IS NULL OR v.b IS NULL THEN NULL WHEN v.a = 0 OR v.b = 0 THEN 0"
        f" ELSE CASE WHEN {_PRODUCT} THEN v.a * v.b END END"
    ),
    "/": _quotient("v.a / v.b"),
    "div": _quotient("trunc(v.a / v.b)"),
    "%": _quotient("v.a - v.b * trunc(v.a / v.b)").replace("%", "%%"),
    "^": (
        "CASE WHEN v.a = 0 THEN CASE WHEN v.b > 0 THEN 0 WHEN v.b = 0 THEN 1 END"
        " WHEN NOT (abs(v.b) <= 1e304) OR (v.a < 0 AND v.b <> floor(v.b)) THEN NULL"
        " WHEN abs(v.a) = 1 THEN power(v.a, v.b)"
        " WHEN abs(v.b) <= 700 / abs(ln(abs(v.a))) THEN power(v.a, v.b) END"
    ),
}
#: A time as a feature shows it: null beyond the years 1 to 9999.
_SHOWN: dict[FieldType, str] = {
    "date": (
        "(SELECT CASE WHEN v.a BETWEEN '0001-01-01' AND '9999-12-31' THEN to_char(v.a, 'YYYY-MM-DD') END"
        " FROM (SELECT {} AS a OFFSET 0) v)"
    ),
    "datetime": (
        "(SELECT CASE WHEN v.a >= '0001-01-01Z' AND v.a < '10000-01-01Z' THEN"
        """ to_char(v.a AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') END"""
        " FROM (SELECT {} AS a OFFSET 0) v)"
    ),
}


def _holds(one: str, other: str) -> str:
    """Whether an array has every member of another: ``@>`` would find [1] in [1, 2], so it only sifts."""
    members, theirs = f"SELECT jsonb_array_elements(v.{one})", f"SELECT jsonb_array_elements(v.{other})"
    return f"v.{one} @> v.{other} AND NOT EXISTS ({theirs} EXCEPT {members})"


_SETS: dict[ast.ArrayOp, str] = {
    "a_equals": f"{_holds('a', 'b')} AND {_holds('b', 'a')}",
    "a_contains": _holds("a", "b"),
    "a_containedBy": _holds("b", "a"),
    "a_overlaps": "EXISTS (SELECT jsonb_array_elements(v.a) INTERSECT SELECT jsonb_array_elements(v.b))",
}
