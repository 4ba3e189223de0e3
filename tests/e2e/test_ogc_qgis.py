"""QGIS's own sequence of requests, replayed with its headers (read in its provider's source)."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from tests.clients.layers import COUNT, EMPTY, MANY
from tests.gdal_read import Gdal

AGENT = {"user-agent": "Mozilla/5.0 QGIS/34000"}
OPENAPI_ACCEPT = (
    "application/vnd.oai.openapi+json;version=3.0, application/openapi+json;version=3.0, application/json"
)
GEOJSON_ACCEPT = "application/geo+json, application/json"
FLATGEOBUF = "application/flatgeobuf"
SCHEMA_REL = "http://www.opengis.net/def/rel/ogc/1.0/schema"
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
EPSG_4326 = "http://www.opengis.net/def/crs/EPSG/0/4326"


def get(served, url, accept):
    answer = served.http.get(url, headers={"accept": accept, **AGENT})
    assert answer.status_code == 200, answer.text[:300]
    return answer


def basic(served):
    """QGIS's Basic configuration: any name, the key as password."""
    return {"auth": ("qgis", served.key), "headers": dict(AGENT)}


@pytest.fixture(scope="module")
def api(served):
    landing = get(served, "/ogc", "application/json").json()
    described = [one for one in landing["links"] if one["rel"] in ("service-desc", "service")]
    # the types that QGIS takes, the first of them first
    (service,) = [one for one in described if one["type"].startswith("application/vnd.oai.openapi+json")]
    return get(served, service["href"], OPENAPI_ACCEPT).json()


@pytest.fixture(scope="module")
def conformance(served):
    landing = get(served, "/ogc", "application/json").json()
    (link,) = [one for one in landing["links"] if one["rel"] == "conformance"]
    return get(served, link["href"], "application/json").json()["conformsTo"]


@pytest.fixture(scope="module")
def flatgeobuf(tmp_path_factory):
    """The property ``n`` of the features of a FlatGeobuf file, read by GDAL."""
    gdal = Gdal()
    path = tmp_path_factory.mktemp("fgb") / "page.fgb"

    def read(content):
        path.write_bytes(content)
        (layer,) = gdal.read(path)
        return layer.column("n")

    yield read
    gdal.close()


# -- reading --------------------------------------------------------------------------------------------


def test_reading_every_layer(served, api, conformance):
    # the page size: 1000, or the default where that is more, never beyond the maximum
    schema = api["components"]["parameters"]["limit"]["schema"]
    page_size = min(max(1000, schema["default"]), schema["maximum"])
    assert page_size == 1000
    assert "http://www.opengis.net/spec/ogcapi-features-5/1.0/conf/schemas" in conformance
    seen_of = {}
    listed = get(served, "/ogc/collections", "application/json").json()["collections"]
    for collection in (one for one in listed if one["itemType"] == "feature"):
        described = get(served, f"/ogc/collections/{collection['id']}", "application/json").json()
        (link,) = [one for one in described["links"] if one["rel"] == SCHEMA_REL]
        assert link["type"] == "application/schema+json"
        fields = get(served, link["href"], "application/schema+json").json()["properties"]
        (items,) = [
            one
            for one in described["links"]
            if one["rel"] == "items" and one["type"] == "application/geo+json"
        ]
        first = get(served, f"{items['href']}?limit=10", GEOJSON_ACCEPT).json()
        assert isinstance(first["numberMatched"], int)
        for feature in first["features"]:
            assert set(feature["properties"]) <= set(fields)
        url, seen = f"{items['href']}?limit={page_size}", []
        while url:
            page = get(served, url, GEOJSON_ACCEPT).json()
            seen += [one["id"] for one in page["features"]]
            following = [
                one for one in page["links"] if one["rel"] == "next" and one["type"] == "application/geo+json"
            ]
            url = following[0]["href"] if following else None
        assert len(set(seen)) == len(seen) == first["numberMatched"]
        seen_of[collection["id"]] = len(seen)
    assert seen_of[MANY] == COUNT
    assert seen_of[EMPTY] == 0


def test_reading_as_flatgeobuf_with_count_and_next_in_the_headers(served, flatgeobuf):
    url, seen, pages = f"/ogc/collections/{MANY}/items?limit=1000", [], 0
    while url:
        answer = get(served, url, f"{FLATGEOBUF}, {GEOJSON_ACCEPT}")
        assert answer.headers["content-type"] == FLATGEOBUF
        assert int(answer.headers["ogc-numbermatched"]) == COUNT
        read = flatgeobuf(answer.content)
        assert len(read) == int(answer.headers["ogc-numberreturned"])
        seen += read
        found = answer.links.get("next")
        assert found is None or found["type"] == FLATGEOBUF
        url = found["url"] if found else None
        pages += 1
    assert sorted(seen) == list(range(COUNT))
    assert pages == -(-COUNT // 1000)


def test_an_empty_layer_as_flatgeobuf(served, flatgeobuf):
    answer = get(served, f"/ogc/collections/{EMPTY}/items?limit=1000", FLATGEOBUF)
    assert answer.headers["ogc-numbermatched"] == "0"
    assert "next" not in answer.links
    assert flatgeobuf(answer.content) == []


def test_a_box_and_a_crs_with_the_request(served):
    box = "60.165,24.935,60.175,24.955"
    url = f"/ogc/collections/buildings/items?limit=1000&bbox={box}&bbox-crs={EPSG_4326}&crs={EPSG_4326}"
    answer = get(served, url, GEOJSON_ACCEPT)
    assert answer.headers["content-crs"] == f"<{EPSG_4326}>"
    page = answer.json()
    assert page["numberMatched"] > 50
    following = [one for one in page["links"] if one["rel"] == "next"]
    for one in following:
        assert dict(parse_qsl(urlsplit(one["href"]).query))["crs"] == EPSG_4326


def test_half_open_times_in_the_form_that_qgis_sends(served):
    for time in ("0000-01-01T00:00:00Z/2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z/9999-12-31T00:00:00Z"):
        page = get(served, f"/ogc/collections/roads/items?limit=1000&datetime={time}", GEOJSON_ACCEPT).json()
        assert page["numberMatched"] == 2577
    page = get(
        served,
        f"/ogc/collections/{MANY}/items?limit=1&datetime=0000-01-01T00:00:00Z/2024-01-31T00:00:00Z",
        GEOJSON_ACCEPT,
    ).json()
    assert page["numberMatched"] == COUNT // 12


# -- filtering ------------------------------------------------------------------------------------------


def test_a_filter_goes_to_the_server_by_the_literal_path(served, api):
    base = api["servers"][0]["url"]
    parameters = api["paths"]["/collections/pipelines/items"]["get"]["parameters"]
    simple = {
        one["name"]
        for one in parameters
        if one["in"] == "query"
        and one["style"] == "form"
        and one["explode"] is False
        and one["schema"].get("type")
    }
    assert {"medium", "depth_m", "diameter_source"} <= simple
    page = get(served, f"{base}/collections/pipelines/items?limit=1000&medium=water", GEOJSON_ACCEPT).json()
    assert {one["properties"]["medium"] for one in page["features"]} == {"water"}


def test_what_qgis_asks_for_before_it_sends_cql2(conformance):
    for name in ("basic-cql2", "cql2-text", "advanced-comparison-operators", "case-insensitive-comparison"):
        assert f"http://www.opengis.net/spec/cql2/1.0/conf/{name}" in conformance
    for name in ("filter", "features-filter", "queryables"):
        assert f"http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/{name}" in conformance


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # an expression of QGIS as its provider writes it in CQL2 text
        ('("n" = 17)', {17}),
        ('(("n" >= 100) AND ("n" < 104))', {100, 101, 102, 103}),
        ('("组" = \'第3组\') AND ("n" < 11)', {3, 10}),
        ('("n" IN (5,6,99999))', {5, 6}),
        ('("n" NOT IN (0,1)) AND ("n" <= 2)', {2}),
        ('("n" BETWEEN 7 AND 9)', {7, 8, 9}),
        ('("组" LIKE \'第1%\') AND ("n" < 3)', {1}),
        ('(CASEI("组") LIKE CASEI(\'第1组\')) AND ("n" < 3)', {1}),
        ('NOT (("n" > 1))', {0, 1}),
        ('("on" = true) AND ("n" <= 2)', {0, 2}),
        ("(\"day\" = DATE('2024-03-03'))", {n for n in range(COUNT) if n % 12 == 2 and n % 28 == 2}),
        ("(\"at\" <= TIMESTAMP('2024-01-01T00:00:00Z'))", {n for n in range(COUNT) if n % 60 == 0}),
        ('("组" IS NULL)', set()),
        ('("ratio" <> 0.125) AND ("n" <= 2)', {0, 2}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_filter_as_cql2_text(served, expression, expected):
    url = f"/ogc/collections/{MANY}/items?limit=1000&filter={quote(expression)}&filter-lang=cql2-text"
    page = get(served, url, GEOJSON_ACCEPT).json()
    assert page["numberMatched"] == len(expected)
    assert {one["properties"]["n"] for one in page["features"]} == expected


def test_a_filter_with_a_box_is_both(served):
    box = "24.9,60.14,24.9049,60.1401"
    url = f"/ogc/collections/{MANY}/items?limit=1000&bbox={box}&filter={quote('("n" > 2)')}"
    page = get(served, f"{url}&filter-lang=cql2-text", GEOJSON_ACCEPT).json()
    assert {one["properties"]["n"] for one in page["features"]} == {3, 4}


# -- editing --------------------------------------------------------------------------------------------


def test_editing_is_offered_to_a_key_and_to_nobody_else(served):
    for layer in ("roads", EMPTY):
        path = f"/ogc/collections/{layer}/items"
        one = f"{path}/unknown_id"
        if layer != EMPTY:
            one = f"{path}/{get(served, f'{path}?limit=1', GEOJSON_ACCEPT).json()['features'][0]['id']}"
        offered = served.http.options(path, **basic(served))
        assert offered.status_code == 200
        assert "POST" in offered.headers["allow"].split(", ")
        offered = served.http.options(one, **basic(served))
        assert offered.status_code == 200
        assert {"PUT", "PATCH", "DELETE"} <= set(offered.headers["allow"].split(", "))
        for href in (path, one):
            for auth in (None, ("qgis", "no-such-key")):
                allow = served.http.options(href, auth=auth, headers=AGENT).headers["allow"]
                assert not {"POST", "PUT", "PATCH", "DELETE"} & set(allow.split(", ")), (href, auth)


def test_a_life_in_an_empty_layer(served):
    items = f"/ogc/collections/{EMPTY}/items"
    feature = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [24.95, 60.17]},
        "properties": {"组": "甲", "n": 1, "ratio": None, "on": False, "day": "2024-02-29", "at": None},
    }
    call = basic(served)
    call["headers"] |= {"content-type": "application/geo+json", "content-crs": CRS84}
    created = served.http.post(items, content=json.dumps(feature, ensure_ascii=False).encode(), **call)
    assert created.status_code == 201, created.text
    # QGIS takes what follows the last /items/ of Location for the id, then reads it
    fid = created.headers["location"].rpartition("/items/")[2]
    assert fid.isdigit()
    read = get(served, f"{items}/{fid}", GEOJSON_ACCEPT).json()
    assert str(read["id"]) == fid
    assert read["geometry"] == feature["geometry"]
    assert read["properties"] == {"source_id": None} | feature["properties"]
    call["headers"]["content-type"] = "application/merge-patch+json"
    for change in (
        {"properties": {"组": "乙", "n": None}},
        {"geometry": {"type": "Point", "coordinates": [24.9501, 60.1701]}},
    ):
        done = served.http.patch(f"{items}/{fid}", content=json.dumps(change), **call)
        assert done.status_code in (200, 204), done.text
        assert "if-match" not in done.request.headers
        if "properties" in change:
            read["properties"] |= change["properties"]
        else:
            read["geometry"] = change["geometry"]
        after = get(served, f"{items}/{fid}", GEOJSON_ACCEPT).json()
        assert (after["properties"], after["geometry"]) == (read["properties"], read["geometry"])
    gone = served.http.delete(f"{items}/{fid}", **basic(served))
    assert gone.status_code in (200, 204), gone.text
    assert served.http.get(f"{items}/{fid}").status_code == 404
    assert get(served, f"{items}?limit=1000", GEOJSON_ACCEPT).json()["numberMatched"] == 0


def test_the_ids_of_several_new_features_are_their_own(served):
    items = f"/ogc/collections/{EMPTY}/items"
    call = basic(served)
    call["headers"] |= {"content-type": "application/geo+json"}
    made = []
    for n in range(3):
        place = {"type": "Point", "coordinates": [24.9 + n / 100, 60.1]}
        feature = {"type": "Feature", "geometry": place, "properties": {"n": n}}
        created = served.http.post(items, content=json.dumps(feature), **call)
        assert created.status_code == 201, created.text
        made.append(created.headers["location"].rpartition("/items/")[2])
    assert len(set(made)) == 3
    for n, fid in enumerate(made):
        assert get(served, f"{items}/{fid}", GEOJSON_ACCEPT).json()["properties"]["n"] == n
        assert served.http.delete(f"{items}/{fid}", **basic(served)).status_code == 204


def test_an_attribute_and_a_geometry_change_as_qgis_sends_them(served):
    path = "/ogc/collections/roads/items/7"
    before = get(served, path, GEOJSON_ACCEPT).json()
    call = basic(served)
    call["headers"] |= {"content-type": "application/merge-patch+json", "content-crs": CRS84}
    change = {"properties": {"name": "Uusi nimi"}}
    done = served.http.patch(path, content=json.dumps(change), **call)
    assert done.status_code in (200, 204)
    geometry = json.loads(json.dumps(before["geometry"]))
    line = geometry["coordinates"] if geometry["type"] == "LineString" else geometry["coordinates"][0]
    line[0][0] += 0.0001
    done = served.http.patch(path, content=json.dumps({"geometry": geometry}), **call)
    assert done.status_code in (200, 204), done.text
    after = get(served, path, GEOJSON_ACCEPT).json()
    assert after["properties"] == before["properties"] | {"name": "Uusi nimi"}
    assert after["geometry"] == geometry


def test_a_geometry_in_the_axis_order_of_its_crs(served):
    path = f"/ogc/collections/{MANY}/items"
    first = get(served, f"{path}?limit=1", GEOJSON_ACCEPT).json()["features"][0]
    call = basic(served)
    call["headers"] |= {"content-type": "application/merge-patch+json", "content-crs": EPSG_4326}
    place = {"geometry": {"type": "Point", "coordinates": [60.2, 24.8]}}
    done = served.http.patch(f"{path}/{first['id']}", content=json.dumps(place), **call)
    assert done.status_code in (200, 204), done.text
    after = get(served, f"{path}/{first['id']}", GEOJSON_ACCEPT).json()
    assert after["geometry"]["coordinates"] == [24.8, 60.2]
