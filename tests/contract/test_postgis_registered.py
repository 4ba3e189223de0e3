"""Tables and views of other programs, published where they lie, in their own CRS."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyproj
import pytest
import shapely

from layers import undo
from layers.errors import BadBody, BadParameter, Conflict, NotEditable, NotFound, Unavailable
from layers.model import Author
from layers.query import Query
from layers.store.base import Store
from layers.store.database import Database, Registered
from layers.store.open import open_store
from tests.postgres import Cluster
from tests.storing import features, fids, grid, load, one, signed, spec
from tests.support import until

TOWNS = """
CREATE SCHEMA gis;
CREATE TYPE gis.state AS ENUM ('open', 'closed');
CREATE TABLE gis."Pump Stations" (
  "Id" serial PRIMARY KEY, "Näme" varchar(80), "管径" numeric(8,2), tags text[], sizes int[], extra jsonb,
  state gis.state, code uuid, built date, seen timestamp, at timestamptz, ok boolean, small smallint,
  real real, photo bytea, shape geometry(Point, 3067));
INSERT INTO gis."Pump Stations" ("Näme", "管径", tags, sizes, extra, state, code, built, seen, at, ok, small,
  real, photo, shape)
  SELECT 'pump ' || i, i + 0.25, ARRAY['a', 'b"' || i], ARRAY[i, 2], '{"k": [1, 2]}', 'open',
  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', date '2020-01-01' + i, timestamp '2020-01-01 10:00:00.1239' ,
  timestamptz '2020-01-01 10:00:00+02', i % 2 = 0, i, 1.5, '\\xff',
  ST_SetSRID(ST_MakePoint(385000 + i * 100, 6672000 + i * 10), 3067) FROM generate_series(1, 20) i;
CREATE INDEX ON gis."Pump Stations" USING gist (shape);
CREATE VIEW gis.big AS SELECT "Id", "管径" AS width, shape FROM gis."Pump Stations" WHERE "管径" > 10;
CREATE TABLE public.道路 (编号 bigint PRIMARY KEY, 名称 text, geom geometry(LineString, 4549));
INSERT INTO public.道路 VALUES
  (7, '人民路', ST_GeomFromText('LINESTRING(500000 3300000, 500100 3300100)', 4549)),
  (9, '百分%s', NULL);
"""
TABLES = {
    "pumps": Registered("gis.Pump Stations", kind="pipeline", title={"en": "Pumps"}, time_field="seen"),
    "big": Registered("gis.big", fid="Id", refresh=0.3),
    "roads": Registered("道路", kind="road"),
}
TM35 = pyproj.Transformer.from_crs("EPSG:3067", "OGC:CRS84", always_xy=True)


@pytest.fixture
def database(postgres: Cluster) -> Database:
    """A database with tables of other programs."""
    url = postgres.database()
    run(url, TOWNS)
    return Database(url, tables=TABLES)


def run(url: str, sql: str) -> list[tuple[Any, ...]]:
    """SQL of another program; the rows of its last statement."""
    with psycopg.connect(url, autocommit=True) as con:
        cursor = con.execute(sql)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def opened(database: Database, tmp_path: Path) -> Iterator[Callable[..., Store]]:
    made: list[Store] = []

    def open_(**changes: Any) -> Store:
        made.append(open_store(tmp_path, dataclasses.replace(database, **changes)))
        return made[-1]

    yield open_
    for store in made:
        store.close()


@pytest.fixture
def store(opened: Callable[..., Store]) -> Store:
    return opened()


def test_fields_come_from_the_catalogue(store: Store) -> None:
    layer = store.layer("pumps")
    assert {f.name: f.type for f in layer.fields} == {
        "Näme": "string",
        "管径": "number",
        "tags": "array",
        "sizes": "array",
        "extra": "string",
        "state": "string",
        "code": "string",
        "built": "date",
        "seen": "datetime",
        "at": "datetime",
        "ok": "boolean",
        "small": "integer",
        "real": "number",
    }
    assert (layer.kind, layer.count, layer.crs, layer.geometry_type) == ("pipeline", 20, "EPSG:3067", "Point")
    west, south = TM35.transform(385100, 6672010)
    assert layer.extent is not None
    assert layer.extent[:2] == pytest.approx((west, south), abs=1e-3)
    assert [f.id for f in store.layers()] == ["big", "pumps", "roads"]


def test_rows_are_brought_to_longitude_and_latitude(store: Store) -> None:
    first = one(store, 1, "pumps")
    assert first["geometry"]["coordinates"] == pytest.approx(TM35.transform(385100, 6672010), abs=1e-9)
    assert first["properties"] == {
        "Näme": "pump 1",
        "管径": 1.25,
        "tags": ["a", 'b"1'],
        "sizes": [1, 2],
        "extra": '{"k": [1, 2]}',
        "state": "open",
        "code": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "built": "2020-01-02",
        "seen": "2020-01-01T10:00:00.123Z",
        "at": "2020-01-01T08:00:00.000Z",
        "ok": False,
        "small": 1,
        "real": 1.5,
    }
    road = one(store, 7, "roads")
    assert road["geometry"]["coordinates"][0] == pytest.approx((120.0, 29.8), abs=0.2)
    assert one(store, 9, "roads")["geometry"] is None
    assert one(store, 9, "roads")["properties"] == {"名称": "百分%s"}


def test_boxes_and_filters_in_the_table_s_crs(store: Store) -> None:
    x, y = TM35.transform(385500, 6672050)
    assert fids(store, "pumps", bbox=(x - 1e-5, y - 1e-5, x + 1e-5, y + 1e-5)) == [5]
    assert fids(store, "pumps", bbox=(-180, -90, 180, 90), limit=3) == [1, 2, 3]
    assert fids(store, "pumps", bbox=(100, 10, 101, 11)) == []
    assert fids(store, "pumps", equals=(("管径", 3.25),)) == [3]
    assert fids(store, "pumps", equals=(("state", "open"), ("ok", True)), limit=2) == [2, 4]
    assert fids(store, "pumps", datetime=("2020-01-01T10:00:00.123Z", "2020-01-01T10:00:00.123Z")) != []
    assert fids(store, "pumps", datetime=("2020-01-01T10:00:01.000Z", None)) == []
    assert fids(store, "roads", words=("人民",)) == [7]
    selected = store.select("pumps", Query(limit=2))
    shape = shapely.from_wkb(selected.rows.wkb[0])
    assert shape.coords[0] == pytest.approx(TM35.transform(385100, 6672010))
    assert store.rows("roads").fids.tolist() == [7]
    assert sum(len(rows.fids) for rows in store.scan("pumps", Query(limit=None), size=6)) == 20


def test_edits_are_written_in_the_table_s_crs(store: Store, database: Database) -> None:
    since = store.seq()
    lon, lat = TM35.transform(386000, 6673000)
    shape = {"type": "Point", "coordinates": [lon, lat]}
    changes = {
        "管径": 7.5,
        "tags": ["x", "ÿ,{}"],
        "sizes": [3],
        "seen": "2021-01-01T02:00:00+02:00",
        "state": "closed",
        "ok": True,
        "built": "2022-02-02",
    }
    revision = store.patch("pumps", 3, {"geometry": shape, "properties": changes}, by=Author(actor="duty"))
    assert (
        one(store, 3, "pumps")["properties"].items()
        >= {**changes, "seen": "2021-01-01T00:00:00.000Z"}.items()
    )
    row = run(
        database.url,
        'SELECT ST_X(shape), ST_Y(shape), ST_SRID(shape), "管径", tags, sizes, seen::text'
        ' FROM gis."Pump Stations" WHERE "Id" = 3',
    )[0]
    assert row[:2] == pytest.approx((386000, 6673000), abs=1e-4)
    assert row[2:] == (3067, pytest.approx(7.5), ["x", "ÿ,{}"], [3], "2021-01-01 00:00:00")
    change = store.changes(since)[-1]
    assert (change.layer, change.fid, change.seq) == ("pumps", 3, revision)
    assert change.new == pytest.approx((lon, lat, lon, lat), abs=1e-8)
    assert signed(store, "pumps", 3)[0] == (revision, "duty")
    fid, _ = store.create("pumps", {"type": "Feature", "geometry": shape, "properties": {"Näme": "new"}})
    assert fid == 21
    store.delete("pumps", fid)
    with pytest.raises(NotFound):
        store.item("pumps", fid)
    assert store.layer("pumps").count == 20


@pytest.mark.parametrize(
    "patch", [{"state": "ajar"}, {"code": "no uuid"}, {"管径": 1e300}, {"small": 70_000}, {"Näme": "x" * 100}]
)
def test_values_that_the_table_cannot_take(store: Store, patch: dict[str, Any]) -> None:
    seq = store.seq()
    with pytest.raises(BadBody):
        store.patch("pumps", 3, {"properties": patch})
    assert store.seq() == seq


def test_a_view_is_read_and_follows_its_tables(store: Store, database: Database) -> None:
    assert fids(store, "big") == list(range(10, 21))
    with pytest.raises(NotEditable):
        store.patch("big", 12, {"properties": {"width": 1}})
    before = store.revision("big", 12)
    run(database.url, 'UPDATE gis."Pump Stations" SET "管径" = 1 WHERE "Id" = 12')
    until(lambda: 12 not in fids(store, "big"), what="the view", seconds=4)
    assert store.layer("big").count == 10
    assert {(c.layer, c.fid) for c in store.changes(before)} >= {("pumps", 12), ("big", 12)}


def test_edits_in_sql_are_logged(store: Store, database: Database) -> None:
    since = store.seq()
    run(database.url, "INSERT INTO 道路 VALUES (11, 'x', NULL); UPDATE 道路 SET 名称 = 'y' WHERE 编号 = 7;")
    run(database.url, "DELETE FROM 道路 WHERE 编号 = 9")
    assert [c.fid for c in store.changes(since)] == [11, 7, 9]
    assert store.layer("roads").count == 2
    run(database.url, "TRUNCATE 道路")
    assert store.layer("roads").count == 0
    assert features(store, "roads") == []


def test_what_cannot_be_published_says_why(opened: Callable[..., Store], database: Database) -> None:
    run(
        database.url,
        "CREATE TABLE keyless (a text, geom geometry(Point, 4326));"
        "CREATE TABLE nowhere (id int PRIMARY KEY, geom geometry);"
        "INSERT INTO nowhere VALUES (1, ST_MakePoint(1, 2));"
        "CREATE TABLE two (id int PRIMARY KEY, a geometry(Point, 4326), b geometry(Point, 4326));",
    )
    store = opened(
        tables={
            "gone": Registered("not.there"),
            "keyless": Registered("keyless"),
            "nowhere": Registered("nowhere"),
            "two": Registered("two"),
            "fine": Registered("two", geometry="b"),
        }
    )
    reasons = {
        "gone": "not there",
        "keyless": "primary key",
        "nowhere": "SRID 0",
        "two": "geometry",
    }
    for layer, reason in reasons.items():
        with pytest.raises(Unavailable, match=reason):
            store.items(layer, Query())
    assert [layer.id for layer in store.layers()] == ["fine"]
    assert features(store, "fine") == []


def test_settings_decide_which_tables_are_layers(opened: Callable[..., Store], database: Database) -> None:
    first = opened()
    seq = first.seq()
    assert opened().seq() == seq  # nothing is done twice
    second = opened(tables={"pumps": TABLES["pumps"]})
    assert [layer.id for layer in second.layers()] == ["pumps"]
    triggers = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = '道路'::regclass"
    assert run(database.url, triggers) == []
    load(second, spec("roads"), grid(1))
    with pytest.raises(BadParameter, match="roads"):
        opened()


def test_a_column_added_to_a_registered_table_appears(store: Store, database: Database) -> None:
    run(database.url, "ALTER TABLE 道路 ADD COLUMN 宽度 real DEFAULT 3")
    until(lambda: store.layer("roads").field("宽度") is not None, what="the new column", seconds=3)
    assert one(store, 7, "roads")["properties"]["宽度"] == 3
    run(database.url, "DROP TABLE 道路")
    with pytest.raises(Unavailable, match="not there"):
        store.items("roads", Query())
    assert json.dumps(features(store, "pumps", limit=1))


def test_rows_that_make_the_database_fail(store: Store, database: Database) -> None:
    run(
        database.url,
        "CREATE OR REPLACE VIEW gis.big AS"
        ' SELECT "Id", ("管径" / ("管径" - 12.25))::numeric(8,2) AS width, shape'
        ' FROM gis."Pump Stations" WHERE "管径" > 10',
    )
    until(lambda: "big" not in [layer.id for layer in store.layers()], what="the division", seconds=4)
    for call in (
        lambda: store.items("big", Query()),
        lambda: store.item("big", 12),
        lambda: store.rows("big"),
    ):
        with pytest.raises(Unavailable, match="rows make the database fail"):
            call()
    assert one(store, 12, "pumps")["id"] == 12
    for query in (Query(words=("a\x00b",)), Query(equals=(("Näme", "a\x00b"),))):
        with pytest.raises(BadParameter):
            store.items("pumps", query)
        with pytest.raises(BadParameter):
            list(store.scan("pumps", dataclasses.replace(query, limit=None)))


def test_a_table_of_another_owner(
    opened: Callable[..., Store], database: Database, postgres: Cluster
) -> None:
    name = database.url.rsplit("/", 1)[1]
    role = f"guest_{name}"
    run(
        database.url,
        f"CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {name} TO {role};"
        f"GRANT USAGE ON SCHEMA gis TO {role}; GRANT SELECT ON 道路 TO {role};"
        "CREATE TABLE gis.fenced (id int PRIMARY KEY, geom geometry(Point, 4326));"
        "INSERT INTO gis.fenced VALUES (1, ST_SetSRID(ST_MakePoint(1, 2), 4326));"
        f"GRANT SELECT, TRIGGER ON gis.fenced TO {role}",
    )
    tables = {
        "roads": Registered("道路"),
        "fenced": Registered("gis.fenced"),
        "hidden": Registered("gis.Pump Stations"),
    }
    store = opened(url=postgres.url(name, role), tables=tables)
    assert [layer.id for layer in store.layers()] == ["fenced", "roads"]  # without TRIGGER it is copied
    assert (fids(store, "fenced"), fids(store, "roads")) == ([1], [7, 9])
    assert store.layer("roads").edits == ()
    with pytest.raises(Unavailable, match="SELECT"):
        store.items("hidden", Query())
    since = store.seq()
    run(database.url, "DELETE FROM gis.fenced")
    assert [c.fid for c in store.changes(since)] == [1]
    with pytest.raises(NotEditable):
        store.create("fenced", {"type": "Feature", "geometry": None, "properties": {}})


def test_two_cities_share_a_table(opened: Callable[..., Store], database: Database) -> None:
    one_, other = opened(), opened(schema="second")
    run(database.url, "UPDATE 道路 SET 名称 = 'z' WHERE 编号 = 7")
    assert one_.changes(0)[-1].fid == other.changes(0)[-1].fid == 7


def test_what_was_done_to_a_registered_table_is_taken_back(store: Store, database: Database) -> None:
    before, begin = features(store, "pumps"), store.seq()
    store.patch("pumps", 5, {"properties": {"Näme": "wrong", "tags": ["x"]}}, by=Author(actor="anna"))
    by_hand = """UPDATE gis."Pump Stations" SET "管径" = 99.5, sizes = NULL,
        shape = ST_Translate(shape, 1, 1) WHERE "Id" = 3; DELETE FROM gis."Pump Stations" WHERE "Id" = 4"""
    run(database.url, by_hand)
    area = undo.of_area(store, (20.0, 55.0, 30.0, 65.0), begin, store.seq(), ["pumps"])
    assert {step.change.fid: step.change.kind for step in area.steps} == {
        3: "changed",
        4: "added",
        5: "changed",
    }
    number = store.change_sets(layer="pumps", limit=1)[0].id
    store.patch("pumps", 3, {"properties": {"Näme": "since"}}, by=Author(actor="li"))
    plan = undo.of_set(store, number)
    assert {step.change.fid: step.conflict and step.conflict.actor for step in plan.steps}[3] == "li"
    undo.apply(
        store, undo.of_set(store, store.change_sets(layer="pumps", limit=1)[0].id), Author(actor="anna")
    )
    undo.apply(store, undo.of_area(store, (20.0, 55.0, 30.0, 65.0), begin, store.seq()), Author(actor="anna"))
    assert features(store, "pumps") == before
    with pytest.raises(Conflict, match="a table that"):
        store.revert("pumps", begin, unchanged_since=store.seq())
