"""QGIS's own sequence of requests, replayed with its headers (read in its provider's source)."""

import json
from urllib.parse import parse_qsl, urlsplit

import pytest

OPENAPI_ACCEPT = (
    "application/vnd.oai.openapi+json;version=3.0, application/openapi+json;version=3.0, application/json"
)
GEOJSON_ACCEPT = "application/geo+json, application/json"
SCHEMA_REL = "http://www.opengis.net/def/rel/ogc/1.0/schema"


def get(server, url, accept):
    answer = server.http.get(url, headers={"accept": accept, "user-agent": "Mozilla/5.0 QGIS/34000"})
    assert answer.status_code == 200, answer.text[:300]
    return answer


@pytest.fixture(scope="module")
def api(server):
    landing = get(server, "/ogc", "application/json").json()
    (service,) = [one for one in landing["links"] if one["rel"] in ("service-desc", "service")]
    return get(server, service["href"], OPENAPI_ACCEPT).json()


def test_reading_a_layer(server, api):
    # the page size: 1000, or the default where that is more, never beyond the maximum
    schema = api["components"]["parameters"]["limit"]["schema"]
    page_size = min(max(1000, schema["default"]), schema["maximum"])
    assert page_size == 1000
    conformance = get(server, "/ogc/conformance", "application/json").json()["conformsTo"]
    assert "http://www.opengis.net/spec/ogcapi-features-5/1.0/conf/schemas" in conformance
    for collection in get(server, "/ogc/collections", "application/json").json()["collections"]:
        described = get(server, f"/ogc/collections/{collection['id']}", "application/json").json()
        (link,) = [one for one in described["links"] if one["rel"] == SCHEMA_REL]
        assert link["type"] == "application/schema+json"
        fields = get(server, link["href"], "application/schema+json").json()["properties"]
        (items,) = [
            one
            for one in described["links"]
            if one["rel"] == "items" and one["type"] == "application/geo+json"
        ]
        first = get(server, f"{items['href']}?limit=10", GEOJSON_ACCEPT).json()
        assert isinstance(first["numberMatched"], int)
        assert set(first["features"][0]["properties"]) <= set(fields)
        url, seen = f"{items['href']}?limit={page_size}", 0
        while url:
            page = get(server, url, GEOJSON_ACCEPT).json()
            seen += len(page["features"])
            following = [
                one for one in page["links"] if one["rel"] == "next" and one["type"] == "application/geo+json"
            ]
            url = following[0]["href"] if following else None
        assert seen == first["numberMatched"]


def test_a_filter_goes_to_the_server_by_the_literal_path(server, api):
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
    page = get(server, f"{base}/collections/pipelines/items?limit=1000&medium=water", GEOJSON_ACCEPT).json()
    assert {one["properties"]["medium"] for one in page["features"]} == {"water"}


def test_half_open_times_in_the_form_that_qgis_sends(server):
    for time in ("0000-01-01T00:00:00Z/2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z/9999-12-31T00:00:00Z"):
        page = get(server, f"/ogc/collections/roads/items?limit=1000&datetime={time}", GEOJSON_ACCEPT).json()
        assert page["numberMatched"] == 2577


def test_a_box_and_a_crs_with_the_request(server):
    crs = "http://www.opengis.net/def/crs/EPSG/0/4326"
    box = "60.165,24.935,60.175,24.955"
    url = f"/ogc/collections/buildings/items?limit=1000&bbox={box}&bbox-crs={crs}&crs={crs}"
    answer = get(server, url, GEOJSON_ACCEPT)
    assert answer.headers["content-crs"] == f"<{crs}>"
    page = answer.json()
    assert page["numberMatched"] > 50
    following = [one for one in page["links"] if one["rel"] == "next"]
    for one in following:
        assert dict(parse_qsl(urlsplit(one["href"]).query))["crs"] == crs


def test_editing_is_offered_to_a_key_and_creating_to_nobody(server):
    items = server.http.options("/ogc/collections/roads/items", auth=("qgis", server.key))
    assert "POST" not in items.headers["allow"]
    first = get(server, "/ogc/collections/roads/items?limit=1", GEOJSON_ACCEPT).json()["features"][0]["id"]
    one = server.http.options(f"/ogc/collections/roads/items/{first}", auth=("qgis", server.key))
    assert {"PUT", "PATCH"} <= set(one.headers["allow"].split(", "))
    assert "DELETE" not in one.headers["allow"]


def test_an_attribute_and_a_geometry_change_as_qgis_sends_them(server):
    path = "/ogc/collections/roads/items/7"
    before = get(server, path, GEOJSON_ACCEPT).json()
    headers = {
        "content-type": "application/merge-patch+json",
        "content-crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
    }
    change = {"properties": {"name": "Uusi nimi"}}
    done = server.http.patch(path, content=json.dumps(change), headers=headers, auth=("qgis", server.key))
    assert done.status_code in (200, 204)
    geometry = json.loads(json.dumps(before["geometry"]))
    line = geometry["coordinates"] if geometry["type"] == "LineString" else geometry["coordinates"][0]
    line[0][0] += 0.0001
    done = server.http.patch(
        path, content=json.dumps({"geometry": geometry}), headers=headers, auth=("qgis", server.key)
    )
    assert done.status_code in (200, 204), done.text
    after = get(server, path, GEOJSON_ACCEPT).json()
    assert after["properties"] == before["properties"] | {"name": "Uusi nimi"}
    assert after["geometry"] == geometry
