"""Many edits in one transaction: what every store must do."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
import shapely

from layers.errors import BadBody, Busy, Exists, KeyReused, NotAllowed, NotFound, Stale, TooLarge
from layers.model import Author, Once, Operation
from layers.store.base import Store
from tests.histories.foreign import Hand, SqliteHand
from tests.storing import fids, grid, kinds, load, one, spec, square


def body(lon: float = 24, **properties: Any) -> dict[str, Any]:
    geometry = shapely.geometry.mapping(square(lon, 59))
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def create(layer: str = "buildings", **properties: Any) -> Operation:
    return Operation(kind="create", layer=layer, body=body(**properties))


def patch(fid: int | None = None, layer: str = "buildings", **words: Any) -> Operation:
    named = {name: words.pop(name) for name in ("source_id", "if_match") if name in words}
    return Operation(kind="patch", layer=layer, fid=fid, body={"properties": words}, **named)


def delete(fid: int | None = None, layer: str = "buildings", **named: Any) -> Operation:
    return Operation(kind="delete", layer=layer, fid=fid, **named)


def state(store: Store) -> list[Any]:
    """All that a transaction may change."""
    return [store.seq()] + [
        (layer.id, layer.count, [(fid, one(store, fid, layer.id)) for fid in fids(store, layer.id)])
        for layer in store.feature_layers()
    ]


@pytest.fixture
def city(store: Store) -> Store:
    """Two layers of three features, b0 to b2."""
    load(store, spec(), grid(3))
    load(store, spec("sheds"), grid(3))
    return store


def test_edits_of_several_layers_are_one_transaction(city: Store) -> None:
    before = city.seq()
    operations = [
        create(name="new", source_id="n"),
        patch(1, layer="sheds", levels=7),
        Operation(kind="replace", layer="buildings", fid=2, body=body(23, name="whole")),
        delete(3),
        create("sheds", name="shed"),
    ]
    made = city.transact(operations, Author(actor="planner", message="the plan"))
    assert kinds(made) == [None] * 5
    assert [one.fid for one in made[1:4]] == [1, 2, 3]
    revisions = [one.revision for one in made]
    assert sorted(revisions) == list(range(before + 1, before + 6))
    assert city.seq() == before + 5
    assert fids(city) == [1, 2, made[0].fid]
    assert one(city, made[0].fid)["properties"]["name"] == "new"
    assert one(city, 1, "sheds")["properties"]["levels"] == 7
    assert one(city, 2)["properties"] | {"name": "whole", "source_id": "b1"} == one(city, 2)["properties"]
    assert one(city, made[4].fid, "sheds")["properties"]["name"] == "shed"
    for outcome, layer in ((made[0], "buildings"), (made[1], "sheds"), (made[2], "buildings")):
        assert city.revision(layer, outcome.fid) == outcome.revision
    [newest, *_] = city.change_sets(limit=2)
    assert (newest.first, newest.last, newest.layer) == (before + 1, before + 5, None)
    assert (newest.actor, newest.message, newest.via) == ("planner", "the plan", "api")
    assert city.versions("sheds", 1)[0].set == city.versions("buildings", 2)[0].set == newest


def test_what_is_wrong_undoes_all_and_is_told_at_once(city: Store) -> None:
    before = state(city)
    operations = [
        create(name="right"),
        patch(1, levels="seven"),
        patch(2, levels=5, if_match=city.revision("buildings", 2) + 9),
        patch(99, name="nobody"),
        create(source_id="b0"),
        delete(1, layer="nowhere"),
        delete(2, layer="sheds"),
        NotAllowed("refused before"),
    ]
    outcomes = city.transact(operations)
    refused = [None, BadBody, Stale, NotFound, Exists, NotFound, None, NotAllowed]
    assert kinds(outcomes) == refused
    assert {one.fid for one in outcomes} == {one.revision for one in outcomes} == {None}
    assert state(city) == before
    told = city.transact(operations, atomic=False)
    assert kinds(told) == refused
    assert (fids(city), fids(city, "sheds")) == ([1, 2, 3, told[0].fid], [1, 3])
    assert city.seq() == before[0] + 2
    assert one(city, 2)["properties"]["levels"] == 1


def test_where_all_is_wrong_nothing_is_written(city: Store) -> None:
    before = state(city)
    for atomic in (True, False):
        assert kinds(city.transact([delete(9), delete(8)], atomic=atomic)) == [NotFound, NotFound]
        assert kinds(city.transact([delete(9, "nowhere")], atomic=atomic)) == [NotFound]
        assert city.transact([], atomic=atomic) == []
    assert state(city) == before


def test_half_of_it_wrong(city: Store) -> None:
    operations = [create(source_id=f"n{i}") if i % 2 else delete(1000 + i) for i in range(40)]
    before = state(city)
    assert kinds(city.transact(operations)) == [NotFound, None] * 20
    assert state(city) == before
    outcomes = city.transact(operations, atomic=False)
    assert kinds(outcomes) == [NotFound, None] * 20
    assert fids(city) == [1, 2, 3, *(one.fid for one in outcomes if one.fid)]


def test_each_has_its_own_if_match_of_before_the_transaction(city: Store) -> None:
    read = city.revision("buildings", 1)
    twice = [patch(1, name="a", if_match=read), patch(1, levels=4, if_match=read), delete(2, if_match=read)]
    made = city.transact(twice)
    assert kinds(made) == [None, None, None]
    properties = one(city, 1)["properties"]
    assert (properties["name"], properties["levels"], fids(city)) == ("a", 4, [1, 3])
    assert made[0].revision == made[1].revision == city.revision("buildings", 1)
    assert kinds(city.transact([patch(1, name="b", if_match=read), patch(3, name="c")])) == [Stale, None]
    assert one(city, 3)["properties"]["name"] == "house 2"


def test_a_later_step_names_what_an_earlier_one_made(city: Store) -> None:
    made = city.transact(
        [create(source_id="n", name="a"), patch(source_id="n", levels=3), patch(source_id="b0", levels=4)]
    )
    assert kinds(made) == [None] * 3
    assert made[0].fid == made[1].fid
    assert made[2].fid == 1
    properties = one(city, made[0].fid)["properties"]
    assert (properties["name"], properties["levels"]) == ("a", 3)
    again = city.transact([delete(source_id="n"), create(source_id="n"), delete(source_id="n")])
    assert kinds(again) == [None] * 3
    assert fids(city) == [1, 2, 3]


def test_a_circle_is_told(city: Store) -> None:
    """Each of two names what the other gives."""
    before = state(city)
    circle = [patch(source_id="x", name="y"), create(source_id="y"), patch(source_id="y", name="x")]
    assert kinds(city.transact(circle)) == [NotFound, None, None]
    moved = [patch(source_id="m", source="n"), patch(source_id="n\0", name="x")]
    assert kinds(city.transact(moved)) == [BadBody, NotFound]
    assert state(city) == before


def test_the_city_before_and_after_can_be_asked_for(city: Store) -> None:
    before = city.seq()
    operations = [patch(1, levels=8), patch(1, levels=9), delete(2), create(name="x"), delete(99)]
    made = city.transact(operations, atomic=False)
    past = city.as_of(before)
    old = json.loads(past.item("buildings", 1).body)["properties"]
    assert (old["levels"], past.feature_layer("buildings").count) == (0, 3)
    now = city.as_of(city.seq())
    assert json.loads(now.item("buildings", 1).body)["properties"]["levels"] == 9
    assert now.feature_layer("buildings").count == 3
    assert [one.there for one in city.versions("buildings", 2)] == [False, True]
    assert [one.set.last for one in city.versions("buildings", made[3].fid)] == [city.seq()]


def test_what_is_gone_cannot_be_edited(city: Store) -> None:
    assert kinds(city.transact([delete(1), patch(1, name="late"), delete(1)])) == [None, NotFound, NotFound]
    assert fids(city) == [1, 2, 3]


def test_too_many_are_refused_before_anything_is_asked(city: Store) -> None:
    with pytest.raises(TooLarge, match=r"100000 operations; at most 5000"):
        city.transact([delete(1)] * 100_000)
    assert fids(city) == [1, 2, 3]


def test_one_that_takes_too_long_writes_nothing(city: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state(city)
    monkeypatch.setattr(city, "transaction_seconds", -1.0)
    for atomic in (True, False):
        with pytest.raises(Busy, match="send it in parts"):
            city.transact([create(), delete(1)], atomic=atomic)
    assert state(city) == before
    city.patch("buildings", 1, {"properties": {"levels": 2}})


def test_transactions_never_wait_for_each_other_in_a_circle(city: Store, opener: Callable[[], Store]) -> None:
    """Each edits and adds the same in another order, beside single edits, through stores of their own."""
    other, failures = opener(), []

    def many(store: Store, order: int) -> None:
        try:
            for number in range(6):
                edits = [patch(1, name="m"), patch(2, layer="sheds", name="m"), patch(3, name="m")]
                adds = [create(source_id=f"n{number}"), create("sheds", source_id=f"n{number}")]
                outcomes = store.transact((edits + adds)[::order], atomic=False)
                assert set(kinds(outcomes)) <= {None, Exists}
        except BaseException as error:
            failures.append(error)

    def single(store: Store) -> None:
        try:
            for _ in range(20):
                store.patch("buildings", 3, {"properties": {"name": "single"}})
                store.patch("sheds", 2, {"properties": {"name": "single"}})
        except BaseException as error:
            failures.append(error)

    threads = [
        threading.Thread(target=many, args=(city, 1)),
        threading.Thread(target=many, args=(other, -1)),
        threading.Thread(target=single, args=(other,)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert city.feature_layer("buildings").count == city.feature_layer("sheds").count == 9


def test_what_is_to_be_done_once_is_done_once(city: Store, opener: Callable[[], Store], hand: Hand) -> None:
    """However often it is sent, to whichever server, also at the same time; for a day."""
    once = Once("planner", "k1", "digest")
    wrong = [create(name="new"), patch(99, name="nobody")]
    assert city.transact(wrong, once=once)[1].error is not None
    operations = [
        create(name="new"),
        patch(1, name="hall", if_match=city.revision("buildings", 1)),
        delete(3),
    ]
    made = city.transact(operations, Author(actor="planner"), once=once)  # nothing came of the first
    assert kinds(made) == [None] * 3
    after = state(city)
    beside = opener()
    for store in (city, beside, city):
        assert store.transact(operations, Author(actor="planner"), once=once) == made
    assert state(city) == after
    with pytest.raises(KeyReused):
        beside.transact(operations, once=Once("planner", "k1", "another"))
    other = beside.transact([create(name="mine")], once=Once("builder", "k1", "another"))
    assert other[0].fid not in (None, made[0].fid)
    table = hand.table("twin_done")
    old = "'2026-01-01'" if isinstance(hand, SqliteHand) else "'2026-01-01'::timestamptz"
    with hand.transaction():
        hand.run(f"UPDATE {table} SET at = {old} WHERE actor = 'planner'", ())
    city.transact([create(name="later")], once=Once("planner", "k2", "third"))
    again = city.transact([create(name="new")], once=once)
    assert again[0].fid not in (None, made[0].fid)


def test_two_that_send_the_same_at_once_do_it_once(city: Store) -> None:
    found: list[Any] = []

    def send() -> None:
        found.append(city.transact([create(name="new")], once=Once("planner", "k", "digest")))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == found[:1] * 4
    assert len(fids(city)) == 4
