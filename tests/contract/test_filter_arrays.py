"""Filters on arrays of every member that CQL2 knows, and on whole numbers beyond 64 bits."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import shapely

from layers.cql.parse import parse
from layers.cql.text import read
from layers.store.base import LayerSpec, Store
from layers.store.database import Database
from layers.store.open import open_store
from layers.types import Field
from tests.contract.conftest import STORES
from tests.contract.registering import Foreign, foreign, point
from tests.postgres import Cluster
from tests.storing import fids, load, row

__all__ = ["foreign"]
WHOLE = LayerSpec(
    "wells", "feature", {}, (Field("长整", "integer"), Field("depth", "number")), "Point", "EPSG:4326"
)
ARRAYS = f"""
CREATE TABLE marks (id int PRIMARY KEY, geom geometry(Point, 4326), made date, seen timestamptz, days date[],
  times timestamptz[], clocks timestamp[], grid int[][], sizes numeric[], bodies jsonb[]);
INSERT INTO marks VALUES
 (1, {point()}, '2020-02-29', '2020-01-01 02:00:00.1239+02', '{{2020-02-29,2021-01-01}}',
  '{{2020-01-01 02:00:00.1239+02,2020-01-01 00:00:00Z}}', '{{2020-01-01 00:00:00.5}}', '{{{{1,2}},{{3,4}}}}',
  '{{1.50,2}}', ARRAY['{{"type": "Point", "coordinates": [25, 60.0]}}', '{{"a": [1]}}']::jsonb[]),
 (2, {point()}, 'infinity', '-infinity', '{{2020-02-29}}', '{{infinity,2020-01-01 00:00:00.123Z}}', '{{}}',
  '{{{{2,1}},{{3,4}}}}', '{{1.5}}', ARRAY['[1, 2]', '2']::jsonb[]),
 (3, {point()}, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
"""


@pytest.fixture(scope="module")
def marks(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The arrays of another program, which are only read."""
    other = Foreign(postgres.database(), tmp_path_factory.mktemp("marks"))
    other.run(ARRAYS)
    yield other.open("marks")
    other.close()


@pytest.fixture(scope="module", params=STORES)
def wells(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The ends of what 64 bits hold, which are only read."""
    database = None
    if request.param == "postgis":
        database = Database(request.getfixturevalue("shared_database"), schema="wells")
    store = open_store(tmp_path_factory.mktemp("wells"), database)
    values = [(2**63 - 1, 2.0**63), (-(2**63), 0.5), (7, 1.0), (None, None)]
    load(store, WHOLE, [row(None, shapely.Point(25, 60), **{"长整": w, "depth": d}) for w, d in values])
    yield store
    store.close()


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ("A_CONTAINS(days, (DATE('2020-02-29')))", [1, 2]),
        ("A_EQUALS(days, (DATE('2020-02-29')))", [2]),
        ("A_CONTAINS(days, (made))", [1]),
        ("NOT A_CONTAINS(days, (made))", [2]),
        ("A_CONTAINS(times, (TIMESTAMP('2020-01-01T01:00:00+01:00')))", [1]),
        ("A_CONTAINS(times, (TIMESTAMP('2020-01-01T00:00:00.123Z')))", [1, 2]),
        ("A_CONTAINS(times, (seen))", [1]),
        ("A_OVERLAPS(times, ('infinity', 3))", [2]),
        ("A_EQUALS(clocks, (TIMESTAMP('2020-01-01T00:00:00.5Z')))", [1]),
        ("A_EQUALS(clocks, ())", [2]),
        ("A_CONTAINS(grid, ((1, 2)))", [1]),
        ("A_CONTAINS(grid, ((1)))", []),
        ("A_OVERLAPS(grid, ((2, 1), (4, 3)))", [2]),
        ("A_OVERLAPS(grid, (1, 2, 3, 4))", []),
        ("A_EQUALS(grid, ((3, 2 + 2), (1, char_length('ab')), (1.0, 2)))", [1]),
        ("A_CONTAINEDBY(sizes, (3 / 2, 2, 'x'))", [1, 2]),
        ("A_CONTAINS(bodies, (POINT(25 60)))", [1]),
        ("A_CONTAINS(bodies, (POINT(25 61)))", []),
        ("A_CONTAINS(bodies, (BBOX(25,60,25,60)))", [1]),
        ("A_CONTAINS(bodies, ((1, 2), 2))", [2]),
        ("A_CONTAINS((bodies, 1), (((1, 2), 2)))", [2]),
        ("A_CONTAINS(((1, 2), days), (days))", [1, 2, 3]),
        ("A_EQUALS((INTERVAL(made,'..')), ((DATE('2020-02-29'),'..')))", [1]),
    ],
)
def test_arrays_of_another_program(marks: Store, filter_: str, expected: list[int]) -> None:
    assert fids(marks, "marks", filter=parse(filter_, "cql2-text", marks.layer("marks"))) == expected


def test_instants_in_arrays_are_spelt_like_single_ones(foreign: Foreign) -> None:
    foreign.run(ARRAYS)
    foreign.run("ALTER TABLE marks ADD era timestamptz[][]")
    eras = "{{0044-03-15 BC,2020-01-01},{infinity,1999-12-31 23:59:59.999999}}"
    foreign.run(f"UPDATE marks SET era = '{eras}' WHERE id = 1")
    store = foreign.open("marks")
    found = json.loads(store.item("marks", 1).body)["properties"]
    assert found["times"] == ["2020-01-01T00:00:00.123Z", "2020-01-01T00:00:00.000Z"]
    assert found["clocks"] == ["2020-01-01T00:00:00.500Z"]
    assert found["seen"] == "2020-01-01T00:00:00.123Z"
    assert found["era"] == [
        ["0044-03-15T00:00:00+00:00 BC", "2020-01-01T00:00:00.000Z"],
        ["infinity", "1999-12-31T23:59:59.999Z"],
    ]
    store.patch("marks", 1, {"properties": {"times": found["times"][1:]}})
    assert foreign.run("SELECT times = '{2020-01-01 00:00:00Z}' FROM marks WHERE id = 1") == [(True,)]


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ("长整 = 9223372036854775808", []),
        ("长整 <> 9223372036854775808", [1, 2, 3]),
        ("长整 = 9223372036854775807", [1]),
        ("长整 >= 9223372036854775808", []),
        ("长整 < 9223372036854775808", [1, 2, 3]),
        ("9223372036854775808 > 长整", [1, 2, 3]),
        ("长整 = -9223372036854775809", []),
        ("长整 > -9223372036854775809", [1, 2, 3]),
        ("长整 <= -9223372036854775808", [2]),
        ("长整 = 1e300", []),
        ("长整 > -1e300", [1, 2, 3]),
        ("长整 < 18446744073709551616", [1, 2, 3]),
        ("长整 IN (9223372036854775808, 7)", [3]),
        ("长整 NOT IN (9223372036854775808, -9223372036854775809, 7.5)", [1, 2, 3]),
        ("长整 IN (9223372036854775806, 7.5)", []),
        ("长整 BETWEEN 9223372036854775808 AND 1e30", []),
        ("长整 BETWEEN -9223372036854775809 AND 9223372036854775808", [1, 2, 3]),
        ("长整 BETWEEN 6.5 AND 9223372036854775806", [3]),
        ("depth = 9223372036854775808", [1]),
        ("depth BETWEEN 9223372036854775807 AND 9223372036854775809", [1]),
        ("depth < 9223372036854775809", [2, 3]),
        ("id < 9223372036854775808", [1, 2, 3, 4]),
        ("长整 * 1 = 9223372036854775808", [1]),
    ],
)
@pytest.mark.parametrize("lang", ["cql2-text", "cql2-json"])
def test_whole_numbers_beyond_64_bits(wells: Store, filter_: str, expected: list[int], lang: str) -> None:
    given = filter_ if lang == "cql2-text" else json.dumps(read(filter_))
    assert fids(wells, "wells", filter=parse(given, lang, wells.layer("wells"))) == expected
