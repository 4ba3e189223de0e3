"""Dates and times of ISO 8601 as text: the one home of their grammars, from strict to lenient.

- :func:`day`, :func:`instant`: what clients send in requests, filters and edits (RFC 3339);
- :func:`moment`: any form that Python reads: SensorThings, and what other programs stored;
- :func:`written`: as files write them, without a zone too.

Instants leave as ``YYYY-MM-DDThh:mm:ss.sssZ``, dates as ``YYYY-MM-DD``.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo

from layers.errors import shown
from layers.types import Interval

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_INSTANT = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)([Zz]|[+-]\d{2}:?\d{2})"
)
_LEAP = slice(17, 19)
_WRITTEN = re.compile(
    r"(\d{4})([-/])(\d{1,2})\2(\d{1,2})"
    r"(?:(?:[Tt]| +)(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)? ?([Zz]|[+-]\d{2}(?::?\d{2})?)?)?"
)


def utc(value: datetime) -> str:
    """A time as ``YYYY-MM-DDThh:mm:ss.sssZ``; one without a zone counts as UTC.

    Raises OverflowError where it lies beyond the years 1 to 9999 in UTC."""
    moment = value.astimezone(UTC) if value.tzinfo else value
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def instant(text: str) -> str:
    """An RFC 3339 date-time with zone as ``YYYY-MM-DDThh:mm:ss.sssZ``. Raises ValueError.

    A leap second is the second after it, as in POSIX time (RFC 3339, section 5.6 and appendix D)."""
    upper = text.strip().upper()
    if not _INSTANT.fullmatch(upper):
        raise ValueError(f"{shown(text)} is not a date and time with a zone (RFC 3339)")
    try:
        if upper[_LEAP] != "60":
            return utc(datetime.fromisoformat(upper))
        last = datetime.fromisoformat(f"{upper[:17]}59{upper[19:]}")
        result = utc(last + timedelta(seconds=1))
    except (ValueError, OverflowError):
        raise ValueError(f"{shown(text)} is not a date and time of the calendar") from None
    if result[8:19] != "01T00:00:00":
        raise ValueError(f"{shown(text)} is not a leap second: those end a month in UTC")
    return result


def day(text: str) -> str:
    """An RFC 3339 full-date. Raises ValueError."""
    if not _DAY.fullmatch(text.strip()):
        raise ValueError(f"{shown(text)} is not a date (YYYY-MM-DD)")
    try:
        return date.fromisoformat(text.strip()).isoformat()
    except ValueError:
        raise ValueError(f"{shown(text)} is not a date of the calendar") from None


def moment(text: str) -> datetime:
    """Any date or time of ISO 8601, with the zone that the text names. Raises ValueError."""
    return datetime.fromisoformat(text)


def is_written(text: str) -> bool:
    """Whether a text has the form of :func:`written`, of the calendar or not."""
    return _WRITTEN.fullmatch(text.strip()) is not None


def written(text: str) -> date | datetime | None:
    """A date, or a time with the zone that the text names (None without one); None for any other text.

    ``/`` for ``-`` and one-digit months, days and hours are read too (``2020/1/2 8:30``)."""
    match = _WRITTEN.fullmatch(text.strip())
    if match is None:
        return None
    year, _, month, day_, hour, minute, second, fraction, offset = match.groups()
    try:
        of_calendar = date(int(year), int(month), int(day_))
        if hour is None:
            return of_calendar
        micro = int((fraction or "0")[:6].ljust(6, "0"))
        clock = time(int(hour), int(minute), int(second or 0), micro, tzinfo=_offset(offset))
    except ValueError:
        return None
    return datetime.combine(of_calendar, clock)


def _offset(text: str | None) -> tzinfo | None:
    """``Z``, ``+08``, ``+0800``, ``+08:00``. Raises ValueError from 24 hours on."""
    if text is None or text in "Zz":
        return None if text is None else UTC
    minutes = int(text[1:3]) * 60 + int(text[3:].removeprefix(":") or 0)
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def whole_days(interval: Interval) -> list[str | None]:
    """The ends of an interval as RFC 3339 date-times (Features Part 1, clause 7.13.2, extent): a date is its
    whole day in UTC."""
    clocks = ("T00:00:00.000Z", "T23:59:59.999Z")
    return [
        f"{end}{clock}" if end is not None and len(end) == 10 else end
        for end, clock in zip(interval, clocks, strict=True)
    ]
