"""What a PostGIS city keeps of every change, whoever makes it: old rows, change sets, records of layers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from layers.batch import MESH
from layers.model import Author
from layers.store.base import FormSpec
from layers.store.database import Database, Registered
from layers.store.history import Retention
from layers.store.open import open_store
from layers.store.postgis import schema
from layers.types import Field
from tests.contract.registering import Foreign, foreign, point  # noqa: F401
from tests.postgres import Cluster
from tests.storing import FIELDS, features, grid, load, one, spec, tetrahedron
from tests.support import ROOT, until

_numbers = count()


class City:
    """A city in a schema of its own, with what another program sees of it."""

    def __init__(self, url: str, folder: Path, history: Retention | None = None) -> None:
        self.url, self.schema = url, f"kept{next(_numbers)}"
        self.database = Database(url, schema=self.schema)
        self.folder = folder
        self.store = open_store(folder, self.database, history=history)

    def sql(self, *statements: str, **options: Any) -> list[tuple[Any, ...]]:
        """Statements of another program in one transaction; ``CITY`` is the schema."""
        with psycopg.connect(self.url, **options) as con:
            for statement in statements:
                cursor = con.execute(statement.replace("CITY", self.schema).encode())
            return cursor.fetchall() if cursor.description else []

    def old(self, layer: str = "buildings") -> list[tuple[int, int, str | None]]:
        """(until, fid, name) of the old rows of a layer; the name is None where there was no feature. One
        that a row has not is that of the next, or of the present one."""
        names: dict[int, str | None] = {}
        if self.sql(f"SELECT to_regclass('CITY.{layer}')") != [(None,)]:
            names = dict(self.sql(f"SELECT fid, name FROM CITY.{layer}"))
        rows = []
        for seq, fid, there, own, name in self.sql(
            "SELECT until, fid, there, lent & 1 = 0 OR old->'name' IS NOT NULL, old->>'name'"
            f" FROM CITY.twin_past WHERE layer = '{layer}' ORDER BY until DESC, fid DESC"
        ):
            names[fid] = (name if there else None) if own else names[fid]
            rows.append((seq, fid, names[fid]))
        return rows[::-1]

    def sets(self) -> list[tuple[Any, ...]]:
        """(first, last, actor, via, message) of the change sets."""
        return self.sql("SELECT first, last, actor, via, message FROM CITY.twin_sets ORDER BY id")

    def kept(self) -> list[tuple[str, int, str]]:
        """From which number on which layer is known, and why not from before."""
        return self.sql("SELECT layer, seq, why FROM CITY.twin_kept ORDER BY layer")


@pytest.fixture
def city(shared_database: str, tmp_path: Path) -> Iterator[City]:
    """Three squares, of which the second has a body."""
    made = City(shared_database, tmp_path)
    rows = grid(3)
    rows[1][MESH] = tetrahedron(25, 60).to_bytes()
    load(made.store, spec(), rows)
    yield made
    made.store.close()


def test_every_change_keeps_what_was(city: City) -> None:
    assert city.old() == []  # that it was not there is said of the layer
    store = city.store
    store.patch("buildings", 1, {"properties": {"name": "a"}})
    fid, _ = store.create("buildings", {"type": "Feature", "geometry": None, "properties": {"name": "b"}})
    store.delete("buildings", 2)
    city.sql(
        "UPDATE CITY.buildings SET name = 'c' WHERE fid <> 3",
        "UPDATE CITY.buildings SET fid = 77 WHERE fid = 1",
        "INSERT INTO CITY.buildings (name) VALUES ('d')",
    )
    assert city.old() == [
        (2, 1, "house 0"),
        (3, fid, None),
        (4, 2, "house 1"),
        (5, 1, "a"),
        (6, fid, "b"),
        (7, 1, "c"),
        (8, 77, None),
        (9, fid + 1, None),
    ]
    rows = "SELECT geom = ST_SetSRID(geom, 4326), mesh IS NOT NULL, lent FROM CITY.twin_past WHERE there"
    assert city.sql(f"{rows} AND fid = 2") == [(True, True, 0)]
    assert city.sql(f"{rows} AND fid = 1 ORDER BY until") == [(None, False, 3)] * 2 + [(True, False, 0)]


def test_a_statement_that_is_logged_as_one_keeps_each_row(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = "SELECT 'n' || i FROM generate_series(1, 10001) i"
    city.sql(f"INSERT INTO CITY.buildings (name) {many}")
    city.sql("UPDATE CITY.buildings SET levels = 1, fid = CASE fid WHEN 4 THEN 90000 ELSE fid END")
    city.sql("DELETE FROM CITY.buildings WHERE fid > 3")
    city.sql("TRUNCATE CITY.buildings")
    counts = "SELECT until, count(*), count(*) FILTER (WHERE there), count(old), count(mesh)"
    assert city.sql(f"{counts} FROM CITY.twin_past GROUP BY until ORDER BY until") == [
        (2, 10_001, 0, 0, 0),
        (3, 10_005, 10_004, 10_003, 0),  # one had that already; the body is still that of the present row
        (4, 10_001, 10_001, 10_001, 0),
        (5, 3, 3, 3, 1),
    ]
    assert [change.fid for change in city.store.changes(1)] == [None] * 4
    assert city.sql("SELECT count(*) FROM CITY.twin_pending") == [(0,)]


def test_what_was_rolled_back_was_not(city: City) -> None:
    with psycopg.connect(city.url) as con:
        con.execute(f"UPDATE {city.schema}.buildings SET name = 'x' WHERE fid = 1")
        con.execute("SAVEPOINT a")
        con.execute(f"UPDATE {city.schema}.buildings SET name = 'y' WHERE fid = 2")
        con.execute("ROLLBACK TO SAVEPOINT a")
        con.commit()
        con.execute(f"UPDATE {city.schema}.buildings SET name = 'z' WHERE fid = 3")
        con.rollback()
    assert city.old() == [(2, 1, "house 0")]


def test_loads_keep_what_they_change(city: City) -> None:
    load(city.store, spec(), grid(3))  # the body of the second is gone
    assert city.old() == [(2, 2, "house 1")]
    load(city.store, spec(), grid(3))
    assert city.store.seq() == 2
    load(city.store, spec(), [*grid(2), {**grid(4)[3], "name": "new"}])
    assert city.old()[1:] == [(3, 3, "house 2"), (4, 4, None)]
    generations = "SELECT until, record->>'generation' FROM CITY.twin_records ORDER BY until"
    assert city.sql(generations) == [(1, None), (2, "1"), (4, "3")]  # of 3 and 4 all is one set
    assert [s[3] for s in city.sets()] == ["api"] * 3


def test_a_load_logged_as_one_keeps_each_row(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layers.store.matching.LOGGED_EACH", 1)
    changed = [{**row, "name": "z"} for row in grid(2)]
    load(city.store, spec(), [*changed, grid(4)[3]])
    assert city.old() == [(2, 1, "house 0"), (2, 2, "house 1"), (2, 3, "house 2"), (2, 4, None)]
    (change,) = city.store.changes(1)
    assert (change.fid, change.new is not None) == (None, True)
    assert city.sets()[-1][:2] == (2, 2)


def test_fields_that_a_load_takes_away_are_kept(city: City) -> None:
    city.store.patch("buildings", 1, {"properties": {"height_m": 2.5}})
    fewer = tuple(f for f in FIELDS if f.name != "height_m")
    retyped = tuple(Field("levels", "string") if f.name == "levels" else f for f in fewer)
    rows = [{k: v for k, v in row.items() if k != "height_m"} for row in grid(3)]
    load(city.store, spec(fields=fewer), rows)
    assert [row for row in city.old() if row[0] > 2] == [(3, 1, "house 0"), (3, 2, "house 1")]  # and a body
    heights = "SELECT old->>'height_m' FROM CITY.twin_past WHERE until = 3 ORDER BY fid"
    assert city.sql(heights) == [("2.5",), (None,)]
    load(city.store, spec(fields=retyped), [{**row, "levels": "many"} for row in rows])
    assert [row[:2] for row in city.old() if row[0] > 3] == [(4, 1), (4, 2), (4, 3)]
    records = city.sql("SELECT record->>'fields' FROM CITY.twin_records WHERE until IN (3, 4) ORDER BY until")
    names = [[field["name"] for field in json.loads(record[0])] for record in records]
    assert ["height_m" in one for one in names] == [True, False]


def test_a_dropped_layer_leaves_its_rows(city: City) -> None:
    city.store.drop("buildings", by=Author(actor="anna", via="drop"))
    assert city.old() == [(2, 1, "house 0"), (2, 2, "house 1"), (2, 3, "house 2")]
    assert city.sets()[-1] == (2, 2, "anna", "drop", "")
    load(city.store, spec(), grid(1))
    store = city.store
    store.patch("buildings", 4, {"properties": {"name": "a"}})
    assert city.old()[3:] == [(4, 4, "house 0")]
    kinds = "SELECT until, record IS NULL FROM CITY.twin_records ORDER BY until"
    assert city.sql(kinds) == [(1, True), (2, False), (3, True)]
    assert city.kept() == []


def test_layers_of_other_forms_are_recorded(city: City) -> None:
    form = FormSpec("relief", "coverage", "raster", {}, "EPSG:4326")
    city.store.record(form, by=Author(via="load"))
    city.store.record(form)
    city.store.drop("relief")
    records = (
        "SELECT until, record->>'generation' FROM CITY.twin_records WHERE layer = 'relief' ORDER BY until"
    )
    assert city.sql(records) == [(2, None), (3, "1"), (4, "2")]


def test_who_made_a_change_set(city: City) -> None:
    by = Author(actor="anna", message="the roof\n%s 'x' \\", address="10.0.0.1")
    city.store.patch("buildings", 1, {"properties": {"name": "a"}}, by=by)
    sql = "UPDATE CITY.buildings SET name = name WHERE fid = "
    city.sql(f"{sql}1", f"{sql}2", application_name="QGIS")
    assert city.sets() == [
        (1, 1, None, "api", ""),
        (2, 2, "anna", "api", by.message),
        (3, 4, "twin", "other", "QGIS"),
    ]
    role = f"surveyor_{city.schema}"
    city.sql(
        f"CREATE ROLE {role} LOGIN",
        f"GRANT USAGE ON SCHEMA CITY TO {role}",
        f"GRANT SELECT, UPDATE ON CITY.buildings TO {role}",
    )
    with psycopg.connect(city.url.replace("twin@", f"{role}@"), application_name="psql") as con:
        con.execute("""SET twin.author = '{"actor": "anna", "via": "api"}'""")  # believed of no stranger
        con.execute(f"UPDATE {city.schema}.buildings SET levels = 7")
    assert city.sets()[-1] == (5, 7, role, "other", "psql")
    addresses = "SELECT address FROM CITY.twin_sets ORDER BY id"
    assert city.sql(addresses) == [("",), ("10.0.0.1",), ("127.0.0.1",), ("127.0.0.1",)]


def test_an_old_snapshot_and_a_clock_that_steps_back(city: City) -> None:
    city.sql(
        "UPDATE CITY.twin_sets SET at = '2090-01-01Z'", "SELECT setval('CITY.twin_set_at', 3786912000000)"
    )
    with psycopg.connect(city.url) as con:
        con.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        con.execute("SELECT 1")
        city.store.patch("buildings", 2, {"properties": {"levels": 5}})
        con.execute(f"UPDATE {city.schema}.buildings SET levels = 9 WHERE fid = 3")
        con.commit()
    made = city.sql("SELECT id, first, last, at >= '2090-01-01Z' FROM CITY.twin_sets ORDER BY id")
    assert made == [(1, 1, 1, True), (2, 2, 2, True), (3, 3, 3, True)]


@pytest.mark.parametrize(
    "damage",
    [
        "ALTER TABLE CITY.buildings DISABLE TRIGGER ALL; UPDATE CITY.buildings SET name = 'x' WHERE fid = 1;"
        " ALTER TABLE CITY.buildings ENABLE TRIGGER ALL",
        "ALTER TABLE CITY.buildings DROP COLUMN height_m",
        "ALTER TABLE CITY.buildings RENAME COLUMN height_m TO height",
        "ALTER TABLE CITY.buildings ALTER COLUMN levels TYPE text",
        "CREATE TABLE CITY.other AS TABLE CITY.buildings; DROP TABLE CITY.buildings;"
        " ALTER TABLE CITY.other RENAME TO buildings; ALTER TABLE CITY.buildings ADD PRIMARY KEY (fid)",
    ],
)
def test_what_no_trigger_told_is_a_gap(city: City, damage: str) -> None:
    since = city.store.seq()
    city.sql(*damage.split(";"))
    until(lambda: city.store.seq() > since, seconds=3, what="the repair")
    until(lambda: city.store.layer("buildings"), seconds=3, what="the layer")
    (gap,) = city.kept()
    assert gap[0] == "buildings"
    assert gap[1] > since
    assert gap[2] == "gap"
    assert [s[3] for s in city.sets()][1] == "repair"


def test_a_column_more_is_no_gap_and_its_values_are_kept_before_it_is_seen(city: City) -> None:
    city.store.close()
    city.sql("ALTER TABLE CITY.buildings ADD COLUMN owner text DEFAULT 'city'")
    city.sql("UPDATE CITY.buildings SET owner = 'state' WHERE fid = 1")
    city.store = open_store(city.folder, city.database)
    assert one(city.store, 1)["properties"]["owner"] == "state"
    assert city.sql("SELECT until, old->>'owner' FROM CITY.twin_past") == [(2, "city")]
    assert city.kept() == []


def test_tables_are_written_anew_without_a_gap(city: City) -> None:
    with psycopg.connect(city.url, autocommit=True) as con:
        con.execute(f"VACUUM FULL {city.schema}.buildings")
    city.store.seq()
    until(lambda: city.store.seq() == 2, seconds=3, what="the repair")
    assert city.kept() == []


def test_numbers_are_kept_to_the_last_digit(foreign: Foreign) -> None:  # noqa: F811
    """-0, curves, and a session that rounds."""
    foreign.run(
        "CREATE TABLE arcs (id bigint PRIMARY KEY, r float8, n numeric, raw bytea, geom geometry);"
        " INSERT INTO arcs VALUES (1, '-0', 1.50, '\\x00', 'SRID=4326;CIRCULARSTRING(25 60, 26 61, 27 60)'),"
        " (2, 0.1::float8 + 0.2, 1e-30, NULL, NULL), (3, 'NaN', 'NaN', NULL, NULL)"
    )
    foreign.open("arcs")
    foreign.run("SET extra_float_digits = -15; UPDATE arcs SET r = 1, n = 2, raw = '\\x01', geom = NULL")
    old = "SELECT old->>'r', old->>'n', old->>'raw', ST_AsText(geom) FROM city.twin_past ORDER BY fid"
    assert foreign.run(old) == [
        ("-0", "1.50", r"\x00", "CIRCULARSTRING(25 60,26 61,27 60)"),
        ("0.30000000000000004", "0.000000000000000000000000000001", None, None),
        ("NaN", "NaN", None, None),
    ]


def test_registered_tables_and_copies_keep_their_rows(foreign: Foreign) -> None:  # noqa: F811
    foreign.run(
        "CREATE TABLE wells (id int PRIMARY KEY, r text, geom geometry(Point, 3067));"
        " INSERT INTO wells VALUES (1, 'a', ST_SetSRID(ST_Point(385000, 6672000), 3067));"
        "CREATE MATERIALIZED VIEW shown AS"
        f" SELECT id, CASE WHEN r = 'a' THEN 'y' ELSE 'z' END AS r, {point()} AS geom FROM wells"
    )
    tables = {"shown": Registered("shown", fid="id", refresh=1), "wells": Registered("wells")}
    store = foreign.open(**tables)
    store.patch("wells", 1, {"properties": {"r": "b"}}, by=Author(actor="ben"))
    # outside the area of the CRS: it has no box, and is kept all the same
    foreign.run("UPDATE wells SET geom = ST_SetSRID(ST_Point(1e30, 1e30), 3067)")
    foreign.run("UPDATE wells SET r = 'c'")
    old = "SELECT old->>'r', ST_X(geom) FROM city.twin_past WHERE layer = '{}' ORDER BY until"
    assert foreign.run(old.format("wells")) == [("a", None), (None, 385000.0), ("b", None)]
    places = [store.as_of(seq).rows("wells") for seq in range(store.seq() - 3, store.seq() - 1)]
    assert [rows.properties["r"] for rows in places] == [["a"], ["b"]]
    foreign.run("REFRESH MATERIALIZED VIEW shown")
    until(lambda: foreign.run(old.format("shown")), seconds=5, what="the comparison")
    assert foreign.run(old.format("shown")) == [("y", None)]
    store.close()
    # words alone are no gap; another relation is
    foreign.open(wells=Registered("wells", title={"en": "Wells"}), shown=tables["shown"]).close()
    gaps = "SELECT layer FROM city.twin_kept WHERE seq > (SELECT min(last) FROM city.twin_sets) ORDER BY 1"
    before = foreign.run(gaps)
    foreign.run("CREATE TABLE more AS TABLE wells; ALTER TABLE more ADD PRIMARY KEY (id)")
    foreign.open(wells=Registered("more"))
    assert before == []
    assert foreign.run(gaps) == [("shown",), ("wells",)]


def test_a_restore_keeps_it_all(postgres: Cluster, tmp_path: Path) -> None:
    url = postgres.database()
    store = open_store(tmp_path, Database(url))
    load(store, spec(), grid(3))
    store.patch("buildings", 1, {"properties": {"name": "a"}}, by=Author(actor="anna"))
    store.close()
    postgres.dump(url, tmp_path / "dump")
    copy = postgres.restored(tmp_path / "dump")
    store = open_store(tmp_path / "copy", Database(copy))
    store.patch("buildings", 1, {"properties": {"name": "b"}})
    with psycopg.connect(copy) as con:
        old = con.execute("SELECT until, old->>'name' FROM city.twin_past ORDER BY until").fetchall()
        assert old == [(2, "house 0"), (4, "a")]  # 3: that everything may have changed
        assert con.execute("SELECT actor FROM city.twin_sets ORDER BY id").fetchall()[1] == ("anna",)
        assert con.execute("SELECT layer FROM city.twin_kept").fetchall() == []
        assert con.execute("SELECT seq FROM city.twin_epochs ORDER BY seq").fetchall() == [(0,), (2,)]
    store.close()


def test_a_table_restored_alone_is_a_gap(postgres: Cluster, tmp_path: Path) -> None:
    url = postgres.database()
    store = open_store(tmp_path, Database(url))
    load(store, spec(), grid(3))
    postgres.dump(url, tmp_path / "dump", "city.buildings")
    store.patch("buildings", 1, {"properties": {"name": "a"}})
    with psycopg.connect(url, autocommit=True) as con:
        con.execute("DROP TABLE city.buildings CASCADE")
    postgres.restore(url, tmp_path / "dump")
    until(lambda: one(store, 1)["properties"]["name"] == "house 0", seconds=5, what="the repair")
    with psycopg.connect(url) as con:
        (gap,) = con.execute("SELECT layer, why FROM city.twin_kept").fetchall()
    assert gap == ("buildings", "gap")
    store.close()


@pytest.fixture
def format4(postgres: Cluster) -> str:
    """A city as the version before made it: buildings, of which one has a body, and a registered table."""
    return postgres.database(script=ROOT / "tests/golden/postgis_format4.sql")


def test_a_city_of_the_format_before_begins_its_history(format4: str, tmp_path: Path) -> None:
    wells = {"wells": Registered("public.wells")}
    store = open_store(tmp_path, Database(format4, tables=wells))
    assert [len(features(store, layer)) for layer in ("buildings", "wells")] == [4, 2]
    since = store.seq()
    for layer in ("buildings", "wells"):
        store.delete(layer, 1)
    assert [one.layer for one in store.change_sets(actor="ben")] == ["wells"]
    store.close()
    with psycopg.connect(format4) as con:
        sets = con.execute("SELECT id, first, last, actor, via FROM city.twin_sets ORDER BY id").fetchall()
        assert sets[:3] == [(1, 3, 3, "anna", "api"), (2, 4, 4, "ben", "api"), (3, 5, 5, "anna", "api")]
        old = con.execute("SELECT layer, old::text FROM city.twin_past ORDER BY until").fetchall()
        assert [layer for layer, _ in old] == ["buildings", "wells"]
        assert json.loads(old[0][1])["name"] == "second"
        assert con.execute("SELECT format, since FROM city.twin_meta").fetchall() == [(schema.FORMAT, 5)]
        assert con.execute("SELECT to_regclass('city.twin_actors')").fetchone() == (None,)
    again = open_store(tmp_path, Database(format4, tables=wells))
    assert again.seq() == since + 2
    again.close()
