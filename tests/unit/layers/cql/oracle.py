"""What a query means, row by row in plain Python: an independent answer to hold SQL against.

A row is a mapping: ``fid``, ``geometry`` (shapely or None), and the properties by name; a date is
``YYYY-MM-DD``, a datetime an instant in UTC, an array a list.
"""

from __future__ import annotations

import functools
import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import shapely

from layers.cql import ast
from layers.query import Query

type Row = Mapping[str, Any]

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def select(query: Query, rows: Iterable[Row]) -> list[Row]:
    """The rows that a query selects, in its order; limit, offset and cursor are not applied."""
    found = [row for row in rows if _selected(query, row)]

    def order(a: Row, b: Row) -> int:
        for key in query.sort:
            x, y = a[key.field], b[key.field]
            if x == y:
                continue
            if x is None or y is None:
                return 1 if x is None else -1
            return (1 if x > y else -1) * (-1 if key.descending else 1)
        return -1 if a["fid"] < b["fid"] else 1

    return sorted(found, key=functools.cmp_to_key(order))


def _selected(query: Query, row: Row) -> bool:
    checks = [
        query.bbox is None or _in_box(query.bbox, row["geometry"]),
        query.datetime is None or _in_time(query.datetime, row["seen"]),
        all((row["fid"] if name == "id" else row[name]) == value for name, value in query.equals),
        query.filter is None or predicate(query.filter, row) is True,
        not query.words or _worded(query.words, row),
    ]
    return all(checks)


def _in_box(bbox: tuple[float, float, float, float], shape: Any) -> bool:
    west, south, east, north = bbox
    spans = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    return shape is None or any(shape.intersects(_area(a, south, b, north)) for a, b in spans)


def _area(west: float, south: float, east: float, north: float) -> Any:
    ring = [(west, south), (east, south), (east, north), (west, north)]
    return shapely.MultiPoint(ring).convex_hull


def _in_time(interval: tuple[str | None, str | None], value: str | None) -> bool:
    start, end = interval
    return value is None or ((start is None or start <= value) and (end is None or value <= end))


def _worded(words: Sequence[str], row: Row) -> bool:
    texts = [fold(v) for k, v in row.items() if isinstance(v, str) and k not in ("built", "seen")]
    return any(fold(word) in text for word in words for text in texts)


def fold(text: str) -> str:
    """Without accents, then without case."""
    return _folded("casei", _folded("accenti", text))


def _folded(how: str, text: str) -> str:
    if how == "casei":
        return text.upper().lower()
    kept = (c for c in unicodedata.normalize("NFD", text) if not 0x300 <= ord(c) <= 0x36F)
    return unicodedata.normalize("NFC", "".join(kept))


# Three values: True, False, None


def _and(parts: Iterable[bool | None]) -> bool | None:
    found = list(parts)
    return False if False in found else None if None in found else True


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _or(parts: Iterable[bool | None]) -> bool | None:
    return _not(_and([_not(p) for p in parts]))


def predicate(node: ast.Predicate, row: Row) -> bool | None:
    """A condition for one row."""
    match node:
        case ast.Constant(value):
            return value
        case ast.Truth(value):
            found: bool | None = scalar(value, row)
            return found
        case ast.And(parts):
            return _and([predicate(p, row) for p in parts])
        case ast.Or(parts):
            return _or([predicate(p, row) for p in parts])
        case ast.Not(part):
            return _not(predicate(part, row))
        case ast.Compare(op, left, right):
            return _compared(op, left, right, row)
        case ast.Between(value, low, high):
            return _and([_compared(">=", value, low, row), _compared("<=", value, high, row)])
        case ast.In(value, items):
            return _or([_compared("=", value, item, row) for item in items])
        case ast.Like(text, pattern):
            return _like(scalar(text, row), scalar(pattern, row))
        case ast.IsNull(ast.GeometryProperty()):
            return row["geometry"] is None
        case ast.IsNull(value):
            found = scalar(value, row) if isinstance(value, ast.SCALARS) else predicate(value, row)
            return found is None
        case ast.Spatial(op, left, right):
            a, b = (
                row["geometry"] if isinstance(s, ast.GeometryProperty) else s.shape for s in (left, right)
            )
            return None if a is None or b is None else bool(getattr(a, op[2:])(b))
        case ast.Temporal(op, left, right):
            return _temporal(op, left, right, row)
        case ast.Array(op, left, right):
            return _array(op, _members(left, row), _members(right, row))


def _compared(op: str, left: ast.Scalar, right: ast.Scalar, row: Row) -> bool | None:
    a, b = scalar(left, row), scalar(right, row)
    if a is None or b is None:
        return None
    if {left.type, right.type} == {"integer", "number"}:
        a, b = float(a), float(b)
    return _COMPARE[op](a, b)


def _like(text: str | None, pattern: str | None) -> bool | None:
    if text is None or pattern is None:
        return None
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    words = {"%": ".*", "_": "."}
    expression = "".join(words.get(p) or re.escape(p[-1]) for p in parts)
    return re.fullmatch(expression, text, re.DOTALL) is not None


def scalar(node: ast.Scalar, row: Row) -> Any:
    """A value for one row; None for null."""
    match node:
        case ast.PropertyRef(field):
            return row["fid"] if field is ast.FID else row[field.name]
        case ast.Value(value, type_):
            return float(value) if type_ == "number" else value
        case ast.Folded(how, text):
            found = scalar(text, row)
            return None if found is None else _folded(how, found)
        case ast.Arith(op, left, right):
            a, b = scalar(left, row), scalar(right, row)
            return None if a is None or b is None else _arithmetic(op, float(a), float(b))
        case ast.FunctionCall(name, arguments):
            values = [scalar(a, row) for a in arguments]
            return None if None in values else _CALLS[name](values[0])


def _arithmetic(op: str, a: float, b: float) -> float | None:
    if op in "+-":
        return (a + b if op == "+" else a - b) if max(abs(a), abs(b)) <= 1e304 else None
    if op == "^":
        return _power(a, b)
    if op != "*" and b == 0:
        return None
    if a == 0 or b == 0:
        return 0.0
    reach = math.log(abs(a)) + math.log(abs(b)) * (1 if op == "*" else -1)
    if abs(reach) > 700:
        return None
    if op == "*":
        return a * b
    if op == "/":
        return a / b
    whole = float(math.trunc(a / b))
    return whole if op == "div" else a - b * whole


def _power(a: float, b: float) -> float | None:
    if a == 0:
        return {True: 0.0, False: None}[b > 0] if b else 1.0
    if abs(b) > 1e304 or (a < 0 and not b.is_integer()):
        return None
    if abs(a) != 1 and abs(b) > 700 / abs(math.log(abs(a))):
        return None
    return math.pow(a, b)


_CALLS: dict[str, Callable[[Any], Any]] = {
    "lower": str.lower,
    "upper": str.upper,
    "trim": lambda text: re.sub("^ +| +$", "", text),
    "char_length": len,
    "abs": lambda value: abs(float(value)),
    "floor": lambda value: float(math.floor(value)),
    "ceil": lambda value: float(math.ceil(value)),
    "round": lambda value: _rounded(float(value)),
    "year": lambda text: int(text[:4]),
    "month": lambda text: int(text[5:7]),
    "day": lambda text: int(text[8:10]),
    "hour": lambda text: int(text[11:13]),
    "minute": lambda text: int(text[14:16]),
    "second": lambda text: int(text[17:19]),
}


def _rounded(value: float) -> float:
    low = math.floor(abs(value))
    return math.copysign(low + (abs(value) - low >= 0.5), value)


# Time: ends as pairs (moment, or ∓∞ for an open end)

_LAST = (1, "")
_FIRST = (-1, "")


def _temporal(
    op: str, left: ast.Scalar | ast.Interval, right: ast.Scalar | ast.Interval, row: Row
) -> bool | None:
    mixed = _kind(left) != _kind(right)
    (a, b), (c, d) = _ends(left, mixed, row), _ends(right, mixed, row)

    def less(x: Any, y: Any) -> bool | None:
        return None if x is None or y is None else x < y

    def same(x: Any, y: Any) -> bool | None:
        return None if x is None or y is None else x == y

    relations: dict[str, Callable[[], bool | None]] = {
        "t_after": lambda: less(d, a),
        "t_before": lambda: less(b, c),
        "t_contains": lambda: _and([less(a, c), less(d, b)]),
        "t_disjoint": lambda: _or([less(b, c), less(d, a)]),
        "t_during": lambda: _and([less(c, a), less(b, d)]),
        "t_equals": lambda: _and([same(a, c), same(b, d)]),
        "t_finishedBy": lambda: _and([less(a, c), same(b, d)]),
        "t_finishes": lambda: _and([less(c, a), same(b, d)]),
        "t_intersects": lambda: _not(_or([less(b, c), less(d, a)])),
        "t_meets": lambda: same(b, c),
        "t_metBy": lambda: same(a, d),
        "t_overlappedBy": lambda: _and([less(c, a), less(a, d), less(d, b)]),
        "t_overlaps": lambda: _and([less(a, c), less(c, b), less(b, d)]),
        "t_startedBy": lambda: _and([same(a, c), less(d, b)]),
        "t_starts": lambda: _and([same(a, c), less(b, d)]),
    }
    return relations[op]()


def _kind(node: ast.Scalar | ast.Interval) -> str:
    if isinstance(node, ast.Interval):
        end = node.start or node.end
        assert end is not None
        return end.type
    return node.type


def _ends(node: ast.Scalar | ast.Interval, mixed: bool, row: Row) -> tuple[Any, Any]:
    pair = (node.start, node.end) if isinstance(node, ast.Interval) else (node, node)
    found: list[Any] = []
    for part, void, clock in zip(pair, (_FIRST, _LAST), ("T00:00:00.000Z", "T23:59:59.999Z"), strict=True):
        if part is None:
            found.append(void)
            continue
        value = scalar(part, row)
        late = clock if mixed and part.type == "date" else ""
        found.append(None if value is None else (0, value + late))
    return found[0], found[1]


# Sets


def _members(node: ast.Member, row: Row) -> set[str] | None:
    values = _member(node, row)
    return None if values is None else {_spelling(v) for v in values}


def _member(node: ast.Member, row: Row) -> Any:
    if isinstance(node, ast.Json):
        return json.loads(node.text)
    if isinstance(node, ast.Members):
        return [_member(part, row) for part in node.parts]
    return scalar(node, row)


def _spelling(value: Any) -> str:
    """One text for all values that are equal in JSON."""
    if isinstance(value, list):
        return f"[{','.join(map(_spelling, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(sorted(f'{json.dumps(k)}:{_spelling(v)}' for k, v in value.items()))}}}"
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value)


def _array(op: str, a: set[Any] | None, b: set[Any] | None) -> bool | None:
    if a is None or b is None:
        return None
    return {
        "a_equals": a == b,
        "a_contains": b <= a,
        "a_containedBy": a <= b,
        "a_overlaps": bool(a & b),
    }[op]
