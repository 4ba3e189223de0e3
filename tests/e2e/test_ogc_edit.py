"""POST, PUT, PATCH, DELETE, If-Match, OPTIONS and what must be renewed after an edit."""

import json

import pytest

from tests.e2e import both
from tests.e2e.edits import GEOJSON, MERGE, item, patch, post, put
from tests.support import until

server = both.server

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
EPSG_4326 = "http://www.opengis.net/def/crs/EPSG/0/4326"


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
    for stale in (etag, f"W/{etag}", '"other-1"', '"xyz"', '"0"', etag.replace('"', "").split("-")[1]):
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
        ({"geometry": {"type": "Polygon"}}, "geometry"),
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
    unsaid = server.http.patch(path, content=b"{}", headers=server.auth)
    assert unsaid.status_code == 400
    assert "Content-Type" in unsaid.json()["detail"]
    feature = {"type": "Feature", "geometry": POINT, "properties": {}}
    assert put(server, path, feature, **{"content-type": MERGE}).status_code == 415
    missing = put(server, path, {"type": "Feature", "properties": {}})
    assert missing.status_code == 400
    assert "geometry" in missing.json()["detail"]


def test_writes_to_what_is_not_there(server):
    assert patch(server, item("street_assets", 99_999_999), {"properties": {"name": "x"}}).status_code == 404
    assert patch(server, item("nothing", 1), {"properties": {"name": "x"}}).status_code == 404
    for if_match in ('"xyz"', '"0"', '"other-3", "more-4"'):
        headers = {"if-match": if_match}
        gone = patch(server, item("street_assets", 99_999_999), {"properties": {"name": "x"}}, **headers)
        assert gone.status_code == 404, if_match
    feature = {"type": "Feature", "geometry": POINT, "properties": {}}
    assert put(server, item("street_assets", 99_999_999), feature).status_code == 404
    assert post(server, "nothing", feature).status_code == 404
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


def test_options_tell_what_this_caller_may_do(server, fids, narrow_key):
    reading = "GET, HEAD, OPTIONS"
    items_path = "/ogc/collections/street_assets/items"
    for path, writing in (
        (items_path, "POST"),
        (item("street_assets", fids[0]), "PUT, PATCH, DELETE"),
        (item("street_assets", "unknown_id"), "PUT, PATCH, DELETE"),
    ):
        nobody = server.http.options(path)
        assert (nobody.status_code, nobody.content) == (200, b"")
        assert nobody.headers["allow"] == reading
        for headers in ({"authorization": "Bearer wrong"}, {"x-api-key": narrow_key}):
            refused = server.http.options(path, headers=headers)
            assert refused.headers["allow"] == reading
            assert "accept-patch" not in refused.headers
        for headers, auth in (
            (server.auth, None),
            ({"x-api-key": server.key}, None),
            ({}, ("qgis", server.key)),
        ):
            mine = server.http.options(path, headers=headers, auth=auth)
            assert mine.headers["allow"] == f"{reading}, {writing}"
            assert mine.headers.get("accept-post") == (GEOJSON if path == items_path else None)
            assert mine.headers.get("accept-patch") == (None if path == items_path else MERGE)
    assert server.http.options(item("nothing", 1)).status_code == 404
    assert server.http.options("/ogc/collections/nothing/items").status_code == 404


@pytest.fixture
def narrow_key(server):
    """A key that may observe and not edit."""
    from twin.access.keys import Keys

    keys = Keys(server.folder)
    yield keys.add("narrow", ["observe"])
    keys.remove("narrow")


def test_a_key_that_may_not_edit_is_403(server, fids, narrow_key):
    headers = {"authorization": f"Bearer {narrow_key}"}
    path = item("street_assets", fids[0])
    assert patch(server, path, {"properties": {"name": "x"}}, **headers).status_code == 403
    assert server.http.delete(path, headers=headers).status_code == 403
    assert post(server, "street_assets", NEW, **headers).status_code == 403
    assert server.http.get(path).status_code == 200


NEW = {
    "type": "Feature",
    "geometry": {"type": "Point", "coordinates": [24.9401, 60.1702]},
    "properties": {"name": "Uusi"},
}


def test_a_new_feature_is_created_found_and_deleted(server):
    listing = "/ogc/collections/street_assets/items"
    before = server.http.get(listing)
    done = post(server, "street_assets", NEW)
    assert done.status_code == 201, done.text
    assert done.content == b""
    location = done.headers["location"]
    assert location.startswith(f"{server.url}{listing}/")
    assert "?" not in location
    assert server.http.get(listing, headers={"if-none-match": before.headers["etag"]}).status_code == 200
    made = server.http.get(location)
    assert made.headers["etag"] == done.headers["etag"]
    feature = made.json()
    assert feature["geometry"] == NEW["geometry"]
    assert feature["properties"]["name"] == "Uusi"
    assert str(feature["id"]) == location.rpartition("/")[2]
    box = "24.9400999,60.1701999,24.9401001,60.1702001"
    near = server.http.get(listing, params={"bbox": box}).json()["features"]
    assert feature["id"] in [one["id"] for one in near]
    assert server.http.get(listing).json()["numberMatched"] == before.json()["numberMatched"] + 1
    stale = server.http.delete(location, headers={**server.auth, "if-match": before.headers["etag"]})
    assert stale.status_code == 412
    gone = server.http.delete(location, headers={**server.auth, "if-match": made.headers["etag"]})
    assert (gone.status_code, gone.content) == (204, b"")
    assert server.http.get(location).status_code == 404
    again = server.http.get(location, headers={"if-none-match": made.headers["etag"]})
    assert again.status_code == 404
    assert server.http.delete(location, headers=server.auth).status_code == 404
    assert server.http.get(listing).json()["numberMatched"] == before.json()["numberMatched"]


def test_an_id_is_given_by_the_server_and_never_twice(server):
    first = post(server, "street_assets", {**NEW, "id": 1})
    assert first.status_code == 201
    taken = int(first.headers["location"].rpartition("/")[2])
    assert taken != 1
    assert server.http.delete(first.headers["location"], headers=server.auth).status_code == 204
    second = post(server, "street_assets", NEW)
    assert int(second.headers["location"].rpartition("/")[2]) > taken


@pytest.mark.parametrize("form", ["<{}>", "{}"])
def test_a_new_feature_in_another_crs(server, form):
    lon, lat = NEW["geometry"]["coordinates"]
    turned = {**NEW, "geometry": {"type": "Point", "coordinates": [lat, lon]}}
    done = post(server, "street_assets", turned, **{"content-crs": form.format(EPSG_4326)})
    assert done.status_code == 201, done.text
    made = server.http.get(done.headers["location"]).json()
    assert made["geometry"]["coordinates"] == pytest.approx([lon, lat], abs=1e-9)
    refused = post(
        server, "street_assets", NEW, **{"content-crs": "<http://www.opengis.net/def/crs/EPSG/0/28992>"}
    )
    assert refused.status_code == 400
    assert "Content-Crs" in refused.json()["detail"]


def test_every_fault_of_a_new_feature_is_named(server):
    before = server.http.get("/ogc/collections/pipelines/items?limit=1").json()["numberMatched"]
    faulty = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [500, 0]},
        "properties": {"no_such": 1, "medium": "chocolate", "diameter_mm": "wide"},
    }
    refused = post(server, "pipelines", faulty)
    assert refused.status_code == 400, refused.text
    for name in ("geometry", "no_such", "medium", "diameter_mm"):
        assert name in refused.json()["detail"]
    after = server.http.get("/ogc/collections/pipelines/items?limit=1").json()["numberMatched"]
    assert after == before


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ([], "object"),
        ({"type": "FeatureCollection", "features": []}, "type"),
        ({"type": "Feature", "properties": {}}, "geometry"),
        ({"type": "Feature", "geometry": None}, "properties"),
        ({"geometry": None, "properties": {}}, "type"),
        ({**NEW, "properties": {"name": "\ud800"}}, "JSON"),
    ],
)
def test_a_body_that_is_no_feature_is_400(server, body, named):
    refused = post(server, "street_assets", body)
    assert refused.status_code == 400, refused.text
    assert named in refused.json()["detail"]


def test_a_source_id_is_one_feature_s(server):
    taken = server.http.get("/ogc/collections/street_assets/items?limit=1").json()["features"][0]
    source_id = taken["properties"]["source_id"]
    refused = post(server, "street_assets", {**NEW, "properties": {"source_id": source_id}})
    assert refused.status_code == 409, refused.text
    assert refused.json()["code"] == "AlreadyExists"


def test_a_geometry_outside_its_crs_is_400(server, fids):
    for place in ([1e300, 1e300], [1e9, 1e9]):
        change = {"geometry": {"type": "Point", "coordinates": place}}
        crs = "http://www.opengis.net/def/crs/EPSG/0/3857"
        refused = patch(server, item("street_assets", fids[0]), change, **{"content-crs": crs})
        assert refused.status_code == 400, (place, refused.text)
        assert "geometry" in refused.json()["detail"]


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
