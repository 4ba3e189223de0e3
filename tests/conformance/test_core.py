"""OGC API Features Part 1 (OGC 17-069r4), Annex A.2: conformance class Core, one test an abstract test.

Each docstring begins with the identifier of its abstract test. A test goes over every collection.
"""

from __future__ import annotations

import openapi_spec_validator
import pytest

from tests.conformance.outside import (
    CRS84,
    CRS84H,
    FEATURES,
    GEOJSON,
    INSTANT,
    JSON,
    OPENAPI,
    encodings,
    extent,
    geometry,
    link,
    links,
    media,
    told,
    untyped,
)

# -- HTTP, the landing page, the API document, the declaration of conformance --------------------------


def test_core_http(api):
    """/conf/core/http: the API speaks HTTP/1.1."""
    answer = api.ask(api.root, JSON)
    assert answer.http_version == "HTTP/1.1"
    head = api.ask(api.root, JSON, method="HEAD")
    assert (head.status_code, head.content) == (answer.status_code, b"")
    assert head.headers["content-type"] == answer.headers["content-type"]
    assert api.ask(f"{api.root}/no-such-thing", JSON).status_code == 404
    refused = api.ask(api.root, JSON, method="DELETE")
    assert refused.status_code == 405
    assert "GET" in refused.headers["allow"]


def test_every_answer_is_dated(api):
    """RFC 9110, 6.6.1: a server with a clock sends Date with every 2xx, 3xx and 4xx."""
    if not api.ours:
        pytest.skip("the controls are served without it")
    for path in ("", "/conformance", "/nothing", "/collections/nothing/items"):
        assert "date" in api.ask(api.root + path, JSON).headers


def test_core_root_op(api):
    """/conf/core/root-op: the landing page is there."""
    assert api.ask(api.root, JSON).status_code == 200


def test_core_root_success(api):
    """/conf/core/root-success: the landing page links the API document, the classes and the data."""
    assert links(api.landing, "service-desc") or links(api.landing, "service-doc")
    assert links(api.landing, "conformance")
    assert links(api.landing, "data")


def test_core_api_definition_op(api):
    """/conf/core/api-definition-op: every link to the API document leads to one."""
    found = links(api.landing, "service-desc") + links(api.landing, "service-doc")
    assert found
    for one in found:
        answer = api.ask(one["href"], one["type"])
        assert answer.status_code == 200, told(answer)


def test_core_api_definition_success(api):
    """/conf/core/api-definition-success: the document is of the type its link says, and is valid."""
    for one in links(api.landing, "service-desc"):
        answer = api.ask(one["href"], one["type"])
        assert answer.headers["content-type"].replace(" ", "") == one["type"]
        if one["type"] == OPENAPI:
            openapi_spec_validator.validate(answer.json())
    for one in links(api.landing, "service-doc"):
        assert media(api.ask(one["href"], one["type"])) == one["type"].partition(";")[0]


def test_core_conformance_op(api):
    """/conf/core/conformance-op: the declaration of conformance is there."""
    assert api.ask(link(api.landing, "conformance")["href"], JSON).status_code == 200
    assert api.ask(f"{api.root}/conformance", JSON).status_code == 200


def test_core_conformance_success(api):
    """/conf/core/conformance-success: it lists the classes, Core among them."""
    assert all(isinstance(one, str) and one.startswith("http") for one in api.classes)
    assert f"{FEATURES}/core" in api.classes
    assert len(set(api.classes)) == len(api.classes)


# -- the collections ------------------------------------------------------------------------------------


def test_core_fc_md_op(api):
    """/conf/core/fc-md-op: the list of collections is there, by its link and at its path."""
    assert api.ask(link(api.landing, "data")["href"], JSON).status_code == 200
    assert api.ask(f"{api.root}/collections", JSON).status_code == 200


def test_core_fc_md_success(api):
    """/conf/core/fc-md-success: it has links and collections."""
    assert isinstance(api.listing["links"], list)
    assert isinstance(api.listing["collections"], list)
    assert api.collections
    assert all(isinstance(one["id"], str) and one["links"] for one in api.collections)


def test_core_fc_md_links(api):
    """/conf/core/fc-md-links: it links itself and its other representations, each with rel and type."""
    assert links(api.listing, "self", JSON)
    found = {one["type"] for one in links(api.listing, "alternate")}
    assert encodings(api, features=False) - {JSON} <= found
    assert untyped(api.listing) == []


def test_core_fc_md_items(api):
    """/conf/core/fc-md-items: each collection is listed once and can be asked for."""
    ids = [one["id"] for one in api.collections]
    assert len(set(ids)) == len(ids)
    for one in api.collections:
        answer = api.ask(f"{api.root}/collections/{one['id']}", JSON)
        assert answer.status_code == 200, told(answer)


def test_core_fc_md_items_links(api):
    """/conf/core/fc-md-items-links: each collection links its features in every declared encoding."""
    for collection in api.collections:
        found = {one["type"] for one in links(collection, "items")}
        assert encodings(api, features=True) <= found, collection["id"]
        assert untyped(collection) == []


def test_core_fc_md_extent(api):
    """/conf/core/fc-md-extent: the extent holds every geometry and every time."""
    for collection in api.collections:
        said = collection.get("extent", {})
        if "spatial" in said:
            assert said["spatial"].get("crs", CRS84) in (CRS84, CRS84H)
            west, south, *_, east, north = said["spatial"]["bbox"][0]
            assert -180 <= west <= 180, said
            assert -180 <= east <= 180, said
            assert -90 <= south <= north <= 90, said
            truly = extent(api.features(collection))
            room = 1e-9  # published coordinates have nine decimals
            assert west <= truly[0] + room, collection["id"]
            assert south <= truly[1] + room, collection["id"]
            assert truly[2] - room <= east, collection["id"]
            assert truly[3] - room <= north, collection["id"]
        if "temporal" in said:
            start, end = said["temporal"]["interval"][0]
            for one in (start, end):
                assert one is None or INSTANT.fullmatch(one), said
            assert start is None or end is None or start <= end


def test_core_fc_md_extent_multi(api):
    """/conf/core/fc-md-extent-multi: where there are several boxes the first is their union."""
    for collection in api.collections:
        found = collection.get("extent", {}).get("spatial", {}).get("bbox", [])
        if not found:
            continue  # of live data: it would be another with each message
        whole, parts = found[0], found[1:]
        middle = len(whole) // 2
        for part in parts:
            assert all(whole[i] <= part[i] for i in range(middle))
            assert all(part[i] <= whole[i] for i in range(middle, 2 * middle))


def test_core_sfc_md_op(api):
    """/conf/core/sfc-md-op: each collection can be asked for by its own link."""
    for collection in api.collections:
        href = (links(collection, "self") or links(collection, "collection"))[0]["href"]
        assert api.ask(href, JSON).status_code == 200


def test_core_sfc_md_success(api):
    """/conf/core/sfc-md-success: alone it says what the list says of it."""
    for listed in api.collections:
        alone = api.get(f"{api.root}/collections/{listed['id']}")
        for name in ("id", "title", "description", "extent", "itemType", "storageCrs"):
            assert alone.get(name) == listed.get(name), (listed["id"], name)
        hrefs = {(one["rel"], one["type"], one["href"]) for one in alone["links"]}
        assert {(o["rel"], o["type"], o["href"]) for o in links(listed, "items")} <= hrefs


def test_core_crs84(api):
    """/conf/core/crs84: without a crs, geometries are WGS 84 longitude and latitude."""
    for collection in api.collections:
        answer = api.ask(api.items(collection), GEOJSON, limit=10)
        assert answer.headers.get("content-crs", f"<{CRS84}>") in (f"<{CRS84}>", f"<{CRS84H}>")
        for feature in api.features(collection):
            shape = geometry(feature)
            if shape is not None:
                west, south, east, north = shape.bounds
                assert -180 <= west <= east <= 180, (collection["id"], feature["id"])
                assert -90 <= south <= north <= 90, (collection["id"], feature["id"])
