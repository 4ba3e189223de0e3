"""CSV tables: coordinates, encodings, types, and rows that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import shapely

from layers import guard, load
from layers.batch import ROW, SOURCE_ID, WKB
from layers.errors import BadFile
from layers.model import Problem
from layers.source import NOTHING, Declared


def rows(
    path: Path, declared: Declared = NOTHING
) -> tuple[list[dict[str, Any]], list[Problem], dict[str, Any]]:
    with guard.read(path, declared) as reading:
        return [r for t in reading.batches() for r in t.to_pylist()], reading.problems, reading.meta


def table(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    file = tmp_path / "a.csv"
    file.write_bytes(text.encode(encoding))
    return file


@pytest.mark.parametrize(
    "header", ["lon,lat", "Longitude,LATITUDE", "lng;lat", "经度,纬度", "x\ty", "easting|northing"]
)
def test_pairs_of_columns(tmp_path: Path, header: str) -> None:
    mark = next(c for c in ",;\t|" if c in header)
    file = table(tmp_path, f"name{mark}{header}\nA{mark}114.3{mark}30.5\n")
    found, _, _ = rows(file)
    assert shapely.from_wkb(found[0][WKB]) == shapely.Point(114.3, 30.5)
    assert {k for k in found[0] if not k.startswith("__")} == {"name"}


@pytest.mark.parametrize(
    ("encoding", "told"),
    [(e, e) for e in ("utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be")],
)
def test_encodings_are_found(tmp_path: Path, encoding: str, told: str) -> None:
    found, problems, meta = rows(table(tmp_path, "名称,经度,纬度\n茅箭区,110.8,32.6\n", encoding))
    assert found[0]["名称"] == "茅箭区"
    assert meta["encoding"] == told
    assert any(p.rule == "encoding.sniffed" for p in problems) == (
        told in ("gb18030", "utf-16-le", "utf-16-be")
    )


def test_a_wrong_declared_encoding_is_refused(tmp_path: Path) -> None:
    file = table(tmp_path, "名称,经度,纬度\n茅箭区,110.8,32.6\n", "gb18030")
    with pytest.raises(BadFile, match=r"encoding\.wrong"):
        rows(file, Declared(encoding="utf-8"))
    file = table(tmp_path, "名称,经度,纬度\n茅箭区,110.8,32.6\n", "utf-16-le")
    with pytest.raises(BadFile, match=r"encoding\.wrong: the text is UTF-16-LE, not GBK"):
        rows(file, Declared(encoding="GBK"))


def test_types_and_codes(tmp_path: Path) -> None:
    found, _, _ = rows(table(tmp_path, "lon,lat,n,f,code,mixed,none\n1,2,5,1.5,00100,1,\n3,4,,2,20,x,\n"))
    assert [found[0][k] for k in ("n", "f", "code", "mixed", "none")] == [5, 1.5, "00100", "1", None]
    assert found[1]["n"] is None


@pytest.mark.parametrize(
    ("cells", "place"),
    [
        ('"500,000.5","3,390,000.25"', (500000.5, 3390000.25)),
        ('"500,001","3,390,001"', (500001, 3390001)),
        ("５００００１．５,3390001", (500001.5, 3390001)),
    ],
)
def test_coordinates_as_people_write_them(tmp_path: Path, cells: str, place: tuple[float, float]) -> None:
    """Commas that group by thousands in one row do so in all."""
    file = table(tmp_path, f'x,y,n\n{cells},a\n"500,002","3,390,002",b\n')
    found, _, _ = rows(file)
    assert [shapely.get_coordinates(shapely.from_wkb(r[WKB])).tolist() for r in found] == [
        [list(place)],
        [[500002, 3390002]],
    ]
    file = table(tmp_path, 'x;y\n"500,5";"339,125"\n')
    assert shapely.from_wkb(rows(file)[0][0][WKB]) == shapely.Point(500.5, 339.125)


def test_blank_lines_above_the_header(tmp_path: Path) -> None:
    file = table(tmp_path, "\r\n;;\r\nlon;lat;n\r\n1;2;a\r\n;;b\r\n1;2;c;;\r\n")
    found, problems, meta = rows(file)
    assert [row["n"] for row in found] == ["a", "c"]  # cells that are blank beyond the header are none
    assert (tuple(meta["rows"]), [(p.rule, p.row) for p in problems]) == (
        ("line", 4),
        [("geometry.missing", 2)],
    )
    with pytest.raises(BadFile, match=r"file\.no_features"):
        rows(table(tmp_path, "\n\n \n"))


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        (['1,2,"a', "1,3,b"], ['"a', "b"]),  # to the end of the file
        (['1,2,"a', "1,3,b", '1,4,"c', "1,5,d"], ['"a', "b", '"c', "d"]),
        (
            ['1,2,"a"', '1,3,"two', 'lines"', '1,4,"3"" pipe"', '1,5,5" pipe'],
            ["a", "two\nlines", '3" pipe', '5" pipe'],
        ),
        (['1,2,"two', 'lines" ', "1,3,b"], ["two\nlines ", "b"]),
    ],
)
def test_an_open_quote_swallows_no_row(tmp_path: Path, lines: list[str], names: list[str]) -> None:
    found, problems, _ = rows(table(tmp_path, "\n".join(["lon,lat,n", *lines]) + "\n"))
    assert [row["n"] for row in found] == names
    opened = [i for i, name in enumerate(names, 1) if name.startswith('"')]
    assert [(p.rule, p.row) for p in problems] == [("row.quote", row) for row in opened]


@pytest.mark.parametrize("end", "\v\f\x1c\x85\u2028")
def test_what_ends_lines_elsewhere_ends_none_here(tmp_path: Path, end: str) -> None:
    """Beside a cell of two lines, which is looked at closely."""
    found, problems, _ = rows(table(tmp_path, f'lon,lat,n,m\n1,2,"two\nlines",a{end}b\n1,3,c,d\n'))
    assert [(row["n"], row["m"]) for row in found] == [("two\nlines", f"a{end}b"), ("c", "d")]
    assert problems == []


def test_a_curve_in_wkt_costs_its_row(tmp_path: Path) -> None:
    text = (
        'wkt,n\n"CIRCULARSTRING (1 2, 2 3, 3 2)",a\n"TIN Z (((0 0 0,1 0 0,0 1 0,0 0 0)))",b\nPOINT (1 2),c\n'
    )
    found, problems, _ = rows(table(tmp_path, text))
    assert [row["n"] for row in found] == ["c"]
    assert [(p.rule, p.row) for p in problems] == [("geometry.unreadable", 1), ("geometry.unreadable", 2)]


def test_zero_bytes_cost_no_file(tmp_path: Path) -> None:
    found, problems, _ = rows(table(tmp_path, "lon,lat,n\n1,2,a\x00b\n1,3,c\n"))
    assert [row["n"] for row in found] == ["ab", "c"]
    assert [p.rule for p in problems] == ["text.null"]
    with pytest.raises(BadFile, match=r"file\.type"):
        rows(table(tmp_path, "lon,lat\n\x00\x01\x02\x00"))


def test_what_was_set_aside_is_loaded_as_it_was(tmp_path: Path) -> None:
    """With the guard of a spreadsheet taken away, and without what the load said of it."""
    file, aside = table(tmp_path, "lon,lat,n\n,2,=1+1\n,3,'-a\n1,4,+358 40\n"), tmp_path / "aside.csv"
    load.check(file, aside=aside)
    aside.write_text(aside.read_text("utf-8-sig").replace(",,2", ",1,2").replace(",,3", ",1,3"), "utf-8-sig")
    found, problems, _ = rows(aside)
    assert [{k: v for k, v in row.items() if not k.startswith("__")} for row in found] == [
        {"n": "=1+1"},
        {"n": "'-a"},
    ]
    assert "column.own" in [p.rule for p in problems]


def test_true_and_false(tmp_path: Path) -> None:
    found, _, _ = rows(table(tmp_path, "lon,lat,a,b,c\n1,2,true,TRUE,true\n3,4,False,,1\n"))
    assert [[r[k] for r in found] for k in "abc"] == [[True, False], [True, None], ["true", "1"]]


def test_wkt_beside_coordinates_wins(tmp_path: Path) -> None:
    text = 'lon,lat,geometry,n\n1,2,,1\n1,2,"POINT Z (1 2 3)",2\n,,,3\n'
    found, problems, meta = rows(table(tmp_path, text))
    assert [shapely.from_wkb(r[WKB]).wkt for r in found] == ["POINT (1 2)", "POINT Z (1 2 3)"]
    assert set(found[0]) == {ROW, WKB, SOURCE_ID, "n"}
    assert meta["crs_of_columns"] == "EPSG:4326"
    assert [(p.rule, p.row) for p in problems] == [("geometry.missing", 3)]
    found, _, _ = rows(table(tmp_path, "lon,lat,geometry\n1,2,corner\n"))
    assert (found[0]["geometry"], shapely.from_wkb(found[0][WKB]).wkt) == ("corner", "POINT (1 2)")


def test_rows_that_do_not_fit_are_told(tmp_path: Path) -> None:
    text = 'lon,lat,a\n1,2,x\n1,2\n,,x\nnorth,2,x\n\nnan,1,x\n1,2,"two\nlines"\n'
    found, problems, meta = rows(table(tmp_path, text))
    assert [r["a"] for r in found] == ["x", "two\nlines"]
    assert [(p.rule, p.row) for p in problems] == [
        ("row.cells", 2),
        ("geometry.missing", 3),
        ("geometry.unreadable", 4),
        ("geometry.missing", 6),
    ]
    assert meta["dropped"] == 4
    report = load.check(tmp_path / "a.csv")
    assert (report.read, report.kept, report.quarantined) == (6, 2, 4)


def test_wkt_is_checked_before_geos(tmp_path: Path) -> None:
    bomb = "GEOMETRYCOLLECTION(" * 30_000 + "POINT(1 2)" + ")" * 30_000
    text = f'wkt,a\n"POINT(1 2)",x\n"{bomb}",y\nPOINT(,z\n"SRID=4326;POINT(3 4)",w\n'
    found, problems, _ = rows(table(tmp_path, text))
    assert [r["a"] for r in found] == ["x", "w"]
    assert [p.rule for p in problems] == ["limit.depth", "geometry.unreadable"]


def test_no_coordinates_names_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"csv\.columns.*among: 名称, code"):
        rows(table(tmp_path, "名称,code\na,1\n"))


def test_plane_coordinates_need_a_crs(tmp_path: Path) -> None:
    file = table(tmp_path, "x,y\n529000,3378000\n")
    with pytest.raises(BadFile, match=r"crs\.missing"):
        load.check(file)
    assert load.check(file, Declared(crs="EPSG:4547")).kept == 1
    with pytest.raises(BadFile, match=r"crs\.implausible"):
        load.check(file, Declared(crs="EPSG:4326"))


def test_names_that_say_longitude_are_a_crs_and_are_told(tmp_path: Path) -> None:
    report = load.check(table(tmp_path, "lon,lat\n114,30\n"))
    assert report.crs == "EPSG:4326"
    assert "crs.by_column" in {p.rule for p in report.problems}


def test_names_that_repeat_or_are_empty_stay_apart(tmp_path: Path) -> None:
    found, problems, _ = rows(table(tmp_path, "lon,lat,a,A,a,\n1,2,3,4,5,6\n"))
    named = {k: v for k, v in found[0].items() if not k.startswith("__")}
    assert named == {"a": 3, "A": 4, "a_": 5, "column_6": 6}
    assert [p.rule for p in problems] == ["column.renamed"]


@pytest.mark.parametrize("text", ["lon,lat\n", "lon,lat", "lon,lat\n\n\n"])
def test_no_rows(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadFile, match=r"file\.no_features"):
        load.check(table(tmp_path, text))
