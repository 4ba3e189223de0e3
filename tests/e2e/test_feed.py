"""The feed at the real process: pages and streams, over each store."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.bench.feed import readers, waits
from tests.e2e import both
from tests.e2e.edits import item, patch, post
from tests.e2e.events import stream
from tests.support import Server, until

server = both.server


def page(server: Server, **params: Any) -> dict[str, Any]:
    answer = server.http.get("/changes", params=params)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def some(server: Server, layer: str = "buildings", count: int = 5) -> list[dict[str, Any]]:
    found = server.http.get(f"/ogc/collections/{layer}/items", params={"limit": 100}).json()["features"]
    return [one for one in found if one["geometry"]["type"] == "Polygon"][:count]


def kinds(document: dict[str, Any]) -> dict[int, str]:
    return {one["id"]: one["change"] for one in document["features"]}


def served(server: Server, tile: dict[str, str]) -> bool:
    """Whether a tile is served in the version that was told."""
    answer = server.http.get(f"/{tile['url']}")
    return answer.status_code in (200, 204) and answer.headers["etag"].strip('"') == tile["version"]


def test_pages_go_on_where_the_last_one_ended(server: Server) -> None:
    begin = page(server)
    assert (begin["features"], begin["complete"], begin["reset"]) == ([], True, False)
    first, second, third, *_ = some(server)
    assert patch(server, item("buildings", first["id"]), {"properties": {"name": "yksi"}}).is_success
    assert patch(server, item("buildings", first["id"]), {"properties": {"name": "kaksi"}}).is_success
    assert server.http.delete(item("buildings", second["id"]), headers=server.auth).status_code == 204
    new = {"type": "Feature", "properties": {"name": "uusi"}, "geometry": third["geometry"]}
    made = int(post(server, "buildings", new).headers["location"].rsplit("/", 1)[1])
    told = page(server, after=begin["cursor"])
    assert kinds(told) == {first["id"]: "changed", second["id"]: "removed", made: "added"}
    etag = server.http.get(item("buildings", first["id"])).headers["etag"].strip('"')
    changed = next(one for one in told["features"] if one["id"] == first["id"])
    assert changed["seq"] == int(etag.rsplit("-", 1)[1])
    sets = server.http.get("/ogc/changes", params={"set": changed["set"]}).json()["changes"]
    assert [one["id"] for one in sets] == [first["id"]]
    urls = {tile["url"] for tile in told["tiles"]}
    assert any(url.startswith("tiles/buildings/16/") for url in urls)
    assert any(url.endswith(".glb") for url in urls)
    assert "3dtiles/buildings/tileset.json?bounds=edits" in urls
    assert all(served(server, tile) for tile in told["tiles"])
    assert page(server, after=told["cursor"])["features"] == []
    following = next(one["href"] for one in told["links"] if one["rel"] == "next")
    assert server.http.get(following).json()["cursor"] == told["cursor"]
    halves, cursor = [], begin["cursor"]
    while cursor != told["cursor"]:
        part = page(server, after=cursor, limit=1)
        halves += [one["id"] for one in part["features"]]
        assert part["complete"] == (part["cursor"] == told["cursor"])
        cursor = part["cursor"]
    assert sorted(halves) == sorted(kinds(told))
    assert page(server, after=begin["cursor"], layers="addresses")["features"] == []


def test_a_stream_tells_once_tiles_are_served_and_goes_on_after_any_time(server: Server) -> None:
    *_, fourth, fifth = some(server)
    with stream(server, path="/changes") as events:
        _, begin, hello = events.next("hello")
        assert hello == {"cursor": begin}
        assert patch(server, item("buildings", fourth["id"]), {"properties": {"name": "nyt"}}).is_success
        _, last, told = events.next("changes")
        assert (kinds(told), told["cursor"]) == ({fourth["id"]: "changed"}, last)
        assert all(served(server, tile) for tile in told["tiles"])
    assert patch(server, item("buildings", fifth["id"]), {"properties": {"name": "sitten"}}).is_success
    with stream(server, last, "/changes") as events:
        assert kinds(events.next("changes")[2]) == {fifth["id"]: "changed"}
    with stream(server, path="/changes", after=begin, layers="buildings") as events:
        assert kinds(events.next("changes")[2]) == {fourth["id"]: "changed", fifth["id"]: "changed"}


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"after": "yesterday"}, 400),
        ({"after": "@1e3"}, 400),
        ({"after": "@999999999"}, 400),
        ({"after": "2030-01-01T00:00:00Z"}, 400),
        ({"after": "2026-01-01T00:00:00"}, 400),
        ({"layers": "nosuch"}, 404),
        ({"layers": "buildings,buildings"}, 400),
        ({"layers": "Buildings!"}, 400),
        ({"bbox": "1,2,3"}, 400),
        ({"limit": "0"}, 400),
        ({"limit": "10001"}, 400),
        ({"limit": "5", "f": "sse"}, 400),
        ({"f": "html"}, 400),
        ({"nosuch": "1"}, 400),
    ],
)
def test_what_is_wrong_is_told(server: Server, params: dict[str, str], status: int) -> None:
    for form in ({}, {"accept": "text/event-stream"}):
        answer = server.http.get("/changes", params=params, headers=form)
        if form and "limit" in params and status == 400:
            assert answer.status_code == 400
        assert answer.status_code == status, answer.text
        assert next(iter(params.values()))[:8] in answer.text or next(iter(params)) in answer.text


def test_a_cursor_of_another_history_is_a_reset(server: Server) -> None:
    now = page(server)["cursor"]
    for other in ("0123456789ab-1", f"{now.rsplit('-', 1)[0]}-999999999"):
        told = page(server, after=other)
        assert (told["reset"], told["cursor"], told["features"]) == (True, now, [])
        with stream(server, other, "/changes") as events:
            assert events.next("changes")[2]["reset"] is True
    accepted = server.http.get("/changes", headers={"accept": "image/png"})
    assert accepted.status_code == 406
    assert until(lambda: httpx.head(f"{server.url}/changes").status_code == 200)


def test_equal_readers_all_have_an_edit_soon(server: Server) -> None:
    """A few of those whom ``make bench`` counts."""
    (one,) = some(server, count=1)
    with readers(server.url, 60, "?layers=buildings") as crowd:
        found = waits(server, crowd, "buildings", one["id"], 2)
        assert len(found) == 120
        assert found[60] < 10
