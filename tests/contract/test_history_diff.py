"""What changed between two moments of a city, and what is taken back, against a plain model of it, over both
stores."""

from __future__ import annotations

import itertools

from tests.contract.test_history import Maker, script, told
from tests.histories import undoing
from tests.histories.differences import check

__all__ = ["script"]

SEEDS = (200, 202, 204, 206, 208)
UNDONE = (200, 204, 205, 206, 208)
STEPS = 9
PAIRS = 16


def test_changes_between_any_two_moments(script: Maker) -> None:
    for seed in SEEDS:
        with told(script(seed)) as city:
            for _ in range(STEPS):
                city.step()
            pairs = list(itertools.combinations_with_replacement(sorted(city.states), 2))
            for first, last in city.eyes.sample(pairs, min(PAIRS, len(pairs))):
                check(city, first, last)
            city.store.close()


def test_whatever_is_taken_back_and_back_again(script: Maker) -> None:
    done = 0
    for seed in UNDONE:
        with told(script(seed)) as city:
            for _ in range(STEPS):
                city.step()
            done += undoing.check(city)
            city.store.close()
    assert done > 10
