"""Fixtures of the contract suites: every store there is."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from layers.store.base import Store
from layers.store.database import Database
from layers.store.open import open_store
from tests.histories.foreign import Hand, hand_at
from tests.postgres import Cluster
from tests.storing import grid, load, spec

STORES = ("geopackage", "postgis")
_numbers = itertools.count()


@pytest.fixture(scope="module")
def shared_database(postgres: Cluster) -> str:
    """One database for all tests of a module, each with a schema of its own."""
    return postgres.database()


@pytest.fixture(params=STORES)
def database(request: pytest.FixtureRequest) -> Database | None:
    """Where a city of its own is kept: a schema of a database, or (None) its folder."""
    if request.param == "geopackage":
        return None
    return Database(request.getfixturevalue("shared_database"), schema=f"city{next(_numbers)}")


@pytest.fixture
def hand(database: Database | None, tmp_path: Path) -> Hand:
    """Another program at that city."""
    return hand_at(tmp_path, database)


@pytest.fixture
def opener(database: Database | None, tmp_path: Path) -> Iterator[Callable[..., Store]]:
    """Opens the same store again and again, in a city of those CRSs; what a test leaves open is closed."""
    made: list[Store] = []

    def open_(crs_also: tuple[str, ...] = ()) -> Store:
        made.append(open_store(tmp_path, database, crs_also=crs_also))
        return made[-1]

    yield open_
    for store in made:
        store.close()


@pytest.fixture(scope="module", params=STORES)
def module_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One store for the tests of a module that only ask it, or are refused."""
    database = None
    if request.param == "postgis":
        database = Database(request.getfixturevalue("shared_database"), schema=f"city{next(_numbers)}")
    with closing(open_store(tmp_path_factory.mktemp("module"), database)) as made:
        yield made


@pytest.fixture(scope="module")
def unchanged(module_store: Store) -> Store:
    """With one square in it."""
    load(module_store, spec(), grid(1))
    return module_store


@pytest.fixture
def store(opener: Callable[[], Store]) -> Store:
    """One store, opened."""
    return opener()
