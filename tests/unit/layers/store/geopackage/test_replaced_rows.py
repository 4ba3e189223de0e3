"""Rows that another program writes over others, of which SQLite fires no trigger: count, log and index."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from layers.store import geopackage
from layers.store.geopackage import GeoPackageStore, blob
from layers.store.geopackage.connection import register
from tests.storing import fids, grid, load, spec, square

OLD = (25.01, 60.0, 25.011, 60.001)  # where feature 2 lies
NEW = (20.0, 50.0, 20.001, 50.001)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[GeoPackageStore]:
    """Five squares, of which the last has lost its place."""
    made = geopackage.open(tmp_path / "city.gpkg")
    load(made, spec(), grid(5))
    made.patch("buildings", 5, {"geometry": None})
    yield made
    made.close()


def run(store: GeoPackageStore, path: Path, *statements: tuple[str, tuple[Any, ...]]) -> list[Any]:
    """Statements of another program; what the log says of them."""
    before = store.seq()
    con = sqlite3.connect(path / "city.gpkg")
    register(con)
    with con:
        for sql, values in statements:
            con.execute(sql, values)
    con.close()
    return [(change.fid, change.old, change.new) for change in store.changes(before)]


def shape(lon: float = 20, lat: float = 50) -> bytes:
    """A square as a blob."""
    one = np.empty(1, dtype=object)
    one[0] = square(lon, lat)
    return blob.encode(one)[0]


def near(box: tuple[float, ...]) -> Any:
    """A box of the log, whose sides may be rounded."""
    return pytest.approx(box, abs=1e-4)


def test_insert_or_replace(store: GeoPackageStore, tmp_path: Path) -> None:
    sql = "INSERT OR REPLACE INTO buildings (fid, geom, name) VALUES (?, ?, 'other')"
    told = run(store, tmp_path, (sql, (2, shape())), (sql, (5, shape())), (sql, (9, shape())))
    assert told == [(2, near(OLD), near(NEW)), (5, None, near(NEW)), (9, None, near(NEW))]
    assert store.layer("buildings").count == 6
    # those without a place are in every box: 5 has one now
    assert fids(store, bbox=(19, 49, 21, 51)) == [2, 5, 9]
    assert fids(store, bbox=(24, 59, 26, 61)) == [1, 3, 4]
    told = run(store, tmp_path, (sql, (2, None)))
    assert told == [(2, near(NEW), None)]
    assert fids(store, bbox=(24, 59, 26, 61)) == [1, 2, 3, 4]
    assert store.layer("buildings").count == 6


def test_a_fid_that_is_moved_over_another(store: GeoPackageStore, tmp_path: Path) -> None:
    told = run(store, tmp_path, ("UPDATE OR REPLACE buildings SET fid = 5 WHERE fid = 2", ()))
    assert told == [(2, near(OLD), None), (5, None, near(OLD))]
    assert store.layer("buildings").count == 4
    assert fids(store, bbox=(19, 49, 21, 51)) == []
    told = run(store, tmp_path, ("UPDATE OR REPLACE buildings SET fid = 1 WHERE fid = 5", ()))
    assert told == [(5, near(OLD), None), (1, near((25.0, 60.0, 25.001, 60.001)), near(OLD))]
    assert store.layer("buildings").count == 3


def test_what_replaces_nothing(store: GeoPackageStore, tmp_path: Path) -> None:
    """An upsert is an update, and what is ignored is nothing."""
    upsert = "INSERT INTO buildings (fid, name) VALUES (2, 'b') ON CONFLICT (fid) DO UPDATE SET name = 'b'"
    assert run(store, tmp_path, (upsert, ())) == [(2, near(OLD), near(OLD))]
    ignored = "INSERT OR IGNORE INTO buildings (fid, geom) VALUES (?, ?)"
    assert run(store, tmp_path, (ignored, (3, shape()))) == []
    assert store.layer("buildings").count == 5
    # a number later nobody takes what was ignored for replaced
    told = run(store, tmp_path, ("DELETE FROM buildings WHERE fid = 3", ()), (ignored, (3, shape())))
    assert [(fid, old is None) for fid, old, _ in told] == [(3, False), (3, True)]
    assert store.layer("buildings").count == 5


def test_an_insert_that_comes_to_nothing_gives_no_version(store: GeoPackageStore, tmp_path: Path) -> None:
    load(store, spec("other"), grid(3))
    began = store.seq()
    ignored = ("INSERT OR IGNORE INTO buildings (fid, name) VALUES (2, 'none')", ())
    for change in (
        "UPDATE buildings SET levels = 7 WHERE fid = 3",
        "DELETE FROM buildings WHERE fid = 4",
        "INSERT INTO buildings (fid, name) VALUES (40, 'new')",
        "UPDATE buildings SET fid = 41 WHERE fid = 40",
    ):
        run(store, tmp_path, ignored, (change, ()))
    changed = {3, 4, 40, 41}
    assert {one.fid for one in store.touched("buildings", began, store.seq())} == changed
    run(store, tmp_path, ignored, ("UPDATE other SET levels = 7 WHERE fid = 3", ()))
    assert {one.fid for one in store.touched("buildings", began, store.seq())} == changed
    assert len(store.versions("buildings", 2)) == 1
    earliest = store.earliest("buildings", 2)
    assert earliest is not None
    assert earliest.until is None
    run(store, tmp_path, ignored, ("UPDATE buildings SET levels = 9 WHERE fid = 2", ()))
    assert len(store.versions("buildings", 2)) == 2
    assert {one.fid for one in store.touched("buildings", began, store.seq())} == {*changed, 2}


def test_a_feature_of_the_number_that_an_insert_has_before_it_is_done(
    store: GeoPackageStore, tmp_path: Path
) -> None:
    run(store, tmp_path, ("INSERT INTO buildings (fid, name) VALUES (-1, 'minus')", ()))
    began = store.seq()
    run(store, tmp_path, ("INSERT INTO buildings (name) VALUES ('a'), ('b'), ('c')", ()))
    assert len(store.versions("buildings", -1)) == 1
    assert -1 not in {one.fid for one in store.touched("buildings", began, store.seq())}
    run(store, tmp_path, ("INSERT OR REPLACE INTO buildings (fid, name) VALUES (-1, 'other')", ()))
    assert len(store.versions("buildings", -1)) == 2
