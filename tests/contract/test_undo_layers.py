"""Taking back what became of a layer as a whole: a load that made it, its drop, a load of other fields or of
very many features; alike over both stores."""

from __future__ import annotations

from typing import Any

import pytest

from layers import undo
from layers.batch import MESH, SOURCE_ID, WKB
from layers.errors import Conflict, Gone, NotFound
from layers.model import Author
from layers.store.base import FormSpec, Store
from layers.types import Field
from layers.undo import UndoPlan
from tests.storing import features, grid, load, row, spec, square, tetrahedron

ANNA, LI = Author(actor="anna"), Author(actor="李雷")
FIELDS = (
    Field("name", "string", {"en": "Name"}),
    Field("use", "string", codes={"a": {"en": "A"}}),
    Field("levels", "integer", unit="1"),
    Field("listed", "boolean"),
    Field("height", "number"),
    Field("built", "date"),
    Field("seen", "datetime"),
    Field("tags", "array"),
)
VALUES = {"height": 0.1 + 0.2, "built": "1999-03-02", "seen": "2026-11-29T12:00:00.123Z", "tags": '["a",1]'}
WHOLE = spec(
    fields=FIELDS, title={"en": "Houses", "zh-CN": "房屋"}, time_field="built", key=("name",), kind="building"
)


@pytest.fixture
def city(store: Store) -> Store:
    """Ten buildings of every type of field, three with a body, one without a place, one gone, and another
    layer that nothing happens to."""
    rows = [*(one | VALUES for one in grid(9)), row("digits", square(25.123456789012, 61), name="digits")]
    for number in range(3):
        rows[number][MESH] = tetrahedron(25, 60, 7 + number).to_bytes()
    load(store, WHOLE, rows)
    load(store, spec("other"), grid(2))
    store.delete("buildings", 4, by=ANNA)
    store.create("buildings", {"type": "Feature", "geometry": None, "properties": {"name": "nowhere"}}, by=LI)
    return store


def rows_of(store: Any, layer: str = "buildings") -> Any:
    """All that is read of a layer."""
    rows = store.rows(layer, meshes=True)
    meshes = {fid: mesh.to_bytes() for fid, mesh in rows.meshes.items()}
    return features(store, layer), list(rows.wkb), meshes


def said(store: Any, layer: str = "buildings") -> Any:
    """All that is said of a layer, but for how often it was loaded and changed."""
    one = store.feature_layer(layer)
    names = ("kind", "title", "fields", "geometry_type", "crs", "vertical_datum", "time_field")
    return {name: getattr(one, name) for name in (*names, "count", "edits")}


def whole(store: Store) -> Any:
    return rows_of(store), said(store), rows_of(store, "other")


def newest(store: Store) -> int:
    return store.change_sets(limit=1)[0].id


def take_back(store: Store, number: int | None = None, **more: bool) -> UndoPlan:
    plan = undo.of_set(store, newest(store) if number is None else number)
    seq = undo.apply(store, plan, ANNA, **more)
    made = store.change_sets(limit=1)[0]
    assert (made.last, made.via, made.actor) == (seq, "undo", "anna")
    assert plan.undone is not None
    assert made.undone == plan.undone.id
    return plan


def test_a_drop_and_the_undo_of_the_undo(city: Store) -> None:
    before, then = whole(city), city.seq()
    revision, generation = city.revision("buildings", 2), city.feature_layer("buildings").generation
    city.drop("buildings", LI)
    plan = take_back(city)
    assert plan.whole is not None
    assert (plan.whole.change, plan.whole.features, plan.steps) == ("added", 10, ())
    assert whole(city) == before
    assert city.revision("buildings", 2) > revision
    assert city.feature_layer("buildings").generation > generation
    assert rows_of(city.as_of(then)) == before[0]
    with pytest.raises(NotFound):
        city.as_of(then + 1).feature_layer("buildings")
    # numbers go on, edits are logged and kept
    fid, _ = city.create("buildings", {"type": "Feature", "geometry": None, "properties": {"name": "new"}})
    assert fid == 12
    city.delete("buildings", fid)
    city.patch("buildings", 2, {"properties": {"name": "edited"}}, by=LI)
    take_back(city)
    assert rows_of(city) == before[0]
    again = undo.of_set(city, newest(city) - 4)
    assert again.whole is not None
    assert again.whole.change == "removed"
    assert again.whole.conflict is not None
    assert again.whole.conflict.actor == "anna"


def test_the_load_that_made_a_layer_and_the_undo_of_the_undo(city: Store) -> None:
    load(
        city,
        spec("new", fields=FIELDS[:1]),
        [row(f"n{i}", square(25, 60 + i), name=f"n{i}") for i in range(3)],
    )
    made = newest(city)
    before = rows_of(city, "new"), said(city, "new")
    plan = take_back(city)
    assert plan.whole is not None
    assert (plan.whole.change, plan.whole.features) == ("removed", 3)
    assert [layer.id for layer in city.layers()] == ["buildings", "other"]
    with pytest.raises(Conflict, match="dropped since"):
        undo.of_set(city, made)
    plan = take_back(city)
    assert plan.whole is not None
    assert plan.whole.change == "added"
    assert (rows_of(city, "new"), said(city, "new")) == before
    take_back(city)
    load(city, spec("new"), grid(1))
    with pytest.raises(Conflict, match="made again"):
        undo.of_set(city, newest(city) - 1)
    with pytest.raises(Conflict, match="made again"):
        city.revert("new", city.change_sets(limit=2)[1].first - 1, unchanged_since=city.seq())


def test_a_load_of_other_fields(city: Store) -> None:
    before, then = whole(city), city.seq()
    other = (Field("name", "string"), Field("levels", "string"), Field("colour", "string"))
    rows = [
        {
            SOURCE_ID: one[SOURCE_ID],
            WKB: one[WKB],
            "name": "changed",
            "levels": "two",
            "colour": "red",
        }
        for one in grid(6)
    ]
    load(city, spec(fields=other, title={"en": "Blocks"}), rows)
    after, loaded = whole(city), newest(city)
    plan = take_back(city)
    assert plan.whole is not None
    assert (plan.whole.change, plan.lost) == ("reverted", {})
    assert whole(city) == before
    assert rows_of(city.as_of(then)) == before[0]
    made = city.change_sets(limit=1)[0]
    assert made.generation == city.feature_layer("buildings").generation
    take_back(city)
    assert whole(city) == after
    take_back(city)
    assert whole(city) == before
    # where somebody has changed features since, it is taken back feature by feature
    load(city, spec(fields=other), rows)
    city.patch("buildings", 2, {"properties": {"name": "kept"}}, by=LI)
    plan = undo.of_set(city, newest(city) - 1)
    assert plan.whole is None
    assert [step.change.fid for step in plan.conflicts] == [2]
    assert "listed" in plan.lost["buildings"]
    undo.apply(city, plan, ANNA, leave_out_conflicts=True)
    assert len(features(city)) == 10
    assert loaded < newest(city)


def test_a_load_of_more_features_than_are_taken_back_one_by_one(
    city: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undo, "MOST", 4)
    before = whole(city)
    rows = [*grid(6), row("new", square(26, 61), name="new")]
    rows[3] |= {"name": "mill", "levels": 9}
    load(city, WHOLE, [one | VALUES for one in rows])
    after = whole(city)
    plan = take_back(city)
    assert plan.whole is not None
    assert (plan.whole.change, plan.whole.features) == ("reverted", None)
    assert whole(city) == before
    take_back(city)
    assert whole(city) == after
    # a conflict is of the layer, and leaves out all of it
    number = newest(city)
    city.patch("buildings", 2, {"properties": {"name": "since"}}, by=LI)
    plan = undo.of_set(city, number)
    assert plan.whole is not None
    assert plan.whole.conflict is not None
    assert plan.whole.conflict.actor == "李雷"
    seq = city.seq()
    with pytest.raises(Conflict, match="changed since"):
        undo.apply(city, plan, ANNA)
    undo.apply(city, plan, ANNA, leave_out_conflicts=True)
    assert city.seq() == seq


def test_what_is_overtaken_or_not_kept_changes_nothing(city: Store) -> None:
    city.drop("other")
    plan = undo.of_set(city, newest(city))
    load(city, spec("other"), grid(1))
    seq = city.seq()
    with pytest.raises(Conflict):
        undo.apply(city, plan, ANNA)
    with pytest.raises(Conflict, match="meanwhile"):
        city.revert("buildings", 2, unchanged_since=city.change_sets(layer="buildings")[0].last - 1)
    with pytest.raises(NotFound):
        city.revert("never", 2, unchanged_since=seq)
    assert city.seq() == seq


def test_what_was_not_kept_is_not_made_up(opener: Any, database: Any, tmp_path: Any) -> None:
    from layers.store.history import Retention
    from layers.store.open import open_store

    store = open_store(tmp_path, database, history=Retention(layers={"buildings": 0}))
    try:
        load(store, spec(), grid(3))
        store.drop("buildings")
        with pytest.raises((Gone, Conflict)):
            undo.of_set(store, newest(store))
    finally:
        store.close()


def test_a_layer_of_another_form_is_not_taken_back(city: Store) -> None:
    city.record(FormSpec("air", "coverage", "imagery", {"en": "Air"}, "EPSG:4326"))
    recorded = newest(city)
    city.drop("air")
    for number in (recorded, recorded + 1):
        with pytest.raises(Conflict, match="air is a coverage"):
            undo.of_set(city, number)
    with pytest.raises(Conflict, match="another form"):
        city.revert("air", city.seq() - 1, unchanged_since=city.seq())
