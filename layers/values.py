"""Property values between the outside (JSON, Arrow) and a store's columns."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson

from layers.errors import shown
from layers.types import FieldType

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_INSTANT = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)([Zz]|[+-]\d{2}:?\d{2})"
)
_LEAP = slice(17, 19)


def instant(text: str) -> str:
    """An RFC 3339 date-time with zone as ``YYYY-MM-DDThh:mm:ss.sssZ``. Raises ValueError.

    A leap second is the second after it, as in POSIX time (RFC 3339, section 5.6 and appendix D)."""
    given = text.strip().upper()
    if not _INSTANT.fullmatch(given):
        raise ValueError(f"{shown(text)} is not a date and time with a zone (RFC 3339)")
    try:
        if given[_LEAP] != "60":
            return _utc(datetime.fromisoformat(given))
        last = datetime.fromisoformat(f"{given[:17]}59{given[19:]}")
        found = _utc(last + timedelta(seconds=1))
    except (ValueError, OverflowError):
        raise ValueError(f"{shown(text)} is not a date and time of the calendar") from None
    if found[8:19] != "01T00:00:00":
        raise ValueError(f"{shown(text)} is not a leap second: those end a month in UTC")
    return found


def day(text: str) -> str:
    """An RFC 3339 full-date. Raises ValueError."""
    if not _DAY.fullmatch(text.strip()):
        raise ValueError(f"{shown(text)} is not a date (YYYY-MM-DD)")
    try:
        return date.fromisoformat(text.strip()).isoformat()
    except ValueError:
        raise ValueError(f"{shown(text)} is not a date of the calendar") from None


def _utc(value: datetime) -> str:
    moment = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


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
        return day(_text(value))
    if kind == "array":
        return array(value)
    if not isinstance(value, datetime):
        return instant(_text(value))
    try:
        return _utc(value)
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
