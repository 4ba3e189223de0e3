"""A registered table in its own CRS answers a spatial filter as an embedded layer in lon/lat does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import psycopg
import pytest
import shapely

from layers import crs
from layers.cql.parse import parse
from layers.errors import BadParameter
from layers.query import Query
from layers.store import geopackage
from layers.store.base import LayerSpec, Store
from layers.store.counting import FEW
from layers.store.database import Database, Registered
from layers.store.open import open_store
from layers.types import Bbox, Field
from tests.postgres import Cluster
from tests.storing import fids, load, row

#: Finland's grid, a zone of China's, and degrees with another SRID than 4326.
PLACES: dict[int, Bbox] = {
    3067: (24.0, 60.0, 26.0, 61.0),
    4549: (119.0, 30.0, 121.0, 31.0),
    4490: (119.0, 30.0, 121.0, 31.0),
}
OPS = (
    *("S_INTERSECTS", "S_DISJOINT", "S_WITHIN", "S_CONTAINS"),
    *("S_TOUCHES", "S_OVERLAPS", "S_CROSSES", "S_EQUALS"),
)


def shapes(rng: Random, box: Bbox, count: int) -> list[Any]:
    """Points, lines and polygons of up to some kilometres, nowhere on a common line."""
    out = []
    for i in range(count):
        x, y = rng.uniform(box[0], box[2]), rng.uniform(box[1], box[3])
        size = rng.uniform(0.001, 0.05)
        kinds = (
            shapely.Point(x, y),
            shapely.LineString([(x, y), (x + size, y + size / 3)]),
            shapely.box(x, y, x + size, y + size / 2),
        )
        out.append(kinds[i % 3])
    return out


@pytest.fixture(scope="module", params=[*PLACES, -3067], ids=lambda srid: str(srid).replace("-", "searched "))
def stores(
    request: pytest.FixtureRequest, postgres: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[int, Store, Store]]:
    """The EPSG code, and both stores; of one grid also as if the table were too large to be gathered."""
    srid: int = abs(request.param)
    few = 0 if request.param < 0 else FEW
    url = postgres.database()
    made = np.array(shapes(Random(srid), PLACES[srid], 120), object)
    moved = crs.shapes_from_lonlat(made, f"EPSG:{srid}")
    if crs.swaps(f"EPSG:{srid}"):
        moved = shapely.transform(moved, lambda xy: xy[:, [1, 0]])
    with psycopg.connect(url, autocommit=True) as con:
        con.execute(f"CREATE TABLE places (id int PRIMARY KEY, geom geometry(Geometry, {srid}))")
        con.cursor().executemany(
            f"INSERT INTO places VALUES (%s, ST_GeomFromWKB(%s, {srid}))",
            [(i, shapely.to_wkb(s)) for i, s in enumerate(moved.tolist(), 1)],
        )
        con.execute("INSERT INTO places VALUES (900, NULL)")
        con.execute("CREATE INDEX ON places USING gist (geom)")
    folder = tmp_path_factory.mktemp("registered")
    database = open_store(folder, Database(url, tables={"places": Registered("places")}), few)
    embedded = geopackage.open(folder / "city.gpkg")
    spec = LayerSpec("places", "feature", {}, (Field("name", "string"),), "Geometry", "EPSG:4326")
    load(embedded, spec, [row(None, s) for s in made.tolist()])
    yield srid, embedded, database
    embedded.close()
    database.close()


def find(store: Store, filter_: str) -> list[int]:
    found = parse(filter_, "cql2-text", store.layer("places"))
    return [fid for fid in fids(store, "places", filter=found) if fid != 900]


def test_relations_with_literals_large_and_small(stores: tuple[int, Store, Store]) -> None:
    srid, embedded, database = stores
    rng = Random(srid + 1)
    box = PLACES[srid]
    found = 0
    for number in range(120):
        literal = shapes(rng, box, 3)[number % 3]
        if number % 4 == 0:
            west, south = rng.uniform(box[0], box[2]), rng.uniform(box[1], box[3])
            literal = shapely.box(west, south, west + rng.uniform(0.1, 1), south + rng.uniform(0.1, 0.7))
        op = OPS[number % len(OPS)]
        condition = f"{op}(geometry, {shapely.to_wkt(literal, rounding_precision=-1)})"
        if number % 3 == 0:
            condition = f"NOT {condition}"
        expected = find(embedded, condition)
        assert find(database, condition) == expected, condition
        found += len(expected)
    assert found > 500


@pytest.mark.parametrize("op", OPS)
def test_literals_beyond_the_area_of_the_grid(stores: tuple[int, Store, Store], op: str) -> None:
    _, embedded, database = stores
    for literal in (
        "BBOX(-180, -90, 180, 90)",
        "BBOX(-70, -50, -60, -40)",
        "BBOX(170, 0, -170, 80)",
        "POINT(-60 0)",
    ):
        condition = f"{op}(geometry, {literal})"
        assert find(database, condition) == find(embedded, condition), condition


def test_the_world_holds_everything(stores: tuple[int, Store, Store]) -> None:
    _, _, database = stores
    assert len(find(database, "S_WITHIN(geometry, BBOX(-180, -90, 180, 90))")) == 120
    page = database.items("places", Query(limit=1000))
    assert len(json.loads(b"[" + page.features + b"]")) == 121


def test_a_long_straight_edge_in_degrees_stays_straight(stores: tuple[int, Store, Store]) -> None:
    srid, embedded, database = stores
    west, south, east, north = PLACES[srid]
    middle = (south + north) / 2
    strip = f"POLYGON(({west} {middle}, {east} {middle}, {east} {north}, {west} {north}, {west} {middle}))"
    inside = find(embedded, f"S_INTERSECTS(geometry, {strip})")
    assert 30 < len(inside) < 100
    assert find(database, f"S_INTERSECTS(geometry, {strip})") == inside


def test_an_unknown_property_is_named(stores: tuple[int, Store, Store], tmp_path: Path) -> None:
    _, _, database = stores
    with pytest.raises(BadParameter, match="there is no property name"):
        find(database, "name = 'x'")
