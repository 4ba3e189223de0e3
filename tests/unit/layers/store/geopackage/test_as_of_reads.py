"""What bounds a read of the past, what it costs, and whom it waits for."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from layers.errors import Busy, NotFound, TwinError
from layers.model import Author
from layers.query import Query
from layers.store import geopackage
from layers.store.geopackage.connection import connect
from layers.types import Cursor, Sort
from tests.storing import features, grid, load, row, spec, square
from tests.unit.layers.store.geopackage.told import Told, edits


def test_a_look_does_not_wait_for_who_writes(city: Told) -> None:
    """What is not yet in sets is told as these will be."""
    known = len(city.store.change_sets())
    with closing(connect(city.path, "rw")) as con:
        con.execute("UPDATE buildings SET levels = 9 WHERE fid = 1")
        con.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        number = city.store.seq()
        moment = city.store.moment(f"@{number}")
        found = city.store.change_sets(layer="buildings")
        assert found[:2] == city.store.change_sets(limit=2)
        assert (found[0].first, found[0].via, moment.seq) == (number, "other", number)
        assert city.store.change_sets(layer="other", limit=1)[0].layer == "other"
        assert city.store.change_sets(before=found[0].id)[0].id == found[1].id
        assert city.store.change_sets(after=found[0].id) == []
        assert city.store.versions("buildings", 1)[0].set == found[0]
        assert time.monotonic() - began < 5
        assert con.execute("SELECT count(*) FROM twin_sets").fetchone() == (known,)
        con.execute("ROLLBACK")
    assert city.store.change_sets(limit=1) == found[:1]
    with closing(connect(city.path, "ro")) as con:
        assert con.execute("SELECT count(*) FROM twin_sets").fetchone() == (known + 1,)


def test_no_more_connections_than_so_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layers.store.geopackage.moments.OPEN", 1)
    monkeypatch.setattr("layers.store.geopackage.moments.READ_SECONDS", 0.01)
    with closing(geopackage.open(tmp_path / "city.gpkg")) as store:
        load(store, spec(), grid(2))
        past = store.as_of(1)
        with store._moments.reading(1, None), pytest.raises(Busy):
            past.layers()
        assert len(past.layers()) == 1


def test_moments_are_closed_with_the_store_and_are_bounded(
    city: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layers.store.geopackage.moments.KEPT", 2)
    edits(city)
    city.check()
    assert len(city.store._moments._idle) == 2
    past = city.store.as_of(5)
    going = past.scan("buildings", Query(limit=None), 2)
    next(going)
    city.store.close()
    for ask in (lambda: next(going), lambda: past.layers()):
        with pytest.raises(TwinError, match="closed"):
            ask()


def test_a_feature_of_very_many_versions(tmp_path: Path) -> None:
    """One version is looked up, not searched for."""
    store = geopackage.open(tmp_path / "city.gpkg")
    load(store, spec(), grid(2))
    many = 50_000
    with closing(sqlite3.connect(tmp_path / "city.gpkg")) as con:
        con.execute(
            "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            ' INSERT INTO twin_past_buildings (fid, until, there, "name@1") SELECT 1, i, 1, i FROM n',
            (many,),
        )
        con.execute("INSERT INTO twin_changes (seq, layer, fid) VALUES (?, 'buildings', 1)", (many,))
        con.commit()
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    past = store.as_of(many // 2)
    with past._reading() as view:  # type: ignore[attr-defined]
        view.con.set_progress_handler(count, 100)
    assert json.loads(past.item("buildings", 1).body)["properties"]["name"] == str(many // 2 + 1)
    assert past.revision("buildings", 1) == many // 2
    found = store.versions("buildings", 1, before=many // 2, limit=3)
    assert [v.until for v in found] == [many // 2, many // 2 - 1, many // 2 - 2]
    assert steps < 50  # 5 000 steps of the virtual machine
    assert features(past)[0]["properties"]["name"] == str(many // 2 + 1)  # type: ignore[arg-type]
    store.close()


def test_what_came_since_does_not_make_a_box_crowded(tmp_path: Path) -> None:
    """A page of what was counts as it did then, also where by now more lie in its box than are gathered."""
    box = Query(bbox=(24.9, 59.9, 25.1, 60.1), limit=5)
    narrow = replace(box, bbox=(24.99999, 59.99, 25.0004, 60.01))  # cuts through squares
    filtered = replace(box, equals=(("levels", 1),))
    alone = row("alone", square(40, 65), name="alone", levels=1)
    near = [alone] + [
        row(f"n{i}", square(25 + i * 1e-4, 60), name="near", levels=1 + i % 2) for i in range(30)
    ]
    far = [row(f"f{i}", square(30 + i * 1e-4, 65), name="far", levels=1) for i in range(60)]
    moved = [row(f"f{i}", square(25 + i * 1e-4, 60), name="moved", levels=1) for i in range(60)]
    with closing(geopackage.open(tmp_path / "city.gpkg", few=50)) as store:
        load(store, spec(), near + far)
        before = [store.items("buildings", query) for query in (box, narrow, filtered)]
        assert [page.matched for page in before] == [30, 5, 15]
        past = store.as_of(store.seq())
        load(store, spec(), near + moved)
        assert store.items("buildings", box).matched is None
        for _ in range(2):
            assert [past.items("buildings", query) for query in (box, narrow, filtered)] == before


def test_what_was_is_at_hand_once_it_was_put_together(city: Told) -> None:
    """An event loop may read it then, until somebody writes."""
    store, then = city.store, city.store.seq()
    store.patch("buildings", 1, {"properties": {"name": "another"}})
    past = store.as_of(then)
    page = partial(past.items, "buildings", Query())
    assert past.at_once("buildings", page) is None
    expected = page()
    for _ in range(2):
        assert past.at_once("buildings", page) == expected
        assert past.at_once("buildings", lambda: past.revision("buildings", 1)) in range(then + 1)
        with pytest.raises(NotFound):
            past.at_once("buildings", lambda: past.item("buildings", 999))
        assert store.as_of(store.seq()).at_once("buildings", page) is None
    store.patch("buildings", 1, {"properties": {"name": "a third"}})
    assert past.at_once("buildings", page) is None
    assert page() == expected


def test_what_is_read_while_somebody_writes_is_read_again(city: Told) -> None:
    """Also where it failed for that: without a transaction it may be of two moments."""
    store, then = city.store, city.store.seq()
    store.patch("buildings", 1, {"properties": {"name": "another"}})
    past = store.as_of(then)
    expected = past.items("buildings", Query())
    layer = past.feature_layer("buildings")

    def meanwhile(write: Callable[[], object]) -> Callable[[], Any]:
        def read() -> Any:
            past.feature_layer("buildings")
            write()
            return past.feature_layer("buildings"), past.items("buildings", Query())

        return read

    for write in (
        lambda: store.delete("buildings", 2),
        lambda: store.create("buildings", {"type": "Feature", "properties": {}, "geometry": None}),
        lambda: store.patch("buildings", 3, {"properties": {"name": "third"}}),
    ):
        assert past.at_once("buildings", meanwhile(write)) is None
        assert past.items("buildings", Query()) == expected
        assert past.feature_layer("buildings") == layer
        assert past.at_once("buildings", lambda: past.items("buildings", Query())) == expected

    def drop() -> None:
        store.drop("buildings", Author(via="drop"))

    assert past.at_once("buildings", meanwhile(drop)) is None
    assert past.items("buildings", Query()) == expected


def test_a_sorted_page_of_what_was_reads_what_it_must(tmp_path: Path) -> None:
    """In a box no more than lies there; of a whole layer each row once."""
    sort = (Sort("height_m"),)
    narrow = Query(bbox=(25.0, 60.0, 25.03, 60.03), limit=5, sort=sort)
    filtered = Query(equals=(("levels", 1),), limit=5, sort=sort)
    rows = [
        row(f"b{i}", square(25 + i % 100 * 0.01, 60 + i // 100 * 0.01), levels=i % 2, height_m=i * 7919 % 977)
        for i in range(4_000)
    ]
    with closing(geopackage.open(tmp_path / "city.gpkg", few=50)) as store:
        load(store, spec(), rows)
        seq = store.seq()
        before = [store.items("buildings", query) for query in (narrow, filtered)]
        with closing(connect(tmp_path / "city.gpkg", "rw")) as con:
            con.execute("UPDATE buildings SET height_m = -1 WHERE fid % 10 = 0")
            con.commit()
        past = store.as_of(seq)
        assert [past.items("buildings", query) for query in (narrow, filtered)] == before
        steps = [0, 0]
        for number, query in enumerate((narrow, filtered)):

            def count(number: int = number) -> None:
                steps[number] += 1

            with past._reading() as view:
                view.con.set_progress_handler(count, 100)
            assert past.items("buildings", query) == before[number]
        assert steps[0] < 60, steps
        assert steps[1] < 900, steps


def test_a_feature_that_was_is_given_as_it_is_kept(city: Told) -> None:
    """Where its text is at hand it is the item that is read otherwise, and where it is not, nothing."""
    store, then = city.store, city.store.seq()
    unchanged, changed = 2, 1
    store.item("buildings", unchanged)  # its text is kept from now on
    before = {fid: store.item("buildings", fid) for fid in (unchanged, changed)}
    store.patch("buildings", changed, {"properties": {"name": "another"}})
    past = store.as_of(then)
    assert past.stored_item("buildings", unchanged) is None  # nobody has read the moment
    assert past.item("buildings", unchanged) == before[unchanged]
    assert past.stored_item("buildings", unchanged) == before[unchanged]
    assert past.stored_item("buildings", changed) is None
    past.items("buildings", Query())
    for fid, item in before.items():
        assert past.item("buildings", fid) == item
        assert past.stored_item("buildings", fid) == item
    assert past.stored_item("buildings", 999) is None
    assert past.stored_item("buildings", 2**70) is None
    store.patch("buildings", unchanged, {"properties": {"name": "a third"}})
    assert past.stored_item("buildings", unchanged) is None  # somebody has written since
    past.items("buildings", Query())
    assert past.stored_item("buildings", unchanged) == before[unchanged]
    store.drop("buildings")
    assert past.item("buildings", unchanged) == before[unchanged]
    past.items("buildings", Query())
    assert past.stored_item("buildings", unchanged) is None  # of a layer that is gone none is kept


def test_a_page_of_what_was_has_those_whose_text_is_not_kept(city: Told) -> None:
    """Wherever in it they are."""
    store, then = city.store, city.store.seq()
    expected = features(store)
    store.patch("buildings", 4, {"properties": {"levels": 8}})
    past = store.as_of(then)
    for lacking in ("1", "2, 3", "9", "1, 5, 9", "SELECT fid FROM buildings"):
        with closing(connect(city.path, "rw")) as con:
            con.execute(f"DELETE FROM twin_json_buildings WHERE fid IN ({lacking})")
        for limit in (1, 2, 3, 100):
            found: list[bytes] = []
            after: Cursor | None = ()
            while after is not None:
                page = past.items("buildings", Query(limit=limit, after=after or None))
                found.append(page.features)
                after = page.next_after
            assert json.loads(b"[%b]" % b",".join(found)) == expected
