"""The versions of features of layers that went and came again, and of those that changed often."""

from __future__ import annotations

import pytest

from layers.errors import NotFound
from layers.model import Author, Version
from layers.store.base import Store
from tests.storing import fids, grid, load, spec

LAYER = "buildings"


def every(store: Store, fid: int, size: int) -> list[Version]:
    """All versions of a feature, asked for in pages; an endless one fails."""
    found: list[Version] = []
    before: int | None = None
    while page := store.versions(LAYER, fid, before=before, limit=size):
        assert before is None or page[0].since < before
        found += page
        before = page[-1].since
    return found


def test_a_layer_that_came_again_has_both_its_lives(store: Store) -> None:
    load(store, spec(), grid(1))
    (fid,) = fids(store, LAYER)
    first = store.seq()
    store.patch(LAYER, fid, {"properties": {"name": "changed"}}, by=Author(actor="ann"))
    store.drop(LAYER)
    gone = store.seq()
    load(store, spec(), grid(1))
    for size in (1, 2, 100):
        lives = every(store, fid, size)
        assert [(one.since, one.there) for one in lives if one.there] == [(first + 1, True), (first, True)]
        assert all(one.until is None or one.until > one.since for one in lives)
    assert lives[-1].set is not None
    assert lives[-1].set.last == first
    earliest = store.earliest(LAYER, fid)
    assert earliest is not None
    assert (earliest.since, earliest.until) == (first, first + 1)
    (again,) = fids(store, LAYER)
    assert again != fid
    there = store.earliest(LAYER, again)
    assert there is not None
    assert there.until is None
    assert there.since > gone


def test_the_earliest_version_is_found_among_many(store: Store) -> None:
    load(store, spec(), grid(2))
    fid, other = fids(store, LAYER)
    first = store.seq()
    for number in range(30):
        store.patch(LAYER, fid, {"properties": {"levels": number}})
    earliest = store.earliest(LAYER, fid)
    assert earliest == every(store, fid, 7)[-1]
    assert earliest is not None
    assert (earliest.since, earliest.until) == (first, first + 1)
    untouched = store.earliest(LAYER, other)
    assert untouched is not None
    assert untouched.until is None
    with pytest.raises(NotFound):
        store.earliest(LAYER, 99)
