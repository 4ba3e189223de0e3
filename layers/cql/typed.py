"""JSON of CQL2 → typed expressions: every name, type and number of operands is checked here.

The messages of the ValueErrors are for clients.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import orjson

from layers import quadtree, values
from layers.cql import ast, geometry
from layers.cql.checks import (
    DAY_END,
    DAY_START,
    NUMERIC,
    TIMES,
    alike,
    compared,
    described,
    exactly,
    members,
    moment,
    of_type,
    operation,
    operator,
    same_type,
    shown_node,
    suggestion,
    tagged,
    time_literal,
    whole,
)
from layers.cql.functions import FUNCTIONS, TILE_FUNCTIONS
from layers.cql.limits import MAX_DEPTH
from layers.errors import shown
from layers.model import FeatureLayer
from layers.types import CRS84, Field

GEOMETRY_NAMES = ("geometry", "geom")
_COMPARISONS = frozenset(get_args(ast.Comparison.__value__))
_ARITHMETIC = frozenset(get_args(ast.Arithmetic.__value__))
_SPATIAL: Mapping[str, ast.SpatialOp] = {op: op for op in get_args(ast.SpatialOp.__value__)}
_TEMPORAL: Mapping[str, ast.TemporalOp] = {op.lower(): op for op in get_args(ast.TemporalOp.__value__)}
_ARRAY: Mapping[str, ast.ArrayOp] = {op.lower(): op for op in get_args(ast.ArrayOp.__value__)}
_CONDITIONS = frozenset({"and", "or", "not", "like", "between", "in", "isnull"})
_PREDICATES = {"and", "or", *_CONDITIONS, *_COMPARISONS, *_SPATIAL, *_TEMPORAL, *_ARRAY}
_COLLECTIONS = ("s_intersects", "s_disjoint")
#: What a function of either store takes.
_MOST_MEMBERS = 99


class Walk:
    """One filter against one layer."""

    def __init__(self, layer: FeatureLayer, crs: str = CRS84) -> None:
        self._fields = {f.name: f for f in layer.fields}
        self._crs = crs

    # Predicates

    def predicate(self, node: Any, depth: int = 0) -> ast.Predicate:
        """A condition. Raises ValueError."""
        if depth > MAX_DEPTH:
            raise ValueError(f"a filter nests at most {MAX_DEPTH} levels deep")
        if isinstance(node, bool):
            return ast.Constant(node)
        if isinstance(node, Mapping) and "op" in node:
            op, arguments = operation(node)
            if (condition := self._condition(op, arguments, depth + 1)) is not None:
                return condition
        scalar = self.scalar(node, depth)
        if scalar.type != "boolean":
            raise ValueError(f"{described(scalar)} is not a condition (true or false)")
        return ast.Truth(scalar)

    def _condition(self, op: str, arguments: list[Any], depth: int) -> ast.Predicate | None:
        if op in ("and", "or"):
            return self._joined(op, arguments, depth)
        if op == "not":
            (part,) = exactly(op, arguments, 1)
            return ast.Not(self.predicate(part, depth))
        if op in _COMPARISONS:
            left, right = (self.scalar(a, depth) for a in exactly(op, arguments, 2))
            return compared(op, left, right)
        if op in _CONDITIONS:
            return getattr(self, f"_{op}")(arguments, depth)  # type: ignore[no-any-return]
        if op in _SPATIAL:
            return self._spatial(_SPATIAL[op], arguments)
        if op in _TEMPORAL:
            times = [self._time(a, depth) for a in exactly(op, arguments, 2)]
            return ast.Temporal(_TEMPORAL[op], *times)
        if op in _ARRAY:
            sides = [self._set(a, depth) for a in exactly(op, arguments, 2)]
            return ast.Array(_ARRAY[op], *sides)
        return None

    def _joined(self, op: str, arguments: list[Any], depth: int) -> ast.Predicate:
        if len(arguments) < 2:
            raise ValueError(f"{op.upper()} joins two conditions or more")
        kind = ast.And if op == "and" else ast.Or
        parts: list[ast.Predicate] = []
        for argument in arguments:
            part = self.predicate(argument, depth)
            parts.extend(part.parts if isinstance(part, kind) else (part,))
        return kind(tuple(parts))

    def _like(self, arguments: list[Any], depth: int) -> ast.Predicate:
        text, pattern = (self.scalar(a, depth) for a in exactly("LIKE", arguments, 2))
        of_type("LIKE", text, "string")
        inner = pattern
        while isinstance(inner, ast.Folded):
            inner = inner.text
        if not isinstance(inner, ast.Value) or not isinstance(inner.value, str) or inner.type != "string":
            raise ValueError("the pattern of LIKE is a text, also within CASEI or ACCENTI")
        if (len(inner.value) - len(inner.value.rstrip("\\"))) % 2:
            raise ValueError("a pattern of LIKE does not end with the escape character \\")
        return ast.Like(text, pattern)

    def _between(self, arguments: list[Any], depth: int) -> ast.Predicate:
        value, low, high = (self.scalar(a, depth) for a in exactly("BETWEEN", arguments, 3))
        low, high = alike(value, low), alike(value, high)
        same_type("BETWEEN", value, low)
        same_type("BETWEEN", value, high)
        if value.type in ("boolean", "array"):
            raise ValueError(f"BETWEEN does not order values of type {value.type}")
        if value.type == "datetime":
            low, high = moment(low, DAY_START), moment(high, DAY_END)
        return ast.Between(value, low, high)

    def _in(self, arguments: list[Any], depth: int) -> ast.Predicate:
        first, listed = exactly("IN", arguments, 2)
        if not isinstance(listed, list) or not listed:
            raise ValueError("IN takes a list with a value or more")
        value = self.scalar(first, depth)
        items = [alike(value, self.scalar(i, depth)) for i in listed]
        for item in items:
            same_type("IN", value, item)
        if value.type == "array":
            raise ValueError(
                "IN does not compare arrays; use A_EQUALS, A_CONTAINS, A_CONTAINEDBY, A_OVERLAPS"
            )
        if any(item.type != value.type for item in items) and value.type == "datetime":
            days = tuple(compared("=", value, item) for item in items)
            return days[0] if len(days) == 1 else ast.Or(days)
        return ast.In(value, tuple(items))

    def _isnull(self, arguments: list[Any], depth: int) -> ast.Predicate:
        (node,) = exactly("IS NULL", arguments, 1)
        if self._is_geometry(node):
            return ast.IsNull(ast.GeometryProperty())
        if isinstance(node, Mapping) and "interval" in node:
            ends = self._interval(node["interval"], depth)
            parts = tuple(ast.IsNull(end) for end in (ends.start, ends.end) if end is not None)
            return parts[0] if len(parts) == 1 else ast.Or(parts)
        if isinstance(node, Mapping) and ("bbox" in node or "type" in node):
            self._geometry("IS NULL", node)
            return ast.Constant(False)
        if isinstance(node, Mapping) and "op" in node:
            op, operands = operation(node)
            if (condition := self._condition(op, operands, depth + 1)) is not None:
                return ast.IsNull(condition)
        return ast.IsNull(self.scalar(node, depth))

    def _spatial(self, op: ast.SpatialOp, arguments: list[Any]) -> ast.Predicate:
        left, right = (self._geometry(op, a) for a in exactly(op, arguments, 2))
        for side in (left, right):
            if isinstance(side, ast.Shape) and op not in _COLLECTIONS and geometry.mixed(side.shape):
                raise ValueError(
                    f"{op.upper()} has no meaning for a collection of different dimensions; "
                    "S_INTERSECTS and S_DISJOINT have"
                )
        if isinstance(left, ast.Shape) and isinstance(right, ast.Shape):
            relation = getattr(left.shape, op.removeprefix("s_"))
            return ast.Constant(bool(relation(right.shape)))
        return ast.Spatial(op, left, right)

    def _is_geometry(self, node: Any) -> bool:
        return isinstance(node, Mapping) and list(node) == ["property"] and node["property"] in GEOMETRY_NAMES

    def _geometry(self, op: str, node: Any) -> ast.Shape | ast.GeometryProperty:
        if self._is_geometry(node):
            return ast.GeometryProperty()
        if isinstance(node, Mapping) and "type" in node:  # a GeoJSON geometry may have a bbox, too
            return ast.Shape(geometry.geometry(node, self._crs))
        if isinstance(node, Mapping) and "bbox" in node:
            members(node, "bbox")
            return ast.Shape(geometry.bbox(node["bbox"], self._crs))
        raise ValueError(f"{op.upper()} takes the property geometry and a geometry, not {shown_node(node)}")

    # Arrays: members are what JSON shows of them (rule ``arrayElement`` of Annex B)

    def _set(self, node: Any, depth: int) -> ast.Member:
        if isinstance(node, list):
            return self._array([self._member(n, depth + 1) for n in node])
        scalar = self.scalar(node, depth)
        if scalar.type != "array":
            raise ValueError(f"{described(scalar)} is not an array")
        return scalar

    def _array(self, parts: list[ast.Member]) -> ast.Json | ast.Members:
        literals = [part.text for part in parts if isinstance(part, ast.Json)]
        if len(literals) == len(parts):
            return ast.Json(f"[{','.join(literals)}]")
        if len(parts) > _MOST_MEMBERS:
            raise ValueError(f"an array with more than literals has at most {_MOST_MEMBERS} members")
        return ast.Members(tuple(parts))

    def _member(self, node: Any, depth: int) -> ast.Member:
        if node is None:
            raise ValueError("an array in a filter does not hold null")
        if isinstance(node, list):
            if depth > MAX_DEPTH:
                raise ValueError(f"a filter nests at most {MAX_DEPTH} levels deep")
            return self._array([self._member(n, depth + 1) for n in node])
        if not isinstance(node, Mapping):
            return ast.Json(values.array([node])[1:-1])
        if "interval" in node:
            ends = self._time(node, depth)
            assert isinstance(ends, ast.Interval)
            return self._array([_shown(".." if e is None else e) for e in (ends.start, ends.end)])
        if "type" in node or "bbox" in node:
            shape = self._geometry("an array", node)
            assert isinstance(shape, ast.Shape)
            return ast.Json(orjson.dumps(shape.shape.__geo_interface__).decode())
        return _shown(self.scalar(node, depth))

    # Time

    def _time(self, node: Any, depth: int) -> ast.Scalar | ast.Interval:
        if isinstance(node, Mapping) and "interval" in node:
            members(node, "interval")
            return self._interval(node["interval"], depth)
        return self._instant(node, depth)

    def _instant(self, node: Any, depth: int) -> ast.Scalar:
        instant = time_literal(node) if isinstance(node, str) else self.scalar(node, depth)
        if instant.type not in TIMES:
            raise ValueError(f"{described(instant)} is neither a date nor a timestamp")
        return instant

    def _interval(self, ends: Any, depth: int) -> ast.Interval:
        if not isinstance(ends, list) or len(ends) != 2:
            raise ValueError("an interval has two ends")
        start, end = (None if e == ".." else self._instant(e, depth) for e in ends)
        if start is None and end is None:
            raise ValueError("an interval has an end that is not open (..)")
        if start is None or end is None:
            return ast.Interval(start, end)
        if start.type != end.type:
            start, end = moment(start, DAY_START), moment(end, DAY_END)
        if start.type != end.type:
            raise ValueError("both ends of an interval are dates, or both are timestamps")
        if isinstance(start, ast.Value) and isinstance(end, ast.Value) and str(start.value) > str(end.value):
            raise ValueError("an interval begins before it ends")
        return ast.Interval(start, end)

    # Scalars

    def scalar(self, node: Any, depth: int = 0) -> ast.Scalar:
        """A value. Raises ValueError."""
        if depth > MAX_DEPTH:
            raise ValueError(f"a filter nests at most {MAX_DEPTH} levels deep")
        if isinstance(node, bool):
            return ast.Value(node, "boolean")
        if isinstance(node, int | float):
            number = whole(node)
            return ast.Value(node, "number") if number is None else ast.Value(number, "integer")
        if isinstance(node, str):
            return ast.Value(str(values.stored("string", node)), "string")
        if node is None:
            raise ValueError("nothing compares with NULL; use IS NULL or IS NOT NULL")
        if isinstance(node, list):
            raise ValueError("an array is compared by A_EQUALS, A_CONTAINS, A_CONTAINEDBY or A_OVERLAPS")
        return self._object(node, depth)

    def _object(self, node: Any, depth: int) -> ast.Scalar:
        if not isinstance(node, Mapping):
            raise ValueError(f"{shown_node(node)} is not an expression of CQL2")
        if "property" in node:
            members(node, "property")
            return ast.PropertyRef(self._field(node["property"]))
        if "date" in node or "timestamp" in node:
            return tagged(node)
        if "op" in node:
            op, arguments = operation(node)
            return self._operation(op, arguments, depth + 1)
        raise ValueError(f"{shown_node(node)} stands where a value is expected")

    def _operation(self, op: str, arguments: list[Any], depth: int) -> ast.Scalar:
        if op in _ARITHMETIC:
            left, right = (self.scalar(a, depth) for a in exactly(op, arguments, 2))
            for side in (left, right):
                if side.type not in NUMERIC:
                    raise ValueError(f"{op} takes numbers; {described(side)} is none")
            return ast.Arith(op, left, right)  # type: ignore[arg-type]
        if op in ("casei", "accenti"):
            (argument,) = (self.scalar(a, depth) for a in exactly(op, arguments, 1))
            of_type(op, argument, "string")
            return ast.Folded("casei" if op == "casei" else "accenti", argument)
        return self._call(op, arguments, depth)

    def _call(self, name: str, arguments: list[Any], depth: int) -> ast.Scalar:
        function = FUNCTIONS.get(name)
        if function is None:
            if name in _PREDICATES:
                raise ValueError(f"{operator(name)} stands where a value is expected")
            near = suggestion(name, FUNCTIONS)
            raise ValueError(f"there is no function {shown(name)}; {near}allowed are {', '.join(FUNCTIONS)}")
        scalars = tuple(self.scalar(a, depth) for a in exactly(name, arguments, len(function.arguments)))
        for argument, value in zip(function.arguments, scalars, strict=True):
            if value.type not in argument.types:
                allowed = " or ".join(sorted(argument.types))
                raise ValueError(f"{name} takes {allowed}; {described(value)} is {value.type}")
        if name in TILE_FUNCTIONS:
            return ast.InTile(name, *_tile(name, scalars))
        return ast.FunctionCall(name, scalars, function.returns)

    def _field(self, name: Any) -> Field:
        field = self._fields.get(name) if isinstance(name, str) else None
        if field is not None:
            return field
        if name == ast.FID.name:
            return ast.FID
        if name in GEOMETRY_NAMES:
            raise ValueError("geometry is no value; it stands in S_INTERSECTS and the like, and IS NULL")
        names = [*self._fields, GEOMETRY_NAMES[0]]
        near = suggestion(str(name), names)
        raise ValueError(
            f"there is no property {shown_node(name)}; {near}allowed are {', '.join(names[:40])}"
        )


def _tile(name: str, scalars: tuple[ast.Scalar, ...]) -> tuple[tuple[int, int, int], quadtree.Edges]:
    """A tile and its edges. Raises ValueError."""
    if not all(isinstance(one, ast.Value) for one in scalars):
        raise ValueError(f"{name} takes a tile as three whole numbers: zoom, column, row")
    z, x, y = (int(one.value) for one in scalars if isinstance(one, ast.Value))
    return (z, x, y), quadtree.edges(z, x, y)


def _shown(member: ast.Scalar | str) -> ast.Member:
    """A text or a literal as JSON; another scalar stays."""
    if isinstance(member, str):
        return ast.Json(orjson.dumps(member).decode())
    return ast.Json(orjson.dumps(member.value).decode()) if isinstance(member, ast.Value) else member
