"""Both stores against a plain model of a city: scripts of edits, loads and other programs' work."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from layers.store.database import Database
from layers.store.open import open_store
from tests.contract.conftest import STORES
from tests.histories.foreign import hand_at
from tests.histories.rebuilt import rebuilt
from tests.histories.scripts import Script

#: A few in the short form; ``make drill`` does 500. A seed that failed is done again by TWIN_HISTORY_FIRST.
SCRIPTS = int(os.environ.get("TWIN_HISTORY_SCRIPTS", "8"))
FIRST = int(os.environ.get("TWIN_HISTORY_FIRST", "0"))
STEPS = 8
_numbers = itertools.count()

type Maker = Callable[[int], Script]


@pytest.fixture(params=STORES)
def script(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Maker]:
    """Makes scripts, each with a city of its own."""
    made: list[Script] = []

    def make(seed: int) -> Script:
        number = next(_numbers)
        folder = tmp_path / str(number)
        folder.mkdir()
        database: Database | None = None
        if request.param == "postgis":
            database = Database(request.getfixturevalue("shared_database"), schema=f"history{number}")
        made.append(Script(lambda: open_store(folder, database), hand_at(folder, database), seed))
        return made[-1]

    yield make
    for one in made:
        one.store.close()


@contextmanager
def told(script: Script) -> Iterator[Script]:
    """A failure says what had been done."""
    try:
        yield script
    except BaseException as error:
        error.add_note("\n".join(script.said))
        raise


def test_old_rows_and_present_ones_make_every_state(script: Maker) -> None:
    """The present is what was done, and what was before it can be made from the tables alone."""
    for seed in range(FIRST, FIRST + SCRIPTS):
        with told(script(seed)) as city:
            for _ in range(STEPS):
                city.step()
            rebuilt(city.hand).check(city.states, city.unsure)
            city.store.close()
