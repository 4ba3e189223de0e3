"""Fixtures for every suite: real data, a loaded city, the real server process."""

from __future__ import annotations

import gc
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import place
from tests.postgres import Cluster, private
from tests.qgis import Qgis, there
from tests.support import HELSINKI, ROOT, Server, city_at, copy_city, init, twin
from tests.templates import LOADED_BY, made_once

#: What takes long comes first, so that workers side by side end together.
LONGEST = (
    *("browser/", "crash/", "fuzz/", "e2e/", "conformance/", "contract/"),
    *("unit/layers/write/test_memory.py", "unit/twin/test_harmed_city.py", "unit/layers/read/", "unit/twin/"),
)
#: The cluster of this session, where one was asked for.
CLUSTER = pytest.StashKey[Cluster]()

# before anything asks where temporary files lie; the workers of a run do as this process does
IN_MEMORY = place.move()

# how fast examples are made says how busy the machine is, and nothing of what is tested
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# thousands of tests are made and none is let go of: nothing to collect before they run, and none of them then
gc.disable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """What was collected stays."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; within a file the order stays."""

    def rank(item: pytest.Item) -> int:
        name = item.nodeid.removeprefix("tests/")
        return next((n for n, begin in enumerate(LONGEST) if name.startswith(begin)), len(LONGEST))

    items.sort(key=rank)


def pytest_unconfigure() -> None:
    """What was written in memory goes; a run that was killed leaves it to the next one."""
    if IN_MEMORY is not None:
        shutil.rmtree(IN_MEMORY, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """At the end of a run stand the files that took longest where durations are asked for, and what a test
    recorded as ``summary``: the counts of other runners."""
    if most := terminalreporter.config.getoption("durations"):
        _write_longest(terminalreporter, most)
    for report in terminalreporter.getreports("passed"):
        for name, text in report.user_properties:
            if name == "summary":
                terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {text}")


def _write_longest(reporter: pytest.TerminalReporter, most: int) -> None:
    seconds: Counter[str] = Counter()
    for reports in reporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.location[0]] += report.duration
    reporter.write_sep("=", f"longest {most} files of {len(seconds)}, {seconds.total():.0f} s")
    for file, took in seconds.most_common(most):
        reporter.write_line(f"{took:7.1f} s {file}")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data that is not part of the project; tests on it skip without it."""
    folder = Path(os.environ.get("TWIN_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the shared data folder is absent (set TWIN_SHARED_DATA)")
    return folder


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A PostgreSQL cluster of this session; ``postgres.database()`` is the URL of a new database."""
    with private() as cluster:
        request.config.stash[CLUSTER] = cluster
        yield cluster


@pytest.fixture(scope="module", autouse=True)
def databases_of_a_module(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a module made in the cluster goes with it."""
    yield
    if cluster := request.config.stash.get(CLUSTER, None):
        cluster.drop()


@pytest.fixture(scope="session")
def qgis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Qgis]:
    """QGIS, one a session: its start takes longer than most of what it is asked."""
    if not there():
        pytest.skip("QGIS (python3-qgis) is not installed (make deps)")
    program = Qgis(tmp_path_factory.mktemp("qgis"))
    yield program
    program.end()


@pytest.fixture(scope="session")
def helsinki_template() -> Path:
    """The demo city, loaded once a machine by the command line; copy it, never change it."""
    return made_once("helsinki", LOADED_BY, _load_helsinki) / "city"


def _load_helsinki(folder: Path) -> None:
    city = init(folder / "city")
    shutil.copy(HELSINKI / "city.yml", city / "city.yml")
    twin("load", "--manifest", str(HELSINKI / "load.yml"), "--city", str(city))


@pytest.fixture
def helsinki(helsinki_template: Path, tmp_path: Path) -> Path:
    """A city folder of one's own, with all of Helsinki loaded."""
    return copy_city(helsinki_template, tmp_path / "helsinki")


@pytest.fixture(scope="module")
def helsinki_module(helsinki_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As ``helsinki``, one for a whole test module."""
    return copy_city(helsinki_template, tmp_path_factory.mktemp("city") / "helsinki")


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start real servers: ``serve(folder)``; all are stopped, and their logs must be clean."""
    servers: list[Server] = []

    def start(folder: Path, *options: str, clean: bool = True, prefix: tuple[str, ...] = ()) -> Server:
        server = Server.start(folder, *options, clean=clean, prefix=prefix)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def server(helsinki_module: Path) -> Iterator[Server]:
    """One real server on Helsinki for a whole test module; its log must be clean at the end."""
    running = Server.start(helsinki_module)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def helsinki_database(postgres: Cluster) -> str:
    """The name of a database with all of Helsinki, loaded once a machine by the command line; copy it,
    never change it."""

    def load(folder: Path) -> None:
        url = postgres.database()
        city = city_at(folder / "city", url)
        twin("load", "--manifest", str(HELSINKI / "load.yml"), "--city", str(city))
        postgres.dump(url, folder / "dump")

    dump = made_once("helsinki-postgis", (*LOADED_BY, postgres.bin / "postgres"), load) / "dump"
    return postgres.restored(dump, lasting=True).rsplit("/", 1)[1]


@pytest.fixture(scope="module")
def helsinki_url(postgres: Cluster, helsinki_database: str, request: pytest.FixtureRequest) -> str:
    """The URL of a database with all of Helsinki, one for a whole test module."""
    return postgres.copied(helsinki_database, request.module.__name__.rpartition(".")[2])


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
