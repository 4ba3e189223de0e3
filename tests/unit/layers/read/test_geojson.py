"""GeoJSON as programs write it: one text or several, ids and properties of any name, and what is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from layers import guard
from layers.batch import FID, ROW, SOURCE_ID
from layers.errors import BadFile
from layers.read import geojsonshape
from layers.read.jsontext import loads

PLACE = {"type": "Point", "coordinates": [114.3, 30.5]}


def feature(n: int = 1, **members: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": {"n": n}, "geometry": PLACE, **members}


def read(path: Path) -> tuple[list[dict[str, Any]], list[tuple[str, int]]]:
    with guard.read(path) as reading:
        rows = [row for table in reading.batches() for row in table.to_pylist()]
        return rows, [(p.rule, p.row) for p in reading.problems]


ONE, TWO = json.dumps(feature(1)), json.dumps(feature(2))


@pytest.mark.parametrize("ending", [".geojson", ".json", ".ndjson", ".geojsonl", ".jsonl"])
@pytest.mark.parametrize(
    "text",
    [
        f"{ONE}\n{TWO}\n",
        f"\ufeff{ONE}\r\n\r\n{TWO}",
        f"\x1e{ONE}\n\x1e{TWO}\n",
        f"{json.dumps(feature(1), indent=2)}\n{json.dumps(feature(2), indent=2)}",
        f"{ONE},\n{TWO},\n",
        f'{{"type": "FeatureCollection", "features": [{ONE}]}}\n{TWO}',
        f'{{"features": [{ONE}, {TWO}], "links": [{{"a": [{{"b": 1}}]}}], "type": "FeatureCollection"}}',
    ],
    ids=["lines", "bom", "separators", "printed", "commas", "collection", "type-last"],
)
def test_texts_one_after_the_other_under_any_name(tmp_path: Path, text: str, ending: str) -> None:
    file = tmp_path / f"a{ending}"
    file.write_bytes(text.encode())
    rows, problems = read(file)
    assert [(row[ROW], row["n"]) for row in rows] == [(1, 1), (2, 2)]
    assert problems == []


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        (f"{ONE}\n{{broken}}\n{TWO}", 2),
        (f"{ONE}\nno JSON at all\n{TWO}", 2),
        (f"{ONE}\n{TWO}\nthe end", 3),
        (f'{{"type": "FeatureCollection", "features": [{ONE}, null, {TWO}]}}', 2),
        (f'{{"type": "FeatureCollection", "features": [{ONE}, {{"type": "x"}}, {TWO}]}}', 2),
        (f'{{"type": "FeatureCollection", "features": [{ONE}, {TWO}, 5]}}', 3),
    ],
)
def test_what_is_no_feature_costs_a_row(tmp_path: Path, text: str, bad: int) -> None:
    (tmp_path / "a.geojson").write_text(text, "utf-8")
    rows, problems = read(tmp_path / "a.geojson")
    assert [row["n"] for row in rows] == [1, 2]
    assert problems == [("json.syntax", bad)]


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        (f"[{ONE}, {TWO}]", None),
        (f" [\n{ONE},\n{TWO}\n]\n", None),
        (f"[{ONE}, null, {TWO}]", 2),
        (f'[{ONE}, {{"type": "x"}}, {TWO}]', 2),
        (f"[{ONE}, {TWO}, 5]", 3),
        (f'[{{"type": "FeatureCollection", "features": [{ONE}, {TWO}]}}]', None),
    ],
)
def test_an_array_of_features_is_read(tmp_path: Path, text: str, bad: int | None) -> None:
    for name in ("a.geojson", "a.json", "a.ndjson"):
        for encoding in ("utf-8", "utf-16-le"):
            (tmp_path / name).write_text(text, encoding)
            rows, problems = read(tmp_path / name)
            assert [row["n"] for row in rows] == [1, 2]
            assert [p for p in problems if not p[0].startswith("enc")] == [
                ("json.array", 0),
                *([("json.syntax", bad)] if bad else []),
            ]


def test_another_array_and_a_cut_text_are_refused(tmp_path: Path) -> None:
    for text, rule in (
        ('[{"lon": 1, "lat": 2}]', "json.not_geojson"),
        (f"[{ONE}", "json.truncated"),
        (ONE[:-3], "json.truncated"),
    ):
        (tmp_path / "a.json").write_text(text, "utf-8")
        with pytest.raises(BadFile) as caught:
            read(tmp_path / "a.json")
        assert caught.value.rule == rule


@pytest.mark.parametrize(
    ("ids", "column", "found"),
    [
        (["a", "b"], SOURCE_ID, ["a", "b"]),
        ([7, 9], SOURCE_ID, ["7", "9"]),
        ([12345678901234567890123, 5], SOURCE_ID, ["12345678901234567890123", "5"]),
        ([0, 1], FID, ["0", "1"]),  # they merely count
        (["1", "2"], FID, ["1", "2"]),
        ([None, True], SOURCE_ID, [None, None]),
    ],
)
def test_ids_of_features(tmp_path: Path, ids: list[Any], column: str, found: list[Any]) -> None:
    whole = {"type": "FeatureCollection", "features": [feature(i, id=one) for i, one in enumerate(ids)]}
    (tmp_path / "a.geojson").write_text(json.dumps(whole), "utf-8")
    rows, _ = read(tmp_path / "a.geojson")
    assert [row[column] for row in rows] == found


def test_texts_that_no_store_keeps_cost_no_file(tmp_path: Path) -> None:
    half = '{"half": "a\\ud83d", "whole": "\\ud83d\\ude00", "null": "x\\u0000y", "nan": NaN, "tab": "a\tb"}'
    (tmp_path / "a.geojson").write_text(ONE.replace('{"n": 1}', half), "utf-8")
    (row,), problems = read(tmp_path / "a.geojson")
    own = {name: value for name, value in row.items() if not name.startswith("__")}
    assert own == {"half": "a\ufffd", "whole": "😀", "null": "xy", "nan": None, "tab": "a\tb"}
    assert problems == [("text.null", 0), ("text.encoding", 0)]


def test_members_beside_the_properties(tmp_path: Path) -> None:
    (tmp_path / "a.geojson").write_text(json.dumps(feature(1, title="x")), "utf-8")
    rows, problems = read(tmp_path / "a.geojson")
    assert ("title" in rows[0], problems) == (False, [("column.member", 0)])
    (tmp_path / "a.geojson").write_text(
        json.dumps({"type": "Feature", "geometry": PLACE, "name": "x"}), "utf-8"
    )
    rows, problems = read(tmp_path / "a.geojson")
    assert (rows[0]["name"], problems) == ("x", [])


numbers = st.floats(-180, 180).map(lambda n: n + 0.0)
positions = st.integers(2, 3).flatmap(
    lambda size: st.lists(st.lists(numbers, min_size=size, max_size=size), min_size=4, max_size=6)
)


@settings(max_examples=60, deadline=None)
@given(positions, st.sampled_from(["Point", "LineString", "MultiPoint", "Polygon", "MultiPolygon"]))
def test_geometries_are_those_of_shapely(found: list[list[float]], kind: str) -> None:
    ring = [*found, found[0]]
    coordinates: Any = {
        "Point": found[0],
        "LineString": found,
        "MultiPoint": found,
        "Polygon": [ring],
        "MultiPolygon": [[ring], [ring]],
    }[kind]
    geometry = {"type": kind, "coordinates": coordinates}
    blob, measured = geojsonshape.wkb(geometry)
    made = shapely.from_wkb(blob)
    assert not measured
    assert made.has_z == (len(found[0]) == 3)
    assert json.loads(shapely.to_geojson(made))["type"] == kind
    assert (
        shapely.get_coordinates(made, include_z=made.has_z).tolist()
        == shapely.get_coordinates(shapely.geometry.shape(geometry), include_z=made.has_z).tolist()
    )


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Point", "coordinates": ["1", "2"]},
        {"type": "Point", "coordinates": [1]},
        {"type": "LineString", "coordinates": [[1, 2], "x"]},
        {"type": "Polygon", "coordinates": [[1, 2], [3, 4]]},
        {"type": "Circle", "coordinates": [1, 2]},
        {"type": "Point"},
        {"type": "GeometryCollection"},
        [1, 2],
    ],
)
def test_what_is_no_geometry(geometry: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        geojsonshape.wkb(geometry)


def test_heights_and_measures() -> None:
    line = {"type": "LineString", "coordinates": [[1, 2, 3, 9], [4, 5, 6, 9]]}
    blob, measured = geojsonshape.wkb(line)
    assert (measured, shapely.from_wkb(blob).wkt) == (True, "LINESTRING Z (1 2 3, 4 5 6)")
    blob, _ = geojsonshape.wkb({"type": "LineString", "coordinates": [[1, 2], [4, 5, 6]]})
    assert shapely.from_wkb(blob).has_z
    both = {"type": "GeometryCollection", "geometries": [PLACE, line]}
    assert shapely.from_wkb(geojsonshape.wkb(both)[0]).geom_type == "GeometryCollection"


def test_numbers_are_exact() -> None:
    assert loads(b"[9007199254740993, 123456789012345678901234567890, 0.1, 12345678901234567890]") == [
        9007199254740993,
        123456789012345678901234567890,
        0.1,
        12345678901234567890,
    ]
    with pytest.raises(ValueError, match="too large"):
        loads(b"[1e400]")


def test_both_passes_of_a_large_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is parsed twice gives what a small one does."""
    from layers.read.base import ReadOptions, Sink
    from layers.read.formats import geojson

    whole = {"type": "FeatureCollection", "features": [feature(i) for i in range(25)]}
    file = tmp_path / "a.geojson"
    file.write_text(json.dumps(whole), "utf-8")
    monkeypatch.setattr(geojson, "_SMALL", 0)
    monkeypatch.setattr(geojson, "BATCH_ROWS", 10)
    monkeypatch.setattr(geojson.gc, "disable", lambda: None)
    sink = Sink(tmp_path)
    geojson.read(file, ReadOptions(str(file)), sink)
    assert (sink.meta["batches"], sink.meta["features"], sink.problems) == (3, 25, [])
