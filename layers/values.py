"""Property values between the outside (JSON, Arrow) and a store's columns."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

import orjson

from layers import instants
from layers.errors import shown
from layers.types import FieldType


def stored(kind: FieldType, value: Any) -> str | int | float | None:
    """A value as a column of that type keeps it; a NaN is null, an array is the canonical JSON text of a
    list. Raises ValueError saying what it is not."""
    if kind == "string":
        return _string(value)
    if kind == "integer":
        return _integer(value)
    if kind == "number":
        return _number(value)
    if kind == "boolean":
        if isinstance(value, bool) or type(value).__name__ == "bool_":
            return int(value)
        raise ValueError(f"{shown(value)} is not true or false")
    if kind == "date":
        if isinstance(value, date):
            return value.isoformat()[:10]
        return instants.day(_text(value))
    if kind == "array":
        return array(value)
    if not isinstance(value, datetime):
        return instants.instant(_text(value))
    try:
        return instants.utc(value)
    except OverflowError:
        raise ValueError(f"{value} is not a date and time of the calendar in UTC") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not text")
    return value


def _string(value: Any) -> str:
    text = _text(value)
    if "\x00" in text:
        raise ValueError("text must not contain a null character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("text must be valid Unicode") from None
    return text


def _integer(value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise ValueError(f"{shown(value)} is not a 64-bit integer")
    return value


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{shown(value)} is not a number")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{shown(value)} is too large") from None
    if math.isinf(number):
        raise ValueError("a number must be finite")
    return None if math.isnan(number) else number + 0.0  # a negative zero becomes zero, as in SQLite


def array(value: Any) -> str:
    """A list of strings, numbers, booleans and nulls (or its JSON text) as canonical JSON text.

    Whole numbers are written without a fraction, because JSON makes no difference between 1 and 1.0 and
    databases do. Raises ValueError."""
    return orjson.dumps(items(value)).decode()


def items(value: Any) -> list[str | int | float | bool | None]:
    """The members of a list of scalars, or of its JSON text, made canonical. Raises ValueError."""
    if isinstance(value, str | bytes):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise ValueError(f"{shown(value)} is not a list") from None
    if isinstance(value, str | bytes | dict) or not isinstance(value, Iterable):
        raise ValueError(f"{shown(value)} is not a list")
    return [_member(v) for v in value]


def _member(value: Any) -> str | int | float | bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _string(value)
    if not isinstance(value, int | float):
        raise ValueError(f"{shown(value)} in a list is neither text, number, true, false nor null")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number must be finite")
    if value == int(value) and -(2**63) <= value < 2**64:
        return int(value)
    return _number(value)
