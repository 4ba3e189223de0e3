"""OGC API Coverages over real files, in this process; values against rasterio's own reading of the file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio.io import MemoryFile
from rasterio.windows import from_bounds

from layers.store.open import open_store
from tests import imagery, rasters
from tests.storing import grid, load, spec
from twin.app import build, open_city

HERE = "/ogc/collections/dem/coverage"
BOX = "24.94,60.163,24.95,60.165"
type Get = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    city = tmp_path_factory.mktemp("coverages")
    (city / "city.yml").write_text("title: {en: Coverages}\ncrs: EPSG:3879\n")
    rasters.write(city / "rasters/dem.tif")
    rasters.record(city, "dem", "rasters/dem.tif", form="surface", vertical_datum="N2000 height")
    three = [np.full((200, 300), n, np.uint8) for n in (10, 20, 30)]
    for year, lift in ((2020, 0), (2024, 100)):
        rasters.write(
            city / f"rasters/photo{year}.tif",
            [one + lift for one in three],
            nodata=None,
            names=("red", "green", "blue"),
            units=("", "", ""),
        )
    times = (("rasters/photo2020.tif", "2020-06-01"), ("rasters/photo2024.tif", "2024-06-01"))
    rasters.record(city, "photo", *times)
    rasters.write(city / "rasters/utm.tif", crs="EPSG:3067", origin=(385_000.0, 6_672_000.0))
    rasters.record(city, "utm", "rasters/utm.tif", crs="EPSG:3067")
    store = open_store(city)
    load(store, spec("buildings"), grid(3))
    store.close()
    return city


@pytest.fixture(scope="module")
def get(folder: Path) -> Iterator[Get]:
    with imagery.asking_with_queries(folder) as ask:
        yield ask


def opened(answer: httpx.Response) -> Any:
    """The GeoTIFF of an answer."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/tiff; application=geotiff"
    return MemoryFile(answer.content).open()


def test_the_whole_coverage_comes_as_the_file_has_it(get: Get, folder: Path) -> None:
    answer = get(HERE)
    with opened(answer) as got, rasterio.open(folder / "rasters/dem.tif") as own:
        assert np.array_equal(got.read(1), own.read(1))
        assert (got.crs, got.transform, got.nodata) == (own.crs, own.transform, -9999)
        assert (got.descriptions, got.units) == (("height",), ("m",))
        assert got.tags()["AREA_OR_POINT"] == "Area"
    assert answer.headers["content-crs"] == "<http://www.opengis.net/def/crs/EPSG/0/3857>"
    assert answer.headers["content-bbox"] == "2776000,8436000,2779000,8438000"
    assert get(HERE, {"If-None-Match": answer.headers["etag"]}).status_code == 304


def test_a_part_has_the_cells_that_it_touches_unchanged(get: Get, folder: Path) -> None:
    by_box = get(HERE, bbox=BOX)
    by_axes = get(HERE, subset="Lat(60.163:60.165),Lon(24.94:24.95)")
    twice = get(f"{HERE}?subset=Lat(60.163:60.165)&subset=Lon(24.94:24.95)")
    with opened(by_box) as got, rasterio.open(folder / "rasters/dem.tif") as own:
        window = from_bounds(*got.bounds, own.transform)
        assert np.array_equal(got.read(1), own.read(1, window=window))
        edges = Transformer.from_crs(4326, 3857, always_xy=True).transform_bounds(
            24.94, 60.163, 24.95, 60.165
        )
        assert all(abs(a - b) < 10 for a, b in zip(got.bounds, edges, strict=True))
        assert got.bounds.left <= edges[0]
        assert got.bounds.top >= edges[3]
    assert by_axes.content == by_box.content == twice.content


def test_a_part_in_the_coverages_own_crs(get: Get, folder: Path) -> None:
    with opened(get(HERE, subset="E(2776100:2776300),N(8437000:8437100)")) as got:
        assert got.bounds == (2_776_100, 8_437_000, 2_776_300, 8_437_100)
    same = get(HERE, bbox="2776100,8437000,2776300,8437100", bbox_crs="EPSG:3857")
    with opened(same) as got:
        assert (got.width, got.height) == (20, 10)
    with opened(get(HERE, subset="N(8437005)")) as got:
        assert (got.width, got.height) == (300, 1)
        assert got.read(1)[0, 7] == 7 + 99_000
    turned = get(
        HERE, bbox="60.163,24.94,60.165,24.95", bbox_crs="http://www.opengis.net/def/crs/EPSG/0/4326"
    )
    assert turned.content == get(HERE, bbox=BOX).content


def test_another_crs_keeps_the_values(get: Get, folder: Path) -> None:
    answer = get(HERE, bbox=BOX, crs="[EPSG:4326]")
    south, west, *_ = map(float, answer.headers["content-bbox"].split(","))
    assert (round(south), round(west)) == (60, 25)
    with opened(answer) as got, rasterio.open(folder / "rasters/dem.tif") as own:
        assert got.crs.to_epsg() == 4326
        x, y = got.xy(9, 40)
        east_, north_ = Transformer.from_crs(4326, 3857, always_xy=True).transform(x, y)
        column, row = ~own.transform @ (east_, north_)
        # the ramp is linear, so bilinear values are exact
        assert abs(got.read(1)[9, 40] - (column - 0.5 + 1000 * (row - 0.5))) < 1.5


@pytest.mark.parametrize(
    ("query", "size"),
    [
        ({"scale_factor": "2"}, (150, 100)),
        ({"scale_factor": "2.5"}, (120, 80)),
        ({"scale_axes": "E(3),N(2)"}, (100, 100)),
        ({"scale_size": "E(30),N(20)"}, (30, 20)),
        ({"width": "30"}, (30, 200)),
        ({"width": "30", "height": "20"}, (30, 20)),
        ({"resolution": "E(100),N(50)"}, (30, 40)),
        ({"resolution": ""}, (300, 200)),
        ({"resolution": "E(),N()"}, (300, 200)),
        ({"subset": "E(2776000:2776100),N(8437900:8438100)", "width": "5", "height": "8"}, (5, 8)),
    ],
    ids=str,
)
def test_scales(get: Get, query: dict[str, str], size: tuple[int, int]) -> None:
    with opened(get(HERE, **query)) as got:
        assert (got.width, got.height) == size


def test_a_size_of_a_part_is_of_exactly_that_part(get: Get) -> None:
    """GDAL asks so: its own spelling, tiles that reach beyond the edge, degrees."""
    answer = get(f"{HERE}?subset=Lon(24.93:24.95),Lat(60.16:60.17)&scaleSize=Lon(256),Lat(128)")
    with opened(answer) as got:
        assert (got.width, got.height) == (256, 128)
        assert got.crs.to_epsg() == 4326
        assert got.bounds == pytest.approx((24.93, 60.16, 24.95, 60.17))
        assert got.read(1)[-1, 0] == -9999


def test_fields_are_chosen(get: Get) -> None:
    here = "/ogc/collections/photo/coverage"
    with opened(get(here, properties="blue,red")) as got:
        assert got.descriptions == ("blue", "red")
        assert got.read()[:, 0, 0].tolist() == [130, 110]
    with opened(get(here, exclude_properties="green")) as got:
        assert got.descriptions == ("red", "blue")
    fields = get("/ogc/collections/photo/schema").json()["properties"]
    assert [(name, one["type"], one["x-ogc-propertySeq"]) for name, one in fields.items()] == [
        ("red", "integer", 1),
        ("green", "integer", 2),
        ("blue", "integer", 3),
    ]
    assert get("/ogc/collections/dem/schema").json()["properties"]["height"]["x-ogc-unit"] == "m"


def test_time_chooses_the_file(get: Get) -> None:
    here = "/ogc/collections/photo/coverage"

    def red(**query: str) -> tuple[int, str]:
        answer = get(here, **query)
        with opened(answer) as got:
            return int(got.read(1)[0, 0]), answer.headers["content-datetime"]

    assert red() == (110, "2024-06-01")
    assert red(datetime="2021-01-01") == (10, "2020-06-01")
    assert red(datetime="../2021-01-01T00:00:00Z") == (10, "2020-06-01")
    assert red(subset='time("2020-06-01")') == (10, "2020-06-01")
    assert red(subset='time("2020-01-01":"2022-01-01")') == (10, "2020-06-01")
    assert red(subset="time(*)") == (110, "2024-06-01")
    assert get(here, datetime="2019-01-01").status_code == 404
    assert get(here, datetime="2021-01-01/2022-01-01").status_code == 404
    assert get(HERE, datetime="2019-01-01").status_code == 200  # what has no time is true at any


def test_coveragejson(get: Get, folder: Path) -> None:
    answer = get(HERE, bbox=BOX, f="covjson")
    assert answer.headers["content-type"] == "application/prs.coverage+json"
    document = answer.json()
    assert (document["type"], document["domain"]["domainType"]) == ("Coverage", "Grid")
    axes, values = document["domain"]["axes"], document["ranges"]["height"]
    with opened(get(HERE, bbox=BOX)) as got:
        assert (axes["x"]["start"], axes["y"]["start"]) == got.xy(0, 0)
        assert (axes["x"]["stop"], axes["y"]["stop"]) == got.xy(got.height - 1, got.width - 1)
        assert values["shape"] == list(got.shape)
        assert values["values"] == got.read(1).ravel().tolist()
    (system,) = document["domain"]["referencing"]
    assert system["system"] == {"type": "ProjectedCRS", "id": "http://www.opengis.net/def/crs/EPSG/0/3857"}
    assert document["parameters"]["height"]["unit"]["symbol"]["value"] == "m"
    corner = get(HERE, subset="E(2776000:2776100),N(8437900:8438000)", f="json").json()
    assert corner["ranges"]["height"]["values"][:6] == [None] * 5 + [5]
    timed = get("/ogc/collections/photo/coverage", bbox=BOX, f="covjson", properties="red").json()
    assert timed["domain"]["axes"]["t"] == {"values": ["2024-06-01"]}
    assert list(timed["ranges"]) == ["red"]


def test_the_representation_is_negotiated(get: Get) -> None:
    def kind(accept: str) -> str:
        return get(HERE, {"Accept": accept}, bbox=BOX).headers["content-type"].partition(";")[0]

    assert kind("image/tiff; application=geotiff") == kind("*/*") == "image/tiff"
    assert kind("application/vnd.cov+json") == kind("application/json") == "application/prs.coverage+json"
    assert get(HERE, {"Accept": "image/png"}).status_code == 406
    assert get(HERE, f="netcdf").status_code == 400


BAD = [
    ({"bbox": "1,2,3"}, 400, "4 or 6 finite numbers"),
    ({"bbox": "nan,1,2,3"}, 400, "finite numbers"),
    ({"bbox": "24.94,60.165,24.95,60.163"}, 400, "the lower end comes before the upper one"),
    ({"bbox": "0,0,1,1"}, 404, "24.937232,60.162474,24.964182,60.171411"),
    ({"bbox": "170,60,-170,61"}, 404, "nothing in that part"),
    ({"bbox": BOX, "bbox_crs": "EPSG:2154"}, 400, "EPSG:3857"),
    ({"bbox": BOX, "subset": "Lat(60:61)"}, 400, "not together"),
    ({"subset": "depth(1:2)"}, 400, "Lat, Lon, E, N and time"),
    ({"subset": "Lat(60:61),E(1:2)"}, 400, "axes of one CRS"),
    ({"subset": "Lat(60:61),Lat(60:61)"}, 400, "each axis once"),
    ({"subset": "Lat(60"}, 400, "in brackets"),
    ({"subset": "Lat(nan:61)"}, 400, "no finite number"),
    ({"subset": "Lat(10:11)"}, 404, "nothing in that part"),
    ({"subset": "E(1e9:2e9)"}, 404, "nothing in that part"),
    ({"subset": 'time("yesterday")'}, 400, "yesterday"),
    ({"subset": 'time("2020-01-01")', "datetime": "2020-01-01"}, 400, "once"),
    ({"crs": "EPSG:2154"}, 400, "it is offered in"),
    ({"crs": "moon"}, 400, "a CRS as a URI"),
    ({"properties": "depth"}, 400, "height"),
    ({"properties": "height,height"}, 400, "each once"),
    ({"properties": "height", "exclude_properties": "height"}, 400, "not together"),
    ({"exclude_properties": "height"}, 400, "at least one field"),
    ({"width": "0"}, 400, "from 1 to"),
    ({"width": "1000000000"}, 400, "from 1 to"),
    ({"width": "40000", "height": "40000"}, 413, "scale-factor=10"),
    ({"scale_factor": "0.000001"}, 413, "larger cells"),
    ({"scale_factor": "0"}, 400, "above 0"),
    ({"scale_factor": "-1"}, 400, "above 0"),
    ({"scale_size": "E(0)"}, 400, "from 1 to"),
    ({"scale_size": "E(1e9)"}, 400, "from 1 to"),
    ({"scale_size": "depth(3)"}, 400, "Lat and Lon, or E and N"),
    ({"scale_factor": "2", "width": "3"}, 400, "says the scale"),
    ({"resolution": "E(-1)"}, 400, "above 0"),
    ({"resolution": "E(0.001)"}, 413, "larger cells"),
    ({"datetime": "soon"}, 400, "soon"),
    ({"limit": "5"}, 400, "no parameter here"),
    ({"f": "covjson", "scale_factor": "0.05"}, 413, "scale-factor="),
]


@pytest.mark.parametrize(("query", "status", "reason"), BAD, ids=[str(one[0]) for one in BAD])
def test_bad_requests_are_told_what_is_allowed(
    get: Get, query: dict[str, str], status: int, reason: str
) -> None:
    answer = get(HERE, **query)
    assert answer.status_code == status, answer.text
    assert reason in answer.json()["detail"]


def test_what_is_no_coverage_is_not_found(get: Get) -> None:
    for below in ("coverage", "coverage/domainset", "coverage/rangetype"):
        answer = get(f"/ogc/collections/buildings/{below}")
        assert answer.status_code == 404
        assert "of the form features" in answer.json()["detail"]
        assert get(f"/ogc/collections/nothing/{below}").status_code == 404


def test_the_collection_says_grid_crs_times_and_links(get: Get) -> None:
    document = get("/ogc/collections/dem").json()
    assert document["storageCrs"] == "http://www.opengis.net/def/crs/EPSG/0/3857"
    assert document["crs"][1].endswith("/3879")
    spatial = document["extent"]["spatial"]
    assert spatial["storageCrsBbox"] == [[2_776_000, 8_436_000, 2_779_000, 8_438_000]]
    assert spatial["grid"] == [{"cellsCount": 300, "resolution": 10}, {"cellsCount": 200, "resolution": 10}]
    assert spatial["bbox"][0] == pytest.approx([24.937232, 60.162474, 24.964182, 60.171411], abs=1e-6)
    for one in document["links"]:
        if one["rel"].endswith(("/coverage", "/schema", "/coverage-domainset", "/coverage-rangetype")):
            answer = get(one["href"].removeprefix("http://127.0.0.1"))
            assert answer.status_code == 200
            assert answer.headers["content-type"] == one["type"]
    timed = get("/ogc/collections/photo").json()["extent"]["temporal"]
    assert timed["interval"] == [["2020-06-01T00:00:00.000Z", "2024-06-01T23:59:59.999Z"]]
    utm = get("/ogc/collections/utm").json()
    assert utm["storageCrs"].endswith("/3067")
    assert utm["crs"].count(utm["storageCrs"]) == 1


def test_one_file_that_is_gone_takes_no_other_layer_with_it(tmp_path: Path) -> None:
    (tmp_path / "city.yml").write_text("title: {en: Gone}\n")
    rasters.write(tmp_path / "rasters/dem.tif")
    rasters.record(tmp_path, "dem", "rasters/dem.tif")
    (tmp_path / "rasters/dem.tif").unlink()
    city = open_city(tmp_path)

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=cast(Any, build(city)))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            paths = (
                "/ogc/collections",
                "/ogc/collections/dem",
                HERE,
                "/ogc/collections/dem/schema",
                "/ogc/api",
            )
            return [await client.get(path) for path in paths]

    try:
        listed, one, values, schema, api = asyncio.run(ask())
    finally:
        city.close()
    assert [listed.status_code, one.status_code, api.status_code] == [200, 200, 200]
    assert [values.status_code, schema.status_code] == [503, 503]
    assert str(tmp_path) not in values.text
    assert "storageCrs" not in one.json()


def test_stored_values_come_as_they_are_meant(tmp_path: Path) -> None:
    """A GeoTIFF keeps scale and offset beside what is stored; JSON has nowhere to say them."""
    (tmp_path / "city.yml").write_text("title: {en: Scaled}\n")
    file = rasters.write(tmp_path / "rasters/t.tif", [np.full((9, 9), 250, np.int16)], nodata=-1)
    with rasterio.open(file, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as raw:
        raw.scales, raw.offsets = [0.1], [-5.0]
    rasters.record(tmp_path, "t", "rasters/t.tif")
    city = open_city(tmp_path)

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=cast(Any, build(city)))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            here = "/ogc/collections/t/coverage"
            return [await client.get(here), await client.get(here, params={"f": "json"})]

    try:
        tiff, json = asyncio.run(ask())
    finally:
        city.close()
    with opened(tiff) as got:
        assert (got.read(1)[0, 0], got.scales, got.offsets) == (250, (0.1,), (-5.0,))
    assert json.json()["ranges"]["height"]["values"][0] == pytest.approx(20)
