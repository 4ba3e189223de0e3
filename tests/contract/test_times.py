"""The layer's time, whichever store keeps it: loaded, filtered, sorted, edited, told as an extent."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import shapely

from layers import load as loading
from layers import query
from layers.errors import BadBody
from layers.query import Query
from layers.source import Declared
from layers.store.base import Store
from layers.store.database import Database, Registered
from layers.store.open import open_store
from layers.types import Field, Sort
from tests.postgres import Cluster
from tests.storing import features, fids, load, one, row, spec
from tests.support import until
from tests.unit.layers.write.samples import file

CSV = """lon,lat,name,built,checked,note
24.9,60.1,a,2019-12-31,2020-01-01 08:00,x
24.9,60.2,b,2020/1/1,2020-06-01T00:00:00Z,2020-01-01
24.9,60.3,c,2021-05-05 00:00,,y
24.9,60.4,d,,2020-01-01T23:59:59.999+08:00,z
"""
POINTS = spec("things", kind="feature", geometry_type="Point", time_field="seen", crs="EPSG:4326")


def with_things(store: Store, folder: Path) -> Store:
    """A layer of a CSV with a date and a time; its time is the date."""
    (folder / "things.csv").write_text(CSV, "utf-8")
    declared = Declared(kind="feature", time_zone="Asia/Shanghai", time_field="built")
    loading.run(store, folder / "things.csv", declared, layer_id="things")
    return store


@pytest.fixture
def things(store: Store, tmp_path: Path) -> Store:
    """Of the test's own."""
    return with_things(store, tmp_path)


@pytest.fixture(scope="module")
def unchanged(module_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """For tests that change nothing."""
    return with_things(module_store, tmp_path_factory.mktemp("things"))


def asked(store: Store, **parameters: str) -> list[str]:
    """The names of the features that a request gives."""
    wanted = query.parse(store.layer("things"), parameters.items())
    return [f["properties"]["name"] for f in features(store, "things", **fields(wanted))]


def fields(wanted: Query) -> dict[str, Any]:
    return {name: getattr(wanted, name) for name in ("datetime", "filter", "sort")}


def test_types_and_values(things: Store) -> None:
    layer = things.layer("things")
    assert {f.name: f.type for f in layer.fields if f.name != "other"} == {
        "source_id": "string",
        "name": "string",
        "built": "date",
        "checked": "datetime",
        "note": "string",
    }
    assert layer.time_field == "built"
    found = [(f["properties"]["built"], f["properties"]["checked"]) for f in features(things, "things")]
    assert found == [
        ("2019-12-31", "2020-01-01T00:00:00.000Z"),
        ("2020-01-01", "2020-06-01T00:00:00.000Z"),
        ("2021-05-05", None),
        (None, "2020-01-01T15:59:59.999Z"),
    ]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"datetime": "2020-01-01/.."}, "bcd"),  # one without a time meets every interval
        ({"datetime": "2020-01-01"}, "bd"),
        ({"datetime": "../2019-12-31T00:00:00Z"}, "ad"),
        ({"filter": "T_AFTER(built, DATE('2020-01-01'))"}, "c"),
        ({"filter": "T_BEFORE(checked, TIMESTAMP('2020-01-01T00:00:00.001Z'))"}, "a"),
        ({"filter": "T_DURING(checked, INTERVAL('2020-01-01T12:00:00Z', '..'))"}, "bd"),
        ({"filter": "built IS NULL"}, "d"),
        ({"sortby": "-built"}, "cbad"),
        ({"sortby": "checked"}, "adbc"),
    ],
)
def test_filters_and_order(unchanged: Store, parameters: dict[str, str], expected: str) -> None:
    assert "".join(asked(unchanged, **parameters)) == expected


def test_the_interval_follows_every_edit(things: Store) -> None:
    assert things.interval("things") == ("2019-12-31", "2021-05-05")
    first, last = fids(things, "things", sort=(Sort("built"),))[:3:2]
    things.patch("things", first, {"properties": {"built": "1899-12-30"}})
    assert things.interval("things") == ("1899-12-30", "2021-05-05")
    things.delete("things", last)
    assert things.interval("things") == ("1899-12-30", "2020-01-01")
    for fid in fids(things, "things"):
        things.delete("things", fid)
    assert things.interval("things") == (None, None)


def test_a_layer_without_a_time_has_no_interval(store: Store) -> None:
    load(store, spec(time_field=None), [row("a", shapely.box(0, 0, 1, 1), built="2020-01-01")])
    assert store.interval("buildings") == (None, None)
    assert store.layer("buildings").time_field is None


@pytest.mark.parametrize("built", ["2020-02-30", "2020-01-01T00:00:00Z", "soon", 2020, ""])
def test_an_edit_with_what_is_no_date(unchanged: Store, built: Any) -> None:
    fid = fids(unchanged, "things")[0]
    before = one(unchanged, fid, "things")
    for write in (
        lambda: unchanged.patch("things", fid, {"properties": {"built": built}}),
        lambda: unchanged.replace("things", fid, _with(before, built)),
        lambda: unchanged.create("things", _with(before, built)),
    ):
        with pytest.raises(BadBody, match="built"):
            write()
    assert one(unchanged, fid, "things") == before


def test_an_edit_with_a_date_and_a_time(things: Store) -> None:
    fid = fids(things, "things")[0]
    body = _with(one(things, fid, "things"), "2024-02-29")
    body["properties"] |= {"checked": "2024-02-29T12:00:00+02:00", "source_id": None}
    made, _ = things.create("things", body)
    found = one(things, made, "things")["properties"]
    assert (found["built"], found["checked"]) == ("2024-02-29", "2024-02-29T10:00:00.000Z")
    assert things.interval("things")[1] == "2024-02-29"


def _with(feature: dict[str, Any], built: Any) -> dict[str, Any]:
    properties = feature["properties"] | {"built": built, "source_id": None}
    return {"type": "Feature", "geometry": feature["geometry"], "properties": properties}


@pytest.mark.parametrize("form", ["geojson", "flatgeobuf", "csv", "gpkg", "shp", "parquet"])
def test_a_download_that_is_loaded_again_changes_nothing(store: Store, tmp_path: Path, form: str) -> None:
    point = shapely.Point
    rows = [
        row("a", point(1, 2, 3), name="甲", built="0999-12-31", seen="2024-02-29T12:00:00.5+01:00", levels=3),
        row(None, point(1.5, 2, 3), name="b", listed=False, height_m=1.5),
        row("c", point(1, 3, 4), listed=True, built="1899-12-30", seen="1899-12-30T00:00:00Z"),
        row("d", point(1, 4, 5), built="9999-12-31", seen="9999-12-31T23:59:59.999Z"),
    ]
    load(store, POINTS, rows, "create")
    layer, before = store.layer("things"), features(store, "things")
    path = file(form, layer, store.scan("things", Query(limit=None)), tmp_path)
    if form == "shp":
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path)
        (path,) = tmp_path.glob("*.shp")
    declared = Declared(kind="feature", time_zone="Asia/Tokyo")
    report = loading.run(store, path, declared, layer_id="things", mode="replace")
    assert (report.unchanged, report.created, report.updated, report.deleted) == (4, 0, 0, 0)
    assert (report.time_zone, report.time_field) == ("", "seen")
    assert {f.name: f.type for f in store.layer("things").fields} == {f.name: f.type for f in layer.fields}
    assert features(store, "things") == before


def test_spellings_of_other_programs_count_by_their_moment(tmp_path: Path) -> None:
    """Text order is not the order of time where zones differ, and a text may be no time at all."""
    store = open_store(tmp_path)
    rows = [
        row(name, shapely.Point(i, 0), name=name, seen="2020-06-01T00:00:00Z") for i, name in enumerate("abc")
    ]
    load(store, POINTS, rows, "create")

    def put(**texts: Any) -> tuple[str | None, str | None]:
        con = sqlite3.connect(tmp_path / "city.gpkg")
        for trigger in con.execute("SELECT name FROM sqlite_master WHERE type='trigger'").fetchall():
            con.execute(f'DROP TRIGGER "{trigger[0]}"')
        for name, text in texts.items():
            con.execute("UPDATE things SET seen=? WHERE name=?", (text, name))
        con.commit()
        con.close()
        return store.interval("things")

    zoned = put(a="2020-01-02T01:00:00+14:00", b="2020-01-01T12:00:00Z", c="2020-01-01T13:30:00+01:00")
    assert zoned == ("2020-01-01T11:00:00.000Z", "2020-01-01T12:30:00.000Z")
    assert put(a="soon", b="", c="2020-01-01T12:00:00Z") == ("2020-01-01T12:00:00.000Z",) * 2
    assert put(a="soon", b=None, c="") == (None, None)
    store.close()


TOWN = """
CREATE TABLE works (id int PRIMARY KEY, geom geometry(Point, 4326), begun timestamp, note text);
INSERT INTO works VALUES (1, ST_SetSRID(ST_MakePoint(25, 60), 4326), '2020-01-01 10:00', 'x'),
  (2, ST_SetSRID(ST_MakePoint(25, 61), 4326), 'infinity', 'y'), (3, NULL, NULL, 'z');
CREATE VIEW early AS SELECT * FROM works WHERE begun < '2024-01-01';
"""


def test_a_registered_table_has_its_only_time_too(postgres: Cluster, tmp_path: Path) -> None:
    url = postgres.database()
    with postgres.connect(url.rsplit("/", 1)[1]) as con:
        con.execute(TOWN)
        tables = {"works": Registered("works"), "early": Registered("early", fid="id", refresh=0.3)}
        store = open_store(tmp_path, Database(url, tables=tables))
        try:
            assert [store.layer(name).time_field for name in tables] == ["begun", "begun"]
            assert store.interval("works") == ("2020-01-01T10:00:00.000Z", None)  # infinity: an open end
            assert store.interval("early") == ("2020-01-01T10:00:00.000Z",) * 2
            late = Query(datetime=("2021-01-01T00:00:00.000Z", None))
            assert [f["id"] for f in json.loads(b"[" + store.items("works", late).features + b"]")] == [2, 3]
            con.execute("UPDATE works SET begun = '2019-01-01 00:00' WHERE id = 2")
            assert store.interval("works") == ("2019-01-01T00:00:00.000Z", "2020-01-01T10:00:00.000Z")
            both = ("2019-01-01T00:00:00.000Z", "2020-01-01T10:00:00.000Z")
            until(lambda: store.interval("early") == both)  # of a view: as it was when it was last copied
            con.execute("ALTER TABLE works ADD COLUMN ended date")
            until(lambda: store.layer("works").time_field is None)  # there is no only one any more
            assert store.interval("works") == (None, None)
        finally:
            store.close()


def test_a_column_that_is_gone_is_no_time(opener: Callable[[], Store]) -> None:
    store = opener()
    load(
        store,
        POINTS,
        [row("a", shapely.Point(1, 1), seen="2020-01-01T00:00:00Z", built="2020-01-01")],
        "create",
    )
    load(store, spec("things", kind="feature", geometry_type="Point", fields=(Field("n", "integer"),)), [])
    assert store.interval("things") == (None, None)
