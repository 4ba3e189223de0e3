"""What a PostGIS city is no longer to keep goes in steps beside edits, and is told as gone; a layer whose
history is off keeps nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from layers.errors import Gone, NotFound
from layers.store.base import FormSpec
from layers.store.database import Database
from layers.store.history import Retention
from layers.store.open import open_store
from layers.store.postgis import PostgisStore, pruning
from layers.store.postgis.ddl import DdlTarget
from tests.contract.test_postgis_kept import City
from tests.storing import grid, load, spec
from tests.support import until

KEPT = Retention(90, {"other": None})


@pytest.fixture
def city(shared_database: str, tmp_path: Path) -> Iterator[City]:
    """Two layers, one kept for ever, and terrain; each with changes 100 days and no time ago."""
    made = City(shared_database, tmp_path, KEPT)
    store = made.store
    for layer, count in (("buildings", 20), ("other", 2)):
        load(store, spec(layer), grid(count))
        store.patch(layer, 1, {"properties": {"name": "first"}})
    store.record(FormSpec("relief", "surface", "terrain", {}, "EPSG:4326"))
    store.record(FormSpec("relief", "surface", "terrain", {"en": "Relief"}, "EPSG:4326"))
    made.sql("UPDATE CITY.buildings SET name = 'second'", "UPDATE CITY.other SET name = 'second'")
    made.sql("UPDATE CITY.twin_sets SET at = at - interval '100 days'")
    store.patch("buildings", 1, {"properties": {"name": "third"}})
    store.patch("other", 1, {"properties": {"name": "third"}})
    yield made
    made.store.close()


def prune(city: City) -> bool:
    with psycopg.connect(city.url, autocommit=True) as con:
        return pruning.prune(DdlTarget(con, city.schema, "public"))


def names(store: Any, seq: int, layer: str = "buildings") -> list[Any]:
    return list(store.as_of(seq).rows(layer).properties["name"])


def test_what_is_too_old_goes_step_by_step(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "STEP", 4)
    store = city.store
    assert names(store, 1) == [f"house {n}" for n in range(20)]
    before, steps = len(city.old()), 0
    assert before == 22
    while prune(city):
        steps += 1
        assert before - 4 <= len(city.old()) <= before
        before = len(city.old())
        for ask in (lambda: names(store, 2), lambda: store.as_of(2).feature_layer("buildings")):
            with pytest.raises(Gone, match="layer buildings is kept from"):  # from the first step on
                ask()
    assert steps >= 6
    assert before == 1
    horizon = store.kept("buildings").seq
    assert horizon == store.change_sets()[2].last
    assert names(store, horizon) == ["second"] * 20
    assert names(store, 3, "other") == ["house 0", "house 1"]
    assert store.kept().seq == store.kept("other").seq == 0
    assert [v.there for v in store.versions("buildings", 1)] == [True, True]
    with pytest.raises(Gone, match="layer relief"):
        store.as_of(5).layer("relief")
    assert [layer.id for layer in store.as_of(5).layers()] == ["other"]
    assert [layer.id for layer in store.as_of(horizon).layers()] == ["buildings", "other", "relief"]
    store.drop("other")
    assert store.kept().seq == 0  # what was dropped is known as long as before
    assert names(store, store.moment("@3").seq, "other") == ["house 0", "house 1"]


def test_an_edit_does_not_wait_for_it_nor_two_for_each_other(city: City) -> None:
    with psycopg.connect(city.url) as con, con.transaction():
        con.execute("SET LOCAL lock_timeout = '1s'")
        place = DdlTarget(con, city.schema, "public")
        assert pruning.prune(place)  # and is not committed yet
        assert not prune(city)
        city.store.patch("buildings", 1, {"properties": {"name": "fourth"}})
        load(city.store, spec("other"), grid(1))
    assert city.old()[-3:] != []


def test_it_is_done_in_the_background(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    city.store.close()
    monkeypatch.setattr(pruning, "EVERY_S", 0.0)
    with_settings = open_store(city.folder, city.database, history=KEPT)
    until(lambda: len(city.old()) == 1, seconds=8, what="the pruning")
    with_settings.close()
    city.store = open_store(city.folder, city.database)


def test_a_layer_without_history(city: City) -> None:
    city.store.close()
    off = Retention(90, {"buildings": 0, "new": 0, "other": None})
    city.store = store = open_store(city.folder, city.database, history=off)
    assert isinstance(store, PostgisStore)
    count, seq = len(city.old()), store.seq()
    load(store, spec("new"), grid(2))
    for layer in ("buildings", "new", "other"):
        store.patch(layer, 1 if layer != "new" else store.as_of(store.seq()).rows("new").fids[0], NAMED)
    city.sql("DELETE FROM CITY.buildings WHERE fid = 2", "TRUNCATE CITY.new")
    assert len(city.old()) == count
    assert city.old("new") == []
    for layer in ("buildings", "new"):
        until(lambda name=layer: store.kept(name).seq > seq, what="the repair of what was emptied")
        with pytest.raises((Gone, NotFound)):
            names(store, seq, layer)
        newest = store.kept(layer).seq
        assert len(names(store, store.seq(), layer)) == len(store.rows(layer).fids)
        assert newest <= store.seq()
    assert names(store, seq, "other") == ["third", "second"]
    while prune(city):
        pass
    assert city.old() == []
    store.close()
    # on again: from now on
    city.store = again = open_store(city.folder, city.database, history=Retention())
    begin = again.seq()
    again.patch("buildings", 1, {"properties": {"name": "kept"}})
    assert names(again, begin)[0] == "new"
    assert seq < again.kept("buildings").seq <= begin
    assert [row[1:] for row in city.old()] == [(1, "new")]


NAMED = {"properties": {"name": "new"}}


def test_what_was_said_last_holds_without_settings(city: City) -> None:
    city.store.close()
    city.store = open_store(city.folder, city.database)
    assert city.sql("SELECT history FROM CITY.twin_meta") == [(KEPT.text(),)]
    assert isinstance(city.database, Database)
