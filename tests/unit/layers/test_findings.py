"""What a report tells of rows: grouped, named as their program names them, and given back."""

from __future__ import annotations

import csv
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from layers import load
from layers.errors import BadFile
from layers.model import Report
from layers.store import geopackage
from twin import verbs

FOUND = Path(__file__).resolve().parents[2] / "found"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Ninety rows without coordinates, one that is short, one good one."""
    path = tmp_path / "lamps.csv"
    lines = [f"灯{i},," for i in range(90)] + ["short,25", "=1+1,25,60", "好,25,60"]
    path.write_text("名称,lon,lat\n" + "\n".join(lines))
    return path


def shown(report: Report, capsys: pytest.CaptureFixture[str]) -> str:
    verbs.show(report, "lamps.csv")
    return capsys.readouterr().out


def test_findings_are_grouped_with_three_examples(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(load.check(table), capsys)
    assert text.startswith("lamps.csv: 93 rows, 2 kept, 91 set aside\n")
    assert "set aside geometry.missing, 90 rows\n" in text
    assert [line.strip() for line in text.splitlines() if "no coordinates" in line] == [
        f"line {n}: the row has no coordinates" for n in (2, 3, 4)
    ]
    assert "line 92: the row has 2 cells, the header 3" in text
    assert "→ give the row as many cells" in text


def test_rows_are_given_back_with_their_rule(table: Path, tmp_path: Path) -> None:
    aside = tmp_path / "city" / "aside" / "lamps.csv"
    report = load.check(table, aside=aside)
    assert report.aside == "lamps.csv"
    with aside.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == report.quarantined == 91
    assert (rows[0]["row"], rows[0]["rule"], rows[0]["名称"]) == ("line 2", "geometry.missing", "灯0")
    assert (rows[-1]["row"], rows[-1]["rule"], rows[-1]["lon"]) == ("line 92", "row.cells", "25")
    table.write_text("名称,lon,lat\n好,25,60\n")
    assert load.check(table, aside=aside).aside == ""
    assert not aside.exists()  # what an earlier load set aside is not told of this one


def given(aside: Path) -> list[dict[str, str]]:
    with aside.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_rows_are_given_back_also_where_nothing_is_kept(tmp_path: Path) -> None:
    """All of them, however many, and each rule with its true count; no layer is made."""
    table, aside = tmp_path / "lamps.csv", tmp_path / "aside" / "lamps.csv"
    table.write_text("名称,lon,lat\n" + "".join(f"灯{i},,\n" for i in range(12_000)), "utf-8")
    with (
        closing(geopackage.open(tmp_path / "city.gpkg")) as store,
        pytest.raises(BadFile, match=r"none of the 12000 rows .* all of them are in aside/lamps\.csv"),
    ):
        load.run(store, table, layer_id="lamps", aside=aside)
    rows = given(aside)
    assert len(rows) == 12_000
    assert (rows[-1]["row"], rows[-1]["rule"], rows[-1]["名称"]) == (
        "line 12001",
        "geometry.missing",
        "灯11999",
    )
    with table.open("a", encoding="utf-8") as file:
        file.write("好,25,60\n")
    report = load.check(table, aside=aside)
    assert report.counts["quarantined geometry.missing"] == report.quarantined == 12_000
    assert len(given(aside)) == 12_000


def test_features_of_json_that_cannot_be_read_are_given_back(tmp_path: Path) -> None:
    lines = (
        '{"type":"Feature","properties":{"n":1,"l":["a",2]},"geometry":{"type":"Point","coordinates":["x",1]}}',
        '{"type":"Feature","properties":{"n":2,"l":["a",2]},"geometry":null}',
        '{"type":"Feature","properties":{"n":3}',
        '{"a": 1}',
    )
    file, aside = tmp_path / "a.ndjson", tmp_path / "aside.csv"
    file.write_text("\n".join((*lines[:2], lines[2] + ',"x":nul}', lines[3])))
    with pytest.raises(BadFile, match=r"file\.nothing_kept"):
        load.check(file, aside=aside)
    assert [(r["row"], r["rule"], r["n"], r["l"], r["text"][:9]) for r in given(aside)] == [
        ("row 1", "geometry.unreadable", "1", '["a", 2]', ""),
        ("row 2", "geometry.missing", "2", '["a",2]', ""),
        ("row 3", "json.syntax", "", "", '{"type":"'),
        ("row 4", "json.syntax", "", "", '{"a": 1}'),
    ]
    assert given(aside)[0]["geometry"] == '{"type": "Point", "coordinates": ["x", 1]}'


def test_the_values_of_a_row_come_back(tmp_path: Path) -> None:
    aside = tmp_path / "aside.csv"
    load.check(FOUND / "load/06-zero-zero.csv", aside=aside)
    with aside.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["row"], r["rule"], r["名称"], r["wkt"]) for r in rows] == [
        ("line 10", "geometry.zero", "未测", "POINT (0 0)"),
        ("line 11", "geometry.zero", "未测2", "POINT (0 0)"),
    ]


def test_a_row_of_a_database_goes_by_its_fid(tmp_path: Path) -> None:
    path = tmp_path / "pts.gpkg"
    shutil.copy(FOUND / "hostile/view_recursive.gpkg", path)
    con = sqlite3.connect(path)
    con.execute("DROP VIEW v")
    con.execute("UPDATE gpkg_contents SET table_name = 'pts', identifier = 'pts'")
    con.execute("DELETE FROM gpkg_geometry_columns WHERE table_name = 'v'")
    for name in [r[0] for r in con.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]:
        con.execute(f"DROP TRIGGER {name}")
    con.execute("UPDATE pts SET fid = fid + 40")
    con.execute("INSERT INTO pts (fid, geom, name) VALUES (77, NULL, 'lost')")
    con.commit()
    con.close()
    report = load.check(path)
    assert [(p.at, p.rule) for p in report.problems if p.row] == [("FID 77", "geometry.missing")]
