"""However a layer got to its state, and whoever reads meanwhile, its tiles are those of the state."""

from __future__ import annotations

import json
import random
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from layers.store.base import Store
from tests.unit.tiles.conftest import put, square
from tiles import scheme, snapshots
from tiles.service import Tiles

LON, LAT, STEP = 24.94, 60.17, 0.0006


def around(z: int) -> list[tuple[int, int, int]]:
    """The tiles of a zoom around the city."""

    ((x0, y0, x1, y1),) = scheme.world_boxes(np.array([[LON, LAT, LON + 0.01, LAT + 0.005]])).tolist()
    return list(scheme.cells((x0, y0, x1, y1), z))


def loaded(store: Store, count: int = 40) -> None:
    """Forty buildings."""
    shapes = [square(LON + (i % 8) * STEP, LAT + (i // 8) * STEP) for i in range(count)]
    put(store, "buildings", "building", shapes, {"height_m": [9.0] * count, "name": ["a"] * count})


def edit(store: Store, draw: random.Random) -> None:
    """One random edit."""
    fid = draw.randint(1, 40)
    if draw.random() < 0.5:
        store.patch("buildings", fid, {"properties": {"name": draw.choice(["x", "y", None])}})
        return
    item = json.loads(store.item("buildings", fid).body)
    place = square(LON + draw.random() * 0.008, LAT + draw.random() * 0.004, draw.choice([1e-4, 8e-4]))
    item["geometry"] = shapely.geometry.mapping(place)
    store.replace("buildings", fid, item)


def picture(tiles: Tiles) -> dict[Any, tuple[str, bytes]]:
    """Version and bytes of every tile and node around the city."""
    found: dict[Any, tuple[str, bytes]] = {}
    for z in (13, 14, 15, 16):
        for at in around(z):
            made = tiles.vector(("buildings",), *at)
            found["v", at] = made.etag, made.body
            if z >= 14:
                node = tiles.glb("buildings", *at)
                found["n", at] = node.etag, node.body
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_patched_columns_give_the_tiles_of_fresh_ones(
    store: Store, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "COMPACT_ROWS", 15)
    draw = random.Random(seed)
    loaded(store)
    live = Tiles(store, tmp_path / "live")
    for turn in range(6):
        for _ in range(draw.randint(1, 6)):
            edit(store, draw)
        assert picture(live) == picture(Tiles(store, tmp_path / f"fresh{turn}"))
    builds = live._columns._of("buildings").builds
    assert 1 <= builds < 6


def test_readers_never_keep_old_bytes_under_a_new_version(store: Store, tmp_path: Path) -> None:
    loaded(store)
    live = Tiles(store, tmp_path / "live")
    done, faults = threading.Event(), []

    def read() -> None:
        try:
            while not done.is_set():
                picture(live)
        except BaseException as error:
            faults.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    draw = random.Random(5)
    for _ in range(40):
        edit(store, draw)
    done.set()
    for reader in readers:
        reader.join(30)
    assert faults == []
    assert picture(live) == picture(Tiles(store, tmp_path / "fresh"))


def test_a_reader_waits_for_the_columns_that_its_version_needs(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded(store)
    live = Tiles(store, tmp_path / "live")
    picture(live)
    store.patch("buildings", 1, {"properties": {"name": "new"}})
    reading, go = threading.Event(), threading.Event()
    rows = store.rows

    def slow(*arguments: Any, **more: Any) -> Any:
        reading.set()
        assert go.wait(10)
        return rows(*arguments, **more)

    monkeypatch.setattr(store, "rows", slow)
    x, y = scheme.world(np.array(LON + 1e-4), np.array(LAT + 1e-4))
    at = {z: (z, int(x * 2**z), int(y * 2**z)) for z in (15, 16)}
    made: dict[int, bytes] = {}
    readers = [
        threading.Thread(target=lambda z=z: made.update({z: live.vector(("buildings",), *at[z]).plain()}))
        for z in (15, 16)
    ]
    readers[0].start()
    assert reading.wait(10)
    readers[1].start()
    readers[1].join(0.2)
    assert made == {}
    go.set()
    for reader in readers:
        reader.join(10)
    assert all(b"new" in body for body in made.values())
    assert len(made) == 2
