"""Limits of time: in working hours and days of a calendar with 调休, or around the clock.

Of two readings of a working day the one that is taken is that of eight working hours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum

#: When work is done on a working day.
PERIODS = ((time(8), time(12)), (time(14), time(18)))
#: The year that the calendar states, and where its days are from.
YEAR, SOURCE = 2026, "国务院办公厅关于2026年部分节假日安排的通知(2025年11月4日)"
#: Holidays (first and last day), and the days at weekends that are worked instead.
HOLIDAYS = {
    "元旦": (date(2026, 1, 1), date(2026, 1, 3)),
    "春节": (date(2026, 2, 15), date(2026, 2, 23)),
    "清明节": (date(2026, 4, 4), date(2026, 4, 6)),
    "劳动节": (date(2026, 5, 1), date(2026, 5, 5)),
    "端午节": (date(2026, 6, 19), date(2026, 6, 21)),
    "中秋节": (date(2026, 9, 25), date(2026, 9, 27)),
    "国庆节": (date(2026, 10, 1), date(2026, 10, 7)),
}
WORKED = {
    date(2026, 1, 4): "元旦",
    date(2026, 2, 14): "春节",
    date(2026, 2, 28): "春节",
    date(2026, 5, 9): "劳动节",
    date(2026, 9, 20): "国庆节",
    date(2026, 10, 10): "国庆节",
}
_DAY = timedelta(days=1)
_OFF = {first + n * _DAY for first, last in HOLIDAYS.values() for n in range((last - first).days + 1)}


class Clock(StrEnum):
    """What a limit is counted in, as tables call it."""

    URGENT_HOUR = "紧急工作时"
    URGENT_DAY = "紧急工作日"
    WORK_HOUR = "工作时"
    WORK_DAY = "工作日"


@dataclass(frozen=True, slots=True)
class Limit:
    """So many of a clock."""

    value: int
    clock: Clock

    @property
    def minutes(self) -> int:
        """Minutes of its clock."""
        each = {Clock.URGENT_HOUR: 60, Clock.URGENT_DAY: 1_440, Clock.WORK_HOUR: 60, Clock.WORK_DAY: 480}
        return self.value * each[self.clock]

    @property
    def urgent(self) -> bool:
        """Whether it runs at night and on holidays."""
        return self.clock in (Clock.URGENT_HOUR, Clock.URGENT_DAY)


def limit(text: str) -> Limit:
    """A limit as a table has it. Raises ValueError."""
    found = re.fullmatch(r"(\d+)(紧急工作时|紧急工作日|工作时|工作日)", text)
    if found is None:
        raise ValueError(f"no limit: {text}")
    return Limit(int(found[1]), Clock(found[2]))


def works(day: date) -> bool:
    """Whether a day is a working day."""
    return day in WORKED or (day.weekday() < 5 and day not in _OFF)


def days() -> Iterator[tuple[date, str, str]]:
    """The days of the year that are not what their weekday says: day, ``holiday`` or ``work``, name."""
    for name, (first, last) in HOLIDAYS.items():
        for n in range((last - first).days + 1):
            yield first + n * _DAY, "holiday", name
    for day, name in WORKED.items():
        yield day, "work", f"{name}调休"


def after(start: datetime, of: Limit, share: float = 1.0) -> datetime:
    """When a share of a limit is used up, whole seconds."""
    return walked(start, timedelta(seconds=round(of.minutes * 60 * share)), of.urgent)


def walked(start: datetime, left: timedelta, urgent: bool) -> datetime:
    """When so much time has gone by, working time where it is not urgent."""
    if urgent:
        return start + left
    day = start.date()
    while True:
        for begin, end in PERIODS if works(day) else ():
            at = max(start, datetime.combine(day, begin))
            room = datetime.combine(day, end) - at
            if room >= left:
                return at + left
            if room > timedelta():
                left -= room
        day += _DAY
