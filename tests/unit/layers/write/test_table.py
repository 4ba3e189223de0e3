"""CSV: what a spreadsheet and a program make of it."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.formula import guarded
from layers.types import Field
from layers.write import page, stream
from tests.unit.layers.write.samples import FIELDS, FULL, GEOMETRIES, layer, rows, tables


def read(body: bytes) -> list[dict[str, str]]:
    assert body.startswith(b"\xef\xbb\xbf")
    assert body.endswith(b"\r\n")
    return list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True))


def test_a_point_layer() -> None:
    (row,) = read(page("csv", layer(), rows([shapely.Point(116.3912765434567, 39.907)])))
    assert list(row) == ["fid", *(f.name for f in FIELDS), "lon", "lat", "geometry"]
    assert row == {
        "fid": "1",
        "name": FULL["name"],
        "height_m": "-0.1",
        "levels": str(2**62),
        "listed": "true",
        "built": "1550-06-12",
        "seen": "2024-02-29T23:59:59.999Z",
        "标签": FULL["标签"],
        "lon": "116.391276543",
        "lat": "39.907",
        "geometry": "POINT (116.391276543 39.907)",
    }


@pytest.mark.parametrize("case", GEOMETRIES)
def test_geometries_are_wkt(case: str) -> None:
    kind, shapes = GEOMETRIES[case]
    found = read(b"".join(stream("csv", layer(kind), [rows(shapes), rows(shapes, first=50)])))
    assert [int(row["fid"]) for row in found] == [*range(1, len(shapes) + 1), *range(50, 50 + len(shapes))]
    for row, shape in zip(found, shapes * 2, strict=True):
        if shape is None:
            assert row["geometry"] == ""
        else:
            assert shapely.from_wkt(row["geometry"]).equals_exact(shape, 1e-9)
            assert shapely.from_wkt(row["geometry"]).has_z == shape.has_z


@settings(max_examples=100, deadline=None)
@given(table=tables)
def test_values_come_back(table: list[dict[str, Any]]) -> None:
    found = read(page("csv", layer("Polygon"), rows([None] * len(table), table)))
    for row, given_ in zip(found, table, strict=True):
        for name, value in given_.items():
            text = row[name]
            if value is None:
                assert text == ""
            elif name in ("name", "标签"):
                assert unguarded(text) == value
            elif isinstance(value, bool):
                assert text == str(value).lower()
            else:
                assert type(value)(text) == value


def unguarded(text: str) -> str:
    """As docs/downloads.md tells programs to read such a text."""
    formula = re.compile(r"'+[ \v\f\xa0\u3000]*(?:[=@\t\r\n＝＠]|[+\-＋－](?![\d\s().,/\-]*\Z))")
    return text[1:] if formula.match(text) else text


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        '=HYPERLINK("http://x")',
        "+cmd|' /C calc'!A0",
        "-2+3+cmd|x",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "＝1+1",
        "  =1",
        "'=1",
        "''@x",
        "-x",
    ],
)
def test_no_text_is_a_formula(text: str) -> None:
    (row,) = read(page("csv", layer(), rows([None], [FULL | {"name": text}])))
    assert row["name"] == "'" + text


@pytest.mark.parametrize(
    "text", ["-5", "+358 40 123-45 67", "- 1,5", "a=b", "'s-Gravenhage", "", "甲=乙", "+1 (2)"]
)
def test_numbers_and_names_stay_as_they_are(text: str) -> None:
    (row,) = read(page("csv", layer(), rows([None], [FULL | {"name": text}])))
    assert row["name"] == text


@given(text=st.text(st.sampled_from("'= @+-\tx1＝"), max_size=6))
def test_the_guard_can_be_taken_away(text: str) -> None:
    assert unguarded(guarded(text)) == text


def test_a_name_of_a_column_is_no_formula_either() -> None:
    (row,) = read(page("csv", layer("Polygon", [Field("=x", "integer")]), rows([None], [{"=x": 1}])))
    assert list(row) == ["fid", "'=x", "geometry"]
