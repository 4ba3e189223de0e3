"""The APIs under test: ours on each store, and with ``TWIN_CONTROLS=1`` the controls."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.bench.peers.install import PEERS
from tests.conformance import city, controls
from tests.conformance.filters import LANGUAGES, Evaluator
from tests.conformance.outside import Api
from tests.support import Server

OURS = ("geopackage", "postgis")
CONTROLS = PEERS if os.environ.get("TWIN_CONTROLS") else ()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a control is recorded to fail has to fail."""
    if CONTROLS:
        known = {name for tests in controls.recorded().values() for name in tests}
        for item in items:
            if item.name in known:
                item.add_marker(pytest.mark.xfail(strict=True, reason="recorded in controls.json"))


@pytest.fixture(scope="session", params=[*OURS, *CONTROLS])
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API seen from outside. The log of ours must be clean at the end."""
    folder = tmp_path_factory.mktemp(request.param) / "city"
    if request.param in CONTROLS:
        url = request.getfixturevalue("postgres").database(lasting=True)
        with controls.served(request.param, url, folder) as root:
            found = Api(root, ours=False, only=controls.TABLES)
            yield found
            found.close()
        return
    cluster = None if request.param == "geopackage" else request.getfixturevalue("postgres")
    running = Server.start(city.made(folder, cluster))
    city.observe(running)
    found = Api(f"{running.url}/ogc")
    yield found
    found.close()
    running.stop()


@pytest.fixture(params=LANGUAGES)
def ask(request: pytest.FixtureRequest, api: Api) -> Evaluator:
    """Sends filters to the API in one language."""
    return Evaluator(api, request.param)
