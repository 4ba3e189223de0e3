"""Awkward files as people have them: a check says what a load says, every row is kept or set aside, and every
column is a field or told."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyproj
import pytest

from layers import load
from layers.errors import BadFile
from layers.model import Report
from layers.place import source
from layers.query import Query
from layers.source import NOTHING, Declared
from layers.store import geopackage
from layers.store.base import Store


@dataclass(frozen=True)
class Case:
    """A file, how many rows are kept, the rules that set the others aside, columns; or why it is refused."""

    name: str
    content: str | bytes
    kept: int = 0
    aside: tuple[str, ...] = ()
    columns: tuple[str, ...] = ("n",)
    refused: str = ""
    declared: Declared = NOTHING


def feature(properties: Any, geometry: Any = None, **members: Any) -> dict[str, Any]:
    place = geometry or {"type": "Point", "coordinates": [25, 60]}
    return {"type": "Feature", "properties": properties, "geometry": place, **members}


def collection(*features: dict[str, Any], **members: Any) -> str:
    return json.dumps({"type": "FeatureCollection", "features": features, **members}, ensure_ascii=False)


def geometry(kind: str, coordinates: Any) -> dict[str, Any]:
    return {"type": kind, "coordinates": coordinates}


ODD_NAMES = (
    "",
    "a\nb",
    "a b",
    'q"uote',
    "__wkb",
    "é",
    "e\u0301",
    "😀",
    "fid",
    "FID",
    "geom",
    "rowid",
    "limit",
)
TABLE = "lon,lat,n\n25,60,a\n"
CASES = (
    Case("thousands.csv", 'lon,lat,n\n25,60,"1,234,567"\n25.1,60,"2,345"\n', 2),
    Case("decimal-comma.csv", 'lon;lat;n\n"25,5";"60,25";a\n25,6;60,5;b\n', 2),
    Case("mixed-ends.csv", "lon,lat,n\r\n25,60,a\n25.1,60,b\r25.2,60,c\r\n", 3),
    Case("header-only.csv", "lon,lat,n\n", refused="file.no_features"),
    Case("blank.csv", "\n \n\n", refused="file.no_features"),
    Case("empty.csv", "", refused="file.empty"),
    Case("twins.csv", "lon,lat,n,n,N,\n25,60,a,b,c,d\n", 1, columns=("n", "N")),
    Case("two-marks.csv", b"\xef\xbb\xbf\xef\xbb\xbf" + TABLE.encode(), 1),
    Case("name-of-lines.csv", 'lon,lat,"two\nlines"\n25,60,a\n', 1, columns=("two\nlines",)),
    Case("codes.csv", 'lon,lat,n,m\n25,60,001,1E5\n25.1,60,="002",+358 40\n', 2, columns=("n", "m")),
    Case("infinite.csv", "lon,lat,n\n25,60,inf\n25.2,inf,3\n25.3,1e400,3\n", 1, ("geometry.unreadable",) * 2),
    Case("open-quote.csv", 'lon,lat,n\n25,60,"abc\n25.1,60,d\n', 2),
    Case("utf16.csv", "lon,lat,n\n25,60,中\n".encode("utf-16-be"), 1),
    Case("two-encodings.csv", "lon,lat,n\n25,60,第一\n25,61,第二\n".encode() + "25,62,中\n".encode("gbk"), 3),
    Case(
        "reserved.csv",
        "lon,lat,geometry,fid,source_id,geom,rowid,other\n25,60,round,1,s,g,r,o\n25,61,square,2,t,g,r,o\n",
        2,
        columns=("geometry", "fid", "source_id", "geom", "rowid", "other"),
    ),
    Case(
        "shapes.csv",
        'wkt,n\nPOINT (25 60),1\n"CIRCULARSTRING (25 60, 26 60, 25 61)",2\nPOINT EMPTY,3\n',
        1,
        ("geometry.nan", "geometry.unreadable"),
        declared=Declared(crs="EPSG:4326"),
    ),
    Case("odd-names.geojson", collection(feature(dict.fromkeys(ODD_NAMES, 1))), 1, columns=ODD_NAMES),
    Case("null.geojson", collection({**feature({}), "properties": None}, feature({"n": 1})), 2),
    Case(
        "types.geojson", collection(*(feature({"n": v}) for v in (1, "x", [1], {"a": 1}, None, 1.5, True))), 7
    ),
    Case("trailing-comma.geojson", collection(feature({"n": 1}))[:-2] + ",]}", 1),
    Case(
        "shapes.geojson",
        collection(
            feature({"n": 1}),
            feature({"n": 2}, geometry("Point", [])),
            feature({"n": 3}, geometry("Point", ["25", "60"])),
            feature({"n": 4}, geometry("point", [25, 60])),
            feature({"n": 5}, geometry("LineString", [[25, 60], [25, 60]])),
            feature({"n": 6}, geometry("Point", [200, 95])),
        ),
        1,
        (
            *("geometry.degenerate", "geometry.nan", "geometry.range"),
            *("geometry.unreadable", "geometry.unreadable"),
        ),
    ),
    Case(
        "members.geojson",
        collection(feature({"n": 1}, foo="bar", bbox=[1, 2, 3, 4])),
        1,
        columns=("n", "foo"),
    ),
    Case("array.json", json.dumps([feature({"n": 1}), geometry("Point", [25, 60])]), 2),
    Case("none.geojson", collection(), refused="file.no_features"),
    Case("no-crs.geojson", collection(feature({"n": 1}), crs=None), refused="crs.missing"),
    Case("new\nline.geojson", collection(feature({"n": 1})), 1),
    Case("text-of-properties.geojson", collection({**feature({}), "properties": "{}"}, feature({"n": 1})), 2),
    Case(
        "two-lists.geojson",
        collection(feature({"n": 1}))[:-1] + ', "features": []}',
        refused="json.repeated",
    ),
    Case("wkid.geojson", collection(feature({"n": 1}), crs={"wkid": 4547}), refused="crs.unknown"),
    Case(
        "sides.csv",
        "lon,lat,n\nN25,E60,a\n25°75′,60°,b\n25 30 0,60 0 0,c\nW25,60N,d\n",
        1,
        ("geometry.unreadable",) * 3,
    ),
    Case("two-srids.csv", "geom,n\nSRID=4326;POINT(1 2),1\nSRID=3067;POINT(1 2),2\n", refused="crs.mixed"),
    Case("esri.json", '{"features": [{"attributes": {"a": 1}}]}', refused="json.not_geojson"),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = geopackage.open(tmp_path_factory.mktemp("awkward") / "city.gpkg")
    yield opened
    opened.close()


def findings(report: Report) -> list[tuple[str, int]]:
    return [(problem.rule, problem.row) for problem in report.problems]


def told(report: Report) -> set[str]:
    """The columns that notes name: as another name, or left out."""
    lists = (p.reason.partition(": ")[2].split(", ") for p in report.problems if p.rule.startswith("column."))
    return {re.split(r" is | \(", each)[0] for names in lists for each in names}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_rows_and_columns_are_kept_or_told(case: Case, store: Store, tmp_path: Path) -> None:
    file = tmp_path / case.name
    file.write_bytes(case.content if isinstance(case.content, bytes) else case.content.encode())
    layer = f"l{CASES.index(case)}"
    if case.refused:
        for refused in (
            lambda: load.check(file, case.declared),
            lambda: load.run(store, file, case.declared, layer_id=layer),
        ):
            with pytest.raises(BadFile) as caught:
                refused()
            assert caught.value.rule == case.refused
        return
    checked = load.check(file, case.declared)
    report = load.run(store, file, case.declared, layer_id=layer)
    assert findings(checked) == findings(report)
    assert (report.kept, report.read) == (case.kept, case.kept + len(case.aside))
    assert tuple(sorted(p.rule for p in report.problems if p.action == "quarantined")) == case.aside
    fields = {field.name for field in store.feature_layer(layer).fields}
    assert [name for name in case.columns if name not in fields | told(report)] == []


#: 114.305, 30.59 in EPSG:4547, and a number of a zone before it in EPSG:4526.
EAST, NORTH = 529252.747, 3385558.906
GRID = Declared(crs="EPSG:4547")
PLACED: tuple[tuple[str, str | bytes, Declared, str], ...] = (
    ("units.csv", "名称,经度(°),纬度（N）\n井,114.305,30.59\n".encode("gbk"), NOTHING, ""),
    ("two-lines.csv", '"经\n度","纬\n度",n\n114.305,30.59,1\n', NOTHING, ""),
    ("signs.csv", '经度,纬度,n\n"114°18\'18""E",30°35′24″,1\n', NOTHING, ""),
    ("words.csv", "经度,纬度,n\n114度18分18秒,北纬30°35.4′,1\n", NOTHING, ""),
    ("sep.csv", "sep=;\nlon;lat\n114,305;30,59\n", NOTHING, "table.above"),
    (
        "title.csv",
        "某市成果表,,,\n单位:某院,,,\n点号,经度,纬度,备注\n1,114.305,30.59,\n",
        NOTHING,
        "table.above",
    ),
    ("remark.csv", "# made by X\nlon;lat;n\n114.305;30.59;a\n", NOTHING, "table.above"),
    ("hex.csv", "n,geom\n1,0101000020E6100000EC51B81E85935C40D7A3703D0A973E40\n", NOTHING, ""),
    ("srid.csv", f"n,geom\n1,SRID=4547;POINT({EAST} {NORTH})\n", NOTHING, ""),
    ("survey.csv", f"点号,X坐标,Y坐标,H(m)\n1,{NORTH},{EAST},5\n", GRID, "geometry.axes"),
    ("zone.csv", f"点号,X,Y\n1,{NORTH},{38e6 + EAST}\n", Declared(crs="EPSG:4526"), "geometry.axes"),
    ("map.csv", f"点号,X(m),Y(m)\n1,{EAST},{NORTH}\n", GRID, ""),
    ("named.csv", f"点号,纵坐标(X),横坐标(Y)\n1,{NORTH},{EAST}\n", GRID, ""),
    ("arcgis.csv", f"OID_,POINT_X,POINT_Y\n1,{EAST},{NORTH}\n", GRID, ""),
    ("minus.csv", "lon,lat\n\u2212114.305,30.59\n", NOTHING, ""),
    (
        "link.geojson",
        collection(
            feature({}, geometry("Point", [EAST, NORTH])),
            crs={"type": "link", "properties": {"href": "http://spatialreference.org/ref/epsg/4547/proj4/"}},
        ),
        NOTHING,
        "",
    ),
)


@pytest.mark.parametrize(("name", "content", "declared", "told"), PLACED, ids=lambda value: str(value)[:12])
def test_coordinates_lie_where_they_say(
    name: str, content: str | bytes, declared: Declared, told: str, store: Store, tmp_path: Path
) -> None:
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    declared = replace(declared, kind="feature")
    report = load.run(store, file, declared, layer_id="placed", mode="replace")
    (one,) = json.loads(b"[" + store.items("placed", Query()).features + b"]")
    east, north = one["geometry"]["coordinates"]
    assert (abs(east), north) == pytest.approx((114.305, 30.59), abs=1e-7)
    assert findings(load.check(file, declared)) == findings(report)
    rules = {problem.rule for problem in report.problems}
    assert rules & {"table.above", "geometry.axes"} == ({told} if told else set())


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        (f"{NORTH},{EAST}", "x and y exchanged"),
        (f"{38e6 + EAST},{NORTH}", "begins with 38"),
        ("114.305,30.59", "look like degrees"),
        ("1,1", "look like degrees"),
    ],
)
def test_a_place_outside_is_explained(numbers: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(f"east,north\n{numbers}\n", "utf-8")
    with pytest.raises(BadFile, match=rf"crs\.area: .*{says}"):
        load.check(file, GRID)


def test_a_source_that_a_shapefile_cut_short_says_it_in_any_format(tmp_path: Path) -> None:
    """As of a download that a program saved on."""
    file = tmp_path / "a.csv"
    lines = ('1.5,measured,"LINESTRING (1 2, 2 2)"', '1.8,default,"LINESTRING (1 3, 2 3)"')
    file.write_text("\n".join(["depth_m,depth_sour,wkt", *lines]), "utf-8")
    report = load.check(file, Declared(kind="pipeline", crs="EPSG:4326"))
    assert report.sources["depth_source"] == {"measured": 1, "default": 1}


def test_compound_systems_by_uri() -> None:
    parts = "1=http://www.opengis.net/def/crs/EPSG/0/4547&2=http://www.opengis.net/def/crs/EPSG/0/5737"
    label, place, vertical = source(f"https://www.opengis.net/def/crs-compound?{parts}")
    assert (label, place is not None, vertical) == ("EPSG:4547", True, "Yellow Sea 1985 height")


def test_numbers_and_truths_of_a_table_that_are_none(store: Store, tmp_path: Path) -> None:
    """A fraction in a column of whole numbers, and what is neither true nor false."""
    file = shapefile(tmp_path, b"EPSG:4547", kinds=b"NL", cells=b" 1.21")
    report = load.run(store, file, layer_id="fraction")
    one = json.loads(store.items("fraction", Query()).features)["properties"]
    assert (one["n"], one["M"]) == (1.2, None)
    assert [p.reason for p in report.problems if p.rule == "value.unreadable"] == [
        "M: 1 is no value of its type, and is left empty"
    ]


def shapefile(
    folder: Path, prj: bytes, rows: int = 1, kinds: bytes = b"NM", cells: bytes = b"   1   7"
) -> Path:
    """Of a point in EPSG:4547, and so many rows of two cells, the first of four characters."""
    file = folder / "wells.shp"
    shape = struct.pack("<i2d", 1, EAST, NORTH)
    box = struct.pack("<4d", EAST, NORTH, EAST, NORTH) + bytes(32)

    def head(size: int) -> bytes:
        return struct.pack(">i20xi", 9994, size // 2) + struct.pack("<2i", 1000, 1) + box

    file.write_bytes(head(128) + struct.pack(">2i", 1, 10) + shape)
    file.with_suffix(".shx").write_bytes(head(108) + struct.pack(">2i", 50, 10))
    widths = [4, len(cells) - 4]
    columns = b"".join(
        name.ljust(11, b"\0") + bytes([kind]) + bytes(4) + bytes([width, 0]) + bytes(14)
        for name, kind, width in zip((b"n", b"M"), kinds, widths, strict=True)
    )
    table = b"\x03\x78\x01\x01" + struct.pack("<I2H20x", rows, 32 + len(columns) + 1, 1 + len(cells))
    file.with_suffix(".dbf").write_bytes(table + columns + b"\r" + (b" " + cells) * rows + b"\x1a")
    file.with_suffix(".prj").write_bytes(prj)
    return file


@pytest.mark.parametrize(
    ("prj", "crs"),
    [
        (pyproj.CRS(4547).to_wkt("WKT2_2019").encode(), "EPSG:4547"),
        (b"EPSG:4547\n", "EPSG:4547"),
        (pyproj.CRS(4547).to_wkt("WKT1_ESRI").encode("utf-16"), "EPSG:4547"),
        (
            re.sub(r'PROJCS\["\w+"', 'PROJCS["武汉"', pyproj.CRS(4547).to_wkt("WKT1_ESRI")).encode("gbk"),
            "EPSG:4547",
        ),
        (b"hello", ""),
    ],
    ids=["wkt2", "code", "utf16", "gbk", "none"],
)
def test_what_a_prj_says(prj: bytes, crs: str, tmp_path: Path) -> None:
    folder = tmp_path / "wells"
    folder.mkdir()
    file = shapefile(folder, prj)
    if not crs:
        with pytest.raises(BadFile, match=r"crs\.unknown: hello is not .*--crs"):
            load.check(file)
        return
    assert load.check(file).crs == crs
    archive = shutil.make_archive(str(tmp_path / "a"), "zip", folder)
    assert load.check(Path(archive)).crs == crs


def test_shapes_and_rows_that_are_not_read_are_told(tmp_path: Path) -> None:
    told = {p.rule: p.reason for p in load.check(shapefile(tmp_path, b"EPSG:4547", rows=3)).problems}
    assert "1 shapes and the .dbf 3 rows" in told["shapefile.uneven"]
    assert told["column.untyped"].startswith("M is of the type M")
    (tmp_path / "wells.shx").rename(tmp_path / "Wells.shx")
    with pytest.raises(BadFile, match=r"shapefile\.incomplete: .*Wells\.shx is written otherwise"):
        load.check(tmp_path / "wells.shp")


def test_a_geopackage_with_words_for_numbers(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "a.gpkg"
    shutil.copy(Path(__file__).parents[1] / "found/load/02-views.gpkg", file)
    with closing(sqlite3.connect(file)) as con, con:
        for column in ("whole INTEGER", "part REAL", "price DECIMAL(10,2)", "more JSON"):
            con.execute(f"ALTER TABLE wells ADD COLUMN {column}")
        con.execute("UPDATE wells SET whole = 'abc', part = 'x', price = 1.5 WHERE fid = 1")
        con.execute("UPDATE wells SET whole = 1.75, part = 2.5 WHERE fid = 2")
        con.execute("UPDATE wells SET whole = 7, part = 3 WHERE fid = 3")
        con.execute("DROP VIEW v")
        con.execute("CREATE VIEW v AS SELECT whole, part, geom FROM wells")
    for layer in ("wells", "v"):
        report = load.run(store, file, Declared(layer=layer), layer_id=f"words_{layer}")
        page = store.items(f"words_{layer}", Query()).features
        values = [one["properties"] for one in json.loads(b"[" + page + b"]")]
        assert [(v["whole"], v["part"]) for v in values] == [(None, None), (None, 2.5), (7, 3.0)]
        bad = [p.row for p in report.problems if p.rule == "value.unreadable"]
        untyped = [p.reason.partition(" ")[0] for p in report.problems if p.rule == "column.untyped"]
        assert (sorted(bad), untyped) == ([1, 1, 2], ["price", "more"] if layer == "wells" else [])
