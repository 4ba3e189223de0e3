"""Bodies in one another's way: volumes of boxes are known by hand, whatever way they are turned."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.mesh import Mesh
from layers.models import clash
from layers.models.clash import Body, Frame

FACES = np.array(
    [
        *([0, 2, 1], [0, 3, 2], [4, 5, 6], [4, 6, 7], [0, 1, 5], [0, 5, 4]),
        *([1, 2, 6], [1, 6, 5], [2, 3, 7], [2, 7, 6], [3, 0, 4], [3, 4, 7]),
    ]
)


def box(low: tuple[float, float, float], high: tuple[float, float, float], turn: float = 0.0) -> Body:
    """A box, turned about the origin by degrees."""
    (a, b, c), (d, e, f) = low, high
    corners = np.array([(x, y, z) for z in (c, f) for x, y in ((a, b), (d, b), (d, e), (a, e))], float)
    angle = math.radians(turn)
    rotated = corners @ np.array(
        [[math.cos(angle), math.sin(angle), 0], [-math.sin(angle), math.cos(angle), 0], [0, 0, 1]]
    )
    return Body((low, high), rotated, FACES.copy())


def opened(body: Body) -> Body:
    """The same without its lid."""
    return Body(body.name, body.corners, body.triangles[[0, 1, *range(4, 12)]])


SIZES = st.floats(0.5, 5)
PLACES = st.floats(-4, 4)
BOXES = st.tuples(PLACES, PLACES, PLACES, SIZES, SIZES, SIZES).map(
    lambda v: ((v[0], v[1], v[2]), (v[0] + v[3], v[1] + v[4], v[2] + v[5]))
)


@given(one=BOXES, other=BOXES, turn=st.floats(0, 90))
@settings(max_examples=150, deadline=None)
def test_the_volume_of_two_boxes_is_that_of_their_overlap(one, other, turn) -> None:  # type: ignore[no-untyped-def]
    low, high = np.maximum(one[0], other[0]), np.minimum(one[1], other[1])
    sides = np.maximum(high - low, 0)
    volume = float(sides.prod())
    area = 2 * float(sides[0] * sides[1] + sides[1] * sides[2] + sides[2] * sides[0])
    depth = 2 * volume / area if area else 0.0
    found = clash.found([box(*one, turn)], [box(*other, turn)], 0.01)
    if depth > 0.0101:
        (hit,) = found
        assert hit.volume == pytest.approx(volume, rel=1e-6)
        assert hit.depth == pytest.approx(depth, rel=1e-6)
    elif depth < 0.0099:
        assert found == []


def test_what_touches_does_not_clash() -> None:
    floor = box((0, 0, 0), (10, 8, 0.2))
    for other in (
        box((1, 1, 0.2), (2, 2, 3)),  # stands on it
        box((10, 0, 0), (11, 8, 3)),  # beside it
        box((10, 8, 0.2), (12, 10, 1)),  # a corner
        box((1, 1, 0.195), (2, 2, 3)),  # 5 mm in it
    ):
        assert clash.found([floor], [other], 0.01) == []
    (hit,) = clash.found([floor], [box((1, 1, 0.15), (2, 2, 3))], 0.01)
    assert hit.volume == pytest.approx(0.05)
    assert hit.at == pytest.approx((1.5, 1.5, 0.175))


def test_one_within_another_clashes() -> None:
    (hit,) = clash.found([box((0, 0, 0), (9, 9, 9))], [box((4, 4, 4), (5, 5, 5))], 0.01)
    assert hit.volume == pytest.approx(1)


def test_of_an_open_body_crossing_surfaces_are_found() -> None:
    wall = box((0, 0, 0), (10, 0.3, 3))
    through = opened(box((4, -1, 1), (5, 1, 2)))
    (hit,) = clash.found([wall], [through], 0.01)
    assert (hit.volume, hit.depth) == (None, None)
    assert hit.crossings > 0
    assert hit.at == pytest.approx((4.5, 0.15, 1.5), abs=0.3)
    assert through.solid is None
    beside = opened(box((4, 0.3, 1), (5, 1, 2)))
    assert clash.found([wall], [beside], 0.01) == []
    assert clash.found([opened(wall)], [opened(box((4, 0.295, 1), (5, 1, 2)))], 0.01) == []


def test_a_body_of_degrees_is_measured_in_metres() -> None:
    """Corners that the source repeats are one, so that what is closed is known to be."""
    size = 1 / 111_132  # about a metre of latitude at 45 degrees
    corners = box((0, 0, 0), (1, 1, 1)).corners * [size, size, 1] + [7.0, 45.0, 100.0]
    soup = corners[FACES].reshape(-1, 3)
    mesh = Mesh(soup, np.arange(36, dtype=np.uint32).reshape(-1, 3), np.zeros(12, np.uint8))
    frame = Frame(7.0, 45.0)
    body = frame.body("box", mesh)
    assert body is not None
    assert len(body.corners) == 8
    # metres of a degree at 45 N on the ellipsoid: 78 846.8 and 111 131.8
    assert body.solid.volume() == pytest.approx(78_846.8 * 111_131.8 * size * size, rel=1e-5)
    assert frame.place((0.0, 0.0, 100.0)) == pytest.approx((7.0, 45.0, 100.0))
    flat = Mesh(soup[:3] * [1, 1, 0], np.array([[0, 0, 0]], np.uint32), np.zeros(1, np.uint8))
    assert frame.body("flat", flat) is None
