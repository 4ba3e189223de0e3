"""CQL2 text → CQL2 JSON (OGC 21-065r2, Annex B), in time that is linear in the text.

One expression rule serves conditions, numbers and texts alike; :mod:`layers.cql.typed` tells them apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from layers.cql.limits import MAX_DEPTH

# rule ``identifier``, and whatever else is a letter
_START = (
    r"[^\W\d]|[:_\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1ffe\u200c-\u200d"
    r"\u2070-\u218f\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff]"
)
_TOKENS = r"""\s*(?:
    (?P<text>'{text}*')
  | (?P<name>"(?:[^"]|"")*")
  | (?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
  | (?P<word>(?:{start})(?:{start}|[.0-9\u0300-\u036f\u203f-\u2040])*)
  | (?P<sign><>|<=|>=|!=|[=<>+\-*/%^(),])
)"""
_PLAIN = re.compile(_TOKENS.format(text="(?:[^']|'')", start=_START), re.VERBOSE)
#: As ``_PLAIN``, with ``\'`` for a quotation mark within a text.
_ESCAPED = re.compile(_TOKENS.format(text=r"(?:''|\\.|[^'\\])", start=_START), re.VERBOSE | re.DOTALL)
_QUOTE = re.compile(r"''|\\.", re.DOTALL)
_EXACT, _LONG = 2**53, 1e40

_COMPARISONS = {"=": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_LINE, _AREA = 1, 2
_GEOMETRIES = {
    "POINT": ("Point", 0),
    "LINESTRING": ("LineString", _LINE),
    "POLYGON": ("Polygon", _AREA),
    "MULTIPOINT": ("MultiPoint", _LINE),
    "MULTILINESTRING": ("MultiLineString", _AREA),
    "MULTIPOLYGON": ("MultiPolygon", 3),
    "GEOMETRYCOLLECTION": ("GeometryCollection", 0),
}
_ARRAYS = ("A_EQUALS", "A_CONTAINS", "A_CONTAINEDBY", "A_OVERLAPS")


class Token(NamedTuple):
    """A piece of the text; ``kind`` is empty at the end. ``word`` is a sign or a word in upper case."""

    kind: str
    value: str
    word: str
    at: int


def read(text: str) -> Any:
    """The expression as JSON. Raises ValueError saying where it stops to be one.

    A backslash before a quotation mark is its escape, unless that leaves no expression: then it was the
    last character of a text."""
    if "\\'" in text:
        try:
            return _TextParser(text, _ESCAPED).whole()
        except ValueError:
            pass
    return _TextParser(text, _PLAIN).whole()


class _TextParser:
    """Recursive descent with one token of foresight; what nests counts against MAX_DEPTH."""

    def __init__(self, text: str, pattern: re.Pattern[str]) -> None:
        self._text = text
        self._escapes = pattern is _ESCAPED
        self._tokens = list(self._split(pattern))
        self._closing = _pairs(self._tokens)
        self._place = 0
        self._depth = 0

    def _split(self, pattern: re.Pattern[str]) -> Iterator[Token]:
        at, end = 0, len(self._text)
        while (match := pattern.match(self._text, at)) is not None:
            kind = str(match.lastgroup)
            value = match[kind]
            yield Token(kind, value, value.upper() if kind in ("word", "sign") else "", match.start(kind))
            at = match.end()
        at = end - len(self._text[at:].lstrip())
        yield Token("" if at == end else "unknown", "", "", at)

    # Tokens

    @property
    def _next(self) -> Token:
        return self._tokens[self._place]

    def _take(self) -> Token:
        token = self._next
        self._place += bool(token.kind)
        return token

    def _has(self, *words: str) -> bool:
        return self._next.word in words

    def _skip(self, word: str) -> bool:
        if self._next.word != word:
            return False
        self._place += 1
        return True

    def _expect(self, word: str) -> None:
        if not self._skip(word):
            raise self._stop()

    def _stop(self) -> ValueError:
        before = self._text[: self._next.at]
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        return ValueError(f"is not CQL2 text from line {line}, character {column}")

    def _nested[T](self, read_: Callable[[], T]) -> T:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ValueError(f"a filter nests at most {MAX_DEPTH} levels deep")
        node = read_()
        self._depth -= 1
        return node

    # Conditions

    def whole(self) -> Any:
        node = self._either()
        if self._next.kind:
            raise self._stop()
        return node

    def _either(self) -> Any:
        return self._joined("OR", self._both)

    def _both(self) -> Any:
        return self._joined("AND", self._maybe_not)

    def _joined(self, word: str, part: Callable[[], Any]) -> Any:
        parts = [part()]
        while self._skip(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else {"op": word.lower(), "args": parts}

    def _maybe_not(self) -> Any:
        if self._skip("NOT"):
            return {"op": "not", "args": [self._nested(self._maybe_not)]}
        return self._predicate()

    def _predicate(self) -> Any:
        left = self._sum()
        if self._next.word in _COMPARISONS:
            op = _COMPARISONS[self._take().word]
            return {"op": op, "args": [left, self._sum()]}
        if self._skip("IS"):
            negated = self._skip("NOT")
            self._expect("NULL")
            node = {"op": "isNull", "args": [left]}
        else:
            negated = self._skip("NOT")
            if self._skip("LIKE"):
                node = {"op": "like", "args": [left, self._sum()]}
            elif self._skip("BETWEEN"):
                low = self._sum()
                self._expect("AND")
                node = {"op": "between", "args": [left, low, self._sum()]}
            elif self._skip("IN"):
                node = {"op": "in", "args": [left, self._nested(self._members)]}
            elif negated:
                raise self._stop()
            else:
                return left
        return {"op": "not", "args": [node]} if negated else node

    # Arithmetic

    def _sum(self) -> Any:
        return self._chain(self._product, "+", "-")

    def _product(self) -> Any:
        return self._chain(self._power, "*", "/", "%", "DIV")

    def _power(self) -> Any:
        return self._chain(self._signed, "^")

    def _chain(self, part: Callable[[], Any], *signs: str) -> Any:
        node = part()
        while self._has(*signs):
            op = self._take().word.lower()
            node = {"op": op, "args": [node, part()]}
        return node

    def _signed(self) -> Any:
        if self._has("+"):
            return self._number()
        if not self._skip("-"):
            return self._operand()
        if self._next.kind == "number":
            return -number(self._take().value)
        return {"op": "*", "args": [-1, self._nested(self._signed)]}

    def _number(self) -> int | float:
        negative = self._skip("-")
        if not negative:
            self._skip("+")
        if self._next.kind != "number":
            raise self._stop()
        value = number(self._take().value)
        return -value if negative else value

    # Operands

    def _operand(self) -> Any:
        token = self._next
        if token.kind == "number":
            return self._number()
        if token.kind == "text":
            return self._string()
        if token.kind == "name":
            return {"property": self._take().value[1:-1].replace('""', '"')}
        if token.word == "(":
            return self._nested(self._group)
        if token.kind != "word":
            raise self._stop()
        self._place += 1
        if token.word.removesuffix("Z") in _GEOMETRIES and self._has("(", "Z", "EMPTY"):
            return self._geometry(token)
        if self._has("("):
            return self._nested(lambda: self._call(token))
        if token.word in ("TRUE", "FALSE"):
            return token.word == "TRUE"
        return None if token.word == "NULL" else {"property": token.value}

    def _string(self) -> str:
        inner = self._take().value[1:-1]
        if not self._escapes:
            return inner.replace("''", "'")
        return _QUOTE.sub(lambda pair: "'" if pair[0] in ("''", "\\'") else pair[0], inner)

    def _group(self) -> Any:
        """What stands in parentheses: with a comma, or nothing in them, an array."""
        if self._tokens[self._place + 1].word == ")":
            self._place += 2
            return []
        nodes = self._members()
        return nodes[0] if len(nodes) == 1 else nodes

    def _members(self, part: Callable[[], Any] | None = None) -> list[Any]:
        part = part or self._either
        self._expect("(")
        nodes = [part()]
        while self._skip(","):
            nodes.append(part())
        self._expect(")")
        return nodes

    def _call(self, token: Token) -> Any:
        if token.word == "BBOX":
            return {"bbox": self._members(self._number)}
        if self._tokens[self._place + 1].word == ")":
            self._place += 2
            arguments = []
        else:
            arguments = self._members(self._array if token.word in _ARRAYS else None)
        if token.word in ("DATE", "TIMESTAMP") and len(arguments) == 1:
            return {token.word.lower(): arguments[0]}
        if token.word == "INTERVAL":
            return {"interval": arguments}
        return {"op": token.value, "args": arguments}

    def _array(self) -> Any:
        """An operand of an array function, or a member of an array: parentheses are an array, with one
        member, too, unless they begin an expression."""
        end = self._closing.get(self._place)
        if end is None or self._tokens[end + 1].word not in (",", ")"):
            return self._either()
        if end == self._place + 1:
            self._place += 2
            return []
        return self._nested(lambda: self._members(self._array))

    # Geometries

    def _geometry(self, token: Token) -> Any:
        kind, level = _GEOMETRIES[token.word.removesuffix("Z")]
        if token.word in _GEOMETRIES:
            self._skip("Z")
        if self._has("EMPTY"):
            raise ValueError("a geometry of a filter is not empty")
        if kind == "GeometryCollection":
            return {"type": kind, "geometries": self._nested(lambda: self._members(self._part))}
        if kind == "Point":
            self._expect("(")
            coordinates: Any = self._position()
            self._expect(")")
        elif kind == "MultiPoint":
            coordinates = self._members(self._spot)
        else:
            coordinates = self._coordinates(level)
        return {"type": kind, "coordinates": coordinates}

    def _part(self) -> Any:
        if self._next.word.removesuffix("Z") not in _GEOMETRIES:
            raise self._stop()
        return self._geometry(self._take())

    def _coordinates(self, level: int) -> list[Any]:
        return self._members(self._position if level == _LINE else lambda: self._coordinates(level - 1))

    def _spot(self) -> list[int | float]:
        """A point of MULTIPOINT, in parentheses of its own or, as many write it, without."""
        if not self._skip("("):
            return self._position()
        position = self._position()
        self._expect(")")
        return position

    def _position(self) -> list[int | float]:
        position = [self._number(), self._number()]
        if not self._has(",", ")"):
            position.append(self._number())
        return position


def _pairs(tokens: list[Token]) -> dict[int, int]:
    """Where the parentheses that open at a token close."""
    pairs, opened = {}, []
    for place, token in enumerate(tokens):
        if token.word == "(":
            opened.append(place)
        elif token.word == ")" and opened:
            pairs[opened.pop()] = place
    return pairs


def number(digits: str) -> int | float:
    """A number without sign: an int where it is whole, with every digit of it up to 1e40."""
    value = float(digits)
    if _EXACT <= value < _LONG and (exact := Decimal(digits)) == exact.to_integral_value():
        return int(exact)
    return int(value) if value < _EXACT and value.is_integer() else value
