"""Servers of their own for the fuzzers: what they are sent changes what they hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.conformance import city
from tests.conformance.outside import Api
from tests.support import Server


@dataclass(frozen=True)
class Fuzzed:
    """A server under fire, and its API."""

    server: Server
    api: Api


@pytest.fixture(scope="session")
def fuzzed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Fuzzed]]:
    """By store: a real server on the city under test. The logs must be clean at the end, but for what
    the HTTP parser says of bytes that are no HTTP."""
    found: dict[str, Fuzzed] = {}
    for store, cluster in (("geopackage", None), ("postgis", request.getfixturevalue("postgres"))):
        server = Server.start(city.made(tmp_path_factory.mktemp(f"fuzz-{store}") / "city", cluster))
        found[store] = Fuzzed(server, Api(f"{server.url}/ogc"))
    yield found
    for one in found.values():
        one.api.close()
        one.server.log[:] = [line for line in one.server.log if "Invalid HTTP request received" not in line]
        one.server.stop()
