"""GeoPackage and PostGIS give the same answer to every query: bytes, counts, cursors, pages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest

from layers.model import FeaturePage
from layers.query import Query
from layers.store import geopackage
from layers.store.base import Store
from layers.store.database import Database
from layers.types import CRS84
from tests import queries
from tests.postgres import Cluster
from tests.storing import load

QUERIES = 500
WALKS = 40
ROWS = queries.rows(Random(11), 200)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory, postgres: Cluster) -> Iterator[tuple[Store, Store]]:
    """Both stores with the same rows and the same later edits."""
    from layers.store import postgis

    path, url = tmp_path_factory.mktemp("agree") / "city.gpkg", postgres.database()
    embedded = geopackage.open(path)
    database = postgis.open(Database(url))
    for store in (embedded, database):
        load(store, queries.SPEC, ROWS)
        for fid in (3, 50):
            store.patch("everything", fid, {"geometry": None})
        store.patch("everything", 7, {"properties": {"tags": ["z", 1.0, 2.5], "height_m": 1e22}})
        store.delete("everything", 9)
    queries.nest_in_geopackage(path)
    queries.nest_in_postgis(url)
    yield embedded, database
    embedded.close()
    database.close()


@pytest.mark.parametrize("block", range(10))
def test_queries_agree(stores: tuple[Store, Store], block: int) -> None:
    embedded, database = stores
    layer = embedded.layer("everything")
    for number in range(block * QUERIES // 10, (block + 1) * QUERIES // 10):
        query = queries.Maker(Random(number), layer).query()
        assert database.items("everything", query) == embedded.items("everything", query), (number, query)


@pytest.mark.parametrize("block", range(4))
def test_walks_of_pages_agree(stores: tuple[Store, Store], block: int) -> None:
    embedded, database = stores
    layer = embedded.layer("everything")
    for number in range(block * WALKS // 4, (block + 1) * WALKS // 4):
        maker = queries.Maker(Random(10_000 + number), layer)
        query = replace(maker.query(), sort=maker.sort(), crs=CRS84, limit=13, offset=0)
        pages = walk(embedded, query)
        assert walk(database, query) == pages, (number, query)
        whole = embedded.items("everything", replace(query, limit=1000))
        assert b",".join(p.features for p in pages if p.returned) == whole.features


def walk(store: Store, query: Query) -> list[FeaturePage]:
    """All pages of a query."""
    pages = [store.items("everything", query)]
    while (after := pages[-1].next_after) is not None:
        pages.append(store.items("everything", replace(query, after=after)))
    return pages


def test_columns_and_downloads_agree(stores: tuple[Store, Store]) -> None:
    embedded, database = stores
    layer = embedded.layer("everything")
    for number in range(60):
        query = replace(queries.Maker(Random(20_000 + number), layer).query(), crs=CRS84)
        ours, theirs = embedded.select("everything", query), database.select("everything", query)
        assert (theirs.matched, theirs.next_after) == (ours.matched, ours.next_after)
        assert theirs.rows.fids.tolist() == ours.rows.fids.tolist()
        assert theirs.rows.properties == ours.rows.properties
        assert list(theirs.rows.wkb) == list(ours.rows.wkb)
        query = replace(query, limit=None, offset=0)
        scans = [[f for rows in s.scan("everything", query, 7) for f in rows.fids.tolist()] for s in stores]
        assert scans[0] == scans[1]


def test_summaries_agree(stores: tuple[Store, Store]) -> None:
    found = [replace(s.layer("everything"), seq=0) for s in stores]
    assert found[0] == found[1]


def test_arrays_come_back_as_lists(stores: tuple[Store, Store]) -> None:
    for store in stores:
        feature = json.loads(store.item("everything", 7).body)
        assert feature["properties"]["tags"] == ["z", 1, 2.5]
