"""How rasters are read, shaded and styled for a picture."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from layers.raster.profile import RasterProfile, profile
from tests import imagery
from tests.imagery import CELL, NORTH, WEST
from tiles.imagery import read
from tiles.imagery.place import Place, meet, of_tile
from tiles.imagery.shade import hillshade
from tiles.imagery.style import Style, Wanted, resolve

TILE = imagery.ZOOM, imagery.COLUMN, imagery.ROW


def lent(*paths: Path) -> list[AbstractContextManager[rasterio.DatasetReader]]:
    return [rasterio.open(path) for path in paths]


def plane(east: float, north: float, side: int = 5) -> NDArray[np.float64]:
    """Heights that rise by so much a cell to the east and to the north."""
    rows, columns = np.mgrid[0:side, 0:side].astype(float)
    return east * columns - north * rows


def shade(east: float, north: float) -> int:
    heights = plane(east, north)
    found = np.unique(hillshade(heights, np.zeros(heights.shape, bool), 1.0))
    assert len(found) == 1
    return int(found[0])


def test_the_light_comes_from_the_north_west() -> None:
    assert shade(0, 0) == round(255 * np.sin(np.radians(45)))
    # what falls to the north-west by 45° faces the light, what falls to the south-east lies along it
    slope = float(np.sqrt(0.5))
    assert shade(slope, -slope) == 255
    assert shade(-slope, slope) == 0
    assert shade(-1, -1) == shade(1, 1) < shade(0, 0)


def test_the_slope_is_horns() -> None:
    """By his formula, cell by cell."""
    heights = np.random.default_rng(2).uniform(0, 20, (6, 7))
    found = hillshade(heights, np.zeros(heights.shape, bool), 10.0)
    for i in range(1, 5):
        for j in range(1, 6):
            (a, b, c), (d, _, f), (g, h, k) = heights[i - 1 : i + 2, j - 1 : j + 2]
            east = ((c + 2 * f + k) - (a + 2 * d + g)) / 80
            north = ((a + 2 * b + c) - (g + 2 * h + k)) / 80
            slope, aspect = np.arctan(np.hypot(east, north)), np.arctan2(-east, -north)
            wanted = np.cos(np.radians(45)) * np.cos(slope)
            wanted += np.sin(np.radians(45)) * np.sin(slope) * np.cos(np.radians(315) - aspect)
            assert found[i - 1, j - 1] == pytest.approx(255 * max(wanted, 0), abs=0.51)


def test_a_neighbour_without_height_is_as_high() -> None:
    heights, missing = plane(0, 0), np.zeros((5, 5), bool)
    heights[2, 2], missing[2, 2] = -9999, True
    found = np.delete(hillshade(heights, missing, 1.0).ravel(), 4)
    assert set(found) == {shade(0, 0)}


def test_boxes_meet_across_the_antimeridian() -> None:
    pacific = (178.0, 50.0, -178.5, 53.0)
    assert meet(pacific, (179.0, 51.0, 180.0, 52.0))
    assert meet((-180.0, 51.0, -179.0, 52.0), pacific)
    assert not meet(pacific, (-178.0, 51.0, 177.0, 52.0))
    assert not meet(pacific, (179.0, 54.0, 180.0, 55.0))


@pytest.mark.parametrize("zoom", [12, 13, 14, 15, 17])
def test_what_is_on_the_grid_of_tiles_is_read_as_it_is_warped(tmp_path: Path, zoom: int) -> None:
    """At every zoom, whole and in part, within a cell of the edge."""
    path = imagery.write(tmp_path / "a.tif", imagery.ramp(), nodata=-9999)
    z, x, y = TILE
    shift = zoom - z
    at = (zoom, x << shift, y << shift) if shift >= 0 else (zoom, x >> -shift, y >> -shift)
    place = of_tile(*at)
    found = read.cells(lent(path), place, (1,), smooth=False)
    with rasterio.open(path) as dataset:
        warped = read._warp(dataset, read._crs(place.crs), place, (1,), smooth=False)
    assert found is not None
    mine, theirs = np.ma.getmaskarray(found.values)[0], np.ma.getmaskarray(warped.array)[0]
    assert (mine != theirs).mean() < 0.02
    both = ~mine & ~theirs
    step = 1000 * max(1, 2**-shift)
    assert np.abs(found.values.data[0][both] - warped.array.data[0][both]).max() <= 1.01 * step + step / 1000


def test_a_place_without_the_raster_has_no_cells(tmp_path: Path) -> None:
    path = imagery.write(tmp_path / "a.tif", imagery.ramp())
    z, x, y = TILE
    assert read.cells(lent(path), of_tile(z, x + 1, y), (1,), smooth=True) is None


def test_the_later_of_several_files_lies_above(tmp_path: Path) -> None:
    below = imagery.write(tmp_path / "a.tif", np.full((1, 256, 256), 1, np.int16), nodata=0)
    values = np.full((1, 256, 256), 2, np.int16)
    values[0, :100] = 0
    above = imagery.write(tmp_path / "b.tif", values, nodata=0)
    found = read.cells(lent(below, above), of_tile(*TILE), (1,), smooth=False)
    assert found is not None
    assert set(np.unique(found.values.data[0, :100])) == {1}
    assert set(np.unique(found.values.data[0, 100:])) == {2}


def test_a_picture_in_another_crs_is_warped(tmp_path: Path) -> None:
    path = imagery.write(tmp_path / "a.tif", imagery.ramp(), nodata=-9999)
    west, south, east, north = imagery.BOX
    place = Place("OGC:CRS84", (west, south, east, north), 200, 100)
    found = read.cells(lent(path), place, (1,), smooth=True)
    assert found is not None
    middle = found.values[0, 50, 100]
    assert middle == pytest.approx(127.5 + 1000 * 127.5, rel=0.02)


def described(tmp_path: Path, values: NDArray[Any], **more: Any) -> RasterProfile:
    with rasterio.open(imagery.write(tmp_path / "p.tif", values, **more)) as dataset:
        return profile(dataset)


def test_a_profile_says_what_is_in_the_file(tmp_path: Path) -> None:
    values = imagery.ramp()
    values[0, 0, 0] = np.nan
    known = described(tmp_path, values, STATISTICS_MINIMUM="-5", STATISTICS_MAXIMUM="300000")
    (band,) = known.bands
    assert (band.least, band.most) == (-5, 300000)
    assert (band.low, band.high) == pytest.approx((5_000, 250_000), rel=0.1)
    assert known.zoom == imagery.ZOOM
    assert known.bounds == pytest.approx(imagery.BOX, abs=1e-6)
    assert known.cell == pytest.approx(CELL * np.cos(np.radians(60.17)), rel=1e-3)
    assert known.continuous
    assert not described(tmp_path, (imagery.ramp() % 250).astype(np.uint8)).continuous


def test_a_raster_across_the_antimeridian_has_its_own_zoom(tmp_path: Path) -> None:
    known = described(tmp_path, imagery.ramp(), crs="EPSG:32660", origin=(690_000.0, 5_700_000.0), cell=400.0)
    assert known.bounds[0] > 179 > 0 > known.bounds[2]
    assert known.zoom == 8  # 400 m at 51° are 640 m of the projection; tiles of zoom 8 have 611


def test_a_style_is_what_is_asked_else_what_the_city_says_else_what_fits(tmp_path: Path) -> None:
    known = described(tmp_path, np.concatenate([imagery.ramp()] * 3))
    nothing, city = Wanted(), Wanted("viridis", (0.0, 9.0), ("2",), False)
    low, high = known.bands[0].low, known.bands[0].high
    assert resolve(known, True, nothing, nothing) == Style((1,), (), "", True)
    assert resolve(known, True, nothing, Wanted("viridis")) == Style((1,), ((low, high),), "viridis", True)
    flat = Wanted(hillshade=False)
    assert resolve(known, True, nothing, flat) == Style((1,), ((low, high),), "terrain")
    assert resolve(known, True, flat, nothing) == Style((1,), ((low, high),), "terrain")
    assert resolve(known, False, nothing, nothing) == Style((1,), ((low, high),), "gray")
    assert resolve(known, True, city, nothing) == Style((2,), ((0.0, 9.0),), "viridis")
    assert resolve(known, True, city, Wanted(range=(1.0, 2.0))) == Style((2,), ((1.0, 2.0),), "viridis")
    # what the city says is of its band
    assert resolve(known, True, city, Wanted(bands=("3",))) == Style((3,), ((low, high),), "terrain")
    assert resolve(known, True, nothing, Wanted(hillshade=True)) == Style((1,), (), "", True)


def test_where_the_tests_rasters_lie() -> None:
    assert of_tile(*TILE).bounds[0] == pytest.approx(WEST)
    assert of_tile(*TILE).bounds[3] == pytest.approx(NORTH)
