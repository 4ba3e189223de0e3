"""One city, two stores: every document, feature and tile is the same, byte by byte, but for links' host,
times and ETags."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.test_postgis_three import LAYERS, PATHS, plain
from tests.support import Server

BEGAN = re.compile(rb'"kept":"[0-9T:.-]+Z",')
MORE = [
    "/health/ready",
    *(
        path.format(layer=layer)
        for layer in LAYERS
        for path in (
            "/ogc/collections/{layer}/items?limit=10000&f=jsonfg",
            "/ogc/collections/{layer}/items?limit=10000&f=csv",
            "/ogc/collections/{layer}/items?limit=50&sortby=-name",
            "/ogc/collections/{layer}/items?limit=50&q=katu",
            "/ogc/collections/{layer}/items?limit=50&filter=name%20IS%20NOT%20NULL",
            "/ogc/collections/{layer}/items?limit=5&f=html",
            "/tiles/{layer}/10/582/296.mvt",
        )
    ),
]


@pytest.fixture(scope="module")
def both(helsinki_module: Path, start_at: Callable[..., Server]) -> Iterator[tuple[Server, Server]]:
    """A server on the GeoPackage, and one on PostGIS."""
    embedded = Server.start(helsinki_module)
    yield embedded, start_at()
    embedded.stop()


@pytest.mark.parametrize("path", [*PATHS, *MORE])
def test_both_stores_answer_alike(both: tuple[Server, Server], path: str):
    embedded, scaled = both
    (status, _, body), (other_status, _, other) = plain(embedded, path), plain(scaled, path)
    assert status == other_status
    if path == "/health/ready":
        # log numbers are each store's own
        body, other = (text[: text.index(b'"seq"')] for text in (body, other))
    if path == "/config.json":
        # and so is since when it keeps its history
        body, other = (BEGAN.sub(b"", text, count=1) for text in (body, other))
        assert b'"kept"' not in body
    assert body == other
