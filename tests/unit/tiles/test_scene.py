"""GLB, metadata and tree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from layers import undo
from layers.batch import MESH
from layers.mesh import Mesh, Surface
from layers.model import Author
from layers.store.base import Store
from tests.storing import grid, load, spec, tetrahedron
from tests.unit.tiles import gltf
from tests.unit.tiles.conftest import put, square
from tiles import scheme
from tiles.scene import tree
from tiles.scene.tileset import tileset
from tiles.service import Tiles

LON, LAT = 24.94, 60.17


def node_of(shape: Any) -> tree.Node:
    """The node of a lon/lat shape."""
    box = scheme.world_boxes(np.array([shape.bounds]))[0]
    return tree.node_of(tuple(box.tolist()))


@settings(deadline=None)
@given(st.floats(-179.9, 179.9), st.floats(-80, 80), st.floats(1e-6, 0.02), st.floats(1e-6, 0.02))
def test_a_feature_belongs_to_one_node_by_size_and_middle(
    lon: float, lat: float, width: float, height: float
) -> None:
    shape = shapely.box(lon, lat, lon + width, lat + height)
    z, x, y = node_of(shape)
    metres = max(width * 111_319 * np.cos(np.radians(lat + height / 2)), height * 111_319)
    expected = 14 if metres >= 200 else 15 if metres >= 60 else 16
    assert z == expected or min(abs(metres - 200), abs(metres - 60)) < 2
    west, south, east, north = scheme.tile_bounds(z, x, y)
    assert west - 1e-9 <= lon + width / 2 <= east + 1e-9
    # the middle of the Mercator box, not of the latitudes
    assert south - height / 10 <= lat + height / 2 <= north + height / 10


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(114.0, 114.2), st.floats(30.5, 30.6), st.floats(1, 3000)), min_size=1, max_size=20
    )
)
def test_every_body_lies_in_the_region_of_its_node(places: list[tuple[float, float, float]]) -> None:
    shapes = [shapely.box(a, b, a + s / 96_000, b + s / 111_000) for a, b, s in places]
    boxes = scheme.world_boxes(np.array([s.bounds for s in shapes]))
    found = tree.tree(boxes, 0.0, 30.0)
    nodes = gltf.check_tileset(json.loads(tileset(found)))
    for shape, (z, x, y) in zip(shapes, tree.nodes(boxes).tolist(), strict=True):
        west, south, east, north, low, high = nodes[f"{z}/{x}/{y}.glb"]["boundingVolume"]["region"]
        assert np.degrees(west) < shape.bounds[0]
        assert np.degrees(south) < shape.bounds[1]
        assert np.degrees(east) > shape.bounds[2]
        assert np.degrees(north) > shape.bounds[3]
        assert low <= -50
        assert high >= 530


def test_a_sparse_layer_declares_what_holds_something() -> None:
    shapes = [square(0, 0), square(60, 40)]
    boxes = scheme.world_boxes(np.array([s.bounds for s in shapes]))
    found = tree.tree(boxes, 0.0, 10.0)
    nodes = gltf.check_tileset(json.loads(tileset(found)))
    for z, x, y in tree.nodes(boxes).tolist():
        assert f"{z}/{x}/{y}.glb" in nodes
    assert len(nodes) == 2 * 21
    assert found.covers(tree.tree(boxes[:1].repeat(2, axis=0), 0.0, 10.0)) is False


def test_a_layer_without_features_has_a_root_only() -> None:
    assert gltf.check_tileset(json.loads(tileset(None))) == {}


def test_an_empty_cell_is_a_tiny_box(store: Store, tmp_path: Path) -> None:
    put(store, "buildings", "building", [square(LON, LAT)], {"height_m": [10.0]})
    z, x, y = node_of(square(LON, LAT))
    found = gltf.read(Tiles(store, tmp_path / "d").glb("buildings", z, x + 5, y).plain())
    assert found.table == {"fid": [-1]}
    spread = found.positions.max(axis=0) - found.positions.min(axis=0)
    assert np.allclose(spread, 0.01, atol=1e-3)
    assert len(found.triangles) == 12


def test_the_table_carries_every_type(store: Store, tmp_path: Path) -> None:
    shapes = [square(LON + i * 0.0003, LAT) for i in range(4)]
    columns: dict[str, list[Any]] = {
        "name": ["音乐厅", None, "Kiasma", "音乐厅"],
        "height_m": [10.0, None, 12.5, 3.0],
        "levels": [3, 4, None, 1],
        "height_source": ["measured", "default", "levels", "measured"],
        "use": [None] * 4,
        "listed": [False, None, False, False],
        "addr:street": ["a", "b", "c", "d"],
        "街道": ["x", None, None, None],
    }
    put(store, "buildings", "building", shapes, columns)
    found = gltf.read(Tiles(store, tmp_path / "d").glb("buildings", *node_of(shapes[0])).plain())
    assert found.count == 4
    assert found.table["fid"] == [1, 2, 3, 4]
    assert found.table["source_id"] == [f"buildings/{i}" for i in range(4)]
    for name, column in columns.items():
        if name == "use":
            # text that is empty in the whole tile has no legal buffer
            assert name not in found.table
        elif name == "listed":
            assert found.table[name] == ["false", None, "false", "false"]
        else:
            assert found.table[name] == column
    ids = set(found.document["extensions"]["EXT_structural_metadata"]["propertyTables"][0]["properties"])
    assert "addr_street" in ids
    # each row has its own triangles; the one without a height is a slab that can be picked
    assert all(len(found.of(row)) == 12 for row in range(4))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("wrong", [1e5, -1e5, 1e30, 1e39, -1e300, 1e-310])
@pytest.mark.parametrize("field", ["height_m", "min_height_m"])
def test_one_number_that_no_body_reaches_spoils_neither_the_volumes_nor_its_neighbours(
    store: Store, tmp_path: Path, field: str, wrong: float
) -> None:
    shapes = [square(LON + i * 0.0003, LAT) for i in range(2)]
    columns = {"height_m": [20.0, 20.0], "min_height_m": [0.0, 0.0]}
    put(store, "buildings", "building", shapes, columns | {field: [columns[field][0], wrong]})
    tiles = Tiles(store, tmp_path / "d")
    found = gltf.read(tiles.glb("buildings", *node_of(shapes[0])).plain())
    assert found.count == 2
    assert all(len(found.of(row)) == 12 for row in range(2))
    nodes = gltf.check_tileset(json.loads(tiles.tileset("buildings").plain()))
    regions = [node["boundingVolume"]["region"] for node in nodes.values()]
    assert all(abs(height) < 30 for region in regions for height in region[4:])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("wrong", [1e300, 1e-310])
@pytest.mark.parametrize("field", ["depth_m", "diameter_mm"])
def test_a_pipe_whose_depth_or_width_cannot_be_keeps_its_neighbours(
    store: Store, tmp_path: Path, field: str, wrong: float
) -> None:
    lines = [
        shapely.LineString([(LON, LAT + i * 0.0001), (LON + 0.0004, LAT + i * 0.0001)]) for i in range(2)
    ]
    columns = {"medium": ["water"] * 2, "diameter_mm": [500.0, 500.0], "depth_m": [1.5, 1.5]}
    put(store, "pipes", "pipeline", lines, columns | {field: [wrong, columns[field][1]]})
    tiles = Tiles(store, tmp_path / "d")
    found = gltf.read(tiles.glb("pipes", *node_of(lines[0])).plain())
    assert all(len(found.of(row)) > 8 for row in range(2))
    nodes = gltf.check_tileset(json.loads(tiles.tileset("pipes").plain()))
    regions = [node["boundingVolume"]["region"] for node in nodes.values()]
    assert all(abs(height) < 30 for region in regions for height in region[4:])


def test_cim_bodies_are_meshes_with_coloured_surfaces(store: Store, tmp_path: Path) -> None:
    base = square(LON, LAT)
    corners = [(x, y, z) for z in (40.0, 46.0) for x, y in list(base.exterior.coords)[:4]]
    faces = [(0, 1, 2), (0, 2, 3), (4, 6, 5), (4, 7, 6), (0, 4, 5), (0, 5, 1)]
    kinds = [Surface.GROUND] * 2 + [Surface.ROOF] * 2 + [Surface.WALL] * 2
    mesh = Mesh(np.array(corners), np.array(faces, np.uint32), np.array(kinds, np.uint8))
    shapes = [base, square(LON + 0.0003, LAT)]
    columns = {"height_m": [6.0, 8.0], "min_height_m": [2.0, 0.0]}
    put(store, "parts", "cim", shapes, columns, meshes=[mesh, None])
    found = gltf.read(Tiles(store, tmp_path / "d").glb("parts", *node_of(base)).plain())
    assert "COLOR_0" in found.document["meshes"][0]["primitives"][0]["attributes"]
    assert len(found.of(0)) == 6
    assert len(found.of(1)) == 12
    # the mesh stands at its min_height_m above the ground, whatever its datum
    *_, height = Transformer.from_crs(4978, 4979, always_xy=True).transform(*found.positions.T)
    mine, other = height[found.ids == 0], height[found.ids == 1]
    assert (mine.min(), mine.max()) == pytest.approx((2.0, 8.0), abs=1e-3)
    assert (other.min(), other.max()) == pytest.approx((0.0, 8.0), abs=1e-3)


@pytest.mark.parametrize("number", [2**31 - 1, -(2**31) + 1, 2**31, -(2**31), 2**53, 2**63 - 1, -(2**63)])
def test_whole_numbers_of_any_size_are_what_they_are(store: Store, tmp_path: Path, number: int) -> None:
    shape = square(LON, LAT)
    put(store, "parts", "cim", [shape], {"storey_no": [number]})
    found = gltf.read(Tiles(store, tmp_path / "d").glb("parts", *node_of(shape)).plain())
    assert found.table["storey_no"] == [float(number)]


def test_pipes_have_their_medium_in_the_table(store: Store, tmp_path: Path) -> None:
    lines = [shapely.LineString([(LON, LAT), (LON + 0.0004, LAT)])]
    put(store, "pipes", "pipeline", lines, {"medium": ["water"], "diameter_mm": [500.0], "depth_m": [1.5]})
    found = gltf.read(Tiles(store, tmp_path / "d").glb("pipes", *node_of(lines[0])).plain())
    assert found.table["medium"] == ["water"]
    assert len(found.of(0)) > 8


@pytest.mark.parametrize("bounds", ["content", "edits"])
def test_a_pipe_falls_evenly_from_its_first_point_to_its_last(
    store: Store, tmp_path: Path, bounds: Any
) -> None:
    """Over all of its parts, by their lengths."""
    east = LON + np.array([0.0, 0.0002, 0.0008, 0.0008])
    line = shapely.LineString([(lon, LAT) for lon in east[:3]])
    parts = shapely.MultiLineString([line, [(east[3], LAT + 0.0001), (LON + 0.0016, LAT + 0.0001)]])
    columns = {"diameter_mm": [200.0] * 2, "depth_m": [40.0] * 2, "depth_change_m": [60.0, None]}
    put(store, "pipes", "pipeline", [parts, parts], columns)
    tiles = Tiles(store, tmp_path / "d")
    document = json.loads(tiles.tileset("pipes", bounds).plain())
    (tile,) = [
        node
        for uri, node in gltf.check_tileset(document).items()
        if "/".join(map(str, node_of(parts))) + ".glb" in uri
    ]
    found = gltf.read(tiles.glb("pipes", *node_of(parts)).plain())
    lon, _, height = Transformer.from_crs(4978, 4979, always_xy=True).transform(*found.positions.T)
    falling = found.ids == found.table["depth_change_m"].index(60.0)
    expected = -40 - 60 * ((lon - LON) / 0.0016 - 0.5)
    assert np.abs(height - expected)[falling].max() < 0.2
    assert height[falling].min() == pytest.approx(-70, abs=0.2)
    assert np.abs(height + 40)[~falling].max() < 0.11
    assert tile["boundingVolume"]["region"][4] <= height.min()
    assert height.max() <= tile["boundingVolume"]["region"][5]


def test_positions_are_exact_to_a_millimetre(store: Store, tmp_path: Path) -> None:
    shape = square(LON, LAT)
    put(store, "buildings", "building", [shape], {"height_m": [10.0]})
    found = gltf.read(Tiles(store, tmp_path / "d").glb("buildings", *node_of(shape)).plain())
    to_ecef = Transformer.from_crs(4979, 4978, always_xy=True)
    for lon, lat in list(shape.exterior.coords):
        for height in (0.0, 10.0):
            expected = to_ecef.transform(lon, lat, height)
            assert np.linalg.norm(found.positions - expected, axis=1).min() < 1e-3


def test_layers_that_are_flat_have_no_scene(store: Store, tmp_path: Path) -> None:
    from layers.errors import NotFound

    put(store, "addresses", "address", [shapely.Point(LON, LAT)], {"street": ["a"]})
    with pytest.raises(NotFound, match="address"):
        Tiles(store, tmp_path / "d").tileset("addresses")


def test_a_body_that_an_undo_brings_back_is_in_the_boxes(store: Store, tmp_path: Path) -> None:
    rows = [dict(row, **{MESH: None}) for row in grid(3, height_m=5.0)]
    rows[0][MESH] = tetrahedron(25, 60, 50).to_bytes()
    load(store, spec(kind="cim"), rows)
    other = {"type": "Polygon", "coordinates": [[[25, 60], [25.001, 60], [25.001, 60.0015], [25, 60]]]}
    store.patch("buildings", 1, {"geometry": other})
    tiles = Tiles(store, tmp_path / "derived")

    def top(body: bytes) -> float:
        def highest(node: dict[str, Any]) -> float:
            own = float(node["boundingVolume"]["region"][5])
            return max([own, *map(highest, node.get("children", ()))])

        return highest(json.loads(body)["root"])

    low = top(tiles.tileset("buildings").plain())
    undo.apply(store, undo.of_set(store, store.change_sets(limit=1)[0].id), Author(actor="li"))
    assert top(tiles.tileset("buildings").plain()) == pytest.approx(low + 45)
