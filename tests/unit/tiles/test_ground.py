"""The ground is asked at a place: bodies stand on it, pipes follow it, boxes hold it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from pyproj import Transformer

from layers.mesh import Mesh
from layers.store.base import Store
from layers.types import Bbox
from tests.unit.tiles import gltf
from tests.unit.tiles.conftest import put, square
from tiles import scheme
from tiles.ground import FLAT, ConstantGround, Ground
from tiles.scene import tree
from tiles.scheme import Floats
from tiles.service import Tiles


@dataclass(frozen=True)
class Slope:
    """A plane that rises to the east, by 1000 m a degree."""

    west: float
    key: str = "slope"
    step: float = 50.0
    rate: float = 1000.0

    def at(self, lon: Floats, lat: Floats) -> Floats:
        return self.rate * (np.asarray(lon) - self.west)

    def between(self, box: Bbox) -> tuple[float, float]:
        return self.rate * (box[0] - self.west), self.rate * (box[2] - self.west)


LON, LAT = 24.94, 60.17
SLOPE = Slope(24.9)
TO_LONLAT = Transformer.from_crs(4978, 4979, always_xy=True)


def test_a_constant_ground() -> None:
    found = ConstantGround(12.5)
    assert found.at(np.zeros(3), np.zeros(3)).tolist() == [12.5] * 3
    assert found.at(np.array(1.0), np.array(2.0)).shape == ()
    assert found.between((0, 0, 1, 1)) == (12.5, 12.5)
    assert (found.key, FLAT.key, ConstantGround(-3.25).key) == ("12.5", "", "-3.25")
    assert FLAT.step == np.inf


def test_boxes_of_the_tree_hold_the_ground_below_them() -> None:
    lon, lat = np.array([25.0, 25.02]), np.array([60.0, 60.001])
    boxes = scheme.world_boxes(np.stack([lon, lat, lon + 1e-4, lat + 1e-4], axis=1))
    flat, steep = tree.tree(boxes, 0.0, 30.0), tree.tree(boxes, 0.0, 30.0, Slope(25.0))
    for node in tree.nodes(boxes).tolist():
        west, _, east, _, low, high = steep.region(tuple(node))
        lowest, highest = 1000 * (np.degrees([west, east]) - 25.0)
        assert (low, high) == pytest.approx((lowest + flat.low, highest + flat.high))
    first, last = (steep.region(tuple(node))[4] for node in tree.nodes(boxes).tolist())
    assert last - first == pytest.approx(20, abs=6)
    assert steep.covers(tree.tree(boxes, 0.0, 20.0, Slope(25.0)))


def above(store: Store, layer: str, shape: Any, folder: Path) -> tuple[Floats, Floats]:
    """Longitude and height above a slope of every vertex of a feature's node."""
    box = scheme.world_boxes(np.array([shape.bounds]))[0]
    glb = Tiles(store, folder, SLOPE).glb(layer, *tree.node_of(tuple(box.tolist())))
    lon, lat, height = TO_LONLAT.transform(*gltf.read(glb.plain()).positions.T)
    return lon, height - SLOPE.at(lon, lat)


def test_a_prism_stands_upright_on_the_ground_at_its_middle(store: Store, tmp_path: Path) -> None:
    shape = square(LON, LAT)
    put(store, "buildings", "building", [shape], {"height_m": [10.0]})
    lon, found = above(store, "buildings", shape, tmp_path / "d")
    tilt = SLOPE.at(lon, lon) - SLOPE.at(np.array(LON + 0.0001), lon)
    # its walls go down to the lowest corner
    assert np.unique(np.round(found + tilt, 2)).tolist() == [-0.1, 10.0]


def test_what_is_lower_than_its_slope_is_not_sunk(store: Store, tmp_path: Path) -> None:
    shape = square(LON, LAT)
    put(store, "buildings", "building", [shape], {"height_m": [0.05]})
    _, found = above(store, "buildings", shape, tmp_path / "d")
    assert found.min() == pytest.approx(-0.2, abs=0.001)
    assert np.sort(found)[-8:].min() == pytest.approx(0.1, abs=0.001)


def test_a_part_in_the_air_has_no_walls_to_the_ground(store: Store, tmp_path: Path) -> None:
    shape = square(LON, LAT)
    put(store, "buildings", "building", [shape], {"height_m": [9.0], "min_height_m": [6.0]})
    lon, found = above(store, "buildings", shape, tmp_path / "d")
    tilt = SLOPE.at(lon, lon) - SLOPE.at(np.array(LON + 0.0001), lon)
    assert np.unique(np.round(found + tilt, 2)).tolist() == [6.0, 9.0]


def test_a_mesh_stands_on_the_ground(store: Store, tmp_path: Path) -> None:
    shape = square(LON, LAT)
    corners = [(LON, LAT, 70.0), (LON + 0.0002, LAT, 70.0), (LON, LAT + 0.0002, 75.0)]
    mesh = Mesh(np.array(corners), np.array([[0, 1, 2]], np.uint32), np.array([2], np.uint8))
    columns = {"height_m": [6.0], "min_height_m": [1.0]}
    put(store, "parts", "cim", [shape], columns, meshes=[mesh])
    lon, found = above(store, "parts", shape, tmp_path / "d")
    tilt = SLOPE.at(lon, lon) - SLOPE.at(np.array(LON + 0.0001), lon)
    assert np.unique(np.round(found + tilt, 2)).tolist() == [1.0, 6.0]


def test_a_pipe_follows_the_ground_from_point_to_point(store: Store, tmp_path: Path) -> None:
    line = shapely.LineString([(LON, LAT), (LON + 0.0002, LAT), (LON + 0.0004, LAT + 0.0001)])
    put(store, "pipes", "pipeline", [line], {"diameter_mm": [500.0], "depth_m": [2.0]})
    _, found = above(store, "pipes", line, tmp_path / "d")
    assert found.min() == pytest.approx(-2.25, abs=0.02)
    assert found.max() == pytest.approx(-1.75, abs=0.02)


def test_another_ground_is_another_etag(store: Store, tmp_path: Path) -> None:
    shape = square(LON, LAT)
    put(store, "buildings", "building", [shape], {"height_m": [10.0]})
    grounds: list[Ground] = [FLAT, ConstantGround(3.0), SLOPE]
    etags = [
        Tiles(store, tmp_path / str(i), g).glb_etag("buildings", 16, 0, 0) for i, g in enumerate(grounds)
    ]
    assert len(set(etags)) == 3
