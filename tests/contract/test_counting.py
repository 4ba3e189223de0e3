"""What a page says of how many match: exact, or nothing where that would have to be counted."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import shapely

from layers.model import FeaturePage
from layers.query import Query
from layers.store.base import Store
from layers.store.database import Database
from layers.store.open import open_store
from layers.types import CRS84, Sort
from tests import queries
from tests.contract.conftest import STORES
from tests.storing import fids, grid, load, row, spec, square

WIDE = (24.0, 59.0, 25.0545, 61.0)  # without four of ten columns
ALL = (24.0, 59.0, 26.0, 61.0)
QUERIES = 200
_numbers = itertools.count()


class Opened:
    """One place, opened to gather more or fewer candidates."""

    def __init__(self, folder: Path, database: Database | None) -> None:
        self._folder, self._database = folder, database
        self.made: list[Store] = []

    def gathering(self, few: int) -> Store:
        self.made.append(open_store(self._folder, self._database, few))
        return self.made[-1]


@pytest.fixture(params=STORES)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    database = None
    if request.param == "postgis":
        database = Database(request.getfixturevalue("shared_database"), schema=f"counting{next(_numbers)}")
    one = Opened(tmp_path, database)
    yield one
    for store in one.made:
        store.close()


def walk(store: Store, layer: str, query: Query) -> list[FeaturePage]:
    """Every page from a query on."""
    pages = [store.items(layer, query)]
    while (after := pages[-1].next_after) is not None:
        pages.append(store.items(layer, replace(query, after=after, offset=0)))
    return pages


@pytest.mark.parametrize("few", [0, 15])
def test_many_are_answered_as_few_are(opened: Opened, few: int) -> None:
    """Whether all matches are gathered or only the page is looked for: but for the count it is the same."""
    usual = opened.gathering(20_000)
    load(usual, queries.SPEC, queries.rows(Random(3), 150))
    usual.patch("everything", 3, {"geometry": None})
    searching = opened.gathering(few)
    layer = usual.layer("everything")
    left_out = 0
    for number in range(QUERIES):
        query = replace(queries.Maker(Random(number), layer).query(), limit=7)
        found, expected = searching.items("everything", query), usual.items("everything", query)
        assert replace(found, matched=None) == replace(expected, matched=None), (number, query)
        assert found.matched in (None, expected.matched), (number, query)
        left_out += found.matched is None
        selection = searching.select("everything", query)
        assert (selection.matched, selection.next_after) == (found.matched, found.next_after)
    assert left_out > QUERIES // 20
    for number in range(QUERIES // 10):
        maker = queries.Maker(Random(1000 + number), layer)
        query = replace(maker.query(), sort=maker.sort(), crs=CRS84, limit=17, offset=0)
        pages = [replace(page, matched=None) for page in walk(searching, "everything", query)]
        expected_pages = walk(usual, "everything", query)
        assert pages == [replace(page, matched=None) for page in expected_pages], (number, query)
        assert len({page.matched for page in expected_pages}) == 1


def test_a_whole_layer_is_always_counted(opened: Opened) -> None:
    store = opened.gathering(0)
    load(store, spec(), grid(40))
    for query in (Query(limit=3), Query(limit=3, bbox=ALL), Query(limit=3, sort=(Sort("levels", True),))):
        pages = walk(store, "buildings", query)
        assert [page.matched for page in pages] == [40] * 14, query


def test_every_page_of_a_walk_says_the_same(opened: Opened) -> None:
    store = opened.gathering(24)
    load(store, spec(), grid(40))
    asked = Query(limit=5, bbox=WIDE)
    assert {page.matched for page in walk(store, "buildings", asked)} == {24}
    inside = shapely.geometry.mapping(square(24.5, 60))
    store.create("buildings", {"type": "Feature", "geometry": inside, "properties": {"name": "one more"}})
    pages = walk(store, "buildings", asked)
    assert {page.matched for page in pages} == {None}
    assert [page.returned for page in pages] == [5] * 5
    store.delete("buildings", 1)
    assert {page.matched for page in walk(store, "buildings", asked)} == {24}


def test_a_page_that_holds_all_tells_their_number(opened: Opened) -> None:
    store = opened.gathering(0)
    load(store, spec(), grid(40))
    assert store.items("buildings", Query(bbox=WIDE, limit=24)).matched == 24
    assert store.items("buildings", Query(bbox=WIDE, limit=20, offset=10)).matched == 24
    assert store.items("buildings", Query(bbox=WIDE, limit=20, offset=30)).matched is None
    assert store.items("buildings", Query(equals=(("name", "nowhere"),))).matched == 0


def test_the_table_is_searched_where_the_matches_are(opened: Opened) -> None:
    """The first matches may lie behind all that would be tried one after the other."""
    store = opened.gathering(10)
    # not all at one place: an index of boxes that are all the same costs PostGIS ten times as much
    west = [10 + i % 500 * 0.01 if i < 25_000 else 25 for i in range(25_050)]
    rows = [row(f"b{i}", square(lon, 60), name="a") for i, lon in enumerate(west)]
    load(store, spec(), rows)
    box = (24.0, 59.0, 26.0, 61.0)
    assert fids(store, bbox=box, limit=5) == [25_001, 25_002, 25_003, 25_004, 25_005]
    asked = Query(bbox=box, equals=(("name", "a"),), limit=20)
    pages = walk(store, "buildings", asked)
    assert [(page.returned, page.matched) for page in pages] == [(20, None), (20, None), (10, None)]
    assert store.items("buildings", replace(asked, after=(25_040,))).next_after is None
    assert store.items("buildings", replace(asked, after=(25_050,))).returned == 0


def test_matches_are_counted_up_to_a_number(opened: Opened) -> None:
    store = opened.gathering(2)
    load(store, spec(), grid(40))
    for query, count in ((Query(), 40), (Query(bbox=ALL), 40), (Query(bbox=WIDE), 24)):
        assert store.count("buildings", query, count) == count
        assert store.count("buildings", query, count - 1) is None
    assert store.count("buildings", Query(equals=(("name", "house 7"),)), 0) is None
    assert store.count("buildings", Query(equals=(("name", "nowhere"),)), 0) == 0
