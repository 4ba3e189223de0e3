"""QGIS itself reads rasters: map tiles and terrain as XYZ layers, coverages by GDAL's OGCAPI driver, files by
``/vsicurl/``. It has no client of OGC API Maps (its WMS provider speaks WMS, WMTS and XYZ)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rio_tiler.colormap import cmap

from tests import rasters
from tests.conformance.rasters.outside import Site
from tests.qgis import Qgis
from tiles import scheme

WIDTH, HEIGHT = 300, 200
#: Of the tiles that are looked at.
ZOOM = 14


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Heights that rise to the south and east, and a photograph of 2020 and 2024 in squares of 200 m."""
    city = tmp_path_factory.mktemp("qgis")
    (city / "city.yml").write_text("title: {en: Rasters}\n")
    row, column = np.mgrid[0:HEIGHT, 0:WIDTH]
    rasters.write(city / "rasters/hills.tif", [(row + column / 2).astype(np.float32)])
    rasters.record(city, "hills", "rasters/hills.tif", form="surface")
    for year in (2020, 2024):
        squares = np.random.default_rng(year).integers(0, 256, (3, HEIGHT // 20, WIDTH // 20), np.uint8)
        bands = [np.kron(one, np.ones((20, 20), np.uint8)) for one in squares]
        rasters.write(city / f"rasters/{year}.tif", bands, nodata=None, names=("r", "g", "b"), units=[""] * 3)
    rasters.record(city, "photo", ("rasters/2020.tif", "2020-06-01"), ("rasters/2024.tif", "2024-06-01"))
    return city


def opened(qgis: Qgis, site: Site, template: str, **words: Any) -> None:
    """An XYZ layer called "xyz" of such an address."""
    url = f"{site.url}{template}"
    for character in "%{}&=":
        url = url.replace(character, f"%{ord(character):02X}")
    told = {"type": "xyz", "url": url, "zmin": 0, "zmax": 24, **words}
    qgis.open("xyz", "&".join(f"{name}={value}" for name, value in told.items()), "wms")


def grid(width: int, height: int) -> list[float]:
    """The box of so many pixels of tiles within the rasters, so that QGIS resamples nothing."""
    size = scheme.CIRCUMFERENCE / 256 / 2**ZOOM
    west = -scheme.CIRCUMFERENCE / 2 + round((rasters.WEST + 300 + scheme.CIRCUMFERENCE / 2) / size) * size
    north = scheme.CIRCUMFERENCE / 2 - round((scheme.CIRCUMFERENCE / 2 - rasters.NORTH + 300) / size) * size
    return [west, north - height * size, west + width * size, north]


def expected(path: Path, box: list[float], width: int, height: int) -> NDArray[Any]:
    """What rasterio reads of a file in that grid, bilinear."""
    transform = rasterio.transform.from_bounds(*box, width, height)
    words = {"crs": "EPSG:3857", "transform": transform, "width": width, "height": height}
    with rasterio.open(path) as file, WarpedVRT(file, resampling=Resampling.bilinear, **words) as warped:
        return warped.read()


@pytest.mark.parametrize(("query", "year"), [("", 2024), ("&datetime=2021-01-01", 2020)])
def test_map_tiles_have_the_colours_of_the_file(
    qgis: Qgis, site: Site, folder: Path, query: str, year: int
) -> None:
    opened(qgis, site, "/imagery/photo/{z}/{x}/{y}.png?bands=1,2,3" + query)
    box = grid(240, 150)
    drawn = np.array(qgis.values("xyz", box, 240, 150)).reshape(150, 240, 4)
    assert (drawn[:, :, 3] == 255).all()
    wanted = expected(folder / f"rasters/{year}.tif", box, 240, 150).transpose(1, 2, 0)
    assert len(np.unique(wanted.reshape(-1, 3), axis=0)) > 80
    assert np.abs(drawn[:, :, :3].astype(int) - wanted).max() <= 1


def test_a_colour_map_stretched_over_values(qgis: Qgis, site: Site, folder: Path) -> None:
    opened(qgis, site, "/imagery/hills/{z}/{x}/{y}.png?colormap=gray&range=0,350&hillshade=false")
    box = grid(240, 150)
    drawn = np.array(qgis.values("xyz", box, 240, 150)).reshape(150, 240, 4)
    values = expected(folder / "rasters/hills.tif", box, 240, 150)[0]
    colours = np.array([cmap.get("gray")[n] for n in range(256)])
    index = (values / 350 * 255).astype(int)
    near = [(drawn == colours[index + step]).all(axis=2) for step in (-1, 0, 1)]
    assert np.any(near, axis=0).all()


def test_terrain_has_the_heights_of_the_file(qgis: Qgis, site: Site, folder: Path) -> None:
    opened(qgis, site, "/terrain/hills/{z}/{x}/{y}.png", zmax=ZOOM)
    box = grid(240, 150)
    red, green, blue, _ = np.array(qgis.values("xyz", box, 240, 150)).reshape(150, 240, 4).transpose(2, 0, 1)
    heights = -10_000 + (65_536 * red + 256 * green + blue) / 10
    values = expected(folder / "rasters/hills.tif", box, 240, 150)[0]
    assert np.abs(heights - values).max() <= 0.11


def test_a_file_of_stac_is_opened_where_it_lies(qgis: Qgis, site: Site, folder: Path) -> None:
    item = site.get(f"{site.url}/stac/hills/hills-1").json()
    about = qgis.open("file", f"/vsicurl/{item['assets']['data']['href']}", "gdal")
    assert (about["crs"], about["size"], about["bands"]) == ("EPSG:3857", [WIDTH, HEIGHT], 1)
    with rasterio.open(folder / "rasters/hills.tif") as own:
        assert about["extent"] == pytest.approx(list(own.bounds))
        values = qgis.values("file", list(own.bounds), WIDTH, HEIGHT)
        assert np.array_equal(np.array(values).reshape(HEIGHT, WIDTH), own.read(1))


def test_a_coverage_by_its_collection(qgis: Qgis, site: Site, folder: Path) -> None:
    """GDAL lays every coverage out in degrees, so that values lie between those of the file."""
    about = qgis.open("coverage", f"OGCAPI:{site.root}/collections/hills", "gdal")
    assert (about["crs"], about["bands"]) == ("EPSG:4326", 1)
    metres = Transformer.from_crs(4326, 3857, always_xy=True).transform
    west, south, east, north = about["extent"]
    columns, rows = about["size"]
    cell_x, cell_y = (east - west) / columns, (north - south) / rows
    for row, column in ((20, 30), (60, 200), (100, 300)):
        x, y = west + (column + 0.5) * cell_x, north - (row + 0.5) * cell_y
        box = [x - cell_x / 2, y - cell_y / 2, x + cell_x / 2, y + cell_y / 2]
        (value,) = qgis.values("coverage", box, 1, 1)
        east_m, north_m = metres(x, y)
        wanted = (rasters.NORTH - north_m) / 10 - 0.5 + ((east_m - rasters.WEST) / 10 - 0.5) / 2
        assert abs(value - wanted) < 0.3  # a cell of degrees is two of the file high
