"""Boxes and filters that match much, and what they cost the other clients."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.postgres import Cluster
from tests.support import Server, city_at, twin

ROWS = 50_000
ITEMS = "/ogc/collections/trees/items"
WEST = "24.9,60.1,24.96,60.3"
#: Legal, and so much work for each feature that a query of it lasts until its time is over.
SLOW = " OR ".join(f"CASEI(name) LIKE '%no{i}where%'" for i in range(180))
PLACES = 4
SECONDS = 1.0


@pytest.fixture(scope="module")
def points() -> list[tuple[float, float]]:
    """Where the trees are: the n-th has the id n + 1."""
    draw = random.Random(6)
    return [(24.9 + draw.random() / 10, 60.15 + draw.random() / 10) for _ in range(ROWS)]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, points: list[tuple[float, float]]) -> Path:
    """The trees as a file."""
    path = tmp_path_factory.mktemp("trees") / "trees.geojsonl"
    with path.open("w", encoding="utf-8") as out:
        for number, point in enumerate(points):
            feature = {
                "type": "Feature",
                "properties": {"name": f"tree {number}", "rank": number % 10},
                "geometry": {"type": "Point", "coordinates": point},
            }
            out.write(json.dumps(feature) + "\n")
    return path


@pytest.fixture(scope="module", params=["geopackage", "postgis"])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, file: Path
) -> Iterator[Server]:
    """A server on a city of 50 000 trees, over each store."""
    folder = tmp_path_factory.mktemp("large") / "city"
    if request.param == "geopackage":
        twin("init", str(folder))
    else:
        cluster: Cluster = request.getfixturevalue("postgres")
        city_at(folder, cluster.database())
    twin("load", str(file), "--as", "trees", "--kind", "feature", "--city", str(folder))
    server = Server.start(folder)
    yield server
    server.stop()


def west(points: list[tuple[float, float]]) -> list[int]:
    """The ids in the western box."""
    return [number for number, (lon, _) in enumerate(points, 1) if lon <= 24.96]


def walked(server: Server, asked: dict[str, str]) -> list[int]:
    """The ids of every page in order; none tells how many match, for they would have to be counted."""
    answer = server.http.get(ITEMS, params=asked)
    seen = list[int]()
    while True:
        page = answer.json()
        assert "numberMatched" not in page
        seen += [feature["id"] for feature in page["features"]]
        if "next" not in answer.links:
            return seen
        answer = server.http.get(answer.links["next"]["url"])


def test_a_wide_box_is_paged(running: Server, points: list[tuple[float, float]]):
    expected = west(points)
    assert len(expected) > 20_000
    assert walked(running, {"bbox": WEST, "limit": "5000"}) == expected


def test_a_page_has_ten_thousand_features_whatever_is_asked(running: Server):
    """Part 1, /req/core/fc-limit-response-1: the server's maximum holds; what is left is linked."""
    answer = running.http.get(ITEMS, params={"limit": "100000"})
    page = answer.json()
    assert (page["numberMatched"], page["numberReturned"], len(page["features"])) == (ROWS, 10_000, 10_000)
    following = running.http.get(answer.links["next"]["url"]).json()
    assert [page["features"][-1]["id"], following["features"][0]["id"]] == [10_000, 10_001]


@pytest.mark.parametrize("order", ["", "-rank"])
def test_a_filter_of_much_is_paged(running: Server, points: list[tuple[float, float]], order: str):
    expected = [fid for fid in west(points) if (fid - 1) % 10 >= 3]
    asked = {"bbox": WEST, "filter": "rank >= 3", "limit": "9000"} | ({"sortby": order} if order else {})
    assert len(expected) > 20_000
    seen = walked(running, asked)
    assert seen == (sorted(expected, key=lambda fid: (-((fid - 1) % 10), fid)) if order else expected)


def slow(server: Server, seconds: float = 30.0) -> tuple[float, httpx.Response]:
    """How long a slow query took, and its answer; the client waits for so long."""
    began = time.monotonic()
    answer = httpx.get(server.url + ITEMS, params={"filter": SLOW}, timeout=seconds)
    return time.monotonic() - began, answer


def test_slow_queries_hold_up_no_light_one(running: Server):
    """Four at a time run until their time is over; whoever comes beyond them is told to come again."""
    with ThreadPoolExecutor(PLACES + 2) as pool:
        asked: list[Future[tuple[float, httpx.Response]]] = []
        for _ in range(PLACES + 2):
            asked.append(pool.submit(slow, running))
        took: list[float] = []
        # of the six, two are refused first; until another ends, the places are taken
        while sum(one.done() for one in asked) <= 2 and len(took) < 50:
            number = len(took)
            path = (f"{ITEMS}/{number + 1}", f"{ITEMS}?limit=10", f"{ITEMS}?bbox=24.95,60.2,24.951,60.201")
            before = time.monotonic()
            assert running.http.get(path[number % 3]).status_code == 200
            took.append(time.monotonic() - before)
        assert len(took) >= 10
        answers = [one.result() for one in asked]
    assert max(took) < SECONDS
    for _, answer in answers:
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
    refused = [seconds for seconds, answer in answers if "too many long queries" in answer.json()["detail"]]
    ended = [seconds for seconds, answer in answers if "took too long" in answer.json()["detail"]]
    assert (len(refused), len(ended)) == (2, PLACES)
    assert max(refused) < min(ended)


def test_who_goes_away_gives_the_place_back(running: Server):
    """A map client cancels what it asked for a view that has moved on."""

    def leave() -> None:
        with pytest.raises(httpx.ReadTimeout):
            slow(running, 0.3)

    with ThreadPoolExecutor(PLACES) as pool:
        for one in [pool.submit(leave) for _ in range(PLACES)]:
            one.result()
    before = time.monotonic()
    answer = running.http.get(ITEMS, params={"filter": "rank = 3", "limit": "1"})
    assert answer.status_code == 200, answer.text
    assert time.monotonic() - before < 2
