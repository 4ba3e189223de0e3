"""What nodes reach is added up once of the columns, and after an edit of the nodes that it changed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from layers.errors import NotFound
from layers.kinds import known
from layers.store.base import Store
from tests.unit.tiles.conftest import put, square
from tests.unit.tiles.test_feet import SLOPE, block, solid
from tiles.ground import FLAT, Ground
from tiles.held import Reaches
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
    found = tiles._reaches.of("houses", store.seq(), snapshot, rule)
    for name in ("keys", "boxes", "low", "high"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name), name)
    assert Tiles(store, tmp_path / "derived").tileset("houses").etag == tiles.tileset("houses").etag


ROW = [block(i * 400, 0, 80, 30) for i in range(12)]


def related(store: Store) -> None:
    """Houses in a row, the even ones with a part that begins above the ground, every fourth part a solid."""
    put(store, "houses", "building", ROW, {"height_m": [18.0] * 12})
    shapes = [block(i * 400 + 10, 5, 20, 20) for i in range(0, 12, 2)]
    meshes = [solid(shape, 0, 70) if i % 2 else None for i, shape in enumerate(shapes)]
    low = [3.0 + i for i in range(6)]
    put(store, "parts", "cim", shapes, {"height_m": [30.0] * 6, "min_height_m": low}, meshes=meshes)


def moved(east: float, wide: float = 80) -> dict[str, Any]:
    return {"geometry": shapely.geometry.mapping(block(east, 0, wide, 30))}


EDITS: dict[str, Callable[[Store], object]] = {
    "nothing": lambda store: None,
    "part higher": lambda store: store.patch("parts", 2, {"properties": {"min_height_m": 25.0}}),
    "part moved to another whole": lambda store: store.patch("parts", 3, moved(2000, 20)),
    "solid moved": lambda store: store.patch("parts", 4, moved(2800, 20)),
    "part deleted": lambda store: store.delete("parts", 1),
    "whole moved away": lambda store: store.patch("houses", 5, moved(9_000)),
    "whole moved under others": lambda store: store.patch("houses", 2, moved(0, 1900)),
    "whole deleted": lambda store: store.delete("houses", 1),
    "far from all": lambda store: store.patch("houses", 12, {"properties": {"height_m": 99.0}}),
}


@pytest.mark.parametrize("ground", [FLAT, SLOPE], ids=["even", "slope"])
def test_of_what_is_related_it_is_what_all_features_give(
    store: Store, tmp_path: Path, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    related(store)
    tiles = Tiles(store, tmp_path / "derived", ground)
    for layer in ("houses", "parts"):
        tiles.tileset(layer)
    looked: list[str] = []
    whole = Reaches._all
    monkeypatch.setattr(Reaches, "_all", lambda self, *a: looked.append(a[0]) or whole(self, *a))
    for name, edit in EDITS.items():
        edit(store)
        for layer in ("houses", "parts"):
            tiles.tileset(layer)
            snapshot, rule = tiles._snapshot(layer), known(tiles._layer(layer).kind).body
            assert isinstance(snapshot, Snapshot)
            assert rule is not None
            found = tiles._reaches.of(layer, store.seq(), snapshot, rule)
            assert looked == [], name
            fresh = whole(tiles._reaches, layer, snapshot, rule)
            for column in ("keys", "boxes", "low", "high"):
                np.testing.assert_array_equal(getattr(found, column), getattr(fresh, column), name)
    store.drop("parts")
    for layer in ("houses", "parts"):
        with suppress(NotFound):
            tiles.tileset(layer)
    other = Tiles(store, tmp_path / "derived", ground)
    assert other.tileset("houses").etag == tiles.tileset("houses").etag
