"""POST and DELETE, and their refusals: what every store must do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import shapely

from layers.batch import MESH
from layers.errors import BadBody, Exists, NotFound, Stale
from layers.model import Author
from layers.store.base import Store
from layers.types import Field
from tests.storing import FIELDS, fids, grid, load, one, row, signed, spec, square, tetrahedron


def body(lon: float = 24, **properties: Any) -> dict[str, Any]:
    shape = dict(shapely.geometry.mapping(square(lon, 59)))
    return {"type": "Feature", "geometry": shape, "properties": properties}


def test_post(store: Store) -> None:
    load(store, spec(), grid(3))
    before = store.seq()
    fid, revision = store.create("buildings", body(name="新", levels=3, source_id="mine"))
    assert fid == 4
    assert revision == store.seq() == store.revision("buildings", 4) == store.item("buildings", 4).revision
    assert revision > before
    made = one(store, fid)
    expected = dict.fromkeys(f.name for f in FIELDS) | {"name": "新", "levels": 3, "source_id": "mine"}
    assert made["properties"] == expected
    assert shapely.geometry.shape(made["geometry"]).equals(square(24, 59))
    (change,) = store.changes(before)
    assert (change.fid, change.old, change.new) == (4, None, pytest.approx((24, 59, 24.001, 59.001)))
    assert fids(store, bbox=(23.9, 58.9, 24.1, 59.1)) == [4]
    assert store.layer("buildings").count == 4


def test_an_id_in_the_body_says_nothing(store: Store) -> None:
    load(store, spec(), grid(2))
    assert store.create("buildings", body() | {"id": 1})[0] == 3
    assert store.create("buildings", body() | {"id": "way/7"})[0] == 4
    assert one(store, 4)["properties"]["source_id"] is None


def test_a_feature_may_have_no_place(store: Store) -> None:
    load(store, spec(), grid(2))
    fid, _ = store.create("buildings", body() | {"geometry": None, "properties": None})
    assert one(store, fid)["geometry"] is None
    assert fids(store) == [1, 2, fid]
    assert fids(store, bbox=(24.9, 59.9, 25.001, 60.001)) == [1, fid]
    assert fids(store, bbox=(-180, -90, 180, 90)) == [1, 2, fid]
    assert store.layer("buildings").count == 3


def test_bad_post(store: Store) -> None:
    coded = Field("state", "string", codes={"open": {"en": "Open"}, "shut": {"en": "Shut"}})
    load(store, spec(fields=(*FIELDS, coded)), grid(2))
    seq = store.seq()
    for missing in ("type", "geometry", "properties"):
        with pytest.raises(BadBody, match=missing):
            store.create("buildings", {k: v for k, v in body().items() if k != missing})
    with pytest.raises(BadBody, match="open, shut"):
        store.create("buildings", body(state="ajar"))
    place = {"type": "Point", "coordinates": [1, 1]}
    with pytest.raises(BadBody) as raised:
        store.create("buildings", body(nosuch=1, levels="x", built="today") | {"geometry": place})
    assert all(word in str(raised.value) for word in ("geometry", "nosuch", "levels", "built"))
    with pytest.raises(Exists):
        store.create("buildings", body(source_id="b1"))
    with pytest.raises(NotFound):
        store.create("nosuch", body())
    assert (store.seq(), store.layer("buildings").count) == (seq, 2)
    assert store.create("buildings", body(state="shut"))[0] == 3


def test_delete(store: Store) -> None:
    rows = grid(3)
    rows[1][MESH] = tetrahedron(25.01, 60).to_bytes()
    load(store, spec(), rows)
    before = store.seq()
    number = store.delete("buildings", 2)
    assert number == store.seq() > before
    (change,) = store.changes(before)
    assert (change.fid, change.new) == (2, None)
    assert change.old == pytest.approx((25.01, 60, 25.011, 60.001))
    for call in (store.item, store.revision, store.delete):
        with pytest.raises(NotFound):
            call("buildings", 2)
    assert fids(store) == fids(store, bbox=(-180, -90, 180, 90)) == [1, 3]
    assert store.layer("buildings").count == 2
    assert store.rows("buildings", meshes=True).meshes == {}


def test_delete_if_match(store: Store) -> None:
    load(store, spec(), grid(2))
    first = store.revision("buildings", 1)
    store.patch("buildings", 1, {"properties": {"levels": 5}})
    with pytest.raises(Stale):
        store.delete("buildings", 1, first)
    store.delete("buildings", 1, store.revision("buildings", 1))
    with pytest.raises(NotFound):
        store.delete("buildings", 99, first)


def test_ids_of_deleted_features_are_never_used_again(opener: Callable[[], Store]) -> None:
    store = opener()
    load(store, spec(), grid(2))
    fid, _ = store.create("buildings", body())
    store.delete("buildings", fid)
    assert store.create("buildings", body())[0] == fid + 1
    store.delete("buildings", fid + 1)
    store.close()
    store = opener()
    assert store.create("buildings", body())[0] == fid + 2
    assert load(store, spec(), [*grid(2), row("new", square(20, 50))]).created == 1
    assert fids(store) == [1, 2, fid + 3]
    store.close()


def test_who_made_and_who_removed_is_kept(store: Store) -> None:
    load(store, spec(), grid(1))
    fid, made = store.create("buildings", body(), by=Author(actor="planner"))
    gone = store.delete("buildings", fid, made, by=Author(actor="duty"))
    assert signed(store, "buildings", fid) == [(gone, "duty"), (made, "planner")]
    assert signed(store, "buildings", 1) == []
