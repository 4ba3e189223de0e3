"""Registered scenes over HTTP: documents and files as they are, moved and cut by settings, nothing else of
the machine."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyproj
import pytest
import shapely

from layers import load
from layers.source import Declared
from layers.store.open import open_store
from tests import imagery, tilesets
from tests.storing import batch, row, spec

type Get = Callable[..., httpx.Response]
LON, LAT = 114.3, 30.6
REGION = [np.radians(LON), np.radians(LAT), np.radians(LON + 0.001), np.radians(LAT + 0.001), 5, 40]
KEEP = [[LON - 0.0005, LAT - 0.0005], [LON + 0.001, LAT - 0.0005], [LON + 0.001, LAT + 0.001]]
SETTINGS = {
    "title": {"en": "Scenes"},
    "layers": {
        "moved": {"scene": {"move": [3, -4, 12]}},
        "photo": {"scene": {"replaced_by": "houses", "cut": "cut.geojson"}},
        "kept": {"scene": {"keep": [KEEP], "replaced_by": "nothing_here"}},
        "broken": {"scene": {"cut": "none.geojson"}},
    },
}
SQUARE = shapely.box(LON - 0.0009, LAT - 0.0009, LON - 0.0008, LAT - 0.0008)
HOUSE = shapely.box(LON, LAT, LON + 0.0001, LAT + 0.0001)


def regions(folder: Path) -> Path:
    """A set whose tiles lie in regions, one document inside the other, the inner one in gzip."""
    tile = {"boundingVolume": {"region": REGION}, "geometricError": 2}
    outer = {**tile, "content": {"uri": "in.json"}}
    inner = {
        **tile,
        "children": [{**tile, "content": {"uri": "a.b3dm", "boundingVolume": {"region": REGION}}}],
    }
    made = {"asset": {"version": "1.0", "gltfUpAxis": "Z"}, "geometricError": 50}
    centre = list(pyproj.Transformer.from_crs(4979, 4978, always_xy=True).transform(LON, LAT, 10))
    model = tilesets.b3dm(tilesets.glb(tilesets.ground(2)), centre)
    packed = gzip.compress(json.dumps({**made, "root": inner}).encode())
    return tilesets.write(
        folder, {"tileset.json": {**made, "root": outer}, "in.json": packed, "a.b3dm": gzip.compress(model)}
    )


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scenes") / "city"


@pytest.fixture(scope="module")
def get(city: Path) -> Iterator[Get]:
    folder = city.parent
    city.mkdir()
    (city / "city.yml").write_text(json.dumps(SETTINGS))
    (city / "cut.geojson").write_text(shapely.to_geojson(SQUARE))
    store = open_store(city)
    photo = tilesets.write(folder / "photo", tilesets.photo_mesh(LON, LAT))
    (photo.parent / "secret.txt").write_text("not for you")
    (photo.parent / ".hidden.json").write_text("{}")
    (photo.parent / "link.json").symlink_to(city / "keys.json")
    (city / "keys.json").write_text("{}")
    for name in ("photo", "kept", "broken"):
        load.run(store, photo, Declared(in_place=True), layer_id=name, city=city)
    beside = tilesets.write(folder / "beside", tilesets.photo_mesh(LON + 0.01, LAT))
    load.run(store, beside, layer_id="photo", mode="append", city=city)
    load.run(store, regions(folder / "regions"), layer_id="moved", city=city)
    stage = store.stage(spec("houses", kind="building", fields=()))
    stage.add(batch([row("house", HOUSE)]))
    store.publish(stage)
    store.close()
    with imagery.asking(city) as (_, ask):
        yield ask


def test_one_document_is_around_all_sets(get: Get) -> None:
    answer = get("/3dtiles/photo/tileset.json")
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert document["asset"] == {"version": "1.0"}
    children = document["root"]["children"]
    assert [one["geometricError"] for one in children] == [400, 400]
    for number, child in enumerate(children):
        uri = child["content"]["uri"]
        assert uri.startswith(f"sets/{number}/tileset.json?v=")
        inner = get(f"/3dtiles/photo/{uri}").json()
        coarse = get(f"/3dtiles/photo/sets/{number}/{inner['root']['content']['uri']}")
        assert coarse.content.startswith(b"b3dm")
        below = inner["root"]["children"][0]["content"]["uri"]
        assert get(f"/3dtiles/photo/sets/{number}/{below}").json()["root"]["children"]
    sphere = np.array(document["root"]["boundingVolume"]["sphere"])
    for child in children:
        middle = np.array(child["boundingVolume"]["box"][:3])
        assert np.linalg.norm(middle - sphere[:3]) < sphere[3]
    again = get("/3dtiles/photo/tileset.json", if_none_match=answer.headers["etag"])
    assert again.status_code == 304


def test_files_are_asked_for_again_by_their_tag(get: Get) -> None:
    path = "/3dtiles/photo/sets/0/Data/coarse.b3dm"
    first = get(path)
    assert first.headers["cache-control"] == "no-cache"
    assert get(path, if_none_match=first.headers["etag"]).status_code == 304
    assert get(path, method="HEAD").headers["etag"] == first.headers["etag"]


@pytest.mark.parametrize(
    "path",
    [
        *("secret.txt", ".hidden.json", "link.json", "Data", "Data/none.b3dm", "../city/city.yml"),
        *("Data/../../city/keys.json", "%2e%2e/city/keys.json", "/etc/passwd", "Data%5c..%5csecret.txt"),
    ],
)
def test_nothing_else_of_the_machine_is_served(get: Get, path: str) -> None:
    answer = get(f"/3dtiles/photo/sets/0/{path}")
    assert answer.status_code == 404
    assert "not for you" not in answer.text


@pytest.mark.parametrize("path", ["sets/2/tileset.json", "sets/-1/tileset.json", "sets/x/tileset.json"])
def test_a_set_that_is_none_is_not_found(get: Get, path: str) -> None:
    assert get(f"/3dtiles/photo/{path}").status_code == 404
    assert get("/3dtiles/houses/sets/0/tileset.json").status_code == 404
    assert get("/3dtiles/houses/areas.json").status_code == 404


@pytest.mark.parametrize("query", ["?at=@1", "?at=2020-01-01T00:00:00Z", "?nosuch=1"])
def test_there_is_no_other_moment_of_it(get: Get, query: str) -> None:
    for path in ("tileset.json", "areas.json", "sets/0/tileset.json"):
        assert get(f"/3dtiles/photo/{path}{query}").status_code in (400, 410)


def moved(numbers: list[float]) -> list[float]:
    """A region after 3 m to the east, 4 m to the south and 12 m up, by the geodesic."""
    geod = pyproj.Geod(ellps="WGS84")
    west, south, east, north = np.degrees(numbers[:4])
    middle = (south + north) / 2
    by_lon = geod.fwd(west, middle, 90, 3)[0] - west
    by_lat = geod.fwd(west, middle, 180, 4)[1] - middle
    return [west + by_lon, south + by_lat, east + by_lon, north + by_lat, numbers[4] + 12, numbers[5] + 12]


def test_a_set_is_moved_with_its_regions(get: Get) -> None:
    outer = get("/3dtiles/moved/tileset.json").json()
    assert outer["asset"]["gltfUpAxis"] == "Z"
    child = outer["root"]["children"][0]
    shift = np.array(child["transform"]).reshape(4, 4).T
    assert shift[:3, :3].tolist() == np.eye(3).tolist()
    assert np.linalg.norm(shift[:3, 3]) == pytest.approx(13)
    there = pyproj.Transformer.from_crs(4978, 4979, always_xy=True)
    place = pyproj.Transformer.from_crs(4979, 4978, always_xy=True).transform(LON + 0.0005, LAT + 0.0005, 10)
    lon, lat, height = there.transform(*(np.array(place) + shift[:3, 3]))
    geod = pyproj.Geod(ellps="WGS84")
    azimuth, _, metres = geod.inv(LON + 0.0005, LAT + 0.0005, lon, lat)
    assert (metres, azimuth % 360) == (pytest.approx(5, abs=1e-3), pytest.approx(143.13, abs=0.05))
    assert height == pytest.approx(22, abs=1e-3)
    documents = [
        outer,
        *(get(f"/3dtiles/moved/sets/0/{name}").json() for name in ("tileset.json", "in.json")),
    ]
    volumes = [document["root"]["boundingVolume"] for document in documents]
    inner = documents[2]["root"]["children"][0]
    volumes += [inner["boundingVolume"], inner["content"]["boundingVolume"]]
    for volume in volumes[1:]:
        degrees = [*np.degrees(volume["region"][:4]), *volume["region"][4:]]
        assert degrees == pytest.approx(moved(REGION), abs=1e-8)
    model = get("/3dtiles/moved/sets/0/a.b3dm")
    assert (model.headers["content-encoding"], model.content[:4]) == ("gzip", b"b3dm")
    plain = get("/3dtiles/moved/sets/0/a.b3dm", accept_encoding="identity")
    assert "content-encoding" not in plain.headers
    assert plain.content == model.content


def test_a_file_that_was_damaged_since_is_told(get: Get, city: Path) -> None:
    """Who takes no gzip has it unpacked, which cannot be done."""
    [whole] = (city / "scenes").glob("moved-*/a.b3dm")
    (whole.parent / "b.b3dm").write_bytes(whole.read_bytes()[:60])
    answer = get("/3dtiles/moved/sets/0/b.b3dm", accept_encoding="identity")
    assert (answer.status_code, "damaged" in answer.text) == (503, True)


def areas(get: Get, layer: str) -> dict[str, Any]:
    features = get(f"/3dtiles/{layer}/areas.json").json()["features"]
    return {one["id"]: shapely.from_geojson(json.dumps(one["geometry"])) for one in features}


def test_what_is_cut_out_is_a_setting_and_where_houses_stand(get: Get) -> None:
    found = areas(get, "photo")
    assert set(found) == {"cut"}
    assert shapely.symmetric_difference(found["cut"], SQUARE).intersection(SQUARE).area < 1e-14
    house = shapely.difference(found["cut"], SQUARE)
    assert house.contains(HOUSE)
    # half a metre around it
    west, south, *_ = house.bounds
    geod = pyproj.Geod(ellps="WGS84")
    assert geod.inv(west, LAT, LON, LAT)[2] == pytest.approx(0.5, abs=0.01)
    assert geod.inv(LON, south, LON, LAT)[2] == pytest.approx(0.5, abs=0.01)


def test_an_area_that_is_drawn_anew_is_taken(get: Get, city: Path) -> None:
    file, wider = city / "cut.geojson", SQUARE.buffer(0.0002)
    before = file.read_text()
    assert not areas(get, "photo")["cut"].contains(wider.buffer(-1e-7))
    try:
        file.write_text(shapely.to_geojson(wider))
        assert areas(get, "photo")["cut"].contains(wider.buffer(-1e-7))
    finally:
        file.write_text(before)
    assert not areas(get, "photo")["cut"].contains(wider.buffer(-1e-7))


def test_what_alone_is_kept_is_told(get: Get) -> None:
    found = areas(get, "kept")
    assert set(found) == {"keep"}
    assert shapely.symmetric_difference(found["keep"], shapely.Polygon(KEEP)).area < 1e-14


def test_an_area_that_cannot_be_read_is_told(get: Get) -> None:
    answer = get("/3dtiles/broken/areas.json")
    assert answer.status_code == 503
    assert "none.geojson" in answer.text


def test_the_page_and_the_collections_name_it(get: Get) -> None:
    config = {one["id"]: one for one in get("/config.json").json()["layers"]}
    assert config["photo"]["registered"] == {
        "url": "3dtiles/photo/tileset.json",
        "areas": "3dtiles/photo/areas.json",
    }
    assert config["houses"]["registered"] is None
    for document in (get("/ogc/collections/photo").json(), get("/ogc").json()):
        hrefs = [one["href"] for one in document["links"]]
        assert "http://127.0.0.1/3dtiles/photo/tileset.json" in hrefs
    paths = get("/ogc/api").json()["paths"]
    assert {one for one in paths if "areas.json" in one or "{path}" in one or "sets/" in one}
