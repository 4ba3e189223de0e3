"""A city with a grid of its own, of files in degrees: planners read, ask, write and download in the grid."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyproj
import pytest
import shapely

from tests.gdal_read import Gdal
from tests.support import Server, init, twin

EPSG = "http://www.opengis.net/def/crs/EPSG/0/"
GRID = EPSG + "3879"  # northing first
#: PROJ's own way, not ours.
THERE = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:3879", always_xy=True)
PLACES = [(24.90 + i / 100, 60.15 + i / 200) for i in range(10)]
CENTIMETRE = 0.01
WELLS = "/ogc/collections/wells"


@pytest.fixture(scope="module", params=["geopackage", "postgis"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on a city whose ``crs`` is EPSG:3879, with a layer loaded from longitudes and latitudes."""
    files = tmp_path_factory.mktemp("files")
    database = request.getfixturevalue("postgres").database() if request.param == "postgis" else None
    city = init(files / "city", database)
    with (city / "city.yml").open("a", encoding="utf-8") as text:
        text.write("\ncrs: EPSG:3879\n")
    rows = "".join(f"{lon},{lat},w{i}\n" for i, (lon, lat) in enumerate(PLACES))
    (files / "wells.csv").write_text(f"lon,lat,name\n{rows}", "utf-8")
    twin("load", str(files / "wells.csv"), "--as", "wells", "--kind", "feature", "--city", str(city))
    running = Server.start(city)
    yield running
    running.stop()


def grid(lon: float, lat: float) -> list[float]:
    """Northing, easting."""
    easting, northing = THERE.transform(lon, lat)
    return [northing, easting]


def ask(server: Server, path: str = f"{WELLS}/items", **parameters: Any) -> httpx.Response:
    answer = server.http.get(
        path, params={name.replace("_", "-"): value for name, value in parameters.items()}
    )
    assert answer.status_code == 200, answer.text
    return answer


def names(answer: httpx.Response) -> list[str]:
    return [f["properties"]["name"] for f in answer.json()["features"]]


def near(found: list[float], wanted: list[float]) -> None:
    assert found == pytest.approx(wanted, abs=CENTIMETRE)


def test_the_collection_lists_it(server: Server) -> None:
    collection = ask(server, WELLS).json()
    offered = ["http://www.opengis.net/def/crs/OGC/1.3/CRS84", GRID, EPSG + "4326", EPSG + "3857"]
    assert collection["crs"] == offered
    assert collection["storageCrs"] == offered[0]
    for listed in ask(server, "/ogc/collections").json()["collections"]:
        assert listed["crs"] == offered
    items = ask(server, "/ogc/api").json()["paths"]["/collections/wells/items"]["get"]["parameters"]
    of = {one.get("name"): one.get("schema", {}) for one in items}
    assert all(GRID in of[name]["enum"] for name in ("crs", "bbox-crs", "filter-crs"))


def test_pages_and_single_features(server: Server) -> None:
    answer = ask(server, crs=GRID)
    assert answer.headers["content-crs"] == f"<{GRID}>"
    for feature, place in zip(answer.json()["features"], PLACES, strict=True):
        near(feature["geometry"]["coordinates"], grid(*place))
    one = ask(server, f"{WELLS}/items/{feature['id']}", crs="EPSG:3879")
    assert one.headers["content-crs"] == f"<{GRID}>"
    near(one.json()["geometry"]["coordinates"], grid(*PLACES[-1]))


def test_boxes_and_filters(server: Server) -> None:
    (south, west), (north, east) = grid(24.915, 60.155), grid(24.955, 60.18)
    wanted = ["w2", "w3", "w4", "w5"]
    assert names(ask(server, bbox=f"{south},{west},{north},{east}", bbox_crs=GRID)) == wanted
    ring = f"{south} {west}, {north} {west}, {north} {east}, {south} {east}, {south} {west}"
    assert names(ask(server, filter=f"S_WITHIN(geometry, POLYGON(({ring})))", filter_crs=GRID)) == wanted


def test_what_is_written_in_it_comes_back(server: Server) -> None:
    feature = ask(server, crs=GRID, name="w7").json()["features"][0]
    path = f"{WELLS}/items/{feature['id']}"
    northing, easting = feature["geometry"]["coordinates"]
    moved = [northing + 123.45, easting - 67.89]
    body = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": moved},
        "properties": feature["properties"],
    }
    before = server.http.get(path)
    headers = {**server.auth, "content-type": "application/geo+json", "if-match": before.headers["etag"]}
    done = server.http.put(path, content=json.dumps(body), headers={**headers, "content-crs": f"<{GRID}>"})
    assert done.status_code == 204, done.text
    near(ask(server, path, crs=GRID).json()["geometry"]["coordinates"], moved)
    near(grid(*ask(server, path).json()["geometry"]["coordinates"]), moved)
    back = server.http.put(
        path, content=before.content, headers={**headers, "if-match": done.headers["etag"]}
    )
    assert back.status_code == 204, back.text


def test_downloads(server: Server, tmp_path: Path) -> None:
    gdal = Gdal()
    try:
        for form, extension in (("gpkg", "gpkg"), ("geojson", "json"), ("flatgeobuf", "fgb")):
            file = tmp_path / f"wells.{extension}"
            file.write_bytes(ask(server, f"{WELLS}/download", f=form, crs="EPSG:3879").content)
            (read,) = gdal.read(file)
            assert read.epsg == "3879"
            points = shapely.get_coordinates(shapely.from_wkb([wkb for _, wkb, _ in read.features]))
            for (easting, northing), name in zip(points.tolist(), read.column("name"), strict=True):
                near([northing, easting], grid(*PLACES[int(name[1:])]))  # files have east first
    finally:
        gdal.close()


def test_a_crs_that_is_none_stops_the_start(tmp_path: Path) -> None:
    twin("init", str(tmp_path / "city"))
    with (tmp_path / "city" / "city.yml").open("a", encoding="utf-8") as text:
        text.write("\ncrs: EPSG:5703\n")
    lines = (tmp_path / "city" / "city.yml").read_text("utf-8").splitlines()
    done = twin("serve", "--city", str(tmp_path / "city"), "--port", "0", check=False)
    assert done.returncode != 0
    assert f"city.yml line {len(lines)}: crs: EPSG:5703 is neither geographic nor projected" in done.stderr
    assert "Traceback" not in done.stderr
