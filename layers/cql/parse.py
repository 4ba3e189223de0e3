"""A filter in CQL2 text or JSON → a checked predicate (OGC 21-065r2)."""

from __future__ import annotations

import json
from typing import Any

import orjson

from layers.cql import ast, limits
from layers.cql.text import number, read
from layers.cql.typed import Walk
from layers.errors import BadParameter, shown
from layers.model import FeatureLayer
from layers.types import CRS84

LANGUAGES = ("cql2-text", "cql2-json")


def parse(text: str, lang: str, layer: FeatureLayer, crs: str = CRS84) -> ast.Predicate:
    """A filter as an expression typed against the layer.

    ``crs`` is that of the geometry literals (URI), in the axis order of its authority. Raises
    BadParameter: language, length, depth, syntax, an unknown name, operands that do not fit."""
    if lang not in LANGUAGES:
        raise BadParameter("filter-lang", lang, f"one of {', '.join(LANGUAGES)}")
    try:
        limits.size(text)
        node = _json(text) if lang == "cql2-json" else read(text)
        return Walk(layer, crs).predicate(node)
    except ValueError as error:
        raise BadParameter("filter", text, str(error)) from error


def _json(text: str) -> Any:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {shown(error.msg)} at character {error.pos}") from None
    limits.depth(value)
    # Again for its numbers: orjson rounds whole ones beyond 64 bits, to ones within at the edge.
    return json.loads(text, parse_int=_number, parse_float=_number)


def _number(digits: str) -> int | float:
    return -number(digits[1:]) if digits[0] == "-" else number(digits)
