"""Whether two bodies are one, moved or another: a box by hand that is written anew, and otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from layers.diff import State
from layers.mesh import Material, Mesh, Part, Surface
from layers.models import diff, metres
from layers.models.diff import SAME_M, ElementChange

GEOD = Geod(ellps="WGS84")
CORNERS = np.array([(x, y, z) for z in (0.0, 3.0) for x, y in ((0, 0), (8, 0), (8, 5), (0, 5))])
FACES = np.array(
    [
        *([0, 2, 1], [0, 3, 2], [4, 5, 6], [4, 6, 7], [0, 1, 5], [0, 5, 4]),
        *([1, 2, 6], [1, 6, 5], [2, 3, 7], [2, 7, 6], [3, 0, 4], [3, 4, 7]),
    ]
)
KINDS = np.array([Surface.GROUND] * 2 + [Surface.ROOF] * 2 + [Surface.WALL] * 8, np.uint8)
#: The roof cut along its other diagonal.
CUT = np.concatenate([FACES[:2], [[4, 5, 7], [5, 6, 7]], FACES[4:]])
SHAS = ("a" * 64, "b" * 64)


def degrees(corners: Any, lon: float = 7.0, lat: float = 45.0) -> Any:
    return np.asarray(corners) / [*metres.of_degrees(lat), 1.0] + [lon, lat, 0.0]


def box(corners: Any = CORNERS, faces: Any = FACES, kinds: Any = KINDS, **more: Any) -> Mesh:
    return Mesh(degrees(corners), np.asarray(faces, np.uint32), np.asarray(kinds, np.uint8), **more)


def state(mesh: Mesh | None, shape: Any = None) -> State:
    return State(
        values={},
        wkb=None if shape is None else shapely.to_wkb(shape),
        mesh=None if mesh is None else mesh.to_bytes(),
    )


def compared(old: State, new: State) -> ElementChange | None:
    return diff._compared("x", (1, 1), old, new, frozenset())


def test_what_is_written_anew_is_the_same() -> None:
    order = [5, 2, 7, 0, 3, 6, 1, 4]
    for again in (
        box(CORNERS[order], np.argsort(order)[FACES]),
        box(CORNERS[FACES].reshape(-1, 3), np.arange(36).reshape(-1, 3)),  # each triangle has its own corners
        box(faces=CUT),
        box(faces=np.roll(FACES, 3, axis=0), kinds=np.roll(KINDS, 3)),
        box(CORNERS + np.array([0.0005, -0.0005, 0.0005])),
    ):
        assert compared(state(box()), state(again)) is None


@pytest.mark.parametrize(
    "faces", [FACES[[0, 1, *range(4, 12)]], FACES[:, ::-1], np.concatenate([FACES, [[4, 5, 2]]])]
)
def test_other_faces_between_the_same_corners_are_another_shape(faces: Any) -> None:
    """Without its lid; turned inside out; with a face across."""
    found = compared(state(box()), state(box(faces=faces, kinds=np.zeros(len(faces)))))
    assert found is not None
    assert (found.kind, found.shape_changed, found.shift) == ("changed", True, None)


def painted(*table: Material, chosen: Any = None, uv: Any = None, **more: Any) -> Mesh:
    materials = np.zeros(12, np.uint16) if chosen is None else np.asarray(chosen, np.uint16)
    return replace(box(**more), materials=materials, material_table=table, uv=uv)


RED, BLUE = Material((200, 0, 0, 255)), Material((0, 0, 200, 255))
IMAGES = tuple(Material(None, sha) for sha in SHAS)
UV = np.linspace(0, 1, 72, dtype=np.float32).reshape(12, 3, 2)
ROOF = [0, 0, 1, 1, *[0] * 8]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (box(), painted(RED)),
        (painted(RED), painted(BLUE)),
        (painted(RED, BLUE), painted(RED, BLUE, chosen=ROOF)),
        (painted(RED), painted(RED, BLUE, chosen=ROOF, faces=CUT)),
        (painted(IMAGES[0], uv=UV), painted(IMAGES[1], uv=UV)),
        (painted(IMAGES[0], uv=UV), painted(IMAGES[0], uv=UV + np.float32(0.01))),
        (box(), box(kinds=np.full(12, Surface.WALL))),
    ],
)
def test_other_colours_images_and_kinds_of_surfaces_are_a_change(old: Mesh, new: Mesh) -> None:
    found = compared(state(old), state(new))
    assert found is not None
    assert (found.kind, found.shape_changed, found.surfaces_changed) == ("changed", False, True)
    shifted = replace(new, positions=new.positions + np.array([0, 0, 1.5]))
    found = compared(state(old), state(shifted))
    assert found is not None
    assert (found.kind, found.surfaces_changed) == ("moved", True)
    assert found.shift == pytest.approx((0, 0, 1.5))


def test_the_order_of_materials_and_names_of_parts_are_no_change() -> None:
    parts = {"parts": np.zeros(12, np.uint32)}
    for old, new in (
        (painted(RED, BLUE, chosen=ROOF), painted(BLUE, RED, chosen=1 - np.array(ROOF))),
        (painted(RED, BLUE, chosen=ROOF), painted(RED, BLUE, chosen=ROOF, faces=CUT)),
        (box(**parts, part_table=(Part("u1", "Wall"),)), box(**parts, part_table=(Part("u2", "Wall"),))),
    ):
        assert compared(state(old), state(new)) is None


def test_rings_that_begin_elsewhere_are_the_same_and_joined_otherwise_are_not() -> None:
    ring = [(7, 45), (7.001, 45), (7.001, 45.001), (7.0003, 45.0006), (7, 45.001)]
    old = state(None, shapely.Polygon(ring))
    assert compared(old, state(None, shapely.Polygon(ring[2:] + ring[:2]))) is None
    for other in (
        shapely.Polygon([ring[0], ring[1], ring[3], ring[2], ring[4]]),
        shapely.LineString([*ring, ring[0]]),
    ):
        found = compared(old, state(None, other))
        assert found is not None
        assert found.shape_changed


def test_a_long_building_that_is_moved_far_north_is_moved() -> None:
    """Its degrees of longitude are others there: by 14 mm over its length."""

    def at(lon: float, lat: float) -> Mesh:
        places = []
        for east, north, up in CORNERS * [12.5, 16, 1]:
            x, y, _ = GEOD.fwd(lon, lat, 90, east)
            x, y, _ = GEOD.fwd(x, y, 0, north)
            places.append((x, y, up))
        return replace(box(), positions=np.array(places))

    lon, lat, _ = GEOD.fwd(25, 60, 0, 500)
    found = compared(state(at(25, 60)), state(at(lon, lat)))
    assert found is not None
    assert found.kind == "moved"
    assert found.shift == pytest.approx((0, 500, 0), abs=0.02)


PLACES = st.lists(
    st.tuples(*[st.integers(-60, 60)] * 3), min_size=4, max_size=24, unique=True
)  # decimetres, so that none is near another


@given(places=PLACES, data=st.data(), up=st.floats(-3, 3), noise=st.integers(0, 2**32 - 1))
@settings(max_examples=80, deadline=None)
def test_corners_in_another_order_whose_last_digits_were_written_anew(
    places: list[tuple[int, int, int]], data: st.DataObject, up: float, noise: int
) -> None:
    corners = np.array(places) / 10
    corners[1::2] += 0.01  # where rounding to two centimetres goes either way
    order = data.draw(st.permutations(range(len(corners))))
    faces = np.array([[i, i + 1, i + 2] for i in range(len(corners) - 2)])
    jitter = np.random.default_rng(noise).uniform(-SAME_M / 4, SAME_M / 4, corners.shape)
    again = (corners + jitter + [0, 0, up])[order]
    kinds = np.zeros(len(faces))
    shift = diff._shift(state(box(corners, faces, kinds)), state(box(again, np.argsort(order)[faces], kinds)))
    assert shift == pytest.approx((0, 0, up), abs=SAME_M)
