"""What nodes reach is added up once of the columns, and after an edit of the nodes that it changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely

from layers.kinds import known
from layers.store.base import Store
from tests.unit.tiles.conftest import put, square
from tiles import held
from tiles.scene import build, fit
from tiles.service import Tiles
from tiles.snapshots import Snapshot


@pytest.mark.parametrize("edit", ["nothing", "height", "moved", "deleted", "emptied"])
def test_patched_it_is_what_all_features_give(store: Store, tmp_path: Path, edit: str) -> None:
    # a node of its own for the last one
    shapes = [square(24.94 + i * 0.0006, 60.17) for i in range(40)] + [square(25.5, 60.4)]
    put(store, "houses", "building", shapes, {"height_m": [float(i) for i in range(41)]})
    tiles = Tiles(store, tmp_path / "derived")
    before = tiles.tileset("houses").etag
    if edit == "height":
        store.patch("houses", 40, {"properties": {"height_m": 300.0}})
    elif edit == "moved":
        store.patch("houses", 3, {"geometry": shapely.geometry.mapping(square(25.2, 60.3))})
    elif edit == "deleted":
        store.delete("houses", 10)
    elif edit == "emptied":
        store.delete("houses", 41)
    assert (tiles.tileset("houses").etag == before) == (edit in ("nothing", "deleted"))
    snapshot = tiles._snapshot("houses")
    assert isinstance(snapshot, Snapshot)
    assert (snapshot.patch is None) == (edit == "nothing")
    rule = known("building").body
    assert rule is not None
    whole = fit.held(snapshot.boxes, *build.reach(rule, snapshot.numbers))
    found = held.of("houses", snapshot, rule, tiles.relations, tiles._heights, tiles._ground)
    for name in ("keys", "boxes", "low", "high"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name), name)
    assert Tiles(store, tmp_path / "derived").tileset("houses").etag == tiles.tileset("houses").etag
