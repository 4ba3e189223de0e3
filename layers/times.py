"""Times as files write them: which columns hold dates or times, and each value as a store keeps it.

Text is read as a date or a time where it is a calendar date of ISO 8601, alone or with a clock time, with or
without a zone; ``/`` for ``-`` and one-digit months, days and hours are read too (``2020/1/2 8:30``).
A time at midnight that names no zone stands for a date, if all of a column do: that is how programs write
dates that have no type for them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, tzinfo
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from layers import instants
from layers.batch import properties
from layers.errors import BadParameter, shown
from layers.kinds.base import SourceBatch, blank
from layers.model import Problem
from layers.types import FieldType

#: How some databases write that there is no date.
_NO_DATE = re.compile(r"0000[-/]00[-/]00(?:[Tt ][0:.]*[Zz]?)?")
_SHAPE = r"^\s*\d{4}[-/]\d{1,2}[-/]\d{1,2}"


def zone(name: str) -> tzinfo:
    """The time zone of that name (IANA). Raises BadParameter."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise BadParameter(
            "time_zone", name, "expected the name of a time zone such as Asia/Shanghai"
        ) from error


def utc(value: datetime, local: tzinfo) -> str | None:
    """A time as ``YYYY-MM-DDThh:mm:ss.sssZ``; one without a zone is read in ``local``, the first of the two
    where a clock was set back. None where it lies beyond the years 1 to 9999 in UTC."""
    try:
        moment = value if value.tzinfo else value.replace(tzinfo=local)
        return instants.utc(moment)
    except (OverflowError, ValueError):
        return None


@dataclass(slots=True)
class ColumnTimes:
    """What the values of one column were read as so far."""

    days: bool = False
    midnights: bool = False
    moments: bool = False
    other: bool = False
    #: The first value that is written as a date but is none of the calendar.
    unreal: str | None = None

    def add(self, texts: Iterable[str]) -> None:
        """Look at some values; blanks say nothing."""
        for text in texts:
            if blank(text) or _NO_DATE.fullmatch(text.strip()):
                continue
            instant = instants.written(text)
            if isinstance(instant, datetime):
                midnight = instant.tzinfo is None and instant.time() == time()
                self.midnights |= midnight
                self.moments |= not midnight
            elif instant is not None:
                self.days = True
            elif self.unreal is None and instants.is_written(text):
                self.unreal = text
            else:
                self.other = True

    @property
    def dated(self) -> bool:
        """Whether anything was read as a date or time."""
        return self.days or self.midnights or self.moments

    @property
    def type(self) -> FieldType:
        """What the values that can be read are together."""
        return "datetime" if self.moments else "date"

    @property
    def doubt(self) -> str | None:
        """Why a text column that is written as dates and times throughout is not taken for them."""
        if self.other or not self.dated:
            return None
        if self.unreal is not None:
            return f"{shown(self.unreal)} is not of the calendar"
        return "some values are dates, some are times" if self.days and self.moments else None


@dataclass
class Times:
    """The columns of one source that can hold dates or times, and how they are read.

    ``declared`` are columns that the file itself types as date or datetime, given as text; ``guess``: a
    text column may be of dates too, because the format has no type for them. ``wanted`` is a column that
    is to be of times, as far as it can be read."""

    declared: Mapping[str, FieldType]
    guess: bool
    zone_name: str
    wanted: str | None = None
    seen: dict[str, ColumnTimes] = field(default_factory=dict)
    #: Times that named no zone, by column.
    local: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._zone = zone(self.zone_name)

    def add(self, table: pa.Table) -> None:
        """Look at one batch."""
        for name in properties(table.column_names):
            column = table[name]
            if not _is_text(column.type):
                continue
            seen = self.seen.setdefault(name, ColumnTimes())
            sure = name in self.declared or name == self.wanted
            if (seen.other and not sure) or not (sure or self.guess):
                continue
            distinct = pc.drop_null(pc.unique(column))
            if not sure and not _alike(distinct):
                seen.other = True
                continue
            seen.add(distinct.to_pylist())

    def type(self, name: str) -> FieldType | None:
        """Date, datetime, or None for a column of neither."""
        seen = self.seen.get(name, ColumnTimes())
        if self.declared.get(name) == "date":
            return "date"
        if name in self.declared:
            return seen.type if seen.dated else "datetime"
        sure = self.guess and not seen.other and seen.doubt is None
        return seen.type if seen.dated and (sure or name == self.wanted) else None

    def column(self, name: str, type_: FieldType, batch: SourceBatch) -> list[str | None]:
        """A column of a batch as the store keeps that type; what cannot be read is null, and noted."""
        known: dict[str, tuple[str | None, bool]] = {}
        out: list[str | None] = []
        for i, text in enumerate(batch.columns[name]):
            if blank(text):
                out.append(None)
                continue
            if text not in known:
                known[text] = self._stored(text, type_)
            value, local = known[text]
            self.local[name] += local
            if value is None:
                what = "date" if type_ == "date" else "date and time"
                batch.note(i, "time.unreadable", f"{name} {shown(text)} is not a {what}; left empty")
            out.append(value)
        return out

    def _stored(self, text: str, type_: FieldType) -> tuple[str | None, bool]:
        """The value as the store keeps it, and whether the zone had to be assumed."""
        instant = instants.written(text)
        if instant is None:
            return None, False
        if type_ == "date":
            return instant.isoformat()[:10], False
        if not isinstance(instant, datetime):
            instant = datetime.combine(instant, time())
        return utc(instant, self._zone), instant.tzinfo is None

    def problems(self) -> list[Problem]:
        """What is to be said of whole columns: which zone was assumed, what was not taken for times."""
        out = []
        for name, seen in self.seen.items():
            guessed = self.guess and name not in self.declared and name != self.wanted
            if guessed and seen.doubt is not None:
                out.append(Problem("time.text", 0, f"{name} stays text: {seen.doubt}", "noted"))
            if count := self.local[name]:
                reason = f"{count} times of {name} name no zone; read as of {self.zone_name}"
                out.append(Problem("time.zone", 0, reason, "noted"))
        return out


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _alike(texts: pa.Array) -> bool:
    """Whether all values that say something begin as a date does."""
    dated = pc.match_substring_regex(texts, _SHAPE)
    return all(blank(text) for text in texts.filter(pc.invert(dated)).to_pylist())
