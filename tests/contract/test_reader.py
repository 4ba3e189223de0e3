"""What every reader hands over: the same features from the same things in every format."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import shapely

from layers import guard, load
from layers.batch import ROW, SOURCE_ID, WKB
from layers.cql.parse import parse
from layers.errors import BadFile
from layers.model import Report
from layers.query import Query
from layers.source import NOTHING, Declared
from layers.store.base import Store
from tests import apart
from tests.parquets import geoparquet

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
    apart.run(WRITE, folder / name, driver)
    return folder / name


def _zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as out:
        out.write(_geojson(folder), "town/a.geojson")
    (folder / "a.geojson").unlink()
    return folder / "a.zip"


def _parquet(folder: Path) -> Path:
    columns = {"label": NAMES, "count": [1, 2, 3], "geometry": shapely.to_wkb(shapely.points(COORDS))}
    return geoparquet(folder / "a.parquet", pa.table(columns))


MAKERS: dict[str, Any] = {
    "zip": _zip,
    "geojson": _geojson,
    "geojsonl": _lines,
    "csv": _csv,
    "gpkg": lambda folder: _gdal(folder, "a.gpkg", "GPKG"),
    "fgb": lambda folder: _gdal(folder, "a.fgb", "FlatGeobuf"),
    "shp": lambda folder: _gdal(folder, "a.shp", "ESRI Shapefile"),
    "parquet": _parquet,
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


#: Names that meet others: of stores, of readers, of each other, of what GDAL calls its own columns.
ODD = (
    *("id", "Id", "fid", "geom", "name", "NAME", "OGC_FID", "wkb_geometry", "__row", "__wkb", "__v", "other"),
    *("source_id", "a b", "管径", "empty", "rowid", "OBJECTID", "uuid"),
)
WRITE_ODD = """
import json, sys, numpy as np, pyogrio.raw, shapely
path, driver, names = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
points = shapely.to_wkb(shapely.points([(114.3, 30.5), (114.31, 30.51)]))
columns = [np.array([None, None] if n == "empty" else [f"{n} 1", f"{n} 1"], dtype=object) for n in names]
pyogrio.raw.write(path, points, columns, names, geometry_type="Point", crs="EPSG:4326", driver=driver,
                  **({"layer_options": {"FID": "key"}} if driver == "GPKG" else {}))
"""


def _odd_by_gdal(file: Path, driver: str, names: Sequence[str]) -> Path:
    apart.run(WRITE_ODD, file, driver, json.dumps(names))
    return file


def _odd_json(folder: Path, ending: str) -> Path:
    values: dict[str, Any] = {n: None if n == "empty" else f"{n} 1" for n in ODD}
    feature = {"type": "Feature", "properties": values, "geometry": {"type": "Point", "coordinates": [1, 2]}}
    file = folder / f"odd{ending}"
    lines = [json.dumps(feature), json.dumps(feature)]
    whole = f'{{"type": "FeatureCollection", "features": [{", ".join(lines)}]}}'
    file.write_text(whole if ending == ".geojson" else "\n".join(lines), "utf-8")
    return file


def _odd_cityjson(folder: Path) -> Path:
    values: dict[str, Any] = {n: None if n == "empty" else f"{n} 1" for n in ODD}
    ring = [[0, 1, 2, 3]]
    shape = {"type": "MultiSurface", "lod": "1", "boundaries": [ring]}
    thing = {"type": "Building", "attributes": values, "geometry": [shape]}
    city = {
        "type": "CityJSON",
        "version": "2.0",
        "transform": {"scale": [1, 1, 1], "translate": [500_000, 3_000_000, 0]},
        "metadata": {"referenceSystem": "https://www.opengis.net/def/crs/EPSG/0/4547"},
        "CityObjects": {"b1": thing, "b2": thing},
        "vertices": [[0, 0, 0], [9, 0, 0], [9, 9, 0], [0, 9, 0]],
    }
    file = folder / "odd.city.json"
    file.write_text(json.dumps(city), "utf-8")
    return file


def _odd_csv(folder: Path) -> Path:
    file = folder / "odd.csv"
    row = ",".join("" if n == "empty" else f"{n} 1" for n in ODD)
    file.write_text(f"lon,lat,{','.join(ODD)}\n1,2,{row}\n1,2,{row}\n", "utf-8")
    return file


def _odd_parquet(folder: Path) -> Path:
    columns = {n: pa.array([None if n == "empty" else f"{n} 1"] * 2, pa.string()) for n in ODD}
    places = shapely.to_wkb(shapely.points([(114.3, 30.5), (114.31, 30.51)]))
    return geoparquet(folder / "odd.parquet", pa.table(columns | {"geometry": places}))


#: Without what GDAL itself cannot write: two names that differ in case alone, or that it takes for its own.
_PLAIN = tuple(n for n in ODD if n not in ("Id", "NAME", "fid", "geom", "OGC_FID", "rowid"))
ODD_MAKERS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "geojson": (lambda folder: _odd_json(folder, ".geojson"), ODD),
    "ndjson": (lambda folder: _odd_json(folder, ".ndjson"), ODD),
    "cityjson": (_odd_cityjson, ODD),
    "csv": (_odd_csv, (*ODD, "lon", "lat")),
    "gpkg": (lambda folder: _odd_by_gdal(folder / "odd.gpkg", "GPKG", _PLAIN), (*_PLAIN, "key")),
    "fgb": (lambda folder: _odd_by_gdal(folder / "odd.fgb", "FlatGeobuf", ODD), ODD),
    "shp": (
        lambda folder: _odd_by_gdal(folder / "odd.shp", "ESRI Shapefile", [n[:10] for n in _PLAIN]),
        tuple(n[:10] for n in _PLAIN),
    ),
    "parquet": (_odd_parquet, ODD),
}


@pytest.mark.parametrize("form", ODD_MAKERS)
def test_every_column_is_published_or_told(tmp_path: Path, store: Store, form: str) -> None:
    make, names = ODD_MAKERS[form]
    report = load.run(store, make(tmp_path), layer_id="odd")
    assert (report.kept, report.quarantined) == (2, 0)
    layer = store.layer("odd")
    fields = {f.name for f in layer.fields}
    notes = " ".join(p.reason for p in report.problems)
    untold = [n for n in names if n not in fields and n not in notes]
    assert untold == []
    assert len({name.casefold() for name in fields}) == len(fields)
    # each value is somewhere, and found by a filter on the field where it is
    (first, _) = json.loads(b"[" + store.items("odd", Query()).features + b"]")
    for name in names:
        if name in ("empty", "key", "lon", "lat"):
            continue
        (field, *_) = [f for f, value in first["properties"].items() if value == f"{name} 1"]
        where = parse(f"\"{field}\" = '{name} 1'", "cql2-text", layer)
        assert store.items("odd", Query(filter=where)).returned == 2


def test_a_wide_table_keeps_every_column(tmp_path: Path, store: Store) -> None:
    names = [f"属性{i}" for i in range(200)]
    file = tmp_path / "wide.csv"
    lines = [
        ",".join(("1", "2", *(f"v{r}" if i % 50 == r % 50 else "" for i in range(200)))) for r in range(99)
    ]
    file.write_text("\n".join((",".join(("lon", "lat", *names)), *lines)), "utf-8")
    load.run(store, file, layer_id="wide")
    layer = store.layer("wide")
    assert set(names) <= {f.name for f in layer.fields}
    for name, value in (("属性0", "v50"), ("属性199", "v49")):
        where = parse(f"\"{name}\" = '{value}'", "cql2-text", layer)
        assert store.items("wide", Query(filter=where)).returned == 1


@pytest.mark.parametrize("form", ["geojson", "ndjson", "csv", "gpkg", "fgb", "shp", "cityjson", "parquet"])
def test_long_codes_are_text_to_the_last_digit(tmp_path: Path, store: Store, form: str) -> None:
    """Whole numbers beyond 15 digits are codes, which no client may round."""
    codes = [420106001001000121, 420106001001000122]
    file = {
        "cityjson": lambda: _changed(_odd_cityjson(tmp_path), '"id 1"', str(codes[0])),
        "geojson": lambda: _changed(_odd_json(tmp_path, ".geojson"), '"id 1"', str(codes[0])),
        "ndjson": lambda: _changed(_odd_json(tmp_path, ".ndjson"), '"id 1"', str(codes[0])),
        "csv": lambda: _changed(_odd_csv(tmp_path), "id 1", str(codes[0])),
    }.get(form, lambda: _codes(tmp_path / f"codes.{form}", codes[0]))()
    load.run(store, file, layer_id="codes")
    layer = store.layer("codes")
    found = layer.field("id")
    assert found is not None
    assert found.type == "string"
    page = store.items("codes", Query()).features
    assert [f["properties"]["id"] for f in json.loads(b"[" + page + b"]")] == [str(codes[0])] * 2


def _changed(file: Path, old: str, new: str) -> Path:
    file.write_text(file.read_text("utf-8").replace(old, new), "utf-8")
    return file


def _codes(file: Path, code: int) -> Path:
    if file.suffix == ".parquet":
        places = shapely.to_wkb(shapely.points([(114.3, 30.5), (114.31, 30.51)]))
        return geoparquet(file, pa.table({"id": [code, code], "geometry": places}))
    write = """
import sys, numpy as np, pyogrio.raw, shapely
path, driver, code = sys.argv[1], sys.argv[2], int(sys.argv[3])
points = shapely.to_wkb(shapely.points([(114.3, 30.5), (114.31, 30.51)]))
pyogrio.raw.write(path, points, [np.array([code, code])], ["id"], geometry_type="Point", crs="EPSG:4326",
                  driver=driver)
"""
    driver = {".gpkg": "GPKG", ".fgb": "FlatGeobuf", ".shp": "ESRI Shapefile"}[file.suffix]
    apart.run(write, file, driver, code)
    return file


def test_a_column_that_is_called_like_a_field_of_codes_keeps_its_words(tmp_path: Path, store: Store) -> None:
    file = tmp_path / "a.csv"
    for words, fields in ((("给水", "污水"), {"medium", "medium_src"}), (("water", "drainage"), {"medium"})):
        lines = [f'"LINESTRING(1 {i}, 2 {i})",{word}' for i, word in enumerate(words)]
        file.write_text("\n".join(("wkt,medium", *lines)), "utf-8")
        load.run(store, file, Declared(kind="pipeline", crs="EPSG:4326"), layer_id="pipes", mode="replace")
        assert {f.name for f in store.layer("pipes").fields if f.name.startswith("medium")} == fields
    page = store.items("pipes", Query()).features
    assert [f["properties"]["medium"] for f in json.loads(b"[" + page + b"]")] == ["water", "drainage"]


def points(file: Path, *rows: str) -> Path:
    file.write_text("\n".join(rows) + "\n", "utf-8")
    return file


def differs(report: Report) -> list[str]:
    return [p.reason for p in report.problems if p.rule == "id.differs"]


def test_a_layer_remembers_what_identified_its_rows(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"

    def loaded(*rows: str, id_field: str | None = None, mode: str = "replace") -> Report:
        points(file, *rows)
        return load.run(store, file, Declared(id_field=id_field), layer_id="found", mode=mode)

    first = loaded("lon,lat,id,code", "1,2,1,a", "1,3,2,b", id_field="code", mode="create")
    assert (first.identity, first.id_field) == ("code", "code")
    # a column of the name id would be taken where nothing was said
    again = loaded("lon,lat,id,code", "5,2,7,a", "5,3,8,b")
    assert (again.identity, again.id_field, again.updated, differs(again)) == ("code", "code", 2, [])
    added = loaded("lon,lat,id,code", "5,9,7,c", "6,2,9,a", mode="append")
    assert (added.identity, added.created, added.updated) == ("code", 1, 1)
    without = loaded("lon,lat,id", "5,2,7")
    assert (without.identity, without.id_field) == ("id", "")
    assert differs(without) == ["the layer's source ids were code, those of the file are id"]
    none = loaded("lon,lat,id", "5,2,7", id_field="none")
    assert differs(none) == ["the layer's source ids were id, those of the file are none"]
    again = loaded("lon,lat,id", "5,2,7")
    assert (again.identity, again.id_field, differs(again)) == ("none", "none", [])
