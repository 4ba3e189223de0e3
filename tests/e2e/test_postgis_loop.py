"""Over a database, no request asks the store from the event loop: one slow query would hold up every
client, also those that need no features."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from layers.store.base import Readable, Store
from layers.store.postgis import PostgisStore
from layers.store.postgis.past import PostgisPast
from tests.support import city_at, fresh_key
from twin import app

ITEMS = "/ogc/collections/buildings/items"
READS = [
    "/",
    "/config.json",
    "/health/live",
    "/health/ready",
    "/search?q=kaivokatu",
    "/search?q=60.17,24.94",
    "/incidents",
    "/sta/v1.1/Things",
    "/tiles/buildings.json",
    "/tiles/buildings/16/37308/18969.mvt",
    "/3dtiles/buildings/tileset.json",
    "/3dtiles/buildings/16/37308/18969.glb",
    "/ogc",
    "/ogc/api",
    "/ogc/conformance",
    "/ogc/collections",
    "/ogc/collections?f=html",
    "/ogc/collections/buildings",
    "/ogc/collections/buildings/schema",
    "/ogc/collections/buildings/queryables",
    "/ogc/collections/buildings/sortables",
    "/ogc/collections/buildings/tiles",
    "/ogc/collections/buildings/tiles/WebMercatorQuad",
    "/ogc/collections/buildings/tiles/WebMercatorQuad/16/18969/37308",
    f"{ITEMS}?limit=10",
    f"{ITEMS}?limit=10&f=html",
    f"{ITEMS}?limit=10&f=csv",
    f"{ITEMS}?limit=10&f=flatgeobuf",
    f"{ITEMS}?limit=10&f=jsonfg",
    f"{ITEMS}?limit=10&sortby=-name",
    f"{ITEMS}?filter=height_m%3E10",
    f"{ITEMS}?q=station",
    f"{ITEMS}?name=x",
    f"{ITEMS}?limit=10&at=@1",
    f"{ITEMS}/1?at=@1",
    "/tiles/buildings/16/37308/18969.mvt?at=@1",
    f"{ITEMS}/1",
    f"{ITEMS}/1?f=html",
    "/ogc/collections/buildings/download?f=geojson",
    "/ogc/collections/buildings/download?f=csv",
]


@pytest.fixture
def caught(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls of the store that were made in an event loop."""
    found: list[str] = []

    def watched(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def ask(*args: Any, **kwargs: Any) -> Any:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                return call(*args, **kwargs)
            found.append(name)
            return call(*args, **kwargs)

        return ask

    for name in {**vars(Readable), **vars(Store)}:
        for kind in (PostgisStore, PostgisPast):
            call = vars(kind).get(name)
            if callable(call) and not name.startswith("_"):
                monkeypatch.setattr(kind, name, watched(name, call))
    return found


def test_no_request_asks_the_store_from_the_event_loop(helsinki_url: str, tmp_path: Path, caught: list[str]):
    folder = city_at(tmp_path / "city", helsinki_url)
    auth = {"authorization": f"Bearer {fresh_key(folder)}"}
    city = app.open_city(folder)
    front = app.build(city)

    async def main() -> None:
        city.store.seq()
        assert caught == ["seq"], "the watch itself does not work"
        caught.clear()
        transport = httpx.ASGITransport(app=front)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            for path in READS:
                held = (await client.get(path)).headers.get("etag", '"none"')
                for method in ("GET", "HEAD", "OPTIONS"):
                    answer = await client.request(method, path, headers={"if-none-match": held})
                    assert answer.status_code < 500, f"{method} {path}: {answer.text[:300]}"
                    assert caught == [], f"{method} {path}"
            feature = (await client.get(f"{ITEMS}/1")).json()
            whole = {key: feature[key] for key in ("type", "geometry", "properties")}
            made = await client.post(
                ITEMS, content=json.dumps(whole), headers={**auth, "content-type": "application/geo+json"}
            )
            place = made.headers.get("location", f"{ITEMS}/2")
            for method, media, body in (
                ("PUT", "application/geo+json", whole),
                ("PATCH", "application/merge-patch+json", {"properties": {"name": "x"}}),
            ):
                etag = (await client.get(place)).headers["etag"]
                for match in ({}, {"if-match": etag}, {"if-match": f'"x-1", {etag}'}):
                    done = await client.request(
                        method,
                        place,
                        content=json.dumps(body),
                        headers={**auth, **match, "content-type": media},
                    )
                    assert done.status_code < 500, f"{method}: {done.text[:300]}"
            await client.delete(place, headers=auth)
        assert caught == []

    try:
        asyncio.run(main())
    finally:
        city.close()
        city.live.stop()
