"""What changed of a layer between two moments: the same over both stores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from layers.diff import Chosen, Counts, FeatureChange, Span, changes
from layers.errors import NotFound
from layers.load import run
from layers.model import Author, Report
from layers.source import Declared
from layers.store.base import Store
from tests.storing import grid, load, row, spec, square

ANNA, LI = Author(actor="anna", message="moved"), Author(actor="李雷")
MOVED = {"type": "Polygon", "coordinates": [[[30, 60], [30.001, 60], [30.001, 60.001], [30, 60]]]}


def between(
    store: Store, first: int, last: int, layer: str = "buildings", **asked: Any
) -> list[FeatureChange]:
    return list(changes(Span(store, store.as_of(first), store.as_of(last)), layer, Chosen(**asked)))


def kinds(found: list[FeatureChange]) -> dict[int, str]:
    return {change.fid: change.kind for change in found}


@pytest.fixture
def edited(store: Store) -> tuple[Store, int]:
    """Twenty buildings, edited by two; the number before that."""
    load(store, spec(), grid(20))
    begin = store.seq()
    store.patch("buildings", 3, {"properties": {"name": "hall", "levels": 7}}, by=ANNA)
    store.patch("buildings", 5, {"geometry": MOVED}, by=LI)
    store.delete("buildings", 8, by=ANNA)
    store.patch("buildings", 9, {"properties": {"name": "wrong"}}, by=LI)
    store.patch("buildings", 9, {"properties": {"name": "house 8"}}, by=LI)
    return store, begin


def test_what_was_and_what_is(edited: tuple[Store, int]) -> None:
    store, begin = edited
    found = between(store, begin, store.seq())
    assert kinds(found) == {3: "changed", 5: "changed", 8: "removed"}
    hall, moved, gone = found
    assert hall.fields == {"name": ("house 2", "hall"), "levels": (2, 7)}
    assert not hall.geometry_changed
    assert moved.fields == {}
    assert moved.geometry_changed
    assert moved.new is not None
    assert moved.new.box == (30, 60, 30.001, 60.001)
    assert gone.new is None
    assert gone.fields["name"] == ("house 7", None)
    assert hall.seq == begin + 1
    assert hall.set is not None
    assert (hall.set.actor, hall.set.message, hall.set.last) == ("anna", "moved", begin + 1)


def test_an_edit_that_was_taken_back_is_none(edited: tuple[Store, int]) -> None:
    store, begin = edited
    assert 9 not in kinds(between(store, begin, store.seq()))
    assert kinds(between(store, begin + 3, begin + 4)) == {9: "changed"}
    assert between(store, begin, begin) == []


def test_by_person_by_place_and_from_an_id_on(edited: tuple[Store, int]) -> None:
    store, begin = edited
    last = store.seq()
    assert list(kinds(between(store, begin, last, actor="anna"))) == [3, 8]
    assert list(kinds(between(store, begin, last, actor="李雷"))) == [5]
    assert between(store, begin, last, actor="nobody") == []
    assert list(kinds(between(store, begin, last, beyond=3))) == [5, 8]
    # where it went to, and where it came from
    assert list(kinds(between(store, begin, last, bbox=(29.9, 59.9, 30.1, 60.1)))) == [5]
    assert list(kinds(between(store, begin, last, bbox=(25.0395, 59.9, 25.0415, 60.1)))) == [5]
    assert list(kinds(between(store, begin, last, bbox=(170.0, 59.9, -150.0, 60.1)))) == []
    assert list(kinds(between(store, begin, last, bbox=(170.0, 59.9, 30.1, 60.1)))) == [3, 5, 8]


def test_a_load_and_its_counts(store: Store) -> None:
    load(store, spec(), grid(20))
    begin = store.seq()
    rows = grid(20)
    rows[4]["name"] = "mill"
    told = load(store, spec(), [*rows[1:], row("new", square(26, 61), name="new")])
    assert (told.created, told.updated, told.unchanged, told.deleted) == (1, 1, 18, 1)
    found = between(store, begin, store.seq())
    counts = Counts()
    for change in found:
        counts.add(change)
    assert (counts.added, counts.changed, counts.removed) == (1, 1, 1)
    assert counts.fields == {"name": 1}
    assert {change.set.generation for change in found if change.set} == {told.generation}


def test_a_layer_that_came_and_went(store: Store) -> None:
    begin = store.seq()
    load(store, spec(), grid(3))
    loaded = store.seq()
    assert kinds(between(store, begin, loaded)) == {1: "added", 2: "added", 3: "added"}
    store.patch("buildings", 2, {"properties": {"name": "hall"}}, by=ANNA)
    edited = store.seq()
    assert kinds(between(store, begin, edited)) == {1: "added", 2: "added", 3: "added"}
    store.drop("buildings")
    assert kinds(between(store, edited, store.seq())) == {1: "removed", 2: "removed", 3: "removed"}
    with pytest.raises(NotFound):
        between(store, begin, store.seq())


def test_a_feature_without_a_place(store: Store) -> None:
    load(store, spec(), grid(2))
    begin = store.seq()
    store.patch("buildings", 1, {"geometry": None})
    (lost,) = between(store, begin, store.seq())
    assert lost.geometry_changed
    assert lost.new is not None
    assert lost.new.wkb is None
    assert lost.new.box is None
    assert lost.new.values["name"] == "house 0"


def test_many_features_of_one_load(store: Store) -> None:
    """More than are compared, or asked for, at a time."""
    load(store, spec(), grid(1_300))
    begin = store.seq()
    load(store, spec(), [{**r, "levels": 1} for r in grid(1_300)])
    found = between(store, begin, store.seq())
    assert [change.fid for change in found] == [n for n in range(1, 1_301) if n != 2]
    assert all(list(change.fields) == ["levels"] for change in found)


def test_a_load_notes_what_it_changed(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "houses.geojson"

    def loaded(*houses: tuple[str, float, float]) -> Report:
        features = [
            {
                "type": "Feature",
                "properties": {"code": code, "height": height},
                "geometry": {"type": "Point", "coordinates": [lon, 60]},
            }
            for code, height, lon in houses
        ]
        source.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
        declared = Declared(kind="feature", id_field="code")
        return run(store, source, declared, layer_id="houses", mode="replace")

    first = loaded(("a", 1, 25), ("b", 2, 25), ("c", 3, 25))
    assert (first.set, first.changed) == (store.change_sets(limit=1)[0].id, {})
    second = loaded(("a", 1, 25), ("b", 7, 25), ("c", 8, 26), ("d", 4, 25))
    assert (second.set, second.changed) == (first.set + 1, {"geometry": 1, "height": 2})
    kept = store.report("houses")
    assert kept is not None
    assert Report.of(kept) == second
    again = loaded(("a", 1, 25), ("b", 7, 25), ("c", 8, 26), ("d", 4, 25))
    assert (again.set, again.changed) == (0, {})
