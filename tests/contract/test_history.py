"""Both stores against a plain model of a city: scripts of edits, loads and other programs' work."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from layers.audit import verify
from layers.audit.sealing import Sealer
from layers.store.database import Database
from layers.store.open import open_store
from tests.contract.conftest import STORES
from tests.histories import looking_back
from tests.histories.foreign import hand_at
from tests.histories.rebuilt import rebuilt
from tests.histories.scripts import Script

#: The scripts of the short form; ``make drill`` does 500. TWIN_HISTORY_FIRST is the seed of the first.
FEW = {"geopackage": "20", "postgis": "6"}
SCRIPTS = {name: int(os.environ.get("TWIN_HISTORY_SCRIPTS", few)) for name, few in FEW.items()}
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
        hand = hand_at(folder, database)
        made.append(Script(lambda: open_store(folder, database), hand, folder / "derived", seed))
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


def test_every_past_state_is_what_it_was(script: Maker, request: pytest.FixtureRequest) -> None:
    """Of each change set, whenever it is asked for: while the city goes on, at the end, after a new start;
    and it can be made from the tables alone. So an audit of it stays true, too."""
    for seed in range(FIRST, FIRST + SCRIPTS[request.node.callspec.params["script"]]):
        with told(script(seed)) as city:
            for step in range(STEPS):
                city.step()
                if step % 3 == 1:
                    Sealer(city.store, "sha256", None).seal()
                if step % 3 == 2:
                    looking_back.check_one(city)
            looking_back.check_all(city)
            city.reopen()
            looking_back.check_one(city)
            rebuilt(city.hand).check(city.states, city.lost)
            audited = verify.city(city.store)
            assert audited.fault is None
            assert audited.changes == audited.compared + audited.not_kept > 0
            city.store.close()


def test_a_past_that_is_held_stays_what_it_was(script: Maker) -> None:
    """Many moments at once, read from several threads, while the city goes on."""
    with told(script(1000)) as city:
        for _ in range(6):
            city.step()
        held = {seq: city.store.as_of(seq) for seq in city.seen}
        errors: list[BaseException] = []
        done = threading.Event()

        def read(number: int) -> None:
            eyes = Random(number)
            try:
                while not done.is_set():
                    seq = eyes.choice(list(held))
                    for name, query, page in city.seen[seq].pages:
                        assert held[seq].items(name, query) == page, (seq, name, query)
            except BaseException as error:
                errors.append(error)

        readers = [threading.Thread(target=read, args=(n,)) for n in range(3)]
        for reader in readers:
            reader.start()
        try:
            for _ in range(8):
                city.step(apart=(city.reopen, city.other_columns))
        finally:
            done.set()
            for reader in readers:
                reader.join(60)
        assert errors == []
        for seq, past in held.items():
            looking_back.check_state(city, seq, past)
