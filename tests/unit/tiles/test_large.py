"""Features of very many vertices: the same in a tile, from few of their vertices."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import numpy as np
import pytest
import shapely
import shapely.geometry

from layers.store.base import Store
from tests.unit.tiles.conftest import put, square
from tiles import batch as batches
from tiles import dictionary, kernel, large, scheme
from tiles.batch import Batch
from tiles.levels.build import Scheme
from tiles.service import Tiles
from tiles.snapshots import snapshot_of
from tiles.vector import encode, overview
from tiles.vector.overview import Budget, Drawing

N = 20_000
DRAWING = Drawing(Scheme(), frozenset({"fid"}))


def coast(n: int = N, radius: float = 0.03, seed: int = 1) -> Any:
    """A ring (n, 2) around 25° E 60° N, rough at every scale."""
    rng = np.random.default_rng(seed)
    waves = np.maximum(np.arange(n // 2 + 1), 1) ** -1.15 * np.exp(1j * rng.uniform(0, 2 * np.pi, n // 2 + 1))
    waves[:2] = 0
    noise = np.fft.irfft(waves * n, n)
    reach = radius * (1 + 0.4 * noise / np.abs(noise).max())
    turn = np.arange(n) / n * 2 * np.pi
    return np.stack([25 + 2 * reach * np.cos(turn), 60 + reach * np.sin(turn)], axis=1)


def batch_of(*shapes: Any) -> Batch:
    """Columns of shapes with their fids."""
    batch = batches.from_shapes(np.arange(1, len(shapes) + 1), np.array(shapes, object))
    return replace(batch, props={"fid": dictionary.encode(batch.fids.tolist(), "integer")})


def drawn(body: bytes) -> list[Any]:
    """The shapes of a layer message."""
    if not body:
        return []
    (layer,) = mapbox_vector_tile.decode(body).values()
    return [shapely.make_valid(shapely.geometry.shape(one["geometry"])) for one in layer["features"]]


def tile_of(batch: Batch, z: int, vertex: int) -> tuple[int, int, int]:
    """The tile of a zoom in which a vertex lies."""
    x, y = (batch.xy[vertex] * (1 << z)).astype(int).tolist()
    return z, x, y


@pytest.mark.parametrize("z", [15, 17, 20])
@pytest.mark.parametrize("what", ["area", "line", "hole"])
def test_near_by_a_tile_is_what_all_vertices_make(z: int, what: str) -> None:
    ring = coast()
    shape = {
        "area": shapely.Polygon(ring),
        "line": shapely.LineString(ring),
        "hole": shapely.Polygon(25 + (coast(6_000, seed=3) - 25) * 3, [ring]) if what == "hole" else None,
    }[what]
    batch = batch_of(shape, square(25.0, 60.0))
    rows = np.arange(2)
    for vertex in (0, 5_000, 12_345):
        at = tile_of(batch, z, vertex)
        few = large.taker(*at)(batch, rows)
        assert len(few.xy) < len(batch.xy) / 4
        mine, all_ = (drawn(encode.layer("a", one, *at)) for one in (few, batch))
        assert len(mine) == len(all_)
        for here, there in zip(mine, all_, strict=True):
            # forms of zoom 15 are on a grid of four units
            assert here.symmetric_difference(there).area <= (4 * there.length if z == 15 else 0.01)
            if what == "line":
                assert here.hausdorff_distance(there) <= (8 if z == 15 else 1)


def test_what_two_features_share_they_share_at_every_zoom() -> None:
    line = coast()[: N // 2]
    left = shapely.Polygon([*line, (25, 59.9)])
    right = shapely.Polygon([*line[::-1], (25, 60.2)])
    batch = batch_of(left, right)
    for z in range(6, 17):
        few = large.Large(batch).take(batch, np.arange(2), z, (0.0, 0.0, 1.0, 1.0))
        a, b = (few.xy[few.coords[i] : few.coords[i + 1]].tolist() for i in range(2))
        common = {tuple(p) for p in a} & {tuple(p) for p in b}
        # but for the ends, where each goes its own way
        assert len(set(map(tuple, a)) - common) <= 2
        assert len(set(map(tuple, b)) - common) <= 2
        assert len(a) <= N // 2 + 1
    assert len(a) > 2_000


def test_what_the_grid_swallows_is_seen_all_the_same() -> None:
    tiny = shapely.Polygon(coast(radius=1e-6))
    line = shapely.LineString(coast(radius=1e-6))
    specks = [
        shapely.Point(25 + i % 10 / 50, 60 + i // 10 / 50).buffer(1e-7 * (i + 1), 64) for i in range(50)
    ]
    batch = batch_of(tiny, line, shapely.MultiPolygon(specks))
    for z in (0, 3, 8, 12):
        snapshot = snapshot_of(batch, 1)
        x, y = (batch.xy[0] * (1 << z)).astype(int).tolist()
        few = large.taker(z, x, y)(batch, np.arange(3))
        assert (np.diff(few.parts) > 0).all()
        assert (np.diff(few.coords)[np.diff(few.parts).cumsum() - 1] >= 2).all()
        made = overview.layer("a", snapshot, DRAWING, (z, x, y), "buffer", Budget())
        assert made.features >= 1
    assert len(drawn(encode.layer("a", few, z, x, y))) >= 1


def test_a_comb_of_many_teeth_is_within_the_budget() -> None:
    n = 200_000
    turn, reach = np.linspace(0, 2 * np.pi, n, endpoint=False), np.where(np.arange(n) % 2, 0.02, 0.1)
    ring = np.stack([25 + 2 * reach * np.cos(turn), 60 + reach * np.sin(turn)], axis=1)
    snapshot = snapshot_of(batch_of(shapely.Polygon(ring), square(25.0, 60.0)), 1)
    for z in (0, 6, 9, 11, 13, 14, 15):
        at = tile_of(snapshot.base, z, n // 3)
        made = overview.layer("a", snapshot, DRAWING, at, "exact", Budget())
        assert made.packed <= 500_000
        assert made.features >= 1


def test_where_bytes_are_short_a_coast_is_drawn_on_a_coarser_grid_and_last_as_a_box() -> None:
    snapshot = snapshot_of(batch_of(shapely.Polygon(coast(200_000, radius=0.1))), 1)
    at = tile_of(snapshot.base, 9, 0)
    most = (500_000, 10_000, 5_000, 1_000)
    sizes = [overview.layer("a", snapshot, DRAWING, at, "buffer", Budget(one)).packed for one in most]
    assert all(size <= one for size, one in zip(sizes, most, strict=True))
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == len(sizes)


@pytest.mark.skipif(kernel.compiled() is None, reason="the kernel is not built")
def test_the_kernel_draws_the_same_bytes() -> None:
    ring = coast()
    outer = 25 + (coast(30_000, seed=3) - 25) * 3
    batch = batch_of(shapely.Polygon(ring), shapely.LineString(ring), shapely.Polygon(outer, [ring]))
    for z in (4, 9, 11, 13, 16):
        at = tile_of(batch, z, 7_000)
        few = large.taker(*at)(batch, np.arange(3))
        for how in ("buffer", "exact"):
            assert encode.layer("a", few, *at, how) == encode.by_arrays("a", few, *at, how)  # type: ignore[arg-type]


def test_edits_beside_a_large_feature_give_the_tiles_of_a_new_start(store: Store, tmp_path: Path) -> None:
    shapes = [shapely.Polygon(coast()), *(square(25 + i / 1000, 60) for i in range(8))]
    put(store, "land", "feature", shapes)
    tiles = Tiles(store, tmp_path / "d")
    places = [(z, *(int(v * (1 << z)) for v in _world())) for z in (3, 10, 14, 16)]
    before = [tiles.vector(("land",), *at).body for at in places]
    item = json.loads(store.item("land", 3).body)
    item["geometry"] = shapely.geometry.mapping(square(25.0005, 60.0005))
    store.replace("land", 3, item)
    after = [tiles.vector(("land",), *at) for at in places]
    assert after[-1].body != before[-1]
    again = Tiles(store, tmp_path / "other")
    assert [again.vector(("land",), *at) for at in places] == after
    # and the large one itself
    item = json.loads(store.item("land", 1).body)
    item["geometry"] = shapely.geometry.mapping(shapely.Polygon(coast(seed=9)))
    store.replace("land", 1, item)
    after = [tiles.vector(("land",), *at) for at in places]
    again = Tiles(store, tmp_path / "third")
    assert [again.vector(("land",), *at) for at in places] == after


def _world() -> tuple[float, float]:
    x, y = scheme.world(np.array([25.0005]), np.array([60.0005]))
    return float(x[0]), float(y[0])
