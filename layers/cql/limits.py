"""What a filter may cost before anything parses it, and whole numbers that the parser would round."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

MAX_BYTES = 8192
MAX_DEPTH = 32
_EXACT = 2**53

_TOKEN = re.compile(
    r"""'(?:[^']|'')*'            # a text
      | "(?:[^"]|"")*"            # a quoted name
      | (?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d{1,4})?)
      | (?P<word>\w+)
      | (?P<other>\S)""",
    re.VERBOSE,
)


def size(text: str) -> None:
    """Raises ValueError for a filter that is too long."""
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise ValueError(f"a filter has at most {MAX_BYTES} bytes")


_QUOTED = re.compile(r""""(?:[^"]|"")*"|'(?:''|\\.|[^'\\])*'""", re.DOTALL)
_PAIR = re.compile(r"\\.", re.DOTALL)


def quotes(text: str) -> str:
    """CQL2 text with each ``\\'`` within a text written ``''``: the standard has both, the parser one."""

    def written(match: re.Match[str]) -> str:
        whole = match[0]
        return whole if whole[0] == '"' else _PAIR.sub(lambda p: "''" if p[0] == "\\'" else p[0], whole)

    return _QUOTED.sub(written, text)


def nesting(text: str) -> None:
    """Raises ValueError for CQL2 text that nests deeper than MAX_DEPTH: parentheses, NOT and signs."""
    depth, run, stack = 0, 0, [0]
    previous = ""
    for match in _TOKEN.finditer(text):
        part = match[0]
        prefix = part in "+-" and not _ends_operand(previous)
        if part == "(":
            depth += run + 1
            stack.append(run + 1)
            run = 0
        elif part == ")":
            depth -= stack.pop() if len(stack) > 1 else 0
            run = 0
        elif prefix or part.upper() == "NOT":
            run += 1
        else:
            run = 0
        if depth + run > MAX_DEPTH:
            raise ValueError(f"a filter nests at most {MAX_DEPTH} levels deep")
        previous = part


def _ends_operand(token: str) -> bool:
    return bool(token) and (token[-1] in "'\")" or token[-1].isalnum() or token[-1] == "_")


def depth(value: Any, room: int = MAX_DEPTH + 1) -> None:
    """Raises ValueError for JSON that nests deeper; coordinates and arguments count like objects."""
    level = [value]
    for _ in range(room * 2):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return
    raise ValueError(f"a filter nests at most {MAX_DEPTH} levels deep")


def whole_numbers(text: str) -> Mapping[float, int]:
    """Double → the whole number of CQL2 text that is not exactly that double. Raises ValueError.

    The parser gives every number as a double; above 2^53 digits would be lost in silence. Two numbers
    that fall on one double cannot be told apart any more, and are refused."""
    found: dict[float, int] = {}
    for match in _TOKEN.finditer(text):
        token = match["number"]
        if token is None or float(token) < _EXACT or float(token) == float("inf"):
            continue
        exact = Decimal(token)
        if exact != exact.to_integral_value():
            continue
        if found.setdefault(float(token), int(exact)) != int(exact):
            raise ValueError("two numbers differ only beyond 16 digits; write the filter as cql2-json")
    return found
