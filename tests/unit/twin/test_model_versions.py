"""Model versions over HTTP: listed, compared, made current, and no part of anything else until then."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from layers import load
from layers.models import check_in
from layers.source import Declared
from tests.guests import KeyOrGuest
from tests.storing import square
from twin import app
from twin.access.rights import WHOLE, Share
from twin.city import City

BASE = "http://127.0.0.1"
GEOJSON = {"content-type": "application/geo+json"}
MODEL = "/ogc/collections/model"
type Ask = Callable[..., httpx.Response]


class Guests(KeyOrGuest):
    """Whoever has no key sees of the model neither the west nor the levels, and nothing of ``secret``."""

    def share(self, rights: str, layer: Any) -> Share | None:
        if layer.id == "secret":
            return None
        names = frozenset({"name", "height_m", "code"})
        return (
            Share(names, 'S_INTERSECTS("geometry", BBOX(25.005, 59, 26, 61))')
            if layer.id == "model"
            else WHOLE
        )


def write(path: Path, *rows: tuple[str, float, dict[str, Any]]) -> Path:
    features = [
        {
            "type": "Feature",
            "properties": {
                "source_id": name,
                "name": f"element {name}",
                "height_m": 5,
                "levels": 1,
                **values,
            },
            "geometry": json.loads(json.dumps(square(lon, 60).__geo_interface__)),
        }
        for name, lon, values in rows
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    folder = tmp_path_factory.mktemp("city")
    (folder / "city.yml").write_text("themes: []\nlayers:\n  secret: {locking: strict}\n", "utf-8")
    opened = app.open_city(folder, rights=Guests())
    store = opened.store
    first = write(folder / "a.geojson", ("a", 25, {}), ("b", 25.01, {}), ("c", 25.02, {}), ("d", 25.03, {}))
    second = write(
        folder / "b.geojson", ("a", 25, {"levels": 7}), ("b", 25.011, {}), ("c", 25.02, {}), ("e", 25.04, {})
    )
    house = write(folder / "h.geojson", ("house", 25, {"height_m": 50}))
    for layer, file, kind in (
        ("model", first, "cim"),
        ("secret", first, "cim"),
        ("houses", house, "building"),
    ):
        load.run(store, file, Declared(kind=kind), layer_id=layer)
    for layer in ("model", "secret"):
        check_in.check_in(store, layer, "as built")
        check_in.check_in(store, layer, "报建 2", second)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def ask(city: City) -> Iterator[Ask]:
    front = app.build(city)
    auth = {"authorization": f"Bearer {city.keys.add('chief')}"}
    with asyncio.Runner() as runner:

        def call(method: str, path: str, *, chief: bool = True, **more: Any) -> httpx.Response:
            async def main() -> httpx.Response:
                city.bus.bind(asyncio.get_running_loop())
                transport = httpx.ASGITransport(app=cast(Any, front))
                headers = {**(auth if chief else {}), **more.pop("headers", {})}
                async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
                    return await client.request(method, path, **more)

            return runner.run(main())

        yield call


def kinds(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    return {one["element"]: one["change"] for one in answer.json()["changes"]}


def test_they_are_listed_beside_their_layer(ask: Ask) -> None:
    listed = ask("GET", f"{MODEL}/model-versions").json()["modelVersions"]
    told = [(one["name"], one["number"], one["layer"], one["elements"], one["current"]) for one in listed]
    assert told == [("as built", 1, "model__1", 4, False), ("报建 2", 2, "model__2", 4, False)]
    links = ask("GET", MODEL).json()["links"]
    assert [one["href"] for one in links if one["rel"] == "version-history"] == [
        f"{BASE}{MODEL}/model-versions"
    ]
    links = ask("GET", f"{MODEL}__2").json()["links"]
    assert [one["href"] for one in links if one["rel"] == "latest-version"] == [f"{BASE}{MODEL}"]
    assert ask("GET", "/ogc/collections/nosuch/model-versions").status_code == 404


def test_what_is_different_is_told_by_element(ask: Ask) -> None:
    path = f"{MODEL}/model-versions/changes"
    answer = ask("GET", path, params={"to": "报建 2"})
    assert kinds(answer) == {"a": "changed", "b": "moved", "d": "removed", "e": "added"}
    document = answer.json()
    counts = {name: document["summary"][name] for name in ("added", "removed", "moved", "changed", "same")}
    assert counts == {"added": 1, "removed": 1, "moved": 1, "changed": 1, "same": 1}
    by_id = {one["element"]: one for one in document["changes"]}
    assert by_id["a"]["fields"] == {"levels": {"old": 1, "new": 7}}
    assert by_id["b"]["distance_m"] == pytest.approx(55.8, abs=0.1)  # 0.001 degrees of longitude at 60 N
    assert by_id["d"]["layer"] == "model"
    assert by_id["e"]["layer"] == "model__2"
    assert kinds(ask("GET", path)) == kinds(answer)  # the newest
    links = ask("GET", path, params={"limit": 1}).json()["links"]
    (more,) = [one["href"] for one in links if one["rel"] == "next"]
    assert httpx.URL(more).params["to"] == "报建 2"  # whatever is checked in meanwhile
    houses = ask("GET", "/ogc/collections/houses/model-versions/changes")
    assert (kinds(houses), houses.json()["summary"]["same"]) == ({}, 1)
    assert kinds(ask("GET", path, params={"after": "d" * 1_000})) == {"e": "added"}
    other = ask("GET", path, params={"from": "报建 2", "to": "as built"})
    assert kinds(other) == {"a": "changed", "b": "moved", "d": "added", "e": "removed"}
    features = ask("GET", path, params={"to": "报建 2", "f": "geojson"})
    assert features.headers["content-type"].startswith("application/geo+json")
    shapes = {one["properties"]["element"]: one for one in features.json()["features"]}
    assert "oldGeometry" in shapes["b"]
    assert "oldGeometry" not in shapes["a"]
    east = ask("GET", path, params={"to": "报建 2", "bbox": "25.035,59,26,61", "limit": 1})
    assert kinds(east) == {"e": "added"}
    assert not [one for one in east.json()["links"] if one["rel"] == "next"]
    pages, href = [], f"{path}?to={'报建 2'}&limit=3"
    while href:
        page = ask("GET", href).json()
        pages.append([one["element"] for one in page["changes"]])
        href = next((one["href"] for one in page["links"] if one["rel"] == "next"), "")
    assert pages == [["a", "b", "d"], ["e"]]


def test_who_sees_a_part_is_told_of_that(ask: Ask) -> None:
    answer = ask("GET", f"{MODEL}/model-versions/changes", params={"to": "报建 2"}, chief=False)
    assert kinds(answer) == {"b": "moved", "d": "removed", "e": "added"}
    assert "levels" not in answer.text
    for layer in ("secret", "secret__1", "secret__2"):
        assert ask("GET", f"/ogc/collections/{layer}", chief=False).status_code == 404
        assert ask("GET", f"/ogc/collections/{layer}/items", chief=False).status_code == 404
    assert ask("GET", "/ogc/collections/secret/model-versions", chief=False).status_code == 404
    items = ask("GET", f"{MODEL}__2/items", chief=False).json()["features"]
    assert sorted(one["properties"]["name"] for one in items) == ["element b", "element c", "element e"]
    assert all("levels" not in one["properties"] for one in items)
    refused = ask("PUT", f"{MODEL}/model-versions/current", json={"name": "as built"}, chief=False)
    assert refused.status_code == 401


def test_a_version_that_waits_is_part_of_nothing_else(ask: Ask) -> None:
    feature = {"type": "Feature", "geometry": None, "properties": {}}
    for method, path in (("POST", "items"), ("DELETE", "items/1"), ("PUT", "items/1")):
        more = {} if method == "DELETE" else {"content": json.dumps(feature), "headers": GEOJSON}
        refused = ask(method, f"{MODEL}__1/{path}", **more)
        assert refused.status_code in (403, 405), (method, refused.text)
    found = ask("GET", "/search", params={"q": "element c"}).json()["features"]
    assert {one["properties"].get("layer") for one in found} == {"model", "secret"}
    (house,) = ask("GET", "/ogc/collections/houses/items").json()["features"]
    related = ask("GET", f"/ogc/collections/houses/items/{house['id']}/related").json()
    parts = [one["href"] for one in related["links"] if one["rel"].endswith("hasPart")]
    assert len(parts) == 2, parts
    assert not any("__" in one for one in parts)
    listed = {one["id"]: one["visible"] for one in ask("GET", "/config.json").json()["layers"]}
    assert (listed["model"], listed["model__1"]) == (True, False)


def test_bad_questions(ask: Ask) -> None:
    path = f"{MODEL}/model-versions/changes"
    for params, status in (
        ({"to": "nothing"}, 404),
        ({"to": "as built", "from": "nothing"}, 404),
        ({"to": "as built", "limit": "0"}, 400),
        ({"to": "as built", "f": "csv"}, 400),
        ({"of": "as built"}, 400),
    ):
        assert ask("GET", path, params=params).status_code == status, params
    clashes = f"{MODEL}/model-versions/clashes"
    for wrong, status in (({}, 400), ([], 400), ({"version": 1}, 400), ({"version": "nothing"}, 404)):
        assert ask("POST", clashes, json=wrong).status_code == status, wrong
    # a job waits until it is done: who starts one is known
    assert ask("POST", clashes, json={"version": "报建 2"}, chief=False).status_code == 401
    here = f"{MODEL}/model-versions/current"
    for body, status in (({"name": "nothing"}, 404), ({"name": 1}, 400), ({}, 400), ([], 400)):
        assert ask("PUT", here, json=body).status_code == status, body


def test_made_current_over_http(ask: Ask) -> None:
    """The last of this module: the layer is another one after it."""
    path = f"{MODEL}/model-versions"
    seen = ask("GET", f"{path}/changes", params={"to": "报建 2"}).headers["etag"]
    assert ask("GET", path).headers["etag"] == seen
    body = {"json": {"name": "报建 2"}}
    assert ask("PUT", f"{path}/current", headers={"if-match": '"another"'}, **body).status_code == 412
    assert ask("PUT", f"{path}/current", headers={"if-match": "not quoted"}, **body).status_code == 400
    merge = {"content-type": "application/merge-patch+json"}
    item = f"{MODEL}/items/1"
    assert ask("PATCH", item, headers=merge, json={"properties": {"levels": 5}}).status_code == 204
    stale = ask("PUT", f"{path}/current", headers={"if-match": seen}, **body)
    assert (stale.status_code, stale.json()["code"]) == (412, "PreconditionFailed")
    strict = ask("PUT", "/ogc/collections/secret/model-versions/current", **body)
    assert (strict.status_code, strict.json()["code"]) == (428, "PreconditionRequired")
    seen = ask("GET", path).headers["etag"]
    made = ask("PUT", f"{path}/current", headers={"if-match": f'"x", {seen}'}, **body)
    assert made.status_code == 200, made.text
    assert made.headers["etag"] == ask("GET", path).headers["etag"] != seen
    assert [one["current"] for one in made.json()["modelVersions"]] == [False, True]
    assert kinds(ask("GET", f"{path}/changes", params={"to": "报建 2"})) == {}
    sets = ask("GET", "/ogc/change-sets", params={"layer": "model", "limit": 1}).json()["changeSets"]
    assert (sets[0]["actor"], sets[0]["via"]) == ("chief", "load")
    assert kinds(ask("GET", f"{path}/changes", params={"from": "报建 2", "to": "as built"}))["d"] == "added"
