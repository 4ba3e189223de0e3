"""Instants: with a zone or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.errors import BadBody
from twin.live import clock


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
    assert clock.iso(clock.parse(text, "t")) == iso


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
        clock.parse(text, "phenomenonTime")


def test_an_interval_ends_after_it_begins():
    start, end = clock.parse_interval("2026-01-01T00:00:00Z/2026-01-01T01:00:00Z", "t")
    assert end - start == 3_600_000
    assert clock.interval(start, end) == "2026-01-01T00:00:00Z/2026-01-01T01:00:00Z"
    with pytest.raises(BadBody, match="ends before"):
        clock.parse_interval("2026-01-01T01:00:00Z/2026-01-01T00:00:00Z", "t")


@given(st.integers(clock.EARLIEST, clock.LATEST - 1))
def test_every_millisecond_comes_back(ms):
    assert clock.parse(clock.iso(ms), "t") == ms


class Hands:
    """A wall clock and a steady one, in seconds."""

    def __init__(self):
        self.wall = self.steady = 1_000_000.0
        self.clock = clock.Clock(lambda: int(self.wall * 1e9), lambda: int(self.steady * 1e9))

    def go(self, seconds, leap=0.0):
        self.wall += seconds + leap
        self.steady += seconds
        return self.clock.now_ms() / 1000


@pytest.mark.parametrize("leap", [7200, -3600])
def test_a_clock_that_leaps_for_a_moment_moves_nothing(leap, caplog):
    hands = Hands()
    assert hands.go(5) == 1_000_005
    assert hands.go(1, leap) == 1_000_006
    assert hands.clock.leap == pytest.approx(leap)
    assert hands.go(60) == 1_000_066
    assert hands.go(1, -leap) == 1_000_067
    assert (hands.clock.leap, hands.clock.believed()) == (0, False)
    assert [one.split(":")[0] for one in caplog.messages] == [
        f"the clock was set by {leap:+} s",
        "the clock is right again",
    ]


@pytest.mark.parametrize("leap", [7200, -3600])
def test_a_clock_that_stays_where_it_was_set_is_believed(leap, caplog):
    hands = Hands()
    hands.go(1, leap)
    assert hands.go(300) == 1_000_301
    assert hands.go(301) == 1_000_602 + leap
    assert (hands.clock.believed(), hands.clock.believed(), hands.clock.leap) == (True, False, 0)
    assert hands.go(10) == 1_000_612 + leap
    assert len(caplog.messages) == 2


def test_a_clock_that_drifts_is_followed(caplog):
    hands = Hands()
    for _ in range(100):
        hands.go(60, 0.03)
    assert hands.go(0) == pytest.approx(hands.wall, abs=0.002)
    assert not caplog.messages
