"""What :mod:`layers.cql.typed` asks of operations and operands; the messages are for clients."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from layers import instants
from layers.cql import ast
from layers.cql.functions import FUNCTIONS
from layers.errors import shown
from layers.types import FieldType

NUMERIC = ("integer", "number")
TIMES = ("date", "datetime")
DAY_START, DAY_END = "T00:00:00.000Z", "T23:59:59.999Z"
_FLIPPED: Mapping[str, ast.Comparison] = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def operation(node: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """The operator in lower case, and its operands. Raises ValueError."""
    members(node, "op", "args")
    op, arguments = node["op"], node.get("args", [])
    if not isinstance(op, str) or not isinstance(arguments, list):
        raise ValueError("an operation has op, a text, and args, a list")
    return op.lower(), arguments


def members(node: Mapping[str, Any], *allowed: str) -> None:
    """Raises ValueError for a member of an object that is not one of these."""
    for name in node:
        if name not in allowed:
            raise ValueError(f"{shown_node(name)} does not belong beside {allowed[0]}")


def exactly(op: str, arguments: Sequence[Any], count: int) -> Sequence[Any]:
    """The operands. Raises ValueError for another number of them."""
    if len(arguments) != count:
        many = "operand" if count == 1 else "operands"
        raise ValueError(f"{operator(op)} takes {count} {many}, not {len(arguments)}")
    return arguments


def operator(op: str) -> str:
    """An operator in a message."""
    return op if op in FUNCTIONS else op.upper()


def tagged(node: Mapping[str, Any]) -> ast.Value:
    """A date or timestamp literal. Raises ValueError."""
    name = "date" if "date" in node else "timestamp"
    members(node, name)
    text = node[name]
    if not isinstance(text, str):
        raise ValueError(f"{name.upper()} takes a text")
    return ast.Value(instants.day(text), "date") if name == "date" else _timestamp(text)


def _timestamp(text: str) -> ast.Value:
    return ast.Value(instants.instant(text), "datetime")


def time_literal(text: str) -> ast.Value:
    """A text as a date (10 characters), else as a timestamp. Raises ValueError."""
    return ast.Value(instants.day(text), "date") if len(text) == 10 else _timestamp(text)


def whole(number: int | float) -> int | float | None:
    """The number as an integer, beyond 64 bits as a float beyond them; None where it has a fraction.

    Raises ValueError for one that is not finite."""
    if not math.isfinite(number):
        raise ValueError("a number must be finite")
    exact = int(number)
    if exact != number:
        return None
    if -(2**63) <= exact < 2**63:
        return exact
    rounded = float(exact)
    return rounded if rounded != -(2.0**63) else math.nextafter(rounded, -math.inf)


def alike(value: ast.Scalar, other: ast.Scalar) -> ast.Scalar:
    """A text beside a date or timestamp, as such."""
    if value.type not in TIMES or not isinstance(other, ast.Value) or other.type != "string":
        return other
    literal = time_literal(str(other.value))
    if value.type == "date" and literal.type != "date":
        raise ValueError(f"{shown(other.value)} is not a date (YYYY-MM-DD), as {described(value)} is")
    return literal


def moment(node: ast.Scalar, clock: str) -> ast.Scalar:
    """A date literal among timestamps as the beginning or the end of its day."""
    if isinstance(node, ast.Value) and node.type == "date":
        return ast.Value(f"{node.value}{clock}", "datetime")
    return node


def compared(op: str, left: ast.Scalar, right: ast.Scalar) -> ast.Predicate:
    """A comparison of two scalars; a date beside a timestamp is its whole day. Raises ValueError."""
    left, right = alike(right, left), alike(left, right)
    same_type(op, left, right)
    if left.type == "array":
        raise ValueError(f"{op} does not compare arrays; use A_EQUALS, A_CONTAINS, A_CONTAINEDBY, A_OVERLAPS")
    if left.type == right.type or left.type in NUMERIC:
        return ast.Compare(op, left, right)  # type: ignore[arg-type]
    if left.type == "date":  # and the other is a timestamp
        left, right, op = right, left, _FLIPPED.get(op, op)
    start, end = moment(right, DAY_START), moment(right, DAY_END)
    if op in ("=", "<>"):
        day = ast.Between(left, start, end)
        return day if op == "=" else ast.Not(day)
    return ast.Compare(op, left, start if op in ("<", ">=") else end)  # type: ignore[arg-type]


def same_type(op: str, left: ast.Scalar, right: ast.Scalar) -> None:
    """Raises ValueError unless both are of one type; a date literal beside a timestamp is its whole day."""
    if left.type == right.type or (left.type in NUMERIC and right.type in NUMERIC):
        return
    for one, other in ((left, right), (right, left)):
        if one.type == "datetime" and isinstance(other, ast.Value) and other.type == "date":
            return
    raise ValueError(
        f"{operator(op)} compares values of one type; {described(left)} is {left.type}, "
        f"{described(right)} is {right.type}"
    )


def of_type(op: str, value: ast.Scalar, kind: FieldType) -> None:
    """Raises ValueError unless a scalar is of that type."""
    if value.type != kind:
        raise ValueError(f"{operator(op)} takes a {kind}; {described(value)} is {value.type}")


def suggestion(name: str, names: Sequence[str] | Mapping[str, Any]) -> str:
    """Names like a wrong one, as a question, or an empty text."""
    folded = {n.casefold(): n for n in names}
    close = difflib.get_close_matches(name[:100].casefold(), list(folded), 2, 0.7)
    return f"did you mean {' or '.join(folded[c] for c in close)}? " if close else ""


def described(node: ast.Scalar) -> str:
    """A scalar in a message."""
    if isinstance(node, ast.PropertyRef):
        return node.field.name
    if isinstance(node, ast.Value):
        return repr(shown(node.value)) if isinstance(node.value, str) else str(node.value).lower()
    return node.name if isinstance(node, ast.FunctionCall | ast.InTile) else "the result of an operation"


def shown_node(node: Any) -> str:
    """A piece of JSON in a message."""
    if isinstance(node, str):
        return shown(node)
    return "an object" if isinstance(node, Mapping) else "a list" if isinstance(node, list) else shown(node)
