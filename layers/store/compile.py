"""A checked query → SQL: the walk that every store shares; a :class:`Dialect` says how each thing is written.

Values are always bound and never part of the text; identifiers are only columns that the dialect gives
for fields of the layer. Row order, keyset and three-valued logic are decided here, so that two stores
cannot differ in them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

from layers.cql import ast
from layers.errors import BadParameter
from layers.quadtree import Edges
from layers.query import Query
from layers.types import Bbox, Field, FieldType

_DAY_START = "T00:00:00.000Z"
_DAY_END = "T23:59:59.999Z"
_NUMERIC = ("integer", "number")
_FLIPPED: dict[str, ast.SpatialOp] = {"s_within": "s_contains", "s_contains": "s_within"}
#: Whether a geometry that is not empty stands in this relation to itself.
_REFLEXIVE = frozenset({"s_intersects", "s_equals", "s_within", "s_contains"})


class Sql(NamedTuple):
    """A piece of SQL and the values bound in it, in the order of its placeholders."""

    text: str
    values: tuple[Any, ...] = ()


def sql(template: str, *parts: Sql) -> Sql:
    """A template whose ``{}`` are replaced by the parts, in order."""
    return Sql(template.format(*(p.text for p in parts)), tuple(v for p in parts for v in p.values))


def joined(word: str, parts: Sequence[Sql]) -> Sql:
    """Parts joined by AND or OR, halving: a chain of hundreds would exceed a parser's depth."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return sql(f"({{}} {word} {{}})", joined(word, parts[:middle]), joined(word, parts[middle:]))


def listed(parts: Sequence[Sql]) -> Sql:
    """Parts separated by commas."""
    return Sql(", ".join(p.text for p in parts), tuple(v for p in parts for v in p.values))


class Dialect(ABC):
    """How one database writes what a filter needs. Texts compare by code point in every method."""

    def __init__(self, table: Any) -> None:
        self.table = table

    def column(self, field: Field) -> Sql:
        """A field's value. Raises BadParameter when the table does not have it (any more)."""
        if field is ast.FID:
            return self.fid()
        if self.table.field(field.name) is None:
            raise BadParameter("filter", field.name, f"layer {self.table.id} has no such property")
        raw = self.raw(field)
        return self.instant(raw) if field.type == "datetime" else raw

    @abstractmethod
    def raw(self, field: Field) -> Sql:
        """A field's value as the table has it."""

    @abstractmethod
    def instant(self, raw: Sql) -> Sql:
        """An instant of the table, whatever its spelling or precision, in milliseconds of UTC."""

    @abstractmethod
    def fid(self) -> Sql:
        """The feature's number."""

    @abstractmethod
    def geometry(self) -> Sql:
        """The geometry column."""

    @abstractmethod
    def value(self, value: str | int | float | bool, type_: FieldType) -> Sql:
        """A bound literal of that type."""

    @abstractmethod
    def truth(self, value: bool) -> Sql:
        """TRUE or FALSE."""

    @abstractmethod
    def double(self, part: Sql) -> Sql:
        """An integer as a double."""

    @abstractmethod
    def ordered(self, part: Sql, type_: FieldType) -> Sql:
        """A value as ORDER BY and < compare it."""

    @abstractmethod
    def moment(self, part: Sql, end: bool) -> Sql:
        """A date as the instant at which it begins, or its last millisecond."""

    @abstractmethod
    def folded(self, how: str, part: Sql) -> Sql:
        """CASEI or ACCENTI of a text."""

    @abstractmethod
    def call(self, name: str, arguments: Sequence[Sql], types: Sequence[FieldType]) -> Sql:
        """A function of :mod:`layers.cql.functions`; integers come as doubles where it takes numbers."""

    @abstractmethod
    def arithmetic(self, op: ast.Arithmetic, left: Sql, right: Sql) -> Sql:
        """Two doubles; null beyond the range of doubles and for a divisor 0."""

    @abstractmethod
    def like(self, text: Sql, pattern: Sql) -> Sql:
        """LIKE, case-sensitive, ``\\`` escapes."""

    @abstractmethod
    def array(self, op: ast.ArrayOp, left: Sql, right: Sql) -> Sql:
        """A relation of two sets."""

    @abstractmethod
    def json(self, text: str) -> Sql:
        """A literal as a value of type array, which all JSON has."""

    @abstractmethod
    def members(self, parts: Sequence[Sql], types: Sequence[FieldType]) -> Sql:
        """An array, null where a part is; dates and instants are texts in it."""

    @abstractmethod
    def empty(self) -> Sql:
        """Whether the geometry is null or has no point; never null itself."""

    @abstractmethod
    def spatial(self, op: ast.SpatialOp, shape: Any) -> Sql:
        """The geometry's relation to a literal; null where it is null."""

    @abstractmethod
    def in_tile(self, name: str, edges: Edges) -> Sql:
        """Of the geometry's box, whether its middle lies in a tile (``middle_in_tile``), or whether it is as
        small (``fits_tile``); null without a place. Arithmetic in doubles, as :mod:`layers.quadtree` says."""

    @abstractmethod
    def during(self, field: Field, interval: tuple[str | None, str | None]) -> list[Sql]:
        """What bounds a date or instant to an interval of instants, ends included: a condition an end.

        The column stands bare in one of them, so that an index serves."""

    @abstractmethod
    def words(self, terms: Sequence[str], columns: Sequence[Sql]) -> Sql:
        """Whether one of the terms occurs in one of the columns, without regard to case and accents."""

    def predicate(self, node: ast.Predicate) -> Sql:
        """A filter as a condition."""
        match node:
            case ast.Constant(value):
                return self.truth(value)
            case ast.Truth(scalar):
                return self.scalar(scalar)
            case ast.And(parts):
                return joined("AND", [self.predicate(p) for p in parts])
            case ast.Or(parts):
                return joined("OR", [self.predicate(p) for p in parts])
            case ast.Not(part):
                return sql("(NOT {})", self.predicate(part))
            case ast.Compare(op, left, right):
                return self._compare(op, left, right)
            case ast.Like(text, pattern):
                return self.like(self.scalar(text), self.scalar(pattern))
            case ast.Between(value, low, high):
                if _differ(value, (low, high)):
                    sides = ast.Compare(">=", value, low), ast.Compare("<=", value, high)
                    return self.predicate(ast.And(sides))
                return sql("({} BETWEEN {} AND {})", *self._alike((value, low, high), True))
            case ast.In(value, items):
                if _differ(value, items):
                    groups = [tuple(i for i in items if i.type == t) for t in _NUMERIC]
                    return self.predicate(ast.Or(tuple(ast.In(value, g) for g in groups)))
                first, *rest = self._alike((value, *items), False)
                return sql("({} IN ({}))", first, listed(rest))
            case ast.IsNull(value):
                if isinstance(value, ast.GeometryProperty):
                    return self.empty()
                known = self.scalar(value) if isinstance(value, ast.SCALARS) else self.predicate(value)
                return sql("({} IS NULL)", known)
            case ast.Spatial(op, left, right):
                return self._spatial(op, left, right)
            case ast.Temporal(op, left, right):
                return self._temporal(op, left, right)
            case ast.Array(op, left, right):
                return self.array(op, self._member(left), self._member(right))

    def scalar(self, node: ast.Scalar) -> Sql:
        """A scalar in its own type."""
        match node:
            case ast.PropertyRef(field):
                return self.column(field)
            case ast.Value(value, type_):
                return self.value(value, type_)
            case ast.Arith(op, left, right):
                return self.arithmetic(op, self._number(left), self._number(right))
            case ast.Folded(how, text):
                return self.folded(how, self.scalar(text))
            case ast.FunctionCall(name, arguments):
                parts = [self._number(a) if a.type in _NUMERIC else self.scalar(a) for a in arguments]
                return self.call(name, parts, [a.type for a in arguments])
            case ast.InTile(name, _, edges):
                return self.in_tile(name, edges)

    def _number(self, node: ast.Scalar) -> Sql:
        if isinstance(node, ast.Value):
            return self.value(float(node.value), "number")
        part = self.scalar(node)
        return self.double(part) if node.type == "integer" else part

    def _alike(self, nodes: Sequence[ast.Scalar], ordered: bool) -> list[Sql]:
        """Scalars as one type: whole numbers compare exactly, mixed with others all are doubles."""
        types = {n.type for n in nodes}
        if types <= set(_NUMERIC) and types != {"integer"}:
            return [self._number(n) for n in nodes]
        parts = [self.scalar(n) for n in nodes]
        return [self.ordered(p, n.type) for p, n in zip(parts, nodes, strict=True)] if ordered else parts

    def _compare(self, op: str, left: ast.Scalar, right: ast.Scalar) -> Sql:
        return sql(f"({{}} {op} {{}})", *self._alike((left, right), op not in ("=", "<>")))

    def _member(self, node: ast.Member) -> Sql:
        if isinstance(node, ast.Json):
            return self.json(node.text)
        if not isinstance(node, ast.Members):
            return self.scalar(node)
        types: list[FieldType] = [p.type if isinstance(p, ast.SCALARS) else "array" for p in node.parts]
        return self.members([self._member(p) for p in node.parts], types)

    def _spatial(
        self,
        op: ast.SpatialOp,
        left: ast.Shape | ast.GeometryProperty,
        right: ast.Shape | ast.GeometryProperty,
    ) -> Sql:
        if isinstance(left, ast.Shape):
            op, left, right = _FLIPPED.get(op, op), right, left
        if isinstance(right, ast.Shape):
            return self.spatial(op, right.shape)
        same = self.truth(op in _REFLEXIVE)
        other = self.truth(op == "s_disjoint")
        return sql(
            "(CASE WHEN {} IS NULL THEN NULL WHEN {} THEN {} ELSE {} END)",
            self.geometry(),
            self.empty(),
            other,
            same,
        )

    # Time: an instant is an interval whose ends are equal; a date among instants is its whole day.

    def _temporal(
        self, op: ast.TemporalOp, left: ast.Scalar | ast.Interval, right: ast.Scalar | ast.Interval
    ) -> Sql:
        mixed = _time_type(left) != _time_type(right)
        a, b = self._ends(left, mixed), self._ends(right, mixed)
        ends = {"a1": a[0], "a2": a[1], "b1": b[0], "b2": b[1]}
        word, terms = _TIME[op]
        return joined(word, [self._before(ends, *t.split()) for t in terms])

    def _ends(self, node: ast.Scalar | ast.Interval, mixed: bool) -> tuple[Sql | None, Sql | None]:
        if not isinstance(node, ast.Interval):
            return self._end(node, mixed, False), self._end(node, mixed, True)
        start = None if node.start is None else self._end(node.start, mixed, False)
        return start, None if node.end is None else self._end(node.end, mixed, True)

    def _end(self, node: ast.Scalar, mixed: bool, end: bool) -> Sql:
        if not mixed or node.type != "date":
            return self.scalar(node)
        if isinstance(node, ast.Value):
            return self.value(f"{node.value}{_DAY_END if end else _DAY_START}", "datetime")
        return self.moment(self.scalar(node), end)

    def _before(self, ends: dict[str, Sql | None], left: str, op: str, right: str) -> Sql:
        """``left op right`` (<, <=, =) where an open start is -∞ and an open end is +∞."""
        a, b = ends[left], ends[right]
        if a is not None and b is not None:
            return sql(f"({{}} {op} {{}})", a, b)
        low = -1 if a is None and left.endswith("1") else 1 if a is None else 0
        high = -1 if b is None and right.endswith("1") else 1 if b is None else 0
        holds = low < high or (op != "<" and low == high)
        if op == "=":
            holds = low == high
        known = a if a is not None else b
        if known is None:
            return self.truth(holds)
        return sql("(CASE WHEN {} IS NOT NULL THEN {} END)", known, self.truth(holds))


#: Each relation of [a1, a2] to [b1, b2]: the ends that must be so (OGC 21-065r2, clause 7.6).
_TIME: dict[str, tuple[str, tuple[str, ...]]] = {
    "t_after": ("AND", ("b2 < a1",)),
    "t_before": ("AND", ("a2 < b1",)),
    "t_contains": ("AND", ("a1 < b1", "b2 < a2")),
    "t_disjoint": ("OR", ("a2 < b1", "b2 < a1")),
    "t_during": ("AND", ("b1 < a1", "a2 < b2")),
    "t_equals": ("AND", ("a1 = b1", "a2 = b2")),
    "t_finishedBy": ("AND", ("a1 < b1", "a2 = b2")),
    "t_finishes": ("AND", ("b1 < a1", "a2 = b2")),
    "t_intersects": ("AND", ("a1 <= b2", "b1 <= a2")),
    "t_meets": ("AND", ("a2 = b1",)),
    "t_metBy": ("AND", ("a1 = b2",)),
    "t_overlappedBy": ("AND", ("b1 < a1", "a1 < b2", "b2 < a2")),
    "t_overlaps": ("AND", ("a1 < b1", "b1 < a2", "a2 < b2")),
    "t_startedBy": ("AND", ("a1 = b1", "b2 < a2")),
    "t_starts": ("AND", ("a1 = b1", "a2 < b2")),
}


def _differ(value: ast.Scalar, others: Sequence[ast.Scalar]) -> bool:
    """Whether an integer stands beside integers, with which it compares exactly, and beside doubles."""
    return value.type == "integer" and {o.type for o in others} == set(_NUMERIC)


def _time_type(node: ast.Scalar | ast.Interval) -> FieldType:
    if not isinstance(node, ast.Interval):
        return node.type
    end = node.start if node.start is not None else node.end
    assert end is not None  # the parser refuses an interval without any end
    return end.type


def boxes(box: Bbox) -> list[Bbox]:
    """A box; one that crosses the antimeridian (west > east) is two."""
    west, south, east, north = box
    if west <= east:
        return [box]
    return [(west, south, 180.0, north), (-180.0, south, east, north)]


def envelope(query: Query) -> Bbox | None:
    """The box (lon/lat) outside which no feature can match the filter; None where the filter sets none.

    From spatial relations with a literal, and tiles that hold middles of boxes, which stand at the top of the
    filter, joined by AND."""
    if query.filter is None:
        return None
    parts = query.filter.parts if isinstance(query.filter, ast.And) else (query.filter,)
    boxes = [b for p in parts if (b := _box(p)) is not None]
    if not boxes:
        return None
    sides = list(zip(*boxes, strict=True))
    return max(sides[0]), max(sides[1]), min(sides[2]), min(sides[3])


def _box(part: ast.Predicate) -> Bbox | None:
    if isinstance(part, ast.Truth) and isinstance(part.scalar, ast.InTile):
        # a box meets the cell in which its middle lies
        return part.scalar.edges.box if part.scalar.name == "middle_in_tile" else None
    if not isinstance(part, ast.Spatial):
        return None
    literal = part.right if isinstance(part.right, ast.Shape) else part.left
    if part.op == "s_disjoint" or not isinstance(literal, ast.Shape):
        return None
    west, south, east, north = literal.shape.bounds
    return float(west), float(south), float(east), float(north)


def where(dialect: Dialect, query: Query) -> tuple[str, list[Any]]:
    """Everything but bbox, order and keyset: `` AND (…)`` for each condition on alias ``t``, and the values.

    Raises BadParameter for a property that the table does not have. The values keep what the SQL refers
    to alive, so they must live until the statement is done."""
    parts = []
    for name, value in query.equals:
        field = _named(dialect.table, name, name, value)
        column = dialect.scalar(ast.PropertyRef(field))
        parts.append(sql("({} = {})", column, dialect.value(value, field.type)))
    if query.filter is not None:
        parts.append(dialect.predicate(query.filter))
    if query.words:
        among = query.words_in
        texts = [f for f in dialect.table.fields if f.type == "string" and (among is None or f.name in among)]
        columns = [dialect.column(f) for f in texts]
        parts.append(dialect.words(query.words, columns))
    table = dialect.table
    time = table.field(table.time_field) if table.time_field is not None else None
    if query.datetime is not None and time is not None:
        # a feature without a time meets every interval (17-069r4, /req/core/fc-time-response C)
        bounds = joined("AND", dialect.during(time, query.datetime))
        parts.append(sql("({} IS NULL OR {})", dialect.raw(time), bounds))
    return "".join(f" AND {p.text}" for p in parts), [v for p in parts for v in p.values]


def order(dialect: Dialect, query: Query) -> tuple[str, list[Any]]:
    """What follows ORDER BY: the sort keys, nulls last both ways, then the feature's number."""
    parts = []
    for key in query.sort:
        field = _named(dialect.table, key.field, "sortby", key.field)
        direction = "DESC" if key.descending else "ASC"
        column = dialect.ordered(dialect.scalar(ast.PropertyRef(field)), field.type)
        parts.append(sql(f"{{}} {direction} NULLS LAST", column))
    terms = listed([*parts, sql("{} ASC", dialect.fid())])
    return terms.text, list(terms.values)


def sort_values(dialect: Dialect, query: Query) -> str:
    """The sort keys of a row, each preceded by a comma: what a cursor is made of, before the fid."""
    columns = (dialect.column(dialect.table.field(key.field) or ast.FID) for key in query.sort)
    return "".join(f", {c.text}" for c in columns)


def after(dialect: Dialect, query: Query) -> tuple[str, list[Any]]:
    """The condition that a feature follows ``query.after`` in the order, as `` AND (…)``; empty for none."""
    if query.after is None:
        return "", []
    *values, fid = query.after
    if len(values) != len(query.sort) or not isinstance(fid, int):
        raise BadParameter("after", "…", "does not belong to this order; follow the link as it is")
    condition = sql("({} > {})", dialect.fid(), dialect.value(fid, "integer"))
    for key, value in reversed(list(zip(query.sort, values, strict=True))):
        field = _named(dialect.table, key.field, "sortby", key.field)
        column = dialect.ordered(dialect.scalar(ast.PropertyRef(field)), field.type)
        if value is None:
            condition = sql("({} IS NULL AND {})", column, condition)
            continue
        bound = dialect.ordered(dialect.value(value, field.type), field.type)
        op = "<" if key.descending else ">"
        follows = sql(f"({{}} {op} {{}} OR {{}} IS NULL)", column, bound, column)
        condition = sql("({} OR ({} = {} AND {}))", follows, column, bound, condition)
    return f" AND {condition.text}", list(condition.values)


def _named(table: Any, name: str, parameter: str, value: object) -> Field:
    """A field of the table, or the feature's number. Raises BadParameter."""
    field: Field | None = table.field(name)
    if field is not None:
        return field
    if name == ast.FID.name:
        return ast.FID
    raise BadParameter(parameter, value, f"layer {table.id} has no such property")
