"""Which encoding a text is in: words of people, bytes that speak, and what one bad text costs."""

from __future__ import annotations

import json
import shutil
import sqlite3
import struct
from pathlib import Path
from typing import Any

import pytest

from layers import guard, load
from layers.errors import BadFile
from layers.model import Problem
from layers.read import encodings
from layers.read.encodings import Lines, choose, codec, decoded, marked, sniff
from layers.source import NOTHING, Declared

VIEWS = Path(__file__).parents[3] / "found/load/02-views.gpkg"
WGS84 = (
    'GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137.0,298.257223563]],'
    'PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]]'
)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        *((w, "utf-8") for w in ("UTF-8", "utf8", "UTF_8", "65001", "cp65001", "\ufeffUTF-8\r\n")),
        *((w, "gb18030") for w in ("GBK", "936", "cp936", "ANSI 936", "ANSI_936", "OEM 936", "MS936")),
        *((w, "gb18030") for w in ("GB2312", "gb_2312-80", "GB18030", "chinese", "936 (ANSI/OEM)", "54936")),
        *((w, "iso8859-1") for w in ("ISO-8859-1", "88591", "8859_1", "ISO 88591", "latin1", "28591")),
        *((w, "cp1252") for w in ("1252", "ANSI 1252", "windows-1252")),
        *((w, None) for w in ("OEM", "System", "ANSI", "", "what?", "0", "base64", "ascii")),
        ("Big5", "big5"),
        ("ANSI 950", "cp950"),
        ("Shift_JIS", "shift_jis"),
    ],
)
def test_words_as_people_write_them(word: str, name: str | None) -> None:
    assert codec(word) == name


@pytest.mark.parametrize(
    "text", ["Größe", "Straße 5", "Müller", "20°C", "n°5", "È", "Öl", "Hôtel à Évry", "café", "naïve"]
)
def test_short_western_texts_are_not_chinese(text: str) -> None:
    assert sniff([text.encode("latin-1")]) == "latin-1"
    assert sniff([text.encode()]) == "utf-8"


@pytest.mark.parametrize("text", ["给水", "管线类", "A井B", "井1", "DN300给水管", "朱镕基", "雨水a污水"])
def test_chinese_is_found(text: str) -> None:
    assert sniff([text.encode("gb18030")]) == "gb18030"
    assert sniff([text.encode()]) == "utf-8"


def test_all_texts_decide_and_a_cut_one_is_whole() -> None:
    assert sniff(["“quoted” text".encode("cp1252")]) == "cp1252"
    assert sniff([*(f"第{i}号井".encode() for i in range(9)), b"\xff\xfe broken"]) == "utf-8"
    assert decoded("管线类别".encode()[:10], "utf-8") == ("管线类", True)
    assert decoded("管线类别".encode("gbk")[:7], "gb18030") == ("管线类", True)
    assert decoded(b"a\xffb", "utf-8") == ("a\ufffdb", False)


@pytest.mark.parametrize("order", ["le", "be"])
@pytest.mark.parametrize(
    "text", ["名称,经度,纬度\r\n茅箭区,110.8,32.6\r\n", "a;b\n1;2\n", '{"a": "一丁"}', "UTF-8"]
)
def test_utf16_shows_by_where_its_zero_bytes_lie(text: str, order: str) -> None:
    for name in ("utf-16", "utf-32"):
        assert marked(text.encode(f"{name}-{order}")) == f"{name}-{order}"
        assert marked(text.encode(name)) == name
    assert marked(text.encode()) is None
    assert marked(text.encode("gb18030")) is None
    assert marked(text.encode("utf-8-sig")) == "utf-8-sig"


@pytest.mark.parametrize(
    "binary",
    [b"\x00\x00\x27\x0a" + bytes(20), bytes(range(256)), b"MZ\x90\x00\x03\x00\x00\x00", b"\x00", b"a\x00b"],
)
def test_what_has_zero_bytes_elsewhere_is_no_text(binary: bytes) -> None:
    assert marked(binary) is None


def test_lines_of_a_file_of_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a block ends: inside a line, or inside a character."""
    lines = [f"{i},第{i}号井" if i % 3 else f"{i},a" for i in range(60)]
    file = tmp_path / "a.csv"
    for encoding, mark in (("utf-8", "\r\n"), ("gb18030", "\n"), ("gb18030", "\r")):
        file.write_bytes(mark.join(lines).encode(encoding))
        for size in (7, 64, 1 << 20):
            monkeypatch.setattr(encodings, "_BLOCK", size)
            found = Lines(file)
            assert [line.decode(encoding) for line in found] == [each for each in lines if "号" in each]
            assert found.all_in(encoding)
            assert found.all_in("utf-8") == (encoding == "utf-8")
            assert choose(found, None).name == encoding
    file.write_bytes(b"only ASCII\n")
    assert (list(Lines(file)), choose(Lines(file), None).name) == ([], "utf-8")


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_a_character_that_is_cut_by_ascii_is_no_utf8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(encodings, "_BLOCK", size)
    for raw in (b"\xe4abc", b"a\xe4\xb8bc", b"abc\xe4\xb8", b"\xe4"):
        (tmp_path / "a").write_bytes(raw)
        assert not Lines(tmp_path / "a").all_in("utf-8")


def shapefile(
    folder: Path, columns: list[tuple[bytes, str, int]], rows: list[list[bytes]], cpg: str | None = None
) -> Path:
    """Points beside a table whose bytes are given: (name, type, width) and cells."""
    file = folder / "a.shp"
    count, size = len(rows), 1 + sum(width for *_, width in columns)
    head = struct.pack("<4BIHH20x", 3, 124, 1, 1, count, 33 + 32 * len(columns), size)
    fields = b"".join(
        name.ljust(11, b"\0") + kind.encode() + bytes(4) + bytes([width]) + bytes(15)
        for name, kind, width in columns
    )
    body = b"".join(
        b" "
        + b"".join(
            cell.rjust(width) if kind == "N" else cell.ljust(width)
            for cell, (_, kind, width) in zip(row, columns, strict=True)
        )
        for row in rows
    )
    file.with_suffix(".dbf").write_bytes(head + fields + b"\r" + body + b"\x1a")
    box = struct.pack("<8d", 1, 2, 1 + count, 2, 0, 0, 0, 0)
    for ending, part in ((".shp", 28), (".shx", 8)):
        words = (100 + part * count) // 2
        header = struct.pack(">I20xI", 9994, words) + struct.pack("<II", 1000, 1) + box
        if ending == ".shp":
            records = [struct.pack(">II", i + 1, 10) + struct.pack("<Idd", 1, 1 + i, 2) for i in range(count)]
        else:
            records = [struct.pack(">II", 50 + 14 * i, 10) for i in range(count)]
        file.with_suffix(ending).write_bytes(header + b"".join(records))
    file.with_suffix(".prj").write_text(WGS84)
    if cpg is not None:
        file.with_suffix(".cpg").write_text(cpg)
    return file


def read(path: Path, declared: Declared = NOTHING) -> tuple[list[dict[str, Any]], list[Problem], str]:
    with guard.read(path, declared) as reading:
        found = [row for table in reading.batches() for row in table.to_pylist()]
        own = [{k: v for k, v in row.items() if not k.startswith("__")} for row in found]
        return own, reading.problems, reading.meta["encoding"]


def test_a_bad_cell_costs_a_cell(tmp_path: Path) -> None:
    rows = [[f"第{i}号井".encode()] for i in range(4)]
    rows[2] = [b"\xff\xfe!"]
    found, problems, encoding = read(shapefile(tmp_path, [("名称".encode(), "C", 20)], rows, "UTF-8"))
    assert [row["名称"] for row in found] == ["第0号井", "第1号井", "\ufffd\ufffd!", "第3号井"]
    assert ([(p.rule, p.row) for p in problems], encoding) == ([("text.encoding", 3)], "UTF-8")


def test_a_cpg_that_a_shell_wrote_as_utf16(tmp_path: Path) -> None:
    file = shapefile(tmp_path, [(b"name", "C", 20)], [["Größe".encode("latin-1")], [b"plain"]])
    file.with_suffix(".cpg").write_bytes("ISO-8859-1\r\n".encode("utf-16"))
    found, problems, _ = read(file)
    assert ([row["name"] for row in found], problems) == (["Größe", "plain"], [])


@pytest.mark.parametrize("cpg", ["ISO-8859-1", "UTF-8", "System", "no such word", None])
def test_a_cpg_that_is_not_true_is_not_believed(tmp_path: Path, cpg: str | None) -> None:
    columns = [("名称".encode("gbk"), "C", 20)]
    rows = [[t.encode("gbk")] for t in ("给水管", "污水管", "燃气管")]
    found, problems, encoding = read(shapefile(tmp_path, columns, rows, cpg))
    assert [row["名称"] for row in found] == ["给水管", "污水管", "燃气管"]
    assert ([p.rule for p in problems], encoding) == (["encoding.sniffed"], "GB18030")


@pytest.mark.parametrize("word", ["GBK", "GB 2312", "Big5", "MacRoman", "ANSI 1252", "UTF-16", ""])
def test_utf8_is_no_other_by_chance(tmp_path: Path, word: str) -> None:
    file = shapefile(tmp_path, [("名称".encode(), "C", 20)], [["给水".encode()], ["排水".encode()]], word)
    found, problems, encoding = read(file)
    assert ([row["名称"] for row in found], encoding) == (["给水", "排水"], "UTF-8")
    assert [p.rule for p in problems] == ["encoding.sniffed"]
    # two bytes that could be one character of UTF-8 are not telling
    found, problems, _ = read(shapefile(tmp_path, [(b"name", "C", 9)], [["模".encode("gbk")]], "GBK"))
    assert ([row["name"] for row in found], problems) == (["模"], [])


def test_a_number_that_is_none_is_told(tmp_path: Path) -> None:
    rows = [[b"********", b"20200131"], [b"12", b"20209999"], [b"", b"00000000"]]
    found, problems, _ = read(shapefile(tmp_path, [(b"n", "N", 8), (b"d", "D", 8)], rows))
    assert [row["n"] for row in found] == [None, 12, None]
    # what is no date stays a text here: a column of dates leaves it empty
    assert [row["d"] for row in found] == ["2020-01-31", "20209999", None]
    assert [(p.rule, p.row) for p in problems] == [("value.unreadable", 1)]
    report = load.check(tmp_path / "a.shp")
    assert [p.row for p in report.problems if p.rule == "time.unreadable"] == [2]


def test_a_cpg_that_is_true_is_believed(tmp_path: Path) -> None:
    rows = [["Größe".encode("latin-1")], [b"plain"]]
    for word in ("ISO-8859-1", "88591", "ANSI 1252"):
        found, problems, _ = read(shapefile(tmp_path, [(b"name", "C", 20)], rows, word))
        assert ([row["name"] for row in found], problems) == (["Größe", "plain"], [])
    rows = [["茅箭區".encode("big5")]]
    found, problems, encoding = read(shapefile(tmp_path, [(b"name", "C", 20)], rows, "ANSI 950"))
    assert ([row["name"] for row in found], problems, encoding) == (["茅箭區"], [], "CP950")


def test_what_is_declared_must_be_true(tmp_path: Path) -> None:
    rows = [["给水管".encode("gbk")], ["污水管".encode("gbk")]]
    file = shapefile(tmp_path, [("名称".encode("gbk"), "C", 20)], rows, "UTF-8")
    found, problems, encoding = read(file, Declared(encoding="ANSI 936"))
    assert ([row["名称"] for row in found], problems, encoding) == (["给水管", "污水管"], [], "GB18030")
    with pytest.raises(BadFile, match=r"encoding\.wrong"):
        read(file, Declared(encoding="UTF-8"))


def test_names_that_are_cut_and_numbers_that_are_long(tmp_path: Path) -> None:
    columns = [("起点埋深度".encode()[:10], "C", 9), (b"code", "N", 20), (b"small", "N", 20)]
    rows = [[b"a", b"12345678901234567890", b"7"], [b"b", b"", b"-8"], [b"c", b"98765432109876543210", b""]]
    found, _, _ = read(shapefile(tmp_path, columns, rows))
    assert [list(row.values()) for row in found] == [
        ["a", "12345678901234567890", 7],
        ["b", None, -8],
        ["c", "98765432109876543210", None],
    ]
    assert list(found[0]) == ["起点埋", "code", "small"]


def features(*names: str) -> str:
    place = {"type": "Point", "coordinates": [1, 2]}
    return json.dumps(
        {
            "type": "FeatureCollection",
            "features": [{"type": "Feature", "properties": {"名": n}, "geometry": place} for n in names],
        },
        ensure_ascii=False,
    )


@pytest.mark.parametrize(
    ("encoding", "declared", "told"),
    [
        ("utf-8-sig", None, "UTF-8"),
        ("utf-16", None, "UTF-16"),
        ("utf-16-le", None, "UTF-16-LE"),
        ("utf-16-be", None, "UTF-16-BE"),
        ("utf-16-be", "UTF-16", "UTF-16-BE"),
        ("utf-32", None, "UTF-32"),
        ("utf-32-be", None, "UTF-32-BE"),
        ("gb18030", None, "GB18030"),
        ("gb18030", "936", "GB18030"),
        ("big5", "Big5", "BIG5"),
    ],
)
@pytest.mark.parametrize("ending", [".geojson", ".ndjson"])
def test_json_in_other_encodings(
    tmp_path: Path, encoding: str, declared: str | None, told: str, ending: str
) -> None:
    """Among them characters whose second byte is a bracket or a backslash of ASCII (功 of Big5, 漿)."""
    text = features("功", "許功蓋", "道路")
    if ending == ".ndjson":
        text = "\n".join(json.dumps(f, ensure_ascii=False) for f in json.loads(text)["features"])
    file = tmp_path / f"a{ending}"
    file.write_bytes(text.encode(encoding))
    found, problems, said = read(file, Declared(encoding=declared))
    assert [row["名"] for row in found] == ["功", "許功蓋", "道路"]
    assert said == told
    plain = told in ("UTF-8", "UTF-16", "UTF-32") or declared
    assert [p.rule for p in problems] == ([] if plain else ["encoding.sniffed"])


def test_texts_of_a_geopackage_that_are_not_utf8(tmp_path: Path) -> None:
    file = tmp_path / "a.gpkg"
    shutil.copy(VIEWS, file)
    with sqlite3.connect(file) as con:
        con.execute("UPDATE wells SET 名称 = CAST(? AS TEXT)", ("给水管".encode("gbk"),))
    found, problems, encoding = read(file, Declared(layer="wells"))
    assert {row["名称"] for row in found} == {"给水管"}
    assert ([p.rule for p in problems], encoding) == (["text.encoding"], "UTF-8")
