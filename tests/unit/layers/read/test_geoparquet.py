"""GeoParquet as programs write it: where its geometries are, in which CRS, what becomes of its columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyproj
import pytest
import shapely

from layers import guard, load
from layers.errors import BadFile
from layers.source import Declared
from tests.parquets import described_as, geoparquet
from tests.unit.layers.write import samples

POINTS = shapely.points([(114.3, 30.5), (114.31, 30.51)])
WKB = shapely.to_wkb(POINTS)
DUTCH = shapely.to_wkb(shapely.points([(121_000, 487_000), (121_010, 487_020)]))


def table(geometry: Any = WKB, **columns: Any) -> pa.Table:
    return pa.table({"name": ["a", "b"], **columns, "geometry": geometry})


def reasons(report: Any, rule: str) -> list[str]:
    return [p.reason for p in report.problems if p.rule == rule]


def test_the_buildings_of_andorra(shared_data: Path) -> None:
    report = load.check(shared_data / "andorra/building.geoparquet", Declared(kind="building"))
    assert (report.kept, report.driver, report.crs) == (731, "GeoParquet", "EPSG:32631")
    assert report.sources["height_source"]["measured"] == 198


@pytest.mark.parametrize(
    ("says", "crs"),
    [
        ({}, "OGC:CRS84"),
        ({"crs": pyproj.CRS("EPSG:4490").to_json_dict()}, "EPSG:4490"),
        ({"crs": pyproj.CRS("OGC:CRS84").to_json_dict()}, "OGC:CRS84"),
        ({"crs": pyproj.CRS("EPSG:4326").to_wkt()}, "EPSG:4326"),  # GeoParquet 0.1 to 0.3
    ],
)
def test_the_crs_is_what_the_metadata_says(tmp_path: Path, says: dict[str, Any], crs: str) -> None:
    report = load.check(geoparquet(tmp_path / "a.parquet", table(), **says))
    assert (report.crs, report.kept) == (crs, 2)


def test_a_definition_without_a_code_is_used(tmp_path: Path) -> None:
    own = pyproj.CRS("EPSG:4547").to_json_dict()
    del own["id"]
    own["name"] = "a grid of its own"
    own["conversion"]["parameters"][1]["value"] = 114.3
    own["conversion"]["parameters"][3]["value"] = 30_000
    places = shapely.to_wkb(shapely.points([(30_000, 3_375_000), (30_100, 3_375_100)]))
    report = load.check(geoparquet(tmp_path / "a.parquet", table(places), crs=own), Declared(kind="feature"))
    assert reasons(report, "crs.own")
    assert report.kept == 2


def test_a_compound_crs_tells_what_heights_count_from(tmp_path: Path) -> None:
    compound = pyproj.CRS("EPSG:7415").to_json_dict()
    del compound["id"]
    report = load.check(geoparquet(tmp_path / "a.parquet", table(DUTCH), crs=compound))
    assert report.crs == "EPSG:28992"
    assert reasons(report, "datum.vertical") == ["heights are kept in their datum, NAP height"]


@pytest.mark.parametrize("crs", [None, {}])
def test_a_crs_that_is_not_known_has_to_be_declared(tmp_path: Path, crs: Any) -> None:
    file = geoparquet(tmp_path / "a.parquet", table(DUTCH), crs=crs)
    with pytest.raises(BadFile, match=r"crs\.missing"):
        load.check(file)
    assert load.check(file, Declared(crs="EPSG:28992")).kept == 2


def test_a_crs_that_is_none_is_a_reason(tmp_path: Path) -> None:
    file = geoparquet(tmp_path / "a.parquet", table(), crs={"type": "GeographicCRS", "name": "nowhere"})
    with pytest.raises(BadFile, match=r"crs\.unknown.*--crs"):
        load.check(file)
    assert load.check(file, Declared(crs="EPSG:4326")).kept == 2


def test_one_of_several_geometries_is_read_and_the_others_are_told(tmp_path: Path) -> None:
    both = table(centre=shapely.to_wkb(shapely.points([(1, 2), (3, 4)])))
    wkb = {"encoding": "WKB", "geometry_types": ["Point"]}
    geo = {"primary_column": "geometry", "columns": {"centre": wkb, "geometry": wkb}}
    file = described_as(tmp_path / "a.parquet", both, geo)
    with guard.read(file) as reading:
        (batch,) = reading.batches()
        assert batch["__wkb"].to_pylist() == list(WKB)
        assert "centre" not in batch.column_names
    assert reasons(load.check(file), "column.geometry")
    with guard.read(file, Declared(layer="centre")) as reading:
        (batch,) = reading.batches()
        assert batch["__wkb"].to_pylist() != list(WKB)
        assert "geometry" not in batch.column_names
    with pytest.raises(BadFile, match=r"layer\.unknown.*geometry, centre"):
        load.check(file, Declared(layer="other"))


def test_the_box_of_each_geometry_is_no_property(tmp_path: Path) -> None:
    sides = ("xmin", "ymin", "xmax", "ymax")
    boxes = [dict.fromkeys(sides, 1.0)] * 2
    file = geoparquet(
        tmp_path / "a.parquet",
        table(extent=boxes, bbox=boxes),
        covering={"bbox": {side: ["extent", side] for side in sides}},
    )
    with guard.read(file) as reading:
        assert reasons(reading, "column.box") == ["bbox is the box of each geometry; it is left out"]
        assert [name for name in reading.columns() if not name.startswith("__")] == ["name"]


def test_edges_on_a_sphere_are_told(tmp_path: Path) -> None:
    report = load.check(geoparquet(tmp_path / "a.parquet", table(), edges="spherical"))
    assert reasons(report, "geometry.edges")


def test_a_download_of_ours_has_its_lists_back(tmp_path: Path) -> None:
    path = samples.file("parquet", samples.layer(), [samples.rows(list(POINTS))], tmp_path)
    with guard.read(path) as reading:
        (batch,) = reading.batches()
        assert pa.types.is_list(batch.schema.field("标签").type)
        assert "bbox" not in batch.column_names
        assert not reading.problems
