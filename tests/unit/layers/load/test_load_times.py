"""Dates and times of files: typed fields, one zone, the layer's time, and everything odd told."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from layers import load, load_manifest
from layers.errors import BadFile, BadParameter
from layers.model import Report
from layers.query import Query
from layers.source import Declared
from layers.store import geopackage
from layers.store.base import Store
from tests import apart

#: Written by GDAL in a process of its own: a type a column, null for None.
WRITE = """
import json, sys
import pyarrow as pa, pyogrio, shapely
from datetime import date, datetime
path, driver, told = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
types = {"date": (pa.date32(), date.fromisoformat), "local": (pa.timestamp("ms"), datetime.fromisoformat),
         "utc": (pa.timestamp("ms", "UTC"), datetime.fromisoformat), "text": (pa.string(), str)}
columns = {"g": pa.array([shapely.to_wkb(shapely.Point(24.9, 60 + i / 100)) for i in range(told["n"])])}
for name, (kind, values) in told["columns"].items():
    type_, read = types[kind]
    columns[name] = pa.array([None if v is None else read(v) for v in values], type_)
pyogrio.write_arrow(pa.table(columns), path, driver=driver, geometry_name="g", geometry_type="Point",
                    crs="EPSG:4326")
"""
TYPED = {
    "day": ("date", ["2020-01-01", "1899-12-30", None]),
    "local": ("local", ["2020-01-01T10:00:00", "1985-07-01T00:00:00", None]),
    "moment": ("utc", ["2020-01-01T10:00:00.250", "1900-01-01T00:00:00", None]),
}
EXPECTED = {
    ("2020-01-01", "2020-01-01T02:00:00.000Z", "2020-01-01T10:00:00.250Z"),
    ("1899-12-30", "1985-06-30T16:00:00.000Z", "1900-01-01T00:00:00.000Z"),
    (None, None, None),
}
FORMS = {"gpkg": "GPKG", "fgb": "FlatGeobuf", "shp": "ESRI Shapefile"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = geopackage.open(tmp_path / "city.gpkg")
    yield opened
    opened.close()


def by_gdal(path: Path, columns: Mapping[str, tuple[str, Sequence[str | None]]]) -> Path:
    told = json.dumps({"n": len(next(iter(columns.values()))[1]), "columns": columns})
    driver = FORMS[path.suffix[1:]]
    apart.run(WRITE, path, driver, told)
    return path


def geojson(path: Path, columns: Mapping[str, Sequence[Any]], **members: Any) -> Path:
    n = len(next(iter(columns.values())))
    features = [
        {
            "type": "Feature",
            **{name: values[i] for name, values in members.items()},
            "geometry": {"type": "Point", "coordinates": [24.9, 60 + i / 100]},
            "properties": {name: values[i] for name, values in columns.items()},
        }
        for i in range(n)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), "utf-8")
    return path


def table(path: Path, columns: Mapping[str, Sequence[Any]]) -> Path:
    n = len(next(iter(columns.values())))
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["lon", "lat", *columns])
        out.writerows([24.9, 60 + i / 100, *(v[i] for v in columns.values())] for i in range(n))
    return path


def lines(path: Path, columns: Mapping[str, Sequence[Any]]) -> Path:
    whole = geojson(path, columns)
    found = json.loads(whole.read_text("utf-8"))["features"]
    whole.write_text("\n".join(json.dumps(f) for f in found), "utf-8")
    return whole


def run(store: Store, path: Path, layer_id: str = "things", mode: str = "create", **declared: str) -> Report:
    words = {"kind": "feature", "time_zone": "Asia/Shanghai"} | declared
    return load.run(store, path, Declared(**words), layer_id=layer_id, mode=mode)


def types(store: Store) -> dict[str, str]:
    left_out = ("source_id", "name", "other")
    return {f.name: f.type for f in store.layer("things").fields if f.name not in left_out}


def column(store: Store, name: str) -> list[Any]:
    return list(store.rows("things").properties[name])


def told(report: Report, rule: str) -> list[tuple[int, str]]:
    return [(p.row, p.reason) for p in report.problems if p.rule == rule]


@pytest.mark.parametrize("ending", FORMS)
def test_types_of_a_file_are_those_of_the_layer(store: Store, tmp_path: Path, ending: str) -> None:
    report = run(store, by_gdal(tmp_path / f"a.{ending}", TYPED))
    assert types(store) == {"day": "date", "local": "datetime", "moment": "datetime"}
    rows = zip(*(column(store, name) for name in TYPED), strict=True)
    assert set(rows) == EXPECTED
    assert report.time_zone == "Asia/Shanghai"
    assert told(report, "time.zone") == [(0, "2 times of local name no zone; read as of Asia/Shanghai")]
    assert (report.kept, report.time_field) == (3, "")


WRITERS: dict[str, Callable[[Path, Mapping[str, Sequence[Any]]], Path]] = {
    "geojson": geojson,
    "geojsonl": lines,
    "csv": table,
}


@pytest.mark.parametrize("ending", WRITERS)
def test_texts_that_are_dates_and_times_throughout(store: Store, tmp_path: Path, ending: str) -> None:
    columns = {
        "day": ["2020-01-01", "1899-12-30", None],
        "slashed": ["2020/01/02", "2020/12/31", "2021/01/01"],
        "moment": ["2020-01-01T10:00:00+08:00", "2021-06-01T00:00:00Z", None],
        "local": ["2020-01-01T10:00:00", None, "2020-06-01T00:00:00"],
        "midnight": ["2020-01-01T00:00:00", "2020-01-02T00:00:00", None],
        "year": ["1967-01", "1968-02", "1969-03"],
        "code": ["1234-56-78", "2020-01-01", "9999-99-99"],
        "some": ["2020-01-01", "soon", None],
        "clock": ["10:00:00", "11:00:00", None],
    }
    if ending == "geojsonl":  # GDAL's own driver says the types, and reads a midnight with the local times
        del columns["code"]
    report = run(store, WRITERS[ending](tmp_path / f"a.{ending}", columns))
    texts = {"year": "string", "some": "string", "clock": "string"}
    assert types(store) == {
        "day": "date",
        "slashed": "date",
        "moment": "datetime",
        "local": "datetime",
        "midnight": "date",
        **({} if ending == "geojsonl" else {"code": "string"}),
        **texts,
    }
    assert column(store, "day") == ["2020-01-01", "1899-12-30", None]
    assert column(store, "slashed") == ["2020-01-02", "2020-12-31", "2021-01-01"]
    assert column(store, "moment") == ["2020-01-01T02:00:00.000Z", "2021-06-01T00:00:00.000Z", None]
    assert column(store, "local") == ["2020-01-01T02:00:00.000Z", None, "2020-05-31T16:00:00.000Z"]
    assert column(store, "midnight") == ["2020-01-01", "2020-01-02", None]
    assert column(store, "some") == ["2020-01-01", "soon", None]
    assert [r for _, r in told(report, "time.zone")] == [
        "2 times of local name no zone; read as of Asia/Shanghai"
    ]


def test_what_gdal_would_turn_into_another_day_stays_text(store: Store, tmp_path: Path) -> None:
    report = run(store, geojson(tmp_path / "a.geojson", {"d": ["2020-02-30", "2020-01-01"]}))
    assert (types(store), column(store, "d")) == ({"d": "string"}, ["2020-02-30", "2020-01-01"])
    assert told(report, "time.text") == [(0, "d stays text: 2020-02-30 is not of the calendar")]


def test_dates_among_times_stay_text(store: Store, tmp_path: Path) -> None:
    report = run(store, table(tmp_path / "a.csv", {"d": ["2020-01-01", "2020-01-01T10:00:00Z"]}))
    assert (types(store), column(store, "d")) == (
        {"d": "string"},
        ["2020-01-01", "2020-01-01T10:00:00Z"],
    )
    assert told(report, "time.text") == [(0, "d stays text: some values are dates, some are times")]


@pytest.mark.parametrize("ending", WRITERS)
def test_a_time_beyond_the_calendar_in_utc_is_empty_and_told(
    store: Store, tmp_path: Path, ending: str
) -> None:
    moments = ["0001-01-01T00:00:00+14:00", "2020-01-01T10:00:00+08:00", "9999-12-31T23:59:59-14:00"]
    report = run(store, WRITERS[ending](tmp_path / f"a.{ending}", {"d": moments}))
    assert (types(store), column(store, "d")) == ({"d": "datetime"}, [None, "2020-01-01T02:00:00.000Z", None])
    assert [row for row, _ in told(report, "time.unreadable")] == [1, 3]


def test_the_date_that_says_none_is_empty_and_told(store: Store, tmp_path: Path) -> None:
    report = run(store, table(tmp_path / "a.csv", {"d": ["0000-00-00", "2020-01-01", "0000-00-00 00:00:00"]}))
    assert (types(store), column(store, "d")) == ({"d": "date"}, [None, "2020-01-01", None])
    assert [row for row, _ in told(report, "time.unreadable")] == [1, 3]
    assert report.kept == 3


def test_what_a_date_column_of_a_geopackage_holds_beside_dates(store: Store, tmp_path: Path) -> None:
    """GDAL gives 1970-01-01 for what it cannot read, 1 March for 30 February, and lets a year 12345 crash."""
    file = by_gdal(
        tmp_path / "a.gpkg", {'d"x': ("date", ["2020-01-01"]), "t": ("utc", ["2020-01-01T10:00:00"])}
    )
    odd = [
        "0000-00-00",
        "soon",
        "2020-02-30",
        "12345-01-01",
        "",
        20200101,
        b"\xff",
        b"2020-01-02",
        "2020-1-3",
    ]
    con = sqlite3.connect(file)
    for trigger in con.execute("SELECT name FROM sqlite_master WHERE type='trigger'").fetchall():
        con.execute(f'DROP TRIGGER "{trigger[0]}"')
    for value in odd:
        con.execute('INSERT INTO a (geom, "d""x", t) SELECT geom, ?, ? FROM a WHERE fid=1', (value, value))
    con.commit()
    con.close()
    report = run(store, file)
    assert types(store) == {'d"x': "date", "t": "datetime"}
    days = ["2020-01-01", *[None] * 7, "2020-01-02", "2020-01-03"]
    assert column(store, 'd"x') == days
    assert column(store, "t")[-2:] == ["2020-01-01T16:00:00.000Z", "2020-01-02T16:00:00.000Z"]
    assert [row for row, reason in told(report, "time.unreadable") if reason.startswith("d")] == [
        2,
        3,
        4,
        5,
        7,
        8,
    ]
    assert (report.kept, report.quarantined) == (10, 0)


def test_text_of_a_format_that_has_a_type_for_dates_stays_text(store: Store, tmp_path: Path) -> None:
    run(store, by_gdal(tmp_path / "a.gpkg", {"d": ("text", ["2020-01-01", "2020-01-02"])}))
    assert types(store) == {"d": "string"}


def test_the_zone_is_what_the_caller_says(store: Store, tmp_path: Path) -> None:
    file = table(tmp_path / "a.csv", {"t": ["2020-07-01 10:00", "2020-01-01 10:00"]})
    report = run(store, file, time_zone="Europe/Helsinki")
    assert column(store, "t") == ["2020-07-01T07:00:00.000Z", "2020-01-01T08:00:00.000Z"]
    assert report.time_zone == "Europe/Helsinki"
    assert load.check(file).time_zone == "UTC"
    with pytest.raises(BadParameter, match="time_zone"):
        run(store, file, mode="replace", time_zone="Mars/Olympus")
    zoned = run(store, table(tmp_path / "b.csv", {"t": ["2020-07-01T10:00:00Z"]}), mode="replace")
    assert zoned.time_zone == ""


def test_the_only_time_is_the_layers_time(store: Store, tmp_path: Path) -> None:
    one = {"built": ["2020-01-01", "2021-01-01", None], "n": [1, 2, 3]}
    report = run(store, geojson(tmp_path / "a.geojson", one))
    layer = store.layer("things")
    assert (report.time_field, layer.time_field) == ("built", "built")
    two = one | {"seen": ["2020-01-01T10:00:00Z"] * 3}
    kept = run(store, geojson(tmp_path / "b.geojson", two), mode="replace")
    assert kept.time_field == "built"  # it had this one
    fresh = run(store, geojson(tmp_path / "b.geojson", two), layer_id="others")
    assert (fresh.time_field, store.layer("others").time_field) == ("", None)
    run(store, geojson(tmp_path / "b.geojson", two), mode="replace", time_field="seen")
    assert store.layer("things").time_field == "seen"
    run(store, geojson(tmp_path / "c.geojson", {"n": [1, 2, 3]}), mode="append")
    assert store.layer("things").time_field == "seen"
    lost = run(store, geojson(tmp_path / "d.geojson", {"n": [1], "seen": ["soon"]}), mode="replace")
    assert store.layer("things").time_field is None
    assert told(lost, "time.field") == [(0, "seen was the layer's time, and is no date or time any more")]


def test_a_time_field_that_is_named(store: Store, tmp_path: Path) -> None:
    columns = {"t": ["2020-01-01", "2020-02-30", "2020-01-01T10:00:00"], "n": [1, 2, 3], "empty": [None] * 3}
    file = geojson(tmp_path / "a.geojson", columns)
    report = run(store, file, time_field="t")
    assert types(store) == {"t": "datetime", "n": "integer"}
    assert column(store, "t") == ["2019-12-31T16:00:00.000Z", None, "2020-01-01T02:00:00.000Z"]
    assert [row for row, _ in told(report, "time.unreadable")] == [2]
    assert told(report, "time.text") == []
    for wrong in ("n", "empty", "nothing", "name"):
        with pytest.raises(BadParameter, match="time_field") as caught:
            run(store, file, mode="replace", time_field=wrong)
        assert "expected a column of dates or times" in str(caught.value)
    assert store.layer("things").time_field == "t"


def test_a_named_time_field_is_not_folded(store: Store, tmp_path: Path) -> None:
    """Tags of which one is rare; a table with blanks would keep its column."""
    rare = json.loads(geojson(tmp_path / "a.geojson", {"n": list(range(100))}).read_text("utf-8"))
    rare["features"][0]["properties"]["t"] = "2020-01-01"
    (tmp_path / "a.geojson").write_text(json.dumps(rare), "utf-8")
    run(store, tmp_path / "a.geojson", time_field="t")
    assert store.layer("things").time_field == "t"
    run(store, tmp_path / "a.geojson", layer_id="folded")
    layer = store.layer("folded")
    assert (layer.field("t"), layer.time_field) == (None, None)
    assert json.loads(store.rows("folded").properties["other"][0]) == {"t": "2020-01-01"}


def test_adding_to_a_layer_keeps_its_types(store: Store, tmp_path: Path) -> None:
    first = {"d": ["soon"], "m": ["2020-01-01T10:00:00Z"], "source_id": ["a"]}
    run(store, geojson(tmp_path / "a.geojson", first))
    assert types(store) == {"d": "string", "m": "datetime"}
    more = {"d": ["2020-01-01"], "m": ["2020-01-02T00:00:00"], "source_id": ["b"]}
    run(store, geojson(tmp_path / "b.geojson", more), mode="append")
    assert types(store) == {"d": "string", "m": "datetime"}
    assert column(store, "d") == ["soon", "2020-01-01"]
    assert column(store, "m") == ["2020-01-01T10:00:00.000Z", "2020-01-01T16:00:00.000Z"]
    with pytest.raises(BadFile, match="m has another type"):
        run(store, geojson(tmp_path / "c.geojson", {"m": ["later"], "source_id": ["c"]}), mode="append")


def test_a_second_load_changes_nothing(store: Store, tmp_path: Path) -> None:
    file = by_gdal(tmp_path / "a.gpkg", TYPED)
    run(store, file)
    again = run(store, file, mode="replace")
    assert (again.unchanged, again.updated, again.created, again.deleted) == (3, 0, 0, 0)


def test_a_feature_is_found_by_its_source_id_not_by_the_number_a_store_gave_it(
    store: Store, tmp_path: Path
) -> None:
    columns = {"source_id": ["way/1", None, "way/3"], "n": [1, 2, 3]}
    run(store, geojson(tmp_path / "a.geojson", columns, id=[71, 72, 73]))
    assert column(store, "source_id") == ["way/1", None, "way/3"]
    page = store.items("things", Query(limit=10)).features
    (tmp_path / "own.geojson").write_bytes(b'{"type":"FeatureCollection","features":[' + page + b"]}")
    again = run(store, tmp_path / "own.geojson", mode="replace")
    assert (again.unchanged, again.created, again.deleted) == (3, 0, 0)
    run(store, geojson(tmp_path / "b.geojson", columns, id=["x", "y", "z"]), layer_id="named")
    assert store.rows("named").properties["source_id"] == ["way/1", "y", "way/3"]


def test_a_manifest_says_zone_and_field(store: Store, tmp_path: Path) -> None:
    table(tmp_path / "a.csv", {"t": ["2020-07-01 10:00"], "u": ["2020-07-01"]})
    entry = "- {id: things, file: a.csv, kind: feature, time_field: t"
    (tmp_path / "load.yml").write_text(f"layers:\n{entry}, time_zone: Europe/Helsinki}}\n", "utf-8")
    (report,) = load_manifest.run(store, tmp_path / "load.yml", time_zone="Asia/Shanghai")
    assert (report.time_zone, report.time_field) == ("Europe/Helsinki", "t")
    (tmp_path / "load.yml").write_text(f"layers:\n{entry}}}\n", "utf-8")
    (report,) = load_manifest.run(store, tmp_path / "load.yml", mode="replace", time_zone="Asia/Shanghai")
    assert column(store, "t") == ["2020-07-01T02:00:00.000Z"]
