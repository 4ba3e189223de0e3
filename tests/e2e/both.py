"""A module's server on Helsinki, once over the GeoPackage and once over PostGIS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import Server


@pytest.fixture(scope="module", params=["geopackage", "postgis"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The real process over each store; its log must be clean at the end."""
    if request.param == "postgis":
        yield request.getfixturevalue("start_at")()
        return
    running = Server.start(request.getfixturevalue("helsinki_module"))
    yield running
    running.stop()
