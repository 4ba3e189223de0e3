"""Generated queries on a GeoPackage give what a plain reading of the expression gives, row for row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.batch import SOURCE_ID, WKB
from layers.query import Query
from layers.store import geopackage
from layers.store.base import Store
from layers.types import CRS84
from tests import queries
from tests.storing import load
from tests.unit.layers.cql import oracle

ROWS = queries.rows(Random(4), 150)
NO_GEOMETRY = (3, 4)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    path = tmp_path_factory.mktemp("cql") / "city.gpkg"
    made = geopackage.open(path)
    load(made, queries.SPEC, ROWS)
    for fid in NO_GEOMETRY:
        made.patch("everything", fid, {"geometry": None})
    queries.nest_in_geopackage(path)
    yield made
    made.close()


def rows() -> list[dict[str, Any]]:
    """The rows as the oracle reads them; features are numbered from 1 in the order of loading."""
    out = []
    for fid, row in enumerate(ROWS, 1):
        shape = None if fid in NO_GEOMETRY else shapely.from_wkb(row[WKB])
        values = {k: v for k, v in row.items() if not k.startswith("__")}
        tags = queries.NESTED.get(fid, None if row["tags"] is None else json.loads(row["tags"]))
        out.append({"fid": fid, "geometry": shape, **values, "source_id": row[SOURCE_ID], "tags": tags})
    return out


PLAIN = rows()


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_answer_is_that_of_the_expression(store: Store, seed: int) -> None:
    query = replace(
        queries.Maker(Random(seed), store.layer("everything")).query(), crs=CRS84, limit=1000, offset=0
    )
    expected = [row["fid"] for row in oracle.select(query, PLAIN)]
    page = store.items("everything", query)
    found = json.loads(b"[" + page.features + b"]")
    assert [f["id"] for f in found] == expected
    assert page.matched == len(expected)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_pages_join_to_the_whole(store: Store, seed: int) -> None:
    maker = queries.Maker(Random(seed), store.layer("everything"))
    query = replace(maker.query(), sort=maker.sort(), crs=CRS84, limit=7, offset=0)
    expected = [row["fid"] for row in oracle.select(query, PLAIN)]
    assert walk(store, query) == expected


def walk(store: Store, query: Query) -> list[int]:
    """The ids of all pages."""
    found: list[int] = []
    while True:
        page = store.items("everything", query)
        found += [f["id"] for f in json.loads(b"[" + page.features + b"]")]
        if page.next_after is None:
            return found
        query = replace(query, after=page.next_after)
