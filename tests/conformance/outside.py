"""An OGC API as an outsider sees it: a landing page, and whatever its links and its API document say.

Nothing here knows the server: no path is built but by the templates of the standards (``/collections``,
``/conformance``, ``…/items/{featureId}``), and even those only below an address that the server gave.
"""

from __future__ import annotations

import http.client
import math
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx
import orjson
import shapely
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
CRS84H = "http://www.opengis.net/def/crs/OGC/0/CRS84h"
JSON = "application/json"
GEOJSON = "application/geo+json"
SCHEMA = "application/schema+json"
HTML = "text/html"
OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
FEATURES = "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf"
CRS = "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf"
FILTER = "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf"
CQL2 = "http://www.opengis.net/spec/cql2/1.0/conf"
REL = "http://www.opengis.net/def/rel/ogc/1.0"
#: Enough for every collection of the test data in one page; the standards let a server give less.
MANY = 10_000

#: Parameters whose names Python cannot spell.
HYPHENS = {one: one.replace("_", "-") for one in ("bbox_crs", "filter_crs", "filter_lang")}

#: RFC 3339, with the seconds and the zone that it asks for.
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")

type Json = dict[str, Any]


class Api:
    """One API under test. ``ours`` says that a class that is not declared is a failure, not a skip;
    ``only`` are the ends of the ids of the collections to look at, where not all of them are."""

    def __init__(self, root: str, *, ours: bool = True, only: tuple[str, ...] = ("",)) -> None:
        self.root = root
        self.ours = ours
        self.only = only
        self.http = httpx.Client(timeout=30, follow_redirects=True)
        #: Filters are asked by the ten thousand: it costs a tenth of what the other client does.
        self.plain = http.client.HTTPConnection(urlsplit(root).netloc, timeout=30)
        self._features: dict[str, list[Json]] = {}
        #: What filters have selected so far, by language: many tests ask the same.
        self.answers: dict[str, dict[tuple[str, str], frozenset[Any]]] = {}

    def close(self) -> None:
        """Close the connections."""
        self.http.close()
        self.plain.close()

    def ask(
        self, href: str, accept: str | None = None, method: str = "GET", **params: object
    ) -> httpx.Response:
        """A request; the parameters are added to those that the address has."""
        url = urljoin(self.root + "/", href)
        merged = dict(parse_qsl(urlsplit(url).query)) | {HYPHENS.get(k, k): v for k, v in params.items()}
        headers = {"accept": accept} if accept else {}
        return self.http.request(method, url.split("?")[0], params=merged, headers=headers)

    def get(self, href: str, accept: str = JSON, status: int = 200, **params: object) -> Json:
        """The JSON of an answer, whose status must be ``status``."""
        answer = self.ask(href, accept, **params)
        assert answer.status_code == status, told(answer)
        found: Json = orjson.loads(answer.content)
        return found

    @cached_property
    def landing(self) -> Json:
        """The landing page."""
        return self.get(self.root)

    @cached_property
    def classes(self) -> list[str]:
        """The conformance classes that the API declares."""
        found: list[str] = self.get(link(self.landing, "conformance")["href"])["conformsTo"]
        return found

    @cached_property
    def listing(self) -> Json:
        """The document at /collections."""
        return self.get(link(self.landing, "data")["href"])

    @property
    def collections(self) -> list[Json]:
        """Every collection of features under test, as listed."""
        return [
            one
            for one in self.listing["collections"]
            if one.get("itemType", "feature") == "feature" and one["id"].endswith(self.only)
        ]

    def editable(self) -> list[Json]:
        """The collections whose features may be put: not those of live data."""
        path = "/collections/{}/items/{{featureId}}"
        return [one for one in self.collections if "put" in self.path(path.format(one["id"]))]

    @cached_property
    def document(self) -> Json:
        """The API document, found as the official suite finds it: by the exact type of OpenAPI 3.0."""
        return self.get(link(self.landing, "service-desc", OPENAPI)["href"], accept=OPENAPI)

    def path(self, template: str) -> Json:
        """The path item of a template below the API's own address. AssertionError when it is not there."""
        found: Json = self.document["paths"][template]
        return found

    def operations(self) -> Iterator[tuple[str, str, Json]]:
        """(path, method, operation) of the API document."""
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                if method in ("get", "put", "post", "patch", "delete", "options", "head"):
                    yield path, method, operation

    def parameters(self, collection: Json) -> dict[str, Json]:
        """The query parameters that the API document gives for a collection's items, by name."""
        item = self.path(f"/collections/{collection['id']}/items")
        listed = [*item.get("parameters", []), *item["get"].get("parameters", [])]
        return {one["name"]: one for one in map(self.resolve, listed) if one["in"] == "query"}

    def described(self, collection: Json, name: str) -> Json:
        """The schema of a query parameter of the items, which is optional and written as one value."""
        parameter = self.parameters(collection)[name]
        assert parameter.get("required", False) is False
        assert parameter["style"] == "form"
        assert not parameter.get("explode", False)
        return self.resolve(parameter["schema"])

    def resolve(self, node: Json) -> Json:
        """Follow a local ``$ref``."""
        while "$ref" in node:
            target: Json = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = target
        return node

    def items(self, collection: Json) -> str:
        """Where a collection's features are, as GeoJSON."""
        href: str = link(collection, "items", GEOJSON)["href"]
        return href

    def feature(self, collection: Json, fid: object) -> str:
        """Where one feature is: the items address without its parameters, and the id."""
        return f"{self.items(collection).split('?')[0]}/{fid}"

    def pages(self, href: str, **params: object) -> Iterator[Json]:
        """A page and all that its next links lead to."""
        page = self.get(href, GEOJSON, **params)
        yield page
        while following := links(page, "next"):
            page = self.get(following[0]["href"], GEOJSON)
            yield page

    def features(self, collection: Json) -> list[Json]:
        """Every feature of a collection, read once by following the pages."""
        if collection["id"] not in self._features:
            found: list[Json] = []
            for page in self.pages(self.items(collection), limit=MANY):
                found += page["features"]
            self._features[collection["id"]] = found
        return self._features[collection["id"]]

    def matching(self, collection: Json, **params: object) -> set[Any]:
        """The ids of the features that a request selects, by following the pages."""
        return {
            one["id"]
            for page in self.pages(self.items(collection), limit=MANY, **params)
            for one in page["features"]
        }

    def queryables(self, collection: Json) -> dict[str, Json]:
        """The queryables of a collection, by name."""
        href = link(collection, f"{REL}/queryables")["href"]
        found: dict[str, Json] = self.get(href, SCHEMA)["properties"]
        return found


def told(answer: httpx.Response) -> str:
    """What an answer was, for an assertion."""
    return f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:300]}"


def media(answer: httpx.Response) -> str:
    """The media type of an answer without its parameters."""
    return answer.headers["content-type"].partition(";")[0].strip()


def links(document: Json, rel: str, type_: str | None = None) -> list[Json]:
    """The links of a relation, of any type or of one."""
    return [
        one for one in document["links"] if one["rel"] == rel and (type_ is None or one.get("type") == type_)
    ]


def link(document: Json, rel: str, type_: str | None = None) -> Json:
    """The first link of a relation, of any type or of one. AssertionError when there is none."""
    found = links(document, rel, type_)
    assert found, (
        f"no link {rel} {type_ or ''} among {[(o['rel'], o.get('type')) for o in document['links']]}"
    )
    return found[0]


def geometry(feature: Json) -> BaseGeometry | None:
    """The geometry of a feature; None when it has none."""
    return shape(feature["geometry"]) if feature["geometry"] else None


def extent(features: list[Json]) -> tuple[float, float, float, float]:
    """West, south, east, north of all geometries."""
    shapes = [one for one in map(geometry, features) if one is not None]
    west, south, east, north = shapely.total_bounds(shapes)
    assert math.isfinite(west)
    return float(west), float(south), float(east), float(north)


def boxes(
    west: float, south: float, east: float, north: float
) -> Iterator[tuple[float, float, float, float]]:
    """Boxes within and around an extent: all of it, halves, quarters, its corners, and none of it."""
    middle, centre = (west + east) / 2, (south + north) / 2
    yield west, south, east, north
    yield west, south, middle, north
    yield middle, centre, east, north
    yield (middle + west) / 2, (centre + south) / 2, (middle + east) / 2, (centre + north) / 2
    yield west, south, west, south
    yield middle, south, middle, north


def shifted(box: tuple[float, float, float, float], by: float) -> tuple[float, float, float, float]:
    """The same box with every edge moved outward by ``by`` (inward when negative)."""
    return box[0] - by, box[1] - by, box[2] + by, box[3] + by


def text(box: tuple[float, ...]) -> str:
    """A box as a parameter, each number with every digit of it."""
    return ",".join(repr(one) for one in box)


def encodings(api: Api, *, features: bool) -> set[str]:
    """The media types that features, or the other documents, have by the declared encodings."""
    types = {"geojson": GEOJSON, "html": HTML}
    found = {types[name] for name in types if f"{FEATURES}/{name}" in api.classes}
    return found if features else (found - {GEOJSON}) | {JSON}


def untyped(document: Json) -> list[Json]:
    """/req/core/fc-rel-type and its like: the links that do not say their relation and media type."""
    return [one for one in document["links"] if not (one.get("rel") and one.get("type") and one.get("href"))]


def sample(features: list[Json]) -> list[Json]:
    """The first, the last and one between, for a look at single features."""
    return [features[i] for i in sorted({0, len(features) // 2, len(features) - 1})]
