"""Old rows of a PostGIS city leave out what the next version has, too, and are read whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import shapely

from layers.batch import MESH
from layers.mesh import Mesh
from layers.query import Query, Sort
from layers.store.base import Readable
from layers.store.database import Database, Registered
from layers.store.open import open_store
from layers.store.postgis import PostgisStore, layer_table, pruning, schema
from layers.store.postgis.ddl import DdlTarget
from layers.types import Field
from tests.contract.test_postgis_kept import City
from tests.postgres import Cluster
from tests.storing import FIELDS, features, grid, load, one, spec, square, tetrahedron
from tests.support import ROOT

VERSIONS = 60


@pytest.fixture
def city(shared_database: str, tmp_path: Path) -> Iterator[City]:
    made = City(shared_database, tmp_path)
    rows = grid(3)
    rows[1][MESH] = tetrahedron(25, 60).to_bytes()
    load(made.store, spec(), rows)
    yield made
    made.store.close()


def lent(city: City, fid: int = 1) -> list[int]:
    return [row[0] for row in city.sql(f"SELECT lent FROM CITY.twin_past WHERE fid = {fid} ORDER BY until")]


def test_a_row_has_what_the_next_version_has_not(city: City) -> None:
    store = city.store
    store.patch("buildings", 2, {"properties": {"name": "a"}})
    store.patch("buildings", 2, {"properties": {"name": None, "levels": 7}})
    store.patch("buildings", 2, {})
    store.patch("buildings", 2, {"geometry": None})  # and its body goes
    rows = city.sql("SELECT lent, old::text, geom IS NULL, mesh IS NULL FROM CITY.twin_past ORDER BY until")
    assert rows[0] == (7, '{"name":"house 1"}', True, True)
    assert (rows[1][0], json.loads(rows[1][1])["name"]) == (7, "a")
    assert rows[2] == (7, None, True, True)
    assert rows[3][::2] == (1, False)
    assert not rows[3][3]
    bodies = [store.as_of(seq).rows("buildings", [2], meshes=True).meshes for seq in (1, 2, 3, 4)]
    assert all(one[2].to_bytes() == tetrahedron(25, 60).to_bytes() for one in bodies)
    assert [store.as_of(seq).rows("buildings", [2]).properties["name"][0] for seq in (1, 2, 3, 4)] == [
        "house 1",
        "a",
        None,
        None,
    ]


def test_many_versions_are_read_alike_and_after_pruning(city: City) -> None:
    """By id, place, filter and order; of some versions the place is another, a name is null."""
    store = city.store
    known: list[tuple[int, str | None, int, float]] = []
    with psycopg.connect(city.url, autocommit=True) as con:
        con.execute("SELECT setseed(0.5)")
        for n in range(VERSIONS):
            name, levels, lon = (None if n % 7 == 0 else f"n{n // 2}"), n // 5, 10.0 + n // 9
            con.execute(
                f"UPDATE {city.schema}.buildings SET name = %s, levels = %s,"
                " geom = ST_MakeEnvelope(%s, 50, %s, 50.5, 4326) WHERE fid = 1",
                (name, levels, lon, lon + 0.5),
            )
            known.append((store.seq(), name, levels, lon))
    how = lent(city)
    assert 0 not in how[1:8]
    assert 1 < how.count(0) < VERSIONS / 3

    def check(after: int) -> None:
        for seq, name, levels, lon in known:
            if seq < after:
                continue
            past = store.as_of(seq)
            want = {"name": name, "levels": levels}
            for found in (
                json.loads(past.item("buildings", 1).body),
                *_found(past, Query(limit=9, bbox=(lon, 50.0, lon + 0.5, 50.5))),
                *_found(
                    past, Query(limit=9, equals=(("levels", levels),), bbox=(lon, 50.0, lon + 0.5, 50.5))
                ),
                *_found(past, Query(limit=9, sort=(Sort("levels", True),), bbox=(9.0, 49.0, 20.0, 51.0))),
            ):
                assert {key: found["properties"][key] for key in want} == want, seq
                assert shapely.from_geojson(json.dumps(found["geometry"])).bounds[0] == lon
            assert 1 in [f["id"] for f in _found(past, Query(limit=9, equals=(("levels", levels),)))]
            ordered = _found(past, Query(limit=9, sort=(Sort("name"), Sort("levels"))))
            assert [f["properties"]["name"] for f in ordered if f["id"] == 1] == [name]
            assert _found(past, Query(limit=9, bbox=(lon + 1, 50.0, lon + 1.5, 50.5))) == []

    check(0)
    half = known[VERSIONS // 2][0]
    city.sql(f"UPDATE CITY.twin_sets SET at = at - interval '100 days' WHERE last <= {half}")
    with psycopg.connect(city.url, autocommit=True) as con:
        while pruning.prune(DdlTarget(con, city.schema, "public")):
            pass
    assert len(lent(city)) == VERSIONS - VERSIONS // 2 - 1
    check(half)


def _found(past: Readable, query: Query) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(b"[" + past.items("buildings", query).features + b"]")
    return found


def test_bodies_that_loads_keep_and_replace(city: City) -> None:
    other = tetrahedron(25, 60, 11).to_bytes()
    body = tetrahedron(25, 60).to_bytes()

    def rows(name: str, *bodies: bytes | None) -> list[dict[str, Any]]:
        made = [{**row, "name": name} for row in grid(3)]
        return [row if one is None else {**row, MESH: one} for row, one in zip(made, bodies, strict=True)]

    loads = [
        rows("same", None, body, None),
        rows("other", other, other, None),
        rows("none", other, None, None),
        rows("none", other, None, None),
        rows("last", other, body, other),
    ]
    seqs = [city.store.seq()]
    for staged in loads:
        load(city.store, spec(), staged)
        seqs.append(city.store.seq())
    assert lent(city, 2) == [7, 3, 3, 3]
    for seq, staged in zip(seqs[1:], loads, strict=True):
        found = city.store.as_of(seq).rows("buildings", meshes=True).meshes
        wanted = {n: row[MESH] for n, row in enumerate(staged, 1) if MESH in row}
        assert {fid: Mesh.to_bytes(mesh) for fid, mesh in found.items()} == wanted


def test_a_field_that_goes_and_comes_back(city: City) -> None:
    store = city.store
    store.patch("buildings", 1, {"properties": {"name": "a"}})
    store.patch("buildings", 2, {"properties": {"height_m": 2.5}})
    store.patch("buildings", 2, {"properties": {"name": "b"}})
    heights = [store.as_of(seq).rows("buildings").properties["height_m"] for seq in (1, 2, 3)]
    fewer = tuple(f for f in FIELDS if f.name != "height_m")
    load(store, spec(fields=fewer), [{k: v for k, v in row.items() if k != "height_m"} for row in grid(3)])
    assert "height_m" not in store.as_of(store.seq()).rows("buildings").properties
    load(store, spec(), [{**row, "height_m": 9.0} for row in grid(3)])
    assert [store.as_of(seq).rows("buildings").properties["height_m"] for seq in (1, 2, 3)] == heights
    retyped = tuple(Field("height_m", "string") if f.name == "height_m" else f for f in FIELDS)
    load(store, spec(fields=retyped), [{**row, "height_m": "high"} for row in grid(3)])
    assert [store.as_of(seq).rows("buildings").properties["height_m"] for seq in (1, 2, 3)] == heights


def test_the_extent_of_every_moment_by_one_scan_between_moves(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, scans = city.store, []
    exact = layer_table.exact_extent
    monkeypatch.setattr(layer_table, "exact_extent", lambda *asked: scans.append(0) or exact(*asked))
    known = {}
    for n in range(6):
        geometry = json.loads(shapely.to_geojson(square(26 + n, 61)))
        store.patch("buildings", 3, {"geometry": geometry} if n % 3 == 2 else {"properties": {"levels": n}})
        known[store.seq()] = store.rows("buildings")
    for _ in range(2):
        for seq, rows in known.items():
            box = store.as_of(seq).layer("buildings").extent
            assert box == tuple(shapely.total_bounds(shapely.from_wkb(rows.wkb)))
        assert len(scans) == 3
        store.patch("buildings", 3, {"properties": {"levels": 70}})
    store.patch("buildings", 3, {"geometry": None})
    assert store.as_of(store.seq()).layer("buildings").extent != store.as_of(seq).layer("buildings").extent


@pytest.fixture
def format5(postgres: Cluster) -> str:
    """A city as the version before made it: edits of buildings, of which one had a body, and of a registered
    table."""
    return postgres.database(script=ROOT / "tests/golden/postgis_format5.sql")


def test_a_city_of_the_format_before_keeps_its_old_rows(format5: str, tmp_path: Path) -> None:
    wells = {"wells": Registered("public.wells")}
    store = open_store(tmp_path, Database(format5, tables=wells))
    assert isinstance(store, PostgisStore)

    def names() -> list[list[Any]]:
        return [[f["properties"]["name"] for f in features(store.as_of(seq))] for seq in (2, 3, 4, 5, 6, 7)]

    def bodies(seq: int) -> list[int]:
        return sorted(store.as_of(seq).rows("buildings", meshes=True).meshes)

    before = names()
    assert before[0] == ["house 0", "house 1", "house 2"]
    assert before[1] == ["a", "house 1", "house 2"]
    assert before[2] == ["a", "b", "house 2"]
    assert before[-1] == ["a", "b"]
    assert bodies(3) == [2]
    store.patch("buildings", 1, {"properties": {"name": "later"}})
    store.patch("buildings", 2, {"properties": {"levels": 77}})
    begun = store.seq()  # before it, nothing is known of a table of another program that was restored
    store.patch("wells", 2, {"properties": {"depth": 77}})
    assert names() == before
    assert bodies(3) == [2]
    assert one(store, 1)["properties"]["name"] == "later"
    assert list(store.as_of(begun).rows("wells").properties["depth"]) == [7, 2]
    store.close()
    with psycopg.connect(format5) as con:
        assert con.execute("SELECT format FROM city.twin_meta").fetchall() == [(schema.FORMAT,)]
        index = con.execute("SELECT pg_get_indexdef('city.twin_pending_xid'::regclass)").fetchone()
        assert index is not None
        assert index[0].endswith("(xid, id)")
        kept = con.execute("SELECT lent FROM city.twin_past ORDER BY until").fetchall()
        assert [row[0] for row in kept] == [0] * 5 + [1, 7, 3]
    open_store(tmp_path, Database(format5, tables=wells)).close()
