"""Instants and intervals: ISO 8601 text with a zone ↔ integer milliseconds."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from layers import instants
from layers.errors import BadBody, shown

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
EARLIEST = -2_208_988_800_000  # 1900-01-01
LATEST = 7_258_118_400_000  # 2200-01-01


def iso(ms: int) -> str:
    """``2026-11-22T12:00:00Z``, with milliseconds where there are any."""
    moment = _EPOCH + ms * _MS
    spec = "milliseconds" if ms % 1000 else "seconds"
    return moment.replace(tzinfo=None).isoformat(timespec=spec) + "Z"


def interval(start: int, end: int | None) -> str:
    """An instant, or ``start/end``."""
    return iso(start) if end is None else f"{iso(start)}/{iso(end)}"


def parse(text: object, name: str) -> int:
    """An instant in ms. Raises BadBody naming the member: not a time, without zone, out of range."""
    if not isinstance(text, str):
        raise BadBody(f"{name}: an ISO 8601 time with a zone, as 2026-11-22T12:00:00Z")
    try:
        moment = instants.moment(text)
    except ValueError as error:
        raise BadBody(f"{name}={shown(text)}: not an ISO 8601 time") from error
    if moment.tzinfo is None:
        raise BadBody(f"{name}={shown(text)}: the time has no zone; write Z or an offset as +08:00")
    ms = (moment - _EPOCH) // _MS
    if not EARLIEST <= ms < LATEST:
        raise BadBody(f"{name}={shown(text)}: outside the years 1900 to 2199")
    return ms


def parse_interval(text: object, name: str) -> tuple[int, int | None]:
    """An instant or an interval ``start/end``. Raises BadBody."""
    if isinstance(text, str) and "/" in text:
        first, _, second = text.partition("/")
        start, end = parse(first, name), parse(second, name)
        if end < start:
            raise BadBody(f"{name}={shown(text)}: the interval ends before it begins")
        return start, end
    return parse(text, name), None


def now_ms() -> int:
    """The wall clock in milliseconds."""
    return time.time_ns() // 1_000_000
