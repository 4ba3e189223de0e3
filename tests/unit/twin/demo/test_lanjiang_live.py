"""What the sensors of 岚江 read: the same for any window, days, weeks and rain in it, and no stamp twice."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray

from twin.demo.lanjiang import components, devices, plan, weather
from twin.demo.lanjiang.known import Known
from twin.demo.lanjiang.observations import CURVES, Stream, observed
from twin.demo.lanjiang.subject import SHAPE
from twin.live import themes

SEED = 1
LON, LAT = 114.3, 42.8
MONDAY = datetime(2026, 6, 1, tzinfo=timezone(timedelta(hours=8))).timestamp()
DAYS, A_DAY = 56, 288
TIMES = MONDAY + np.arange(DAYS * A_DAY) * 300.0
NOMINAL = {"water_flow": 200.0, "water_level": 0.3, "parking": 120.0, "pump_power": 90.0}
WET = ("water_level", "road_water", "pump_power", "rainfall", "turbidity")
STEADY = ("gas_lel", "tilt")


def stream(prop: str, number: int = 1, lon: float = LON) -> Stream:
    return Stream(f"98010000{number:06d}", prop, lon, LAT, NOMINAL.get(prop, 0.0))


@pytest.fixture(scope="module")
def read() -> dict[str, NDArray[np.float64]]:
    """Eight weeks of one stream of each property."""
    return {prop: observed(SEED, stream(prop), TIMES) for prop in CURVES}


def test_any_window_says_the_same(read: dict[str, NDArray[np.float64]]) -> None:
    shuffled = np.random.default_rng(1).permutation(len(TIMES))[:500]
    for prop, values in read.items():
        assert (observed(SEED, stream(prop), TIMES[shuffled]) == values[shuffled]).all()
        assert observed(SEED, stream(prop), TIMES[7:8])[0] == values[7]
        other = observed(SEED + 1, stream(prop), TIMES[:A_DAY])
        assert not (other == values[:A_DAY]).all() or prop in ("rainfall", "road_water")
        for far in (datetime(1985, 1, 1, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC)):
            assert np.isfinite(observed(SEED, stream(prop), far.timestamp() + TIMES[:10] - MONDAY)).all()


def test_days_and_weeks_are_in_what_people_do(read: dict[str, NDArray[np.float64]]) -> None:
    for prop in ("water_flow", "water_pressure", "noise", "parking", "lamp_current"):
        days = read[prop].reshape(DAYS, A_DAY)
        whole = days - days.mean()
        yesterday = float((whole[1:] * whole[:-1]).mean() / whole.var())
        sooner = np.roll(whole.ravel(), A_DAY // 4).reshape(DAYS, A_DAY)
        assert yesterday > 0.6, prop
        assert float((whole * sooner).mean() / whole.var()) < yesterday - 0.4, prop
    flow, noise = (read[prop].reshape(DAYS // 7, 7, A_DAY) for prop in ("water_flow", "noise"))
    morning = slice(int(6.5 * 12), 8 * 12)
    assert flow[:, :5, morning].mean() > 1.2 * flow[:, 5:, morning].mean()
    assert noise[:, :5, morning].mean() > noise[:, 5:, morning].mean() + 2
    assert np.abs(np.diff(flow.ravel())).max() < 0.2 * flow.max()
    lit = read["lamp_current"].reshape(DAYS, A_DAY) > 0
    assert not lit[:, 8 * 12 : 18 * 12].any()
    assert lit[:, : 3 * 12].all()


def test_what_is_wet_follows_the_rain_and_comes_later(read: dict[str, NDArray[np.float64]]) -> None:
    rain = weather.rain(SEED, LON, LAT, TIMES)
    assert 0.04 < (rain > 0).mean() < 0.25
    assert (rain >= 0).all()
    assert (read["rainfall"] == np.round(rain, 1)).all()
    whole_year = MONDAY + np.arange(365 * 96) * 900.0
    fallen = sum(weather.rain(seed, LON, LAT, whole_year).sum() / 4 for seed in range(4)) / 4
    assert 400 < fallen < 1_400
    usual = np.median(read["water_level"].reshape(DAYS, A_DAY), axis=0)
    level = read["water_level"] - np.tile(usual, DAYS)
    lags = [np.corrcoef(rain[: -48 or None], level[k : len(level) - 48 + k])[0, 1] for k in range(48)]
    assert 2 <= int(np.argmax(lags)) <= 18
    assert max(lags) > max(0.55, lags[0] + 0.08)
    dry = weather.wetness(SEED, LON, LAT, TIMES, 180) < 0.01
    assert not read["road_water"][dry].any()
    for prop in WET:
        assert read[prop][~dry].mean() > read[prop][dry].mean() or prop == "road_water"
    near, far = (weather.rain(SEED, LON + off, LAT, TIMES) for off in (0.002, 0.3))
    assert np.corrcoef(rain, near)[0, 1] > 0.98
    assert np.corrcoef(rain, far)[0, 1] < 0.98


def test_nothing_is_raised_on_a_plain_day_and_no_two_read_alike(tmp_path: Path) -> None:
    rules = themes.load(tmp_path, devices.THEMES)
    assert set(CURVES) <= set(rules.properties)
    for prop in CURVES:
        seen = [observed(SEED, stream(prop, number), TIMES[: 14 * A_DAY]) for number in range(1, 9)]
        rule, states = rules.rule(prop), Counter[str]()
        for values in seen:
            raised = 0
            for value in values[::3].tolist():
                raised = rule.step(value, raised)
                states[rule.state(raised)] += 1
        assert states["ok"] > 0.97 * states.total(), (prop, states)
        assert states["red"] == 0, prop
        if prop not in ("rainfall", "road_water"):
            for at, one in enumerate(seen):
                assert not any((one == other).all() for other in seen[:at]), prop
    for prop in STEADY:
        values = observed(SEED, stream(prop), TIMES)
        assert values.max() < 1
        assert values.min() >= 0


def test_devices_stand_on_what_there_is_and_have_codes_of_their_own() -> None:
    frequent: Counter[str] = Counter()
    codes: set[str] = set()
    for cell in plan.cells("S"):
        known = Known(SEED, *cell, "S")
        standing = {one.code: one for one in known.components}
        houses = {one.id for _, built in known.built for one in built} | {one.id for one in known.parcels}
        for layer in devices.LISTS:
            for row in devices.listed(known, layer):
                frequent[devices.PROPERTIES[row["监测项目"]].property] += 1
                codes.add(row["测点编码"])
                assert row["依附对象"] in standing or row["依附对象"] in houses
                if row["监测项目"] == "管网压力":
                    assert standing[row["依附对象"]].kind is components.HYDRANT
                    assert shapely.Point(standing[row["依附对象"]].place) == row[SHAPE]
    assert set(frequent) == set(CURVES)
    assert 850 < frequent.total() < 1_000
    assert len(codes) == frequent.total()
    assert {len(code) for code in codes} == {14}
