"""Incidents and latest observations as collections of the OGC API: read like a layer, changed elsewhere."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from layers import load
from layers.errors import BadConfig, BadParameter, Unavailable
from tests.unit.twin.live.rooms import thing
from twin import app, settings

BASE = "http://127.0.0.1"
INCIDENTS, LATEST = "/ogc/collections/incidents", "/ogc/collections/observations_latest"
type Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Requests to a city with three incidents, one of them without a place, and two datastreams."""
    folder = tmp_path_factory.mktemp("city")
    (folder / "city.yml").write_text("themes: []\n", "utf-8")
    city = app.open_city(folder)
    front = app.build(city)
    auth = {"authorization": f"Bearer {city.keys.add('tester')}"}
    city.live.start()
    with asyncio.Runner() as runner:

        def call(method: str, path: str, **more: Any) -> httpx.Response:
            async def main() -> httpx.Response:
                city.bus.bind(asyncio.get_running_loop())
                transport = httpx.ASGITransport(app=cast(Any, front))
                async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=auth) as client:
                    return await client.request(method, path, **more)

            return runner.run(main())

        for number, place in enumerate([{"lon": 24.94, "lat": 60.17}, {"lon": 24.95, "lat": 60.18}, {}], 1):
            made = call("POST", "/incidents", json={"title": f"case {number}", "level": number, **place})
            assert made.status_code == 201
        for name in ("gauge", "other"):
            assert call("POST", "/sta/v1.1/Things", json=thing(name)).status_code == 201
        for number, result in ((1, 1.5), (2, 3.25)):
            made = call("POST", f"/sta/v1.1/Datastreams({number})/Observations", json={"result": result})
            assert made.status_code == 201, made.text
        yield call
    city.live.stop()
    city.close()
    assert list((folder / "derived" / "live").iterdir()) == []


def ids(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["features"]]


def test_they_are_among_the_collections_and_each_link_leads_somewhere(ask: Ask) -> None:
    found = ask("GET", "/ogc/collections?f=json").json()
    assert found["numberMatched"] == len(found["collections"])
    told = {one["id"]: one for one in found["collections"]}
    for name in ("incidents", "observations_latest"):
        assert told[name] == ask("GET", f"/ogc/collections/{name}?f=json").json()
        assert told[name]["itemType"] == "feature"
        for one in told[name]["links"]:
            assert ask("GET", one["href"].removeprefix(BASE)).status_code == 200, one
    html = ask("GET", "/ogc/collections?f=html").text
    assert "incidents" in html


def test_incidents_are_asked_for_as_features_are(ask: Ask) -> None:
    page = ask("GET", f"{INCIDENTS}/items")
    assert page.headers["content-type"] == "application/geo+json"
    assert ids(page) == [1, 2, 3]
    assert page.json()["numberMatched"] == 3
    first = page.json()["features"][0]
    assert first["geometry"] == {"type": "Point", "coordinates": [24.94, 60.17]}
    assert first["properties"]["title"] == "case 1"
    assert first["properties"]["source_id"] == ask("GET", "/incidents/1").json()["code"]
    assert page.json()["features"][2]["geometry"] is None
    # one without a place meets every box (OGC 17-069r4, fc-bbox-response C)
    assert ids(ask("GET", f"{INCIDENTS}/items?bbox=24.93,60.16,24.945,60.175")) == [1, 3]
    assert ids(ask("GET", f"{INCIDENTS}/items?level=2")) == [2]
    assert ids(ask("GET", f"{INCIDENTS}/items", params={"filter": "level >= 2 AND title LIKE 'case%'"})) == [
        2,
        3,
    ]
    assert ids(
        ask("GET", f"{INCIDENTS}/items", params={"filter": "S_INTERSECTS(geometry, POINT(24.95 60.18))"})
    ) == [2]
    assert ids(ask("GET", f"{INCIDENTS}/items?datetime=2001-01-01T00:00:00Z/..")) == [1, 2, 3]
    assert ids(ask("GET", f"{INCIDENTS}/items?datetime=../2001-01-01T00:00:00Z")) == []
    assert ids(ask("GET", f"{INCIDENTS}/items?sortby=-level&limit=2")) == [3, 2]
    assert ask("GET", f"{INCIDENTS}/items?nosuch=1").status_code == 400
    page = ask("GET", f"{INCIDENTS}/items?limit=2")
    (following,) = (one["href"] for one in page.json()["links"] if one["rel"] == "next")
    assert ids(ask("GET", following.removeprefix(BASE))) == [3]


def test_one_and_its_tag(ask: Ask) -> None:
    item = ask("GET", f"{INCIDENTS}/items/2")
    etag = item.headers["etag"]
    assert item.json()["properties"]["status"] == "reported"
    assert ask("GET", f"{INCIDENTS}/items/2", headers={"if-none-match": etag}).status_code == 304
    other = ask("GET", f"{INCIDENTS}/items/1").headers["etag"]
    assert ask("POST", "/incidents/2/actions", json={"action": "accept"}).status_code == 200
    # what was acknowledged is in the next answer, and nothing else has moved
    again = ask("GET", f"{INCIDENTS}/items/2", headers={"if-none-match": etag})
    assert again.status_code == 200
    assert again.json()["properties"]["status"] == ask("GET", "/incidents/2").json()["status"] != "reported"
    assert ask("GET", f"{INCIDENTS}/items/1", headers={"if-none-match": other}).status_code == 304
    assert ask("GET", f"{INCIDENTS}/items/99").status_code == 404
    assert ask("GET", f"{INCIDENTS}/items/x").status_code == 404


def test_the_latest_of_each_datastream(ask: Ask) -> None:
    found = ask("GET", f"{LATEST}/items").json()["features"]
    assert [one["properties"]["result"] for one in found] == [1.5, 3.25]
    assert [one["id"] for one in found] == [1, 2]
    assert found[0]["properties"]["source_id"] == "Datastreams(1)"
    assert found[0]["geometry"]["type"] == "Point"
    assert ids(ask("GET", f"{LATEST}/items", params={"filter": "result > 2"})) == [2]
    assert ask("POST", "/sta/v1.1/Datastreams(1)/Observations", json={"result": 7}).status_code == 201
    assert ids(ask("GET", f"{LATEST}/items?result=7")) == [1]


@pytest.mark.parametrize("here", [INCIDENTS, LATEST])
def test_every_form_and_document_is_there(ask: Ask, here: str) -> None:
    for form in ("json", "html", "jsonfg", "fgb", "csv"):
        found = ask("GET", f"{here}/items", params={"f": form})
        assert found.status_code == 200, (form, found.text)
        assert found.content
    for form in ("json", "html", "jsonfg"):
        assert ask("GET", f"{here}/items/1", params={"f": form}).status_code == 200
    queryables = ask("GET", f"{here}/queryables").json()["properties"]
    assert {"id", "geometry", "state" if "latest" in here else "status"} <= queryables.keys()
    for path in ("/queryables?f=html", "/schema", "/sortables", "/schema/geojson", "?f=html"):
        assert ask("GET", here + path).status_code == 200
    html = ask("GET", f"{here}/items?f=html").text
    assert "download" not in html
    one = ask("GET", f"{here}/items/1?f=html").text
    assert f"/#s={'sensor' if 'latest' in here else 'incident'}:1" in one


@pytest.mark.parametrize("here", [INCIDENTS, LATEST])
def test_nobody_edits_them_here(ask: Ask, here: str) -> None:
    feature = json.dumps({"type": "Feature", "geometry": None, "properties": {}})
    for method, path in (
        ("POST", "/items"),
        ("PUT", "/items/1"),
        ("PATCH", "/items/1"),
        ("DELETE", "/items/1"),
    ):
        refused = ask(method, here + path, content=feature, headers={"content-type": "application/geo+json"})
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert ask("OPTIONS", f"{here}/items").headers["allow"] == "GET, HEAD, OPTIONS"


def test_the_api_document_tells_of_them(ask: Ask) -> None:
    paths = ask("GET", "/ogc/api").json()["paths"]
    for name in ("incidents", "observations_latest"):
        items = paths[f"/collections/{name}/items"]
        assert items.keys() & {"get", "post", "put"} == {"get"}
        assert {"bbox", "datetime", "filter", "limit"} <= {one["name"] for one in items["get"]["parameters"]}


@contextmanager
def no_room() -> Iterator[None]:
    """No byte more is written to a file while this lasts, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_without_room_for_their_copy_they_say_so_and_come_back(ask: Ask) -> None:
    before = ids(ask("GET", f"{INCIDENTS}/items"))
    assert ask("POST", "/incidents", json={"title": "one more"}).status_code == 201
    with no_room():
        refused = ask("GET", f"{INCIDENTS}/items")
        assert (refused.status_code, "derived/live" in refused.json()["detail"]) == (503, True), refused.text
        assert ask("GET", "/incidents").status_code == 200
    assert len(ids(ask("GET", f"{INCIDENTS}/items"))) == len(before) + 1


def test_without_room_to_begin_their_copy_they_say_so_and_come_back(tmp_path: Path) -> None:
    (tmp_path / "city.yml").write_text("themes: []\n", "utf-8")
    city = app.open_city(tmp_path)
    for _ in range(2):
        with no_room(), pytest.raises(Unavailable, match="derived/live cannot be written"):
            city.live_layers.view()
    assert list((tmp_path / "derived" / "live").iterdir()) == []
    city.live_layers.refresh("incidents")
    city.close()


@pytest.mark.parametrize("name", ["incidents", "observations_latest"])
def test_no_layer_takes_their_name(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("file") / "x.geojson"
    file.write_text('{"type": "FeatureCollection", "features": []}')
    with pytest.raises(BadParameter, match="live data"):
        load.run(cast(Any, None), file, layer_id=name)
    with pytest.raises(BadConfig, match="live data"):
        settings.parse(f"layers: {{{name}: {{visible: true}}}}\n")
