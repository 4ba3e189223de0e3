"""The ground of terrain: what rasterio reads from the file, everywhere something; bodies stand on it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from layers.raster.files import OpenFiles
from layers.store.base import Store
from tests import dems
from tests.unit.tiles import gltf
from tests.unit.tiles.conftest import put, square
from tiles.cache import Cache
from tiles.ground import FLAT
from tiles.service import Tiles
from tiles.terrain.ground import TerrainGround
from tiles.terrain.service import TerrainTiles
from tiles.terrain.sheet import Blocks
from tiles.terrain.undulation import NONE, Undulation, of_grid

TO_LONLAT = Transformer.from_crs(4978, 4979, always_xy=True)
FROM_GRID = Transformer.from_crs(dems.GRID, 4326, always_xy=True)


def terrain(store: Store, folder: Path, undulation: Undulation = NONE) -> TerrainTiles:
    return TerrainTiles(store, folder, Cache(64 << 20), Blocks(), undulation)


def within(
    rows: int, columns: int, n: int = 60, pixel: float = 2.0, margin: float = 3.0
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Places in a DEM of the test's grid, some pixels from its edge."""
    x, y = np.random.default_rng(3).uniform(margin, [columns - margin, rows - margin], (n, 2)).T
    lon, lat = FROM_GRID.transform(dems.EAST + x * pixel, dems.NORTH - y * pixel)
    return lon, lat


@pytest.mark.parametrize(
    "kind", ["float32 COG", "float32 plain", "int16", "float64 with NaN", "Web Mercator"]
)
def test_heights_are_those_that_rasterio_reads(store: Store, tmp_path: Path, kind: str) -> None:
    heights: NDArray[Any] = dems.hills(700, 900)
    given: dict[str, Any] = {"cog": "plain" not in kind}
    if kind == "int16":
        heights, given["nodata"] = np.rint(heights).astype(np.int16), -32768
        heights[100:200, 300:310] = -32768
    elif "NaN" in kind:
        heights = heights.astype(np.float64)
        heights[50:90, 500:620] = np.nan
    elif kind == "Web Mercator":
        to = Transformer.from_crs(dems.GRID, 3857, always_xy=True)
        given |= {"crs": "EPSG:3857", "origin": to.transform(dems.EAST, dems.NORTH), "pixel": 4.0}
    file = dems.write(tmp_path / "rasters/dem.tif", heights, **given)
    dems.record(store, "dem", file, below=tmp_path)
    lon, lat = within(700, 850)
    found = TerrainGround(terrain(store, tmp_path)).at(lon, lat)
    expected = dems.read(file, lon, lat)
    known = np.isfinite(expected)
    assert known.sum() > 45
    assert np.isfinite(found).all()
    assert np.abs(found - expected)[known].max() < 0.01
    one = TerrainGround(terrain(store, tmp_path)).at(lon[0], lat[0])
    assert (one.shape, float(one)) == ((), pytest.approx(found[0], abs=0.005))


def test_a_hole_has_heights_between_those_around_it_and_no_step(store: Store, tmp_path: Path) -> None:
    heights = np.full((300, 300), 40, np.float32) + np.arange(300, dtype=np.float32) / 10
    heights[100:200, 100:200] = -9999
    file = dems.write(tmp_path / "rasters/dem.tif", heights, nodata=-9999)
    dems.record(store, "dem", file, below=tmp_path)
    x = dems.EAST + np.arange(20, 580, 0.25)
    lon, lat = FROM_GRID.transform(x, np.full(len(x), dems.NORTH - 300))
    found = TerrainGround(terrain(store, tmp_path)).at(lon, lat)
    assert found.min() >= 40
    assert found.max() <= 70
    assert np.abs(np.diff(found)).max() < 1.5
    assert found[len(x) // 2] == pytest.approx(55, abs=6)


def test_a_dem_of_one_cell(store: Store, tmp_path: Path) -> None:
    file = dems.write(tmp_path / "rasters/dem.tif", np.array([[123]], np.int16), cog=False)
    dems.record(store, "dem", file, below=tmp_path)
    made = terrain(store, tmp_path)
    ground = TerrainGround(made)
    lon, lat = FROM_GRID.transform(dems.EAST + 1, dems.NORTH - 1)
    assert ground.at(np.array([lon, lon + 1]), np.array([lat, lat])).tolist() == [123, 0]
    low, high = ground.between((lon - 1e-4, lat - 1e-4, lon + 1e-4, lat + 1e-4))
    assert low == pytest.approx(123, abs=0.1)
    assert high == pytest.approx(123, abs=0.1)
    assert made.mesh("dem", 0, 1, 0).plain()


def test_the_finest_surface_comes_first_and_the_next_in_its_holes(store: Store, tmp_path: Path) -> None:
    fine = np.full((100, 100), 10, np.float32)
    fine[40:60, 40:60] = np.nan
    dems.record(
        store,
        "a",
        dems.write(tmp_path / "r/coarse.tif", np.full((50, 50), 99, np.float32), pixel=8),
        below=tmp_path,
    )
    dems.record(store, "b", dems.write(tmp_path / "r/fine.tif", fine), below=tmp_path)
    other = dems.write(tmp_path / "r/feet.tif", np.full((400, 400), 5, np.float32), pixel=1)
    dems.record(store, "c", other, below=tmp_path, datum="another datum")
    made = terrain(store, tmp_path)
    lon, lat = FROM_GRID.transform(
        dems.EAST + np.array([20.0, 100, 300]), dems.NORTH - np.array([20.0, 100, 300])
    )
    # the finest of all is in another datum: it is not mixed with the others
    assert made.surface("b").heights(_places(lon, lat)).tolist() == [10, 99, 99]
    assert made.surface("a").heights(_places(lon, lat)).tolist() == [99, 99, 99]
    assert TerrainGround(made).at(lon, lat).tolist() == [5, 5, 5]
    store.drop("c")
    made.take_in(store.changes(0))
    assert TerrainGround(made).at(lon, lat).tolist() == [10, 99, 99]


def _places(lon: NDArray[Any], lat: NDArray[Any]) -> Any:
    from tiles.terrain.places import Scattered

    return Scattered(lon, lat)


def test_without_a_surface_that_can_be_read_it_is_the_bare_ellipsoid(store: Store, tmp_path: Path) -> None:
    put(store, "buildings", "building", [square(24.94, 60.17)], {"height_m": [10.0]})
    put(store, "pipes", "pipeline", [shapely.LineString([(24.94, 60.17), (24.97, 60.18)])])
    made = terrain(store, tmp_path, Undulation(40))
    ground = TerrainGround(made)
    assert (ground.key, ground.step) == (FLAT.key, FLAT.step) == ("", np.inf)
    flat, on_it = Tiles(store, tmp_path / "a"), Tiles(store, tmp_path / "b", ground, terrain=made)
    at, far = next(iter(_nodes(flat, "buildings"))), next(iter(_nodes(flat, "pipes")))
    assert flat.glb("buildings", *at) == on_it.glb("buildings", *at)
    assert flat.tileset("buildings") == on_it.tileset("buildings")
    assert flat.glb("pipes", *far) == on_it.glb("pipes", *far)
    file = dems.write(tmp_path / "r/dem.tif", dems.hills(50, 50))
    dems.record(store, "dem", file, below=tmp_path)
    file.unlink()
    assert on_it.glb("buildings", *at) == flat.glb("buildings", *at)
    assert (ground.key, ground.step) == (FLAT.key, FLAT.step) == ("", np.inf)
    assert ground.between((24, 60, 25, 61)) == (0, 0)


def test_an_undulation_raises_what_is_above_the_ellipsoid_alone(store: Store, tmp_path: Path) -> None:
    file = dems.write(tmp_path / "r/dem.tif", dems.hills(200, 200))
    dems.record(store, "dem", file, below=tmp_path)
    grid = np.linspace(15, 25, 121 * 61, dtype=np.float32).reshape(61, 121)
    # pixel centres at whole sixths of a degree, as geoid grids have them
    dems.write(
        tmp_path / "geoid.tif",
        grid,
        crs="EPSG:4326",
        origin=(20 - 1 / 12, 65 + 1 / 12),
        pixel=1 / 6,
        cog=False,
    )
    lon, lat = within(200, 200, 20)
    plain, raised = terrain(store, tmp_path), terrain(store, tmp_path, Undulation(18.5))
    by_grid = terrain(store, tmp_path, of_grid(tmp_path / "geoid.tif", OpenFiles()))
    heights = TerrainGround(plain).at(lon, lat)
    assert TerrainGround(raised).at(lon, lat) == pytest.approx(heights + 18.5)
    expected = dems.read(tmp_path / "geoid.tif", lon, lat)
    assert TerrainGround(by_grid).at(lon, lat) == pytest.approx(heights + expected, abs=0.01)
    assert len({one.key("dem") for one in (plain, raised, by_grid)}) == 3
    box = float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())
    low, high = TerrainGround(plain).between(box)
    assert TerrainGround(raised).between(box) == pytest.approx((low + 18.5, high + 18.5))
    size = 360 / (1 << 14)
    x, y = (
        int((lon[0] + 180) / size),
        int((1 - np.arcsinh(np.tan(np.radians(lat[0]))) / np.pi) / 2 * (1 << 14)),
    )
    assert plain.picture("dem", 14, x, y).plain() == raised.picture("dem", 14, x, y).plain()


def test_a_box_holds_the_ground_in_it(store: Store, tmp_path: Path) -> None:
    heights = dems.hills(3000, 600)
    heights[1500:1700, 100:300] = np.nan
    dems.record(store, "dem", dems.write(tmp_path / "r/dem.tif", heights), below=tmp_path)
    ground = TerrainGround(terrain(store, tmp_path))
    random = np.random.default_rng(5)
    west, south, east, north = ground_box = (24.93, 60.12, 24.99, 60.19)
    for _ in range(30):
        x0, x1 = np.sort(random.uniform(west, east, 2))
        y0, y1 = np.sort(random.uniform(south, north, 2))
        low, high = ground.between((x0, y0, x1, y1))
        found = ground.at(random.uniform(x0, x1, 2000), random.uniform(y0, y1, 2000))
        assert low - 0.01 <= found.min()
        assert found.max() <= high + 0.01
    low, high = ground.between(ground_box)
    assert -60 < low < high < 200


def test_it_is_asked_by_several_threads(store: Store, tmp_path: Path) -> None:
    dems.record(store, "dem", dems.write(tmp_path / "r/dem.tif", dems.hills(900, 900)), below=tmp_path)
    ground = TerrainGround(terrain(store, tmp_path))
    lon, lat = within(900, 900, 4000)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: ground.at(lon, lat), range(24)))
    assert all(np.array_equal(found[0], one) for one in found)


def test_a_dem_loaded_anew_renews_what_stands_on_it(store: Store, tmp_path: Path) -> None:
    put(store, "buildings", "building", [square(24.96, 60.175)], {"height_m": [10.0]})
    put(store, "posts", "feature", [square(24.96, 60.175)])
    dems.record(store, "dem", dems.write(tmp_path / "r/1.tif", dems.hills(500, 900)), below=tmp_path)
    made = terrain(store, tmp_path)
    tiles = Tiles(store, tmp_path / "d", TerrainGround(made), terrain=made)
    at = next(node for node in _nodes(tiles, "buildings"))
    before = tiles.glb("buildings", *at), tiles.tileset("buildings"), tiles.tileset("buildings", "edits")
    mesh = made.mesh("dem", 10, *_tile(10, 24.96, 60.175))
    since = store.seq()
    dems.record(store, "dem", dems.write(tmp_path / "r/2.tif", dems.hills(500, 900) + 30), below=tmp_path)
    assert tiles.changed(store.changes(since)).layers == ["dem", "buildings"]
    after = tiles.glb("buildings", *at), tiles.tileset("buildings"), tiles.tileset("buildings", "edits")
    assert all(
        one.etag != other.etag and one.body != other.body for one, other in zip(before, after, strict=True)
    )
    assert made.mesh("dem", 10, *_tile(10, 24.96, 60.175)).etag != mesh.etag
    low = [_heights(one).min() for one in (before[0], after[0])]
    assert low[1] - low[0] == pytest.approx(30, abs=0.01)
    assert tiles.changed([]).layers == []


def _tile(z: int, lon: float, lat: float) -> tuple[int, int]:
    size = 180 / (1 << z)
    return int((lon + 180) / size), int((lat + 90) / size)


def _nodes(tiles: Tiles, layer: str) -> set[tuple[int, int, int]]:
    uris = gltf.check_tileset(json.loads(tiles.tileset(layer).plain()))
    return {(int(z), int(x), int(y[:-4])) for z, x, y in (uri.split("/")[-3:] for uri in uris)}


def _heights(glb: Any) -> NDArray[Any]:
    return np.asarray(TO_LONLAT.transform(*gltf.read(glb.plain()).positions.T)[2])


def test_andorra_stands_on_its_relief(store: Store, tmp_path: Path, shared_data: Path) -> None:
    source = shared_data / "andorra"
    table = pq.read_table(source / "building.geoparquet")
    to = Transformer.from_crs(32631, 4326, always_xy=True)
    shapes = [
        shapely.transform(shape, lambda xy: np.stack(to.transform(*xy.T), axis=1))
        for shape in shapely.from_wkb(table["geometry"].to_numpy())
    ]
    put(store, "buildings", "building", shapes, {"height_m": table["height"].to_pylist()})
    with rasterio.open(source / "elevation.tif") as dataset:
        heights = dataset.read(1)
        transform = dataset.transform
    dem = dems.write(
        tmp_path / "r/dem.tif",
        heights,
        crs="EPSG:32631",
        pixel=transform.a,
        origin=(transform.c, transform.f),
        nodata=-32768,
    )
    dems.record(store, "dem", dem, below=tmp_path)
    made = terrain(store, tmp_path)
    ground = TerrainGround(made)
    tiles = Tiles(store, tmp_path / "d", ground, terrain=made)
    seen, steep = 0, 0.0
    for node in _nodes(tiles, "buildings"):
        file = gltf.read(tiles.glb("buildings", *node).plain())
        lon, lat, height = TO_LONLAT.transform(*file.positions.T)
        below = ground.at(lon, lat)
        for one in np.unique(file.ids):
            mine = file.ids == one
            low, high = height[mine].min(), height[mine].max()
            assert low <= below[mine].min() + 0.02, "it floats"
            assert high >= below[mine].max() + 0.02, "it is sunk"
            seen, steep = seen + 1, max(steep, float(np.ptp(below[mine])))
    assert seen == 731
    assert steep > 5


@pytest.mark.parametrize("pixel", [2.0, 25.0])
def test_pipes_keep_their_depth_and_boxes_hold_them(store: Store, tmp_path: Path, pixel: float) -> None:
    y, x = np.mgrid[: int(1600 / pixel), : int(1600 / pixel)] * pixel
    heights = np.asarray(40 + 15 * np.sin(x / 40) + 12 * np.cos(y / 60), np.float32)
    dems.record(store, "dem", dems.write(tmp_path / "r/dem.tif", heights, pixel=pixel), below=tmp_path)
    random = np.random.default_rng(2)
    courses = random.uniform(100, 1500, (12, 2, 2))
    lines = [
        shapely.LineString(np.stack(FROM_GRID.transform(dems.EAST + one[:, 0], dems.NORTH - one[:, 1]), 1))
        for one in courses
    ]
    put(store, "pipes", "pipeline", lines, {"diameter_mm": [400.0] * 12, "depth_m": [1.5] * 12})
    made = terrain(store, tmp_path)
    ground = TerrainGround(made)
    tiles = Tiles(store, tmp_path / "d", ground, terrain=made)
    documents = [json.loads(tiles.tileset("pipes", bounds).plain()) for bounds in ("content", "edits")]
    seen: list[int] = []
    for node in _nodes(tiles, "pipes"):
        file = gltf.read(tiles.glb("pipes", *node).plain())
        lon, lat, height = TO_LONLAT.transform(*file.positions.T)
        assert height - ground.at(lon, lat) == pytest.approx(-1.5, abs=0.35)
        for document in documents:
            west, south, east, north, low, high = _region(document, node)
            assert west <= np.radians(lon).min()
            assert np.radians(lon).max() <= east
            assert south <= np.radians(lat).min()
            assert np.radians(lat).max() <= north
            assert low <= height.min()
            assert height.max() <= high
        # every middle of every triangle, so the long ones too, and the names of what they belong to
        between = file.positions[file.triangles].mean(axis=1)
        lon, lat, height = TO_LONLAT.transform(*between.T)
        assert height - ground.at(lon, lat) == pytest.approx(-1.5, abs=0.5)
        assert np.unique(file.ids).tolist() == list(range(file.count))
        seen += file.table["fid"]
    assert sorted(seen) == list(range(1, 13))


def _region(document: Any, node: tuple[int, int, int]) -> list[float]:
    content = gltf.check_tileset(document)
    (tile,) = [
        one for uri, one in content.items() if uri.split("?")[0].endswith("/".join(map(str, node)) + ".glb")
    ]
    region: list[float] = tile["boundingVolume"]["region"]
    return region
