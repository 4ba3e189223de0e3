"""Geometries of CityJSON made together are those that are made one by one."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from layers.read.base import Sink
from layers.read.citygml import checks
from layers.read.cityjson import many
from layers.read.cityjson.appearance import Appearance
from layers.read.cityjson.features import Outline
from layers.read.cityjson.geometry import CORNERS, BadGeometry, outline
from layers.read.pictures import Images

VERTICES = np.random.default_rng(3).random((12, 3))
_BOX = [[[0, 1, 2, 3]], [[4, 5, 6]], [[7, 8, 9, 10], [1, 2, 3]], [[0, 4, 5]]]
_NAMED = {"surfaces": [{"type": "RoofSurface"}, {"type": "WallSurface"}], "values": [[0, 1, None, 0]]}

#: A type that is no text becomes one, as it does alone.
_NUMBERED = {"surfaces": [{"type": 7}], "values": [None] * 4}

_corner = st.integers(-1, 13)
_face = st.lists(st.lists(_corner, max_size=5), max_size=3)
_shell = st.lists(_face, max_size=3)
_surface = st.one_of(
    st.fixed_dictionaries({"type": st.sampled_from(["RoofSurface", "+Odd", 7])}),
    st.fixed_dictionaries({"type": st.just("WallSurface"), "id": st.just("w")}),
)
_value = st.one_of(st.none(), st.integers(-1, 3), st.booleans())


@st.composite
def _geometries(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["Solid", "MultiSurface", "CompositeSurface", "MultiSolid"]))
    made: dict[str, Any] = {"type": kind, "lod": "2"}
    if draw(st.booleans()):
        made["boundaries"] = copy.deepcopy(_BOX if kind.endswith("Surface") else [_BOX])
        if kind == "MultiSolid":
            made["boundaries"] = [made["boundaries"]]
        if draw(st.booleans()):
            made["semantics"] = copy.deepcopy(_NAMED)
            if kind.endswith("Surface"):
                made["semantics"]["values"] = made["semantics"]["values"][0]
    else:
        made["boundaries"] = draw(st.lists({"Solid": _shell}.get(kind, _face), max_size=3))
    if draw(st.integers(0, 3)) == 0:
        values = draw(
            st.one_of(st.none(), st.lists(_value, max_size=4), st.lists(st.lists(_value), max_size=3))
        )
        made["semantics"] = {"surfaces": draw(st.lists(_surface, max_size=3)), "values": values}
    return made


def _alone(geometry: dict[str, Any], appearance: Appearance) -> Outline | None:
    try:
        return outline(geometry, VERTICES, appearance)
    except BadGeometry:
        return None


def _same(one: Outline, other: Outline) -> None:
    for name in ("flat", "sizes", "of_face", "surfaces"):
        assert getattr(one, name).tolist() == getattr(other, name).tolist(), name
    assert (one.part_table, one.closes, one.solid) == (other.part_table, other.closes, other.solid)
    assert (one.parts is None) == (other.parts is None)
    if one.parts is not None and other.parts is not None:
        assert one.parts.tolist() == other.parts.tolist()


@settings(max_examples=60, deadline=None)
@given(some=st.lists(_geometries(), max_size=12))
@example(some=[{"type": "MultiSurface", "boundaries": _BOX, "semantics": _NUMBERED}])
def test_what_is_made_together_is_what_is_made_alone(some: list[dict[str, Any]]) -> None:
    plain = [
        {"type": kind, "boundaries": [_BOX] if kind == "Solid" else _BOX}
        for kind in ("Solid", "MultiSurface")
    ]
    geometries = [*some, *(copy.deepcopy(each) for each in plain for _ in range(many.FEW))]
    appearance = Appearance({}, Images(Path(), Sink(None)))
    made = many.outlines(geometries, [VERTICES] * len(geometries))
    for geometry, one in zip(geometries, made, strict=True):
        alone = _alone(geometry, appearance)
        if one is not None:
            assert alone is not None
            _same(one, alone)
        # what is odd is left to be made by itself
        if alone is None or alone.sizes.min() < CORNERS or not alone.of_face.all():
            assert one is None
    if not some:
        assert all(one is not None for one in made)


@settings(max_examples=300, deadline=None)
@given(
    corners=st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=4, max_size=8),
    closed=st.booleans(),
)
def test_a_ring_that_is_seen_whole_crosses_nothing(corners: list[tuple[int, int]], closed: bool) -> None:
    at = np.array([*corners, corners[0]] if closed else corners, float)
    (seen,) = checks._is_seen_whole(at, np.zeros(len(at), int), np.array([len(corners)]))
    if seen:
        assert shapely.is_valid(shapely.Polygon(corners))
    hull = shapely.MultiPoint(corners).convex_hull
    if isinstance(hull, shapely.Polygon):
        around = np.array(hull.exterior.coords)
        assert checks._is_seen_whole(around, np.zeros(len(around), int), np.array([len(around) - 1]))[0]
