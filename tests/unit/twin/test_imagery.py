"""Pictures of rasters, as a client gets them."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import morecantile
import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rio_tiler.errors import NoOverviewWarning
from rio_tiler.io import Reader

from layers.errors import BadConfig
from layers.model import Asset
from tests import imagery
from tests.imagery import COLUMN, ROW, ZOOM, Ask, pixels
from twin import settings
from twin.access.rights import ALL, WHOLE, Share

TILE = f"{ZOOM}/{COLUMN}/{ROW}"
MAP = f"/ogc/collections/{{}}/map/tiles/WebMercatorQuad/{ZOOM}/{ROW}/{COLUMN}"
PALETTE = {1: (255, 0, 0, 255), 2: (0, 255, 0, 255)}
STYLED = "layers: {twice: {style: {colormap: viridis, range: [0, 100000], opacity: 0.5}}}\n"
QUAD = morecantile.tms.get("WebMercatorQuad")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = imagery.city(tmp_path_factory.mktemp("imagery"), STYLED)
    values = imagery.ramp()
    values[0, :64, :64] = -9999
    ground = imagery.write(folder / "g.tif", values, nodata=-9999)
    imagery.record(folder, "ground", ground, form="surface")
    imagery.record(folder, "twice", ground)
    rows, columns = np.mgrid[0:256, 0:256]
    picture = np.stack([rows, columns, np.full_like(rows, 7), np.full_like(rows, 255)]).astype(np.uint8)
    picture[3, 200:] = 0
    meant = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    imagery.record(folder, "photo", imagery.write(folder / "p.tif", picture, colors=meant))
    classes = (1 + (rows + columns) % 3).astype(np.uint8)[None]
    imagery.record(folder, "cover", imagery.write(folder / "c.tif", classes, palette=PALETTE))
    many = np.stack([imagery.ramp()[0] / scale for scale in (1, 2, 4, 8)])
    imagery.record(folder, "scene", imagery.write(folder / "s.tif", many, describe=["a", "b", "c", "d"]))
    west, east = (imagery.write(folder / f"{n}.tif", np.full((1, 256, 256), n, np.int16)) for n in (1, 2))
    times = Asset(href=str(west), time="2020-01-01"), Asset(href=str(east), time="2024-01-01T12:00:00.000Z")
    imagery.record(folder, "yearly", *times)
    imagery.record(folder, "gone", folder / "nothing.tif")
    (folder / "broken.tif").write_bytes(ground.read_bytes()[:3000])
    imagery.record(folder, "broken", folder / "broken.tif")
    return folder


@pytest.fixture(scope="module")
def ask(folder: Path) -> Iterator[Ask]:
    with imagery.asking(folder) as (_, ask):
        yield ask


def drawn(ask: Ask, layer: str, query: str = "") -> NDArray[np.uint8]:
    return pixels(ask(f"/imagery/{layer}/{TILE}.png{query}").content)


def test_a_photo_comes_as_it_is(ask: Ask) -> None:
    answer = ask(f"/imagery/photo/{TILE}.png")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    seen = pixels(answer.content)
    rows, columns = np.mgrid[0:256, 0:256]
    np.testing.assert_array_equal(seen[0][:200], rows[:200])
    np.testing.assert_array_equal(seen[1][:200], columns[:200])
    assert set(np.unique(seen[3][:200])) == {255}
    assert set(np.unique(seen[3][200:])) == {0}


def test_jpeg_is_white_where_nothing_is_and_webp_transparent(ask: Ask) -> None:
    jpeg, webp = (ask(f"/imagery/photo/{TILE}.{form}") for form in ("jpg", "webp"))
    assert [one.headers["content-type"] for one in (jpeg, webp)] == ["image/jpeg", "image/webp"]
    assert pixels(jpeg.content)[:3, 210:].min() > 250
    assert set(np.unique(pixels(webp.content)[3, 210:])) == {0}
    for answer in (jpeg, webp):
        seen = pixels(answer.content).astype(int)
        assert np.abs(seen[1, :190] - np.arange(256)).mean() < 4


def test_heights_are_coloured_and_what_is_missing_is_transparent(ask: Ask) -> None:
    seen = drawn(ask, "ground", "?colormap=gray&range=0,255255&hillshade=false")
    assert set(np.unique(seen[3][:64, :64])) == {0}
    assert set(np.unique(seen[3][64:])) == {255}
    wanted = imagery.ramp()[0] * 255 / 255_255
    # rio-tiler's own gray is one off in places, and one of its steps stands for what is transparent
    np.testing.assert_allclose(seen[0][64:], wanted[64:], atol=2)


def test_a_palette_is_kept(ask: Ask) -> None:
    seen = drawn(ask, "cover")
    assert seen[:, 0, 0].tolist() == [255, 0, 0, 255]
    assert seen[:, 0, 1].tolist() == [0, 255, 0, 255]
    assert seen[:, 0, 2].tolist() == [0, 0, 0, 255]  # a TIFF's palette names every value
    assert drawn(ask, "cover", "?colormap=gray&range=1,3")[0, 0].tolist()[:3] == [0, 128, 255]


def test_bands_are_chosen_by_number_or_name(ask: Ask) -> None:
    first, names = (drawn(ask, "scene", f"?bands={bands}&range=0,255255") for bands in ("3,2,1", "c,b,a"))
    np.testing.assert_array_equal(first, names)
    np.testing.assert_allclose(first[2], imagery.ramp()[0] / 255_255 * 255, atol=1)
    np.testing.assert_allclose(first[0], first[2] / 4, atol=1)
    one = drawn(ask, "scene", "?bands=d&colormap=gray&range=0,255255")
    np.testing.assert_allclose(one[0], imagery.ramp()[0] / 8 / 255_255 * 255, atol=2)


def test_a_slope_is_as_bright_as_the_light_falls_on_it(ask: Ask) -> None:
    """The ramp rises by 1000 m a cell to the south and by 1 m to the east, so it faces the north: the light,
    from the north-west and 45° above the horizon, falls on it at 60°."""
    seen = drawn(ask, "ground", "?hillshade=true")
    assert set(np.unique(seen[3][65:])) == {255}
    south, _, north = imagery.BOX[1], 0, imagery.BOX[3]
    cell = np.radians(north - south) * 6_371_000 / 256
    normal = np.array([-1 / cell, 1000 / cell, 1])
    light = np.array([-np.sin(np.radians(45)), np.cos(np.radians(45)), 1]) * np.cos(np.radians(45))
    bright = 255 * float(normal @ light) / float(np.linalg.norm(normal))
    assert bright == pytest.approx(255 * np.cos(np.radians(60)), abs=1)
    # in 254 steps of grey
    assert np.abs(seen[:3, 66:-1, 1:-1].astype(float) - bright).max() < 2
    plain = drawn(ask, "ground", "?hillshade=false&colormap=viridis")[:3, 66:-1, 1:-1].astype(float)
    coloured = drawn(ask, "ground", "?hillshade=true&colormap=viridis")[:3, 66:-1, 1:-1]
    assert np.abs(coloured - plain * bright / 255).max() < 2


def test_times_are_chosen(ask: Ask) -> None:
    newest, at_first = (
        drawn(ask, "yearly", f"?range=0,2&colormap=gray{when}") for when in ("", "&datetime=2022-01-01")
    )
    assert {newest[0, 0, 0], at_first[0, 0, 0]} == {255, 128}
    assert set(np.unique(drawn(ask, "yearly", "?datetime=2019-01-01")[3])) == {0}
    assert ask(f"/imagery/yearly/{TILE}.png?datetime=2021-01-01/2022-01-01").status_code == 404


def test_there_is_nothing_outside(ask: Ask) -> None:
    for place in (f"{ZOOM}/{COLUMN + 2}/{ROW}", f"{ZOOM}/0/0", "3/0/0"):
        answer = ask(f"/imagery/ground/{place}.png")
        assert answer.status_code == 200
        assert set(np.unique(pixels(answer.content)[3])) == {0}
    for place in ("25/0/0", f"{ZOOM}/{2**ZOOM}/0", f"{ZOOM}/-1/0", "a/0/0"):
        assert ask(f"/imagery/ground/{place}.png").status_code == 404


@pytest.mark.parametrize(
    ("layer", "query", "reason"),
    [
        ("ground", "colormap=mauve", "colormap=mauve"),
        ("ground", "range=5", "range=5"),
        ("ground", "range=5,5", "the lower one first"),
        ("ground", "range=nan,5", "the lower one first"),
        ("ground", "bands=2", "there are 1"),
        ("ground", "bands=1,1", "one band, or three"),
        ("ground", "hillshade=yes", "true or false"),
        ("ground", "datetime=soon", "datetime=soon"),
        ("ground", "rescale=1,2", "unknown parameter"),
        ("photo", "colormap=gray", "of one band"),
        ("photo", "hillshade=true", "of one band"),
    ],
)
def test_what_cannot_be_drawn_is_refused(ask: Ask, layer: str, query: str, reason: str) -> None:
    for path in (f"/imagery/{layer}/{TILE}.png", f"/imagery/{layer}.json", MAP.format(layer)):
        answer = ask(f"{path}?{query}")
        assert answer.status_code == 400, path
        assert reason in answer.json()["detail"]


def test_a_file_that_cannot_be_read_ends_nothing_else(ask: Ask) -> None:
    for layer in ("gone", "broken"):
        answer = ask(f"/imagery/{layer}/{TILE}.png")
        assert answer.status_code == 503
        assert answer.json()["detail"].startswith("its raster cannot be read")
    layers = {one["id"]: one for one in ask("/config.json").json()["layers"]}
    assert layers["gone"]["raster"] is None
    assert ask("/ogc/collections").status_code == 200


def test_tiles_are_known_again(ask: Ask) -> None:
    path = f"/imagery/ground/{TILE}.png"
    tags = {ask(f"{path}{query}").headers["etag"] for query in ("", "?colormap=viridis", "?hillshade=false")}
    tags |= {ask(path.replace("png", "jpg")).headers["etag"]}
    assert len(tags) == 4
    again = ask(path, **{"if-none-match": ask(f"{path}?v=7").headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_file_that_is_published_anew_is_drawn_anew(tmp_path: Path) -> None:
    folder = imagery.city(tmp_path)
    imagery.record(folder, "ground", imagery.write(folder / "g.tif", imagery.ramp()))
    with imagery.asking(folder) as (city, ask):
        before = ask(f"/imagery/ground/{TILE}.png?range=0,255255")
        imagery.write(folder / "new.tif", imagery.ramp() / 2).replace(folder / "g.tif")
        city.imagery._looks.clear()  # as a second later
        after = ask(f"/imagery/ground/{TILE}.png?range=0,255255")
    assert before.headers["etag"] != after.headers["etag"]
    np.testing.assert_allclose(pixels(after.content)[0], pixels(before.content)[0] / 2, atol=3)


def test_tilejson_says_where_it_lies(ask: Ask) -> None:
    document = ask("/imagery/ground.json?colormap=viridis").json()
    assert document["tilejson"] == "3.0.0"
    assert document["tiles"] == ["http://127.0.0.1/imagery/ground/{z}/{x}/{y}.png?colormap=viridis"]
    assert (document["minzoom"], document["maxzoom"]) == (0, ZOOM)
    assert document["bounds"] == pytest.approx(imagery.BOX, abs=1e-6)


def test_map_tilesets_say_what_they_have(ask: Ask) -> None:
    here = "/ogc/collections/ground"
    links = ask(here).json()["links"]
    (to_list,) = (one["href"] for one in links if one["rel"].endswith("/tilesets-map"))
    assert to_list.endswith(f"{here}/map/tiles")
    (only,) = ask(f"{here}/map/tiles").json()["tilesets"]
    assert (only["dataType"], only["tileMatrixSetId"]) == ("map", "WebMercatorQuad")
    document = ask(f"{here}/map/tiles/WebMercatorQuad").json()
    assert document["layers"][0]["maxTileMatrix"] == str(ZOOM)
    assert document["boundingBox"]["lowerLeft"] == pytest.approx(imagery.BOX[:2], abs=1e-6)
    templates = {one["type"]: one["href"] for one in document["links"] if one["rel"] == "item"}
    assert list(templates) == ["image/png", "image/jpeg", "image/webp"]
    classes = ask("/ogc/conformance").json()["conformsTo"]
    assert {one.rsplit("/", 1)[1] for one in classes if "ogcapi-tiles" in one} >= {"png", "jpeg", "mvt"}


def test_a_tile_of_the_ogc_is_the_same(ask: Ask) -> None:
    same = ask(f"/imagery/ground/{TILE}.png?colormap=viridis")
    answer = ask(MAP.format("ground") + "?colormap=viridis")
    assert (answer.content, answer.headers["etag"]) == (same.content, same.headers["etag"])
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    for query, accept, media in (
        ("?f=jpeg", "*/*", "jpeg"),
        ("?f=image/webp", "*/*", "webp"),
        ("", "image/webp,image/png;q=0.8", "webp"),
    ):
        assert ask(MAP.format("ground") + query, accept=accept).headers["content-type"] == f"image/{media}"
    assert ask(MAP.format("ground") + "?f=tiff").status_code == 400
    assert ask(MAP.format("ground"), accept="text/html").status_code == 406


def test_the_page_is_told_of_them(ask: Ask) -> None:
    layers = {one["id"]: one["raster"] for one in ask("/config.json").json()["layers"]}
    photo, ground = layers["photo"], layers["ground"]
    assert photo["url"] == "imagery/photo/{z}/{x}/{y}.png"
    assert photo["maxzoom"] == ZOOM
    assert photo["style"]["bands"] == [1, 2, 3]
    style = {"colormap": None, "range": None, "bands": [1], "hillshade": True, "opacity": 1}
    assert ground["style"] == style
    assert [(band["name"], band["min"], band["max"]) for band in ground["bands"]] == [("band1", 64, 255255)]
    assert {"gray", "terrain", "viridis"} <= set(ground["colormaps"])
    assert layers["yearly"]["times"] == ["2020-01-01", "2024-01-01T12:00:00.000Z"]
    style = {"colormap": "viridis", "range": [0, 100000], "bands": [1], "hillshade": False, "opacity": 0.5}
    assert layers["twice"]["style"] == style


@pytest.mark.parametrize(
    ("style", "reason"),
    [
        ("{colormap: mauve}", "colormap: a colour map of rio-tiler"),
        ("{range: [5, 1]}", "range: two numbers, the lower one first"),
        ("{range: 5}", "range: two numbers"),
        ("{bands: [1, 2]}", "bands: one band, or three"),
        ("{hillshade: maybe}", "hillshade: true or false"),
        ("{opacity: 2}", "opacity: a number from 0 to 1"),
    ],
)
def test_a_style_that_draws_nothing_is_refused(style: str, reason: str) -> None:
    with pytest.raises(BadConfig, match=reason):
        settings.parse(f"layers: {{ground: {{style: {style}}}}}")
    settings.parse("layers: {g: {style: {range: [0, 1.5], bands: [3, 2, 1], hillshade: true, opacity: 1}}}")


class Guests:
    """Whoever has no key sees all of the photo, a part of the ground and nothing of the cover."""

    def class_of(self, name: str | None, may: object) -> str:
        return "guest" if name is None else ALL

    def share(self, rights: str, layer: Any) -> Share | None:
        if layer.id == "ground":
            return Share(where="fid = 1")
        return None if layer.id == "cover" else WHOLE


def test_who_sees_a_part_of_a_raster_sees_nothing_of_it(folder: Path) -> None:
    with imagery.asking(folder, Guests()) as (_, ask):
        for layer, status in (("photo", 200), ("ground", 404), ("cover", 404), ("nothing", 404)):
            position = f"/ogc/collections/{layer}/position?coords=POINT(24.95%2060.168)"
            paths = f"/imagery/{layer}/{TILE}.png", f"/imagery/{layer}.json", MAP.format(layer), position
            answers = [ask(path) for path in paths]
            assert [one.status_code for one in answers] == [status] * 4, layer
        answer = ask(f"/imagery/photo/{TILE}.png")
        assert "private" in answer.headers["cache-control"]
        assert "ground" not in [one["id"] for one in ask("/config.json").json()["layers"]]


REAL = (
    ("raster/dem_valais_2056.tif", 15, 7.097, 45.92),
    ("raster/dem_valais_2056.tif", 11, 7.097, 45.92),
    ("raster/naip_ortho_cog_3857.tif", 18, -121.3465, 41.9677),
    ("raster/s2a_l2a_fishbourne.tif", 14, -1.21, 50.735),
    ("raster/cog_dateline.tif", 9, 179.5, 51.6),
    ("raster/cog_dateline.tif", 9, -179.5, 51.6),
    ("nanaimo_ca/nanaimo_dem.tif", 12, -124.0, 49.18),
    ("andorra/elevation.tif", 15, 1.535, 42.508),
)


@pytest.mark.parametrize(("name", "zoom", "lon", "lat"), REAL)
def test_real_rasters_are_drawn_as_rio_tiler_draws_them(
    tmp_path: Path, name: str, zoom: int, lon: float, lat: float
) -> None:
    path, folder = imagery.shared(name), imagery.city(tmp_path)
    imagery.record(folder, "real", path, box=None)
    tile = QUAD.tile(lon, lat, zoom)
    with rasterio.open(path) as dataset, warnings.catch_warnings():
        warnings.simplefilter("ignore", NoOverviewWarning)
        options = {"resampling_method": "bilinear", "reproject_method": "bilinear"}
        wanted = Reader(None, dataset=dataset, options=options).tile(tile.x, tile.y, tile.z, tilesize=256)
    colors = wanted.array.shape[0] > 1 and wanted.array.dtype == np.uint8
    with imagery.asking(folder) as (_, ask):
        style = "" if colors else "?colormap=gray&bands=1"
        seen = pixels(ask(f"/imagery/real/{tile.z}/{tile.x}/{tile.y}.png{style}").content).astype(int)
        if not colors:
            low, high = _limits(ask)
    shown = ~np.ma.getmaskarray(wanted.array)[0]
    assert shown.any()
    # at the edge of the values rounding decides
    assert ((seen[3] > 0) == shown).mean() > 0.97
    both = shown & (seen[3] > 0)
    values = wanted.array.data[0][both].astype(float)
    expected = values if colors else np.clip((values - low) / (high - low), 0, 1) * 255
    assert np.abs(seen[0][both] - expected).mean() < 3


def _limits(ask: Ask) -> tuple[float, float]:
    (layer,) = ask("/config.json").json()["layers"]
    low, high = layer["raster"]["style"]["range"]
    return low, high


def test_a_legend_has_the_colours_of_the_picture(ask: Ask) -> None:
    answer = ask("/imagery/colormaps/viridis.json")
    assert answer.json()["name"] == "viridis"
    colors = [tuple(bytes.fromhex(one[1:])) for one in answer.json()["colors"]]
    seen = pixels(
        ask(f"/imagery/ground/{TILE}.png?colormap=viridis&range=64000,255255&hillshade=false").content
    )
    assert tuple(seen[:3, 255, 255]) == colors[-1]
    assert tuple(seen[:3, 64, 64]) == colors[0]
    missing = ask("/imagery/colormaps/nothing.json")
    assert (missing.status_code, missing.json()["code"]) == (404, "NotFound")


def test_a_city_without_rasters_has_no_gdal_for_them(tmp_path: Path) -> None:
    """It costs a server tens of megabytes and a second."""
    imagery.city(tmp_path)
    code = (
        "import sys; from pathlib import Path; from twin.app import build, open_city;"
        f"city = open_city(Path({str(tmp_path)!r})); build(city); city.close();"
        "print({'rasterio', 'rio_tiler', 'rio_cogeo'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"
