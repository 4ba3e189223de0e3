"""What every format must keep, judged by programs that we did not write."""

from __future__ import annotations

import csv
import io
import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layers.errors import Conflict, TooLarge
from layers.model import Rows
from layers.types import Field, GeometryType
from layers.write import FORMATS, localized, page, stream, write
from tests.gdal_read import DATE, DATETIME, INTEGER64, REAL, STRING, Gdal
from tests.unit.layers.write.samples import (
    FIELDS,
    FLAT,
    FULL,
    GEOMETRIES,
    file,
    layer,
    rows,
    same,
    shapes_of,
    tables,
)

CURVE = b"\x01" + struct.pack("<II6d", 8, 3, 0, 0, 1, 1, 2, 0)  # a CIRCULARSTRING
#: A geometry of one member, which is empty.
VOID_MEMBERS: dict[tuple[str, bool], bytes] = {
    (name, high): struct.pack("<BIIBI", 1, code + 1000 * high, 1, 1, code - 3 + 1000 * high)
    + (struct.pack("<3d", *[float("nan")] * 3)[: 24 if high else 16] if code == 4 else bytes(4))
    for code, name in ((4, "MultiPoint"), (5, "MultiLineString"), (6, "MultiPolygon"))
    for high in (False, True)
}
BY_GDAL = ("flatgeobuf", "gpkg", "geojson")


@pytest.mark.parametrize("case", GEOMETRIES)
@pytest.mark.parametrize("name", BY_GDAL)
def test_geometries_come_back(name: str, case: str, tmp_path: Path, gdal: Gdal) -> None:
    kind, shapes = GEOMETRIES[case]
    (read,) = gdal.read(file(name, layer(kind), [rows(shapes), rows(shapes, first=100)], tmp_path))
    wanted = shapes * 2
    if case.startswith("heights on some") and name == "flatgeobuf":
        wanted = shapely.force_3d(wanted, 0).tolist()
    found = shapes_of(read.features)
    assert len(found) == len(wanted)
    if name != "geojson":
        assert all(same(a, b) for a, b in zip(found, wanted, strict=True))
    else:  # nine decimals
        assert all(
            a is b if b is None else a.equals_exact(b, 1e-9) for a, b in zip(found, wanted, strict=True)
        )
    assert read.count == len(wanted)
    assert read.epsg == "4326" or name == "geojson"


@pytest.mark.parametrize("case", GEOMETRIES)
def test_geometries_in_parquet(case: str, tmp_path: Path) -> None:
    kind, shapes = GEOMETRIES[case]
    read = pq.ParquetFile(file("parquet", layer(kind), [rows(shapes), rows(shapes)], tmp_path))
    table = read.read()
    found = shapely.from_wkb(table["geometry"].to_pylist())
    assert all(same(a, b) for a, b in zip(found, shapes * 2, strict=True))
    geo = json.loads(read.metadata.metadata[b"geo"])
    column = geo["columns"]["geometry"]
    assert (geo["version"], geo["primary_column"], column["encoding"]) == ("1.1.0", "geometry", "WKB")
    assert column["crs"]["id"] == {"authority": "OGC", "code": "CRS84"}
    types = {s.geom_type + (" Z" if s.has_z else "") for s in shapes if s is not None}
    assert set(column["geometry_types"]) == types
    boxes = [None if b is None else tuple(b.values()) for b in table["bbox"].to_pylist()]
    assert boxes == [None if s is None else s.bounds for s in shapes] * 2
    if " Z" not in "".join(types):
        assert column["bbox"] == shapely.total_bounds(shapely.union_all(shapes)).tolist()
    assert column["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]


@pytest.mark.parametrize("name", ["flatgeobuf", "gpkg"])
def test_columns(name: str, tmp_path: Path, gdal: Gdal) -> None:
    coded = Field(
        "use", "string", {"en": "Use", "zh-CN": "用途"}, codes={"r": {"en": "Housing", "zh-CN": "住宅"}}
    )
    of = localized(layer("Point", (*FIELDS, coded)), "zh-CN")
    (read,) = gdal.read(file(name, of, [rows([shapely.Point(1, 2)], [FULL | {"use": "r"}])], tmp_path))
    days = DATE if name == "gpkg" else DATETIME
    types = {c[0]: c[1] for c in read.columns}
    wanted = dict(zip(FULL, (STRING, REAL, INTEGER64, 0, days, DATETIME, STRING), strict=True))
    assert types == ({} if name == "gpkg" else {"fid": INTEGER64}) | wanted | {"use": STRING}
    told = {c[0]: c[3:] for c in read.columns}
    assert told["name"][:2] == ("名称", "Name")
    assert told["height_m"][:2] == ("Height", "unit: m")
    assert told["use"][2] == ("places_use" if name == "gpkg" else "")
    assert (read.name, read.title) == ("places", "地点")
    assert read.geometry == "Point"


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(table=tables)
def test_values_come_back(table: list[dict[str, Any]], tmp_path: Path, gdal: Gdal) -> None:
    batch = rows([shapely.Point(i, i) for i in range(len(table))], table, first=7)
    fids = list(range(7, 7 + len(table)))

    def wanted(name: str) -> list[Any]:
        return [row[name] for row in table]

    for name in ("flatgeobuf", "gpkg"):
        (read,) = gdal.read(file(name, layer(), [batch], tmp_path))
        for column in ("name", "height_m", "levels", "listed", "标签"):
            values = [None if v is None else int(v) if isinstance(v, bool) else v for v in wanted(column)]
            assert read.column(column) == values, (name, column)
        assert [v and v[:10].replace("/", "-") for v in read.column("built")] == wanted("built")
        assert [v and _instant(v) for v in read.column("seen")] == wanted("seen")
        assert (read.column("fid") if name == "flatgeobuf" else [f[0] for f in read.features]) == fids

    found = pq.read_table(file("parquet", layer(), [batch], tmp_path)).to_pydict()
    for column in ("name", "height_m", "levels", "listed", "标签"):
        assert found[column] == wanted(column), column
    assert [v and v.isoformat() for v in found["built"]] == wanted("built")
    assert [v and f"{v:%Y-%m-%dT%H:%M:%S}.{v.microsecond // 1000:03d}Z" for v in found["seen"]] == wanted(
        "seen"
    )
    assert found["fid"] == fids

    collection = json.loads(file("geojson", layer(), [batch], tmp_path).read_bytes())
    assert [f["id"] for f in collection["features"]] == fids
    for feature, row in zip(collection["features"], table, strict=True):
        known = {k: v for k, v in feature["properties"].items() if k != "标签"}
        assert known == {k: v for k, v in row.items() if k != "标签"}


def _instant(text: str) -> str:
    """GDAL leaves a fraction of zero out."""
    return text if "." in text else text.replace("Z", ".000Z")


@pytest.mark.parametrize("name", FORMATS)
def test_an_empty_layer_is_a_valid_file(name: str, tmp_path: Path, gdal: Gdal) -> None:
    for batches in ([], [rows([])]):
        path = file(name, layer("Polygon"), batches, tmp_path)
        if name == "parquet":
            assert pq.read_table(path).num_rows == 0
        elif name == "geojson":
            assert json.loads(path.read_bytes()) == {"type": "FeatureCollection", "features": []}
        elif name == "csv":
            assert len(list(csv.reader(io.StringIO(path.read_text("utf-8-sig"))))) == 1
        else:
            (read,) = gdal.read(f"/vsizip/{path}" if name == "shp" else path)
            assert (read.count, len(read.features)) == (0, 0)


@pytest.mark.parametrize("name", FORMATS)
def test_only_the_properties_that_were_read(name: str, tmp_path: Path, gdal: Gdal) -> None:
    values = [{"levels": 3}]
    path = file(name, layer(), [rows([shapely.Point(1, 2)], values)], tmp_path)
    if name == "parquet":
        assert pq.read_table(path).column_names == ["fid", "levels", "geometry", "bbox"]
    elif name == "csv":
        head = path.read_text("utf-8-sig").splitlines()[0]
        assert head == "fid,levels,lon,lat,geometry"
    elif name == "geojson":
        assert json.loads(path.read_bytes())["features"][0]["properties"] == {"levels": 3}
    else:
        (read,) = gdal.read(f"/vsizip/{path}" if name == "shp" else path)
        assert [c[0] for c in read.columns if c[0] != "fid"] == ["levels"]


@pytest.mark.parametrize("name", FORMATS)
def test_names_that_the_file_needs_itself(name: str, tmp_path: Path, gdal: Gdal) -> None:
    names = ["fid", "geometry", "geom", "bbox", "Lon"]
    fields = [Field(n, "string") for n in names]
    batch = rows([shapely.Point(1, 2)], [dict.fromkeys(names, "x")])
    path = file(name, layer("Point", fields), [batch], tmp_path)
    if name == "parquet":
        assert pq.read_table(path).column_names == ["fid_1", *names, "geometry_1", "bbox_1"]
    elif name == "csv":
        head = path.read_text("utf-8-sig").splitlines()[0]
        assert head == "fid_1,fid,geometry,geom,bbox,Lon,geometry_1"
    elif name == "gpkg":
        (read,) = gdal.read(path)
        assert [c[0] for c in read.columns] == ["fid_1", "geometry", "geom_1", "bbox", "Lon"]
    elif name != "geojson":
        (read,) = gdal.read(f"/vsizip/{path}" if name == "shp" else path)
        assert [c[0] for c in read.columns] == ["fid_1", *names]


@pytest.mark.parametrize("name", FORMATS)
def test_values_that_another_program_stored(name: str, tmp_path: Path, gdal: Gdal) -> None:
    """SQLite keeps what it is given: a text among numbers costs that value, not the file."""
    odd = {
        "name": b"raw \xff",
        "height_m": "high",
        "levels": 2.5,
        "listed": 7,
        "built": "yesterday",
        "seen": "2024-02-29T12:00:00+02:00",
        "标签": None,
    }
    path = file(name, layer(), [rows([shapely.Point(1, 2)], [odd])], tmp_path)
    if name in ("flatgeobuf", "gpkg"):
        (read,) = gdal.read(path)
        values = {c[0]: v for c, v in zip(read.columns, read.features[0][2], strict=True)}
        assert values["name"] == "raw \ufffd"
        assert (values["height_m"], values["levels"], values["listed"], values["built"]) == (None,) * 4
        assert values["seen"] == "2024-02-29T10:00:00Z"
    assert path.stat().st_size > 0


def test_geometries_in_other_encodings(tmp_path: Path, gdal: Gdal) -> None:
    shapes = [shapely.Point(1, 2), shapely.Point(1, 2, 3), shapely.Point(), shapely.LineString()]
    odd = [
        shapely.to_wkb(shapes[0], byte_order=0),
        shapely.to_wkb(shapely.set_srid(shapes[1], 4326), include_srid=True, flavor="extended"),
        shapely.to_wkb(shapes[2]),
        shapely.to_wkb(shapes[3]),
        b"\x01nonsense",
        shapely.to_wkb(shapely.from_wkt("POINT M (1 2 9)"), flavor="iso"),
    ]
    batch = Rows(np.arange(6), odd, {"levels": [1] * 6})
    for name in ("flatgeobuf", "gpkg"):
        (read,) = gdal.read(file(name, layer("Geometry"), [batch], tmp_path))
        found = shapes_of(read.features)
        assert [s is None for s in found] == [False, False, True, True, True, False]
        assert [(s.x, s.y) for s in found if s is not None] == [(1, 2)] * 3


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_damaged_geometries_cost_themselves_only(data: st.DataObject, tmp_path: Path, gdal: Gdal) -> None:
    """Another program may have stored any bytes: the rows beside them must be read all the same."""
    kind, shapes = data.draw(st.sampled_from([case for name, case in GEOMETRIES.items() if name != "mixed"]))
    good = shapes[0]
    bytes_ = bytearray(shapely.to_wkb(good, flavor="iso"))
    for _ in range(data.draw(st.integers(0, 3))):
        bytes_[data.draw(st.integers(1, min(len(bytes_), 40) - 1))] = data.draw(st.integers(0, 255))
    odd = bytes(bytes_[: data.draw(st.integers(0, len(bytes_)))]) + data.draw(st.binary(max_size=3))
    sound = shapely.to_wkb(good, flavor="iso")
    batch = Rows(np.arange(3), [sound, odd, sound], {"levels": [1, 2, 3]})
    for name in FORMATS:
        try:
            path = file(name, layer(kind), [batch], tmp_path)
        except TooLarge:
            assert name == "shp"
            continue
        if name == "flatgeobuf":
            (read,) = gdal.read(path)
            assert read.column("levels") == [1, 2, 3]
            for shape in shapes_of(read.features[::2]):
                assert same(shapely.force_2d(shape), shapely.force_2d(good))


@pytest.mark.parametrize("high", [False, True])
@pytest.mark.parametrize("kind", ["Polygon", "MultiPolygon"])
def test_an_open_ring_that_another_program_stored_is_no_geometry(
    kind: str, high: bool, tmp_path: Path, gdal: Gdal
) -> None:
    box = shapely.box(0, 0, 9, 9)
    holed = box - shapely.box(1, 1, 2, 2) - shapely.box(5, 5, 6, 6)
    whole = (
        [holed, box] if kind == "Polygon" else [shapely.MultiPolygon([holed]), shapely.MultiPolygon([box])]
    )
    good = [shapely.to_wkb(shapely.force_3d(one, 7.0) if high else one, flavor="iso") for one in whole]
    at = 17 if high else 9  # from the end, the highest byte of the last x
    odd = [one[:-at] + b"\x41" + one[1 - at :] for one in good]
    batch = Rows(np.arange(4), [good[0], odd[0], good[1], odd[1]], {"levels": [1, 2, 3, 4]})
    (read,) = gdal.read(file("flatgeobuf", layer(kind), [batch], tmp_path))
    found = shapes_of(read.features)
    assert [shape is not None for shape in found] == [True, False, True, False]
    assert same(shapely.force_2d(found[0]), whole[0])


@pytest.mark.parametrize("kind", ["Point", "LineString", "Polygon"])
def test_flatgeobuf_has_no_height_that_is_no_number(kind: GeometryType, tmp_path: Path, gdal: Gdal) -> None:
    """Other programs store such; GDAL makes no GeoJSON and no Shapefile of a geometry with one."""
    flat = [shape for shape in FLAT[kind] if shape is not None]
    batch = rows([*shapely.force_3d(flat, 7.75), *flat])
    stored = [one.replace(struct.pack("<d", 7.75), struct.pack("<d", np.nan)) for one in batch.wkb if one]
    path = file("flatgeobuf", layer(kind), [replace(batch, wkb=stored)], tmp_path)
    (read,) = gdal.read(path)
    wanted = shapely.force_3d([*flat, *flat], 0).tolist()
    assert all(same(a, b) for a, b in zip(shapes_of(read.features), wanted, strict=True))
    assert b"Z is 0 where a geometry has no height" in path.read_bytes()
    assert b"Z is 0" not in file("flatgeobuf", layer(kind), [rows(flat)], tmp_path).read_bytes()


def test_flatgeobuf_tells_how_many_features_a_page_has(tmp_path: Path, gdal: Gdal) -> None:
    path = tmp_path / "page.fgb"
    path.write_bytes(page("flatgeobuf", layer(), rows([shapely.Point(1, 2)] * 3)))
    (read,) = gdal.read(path)
    assert read.count == 3
    assert read.column("fid") == [1, 2, 3]


def test_flatgeobuf_promotes_and_refuses(tmp_path: Path, gdal: Gdal) -> None:
    line, box = shapely.LineString([(0, 0), (1, 1)]), shapely.box(0, 0, 1, 1)
    for kind, single in (
        ("MultiLineString", line),
        ("MultiPolygon", box),
        ("MultiPoint", shapely.Point(1, 2)),
    ):
        (read,) = gdal.read(file("flatgeobuf", layer(kind), [rows([single])], tmp_path))
        assert shapes_of(read.features)[0].geom_type == kind
    (read,) = gdal.read(file("flatgeobuf", layer("Point"), [rows([shapely.Point(1, 2), box])], tmp_path))
    assert [s.geom_type for s in shapes_of(read.features)] == ["Point", "Polygon"]
    point, high = shapely.Point(1, 2), shapely.Point(1, 2, 3)
    for later in (box, high):
        batches = [rows([point]), rows([later], first=2)]
        with pytest.raises(Conflict, match="try again"):
            list(stream("flatgeobuf", layer("Point"), batches))
        path = tmp_path / "surveyed.fgb"
        path.write_bytes(b"".join(stream("flatgeobuf", layer("Point"), batches, iter(batches))))
        (read,) = gdal.read(path)
        assert shapes_of(read.features)[1].equals(later)
        assert shapes_of(read.features)[1].has_z == later.has_z


def test_formats_that_a_call_does_not_have(tmp_path: Path) -> None:
    for call in (
        lambda: page("gpkg", layer(), rows([])),
        lambda: stream("parquet", layer(), []),
        lambda: write("csv", layer(), [], tmp_path / "x"),
    ):
        with pytest.raises(KeyError):
            call()


@pytest.mark.parametrize("name", FORMATS)
def test_a_curve_costs_itself_only(name: str, tmp_path: Path, gdal: Gdal) -> None:
    """QGIS may store one, and GEOS reads it into a type that shapely does not have."""
    point = shapely.to_wkb(shapely.Point(1, 2))
    batch = Rows(np.arange(3), [point, CURVE, point], {"levels": [1, 2, 3]})
    path = file(name, layer("Point"), [batch], tmp_path)
    if name == "parquet":
        table = pq.read_table(path).to_pydict()
        assert (table["levels"], [g is None for g in table["geometry"]]) == ([1, 2, 3], [False, True, False])
    elif name == "csv":
        found = list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"))))
        assert [bool(row["geometry"]) for row in found] == [True, False, True]
    else:
        (read,) = gdal.read(f"/vsizip/{path}" if name == "shp" else path)
        assert read.column("levels") == [1, 2, 3]
        assert [f[1] is None for f in read.features] == [False, True, False]


@pytest.mark.parametrize("high", [False, True])
@pytest.mark.parametrize("kind", ["MultiPoint", "MultiLineString", "MultiPolygon"])
@pytest.mark.parametrize("name", FORMATS)
def test_empty_members_are_left_out(name: str, kind: Any, high: bool, tmp_path: Path, gdal: Gdal) -> None:
    """PostGIS and QGIS keep them; GDAL cannot read a file that has them."""
    sound = GEOMETRIES[f"{kind} Z" if high else kind][1][0]
    only, whole = VOID_MEMBERS[kind, high], shapely.to_wkb(sound, flavor="iso")
    mixed = whole[:5] + struct.pack("<I", 1 + len(sound.geoms)) + whole[9:] + only[9:]
    assert [one.is_empty for one in shapely.from_wkb(mixed).geoms][-2:] == [False, True]
    stored = [only, mixed, whole]
    batch = Rows(np.arange(3), stored, {"levels": [1, 2, 3]})
    path = file(name, layer(kind), [batch], tmp_path)
    if name == "parquet":
        found = shapely.from_wkb(pq.read_table(path)["geometry"].to_pylist()).tolist()
    elif name == "csv":
        lines = csv.DictReader(io.StringIO(path.read_text("utf-8-sig")))
        found = [shapely.from_wkt(line["geometry"] or None) for line in lines]
    else:
        (read,) = gdal.read(f"/vsizip/{path}" if name == "shp" else path)
        found = shapes_of(read.features)
    assert found[0] is None
    assert all(same(one, found[2]) for one in found[1:])
    assert sum(len(shapely.get_coordinates(one)) for one in found[1:]) == 2 * len(
        shapely.get_coordinates(sound)
    )
