"""PUT, PATCH, If-Match, OPTIONS and the 304s that must follow an edit."""

import json

import pytest

from layers.store import geopackage
from tests.support import until

GEOJSON = "application/geo+json"
MERGE = "application/merge-patch+json"
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
EPSG_4326 = "http://www.opengis.net/def/crs/EPSG/0/4326"


def item(layer, fid):
    return f"/ogc/collections/{layer}/items/{fid}"


def put(server, path, feature, **headers):
    headers = {"content-type": GEOJSON, **server.auth, **headers}
    return server.http.put(path, content=json.dumps(feature), headers=headers)


def patch(server, path, change, **headers):
    headers = {"content-type": MERGE, **server.auth, **headers}
    return server.http.patch(path, content=json.dumps(change), headers=headers)


@pytest.fixture
def fids(server):
    """Features that no other test of this module has taken: one edit a test."""
    page = server.http.get("/ogc/collections/street_assets/items", params={"limit": 500}).json()
    taken = getattr(server, "taken", 0)
    server.taken = taken + 4
    return [one["id"] for one in page["features"][taken : taken + 4]]


def test_patch_changes_what_it_names_and_nothing_else(server, fids):
    path = item("street_assets", fids[0])
    before = server.http.get(path)
    etag = before.headers["etag"]
    assert server.http.get(path, headers={"if-none-match": etag}).status_code == 304
    done = patch(server, path, {"properties": {"name": "Lamppu 7"}}, **{"if-match": etag})
    assert done.status_code == 204, done.text
    assert done.content == b""
    after = server.http.get(path, headers={"if-none-match": etag})
    assert after.status_code == 200
    assert after.headers["etag"] == done.headers["etag"] != etag
    assert after.json()["geometry"] == before.json()["geometry"]
    assert after.json()["properties"] == before.json()["properties"] | {"name": "Lamppu 7"}


def test_a_null_in_a_patch_clears_the_property(server, fids):
    path = item("street_assets", fids[0])
    assert patch(server, path, {"properties": {"name": "once"}}).status_code == 204
    assert patch(server, path, {"properties": {"name": None}}).status_code == 204
    assert server.http.get(path).json()["properties"]["name"] is None


def test_put_replaces_the_whole_feature(server, fids):
    path = item("street_assets", fids[0])
    feature = server.http.get(path).json()
    lon, lat = feature["geometry"]["coordinates"]
    moved = {
        "type": "Feature",
        "id": fids[0],
        "geometry": {"type": "Point", "coordinates": [lon + 0.0001, lat]},
        "properties": feature["properties"] | {"name": "moved"},
    }
    done = put(server, path, moved)
    assert done.status_code == 204, done.text
    after = server.http.get(path).json()
    assert after["geometry"]["coordinates"] == pytest.approx([lon + 0.0001, lat], abs=1e-9)
    assert after["properties"]["name"] == "moved"
    box = f"{lon + 0.00009},{lat - 0.00001},{lon + 0.00011},{lat + 0.00001}"
    page = server.http.get("/ogc/collections/street_assets/items", params={"bbox": box}).json()
    assert fids[0] in [one["id"] for one in page["features"]]


def test_what_was_read_can_be_put_back(server, fids):
    path = item("street_assets", fids[0])
    feature = server.http.get(path).json()
    assert put(server, path, feature).status_code == 204
    after = server.http.get(path).json()
    assert after["properties"] == feature["properties"]
    assert after["geometry"] == feature["geometry"]


def test_if_match_in_every_form_and_its_412(server, fids):
    path = item("street_assets", fids[0])
    etag = server.http.get(path).headers["etag"]
    for form in ("{etag}", "W/{etag}", "{revision}", '"other-1", {etag}', "*"):
        current = server.http.get(path).headers["etag"]
        form = form.format(etag=current, revision=current.strip('"').split("-")[1])
        done = patch(server, path, {"properties": {"name": form[:20]}}, **{"if-match": form})
        assert done.status_code == 204, (form, done.text)
    for stale in (etag, f"W/{etag}", '"other-1"', etag.replace('"', "").split("-")[1]):
        refused = patch(server, path, {"properties": {"name": "no"}}, **{"if-match": stale})
        assert refused.status_code == 412, stale
        assert refused.json()["code"] == "PreconditionFailed"
    assert patch(server, path, {"properties": {"name": "no"}}, **{"if-match": "rubbish!"}).status_code == 400
    assert server.http.get(path).json()["properties"]["name"] != "no"


def test_content_crs_with_and_without_angle_brackets(server, fids):
    for fid, form in zip(fids, (f"<{EPSG_4326}>", EPSG_4326, f"<{CRS84}>", CRS84), strict=True):
        path = item("street_assets", fid)
        lon, lat = server.http.get(path).json()["geometry"]["coordinates"]
        place = [lat, lon + 0.0002] if "4326" in form else [lon + 0.0002, lat]
        done = patch(
            server, path, {"geometry": {"type": "Point", "coordinates": place}}, **{"content-crs": form}
        )
        assert done.status_code == 204, done.text
        assert server.http.get(path).json()["geometry"]["coordinates"] == pytest.approx(
            [lon + 0.0002, lat], abs=1e-9
        )
    refused = patch(
        server,
        item("street_assets", fids[0]),
        {"geometry": {"type": "Point", "coordinates": [0, 0]}},
        **{"content-crs": "<http://www.opengis.net/def/crs/EPSG/0/28992>"},
    )
    assert refused.status_code == 400
    assert "Content-Crs" in refused.json()["detail"]


POINT = {"type": "Point", "coordinates": [24.94, 60.17]}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ([], "object"),
        ("text", "object"),
        ({"properties": {"no_such_property": 1}}, "no_such_property"),
        ({"properties": {"name": 5}}, "name"),
        ({"properties": []}, "properties"),
        ({"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}}, "geometry"),
        ({"geometry": {"type": "Point", "coordinates": [500, 0]}}, "geometry"),
        ({"geometry": {"type": "Point", "coordinates": ["a", 0]}}, "geometry"),
        ({"geometry": {"type": "Point"}}, "geometry"),
        ({"geometry": {"type": "Nonsense", "coordinates": []}}, "geometry"),
        ({"id": 99999, "properties": {}}, "id"),
        ({"type": "FeatureCollection"}, "type"),
    ],
)
def test_a_bad_patch_is_400_and_changes_nothing(server, fids, change, named):
    path = item("street_assets", fids[0])
    etag = server.http.get(path).headers["etag"]
    refused = patch(server, path, change)
    assert refused.status_code == 400, refused.text
    assert refused.json()["code"] == "InvalidBody"
    assert named in refused.json()["detail"]
    assert server.http.get(path).headers["etag"] == etag


def test_bodies_that_are_no_json_or_too_large_or_of_another_type(server, fids):
    path = item("street_assets", fids[0])
    headers = {"content-type": MERGE, **server.auth}
    assert server.http.patch(path, content=b"{", headers=headers).status_code == 400
    assert server.http.patch(path, content=b'{"properties":{"name":NaN}}', headers=headers).status_code == 400
    big = json.dumps({"properties": {"name": "x" * 1_100_000}})
    assert server.http.patch(path, content=big, headers=headers).status_code == 413
    for media in ("application/json", "text/plain", GEOJSON, ""):
        refused = patch(server, path, {"properties": {}}, **{"content-type": media})
        assert refused.status_code == 415
        assert MERGE in refused.json()["detail"]
    feature = {"type": "Feature", "geometry": POINT, "properties": {}}
    assert put(server, path, feature, **{"content-type": MERGE}).status_code == 415
    missing = put(server, path, {"type": "Feature", "properties": {}})
    assert missing.status_code == 400
    assert "geometry" in missing.json()["detail"]


def test_writes_to_what_is_not_there(server):
    assert patch(server, item("street_assets", 99_999_999), {"properties": {"name": "x"}}).status_code == 404
    assert patch(server, item("nothing", 1), {"properties": {"name": "x"}}).status_code == 404
    unknown = patch(server, item("street_assets", 1) + "?crs=x", {"properties": {}})
    assert unknown.status_code == 400


def test_keys_by_bearer_by_basic_and_by_header(server, fids):
    path = item("street_assets", fids[0])
    for number, headers in enumerate(
        ({"authorization": server.auth["authorization"]}, {"x-api-key": server.key})
    ):
        done = server.http.patch(
            path,
            content=json.dumps({"properties": {"name": f"by {number}"}}),
            headers={"content-type": MERGE, **headers},
        )
        assert done.status_code == 204
    done = server.http.patch(
        path,
        content=json.dumps({"properties": {"name": "basic"}}),
        headers={"content-type": MERGE},
        auth=("anyone", server.key),
    )
    assert done.status_code == 204
    assert server.http.get(path).json()["properties"]["name"] == "basic"


def test_options_tell_what_this_caller_may_do(server, fids):
    reading, editing = "GET, HEAD, OPTIONS", "GET, HEAD, OPTIONS, PUT, PATCH"
    for path in (item("street_assets", fids[0]), item("street_assets", "unknown_id")):
        assert server.http.options(path).headers["allow"] == reading
        assert (
            server.http.options(path, headers={"authorization": "Bearer wrong"}).headers["allow"] == reading
        )
        mine = server.http.options(path, headers=server.auth)
        assert mine.headers["allow"] == editing
        assert mine.headers["accept-patch"] == MERGE
    collection = server.http.options("/ogc/collections/street_assets/items", headers=server.auth)
    assert collection.headers["allow"] == reading
    assert server.http.options(item("nothing", 1)).status_code == 404


def test_a_preflight_lets_other_origins_read_only(server):
    answer = server.http.options(
        item("street_assets", 1),
        headers={"origin": "https://other.example", "access-control-request-method": "PATCH"},
    )
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "PATCH" not in answer.headers["access-control-allow-methods"]


def test_an_edit_renews_its_page_and_leaves_other_layers_alone(server, fids):
    pages = [f"/ogc/collections/{layer}/items?limit=10" for layer in ("street_assets", "roads")]
    etags = [server.http.get(page).headers["etag"] for page in pages]
    for page, etag in zip(pages, etags, strict=True):
        assert server.http.get(page, headers={"if-none-match": etag}).status_code == 304
    assert patch(server, item("street_assets", fids[0]), {"properties": {"name": "new"}}).status_code == 204
    answers = [
        server.http.get(page, headers={"if-none-match": etag}).status_code
        for page, etag in zip(pages, etags, strict=True)
    ]
    assert answers == [200, 304]
    untouched = item("street_assets", fids[1])
    etag = server.http.get(untouched).headers["etag"]
    assert patch(server, item("street_assets", fids[0]), {"properties": {"name": "newer"}}).status_code == 204
    assert server.http.get(untouched, headers={"if-none-match": etag}).status_code == 304


def test_if_none_match_lists_stars_and_weak_tags(server, fids):
    path = item("street_assets", fids[0])
    etag = server.http.get(path).headers["etag"]
    for given in (etag, f"W/{etag}", f'"a", {etag} , "b"', "*"):
        answer = server.http.get(path, headers={"if-none-match": given})
        assert answer.status_code == 304, given
        assert answer.headers["etag"] == etag
        assert answer.content == b""
    assert server.http.get(path, headers={"if-none-match": '"other-1"'}).status_code == 200


def test_strict_locking_wants_if_match(helsinki, serve):
    settings = helsinki / "city.yml"
    text = settings.read_text("utf-8")
    relaxed, strict = "street_assets: {visible: true}", "street_assets: {visible: true, locking: strict}"
    assert relaxed in text
    settings.write_text(text.replace(relaxed, strict), "utf-8")
    server = serve(helsinki)
    path = item("street_assets", 1)
    for headers in ({}, {"if-match": "*"}):
        refused = patch(server, path, {"properties": {"name": "x"}}, **headers)
        assert refused.status_code == 428, refused.text
        assert refused.json()["code"] == "PreconditionRequired"
        assert "If-Match" in refused.json()["detail"]
    etag = server.http.get(path).headers["etag"]
    assert patch(server, path, {"properties": {"name": "x"}}, **{"if-match": etag}).status_code == 204
    document = server.http.get("/ogc/api").json()
    layer_path = document["paths"]["/collections/street_assets/items/{featureId}"]
    (if_match,) = [one for one in layer_path["patch"]["parameters"] if one["name"] == "If-Match"]
    assert if_match["required"] is True


def test_304_holds_over_a_restart_and_never_over_an_edit_while_down(helsinki, serve):
    first = serve(helsinki)
    paths = [item("buildings", 1), item("buildings", 2), "/ogc/collections/roads/items?limit=3"]
    etags = {path: first.http.get(path).headers["etag"] for path in paths}
    first.stop()
    second = serve(helsinki)
    for path, etag in etags.items():
        assert second.http.get(path, headers={"if-none-match": etag}).status_code == 304, path
    done = patch(second, item("buildings", 1), {"properties": {"name": "before the stop"}})
    assert done.status_code == 204
    second.stop()
    # behind the server's back: another process would open the same file
    store = geopackage.open(helsinki / "city.gpkg")
    store.patch("roads", 3, {"properties": {"name": "while the server was down"}})
    store.close()
    third = serve(helsinki)
    for path in (paths[0], paths[2]):
        assert third.http.get(path, headers={"if-none-match": etags[path]}).status_code == 200, path
    assert third.http.get(paths[0]).headers["etag"] == done.headers["etag"]
    assert third.http.get(paths[1], headers={"if-none-match": etags[paths[1]]}).status_code == 304


def test_the_search_knows_an_edit_at_once(server, fids):
    path = item("street_assets", fids[0])
    assert patch(server, path, {"properties": {"name": "Quuxinkatu 消火栓"}}).status_code == 204

    def found(text):
        results = server.http.get("/search", params={"q": text}).json()["features"]
        return [one["properties"]["fid"] for one in results if one["properties"]["layer"] == "street_assets"]

    until(lambda: found("quuxin") == [fids[0]], 1.0, "the new name")
    assert found("消火") == [fids[0]]
    assert patch(server, path, {"properties": {"name": "Other"}}).status_code == 204
    until(lambda: found("quuxin") == [], 1.0, "the old name gone")
