"""Bodies: closed, outward, of the right volume and at the right place."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import shapely
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod, Transformer

from layers.mesh import Mesh, Surface
from tests.support import HELSINKI
from tiles import batch as batches
from tiles import geocentric
from tiles.mesh import tube as tubes
from tiles.mesh.body import Body
from tiles.mesh.extrude import extrude
from tiles.mesh.surface import surface
from tiles.mesh.tube import tube

GEOD = Geod(ellps="WGS84")
LON, LAT = 24.94, 60.17


def batch_of(shapes: list[Any]) -> batches.Batch:
    """A batch without properties."""
    return batches.from_shapes(np.arange(1, len(shapes) + 1), np.array(shapes, object))


def solid(body: Body, row: int) -> Any:
    """One feature's body as trimesh sees it, vertices joined by place."""
    triangles = body.triangles[body.rows[body.triangles[:, 0]] == row]
    near = body.positions - body.positions[triangles[0, 0]]
    mesh = trimesh.Trimesh(near, triangles, process=False)
    mesh.merge_vertices(merge_norm=True, digits_vertex=5)
    return mesh


def normals_agree(body: Body) -> bool:
    """Every triangle's own normal looks to the side of its vertex normals."""
    corners = body.positions[body.triangles]
    own = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    given = body.normals[body.triangles].mean(axis=1)
    large = np.linalg.norm(own, axis=1) > 1e-6
    return bool(((own * given).sum(axis=1)[large] > 0).all())


def area_of(shape: Any) -> float:
    """Square metres on the ellipsoid."""
    return abs(float(GEOD.geometry_area_perimeter(shapely.orient_polygons(shape))[0]))


def local(*metres: tuple[float, float]) -> list[tuple[float, float]]:
    """Points in metres east and north of the city as longitude, latitude."""
    return [(LON + e / 55_500, LAT + n / 111_400) for e, n in metres]


@settings(deadline=None)
@given(st.floats(-180, 180), st.floats(-89.9, 89.9), st.floats(-100, 9000))
def test_geocentric_coordinates_agree_with_proj(lon: float, lat: float, height: float) -> None:
    expected = Transformer.from_crs(4979, 4978, always_xy=True).transform(lon, lat, height)
    found = geocentric.ecef(np.array(lon), np.array(lat), height)
    assert np.abs(found - expected).max() < 1e-6


@st.composite
def stars(draw: st.DrawFn) -> Any:
    """A valid star-shaped footprint, sometimes with a courtyard."""
    n = draw(st.integers(3, 12))
    radii = draw(st.lists(st.floats(8, 40), min_size=n, max_size=n))
    angles = 2 * np.pi * np.arange(n) / n
    ring = local(*[(r * np.cos(a), r * np.sin(a)) for r, a in zip(radii, angles, strict=True)])
    r = 0.3 * min(radii) * np.cos(np.pi / n)
    holes = [local(*[(r * np.cos(a), r * np.sin(a)) for a in angles])] if draw(st.booleans()) else []
    return shapely.Polygon(ring, holes)


@given(st.lists(stars(), min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_prisms_are_closed_and_have_their_volume(shapes: list[Any]) -> None:
    shapes = [s for s in shapes if s.is_valid]
    if not shapes:
        return
    n = len(shapes)
    body = extrude(batch_of(shapes), np.full(n, 3.0), np.full(n, 15.0))
    assert normals_agree(body)
    for row, shape in enumerate(shapes):
        mesh = solid(body, row)
        assert mesh.is_watertight
        assert mesh.is_winding_consistent
        assert mesh.volume == pytest.approx(12 * area_of(shape), rel=1e-3)


def test_prisms_stand_between_their_heights_and_know_their_surfaces() -> None:
    body = extrude(
        batch_of([shapely.Polygon(local((0, 0), (10, 0), (10, 8), (0, 8)))]), np.array([2.0]), np.array([9.0])
    )
    *_, height = Transformer.from_crs(4978, 4979, always_xy=True).transform(*body.positions.T)
    assert np.allclose(height[body.surfaces == Surface.ROOF], 9, atol=1e-6)
    assert np.allclose(height[body.surfaces == Surface.GROUND], 2, atol=1e-6)
    assert set(body.surfaces.tolist()) == {Surface.ROOF, Surface.GROUND, Surface.WALL}


def test_a_prism_lies_together_and_its_normals_are_within_a_twentieth_of_a_degree() -> None:
    shapes = [shapely.Point(LON + i / 1000, LAT).buffer(0.0002, quad_segs=3 + i) for i in range(6)]
    body = extrude(batch_of(shapes), np.zeros(6), np.full(6, 20.0))
    assert (np.diff(body.rows) >= 0).all()
    assert (np.diff(body.rows[body.triangles[:, 0]]) >= 0).all()
    corners = body.positions[body.triangles]
    own = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    turned = np.degrees(np.arccos(np.clip((own * body.normals[body.triangles[:, 0]]).sum(axis=1), -1, 1)))
    assert turned.max() < 0.06


def test_what_has_no_height_or_is_no_polygon_gives_nothing() -> None:
    square = shapely.Polygon(local((0, 0), (10, 0), (10, 8)))
    flat = extrude(batch_of([square, shapely.Point(LON, LAT)]), np.zeros(2), np.array([0.0, 9.0]))
    assert len(flat.triangles) == 0
    assert len(tube(batch_of([square]), np.zeros(1), np.ones(1)).triangles) == 0


@pytest.mark.parametrize("name", ["buildings", "building_parts"])
def test_every_footprint_of_helsinki_is_closed(name: str) -> None:
    collection = json.loads((HELSINKI / f"{name}.geojson").read_text("utf-8"))
    shapes = [shapely.geometry.shape(feature["geometry"]) for feature in collection["features"]]
    shapes = [s for s in shapes if s.is_valid]
    body = extrude(batch_of(shapes), np.zeros(len(shapes)), np.full(len(shapes), 10.0))
    for row in range(len(shapes)):
        mesh = solid(body, row)
        assert mesh.is_watertight, row
        assert mesh.volume == pytest.approx(10 * area_of(shapes[row]), rel=1e-3)


@st.composite
def courses(draw: st.DrawFn) -> Any:
    """A polyline without hairpins, in metres."""
    bearing, here, points = draw(st.floats(0, 6.28)), np.zeros(2), [(0.0, 0.0)]
    for turn in draw(st.lists(st.floats(-1.9, 1.9), min_size=1, max_size=6)):
        bearing += turn
        here = here + 20 * np.array([np.cos(bearing), np.sin(bearing)])
        points.append((float(here[0]), float(here[1])))
    return shapely.LineString(local(*points))


@given(st.lists(courses(), min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_tubes_are_closed_and_have_their_volume(lines: list[Any]) -> None:
    n, radius = len(lines), 0.3
    body = tube(batch_of(lines), np.full(n, -2.0), np.full(n, radius))
    section = tubes.SIDES / 2 * np.sin(2 * np.pi / tubes.SIDES) * radius**2
    for row, line in enumerate(lines):
        mesh = solid(body, row)
        assert mesh.is_watertight
        assert mesh.is_winding_consistent
        # a mitred joint keeps the volume along the axis
        assert mesh.volume == pytest.approx(section * GEOD.geometry_length(line), rel=0.01)


def test_tubes_lie_at_their_depth() -> None:
    body = tube(
        batch_of([shapely.LineString(local((0, 0), (30, 5), (60, -4)))]), np.array([-3.0]), np.array([0.5])
    )
    *_, height = Transformer.from_crs(4978, 4979, always_xy=True).transform(*body.positions.T)
    assert height.min() == pytest.approx(-3.5, abs=0.01)
    assert height.max() == pytest.approx(-2.5, abs=0.01)
    assert normals_agree(body)


def test_a_hairpin_and_repeated_points_stay_bounded() -> None:
    line = shapely.LineString(local((0, 0), (0, 0), (30, 0), (0, 0.01), (0, 0.01)))
    body = tube(batch_of([line]), np.array([-1.0]), np.array([0.2]))
    assert np.isfinite(body.positions).all()
    assert np.isfinite(body.normals).all()
    middle = geocentric.ecef(np.array(LON), np.array(LAT), -1.0)
    assert np.linalg.norm(body.positions - middle, axis=1).max() < 32


def test_a_line_without_length_gives_nothing() -> None:
    line = shapely.LineString(local((0, 0), (0, 0)))
    assert len(tube(batch_of([line]), np.zeros(1), np.ones(1)).triangles) == 0


def test_stored_meshes_keep_shape_and_surfaces() -> None:
    corners = [(*p, z) for z in (50.0, 58.0) for p in local((0, 0), (6, 0), (6, 5), (0, 5))]
    faces = [(0, 2, 1), (0, 3, 2), (4, 5, 6), (4, 6, 7)]
    faces += [f for a, b in ((0, 1), (1, 2), (2, 3), (3, 0)) for f in ((a, b, b + 4), (a, b + 4, a + 4))]
    kinds = [Surface.GROUND] * 2 + [Surface.ROOF] * 2 + [Surface.WALL] * 8
    mesh = Mesh(
        np.array(corners),
        np.array([*faces, (0, 0, 1)], np.uint32),
        np.array([*kinds, Surface.WALL], np.uint8),
    )
    body = surface({4: mesh}, {4: -50.0})
    found = solid(body, 4)
    assert found.is_watertight
    assert found.volume == pytest.approx(6 * 5 * 8, rel=0.01)
    assert normals_agree(body)
    *_, height = Transformer.from_crs(4978, 4979, always_xy=True).transform(*body.positions.T)
    assert np.allclose(height[body.surfaces == Surface.ROOF], 8, atol=1e-6)
    # the triangle without an area is gone
    assert len(body.triangles) == 12
