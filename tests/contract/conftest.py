"""Fixtures of the contract suites: every store there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from layers.store import geopackage
from layers.store.base import Store

OPENERS: dict[str, Callable[[Path], Store]] = {"geopackage": lambda path: geopackage.open(path / "city.gpkg")}


@pytest.fixture(params=OPENERS)
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Opens the same store again and again."""
    return lambda: OPENERS[request.param](tmp_path)


@pytest.fixture
def store(opener: Callable[[], Store]) -> Iterator[Store]:
    made = opener()
    yield made
    made.close()
