"""A PostGIS city as it was, where that is its own: tables of other programs, gaps, an earlier format."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from layers import undo
from layers.errors import Gone, NotFound
from layers.model import Author, FeaturePage
from layers.query import Query
from layers.store import postgis
from layers.store.base import Readable
from layers.store.database import Database, Registered
from layers.store.open import open_store
from layers.store.postgis import PostgisStore
from layers.types import Sort
from tests.contract.registering import Foreign, foreign, point  # noqa: F401
from tests.contract.test_postgis_kept import City, city, format4  # noqa: F401
from tests.postgres import Cluster
from tests.storing import features, fids, grid, load, one, spec
from tests.support import until

#: Of every kind of column that is read in a way of its own.
COLUMNS = (
    "id int PRIMARY KEY, twin_row text, r varchar(9), c char(4), n numeric, f real, h smallint, b boolean,"
    " d date, t timestamptz, u timestamp, e mood, j jsonb, a int[], ts timestamptz[], i interval, raw bytea,"
    " word tsvector, other geometry, geom geometry"
)
VALUES = (
    "'a', 'vä', 'ab', 1.50, 0.1, 7, true, '0044-03-15 BC', 'infinity', '2020-02-29 12:00:00.123456', 'glad',"
    " '{\"k\": [1, null]}', '{{1,2},{3,4}}', '{2020-01-01 00:00:00.5+02}', '1 mon 2 days', '\\x00', 'a cat',"
    " 'SRID=4326;CIRCULARSTRING(25 60, 26 61, 27 60)',"
    " 'SRID=3067;CIRCULARSTRING(385000 6672000, 385100 6672100, 385200 6672000)'"
)


def store_of(foreign: Foreign, **tables: Registered) -> PostgisStore:  # noqa: F811
    store = foreign.open(**tables)
    assert isinstance(store, PostgisStore)
    return store


def answers(reading: Readable, layer: str) -> dict[str, Any]:
    """What is read of a layer in every way there is."""
    words = reading.feature_layer(layer)
    fields = [field.name for field in words.fields if field.type != "array"]
    everything = Query(limit=100)
    rows = reading.rows(layer)
    return {
        "fields": words.fields,
        "count": words.count,
        "items": reading.items(layer, everything),
        "sorted": [reading.items(layer, Query(limit=2, sort=(Sort(name, True),))) for name in fields],
        "box": reading.items(layer, Query(limit=2, bbox=(24.0, 59.0, 25.0, 61.0))),
        "rows": (rows.fids.tolist(), list(rows.wkb), dict(rows.properties)),
        "scan": [r.fids.tolist() for r in reading.scan(layer, everything, 2)],
        "item": reading.item(layer, int(rows.fids[0])),
    }


def test_columns_of_every_kind_are_as_they_were(foreign: Foreign) -> None:  # noqa: F811
    foreign.run(
        f"CREATE TYPE mood AS ENUM ('glad', 'sad'); CREATE TABLE odd ({COLUMNS});"
        f" INSERT INTO odd SELECT i, {VALUES} FROM generate_series(1, 5) i; INSERT INTO odd (id) VALUES (6)"
    )
    store = store_of(foreign, odd=Registered("odd", geometry="geom"))
    seq, then = store.seq(), answers(store, "odd")
    foreign.run(
        "UPDATE odd SET twin_row = 'b', e = 'sad', geom = ST_Translate(geom, 1, 0) WHERE id IN (2, 3, 6);"
        "DELETE FROM odd WHERE id = 4; INSERT INTO odd (id, c) VALUES (0, 'new');"
        "UPDATE odd SET id = 9 WHERE id = 5"
    )
    assert store.seq() > seq
    assert answers(store, "odd") != then
    assert answers(store.as_of(seq), "odd") == then
    # a label that is gone by now, and a column that came since
    foreign.run("ALTER TYPE mood RENAME VALUE 'glad' TO 'merry'; ALTER TABLE odd ADD COLUMN more text")
    until(lambda: store.feature_layer("odd").field("more"), seconds=5, what="the column")
    past = store.as_of(seq)
    assert past.feature_layer("odd").field("more") is None
    kept = past.rows("odd").properties["e"]
    assert [kept[1], kept[2]] == ["glad", "glad"]  # the others did not change, and are called so now


def test_values_whose_json_is_no_text_of_theirs_are_taken_back(foreign: Foreign) -> None:  # noqa: F811
    columns = {
        "h": ("hstore", r"""'a=>1, "b\"\\ c"=>NULL, long=>"x, y"'"""),
        "n": ("hstore", "''"),
        "c": ("char(5)", "'ab'"),
        "b": ("bit(3)", "'101'"),
        "many": ("char(3)[]", "'{ab,c}'"),
        "hs": ("hstore[]", r"""ARRAY['a=>1', NULL, '"b\"\\ c"=>NULL']::hstore[]"""),
        "no_hs": ("hstore[]", "'{}'"),
        "deep": ("hstore[]", "ARRAY[ARRAY['a=>1'], ARRAY['b=>2']]::hstore[]"),
        "none": ("jsonb", "'null'"),
        "nil": ("json", "' null '"),
        "bounds": ("int[]", "'[0:2]={1,2,3}'"),
        "two": ("float8[]", "'[1:2][-1:0]={{1.5,-0},{3,4}}'"),
        "blob": ("bytea NOT NULL", r"'\x00ff5c27'"),
        "doc": ("xml NOT NULL", "'<a b=\"1\">&amp; x</a>'"),
    }
    defined = ", ".join(f"{name} {pg}" for name, (pg, _) in columns.items())
    values = ", ".join(value for _, value in columns.values())
    foreign.run(
        "CREATE EXTENSION hstore;"
        f" CREATE TABLE odd (id int PRIMARY KEY, name text, {defined}, geom geometry);"
        f" INSERT INTO odd SELECT i, 'a', {values}, {point()} FROM generate_series(1, 3) i"
    )
    store = store_of(foreign, odd=Registered("odd", geometry="geom"))
    as_text = "SELECT odd::text FROM odd ORDER BY id"
    seq, then = store.seq(), foreign.run(as_text)
    shown = features(store, "odd")
    store.patch("odd", 1, {"properties": {"name": "z"}})
    store.delete("odd", 2)
    foreign.run("SET bytea_output = escape; DELETE FROM odd WHERE id = 3")
    assert features(store.as_of(seq), "odd") == shown
    for one_ in store.change_sets(limit=3):
        undo.apply(store, undo.of_set(store, one_.id), Author(actor="anna"))
    assert foreign.run(as_text) == then


def test_a_layer_comes_back_with_the_columns_that_others_gave_it(city: City) -> None:  # noqa: F811
    store = city.store
    city.sql(
        "CREATE EXTENSION IF NOT EXISTS hstore",
        "ALTER TABLE CITY.buildings ADD COLUMN c char(5) DEFAULT 'ab', ADD COLUMN b bit(3) DEFAULT '101',"
        " ADD COLUMN h hstore DEFAULT 'a=>1, b=>NULL', ADD COLUMN hs hstore[] DEFAULT '{a=>1}',"
        " ADD COLUMN j jsonb DEFAULT 'null', ADD COLUMN a int[] DEFAULT '[0:1]={1,2}'",
    )
    until(
        lambda: {"c", "b", "h", "hs", "j", "a"} <= set(features(store, "buildings")[0]["properties"]),
        5,
        "the columns",
    )
    shown = features(store, "buildings")
    columns = "fid, c::text, b, h, pg_typeof(h)::text, hs::text, j::text, a::text"
    as_stored = f"SELECT {columns} FROM CITY.buildings ORDER BY fid"
    stored = city.sql(as_stored)
    fewer = spec(fields=spec().fields[:1])
    for act in (lambda: store.drop("buildings"), lambda: load(store, fewer, grid(3), mode="replace")):
        act()
        (made,) = store.change_sets(limit=1)
        undo.apply(store, undo.of_set(store, made.id), Author(actor="anna"))
        assert features(store, "buildings") == shown
        assert city.sql(as_stored) == stored


def test_rows_that_a_load_removed_come_back_with_columns_that_are_no_fields(city: City) -> None:  # noqa: F811
    store = city.store
    city.sql(
        r"ALTER TABLE CITY.buildings ADD COLUMN raw bytea NOT NULL DEFAULT '\x00', ADD COLUMN doc xml",
        r"UPDATE CITY.buildings SET raw = '\x0102ff', doc = '<a>&amp; x</a>'",
    )
    as_stored = "SELECT fid, raw::text, doc::text FROM CITY.buildings ORDER BY fid"
    until(lambda: store.change_sets(limit=1)[0].via == "other", 5, "the edit by hand")
    stored = city.sql(as_stored)
    load(store, spec(fields=spec().fields[:1]), grid(1), mode="replace")
    assert city.sql(as_stored) == stored[:1]
    early = r"""SELECT replace(old::text, '"raw":"\\x0102ff"', '"raw":null')"""
    (made,) = store.change_sets(limit=1)
    undo.apply(store, undo.of_set(store, made.id), Author(actor="anna"))
    assert city.sql(as_stored) == stored
    # an early old row has not the values of such columns: they are what a new row has
    store.delete("buildings", 3)
    assert city.sql(f"SELECT ({early}) <> old::text FROM CITY.twin_past WHERE fid = 3 AND lent = 0")[-1][0]
    city.sql(f"UPDATE CITY.twin_past SET old = ({early})::json WHERE fid = 3 AND lent = 0")
    (made,) = store.change_sets(limit=1)
    undo.apply(store, undo.of_set(store, made.id), Author(actor="anna"))
    assert city.sql(as_stored)[-1] == (3, r"\x00", stored[-1][2])


def test_columns_that_are_kept_as_text_may_go_and_be_edited_at_once(city: City) -> None:  # noqa: F811
    city.sql("ALTER TABLE CITY.buildings ADD j jsonb DEFAULT 'null', ADD a int[], ADD n int[]")
    until(lambda: {"j", "a"} <= set(features(city.store, "buildings")[0]["properties"]), 5, "the columns")
    city.sql(
        "ALTER TABLE CITY.buildings DROP COLUMN a",
        "ALTER TABLE CITY.buildings RENAME COLUMN n TO other",
        "ALTER TABLE CITY.buildings ALTER COLUMN j TYPE text",
        "UPDATE CITY.buildings SET name = 'x' WHERE fid = 1",
        "DELETE FROM CITY.buildings WHERE fid = 2",
    )
    assert [one["properties"]["name"] for one in features(city.store, "buildings")] == ["x", "house 2"]


def test_a_copy_as_it_was(foreign: Foreign) -> None:  # noqa: F811
    foreign.run(
        f"CREATE TABLE under (id int PRIMARY KEY, name text); INSERT INTO under VALUES (1, 'a'), (2, 'b');"
        f"CREATE VIEW shown AS SELECT id, name, {point()} AS geom FROM under"
    )
    store = store_of(foreign, shown=Registered("shown", fid="id", refresh=1))
    seq, then = store.seq(), answers(store, "shown")
    foreign.run("UPDATE under SET name = 'c' WHERE id = 1; DELETE FROM under WHERE id = 2")
    until(lambda: len(features(store, "shown")) == 1, seconds=5, what="the comparison")
    assert answers(store.as_of(seq), "shown") == then


def test_a_layer_is_gone_before_a_gap_and_other_layers_are_not(city: City) -> None:  # noqa: F811
    store = city.store
    assert isinstance(store, PostgisStore)
    load(store, spec("other"), grid(2))
    seq = store.seq()
    past = store.as_of(seq)
    assert past.feature_layer("buildings").count == 3
    city.sql("ALTER TABLE CITY.buildings DISABLE TRIGGER ALL", "DELETE FROM CITY.buildings WHERE fid = 1")
    until(lambda: store.layer("buildings").count == 2, seconds=5, what="the repair")  # type: ignore[attr-defined]
    for ask in (
        lambda: past.items("buildings", Query(limit=1)),
        lambda: past.feature_layer("buildings"),
        lambda: past.rows("buildings"),
        lambda: next(past.scan("buildings", Query())),
        lambda: past.item("buildings", 2),
        lambda: past.count("buildings", Query(), 10),
        lambda: store.as_of(1).interval("buildings"),
    ):
        with pytest.raises(Gone, match="layer buildings is kept from"):
            ask()
    assert [layer.id for layer in past.layers()] == ["other"]
    assert len(past.rows("other").fids) == 2
    kept = store.kept("buildings")
    assert (kept.seq, store.kept().seq, store.kept("other").seq) == (store.seq(), 0, 0)
    assert store.as_of(kept.seq).feature_layer("buildings").count == 2
    assert [v.set.via for v in store.versions("buildings", 2) if v.set] == ["repair"]
    with pytest.raises(NotFound):
        store.versions("buildings", 1)


def test_before_the_migration_nothing_is_known(format4: str, tmp_path: Path) -> None:  # noqa: F811
    store = open_store(tmp_path, Database(format4, tables={"wells": Registered("public.wells")}))
    assert isinstance(store, PostgisStore)
    kept = store.kept()
    assert (kept.seq, store.moment("@5")) == (5, kept)
    with pytest.raises(Gone, match=kept.at):
        store.moment("@4")
    with pytest.raises(Gone, match="the city"):
        store.as_of(4).layers()
    with pytest.raises(Gone, match="the city"):
        store.as_of(4).items("never", Query())
    store.patch("buildings", 1, {"properties": {"name": "third"}})
    seq = store.seq()
    assert one(store, 1)["properties"]["name"] == "third"
    past = store.as_of(5)
    assert past.rows("buildings", [1], meshes=True).properties["name"] == ["second"]
    assert list(past.rows("buildings", meshes=True).meshes) == [2]
    assert past.revision("buildings", 1) == 5
    versions = store.versions("buildings", 1)
    assert [(v.since, v.until, v.set and v.set.actor) for v in versions] == [
        (seq, None, None),
        (5, seq, "anna"),
    ]
    (only,) = store.versions("buildings", 3)
    assert (only.since, only.at, only.set) == (2, None, None)  # of its load the log alone tells
    store.close()


def test_a_restored_city_tells_its_past(postgres: Cluster, tmp_path: Path) -> None:
    url = postgres.database()
    store = open_store(tmp_path, Database(url))
    load(store, spec(), grid(3))
    store.patch("buildings", 1, {"properties": {"name": "a"}})
    assert isinstance(store, PostgisStore)
    then = [store.as_of(seq).items("buildings", Query(limit=9)) for seq in (1, 2)]
    store.close()
    postgres.dump(url, tmp_path / "dump")
    again = open_store(tmp_path / "copy", Database(postgres.restored(tmp_path / "dump")))
    assert isinstance(again, PostgisStore)
    again.delete("buildings", 1)
    assert [again.as_of(seq).items("buildings", Query(limit=9)) for seq in (1, 2)] == then
    assert fids(again) == [2, 3]
    again.close()


def test_many_features_with_many_changes(city: City) -> None:  # noqa: F811
    """Pages of what is walked and gathered, by box and by order, where both relations have features."""
    store = city.store
    assert isinstance(store, PostgisStore)
    store._few = 50
    points = "ST_SetSRID(ST_MakePoint(10 + i % 100 * 0.01, 50 + i / 100 * 0.01), 4326)"
    city.sql(
        f"INSERT INTO CITY.buildings (geom, name, levels) SELECT ST_Expand({points}, 0.001), 'n' || i, i % 7"
        " FROM generate_series(1, 3000) i"
    )
    queries = [
        Query(limit=10),
        Query(limit=10, offset=995),
        Query(limit=10, sort=(Sort("levels", True), Sort("name"))),
        Query(limit=10, bbox=(10.0, 50.0, 10.5, 50.2)),
        Query(limit=10, bbox=(10.0, 50.0, 10.01, 50.01)),
        Query(limit=10, bbox=(-180.0, -90.0, 180.0, 90.0)),
        Query(limit=10, equals=(("levels", 3),), bbox=(10.2, 50.0, 10.9, 50.3)),
        Query(limit=10, equals=(("name", "n77"),)),
    ]

    def pages(reading: Readable) -> Iterator[FeaturePage]:
        for query in queries:
            for _ in range(3):
                page = reading.items("buildings", query)
                yield page
                if page.next_after is None:
                    break
                query = Query(
                    limit=10, sort=query.sort, bbox=query.bbox, equals=query.equals, after=page.next_after
                )

    seq, then = store.seq(), list(pages(store))
    city.sql(
        "UPDATE CITY.buildings SET levels = levels + 1 WHERE fid % 3 = 0",
        "DELETE FROM CITY.buildings WHERE fid % 7 = 0",
        "UPDATE CITY.buildings SET geom = ST_Translate(geom, 0.3, 0.1) WHERE fid % 11 = 0",
        "INSERT INTO CITY.buildings (name, levels) SELECT 'new', 3 FROM generate_series(1, 50)",
    )
    past = store.as_of(seq)
    assert list(pages(past)) == then
    assert past.feature_layer("buildings").count == 3003


def test_a_city_of_the_format_before_is_read_without_its_history(format4: str) -> None:  # noqa: F811
    with psycopg.connect(format4) as con:  # as where it was made: there the table has the oid that is known
        con.execute(
            "UPDATE city.twin_layers SET signature = to_regclass('city.' || quote_ident(id))::oid"
            " || substr(signature, strpos(signature, ' ')) WHERE source IS NULL"
        )
    with contextlib.closing(postgis.open(Database(format4), read_only=True)) as store:
        assert one(store, 1)["properties"]["name"] == "second"
        for ask in (
            lambda: store.moment("@5"),
            lambda: store.kept(),
            lambda: store.change_sets(),
            lambda: store.versions("buildings", 1),
            lambda: store.as_of(5).layers(),
            lambda: store.as_of(5).items("buildings", Query()),
        ):
            with pytest.raises(Gone, match="once a server of this version has opened"):
                ask()
