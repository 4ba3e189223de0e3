"""Extents across the antimeridian."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.store.base import Store
from tests.unit.tiles.conftest import put
from tiles import extent, scheme
from tiles.service import Bounds, Tiles

FOUND = Path(__file__).parents[2] / "found" / "serve" / "10-antimeridian.geojson"
WORLD = (-180.0, -90.0, 180.0, 90.0)


def of(store: Store, tmp_path: Path, shapes: list[Any]) -> tuple[float, ...]:
    put(store, "places", "feature", shapes)
    return Tiles(store, tmp_path / "d").crossing("places", WORLD)


def test_points_on_both_sides_lie_across_it(store: Store, tmp_path: Path) -> None:
    shapes = [shapely.geometry.shape(one["geometry"]) for one in json.loads(FOUND.read_text())["features"]]
    assert of(store, tmp_path, shapes) == (179.9, -90.0, -179.95, 90.0)


def test_tilejson_goes_the_whole_way_round_where_a_layer_lies_across_it(store: Store, tmp_path: Path) -> None:
    put(store, "places", "feature", [shapely.Point(179.9, -16.9), shapely.Point(-179.95, -16.8)])
    put(store, "city", "feature", [shapely.Point(24.9, 60.1), shapely.Point(24.95, 60.2)])
    tiles = Tiles(store, tmp_path / "d")

    def bounds(*ids: str) -> list[float]:
        found: list[float] = json.loads(gzip.decompress(tiles.tilejson(ids, "").body))["bounds"]
        return found

    assert bounds("places") == pytest.approx([-180, -16.9, 180, -16.8], abs=1e-5)
    assert bounds("city") == pytest.approx([24.9, 60.1, 24.95, 60.2], abs=1e-5)
    assert bounds("city", "places") == pytest.approx([-180, -16.9, 180, 60.2], abs=1e-5)


@pytest.mark.parametrize("bounds", ["content", "edits"])
def test_a_tileset_over_it_has_a_root_across_it(store: Store, tmp_path: Path, bounds: Bounds) -> None:
    shapes = [shapely.box(west, -17, west + 0.01, -16.99) for west in (179.9, -179.95)]
    put(store, "buildings", "building", shapes, {"height_m": [9.0, 9.0]})
    root = json.loads(Tiles(store, tmp_path / "d").tileset("buildings", bounds).plain())["root"]
    west, south, east, north = np.degrees(root["boundingVolume"]["region"][:4])
    assert west > 179
    assert west <= 179.9
    assert east < -179
    assert east >= -179.94
    assert south <= -17 < -16.99 <= north
    for child in root["children"]:
        assert child["boundingVolume"]["region"][0] < child["boundingVolume"]["region"][2]


def test_a_feature_that_is_parted_there_counts_by_its_parts(store: Store, tmp_path: Path) -> None:
    island = shapely.MultiPolygon([shapely.box(178.5, -17, 180, -16), shapely.box(-180, -17, -179.5, -16)])
    assert of(store, tmp_path, [island]) == (178.5, -90.0, -179.5, 90.0)


@pytest.mark.parametrize(
    "shapes",
    [
        # cities all over the world lie in no half of it
        [shapely.Point(lon, 40) for lon in (-118, -74, 2, 37, 77, 121, 139)],
        [shapely.box(-170, -60, 170, 60)],
    ],
    ids=["cities", "one feature"],
)
def test_what_lies_all_round_keeps_its_box(store: Store, tmp_path: Path, shapes: list[Any]) -> None:
    assert of(store, tmp_path, shapes) == WORLD


@given(st.lists(st.floats(-30, 30), min_size=1, max_size=20), st.floats(-180, 180))
@settings(deadline=None)
def test_a_small_layer_is_found_wherever_it_lies(offsets: list[float], middle: float) -> None:
    """The box holds every feature and is as narrow as they lie."""
    import numpy as np

    lon = (np.array(offsets) + middle + 180) % 360 - 180
    x, _ = scheme.world(lon, np.zeros(len(lon)))
    box = extent.crossing((float(lon.min()), 0.0, float(lon.max()), 1.0), np.stack([x, x], axis=1))
    west, east = box[0], box[2]
    assert (east - west) % 360 <= max(offsets) - min(offsets) + 1e-6
    assert all((one - west + 1e-6) % 360 <= (east - west) % 360 + 2e-6 for one in lon.tolist())
