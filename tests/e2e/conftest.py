"""Helsinki with the layers that clients are asked about, over each store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.layers import add, add_raster
from tests.support import Server, city_at


@pytest.fixture(scope="module", params=["geopackage", "postgis"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server on Helsinki, the layers of ``tests.clients.layers`` and its raster, on each store."""
    if request.param == "geopackage":
        folder, url = request.getfixturevalue("helsinki_module"), None
    else:
        url = request.getfixturevalue("helsinki_url")
        folder = city_at(tmp_path_factory.mktemp("served") / "helsinki", url)
    add(folder, url)
    add_raster(folder, url)
    running = Server.start(folder)
    yield running
    running.stop()
