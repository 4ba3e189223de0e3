"""Far views: blocks add up, stand where their features do, and are renewed by their edits alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.errors import NotFound
from layers.store.base import Store
from tests.unit.tiles import gltf
from tests.unit.tiles.conftest import put, square
from tiles import far_sums, scheme
from tiles.batch import Batch
from tiles.scene import blocks, build, tree
from tiles.service import Tiles

LON, LAT = 114.1, 28.2
PLACES = st.lists(
    st.tuples(st.floats(114.0, 114.1), st.floats(28.2, 28.3), st.floats(1, 400), st.floats(0.1, 700)),
    min_size=1,
    max_size=60,
)


def cells_of(places: list[tuple[float, float, float, float]], z: int) -> blocks.Cells:
    """The cells of squares (lon, lat, side, height)."""
    lon_lat = np.array([(x, y, x + s / 98_000, y + s / 111_000) for x, y, s, _ in places])
    boxes = scheme.world_boxes(lon_lat)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    heights = np.array([h for *_, h in places])
    return blocks.cells(z, boxes, area, heights, np.arange(len(places)) % 3, 3)


@settings(deadline=None, max_examples=60)
@given(PLACES)
def test_a_level_is_the_sum_of_the_level_below(places: list[tuple[float, float, float, float]]) -> None:
    fine, coarse = cells_of(places, 13), cells_of(places, 12)
    summed = blocks.coarser([fine])
    assert (summed.keys == coarse.keys).all()
    assert np.allclose(summed.sums, coarse.sums)
    assert np.allclose(summed.votes, coarse.votes)
    assert (summed.boxes == coarse.boxes).all()
    drawn = blocks.drawn(coarse, 500.0)
    assert drawn.sums[:, 0].sum() == len(places)
    volume = (drawn.heights * drawn.sums[:, 1]).sum()
    assert volume == pytest.approx(coarse.sums[:, 2].sum())
    _, counts = np.unique(drawn.places[:, :2], axis=0, return_counts=True)
    assert counts.max() <= 2
    shapes = blocks.footprints(drawn)
    assert (shapes[:, :2] >= drawn.boxes[:, :2] - 1e-12).all()
    assert (shapes[:, 2:] <= drawn.boxes[:, 2:] + 1e-12).all()


def test_one_building_is_as_large_and_as_high_as_it_is(store: Store, tmp_path: Path) -> None:
    put(store, "buildings", "building", [square(LON, LAT)], {"height_m": [33.0]})
    tiles = Tiles(store, tmp_path / "d")
    document = json.loads(tiles.tileset("buildings").plain())
    for uri in gltf.check_blocks(document):
        z, x, y = map(int, uri[7:-4].split("/"))
        found = gltf.read(tiles.far.tile("buildings", z, x, y).plain())
        assert found.table["count"] == [1]
        assert found.table["height"] == found.table["highest"] == [33.0]
        size = np.ptp(found.positions, axis=0)
        body = gltf.read(tiles.glb("buildings", *tree.node_of(box_of(square(LON, LAT)))).plain())
        assert np.allclose(size, np.ptp(body.positions, axis=0), atol=2.5)


def box_of(shape: shapely.Polygon) -> tuple[float, float, float, float]:
    """The world box of a shape."""
    west, south, east, north = scheme.world_boxes(np.array([shape.bounds]))[0].tolist()
    return west, south, east, north


def test_a_tower_is_not_lost_and_the_colour_is_that_of_most_area(store: Store, tmp_path: Path) -> None:
    shapes = [square(LON + i * 0.00012, LAT) for i in range(7)]
    put(
        store,
        "buildings",
        "building",
        shapes,
        {"height_m": [10.0] * 6 + [180.0], "height_source": ["levels"] * 4 + ["default"] * 3},
    )
    tiles = Tiles(store, tmp_path / "d")
    x, y = (int(each[0]) for each in (v * 2**13 for v in scheme.world(np.array([LON]), np.array([LAT]))))
    table = gltf.read(tiles.far.tile("buildings", 13, x, y).plain()).table
    assert sorted(zip(table["count"], table["height"], table["height_source"], strict=True)) == [
        (1, 180.0, "default"),
        (6, 10.0, "levels"),
    ]
    z, cx, cy = (table[name][0] for name in ("cell_z", "cell_x", "cell_y"))
    assert sorted(zip(table["count"], table["above"], strict=True)) == [(1, 1), (6, 0)]
    assert tiles.far.members("buildings", z, cx, cy, above=True).fids.tolist() == [7]
    assert tiles.far.members("buildings", z, cx, cy, above=False).fids.tolist() == [1, 2, 3, 4, 5, 6]
    assert not tiles.far.members("buildings", z, cx, cy, above=False).alone
    assert tiles.far.members("buildings", z, cx, cy).height == pytest.approx(240 / 7)
    assert tiles.far.members("buildings", z, cx, cy).alone


def test_walls_too_low_to_be_seen_are_left_out(store: Store, tmp_path: Path) -> None:
    shapes = [square(LON + i * 0.01, LAT) for i in range(3)]
    put(store, "buildings", "building", shapes, {"height_m": [10.0, 22.0, 180.0]})
    tiles = Tiles(store, tmp_path / "d")
    place = scheme.world(np.array([LON + 0.01]), np.array([LAT]))

    def triangles(z: int) -> dict[float, int]:
        x, y = (int(each[0] * 2**z) for each in place)
        found = gltf.read(tiles.far.tile("buildings", z, x, y).plain())
        once = gltf.read(tiles.far.tile("buildings", z, x, y, "gpu").plain())
        assert once.table == found.table
        assert all(len(once.of(row)) == 10 for row in range(once.count))
        lids = {row: found.positions[found.of(row)].reshape(-1, 3).mean(axis=0) for row in range(found.count)}
        for row, middle in lids.items():
            whole = once.positions[once.of(row)].reshape(-1, 3)
            assert np.linalg.norm(whole - middle, axis=1).min() < np.ptp(whole, axis=0).max()
        return {height: len(found.of(row)) for row, height in enumerate(found.table["height"])}

    # two pixels of the geometric error's sixteen: 27 m, 7.5 m
    assert triangles(13) == {10.0: 2, 22.0: 2, 180.0: 10}
    assert set(triangles(15).values()) == {10}


def test_an_edit_renews_the_blocks_above_it_and_no_others(store: Store, tmp_path: Path) -> None:
    put(
        store,
        "buildings",
        "building",
        [square(LON + i * 0.03, LAT) for i in range(6)],
        {"height_m": [10.0] * 6},
    )
    tiles = Tiles(store, tmp_path / "d")
    nodes = [
        tuple(map(int, uri[7:-4].split("/")))
        for uri in gltf.check_blocks(json.loads(tiles.tileset("buildings").plain()))
    ]
    before = {node: tiles.far.etag("buildings", *node) for node in nodes}
    heights = {node: gltf.read(tiles.far.tile("buildings", *node).plain()).table["height"] for node in nodes}
    since = store.seq()
    store.patch("buildings", 3, {"properties": {"height_m": 40.0}})
    told = {entry["url"] for entry in tiles.changed(store.changes(since)).tiles}
    above = {node for node in nodes if node in set(tree.above(box_of(square(LON + 0.06, LAT))))}
    assert len(above) == len({z for z, *_ in nodes})
    for node in nodes:
        assert (tiles.far.etag("buildings", *node) != before[node]) == (node in above)
        assert ("3dtiles/buildings/blocks/{}/{}/{}.glb".format(*node) in told) == (node in above)
        now = gltf.read(tiles.far.tile("buildings", *node).plain()).table["height"]
        assert (now != heights[node]) == (node in above)
    # and from nothing it is the same
    fresh = Tiles(store, tmp_path / "other")
    for node in nodes:
        assert fresh.far.tile("buildings", *node) == tiles.far.tile("buildings", *node)


def test_many_in_one_place_are_one_block(store: Store, tmp_path: Path) -> None:
    put(store, "buildings", "building", [square(LON, LAT)] * 500, {"height_m": [12.0] * 500})
    tiles = Tiles(store, tmp_path / "d")
    for uri in gltf.check_blocks(json.loads(tiles.tileset("buildings").plain())):
        found = gltf.read(tiles.far.tile("buildings", *map(int, uri[7:-4].split("/"))).plain())
        assert found.table["count"] == [500]


def test_layers_that_are_no_footprints_have_no_blocks(store: Store, tmp_path: Path) -> None:
    line = shapely.LineString([(LON, LAT), (LON + 0.01, LAT)])
    put(store, "pipes", "pipeline", [line], {"diameter_mm": [500.0], "depth_m": [2.0]})
    tiles = Tiles(store, tmp_path / "d")
    assert gltf.check_blocks(json.loads(tiles.tileset("pipes").plain())) == {}
    with pytest.raises(NotFound):
        tiles.far.etag("pipes", 13, 0, 0)
    with pytest.raises(NotFound):
        tiles.far.members("pipes", 13, 0, 0)


def test_the_whole_world_is_no_more_work_than_what_stands_in_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [(LON, LAT), (LON + 0.1, LAT), (-70.0, -33.0), (179.9, 0.0)]
    put(store, "buildings", "building", [square(*at) for at in places], {"height_m": [9.0] * len(places)})
    tiles = Tiles(store, tmp_path)
    # as of a file from before they were kept
    monkeypatch.setattr(far_sums, "at", lambda *_: None)
    looked: list[tree.Node] = []
    whole = tiles.far._features

    def count(layer_id: str, cell: tree.Node, shown_from: int) -> Batch:
        looked.append(cell)
        return whole(layer_id, cell, shown_from)

    monkeypatch.setattr(tiles.far, "_features", count)
    summed = tiles.far._held("buildings", (0, 0, 0))
    assert summed.sums[:, 0].sum() == len(places)
    assert len(looked) == len(set(looked)) == len(places)
    assert all(z == 13 for z, _, _ in looked)
    looked.clear()
    shape = shapely.geometry.mapping(square(10.0, 50.0))
    store.create("buildings", {"type": "Feature", "geometry": shape, "properties": {}})
    tiles.far.columns.freshness.update()
    assert tiles.far._held("buildings", (0, 0, 0)).sums[:, 0].sum() == len(places) + 1
    assert len(looked) == 1
    looked.clear()
    assert not len(tiles.far._held("buildings", (3, 0, 0)))
    assert len(looked) == 1


def test_a_node_does_not_grow_with_what_stands_at_one_place(store: Store, tmp_path: Path) -> None:
    n = 25_000
    shapes = [square(LON, LAT)] * (n - 1) + [square(LON, LAT, 0.0004)]
    put(store, "buildings", "building", shapes, {"height_m": [12.0] * n})
    tiles = Tiles(store, tmp_path / "d")
    document = json.loads(tiles.tileset("buildings").plain())
    (uri,) = gltf.check_tileset(document)
    at = "buildings", *map(int, uri.removesuffix(".glb").split("/"))
    for form in ("none", "meshopt"):
        node = tiles.glb(*at, form)  # type: ignore[arg-type]
        assert node.beyond == n - build.MOST
        assert len(node.body) < 6_000_000
    found = gltf.read(tiles.glb(*at).plain())
    assert found.document["asset"]["extras"] == {"features_beyond_budget": n - build.MOST}
    # the largest stay
    assert found.count == build.MOST
    assert n in found.table["fid"]
    for uri in gltf.check_blocks(document):
        blocks_ = tiles.far.tile("buildings", *map(int, uri[7:-4].split("/")))
        assert gltf.read(blocks_.plain()).table["count"] == [n]
        assert len(blocks_.body) < 2_000
    z, x, y = (gltf.read(blocks_.plain()).table[f"cell_{name}"][0] for name in "zxy")
    assert len(tiles.far.members("buildings", z, x, y).fids) == n
