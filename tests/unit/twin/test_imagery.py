"""Pictures of rasters, as a client gets them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rasterio.enums import ColorInterp

from tests import imagery as rasters
from tests.imagery import COLUMN, ROW, ZOOM, Ask, pixels

TILE = f"{ZOOM}/{COLUMN}/{ROW}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = rasters.city(tmp_path_factory.mktemp("imagery"))
    values = rasters.ramp()
    values[0, :64, :64] = -9999
    rasters.record(folder, "ground", rasters.write(folder / "g.tif", values, nodata=-9999), form="surface")
    rows, columns = np.mgrid[0:256, 0:256]
    picture = np.stack([rows, columns, np.full_like(rows, 7), np.full_like(rows, 255)]).astype(np.uint8)
    picture[3, 200:] = 0
    meant = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    rasters.record(folder, "photo", rasters.write(folder / "p.tif", picture, colors=meant))
    return folder


@pytest.fixture(scope="module")
def ask(folder: Path) -> Iterator[Ask]:
    with rasters.asking(folder) as (_, ask):
        yield ask


def test_a_photo_comes_as_it_is(ask: Ask) -> None:
    answer = ask(f"/imagery/photo/{TILE}.png")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    seen = pixels(answer.content)
    rows, columns = np.mgrid[0:256, 0:256]
    np.testing.assert_array_equal(seen[0][:200], rows[:200])
    np.testing.assert_array_equal(seen[1][:200], columns[:200])
    assert set(np.unique(seen[3][:200])) == {255}
    assert set(np.unique(seen[3][200:])) == {0}


def test_heights_are_coloured_and_what_is_missing_is_transparent(ask: Ask) -> None:
    seen = pixels(ask(f"/imagery/ground/{TILE}.png?colormap=gray&range=0,255255").content)
    assert set(np.unique(seen[3][:64, :64])) == {0}
    assert set(np.unique(seen[3][64:])) == {255}
    wanted = rasters.ramp()[0] * 255 / 255_255
    # rio-tiler's own gray is one off in places, and one of its steps stands for what is transparent
    np.testing.assert_allclose(seen[0][64:], wanted[64:], atol=2)


def test_the_page_is_told_of_them(ask: Ask) -> None:
    ground, photo = ask("/config.json").json()["layers"]
    assert photo["raster"]["url"] == "imagery/photo/{z}/{x}/{y}.png"
    assert (photo["raster"]["rgb"], photo["raster"]["maxzoom"]) == (True, ZOOM)
    assert photo["raster"]["style"]["bands"] == [1, 2, 3]
    assert ground["raster"]["style"]["colormap"] == "terrain"
    assert [band["name"] for band in ground["raster"]["bands"]] == ["band1"]
    assert {"gray", "terrain", "viridis"} <= set(ground["raster"]["colormaps"])


def test_a_legend_has_the_colours_of_the_picture(ask: Ask) -> None:
    answer = ask("/imagery/colormaps/viridis.json")
    assert answer.json()["name"] == "viridis"
    colors = [tuple(bytes.fromhex(one[1:])) for one in answer.json()["colors"]]
    seen = pixels(ask(f"/imagery/ground/{TILE}.png?colormap=viridis&range=64000,255255").content)
    assert tuple(seen[:3, 255, 255]) == colors[-1]
    assert tuple(seen[:3, 64, 64]) == colors[0]
    missing = ask("/imagery/colormaps/nothing.json")
    assert (missing.status_code, missing.json()["code"]) == (404, "NotFound")
