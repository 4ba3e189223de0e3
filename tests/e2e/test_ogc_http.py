"""What HTTP itself asks (RFC 9110, 9112) and merge patches (RFC 7396), of the real process on each store."""

import gzip
import json
import socket
from urllib.parse import urlsplit

import pytest
from shapely.geometry import shape

from tests.e2e import both
from twin.transport import MAX_HEAD

server = both.server

LAYER = "/ogc/collections/street_assets"
ITEMS = f"{LAYER}/items"
GEOJSON = "application/geo+json"
MERGE = "application/merge-patch+json"
WEB_MERCATOR = "http://www.opengis.net/def/crs/EPSG/0/3857"


def raw(server, *lines):
    """The bytes that come back for a request of these lines, until the server closes."""
    place = urlsplit(server.url)
    with socket.create_connection((place.hostname, place.port), timeout=20) as one:
        one.sendall("\r\n".join([*lines, "", ""]).encode())
        found = b""
        while chunk := one.recv(65536):
            found += chunk
        return found


def write(server, method, path, body, media=MERGE, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    content = body if isinstance(body, bytes) else json.dumps(body)
    return server.http.request(
        method, path, content=content, headers={"content-type": media, **server.auth, **headers}
    )


@pytest.fixture
def made(server):
    """The address of a feature of one's own."""
    place = {"type": "Point", "coordinates": [24.95, 60.17]}
    feature = {"type": "Feature", "geometry": place, "properties": {"name": "made"}}
    answer = write(server, "POST", ITEMS, feature, GEOJSON)
    assert answer.status_code == 201, answer.text
    return urlsplit(answer.headers["location"]).path


@pytest.mark.parametrize(
    "path", [ITEMS, f"{ITEMS}/1", f"{ITEMS}?f=csv", "/ogc", LAYER, f"{LAYER}/schema", "/ogc/api"]
)
def test_a_304_has_what_the_200_has_for_caches(server, path):
    whole = server.http.get(path)
    same = server.http.get(path, headers={"if-none-match": whole.headers["etag"]})
    assert (whole.status_code, same.status_code, same.content) == (200, 304, b"")
    for name in ("etag", "vary", "cache-control"):
        assert same.headers[name] == whole.headers[name], name
    assert same.headers["date"]


@pytest.mark.parametrize(
    "path",
    [ITEMS, f"{ITEMS}/1", f"{ITEMS}?limit=x", f"{ITEMS}/0", "/ogc", f"{LAYER}/queryables", "/ogc/nothing"],
)
def test_head_has_the_headers_of_get(server, path):
    got, head = server.http.get(path), server.http.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    without = {name: value for name, value in got.headers.items() if name != "date"}
    assert without == {name: value for name, value in head.headers.items() if name != "date"}
    assert int(got.headers["content-length"]) == got.num_bytes_downloaded


def test_requests_in_one_go_are_answered_in_their_order(server):
    host = f"Host: {urlsplit(server.url).netloc}"
    lines = []
    for limit in (1, 2, 3):
        lines += [f"GET {ITEMS}?limit={limit} HTTP/1.1", host, "Accept-Encoding: identity"]
        lines += ["Connection: close"] if limit == 3 else [""]
    found = raw(server, *lines)
    assert found.count(b"HTTP/1.1 200 OK") == 3
    returned = [int(part.partition(b",")[0]) for part in found.split(b'"numberReturned":')[1:]]
    assert returned == [1, 2, 3]


def test_a_request_without_a_host_is_refused(server):
    answer = raw(server, "GET /ogc HTTP/1.1", "Connection: close")
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"Host" in answer
    assert raw(server, "GET /ogc HTTP/1.0").startswith(b"HTTP/1.1 200")


def test_a_request_with_two_hosts_is_refused(server):
    host = f"Host: {urlsplit(server.url).netloc}"
    answer = raw(server, "GET /ogc HTTP/1.1", host, host, "Connection: close")
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"more than once" in answer


def test_a_head_is_taken_up_to_its_limit(server):
    host = f"Host: {urlsplit(server.url).netloc}"
    one = f"GET /ogc HTTP/1.1\r\n{host}\r\nConnection: close\r\nX-Long: "
    assert raw(server, one + "x" * (MAX_HEAD - 200)).startswith(b"HTTP/1.1 200")
    for more in (MAX_HEAD, 2 * MAX_HEAD):
        head, _, body = raw(server, one + "x" * more).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 431")
        assert b"connection: close" in head
        assert b"content-type: application/problem+json" in head
        assert json.loads(body)["code"] == "HeadTooLarge"
    assert server.http.get("/ogc").status_code == 200


def test_a_compressed_body_is_refused_by_its_name(server):
    feature = {"type": "Feature", "geometry": None, "properties": {}}
    packed = gzip.compress(json.dumps(feature).encode())
    refused = write(server, "POST", ITEMS, packed, GEOJSON, content_encoding="gzip")
    assert refused.status_code == 415
    assert "Content-Encoding" in refused.json()["detail"]
    assert write(server, "POST", ITEMS, feature, GEOJSON, content_encoding="identity").status_code == 201


def test_a_write_is_not_done_where_if_none_match_names_the_feature(server, made):
    etag = server.http.get(made).headers["etag"]
    change = {"properties": {"name": "other"}}
    for given in ("*", etag, f'"x", W/{etag}'):
        refused = write(server, "PATCH", made, change, if_none_match=given)
        assert refused.status_code == 412, given
        assert "If-None-Match" in refused.json()["detail"]
    assert server.http.get(made).headers["etag"] == etag
    gone = server.http.request("DELETE", made, headers={**server.auth, "if-none-match": "*"})
    assert gone.status_code == 412
    assert write(server, "PATCH", made, change, if_none_match='"x"').status_code == 204
    assert write(server, "PATCH", f"{ITEMS}/0", change, if_none_match="*").status_code == 404


def test_a_list_of_tags_may_have_empty_places(server, made):
    for given in ("{},", ", {} ,,", '"x",, {}'):
        etag = server.http.get(made).headers["etag"]
        assert write(server, "PATCH", made, {}, if_match=given.format(etag)).status_code == 204, given
    assert write(server, "PATCH", made, {}, if_match=",").status_code == 400


def test_a_patch_merges_into_the_geometry(server, made):
    assert write(server, "PATCH", made, {"geometry": {"coordinates": [24.96, 60.18]}}).status_code == 204
    assert server.http.get(made).json()["geometry"] == {"type": "Point", "coordinates": [24.96, 60.18]}
    moved = server.http.get(made, params={"crs": WEB_MERCATOR}).json()["geometry"]["coordinates"]
    patched = {"geometry": {"coordinates": [moved[0] + 10, moved[1]]}}
    assert write(server, "PATCH", made, patched, content_crs=f"<{WEB_MERCATOR}>").status_code == 204
    east, north = server.http.get(made).json()["geometry"]["coordinates"]
    assert (east, north) == pytest.approx((24.96 + 10 / 111319.49079327357, 60.18), abs=2e-9)
    for wrong in ({"type": "LineString"}, {"coordinates": None}, {"type": None}, {"coordinates": [1]}):
        refused = write(server, "PATCH", made, {"geometry": wrong})
        assert refused.status_code == 400, wrong
        assert "geometry" in refused.json()["detail"]
    assert write(server, "PATCH", made, {"geometry": {}}).status_code == 204
    assert server.http.get(made).json()["geometry"]["coordinates"] == [east, north]
    assert write(server, "PATCH", made, {"geometry": None}).status_code == 204
    assert write(server, "PATCH", made, {"geometry": {"coordinates": [1, 2]}}).status_code == 400
    assert server.http.get(made).json()["geometry"] is None


def test_rings_follow_the_right_hand_rule(server):
    """RFC 7946, section 3.1.6: exterior rings are counterclockwise, holes clockwise, however they came."""
    area = "/ogc/collections/building_parts/items"
    fid = server.http.get(area, params={"limit": 1}).json()["features"][0]["id"]
    outer = [[24.94, 60.17, 1], [24.94, 60.18, 1], [24.95, 60.18, 1], [24.95, 60.17, 1], [24.94, 60.17, 1]]
    hole = [[24.942, 60.172, 1], [24.944, 60.172, 1], [24.944, 60.174, 1], [24.942, 60.172, 1]]
    clockwise = {"type": "Polygon", "coordinates": [outer, hole]}
    assert write(server, "PATCH", f"{area}/{fid}", {"geometry": clockwise}).status_code == 204
    found = shape(server.http.get(f"{area}/{fid}").json()["geometry"])
    (polygon,) = getattr(found, "geoms", [found])
    assert polygon.exterior.is_ccw
    assert not polygon.interiors[0].is_ccw
    assert polygon.normalize().equals_exact(shape(clockwise).normalize())
    assert polygon.has_z


def test_refusals_show_values_as_json_has_them(server):
    for body, told in (
        ({"type": "Feature", "geometry": {"type": None}, "properties": {}}, "type null"),
        (
            {"type": "Feature", "geometry": None, "properties": {"name": {"x": True}}},
            '{"x": true} is not text',
        ),
        ({"type": "Feature", "geometry": None, "properties": {"name": False}}, "false is not text"),
    ):
        refused = write(server, "POST", ITEMS, body, GEOJSON)
        assert refused.status_code == 400
        assert told in refused.json()["detail"]
    refused = write(server, "POST", f"{ITEMS}?x=1", {}, GEOJSON)
    assert "there are none" in refused.json()["detail"]
