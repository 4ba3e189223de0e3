"""Whoever edits, by whichever of the three headers, is kept with the revision, in either store."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from layers.store.open import open_store
from tests.postgres import Cluster
from tests.storing import signed
from tests.support import HELSINKI, Server, city_at, fresh_key, twin
from twin import settings


@pytest.fixture(params=["geopackage", "postgis"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A city folder with one layer, over each store."""
    found = tmp_path / "city"
    if request.param == "geopackage":
        twin("init", str(found))
    else:
        cluster: Cluster = request.getfixturevalue("postgres")
        city_at(found, cluster.database())
    file = str(HELSINKI / "street_assets.geojson")
    twin("load", file, "--as", "assets", "--kind", "component", "--city", str(found))
    return found


def test_every_edit_is_attributed_to_its_key(folder: Path, serve: Callable[..., Server]):
    keys = {name: fresh_key(folder, name) for name in ("duty desk", "调度中心", "qgis")}
    basic = base64.b64encode(f"ignored:{keys['调度中心']}".encode()).decode()
    ways = {
        "duty desk": {"authorization": f"Bearer {keys['duty desk']}"},
        "调度中心": {"authorization": f"Basic {basic}"},
        "qgis": {"x-api-key": keys["qgis"]},
    }
    server = serve(folder)
    items = "/ogc/collections/assets/items"
    feature = server.http.get(f"{items}/1").json()
    whole = {key: feature[key] for key in ("type", "geometry", "properties")}
    whole["properties"] = {**whole["properties"], "source_id": "made over HTTP"}
    made = server.http.post(
        items, json=whole, headers={**ways["qgis"], "content-type": "application/geo+json"}
    )
    assert made.status_code == 201, made.text
    path = made.headers["location"].removeprefix(server.url)
    expected = [("qgis", number(made))]
    for name, headers in ways.items():
        for method, media, body in (
            ("PATCH", "application/merge-patch+json", {"properties": {"name": name}}),
            ("PUT", "application/geo+json", whole),
        ):
            done = server.http.request(method, path, json=body, headers={**headers, "content-type": media})
            assert done.status_code in (200, 204), done.text
            expected.append((name, number(done)))
    for headers in ({}, {"x-api-key": "twk_wrong"}, {"authorization": "Bearer twk_wrong"}):
        assert server.http.delete(path, headers=headers).status_code == 401
    assert server.http.delete(path, headers=ways["duty desk"]).status_code == 204
    server.stop()
    store = open_store(folder, settings.load(folder).database())
    try:
        kept = signed(store, "assets", int(path.rsplit("/", 1)[1]))
    finally:
        store.close()
    assert [(name, at) for at, name in kept[1:]] == expected[::-1]
    # a deletion is kept with the number that the log gave it
    assert kept[0][1] == "duty desk"
    assert kept[0][0] > expected[-1][1]


def number(answer: httpx.Response) -> int:
    """The revision in an ETag."""
    return int(answer.headers["etag"].strip('"').rsplit("-", 1)[1])
