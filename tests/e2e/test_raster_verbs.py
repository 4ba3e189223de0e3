"""A raster by the verbs: checked, loaded, listed, told of again and dropped, its file with it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.raster_sources import hills, write
from tests.support import twin


def test_a_raster_comes_and_goes(tmp_path: Path) -> None:
    city = str(tmp_path / "city")
    twin("init", city)
    source = str(write(tmp_path / "dem.tif", hills()))
    checked = twin("check", source, "--kind", "terrain").stdout
    assert "dem.tif: can be loaded: 60 × 40 cells of 10 m, 1 band\n" in checked
    assert "noted datum.unknown" in checked
    declared = ("--kind", "terrain", "--vertical", "EPSG:5737", "--offset", "-2")
    done = twin("load", source, "--as", "ground", *declared, "--city", city, "--json")
    [report] = json.loads(done.stdout)
    assert (report["raster"]["width"], report["vertical_datum"]) == (60, "Yellow Sea 1985 height -2 m")
    assert json.loads(twin("layers", "--report", "ground", "--city", city, "--json").stdout) == [report]
    told = twin("layers", "--report", "ground", "--city", city).stdout
    assert "band 1: float32, m, gray, " in told
    assert "Yellow Sea 1985" in twin("layers", "--city", city).stdout
    page = tmp_path / "page.tif"
    page.write_text("<html>Not found</html>")
    refused = twin("load", str(page), "--as", "ground", "--replace", "--city", city, check=False)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "a web page and no data" in refused.stderr
    assert len(list((tmp_path / "city/rasters").iterdir())) == 1
    twin("drop", "ground", "--yes", "--city", city)
    assert list((tmp_path / "city/rasters").iterdir()) == []
