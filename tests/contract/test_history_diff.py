"""What changed between any two moments of a city is what differs in a plain model of it, over both stores."""

from __future__ import annotations

import itertools

from tests.contract.test_history import Maker, script, told
from tests.histories.differences import check

__all__ = ["script"]

SEEDS = (200, 202, 204, 206, 208)
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
