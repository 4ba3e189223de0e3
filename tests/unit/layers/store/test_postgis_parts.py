"""The parts of the PostGIS store that need no server: values, names, boxes, columns."""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from layers.errors import BadBody, Busy, Exists, ReadOnly, Unavailable
from layers.store import mark
from layers.store.postgis import connection, epoch, read, schema, values
from layers.store.postgis.introspect import geometry_type
from layers.store.postgis.layer_table import TableColumn, field_type, merge
from layers.types import Field
from layers.values import stored

DEGREES = st.tuples(st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 180), st.floats(-90, 90))


def loaded(loader: type, data: bytes) -> Any:
    return loader(0).load(data)


@given(st.dates())
def test_dates_come_as_they_are_stored(day: date) -> None:
    days = (day - date(2000, 1, 1)).days
    assert loaded(values.DateLoader, struct.pack("!i", days)) == stored("date", day.isoformat())


@given(st.datetimes())
def test_instants_come_as_they_are_stored(moment: datetime) -> None:
    micros = (moment - datetime(2000, 1, 1)) // timedelta(microseconds=1)
    expected = stored("datetime", moment.replace(tzinfo=UTC).isoformat())
    assert loaded(values.InstantLoader, struct.pack("!q", micros)) == expected


@pytest.mark.parametrize("extreme", [-(2**63), 2**63 - 1])
def test_what_no_text_can_say_is_null(extreme: int) -> None:
    assert loaded(values.InstantLoader, struct.pack("!q", extreme)) is None
    assert loaded(values.DateLoader, struct.pack("!i", max(-(2**31), min(2**31 - 1, extreme)))) is None


@given(st.lists(st.one_of(st.text(), st.integers(-(2**53), 2**53), st.booleans(), st.none())))
def test_arrays_come_as_canonical_text(items: list[Any]) -> None:
    assert loaded(values.ArrayLoader, b"\x01" + orjson.dumps(items)) == orjson.dumps(items).decode()


@given(DEGREES)
def test_a_box_as_ewkb(box: tuple[float, float, float, float]) -> None:
    west, east = sorted((box[0], box[2]))
    south, north = sorted((box[1], box[3]))
    shape = shapely.from_wkb(bytes(read.envelope((west, south, east, north))))
    assert shapely.get_srid(shape) == 4326
    assert shape.bounds == (west, south, east, north)
    kinds = {(True, True): "Point", (True, False): "LineString", (False, True): "LineString"}
    assert shape.geom_type == kinds.get((west == east, south == north), "Polygon")


@given(DEGREES)
def test_the_inner_box_is_within_when_rounded_outward(box: tuple[float, float, float, float]) -> None:
    west, east = sorted((box[0], box[2]))
    south, north = sorted((box[1], box[3]))
    inner = read.inside((west, south, east, north))
    if inner is None:
        return
    low, high = np.float32(-np.inf), np.float32(np.inf)
    assert west <= np.nextafter(np.float32(inner[0]), low) or inner[0] == west == 0 or abs(west) < 1e-30
    assert south <= np.nextafter(np.float32(inner[1]), low) or inner[1] == south == 0 or abs(south) < 1e-30
    assert np.nextafter(np.float32(inner[2]), high) <= east or inner[2] == east == 0 or abs(east) < 1e-30
    assert np.nextafter(np.float32(inner[3]), high) <= north or inner[3] == north == 0 or abs(north) < 1e-30


def test_a_box_beyond_32_bit_floats_has_no_inner_one() -> None:
    assert read.inside((1e308, 1e308, 1e308, 1e308)) is None
    assert read.inside((-1e308, -90, 1e308, 90)) is None


@given(st.text(min_size=1, max_size=80))
def test_names_fit_and_stay_apart(name: str) -> None:
    kept = schema.short(name)
    assert len(kept.encode(errors="ignore")) <= 63
    assert kept not in ("ctid", "xmin", "xmax", "cmin", "cmax", "tableoid")
    assert not kept.startswith(schema.HIDDEN)
    if len(name.encode(errors="ignore")) <= 63 and kept != name:
        assert name in ("ctid", "xmin", "xmax", "cmin", "cmax", "tableoid") or name.startswith(schema.HIDDEN)


def test_long_names_that_begin_alike_differ() -> None:
    first, second = "字段" * 20 + "一", "字段" * 20 + "二"
    assert schema.short(first) != schema.short(second)


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1))
def test_identifiers_and_literals_are_closed(text: str) -> None:
    inner = connection.quoted(text)[1:-1]
    assert inner.replace('""', "") == text.replace('"', "")
    literal = connection.literal(text).removeprefix(" E")
    assert literal[1:-1].replace("''", "").replace("\\\\", "") == text.replace("'", "").replace("\\", "")


@pytest.mark.parametrize(
    ("pg", "own", "expected"),
    [
        ("text", True, "string"),
        ("character varying", False, "string"),
        ("uuid", False, "string"),
        ('gis."State"', False, "string"),
        ("numeric", False, "number"),
        ("real", False, "number"),
        ("smallint", False, "integer"),
        ("boolean", False, "boolean"),
        ("timestamp without time zone", False, "datetime"),
        ("date", False, "date"),
        ("text[]", False, "array"),
        ("jsonb", True, "array"),
        ("jsonb", False, "string"),
        ("bytea", False, None),
        ("bytea[]", False, None),
        ("public.geometry", False, None),
    ],
)
def test_types_of_columns(pg: str, own: bool, expected: str | None) -> None:
    assert field_type(pg, own) == expected


def test_columns_are_read_and_written_in_their_own_type() -> None:
    assert TableColumn("a%b", "text", "string").read == 't."a%%b"'
    assert TableColumn("a", "real", "number").read == 't."a"::double precision'
    assert 'CASE WHEN abs(t."a") <= 1.7e308' in TableColumn("a", "numeric", "number").read
    assert TableColumn("a", "character", "string").write == "%s::text::bpchar"
    assert TableColumn("a", "timestamp without time zone", "datetime").read == "(t.\"a\" AT TIME ZONE 'UTC')"
    assert TableColumn("a", "uuid", "string").write == "%s::text::uuid"


def test_fields_are_those_of_the_load_then_those_that_others_added() -> None:
    known = [
        {"name": "source_id", "type": "string", "title": {}, "unit": None, "codes": None},
        {"name": "height", "type": "number", "title": {"en": "Height"}, "unit": "m", "codes": None},
        {"name": "gone", "type": "string", "title": {}, "unit": None, "codes": None},
    ]
    columns = [TableColumn("height", "bigint", "integer"), TableColumn("new", "text", "string")]
    fields, named = merge(known, columns)
    assert fields == (
        Field("source_id", "string"),
        Field("height", "integer", {"en": "Height"}, "m"),
        Field("new", "string"),
    )
    assert set(named) == {"height", "new"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("POINTZ", "Point"),
        ("MULTIPOLYGON", "MultiPolygon"),
        ("LINESTRINGZM", "LineString"),
        ("GEOMETRY", "Geometry"),
        ("CURVEPOLYGON", "Geometry"),
        ("", "Geometry"),
    ],
)
def test_geometry_types(name: str, expected: str) -> None:
    assert geometry_type(name) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("QueryCanceled", Busy),
        ("LockNotAvailable", Busy),
        ("DeadlockDetected", Busy),
        ("TooManyConnections", Busy),
        ("InsufficientPrivilege", ReadOnly),
        ("ReadOnlySqlTransaction", ReadOnly),
        ("UniqueViolation", Exists),
        ("CheckViolation", BadBody),
        ("DiskFull", Unavailable),
        ("AdminShutdown", Unavailable),
        ("SyntaxError", None),
    ],
)
def test_failures_of_the_server(error: str, expected: type | None) -> None:
    import psycopg

    found = connection.translate(getattr(psycopg.errors, error)("host=secret password=geheim"))
    assert (None if found is None else type(found)) == expected or isinstance(found, expected or object)
    assert found is None or "geheim" not in str(found)


def test_a_mark_that_cannot_be_read_is_none(tmp_path: Any) -> None:
    kept = mark.Mark("abc", 7, -3)
    path = tmp_path / "derived" / "database.mark"
    assert mark.read(path) is None
    epoch.write(path, kept)
    assert mark.read(path) == kept
    path.write_text("{")
    assert mark.read(path) is None
    assert mark.read(None) is None
