"""Faces to triangles: parts, materials and texture coordinates go with them."""

from __future__ import annotations

import numpy as np
import pytest

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
    shell, lost = triangulated(faces, SQUARE)
    assert lost == 0
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
        triangulated(faces, SQUARE)
