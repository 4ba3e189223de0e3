"""Instants: with a zone or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.errors import BadBody
from twin.live import times


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2026-11-22T12:00:00Z", "2026-11-22T12:00:00Z"),
        ("2026-11-22T20:00:00+08:00", "2026-11-22T12:00:00Z"),
        ("2026-11-22T12:00:00.123456Z", "2026-11-22T12:00:00.123Z"),
        ("2026-11-22T12:00Z", "2026-11-22T12:00:00Z"),
        ("1969-12-31T23:59:59.500Z", "1969-12-31T23:59:59.500Z"),
    ],
)
def test_times_are_kept_as_utc_milliseconds(text, iso):
    assert times.iso(times.parse(text, "t")) == iso


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2026-11-22T12:00:00", "no zone"),
        ("2026-11-22", "no zone"),
        ("yesterday", "not an ISO"),
        ("", "not an ISO"),
        ("9999-12-31T23:59:59Z", "1900 to 2199"),
        ("0001-01-01T00:00:00+14:00", "1900 to 2199"),
        (5, "ISO 8601"),
        (None, "ISO 8601"),
    ],
)
def test_anything_else_is_refused_by_name(text, words):
    with pytest.raises(BadBody, match=words):
        times.parse(text, "phenomenonTime")


def test_an_interval_ends_after_it_begins():
    start, end = times.parse_interval("2026-01-01T00:00:00Z/2026-01-01T01:00:00Z", "t")
    assert end - start == 3_600_000
    assert times.interval(start, end) == "2026-01-01T00:00:00Z/2026-01-01T01:00:00Z"
    with pytest.raises(BadBody, match="ends before"):
        times.parse_interval("2026-01-01T01:00:00Z/2026-01-01T00:00:00Z", "t")


@given(st.integers(times.EARLIEST, times.LATEST - 1))
def test_every_millisecond_comes_back(ms):
    assert times.parse(times.iso(ms), "t") == ms
