"""Texts as dates and times: read exactly, never guessed, never a crash."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from layers import instants
from layers.errors import BadParameter
from layers.instants import written
from layers.times import ColumnTimes, utc, zone

SHANGHAI = zone("Asia/Shanghai")
OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda m: timezone(timedelta(minutes=m)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-01-02", date(2020, 1, 2)),
        (" 2020-01-02 ", date(2020, 1, 2)),
        ("2020/1/2", date(2020, 1, 2)),
        ("1899-12-30", date(1899, 12, 30)),
        ("2020-01-02T03:04:05", datetime(2020, 1, 2, 3, 4, 5)),
        ("2020-01-02 03:04", datetime(2020, 1, 2, 3, 4)),
        ("2020/1/2 8:30", datetime(2020, 1, 2, 8, 30)),
        ("2020-01-02T03:04:05.123456789Z", datetime(2020, 1, 2, 3, 4, 5, 123456, UTC)),
        ("2020-01-02t03:04:05,5z", datetime(2020, 1, 2, 3, 4, 5, 500_000, UTC)),
        ("2020-01-02 03:04:05 +0800", datetime(2020, 1, 2, 3, 4, 5, 0, timezone(timedelta(hours=8)))),
        ("2020-01-02T03:04:05-03", datetime(2020, 1, 2, 3, 4, 5, 0, timezone(-timedelta(hours=3)))),
    ],
)
def test_what_is_written(text: str, expected: date) -> None:
    found = written(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "1967",
            "2020-01",
            "20200102",
            "2020-01/02",
            "02.01.2020",
            "1/2/2020",
            "2020-13-01",
            "2020-02-30",
        ),
        *(
            "0000-00-00",
            "0000-01-01",
            "12345-01-01",
            "-0044-03-15",
            "2020-01-02T25:00",
            "2020-01-02T23:59:60Z",
        ),
        *("2020-01-02T10:00+24:00", "2020-01-02Z", "2020-01-02T", "2020-01-02 Monday", "٢٠٢٠-٠١-٠٢x"),
    ],
)
def test_what_is_not(text: str) -> None:
    assert written(text) is None


@given(
    st.text(max_size=40)
    | st.from_regex(r"\d{1,5}[-/]\d{1,3}[-/]\d{1,3}([T ]\d+:\d+(:\d+)?(Z|\+\d\d:\d\d)?)?")
)
@example("9999-12-31T23:59:59-14:00")
@example("0001-01-01T00:00:00+14:00")
def test_no_text_is_an_error(text: str) -> None:
    found = written(text)
    if isinstance(found, datetime):
        stored = utc(found, SHANGHAI)
        assert stored is None or instants.instant(stored) == stored


@given(st.datetimes(timezones=st.none() | st.just(UTC) | OFFSETS), st.sampled_from("T "))
def test_what_python_writes_is_read_as_python_reads_it(moment: datetime, between: str) -> None:
    assert written(moment.isoformat(between)) == moment


@given(st.dates(), st.sampled_from(["%Y-%m-%d", "%Y/%m/%d"]))
def test_every_date(day: date, form: str) -> None:
    assert written(day.strftime(form).rjust(10, "0")) == day


@given(st.datetimes(datetime(1902, 1, 1), datetime(2200, 1, 1)))
def test_local_times_are_those_of_the_zone(moment: datetime) -> None:
    helsinki = ZoneInfo("Europe/Helsinki")
    stored = utc(moment, helsinki)
    assert stored is not None
    again = datetime.fromisoformat(stored).astimezone(helsinki).replace(tzinfo=None)
    skipped = again - moment  # a clock put forward skips an hour: it is told as it would have been
    assert skipped in (timedelta(0), timedelta(hours=1)) or skipped < timedelta(milliseconds=1)


def test_the_first_of_two_times_where_a_clock_was_put_back() -> None:
    assert utc(datetime(2024, 10, 27, 3, 30), zone("Europe/Helsinki")) == "2024-10-27T00:30:00.000Z"


def test_times_beyond_the_calendar_are_none() -> None:
    assert utc(datetime(1, 1, 1), SHANGHAI) is None
    assert utc(datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=5))), SHANGHAI) is None


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "x" * 300, 8])
def test_a_zone_that_is_none(name: str) -> None:
    with pytest.raises(BadParameter) as caught:
        zone(name)
    assert caught.value.name == "time_zone"


@pytest.mark.parametrize(
    ("texts", "type_", "doubt"),
    [
        (["2020-01-01", "2020/1/2", "0000-00-00", " "], "date", None),
        (["2020-01-01 00:00:00", "2020-01-02"], "date", None),
        (["2020-01-01 00:00:00", "2020-01-02 10:00:00"], "datetime", None),
        (["2020-01-01T00:00:00Z"], "datetime", None),
        (["2020-01-01", "2020-01-01T10:00:00Z"], "datetime", "some values are dates, some are times"),
        (["2020-01-01", "2020-02-30"], "date", "2020-02-30 is not of the calendar"),
    ],
)
def test_what_a_column_is(texts: list[str], type_: str, doubt: str | None) -> None:
    seen = ColumnTimes()
    seen.add(texts)
    assert (seen.type, seen.doubt, seen.dated, seen.other) == (type_, doubt, True, False)


@pytest.mark.parametrize("texts", [["1234-56-78", "9999-99-99"], ["0000-00-00"], ["2020-01-01", "soon"], []])
def test_what_no_column_of_dates_is(texts: list[str]) -> None:
    seen = ColumnTimes()
    seen.add(texts)
    assert not seen.dated or seen.other
    assert seen.doubt is None


def test_midnight_is_the_only_clock_time_that_stands_for_a_date() -> None:
    seen = ColumnTimes()
    seen.add([datetime.combine(date(2020, 1, 1), time(microsecond=1)).isoformat()])
    assert seen.type == "datetime"
