"""A filter in CQL2 text or JSON → a checked predicate (OGC 21-065r2)."""

from __future__ import annotations

from typing import Any

import orjson

from layers.cql import ast, limits
from layers.cql.typed import Walk
from layers.errors import BadParameter, shown
from layers.model import CRS84, Layer

LANGUAGES = ("cql2-text", "cql2-json")


def parse(text: str, lang: str, layer: Layer, crs: str = CRS84) -> ast.Predicate:
    """A filter as an expression typed against the layer.

    ``crs`` is that of the geometry literals (URI), in the axis order of its authority. Raises
    BadParameter: language, length, depth, syntax, an unknown name, operands that do not fit."""
    if lang not in LANGUAGES:
        raise BadParameter("filter-lang", lang, f"one of {', '.join(LANGUAGES)}")
    try:
        limits.size(text)
        if lang == "cql2-json":
            return Walk(layer, crs).predicate(_json(text))
        return _from_text(text, layer, crs)
    except ValueError as error:
        raise BadParameter("filter", text, str(error)) from error


def _json(text: str) -> Any:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {shown(error.msg)} at character {error.pos}") from None
    limits.depth(value)
    return value


def _from_text(text: str, layer: Layer, crs: str) -> ast.Predicate:
    limits.nesting(text)
    node, read = _escaped(text) or (_text(text), text)
    return Walk(layer, crs, limits.whole_numbers(read)).predicate(node)


def _escaped(text: str) -> tuple[Any, str] | None:
    """The expression with ``\\'`` read as a quote within a text, and the text that gave it; None where that
    is no expression: the backslash may be the last character of a text."""
    doubled = limits.quotes(text)
    if doubled == text:
        return None
    try:
        limits.nesting(doubled)
        return _text(doubled), doubled
    except ValueError:
        return None


def _text(text: str) -> Any:
    import cql2

    try:
        return cql2.parse_text(text).to_json()
    except cql2.ParseError as error:
        raise ValueError(_place(str(error))) from None
    except Exception as error:
        raise ValueError(f"cannot be read as CQL2 text: {shown(error)}") from None
    except BaseException as error:
        # The parser is native code; a panic of it derives from BaseException only.
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError("cannot be read as CQL2 text") from None


def _place(message: str) -> str:
    """Where the parser stopped: its message begins with `` --> line:column``."""
    head = message.split("\n", 1)[0].removeprefix(" --> ")
    line, _, column = head.partition(":")
    if line.isdigit() and column.isdigit():
        return f"is not CQL2 text from line {line}, character {column}"
    return "cannot be read as CQL2 text"
