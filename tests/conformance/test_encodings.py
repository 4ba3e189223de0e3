"""OGC API Features Part 1 (OGC 17-069r4), Annex A: the classes OpenAPI 3.0, GeoJSON and HTML."""

from __future__ import annotations

import html.parser

import openapi_spec_validator
import pytest
from shapely.geometry import shape

from tests.conformance.outside import (
    FEATURES,
    GEOJSON,
    HTML,
    JSON,
    OPENAPI,
    link,
    links,
    media,
    told,
)

JSON_RESPONSES = ("/", "/conformance", "/collections")


def needs(api, name):
    """Only for an API that declares the class; ours has to."""
    if f"{FEATURES}/{name}" not in api.classes:
        if api.ours:
            pytest.fail(f"{name} is not declared")
        pytest.skip(f"{name} is not declared")


# -- OpenAPI 3.0 ----------------------------------------------------------------------------------------


def test_oas30_completeness(api):
    """/conf/oas30/completeness: every answer that the API gives is described, with its schema."""
    needs(api, "oas30")
    for path, method, operation in api.operations():
        responses = {status: api.resolve(one) for status, one in operation["responses"].items()}
        assert any(status.startswith("2") for status in responses), (path, method)
        for status, response in responses.items():
            assert response["description"], (path, method, status)
            for kind, content in response.get("content", {}).items():
                assert content.get("schema"), (path, method, status, kind)
    seen = [(api.root, "/")]
    seen += [(f"{api.root}/{name}", f"/{name}") for name in ("conformance", "collections")]
    for collection in api.collections:
        seen.append((api.items(collection).split("?")[0], f"/collections/{collection['id']}/items"))
    for href, template in seen:
        responses = api.path(template)["get"]["responses"]
        for params, accept in (({}, JSON), ({"nosuchparameter": "1"}, JSON), ({}, "image/x-nothing")):
            answer = api.ask(href, accept, **params)
            described = api.resolve(responses[str(answer.status_code)])
            kinds = {one.partition(";")[0] for one in described["content"]}
            assert media(answer) in kinds, told(answer)


def test_oas30_definition_1(api):
    """/conf/oas30/definition-1: the document is to be had as OpenAPI 3.0."""
    needs(api, "oas30")
    one = link(api.landing, "service-desc", OPENAPI)
    answer = api.ask(one["href"], OPENAPI)
    assert answer.status_code == 200
    assert answer.headers["content-type"].replace(" ", "") == OPENAPI
    assert answer.json()["openapi"].startswith("3.0.")


def test_oas30_definition_2(api):
    """/conf/oas30/definition-2: the document is valid."""
    needs(api, "oas30")
    openapi_spec_validator.validate(api.document)


def test_oas30_exceptions_codes(api):
    """/conf/oas30/exceptions-codes: the statuses of errors that occur are described."""
    needs(api, "oas30")
    for collection in api.collections:
        template = f"/collections/{collection['id']}/items"
        items, one = api.path(template)["get"], api.path(template + "/{featureId}")["get"]
        href = api.items(collection).split("?")[0]
        for answer, operation in (
            (api.ask(href, GEOJSON, limit="x"), items),
            (api.ask(href, "image/x-nothing"), items),
            (api.ask(f"{href}/999999999999", GEOJSON), one),
            (api.ask(f"{href}/1", GEOJSON, nosuchparameter=1), one),
        ):
            assert answer.status_code >= 400
            assert str(answer.status_code) in operation["responses"], told(answer)


def test_oas30_oas_impl(api):
    """/conf/oas30/oas-impl: what the document describes is there."""
    needs(api, "oas30")
    for path, method, operation in api.operations():
        if method == "get" and "{" not in path and "200" in operation["responses"]:
            described = api.resolve(operation["responses"]["200"])
            needed = any(api.resolve(one).get("required") for one in operation.get("parameters", []))
            if needed or operation.get("security") or "text/event-stream" in described["content"]:
                continue  # it cannot be asked without more, or has no end
            servers = api.document["paths"][path].get("servers", [{"url": api.root}])
            answer = api.ask(servers[0]["url"].rstrip("/") + path.rstrip("/"))
            assert answer.status_code == 200, told(answer)
            assert media(answer) in {one.partition(";")[0] for one in described["content"]}, told(answer)


def test_oas30_security(api):
    """/conf/oas30/security: what needs a key says so, by a scheme that the document defines."""
    needs(api, "oas30")
    schemes = api.document.get("components", {}).get("securitySchemes", {})
    for path, method, operation in api.operations():
        asked = operation.get("security", api.document.get("security", []))
        for requirement in asked:
            assert set(requirement) <= set(schemes), (path, method)
        if "401" in operation["responses"]:
            assert asked, (path, method)


# -- GeoJSON --------------------------------------------------------------------------------------------


def test_geojson_definition(api):
    """/conf/geojson/definition: features and single ones are given as application/geo+json."""
    needs(api, "geojson")
    for collection in api.collections:
        items = api.ask(api.items(collection), GEOJSON, limit=1)
        assert media(items) == GEOJSON
        one = api.ask(api.feature(collection, items.json()["features"][0]["id"]), GEOJSON)
        assert media(one) == GEOJSON
        described = api.path(f"/collections/{collection['id']}/items")["get"]["responses"]["200"]
        assert GEOJSON in api.resolve(described)["content"]


def test_geojson_content(api):
    """/conf/geojson/content: every answer is GeoJSON as RFC 7946 has it; the others are JSON."""
    needs(api, "geojson")
    for collection in api.collections:
        for page in api.pages(api.items(collection), limit=100):
            assert page["type"] == "FeatureCollection"
            assert "crs" not in page
            assert {"features", "links", "timeStamp", "numberReturned"} <= set(page)
            for feature in page["features"]:
                assert feature["type"] == "Feature"
                assert {"geometry", "properties"} <= set(feature)
                if feature["geometry"] is not None:
                    found = shape(feature["geometry"])
                    assert found.geom_type == feature["geometry"]["type"]
                    assert not found.is_empty
                    closed(feature["geometry"])
    for path in JSON_RESPONSES:
        answer = api.ask(api.root + path.rstrip("/"), JSON)
        assert media(answer) == JSON
        assert isinstance(answer.json(), dict)


def closed(geometry):
    """RFC 7946, 3.1.6: a ring ends where it began and has four positions."""
    match geometry["type"]:
        case "Polygon":
            rings = geometry["coordinates"]
        case "MultiPolygon":
            rings = [ring for polygon in geometry["coordinates"] for ring in polygon]
        case _:
            rings = []
    for ring in rings:
        assert len(ring) >= 4
        assert ring[0] == ring[-1]


# -- HTML -----------------------------------------------------------------------------------------------


def pages(api):
    """Every kind of page that a declared HTML class promises."""
    yield api.root
    yield f"{api.root}/conformance"
    yield f"{api.root}/collections"
    for collection in api.collections:
        yield f"{api.root}/collections/{collection['id']}"
        yield api.items(collection).split("?")[0]
        yield api.feature(collection, api.features(collection)[0]["id"])


class Reader(html.parser.HTMLParser):
    """What a page links and says; an unclosed element is a fault."""

    VOID = frozenset({"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.said: list[str] = []
        self.faults: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open[-1] != tag and self.open[-1] in ("p", "li", "td", "th", "tr", "option"):
            self.open.pop()
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data):
        self.said.append(data)


def test_html_definition(api):
    """/conf/html/definition: every page of the API is to be had as text/html, and the document says so."""
    needs(api, "html")
    for href in pages(api):
        answer = api.ask(href, HTML)
        assert answer.status_code == 200, told(answer)
        assert media(answer) == HTML
    for template in ("/", "/conformance", "/collections"):
        described = api.resolve(api.path(template)["get"]["responses"]["200"])
        assert HTML in described["content"], template


def test_html_content(api):
    """/conf/html/content: the page is whole, and shows what the resource says, with its links."""
    needs(api, "html")
    for href in pages(api):
        reader = Reader()
        body = api.ask(href, HTML).text
        reader.feed(body)
        assert reader.faults == [], href
        assert "<title>" in body
    for collection in api.collections:
        listing = api.ask(f"{api.root}/collections", HTML).text
        assert f"/collections/{collection['id']}" in listing
        feature = api.features(collection)[0]
        reader = Reader()
        reader.feed(api.ask(api.feature(collection, feature["id"]), HTML).text)
        said = "".join(reader.said)
        for value in feature["properties"].values():
            if isinstance(value, str):
                assert " ".join(value.split()) in " ".join(said.split()), (collection["id"], value)
    assert links(api.landing, "alternate", HTML)
