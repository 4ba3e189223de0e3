"""Random requests about features, legal and illegal, from a seed.

What is legal is taken from the API itself: its collections, their queryables and the values of their
features. Then a request is spoiled now and then: a wrong value, a foreign name, a cut or doubled text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

from tests.conformance.filters import quoted, spatial
from tests.conformance.outside import Api, Json
from tests.fuzz.pools import (
    ACCEPTS,
    BOXES,
    CRSS,
    FORMATS,
    GEOMETRIES,
    LITERALS,
    METHODS,
    NASTY,
    SPATIAL,
    TEMPORAL,
    TIMES,
)


@dataclass
class Request:
    """One request; the path is below the API's root, or below that of the server after ``..``."""

    method: str
    path: str
    query: list[tuple[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None

    @property
    def target(self) -> str:
        """Path and query."""
        encoded = urlencode(self.query, quote_via=quote, errors="surrogatepass")
        return f"{self.path}?{encoded}" if encoded else self.path


class Requests:
    """An endless source of requests for one API."""

    def __init__(self, api: Api, seed: int | str, key: str) -> None:
        self.api, self.key = api, key
        self.chance = Random(seed)
        self.collections = api.editable()
        self.queryables = {one["id"]: api.queryables(one) for one in self.collections}
        self.geometry = {one["id"]: spatial(api, one) for one in self.collections}
        self.values = {one["id"]: self._values(one) for one in self.collections}
        self.fids = {one["id"]: [f["id"] for f in api.features(one)] for one in self.collections}
        self.shapes = {one["id"]: [f["geometry"] for f in api.features(one)[:5]] for one in self.collections}

    def _values(self, collection: Json) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for feature in self.api.features(collection)[:60]:
            for name, value in feature["properties"].items():
                found.setdefault(name, []).append(value)
        return found

    def __iter__(self) -> Requests:
        return self

    def __next__(self) -> Request:
        """The next request."""
        chance = self.chance
        collection = chance.choice(self.collections)
        method = chance.choice(METHODS)
        layer = collection["id"]
        items = f"/collections/{quote(layer)}/items"
        kind = chance.choices(("items", "item", "download", "other", "beside"), (24, 8, 4, 4, 3))[0]
        if method == "POST":
            kind = "items"
        elif method in ("PUT", "PATCH", "DELETE"):
            kind = "item"
        made = {
            "items": lambda: Request(method, items, self.selecting(collection, paging=True)),
            "item": lambda: Request(method, f"{items}/{self.fid(layer)}", self.some_crs()),
            "download": lambda: Request(
                method, f"/collections/{layer}/download", self.selecting(collection, paging=False)
            ),
            "beside": lambda: Request(method, *self.beside(layer)),
            "other": lambda: Request(method, self.other(layer), self.some_crs()),
        }[kind]()
        made.headers = self.headers(method)
        if method in ("POST", "PUT", "PATCH"):
            made.query = []
            made.body = self.body(collection)
        elif method == "DELETE":
            made.query = []
        return self.spoiled(made)

    # -- where ------------------------------------------------------------------------------------------

    def fid(self, layer: str) -> str:
        chance = self.chance
        if chance.random() < 0.8 and self.fids[layer]:
            return str(chance.choice(self.fids[layer]))
        return quote(chance.choice((*NASTY[1:], "0", "9" * 18, "9" * 19, "01", "1.0", "+1")), safe="")

    def other(self, layer: str) -> str:
        below = ("", "/schema", "/queryables", "/sortables", "/tiles", "/tiles/WebMercatorQuad", "/nothing")
        return self.chance.choice(
            (
                "/",
                "/conformance",
                "/collections",
                "/functions",
                "/api",
                "/tileMatrixSets/WebMercatorQuad",
                f"/collections/{layer}{self.chance.choice(below)}",
                f"/collections/{layer}/tiles/WebMercatorQuad/3/{self.chance.randint(-1, 9)}/2",
                f"/collections/{quote(self.chance.choice(NASTY), safe='')}/items",
            )
        )

    def beside(self, layer: str) -> tuple[str, list[tuple[str, str]]]:
        """What is served beside the API: tiles, 3D tiles, search, sensors, health."""
        chance = self.chance
        z, x, y = (chance.choice((-1, 0, 1, 3, 14, 16, 17, 99)) for _ in range(3))
        word = chance.choice(NASTY)
        path, query = chance.choice(
            (
                (f"/tiles/{layer}/{z}/{x}/{y}.mvt", []),
                (f"/tiles/{layer},pipelines/{z}/{x}/{y}.pbf", []),
                (f"/tiles/{layer}.json", []),
                (f"/3dtiles/{layer}/tileset.json", []),
                (f"/3dtiles/building_parts/{z}/{x}/{y}.glb", []),
                ("/search", [("q", word), ("limit", chance.choice(("1", "0", "x")))]),
                ("/search", [("q", chance.choice(("Mannerheim", "24.94,60.17", "井盖", "a")))]),
                ("/health/live", []),
                ("/sta/v1.1/Things", [("$filter", word), ("$top", "2")]),
                ("/sta/v1.1/Observations", [("$orderby", word)]),
                ("/incidents", [("limit", "1")]),
                (f"/{quote(word, safe='')}", []),
            )
        )
        return f"/..{path}", list(query)

    # -- which ------------------------------------------------------------------------------------------

    def selecting(self, collection: Json, *, paging: bool) -> list[tuple[str, str]]:
        chance, layer = self.chance, collection["id"]
        names = [one for one in self.queryables[layer] if one != self.geometry[layer]]
        some = chance.choice(names)
        offers = {
            "bbox": lambda: chance.choice(BOXES),
            "bbox-crs": lambda: chance.choice(CRSS),
            "crs": lambda: chance.choice(CRSS),
            "datetime": lambda: chance.choice(TIMES),
            "properties": lambda: ",".join(chance.sample(names, chance.randint(1, min(3, len(names))))),
            "q": lambda: chance.choice(("helsinki", "a,b", "井", "é", "%", "_", "or, the")),
            some: lambda: self.equal(layer, some),
            "filter": lambda: self.filter(layer, 3),
            "f": lambda: chance.choice(FORMATS),
        }
        if paging:
            offers |= {
                "limit": lambda: chance.choice(("1", "3", "10", "100", "10000", "99999")),
                "offset": lambda: chance.choice(("0", "1", "7", "100000")),
                "sortby": lambda: ",".join(
                    chance.choice(("", "+", "-")) + one for one in chance.sample(names, min(2, len(names)))
                ),
                "after": lambda: chance.choice(("0", "5", "W10=", "WzEsMl0=")),
            }
        chosen = chance.sample(sorted(offers), chance.randint(0, 4))
        pairs = [(name, offers[name]()) for name in chosen]
        if "filter" in chosen and chance.random() < 0.3:
            pairs.append(("filter-lang", chance.choice(("cql2-text", "cql2-json"))))
        if "filter" in chosen and chance.random() < 0.2:
            pairs.append(("filter-crs", chance.choice(CRSS)))
        return pairs

    def some_crs(self) -> list[tuple[str, str]]:
        return [("crs", self.chance.choice(CRSS))] if self.chance.random() < 0.2 else []

    def equal(self, layer: str, name: str) -> str:
        value = self.chance.choice(self.values[layer].get(name) or ["1"])
        return str(value).lower() if isinstance(value, bool) else str(value)

    # -- CQL2 -------------------------------------------------------------------------------------------

    def filter(self, layer: str, depth: int) -> str:
        """A filter that is CQL2 text; its types may or may not fit."""
        chance = self.chance
        if depth and chance.random() < 0.5:
            one = self.filter(layer, depth - 1)
            if chance.random() < 0.3:
                return f"NOT ({one})"
            return f"({one}) {chance.choice(('AND', 'OR'))} ({self.filter(layer, depth - 1)})"
        name = chance.choice([one for one in self.queryables[layer] if one != self.geometry[layer]])
        schema = self.queryables[layer][name]
        column, value = quoted(name), self.literal(layer, name, schema)
        comparison = f"{column} {chance.choice(('=', '<>', '<', '>', '<=', '>='))} {value}"
        shape = f"S_{chance.choice(SPATIAL)}({quoted(self.geometry[layer])},{chance.choice(LITERALS)})"
        choices = [
            comparison,
            comparison,
            f"{column} IS NULL",
            f"{column} IN ({value},{value})",
            f"{column} BETWEEN {value} AND {value}",
            f"{column} LIKE '%{chance.choice(('a', '井', '_', '%', chr(92) + '%'))}%'",
            f"CASEI({column}) = CASEI({value})",
            f"ACCENTI(CASEI({column})) LIKE ACCENTI(CASEI({value}))",
            shape,
            shape,
            f"T_{chance.choice(TEMPORAL)}({column},INTERVAL('2022-01-01','..'))",
            f"T_{chance.choice(TEMPORAL)}({column},TIMESTAMP('2024-01-15T08:30:00Z'))",
            f"A_{chance.choice(('CONTAINS', 'EQUALS', 'OVERLAPS', 'CONTAINEDBY'))}({column},('foo','bar'))",
            f"A_{chance.choice(('CONTAINS', 'EQUALS', 'OVERLAPS', 'CONTAINEDBY'))}({column},())",
            f"A_CONTAINEDBY(({column},'foo'),({value},'foo',1))",
            f"({comparison}) IS NOT NULL OR {shape} IS NULL",
            f"({shape}) IS NULL",
            f"INTERVAL({column},'..') IS NULL",
            f"{column} > -.5E1 AND _x = 1",
            f"{column} > -.5E1",
            f"{column} * 2 + 1 > {value}",
            f"{column} / 0 = {column} % 0",
            f"{column} ^ 400 > 10 ^ 400",
            f"({column} div 3) * -1 < 10",
            chance.choice(("true", "false", "NOT true", "'a' = 'b'", "1 < 2")),
        ]
        return chance.choice(choices)

    def literal(self, layer: str, name: str, schema: Json) -> str:
        value = self.chance.choice(self.values[layer].get(name) or [1])
        if self.chance.random() < 0.15:
            value = self.chance.choice((0, -1.5, 10**20, "x", True, None, "it's"))
        if value is None or isinstance(value, list):
            return "''"
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, str):
            said = "'" + value.replace("'", "''") + "'"
            return {"date": f"DATE({said})", "date-time": f"TIMESTAMP({said})"}.get(
                schema.get("format", ""), said
            )
        return repr(value)

    # -- how --------------------------------------------------------------------------------------------

    def headers(self, method: str) -> dict[str, str]:
        chance = self.chance
        found: dict[str, str] = {}
        if chance.random() < 0.4:
            found["accept"] = chance.choice(ACCEPTS)
        if chance.random() < 0.3:
            found["accept-encoding"] = chance.choice(("gzip", "br", "identity", "gzip;q=0", "*;q=0", "x"))
        if method in ("POST", "PUT", "PATCH", "DELETE"):
            if chance.random() < 0.9:
                found["authorization"] = f"Bearer {self.key}"
            kind = "application/merge-patch+json" if method == "PATCH" else "application/geo+json"
            if method != "DELETE":
                found["content-type"] = kind if chance.random() < 0.9 else chance.choice(ACCEPTS)
            if chance.random() < 0.2:
                found["content-crs"] = chance.choice((*CRSS, f"<{CRSS[1]}>", "<>", "rubbish"))
            if chance.random() < 0.1:
                found["if-none-match"] = chance.choice(("*", '"x-1"', "1", ",", 'W/"a-0", "b-2"'))
            if chance.random() < 0.05:
                found["content-encoding"] = chance.choice(("gzip", "identity", "", "br, x"))
            if chance.random() < 0.2:
                found["if-match"] = chance.choice(("*", '"x-1"', "1", "rubbish!", 'W/"a-0", "b-2"'))
        return found

    def body(self, collection: Json) -> bytes:
        chance, layer = self.chance, collection["id"]
        properties: dict[str, Any] = {}
        for name in chance.sample(sorted(self.values[layer]), min(3, len(self.values[layer]))):
            value = chance.choice(self.values[layer][name])
            if chance.random() < 0.2:
                value = chance.choice(
                    (None, 1, -2.5, 10**30, "text", True, [], {}, [[1]], "\x00", "\ud7ff" * 9)
                )
            properties[name] = value
        properties.pop("source_id", None)
        if chance.random() < 0.05:
            properties["no such property"] = 1
        feature: dict[str, Any] = {"type": "Feature", "properties": properties}
        if chance.random() < 0.8:
            known = chance.random() < 0.5
            feature["geometry"] = chance.choice(self.shapes[layer] if known else GEOMETRIES)
        if chance.random() < 0.05:
            feature["type"] = chance.choice(("feature", "FeatureCollection", None, 3))
        if chance.random() < 0.05:
            feature["id"] = chance.choice((1, "x", None, -5))
        text = json.dumps(feature, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
        if chance.random() < 0.08:
            text = chance.choice((b"", b"null", b"[]", b"{", text[: len(text) // 2], b"\xff\xfe", text * 2))
        return text

    # -- spoiling ---------------------------------------------------------------------------------------

    def spoiled(self, request: Request) -> Request:
        """The request as it is, or with one thing of its query wrong."""
        chance = self.chance
        if chance.random() < 0.7:
            return request
        pairs = request.query
        how = chance.randrange(5)
        if how == 0:
            pairs.append((chance.choice(("nosuch", "BBOX", "limit ", "名", "f[]", "")), chance.choice(NASTY)))
        elif pairs and how == 1:
            pairs.append(chance.choice(pairs))
        elif pairs and how == 2:
            at = chance.randrange(len(pairs))
            pairs[at] = (pairs[at][0], chance.choice(NASTY))
        elif pairs:
            at = chance.randrange(len(pairs))
            name, text = pairs[at]
            cut = chance.randint(0, len(text))
            other = chance.choice(NASTY)
            pairs[at] = (
                name,
                chance.choice((text[:cut], text[cut:], text[:cut] + other + text[cut:], text * 2)),
            )
        return request
