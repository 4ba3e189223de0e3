"""Files that somebody made to end, to fill or to hold up whoever reads them: each gets a reason."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from layers import guard, load
from layers.errors import BadFile, scrubbed
from layers.guard import ReadLimits
from layers.read import child
from layers.read.base import ReadOptions
from layers.source import Declared

FOUND = Path(__file__).resolve().parents[3] / "found" / "hostile"


def refused(path: Path, layer: str | None = None) -> BadFile:
    limits = ReadLimits(view_seconds=1)
    with pytest.raises(BadFile) as caught:
        load.check(path, Declared(layer=layer, crs="EPSG:4326"), limits=limits)
    assert str(path.parent) not in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("name", "layer", "rule", "says"),
    [
        ("blobnest.gpkg", None, "file.nothing_kept", "geometry.depth"),
        ("cj_big.city.json", None, "file.nothing_kept", "a vertex that the file does not have"),
        ("flip13.fgb", None, "file.damaged", "export it anew"),
        ("flip18.fgb", None, "file.damaged", "export it anew"),
        ("view_recursive.gpkg", None, "layer.view", "with --layer: v"),
        ("view_recursive.gpkg", "v", "limit.view", "save what it shows as a table"),
        ("view_bomb.gpkg", None, "layer.view", "with --layer: v"),
        ("view_bomb.gpkg", "v", "limit.view", "64 MiB"),
    ],
)
def test_a_reason_that_can_be_acted_on(name: str, layer: str | None, rule: str, says: str) -> None:
    found = refused(FOUND / name, layer)
    assert found.rule == rule
    assert says in found.reason


@pytest.mark.parametrize("name", ["two\nlines", 'quo"ted', "apo'strophe", "a /b", "back\\slash", "%s {0}"])
def test_no_name_breaks_a_message_or_shows_a_folder(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name.replace("/", "_")
    folder.mkdir()
    for ending in ("fgb", "gpkg", "geojson", "shp", "csv", "zip", "parquet"):
        path = folder / f"{name.replace('/', '_')}.{ending}"
        shutil.copy(FOUND / "flip13.fgb", path)
        if ending == "gpkg":
            path.write_bytes((FOUND / "view_bomb.gpkg").read_bytes()[:6000])
        assert str(tmp_path) not in str(refused(path))
    assert str(tmp_path) not in str(refused(folder / f"nothing{name.replace('/', '_')}.csv"))


def test_words_of_a_library_show_no_folder() -> None:
    assert scrubbed("cannot open '/data/my city/a\nb/x.gpkg'", "/data/my city/a\nb") == "cannot open 'x.gpkg'"
    assert scrubbed("[Errno 2] No such file: '/a\\nb/c'", "/a\nb") == "[Errno 2] No such file: 'c'"
    assert scrubbed("opened /tmp/twin-read-1/unpacked/z.shp and 3/4 of it") == "opened z.shp and 3/4 of it"


def test_a_file_of_zeros_is_no_json(tmp_path: Path) -> None:
    path = tmp_path / "sparse.geojson"
    with path.open("wb") as file:
        file.write(b'{"type":"FeatureCollection","features":[')
        file.truncate(1900 << 20)
    assert refused(path).rule == "json.syntax"


def test_a_check_looks_at_the_first_rows_and_says_so(tmp_path: Path) -> None:
    table = tmp_path / "many.csv"
    table.write_text("code,lon,lat\n" + "".join(f"a{i},25,60\n" for i in range(25_000)))
    lines = tmp_path / "many.gpkg"
    shutil.copy(FOUND / "view_recursive.gpkg", lines)
    report = load.check(table, rows=12_000)
    assert (report.read, report.kept) == (12_000, 12_000)
    assert [p.reason for p in report.problems if p.rule == "check.rows"] == [
        "the first 12000 rows were looked at; a load looks at all"
    ]
    whole = load.check(table, rows=None)
    assert whole.read == 25_000
    assert not [p for p in whole.problems if p.rule == "check.rows"]


def test_a_view_that_ends_is_read_where_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "view.gpkg"
    shutil.copy(FOUND / "view_bomb.gpkg", path)
    con = sqlite3.connect(path)
    con.execute("DROP VIEW v")
    con.execute("ALTER TABLE pts ADD COLUMN bytes BLOB")
    con.execute("CREATE VIEW v AS SELECT fid, geom, name, bytes, ST_MinX(geom) + 1 AS x FROM pts")
    con.commit()
    con.close()
    with guard.read(path, Declared(layer="v")) as reading:
        (batch,) = reading.batches()
        assert batch["name"].null_count < len(batch)
        assert "bytes" not in batch.column_names
        assert [p.rule for p in reading.problems] == ["column.binary"]


def test_what_a_reader_did_not_foresee_is_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError(f"{tmp_path}/city/x.gpkg: division by\nzero")

    monkeypatch.setattr(child.sources, "read", fail)
    ReadOptions(str(tmp_path / "city" / "x.gpkg")).save(tmp_path)
    child.read(tmp_path)
    found = json.loads((tmp_path / "result.json").read_text())["refused"]
    assert found["rule"] == "file.damaged"
    assert "ZeroDivisionError: x.gpkg: division by zero" in found["reason"]
    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize("at", [10, 32 + 16, 64 + 16, 96 + 16])
@pytest.mark.parametrize("value", [0, 1, 7, 255])
def test_a_damaged_header_of_a_dbf_is_a_reason(at: int, value: int, tmp_path: Path) -> None:
    own = FOUND.parent / "load"
    for ending in ("shp", "shx", "dbf", "prj", "cpg"):
        shutil.copy(own / f"04-own-shapefile-download.{ending}", tmp_path / f"own.{ending}")
    data = bytearray((tmp_path / "own.dbf").read_bytes())
    data[at] = value
    (tmp_path / "own.dbf").write_bytes(data)
    reason = ""
    try:
        load.check(tmp_path / "own.shp")
    except BadFile as error:
        reason = error.reason
    assert "Error" not in reason
