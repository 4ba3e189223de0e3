"""Vector tiles beyond zoom 16, of layers that name a deeper one."""

from __future__ import annotations

import json
from pathlib import Path

import mapbox_vector_tile
import numpy as np
import pytest
import shapely

from layers.errors import NotFound
from layers.store.base import Store
from tests.unit.tiles.conftest import put
from tiles import scheme
from tiles.service import Tiles
from tiles.vector.options import Options

LON, LAT = 24.94, 60.17
#: Degrees of latitude.
CENTIMETRE = 0.01 / scheme.METRES_PER_DEGREE


def tile_at(z: int) -> tuple[int, int, int]:
    """The tile of a zoom in which the place lies."""
    x, y = scheme.world(np.array([LON]), np.array([LAT]))
    return z, int(x[0] * (1 << z)), int(y[0] * (1 << z))


def features(tiles: Tiles, layer: str, z: int, ids: tuple[str, ...] = ()) -> list[dict]:
    """What a layer has in the tile at the place."""
    decoded = mapbox_vector_tile.decode(tiles.vector(ids or (layer,), *tile_at(z)).plain())
    return decoded[layer]["features"] if layer in decoded else []


@pytest.fixture
def tiles(store: Store, tmp_path: Path) -> Tiles:
    """Tiles of boundary marks that are surveyed to the centimetre, and of buildings that are not."""
    marks = [shapely.Point(LON, LAT), shapely.Point(LON, LAT + CENTIMETRE)]
    put(store, "marks", "feature", marks)
    put(store, "buildings", "building", [shapely.box(LON - 1e-3, LAT - 1e-3, LON + 1e-3, LAT + 1e-3)])
    return Tiles(store, tmp_path / "d", options={"marks": Options(maxzoom=20)})


def test_a_centimetre_is_told_at_the_deepest_zoom(tiles: Tiles) -> None:
    near = [one["geometry"]["coordinates"] for one in features(tiles, "marks", 20)]
    assert abs(near[0][1] - near[1][1]) >= 2
    far = [one["geometry"]["coordinates"] for one in features(tiles, "marks", 16)]
    assert abs(far[0][1] - far[1][1]) <= 1
    with pytest.raises(NotFound, match="beyond zoom 20: deeper ones are drawn from those of it"):
        tiles.vector(("marks",), *tile_at(21))
    with pytest.raises(NotFound, match="beyond zoom 16"):
        tiles.vector(("buildings",), *tile_at(17))


def test_tiles_of_several_layers_show_all_of_them_down_to_the_deepest(tiles: Tiles) -> None:
    both = ("buildings", "marks")
    assert tiles.options.maxzoom(both) == 20
    assert len(features(tiles, "marks", 20, both)) == 2
    assert len(features(tiles, "buildings", 20, both)) == 1
    told = json.loads(tiles.tilejson(both, "").plain())
    assert told["maxzoom"] == 20
    assert [one["maxzoom"] for one in told["vector_layers"]] == [20, 20]
    assert told["merging"]["overzoom"] == "Tiles beyond zoom 20 are drawn from those of it"
    assert json.loads(tiles.tilejson(("buildings",), "").plain())["maxzoom"] == 16


def test_an_edit_renews_and_tells_deep_tiles(tiles: Tiles, store: Store) -> None:
    before = tiles.vector(("marks",), *tile_at(20))
    since = store.seq()
    item = json.loads(store.item("marks", 1).body)
    item["geometry"]["coordinates"][0] += 1
    store.replace("marks", 1, item)
    told = tiles.changed(store.changes(since))
    assert f"tiles/marks/{'/'.join(map(str, tile_at(20)))}.mvt" in {one["url"] for one in told.tiles}
    after = tiles.vector(("marks",), *tile_at(20))
    assert after.etag != before.etag
    assert len(features(tiles, "marks", 20)) == 1


@pytest.mark.parametrize("z", [17, 19, 20])
@pytest.mark.parametrize("what", ["points", "areas", "lines"])
def test_too_many_at_one_place_are_merged_at_deep_zooms(
    store: Store, tmp_path: Path, what: str, z: int
) -> None:
    shape = {
        "points": shapely.Point(LON, LAT),
        "areas": shapely.box(LON, LAT, LON + 1e-5, LAT + 5e-6),
        "lines": shapely.LineString([(LON, LAT), (LON + 1e-5, LAT)]),
    }[what]
    put(store, "pile", "feature", [shape] * 20_001)
    tiles = Tiles(store, tmp_path / "d", options={"pile": Options(maxzoom=20)})
    found = features(tiles, "pile", z)
    assert sum(one["properties"].get("group_count", 1) for one in found) == 20_001
    assert len(found) == 1
    assert tiles.vector(("pile",), *tile_at(z)).merged == 20_001
    xy = shapely.get_coordinates(shapely.geometry.shape(found[0]["geometry"]))
    assert ((xy > -100) & (xy < scheme.EXTENT + 100)).all()


def test_far_views_have_the_properties_that_the_city_names(store: Store, tmp_path: Path) -> None:
    # one large enough to be drawn, and many that are not
    shapes = [
        shapely.box(LON, LAT, LON + 0.5, LAT + 0.2),
        *([shapely.box(LON, LAT, LON + 1e-4, LAT + 1e-4)] * 99),
    ]
    names = [f"n{i}" for i in range(100)]
    put(store, "lots", "feature", shapes, {"owner": names, "use": names})
    bare = Tiles(store, tmp_path / "d")
    named = Tiles(store, tmp_path / "e", options={"lots": Options(properties=("owner",))})
    for tiles, keys in ((bare, {"fid"}), (named, {"fid", "owner"})):
        (drawn,) = [one for one in features(tiles, "lots", 9) if "fid" in one["properties"]]
        assert set(drawn["properties"]) == keys
        assert {"owner", "use"} <= set(features(tiles, "lots", 16)[0]["properties"])
    at = tile_at(9)
    assert bare.vector(("lots",), *at).etag != named.vector(("lots",), *at).etag


def test_names_are_in_far_views_from_the_zoom_at_which_they_are_written(store: Store, tmp_path: Path) -> None:
    shapes = [
        shapely.LineString([(LON - 0.5, LAT), (LON + 0.5, LAT)]),
        *([shapely.LineString([(LON, LAT), (LON + 1e-5, LAT)])] * 99),
    ]
    columns = {"name": ["Ring"] * 100, "class": ["main"] * 100, "surface": ["asphalt"] * 100}
    put(store, "roads", "road", shapes, columns)
    tiles = Tiles(store, tmp_path / "d")
    for z, keys in ((9, {"fid", "class"}), (12, {"fid", "class", "name"})):
        found = features(tiles, "roads", z)
        assert any("group_count" in one["properties"] for one in found)
        (drawn,) = [one for one in found if "fid" in one["properties"]]
        assert set(drawn["properties"]) == keys
        assert tiles.vector(("roads",), *tile_at(z)).thin
    assert set(columns) <= set(features(tiles, "roads", 16)[0]["properties"])
