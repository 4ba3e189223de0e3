from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from layers.errors import Unavailable
from layers.model import Asset, ContentLayer
from layers.raster.files import OpenFiles, at_time, located


def write(path: Path, value: float) -> Path:
    profile = {"driver": "GTiff", "width": 4, "height": 3, "count": 1, "dtype": "float32"}
    place = {"crs": "EPSG:4326", "transform": from_origin(24.9, 60.2, 0.01, 0.01)}
    with rasterio.open(path, "w", **profile, **place) as raster:
        raster.write(np.full((1, 3, 4), value, np.float32))
    return path


def layer(*assets: Asset) -> ContentLayer:
    common = {"extent": None, "crs": "EPSG:4326", "generation": 1, "seq": 1}
    return ContentLayer(id="a", kind="raster", title={}, form="coverage", assets=assets, **common)  # type: ignore[arg-type]


def test_an_asset_lies_below_the_city_or_where_it_was_registered(tmp_path: Path) -> None:
    assert located(tmp_path, Asset(href="rasters/a.tif")) == tmp_path / "rasters" / "a.tif"
    assert located(tmp_path, Asset(href="/mnt/a.tif")) == Path("/mnt/a.tif")
    with pytest.raises(Unavailable, match="another server"):
        located(tmp_path, Asset(href="https://example.org/a.tif"))


def test_the_newest_that_is_not_later_is_chosen() -> None:
    always, may, june = (
        Asset(href="b"),
        Asset(href="m", time="2024-05-01"),
        Asset(href="j", time="2024-06-01"),
    )
    held = layer(june, always, may)
    assert at_time(held) == (june, always)
    assert at_time(held, "2024-05-31T23:59:59.000Z") == (always, may)
    assert at_time(held, "2024-06-01") == (june, always)
    assert at_time(held, "2024-06-01T00:00:00.000Z") == (june, always)
    assert at_time(held, "2020-01-01") == (always,)
    noon = layer(Asset(href="n", time="2024-06-01T12:00:00.000Z"))
    assert at_time(noon, "2024-06-01") == noon.assets
    assert at_time(noon, "2024-06-01T11:00:00.000Z") == ()


def test_open_files_are_lent_to_one_at_a_time_and_kept(tmp_path: Path) -> None:
    path, files = write(tmp_path / "a.tif", 1), OpenFiles(2)
    with files.lend(path) as one, files.lend(path) as other:
        assert one is not other
    with files.lend(path) as again:
        assert again in (one, other)
    files.close()
    assert one.closed
    assert other.closed


def test_no_more_are_held_open_than_allowed(tmp_path: Path) -> None:
    files = OpenFiles(2)
    lent = []
    for name in ("a.tif", "b.tif", "c.tif"):
        with files.lend(write(tmp_path / name, 1)) as dataset:
            lent.append(dataset)
    assert [dataset.closed for dataset in lent] == [True, False, False]
    files.close()


def test_a_file_published_anew_is_another(tmp_path: Path) -> None:
    path, files = write(tmp_path / "a.tif", 1), OpenFiles()
    with files.lend(path) as dataset:
        assert dataset.read(1).max() == 1
    os.replace(write(tmp_path / "b.tif", 2), path)
    with files.lend(path) as dataset:
        assert dataset.read(1).max() == 2
    files.close()


def test_what_cannot_be_read_is_unavailable(tmp_path: Path) -> None:
    files = OpenFiles()
    with pytest.raises(Unavailable, match="No such file"), files.lend(tmp_path / "gone.tif"):
        pass
    (tmp_path / "page.tif").write_text("<html></html>")
    with pytest.raises(Unavailable, match="damaged"), files.lend(tmp_path / "page.tif"):
        pass


def test_a_damaged_file_spoils_no_other(tmp_path: Path) -> None:
    """GDAL keeps the last error of a thread, which rasterio then takes for one of the next raster."""
    whole, broken, files = write(tmp_path / "whole.tif", 1), tmp_path / "broken.tif", OpenFiles()
    broken.write_bytes(whole.read_bytes()[:-40])
    for _ in range(3):
        with pytest.raises(Unavailable, match="damaged"), files.lend(broken) as dataset:
            dataset.read(1, masked=True)
        with files.lend(whole) as dataset:
            assert [one.name for one in dataset.colorinterp] == ["gray"]
            assert dataset.read(1).max() == 1
    files.close()
