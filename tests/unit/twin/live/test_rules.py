"""Thresholds: raise, hold, clear; severity; overrides; staleness."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.errors import BadBody
from twin.live.rules import LEVELS, Rule, Threshold, override, thresholds

WATER = Rule(
    (
        Threshold("blue", "above", 1.2, 1.1),
        Threshold("yellow", "above", 1.5, 1.4),
        Threshold("red", "above", 2.0, 1.9),
        Threshold("orange", "below", 0.2, 0.3),
    ),
    300,
)


def states(rule: Rule, values: list[float]) -> list[str]:
    raised, found = 0, []
    for value in values:
        raised = rule.step(value, raised)
        found.append(rule.state(raised))
    return found


def test_raises_at_the_threshold_and_clears_only_below_the_clear_value():
    assert states(WATER, [1.19, 1.2, 1.15, 1.11, 1.1, 1.15]) == ["ok", "blue", "blue", "blue", "ok", "ok"]


def test_the_most_severe_raised_level_is_the_state():
    assert states(WATER, [2.1, 1.95, 1.85, 1.45, 1.3, 0.5]) == [
        "red",
        "red",
        "yellow",
        "yellow",
        "blue",
        "ok",
    ]


def test_a_lower_bound_is_the_mirror_image():
    assert states(WATER, [0.2, 0.25, 0.29, 0.3]) == ["orange", "orange", "orange", "ok"]


def test_chatter_inside_the_band_changes_nothing():
    assert set(states(WATER, [1.5] + [1.41, 1.49] * 50)) == {"yellow"}


values = st.lists(st.floats(-5, 5), max_size=60)
pair = st.tuples(st.floats(-3, 3), st.floats(0, 2))


@given(values, pair, st.sampled_from(["above", "below"]))
def test_a_threshold_equals_the_plain_two_state_machine(series, both, side):
    at, band = both
    clear = at - band if side == "above" else at + band
    rule = Rule((Threshold("red", side, at, clear),))
    on = False
    raised = 0
    for value in series:
        if side == "above":
            on = value >= at if not on else not (value <= clear and value < at)
        else:
            on = value <= at if not on else not (value >= clear and value > at)
        raised = rule.step(value, raised)
        assert rule.state(raised) == ("red" if on else "ok")


@given(st.floats(-5, 5), st.integers(0, 15))
def test_stepping_twice_over_one_value_changes_nothing(value, raised):
    once = WATER.step(value, raised)
    assert WATER.step(value, once) == once
    assert WATER.state(once) in ("ok", *LEVELS)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"level": "red", "side": "above", "raise": 1, "clear": 2}], "clear must not be higher"),
        ([{"level": "red", "side": "below", "raise": 2, "clear": 1}], "clear must not be lower"),
        ([{"level": "purple", "side": "above", "raise": 1, "clear": 1}], "level"),
        ([{"level": "red", "side": "beside", "raise": 1, "clear": 1}], "side"),
        ([{"level": "red", "raise": 1}], "exactly"),
        ([{"level": "red", "side": "above", "raise": "1", "clear": 1}], "numbers"),
        ([{"level": "red", "side": "above", "raise": True, "clear": 1}], "numbers"),
        ([7], "thresholds"),
        ("red", "list"),
        ([{"level": "red", "side": "above", "raise": 1, "clear": 1}] * 17, "at most 16"),
    ],
)
def test_malformed_thresholds_are_refused_by_name(rows, words):
    with pytest.raises(BadBody, match=words):
        thresholds(rows, "properties.thresholds")


def test_a_datastream_overrides_its_theme():
    rule = override(
        {"thresholds": [{"level": "red", "side": "above", "raise": 9, "clear": 8}], "period": 10}, WATER
    )
    assert states(rule, [2.5, 9]) == ["ok", "red"]
    assert rule.period == 10
    assert override({}, WATER) == WATER
    with pytest.raises(BadBody, match="period"):
        override({"period": 0}, WATER)


def test_stale_after_three_periods_and_without_any_value():
    assert not WATER.stale(1_000_000, 1_000_000 + 900_000)
    assert WATER.stale(1_000_000, 1_000_000 + 900_001)
    assert WATER.stale(None, 0)
    assert not Rule().stale(0, 10**15)
