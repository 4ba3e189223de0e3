"""What the official suite for Features 1 and 2 (ets-ogcapi-features10 1.9) asks and one would not guess.

It reads the API document first and takes every address of a request from there: a document that it
cannot read turns the whole run into skips."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
import shapely

from tests.conformance.outside import (
    CRS,
    CRS84,
    CRS84H,
    FEATURES,
    GEOJSON,
    HTML,
    JSON,
    MANY,
    OPENAPI,
    extent,
    geometry,
    link,
    links,
    media,
    told,
)


def test_the_api_document_is_found_by_the_exact_type(api):
    """By ``rel=service-desc`` and this very type, without a space in it; OpenAPI 3.1 is not read."""
    found = [one["type"] for one in links(api.landing, "service-desc")]
    assert OPENAPI in found
    assert api.document["openapi"].startswith("3.0")


def test_no_reference_leaves_the_document(api):
    """Every ``$ref`` is followed; one to another host ends as null where there is no internet."""

    def refs(node):
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for child in node.values():
                yield from refs(child)
        elif isinstance(node, list):
            for child in node:
                yield from refs(child)

    for ref in refs(api.document):
        assert ref.startswith("#/"), ref
        assert api.resolve({"$ref": ref})


def test_paths_and_servers_are_test_points(api):
    """Each path below each server is asked; /conformance, /collections and items need a readable 200."""
    asked = [
        "/conformance",
        "/collections",
        *(f"/collections/{one['id']}/items" for one in api.collections),
    ]
    for server in api.document["servers"]:
        url, root = urlsplit(server["url"]), urlsplit(api.root)
        assert (url.scheme, url.netloc) == (root.scheme, root.netloc)
        for path in asked:
            response = api.resolve(api.path(path)["get"]["responses"]["200"])
            assert {JSON, GEOJSON} & set(response["content"]), path
            answer = api.ask(server["url"].rstrip("/") + path)
            assert answer.status_code == 200, told(answer)


@pytest.mark.parametrize("name", ["limit", "bbox", "datetime"])
def test_the_parameters_are_written_out(api, name):
    """``style: form`` written out, not required, not exploded."""
    for collection in api.collections:
        parameter = api.parameters(collection)[name]
        assert parameter["style"] == "form"
        assert parameter.get("required", False) is False
        assert parameter.get("explode") is not True


def test_the_minimum_of_limit_is_asked_for(api):
    """The schema of limit has an integer ``minimum``, which is requested, and a ``default``."""
    for collection in api.collections:
        schema = api.resolve(api.parameters(collection)["limit"]["schema"])
        assert schema["type"] == "integer"
        assert {"minimum", "default"} <= set(schema)
        page = api.get(api.items(collection), GEOJSON, limit=schema["minimum"])
        assert len(page["features"]) == schema["minimum"]


def test_an_invalid_limit_is_400(api):
    """Not 422."""
    for collection in api.collections:
        for limit in ("unlimited", "-1"):
            answer = api.ask(api.items(collection), GEOJSON, limit=limit)
            assert answer.status_code == 400, told(answer)


def test_an_unknown_parameter_is_400(api):
    """The suite makes up a name that the document does not have."""
    for collection in api.collections:
        answer = api.ask(api.items(collection), GEOJSON, unknownQueryParameter="1")
        assert answer.status_code == 400, told(answer)


def test_a_feature_is_found_below_its_items_link(api):
    """The address of a feature is the items link cut at its question mark, a slash, and the id."""
    for collection in api.collections:
        href = link(collection, "items", GEOJSON)["href"]
        page = api.get(href, GEOJSON, limit=1)
        answer = api.ask(f"{href.split('?')[0]}/{page['features'][0]['id']}", GEOJSON)
        assert answer.status_code == 200, told(answer)


@pytest.mark.parametrize(("name", "type_"), [("html", HTML), ("geojson", GEOJSON)])
def test_a_declared_encoding_is_linked_everywhere(api, name, type_):
    """Each declared class forces an alternate or own link of its type on features, items and collections."""
    if f"{FEATURES}/{name}" not in api.classes:
        pytest.skip(f"{name} is not declared")
    for collection in api.collections:
        page = api.get(api.items(collection), GEOJSON, limit=1)
        alone = api.get(api.feature(collection, page["features"][0]["id"]), GEOJSON)
        for document in (page, alone):
            found = {one["type"] for one in [*links(document, "alternate"), *links(document, "self")]}
            assert type_ in found
        assert links(alone, "collection")
    if name == "html":
        assert links(api.listing, "alternate", HTML)


def test_number_matched_is_counted_by_the_next_links(api):
    """Every next link is followed, up to ten thousand features."""
    for collection in api.collections:
        pages = list(api.pages(api.items(collection)))
        matched = pages[0]["numberMatched"]
        if matched <= MANY:
            assert sum(len(page["features"]) for page in pages) == matched
        assert sum(page["numberReturned"] for page in pages) == matched


@pytest.mark.parametrize(
    "box",
    [
        (177, 65, -177, 70),
        (-180, -90, 180, -85),
        (-180, 85, 180, 90),
        (-180, -90, 180, 90),
        (179, -20, -179, -15),
        (0, 0, 0, 0),
        (150, -90, -150, 90),
    ],
    ids=lambda box: ",".join(map(str, box)),
)
def test_boxes_over_the_antimeridian_and_the_poles(api, box):
    """West greater than east is a box over 180°, and right."""
    west, south, east, north = box
    parts = [(west, south, 180, north), (-180, south, east, north)] if west > east else [box]
    for collection in api.collections:
        right = set()
        for feature in api.features(collection):
            shape = geometry(feature)
            if shape is None or any(shapely.intersects(shape, shapely.box(*part)) for part in parts):
                right.add(feature["id"])
        assert api.matching(collection, bbox=",".join(map(str, box))) == right, collection["id"]


def test_crs_lists_crs84_and_is_answered_in_brackets(api):
    """``crs`` lists CRS84 or CRS84h; ``Content-Crs`` is in angle brackets; an unknown CRS is 400."""
    if f"{CRS}/crs" not in api.classes:
        pytest.skip("Part 2 is not declared")
    for collection in api.collections:
        offered = [*collection["crs"], *(api.listing.get("crs", []) if "#/crs" in collection["crs"] else [])]
        assert {CRS84, CRS84H} & set(offered)
        answer = api.ask(api.items(collection), GEOJSON, limit=1)
        assert answer.headers["content-crs"] in (f"<{CRS84}>", f"<{CRS84H}>")
        for name in ("crs", "bbox-crs"):
            params = {name: "http://www.opengis.net/def/crs/0/unsupported", "bbox": "0,0,1,1"}
            assert api.ask(api.items(collection), GEOJSON, **params).status_code == 400


def test_the_landing_page_lives_with_and_without_a_slash(api):
    """The suite puts paths together with and without one."""
    for href in (api.root, urljoin(api.root + "/", "")):
        assert api.ask(href, JSON).status_code == 200, href


def test_an_extent_is_asked_for_as_a_box(api):
    """The box of the extent, as published, matches every feature that has a geometry."""
    for collection in api.collections:
        if "extent" not in collection:
            continue  # the suite asks for a box only where one is told
        box = collection["extent"]["spatial"]["bbox"][0]
        found = api.matching(collection, bbox=",".join(map(repr, box)))
        assert found == {one["id"] for one in api.features(collection)}, collection["id"]
        assert len(extent(api.features(collection))) == 4


def test_the_type_of_an_answer_is_what_was_asked(api):
    """Each page is asked with one Accept and must have that very type."""
    for collection in api.collections:
        for accept in (GEOJSON, HTML):
            assert media(api.ask(api.items(collection), accept, limit=1)) == accept
