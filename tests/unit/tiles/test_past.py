"""Tiles of a layer as it was are those that it had, byte for byte, whatever has happened to it since."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import shapely

from layers.store.base import Store
from tests.unit.tiles.conftest import put, square
from tests.unit.tiles.test_history import LAT, LON, STEP, around, edit, loaded
from tiles import past, snapshots
from tiles.service import Caches, Tiles

FLOORS = 12


def parts(store: Store, count: int = FLOORS, mode: str = "create") -> None:
    """Parts of the first buildings, higher than they are."""
    shapes = [square(LON + (i % 8) * STEP, LAT + (i // 8) * STEP, 1e-4) for i in range(count)]
    tall = {"height_m": [20.0 + i for i in range(count)], "min_height_m": [9.0] * count}
    put(store, "parts", "cim", shapes, tall, mode=mode)


def step(store: Store, draw: random.Random) -> None:
    """A random edit of a building or of a part."""
    kind = draw.random()
    if kind < 0.7:
        edit(store, draw)
    elif kind < 0.85 and any(layer.id == "parts" for layer in store.feature_layers()):
        fids = store.rows("parts").fids.tolist()
        store.patch("parts", draw.choice(fids), {"properties": {"height_m": 30.0 + draw.random()}})
    else:
        place = square(LON + draw.random() * 0.008, LAT + draw.random() * 0.004)
        shape = shapely.geometry.mapping(place)
        properties = {"height_m": 12.0, "name": "new"}
        store.create("buildings", {"type": "Feature", "geometry": shape, "properties": properties})


def picture(tiles: Tiles) -> dict[Any, bytes]:
    """Every tile, node and tree of the city, without what says of when it is."""
    layers = [layer for layer in ("buildings", "parts") if layer in tiles._columns.layers()]
    found: dict[Any, bytes] = {}
    for z in (13, 14, 16):
        for at in around(z):
            found["v", at] = tiles.vector(layers, *at).body
            if z >= 14:
                found |= {(layer, at): tiles.glb(layer, *at).body for layer in layers}
    for layer in layers:
        for bounds in ("content", "edits"):
            document = tiles.tileset(layer, bounds).plain()
            found[layer, bounds] = document.replace(tiles.query.encode(), b"")
    return found


def was(store: Store, live: Tiles, seq: int) -> Tiles:
    return Tiles(store.as_of(seq), live)


@pytest.mark.parametrize("few", [0, 5, 2000])
@pytest.mark.parametrize("seed", [1, 2])
def test_every_moment_has_its_tiles(
    store: Store, tmp_path: Path, seed: int, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "COMPACT_ROWS", few)
    monkeypatch.setattr(snapshots, "COMPACT_ROWS", 15)
    draw = random.Random(seed)
    loaded(store)
    parts(store)
    live = Tiles(store, tmp_path / "live")
    moments: dict[int, dict[Any, bytes]] = {}
    for turn in range(7):
        for _ in range(draw.randint(1, 5)):
            step(store, draw)
        if turn == 2:
            parts(store, FLOORS - 3, mode="replace")
        if turn == 4:
            store.drop("parts")
        if turn == 5:
            parts(store, 4)
        if turn % 2:
            picture(live)  # as a server that is asked meanwhile
        moments[store.seq()] = picture(Tiles(store, tmp_path / f"fresh{turn}"))
    for seq, known in moments.items():
        assert picture(was(store, live, seq)) == known, seq


def test_what_was_not_touched_since_is_the_tile_of_now(store: Store, tmp_path: Path) -> None:
    loaded(store)
    caches = Caches()
    live = Tiles(store, tmp_path / "live", caches=caches)
    seq = store.seq()
    store.patch("buildings", 1, {"properties": {"name": "other"}})
    then = Tiles(store.as_of(seq), live, caches=caches)
    now = {at: live.vector(("buildings",), *at) for at in around(16)}
    old = {at: then.vector(("buildings",), *at) for at in around(16)}
    other = {at for at in now if now[at].etag != old[at].etag}
    assert 0 < len(other) < len(now)
    for at in now:
        if at in other:
            assert old[at].etag.endswith(f'-{seq}"')
            assert old[at].body != now[at].body
        else:
            assert old[at] is now[at]


def test_a_field_that_came_since_is_not_in_what_was(store: Store, tmp_path: Path) -> None:
    loaded(store)
    live = Tiles(store, tmp_path / "live")
    known = {at: live.vector(("buildings",), *at).plain() for at in around(14)}
    seq = store.seq()
    shapes = [square(LON + (i % 8) * STEP, LAT + (i // 8) * STEP) for i in range(40)]
    columns = {"height_m": [9.0] * 40, "name": ["a"] * 40, "colour": ["red"] * 40}
    put(store, "buildings", "building", shapes, columns, mode="replace")
    assert all(b"colour" in live.vector(("buildings",), *at).plain() for at in around(14) if known[at])
    then = was(store, live, seq)
    assert {at: then.vector(("buildings",), *at).plain() for at in around(14)} == known


def test_what_is_now_is_held_once(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "COMPACT_ROWS", 2)
    loaded(store)
    live = Tiles(store, tmp_path / "live")
    seq = store.seq()
    store.patch("buildings", 1, {"properties": {"name": "other"}})
    then = was(store, live, seq)
    known = picture(then)
    first = then._snapshot("buildings")
    assert isinstance(first, past.PastSnapshot)
    assert first.base is live._columns.known("buildings").base
    for fid in range(2, 9):
        store.patch("buildings", fid, {"properties": {"name": "more"}})
    picture(live)  # makes its columns anew
    assert picture(then) == known
    second = then._snapshot("buildings")
    assert second.base is live._columns.known("buildings").base is not first.base


def test_blocks_of_the_whole_world_are_those_that_were(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded(store)
    live = Tiles(store, tmp_path / "live")
    cells = [(z, 0, 0) for z in range(3)] + around(13) + around(15)
    known = {at: live.far.tile("buildings", *at).body for at in cells}
    seq = store.seq()
    away = shapely.geometry.mapping(square(-70.0, -33.0))
    store.patch("buildings", 1, {"geometry": away})
    store.delete("buildings", 2)
    live.far.tile("buildings", 0, 0, 0)
    for most in (snapshots.COMPACT_ROWS, 0):
        monkeypatch.setattr(past, "COMPACT_ROWS", most)
        then = was(store, live, seq)
        assert {at: then.far.tile("buildings", *at).body for at in cells} == known
