"""The terrain of a city over HTTP: what is served, known again and refused; what the page is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import pytest

from layers.errors import BadConfig
from layers.store.open import open_store
from tests import dems, imagery
from tests.unit.tiles.terrain import quantized_mesh
from tiles import scheme
from twin.app import build, open_city
from twin.city import City

PLACE = 24.952, 60.175
MESH = "/terrain/dem/10/1165/854.terrain"


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    folder = tmp_path_factory.mktemp("terrain")
    (folder / "city.yml").write_text(
        "heights: {ground: terrain, undulation: 18}\ncredits: [{text: Surveyors}]\n"
    )
    store = open_store(folder)
    dems.record(store, "dem", dems.write(folder / "rasters/dem.tif", dems.hills(500, 500)), below=folder)
    store.close()
    opened = open_city(folder)
    yield opened
    opened.close()


def ask(city: City, *paths: str, **headers: str) -> list[httpx.Response]:
    async def all_() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=cast(Any, build(city)))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return [await client.get(path, headers=headers) for path in paths]

    return asyncio.run(all_())


def test_a_globe_finds_its_tiles(city: City) -> None:
    document, mesh = ask(city, "/terrain/dem/layer.json", MESH)
    told = document.json()
    assert (told["format"], told["scheme"], told["projection"]) == ("quantized-mesh-1.0", "tms", "EPSG:4326")
    assert told["extensions"] == ["octvertexnormals"]
    assert told["attribution"] == "Surveyors"
    assert len(told["available"]) == told["maxzoom"] + 1 == 19
    version = mesh.headers["etag"].strip('"')
    assert told["tiles"] == [f"{{z}}/{{x}}/{{y}}.terrain?v={version}"]
    assert mesh.headers["content-type"] == "application/vnd.quantized-mesh"
    assert mesh.headers["content-encoding"] == "gzip"
    file = quantized_mesh.read(mesh.content)
    assert 18 - 0.1 <= file.low < file.high < 140
    again, other = ask(city, MESH, MESH + "?v=1", **{"if-none-match": mesh.headers["etag"]})
    assert (again.status_code, other.status_code) == (304, 304)


def test_a_map_finds_the_same_heights_in_the_vertical_datum(city: City) -> None:
    (document,) = ask(city, "/terrain/dem.json")
    told = document.json()
    assert (told["encoding"], told["tileSize"]) == ("mapbox", 256)
    z = 15
    x, y = (float(part) * (1 << z) for part in scheme.world(*(np.array(one) for one in PLACE)))
    url = told["tiles"][0].format(z=z, x=int(x), y=int(y)).removeprefix("http://127.0.0.1")
    (picture,) = ask(city, url)
    red, green, blue, opaque = imagery.pixels(picture.content).astype(int)
    assert set(opaque.ravel()) == {255}
    heights = -10_000 + 0.1 * (red * 65536 + green * 256 + blue)
    n = 256 << z
    column, row = int(x * 256) % 256, int(y * 256) % 256
    lon, lat = scheme.lonlat(np.array([(int(x * 256) + 0.5) / n]), np.array([(int(y * 256) + 0.5) / n]))
    expected = dems.read(city.folder / "rasters/dem.tif", lon, lat)
    assert heights[row, column] == pytest.approx(expected[0], abs=0.06)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/terrain/nowhere/layer.json", 404),
        ("/terrain/nowhere.json", 404),
        ("/terrain/dem/0/2/0.terrain", 404),
        ("/terrain/dem/19/0/0.terrain", 404),
        ("/terrain/dem/17/0/0.terrain", 404),
        ("/terrain/dem/-1/0/0.terrain", 404),
        ("/terrain/dem/x/0/0.terrain", 404),
        ("/terrain/dem/1000000000000/0/0.png", 404),
        ("/terrain/dem/3/8/0.png", 404),
        ("/terrain/dem/0/0/0.terrain?w=1", 400),
        ("/terrain/dem/layer.json?w=1", 400),
    ],
)
def test_what_is_not_there_is_refused(city: City, path: str, status: int) -> None:
    (answer,) = ask(city, path)
    assert answer.status_code == status
    assert answer.json()["detail"]


def test_the_page_is_told_of_it_and_the_collection_links_to_it(city: City) -> None:
    config, collection = ask(city, "/config.json", "/ogc/collections/dem?f=json")
    assert config.json()["terrain"] == {"url": "terrain/dem", "layer": "dem"}
    assert config.json()["ground"] == 0
    found = {one["rel"]: one["href"] for one in collection.json()["links"] if "/terrain/" in one["href"]}
    assert found["terrain"] == "http://127.0.0.1/terrain/dem/layer.json"


def test_terrain_reads_the_files_that_the_city_has_open(city: City) -> None:
    terrain = city.catalogue.whole.make_tiles().terrain
    assert terrain is not None
    surface = terrain.ground()
    assert surface is not None
    assert surface.relief.blocks.files is city.rasters


def test_a_city_without_terrain_is_told_of_none(tmp_path: Path) -> None:
    for text in ("heights: {ground: 3}\n", "heights: {ground: terrain}\n"):
        (tmp_path / "city.yml").write_text(text)
        opened = open_city(tmp_path)
        try:
            (config,) = ask(opened, "/config.json")
            assert config.json()["terrain"] is None
            lack = None if "3" in text else "there is no layer of terrain"
            assert config.json().get("terrainMissing") == lack
            assert config.json()["ground"] == (3 if "3" in text else 0)
        finally:
            opened.close()


@pytest.mark.parametrize("text", ["nowhere.tif", "city.yml", "note.gtx"])
def test_a_grid_that_is_none_is_refused_at_the_start(tmp_path: Path, text: str) -> None:
    (tmp_path / "note.gtx").write_text("a note")
    (tmp_path / "city.yml").write_text(f"heights: {{ground: terrain, undulation: {text}}}\n")
    with pytest.raises(BadConfig, match=r"heights\.undulation: .* cannot be read as a grid"):
        open_city(tmp_path)
