"""The sums of far views lie beside the columns, and are those that features add up to now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from layers import kinds
from layers.store.base import Store
from tests.unit.tiles.conftest import put, square
from tiles import far_sums
from tiles.far import FarViews
from tiles.service import Tiles
from tiles.snapshots import Snapshot


def town(store: Store) -> None:
    chance = np.random.default_rng(5)
    places = chance.uniform((24.8, 60.1), (25.2, 60.3), (300, 2))
    put(
        store,
        "houses",
        "building",
        [square(*place) for place in places],
        {"height_m": chance.uniform(3, 90, 300).tolist(), "use": ["residential", "office", None] * 100},
    )


def summed(tiles: Tiles) -> list[Any]:
    """The cells of every node from the world down."""
    found = []
    for z in (0, 8, 10, 12, 13):
        boxes = tiles._snapshot("houses").boxes
        for x, y in np.unique((boxes[:, :2] * 2**z).astype(int), axis=0).tolist():
            held = tiles.far._held("houses", (z, x, y))
            found.append([(z, x, y), *(getattr(held, name).tolist() for name in far_sums._FIELDS)])
    return found


def anew(tiles: Tiles, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    with monkeypatch.context() as without:
        without.setattr(far_sums, "at", lambda *_: None)
        tiles.far._cells.__init__(tiles.far._cells._limit)  # type: ignore[misc]
        return summed(tiles)


def test_they_are_those_that_features_add_up_to(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    town(store)
    tiles = Tiles(store, tmp_path / "derived")
    added: list[Any] = []
    one_by_one = FarViews._added_up
    monkeypatch.setattr(FarViews, "_added_up", lambda self, *at: added.append(at[1]) or one_by_one(self, *at))
    kept = summed(tiles)
    assert added == []
    assert kept == anew(tiles, monkeypatch)
    store.patch("houses", 3, {"properties": {"height_m": 250.0}})
    store.patch("houses", 4, {"geometry": shapely.geometry.mapping(square(25.1, 60.25))})
    store.delete("houses", 5)
    tiles.freshness.update()
    snapshot = tiles._snapshot("houses")
    assert isinstance(snapshot, Snapshot)
    added.clear()
    patched = summed(tiles)
    assert set(added) == set(snapshot.changed_cells)
    assert 0 < len(added) <= 4
    assert patched == anew(tiles, monkeypatch) != kept


def test_pieces_end_where_nodes_do(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    town(store)
    batch, kind = Tiles(store, tmp_path / "derived")._snapshot("houses").base, kinds.known("building")
    whole = far_sums.arrays(kind, batch)
    assert far_sums.held(whole, kind)
    monkeypatch.setattr(far_sums, "_PIECE", 20)
    pieces = far_sums.arrays(kind, batch)
    assert whole.keys() == pieces.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(array, pieces[name], name)
    nothing = batch.take(np.empty(0, np.int64))
    none = far_sums.arrays(kind, nothing)
    assert far_sums.held(none, kind)
    assert far_sums.arrays(kinds.known("pipeline"), nothing) == {}
