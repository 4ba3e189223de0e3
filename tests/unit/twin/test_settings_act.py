"""Every setting of city.yml acts: what a client sees of the city changes with it, or the store reads it."""

from __future__ import annotations

import ast
import asyncio
import json
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from layers import load
from layers.store.open import open_store
from tests.support import ROOT, setting_paths
from twin.access.keys import Keys
from twin.app import build, open_city

#: Path → lines of city.yml that set it to what is not its default.
EXAMPLES = {
    "title": "title: {en: Oulu}",
    "url": "url: https://map.example.org",
    "allowed_hosts": "allowed_hosts: [other.example.org]",
    "trusted_proxies": "trusted_proxies: [127.0.0.1]",
    "crs": "crs: EPSG:3879",
    "heights.ground": "heights: {ground: 12}",
    "languages": "languages: [en]",
    "time_zone": "time_zone: Europe/Helsinki",
    "view.lon": "view: {lon: 1, lat: 60}",
    "view.lat": "view: {lon: 24, lat: 1}",
    "view.height": "view: {lon: 24, lat: 60, height: 99}",
    "view.heading": "view: {lon: 24, lat: 60, heading: 9}",
    "view.pitch": "view: {lon: 24, lat: 60, pitch: -9}",
    "surroundings": "surroundings: [24, 60, 25, 61]",
    "credits.0.text": "credits: [{text: Surveyors}]",
    "credits.0.url": "credits: [{text: '', url: 'https://example.org'}]",
    "map_approval_no": "map_approval_no: GS(2026)1",
    "layers.ID.title": "layers: {posts: {title: {en: Signs}}}",
    "layers.ID.visible": "layers: {posts: {visible: false}}",
    "layers.ID.locking": "layers: {posts: {locking: strict}}",
    "layers.ID.style": "layers: {posts: {style: {size: 99}}}",
    "layers.ID.tiles.maxzoom": "layers: {posts: {tiles: {maxzoom: 18}}}",
    "themes": "themes: [gas]",
}
#: Without these the one before is compared with the wrong thing.
BESIDE = {
    "view.": "view: {lon: 24, lat: 60}",
    "credits.0.url": "credits: [{text: ''}]",
}
#: What only a database, a full server or terrain shows is read by name in these files; others prove it.
READ_IN = {
    "history.": "twin/settings.py",  # tests/unit/twin/test_history_setting.py
    "layers.ID.history": "twin/settings.py",
    "audit.": "twin/audit/wiring.py",  # tests/unit/twin/test_audit_setting.py
    "heights.undulation": "twin/catalogue/*.py",
    "layers.ID.scene.": "twin/http/registered.py",  # tests/unit/twin/test_registered.py
    "store.": "layers/store/postgis/*.py twin/city.py",
    "layers.ID.tiles.properties": "tiles/service.py",  # tests/unit/tiles/test_deep_zooms.py
    "layers.ID.": "layers/store/postgis/*.py",
    "limits.": "twin/city.py twin/app.py",
    "webhooks.": "twin/webhooks/*.py",  # tests/e2e/test_webhooks.py, tests/unit/twin/webhooks
}


PATHS = setting_paths()
LEAVES = [path for path in PATHS if not any(other.startswith(f"{path}.") for other in PATHS)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("city")
    place = {"type": "Point", "coordinates": [24.94, 60.17]}
    feature = {"type": "Feature", "properties": {"name": "a"}, "geometry": place}
    (made / "posts.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    store = open_store(made)
    load.run(store, made / "posts.geojson", layer_id="posts")
    store.close()
    (made / "key").write_text(Keys(made).add("tester"))
    return made


async def seen(folder: Path, text: str) -> dict[str, Any]:
    """What a client sees of the city: documents, who is answered, how links begin, what a write needs."""
    (folder / "city.yml").write_text(text)
    city = open_city(folder)
    try:
        transport = httpx.ASGITransport(app=cast(Any, build(city)))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            auth = {"authorization": f"Bearer {(folder / 'key').read_text()}"}
            paths = "/config.json", "/ogc?f=json", "/ogc/collections/posts?f=json"
            patch = auth | {"content-type": "application/merge-patch+json"}
            written = await client.patch("/ogc/collections/posts/items/1", content=b"{}", headers=patch)
            host = await client.get("/ogc?f=json", headers={"host": "other.example.org"})
            proxied = await client.get("/ogc?f=json", headers={"x-forwarded-proto": "https"})
            return {
                "documents": [json.loads((await client.get(path)).content) for path in paths],
                "host": host.status_code,
                "proxied": proxied.json()["links"][0]["href"],
                "written": written.status_code,
            }
    finally:
        city.close()


@pytest.mark.parametrize("path", [path for path in LEAVES if path in EXAMPLES])
def test_a_client_sees_the_setting(folder: Path, path: str) -> None:
    beside = next((text for start, text in BESIDE.items() if path.startswith(start)), "")
    assert asyncio.run(seen(folder, EXAMPLES[path])) != asyncio.run(seen(folder, beside))


def test_the_comparison_finds_nothing_where_nothing_is_set(folder: Path) -> None:
    first = asyncio.run(seen(folder, ""))
    assert first["written"] == 204
    assert first == asyncio.run(seen(folder, "heights: {ground: 0}"))


@pytest.mark.parametrize("path", [path for path in LEAVES if path not in EXAMPLES])
def test_the_store_or_the_server_reads_the_setting(path: str) -> None:
    files = next((files for start, files in READ_IN.items() if path.startswith(start)), "")
    assert files, f"{path}: say in EXAMPLES or READ_IN how it is seen to act"
    trees = [ast.parse(file.read_text("utf-8")) for glob in files.split() for file in ROOT.glob(glob)]
    read = {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert path.split(".")[-1] in read
