"""Tiles of a real store: what an edit renews, and what it leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from pyproj import Transformer

from layers.errors import BadParameter, NotFound
from layers.store import geopackage
from layers.store.base import Store
from tests.gdal_edit import edit
from tests.unit.tiles import gltf
from tests.unit.tiles.conftest import put, square
from tiles import freshness, scheme
from tiles.ground import ConstantGround
from tiles.service import Tiles, layer_ids

LON, LAT = 24.94, 60.17
STEP = 0.0006


def shapes(n: int = 30) -> list[Any]:
    """Squares on a street grid."""
    return [square(LON + (i % 6) * STEP, LAT + (i // 6) * STEP) for i in range(n)]


@pytest.fixture
def city(store: Store) -> Store:
    """Thirty buildings of 10 m."""
    put(
        store,
        "buildings",
        "building",
        shapes(),
        {
            "height_m": [10.0] * 30,
            "name": [f"house {i}" for i in range(30)],
        },
    )
    return store


@pytest.fixture
def tiles(city: Store, tmp_path: Path) -> Iterator[Tiles]:
    """The tiles of that store."""
    return Tiles(city, tmp_path / "derived")


def all_tiles(zooms: tuple[int, int] = (0, 16)) -> list[tuple[int, int, int]]:
    """Every vector tile around the city."""
    x, y = scheme.world(np.array([LON - 0.003, LON + 0.008]), np.array([LAT + 0.006, LAT - 0.003]))
    box = (float(x[0]), float(y[0]), float(x[1]), float(y[1]))
    return [tile for z in range(zooms[0], zooms[1] + 1) for tile in scheme.cells(box, z)]


def all_nodes() -> list[tuple[int, int, int]]:
    """Every 3D node around the city."""
    return list(all_tiles((14, 16)))


def etag(tiles: Tiles, z: int, x: int, y: int) -> str:
    """The ETag of a vector tile of the buildings now."""
    tiles.freshness.update()
    return tiles.vector_etag(("buildings",), z, x, y)


def moved(store: Store, fid: int, shape: Any, **changes: Any) -> None:
    """Replace a feature's geometry and some properties."""
    item = json.loads(store.item("buildings", fid).body)
    item["geometry"] = shapely.geometry.mapping(shape)
    item["properties"] |= changes
    store.replace("buildings", fid, item)


def test_an_edit_renews_its_tiles_and_no_others(tiles: Tiles, city: Store) -> None:
    before = {t: etag(tiles, *t) for t in all_tiles()}
    bodies = {t: tiles.vector(("buildings",), *t).body for t in all_tiles()}
    since = city.seq()
    moved(city, 1, square(LON + 0.0041, LAT + 0.0001))
    after = {t: etag(tiles, *t) for t in all_tiles()}
    expected = {t for change in city.changes(since) for t in freshness.touched(change)}
    renewed = {t for t in before if before[t] != after[t]}
    assert renewed == expected & set(before)
    assert {z for z, _, _ in renewed} == set(range(17))
    # no tile of z16 was renewed in which neither place lies
    assert sum(z == 16 for z, _, _ in renewed) <= 8
    for tile, body in bodies.items():
        if tile not in renewed:
            assert tiles.vector(("buildings",), *tile).body == body
    assert any(tiles.vector(("buildings",), *t).body != bodies[t] for t in renewed)


def near_edge(units: float) -> tuple[float, float, tuple[int, int, int], tuple[int, int, int]]:
    """A place so many tile units west of a tile edge of z16, with the tiles on both sides."""
    x, y = scheme.world(np.array(LON), np.array(LAT))
    z, column, row = 16, int(x * 2**16), int(y * 2**16)
    lon, lat = scheme.lonlat(np.array((column + 1 - units / 4096) / 2**16), np.array((row + 0.5) / 2**16))
    return float(lon), float(lat), (z, column, row), (z, column + 1, row)


def test_a_line_near_the_edge_renews_the_neighbour_that_draws_it(store: Store, tmp_path: Path) -> None:
    lon, lat, west, east = near_edge(20)
    far = shapely.LineString([(lon - 0.004, lat), (lon - 0.003, lat)])
    put(
        store,
        "pipes",
        "pipeline",
        [shapely.LineString([(lon - 0.001, lat), (lon, lat)]), far],
        {"medium": ["gas"] * 2},
    )
    tiles = Tiles(store, tmp_path / "d")
    before = {t: tiles.vector(("pipes",), *t) for t in (west, east)}
    assert [f["id"] for f in features(tiles, east, "pipes")] == [1]
    store.patch("pipes", 1, {"properties": {"medium": "water"}})
    assert features(tiles, east, "pipes")[0]["properties"]["medium"] == "water"
    after = {t: tiles.vector(("pipes",), *t) for t in (west, east)}
    assert all(after[t].etag != before[t].etag for t in (west, east))
    store.patch("pipes", 2, {"properties": {"medium": "heat"}})
    assert tiles.vector(("pipes",), *east) == after[east]
    assert tiles.vector(("pipes",), *west).etag != after[west].etag


@pytest.mark.parametrize(
    ("units", "drawn", "both"),
    [(20, True, True), (63, True, True), (66, False, True), (255, False, True), (258, False, False)],
)
def test_a_building_near_the_edge_renews_the_neighbour_whose_groups_it_is_beside(
    store: Store, tmp_path: Path, units: float, drawn: bool, both: bool
) -> None:
    lon, lat, west, east = near_edge(units)
    put(store, "buildings", "building", [shapely.box(lon - 1e-4, lat, lon, lat + 1e-4)], {"height_m": [3.0]})
    tiles = Tiles(store, tmp_path / "d")
    before = {t: tiles.vector(("buildings",), *t) for t in (west, east)}
    since = store.seq()
    store.patch("buildings", 1, {"properties": {"height_m": 4.0}})
    told = {entry["url"] for entry in tiles.changed(store.changes(since)).tiles}
    for tile, shown, renewed in ((west, True, True), (east, drawn, both)):
        assert bool(features(tiles, tile)) == shown
        assert (tiles.vector(("buildings",), *tile) != before[tile]) == renewed
        assert ("tiles/buildings/{}/{}/{}.mvt".format(*tile) in told) == renewed
    # the exact cut has a tag of its own, and the same number
    exact = tiles.vector(("buildings",), *east, "exact")
    assert not exact.body
    assert exact.etag == tiles.vector(("buildings",), *east).etag[:-1] + '-exact"'


def test_an_edit_renews_its_nodes_and_no_others(tiles: Tiles, city: Store) -> None:
    before = {n: tiles.glb("buildings", *n) for n in all_nodes()}
    since = city.seq()
    moved(city, 1, square(LON + 0.0057, LAT))
    tiles.freshness.update()
    renewed = {n for n in before if tiles.glb_etag("buildings", *n) != before[n].etag}
    assert renewed == {n for change in city.changes(since) for n in freshness.touched_nodes(change)}
    assert len(renewed) == 2
    for node in renewed:
        assert tiles.glb("buildings", *node).body != before[node].body


def test_etags_and_bytes_are_the_same_after_a_restart(tiles: Tiles, city: Store, tmp_path: Path) -> None:
    moved(city, 3, square(LON + 0.002, LAT + 0.002), name="moved")
    vector = {t: tiles.vector(("buildings",), *t) for t in all_tiles((12, 16))}
    scene = {n: tiles.glb("buildings", *n) for n in all_nodes()}
    city.close()
    again = geopackage.open(tmp_path / "city.gpkg")
    for folder in ("derived", "elsewhere"):
        other = Tiles(again, tmp_path / folder)
        assert {t: other.vector(("buildings",), *t) for t in vector} == vector
        assert {n: other.glb("buildings", *n) for n in scene} == scene
    again.close()


def test_columns_are_kept_and_patched(tiles: Tiles, city: Store, tmp_path: Path) -> None:
    tile = all_tiles((16, 16))[0]
    tiles.vector(("buildings",), *tile)
    assert tiles._columns._of("buildings").builds == 1
    moved(city, 2, square(LON + 0.001, LAT), name="renamed")
    other = Tiles(city, tmp_path / "derived")
    names = {f["properties"]["name"] for t in all_tiles((16, 16)) for f in features(other, t)}
    assert "renamed" in names
    assert "house 1" not in names
    assert other._columns._of("buildings").builds == 0


@pytest.mark.parametrize("harm", ["torn", "foreign", "empty", "flipped", "stale"])
def test_columns_that_do_not_fit_are_made_again(tiles: Tiles, city: Store, tmp_path: Path, harm: str) -> None:
    tile = next(t for t in all_tiles((14, 14)) if features(tiles, t))
    body = tiles.vector(("buildings",), *tile).body
    file = tmp_path / "derived" / "columns" / "buildings.cols"
    raw = file.read_bytes()
    if harm == "torn":
        file.write_bytes(raw[: len(raw) // 2])
    elif harm == "foreign":
        file.write_bytes(raw.replace(city.epoch.encode(), b"0" * len(city.epoch)))
    elif harm == "empty":
        file.write_bytes(b"")
    elif harm == "flipped":
        at = len(raw) * 3 // 4
        file.write_bytes(raw[:at] + bytes(byte ^ 0x55 for byte in raw[at : at + 20]) + raw[at + 20 :])
    else:
        put(
            city,
            "buildings",
            "building",
            shapes(),
            {"height_m": [10.0] * 30, "use": ["x"] * 30},
            mode="replace",
        )
    other = Tiles(city, tmp_path / "derived")
    made = other.vector(("buildings",), *tile).body
    assert other._columns._of("buildings").builds == 1
    assert (made == body) == (harm != "stale")


def test_a_read_only_folder_keeps_columns_in_memory(city: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    other = Tiles(city, tmp_path / "file")
    assert any(features(other, t) for t in all_tiles((16, 16)))


def features(tiles: Tiles, tile: tuple[int, int, int], layer: str = "buildings") -> list[dict[str, Any]]:
    """The decoded features of a tile."""
    body = tiles.vector((layer,), *tile).plain()
    return list(mapbox_vector_tile.decode(body)[layer]["features"]) if body else []


def test_a_tile_joins_layers_and_reuses_the_untouched_one(tiles: Tiles, city: Store) -> None:
    put(city, "addresses", "address", [shapely.Point(LON, LAT)], {"street": ["Aleksanterinkatu"]})
    (z, x, y) = next(t for t in all_tiles((16, 16)) if features(tiles, t, "addresses"))
    joined = mapbox_vector_tile.decode(tiles.vector(("buildings", "addresses"), z, x, y).plain())
    assert list(joined) == ["buildings", "addresses"]
    (address,) = joined["addresses"]["features"]
    assert address["properties"]["street"] == "Aleksanterinkatu"
    assert address["properties"]["fid"] == address["id"] == 1
    tiles.freshness.update()
    version = int(tiles.vector_etag(("buildings", "addresses"), z, x, y).strip('"').rpartition("-")[2])
    assert version == city.seq()


def test_unknown_layers_and_tiles(tiles: Tiles) -> None:
    with pytest.raises(NotFound):
        tiles.vector_etag(("nowhere",), 0, 0, 0)
    with pytest.raises(NotFound):
        tiles.vector_etag(("buildings",), 17, 0, 0)
    with pytest.raises(NotFound):
        tiles.vector_etag(("buildings",), 3, 8, 0)
    with pytest.raises(NotFound):
        tiles.glb("buildings", 13, 0, 0)
    with pytest.raises(BadParameter):
        layer_ids("a,a")
    with pytest.raises(BadParameter):
        layer_ids(",".join(f"l{i}" for i in range(40)))


def test_tileset_declares_every_node_and_holds_every_vertex(tiles: Tiles) -> None:
    nodes = gltf.check_tileset(json.loads(tiles.tileset("buildings", "edits").plain()))
    seen: list[int] = []
    for uri, node in nodes.items():
        z, x, y = map(int, uri.removesuffix(".glb").split("/"))
        found = gltf.read(tiles.glb("buildings", z, x, y).plain())
        check_inside(found, node["boundingVolume"]["region"])
        seen += [fid for fid in found.table["fid"] if fid > 0]
    assert sorted(seen) == list(range(1, 31))


def test_boxes_fit_what_is_there(tiles: Tiles, city: Store) -> None:
    """Clients zoom to them and reckon distances from them; only nodes that hold something are declared."""
    city.patch("buildings", 7, {"properties": {"height_m": 42.0}})
    document = json.loads(tiles.tileset("buildings").plain())
    nodes = gltf.check_tileset(document)
    assert document["root"]["boundingVolume"]["region"][4:] == [-0.5, 42.5]
    seen: list[int] = []
    for uri, node in nodes.items():
        z, x, y = map(int, uri.removesuffix(".glb").split("/"))
        found = gltf.read(tiles.glb("buildings", z, x, y).plain())
        fids = [fid for fid in found.table["fid"] if fid > 0]
        assert fids
        seen += fids
        region = node["boundingVolume"]["region"]
        check_inside(found, region)
        if not node.get("children"):
            assert region[4:] == [-0.5, 42.5 if 7 in fids else 10.5]
    assert sorted(seen) == list(range(1, 31))
    # an edit is in the next document, and not in the one that pages hold
    held = tiles.tileset("buildings", "edits")
    city.patch("buildings", 7, {"properties": {"height_m": 52.0}})
    assert json.loads(tiles.tileset("buildings").plain())["root"]["boundingVolume"]["region"][5] == 52.5
    assert tiles.tileset("buildings", "edits") == held


def test_a_layer_without_bodies_has_a_tileset(store: Store, tmp_path: Path) -> None:
    put(store, "buildings", "building", [shapely.box(24, 60, 24.1, 60.1)], {"height_m": [3.0]})
    store.delete("buildings", 1)
    document = json.loads(Tiles(store, tmp_path / "d").tileset("buildings").plain())
    assert gltf.check_tileset(document) == {}


def check_inside(found: gltf.File, region: list[float]) -> None:
    """Every vertex lies in the region (pyproj is the judge)."""
    lon, lat, height = Transformer.from_crs(4978, 4979, always_xy=True).transform(*found.positions.T)
    west, south, east, north, low, high = region
    assert (np.radians(lon) > west).all()
    assert (np.radians(lon) < east).all()
    assert (np.radians(lat) > south).all()
    assert (np.radians(lat) < north).all()
    assert (height > low).all()
    assert (height < high).all()


def test_a_feature_beyond_the_tree_reloads_the_layer(tiles: Tiles, city: Store) -> None:
    first = tiles.tileset("buildings", "edits")
    since = city.seq()
    moved(city, 4, square(LON + 0.001, LAT + 0.001))
    inside = city.changes(since)
    assert tiles.changed(inside).layers == []
    assert tiles.tileset("buildings", "edits") == first
    since = city.seq()
    moved(city, 4, square(LON + 0.2, LAT))
    outside = city.changes(since)
    told = tiles.changed(outside)
    assert (told.layers, told.tiles) == (["buildings"], [])
    assert tiles.tileset("buildings", "edits").etag != first.etag


def test_changed_names_the_versions_that_are_served(tiles: Tiles, city: Store) -> None:
    since = city.seq()
    moved(city, 5, square(LON + 0.001, LAT + 0.001))
    told = tiles.changed(city.changes(since)).tiles
    assert any(entry["url"].startswith("3dtiles/") for entry in told)
    for entry in told:
        room, layer, *far, z, x, name = entry["url"].split("/")
        y = int(name.partition(".")[0])
        served = tiles.glb_etag if room == "3dtiles" else lambda *a: tiles.vector_etag((a[0],), *a[1:])
        if far:
            served = tiles.far.etag
        assert served(layer, int(z), int(x), y).strip('"') == entry["version"]


def test_many_changes_reload_the_layer(tiles: Tiles, city: Store) -> None:
    since = city.seq()
    for fid in range(1, 31):
        city.patch("buildings", fid, {"properties": {"height_m": 12.0}})
    few = tiles.changed(city.changes(since))
    assert few.layers == []
    assert len(few.tiles) == len({entry["url"] for entry in few.tiles})
    since = city.seq()
    moved(city, 6, shapely.box(LON - 0.1, LAT - 0.1, LON + 0.1, LAT + 0.1))
    assert tiles.changed(city.changes(since)).layers == ["buildings"]


def test_a_deleted_feature_leaves_its_tiles(tiles: Tiles, city: Store) -> None:
    tile = next(t for t in all_tiles((16, 16)) if features(tiles, t))
    gone = features(tiles, tile)[0]["id"]
    put(
        city,
        "buildings",
        "building",
        [s for i, s in enumerate(shapes()) if i + 1 != gone],
        {"height_m": [10.0] * 29, "name": ["x"] * 29},
        mode="replace",
    )
    assert all(f["properties"]["name"] == "x" for f in features(tiles, tile))


def test_a_column_added_by_gdal_appears_with_its_first_value(
    tiles: Tiles, city: Store, tmp_path: Path
) -> None:
    tile = next(t for t in all_tiles((16, 16)) if features(tiles, t))
    fid = features(tiles, tile)[0]["id"]
    edit(tmp_path / "city.gpkg", "column", "buildings", "inspector")
    edit(tmp_path / "city.gpkg", "set", "buildings", fid, "inspector", "Virtanen")
    found = {f["id"]: f["properties"] for f in features(tiles, tile)}
    assert found[fid]["inspector"] == "Virtanen"
    edit(tmp_path / "city.gpkg", "delete", "buildings", fid)
    assert fid not in {f["id"] for f in features(tiles, tile)}


def test_ground_lifts_bodies_and_marks_the_etag(city: Store, tmp_path: Path) -> None:
    flat, high = Tiles(city, tmp_path / "a"), Tiles(city, tmp_path / "b", ConstantGround(25.0))
    node = next(n for n in all_nodes() if "height_m" in gltf.read(flat.glb("buildings", *n).plain()).table)
    low, up = (gltf.read(t.glb("buildings", *node).plain()) for t in (flat, high))
    assert np.allclose(
        np.linalg.norm(up.positions, axis=1) - np.linalg.norm(low.positions, axis=1), 25, atol=0.01
    )
    assert flat.glb_etag("buildings", *node) != high.glb_etag("buildings", *node)


def test_tilejson(tiles: Tiles) -> None:
    document = json.loads(tiles.tilejson(("buildings",), "http://example.test").plain())
    assert document["tilejson"] == "3.0.0"
    assert document["tiles"] == ["http://example.test/tiles/buildings/{z}/{x}/{y}.mvt"]
    assert document["vector_layers"][0]["fields"]["height_m"] == "Number"
    assert "attribution" not in document
    credited = json.loads(tiles.tilejson(("buildings",), "", "&copy; the city").plain())
    assert credited["attribution"] == "&copy; the city"
    assert document["bounds"] == pytest.approx([LON, LAT, LON + 5 * STEP + 0.0002, LAT + 4 * STEP + 0.0002])


def test_the_notice_stands_in_every_file_of_3d_tiles_and_marks_its_etag(city: Store, tmp_path: Path) -> None:
    bare = Tiles(city, tmp_path / "d")
    noted = Tiles(city, tmp_path / "d", copyright_="© 兰江市 & others")
    document = json.loads(noted.tileset("buildings").plain())
    assert document["asset"] == {"version": "1.1", "copyright": "© 兰江市 & others"}
    assert json.loads(bare.tileset("buildings").plain())["asset"] == {"version": "1.1"}
    # an empty node and one with buildings
    for node in (all_nodes()[0], *gltf.check_tileset(document)):
        z, x, y = node if isinstance(node, tuple) else map(int, node.removesuffix(".glb").split("/"))
        made = noted.glb("buildings", z, x, y)
        assert gltf.read(made.plain()).document["asset"]["copyright"] == "© 兰江市 & others"
        assert made.etag != bare.glb("buildings", z, x, y).etag
