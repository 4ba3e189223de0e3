"""The SQL functions that a filter calls in SQLite: texts, arithmetic, sets, relations of geometries.

Each gives null for null, and for a value of another type than the column's, which another program may
have stored. None raises: SQLite would turn that into an error without a reason. Texts come as bytes and
are decoded here, with replacements.
"""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson

from layers.cql import fold
from layers.store.geopackage import relations

_LARGEST = 1e304  # see layers.cql.functions
_MOST_LOG = 700.0


def register(con: sqlite3.Connection) -> None:
    """Give a connection every function."""
    for name, count, function in (*_TEXTS, *_NUMBERS, *_SETS, *relations.FUNCTIONS):
        con.create_function(f"twin_{name}", count, function, deterministic=True)


# Texts


def _text(value: Any) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else None


def _on_text(function: Callable[[str], Any]) -> Callable[[Any], Any]:
    def of(value: Any) -> Any:
        text = _text(value)
        return None if text is None else function(text)

    return of


def _like(value: Any, pattern: Any) -> int | None:
    text, runs = _text(value), _text(pattern)
    return None if text is None or runs is None else int(_matches(text, *_pattern(runs)))


type _Part = str | re.Pattern[str]


@lru_cache(maxsize=256)
def _pattern(pattern: str) -> tuple[list[tuple[_Part, int]], bool]:
    """The runs between ``%`` with their lengths, and whether there is any ``%``.

    A run has a fixed length, so that no pattern makes a search try again and again."""
    parts: list[list[str]] = [[]]  # each a list of: an escaped character, or ``_``
    for sign in re.findall(r"\\.|.", pattern, re.DOTALL):
        if sign == "%":
            parts.append([])
        else:
            parts[-1].append("" if sign == "_" else sign[-1])
    runs: list[tuple[_Part, int]] = []
    for part in parts:
        if "" in part:
            expression = "".join(re.escape(c) if c else "." for c in part)
            runs.append((re.compile(expression, re.DOTALL), len(part)))
        else:
            runs.append(("".join(part), len(part)))
    return runs, len(parts) > 1


def _at(run: _Part, text: str, start: int) -> bool:
    return text.startswith(run, start) if isinstance(run, str) else run.match(text, start) is not None


def _find(run: _Part, text: str, start: int, end: int) -> int:
    if isinstance(run, str):
        return text.find(run, start, end)
    match = run.search(text, start, end)
    return -1 if match is None else match.start()


def _matches(text: str, runs: list[tuple[_Part, int]], any_: bool) -> bool:
    first, size = runs[0]
    if not any_:
        return len(text) == size and _at(first, text, 0)
    last, tail = runs[-1]
    start, end = size, len(text) - tail
    if start > end or not _at(first, text, 0) or not _at(last, text, end):
        return False
    for run, length in runs[1:-1]:
        at = _find(run, text, start, end)
        if at < 0:
            return False
        start = at + length
    return True


@lru_cache(maxsize=64)
def _terms(text: str) -> list[str]:
    terms: list[str] = orjson.loads(text)
    return terms


def _words(terms: str, *values: Any) -> int:
    text = fold.both("\x01".join(t for v in values if (t := _text(v)) is not None))
    return int(any(term in text for term in _terms(terms)))


def _part(start: int, end: int) -> Callable[[Any], int | None]:
    def part(value: Any) -> int | None:
        digits = value[start:end] if isinstance(value, bytes) else b""
        return int(digits) if len(digits) == end - start and digits.isdigit() else None

    return part


_TEXTS: tuple[tuple[str, int, Callable[..., Any]], ...] = (
    ("casei", 1, _on_text(fold.casei)),
    ("accenti", 1, _on_text(fold.accenti)),
    ("lower", 1, _on_text(str.lower)),
    ("upper", 1, _on_text(str.upper)),
    ("trim", 1, _on_text(lambda text: text.strip(" "))),
    ("char_length", 1, _on_text(len)),
    ("like", 2, _like),
    ("words", -1, _words),
    ("year", 1, _part(0, 4)),
    ("month", 1, _part(5, 7)),
    ("day", 1, _part(8, 10)),
    ("hour", 1, _part(11, 13)),
    ("minute", 1, _part(14, 16)),
    ("second", 1, _part(17, 19)),
)

# Numbers: doubles; null where PostgreSQL would end the statement with an error


def _pair(function: Callable[[float, float], float | None]) -> Callable[[Any, Any], float | None]:
    def of(left: Any, right: Any) -> float | None:
        if not isinstance(left, float | int) or not isinstance(right, float | int):
            return None
        return function(float(left), float(right))

    return of


def _bounded(function: Callable[[float, float], float]) -> Callable[[float, float], float | None]:
    def of(a: float, b: float) -> float | None:
        return function(a, b) if abs(a) <= _LARGEST and abs(b) <= _LARGEST else None

    return of


def _times(a: float, b: float) -> float | None:
    if a == 0 or b == 0:
        return 0.0
    return a * b if abs(math.log(abs(a)) + math.log(abs(b))) <= _MOST_LOG else None


def _over(a: float, b: float) -> float | None:
    if b == 0:
        return None
    if a == 0:
        return 0.0
    return a / b if abs(math.log(abs(a)) - math.log(abs(b))) <= _MOST_LOG else None


def _div(a: float, b: float) -> float | None:
    quotient = _over(a, b)
    return None if quotient is None else float(_truncated(quotient))


def _mod(a: float, b: float) -> float | None:
    quotient = _div(a, b)
    return None if quotient is None else a - b * quotient


def _truncated(value: float) -> float:
    return math.copysign(math.floor(abs(value)), value)


def _power(a: float, b: float) -> float | None:
    if a == 0:
        return None if b < 0 else 1.0 if b == 0 else 0.0
    if abs(b) > _LARGEST or (a < 0 and b != math.floor(b)):
        return None
    log = math.log(abs(a))
    if log != 0 and abs(b) > _MOST_LOG / abs(log):
        return None
    return float(a**b)


def _on_number(function: Callable[[float], float]) -> Callable[[Any], float | None]:
    return lambda value: function(float(value)) if isinstance(value, float | int) else None


def _whole(function: Callable[[float], float]) -> Callable[[float], float]:
    return lambda value: function(value) if abs(value) < 2**53 else value


def _round(value: float) -> float:
    whole = _truncated(value)
    return whole + math.copysign(1.0, value) if abs(value - whole) >= 0.5 else whole


_NUMBERS: tuple[tuple[str, int, Callable[..., Any]], ...] = (
    ("plus", 2, _pair(_bounded(lambda a, b: a + b))),
    ("minus", 2, _pair(_bounded(lambda a, b: a - b))),
    ("times", 2, _pair(_times)),
    ("over", 2, _pair(_over)),
    ("div", 2, _pair(_div)),
    ("mod", 2, _pair(_mod)),
    ("power", 2, _pair(_power)),
    ("abs", 1, _on_number(abs)),
    ("floor", 1, _on_number(_whole(lambda value: float(math.floor(value))))),
    ("ceil", 1, _on_number(_whole(lambda value: float(math.ceil(value))))),
    ("round", 1, _on_number(_whole(_round))),
)

# Sets


@lru_cache(maxsize=64)
def _set(text: bytes) -> frozenset[Any] | None:
    """The members of a JSON array, which are equal as JSON values are."""
    members = _json(text)
    try:
        return frozenset(map(_key, members)) if isinstance(members, list) else None
    except RecursionError:
        return None


def _json(text: Any) -> Any:
    try:
        return orjson.loads(text) if isinstance(text, bytes) else None
    except orjson.JSONDecodeError:
        return None


def _key(value: Any) -> Any:
    """What equal values have in common: 1 and 1.0 are one, true and 1 two, members of an object unordered."""
    if isinstance(value, list):
        return list, tuple(map(_key, value))
    if isinstance(value, dict):
        return dict, frozenset((name, _key(member)) for name, member in value.items())
    return isinstance(value, bool), value


def _members(types: str, *values: Any) -> str | None:
    """A JSON array of values of these types."""
    members = [_member(kind, value) for kind, value in zip(types.split(","), values, strict=True)]
    try:
        return orjson.dumps(members).decode()
    except orjson.JSONEncodeError:  # a list of another program, nested beyond what can be written
        return None


def _member(kind: str, value: Any) -> Any:
    if kind in ("string", "date", "datetime"):
        return _text(value)
    if kind == "array":
        return _json(value)
    if not isinstance(value, int | float):
        return None
    return bool(value) if kind == "boolean" else value


def _related(
    relation: Callable[[frozenset[Any], frozenset[Any]], bool],
) -> Callable[[Any, Any], int | None]:
    def of(left: Any, right: Any) -> int | None:
        if not isinstance(left, bytes) or not isinstance(right, bytes):
            return None
        a, b = _set(left), _set(right)
        return None if a is None or b is None else int(relation(a, b))

    return of


_SETS: tuple[tuple[str, int, Callable[..., Any]], ...] = (
    ("members", -1, _members),
    ("a_equals", 2, _related(lambda a, b: a == b)),
    ("a_contains", 2, _related(lambda a, b: a >= b)),
    ("a_containedBy", 2, _related(lambda a, b: a <= b)),
    ("a_overlaps", 2, _related(lambda a, b: not a.isdisjoint(b))),
)
