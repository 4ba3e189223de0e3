"""kill -9 in the middle of an undo, or of pruning: history and table agree row for row."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from layers import undo
from layers.batch import MESH
from layers.errors import NotFound
from layers.model import Author
from layers.store.base import Store
from layers.store.database import Database
from layers.store.open import open_store
from tests.crash.killing import run_and_kill
from tests.crash.undoer import EDITED
from tests.storing import features, grid, load, spec, tetrahedron

KILLS = int(os.environ.get("TWIN_HISTORY_KILLS", "1"))
ROWS = 600


def rows_of(store: Any) -> Any:
    try:
        rows = store.rows("buildings", meshes=True)
    except NotFound:
        return None
    meshes = {fid: mesh.to_bytes() for fid, mesh in rows.meshes.items()}
    return features(store), list(rows.wkb), meshes


@pytest.fixture(params=["geopackage", "postgis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Database | None, list[str]]:
    """A folder and a database, and what names them at a command line."""
    if request.param == "geopackage":
        return tmp_path, None, []
    url = request.getfixturevalue("postgres").database()
    return tmp_path, Database(url, schema="killed"), [url, "killed"]


def rebuilt(store: Store, states: tuple[Any, Any]) -> None:
    """The present and every moment that an undo ended at are one of two states, in turn."""
    undone = [one for one in store.change_sets(limit=200) if one.via == "undo"]
    for back, one in enumerate(undone):
        assert rows_of(store.as_of(one.last)) == states[(len(undone) - back) % 2], one
    assert rows_of(store) == states[len(undone) % 2]


@pytest.mark.parametrize("what", ["rows", "layer"])
@pytest.mark.parametrize("kill", range(KILLS))
def test_kill_an_undo(place: tuple[Path, Database | None, list[str]], what: str, kill: int) -> None:
    folder, database, named = place
    store = open_store(folder, database)
    rows = grid(ROWS)
    for number in range(0, ROWS, 3):
        rows[number][MESH] = tetrahedron(25, 60, 7 + number).to_bytes()
    load(store, spec(), rows)
    before = rows_of(store)
    if what == "rows":
        load(store, spec(), [one | {"name": "changed"} for one in rows[10:]])
    else:
        store.drop("buildings")
    states = rows_of(store), before
    store.close()
    run_and_kill("undoer", [str(folder), "undo", *named], random.Random(7000 + kill), 5, 0.3)
    store = open_store(folder, database)
    try:
        rebuilt(store, states)
        undo.apply(store, undo.of_set(store, store.change_sets(limit=1)[0].id), Author(actor="anna"))
        rebuilt(store, states)
    finally:
        store.close()


@pytest.mark.parametrize("kill", range(KILLS))
def test_kill_pruning(place: tuple[Path, Database | None, list[str]], kill: int) -> None:
    folder, database, named = place
    store = open_store(folder, database)
    load(store, spec(), grid(EDITED))
    store.close()
    run_and_kill("undoer", [str(folder), "prune", *named], random.Random(8000 + kill), 5, 0.3)
    store = open_store(folder, database)
    try:
        edits = [one for one in reversed(store.change_sets(limit=1_000)) if one.actor == "anna"]
        kept = store.kept("buildings").seq
        names = {fid: f"house {fid - 1}" for fid in range(1, EDITED + 1)}
        told = 0
        for number, one in enumerate(edits, 1):
            names[number % EDITED + 1] = f"n{number}"
            if one.last >= kept:
                then = {f["id"]: f["properties"]["name"] for f in features(store.as_of(one.last))}
                assert then == names
                told += 1
        assert told
        assert {f["id"]: f["properties"]["name"] for f in features(store)} == names
    finally:
        store.close()
