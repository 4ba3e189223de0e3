"""A transaction on a disk that gets full in the middle, and how it leaves other writers of the file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from layers import undo
from layers.errors import Busy, Unavailable
from layers.model import Author, Operation
from layers.store import geopackage
from layers.store.history import Retention
from tests.storing import features, fids, grid, load, one, spec
from tests.support import no_room

BODY = {"type": "Feature", "geometry": None, "properties": {"name": "x" * 2_000}}


def test_a_full_disk_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    store = geopackage.open(tmp_path / "city.gpkg")
    load(store, spec(), grid(3))
    before = store.seq(), fids(store)
    edit = Operation(kind="patch", layer="buildings", fid=1, body={"properties": {"levels": 77}})
    create = Operation(kind="create", layer="buildings", body=BODY)
    writer = store._writer
    assert writer is not None
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    for atomic in (True, False):
        writer.execute(f"PRAGMA max_page_count={pages + 20}")
        with pytest.raises(Unavailable, match="full"):
            store.transact([edit, *[create] * 200], atomic=atomic)
        assert (store.seq(), fids(store)) == before
        assert one(store, 1)["properties"]["levels"] == 0
    writer.execute("PRAGMA max_page_count=4294967294")
    assert all(done.error is None for done in store.transact([edit, *[create] * 200]))
    assert one(store, 1)["properties"]["levels"] == 77
    store.close()
    with closing(sqlite3.connect(tmp_path / "city.gpkg")) as con:
        assert con.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_full_disk_in_a_load_and_in_an_undo_leaves_nothing(tmp_path: Path) -> None:
    store = geopackage.open(tmp_path / "city.gpkg")
    rows = [{**one, "name": "x" * 2_000} for one in grid(300)]
    load(store, spec(), rows)
    load(store, spec(), [{**one, "name": "y" * 2_000} for one in rows])
    (newest,) = store.change_sets(limit=1)
    plan = undo.of_set(store, newest.id)
    writer = store._writer
    assert writer is not None

    def state() -> Any:
        return store.seq(), features(store), features(store.as_of(1)), store.change_sets()  # type: ignore[arg-type]

    before = state()
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    free = writer.execute("PRAGMA freelist_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count={pages}")
    assert free * writer.execute("PRAGMA page_size").fetchone()[0] < 300 * 2_000
    with pytest.raises(Unavailable, match="full"):
        load(store, spec(), [{**one, "name": "z" * 2_500} for one in rows])
    with pytest.raises(Unavailable, match="full"):
        undo.apply(store, plan, Author())
    assert state() == before
    writer.execute("PRAGMA max_page_count=4294967294")
    undo.apply(store, plan, Author())
    assert [one["properties"]["name"][0] for one in features(store)] == ["x"] * 300
    assert features(store.as_of(before[0])) == before[1]  # type: ignore[arg-type]
    store.close()
    with closing(sqlite3.connect(tmp_path / "city.gpkg")) as con:
        assert con.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_full_disk_while_old_rows_go(tmp_path: Path) -> None:
    store = geopackage.open(tmp_path / "city.gpkg", history=Retention(days=1e-9))
    load(store, spec(), grid(300))
    load(store, spec(), [{**one, "name": "changed"} for one in grid(300)])
    before = store.kept("buildings"), features(store), features(store.as_of(1))  # type: ignore[arg-type]
    with no_room(), pytest.raises(Unavailable):
        store.prune_history()
    assert before == (store.kept("buildings"), features(store), features(store.as_of(1)))  # type: ignore[arg-type]
    while store.prune_history():
        pass
    assert store.kept("buildings").seq == store.seq()
    assert features(store) == before[1]
    store.close()
    with closing(sqlite3.connect(tmp_path / "city.gpkg")) as con:
        assert con.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_another_program_that_writes_is_told_as_busy(tmp_path: Path) -> None:
    path = tmp_path / "city.gpkg"
    store = geopackage.open(path)
    load(store, spec(), grid(3))
    assert store._writer is not None
    store._writer.execute("PRAGMA busy_timeout=50")
    with closing(sqlite3.connect(path, isolation_level=None)) as con:
        con.execute("BEGIN IMMEDIATE")
        with pytest.raises(Busy):
            store.transact([Operation(kind="delete", layer="buildings", fid=1)])
        con.execute("ROLLBACK")
    assert store.transact([Operation(kind="delete", layer="buildings", fid=1)])[0].error is None
    store.close()
