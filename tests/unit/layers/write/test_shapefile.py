"""Shapefiles: one type a file, short names, texts cut at 254 bytes, and the legend that tells of it."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layers.errors import TooLarge
from layers.types import Field
from layers.write import dbf, shapefile
from tests.gdal_read import INTEGER64, REAL, Gdal, Layer
from tests.unit.layers.write.samples import FULL, GEOMETRIES, file, layer, rows, same, shapes_of, tables


def legend(path: Path) -> dict[str, dict[str, str]]:
    with zipfile.ZipFile(path) as archive:
        text = archive.read("fields.csv").decode("utf-8-sig")
    return {row["property"]: row for row in csv.DictReader(io.StringIO(text))}


def one(gdal: Gdal, path: Path) -> Layer:
    (read,) = gdal.read(f"/vsizip/{path}")
    return read


@pytest.mark.parametrize(
    "case", [name for name in GEOMETRIES if not name.startswith(("mixed", "heights on some"))]
)
def test_geometries_come_back(case: str, tmp_path: Path, gdal: Gdal) -> None:
    kind, shapes = GEOMETRIES[case]
    path = file("shp", layer(kind), [rows(shapes), rows(shapes, first=9)], tmp_path)
    read = one(gdal, path)
    assert read.name == "places"
    assert read.epsg == "4326"
    found = shapes_of(read.features)
    for shape, wanted in zip(found, shapes * 2, strict=True):
        if shape is None or wanted is None:
            assert shape is wanted
            continue
        parts = [shapely.multipolygons if "Polygon" in case else shapely.multilinestrings]
        if shape.geom_type != wanted.geom_type:  # the format does not tell one part from several
            shape = parts[0]([shape])
        assert same(shape, wanted)
        if "Polygon" in case:
            assert not any(ring.is_ccw for ring in _outer(shape, path))
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist()) == [
            "fields.csv",
            *(f"places.{end}" for end in ("cpg", "dbf", "prj", "shp", "shx")),
        ]
        assert archive.read("places.cpg") == b"UTF-8"


def _outer(shape: Any, path: Path) -> list[Any]:
    """The first ring of the first record as it lies in the file: outer rings run clockwise (page 8)."""
    import struct

    with zipfile.ZipFile(path) as archive:
        body = archive.read("places.shp")[108:]
    parts, points = struct.unpack_from("<ii", body, 36)
    starts = [*struct.unpack_from(f"<{parts}i", body, 44), points]
    flat = struct.unpack_from(f"<{2 * points}d", body, 44 + 4 * parts)
    pairs = list(zip(flat[::2], flat[1::2], strict=True))
    return [shapely.LinearRing(pairs[starts[0] : starts[1]])]


def test_a_mixture_becomes_a_file_for_each_type(tmp_path: Path, gdal: Gdal) -> None:
    shapes = GEOMETRIES["mixed"][1] + [shapely.Point(1, 2, 3)]
    path = file("shp", layer("Geometry"), [rows(shapes)], tmp_path)
    read = {found.name: found for found in gdal.read(f"/vsizip/{path}")}
    assert sorted(read) == [
        f"places_{kind}" for kind in ("line", "multipoint", "point", "point_z", "polygon")
    ]
    assert sum(found.count for found in read.values()) == len(shapes)
    fids = [fid for found in read.values() for fid in found.column("fid")]
    assert sorted(fids) == list(range(1, len(shapes) + 1))
    assert shapes_of(read["places_point_z"].features)[0].z == 3


def test_a_layer_without_any_geometry(tmp_path: Path, gdal: Gdal) -> None:
    read = one(gdal, file("shp", layer("Polygon"), [rows([None, None])], tmp_path))
    assert [f[1] for f in read.features] == [None, None]
    assert read.column("name") == [FULL["name"]] * 2


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(table=tables)
def test_values_come_back(table: list[dict[str, Any]], tmp_path: Path, gdal: Gdal) -> None:
    points = [shapely.Point(i, i) for i in range(len(table))]
    read = one(gdal, file("shp", layer(), [rows(points, table)], tmp_path))
    types = {c[0]: c[1] for c in read.columns}
    for name in ("height_m", "listed"):
        assert read.column(name) == [row[name] for row in table]
    if types["levels"] != REAL:
        assert read.column("levels") == [row["levels"] for row in table]
    else:  # more digits than GDAL reads as an integer; they are in the file
        assert types["levels"] == REAL
        assert any(len(str(row["levels"])) > 18 for row in table)
    for name in ("seen", "标签", "name"):
        # dBASE knows no empty text beside null, pads with blanks, and ends a text at them
        wanted = [
            (dbf.shortened((row[name] or "").encode(), 254).decode().rstrip(" ") or None) for row in table
        ]
        assert read.column(name) == wanted
    days = [v and v.replace("/", "-") for v in read.column("built")]
    assert days == [row["built"] for row in table]


def test_whole_numbers_keep_their_type(tmp_path: Path, gdal: Gdal) -> None:
    values = [{"levels": 10**17, "fid64": -(10**16)}]
    fields = (Field("levels", "integer"), Field("fid64", "integer"))
    read = one(gdal, file("shp", layer("Point", fields), [rows([shapely.Point(1, 2)], values)], tmp_path))
    assert {c[0]: c[1] for c in read.columns if c[0] != "fid"} == dict.fromkeys(
        ("levels", "fid64"), INTEGER64
    )
    assert read.column("levels") == [10**17]


def test_long_texts_are_cut_between_characters_and_told(tmp_path: Path, gdal: Gdal) -> None:
    text = "汉" * 100
    path = file(
        "shp",
        layer(),
        [rows([shapely.Point(1, 2)] * 2, [FULL | {"name": t} for t in (text, "短")])],
        tmp_path,
    )
    assert one(gdal, path).column("name") == ["汉" * 84, "短"]
    assert (legend(path)["name"]["cut"], legend(path)["name"]["width"]) == ("1", "252")
    assert legend(path)["levels"]["cut"] == "0"


def test_names_of_ten_bytes(tmp_path: Path, gdal: Gdal) -> None:
    names = ["建筑物名称", "建筑物高度", "a_very_long_name", "A_VERY_LONG_SIGN", "a_very_lon", "ok"]
    fields = [Field(n, "string", {"en": n.upper()}) for n in names]
    path = file(
        "shp", layer("Point", fields), [rows([shapely.Point(1, 2)], [{n: n for n in names}])], tmp_path
    )
    read = one(gdal, path)
    told = legend(path)
    assert [c[0] for c in read.columns] == ["fid", *(told[n]["column"] for n in names)]
    for column in read.columns[1:]:
        assert len(column[0].encode()) <= 10
    assert read.features[0][2][1:] == names
    assert told["建筑物名称"]["title"] == "建筑物名称"
    assert told["建筑物名称"]["column"] == "建筑物"


@given(names=st.lists(st.text(st.sampled_from("aAbｂ汉𠀀_1"), min_size=1, max_size=14), max_size=30))
def test_short_names_are_unlike(names: list[str]) -> None:
    found = dbf.names(names)
    assert len({name.casefold() for name in found}) == len(names)
    assert all(0 < len(name.encode()) <= 10 for name in found)


def test_what_the_format_cannot_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = [shapely.Point(1, 2)]
    many = [Field(f"f{i}", "integer") for i in range(255)]
    with pytest.raises(TooLarge, match="255 columns"):
        file("shp", layer("Point", many), [rows(point, [{f.name: 1 for f in many}])], tmp_path)
    monkeypatch.setattr(shapefile, "MOST_BYTES", 100_000)
    with pytest.raises(TooLarge, match="2 GB"):
        file("shp", layer(), (rows(point * 500, first=i * 500 + 1) for i in range(1000)), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_collection_is_left_out_and_told(tmp_path: Path, gdal: Gdal) -> None:
    shapes = [shapely.Point(1, 2), shapely.GeometryCollection([shapely.Point(1, 2)]), shapely.Point(3, 4)]
    path = file("shp", layer("Geometry"), [rows(shapes)], tmp_path)
    read = one(gdal, path)
    assert [f[1] is None for f in read.features] == [False, True, False]
    with zipfile.ZipFile(path) as archive:
        told = list(csv.DictReader(io.StringIO(archive.read("left_out.csv").decode("utf-8-sig"))))
    assert [row["fid"] for row in told] == ["2"]
    assert "geojson or gpkg" in told[0]["reason"]
