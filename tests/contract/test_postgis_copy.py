"""Columns of a stage as PostgreSQL receives them: what it has read is what was sent."""

from __future__ import annotations

import psycopg
import pyarrow as pa
import pytest
import shapely
from shapely.geometry.base import BaseGeometry

from layers.store.postgis import binary_copy
from layers.types import FieldType
from tests.postgres import TEMPLATE, Cluster

COLUMNS: dict[FieldType, tuple[str, pa.DataType, list[object]]] = {
    "string": ("text", pa.string(), ["", "楼 é\n\t\\N", "x" * 100_000, None]),
    "integer": ("bigint", pa.int64(), [0, -(2**63), 2**63 - 1, None]),
    "number": ("double precision", pa.float64(), [0.1, -1e308, 5e-324, None]),
    "boolean": ("boolean", pa.bool_(), [True, False, True, None]),
    "date": ("date", pa.string(), ["0001-01-01", "9999-12-31", "1970-01-01", None]),
    "datetime": (
        "timestamp with time zone",
        pa.string(),
        ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "2000-02-29T12:00:00.123456Z", None],
    ),
    "array": ("jsonb", pa.string(), ["[]", '["a",1,null,true]', "[1.5]", None]),
}
SHAPES = (
    "POINT (1 2)",
    "POINT Z (1 2 3)",
    "POINT EMPTY",
    "LINESTRING (0 0, 1 1)",
    "POLYGON ((0 0, 4 0, 4 4, 0 0), (1 0.5, 2 0.5, 2 1, 1 0.5))",
    "MULTIPOINT Z ((1 2 3), (4 5 6))",
    "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))",
    "GEOMETRYCOLLECTION (POINT (1 2), LINESTRING (0 0, 1 1))",
)


@pytest.fixture(scope="module")
def con(postgres: Cluster) -> psycopg.Connection:  # type: ignore[misc]
    with postgres.connect("postgres") as admin:
        admin.execute(f"CREATE DATABASE copied TEMPLATE {TEMPLATE}")
        with postgres.connect("copied") as opened:
            yield opened
        admin.execute("DROP DATABASE copied WITH (FORCE)")


def test_values_of_every_type(con: psycopg.Connection) -> None:
    names = [f"c{i}" for i in range(len(COLUMNS))]
    typed = ", ".join(f"{n} {sql}" for n, (sql, _, _) in zip(names, COLUMNS.values(), strict=True))
    con.execute(f"CREATE TEMP TABLE sent (n bigint GENERATED ALWAYS AS IDENTITY, {typed})")
    # a column that is a part of a longer one, as a batch's may be
    columns = [pa.array([None, *given], of)[1:] for _, of, given in COLUMNS.values()]
    made = [binary_copy.value(kind, one) for kind, one in zip(COLUMNS, columns, strict=True)]
    _send(con, f"COPY sent ({', '.join(names)}) FROM STDIN WITH (FORMAT BINARY)", made)
    con.execute("SET TIME ZONE 'UTC'")
    for name, (sql, _, given) in zip(names, COLUMNS.values(), strict=True):
        asked = f"SELECT {name} IS NOT DISTINCT FROM %s::{sql} FROM sent ORDER BY n OFFSET %s LIMIT 1"
        for at, one in enumerate(given):
            text = one if one is None or isinstance(one, str) else repr(one)
            assert con.execute(asked, (text, at)).fetchone() == (True,), (name, one)


def test_geometries(con: psycopg.Connection) -> None:
    shapes = [shapely.from_wkt(text) for text in SHAPES]
    sent = _geometries(con, shapes)
    assert [srid for _, srid in sent] == [4326] * len(SHAPES)
    for got, shape in zip(sent, shapes, strict=True):
        assert shapely.from_wkb(got[0]).normalize().wkb == shape.normalize().wkb


def _geometries(con: psycopg.Connection, shapes: list[BaseGeometry]) -> list[tuple[bytes, int]]:
    con.execute("CREATE TEMP TABLE placed (n bigint GENERATED ALWAYS AS IDENTITY, geom geometry NOT NULL)")
    wkb = pa.array(list(shapely.to_wkb(shapes, byte_order=1, flavor="iso")), pa.binary())
    _send(con, "COPY placed (geom) FROM STDIN WITH (FORMAT BINARY)", [binary_copy.geometry(wkb, 4326)])
    sql = "SELECT ST_AsBinary(geom), ST_SRID(geom) FROM placed ORDER BY n"
    return [(bytes(one), srid) for one, srid in con.execute(sql).fetchall()]


def test_no_row_is_a_stream_too(con: psycopg.Connection) -> None:
    con.execute("CREATE TEMP TABLE none (a text, b bigint)")
    columns = [binary_copy.value("string", pa.array([], pa.string())), pa.array([], pa.binary())]
    _send(con, "COPY none (a, b) FROM STDIN WITH (FORMAT BINARY)", columns)
    assert con.execute("SELECT count(*) FROM none").fetchone() == (0,)


def _send(con: psycopg.Connection, sql: str, columns: list[pa.Array]) -> None:
    with con.cursor() as cursor, cursor.copy(sql) as copy:  # type: ignore[arg-type]
        for piece in binary_copy.rows(columns):
            copy.write(piece)
