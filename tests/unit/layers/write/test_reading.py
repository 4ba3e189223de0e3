"""What was downloaded can be loaded again: our own readers take every file that they know the format of."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
import shapely

from layers import guard, load
from layers.batch import WKB
from tests.unit.layers.write.samples import FULL, file, layer, rows


@pytest.mark.parametrize("name", ["geojson", "flatgeobuf", "csv", "gpkg", "shp"])
def test_it_can_be_loaded_again(name: str, tmp_path: Path) -> None:
    point = shapely.Point(116.391276543, 39.907)
    path = file(name, layer(), [rows([point, point])], tmp_path)
    if name == "shp":
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path)
        path = tmp_path / "places.shp"
    with guard.read(path) as reading:
        table = pa.concat_tables(reading.batches())
        assert reading.problems == []
        assert reading.meta["crs"] == (None if name == "csv" else "EPSG:4326")  # its columns say it
    assert table["name"].to_pylist() == [FULL["name"]] * 2
    assert [float(v) for v in table["height_m"].to_pylist()] == [FULL["height_m"]] * 2
    assert "标签" in table.column_names
    assert all(s.equals_exact(point, 1e-9) for s in shapely.from_wkb(table[WKB].to_pylist()))


@pytest.mark.parametrize("name", ["geojson", "flatgeobuf", "gpkg"])
def test_features_without_a_geometry_are_told(name: str, tmp_path: Path) -> None:
    point = shapely.Point(116.391276543, 39.907)
    report = load.check(file(name, layer(), [rows([point, None, point, None])], tmp_path))
    assert (report.kept, report.counts["quarantined geometry.missing"]) == (2, 2)
