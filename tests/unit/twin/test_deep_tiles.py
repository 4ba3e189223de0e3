"""``layers.ID.tiles.maxzoom`` as a client sees it: documents, tiles, and where they end."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, cast

import httpx

from layers import load
from layers.store.open import open_store
from twin.app import build, open_city

FEATURE = {
    "type": "Feature",
    "properties": {"name": "a"},
    "geometry": {"type": "Point", "coordinates": [24.94, 60.17]},
}


async def answers(folder: Path, paths: tuple[str, ...]) -> list[httpx.Response]:
    """What a server of the folder answers to some requests."""
    city = open_city(folder)
    try:
        transport = httpx.ASGITransport(app=cast(Any, build(city)))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return [await client.get(path) for path in paths]
    finally:
        city.close()


def test_where_tiles_end_is_said_everywhere(tmp_path: Path) -> None:
    file = tmp_path / "lots.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [FEATURE]}))
    store = open_store(tmp_path)
    for layer in ("lots", "posts"):
        load.run(store, file, layer_id=layer)
    store.close()
    (tmp_path / "city.yml").write_text("layers: {lots: {tiles: {maxzoom: 20}}}")
    x, y = 596931, 303513
    deep = f"{x}/{y}"
    paths = (
        "/tiles/lots.json",
        "/tiles/posts,lots.json",
        "/ogc/collections/lots/tiles/WebMercatorQuad?f=json",
        "/ogc/collections/posts/tiles/WebMercatorQuad?f=json",
        "/config.json",
        f"/tiles/lots/20/{deep}.mvt",
        f"/ogc/collections/lots/tiles/WebMercatorQuad/20/{y}/{x}",
        "/tiles/lots/21/0/0.mvt",
        "/tiles/posts/17/0/0.mvt",
        "/tiles/lots.json?f=html",
        "/ogc/collections/lots/tiles/WebMercatorQuad?f=html",
    )
    one, both, told, other, config, tile, same, gone, shallow, *pages = asyncio.run(answers(tmp_path, paths))
    assert one.json()["maxzoom"] == both.json()["maxzoom"] == 20
    assert told.json()["layers"][0]["maxTileMatrix"] == "20"
    assert "Tiles beyond zoom 20 are drawn from those of it" in told.json()["description"]
    limits = told.json()["tileMatrixSetLimits"]
    assert [entry["tileMatrix"] for entry in limits] == [str(z) for z in range(21)]
    assert limits[20]["minTileCol"] <= x <= limits[20]["maxTileCol"]
    assert limits[20]["minTileRow"] <= y <= limits[20]["maxTileRow"]
    assert (
        other.json()["layers"][0]["maxTileMatrix"]
        == other.json()["tileMatrixSetLimits"][-1]["tileMatrix"]
        == "16"
    )
    zooms = {layer["id"]: layer["vector"]["maxzoom"] for layer in config.json()["layers"] if layer["vector"]}
    assert (zooms["lots"], zooms["posts"]) == (20, 16)
    assert tile.status_code == 200
    assert tile.content == same.content
    assert tile.content
    assert gone.status_code == shallow.status_code == 404
    assert "drawn from those of it" in gone.json()["detail"]
    assert all("beyond zoom 20" in page.text for page in pages)
