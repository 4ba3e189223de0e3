"""Tables as other programs make them: types, keys, shapes, constraints and rights of every kind."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from layers.cql.parse import parse
from layers.errors import BadBody, Conflict, Exists, NotAllowed, NotEditable, Unavailable, Unreadable
from layers.query import Query
from layers.store import unreadable
from layers.store.base import Store
from layers.store.database import Registered
from layers.types import EDITS
from tests.contract.registering import Foreign, foreign, point
from tests.postgres import Cluster
from tests.storing import features, fids, one
from tests.support import until

__all__ = ["foreign"]  # a fixture

PLACE = {"type": "Point", "coordinates": [25.5, 60.5]}


def feature(geometry: Any = None, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": properties}


TYPES = """
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE types (id bigint PRIMARY KEY, num numeric, big numeric(30,10), code char(5), flags bit(3),
  span interval, clock time, doc jsonb, raw bytea, rate float8, day date, at timestamptz, few positive,
  "percent%s" text, "quo""te" text, "空 格" text, "fid" int, "geometry" text, geom geometry(Point, 4326));
INSERT INTO types (id, num, big, code, flags, span, clock, doc, raw, rate, day, at, few, "percent%s") VALUES
  (9223372036854775807, 1e400::numeric, 1234567890123456789.5, 'ab', B'101', '1 mon 2 days', '10:00',
   '{"k": [1]}', '\\xff', 'NaN', 'infinity', '-infinity', 1, '50%'),
  (-5, 1e-400::numeric, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'Infinity', '0044-03-15 BC', NULL, NULL,
   NULL),
  (0, 'NaN', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '294276-01-01', NULL, NULL, NULL),
  (1, -2.5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
"""


def test_values_beyond_what_json_can_say(foreign: Foreign) -> None:
    foreign.run(TYPES)
    store = foreign.open("types")
    assert fids(store, "types") == [-5, 0, 1, 2**63 - 1]
    last = one(store, 2**63 - 1, "types")["properties"]
    assert last.items() >= {
        "num": None, "big": 1234567890123456789.5, "code": "ab", "flags": "101", "span": "1 mon 2 days",
        "clock": "10:00:00", "doc": '{"k": [1]}', "rate": None, "day": None, "at": None, "few": "1",
        "percent%s": "50%",
    }.items()  # fmt: skip
    assert "raw" not in last
    assert [one(store, fid, "types")["properties"]["num"] for fid in (-5, 0, 1)] == [0.0, None, -2.5]
    layer = store.layer("types")
    assert fids(store, "types", filter=parse("num < 0", "cql2-text", layer)) == [1]
    assert fids(store, "types", limit=2, after=(0,)) == [1, 2**63 - 1]
    assert store.rows("types").fids.tolist() == []


def test_values_are_written_as_long_as_they_are(foreign: Foreign) -> None:
    foreign.run(TYPES)
    store = foreign.open("types")
    given = {"code": "abcde", "flags": "010", "span": "3 days", "clock": "11:30:00", "doc": '{"a": 1}',
             "percent%s": "%", 'quo"te': "q", "空 格": "字", "fid": 7, "geometry": "g"}  # fmt: skip
    store.patch("types", 1, {"properties": given})
    assert one(store, 1, "types")["properties"].items() >= given.items()
    for name, value in {
        "code": "abcdef",
        "flags": "01",
        "span": "often",
        "doc": "{",
        "few": "-1",
        "big": 1e25,
    }.items():
        with pytest.raises(BadBody):
            store.patch("types", 1, {"properties": {name: value}})
    with pytest.raises(BadBody, match="properties: span: a value does not fit"):
        store.patch("types", 1, {"properties": {"clock": "12:00", "span": "often", "doc": "{}"}})


SHAPES = (
    "POINT M(385000 6672000 5)", "POINT ZM(385000 6672000 5 6)",
    "LINESTRING M(385000 6672000 5, 385100 6672000 7)",
    "CURVEPOLYGON(CIRCULARSTRING(385000 6672000,385100 6672100,385200 6672000,385100 6671900,"
    "385000 6672000))",
    "CIRCULARSTRING(385000 6672000,385100 6672100,385200 6672000)",
    "COMPOUNDCURVE(CIRCULARSTRING(385000 6672000,385100 6672100,385200 6672000),"
    "(385200 6672000,385300 6672000))",
    "MULTICURVE((385000 6672000,385100 6672000))",
    "MULTISURFACE(((385000 6672000,385100 6672000,385100 6672100,385000 6672000)))",
    "TIN Z(((385000 6672000 1,385100 6672000 1,385100 6672100 1,385000 6672000 1)))",
    "TRIANGLE((385000 6672000,385100 6672000,385100 6672100,385000 6672000))",
    "POLYHEDRALSURFACE Z(((385000 6672000 0,385100 6672000 0,385100 6672100 0,385000 6672000 0)))",
    "GEOMETRYCOLLECTION(POINT(385000 6672000),LINESTRING(385000 6672000,385100 6672000))",
    "POLYGON((385000 6672000,385100 6672100,385100 6672000,385000 6672100,385000 6672000))",
)  # fmt: skip
NOWHERE = ("POINT EMPTY", "POLYGON EMPTY", "CURVEPOLYGON EMPTY", "GEOMETRYCOLLECTION EMPTY",
           "POINT(1e300 1e300)",
           "GEOMETRYCOLLECTION(TIN(((385000 6672000,385100 6672000,385100 6672100,385000"
           " 6672000))))")  # fmt: skip
AS_SERVED = ["Point", "Point", "LineString", "Polygon", "LineString", "LineString", "MultiLineString",
             "MultiPolygon", "MultiPolygon", "MultiPolygon", "MultiPolygon", "GeometryCollection",
             "Polygon"]  # fmt: skip


@pytest.fixture
def shapes(foreign: Foreign) -> Store:
    """Geometries of every type in one column of no declared type, and one in another CRS."""
    foreign.run("CREATE TABLE shapes (id serial PRIMARY KEY, name text, geom geometry)")
    for text in (*SHAPES, *NOWHERE):
        foreign.run(f"INSERT INTO shapes (geom) VALUES ('SRID=3067;{text}')")
    foreign.run("INSERT INTO shapes (geom) VALUES (NULL), ('SRID=4326;POINT(25 60)'), ('POINT(1 1)')")
    foreign.run("CREATE INDEX ON shapes USING gist (geom)")
    return foreign.open("shapes")


def test_shapes_that_geojson_has_not_are_given_as_those_it_has(shapes: Store) -> None:
    found = [f["geometry"] for f in features(shapes, "shapes")]
    assert [g["type"] for g in found[: len(SHAPES)]] == AS_SERVED
    assert found[len(SHAPES) :] == [None] * (len(NOWHERE) + 3)
    assert found[0]["coordinates"] == pytest.approx([24.927457713, 60.168666], abs=1e-7)
    assert [len(found[i]["coordinates"]) for i in (0, 1)] == [2, 3]
    assert len(found[3]["coordinates"][0]) > 100
    assert found[8]["coordinates"][0][0][0][2] == 1.0
    layer = shapes.layer("shapes")
    assert layer.count == len(SHAPES) + len(NOWHERE) + 3
    assert layer.extent is not None


def test_boxes_and_filters_on_shapes_of_every_type(shapes: Store) -> None:
    placed = list(range(1, len(SHAPES) + 1))
    here, away = (24.9, 60.1, 25.0, 60.2), (10.0, 50.0, 11.0, 51.0)
    assert fids(shapes, "shapes", bbox=here)[: len(SHAPES)] == placed
    assert not set(fids(shapes, "shapes", bbox=away)) & set(placed)
    layer = shapes.layer("shapes")
    for text, expected in (
        ("S_INTERSECTS(geometry, BBOX(24.9, 60.1, 25.0, 60.2))", placed),
        ("S_INTERSECTS(geometry, BBOX(10, 50, 11, 51))", []),
        ("S_DISJOINT(geometry, BBOX(10, 50, 11, 51))", placed),
    ):
        found = fids(shapes, "shapes", filter=parse(text, "cql2-text", layer))
        assert [fid for fid in found if fid in placed] == expected, text
    shown = [fid for fid in shapes.rows("shapes").fids.tolist() if fid in placed]
    assert shown == placed
    scanned = [fid for rows in shapes.scan("shapes", Query(limit=None)) for fid in rows.fids.tolist()]
    assert len(scanned) == layer.count


def test_a_curve_that_is_sent_back_as_it_was_read_stays_one(shapes: Store, foreign: Foreign) -> None:
    read = one(shapes, 4, "shapes")
    shapes.replace(
        "shapes", 4, {k: read[k] for k in ("type", "geometry", "properties")} | {"properties": {"name": "n"}}
    )
    assert foreign.run("SELECT name, ST_HasArc(geom) FROM shapes WHERE id = 4") == [("n", True)]
    shapes.patch("shapes", 4, {"geometry": PLACE})
    assert one(shapes, 4, "shapes")["geometry"]["coordinates"] == pytest.approx(PLACE["coordinates"])


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ("id text PRIMARY KEY", "no primary key of one integer"),
        ("id int, part int, PRIMARY KEY (id, part)", "no primary key of one integer"),
    ],
)
def test_keys_that_are_none(foreign: Foreign, column: str, reason: str) -> None:
    foreign.run(f"CREATE TABLE keyed ({column}, geom geometry(Point, 4326))")
    store = foreign.open("keyed")
    with pytest.raises(Unavailable, match=reason):
        store.items("keyed", Query())


@pytest.mark.parametrize("column", ["id int UNIQUE DEFERRABLE NOT NULL", "id int UNIQUE", "id int"])
def test_a_number_that_is_no_key_is_proven_by_the_rows(foreign: Foreign, column: str) -> None:
    foreign.run(f"CREATE TABLE keyed ({column}, geom geometry(Point, 4326)); INSERT INTO keyed VALUES (7)")
    store = foreign.open(keyed=Registered("keyed", fid="id"))
    assert (fids(store, "keyed"), store.layer("keyed").edits) == ([7], ())


STRICT = f"""
CREATE TABLE owners (id int PRIMARY KEY);
INSERT INTO owners VALUES (1);
CREATE TYPE colour AS ENUM ('red');
CREATE TABLE strict (id serial PRIMARY KEY, owner int REFERENCES owners, code text UNIQUE, need text NOT NULL,
  n int CONSTRAINT n_small CHECK (n < 10), c colour, twice int GENERATED ALWAYS AS (n * 2) STORED,
  turn int GENERATED ALWAYS AS IDENTITY, geom geometry(Point, 4326), EXCLUDE USING gist (geom WITH &&));
CREATE TABLE children (id int REFERENCES strict);
INSERT INTO strict (owner, code, need, n, geom) VALUES (1, 'a', 'x', 1, {point()}), (1, 'b', 'x', 2, NULL);
INSERT INTO children VALUES (1);
"""


@pytest.mark.parametrize(
    ("properties", "error", "reason"),
    [
        ({}, BadBody, "need: must not be null"),
        ({"need": "x", "code": "a"}, Exists, "strict_code_key"),
        ({"need": "x", "owner": 9}, BadBody, "strict_owner_fkey"),
        ({"need": "x", "n": 10}, BadBody, "n_small"),
        ({"need": "x", "c": "blue"}, BadBody, "c: a value does not fit"),
    ],
)
def test_constraints_are_named(
    foreign: Foreign, properties: dict[str, Any], error: type[Exception], reason: str
) -> None:
    foreign.run(STRICT)
    store = foreign.open("strict")
    before = store.seq()
    with pytest.raises(error, match=reason):
        store.create("strict", feature(**properties))
    if properties:
        with pytest.raises(error, match=reason):
            store.patch("strict", 2, {"properties": properties})
    assert store.seq() == before
    with pytest.raises(Conflict, match="children_id_fkey"):
        store.delete("strict", 1)
    with pytest.raises(Conflict, match="strict_geom_excl"):
        store.create("strict", feature({"type": "Point", "coordinates": [25, 60]}, need="x"))
    assert store.create("strict", feature(PLACE, need="x"))[0] > 2


def test_columns_that_the_database_computes(foreign: Foreign) -> None:
    foreign.run(STRICT)
    store = foreign.open("strict")
    assert {f.name for f in store.layer("strict").fields if f.read_only} == {"twice", "turn"}
    read = one(store, 2, "strict")
    body = {"type": "Feature", "geometry": None, "properties": read["properties"] | {"n": 4}}
    store.replace("strict", 2, body)
    assert one(store, 2, "strict")["properties"] == read["properties"] | {"n": 4, "twice": 8}
    with pytest.raises(BadBody, match="twice: computed by the database"):
        store.patch("strict", 2, {"properties": {"twice": 3}})


def test_a_table_that_numbers_no_features_takes_no_new_ones(foreign: Foreign) -> None:
    foreign.run(
        "CREATE TABLE plain (id int PRIMARY KEY, geom geometry(Point, 4326)); INSERT INTO plain VALUES (1)"
    )
    store = foreign.open("plain")
    with pytest.raises(NotEditable, match="id numbers none"):
        store.create("plain", feature())
    store.patch("plain", 1, {"geometry": PLACE})


def guest(foreign: Foreign, postgres: Cluster) -> tuple[Store, str]:
    """A store of a role that may read and watch ``shared``, and the name of the role."""
    role = f"guest_{foreign.name}"
    foreign.run(
        "CREATE TABLE shared (id serial PRIMARY KEY, who text, geom geometry(Point, 4326));"
        "INSERT INTO shared (who) VALUES ('a'), ('b'), ('b');"
        f"CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {foreign.name} TO {role};"
        f"GRANT SELECT, TRIGGER ON shared TO {role}; GRANT USAGE ON SEQUENCE shared_id_seq TO {role}"
    )
    shared = Registered("shared", refresh=0.3)
    return foreign.open(url=postgres.url(foreign.name, role), shared=shared), role


def test_what_may_be_edited_follows_the_rights_of_the_role(foreign: Foreign, postgres: Cluster) -> None:
    store, role = guest(foreign, postgres)
    assert store.layer("shared").edits == ()
    with pytest.raises(NotEditable, match="no right to INSERT, UPDATE, DELETE"):
        store.delete("shared", 1)
    for right, edits in (("UPDATE (who)", ("update",)), ("INSERT", ("create", "update")), ("DELETE", EDITS)):
        foreign.run(f"GRANT {right} ON shared TO {role}")
        until(lambda e=edits: store.layer("shared").edits == e, seconds=3, what=f"the right to {right}")
    store.patch("shared", 1, {"properties": {"who": "c"}})
    with pytest.raises(NotAllowed, match="lacks a right"):
        store.patch("shared", 1, {"geometry": PLACE})
    assert store.layer("shared").fixed_because == ""
    assert one(store, 1, "shared")["properties"]["who"] == "c"


def test_rows_that_a_policy_hides_are_not_shown(foreign: Foreign, postgres: Cluster) -> None:
    """Under row-level security a trigger would tell of rows that nobody sees: the table is copied."""
    store, role = guest(foreign, postgres)
    foreign.run(
        f"GRANT INSERT, UPDATE, DELETE ON shared TO {role}; ALTER TABLE shared ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY own ON shared USING (who = 'b')"
    )
    until(lambda: store.layer("shared").count == 2, seconds=4, what="the policy")
    since = store.seq()
    foreign.run("INSERT INTO shared (who) VALUES ('hidden'), ('b')")
    until(lambda: fids(store, "shared") == [2, 3, 5], seconds=4, what="the row that the policy shows")
    assert [c.fid for c in store.changes(since)] == [5]
    assert store.items("shared", Query(limit=1)).matched == store.layer("shared").count == 3
    with pytest.raises(NotEditable, match="read again every"):
        store.patch("shared", 2, {"properties": {"who": "b"}})
    foreign.run(
        "CREATE TABLE staff (who text); GRANT SELECT ON staff TO PUBLIC;"
        "ALTER POLICY own ON shared USING (who IN (SELECT who FROM staff))"
    )
    until(lambda: fids(store, "shared") == [], seconds=4, what="the other policy")
    foreign.run("ALTER TABLE shared DISABLE ROW LEVEL SECURITY")
    until(lambda: store.layer("shared").edits == EDITS, seconds=4, what="a table without policies")
    assert fids(store, "shared") == [1, 2, 3, 4, 5]


def test_views_are_only_read(foreign: Foreign) -> None:
    """Also those that PostgreSQL could update: what is shown of them is a copy."""
    foreign.run(
        "CREATE TABLE wells (id serial PRIMARY KEY, geom geometry(Point, 4326));"
        f"INSERT INTO wells (geom) VALUES ({point()}); CREATE VIEW simple AS SELECT * FROM wells;"
        "CREATE VIEW whole AS SELECT 1 AS id, ST_Collect(geom) AS geom FROM wells;"
        "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER instead INSTEAD OF INSERT OR UPDATE OR DELETE ON whole"
        " FOR EACH ROW EXECUTE FUNCTION nothing()"
    )
    store = foreign.open(simple=Registered("simple", fid="id"), whole=Registered("whole", fid="id"))
    for layer in ("simple", "whole"):
        known = store.layer(layer)
        assert (known.edits, known.count) == ((), 1)
        for call in (
            lambda one=layer: store.create(one, feature()),
            lambda one=layer: store.patch(one, 1, {"geometry": PLACE}),
            lambda one=layer: store.replace(one, 1, feature(PLACE)),
            lambda one=layer: store.delete(one, 1),
        ):
            with pytest.raises(NotEditable, match="read again every 10 s"):
                call()


def test_a_geometry_nested_too_deep_costs_itself_only(
    foreign: Foreign, caplog: pytest.LogCaptureFixture
) -> None:
    nested = "GEOMETRYCOLLECTION(" * 20 + "POINT(25 60)" + ")" * 20
    foreign.run(
        "CREATE TABLE deep (id int PRIMARY KEY, name text, geom geometry);"
        f" INSERT INTO deep VALUES (1, 'a', {point()}), (2, 'b', 'SRID=4326;{nested}'), (3, 'c', {point()})"
    )
    store = foreign.open("deep")
    unreadable._logged.clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert {f["id"]: f["geometry"] is None for f in features(store, "deep")} == {
                1: False,
                2: True,
                3: False,
            }
            assert store.rows("deep").fids.tolist() == [1, 3]
            assert [n for rows in store.scan("deep", Query()) for n in rows.fids] == [1, 2, 3]
            with pytest.raises(Unreadable, match="feature 2 of layer deep"):
                store.item("deep", 2)
    assert len([r for r in caplog.records if "16 deep" in r.getMessage()]) == 1
