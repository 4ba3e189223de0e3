"""STAC: valid by pystac's own schemas, every link leads somewhere, files come whole and by ranges."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import pystac
import pytest
import rasterio
from pystac import STACObjectType
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from rasterio.io import MemoryFile

from tests import imagery, rasters
from twin.app import build, open_city

URL = "http://127.0.0.1"
type Get = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    city = tmp_path_factory.mktemp("stac")
    (city / "city.yml").write_text("title: {en: Files}\ncredits: [{text: Survey of the town}]\n")
    rasters.write(city / "rasters/dem.tif")
    rasters.record(city, "dem", "rasters/dem.tif", form="surface")
    for year in (2020, 2024):
        rasters.write(city / f"rasters/p{year}.tif", [np.full((64, 64), year, np.uint16)], nodata=0)
    registered = city.parent / f"{city.name}-elsewhere.tif"
    (city / "rasters/p2024.tif").rename(registered)
    times = (("rasters/p2020.tif", "2020-06-01"), (str(registered), "2024-06-01T10:00:00.000Z"))
    rasters.record(city, "photo", *times)
    return city


@pytest.fixture(scope="module")
def get(folder: Path) -> Iterator[Get]:
    with imagery.asking(folder) as (_, ask):
        yield ask


def walk(get: Get, path: str = "/stac") -> Iterator[dict[str, Any]]:
    """A document, and those below it."""
    document = get(path).json()
    yield document
    for one in document["links"]:
        if one["rel"] in ("child", "item"):
            yield from walk(get, one["href"].removeprefix(URL))


def test_catalogue_collections_and_items_are_valid(get: Get) -> None:
    documents = list(walk(get))
    assert [one["id"] for one in documents] == ["city", "dem", "dem-1", "photo", "photo-1", "photo-2"]
    validator = JsonSchemaSTACValidator()  # it has the schemas of the core with it
    for document in documents:
        kind = STACObjectType(document["type"])
        validator.validate_core(document, kind, document["stac_version"])
        # and it is what pystac reads and would write again
        read = pystac.read_dict(document)
        assert read.id == document["id"]
    assert documents[1]["providers"] == [{"name": "Survey of the town"}]


def test_every_link_leads_to_what_it_says(get: Get) -> None:
    for document in walk(get):
        for one in document["links"]:
            answer = get(one["href"].removeprefix(URL))
            assert answer.status_code == 200, one["href"]
            assert answer.headers["content-type"] == one["type"]
            if one["rel"] == "self":
                assert answer.json() == document
    landing = get("/ogc").json()["links"]
    assert f"{URL}/stac" in [one["href"] for one in landing]
    assert f"{URL}/stac/dem" in [one["href"] for one in get("/ogc/collections/dem").json()["links"]]


def test_items_say_grid_bands_and_time(get: Get, folder: Path) -> None:
    item = get("/stac/dem/dem-1").json()
    asset = item["assets"]["data"]
    with rasterio.open(folder / "rasters/dem.tif") as own:
        assert asset["proj:code"] == f"EPSG:{own.crs.to_epsg()}"
        assert asset["proj:shape"] == list(own.shape)
        assert asset["proj:bbox"] == list(own.bounds)
        assert asset["proj:transform"] == list(own.transform)[:6]
    assert asset["bands"] == [
        {"name": "height", "description": "height", "data_type": "float32", "nodata": -9999, "unit": "m"}
    ]
    assert asset["type"].endswith("profile=cloud-optimized")
    assert item["bbox"] == pytest.approx([24.937232, 60.162474, 24.964182, 60.171411], abs=1e-6)
    assert item["properties"]["datetime"] is None
    first, second = (get(f"/stac/photo/photo-{number}").json()["properties"] for number in (1, 2))
    assert (first["datetime"], first["end_datetime"]) == ("2020-06-01T00:00:00Z", "2020-06-01T23:59:59Z")
    assert second["datetime"] == "2024-06-01T10:00:00.000Z"
    interval = get("/stac/photo").json()["extent"]["temporal"]["interval"]
    assert interval == [["2020-06-01T00:00:00Z", "2024-06-01T10:00:00.000Z"]]


def test_no_document_tells_where_a_file_lies(get: Get, folder: Path) -> None:
    for document in walk(get):
        assert str(folder.parent) not in str(document)
        assert "rasters/" not in str(document)


def test_a_file_comes_whole_and_by_ranges(get: Get, folder: Path) -> None:
    body = (folder / "rasters/dem.tif").read_bytes()
    here = "/stac/dem/dem-1.tif"
    whole = get(here)
    assert whole.content == body
    assert whole.headers["content-length"] == str(len(body))
    assert whole.headers["accept-ranges"] == "bytes"
    with MemoryFile(get("/stac/photo/photo-2.tif").content) as memory, memory.open() as file:
        assert file.read(1)[0, 0] == 2024
    head = get(here, "HEAD")
    assert (head.content, head.headers["content-length"]) == (b"", str(len(body)))
    etag = whole.headers["etag"]
    assert get(here, If_None_Match=etag).status_code == 304
    for asked, status, (first, last) in (
        ("bytes=0-99", 206, (0, 100)),
        ("bytes=100-", 206, (100, len(body))),
        ("bytes=-50", 206, (len(body) - 50, len(body))),
        ("bytes=0-99999999", 206, (0, len(body))),
        ("bytes=5-2", 200, (0, len(body))),
        ("pages=1-2", 200, (0, len(body))),
    ):
        answer = get(here, Range=asked)
        assert (answer.status_code, answer.content) == (status, body[first:last]), asked
    part = get(here, Range="bytes=0-99", If_Range=etag)
    assert (part.status_code, part.headers["content-range"]) == (206, f"bytes 0-99/{len(body)}")
    assert get(here, Range="bytes=0-99", If_Range='"other"').status_code == 200
    beyond = get(here, Range=f"bytes={len(body)}-")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(body)}")


@pytest.mark.parametrize(
    "path",
    [
        "/stac/nothing",
        "/stac/dem/dem-2",
        "/stac/dem/dem-0.tif",
        "/stac/dem/photo-1",
        "/stac/dem/..%2F..%2Fcity.yml.tif",
        "/stac/dem/dem-1.png",
    ],
)
def test_what_is_not_there_is_not_found(get: Get, path: str) -> None:
    assert get(path).status_code == 404


def test_a_file_that_is_gone_is_told_without_its_place(tmp_path: Path) -> None:
    (tmp_path / "city.yml").write_text("title: {en: Gone}\n")
    rasters.write(tmp_path / "rasters/dem.tif")
    rasters.record(tmp_path, "dem", "rasters/dem.tif")
    (tmp_path / "rasters/dem.tif").unlink()
    city = open_city(tmp_path)

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=cast(Any, build(city)))
        async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
            return [await client.get(f"/stac/{path}") for path in ("dem", "dem/dem-1", "dem/dem-1.tif")]

    try:
        collection, item, file = asyncio.run(ask())
    finally:
        city.close()
    assert collection.status_code == 200
    for one in (item, file):
        assert one.status_code == 503
        assert one.json()["detail"] == "layer dem: its raster cannot be read: No such file or directory"
