"""Reads never wait for a load, for an edit, or for a transaction that another program leaves open."""

from __future__ import annotations

import itertools
import json
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.postgres import Cluster
from tests.support import Server, city_at, twin

ROWS = 50_000
SECONDS = 1.0


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file of a few shops, and one of 50 000."""
    folder = tmp_path_factory.mktemp("files")
    draw = random.Random(4)
    found = {}
    for name, count in (("few", 300), ("many", ROWS)):
        found[name] = folder / f"{name}.geojsonl"
        with found[name].open("w", encoding="utf-8") as out:
            for number in range(count):
                feature = {
                    "type": "Feature",
                    "id": f"shop-{number}",
                    "properties": {"name": f"shop {number}", "rank": draw.randrange(1000)},
                    "geometry": {
                        "type": "Point",
                        "coordinates": [24.9 + draw.random() / 10, 60.1 + draw.random() / 10],
                    },
                }
                out.write(json.dumps(feature) + "\n")
    return found


@pytest.fixture(scope="module", params=["geopackage", "postgis"])
def city(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, files: dict[str, Path]
) -> Path:
    """A city folder over each store, with a layer of shops."""
    folder = tmp_path_factory.mktemp("blocking") / "city"
    if request.param == "geopackage":
        twin("init", str(folder))
    else:
        cluster: Cluster = request.getfixturevalue("postgres")
        city_at(folder, cluster.database())
    twin("load", str(files["few"]), "--as", "shops", "--kind", "feature", "--city", str(folder))
    return folder


@pytest.fixture(scope="module")
def running(city: Path) -> Iterator[Server]:
    """A server on it."""
    server = Server.start(city)
    yield server
    server.stop()


class Reader:
    """Reads items, one and a tile all the time, and keeps how long each answer took (s).

    Between two requests lies a hundredth of what none may take: a reader that is held up meets that as one
    without a pause does, which would take a core from what it reads beside."""

    PATHS = (
        "/ogc/collections/shops/items?limit=100",
        "/ogc/collections/shops/items?bbox=24.94,60.14,24.96,60.16",
        "/ogc/collections/shops/items?name=shop%207",
        "/ogc/collections/shops/items/1",
        "/ogc/collections/shops",
    )

    def __init__(self, server: Server) -> None:
        self._url = server.url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.took: list[float] = []
        self.faults: list[str] = []

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30) as client:
            for path in itertools.cycle(self.PATHS):
                before = time.monotonic()
                answer = client.get(path)
                self.took.append(time.monotonic() - before)
                if answer.status_code != 200:
                    self.faults.append(f"{path}: {answer.status_code} {answer.text[:200]}")
                if self._stop.wait(SECONDS / 100):
                    return

    @contextmanager
    def during(self) -> Iterator[None]:
        """Read while the block runs, then assert that every answer came, and in time."""
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()
        assert self.faults == []
        assert len(self.took) >= len(self.PATHS)
        assert max(self.took) < SECONDS


def test_a_load_of_50000_rows_holds_up_no_reader(running: Server, files: dict[str, Path]):
    with Reader(running).during():
        twin("load", str(files["many"]), "--as", "shops", "--replace", "--city", str(running.folder))
    answer = running.http.get("/ogc/collections/shops/items?limit=1")
    assert answer.json()["numberMatched"] == ROWS


def test_edits_one_after_the_other_hold_up_no_reader(running: Server):
    headers = {**running.auth, "content-type": "application/merge-patch+json"}
    with Reader(running).during():
        for number in range(150):
            done = running.http.patch(
                f"/ogc/collections/shops/items/{1 + number % 300}",
                content=json.dumps({"properties": {"rank": number}}),
                headers=headers,
            )
            assert done.status_code in (200, 204), done.text


@contextmanager
def foreign_transaction(folder: Path) -> Iterator[Callable[[], None]]:
    """Another program's transaction that has changed every row and is not ended; called, it commits."""
    if (folder / "city.gpkg").exists():
        con = sqlite3.connect(folder / "city.gpkg", isolation_level=None)
        try:
            con.execute("BEGIN IMMEDIATE")
            con.execute("UPDATE gpkg_contents SET description = 'being edited' WHERE table_name = 'shops'")
            yield lambda: con.execute("COMMIT") and None
        finally:
            con.close()
        return
    line = next(x for x in (folder / "city.yml").read_text("utf-8").splitlines() if x.startswith("store:"))
    with psycopg.connect(line.removeprefix("store:").strip(), connect_timeout=5) as other:
        other.execute("UPDATE city.shops SET rank = 7 WHERE fid <= 300")
        yield other.commit


def test_a_transaction_left_open_by_another_program_holds_up_no_reader(running: Server):
    with foreign_transaction(running.folder) as commit:
        with Reader(running).during():
            held = time.monotonic() + 2
            while time.monotonic() < held:
                assert running.http.get("/health/ready").status_code == 200
        commit()
