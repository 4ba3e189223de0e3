"""What other programs and administrators do to the tables under a running server: columns come and go,
tables are dropped, locked and restored, connections are cut. No 500, no stale 304, no other layer hurt."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.e2e.test_postgis_lost import (
    BACK,
    FEATURES,
    LOST,
    SOON,
    database_of,
    load_two,
    log_of,
    recovers,
    timed,
)
from tests.postgres import Cluster
from tests.support import HELSINKI, Server, city_at, twin, until


@pytest.fixture(scope="module")
def loaded(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A city folder with two layers in a database."""
    return load_two(city_at(tmp_path_factory.mktemp("foreign") / "helsinki", postgres.database()))


@pytest.fixture(scope="module")
def server(loaded: Path) -> Iterator[Server]:
    """One server for all of these tests."""
    found = Server.start(loaded, clean=False)
    yield found
    found.stop()


@pytest.fixture
def running(server: Server) -> Server:
    """The server, well and with an empty log, which the test judges itself."""
    recovers(server)
    server.log.clear()
    return server


def test_a_column_that_comes_and_goes_is_seen_and_never_an_error(running: Server, loaded: Path):
    path = "/ogc/collections/addresses/items?limit=1"

    def properties() -> dict[str, object]:
        answer = running.http.get(path)
        assert answer.status_code in (200, 503), answer.text
        features = answer.json().get("features")
        return dict(features[0]["properties"]) if features else {}

    with psycopg.connect(database_of(loaded), autocommit=True, connect_timeout=5) as con:
        con.execute("ALTER TABLE city.addresses ADD COLUMN floors integer DEFAULT 3")
        until(lambda: properties().get("floors") == 3, seconds=2, what="the new column")
        assert running.http.get(f"{path}&floors=3").status_code == 200
        con.execute("ALTER TABLE city.addresses DROP COLUMN floors")
        until(lambda: properties() and "floors" not in properties(), seconds=2, what="the column gone")
        assert running.http.get(f"{path}&floors=3").status_code == 400
    assert log_of(running) == []


def test_a_dropped_table_takes_its_layer_and_no_other(running: Server, loaded: Path):
    path = "/ogc/collections/addresses/items?limit=1"
    with psycopg.connect(database_of(loaded), autocommit=True, connect_timeout=5) as con:
        con.execute("DROP TABLE city.addresses CASCADE")
    until(lambda: running.http.get(path).status_code in (404, 503), seconds=2, what="the layer gone")
    for at in (path, "/ogc/collections/addresses", "/tiles/addresses/16/37308/18969.mvt"):
        answer = running.http.get(at)
        assert answer.status_code in (404, 503), f"{at}: {answer.text}"
    for at in FEATURES:
        if at.startswith("/search"):
            continue
        assert running.http.get(at).status_code == 200, at
    assert running.http.get("/search?q=kaivokatu").status_code == 200
    assert log_of(running) == []
    # a load brings it back
    twin(
        "load", str(HELSINKI / "addresses.geojson"), "--as", "addresses", "--kind", "address", "--replace",
        "--city", str(loaded),
    )  # fmt: skip
    until(lambda: running.http.get(path).status_code == 200, seconds=2, what="the layer back")
    assert json.loads(running.http.get(path).text)["numberMatched"] > 1000


def test_a_table_locked_by_another_program_is_503_in_time_and_the_others_go_on(running: Server, loaded: Path):
    """As a table is while ``ogr2ogr -overwrite`` or an ALTER TABLE of an open transaction holds it."""
    with psycopg.connect(database_of(loaded), connect_timeout=5) as con:
        con.execute("LOCK TABLE city.buildings IN ACCESS EXCLUSIVE MODE")
        with ThreadPoolExecutor(4) as clients:
            path = "/ogc/collections/buildings/items?limit=5&bbox=24.94,60.16,24.95,60.18"
            answers = list(clients.map(lambda _: timed(running, path), range(4)))
        assert {answer.status_code for answer, _ in answers} == {503}
        assert max(seconds for _, seconds in answers) < SOON
        for at in ("/ogc/collections/addresses/items?limit=5", "/tiles/addresses/16/37308/18969.mvt"):
            assert running.http.get(at).status_code == 200
    recovers(running)
    assert log_of(running) == []


def test_a_database_restored_under_a_running_server_never_answers_304(
    running: Server, postgres: Cluster, loaded: Path, tmp_path: Path
):
    url, path = database_of(loaded), "/ogc/collections/buildings/items/1"
    headers = {**running.auth, "content-type": "application/merge-patch+json"}
    dump = tmp_path / "city.dump"
    run = {"check": True, "capture_output": True, "timeout": 60}
    subprocess.run([postgres.bin / "pg_dump", "-Fc", "-n", "city", "-f", dump, url], **run)
    running.http.patch(path, json={"properties": {"name": "after the dump"}}, headers=headers)
    held = running.http.get(path)
    tile = held_tile(running)
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as con:
        con.execute("DROP SCHEMA city CASCADE")
    restoring = subprocess.Popen([postgres.bin / "pg_restore", "-d", url, dump], stderr=subprocess.PIPE)
    answers = {
        running.http.get(at).status_code
        for at in itertools.takewhile(lambda _: restoring.poll() is None, itertools.cycle(FEATURES[:-1]))
    }
    assert (restoring.communicate()[1], restoring.returncode) == (b"", 0)
    assert answers <= {200, 503}
    until(lambda: running.http.get(path).status_code == 200, what="the restored city")
    # the restored history reaches the same numbers again with other contents
    done = running.http.patch(path, json={"properties": {"name": "another"}}, headers=headers)
    assert done.status_code in (200, 204), done.text
    answer = running.http.get(path, headers={"if-none-match": held.headers["etag"]})
    assert answer.status_code == 200
    assert answer.json()["properties"]["name"] == "another"
    again = running.http.get(tile.url.path, headers={"if-none-match": tile.headers["etag"]})
    assert again.status_code == 200
    assert [line for line in log_of(running) if not line.startswith((LOST, BACK))] == []


def held_tile(server: Server) -> httpx.Response:
    """A tile of the whole city."""
    answer = server.http.get("/tiles/buildings/12/2331/1185.mvt")
    assert answer.status_code == 200
    return answer


def test_a_backend_that_is_killed_costs_no_request(running: Server, loaded: Path):
    """An administrator's pg_terminate_backend, or a proxy that cuts idle connections."""
    with psycopg.connect(database_of(loaded), autocommit=True, connect_timeout=5) as con:
        for _ in range(5):
            con.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
            assert [running.http.get(FEATURES[2]).status_code for _ in range(10)] == [200] * 10
    assert [line for line in log_of(running) if not line.startswith((LOST, BACK))] == []
