"""The simulator's curves: repeatable, plausible, sometimes alarming, sometimes silent."""

from itertools import pairwise

import pytest

from twin.demo.curves import MODELS, chance, event
from twin.live import themes

NOON = 1_795_348_800.0
DAY = 86_400.0  # seconds


def test_a_value_depends_on_seed_sensor_and_time_alone():
    model = MODELS["pm2_5"]
    assert model.value(7, "a", NOON, 2) == model.value(7, "a", NOON, 2)
    assert model.value(7, "a", NOON, 2) != model.value(8, "a", NOON, 2)
    assert 0 <= chance(1, "x") < 1


@pytest.mark.parametrize("name", list(MODELS))
def test_a_day_is_mostly_ok_and_crosses_a_threshold_and_comes_back(name, tmp_path):
    rule = themes.load(tmp_path, ["water", "gas", "air", "traffic"]).rule(name)
    seen = []
    for sensor in range(10):
        raised = 0
        for step in range(288):
            value = MODELS[name].value(7, f"{name}-{sensor}", NOON + step * 300, 1.6)
            raised = rule.step(value, raised)
            seen.append(rule.state(raised))
    assert seen.count("ok") > 0.8 * len(seen)
    assert len(set(seen)) >= 3


def test_curves_have_no_jumps():
    for name, model in MODELS.items():
        values = [model.value(7, "s", NOON + i * 10, 1.6) for i in range(int(DAY / 10))]
        span = max(values) - min(values)
        assert max(abs(a - b) for a, b in pairwise(values)) < 0.2 * span, name


def test_events_begin_and_end():
    values = [event(7, "s", NOON + i, 3600, 600) for i in range(7200)]
    assert max(values) > 0.99
    assert values.count(0.0) > 5000
