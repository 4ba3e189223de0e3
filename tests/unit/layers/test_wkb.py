"""Whatever bytes lie in a geometry column, they cost themselves only."""

from __future__ import annotations

import struct

import shapely

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
