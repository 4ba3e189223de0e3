"""Helsinki in a PostGIS database, for the tests of servers that share one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.layers import add
from tests.postgres import Cluster
from tests.support import HELSINKI, Server, twin


def city_at(folder: Path, url: str, more: str = "") -> Path:
    """A city folder whose features lie in that database."""
    folder.mkdir(parents=True)
    text = (HELSINKI / "city.yml").read_text("utf-8")
    (folder / "city.yml").write_text(f"{text}\nstore: {url}\n{more}", "utf-8")
    return folder


@pytest.fixture(scope="session")
def helsinki_database(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database with all of Helsinki, loaded once by the command line; copy it, never
    change it."""
    url = postgres.database()
    folder = city_at(tmp_path_factory.mktemp("postgis") / "helsinki", url)
    twin("load", "--manifest", str(HELSINKI / "load.yml"), "--city", str(folder))
    return url.rsplit("/", 1)[1]


def copied(cluster: Cluster, name: str, copy: str) -> str:
    """The URL of a new database that is a copy of another one."""
    with cluster.connect("postgres") as con:
        con.execute(f"DROP DATABASE IF EXISTS {copy} WITH (FORCE)")
        con.execute(f"CREATE DATABASE {copy} TEMPLATE {name}")
    return cluster.url(copy)


@pytest.fixture(scope="module")
def helsinki_url(postgres: Cluster, helsinki_database: str, request: pytest.FixtureRequest) -> str:
    """The URL of a database with all of Helsinki, one for a whole test module."""
    return copied(postgres, helsinki_database, request.module.__name__.rpartition(".")[2])


@pytest.fixture(scope="module")
def start_at(helsinki_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Start servers on that database, each with a folder of its own; their logs must be clean."""
    servers: list[Server] = []

    def start(more: str = "", *, clean: bool = True) -> Server:
        folder = city_at(tmp_path_factory.mktemp("city") / "helsinki", helsinki_url, more)
        servers.append(Server.start(folder, clean=clean))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="module", params=["geopackage", "postgis"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server on Helsinki and the layers of ``tests.clients.layers``, on each store."""
    if request.param == "geopackage":
        folder, url = request.getfixturevalue("helsinki_module"), None
    else:
        url = request.getfixturevalue("helsinki_url")
        folder = city_at(tmp_path_factory.mktemp("served") / "helsinki", url)
    add(folder, url)
    running = Server.start(folder)
    yield running
    running.stop()
