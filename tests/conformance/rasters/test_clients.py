"""Clients of other makers read rasters: OWSLib, GDAL."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rasterio
from owslib.ogcapi.coverages import Coverages
from owslib.ogcapi.maps import Maps
from pyproj import Transformer
from rasterio.io import MemoryFile

from tests import imagery, rasters
from tests.conformance.rasters.outside import (
    Site,
)


def test_owslib_reads_coverages(site: Site, folder: Path) -> None:
    client = Coverages(f"{site.root}/")
    assert client.coverages() == ["dem", "photo"]
    asked = client.coverage("dem", subset=[("Lat", 60.163, 60.165), ("Lon", 24.94, 24.95)])
    with MemoryFile(asked.read()).open() as got, rasterio.open(folder / "rasters/dem.tif") as own:
        window = rasterio.windows.from_bounds(*got.bounds, own.transform)
        assert np.array_equal(got.read(1), own.read(1, window=window))
    smaller = client.coverage("photo", properties=["red"], scale_factor=2, datetime="2020-06-01")
    with MemoryFile(smaller.read()).open() as got:
        assert (got.shape, got.read(1)[0, 0]) == ((100, 150), 20)
    sized = client.coverage("dem", scale_size={"E": 30, "N": 20})
    with MemoryFile(sized.read()).open() as got:
        assert got.shape == (20, 30)


def test_owslib_reads_maps(site: Site) -> None:
    client = Maps(f"{site.root}/")
    assert client.maps() == ["dem", "photo"]
    picture = client.map("photo", bbox=[24.94, 60.163, 24.95, 60.165], width=80, height=40)
    assert imagery.pixels(picture.read()).shape == (4, 40, 80)


def gdal(*words: str) -> str:
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed (make deps)")
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr
    return done.stdout


def test_gdal_reads_a_coverage(site: Site, tmp_path: Path) -> None:
    here = f"OGCAPI:{site.root}/collections/dem"
    told = gdal("gdalinfo", "-oo", "CACHE=NO", here)
    assert "Size is 342, 113" in told
    assert "Type=Float32" in told
    gdal("gdal_translate", "-q", "-oo", "CACHE=NO", here, str(tmp_path / "got.tif"))
    to_metres = Transformer.from_crs(4326, 3857, always_xy=True)
    with rasterio.open(tmp_path / "got.tif") as got:
        values = got.read(1)
        for row, column in ((20, 30), (60, 200), (100, 300)):
            x, y = to_metres.transform(*got.xy(row, column))
            expected = (x - rasters.WEST) / 10 - 0.5 + 1000 * ((rasters.NORTH - y) / 10 - 0.5)
            # a cell of degrees is two of the file high: bilinear, to a fifth of a row
            assert abs(values[row, column] - expected) < 200


def test_gdal_draws_a_map(site: Site, tmp_path: Path) -> None:
    here = f"OGCAPI:{site.root}/collections/photo"
    target = str(tmp_path / "map.png")
    words = ("-q", "-oo", "API=MAP", "-oo", "CACHE=NO", "-of", "PNG", "-outsize", "90", "30")
    gdal("gdal_translate", *words, here, target)
    assert imagery.pixels(Path(target).read_bytes()).shape == (4, 30, 90)


def test_gdal_opens_the_files_of_stac_where_they_lie(site: Site, folder: Path) -> None:
    item = site.get(f"{site.url}/stac/dem/dem-1").json()
    told = gdal("gdalinfo", "-checksum", f"/vsicurl/{item['assets']['data']['href']}")
    with rasterio.open(folder / "rasters/dem.tif") as own:
        assert f"Checksum={own.checksum(1)}" in told
    assert "LAYOUT=COG" in told
