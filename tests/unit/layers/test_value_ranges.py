"""Values that no column can keep are refused as such, whatever the type they come in."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from layers import values


@pytest.mark.parametrize(("hours", "year", "month", "day"), [(-5, 9999, 12, 31), (5, 1, 1, 1)])
def test_an_instant_outside_the_calendar_in_utc_is_a_value_error(
    hours: int, year: int, month: int, day: int
) -> None:
    edge = datetime(year, month, day, 23 if hours < 0 else 1, tzinfo=timezone(timedelta(hours=hours)))
    with pytest.raises(ValueError, match="calendar"):
        values.stored("datetime", edge)


def test_a_member_of_a_list_too_large_for_a_double_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="too large"):
        values.stored("array", [10**400])


def test_a_whole_number_beyond_64_bits_in_a_list_is_a_double() -> None:
    assert values.stored("array", [2**70]) == "[1.1805916207174113e+21]"
