"""The door "form": what has no features is recorded in the store; all that lists layers lists it right."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from layers.model import Asset, ContentLayer
from layers.store.base import FormSpec
from layers.store.open import open_store
from layers.types import LIVE_LAYERS
from tests.storing import grid, load, spec
from twin.app import build, open_city

FILES = (Asset(href="rasters/ortho.tif"), Asset(href="/mnt/archive/ortho-2024.tif", time="2024-05-01"))
BOX = (24.9, 60.1, 25.1, 60.2)
WITHOUT = ("items", "queryables", "sortables", "tiles", "3dtiles")


def register(folder: Path) -> None:
    """All that a layer of another form is to the rest of the program."""
    store = open_store(folder)
    title = {"en": "Orthophoto", "zh-CN": "正射影像"}
    store.record(FormSpec("ortho", "coverage", "raster", title, "EPSG:3879", BOX, "N2000 height", FILES))
    store.record(FormSpec("shell", "scene", "scene", {"en": "Shell"}, "EPSG:4979"))
    load(store, spec("buildings", vertical_datum="N2000 height"), grid(3))
    store.close()


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, httpx.Response]:
    """What a city with three forms answers, by path."""
    folder = tmp_path_factory.mktemp("forms")
    (folder / "city.yml").write_text("title: {en: Forms}\nlayers:\n  ortho: {title: {zh-CN: 俯视}}\n")
    register(folder)
    city = open_city(folder)
    here = "/ogc/collections/ortho"
    paths = [
        *("/ogc", "/ogc?f=html", "/ogc/api", "/config.json", "/health/ready", "/search?q=x"),
        *(
            "/ogc/collections",
            "/ogc/collections?f=html",
            here,
            f"{here}?f=html",
            "/ogc/collections/buildings",
        ),
        *(f"{here}/{name}" for name in ("items", "items/1", "schema", "queryables", "sortables", "tiles")),
        *(f"{here}/download?f=csv", f"{here}/items?f=html", f"{here}/tiles/WebMercatorQuad/0/0/0"),
        *("/tiles/ortho/0/0/0.mvt", "/tiles/ortho.json", "/3dtiles/ortho/tileset.json"),
    ]

    async def ask() -> dict[str, httpx.Response]:
        transport = httpx.ASGITransport(app=cast(Any, build(city)))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return {path: await client.get(path) for path in paths}

    try:
        return asyncio.run(ask())
    finally:
        city.close()


def test_collections_list_every_form(answers: dict[str, httpx.Response]) -> None:
    found = {one["id"]: one for one in answers["/ogc/collections"].json()["collections"]}
    assert list(found) == ["buildings", "ortho", "shell", *LIVE_LAYERS]
    assert found["ortho"] == answers["/ogc/collections/ortho"].json()
    assert found["ortho"]["title"] == "俯视"
    assert found["ortho"]["extent"]["spatial"]["bbox"] == [list(BOX)]
    assert [one["rel"] for one in found["ortho"]["links"]][:3] == ["self", "alternate", "root"]
    assert [one["rel"] for one in found["shell"]["links"]] == ["self", "alternate", "root"]
    assert found["ortho"]["itemType"] == "coverage"
    assert found["buildings"]["itemType"] == "feature"
    for one in ("ortho", "buildings"):
        assert found[one]["verticalDatum"] == "N2000 height"
        assert "N2000 height" in found[one]["description"]
    assert "verticalDatum" not in found["shell"]
    for page in ("/ogc/collections?f=html", "/ogc/collections/ortho?f=html"):
        assert "俯视" in answers[page].text
    assert "/ortho/items" not in answers["/ogc/collections/ortho?f=html"].text


def test_the_room_that_serves_it_is_told_where_its_files_lie(tmp_path: Path) -> None:
    (tmp_path / "city.yml").write_text("title: {en: Forms}\n")
    register(tmp_path)
    city = open_city(tmp_path)
    try:
        layer = city.catalogue.whole.layer("ortho")
        assert isinstance(layer, ContentLayer)
        assert layer.assets == FILES
    finally:
        city.close()


def test_no_client_is_told_where_its_files_lie(answers: dict[str, httpx.Response]) -> None:
    assert not [
        path for path, answer in answers.items() if "ortho.tif" in answer.text or "/mnt/" in answer.text
    ]


def test_the_api_document_has_no_features_of_it(answers: dict[str, httpx.Response]) -> None:
    document = answers["/ogc/api"].json()
    mine = {path for path in document["paths"] if "/ortho" in path}
    assert not mine & {f"/collections/ortho/{below}" for below in WITHOUT}
    assert [path for path in document["paths"] if "/shell" in path] == ["/collections/shell"]
    assert {"ortho", "buildings"} <= {tag["name"] for tag in document["tags"]}
    assert not [name for name in document["components"]["schemas"] if name.startswith("ortho.")]


@pytest.mark.parametrize("below", ["items", "items/1", "items?f=html", "queryables", "sortables"])
def test_features_of_it_are_not_found(answers: dict[str, httpx.Response], below: str) -> None:
    answer = answers[f"/ogc/collections/ortho/{below}"]
    assert answer.status_code == 404
    assert answer.json()["description"] == "layer ortho is a coverage: it has no features"


def test_tiles_and_files_of_it_are_not_found(answers: dict[str, httpx.Response]) -> None:
    here = "/ogc/collections/ortho"
    for path in (f"{here}/tiles", f"{here}/tiles/WebMercatorQuad/0/0/0"):
        assert answers[path].status_code == 404, path
    for path in ("/tiles/ortho/0/0/0.mvt", "/tiles/ortho.json", "/3dtiles/ortho/tileset.json"):
        assert answers[path].status_code == 404, path


def test_the_page_and_the_checks_know_it(answers: dict[str, httpx.Response]) -> None:
    layers = {one["id"]: one for one in answers["/config.json"].json()["layers"]}
    assert {name: one["form"] for name, one in layers.items()} == {
        "ortho": "coverage",
        "buildings": "features",
        "shell": "scene",
    }
    assert (layers["ortho"]["vector"], layers["ortho"]["scene"], layers["ortho"]["fields"]) == (
        None,
        None,
        [],
    )
    ready = answers["/health/ready"].json()
    assert (ready["layers"], ready["features"]) == (3, 3)
    assert [answers[path].status_code for path in ("/ogc", "/ogc?f=html", "/search?q=x")] == [200, 200, 200]
