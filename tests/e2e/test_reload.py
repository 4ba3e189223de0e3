"""Other processes load and edit while the server answers, and while it is down."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import shapely

from tests.gdal_edit import edit
from tests.support import Server, twin, until

ITEMS = "/ogc/collections/blocks/items"


def write(path: Path, generation: int, count: int) -> Path:
    """A file whose features all carry the number of their generation."""
    features = [
        {
            "type": "Feature",
            "id": f"b{i}",
            "properties": {"name": f"g{generation}"},
            "geometry": json.loads(
                shapely.to_geojson(
                    shapely.box(
                        24.9 + i % 50 * 1e-3,
                        60.1 + i // 50 * 1e-3,
                        24.9005 + i % 50 * 1e-3,
                        60.1005 + i // 50 * 1e-3,
                    )
                )
            ),
        }
        for i in range(count)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def answer(server: Server) -> tuple[str, int]:
    """One page of everything: the generation it is of, and its length."""
    body = server.http.get(ITEMS, params={"limit": 10000}).json()
    names = {f["properties"]["name"] for f in body["features"]}
    assert len(names) == 1, "two generations in one answer"
    assert body["numberMatched"] == body["numberReturned"] == len(body["features"])
    return names.pop(), len(body["features"])


def test_each_answer_is_one_generation(helsinki: Path, tmp_path: Path, serve: Callable[..., Server]) -> None:
    files = [write(tmp_path / f"g{g}.geojson", g, 600 + g) for g in range(4)]
    twin("load", str(files[0]), "--as", "blocks", "--kind", "feature", "--city", str(helsinki))
    options = ["--as", "blocks", "--replace", "--kind", "feature", "--city", str(helsinki)]
    server = serve(helsinki)
    assert answer(server) == ("g0", 600)
    for generation in (1, 2, 3):
        with ThreadPoolExecutor(1) as pool:
            loading = pool.submit(twin, "load", str(files[generation]), *options)
            while not loading.done():
                assert answer(server) in ((f"g{g}", 600 + g) for g in (generation - 1, generation))
            loading.result()
        until(lambda g=generation: answer(server) == (f"g{g}", 600 + g), 1.0, "the new generation")
    assert server.http.get("/ogc/collections/buildings/items", params={"limit": 1}).status_code == 200


def seen(server: Server, fid: int, etag: str | None = None) -> Any:
    headers = {"if-none-match": etag} if etag else {}
    return server.http.get(f"/ogc/collections/buildings/items/{fid}", headers=headers)


def test_an_edit_by_gdal_under_the_server(helsinki: Path, serve: Callable[..., Server]) -> None:
    server = serve(helsinki)
    before = {fid: seen(server, fid).headers["etag"] for fid in (5, 6)}
    edit(helsinki / "city.gpkg", "set", "buildings", 5, "name", "by GDAL")
    began = time.monotonic()
    until(lambda: seen(server, 5).json()["properties"]["name"] == "by GDAL", 1.0, "the edit")
    assert time.monotonic() - began < 1
    assert seen(server, 5, before[5]).status_code == 200
    assert seen(server, 6, before[6]).status_code == 304


def test_an_edit_by_gdal_while_the_server_is_down(helsinki: Path, serve: Callable[..., Server]) -> None:
    server = serve(helsinki)
    before = {fid: seen(server, fid).headers["etag"] for fid in (5, 6)}
    server.stop()
    edit(helsinki / "city.gpkg", "set", "buildings", 5, "name", "by GDAL")
    server = serve(helsinki)
    assert seen(server, 5, before[5]).json()["properties"]["name"] == "by GDAL"
    assert seen(server, 6, before[6]).status_code == 304


def test_a_restored_city_answers_no_false_304(helsinki: Path, serve: Callable[..., Server]) -> None:
    server = serve(helsinki)
    server.stop()
    saved = (helsinki / "city.gpkg").read_bytes()
    server = serve(helsinki)
    auth = {**server.auth, "content-type": "application/merge-patch+json"}
    url = "/ogc/collections/buildings/items/5"
    patched = server.http.patch(url, json={"properties": {"name": "lost"}}, headers=auth)
    assert patched.status_code in (200, 204), patched.text
    lost = seen(server, 5).headers["etag"]
    server.stop()
    (helsinki / "city.gpkg").write_bytes(saved)
    server = serve(helsinki)
    auth = {**server.auth, "content-type": "application/merge-patch+json"}
    server.http.patch(url, json={"properties": {"name": "other history"}}, headers=auth)
    again = seen(server, 5, lost)
    assert again.status_code == 200
    assert again.json()["properties"]["name"] == "other history"
