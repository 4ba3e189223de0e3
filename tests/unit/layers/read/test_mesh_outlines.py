"""Outlines of meshes against the unions of their triangles by shapely."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import shapely
import trimesh

from layers.read.meshes.outline import outlines
from layers.read.meshes.repair import repaired
from tests.meshes import box
from tests.unit.layers.read.test_meshes_many import _odd


def made(several: list[tuple[Any, Any]]) -> tuple[Any, Any]:
    """Outlines of bodies and the sides of their cells."""
    counts = [len(vertices) for vertices, _ in several]
    firsts = np.cumsum([0, *counts])
    faces = np.concatenate([faces + first for (_, faces), first in zip(several, firsts, strict=False)])
    body = np.repeat(np.arange(len(several)), [len(faces) for _, faces in several])
    vertices = np.concatenate([vertices for vertices, _ in several]).astype(float)
    known = repaired(vertices, faces, body, len(several))
    ends = np.searchsorted(body[known.kept], np.arange(len(several)), side="right")
    return outlines(vertices, known.triangles, ends, known.closed)


def union(vertices: Any, faces: Any) -> Any:
    triangles = shapely.polygons(np.asarray(vertices, float)[faces][:, :, :2])
    return shapely.union_all(shapely.make_valid(triangles[shapely.area(triangles) > 1e-9]), grid_size=1e-4)


def test_they_are_those_of_the_unions_of_their_triangles() -> None:
    several = [each for each in _odd(300) if np.isfinite(each[0]).all()]
    shapes, sides = made(several)
    assert not sides.any()
    for shape, each in zip(shapes, several, strict=True):
        wanted = union(*each)
        assert shapely.is_valid(shape)
        # strips of 2 mm of what has no area from above among them
        tolerance = 2e-3 * (wanted.length + shape.length) + 1e-6
        assert shape.symmetric_difference(wanted).area <= tolerance


def turned(mesh: trimesh.Trimesh, *, up: bool) -> trimesh.Trimesh:
    mesh.update_faces((mesh.face_normals[:, 2] > 0.5) == up)
    return mesh


def crossed() -> trimesh.Trimesh:
    """A roof in one piece that winds over itself: a spiral stair of one turn and a half."""
    angle = np.linspace(0, 3 * np.pi, 200)
    ring = [np.column_stack([r * np.cos(angle), r * np.sin(angle), angle]) for r in (2, 4)]
    at = np.arange(199)
    first, second = np.column_stack([at, at + 200, at + 1]), np.column_stack([at + 1, at + 200, at + 201])
    faces = np.concatenate([first, second])
    return trimesh.Trimesh(np.concatenate(ring), faces, process=False)


@pytest.mark.parametrize(
    ("mesh", "area"),
    [
        (box((4, 3, 2)), 12),
        (turned(box((4, 3, 2)), up=True), 12),
        (turned(box((4, 3, 2)), up=False), 12),
        (trimesh.creation.annulus(1, 2, 3, sections=400), np.pi * 3),  # a courtyard
        (trimesh.util.concatenate([box((2, 2, 2)), box((1, 1, 9), (0.5, 0.5, 2))]), 4),
        (trimesh.util.concatenate([box((2, 2, 2)), box((1, 1, 1), (3, 0, 0))]), 5),
        (trimesh.util.concatenate([box((2, 2, 2)), box((2, 2, 2), (1, 1, 1))]), 7),
        (crossed(), np.pi * 12),
    ],
)
def test_they_are_as_large_as_worked_out(mesh: trimesh.Trimesh, area: float) -> None:
    (shape,), _ = made([(mesh.vertices, mesh.faces)])
    assert shape.is_valid
    assert shape.area == pytest.approx(area, rel=5e-3)


def test_corners_in_a_line_are_left_out() -> None:
    """Of ground in tiles of a metre, which slopes."""
    x, y = np.meshgrid(np.arange(31), np.arange(21))
    at = (np.arange(20)[:, None] * 31 + np.arange(30)).ravel()
    faces = np.concatenate([np.column_stack([at, at + 1, at + 32]), np.column_stack([at, at + 32, at + 31])])
    (shape,), _ = made([(np.column_stack([x.ravel(), y.ravel(), x.ravel() * 0.1]), faces)])
    assert shape.equals(shapely.box(0, 0, 30, 20))
    assert len(shape.exterior.coords) == 5


@pytest.mark.parametrize("open_", [False, True])
def test_those_of_many_are_made_in_time(open_: bool) -> None:
    """Each took 0.25 ms as the union of its triangles."""
    house = box((9, 7, 3))
    vertices, faces = np.array(house.vertices), np.array(house.faces)[: 8 if open_ else None]
    several = [(vertices + np.array([20 * (k % 90), 20 * (k // 90), 0]), faces) for k in range(8000)]
    begin = time.process_time()
    shapes, _ = made(several)
    assert time.process_time() - begin < 3
    assert not shapely.is_missing(shapes).any()
