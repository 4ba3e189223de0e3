"""OGC API Maps over real files, in this process: place, size, colours and background of the pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from pyproj import Transformer

from tests import imagery, rasters

HERE = "/ogc/collections/photo/map"
BOX = "24.94,60.163,24.95,60.165"
type Get = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    city = tmp_path_factory.mktemp("maps")
    (city / "city.yml").write_text("title: {en: Maps}\ncrs: EPSG:3879\n")
    rasters.write(city / "rasters/dem.tif")
    rasters.record(city, "dem", "rasters/dem.tif", form="surface")
    for year, lift in ((2020, 0), (2024, 100)):
        # its western half is red, the other blue
        red = np.full((200, 300), 50 + lift, np.uint8)
        blue = red.copy()
        red[:, 150:], blue[:, :150] = 0, 0
        bands = [red, np.zeros_like(red), blue, np.full_like(red, 255)]
        file = city / f"rasters/photo{year}.tif"
        names = ("red", "green", "blue", "mask")
        rasters.write(file, bands, nodata=None, names=names, units=[""] * 4, alpha=True)
    times = (("rasters/photo2020.tif", "2020-06-01"), ("rasters/photo2024.tif", "2024-06-01"))
    rasters.record(city, "photo", *times)
    return city


@pytest.fixture(scope="module")
def get(folder: Path) -> Iterator[Get]:
    with imagery.asking_with_queries(folder) as ask:
        yield lambda path=HERE, headers=None, **query: ask(path, headers, **query)


def pixels(answer: httpx.Response) -> NDArray[np.uint8]:
    """A picture as (rows, columns, 4)."""
    assert answer.status_code == 200, answer.text
    return np.ascontiguousarray(imagery.pixels(answer.content).transpose(1, 2, 0))


def bounds(answer: httpx.Response) -> list[float]:
    return [float(end) for end in answer.headers["content-bbox"].split(",")]


def test_a_map_of_everything_is_in_the_layers_own_crs(get: Get) -> None:
    answer = get()
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-crs"] == "<http://www.opengis.net/def/crs/EPSG/0/3857>"
    assert bounds(answer) == [2_776_000, 8_436_000, 2_779_000, 8_438_000]
    assert answer.headers["content-datetime"] == "2024-06-01"
    picture = pixels(answer)
    assert picture.shape == (200, 300, 4)
    assert picture[100, 10].tolist() == [150, 0, 0, 255]
    assert picture[100, 290].tolist() == [0, 0, 150, 255]
    assert get(HERE, {"If-None-Match": answer.headers["etag"]}).status_code == 304


def test_a_part_is_exactly_what_is_asked_for(get: Get) -> None:
    answer = get(bbox=BOX, crs="CRS84", width="400", height="100")
    assert bounds(answer) == [24.94, 60.163, 24.95, 60.165]
    assert pixels(answer).shape == (100, 400, 4)
    # where the colours change, by pyproj
    middle, _ = Transformer.from_crs(3857, 4326, always_xy=True).transform(2_777_500, 8_437_000)
    row = pixels(get(bbox=f"{middle - 0.001},60.163,{middle + 0.001},60.165", crs="CRS84", width="401"))[5]
    assert row[188].tolist() == [150, 0, 0, 255]
    assert row[212].tolist() == [0, 0, 150, 255]
    north_first = get(bbox="60.163,24.94,60.165,24.95", bbox_crs="EPSG:4326", crs="EPSG:4326", width="40")
    assert bounds(north_first) == [60.163, 24.94, 60.165, 24.95]
    by_axes = get(subset="Lat(60.163:60.165),Lon(24.94:24.95)", crs="CRS84", width="400", height="100")
    assert by_axes.content == answer.content


def test_sizes_and_scales(get: Get) -> None:
    assert pixels(get(width="60")).shape == (40, 60, 4)
    assert pixels(get(height="60")).shape == (60, 90, 4)
    assert pixels(get(bbox="2776000,8436000,2778000,8437000", bbox_crs="EPSG:3857")).shape[:2] == (100, 200)
    # 3000 m at 1 : 100 000 are 107 pixels of 0.28 mm
    assert pixels(get(scale_denominator="100000")).shape[:2] == (71, 107)
    assert pixels(get(scale_denominator="100000", mm_per_pixel="0.14")).shape[:2] == (143, 214)
    around = get(
        center="2777500,8437000", center_crs="EPSG:3857", width="10", height="4", scale_denominator="100000"
    )
    assert bounds(around) == pytest.approx([2_777_360, 8_436_944, 2_777_640, 8_437_056])
    assert (pixels(around)[0, :, 0] > 75).tolist() == [True] * 5 + [False] * 5
    assert bounds(get(center="24.95,60.166", width="100", height="50"))[0] == pytest.approx(2_776_922, abs=1)
    assert pixels(get(width="50", scale_denominator="100000")).shape[:2] == (50, 50)


def test_what_lies_around_it_is_transparent_or_has_a_colour(get: Get) -> None:
    around = {"bbox": "2775000,8435000,2780000,8439000", "bbox_crs": "EPSG:3857", "width": "50"}
    assert pixels(get(**around))[0, 0, 3] == 0
    for color, rgb in (("0xCC00CC", [204, 0, 204]), ("CC00CC", [204, 0, 204]), ("Navy", [0, 0, 128])):
        picture = pixels(get(**around, bgcolor=color))
        assert picture[0, 0].tolist() == [*rgb, 255]
        assert picture[20, 15].tolist() == [150, 0, 0, 255]
    assert pixels(get(**around, transparent="false"))[0, 0].tolist() == [255] * 4
    assert pixels(get(**around, bgcolor="red", transparent="true"))[0, 0, 3] == 0
    assert abs(pixels(get(**around, f="jpeg")).astype(int)[0, 0] - 255).max() < 3
    assert abs(pixels(get(**around, f="jpeg", bgcolor="lime")).astype(int)[2, 2] - [0, 255, 0, 255]).max() < 6
    dem = pixels(get("/ogc/collections/dem/map", **around, bgcolor="lime"))
    assert dem[0, 0].tolist() == [0, 255, 0, 255]
    far = get(bbox="10,50,11,51", width="20", height="20")
    assert not pixels(far)[..., 3].any()
    world = get(bbox="-180,-90,180,90", width="40", height="40")
    assert bounds(world)[0] == pytest.approx(-20_037_508, abs=1)


def test_formats_are_negotiated(get: Get) -> None:
    small = {"width": "30"}
    for accept, media in (
        ("image/png,image/jpeg,image/*", "image/png"),
        ("image/jpeg", "image/jpeg"),
        ("image/webp", "image/webp"),
        ("*/*", "image/png"),
    ):
        answer = get(HERE, {"Accept": accept}, **small)
        assert answer.headers["content-type"] == media
        assert "Accept" in answer.headers["vary"]
        assert pixels(answer).shape[1] == 30
    assert get(HERE, {"Accept": "text/html"}, **small).status_code == 406


def test_style_and_time_are_those_of_tiles(get: Get) -> None:
    assert pixels(get(datetime="2021-01-01"))[0, 0].tolist() == [50, 0, 0, 255]
    assert get(datetime="2019-01-01").status_code == 404
    assert pixels(get(bands="3,2,1"))[0, 0].tolist() == [0, 0, 150, 255]
    here = "/ogc/collections/dem/map"
    plain, other = (pixels(get(here, colormap=name, width="30")) for name in ("gray", "viridis"))
    assert not np.array_equal(plain, other)
    shaded = pixels(get(here, hillshade="true", width="300"))
    assert len(np.unique(shaded[20:180, 20:280, 0])) < 10  # the ramp is even, so is its shade
    assert get(here, colormap="plaid").status_code == 400


BAD = [
    ({"bbox": "1,2,3"}, 400, "finite numbers"),
    ({"bbox": "nan,1,2,3"}, 400, "finite numbers"),
    ({"bbox": "24.95,60.163,24.95,60.163"}, 400, "no area"),
    ({"bbox": "24.94,60.165,24.95,60.163"}, 400, "the lower end"),
    ({"bbox": BOX, "bbox_crs": "EPSG:2154"}, 400, "offered in"),
    ({"bbox": BOX, "subset": "Lat(60:61)"}, 400, "not together"),
    ({"bbox": BOX, "center": "24.9,60"}, 400, "not together"),
    ({"subset": "Lat(60:61)", "center": "24.9,60"}, 400, "not together"),
    ({"subset": "InvalidAxis(0:1)"}, 400, "Lat, Lon, E, N and time"),
    ({"subset": "Lat(200:300)"}, 404, "nothing at"),
    ({"center": "1"}, 400, "two numbers"),
    ({"center": "1,inf"}, 400, "no finite number"),
    ({"width": "0"}, 400, "from 1 to"),
    ({"width": "-1"}, 400, "from 1 to"),
    ({"width": "abc"}, 400, "from 1 to"),
    ({"width": "40000", "height": "25000"}, 413, "at most"),
    ({"width": "10000", "height": "10000"}, 413, "at most"),
    ({"width": "60000"}, 413, "along one side"),
    ({"scale_denominator": "0.001"}, 413, "along one side"),
    ({"scale_denominator": "0"}, 400, "above 0"),
    ({"width": "800", "bbox": BOX, "scale_denominator": "4000"}, 400, "which say it"),
    ({"bgcolor": "mud"}, 400, "web colour"),
    ({"transparent": "maybe"}, 400, "true or false"),
    ({"crs": "EPSG:2154"}, 400, "offered in"),
    ({"f": "gif"}, 400, "png"),
    ({"limit": "1"}, 400, "no parameter here"),
]


@pytest.mark.parametrize(("query", "status", "reason"), BAD, ids=[str(one[0]) for one in BAD])
def test_bad_requests_are_told_what_is_allowed(
    get: Get, query: dict[str, str], status: int, reason: str
) -> None:
    answer = get(**query)
    assert answer.status_code == status, answer.text[:300]
    assert reason in answer.json()["detail"]


def test_collections_link_their_maps(get: Get) -> None:
    links = [one for one in get("/ogc/collections/photo").json()["links"] if one["rel"].endswith("/map")]
    assert [one["type"] for one in links] == ["image/png", "image/jpeg", "image/webp"]
    for one in links:
        answer = get(one["href"].removeprefix("http://127.0.0.1"))
        assert answer.headers["content-type"] == one["type"]
    assert get("/ogc/collections/nothing/map").status_code == 404
