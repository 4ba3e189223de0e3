"""Faces to triangles: parts, materials and texture coordinates go with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely

from layers.mesh import Material, Mesh, Part, Surface
from layers.read.faces import Faces, triangulated

SQUARE = np.array(
    [[0, 0, 0], [4, 0, 0], [4, 4, 0], [0, 4, 0], [1, 1, 0], [1, 3, 0], [3, 3, 0], [3, 1, 0]], float
)
PARTS = (Part("a", "RoofSurface"), Part("b", "Window"))
LOOKS = (Material((255, 0, 0, 255)), Material(None, "00" * 32))


def _uv_of(vertices: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> list[list[float]]:
    return (vertices[:, :2] / 4).tolist()


def test_the_texture_stays_where_it_lies_on_a_face_with_a_hole() -> None:
    outer, hole, three = [0, 1, 2, 3, 0], [4, 5, 6, 7, 4], [0, 1, 2]
    faces = Faces(
        [[three], [outer, hole]],
        [Surface.WALL, Surface.ROOF],
        True,
        [1, 0],
        PARTS,
        [0, 1],
        LOOKS,
        [None, [_uv_of(SQUARE[outer]), _uv_of(SQUARE[hole])]],
    )
    (shell,), lost = triangulated([faces], [SQUARE])
    assert lost == [0]
    mesh = shell.mesh()
    assert type(mesh) is Mesh
    assert mesh.parts is not None
    assert mesh.materials is not None
    assert mesh.uv is not None
    roof = mesh.surfaces == Surface.ROOF
    assert roof.sum() == 8
    assert (mesh.parts[roof] == 0).all()
    assert (mesh.materials[roof] == 1).all()
    assert mesh.parts[~roof].tolist() == [1]
    assert mesh.materials[~roof].tolist() == [0]
    # every corner has the coordinates of the place where it lies
    np.testing.assert_allclose(mesh.uv[roof], mesh.positions[mesh.triangles[roof]][:, :, :2] / 4)
    assert not mesh.uv[~roof].any()
    assert Mesh.from_bytes(mesh.to_bytes()).part_table == PARTS


def test_a_ring_with_too_few_texture_coordinates_is_refused() -> None:
    faces = Faces([[[0, 1, 2, 3]]], [Surface.ROOF], True, uv=[[[[0, 0], [1, 0], [1, 1]]]])
    with pytest.raises(ValueError, match="texture coordinates"):
        triangulated([faces], [SQUARE])


def _regular(corners: int, at: float, hole: bool = False) -> tuple[list[list[int]], np.ndarray[Any, Any]]:
    """A face of so many corners on a slope, with its hole: rings of indices, and positions."""
    turn = np.arange(corners) * 2 * np.pi / corners
    outer = np.column_stack([np.cos(turn), np.sin(turn), np.cos(turn)]) * 3 + at
    inner = np.column_stack([np.cos(-turn), np.sin(-turn), np.cos(turn)]) + at
    rings = [[*range(corners), 0]]
    if hole:
        rings.append([*range(corners, 2 * corners), corners])
    return rings, np.concatenate([outer, inner]) if hole else outer


def test_bodies_together_are_what_each_is_alone() -> None:
    """Triangles, quadrangles, more corners, holes, and a face of no area, in bodies of their own."""
    several, vertices = [], []
    for number, (corners, hole) in enumerate([(3, False), (4, False), (4, True), (9, True), (7, False)]):
        rings, positions = _regular(corners, number * 1000.0, hole)
        flat = [[0, 0, 0, 0]] if number % 2 else [[0, 1, 0]]
        several.append(Faces([rings, flat], [Surface.ROOF, Surface.WALL], True))
        vertices.append(positions)
    together, lost = triangulated(several, vertices)
    assert lost == [1] * len(several)
    for (corners, hole), shell, faces, own in zip(
        [(3, False), (4, False), (4, True), (9, True), (7, False)], together, several, vertices, strict=True
    ):
        (alone,), _ = triangulated([faces], [own])
        np.testing.assert_array_equal(shell.positions, alone.positions)
        np.testing.assert_array_equal(shell.triangles, alone.triangles)
        a, b, c = (shell.positions[shell.triangles[:, k]] for k in range(3))
        area = np.cross(b - a, c - a).sum(axis=0) / 2
        expected = corners / 2 * np.sin(2 * np.pi / corners) * (9 - hole)  # seen from above
        assert area[2] == pytest.approx(expected)
        assert (np.cross(b - a, c - a)[:, 2] > 0).all()


def test_an_index_is_one_of_the_body_s_own_vertices() -> None:
    rings, positions = _regular(4, 0.0)
    far = Faces([[[0, 1, 5]]], [Surface.WALL], True)
    with pytest.raises(IndexError):
        triangulated([far, Faces([rings], [Surface.WALL], True)], [positions, positions])


@pytest.mark.parametrize("seed", range(40))
def test_faces_of_many_corners_are_covered_once(seed: int) -> None:
    """Fans where one corner sees all of a face, ears where none does."""
    random = np.random.default_rng(seed)
    count = int(random.integers(5, 14))
    angles, radii = np.sort(random.uniform(0, 2 * np.pi, count)), random.uniform(0.2, 3, count)
    plane = np.column_stack([radii * np.cos(angles), radii * np.sin(angles)])
    outline = shapely.Polygon(plane)
    if not outline.is_valid or outline.area < 0.01:
        plane = np.column_stack([np.cos(angles), np.sin(angles)])
        outline = shapely.Polygon(plane)
    vertices = np.column_stack([plane, 0.3 * plane[:, 0] + 7])
    faces = Faces([[list(range(count))]], [Surface.UNKNOWN], False)
    (shell,), _ = triangulated([faces], [vertices])
    pieces = shapely.polygons(shell.positions[shell.triangles][:, :, :2])
    assert shapely.area(pieces).sum() == pytest.approx(outline.area, rel=1e-9)
    assert shapely.union_all(pieces).area == pytest.approx(outline.area, rel=1e-9)
