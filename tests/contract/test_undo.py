"""Taking back: a change set, or what became of a feature; alike over both stores."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from layers import undo
from layers.batch import MESH
from layers.errors import Conflict, NotFound
from layers.model import Author
from layers.store.base import Store
from layers.types import Field
from tests.storing import FIELDS, features, grid, load, row, spec, square, tetrahedron

ANNA, LI = Author(actor="anna", message="moved"), Author(actor="李雷")
MOVED = {"type": "Polygon", "coordinates": [[[30, 60], [30.001, 60], [30.001, 60.001], [30, 60]]]}


def everything(store: Store, layer: str = "buildings") -> Any:
    """All that is read of a layer, but for its revisions."""
    rows = store.rows(layer, meshes=True)
    meshes = {fid: mesh.to_bytes() for fid, mesh in rows.meshes.items()}
    return features(store, layer), list(rows.wkb), meshes


def newest(store: Store) -> int:
    return store.change_sets(limit=1)[0].id


@pytest.fixture
def city(store: Store) -> Store:
    """Ten buildings, three of them with a body, one of digits that GeoJSON does not show."""
    rows = [*grid(9), row("digits", square(25.123456789012, 61), name="digits")]
    for number in range(3):
        rows[number][MESH] = tetrahedron(25, 60, 7 + number).to_bytes()
    load(store, spec(), rows)
    return store


def test_an_edit(city: Store) -> None:
    before = everything(city)
    city.patch("buildings", 2, {"properties": {"name": "hall", "levels": None}, "geometry": MOVED}, by=ANNA)
    plan = undo.of_set(city, newest(city))
    (step,) = plan.steps
    assert step.change.fields == {"name": ("hall", "house 1"), "levels": (None, 1)}
    assert step.change.geometry_changed
    assert step.change.mesh_changed
    assert plan.conflicts == []
    seq = undo.apply(city, plan, LI)
    assert everything(city) == before
    made = city.change_sets(limit=1)[0]
    assert (made.last, made.via, made.actor, made.undone) == (seq, "undo", "李雷", made.id - 1)
    assert [version.there for version in city.versions("buildings", 2)] == [True, True, True]


def test_a_deletion_brings_the_feature_back_with_its_id(city: Store) -> None:
    before = everything(city)
    city.delete("buildings", 1, by=ANNA)
    city.delete("buildings", 10, by=ANNA)
    first = newest(city) - 1
    undo.apply(city, undo.of_set(city, first), ANNA)
    undo.apply(city, undo.of_set(city, first + 1), ANNA)
    assert everything(city) == before
    # a new one gets a number of its own
    fid, _ = city.create("buildings", {"type": "Feature", "geometry": MOVED, "properties": {}})
    assert fid == 11


def test_a_creation_and_the_undo_of_the_undo(city: Store) -> None:
    before = everything(city)
    city.create("buildings", {"type": "Feature", "geometry": MOVED, "properties": {"name": "new"}}, by=ANNA)
    after = everything(city)
    undo.apply(city, undo.of_set(city, newest(city)), ANNA)
    assert everything(city) == before
    undo.apply(city, undo.of_set(city, newest(city)), ANNA)
    assert everything(city) == after
    undo.apply(city, undo.of_set(city, newest(city)), ANNA)
    assert everything(city) == before


def test_a_load(city: Store) -> None:
    before = everything(city)
    rows = [*grid(6), row("new", square(26, 61), name="new")]
    rows[3] |= {"name": "mill", "levels": 9}
    load(city, spec(), rows)
    plan = undo.of_set(city, newest(city))
    assert sorted(step.change.kind for step in plan.steps) == ["added"] * 4 + ["changed"] * 4 + ["removed"]
    undo.apply(city, plan, ANNA)
    assert everything(city) == before


def test_who_changed_it_since_is_told_and_can_be_left_out(city: Store) -> None:
    rows = [*grid(10, listed=True)]
    load(city, spec(), rows)
    number = newest(city)
    city.patch("buildings", 4, {"properties": {"name": "kept"}}, by=LI)
    plan = undo.of_set(city, number)
    (conflict,) = plan.conflicts
    assert conflict.change.fid == 4
    assert conflict.conflict is not None
    assert conflict.conflict.actor == "李雷"
    seq = city.seq()
    with pytest.raises(Conflict, match="1 of"):
        undo.apply(city, plan, ANNA)
    assert city.seq() == seq
    undo.apply(city, plan, ANNA, leave_out_conflicts=True)
    by_id = {one["id"]: one["properties"] for one in features(city)}
    assert (by_id[4]["name"], by_id[4]["listed"]) == ("kept", True)
    assert by_id[5]["listed"] is None


def test_a_plan_that_is_out_of_date_changes_nothing(city: Store) -> None:
    city.patch("buildings", 4, {"properties": {"name": "one"}}, by=ANNA)
    city.patch("buildings", 5, {"properties": {"name": "two"}}, by=ANNA)
    plan = undo.of_set(city, newest(city))
    city.patch("buildings", 5, {"properties": {"name": "three"}}, by=LI)
    before = everything(city)
    with pytest.raises(Conflict, match="meanwhile"):
        undo.apply(city, plan, ANNA)
    assert everything(city) == before


def test_a_feature_to_what_it_was(city: Store) -> None:
    seq, before = city.seq(), everything(city)
    for name in ("one", "two", "three"):
        city.patch("buildings", 3, {"properties": {"name": name}}, by=LI)
    city.patch("buildings", 4, {"properties": {"name": "other"}}, by=LI)
    city.delete("buildings", 3, by=ANNA)
    plan = undo.of_feature(city, "buildings", 3, seq + 2)
    assert [step.change.kind for step in plan.steps] == ["added"]
    undo.apply(city, plan, ANNA)
    item = json.loads(city.item("buildings", 3).body)
    assert item["properties"]["name"] == "two"
    undo.apply(city, undo.of_feature(city, "buildings", 3, seq), ANNA)
    undo.apply(city, undo.of_feature(city, "buildings", 4, seq), ANNA)
    assert everything(city) == before
    assert undo.of_feature(city, "buildings", 3, seq).steps == ()
    with pytest.raises(NotFound):
        undo.of_feature(city, "buildings", 999, seq)


def test_one_persons_edits_in_a_window_and_an_area(city: Store) -> None:
    city.patch("buildings", 1, {"properties": {"name": "before"}}, by=ANNA)
    begin, before = city.seq(), everything(city)
    city.patch("buildings", 2, {"properties": {"name": "one"}}, by=ANNA)
    city.patch("buildings", 2, {"properties": {"name": "two"}}, by=ANNA)
    city.patch("buildings", 3, {"geometry": MOVED}, by=ANNA)
    city.delete("buildings", 4, by=ANNA)
    made, _ = city.create("buildings", {"type": "Feature", "geometry": MOVED, "properties": {}}, by=ANNA)
    last = city.seq()
    whole = undo.of_actor(city, "anna", begin, last)
    kinds = [(step.change.fid, step.change.kind) for step in sorted(whole.steps, key=lambda s: s.change.fid)]
    assert kinds == [(2, "changed"), (3, "changed"), (4, "added"), (made, "removed")]
    area = undo.of_actor(city, "anna", begin, last, (29.9, 59.9, 30.1, 60.1))
    assert {step.change.fid for step in area.steps} == {3, made}
    assert undo.of_actor(city, "李雷", begin, last).steps == ()
    undo.apply(city, whole, LI)
    assert everything(city) == before
    # another changed one of them in between, and anna one after the window
    begin = city.seq()
    city.patch("buildings", 5, {"properties": {"name": "anna"}}, by=ANNA)
    city.patch("buildings", 5, {"properties": {"levels": 7}}, by=LI)
    city.patch("buildings", 6, {"properties": {"name": "anna"}}, by=ANNA)
    end = city.seq()
    city.patch("buildings", 6, {"properties": {"name": "later"}}, by=ANNA)
    plan = undo.of_actor(city, "anna", begin, end)
    told = {step.change.fid: step.conflict and step.conflict.actor for step in plan.steps}
    assert told == {5: "李雷", 6: "anna"}


def test_what_was_before_a_persons_edits_where_others_came_between(city: Store) -> None:
    """A feature is what it was before the first of these edits, not at the beginning of the window."""
    begin = city.seq()
    city.patch("buildings", 1, {"properties": {"name": "li"}}, by=LI)  # before hers
    city.patch("buildings", 1, {"properties": {"levels": 70}}, by=ANNA)
    city.patch("buildings", 2, {"properties": {"name": "anna"}}, by=ANNA)
    city.patch("buildings", 2, {"properties": {"levels": 71}}, by=LI)  # between two of hers
    city.patch("buildings", 2, {"properties": {"name": "anna again"}}, by=ANNA)
    rows = [*grid(9, storeys="many"), row("digits", square(25.123456789012, 61), name="digits")]
    load(city, spec(fields=(*FIELDS, Field("storeys", "string"))), rows)  # puts 1 and 2 as they were
    loaded = newest(city)
    city.patch("buildings", 3, {"properties": {"storeys": "few"}}, by=ANNA)  # a field of since the beginning
    city.patch("buildings", 4, {"properties": {"name": "only anna"}}, by=ANNA)
    end = city.seq()
    plan = undo.of_actor(city, "anna", begin, end)
    told = {step.change.fid: (step.change.fields, step.conflict and step.conflict.id) for step in plan.steps}
    assert told[3] == ({"storeys": ("few", "many")}, None)
    assert told[4] == ({"name": ("only anna", "house 3")}, None)
    assert told[1][1] == told[2][1] == loaded
    undo.apply(city, plan, LI, leave_out_conflicts=True)
    assert [f["properties"]["storeys"] for f in features(city)][2:4] == ["many", "many"]


def test_a_source_id_that_another_feature_has_by_now(city: Store) -> None:
    city.delete("buildings", 3, by=ANNA)
    number = newest(city)
    city.create("buildings", {"type": "Feature", "geometry": MOVED, "properties": {"source_id": "b2"}}, by=LI)
    seq = city.seq()
    with pytest.raises(Conflict, match="source id"):
        undo.apply(city, undo.of_set(city, number), ANNA)
    assert city.seq() == seq
    assert city.item("buildings", 11).fid == 11


def test_what_was_done_to_a_layer_that_is_gone(city: Store) -> None:
    load(city, spec("other"), grid(2))
    city.patch("other", 1, {"properties": {"name": "x"}})
    number = newest(city)
    city.drop("other")
    for one in (number - 1, number):
        with pytest.raises(Conflict, match="was dropped"):
            undo.of_set(city, one)
    with pytest.raises(NotFound):
        undo.of_set(city, 10**6)


def test_fields_that_have_gone_are_told(city: Store) -> None:
    city.patch("buildings", 3, {"properties": {"name": "one", "levels": 70}})
    number = newest(city)
    fields = tuple(f for f in spec().fields if f.name != "levels")
    rows = [{n: v for n, v in one.items() if n != "levels"} for one in grid(9)]
    rows[2]["name"] = "one"
    load(city, spec(fields=fields), rows)
    plan = undo.of_set(city, number)
    assert plan.lost == {"buildings": ("levels",)}
    undo.apply(city, plan, ANNA, leave_out_conflicts=True)


def test_a_thousand_features(city: Store) -> None:
    load(city, spec("many"), grid(1_000))
    before = everything(city, "many")
    load(city, spec("many"), [one | {"name": "wrong"} for one in grid(1_000)])
    plan = undo.of_set(city, newest(city))
    begun = time.process_time()
    undo.apply(city, plan, ANNA)
    print("undo of 1000:", time.process_time() - begun)
    assert everything(city, "many") == before


def test_an_area_whoever_did_it(city: Store) -> None:
    load(city, spec("other"), grid(3))
    begin, before = city.seq(), (everything(city), everything(city, "other"))
    city.patch("buildings", 2, {"properties": {"name": "one"}}, by=ANNA)
    city.patch("buildings", 3, {"geometry": MOVED}, by=LI)
    city.delete("buildings", 4, by=LI)
    city.patch("other", 1, {"geometry": MOVED}, by=ANNA)
    far, _ = city.create("other", {"type": "Feature", "geometry": MOVED, "properties": {}}, by=ANNA)
    until = city.seq()
    there, everywhere = (29.9, 59.9, 30.1, 60.1), (24.0, 59.0, 31.0, 62.0)
    area = undo.of_area(city, there, begin, until)
    assert {(s.change.layer, s.change.fid) for s in area.steps} == {
        ("buildings", 3),
        ("other", 1),
        ("other", far),
    }
    only = undo.of_area(city, there, begin, until, ["other"])
    assert {step.change.layer for step in only.steps} == {"other"}
    city.patch("buildings", 2, {"properties": {"name": "since"}}, by=LI)
    plan = undo.of_area(city, everywhere, begin, until)
    assert [step.conflict and step.conflict.actor for step in plan.conflicts] == ["李雷"]
    with pytest.raises(Conflict):
        undo.apply(city, plan, ANNA)
    plan = undo.of_area(city, everywhere, begin, city.seq())
    assert plan.conflicts == []
    undo.apply(city, plan, ANNA)
    assert (everything(city), everything(city, "other")) == before


def test_layers_that_came_or_went_since_are_left_out_of_an_area(city: Store) -> None:
    begin = city.seq()
    load(city, spec("new"), grid(2))
    city.patch("buildings", 2, {"properties": {"name": "one"}}, by=ANNA)
    everywhere = (24.0, 59.0, 31.0, 62.0)
    plan = undo.of_area(city, everywhere, begin, city.seq())
    assert [(step.change.layer, step.change.fid) for step in plan.steps] == [("buildings", 2)]
    assert list(plan.left_out) == ["new"]
    with pytest.raises(Conflict, match="new was made"):
        undo.of_area(city, everywhere, begin, city.seq(), ["buildings", "new"])
    with pytest.raises(NotFound, match="nowhere"):
        undo.of_area(city, everywhere, begin, city.seq(), ["nowhere"])
    undo.apply(city, plan, ANNA)
    assert {layer.id for layer in city.layers()} == {"buildings", "new"}


def test_a_plan_that_was_agreed_to_and_made_again(city: Store) -> None:
    city.patch("buildings", 4, {"properties": {"name": "one"}}, by=ANNA)
    number, agreed = newest(city), city.seq()
    city.patch("buildings", 5, {"properties": {"name": "other"}}, by=LI)
    again = undo.of_set(city, number)
    assert again.seq > agreed
    city.patch("buildings", 4, {"properties": {"name": "two"}}, by=LI)
    overtaken = undo.of_set(city, number)
    for leave_out in (False, True):
        with pytest.raises(Conflict, match="make it again"):
            undo.apply(city, overtaken, ANNA, leave_out_conflicts=leave_out, agreed=agreed)
    undo.apply(city, undo.of_feature(city, "buildings", 4, agreed), LI)
    undo.apply(city, undo.of_set(city, newest(city)), LI)
    assert json.loads(city.item("buildings", 4).body)["properties"]["name"] == "two"


def test_nothing_to_do_is_nobody_s_change(city: Store) -> None:
    city.patch("buildings", 1, {"properties": {"name": "z"}}, by=ANNA)
    number = city.change_sets(limit=1)[0].id
    city.patch("buildings", 1, {"properties": {"name": "house 0"}}, by=ANNA)
    plan = undo.of_set(city, number)
    city.patch("buildings", 2, {"properties": {"name": "other"}}, by=LI)
    assert plan.steps == ()
    assert undo.apply(city, plan, ANNA) == plan.seq < city.seq()
