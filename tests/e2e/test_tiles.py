"""Vector and 3D tiles of all of Helsinki, from the real process."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import mapbox_vector_tile
import numpy as np
import pytest
import shapely
import trimesh
from pyproj import Transformer

from tests.gdal_edit import edit
from tests.support import Server, until
from tests.unit.tiles import gltf
from tiles import scheme

TILE = (16, 37308, 18969)
SCENES = {"buildings": 446, "building_parts": 126, "pipelines": 78}
#: buildings whose CIM parts leave something over of them, which is drawn
REMAINDERS = {"buildings": 45}
LAYERS = ["addresses", "building_parts", "buildings", "pipelines", "roads", "street_assets"]


def url_of(layer: str, z: int, x: int, y: int) -> str:
    """The path of a vector tile."""
    return f"/tiles/{layer}/{z}/{x}/{y}.mvt"


def city_tiles(server: Server, layer: str, z: int) -> list[tuple[int, int, int]]:
    """The tiles of one zoom over a layer's extent."""
    west, south, east, north = server.http.get(f"/tiles/{layer}.json").json()["bounds"]
    ((x0, y0, x1, y1),) = scheme.world_boxes(np.array([[west, south, east, north]])).tolist()
    return list(scheme.cells((x0, y0, x1, y1), z))


def features(answer: httpx.Response, layer: str) -> list[dict[str, Any]]:
    """The features of an answered tile."""
    return list(mapbox_vector_tile.decode(answer.content)[layer]["features"]) if answer.content else []


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("z", [12, 16])
def test_every_feature_is_in_the_tiles(server: Server, layer: str, z: int) -> None:
    expected = server.http.get(f"/ogc/collections/{layer}/items", params={"limit": 1}).json()["numberMatched"]
    found: dict[int, dict[str, Any]] = {}
    merged: dict[int, dict[str, Any]] = {}
    for tile in city_tiles(server, layer, z):
        answer = server.http.get(url_of(layer, *tile))
        assert answer.status_code in (200, 204)
        mine = features(answer, layer)
        for feature in mine:
            if "group_filter" in feature["properties"]:
                merged[feature["id"]] = feature["properties"]
            else:
                assert feature["properties"]["fid"] == feature["id"]
                found[feature["id"]] = feature["properties"]
        # those of the tiles beside it are not its own
        count = sum(one["properties"].get("group_count", 0) for one in mine)
        assert int(answer.headers.get("features-merged", 0)) <= count
    assert len(found) + sum(one["group_count"] for one in merged.values()) == expected
    if merged:
        one = max(merged.values(), key=lambda group: group["group_count"])
        asked = {"filter": one["group_filter"], "filter-lang": "cql2-text", "limit": 1}
        members = server.http.get(f"/ogc/collections/{layer}/items", params=asked).json()
        assert members["numberMatched"] == one["group_count"]
        return
    fid, properties = next(iter(found.items()))
    item = server.http.get(f"/ogc/collections/{layer}/items/{fid}").json()["properties"]
    assert {k: v for k, v in properties.items() if k != "fid"} == {
        k: v for k, v in item.items() if v is not None and k != "other"
    }


def test_headers_and_encodings(server: Server) -> None:
    packed = server.http.get(url_of("buildings", *TILE), headers={"accept-encoding": "gzip"})
    plain = server.http.get(url_of("buildings", *TILE), headers={"accept-encoding": "identity"})
    assert packed.status_code == plain.status_code == 200
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content
    assert packed.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    assert packed.headers["vary"] == "Accept-Encoding"
    assert packed.headers["cache-control"] == "no-cache"
    assert packed.headers["access-control-allow-origin"] == "*"
    # one strong tag names one representation (RFC 9110, 8.8.3.3)
    assert plain.headers["etag"] == "W/" + packed.headers["etag"]
    assert server.http.get(url_of("buildings", *TILE).replace(".mvt", ".pbf")).content == packed.content


def test_a_tile_is_cut_with_a_buffer_or_exactly(server: Server) -> None:
    """QGIS and MapLibre draw the outline of what is in a tile: with the exact cut, walls along its edges."""
    kept, exact = (server.http.get(url_of("buildings", *TILE), params=p) for p in ({}, {"clip": "exact"}))
    reach = [
        (min(xy), max(xy))
        for answer in (kept, exact)
        for xy in [
            [
                float(value)
                for feature in features(answer, "buildings")
                for value in shapely.get_coordinates(shapely.geometry.shape(feature["geometry"])).ravel()
            ]
        ]
    ]
    assert reach[0] == (-64, 4160)
    assert reach[1] == (0, 4096)
    assert exact.headers["etag"] != kept.headers["etag"]
    again = {"if-none-match": exact.headers["etag"]}
    assert (
        server.http.get(url_of("buildings", *TILE), params={"clip": "exact"}, headers=again).status_code
        == 304
    )
    assert server.http.get(url_of("buildings", *TILE), headers=again).status_code == 200
    assert server.http.get(url_of("buildings", *TILE), params={"clip": "buffer"}).content == kept.content


def test_a_tile_at_its_ogc_path_has_one_form(server: Server) -> None:
    z, x, y = TILE
    path = f"/ogc/collections/buildings/tiles/WebMercatorQuad/{z}/{y}/{x}"
    plain = server.http.get(path)
    for form in ("mvt", "pbf", "application/vnd.mapbox-vector-tile"):
        found = server.http.get(path, params={"f": form})
        assert (found.status_code, found.content) == (200, plain.content)
        assert found.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    assert server.http.get(path, params={"f": "png"}).status_code == 400


def test_the_credits_go_with_the_tiles(server: Server) -> None:
    credit = server.http.get("/config.json").json()["credits"][0]
    told = server.http.get("/tiles/buildings.json").json()["attribution"]
    assert credit["text"] in told
    assert f'href="{credit["url"]}"' in told
    assert credit["text"] in server.http.get("/3dtiles/buildings/tileset.json").json()["asset"]["copyright"]
    glb = gltf.read(server.http.get("/3dtiles/buildings/16/37308/18969.glb").content)
    assert credit["text"] in glb.document["asset"]["copyright"]


def test_not_modified(server: Server) -> None:
    for url in (
        url_of("buildings", *TILE),
        "/3dtiles/buildings/16/37308/18969.glb",
        "/3dtiles/buildings/tileset.json",
    ):
        etag = server.http.get(url).headers["etag"]
        for given in (etag, f"W/{etag}", f'"x", {etag}', f'"y",W/{etag}', "*"):
            answer = server.http.get(url, headers={"if-none-match": given})
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag), given
        assert server.http.get(url, headers={"if-none-match": '"other"'}).status_code == 200


def test_head_and_options_and_post(server: Server) -> None:
    for url in (url_of("buildings", *TILE), "/3dtiles/buildings/16/37308/18969.glb"):
        got, head = server.http.get(url), server.http.head(url)
        assert head.status_code == 200
        assert head.content == b""
        assert head.headers["content-length"] == got.headers["content-length"]
        assert head.headers["etag"] == got.headers["etag"]
        allowed = server.http.options(url)
        assert allowed.status_code == 200
        assert allowed.headers["allow"] == "GET, HEAD, OPTIONS"
        refused = server.http.post(url)
        assert refused.status_code == 405
        assert refused.headers["allow"] == "GET, HEAD, OPTIONS"


def test_an_empty_tile_is_204_and_has_a_version(server: Server) -> None:
    answer = server.http.get(url_of("buildings", 16, 0, 0))
    assert (answer.status_code, answer.content) == (204, b"")
    again = server.http.get(url_of("buildings", 16, 0, 0), headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


def test_a_joined_tile(server: Server) -> None:
    answer = server.http.get(url_of("buildings,roads,addresses", *TILE))
    assert list(mapbox_vector_tile.decode(answer.content)) == ["buildings", "roads", "addresses"]
    single = server.http.get(url_of("roads", *TILE))
    assert len(features(answer, "roads")) == len(features(single, "roads"))
    document = server.http.get("/tiles/buildings,roads.json").json()
    assert [layer["id"] for layer in document["vector_layers"]] == ["buildings", "roads"]
    assert document["tiles"] == [f"{server.url}/tiles/buildings,roads/{{z}}/{{x}}/{{y}}.mvt"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/tiles/nowhere/16/0/0.mvt", 404),
        ("/tiles/buildings,nowhere/16/0/0.mvt", 404),
        ("/tiles/nowhere.json", 404),
        ("/tiles/buildings/17/0/0.mvt", 404),
        ("/tiles/buildings/3/8/0.mvt", 404),
        ("/tiles/buildings/3/0/8.mvt", 404),
        ("/tiles/buildings/-1/0/0.mvt", 404),
        ("/tiles/buildings/1.5/0/0.mvt", 404),
        ("/tiles/buildings/16/1e3/0.mvt", 404),
        ("/tiles/buildings/16/٣/0.mvt", 404),
        ("/tiles/buildings/16/" + "9" * 400 + "/0.mvt", 404),
        ("/tiles/buildings/16/0/0.png", 404),
        ("/tiles/buildings/16/0", 404),
        ("/tiles", 404),
        ("/tiles//16/0/0.mvt", 404),
        ("/tiles/buildings,buildings/16/0/0.mvt", 400),
        ("/tiles/" + ",".join(f"l{i}" for i in range(40)) + "/0/0/0.mvt", 400),
        ("/tiles/buildings/16/0/0.mvt?bbox=1", 400),
        ("/tiles/buildings/16/0/0.mvt?v=1", 204),
        ("/tiles/buildings/16/0/0.mvt?v=1&clip=exact", 204),
        ("/tiles/buildings/16/0/0.mvt?clip=rough", 400),
        ("/tiles/buildings/16/0/0.mvt?clip=exact&clip=exact", 400),
        ("/tiles/buildings/16/0/0.mvt?f=mvt", 400),
        ("/tiles/buildings.json?clip=exact", 400),
        ("/3dtiles/nowhere/tileset.json", 404),
        ("/3dtiles/buildings/tileset.json?bounds=edits&v=1", 200),
        ("/3dtiles/buildings/tileset.json?bounds=tight", 400),
        ("/3dtiles/buildings/16/37308/18969.glb?bounds=edits", 200),
        ("/3dtiles/addresses/tileset.json", 404),
        ("/3dtiles/buildings/13/0/0.glb", 404),
        ("/3dtiles/buildings/16/65536/0.glb", 404),
        ("/3dtiles/buildings/16/x/0.glb", 404),
        ("/3dtiles/buildings", 404),
        ("/3dtiles/../city.gpkg", 404),
    ],
)
def test_bad_tile_requests(server: Server, path: str, status: int) -> None:
    answer = server.http.get(path)
    assert answer.status_code == status, answer.text
    if status >= 400:
        problem = answer.json()
        assert problem["status"] == status
        assert problem["code"]
        assert problem["detail"]
        assert len(problem["detail"]) < 400


def test_random_paths_never_fail(server: Server) -> None:
    draw = random.Random(7)
    words = [
        "buildings",
        "roads",
        "",
        "%00",
        "..",
        "0",
        "16",
        "-3",
        "99999999999999999999",
        "ü",
        "a,b",
        "x.mvt",
        "0.glb",
    ]
    for _ in range(150):
        room = draw.choice(["tiles", "3dtiles"])
        path = "/".join(["", room, *(draw.choice(words) for _ in range(draw.randint(0, 5)))])
        assert server.http.get(path).status_code < 500, path


@pytest.mark.parametrize("layer", SCENES)
def test_the_whole_scene_is_valid_and_complete(server: Server, layer: str) -> None:
    document = server.http.get(f"/3dtiles/{layer}/tileset.json").json()
    nodes = gltf.check_tileset(document)
    # the boxes fit the city: they tell clients how far away it is
    low, high = document["root"]["boundingVolume"]["region"][4:]
    assert -10 < low < high < 150
    to_geodetic = Transformer.from_crs(4978, 4979, always_xy=True)
    seen: set[int] = set()
    for uri, node in nodes.items():
        answer = server.http.get(f"/3dtiles/{layer}/{uri}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "model/gltf-binary"
        found = gltf.read(answer.content)
        lon, lat, height = to_geodetic.transform(*found.positions.T)
        west, south, east, north, low, high = node["boundingVolume"]["region"]
        assert np.radians(lon).min() > west
        assert np.radians(lon).max() < east
        assert np.radians(lat).min() > south
        assert np.radians(lat).max() < north
        assert height.min() > low
        assert height.max() < high
        fids = [fid for fid in found.table["fid"] if fid > 0]
        assert not seen & set(fids)
        seen |= set(fids)
        assert fids or found.count == 1
    items = _items(server, layer)
    assert len(items) == SCENES[layer]
    # a building that has parts is drawn by them; only what they leave over of it is drawn beside
    whole = {item["id"] for item in items} - (with_parts(server) if layer == "buildings" else set())
    assert seen >= whole
    assert len(seen - whole) == REMAINDERS.get(layer, 0)


def test_blocks_stand_for_every_building_once_and_fit_their_boxes(server: Server) -> None:
    document = server.http.get("/3dtiles/buildings/tileset.json").json()
    to_geodetic = Transformer.from_crs(4978, 4979, always_xy=True)
    counted: dict[int, int] = {}
    lids = 0
    for uri, node in gltf.check_blocks(document).items():
        answers = [
            server.http.get(f"/3dtiles/buildings/{uri}", params={"instancing": form})
            for form in ("none", "gpu")
        ]
        plain, placed = (gltf.read(answer.content) for answer in answers)
        assert answers[0].headers["etag"] != answers[1].headers["etag"]
        assert plain.table == placed.table
        lids += _lids(plain, placed, node["geometricError"])
        west, south, east, north, low, high = node["boundingVolume"]["region"]
        for found in (plain, placed):
            lon, lat, height = to_geodetic.transform(*found.positions.T)
            assert (np.radians(lon) > west).all()
            assert (np.radians(lon) < east).all()
            assert (np.radians(lat) > south).all()
            assert (np.radians(lat) < north).all()
            assert (height > low).all()
            assert (height < high).all()
        z = int(uri.split("/")[1])
        table = plain.table
        counted[z] = counted.get(z, 0) + sum(table["count"])
        cells = zip(*(table[name] for name in ("cell_z", "cell_x", "cell_y", "above")), strict=True)
        for count, highest, (cz, cx, cy, above) in list(
            zip(table["count"], table["highest"], cells, strict=True)
        )[:3]:
            link = f"../../../members/{cz}/{cx}/{cy}.json?above={above}"
            listed = server.http.get(urljoin(f"/3dtiles/buildings/{uri}", link)).json()
            assert listed["numberMatched"] == listed["numberReturned"] == len(listed["features"]) == count
            # a block tells whole metres
            assert max(one["height"] for one in listed["features"]) == pytest.approx(highest, abs=0.501)
    items = _items(server, "buildings")
    assert {count for z, count in counted.items() if z <= 13} == {len(items)}
    assert counted[15] <= counted[14] <= counted[13]
    assert lids


def _lids(plain: gltf.File, placed: gltf.File, error: float) -> int:
    """How many blocks have no walls in the plain form: those alone that are lower than an eighth of the
    geometric error (m). Each form has every block, at the same place but for the steps of its numbers."""
    step, lids = float(np.clip(2 ** np.floor(np.log2(error / 64)), 0.25, 4.0)), 0
    assert set(plain.ids) == set(placed.ids) == set(range(plain.count))
    for row in range(plain.count):
        drawn, whole = plain.of(row), placed.of(row)
        lid, faces = plain.normals[drawn[:, 0]][-1], placed.normals[whole[:, 0]]
        top = whole[faces @ lid > 0.999]
        up = plain.positions[drawn[0, 0]]
        assert lid @ up > 0.99 * np.linalg.norm(up)
        assert len(whole) == 10
        assert len(top) == 2
        height = np.ptp(placed.positions[whole].reshape(-1, 3) @ lid)
        if len(drawn) == 2:
            lids, whole = lids + 1, top
            assert height <= error / 8 + step
        else:
            assert len(drawn) == 10
            assert height >= error / 8 - step
        mine, its = (plain.positions[drawn].reshape(-1, 3), placed.positions[whole].reshape(-1, 3))
        apart = np.linalg.norm(mine[:, None] - its, axis=2)
        assert apart.min(axis=0).max() < 2 * step
        assert apart.min(axis=1).max() < 2 * step
    return lids


def test_a_building_with_parts_is_not_drawn_twice(server: Server) -> None:
    """What is left of it lies within its footprint and is smaller than the whole prism."""
    by_id = {item["id"]: item for item in _items(server, "buildings")}
    parted = with_parts(server)
    to_geodetic = Transformer.from_crs(4978, 4979, always_xy=True)
    left: list[float] = []
    prisms: list[float] = []
    for uri in gltf.check_tileset(server.http.get("/3dtiles/buildings/tileset.json").json()):
        found = gltf.read(server.http.get(f"/3dtiles/buildings/{uri}").content)
        for row, fid in enumerate(found.table["fid"]):
            if fid < 0 or fid not in parted:
                continue
            mine = found.ids == row
            lon, lat, _ = to_geodetic.transform(*found.positions[mine].T)
            outline = shapely.geometry.shape(by_id[fid]["geometry"])
            assert shapely.contains_xy(outline.buffer(1e-6), lon, lat).all()
            body = trimesh.Trimesh(found.positions, found.triangles[mine[found.triangles[:, 0]]])
            metres = shapely.transform(outline, lambda xy: xy * [55_500.0, 111_300.0])
            prism = metres.area * by_id[fid]["properties"]["height_m"]
            # a low hall whose parts all float above it is left whole
            assert body.volume < 1.01 * prism
            left.append(body.volume)
            prisms.append(prism)
    assert len(left) == REMAINDERS["buildings"]
    assert sum(left) < 0.6 * sum(prisms)


def _items(server: Server, layer: str) -> list[dict[str, Any]]:
    answer = server.http.get(f"/ogc/collections/{layer}/items", params={"limit": 10000})
    return list(answer.json()["features"])


def owners_of_parts(server: Server) -> dict[int, int]:
    """The building of each part: the smallest that holds a point of it."""
    shapes = {item["id"]: shapely.geometry.shape(item["geometry"]) for item in _items(server, "buildings")}
    out = {}
    for part in _items(server, "building_parts"):
        point = shapely.geometry.shape(part["geometry"]).representative_point()
        holding = [fid for fid, shape in shapes.items() if shape.contains(point)]
        if holding:
            out[part["id"]] = min(holding, key=lambda fid: shapes[fid].area)
    return out


def with_parts(server: Server) -> set[int]:
    """The buildings that have parts."""
    return set(owners_of_parts(server).values())


def test_bodies_stand_on_their_footprints(server: Server) -> None:
    to_geodetic = Transformer.from_crs(4978, 4979, always_xy=True)
    by_id = {item["id"]: item for item in _items(server, "buildings")}
    parted = with_parts(server)
    found = gltf.read(server.http.get("/3dtiles/buildings/16/37308/18969.glb").content)
    lon, lat, height = to_geodetic.transform(*found.positions.T)
    for row, fid in enumerate(found.table["fid"]):
        mine = found.ids == row
        if fid in parted:
            continue
        ring = np.array(by_id[fid]["geometry"]["coordinates"][0])
        assert lon[mine].min() == pytest.approx(ring[:, 0].min(), abs=1e-7)
        assert lat[mine].max() == pytest.approx(ring[:, 1].max(), abs=1e-7)
        properties = by_id[fid]["properties"]
        assert height[mine].max() == pytest.approx(properties["height_m"], abs=0.01)
        assert height[mine].min() == pytest.approx(properties["min_height_m"] or 0.0, abs=0.01)


def versions(server: Server) -> dict[str, str]:
    """The ETag of every tile and node of the buildings, as the client holds it."""
    urls = [url_of("buildings", *tile) for z in range(17) for tile in city_tiles(server, "buildings", z)]
    document = server.http.get("/3dtiles/buildings/tileset.json?bounds=edits").json()
    nodes = gltf.check_tileset(document) | gltf.check_blocks(document)
    urls += [f"/3dtiles/buildings/{uri}" for uri in nodes]
    return {url: server.http.get(url).headers["etag"] for url in urls}


def renewed(server: Server, held: dict[str, str]) -> set[str]:
    """The URLs that no longer answer 304 to what the client holds."""
    found = set()
    for url, etag in held.items():
        status = server.http.get(url, headers={"if-none-match": etag}).status_code
        assert status in (200, 204, 304)
        if status != 304:
            found.add(url)
    return found


def shifted(item: dict[str, Any], east: float) -> dict[str, Any]:
    """A building moved by degrees to the east."""
    rings = item["geometry"]["coordinates"]
    return item | {
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[p[0] + east, p[1]] for p in ring] for ring in rings],
        }
    }


def one_building(server: Server) -> dict[str, Any]:
    """A building of z16 size that is drawn."""
    found = gltf.read(server.http.get("/3dtiles/buildings/16/37308/18969.glb").content)
    return dict(server.http.get(f"/ogc/collections/buildings/items/{found.table['fid'][0]}").json())


def test_an_edit_renews_only_what_it_touches(helsinki: Path, serve: Callable[..., Server]) -> None:
    server = serve(helsinki)
    held, item = versions(server), one_building(server)
    put = server.http.put(
        f"/ogc/collections/buildings/items/{item['id']}",
        json=shifted(item, 0.0005),
        headers=server.auth | {"content-type": "application/geo+json"},
    )
    assert put.status_code in (200, 204), put.text
    changed = renewed(server, held)
    assert any(url.startswith("/3dtiles/") for url in changed)
    assert len([url for url in changed if "/tiles/buildings/16/" in url]) in (1, 2, 3, 4)
    # one or two tiles a zoom, one or two nodes, and the blocks above them, out of all
    far = {url for url in changed if "/blocks/" in url}
    assert len(changed - far) <= 17 * 2 + 8
    zooms = [url.split("/")[4] for url in far]
    assert {"13", "14", "15"} <= set(zooms)
    assert all(zooms.count(z) <= 2 for z in zooms)
    glb = next(url for url in changed - far if url.startswith("/3dtiles/"))
    table = gltf.read(server.http.get(glb).content).table
    assert item["id"] in table["fid"]
    # after a restart the same versions are served: no false 304, and no needless 200
    now = versions(server)
    server.stop()
    again = serve(helsinki)
    assert renewed(again, now) == set()
    assert renewed(again, held) == changed


@pytest.mark.parametrize("running", [True, False])
def test_an_edit_by_gdal_is_served(helsinki: Path, serve: Callable[..., Server], running: bool) -> None:
    server = serve(helsinki)
    held, item = versions(server), one_building(server)
    if not running:
        server.stop()
    edit(helsinki / "city.gpkg", "set", "buildings", item["id"], "height_m", 99)
    if not running:
        server = serve(helsinki)
    changed = until(lambda: renewed(server, held), 5, "the edit")
    assert isinstance(changed, set)
    (glb,) = [url for url in changed if url.startswith("/3dtiles/") and "/blocks/" not in url]
    table = gltf.read(server.http.get(glb).content).table
    assert table["height_m"][table["fid"].index(item["id"])] == 99
    tile = next(url for url in changed if "/tiles/buildings/16/" in url)
    heights = {f["id"]: f["properties"]["height_m"] for f in features(server.http.get(tile), "buildings")}
    assert heights[item["id"]] == 99


def test_a_deleted_part_leaves_no_hole(helsinki: Path, serve: Callable[..., Server]) -> None:
    """Its building is drawn whole at once, all other tiles stay; no client can mark one as having parts."""
    server = serve(helsinki)
    owners = owners_of_parts(server)
    part, fid = next((part, fid) for part, fid in owners.items() if list(owners.values()).count(fid) == 1)
    held = versions(server)
    patch = server.http.patch(
        f"/ogc/collections/buildings/items/{fid}",
        content=b'{"properties": {"has_parts": true}}',
        headers=server.auth | {"content-type": "application/merge-patch+json"},
    )
    assert patch.status_code == 400, patch.text
    gone = server.http.delete(f"/ogc/collections/building_parts/items/{part}", headers=server.auth)
    assert gone.status_code == 204, gone.text
    (glb,) = renewed(server, held)
    item = server.http.get(f"/ogc/collections/buildings/items/{fid}").json()
    found = gltf.read(server.http.get(glb).content)
    mine = found.ids == found.table["fid"].index(fid)
    body = trimesh.Trimesh(found.positions, found.triangles[mine[found.triangles[:, 0]]])
    outline = shapely.transform(
        shapely.geometry.shape(item["geometry"]), lambda xy: xy * [55_500.0, 111_300.0]
    )
    low, high = item["properties"]["min_height_m"] or 0.0, item["properties"]["height_m"]
    assert body.volume == pytest.approx(outline.area * (high - low), rel=0.02)
