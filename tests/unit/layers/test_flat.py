"""Plain geometries read from and written to WKB as GEOS does it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely

from layers import flat

SQUARE = [(0, 0), (0, 2), (2, 2), (2, 0), (0, 0)]
SHAPES: list[Any] = [
    shapely.Point(1, 2),
    shapely.LineString([(0, 0), (1, 5), (-3, 2)]),
    shapely.Polygon(SQUARE),
    shapely.Polygon(SQUARE[::-1]),
]
MOVED = np.array([10.0, 20.0])
NOT_PLAIN: list[Any] = [
    shapely.Point(1, 2, 3),
    shapely.MultiPoint([(1, 2)]),
    shapely.Polygon(SQUARE, [[(0.5, 0.5), (1, 0.5), (1, 1)]]),
    shapely.Point(),
]


def column(shapes: list[Any]) -> pa.Array:
    return pa.array([shapely.to_wkb(s, flavor="iso") for s in shapes], pa.binary())


@pytest.mark.parametrize("shapes", [SHAPES, SHAPES[:1] * 3, SHAPES[2:], []])
def test_positions_boxes_and_areas_are_those_of_geos(shapes: list[Any]) -> None:
    read = flat.read(column(shapes))
    assert read is not None
    assert read.positions.tolist() == shapely.get_coordinates(shapes).tolist()
    assert np.diff(read.firsts).tolist() == shapely.get_num_coordinates(shapes).tolist()
    assert read.boxes().tolist() == [[s.bounds[i] for i in (0, 2, 1, 3)] for s in shapes]
    signs = [0 if s.geom_type != "Polygon" else (1 if s.exterior.is_ccw else -1) for s in shapes]
    assert read.areas().tolist() == [2 * s.area * sign for s, sign in zip(shapes, signs, strict=True)]


@pytest.mark.parametrize("shape", NOT_PLAIN)
def test_what_is_not_plain_is_left_to_geos(shape: Any) -> None:
    assert flat.read(column([*SHAPES, shape])) is None
    assert flat.read(column([shape])) is None


@pytest.mark.parametrize(
    "wkb",
    [
        None,
        b"",
        b"\x01",
        shapely.to_wkb(SHAPES[0], byte_order=0),
        shapely.to_wkb(SHAPES[2])[:-1],
        shapely.to_wkb(SHAPES[2]) + b"\0",
        shapely.to_wkb(SHAPES[2])[:5] + b"\xff\xff\xff\xff" + shapely.to_wkb(SHAPES[2])[9:],
        shapely.to_wkb(SHAPES[1])[:5] + b"\xff\xff\xff\xff" + shapely.to_wkb(SHAPES[1])[9:],
    ],
)
@pytest.mark.parametrize("at", [0, 1, 4])
def test_bytes_that_are_no_geometry_are_found(wkb: bytes | None, at: int) -> None:
    blobs: list[bytes | None] = [shapely.to_wkb(s) for s in SHAPES]
    blobs.insert(at, wkb)
    assert flat.read(pa.array(blobs, pa.binary())) is None
    assert flat.plain(pa.array(blobs, pa.binary())).tolist() == [i != at for i in range(5)]


def test_open_rings_and_positions_that_are_no_numbers_are_found() -> None:
    open_ring = bytearray(shapely.to_wkb(SHAPES[2]))
    open_ring[-1] ^= 1
    assert flat.read(pa.array([bytes(open_ring)], pa.binary())) is None
    assert flat.read(column([shapely.Point(float("inf"), 0)])) is None


def test_positions_are_written_back_in_a_part_of_a_column() -> None:
    part = column([*SHAPES, *SHAPES])[3:7]
    read = flat.read(part)
    assert read is not None
    moved = flat.replaced(part, read.positions + MOVED)
    wanted = shapely.transform(shapely.from_wkb(part.to_pylist()), lambda xy: xy + MOVED)
    assert shapely.from_wkb(moved.to_pylist()).tolist() == wanted.tolist()
