"""Downloads while something happens: edits, loads, clients that go, servers and disks that fail."""

from __future__ import annotations

import http.client
import json
import os
import resource
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import yaml

from layers.store.database import Database
from layers.store.open import open_store
from tests.e2e import downloads
from tests.e2e.downloads import DOWNLOAD, FILES, MANY, NAME_BYTES, Start, asked, fill, get, left, slow
from tests.postgres import Cluster
from tests.storing import grid, load, spec
from tests.support import Server, copy_city, until

city = downloads.city
served = downloads.served
own = downloads.own


@pytest.fixture(scope="module")
def name_bytes() -> int:
    """Long names: what a slow client has not taken is still to be sent."""
    return NAME_BYTES


def test_one_moment_whatever_happens_meanwhile(served: Server) -> None:
    """Edits made after the first byte change nothing of the rest."""
    last, gone = MANY, MANY - 1
    item = f"/ogc/collections/buildings/items/{last}"
    before = get(served, item).json()["properties"]["name"]
    etag = served.http.head(DOWNLOAD).headers["etag"]
    with slow(served, DOWNLOAD) as client:
        begin = client.answer.read(1000)
        changed = served.http.patch(
            item,
            json={"properties": {"name": "edited meanwhile"}},
            headers={**served.auth, "content-type": "application/merge-patch+json"},
        )
        assert changed.status_code in (200, 204), changed.text
        removed = served.http.delete(f"/ogc/collections/buildings/items/{gone}", headers=served.auth)
        assert removed.status_code in (200, 204), removed.text
        features = {f["id"]: f for f in json.loads(begin + client.answer.read())["features"]}
    assert len(features) == MANY
    assert features[last]["properties"]["name"] == before
    after = {f["id"]: f for f in get(served, filter="levels >= 0").json()["features"]}
    assert gone not in after
    assert after[last]["properties"]["name"] == "edited meanwhile"
    again = served.http.get(DOWNLOAD, params={"levels": "99"}, headers={"if-none-match": etag})
    assert (again.status_code, again.headers["etag"] != etag) == (200, True)
    back = {
        "type": "Feature",
        "geometry": features[gone]["geometry"],
        "properties": features[gone]["properties"],
    }
    posted = served.http.post(
        "/ogc/collections/buildings/items",
        json=back,
        headers={**served.auth, "content-type": "application/geo+json"},
    )
    assert posted.status_code == 201, posted.text


def test_two_at_a_time_and_a_client_that_goes_gives_its_place_back(served: Server) -> None:
    with ExitStack() as clients:
        clients.enter_context(slow(served, DOWNLOAD))
        # without a key an address has one place, so that it never has all
        again = get(served)
        assert (again.status_code, "your address" in again.json()["detail"]) == (503, True)
        clients.enter_context(slow(served, DOWNLOAD, served.key))
        refused = served.http.get(DOWNLOAD, headers=served.auth)
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        assert "2 downloads" in refused.json()["detail"]
        assert get(served, "/ogc/collections/buildings/items").status_code == 200
    assert until(lambda: get(served, bbox="25,60,25.01,60.01").status_code == 200, 20)


def test_a_load_meanwhile_changes_nothing_of_it(own: Path, serve: Start) -> None:
    """All of one generation, however long the client takes; the load does not wait for it."""
    server = serve(own)
    url = yaml.safe_load((own / "city.yml").read_text("utf-8")).get("store")
    with closing(open_store(own, Database(url) if url else None)) as store:
        fill(store, "loaded")
        path = DOWNLOAD.replace("buildings", "loaded")
        with slow(server, path) as client:
            begin = client.answer.read(1000)
            load(store, spec("loaded"), [one | {"name": "new"} for one in grid(10)])
            features = json.loads(begin + client.answer.read())["features"]
        assert [f["id"] for f in features] == list(range(1, MANY + 1))
        assert {f["properties"]["seen"] for f in features} == {"2024-02-29T12:00:00.000Z"}
        assert [f["properties"]["name"] for f in get(server, path).json()["features"]] == ["new"] * 10
        store.drop("loaded")


def test_a_killed_server_is_seen_by_the_client_and_cleans_up(own: Path, serve: Start) -> None:
    server = serve(own, clean=False)
    with slow(server, DOWNLOAD) as client:
        client.answer.read(1000)
        server.kill()
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            client.answer.read()
    server.stop()

    server = serve(own, clean=False)
    with asked(server, "gpkg"):
        until(lambda: left(server), 20, "a file being made")
        server.kill()
    server.stop()
    assert left(server) != []
    following = serve(own)
    assert left(following) == []
    following.stop()


def test_a_server_that_stops_says_so_and_removes_the_file(own: Path, serve: Start) -> None:
    server = serve(own)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(get, server, f="gpkg")
        until(lambda: left(server), 20, "a file being made")
        server.process.send_signal(signal.SIGTERM)
        answer = waiting.result(30)
    assert (answer.status_code, answer.json()["detail"]) == (503, "the server is stopping; try again soon")
    server.process.wait(10)
    assert left(server) == []


def test_a_client_that_goes_while_the_file_is_made(served: Server) -> None:
    with asked(served, "shp"):
        until(lambda: left(served), 20, "a file being made")
    until(lambda: not left(served), 20, "removing it")


def test_a_store_that_breaks_cuts_the_stream(own: Path, serve: Start) -> None:
    if not (own / "city.gpkg").exists():
        pytest.skip("a crash of the database has its own test")
    server = serve(own, clean=False)
    with slow(server, DOWNLOAD) as client:
        client.answer.read(1000)
        os.truncate(own / "city.gpkg", 2_000_000)
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            client.answer.read()
    assert until(lambda: any("broke off" in line for line in server.log), 10)
    assert str(own) not in "".join(server.log)


@pytest.fixture(scope="module")
def full(city: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose files may not grow beyond 400 kB, which a writer cannot tell from a full disk."""
    running = Server.start(copy_city(city, tmp_path_factory.mktemp("full") / "own"), clean=False)
    resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (400_000, 400_000))
    yield running
    running.stop()


@pytest.mark.parametrize("name", FILES)
def test_a_full_disk_is_told_and_leaves_nothing(full: Server, name: str) -> None:
    answer = get(full, f=name)
    assert answer.status_code == 503, answer.text[:300]
    assert "no room" in answer.json()["detail"]
    assert str(full.folder) not in answer.text
    assert left(full) == []
    assert get(full, f="csv").status_code == 200


def test_a_database_that_crashes_cuts_the_stream(postgres: Cluster, tmp_path: Path, serve: Start) -> None:
    found = Cluster.start(postgres.bin)
    try:
        folder = tmp_path / "city"
        folder.mkdir()
        url = found.database()
        (folder / "city.yml").write_text(f"title: {{en: Test}}\nstore: {url}\n", "utf-8")
        store = open_store(folder, Database(url))
        fill(store)
        store.close()
        server = serve(folder, clean=False)
        with slow(server, DOWNLOAD) as client:
            client.answer.read(1000)
            found.down(crash=True)
            with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
                client.answer.read()
        server.stop()
    finally:
        found.close()
