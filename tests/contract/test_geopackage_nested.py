"""Triggers of another program, in a GeoPackage city, that write again what a statement has just written: each
state of a feature is in the order in which it was there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from layers.query import Query
from layers.store import geopackage
from layers.store.geopackage import GeoPackageStore
from tests.histories.foreign import Hand, hand_at
from tests.storing import grid, load, spec

#: A building that comes or changes with an even number of levels gets one more; one of 21 becomes a multiple
#: of 10; and of those that are renamed in a table of their own, too.
PROGRAM = (
    "CREATE TRIGGER odd AFTER INSERT ON buildings WHEN NEW.levels % 2 = 0"
    " BEGIN UPDATE buildings SET levels = NEW.levels + 1 WHERE fid = NEW.fid; END",
    "CREATE TRIGGER odd_again AFTER UPDATE ON buildings WHEN NEW.levels = 21"
    " BEGIN UPDATE buildings SET levels = 31, name = 'thirty' WHERE fid = NEW.fid; END",
    "CREATE TRIGGER twin AFTER INSERT ON buildings WHEN NEW.name = 'twin'"
    " BEGIN INSERT INTO buildings (geom, name, levels) VALUES (NEW.geom, 'other', 4);"
    " UPDATE buildings SET name = 'first' WHERE fid = NEW.fid; END",
)
STATEMENTS = {
    "of one that comes": ["INSERT INTO buildings (fid, levels) VALUES (50, 2)"],
    "of one that comes with a place": [
        "INSERT INTO buildings (geom, levels, name) SELECT geom, 4, 'new' FROM buildings WHERE fid = 1"
    ],
    "of several": ["INSERT INTO buildings (geom, levels) SELECT geom, fid FROM buildings"],
    "of one that changes": ["UPDATE buildings SET levels = 21 WHERE fid = 2"],
    "of one that comes again": [
        "DELETE FROM buildings WHERE fid = 3",
        "INSERT INTO buildings (fid, levels) VALUES (3, 6)",
    ],
    "of one that brings another": ["INSERT INTO buildings (geom, name, levels) VALUES (NULL, 'twin', 20)"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def store(folder: Path) -> Iterator[GeoPackageStore]:
    opened = geopackage.open(folder / "city.gpkg")
    load(opened, spec(), [{**row, "levels": 1} for row in grid(5)])
    yield opened
    opened.close()


def states(store: GeoPackageStore, seq: int | None = None) -> dict[int, tuple[Any, Any]]:
    """(name, levels) of the buildings, now or after a change."""
    reading = store if seq is None else store.as_of(seq)
    rows = reading.select("buildings", Query(limit=1000)).rows
    names, levels = rows.properties["name"], rows.properties["levels"]
    return {fid: (names[i], levels[i]) for i, fid in enumerate(rows.fids.tolist())}


def do(hand: Hand, statements: Sequence[str]) -> None:
    for statement in statements:
        with hand.transaction():
            hand.run(statement)


@pytest.mark.parametrize("statements", STATEMENTS.values(), ids=list(STATEMENTS))
def test_what_triggers_write_again_comes_after(
    store: GeoPackageStore, folder: Path, statements: Sequence[str]
) -> None:
    hand = hand_at(folder, None)
    do(hand, PROGRAM)
    store.layers()  # it looks at what has changed
    known = {store.seq(): states(store)}
    first = store.seq()
    for statement in statements:
        do(hand, [statement])
        known[store.seq()] = states(store)
    for seq, then in known.items():
        if seq < store.seq():
            assert states(store, seq) == then
    assert store.changes(first)
    assert all(change.fid is not None for change in store.changes(first))
    for fid in states(store):
        versions = store.versions("buildings", fid)
        lives = [version.there for version in reversed(versions)]
        if fid > 5:  # it came once, and was there from then on
            assert lives == sorted(lives)
            assert store.earliest("buildings", fid) is not None
        for version in versions:
            at = version.since
            if version.until is not None:
                assert (fid in states(store, at)) == version.there, (fid, version)


def test_ours_are_put_first_once_and_nothing_is_said_to_have_changed(
    store: GeoPackageStore, folder: Path
) -> None:
    before = store.seq()
    hand = hand_at(folder, None)
    do(hand, PROGRAM)
    store.layers()
    sql = "SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY rowid"
    with hand.transaction():
        order = [name for (name,) in hand.run(sql)]
    assert all(order.index("twin") < at for at, name in enumerate(order) if "twin_log_buildings" in name)
    store.layers()
    with hand.transaction():
        assert [name for (name,) in hand.run(sql)] == order
    assert store.seq() == before
    assert store.kept().seq <= before
