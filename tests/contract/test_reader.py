"""What every reader hands over: the same features from the same things in every format."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import shapely

from layers import guard, load
from layers.batch import ROW, SOURCE_ID, WKB
from layers.errors import BadFile
from layers.model import Report
from layers.source import NOTHING, Declared

NAMES = ["泵站", "Brücke", "plain"]
COORDS = [(114.3, 30.5), (114.31, 30.51), (114.32, 30.52)]
WRITE = """
import sys, numpy as np, pyogrio.raw, shapely
path, driver = sys.argv[1:]
points = shapely.to_wkb(shapely.points([(114.3, 30.5), (114.31, 30.51), (114.32, 30.52)]))
names, counts = np.array(["泵站", "Brücke", "plain"], dtype=object), np.array([1, 2, 3])
fields = ["label", "count"]
pyogrio.raw.write(
    path, points, [names, counts], fields, geometry_type="Point", crs="EPSG:4326", driver=driver
)
"""


def _geojson(folder: Path) -> Path:
    features = [
        {
            "type": "Feature",
            "properties": {"label": n, "count": i},
            "geometry": {"type": "Point", "coordinates": list(c)},
        }
        for i, (n, c) in enumerate(zip(NAMES, COORDS, strict=True), 1)
    ]
    file = folder / "a.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}), "utf-8")
    return file


def _lines(folder: Path) -> Path:
    collection = json.loads(_geojson(folder).read_text("utf-8"))
    file = folder / "a.geojsonl"
    file.write_text("".join(json.dumps(f) + "\n" for f in collection["features"]), "utf-8")
    return file


def _csv(folder: Path) -> Path:
    file = folder / "a.csv"
    body = "".join(f"{n},{i},{x},{y}\n" for i, (n, (x, y)) in enumerate(zip(NAMES, COORDS, strict=True), 1))
    file.write_text("label,count,lon,lat\n" + body, "utf-8")
    return file


def outcome(file: Path, declared: Declared = NOTHING) -> tuple[str | None, Report | None]:
    """(why it was refused, None) or (None, the report); anything else is an error of ours."""
    try:
        return None, load.check(file, declared)
    except BadFile as error:
        return str(error), None


def _gdal(folder: Path, name: str, driver: str) -> Path:
    subprocess.run([sys.executable, "-c", WRITE, str(folder / name), driver], check=True, timeout=60)
    return folder / name


def _zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as out:
        out.write(_geojson(folder), "town/a.geojson")
    (folder / "a.geojson").unlink()
    return folder / "a.zip"


MAKERS: dict[str, Any] = {
    "zip": _zip,
    "geojson": _geojson,
    "geojsonl": _lines,
    "csv": _csv,
    "gpkg": lambda folder: _gdal(folder, "a.gpkg", "GPKG"),
    "fgb": lambda folder: _gdal(folder, "a.fgb", "FlatGeobuf"),
    "shp": lambda folder: _gdal(folder, "a.shp", "ESRI Shapefile"),
}


@pytest.mark.parametrize("form", MAKERS)
def test_the_same_features_from_every_format(tmp_path: Path, form: str) -> None:
    file = MAKERS[form](tmp_path)
    with guard.read(file) as reading:
        tables = list(reading.batches())
        meta = reading.meta
    assert meta["driver"]
    assert meta["dropped"] == 0
    (table,) = tables
    assert table.schema.field(ROW).type == pa.int64()
    assert table.schema.field(WKB).type == pa.binary()
    assert table.schema.field(SOURCE_ID).type == pa.string()
    assert table[ROW].to_pylist() == [1, 2, 3]
    rows = sorted(
        zip(table["label"].to_pylist(), table["count"].to_pylist(), table[WKB].to_pylist(), strict=True),
        key=lambda r: r[1],
    )
    assert [r[0] for r in rows] == NAMES
    assert [r[1] for r in rows] == [1, 2, 3]
    assert [shapely.get_coordinates(shapely.from_wkb(r[2]))[0].tolist() for r in rows] == [
        pytest.approx(c) for c in COORDS
    ]


@pytest.mark.parametrize("form", MAKERS)
def test_every_format_survives_being_cut_anywhere(tmp_path: Path, form: str) -> None:
    """A cut file is refused with a rule, or what is read of it is right; never a crash."""
    whole = MAKERS[form](tmp_path)
    data = whole.read_bytes()
    for share in (0.05, 0.6, 0.99):
        cut = tmp_path / f"cut{share}" / whole.name
        cut.parent.mkdir()
        for beside in tmp_path.glob("a.*"):
            shutil.copy(beside, cut.parent)
        cut.write_bytes(data[: int(len(data) * share)])
        refused, report = outcome(cut)
        assert (refused is None) == (report is not None and 0 < report.kept <= 3)


def test_a_dbf_without_a_code_page(shared_data: Path) -> None:
    report = load.check(shared_data / "broken/gbk/shiyan_gbk.shp", Declared(kind="boundary", crs="EPSG:4490"))
    assert (report.kept, report.repaired, report.quarantined) == (8, 6, 0)
    assert report.encoding == "GB18030"
    assert "encoding.sniffed" in {p.rule for p in report.problems}
    with guard.read(shared_data / "broken/gbk/shiyan_gbk.shp") as reading:
        assert "茅箭区" in [v for t in reading.batches() for v in t["name"].to_pylist()]


def test_two_files_of_the_same_points_in_two_crs(shared_data: Path) -> None:
    found = []
    for code in ("28992", "4326"):
        report = load.check(shared_data / f"otterlo_nl/dutch_addresses_{code}.gpkg", layer_id="a")
        assert report.crs == f"EPSG:{code}"
        found.append(report.kept)
    assert found == [2481, 2481]


def test_the_corpus_of_broken_files(shared_data: Path) -> None:
    """Each is refused with a rule or loaded with a report; none ends the process or is taken in silence."""
    folder = shared_data / "broken"
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        refused, report = outcome(file, Declared(crs="EPSG:4490"))
        if report is None:
            assert refused
            assert str(folder) not in refused
        else:
            assert report.problems
            assert report.kept + report.quarantined == report.read
