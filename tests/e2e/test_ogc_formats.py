"""Pages and features in every form: JSON-FG, FlatGeobuf, CSV; by ``f``, by Accept, by profile; compressed."""

import csv
import io
import json
import re
import subprocess
import sys

import brotli
import pytest
from shapely import from_wkt
from shapely.geometry import shape

from tests.e2e import both
from tests.support import ROOT

server = both.server

ITEMS = "/ogc/collections/roads/items"
EPSG_4326 = "http://www.opengis.net/def/crs/EPSG/0/4326"
CONFORMS = [f"http://www.opengis.net/spec/json-fg-1/1.0/conf/{name}" for name in ("core", "types-schemas")]
FORMS = {
    "json": "application/geo+json",
    "jsonfg": "application/fg+json",
    "html": "text/html; charset=utf-8",
    "flatgeobuf": "application/flatgeobuf",
    "csv": "text/csv",
}


def linked(answer, rel):
    found = re.findall(r'<([^>]*)>; rel="([^"]*)"; type="([^"]*)"', answer.headers["link"])
    return [(href, media) for href, other, media in found if other == rel]


@pytest.mark.parametrize(("f", "media"), FORMS.items())
def test_each_form_is_had_by_name_and_by_media_type(server, f, media):
    by_name = server.http.get(ITEMS, params={"limit": 3, "f": f})
    by_accept = server.http.get(ITEMS, params={"limit": 3}, headers={"accept": media.partition(";")[0]})
    for answer in (by_name, by_accept):
        assert answer.status_code == 200, answer.text[:300]
        assert answer.headers["content-type"].startswith(media)
        assert "accept" in answer.headers["vary"].lower()
    assert server.http.head(ITEMS, params={"limit": 3, "f": f}).headers["content-type"].startswith(media)


@pytest.mark.parametrize("f", ["json", "jsonfg", "flatgeobuf", "csv"])
def test_counts_and_links_are_in_the_headers_and_lead_through_the_layer(server, f):
    url, seen = f"{server.url}/ogc/collections/pipelines/items?limit=30&f={f}", 0
    while url:
        answer = server.http.get(url)
        assert answer.headers["ogc-numbermatched"] == "78"
        seen += int(answer.headers["ogc-numberreturned"])
        assert [media for _, media in linked(answer, "self")] == [FORMS[f]]
        others = {FORMS[other].partition(";")[0] for other in FORMS if other != f}
        assert {media for _, media in linked(answer, "alternate")} == others
        following = linked(answer, "next")
        assert all(media == FORMS[f] for _, media in following)
        url = following[0][0] if following else None
    assert seen == 78


def test_the_alternates_of_a_page_are_the_same_page(server):
    answer = server.http.get(ITEMS, params={"limit": 5, "sortby": "-name"})
    names = [one["properties"]["name"] for one in answer.json()["features"]]
    for href, media in linked(answer, "alternate"):
        other = server.http.get(href)
        assert other.headers["content-type"].startswith(media)
        if media == "application/fg+json":
            assert [one["properties"]["name"] for one in other.json()["features"]] == names
        if media == "text/csv":
            rows = list(csv.DictReader(io.StringIO(other.content.decode("utf-8-sig"))))
            assert [row["name"] or None for row in rows] == names


def test_every_form_takes_the_properties_and_the_order_that_are_asked_for(server):
    asked = {"limit": 9, "properties": "class", "sortby": "-class,id", "filter": "name IS NOT NULL"}
    plain = server.http.get(ITEMS, params=asked).json()["features"]
    fg = server.http.get(ITEMS, params={**asked, "f": "jsonfg"}).json()["features"]
    assert [one["properties"] for one in fg] == [one["properties"] for one in plain]
    text = server.http.get(ITEMS, params={**asked, "f": "csv"}).content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [int(row["fid"]) for row in rows] == [one["id"] for one in plain]
    assert set(rows[0]) & {"name", "class", "source_id"} == {"class"}
    assert [row["class"] for row in rows] == [one["properties"]["class"] for one in plain]
    fgb = server.http.get(ITEMS, params={**asked, "f": "fgb"})
    assert fgb.status_code == 200, fgb.text
    assert fgb.headers["ogc-numberreturned"] == "9"


def test_etags_of_forms_differ_and_answer_304(server):
    etags = set()
    for f in ("json", "jsonfg", "flatgeobuf", "csv"):
        params = {"limit": 3, "f": f}
        etag = server.http.get(ITEMS, params=params).headers["etag"]
        assert server.http.get(ITEMS, params=params, headers={"if-none-match": etag}).status_code == 304
        etags.add(etag)
    assert len(etags) == 4


def test_forms_of_one_feature_at_one_address_have_etags_of_their_own(server):
    here = f"{ITEMS}/1"
    asked = {"json": "application/geo+json", "jsonfg": "application/fg+json"}
    etags = {
        f: server.http.get(here, headers={"accept": media}).headers["etag"] for f, media in asked.items()
    }
    for f, media in asked.items():
        for other, etag in etags.items():
            found = server.http.get(here, headers={"accept": media, "if-none-match": etag})
            assert found.status_code == (304 if f == other else 200)
    change = {"if-match": etags["jsonfg"], "content-type": "application/merge-patch+json", **server.auth}
    assert server.http.patch(here, headers=change, content=b'{"properties":{}}').status_code == 204


def test_json_fg_in_lon_lat_has_its_geometry_in_geometry(server):
    plain = server.http.get(ITEMS, params={"limit": 4}).json()
    page = server.http.get(ITEMS, params={"limit": 4, "f": "jsonfg"}).json()
    assert page["conformsTo"] == CONFORMS
    assert page["featureType"] == "roads"
    assert page["featureSchema"] == f"{server.url}/ogc/collections/roads/schema"
    assert page["geometryDimension"] == 1
    assert "coordRefSys" not in page
    assert page["numberMatched"] == plain["numberMatched"]
    for one, same in zip(page["features"], plain["features"], strict=True):
        assert one == {**same, "time": None, "place": None}
    alone = server.http.get(f"{ITEMS}/{plain['features'][0]['id']}", params={"f": "jsonfg"}).json()
    assert alone["conformsTo"] == CONFORMS
    assert alone["geometry"] == plain["features"][0]["geometry"]
    assert alone["place"] is None


def test_json_fg_in_another_crs_has_its_geometry_in_place(server):
    params = {"limit": 2, "crs": EPSG_4326}
    plain = server.http.get(ITEMS, params=params).json()["features"]
    page = server.http.get(ITEMS, params={**params, "f": "jsonfg"}).json()
    assert page["coordRefSys"] == EPSG_4326
    for one, same in zip(page["features"], plain, strict=True):
        assert one["place"] == same["geometry"]
        assert one["geometry"] is None
        assert "coordRefSys" not in one


def test_a_profile_chooses_among_the_forms_of_geojson(server):
    for path in (ITEMS, f"{ITEMS}/1"):
        for profile in ("jsonfg", "http://www.opengis.net/def/profile/OGC/0/jsonfg", "[ogc-profile:jsonfg]"):
            answer = server.http.get(path, params={"profile": profile})
            assert answer.headers["content-type"] == "application/geo+json"
            assert answer.json()["conformsTo"] == CONFORMS
            assert [one["href"] for one in answer.json()["links"] if one["rel"] == "profile"] == [
                "http://www.opengis.net/def/profile/OGC/0/jsonfg"
            ]
        plain = server.http.get(path, params={"profile": "rfc7946"}).json()
        assert "conformsTo" not in plain
        assert [one["href"] for one in plain["links"] if one["rel"] == "profile"] == [
            "http://www.opengis.net/def/profile/OGC/0/rfc7946"
        ]
        for wrong in ("jsonfg-plus", "jsonfg,other"):
            assert server.http.get(path, params={"profile": wrong}).status_code == 400
    following = linked(server.http.get(ITEMS, params={"profile": "jsonfg", "limit": 2}), "next")[0][0]
    assert server.http.get(following).json()["conformsTo"] == CONFORMS


def test_gdal_reads_a_flatgeobuf_page(server, tmp_path):
    params = {"limit": 50, "f": "fgb", "filter": "name IS NOT NULL"}
    page = server.http.get(ITEMS, params=params)
    plain = server.http.get(ITEMS, params={**params, "f": "json"}).json()
    (tmp_path / "page.fgb").write_bytes(page.content)
    read = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path / "page.fgb")],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    found = json.loads(read.stdout)
    assert found["count"] == plain["numberReturned"] == 50
    assert found["crs"] == "EPSG:4326"
    assert sorted(found["names"]) == sorted(one["properties"]["name"] for one in plain["features"])


READ = """
import json, sys, pyogrio
meta, _, _, columns = pyogrio.raw.read(sys.argv[1])
names = [str(one) for one in columns[list(meta["fields"]).index("name")]]
print(json.dumps({"count": len(names), "crs": meta["crs"], "names": names}))
"""


def test_tables_in_another_crs(server, tmp_path):
    """What a file format has x first stays so, whatever the order of the authority."""
    params = {"limit": 20, "crs": "http://www.opengis.net/def/crs/EPSG/0/3857"}
    plain = server.http.get(ITEMS, params=params).json()["features"]
    wanted = [shape(one["geometry"]) for one in plain]
    page = server.http.get(ITEMS, params=params, headers={"accept": "application/flatgeobuf"})
    assert page.headers["content-type"] == "application/flatgeobuf"
    assert page.headers["content-crs"] == f"<{params['crs']}>"
    assert "f=csv" in page.headers["link"]
    (tmp_path / "page.fgb").write_bytes(page.content)
    command = [sys.executable, "-c", READ, str(tmp_path / "page.fgb")]
    read = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert json.loads(read.stdout)["crs"] == "EPSG:3857"
    text = server.http.get(ITEMS, params={**params, "f": "csv"}).content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert {row["crs"] for row in rows} == {"EPSG:3857"}
    assert all(
        from_wkt(row["geometry"]).equals_exact(one, 2e-4) for row, one in zip(rows, wanted, strict=True)
    )
    latitude_first = server.http.get(ITEMS, params={"limit": 1, "f": "csv", "crs": EPSG_4326})
    (row,) = csv.DictReader(io.StringIO(latitude_first.content.decode("utf-8-sig"), newline=""))
    (lonlat,) = server.http.get(ITEMS, params={"limit": 1}).json()["features"]
    assert from_wkt(row["geometry"]).equals_exact(shape(lonlat["geometry"]), 2e-9)


def test_a_feature_is_not_had_as_a_table(server):
    assert server.http.get(f"{ITEMS}/1", params={"f": "csv"}).status_code == 400
    assert server.http.get(f"{ITEMS}/1", headers={"accept": "text/csv"}).status_code == 406


@pytest.mark.parametrize(
    ("accepts", "coding"),
    [("gzip", "gzip"), ("gzip, br", "gzip"), ("br", "br"), ("gzip;q=0.5, br", "br"), ("identity", None)],
)
def test_content_codings(server, accepts, coding):
    params = {"limit": 200, "f": "json"}
    plain = server.http.get(ITEMS, params=params, headers={"accept-encoding": "identity"})
    with server.http.stream("GET", ITEMS, params=params, headers={"accept-encoding": accepts}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers.get("content-encoding") == coding
    assert int(answer.headers["content-length"]) == len(raw)
    assert "accept-encoding" in answer.headers["vary"].lower()
    if coding == "br":
        assert len(raw) * 3 < len(plain.content)
        assert json.loads(brotli.decompress(raw))["features"] == plain.json()["features"]
    head = server.http.head(ITEMS, params=params, headers={"accept-encoding": accepts})
    assert head.headers.get("content-encoding") == coding


def test_a_page_beyond_a_megabyte_is_compressed_too(server):
    params = {"limit": 2577}
    plain = server.http.get(ITEMS, params=params, headers={"accept-encoding": "identity"})
    assert len(plain.content) > 1_048_576
    for coding in ("gzip", "br"):
        packed = server.http.get(ITEMS, params=params, headers={"accept-encoding": coding})
        assert packed.headers["content-encoding"] == coding
        assert packed.json()["features"] == plain.json()["features"]
