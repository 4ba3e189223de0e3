"""Bad input on the real process: 4xx, the parameter named, one error shape, nothing internal told."""

import pytest

from tests.e2e import both

server = both.server

ITEMS = "/ogc/collections/buildings/items"
MEMBERS = {"type", "title", "status", "detail", "code", "description"}


def refused(answer, status, *named):
    assert answer.status_code == status, (answer.status_code, answer.text[:300])
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["access-control-allow-origin"] == "*"
    told = answer.json()
    assert set(told) == MEMBERS
    assert told["status"] == status
    assert told["detail"] == told["description"]
    for name in named:
        assert name in told["detail"], told["detail"]
    for internal in ("Traceback", ".py", "/tmp", "/dev/shm", "sqlite", "SELECT", "/usr", "city.gpkg"):
        assert internal not in answer.text
    return told


@pytest.mark.parametrize(
    "path",
    [
        "/ogc/nothing",
        "/ogc/collections/nothing",
        "/ogc/collections/nothing/items",
        "/ogc/collections/nothing/items/1",
        "/ogc/collections/nothing/schema",
        "/ogc/collections/nothing/queryables",
        "/ogc/collections/nothing/tiles",
        "/ogc/collections/nothing/tiles/WebMercatorQuad/0/0/0",
        "/ogc/collections/buildings/nothing",
        "/ogc/collections/buildings/tiles/Nothing",
        "/ogc/collections/buildings/items/999999999",
        "/ogc/collections/buildings/items/0",
        "/ogc/collections/buildings/items/-1",
        "/ogc/collections/buildings/items/1.0",
        "/ogc/collections/buildings/items/01",
        "/ogc/collections/buildings/items/" + "9" * 40,
        "/ogc/collections/buildings/items/way%2F1",
        "/ogc/collections/buildings/items/%00",
        "/ogc/collections/buildings%27/items",
        "/ogc/collections/..%2f..%2fetc/items",
        "/ogc/tileMatrixSets/Nothing",
    ],
)
def test_what_is_not_there_is_404(server, path):
    refused(server.http.get(path), 404)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nosuchparam", "1"),
        ("filter", "nosuch = 1"),
        ("filter", "height_m >"),
        ("filter", ""),
        ("filter", "height_m = 'high'"),
        ("filter-lang", "cql-text"),
        # digits of other scripts
        ("limit", "\u0661"),
        ("bbox", "\uff12\uff14,60,25,61"),
        ("height_m", "\uff11"),
        ("crs", "EPSG:\uff13857"),
        ("sortby", "-nosuch"),
        ("sortby", "height_m,-height_m"),
        ("sortby", ""),
        ("properties", "nosuch"),
        ("properties", "name,"),
        ("q", ""),
        ("q", "a" * 101),
        ("profile", "other"),
        ("profile", ""),
        ("height_m", "high"),
        ("levels", "many"),
        ("has_parts", "true"),
        ("bbox", "nan,nan,nan,nan"),
        ("bbox", "nan"),
        ("bbox", "inf,0,1,1"),
        ("bbox", "-inf,-inf,inf,inf"),
        ("bbox", "a,b,c,d"),
        ("bbox", "1,2"),
        ("bbox", "1,2,3"),
        ("bbox", "1,2,3,4,5"),
        ("bbox", ""),
        ("bbox", "4.9,52.4,4.8,52.3"),
        ("bbox", "1e999,0,1,1"),
        ("limit", "0"),
        ("limit", "-1"),
        ("limit", "unlimited"),
        ("limit", ""),
        ("limit", "1.5"),
        ("limit", "٣"),
        ("limit", "1e3"),
        ("offset", "-1"),
        ("offset", "1" + "0" * 23),
        ("offset", "100001"),
        ("offset", "x"),
        ("after", "x"),
        ("after", "-1"),
        ("after", "9" * 40),
        ("datetime", "foo"),
        ("datetime", ""),
        ("datetime", "2026-13-01T00:00:00Z"),
        ("datetime", "2026-02-01T00:00:00Z/2026-01-01T00:00:00Z"),
        ("datetime", "2026-01-01T00:00:00Z/2026-01-02T00:00:00Z/2026-01-03T00:00:00Z"),
        ("crs", "http://www.opengis.net/def/crs/EPSG/0/28992"),
        ("crs", "nonsense"),
        ("crs", ""),
        ("bbox-crs", "nonsense"),
        ("filter-crs", "nonsense"),
        ("f", "xml"),
        ("f", "jsonld"),
        ("f", ""),
    ],
)
def test_a_wrong_parameter_is_named(server, name, value):
    params = {name: value}
    if name == "bbox-crs":
        params["bbox"] = "24,60,25,61"
    if name == "filter-crs":
        params["filter"] = "S_INTERSECTS(geometry, POINT(24 60))"
    told = refused(server.http.get(ITEMS, params=params), 400, name)
    assert told["code"] == "InvalidParameterValue"
    assert len(told["detail"]) < 900


def test_a_parameter_given_twice_is_named(server):
    for name in ("limit", "bbox", "height_source", "f"):
        refused(server.http.get(f"{ITEMS}?{name}=1&{name}=1"), 400, name)


@pytest.mark.parametrize(
    "path",
    [
        "/ogc",
        "/ogc/conformance",
        "/ogc/api",
        "/ogc/collections",
        "/ogc/collections/buildings",
        "/ogc/collections/buildings/schema",
        "/ogc/collections/buildings/queryables",
        "/ogc/collections/buildings/items/1",
        "/ogc/collections/buildings/tiles",
        "/ogc/tileMatrixSets",
    ],
)
def test_an_unknown_parameter_is_refused_everywhere(server, path):
    refused(server.http.get(path, params={"nosuchparam": "1"}), 400, "nosuchparam")
    refused(server.http.get(path, params={"f": "xml"}), 400, "f=xml")


def test_a_query_string_that_is_not_utf_8_or_too_long(server):
    refused(server.http.get(f"{ITEMS}?name=%ff%fe"), 400, "query string")
    refused(server.http.get(f"{ITEMS}?name=" + "a" * 20_000), 400, "query string")


def test_a_text_filter_with_quotes_is_a_value_and_nothing_else(server):
    for value in ("x' OR 1=1 --", '"; DROP TABLE buildings; --', "%", "_", "\\", "名"):
        answer = server.http.get(ITEMS, params={"name": value})
        assert answer.status_code == 200
        assert answer.json()["numberMatched"] == 0


def test_west_beyond_east_alone_is_the_antimeridian(server):
    assert server.http.get(ITEMS, params={"bbox": "177,65,-177,70"}).status_code == 200


@pytest.mark.parametrize("accept", ["image/png", "application/xml", "model/gltf-binary;q=1", "*/*;q=0"])
def test_an_impossible_accept_is_406(server, accept):
    told = refused(server.http.get(ITEMS, headers={"accept": accept}), 406, "Accept")
    assert told["code"] == "NotAcceptable"


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "application/*",
        "application/json",
        "application/geo+json",
        "application/geo+json;q=0.5, text/html;q=0.4",
        "",
    ],
)
def test_a_json_like_accept_gets_geojson(server, accept):
    answer = server.http.get(ITEMS, headers={"accept": accept})
    assert answer.headers["content-type"] == "application/geo+json"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/ogc", "GET, HEAD, OPTIONS"),
        ("PUT", ITEMS, "GET, HEAD, OPTIONS, POST"),
        ("DELETE", ITEMS, "GET, HEAD, OPTIONS, POST"),
        ("POST", ITEMS + "/1", "GET, HEAD, OPTIONS, PUT, PATCH, DELETE"),
        ("POST", "/ogc/collections/buildings/download", "GET, HEAD, OPTIONS"),
        ("DELETE", "/ogc/collections/buildings", "GET, HEAD, OPTIONS"),
    ],
)
def test_a_method_that_is_not_there_is_405_with_allow(server, method, path, allow):
    answer = server.http.request(method, path, headers=server.auth)
    refused(answer, 405, method)
    assert answer.headers["allow"] == allow


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_write_needs_a_known_key(server, method):
    media = "application/merge-patch+json" if method == "PATCH" else "application/geo+json"
    body = {"type": "Feature", "geometry": None, "properties": {"name": "x"}}
    path = ITEMS if method == "POST" else ITEMS + "/2"
    before = server.http.get(ITEMS).json()["numberMatched"]

    def write(**headers):
        return server.http.request(method, path, json=body, headers={"content-type": media, **headers})

    told = refused(write(), 401)
    assert told["code"] == "Unauthorized"
    assert all(way in told["detail"] for way in ("Bearer", "Basic", "X-Api-Key"))
    assert "Bearer" in write().headers["www-authenticate"]
    refused(write(authorization="Bearer twk_wrong"), 401)
    refused(write(authorization="Basic !!!"), 401)
    refused(write(authorization="Digest x"), 401)
    refused(write(**{"x-api-key": "wrong"}), 401)
    refused(write(**server.auth, origin="https://evil.example"), 403)
    refused(write(**server.auth, host="evil.example"), 403)
    assert server.http.get(ITEMS + "/2").json()["properties"]["name"] != "x"
    assert server.http.get(ITEMS).json()["numberMatched"] == before


def test_a_foreign_host_is_refused_for_reading_too(server):
    refused(server.http.get("/ogc", headers={"host": "evil.example"}), 403, "Host")
