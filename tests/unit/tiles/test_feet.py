"""Parts of one building stand on the foot of their whole, wherever on a slope they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from layers.mesh import Mesh
from layers.store.base import Store
from tests.unit.tiles import gltf
from tests.unit.tiles.conftest import put
from tests.unit.tiles.test_ground import LAT, LON, TO_LONLAT, Slope
from tiles import scheme
from tiles.ground import FLAT, ConstantGround, Ground
from tiles.scene import tree
from tiles.scheme import Floats
from tiles.service import Tiles

#: Metres of a degree here, and a slope of 20 % to the east.
EAST_M, NORTH_M = 55_480.0, 111_420.0
SLOPE = Slope(24.9, rate=0.2 * EAST_M)


def block(east: float, north: float, wide: float, high: float) -> Any:
    """A rectangle by its south-west corner and its sides, in metres from a place."""
    lon, lat = LON + east / EAST_M, LAT + north / NORTH_M
    return shapely.box(lon, lat, lon + wide / EAST_M, lat + high / NORTH_M)


def solid(shape: Any, low: float, high: float) -> Mesh:
    """A closed block over a rectangle, at some height of its own."""
    west, south, east, north = shape.bounds
    ring = [(west, south), (east, south), (east, north), (west, north)]
    corners = [(*corner, 400.0 + z) for z in (low, high) for corner in ring]
    sides = [(i, (i + 1) % 4, 4 + (i + 1) % 4) for i in range(4)] + [
        (i, 4 + (i + 1) % 4, 4 + i) for i in range(4)
    ]
    caps = [(0, 2, 1), (0, 3, 2), (4, 5, 6), (4, 6, 7)]
    return Mesh(np.array(corners), np.array(sides + caps, np.uint32), np.full(12, 2, np.uint8))


WHOLE = block(0, 0, 80, 30)
#: At the foot of the slope, in its middle and in the air, at its top; and one that belongs to nothing.
PARTS = [block(0, 0, 20, 30), block(30, 0, 20, 30), block(60, 0, 20, 30), block(300, 0, 20, 20)]
LOW, HIGH = [0.0, 6.0, 0.0, 0.0], [12.0, 30.0, 18.0, 9.0]


def node_of(shape: Any) -> tree.Node:
    return tree.node_of(tuple(scheme.world_boxes(np.array([shape.bounds]))[0].tolist()))


def town(store: Store, *, meshes: bool) -> None:
    put(store, "houses", "building", [WHOLE], {"height_m": [18.0]})
    given = [solid(s, *ends) for s, *ends in zip(PARTS, LOW, HIGH, strict=True)] if meshes else None
    put(store, "parts", "cim", PARTS, {"height_m": HIGH, "min_height_m": LOW}, meshes=given)


def ends(tiles: Tiles, shape: Any, fid: int) -> tuple[float, float]:
    """The lowest and the highest vertex (m) of what is drawn of a part."""
    file = gltf.read(tiles.glb("parts", *node_of(shape)).plain())
    row = file.table["fid"].index(fid)
    height = TO_LONLAT.transform(*file.positions[file.ids == row].T)[2]
    return float(height.min()), float(height.max())


def foot(ground: Ground, shape: Any) -> float:
    west, south, east, north = shape.bounds
    return float(ground.at(np.array((west + east) / 2), np.array((south + north) / 2)))


@pytest.mark.parametrize("meshes", [True, False], ids=["solids", "prisms"])
def test_parts_keep_their_heights_to_one_another(store: Store, tmp_path: Path, meshes: bool) -> None:
    town(store, meshes=meshes)
    tiles = Tiles(store, tmp_path / "d", SLOPE)
    level = foot(SLOPE, WHOLE)
    for fid, (shape, low, high) in enumerate(zip(PARTS[:3], LOW, HIGH, strict=False), 1):
        lowest, highest = ends(tiles, shape, fid)
        assert highest == pytest.approx(level + high, abs=0.01)
        # what stands on the ground has no gap below it on the valley's side
        around = min(level, float(SLOPE.at(np.array(shape.bounds[0]), np.array(LAT))))
        assert lowest == pytest.approx(level + low if low else around, abs=0.01)
    # one that is nobody's part stands where it is
    own = ends(tiles, PARTS[3], 4)[1] - HIGH[3]
    assert own == pytest.approx(foot(SLOPE, PARTS[3]) - (2 if meshes else 0), abs=0.01)


def test_a_part_that_the_slope_would_bury_has_its_top_over_it(store: Store, tmp_path: Path) -> None:
    put(store, "houses", "building", [WHOLE], {"height_m": [18.0]})
    top = float(SLOPE.at(np.array(PARTS[2].bounds[2]), np.array(LAT)))
    for mode, given in (("create", None), ("replace", [solid(PARTS[2], 0, 3)])):
        put(store, "parts", "cim", [PARTS[2]], {"height_m": [3.0]}, meshes=given, mode=mode)
        lowest, highest = ends(Tiles(store, tmp_path / mode, SLOPE), PARTS[2], 1)
        assert highest == pytest.approx(top + 0.1, abs=0.01)
        assert lowest == pytest.approx(foot(SLOPE, WHOLE), abs=0.01)


@pytest.mark.parametrize("bounds", ["content", "edits"])
def test_boxes_hold_parts_whose_whole_stands_far_below(store: Store, tmp_path: Path, bounds: Any) -> None:
    far = [block(0, 0, 2000, 30), block(10_000, 0, 20, 20)]
    put(store, "houses", "building", far, {"height_m": [18.0, 18.0]})
    parts = [block(1900, 0, 20, 30), block(10, 0, 20, 30)]
    put(store, "parts", "cim", parts, {"height_m": [12.0, 12.0], "min_height_m": [3.0, 3.0]})
    tiles = Tiles(store, tmp_path / "d", SLOPE)
    content = gltf.check_tileset(json.loads(tiles.tileset("parts", bounds).plain()))
    for fid, shape in enumerate(parts, 1):
        lowest, highest = ends(tiles, shape, fid)
        assert abs(lowest - foot(SLOPE, shape)) > 150
        name = "/".join(map(str, node_of(shape))) + ".glb"
        (tile,) = [one for uri, one in content.items() if uri.split("?")[0].endswith(name)]
        assert tile["boundingVolume"]["region"][4] <= lowest
        assert highest <= tile["boundingVolume"]["region"][5]


def test_to_move_the_whole_renews_what_its_parts_are_drawn_in(store: Store, tmp_path: Path) -> None:
    town(store, meshes=True)
    tiles = Tiles(store, tmp_path / "d", SLOPE)
    nodes = {node_of(shape) for shape in PARTS[:3]}
    url = "3dtiles/parts/{}/{}/{}.glb"
    other = node_of(PARTS[3])
    assert other not in nodes
    before = {node: tiles.glb("parts", *node) for node in (*nodes, other)}

    def put_whole(shape: Any) -> dict[str, str]:
        since = store.seq()
        geometry = shapely.geometry.mapping(shape)
        store.replace("houses", 1, {"type": "Feature", "geometry": geometry, "properties": {"height_m": 18}})
        told = tiles.changed(store.changes(since))
        assert not told.layers
        return {one["url"]: one["version"] for one in told.tiles}

    moved = block(0, 0, 120, 30)
    told = put_whole(moved)
    for node in nodes:
        now = tiles.glb("parts", *node)
        assert (now.etag == before[node].etag, now.body == before[node].body) == (False, False)
        assert told[url.format(*node)] == now.etag.strip('"')
        assert tiles.glb_etag_known("parts", *node) == now.etag
    assert ends(tiles, PARTS[0], 1)[1] == pytest.approx(foot(SLOPE, moved) + HIGH[0], abs=0.01)
    # what has nothing to do with it stays, and the old state has the old names
    assert tiles.glb("parts", *other) == before[other]
    assert url.format(*other) not in told
    put_whole(WHOLE)
    assert {node: tiles.glb("parts", *node) for node in before} == before


def test_without_a_layer_of_wholes_parts_stand_at_their_own_places(store: Store, tmp_path: Path) -> None:
    town(store, meshes=False)
    tiles = Tiles(store, tmp_path / "d", SLOPE)
    before = tiles.glb("parts", *node_of(PARTS[0]))
    since = store.seq()
    store.drop("houses")
    told = {one["url"]: one["version"] for one in tiles.changed(store.changes(since)).tiles}
    now = tiles.glb("parts", *node_of(PARTS[0]))
    assert now.etag != before.etag
    assert told["3dtiles/parts/{}/{}/{}.glb".format(*node_of(PARTS[0]))] == now.etag.strip('"')
    assert ends(tiles, PARTS[0], 1)[1] == pytest.approx(foot(SLOPE, PARTS[0]) + HIGH[0], abs=0.01)


@pytest.mark.parametrize("ground", [FLAT, ConstantGround(30.0)])
def test_on_an_even_ground_parts_do_not_ask_for_their_wholes(
    store: Store, tmp_path: Path, ground: Ground
) -> None:
    town(store, meshes=True)
    tiles = Tiles(store, tmp_path / "d", ground)
    node = node_of(PARTS[0])
    before = tiles.glb("parts", *node), tiles.tileset("parts"), tiles.tileset("parts", "edits")
    assert tiles.relations.standing("parts") is None
    since = store.seq()
    store.delete("houses", 1)
    told = tiles.changed(store.changes(since))
    assert not [one for one in told.tiles if "/parts/" in one["url"]]
    assert (tiles.glb("parts", *node), tiles.tileset("parts"), tiles.tileset("parts", "edits")) == before
    heights: Floats = TO_LONLAT.transform(*gltf.read(before[0].plain()).positions.T)[2]
    assert heights.min() == pytest.approx(foot(ground, WHOLE), abs=0.01)


def test_elements_of_a_model_stand_where_the_model_does(store: Store, tmp_path: Path) -> None:
    """Without a layer of wholes: as a building model names the place of its building for each element."""
    where = {"foot_lon": [LON + 40 / EAST_M] * 3 + [None], "foot_lat": [LAT + 15 / NORTH_M] * 3 + [None]}
    columns = {"height_m": HIGH, "min_height_m": LOW, **where}
    given = [solid(s, *ends) for s, *ends in zip(PARTS, LOW, HIGH, strict=True)]
    put(store, "parts", "cim", PARTS, columns, meshes=given)
    tiles = Tiles(store, tmp_path / "d", SLOPE)
    level = float(SLOPE.at(np.array(where["foot_lon"][0]), np.array(LAT)))
    for fid, (shape, high) in enumerate(zip(PARTS[:3], HIGH, strict=False), 1):
        assert ends(tiles, shape, fid)[1] == pytest.approx(level + high, abs=0.01)
    assert ends(tiles, PARTS[3], 4)[1] - HIGH[3] == pytest.approx(foot(SLOPE, PARTS[3]) - 2, abs=0.01)


@pytest.mark.parametrize("bounds", ["content", "edits"])
def test_boxes_hold_elements_whose_model_stands_far_below(store: Store, tmp_path: Path, bounds: Any) -> None:
    shape = block(3000, 0, 20, 30)
    columns = {
        "height_m": [12.0],
        "min_height_m": [3.0],
        "foot_lon": [LON],
        "foot_lat": [LAT + 2000 / NORTH_M],
    }
    put(store, "parts", "cim", [shape], columns)
    tiles = Tiles(store, tmp_path / "d", SLOPE)
    content = gltf.check_tileset(json.loads(tiles.tileset("parts", bounds).plain()))
    lowest, highest = ends(tiles, shape, 1)
    assert foot(SLOPE, shape) - highest > 500
    [tile] = [one for uri, one in content.items() if "/".join(map(str, node_of(shape))) in uri]
    assert tile["boundingVolume"]["region"][4] <= lowest
    assert highest <= tile["boundingVolume"]["region"][5]
