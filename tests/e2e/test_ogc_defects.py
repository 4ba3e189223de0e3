"""What pygeoapi 0.24 or tipg 1.6 answer wrongly, asked of this server: docs/pygeoapi.md has the notes."""

import contextlib
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.e2e import both

server = both.server

ITEMS = "/ogc/collections/buildings/items"
PIPES = "/ogc/collections/pipelines/items"


def ask(server, path=ITEMS, headers=None, **params):
    return server.http.get(path, params=params, headers=headers or {})


def test_items_are_geojson_by_default_and_when_asked_for(server):
    for headers in ({}, {"accept": "application/geo+json"}, {"accept": "*/*"}):
        assert ask(server, headers=headers).headers["content-type"] == "application/geo+json"


def test_a_media_type_that_is_none_of_ours_is_406(server):
    refused = ask(server, headers={"accept": "image/png"})
    assert refused.status_code == 406
    assert refused.headers["content-type"] == "application/problem+json"


def test_an_unknown_parameter_is_400_and_none_is_free_form(server):
    assert ask(server, nosuchparam="1").status_code == 400
    document = server.http.get("/ogc/api").json()
    for path in document["paths"].values():
        for one in path.get("get", {}).get("parameters", []):
            assert one["schema"].get("type") != "object", one["name"]


def test_a_filter_filters(server):
    medium = ask(server, PIPES, limit=1).json()["features"][0]["properties"]["medium"]
    everything = ask(server, PIPES, limit=100).json()["features"]
    wanted = [one["id"] for one in everything if one["properties"]["medium"] == medium]
    found = ask(server, PIPES, limit=100, filter=f"medium='{medium}'").json()
    assert found["numberMatched"] == len(wanted) < len(everything)
    assert [one["id"] for one in found["features"]] == wanted


def test_a_filter_on_a_property_that_is_not_there_is_400(server):
    for text in ("nosuch=1", "nosuch='x'", "height_m > nosuch"):
        refused = ask(server, filter=text)
        assert refused.status_code == 400
        assert "nosuch" in refused.json()["detail"]


@pytest.mark.parametrize("text", ["foo", "a/b/c", "2026-99-99", "", "2026-01-01T00:00:00"])
def test_what_is_no_time_is_400(server, text):
    refused = ask(server, datetime=text)
    assert refused.status_code == 400
    assert "datetime" in refused.json()["detail"]


def test_a_time_on_data_without_time_leaves_all(server):
    assert ask(server, PIPES, datetime="2020-01-01T00:00:00Z/..").json()["numberMatched"] == 78


@pytest.mark.parametrize(
    "box", ["a,b,c,d", "1,2", "4.9,52.4,4.8,52.3", "nan,nan,nan,nan", "-inf,-inf,inf,inf", "1,2,3,4,5"]
)
def test_what_is_no_box_is_400(server, box):
    refused = ask(server, bbox=box)
    assert refused.status_code == 400
    assert "bbox" in refused.json()["detail"]


def test_a_box_across_the_antimeridian_is_not_the_rest_of_the_world(server):
    assert ask(server, bbox="170,50,-170,70").json()["numberMatched"] == 0
    assert ask(server, bbox="20,50,-170,70").json()["numberMatched"] == 446


def test_a_limit_beyond_the_maximum_is_clamped(server):
    answer = ask(server, "/ogc/collections/roads/items", limit="100000")
    assert answer.status_code == 200
    assert answer.json()["numberReturned"] == 2577


def test_an_unlimited_limit_is_400(server):
    assert ask(server, limit="unlimited").status_code == 400


def test_a_crs_is_taken_only_when_it_is_listed(server):
    listed = server.http.get("/ogc/collections/buildings").json()["crs"]
    other = "http://www.opengis.net/def/crs/EPSG/0/28992"
    assert other not in listed
    assert ask(server, crs=other).status_code == 400
    assert {ask(server, crs=uri, limit=1).status_code for uri in listed} == {200}


def test_sorting_sorts(server):
    down = ask(server, sortby="-height_m", limit=500).json()["features"]
    heights = [one["properties"]["height_m"] for one in down]
    numbers = [height for height in heights if height is not None]
    assert numbers == sorted(numbers, reverse=True)
    assert heights[: len(numbers)] == numbers
    assert len(set(numbers)) > 10


def test_the_api_document_is_self_contained_and_complete(server):
    answer = server.http.get("/ogc/api")
    document = answer.json()
    assert '"$ref":"http' not in answer.text.replace(" ", "")
    names = {one["name"] for one in document["paths"]["/collections/buildings/items"]["get"]["parameters"]}
    assert {"filter", "filter-lang", "filter-crs", "datetime", "bbox", "sortby", "properties", "q"} <= names


def test_head_etag_and_cache_control(server):
    for path in (ITEMS, f"{ITEMS}/1", "/ogc", "/ogc/collections", "/ogc/collections/buildings/queryables"):
        for answer in (server.http.get(path), server.http.head(path)):
            assert answer.status_code == 200
            assert answer.headers["etag"]
            assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("height_m", "high"),
        ("height_m", "1e999"),
        ("levels", "2;3"),
        ("offset", "9" * 25),
        ("filter", "name = '\x00'"),
    ],
)
def test_a_value_that_fits_no_column_is_400(server, name, value):
    refused = ask(server, **{name: value})
    assert refused.status_code == 400, refused.text
    assert name in refused.json()["detail"]


def test_the_last_full_page_has_no_next(server):
    page = ask(server, PIPES, limit=39, offset=39).json()
    assert page["numberReturned"] == 39
    assert not [one for one in page["links"] if one["rel"] == "next"]


def test_reading_changes_no_table_of_the_file_and_many_may_read(server):
    def tables():
        file = server.folder / "city.gpkg"
        if not file.exists():  # a city whose features lie in PostGIS
            return []
        with contextlib.closing(sqlite3.connect(file)) as con:
            return con.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()

    before = tables()
    boxes = [f"24.9{n},60.16,24.9{n + 1},60.18" for n in range(2, 6)]

    def read(number):
        with httpx.Client(base_url=server.url, timeout=30) as client:
            params = {"bbox": boxes[number % 4], "limit": 50, "sortby": "-height_m"}
            return client.get(ITEMS, params=params).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(read, range(64))) == {200}
    assert tables() == before


def test_a_body_that_was_rounded_is_as_small(server):
    """tipg writes coordinates of 17 digits; ours have 9 decimals, a tenth of a millimetre."""
    for one in json.loads(ask(server, limit=20).text, parse_float=str)["features"]:
        flat = list(_texts(one["geometry"]["coordinates"]))
        assert all(len(text.partition(".")[2]) <= 9 for text in flat)


def _texts(node):
    if isinstance(node, list):
        for one in node:
            yield from _texts(one)
    else:
        yield str(node)
