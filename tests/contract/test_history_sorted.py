"""Sorted pages of what was: both halves, present rows and old ones, in one order, whichever comes first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from layers.model import FeaturePage
from layers.query import Query
from layers.store.base import Readable, Store
from layers.store.postgis import page
from layers.store.postgis.past import PostgisPast
from layers.types import Cursor, Sort
from tests.histories.foreign import Hand
from tests.storing import load, row, spec, square

COUNT = 400
#: Many of one value, none, each another; texts, numbers, truths, days, instants.
SORTS = (
    (Sort("levels"),),
    (Sort("levels", True), Sort("name")),
    (Sort("height_m", True),),
    (Sort("name"),),
    (Sort("listed"), Sort("built", True)),
    (Sort("seen"),),
    (Sort("source_id", True),),
)


def town() -> list[dict[str, Any]]:
    return [
        row(
            f"s{i}",
            square(25 + i % 20 * 0.01, 60 + i // 20 * 0.01),
            name=f"n{i * 7919 % COUNT}",
            height_m=None if i % 3 == 0 else i % 50 / 4,
            levels=None if i % 11 == 0 else i % 7,
            listed=i % 2 == 0,
            built=f"20{i % 90 + 10}-01-01",
            seen=f"2020-01-01T00:00:{i % 60:02}.5Z",
        )
        for i in range(COUNT)
    ]


def pages(reading: Readable, query: Query) -> Iterator[FeaturePage]:
    """The first pages of a query by its cursor, one far behind, and all at once."""
    following = query
    for _ in range(3):
        found = reading.items("buildings", following)
        yield found
        if found.next_after is None:
            break
        following = replace(query, after=found.next_after)
    yield reading.items("buildings", replace(query, offset=COUNT // 2))
    yield reading.items("buildings", replace(query, limit=1000))


def asked(reading: Readable) -> list[list[FeaturePage]]:
    """What is told of the layer in every order, also of a part of it."""
    found = []
    for sort in SORTS:
        query = Query(limit=7, sort=sort)
        found.append(list(pages(reading, query)))
        found.append(list(pages(reading, replace(query, equals=(("levels", 3),)))))
        found.append(list(pages(reading, replace(query, bbox=(25.0, 60.0, 25.1, 60.05)))))
    return found


@pytest.mark.parametrize(
    "changed",
    [
        "fid % 10 = 0",  # some, all over
        "fid <= 390",  # nearly all: those that come first are others now
        "levels IS NULL OR levels < 6",
    ],
)
def test_sorted_pages_are_as_they_were(
    store: Store, hand: Hand, changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(store, spec(), town())
    seq, then = store.seq(), asked(store)
    table = hand.table("buildings")
    with hand.transaction():
        hand.run(f"UPDATE {table} SET name = 'a', height_m = -1, levels = -1, listed = NULL WHERE {changed}")
        hand.run(f"DELETE FROM {table} WHERE fid % 20 = 0")
    past = store.as_of(seq)
    assert asked(store) != then
    assert asked(past) == then
    assert asked(past) == then  # once it is put together, too
    if isinstance(past, PostgisPast):  # as in a layer of more features than are gathered
        past._few = 50
        for spare in (100, 0):  # the first of each are enough, or too few
            monkeypatch.setattr(page, "_SPARE", spare)
            assert rows(asked(past)) == rows(then)


def rows(found: list[list[FeaturePage]]) -> list[list[tuple[bytes, Cursor | None]]]:
    """Pages without their counts, which are left out of many."""
    return [[(one.features, one.next_after) for one in pages] for pages in found]
