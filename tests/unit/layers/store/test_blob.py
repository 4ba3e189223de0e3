"""GeoPackage blobs: written and read back, and boxes of blobs that other programs wrote."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from layers.store.geopackage import blob

WKT = [
    "POINT (1 2)",
    "POINT Z (1 2 3)",
    "LINESTRING (0 0, 1 1)",
    "LINESTRING Z (0 0 1, 1 1 9)",
    "POLYGON ((0 0, 1 0, 1 1, 0 0))",
    "MULTIPOLYGON Z (((0 0 1, 1 0 2, 1 1 3, 0 0 1)))",
    "POLYGON EMPTY",
    "POINT EMPTY",
]


@pytest.mark.parametrize("wkt", WKT)
def test_round_trip(wkt: str) -> None:
    shape = shapely.from_wkt(wkt)
    made = blob.encode(np.array([shape]))[0]
    assert made[:2] == b"GP"
    assert struct.unpack_from("<i", made, 4) == (4326,)
    back = blob.shapes([made])[0]
    assert shapely.to_wkb(back) == shapely.to_wkb(shape)
    box = blob.envelope(made)
    bounds = shape.bounds
    assert box == (None if shape.is_empty else (bounds[0], bounds[2], bounds[1], bounds[3]))


@pytest.mark.parametrize("wkt", WKT[:6])
def test_without_envelope_and_big_endian(wkt: str) -> None:
    shape = shapely.from_wkt(wkt)
    bare = b"GP\x00\x00" + struct.pack(">i", 4326) + shapely.to_wkb(shape, byte_order=0, flavor="iso")
    bounds = shape.bounds
    assert blob.envelope(bare) == (bounds[0], bounds[2], bounds[1], bounds[3])
    assert shapely.to_wkt(blob.shapes([bare])[0]) == shapely.to_wkt(shape)


@given(st.binary(max_size=80).map(lambda b: b"GP" + b) | st.binary(max_size=80))
def test_any_bytes_are_a_box_or_none(data: bytes) -> None:
    box = blob.envelope(data)
    assert box is None or len(box) == 4
    assert len(blob.shapes([data])) == 1


def test_not_bytes() -> None:
    assert blob.envelope(None) is None
    assert blob.shapes([None])[0] is None
    with pytest.raises(ValueError, match="GeoPackage"):
        blob.wkb(b"nothing")
