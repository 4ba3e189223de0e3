"""Instants and intervals: ISO 8601 text with a zone ↔ integer milliseconds."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from layers import instants
from layers.errors import BadBody, shown

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
log = logging.getLogger("twin")
#: A difference of the wall clock from what a steady one says that is no drift, and how long it must last.
LEAP_NS, BELIEVED_NS = 2_000_000_000, 600_000_000_000
#: A clock that nobody sets; on Linux one that goes on while the machine sleeps.
STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
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


class Clock:
    """The wall clock, but for its leaps: live data goes on by the time before one, until it has lasted.

    A clock that is wrong for a moment would date values hours ahead, which then hide every true one, or have
    true times refused. A leap that lasts is believed: then the time before was wrong."""

    def __init__(
        self,
        wall: Callable[[], int] = time.time_ns,
        steady: Callable[[], int] = lambda: time.clock_gettime_ns(STEADY),
    ) -> None:
        self._wall, self._steady = wall, steady
        self._lock = threading.Lock()
        self._anchor = wall() - steady()
        self._leapt: tuple[int, int] | None = None  # by how much, and when (ns)
        self._believed = False

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        wall, steady = self._wall(), self._steady()
        leap = wall - steady - self._anchor
        if abs(leap) < LEAP_NS and self._leapt is None:
            self._anchor += leap
            return wall // 1_000_000
        with self._lock:
            return self._after(wall, steady, leap)

    def _after(self, wall: int, steady: int, leap: int) -> int:
        if abs(leap) < LEAP_NS:
            log.warning("the clock is right again")
            self._leapt = None
            return wall // 1_000_000
        if self._leapt is None or abs(self._leapt[0] - leap) >= LEAP_NS:
            self._leapt = leap, steady
            minutes = BELIEVED_NS // 60_000_000_000
            message = "the clock was set by %+.0f s: live data goes on by the time before, for %d minutes"
            log.warning(message, leap / 1e9, minutes)
        elif steady - self._leapt[1] > BELIEVED_NS:
            log.warning("the clock has stayed at its new time: live data goes by it now")
            self._anchor, self._leapt, self._believed = wall - steady, None, True
            return wall // 1_000_000
        return (self._anchor + steady) // 1_000_000

    @property
    def leap(self) -> float:
        """Seconds by which the wall clock differs from the time that live data goes by."""
        leapt = self._leapt
        return leapt[0] / 1e9 if leapt else 0.0

    def believed(self) -> bool:
        """Whether a leap was believed since this was asked last."""
        value, self._believed = self._believed, False
        return value


CLOCK = Clock()


def now_ms() -> int:
    """The time that live data goes by, in milliseconds."""
    return CLOCK.now_ms()
