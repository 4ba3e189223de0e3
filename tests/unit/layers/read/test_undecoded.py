"""What stands where a geometry should is told as what it is: nothing, or bytes that are none."""

from __future__ import annotations

import csv
import shutil
import sqlite3
import struct
from contextlib import closing
from pathlib import Path

import pytest

from layers import load
from layers.source import NOTHING, Declared
from tests.unit.layers.read.test_encodings import VIEWS, shapefile

NO_WKB, SHORT = "no well-known binary", "end before"
POINT = struct.pack("<BIdd", 1, 1, 114.3, 30.6)


def wells(folder: Path, *places: object) -> Path:
    """The wells of a GeoPackage, of which the first have other geometries."""
    file = folder / "a.gpkg"
    shutil.copy(VIEWS, file)
    with closing(sqlite3.connect(file)) as con, con:
        for (name,) in con.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            con.execute(f"DROP TRIGGER {name}")
        for fid, place in enumerate(places, 1):
            con.execute("UPDATE wells SET geom = ? WHERE fid = ?", (place, fid))
    return file


def told(file: Path, declared: Declared = NOTHING, aside: Path | None = None) -> list[tuple[str, int, str]]:
    report = load.check(file, declared, aside=aside)
    assert report.read == report.kept + report.quarantined
    return [(p.rule, p.row, p.reason) for p in report.problems if p.rule.startswith("geometry")]


GARBAGE = b"\xde\xad\xbe\xef" * 5


@pytest.mark.parametrize(
    ("layer", "place", "rule", "reason"),
    [
        ("wells", GARBAGE, "geometry.unreadable", NO_WKB),
        ("wells", b"", "geometry.unreadable", SHORT),
        ("wells", "POINT(1 2)", "geometry.unreadable", NO_WKB),
        ("wells", 17, "geometry.unreadable", NO_WKB),
        ("wells", b"GP\x00\x0f" + bytes(20), "geometry.unreadable", NO_WKB),
        ("wells", None, "geometry.missing", "no geometry"),
        ("v", GARBAGE, "geometry.unreadable", NO_WKB),
        ("v2", b"GP\x00\x0f" + bytes(20), "geometry.unreadable", NO_WKB),
        ("v", None, "geometry.missing", "no geometry"),
    ],
)
def test_bytes_that_are_no_geometry(
    tmp_path: Path, layer: str, place: object, rule: str, reason: str
) -> None:
    aside = tmp_path / "aside.csv"
    ((found, row, why),) = told(wells(tmp_path, POINT, place), Declared(layer=layer), aside)[1:]
    assert (found, row) == (rule, 2)
    assert reason in why
    (lost,) = csv.DictReader(aside.read_text("utf-8-sig").splitlines())
    held = place if isinstance(place, bytes) else str(place or "").encode()
    assert lost["wkt"] == held.hex()
    assert lost["名称"]


def test_wkb_without_the_header_of_the_format_is_read(tmp_path: Path) -> None:
    assert [each[:2] for each in told(wells(tmp_path, POINT))] == [("geometry.bare", 1)]


@pytest.mark.parametrize(
    ("kind", "rule"), [(99, "geometry.unreadable"), (3, "geometry.unreadable"), (0, "geometry.missing")]
)
def test_records_of_a_shapefile_that_are_no_shape(tmp_path: Path, kind: int, rule: str) -> None:
    file = shapefile(tmp_path, [(b"name", "C", 9)], [[b"a"], [b"b"], [b"c"]])
    data = bytearray(file.read_bytes())
    data[136:140] = kind.to_bytes(4, "little")  # of the second record
    file.write_bytes(data)
    assert [each[:2] for each in told(file)] == [(rule, 2)]


def test_a_record_that_lies_outside_the_shapefile(tmp_path: Path) -> None:
    file = shapefile(tmp_path, [(b"name", "C", 9)], [[b"a"], [b"b"], [b"c"]])
    index = file.with_suffix(".shx")
    data = bytearray(index.read_bytes())
    data[108:112] = (99_999).to_bytes(4, "big")
    index.write_bytes(data)
    ((rule, row, why),) = told(file)
    assert (rule, row) == ("geometry.unreadable", 2)
    assert SHORT in why
