"""A view narrowed by rights gives of either store only what is seen, by every verb."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import orjson
import pytest

from layers.batch import MESH
from layers.errors import NotAllowed, NotEditable, NotFound
from layers.model import Author, Operation
from layers.query import Query
from layers.store.base import Store
from layers.textures import Texture
from layers.types import Field
from tests.storing import features, grid, load, row, spec, square
from tests.textured import QUARTERS, box, image, textured
from tiles.service import Tiles
from twin.access.rights import WHOLE, Share
from twin.catalogue.changed import Asked, find
from twin.catalogue.narrow import NarrowedView
from twin.settings import parse

NAMES = ("name", "code", "built")
FIELDS = (Field("name", "string"), Field("code", "string"), Field("built", "date"))
WEST = 'S_INTERSECTS("geometry", BBOX(24.99, 59.99, 25.0455, 60.05))'


class Rules:
    """Nothing of one layer, the names in the west of another, all of the rest."""

    def class_of(self, name: str | None, may: object) -> str:
        return "guest"

    def share(self, rights: str, layer: Any) -> Share | None:
        return {"secret": None, "buildings": Share(frozenset({"name"}), WEST)}.get(layer.id, WHOLE)


@pytest.fixture
def view(store: Store) -> NarrowedView:
    rows = [
        {name: value for name, value in one.items() if name != "levels"}
        for one in grid(20, code="c7", built="1999-03-02")
    ]
    load(store, spec(fields=FIELDS, time_field="built"), rows)
    load(store, spec("secret"), grid(2))
    load(store, spec("open"), grid(2))
    return NarrowedView(store, parse(""), cast(Callable[..., Any], None), "guest", Rules())


def number(store: Store, name: str) -> int:
    """The id of the building of that name."""
    return next(int(one["id"]) for one in features(store) if one["properties"]["name"] == name)


def test_layers_fields_counts_and_extent_are_those_of_what_is_seen(view):
    assert [layer.id for layer in view.layers()] == ["buildings", "open"]
    layer = view.layer("buildings")
    assert [field.name for field in layer.fields] == ["source_id", "name"]
    assert (layer.count, layer.edits, layer.time_field) == (10, (), None)
    assert layer.extent is not None
    assert layer.extent[2] <= 25.0455
    with pytest.raises(NotFound):
        view.layer("secret")


def test_every_reading_gives_only_what_is_seen(view, store):
    everything = Query(limit=100)
    page = view.items("buildings", everything)
    assert (page.returned, page.matched) == (10, 10)
    for one in orjson.loads(b"[" + page.features + b"]"):
        assert set(one["properties"]) == {"source_id", "name"}
    assert len(view.select("buildings", everything).rows.fids) == 10
    assert view.count("buildings", everything, 100) == 10
    batches = list(view.scan("buildings", Query(limit=None)))
    assert sum(len(rows.fids) for rows in batches) == 10
    assert all(set(rows.properties) == {"source_id", "name"} for rows in batches)
    rows = view.rows("buildings")
    assert len(rows.fids) == 10
    assert set(rows.properties) == {"source_id", "name"}
    both = [number(store, "house 0"), number(store, "house 7")]
    assert np.array_equal(view.rows("buildings", both).fids, both[:1])
    assert view.interval("buildings") == (None, None)


def test_words_and_times_do_not_ask_hidden_fields(view, store):
    assert store.items("buildings", Query(words=("c7",))).returned == 20
    assert view.items("buildings", Query(words=("c7",))).returned == 0
    later = Query(datetime=("2001-01-01", None))
    assert store.items("buildings", later).returned == 0
    assert view.items("buildings", later).returned == 10


def test_a_feature_outside_is_one_that_is_not_there(view, store):
    near, far = number(store, "house 0"), number(store, "house 7")
    item = view.item("buildings", near)
    assert item.revision == store.revision("buildings", near) == view.revision("buildings", near)
    assert set(orjson.loads(item.body)["properties"]) == {"source_id", "name"}
    for ask in (view.item, view.revision):
        with pytest.raises(NotFound):
            ask("buildings", far)
        with pytest.raises(NotFound):
            ask("secret", 1)


def test_changes_are_those_of_what_is_seen(view, store):
    since = store.seq()
    for layer, fid in (("secret", 1), ("buildings", number(store, "house 7"))):
        store.patch(layer, fid, {"properties": {"name": "other"}})
    assert view.changes(since) == []
    near = number(store, "house 0")
    store.patch("buildings", near, {"properties": {"name": "other"}})
    assert [(one.layer, one.fid) for one in view.changes(since)] == [("buildings", near)]


def test_a_part_is_not_edited_and_a_whole_layer_is(view, store):
    near = number(store, "house 0")
    patch = {"properties": {"name": "other"}}
    for layer in ("buildings", "secret"):
        with pytest.raises((NotEditable, NotFound)):
            view.patch(layer, near, patch, None, Author(actor="guest"))
    assert view.patch("open", 1, patch, None, Author(actor="guest")) == store.revision("open", 1)
    made = view.versions("open", 1)[0].set
    assert made is not None
    assert made.actor == "guest"


def test_what_was_is_seen_as_what_is(view, store):
    near, far = number(store, "house 0"), number(store, "house 7")
    before = view.which(f"@{store.seq()}")
    for fid, name in ((near, "near"), (far, "far")):
        store.patch("buildings", fid, {"properties": {"name": name, "code": "x9"}})
    store.patch("secret", 1, {"properties": {"name": "told"}})
    moved = orjson.loads(store.item("buildings", far).body)
    moved["geometry"] = orjson.loads(store.item("buildings", near).body)["geometry"]
    store.replace("buildings", far, moved)  # into what is seen
    now = view.at(view.which(f"@{store.seq()}"))
    then = view.at(before)
    for one, name, count in ((then, "house 0", 10), (now, "near", 11), (view, "near", 11)):
        assert [layer.id for layer in one.layers()] == ["buildings", "open"]
        assert one.layer("buildings").count == count
        (found,) = orjson.loads(b"[%s]" % one.items("buildings", Query(equals=(("name", name),))).features)
        assert found["id"] == near
        assert found["properties"].keys() == {"source_id", "name"}
        with pytest.raises(NotFound):
            one.layer("secret")
        with pytest.raises(NotFound):
            one.item("secret", 1)
    assert then.epoch == view.epoch != store.epoch
    assert then.key != now.key != view.key
    with pytest.raises(NotFound):
        then.item("buildings", far)
    assert now.item("buildings", far).fid == far
    assert set(then.rows("buildings").fids.tolist()) | {far} == set(now.rows("buildings").fids.tolist())
    # a version may be one that was not to be seen
    with pytest.raises(NotAllowed):
        view.versions("buildings", near)
    with pytest.raises(NotFound):
        view.versions("secret", 1)
    with pytest.raises(NotEditable):
        then.patch("open", 1, {"properties": {"name": "x"}}, None, Author(actor="guest"))


def test_what_changed_is_told_of_what_is_seen(view, store):
    near, far, first = (number(store, name) for name in ("house 0", "house 7", "house 1"))
    before = view.which(f"@{store.seq()}")
    store.patch("buildings", near, {"properties": {"name": "near", "code": "x9"}})
    store.patch("buildings", first, {"properties": {"code": "x9"}})
    store.patch("buildings", far, {"properties": {"name": "far"}})
    store.patch("secret", 1, {"properties": {"name": "told"}})
    store.patch("open", 1, {"properties": {"name": "said"}})
    moved = orjson.loads(store.item("buildings", far).body)
    moved["geometry"] = orjson.loads(store.item("buildings", near).body)["geometry"]
    store.replace("buildings", far, moved)  # into what is seen
    found = find(view, Asked(first=before, last=view.which(f"@{store.seq()}")))
    told = {(one.layer, one.fid): (one.kind, dict(one.fields), one.set) for one in found.changes}
    assert set(told) == {("buildings", near), ("buildings", far), ("open", 1)}
    assert told["buildings", near] == ("changed", {"name": ("house 0", "near")}, None)
    assert told["buildings", far][0] == "added"
    assert told["buildings", far][1].keys() == {"source_id", "name"}
    assert told["open", 1][2] is not None
    assert found.counts is not None
    assert {layer: (c.added, c.changed) for layer, c in found.counts.items()} == {
        "buildings": (1, 1),
        "open": (0, 1),
    }
    # sets of a layer of which a part is seen, and of one that is not
    numbers = {one.first for one in view.change_sets()}
    assert not numbers & {before.seq + n for n in (1, 2, 3, 4, 6)}
    assert before.seq + 5 in numbers
    with pytest.raises(NotFound):
        view.change_set(store.change_sets(layer="secret")[0].id)
    with pytest.raises(NotFound):
        find(view, Asked(first=before, last=before, layers=["secret"]))


def test_a_rule_about_a_field_that_came_later_hides_what_was(view, store):
    rows = [one | {"level": 1} for one in grid(2)]
    before = view.which(f"@{store.seq()}")
    load(store, spec("open", fields=(*FIELDS, Field("level", "integer"))), rows)
    rules = cast(Any, view._rules)
    rules.share = lambda rights, layer: Share(None, "level = 1") if layer.id == "open" else None
    other = NarrowedView(store, parse(""), cast(Callable[..., Any], None), "other", rules)
    assert other.layer("open").count == 2
    then = other.at(before)
    assert then.layers() == []
    with pytest.raises(NotFound):
        then.items("open", Query())


def test_transactions_edit_only_layers_that_are_seen_whole(view, store):
    def delete(layer: str) -> Operation:
        return Operation(kind="delete", layer=layer, fid=1)

    operations = [delete("open"), delete("buildings"), delete("secret"), NotFound("before")]
    refused = [type(None), NotEditable, NotFound, NotFound]
    for atomic, left in ((True, [1, 2]), (False, [2])):
        outcomes = view.transact(operations, Author(), atomic=atomic)
        assert [type(one.error) for one in outcomes] == refused
        assert "secret" in str(outcomes[2].error)
        assert [one["id"] for one in features(store, "open")] == left
    assert len(features(store, "secret")) == 2


def test_only_what_may_be_edited_is_taken_back(view, store):
    anna = Author(actor="anna")
    begin = store.seq()
    edits = [
        Operation(kind="patch", layer=layer, fid=1, body={"properties": {"name": "wrong"}})
        for layer in ("buildings", "open", "secret")
    ]
    store.transact(edits, anna)
    of_all = store.change_sets(limit=1)[0].id
    plan = view.undo_of_set(of_all)
    assert [step.change.layer for step in plan.steps] == ["open"]
    assert list(plan.left_out) == ["buildings"]  # of what is not seen nothing is told
    with pytest.raises(NotEditable):
        view.undo(plan, anna, leave_out_conflicts=False)
    for some in (
        view.undo_of_actor("anna", begin, store.seq()),
        view.undo_of_area((24.0, 59.0, 26.0, 61.0), begin, store.seq()),
    ):
        assert [step.change.layer for step in some.steps] == ["open"]
        assert list(some.left_out) == ["buildings"]
    made = view.undo(plan, anna, leave_out_conflicts=True)
    assert (made.via, made.undone) == ("undo", of_all)
    names = {layer: features(store, layer)[0]["properties"]["name"] for layer in ("buildings", "open")}
    assert names == {"buildings": "wrong", "open": "house 0"}
    with pytest.raises(NotFound):
        view.undo_of_feature("secret", 1, begin)
    with pytest.raises(NotEditable):
        view.undo_of_feature("buildings", 1, begin)
    with pytest.raises(NotFound):
        view.undo_of_area((24.0, 59.0, 26.0, 61.0), begin, store.seq(), ["secret"])
    store.patch("secret", 1, {"properties": {"name": "again"}})
    with pytest.raises(NotFound):
        view.undo_of_set(store.change_sets(limit=1)[0].id)
    assert view.undo(view.undo_of_feature("open", 1, begin), anna, leave_out_conflicts=False) is None


def test_an_image_is_seen_with_a_feature_that_shows_it(store):
    """One that bodies elsewhere alone have is not given, whoever knows its name."""
    near, far = (Texture.of(image(colours), "image/png") for colours in (QUARTERS, QUARTERS[::-1]))
    rows = [
        row("near", square(25, 60), name="a", **{MESH: textured(box(25, 60), near.sha).to_bytes()}),
        row("far", square(26, 60), name="b", **{MESH: textured(box(26, 60), far.sha).to_bytes()}),
    ]
    load(store, spec("buildings", fields=FIELDS), rows, textures=(near, far))
    view = NarrowedView(store, parse(""), cast(Callable[..., Any], None), "guest", Rules())
    assert view.texture("buildings", near.sha) == near
    assert view.texture_types("buildings", [near.sha]) == {near.sha: "image/png"}
    with pytest.raises(NotFound):
        view.texture("buildings", far.sha)
    with pytest.raises(NotFound):
        view.texture("secret", near.sha)
    with pytest.raises(NotFound):
        view.texture_types("secret", [near.sha])


def test_images_of_one_moment_are_looked_up_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked of others between: each look reads every body that is seen."""
    one, other = (Texture.of(image(colours), "image/png") for colours in (QUARTERS, QUARTERS[::-1]))
    for texture in (one, other):
        body = textured(box(25, 60), texture.sha).to_bytes()
        rows = [row("a", square(25, 60), name="a", **{MESH: body})]
        load(store, spec("buildings", fields=FIELDS), rows, textures=[texture])
    view = NarrowedView(store, parse(""), cast(Callable[..., Any], None), "guest", Rules())
    then = view.then(f"@{store.seq() - 1}")
    looks: list[str] = []
    visible = NarrowedView._visible

    def counted(self: NarrowedView, layer_id: str, fids: Any) -> list[int] | None:
        looks.append(layer_id)
        return visible(self, layer_id, fids)

    monkeypatch.setattr(NarrowedView, "_visible", counted)
    for _ in range(3):
        assert view.texture("buildings", other.sha) == other
        assert then.texture("buildings", one.sha) == one
        for seen, hidden in ((view, one), (then, other)):
            with pytest.raises(NotFound):
                seen.texture("buildings", hidden.sha)
    assert len(looks) == 2


def test_columns_of_what_a_class_sees_are_its_own_and_patched_as_all_are(view, store, tmp_path):
    tiles = Tiles(view, tmp_path / "guest")
    tiles.prepare("buildings")
    columns = tiles._columns._columns["buildings"]
    assert (len(tiles._snapshot("buildings").fids), columns.builds) == (10, 1)
    near, far = number(store, "house 0"), number(store, "house 7")
    store.patch("buildings", near, {"properties": {"name": "renamed"}})
    store.patch("buildings", far, {"properties": {"name": "hidden"}})
    store.delete("buildings", number(store, "house 1"))
    tiles.freshness.update()
    names = tiles._snapshot("buildings").window((0.0, 0.0, 1.0, 1.0)).texts("name")
    assert len(names) == 9
    assert "renamed" in names
    assert "hidden" not in names
    assert (columns.builds, tiles.behind()) == (1, ["open"])
    again = Tiles(view, tmp_path / "guest")
    assert len(again._snapshot("buildings").fids) == 9
    assert again._columns._columns["buildings"].builds == 0
