"""Whole downloads and pages as columns: what every store must do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import shapely

from layers.errors import BadParameter, NotFound, Unavailable
from layers.model import Rows
from layers.query import Query
from layers.store.base import Store
from layers.types import Sort
from tests.storing import features, fids, grid, load, row, spec, square


def everything(store: Store, size: int = 7, **query: Any) -> list[int]:
    batches = list(store.scan("buildings", Query(limit=None, **query), size))
    assert all(0 < len(b.fids) <= size for b in batches)
    return [fid for b in batches for fid in b.fids.tolist()]


def test_a_scan_gives_what_pages_give(store: Store) -> None:
    load(store, spec(time_field="seen"), grid(45, seen="2024-01-02T00:00:00Z"))
    store.patch("buildings", 40, {"geometry": None})
    for query in (
        {},
        {"bbox": (25.0, 60.0, 25.05, 60.03)},
        {"bbox": (-180, -90, 180, 90)},
        {"bbox": (179, -90, 25.05, 90)},
        {"equals": (("levels", 7),)},
        {"sort": (Sort("name", descending=True),)},
        {"bbox": (25.0, 60.0, 25.05, 60.03), "sort": (Sort("levels", descending=True),)},
        {"words": ("HOUSE 1", "house 33")},
        {"datetime": ("2025-01-01T00:00:00.000Z", None)},
    ):
        assert everything(store, **query) == fids(store, **query), query
    assert len(everything(store)) == 45


def test_columns_of_a_scan_and_of_a_page(store: Store) -> None:
    load(store, spec(), [row("a", square(25, 60), listed=True, built="2024-05-06"), row("b", square(26, 60))])
    store.patch("buildings", 2, {"geometry": None})
    (batch,) = store.scan("buildings", Query(limit=None))
    selection = store.select("buildings", Query())
    assert (selection.matched, selection.next_after) == (2, None)
    for rows in (batch, selection.rows):
        assert rows.fids.tolist() == [1, 2]
        assert rows.wkb[0] is not None
        assert shapely.from_wkb(rows.wkb[0]).equals(square(25, 60))
        assert rows.wkb[1] is None
        assert rows.properties["listed"] == [True, None]
        assert rows.properties["built"] == ["2024-05-06", None]
        assert list(rows.properties) == [f.name for f in store.layer("buildings").fields]
    few = Query(properties=("name", "listed"))
    assert set(store.select("buildings", few).rows.properties) == {"name", "listed"}
    assert set(next(store.scan("buildings", few)).properties) == {"name", "listed"}


def test_pages_of_columns_are_those_of_features(store: Store) -> None:
    load(store, spec(), grid(23))
    sort = (Sort("name"),)
    after, seen = None, []
    while True:
        query = Query(limit=5, sort=sort, after=after)
        page, selection = store.items("buildings", query), store.select("buildings", query)
        assert (selection.matched, selection.next_after) == (page.matched, page.next_after)
        seen += selection.rows.fids.tolist()
        if (after := page.next_after) is None:
            break
    assert seen == fids(store, sort=sort)
    assert len(seen) == 23


def test_nothing_selected(store: Store) -> None:
    load(store, spec(), grid(3))
    assert everything(store, bbox=(0, 0, 1, 1)) == []
    selection = store.select("buildings", Query(bbox=(0, 0, 1, 1)))
    assert (selection.rows.fids.tolist(), selection.matched, selection.next_after) == ([], 0, None)
    assert set(selection.rows.properties) == {f.name for f in store.layer("buildings").fields}


def test_bad_scans(store: Store) -> None:
    load(store, spec(), grid(3))
    with pytest.raises(NotFound):
        next(store.scan("nosuch", Query(limit=None)))
    for query in (
        Query(limit=None, equals=(("nosuch", 1),)),
        Query(limit=None, properties=("nosuch",)),
        Query(limit=None, sort=(Sort("nosuch"),)),
    ):
        with pytest.raises(BadParameter, match="nosuch"):
            next(store.scan("buildings", query))
        with pytest.raises(BadParameter, match="nosuch"):
            store.items("buildings", Query(**{f: getattr(query, f) for f in query.__slots__} | {"limit": 5}))


def test_a_scan_is_of_one_moment_and_holds_nobody_up(opener: Callable[[], Store]) -> None:
    store, other = opener(), opener()
    load(store, spec(), grid(30))
    scan = store.scan("buildings", Query(limit=None), 10)
    seen = next(scan).properties["name"]
    other.delete("buildings", 20)
    store.patch("buildings", 21, {"properties": {"name": "new"}})
    load(other, spec(), grid(25, built="2024-01-01"))
    for batch in scan:
        seen = [*seen, *batch.properties["name"]]
    assert seen == [f"house {i}" for i in range(30)]
    assert len(features(store)) == 25
    store.close()
    other.close()


def test_a_scan_may_go_on_in_another_thread(store: Store) -> None:
    load(store, spec(), grid(30))
    scan = store.scan("buildings", Query(limit=None), 10)
    got: list[Rows] = [next(scan)]
    for _ in range(2):
        thread = threading.Thread(target=lambda: got.append(next(scan)))
        thread.start()
        thread.join(20)
    assert [fid for rows in got for fid in rows.fids.tolist()] == list(range(1, 31))
    thread = threading.Thread(target=scan.close)
    thread.start()
    thread.join(20)
    assert list(scan) == []


def test_closing_the_store_ends_a_scan(opener: Callable[[], Store]) -> None:
    store = opener()
    load(store, spec(), grid(30))
    scan = store.scan("buildings", Query(limit=None), 10)
    next(scan)
    store.close()
    with pytest.raises(Unavailable):
        next(scan)
