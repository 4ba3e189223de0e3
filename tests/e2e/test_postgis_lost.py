"""A database that crashes, restarts, freezes or loses a table: 503 in time, nothing else suffers, and
the server recovers by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest

from layers.errors import Unavailable
from tests import launcher
from tests.postgres import Cluster, private
from tests.support import HELSINKI, Server, city_at, twin, until
from twin import app

#: 2 s are promised; the client and a busy machine may add to it
SOON = 3.0
FEATURES = [
    "/ogc/collections",
    "/ogc/collections/buildings",
    "/ogc/collections/buildings/items?limit=5",
    "/ogc/collections/buildings/items?limit=1000",
    "/ogc/collections/buildings/items?name=x",
    "/ogc/collections/buildings/items/1",
    "/ogc/collections/buildings/items?f=html",
    "/tiles/buildings/16/37308/18969.mvt",
    "/tiles/buildings.json",
    "/3dtiles/buildings/tileset.json",
    "/3dtiles/buildings/16/37308/18969.glb",
    "/search?q=kaivokatu",
    "/health/ready",
]
EDITED = ["/ogc/collections/buildings/items", "/ogc/collections/buildings/items/1"]
OTHERS = ["/", "/config.json", "/health/live", "/sta/v1.1/Things", "/incidents"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster of this module's own: it is crashed and frozen here."""
    with private() as running:
        yield running


@pytest.fixture(scope="module")
def loaded(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A city folder with two layers in the database."""
    return load_two(city_at(tmp_path_factory.mktemp("lost") / "helsinki", cluster.database()))


def load_two(folder: Path) -> Path:
    """Load buildings and addresses into a city; its folder."""
    for layer, kind in (("buildings", "building"), ("addresses", "address")):
        twin("load", str(HELSINKI / f"{layer}.geojson"), "--as", layer, "--kind", kind, "--city", str(folder))
    return folder


@pytest.fixture(scope="module")
def server(cluster: Cluster, loaded: Path) -> Iterator[Server]:
    """One server for the tests that only use it."""
    found = Server.start(loaded, clean=False)
    yield found
    found.stop()


@pytest.fixture
def running(cluster: Cluster, server: Server) -> Iterator[Server]:
    """The server, well and with an empty log, which the test judges itself."""
    recovers(server)
    server.log.clear()
    yield server
    if cluster.process is None:
        cluster.up()
    cluster.freeze(False)
    recovers(server)
    until(lambda: not server.log or BACK in log_of(server)[-1:], what="the end of the log")


def timed(server: Server, path: str, method: str = "GET") -> tuple[httpx.Response, float]:
    """An answer and how long it took (s); a key is shown with every method but GET."""
    before = time.monotonic()
    answer = server.http.request(method, path, headers={} if method == "GET" else server.auth)
    return answer, time.monotonic() - before


def refuses(server: Server, path: str, method: str = "GET") -> None:
    """Assert a 503 with Retry-After in time, and no word of what lies behind."""
    answer, seconds = timed(server, path, method)
    assert answer.status_code == 503, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
    assert seconds < SOON, f"{method} {path}: {seconds:.2f} s"
    assert int(answer.headers["retry-after"]) > 0
    assert not any(word in answer.text for word in ("psycopg", "127.0.0.1", "Traceback", "SELECT"))


def goes_on(server: Server) -> None:
    """Assert that what needs no features answers as ever."""
    for path in OTHERS:
        answer, seconds = timed(server, path)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[:300]}"
        assert seconds < SOON, f"{path}: {seconds:.2f} s"
    made = server.http.post(
        "/incidents",
        json={"title": "while the database is away", "class": "other", "level": 4},
        headers=server.auth,
    )
    assert made.status_code == 201, made.text


def recovers(server: Server, seconds: float = 5.0) -> None:
    """Wait until every path is answered again."""

    def well() -> bool:
        return all(server.http.get(path).status_code == 200 for path in FEATURES)

    until(well, seconds=seconds, what="the recovery")


def log_of(server: Server) -> list[str]:
    """The lines of the log, without their ends."""
    return [line.rstrip() for line in server.log]


LOST = "WARNING twin the store does not answer: "
BACK = "WARNING twin the store answers again"


def assert_told_once(server: Server) -> None:
    """One line when the database was lost, one when it was back, nothing else."""
    until(lambda: BACK in log_of(server), what="the line that tells it is back")
    lines = log_of(server)
    assert [line.startswith(LOST) for line in lines] == [True, False], lines
    assert lines[1] == BACK


def test_a_crash_is_503_in_time_and_the_server_recovers(running: Server, cluster: Cluster):
    cluster.down(crash=True)
    for path in FEATURES:
        refuses(running, path)
    goes_on(running)
    edit = running.http.patch(
        "/ogc/collections/buildings/items/1",
        content=b'{"properties": {"name": "x"}}',
        headers={**running.auth, "content-type": "application/merge-patch+json"},
    )
    assert edit.status_code == 503
    cluster.up()
    recovers(running)
    assert_told_once(running)


def test_a_restart_between_two_requests_is_not_noticed_by_the_second(running: Server, cluster: Cluster):
    cluster.down()
    cluster.up()
    recovers(running, seconds=2.5)
    assert [line for line in log_of(running) if not line.startswith((LOST, BACK))] == []


def test_a_frozen_database_is_503_in_time_for_every_client_at_once(running: Server, cluster: Cluster):
    cluster.freeze(True)
    begun = time.monotonic()
    with ThreadPoolExecutor(60) as clients:
        answers = list(clients.map(lambda n: timed(running, FEATURES[n % len(FEATURES)]), range(60)))
    assert {answer.status_code for answer, _ in answers} == {503}
    assert max(seconds for _, seconds in answers) < SOON
    for path in FEATURES:
        refuses(running, path)
    goes_on(running)
    assert time.monotonic() - begun < 20
    cluster.freeze(False)
    recovers(running)
    assert_told_once(running)


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE"])
def test_what_a_feature_allows_is_503_from_the_first_question_on(
    running: Server, cluster: Cluster, method: str
):
    cluster.freeze(True)
    for path in EDITED:
        for _ in range(3):
            refuses(running, path, method)
    cluster.freeze(False)
    recovers(running)
    assert_told_once(running)


def test_a_server_stops_in_time_while_the_database_is_frozen(cluster: Cluster, loaded: Path, tmp_path: Path):
    server = Server.start(city_at(tmp_path / "own", database_of(loaded)), clean=False)
    recovers(server)
    cluster.freeze(True)
    try:
        with ThreadPoolExecutor(12) as clients:
            asked = [clients.submit(timed, server, FEATURES[n % 5]) for n in range(12)]
            server.process.terminate()
            server.process.wait(10)
        ended = [one.exception() for one in asked]
        assert all(error is None or isinstance(error, httpx.TransportError) for error in ended)
    finally:
        cluster.freeze(False)
        server.stop()
    assert [line for line in log_of(server) if not line.startswith((LOST, BACK))] == []


def test_live_data_flows_while_readers_wait_for_a_frozen_database(running: Server, cluster: Cluster):
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            timed(running, "/ogc/collections/buildings/items?limit=5")

    threads = [threading.Thread(target=ask) for _ in range(20)]
    cluster.freeze(True)
    try:
        for thread in threads:
            thread.start()
        for _ in range(30):
            answer, seconds = timed(running, "/sta/v1.1/Things")
            assert answer.status_code == 200
            assert seconds < 1
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        cluster.freeze(False)
    recovers(running)


def test_an_open_stream_outlives_the_loss_and_tells_of_what_comes_after(
    running: Server, cluster: Cluster, loaded: Path
):
    url = database_of(loaded)
    with httpx.stream("GET", f"{running.url}/stream", timeout=30) as stream:
        lines = stream.iter_lines()
        assert any(line == "event: snapshot" for line in lines)
        cluster.down(crash=True)
        refuses(running, FEATURES[0])
        cluster.up()
        recovers(running)
        with psycopg.connect(url, connect_timeout=5) as con:
            con.execute("UPDATE city.buildings SET name = 'after the crash' WHERE fid = 1")
        assert any(line == "event: tiles" for line in lines)


def database_of(folder: Path) -> str:
    """The URL in the folder's city.yml."""
    line = next(x for x in (folder / "city.yml").read_text("utf-8").splitlines() if x.startswith("store:"))
    return line.removeprefix("store:").strip()


def test_a_server_waits_for_a_database_that_is_not_up_yet(cluster: Cluster, loaded: Path, tmp_path: Path):
    folder = city_at(tmp_path / "own", database_of(loaded))
    cluster.down()
    process = launcher.start(["serve", "--city", str(folder), "--port", "0"])
    try:
        said = process.stderr.readline()
        assert "waiting up to 30 s for the database" in said
        cluster.up()
        line = process.stdout.readline()
        url = line.split(" at ")[1].strip()
        assert httpx.get(f"{url}health/ready").status_code == 200
    finally:
        process.terminate()
        process.communicate(timeout=15)
        if cluster.process is None:
            cluster.up()


def test_a_database_that_never_comes_ends_the_start_with_the_reason(cluster: Cluster, loaded: Path):
    cluster.down()
    try:
        before = time.monotonic()
        with pytest.raises(Unavailable, match="database"):
            app.open_city(loaded, patience=0.6)
        assert 0.6 < time.monotonic() - before < 10
        done = twin("layers", "--city", str(loaded), check=False)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "database" in done.stderr
    finally:
        cluster.up()
