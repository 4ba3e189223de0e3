"""Surfaces in space as WKB: bodies over footprints, whatever the CRS; and what is none."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from layers import wkb
from layers.mesh import Mesh
from layers.read import surfaces
from layers.read.base import Sink

CUBE = np.array([[x, y, z] for z in (0, 1) for y in (0, 1) for x in (0, 1)], float)
FACES = ([0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [1, 3, 7, 5], [3, 2, 6, 7], [2, 0, 4, 6])
POLYGON, POLYHEDRAL, TIN, TRIANGLE, COLLECTION = 3, 15, 16, 17, 7


def ring(points: np.ndarray, kind: int, high: bool = True, order: str = "<") -> bytes:
    closed = np.vstack([points, points[:1]])[:, : 3 if high else 2]
    head = struct.pack(f"{order}BIII", order == "<", kind + 1000 * high, 1, len(closed))
    return head + closed.astype(f"{order}f8").tobytes()


def surface(kind: int, member: int, faces: list[np.ndarray], high: bool = True, order: str = "<") -> bytes:
    head = struct.pack(f"{order}BII", order == "<", kind + 1000 * high, len(faces))
    return head + b"".join(ring(face, member, high, order) for face in faces)


def cube(at: tuple[float, float, float], size: tuple[float, float, float]) -> list[np.ndarray]:
    return [np.array(at) + CUBE[face] * size for face in FACES]


def converted(blob: bytes, tmp_path: Path, *, degrees: bool = False) -> tuple[surfaces.Converted, Sink]:
    sink = Sink(tmp_path)
    assert wkb.fault(blob) is None
    return surfaces.convert([None, blob], 7, sink, degrees=degrees), sink


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("degrees", "at", "size"), [
    (False, (500_000.0, 3_386_000.0, 20.0), (10.0, 20.0, 6.5)),
    (True, (114.3, 30.59, 20.0), (1e-4, 2e-4, 6.5)),
    (True, (25.0, 69.9, -3.0), (1e-5, 1e-5, 3.0)),
])  # fmt: skip
def test_a_body_stands_on_its_footprint(
    order: str, degrees: bool, at: tuple[float, ...], size: tuple[float, ...], tmp_path: Path
) -> None:
    for kind, member in ((POLYHEDRAL, POLYGON), (COLLECTION, TRIANGLE)):
        faces = cube(at, size)  # type: ignore[arg-type]
        if member == TRIANGLE:
            faces = [face[list(corner)] for face in faces for corner in ((0, 1, 2), (0, 2, 3))]
        found, _ = converted(surface(kind, member, faces, order=order), tmp_path, degrees=degrees)
        assert found.footprints[0] is None
        base = shapely.from_wkb(found.footprints[1])
        assert base.bounds == pytest.approx((at[0], at[1], at[0] + size[0], at[1] + size[1]), abs=2e-8)
        blob = found.bodies[1]
        assert blob is not None
        mesh = Mesh.from_bytes(blob)
        assert len(mesh.triangles) == 12
        assert mesh.positions.min(axis=0) == pytest.approx(at)
        assert sorted(np.bincount(mesh.surfaces)[1:4].tolist()) == [2, 2, 8]  # ground, roof, walls
        assert found.heights()["mesh_height_m"] == [None, pytest.approx(size[2])]


def test_without_heights_they_are_areas(tmp_path: Path) -> None:
    faces = [np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0]]), np.array([[0, 0, 0], [1, 1, 0], [0, 1, 0]])]
    found, _ = converted(surface(TIN, TRIANGLE, faces, high=False), tmp_path)
    assert shapely.from_wkb(found.footprints[1]).equals(shapely.box(0, 0, 1, 1))
    assert found.bodies == [None, None]


def test_what_stands_upright_has_no_footprint(tmp_path: Path) -> None:
    wall = [np.array([[0.0, 0, 0], [9, 0, 0], [9, 0, 4]])]
    blob = surface(TIN, TRIANGLE, wall)
    found, sink = converted(blob, tmp_path)
    assert (found.footprints[1], found.bodies[1]) == (blob, None)
    assert [(p.rule, p.row) for p in sink.problems] == [("surface.upright", 8)]
    assert "TIN" in sink.problems[0].reason


def test_other_collections_stay_what_they_are(tmp_path: Path) -> None:
    mixed = (
        struct.pack("<BII", 1, 1007, 2) + ring(np.eye(3), TRIANGLE) + shapely.to_wkb(shapely.Point(1, 2, 3))
    )
    assert converted(mixed, tmp_path)[0].footprints[1] == mixed
    areas = shapely.to_wkb(shapely.GeometryCollection([shapely.box(0, 0, 1, 1)]))
    assert converted(areas, tmp_path)[0].footprints[1] == areas


@given(st.binary(max_size=120), st.sampled_from([POLYHEDRAL, TIN, TRIANGLE, COLLECTION]), st.booleans())
def test_any_bytes_become_something_or_stay(data: bytes, kind: int, degrees: bool) -> None:
    blob = struct.pack("<BI", 1, kind + 1000) + data
    found = surfaces.convert([blob], 1, Sink(Path()), degrees=degrees)
    assert len(found.footprints) == 1
