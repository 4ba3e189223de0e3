"""Filters sent to an API under test, as CQL2 text and as CQL2 JSON, and what the standard expects of them."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import cql2
import orjson
import pytest

from tests.conformance.city import ODD, PLACES
from tests.conformance.outside import CQL2, GEOJSON, MANY, Api, Json

TABLE = json.loads((Path(__file__).parent / "cql2" / "predicates.json").read_text("utf-8"))
LANGUAGES = ("cql2-text", "cql2-json")
#: The value that Annex A compares a queryable of a type with.
VALUES = {
    "string": "'foo'",
    "boolean": "true",
    "number": "3.14",
    "integer": "1",
    "date-time": "TIMESTAMP('2022-04-14T14:48:46Z')",
    "date": "DATE('2022-04-14')",
}
OPERATORS = ("=", "<>", ">", "<", ">=", "<=")
#: What a class rests on: its predicates take part in the combinations of /conf/…/logical.
NEEDS = {
    "case-insensitive-comparison": ("basic-cql2", "advanced-comparison-operators"),
    "accent-insensitive-comparison": ("case-insensitive-comparison", "advanced-comparison-operators"),
    "spatial-functions": ("basic-cql2", "basic-spatial-functions"),
    "property-property": ("basic-cql2", "advanced-comparison-operators", "temporal-functions"),
    "arithmetic": ("basic-cql2", "property-property"),
    "array-functions": ("basic-cql2",),
}
COMBINED = "((NOT ({p1}) AND ({p2})) OR (({p3}) and NOT ({p4})) or not (({p1}) AND ({p4})))"


def spatial(api: Api, collection: Json) -> str:
    """The name of the spatial queryable: the one whose schema is of a geometry."""
    for name, schema in api.queryables(collection).items():
        if "geojson.org" in schema.get("$ref", "") or schema.get("format", "").startswith("geometry"):
            return name
    raise AssertionError(f"{collection['id']} has no spatial queryable")


def plain(api: Api, collection: Json) -> list[str]:
    """The names of the queryables that are not spatial."""
    geometry = spatial(api, collection)
    return [name for name in api.queryables(collection) if name != geometry]


def value(feature: Json, name: str) -> Any:
    """What a feature has for a queryable; ``id`` is that of the feature where no property is called so."""
    return feature["properties"].get(name, feature["id"] if name == "id" else None)


def quoted(name: str) -> str:
    """A property name as CQL2 text writes any name."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True)
class Answer:
    """What a filter was answered."""

    url: str
    status_code: int
    content: bytes

    def json(self) -> Any:
        """The document."""
        return orjson.loads(self.content)

    def told(self) -> str:
        """What it was, for an assertion."""
        return f"{self.url}: {self.status_code} {self.content[:300].decode(errors='replace')}"


class Evaluator:
    """Sends filters, given as text, in one of the two encodings."""

    def __init__(self, api, lang):
        self.api, self.lang = api, lang
        if f"{CQL2}/{lang}" not in api.classes:
            if api.ours:
                pytest.fail(f"{lang} is not declared")
            pytest.skip(f"{lang} is not declared")
        self.sets = api.answers.setdefault(lang, {})

    def needs(self, name):
        """Only for an API that declares the class; ours has to."""
        if f"{CQL2}/{name}" not in self.api.classes:
            if self.api.ours:
                pytest.fail(f"{name} is not declared")
            pytest.skip(f"{name} is not declared")

    def send(self, collection, text, limit=1):
        """The answer to a filter."""
        said = text if self.lang == "cql2-text" else as_json(text)
        path = urlsplit(self.api.items(collection)).path
        url = f"{path}?{urlencode({'filter': said, 'filter-lang': self.lang, 'limit': limit})}"
        with contextlib.suppress(http.client.RemoteDisconnected):  # it was idle for too long
            return self._sent(url)
        self.api.plain.close()
        return self._sent(url)

    def _sent(self, url):
        self.api.plain.request("GET", url, headers={"accept": GEOJSON})
        found = self.api.plain.getresponse()
        return Answer(url, found.status, found.read())

    def count(self, collection, text):
        """How many features a filter selects. AssertionError when it is refused."""
        answer = self.send(collection, text)
        assert answer.status_code == 200, (text, answer.told())
        return answer.json()["numberMatched"]

    def ids(self, collection, text):
        """The ids of the features that a filter selects."""
        key = collection["id"], text
        if key not in self.sets:
            answer = self.send(collection, text, limit=MANY)
            assert answer.status_code == 200, (text, answer.told())
            page = answer.json()
            assert page["numberMatched"] == len(page["features"])
            self.sets[key] = frozenset(one["id"] for one in page["features"])
        return self.sets[key]

    def refused(self, collection, text):
        """AssertionError unless the filter is refused as the client's mistake."""
        answer = self.send(collection, text)
        assert answer.status_code == 400, (text, answer.told())

    def collections(self):
        """Every collection."""
        return self.api.collections

    def queryables(self, *types):
        """(collection, quoted name, type) of the queryables of some types; a format is a type."""
        for collection in self.api.collections:
            for name, schema in self.api.queryables(collection).items():
                kind = schema.get("format") or schema.get("type")
                if kind in types:
                    yield collection, quoted(name), kind

    def geometries(self):
        """(collection, quoted name) of the spatial queryables."""
        for collection in self.api.collections:
            yield collection, quoted(spatial(self.api, collection))


@cache
def as_json(text):
    """CQL2 text as CQL2 JSON, by the cql2 package."""
    return json.dumps(cql2.parse_text(text).to_json())


def data(ask, name):
    """/conf/…/test-data of a class: every predicate and its expected number of items."""
    ask.needs(name)
    known = {one["id"]: one for one in ask.collections()}
    wrong = []
    for layer, text, expected in TABLE["predicates"][name]:
        if layer not in known:
            pytest.skip("the API does not have the test dataset")
        answer = ask.send(known[layer], text)
        found = answer.json().get("numberMatched") if answer.status_code == 200 else answer.told()
        if found != expected:
            wrong.append((layer, text, expected, found))
    assert wrong == []


def logical(ask, name):
    """/conf/…/logical of a class: combinations of its predicates, judged by the sets of their parts."""
    ask.needs(name)
    for collection in ask.collections():
        layer = collection["id"]
        own = [p for at, p, _ in TABLE["predicates"].get(name, []) if at == layer]
        others = [
            p
            for other in NEEDS.get(name, ("basic-cql2",))
            for at, p, _ in TABLE["predicates"][other]
            if at == layer
        ]
        if layer == ODD and name == "array-functions":
            own = [
                f"A_{verb}(tags,('foo','bar'))" for verb in ("CONTAINS", "CONTAINEDBY", "EQUALS", "OVERLAPS")
            ]
            others = ['"管径_mm" > 100', '"名称" IS NULL', '"ratio" < 0', '"已启用" = true']
        if not own or len(own + others) < 4:
            continue
        chance = random.Random(f"{name} {layer}")
        for _ in range(10):
            parts = [chance.choice(own), *chance.sample(own + others, 3)]
            chance.shuffle(parts)
            named = dict(zip(("p1", "p2", "p3", "p4"), parts, strict=True))
            if layer in (PLACES, ODD):
                assert ask.ids(collection, COMBINED.format(**named)) == combined(ask, collection, parts), (
                    parts
                )
            else:
                assert ask.send(collection, COMBINED.format(**named)).status_code == 200, parts


def combined(ask, collection, parts):
    """What COMBINED selects: where a part is true, and where its negation is, the rest being unknown."""
    (t1, f1), (t2, f2), (t3, _), (_, f4) = (
        (ask.ids(collection, p), ask.ids(collection, f"NOT ({p})")) for p in parts
    )
    assert not t1 & f1
    assert not t2 & f2
    return (f1 & t2) | (t3 & f4) | (f1 | f4)
