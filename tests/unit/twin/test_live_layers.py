"""Incidents and latest observations as collections of the OGC API: read like a layer, changed elsewhere."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from layers import load
from layers.errors import BadConfig, BadParameter, Unavailable
from tests.support import no_room
from tests.unit.twin.live.rooms import thing
from twin import app, settings
from twin.live.clock import iso, now_ms

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


def tick() -> str:
    """An instant of its own: nothing that follows is of its millisecond."""
    time.sleep(0.002)
    now = iso(now_ms())
    time.sleep(0.002)
    return now


def test_incidents_of_an_instant_are_those_of_their_log(ask: Ask) -> None:
    first, then = ask("GET", f"{INCIDENTS}/items"), tick()
    one = ask("GET", f"{INCIDENTS}/items/1").json()
    assert one["properties"]["status"] == "reported"
    assert ask("POST", "/incidents/1/actions", json={"action": "accept"}).status_code == 200
    moved = tick()
    assert ask("POST", "/incidents", json={"title": "case 4", "level": 4}).status_code == 201

    def at(query: str = "", instant: str = then, path: str = "/items") -> httpx.Response:
        answer = ask("GET", f"{INCIDENTS}{path}?at={instant}{query}")
        assert answer.status_code == 200, answer.text
        return answer

    was = at()
    assert was.json()["features"] == first.json()["features"]
    assert was.json()["numberMatched"] == 3
    assert was.headers["cache-control"] == "no-cache"
    assert was.headers["memento-datetime"].endswith("GMT")
    original = f'<{BASE}{INCIDENTS}/items>; rel="original"'
    assert original in was.headers.get_list("link")
    assert 1 in ids(at("&status=reported"))
    assert 1 not in ids(at("&status=reported", moved))
    assert ids(at("&filter=level < 2 AND status = 'accepted'", moved)) == [1]
    assert ids(at("&bbox=24.93,60.16,24.945,60.175&sortby=-level", moved)) == [3, 1]
    assert at(path="/items/1").json()["properties"] == one["properties"]
    assert at(path="/items/1", instant=moved).json()["properties"]["status"] == "accepted"
    assert ask("GET", f"{INCIDENTS}/items/4?at={moved}").status_code == 404
    assert ids(at(instant="2001-01-01T00:00:00Z")) == []
    # from page to page, and through every form and document
    page = at("&limit=2").json()
    (following,) = (one["href"] for one in page["links"] if one["rel"] == "next")
    assert f"at={then}" in following.replace("%3A", ":")
    assert ids(ask("GET", following.removeprefix(BASE))) == [3]
    (owner,) = (one["href"] for one in page["links"] if one["rel"] == "collection")
    told = ask("GET", owner.removeprefix(BASE)).json()
    assert all(f"at={then}" in one["href"] for one in told["links"])
    assert "as-of" in at("&f=html").text
    for form in ("jsonfg", "fgb", "csv"):
        assert at(f"&f={form}").content
    tag = at().headers["etag"]
    again = ask("GET", f"{INCIDENTS}/items?at={then}", headers={"if-none-match": tag})
    assert again.status_code == 304
    # and what is now is not touched by it
    assert ids(ask("GET", f"{INCIDENTS}/items?level=4")) == [4]


def test_the_latest_of_an_instant_is_what_was_read_up_to_it(ask: Ask) -> None:
    now = ask("GET", f"{LATEST}/items").json()["features"]
    limits = [{"level": "red", "side": "above", "raise": 10, "clear": 5}]
    stream = ask("GET", "/sta/v1.1/Datastreams(1)").json()
    properties = {**stream.get("properties", {}), "thresholds": limits}
    assert ask("PATCH", "/sta/v1.1/Datastreams(1)", json={"properties": properties}).status_code == 200

    def send(minute: int, result: float) -> None:
        body = {"phenomenonTime": f"2020-05-01T12:{minute:02}:00Z", "result": result}
        assert ask("POST", "/sta/v1.1/Datastreams(1)/Observations", json=body).status_code == 201

    def at(minute: int, query: str = "") -> list[dict[str, Any]]:
        answer = ask("GET", f"{LATEST}/items?at=2020-05-01T12:{minute:02}:30Z{query}")
        assert answer.status_code == 200, answer.text
        return [one["properties"] for one in answer.json()["features"]]

    for minute, result in enumerate([1, 11, 7, 4, 7]):
        send(minute, result)
    assert [[one["result"] for one in at(minute)] for minute in range(5)] == [[1], [11], [7], [4], [7]]
    assert [at(minute)[0]["state"] for minute in range(5)] == ["ok", "red", "red", "ok", "ok"]
    assert [one["phenomenon_time"] for one in at(2)] == ["2020-05-01T12:02:00Z"]
    assert at(2, "&filter=result > 9") == []
    assert ask("GET", f"{LATEST}/items?at=2020-05-01T11:00:00Z").json()["features"] == []
    assert ask("GET", f"{LATEST}/items/2?at=2020-05-01T12:02:00Z").status_code == 404
    # of the same question another answer, once a reading comes late
    send(5, 3)
    assert at(59)[0]["result"] == 3
    latest = ask("GET", f"{LATEST}/items").json()["features"]
    assert [one["properties"]["result"] for one in latest] == [one["properties"]["result"] for one in now]


def test_what_is_no_instant_is_refused(ask: Ask) -> None:
    for here in (INCIDENTS, LATEST):
        for path in ("/items", "/items/1", "", "/schema"):
            for instant in ("yesterday", "2026-11-29T12:00:00", "2199-01-01T00:00:00Z", "@x", "@9999999"):
                answer = ask("GET", f"{here}{path}?at={instant}")
                assert answer.status_code == 400, (path, instant, answer.text)
        assert ask("GET", f"{here}/items?at=2020-01-01T00:00:00Z&at=2020-01-01T00:00:00Z").status_code == 400
        assert ask("GET", f"{here}/tiles?at=2020-01-01T00:00:00Z").status_code == 404


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
        assert {"at", "bbox", "datetime", "filter", "limit"} <= {
            one["name"] for one in items["get"]["parameters"]
        }


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
