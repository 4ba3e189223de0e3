"""Property values between the outside (JSON, Arrow) and a store's columns."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime
from typing import Any

from layers.errors import shown
from layers.model import FieldType

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_INSTANT = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)([Zz]|[+-]\d{2}:?\d{2})"
)


def instant(text: str) -> str:
    """An RFC 3339 date-time with zone as ``YYYY-MM-DDThh:mm:ss.sssZ``. Raises ValueError."""
    if not _INSTANT.fullmatch(text.strip()):
        raise ValueError(f"{shown(text)} is not a date and time with a zone (RFC 3339)")
    try:
        return _utc(datetime.fromisoformat(text.strip().upper()))
    except (ValueError, OverflowError):
        raise ValueError(f"{shown(text)} is not a date and time of the calendar") from None


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
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def stored(kind: FieldType, value: Any) -> str | int | float | None:
    """A value as a column of that type keeps it; a NaN is null. Raises ValueError saying what it is not."""
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
    if isinstance(value, datetime):
        return _utc(value)
    return instant(_text(value))


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
    return None if math.isnan(number) else number
