"""Whatever bytes lie in a geometry column, they cost themselves only."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from layers import wkb
from layers.store.geopackage import blob
from layers.store.postgis import values

POINT = shapely.to_wkb(shapely.Point(1, 2))
CURVE = b"\x01" + struct.pack("<II6d", 8, 3, 0, 0, 1, 1, 2, 0)  # a CIRCULARSTRING
SURFACE = b"\x01" + struct.pack("<II", 1015, 0)  # a PolyhedralSurface Z of no faces


def test_what_cannot_be_read_is_none() -> None:
    found = wkb.shapes([POINT, CURVE, None, b"\x01nonsense", SURFACE, POINT])
    assert [None if one is None else one.wkt for one in found] == ["POINT (1 2)", *[None] * 4, "POINT (1 2)"]
    assert wkb.shapes([]).shape == (0,)


def test_both_stores_read_so() -> None:
    head = b"GP\x00\x01" + struct.pack("<i", 4326)
    for found in (blob.shapes([head + POINT, head + CURVE]), values.geometries([POINT, CURVE])):
        assert [one is None for one in found] == [False, True]
    assert blob.envelope(head + CURVE) is None


def nested(depth: int, kind: int = 7) -> bytes:
    return b"".join(b"\x01" + struct.pack("<II", kind, 1) for _ in range(depth - 1)) + POINT


@pytest.mark.parametrize("kind", [4, 5, 6, 7, 9, 10, 11, 12, 15, 16, 1007, 3007, 0x80000007])
def test_nesting_is_bounded_whatever_nests(kind: int) -> None:
    assert wkb.fault(nested(13_000, kind)) == wkb.TOO_DEEP
    assert wkb.fault(nested(wkb.MOST_DEPTH + 1, kind)) == wkb.TOO_DEEP
    assert wkb.fault(nested(wkb.MOST_DEPTH, kind)) is None
    assert wkb.shapes([nested(13_000, kind), POINT])[0] is None


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\x01",
        POINT[:-1],
        b"\x01" + struct.pack("<II", 2, 0xFFFFFFFF),
        b"\x01" + struct.pack("<II", 3, 0xFFFFFFFF),
        b"\x01" + struct.pack("<III", 3, 1, 0xFFFFFFFF),
        b"\x01" + struct.pack("<II", 7, 0xFFFFFFFF),
        b"\x00" + struct.pack(">II", 6, 3) + POINT,
    ],
)
def test_counts_are_held_against_the_bytes_left(blob: bytes) -> None:
    assert wkb.fault(blob) == wkb.SHORT


def test_what_is_no_wkb() -> None:
    for odd in (
        b"\x02" + POINT[1:],
        b"\x01" + struct.pack("<II", 99, 0),
        b"\x01" + struct.pack("<II", 4001, 0),
    ):
        assert wkb.fault(odd) == wkb.NO_WKB


SHAPES = st.sampled_from(
    [
        *("POINT EMPTY", "POINT Z (1 2 3)", "LINESTRING (0 0, 1 1)", "POLYGON ((0 0, 1 0, 1 1, 0 0))"),
        *("MULTIPOINT (1 1, 2 2)", "MULTIPOLYGON Z (((0 0 1, 1 0 2, 1 1 3, 0 0 1)))", "POLYGON EMPTY"),
        "GEOMETRYCOLLECTION (POINT (1 1), MULTILINESTRING ((0 0, 1 1), (2 2, 3 3)))",
        *("LINESTRING ZM (1 2 3 4, 5 6 7 8)", "LINESTRING M (1 2 3, 4 5 6)"),
    ]
)  # fmt: skip


@given(SHAPES, st.sampled_from(["iso", "extended"]), st.integers(0, 1), st.data())
def test_what_geos_writes_has_no_fault_and_its_beginning_has(
    text: str, flavor: Any, order: int, data: st.DataObject
) -> None:
    shape = shapely.set_srid(shapely.from_wkt(text), 4326)
    made = shapely.to_wkb(shape, flavor=flavor, byte_order=order, include_srid=flavor == "extended")
    assert wkb.fault(made) is None
    assert wkb.kind_of(made[:5]) == shape.geom_type
    end = data.draw(st.integers(0, len(made) - 1))
    assert wkb.fault(made[:end]) in (wkb.SHORT, wkb.NO_WKB)
    assert wkb.shapes([made[:end]])[0] is None
    kept = wkb.without_measures(np.array([shape], object))[0]
    assert not kept.has_m
    assert shapely.get_coordinates(kept, include_z=shape.has_z).tolist() == (
        shapely.get_coordinates(shape, include_z=shape.has_z).tolist()
    )


@given(st.binary(max_size=300))
def test_any_bytes_are_judged(data: bytes) -> None:
    if wkb.fault(data) is None:
        list(wkb.parts(data))
    assert len(wkb.shapes([data])) == 1


def test_a_signalling_nan_is_data_not_a_warning() -> None:
    """0x7ff0000000000001: numpy warned of it, on every reader's standard error."""
    point = struct.pack("<BIQd", 1, 1, 0x7FF0000000000001, 1.0)
    assert wkb.shapes([point])[0].y == 1.0
