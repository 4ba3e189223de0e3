"""The change log is kept short without a revision, a change or an actor being lost."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layers.model import Author, Change
from layers.store import geopackage
from layers.store.geopackage import log
from layers.store.geopackage.connection import connect
from tests.storing import grid, load, signed, spec

LAYERS = ("buildings", "other")
KEPT, STEP = 12, 4


def rows(path: Path) -> int:
    con = sqlite3.connect(path)
    found: int = con.execute("SELECT count(*) FROM twin_changes").fetchone()[0]
    con.close()
    return found


def told(edit: Change, changes: list[Change]) -> bool:
    """Whether a reader of these learns of the edit: by its row, or by a later one of the whole layer."""
    return any(
        c.layer == edit.layer
        and (c == edit or (c.fid is None and c.old is c.new is None and c.seq >= edit.seq))
        for c in changes
    )


@given(
    edits=st.lists(
        st.tuples(st.sampled_from(LAYERS), st.integers(1, 5), st.booleans()), min_size=30, max_size=70
    ),
    page=st.integers(1, 9),
)
@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_prune(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[str, int, bool]], page: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "city.gpkg"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(log, "KEPT", KEPT)
        patched.setattr(log, "STEP", STEP)
        store = geopackage.open(path)
        for layer in LAYERS:
            load(store, spec(layer), grid(5))
        history = store.changes(0)
        revisions = {(layer, fid): store.revision(layer, fid) for layer in LAYERS for fid in range(1, 6)}
        for layer, fid, named in edits:
            actor = "planner" if named else None
            revisions[layer, fid] = store.patch(
                layer, fid, {"properties": {"levels": 1}}, by=Author(actor=actor)
            )
            history += store.changes(history[-1].seq)
        assert rows(path) <= KEPT + 2 * STEP + len(revisions) + len(LAYERS)
        for key, revision in revisions.items():
            assert store.revision(*key) == store.item(*key).revision == revision
            named = sum(named for layer, fid, named in edits if (layer, fid) == key)
            assert len(signed(store, *key)) == named
        for since in range(store.seq() + 1):
            seen: list[Change] = []
            while new := store.changes(seen[-1].seq if seen else since, page):
                assert len(new) <= page
                seen += new
            numbers = [c.seq for c in seen]
            assert numbers == sorted(set(numbers))
            assert all(number > since for number in numbers)
            assert all(told(edit, seen) for edit in history if edit.seq > since)
            if since < store.seq():
                assert numbers[-1] == store.seq()
        known = store.epoch, store.seq()
        store.close()
        again = geopackage.open(path)
        assert (again.epoch, again.seq()) == known
        again.close()


def test_edits_of_others_are_pruned_with_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "KEPT", KEPT)
    monkeypatch.setattr(log, "STEP", STEP)
    path = tmp_path / "city.gpkg"
    store = geopackage.open(path)
    load(store, spec(), grid(5))
    other = connect(path, "rw")  # as a program that edits in SQL
    for level in range(40):
        other.execute("UPDATE buildings SET levels = ?", (level + 100,))
    other.close()
    assert rows(path) > KEPT + 5 * STEP
    before = rows(path)
    for level in range(80):
        store.patch("buildings", 1, {"properties": {"levels": level}})
    assert rows(path) < min(before, KEPT + 2 * STEP + 6)
    assert store.revision("buildings", 1) == store.seq()
    assert store.revision("buildings", 5) == 201
    store.close()
