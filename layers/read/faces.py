"""Planar faces in space: triangles, the footprint below them, and what a face without a name is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mapbox_earcut
import numpy as np
import shapely
from numpy.typing import NDArray

from layers.model import Mesh, Surface

type Floats = NDArray[np.float64]

#: A face smaller than this (m2) has no direction to speak of.
_NO_AREA = 1e-6
#: Vertical component of a unit normal beyond which a face is a roof, or (negative) ground.
_ROOF_NZ = 0.17
_GROUND_NZ = -0.7


@dataclass(frozen=True, slots=True)
class Faces:
    """Faces as lists of rings of vertex indices, one Surface a face; ``semantic`` says any is named."""

    rings: Sequence[Any]
    surfaces: Sequence[Surface]
    semantic: bool


@dataclass(frozen=True, slots=True)
class Shell:
    """A triangulated body in the source CRS: positions (n, 3), triangles (m, 3), surfaces (m,)."""

    positions: Floats
    triangles: NDArray[np.uint32]
    surfaces: NDArray[np.uint8]

    def mesh(self) -> Mesh:
        """The same as a mesh whose positions are still to be placed."""
        return Mesh(self.positions, self.triangles, self.surfaces)


def triangulated(faces: Faces, vertices: Floats) -> tuple[Shell, int]:
    """The faces as triangles over the vertices they use, and how many faces had no area.

    Raises ValueError, IndexError or TypeError when an index is not one of a vertex.
    """
    triangles: list[NDArray[np.int64]] = []
    surfaces: list[NDArray[np.uint8]] = []
    plain: list[Any] = []
    named: list[int] = []
    lost = 0
    for rings, surface in zip(faces.rings, faces.surfaces, strict=True):
        if len(rings) == 1 and len(rings[0]) == 3:
            plain.append(rings[0])
            named.append(surface)
            continue
        cut = _face([np.array(ring, np.int64) for ring in rings], vertices)
        if cut is None:
            lost += 1
            continue
        triangles.append(cut)
        surfaces.append(np.full(len(cut), surface, np.uint8))
    if plain:
        shell_faces, codes = _plain(np.array(plain, np.int64), np.array(named, np.uint8), vertices)
        lost += len(plain) - len(shell_faces)
        triangles.append(shell_faces)
        surfaces.append(codes)
    if not sum(map(len, triangles)):
        return Shell(np.empty((0, 3)), np.empty((0, 3), np.uint32), np.empty(0, np.uint8)), lost
    used, index = np.unique(np.concatenate(triangles), return_inverse=True)
    return Shell(vertices[used], index.reshape(-1, 3).astype(np.uint32), np.concatenate(surfaces)), lost


def _plain(
    triangles: NDArray[np.int64], surfaces: NDArray[np.uint8], vertices: Floats
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Faces that are triangles already, without those of no area."""
    _within(triangles, vertices)
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    whole = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2 >= _NO_AREA
    return triangles[whole], surfaces[whole]


def _within(indices: NDArray[np.int64], vertices: Floats) -> None:
    if indices.min() < 0 or indices.max() >= len(vertices):
        raise IndexError("a boundary names a vertex that is not there")


def newell(points: Floats) -> Floats:
    """The area vector of a ring (Newell): its length is the area, its direction the normal."""
    x, y, z = points.T
    u, v, w = np.roll(points, -1, axis=0).T
    return np.array([y @ w - z @ v, z @ u - x @ w, x @ v - y @ u]) / 2


def _face(rings: list[NDArray[np.int64]], vertices: Floats) -> NDArray[np.int64] | None:
    """Triangles (vertex indices) of one face, turned as its outer ring is; None without area."""
    rings = [r for r in (_open(ring) for ring in rings) if len(r) >= 3]
    if not rings:
        return None
    everything = np.concatenate(rings)
    _within(everything, vertices)
    outer = vertices[rings[0]] - vertices[rings[0][0]]
    normal = newell(outer)
    if not np.isfinite(normal).all() or np.linalg.norm(normal) < _NO_AREA:
        return None
    if len(everything) == 3:
        return rings[0].reshape(1, 3)
    flat = _projected(vertices[everything] - vertices[rings[0][0]], normal)
    ends = np.cumsum([len(r) for r in rings]).astype(np.uint32)
    cut = mapbox_earcut.triangulate_float64(np.ascontiguousarray(flat), ends).reshape(-1, 3)
    if not len(cut):
        return None
    a, b, c = (flat[cut[:, k]] for k in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    cut[area < 0] = cut[area < 0][:, ::-1]
    return np.asarray(everything[cut], np.int64)


def _open(ring: NDArray[np.int64]) -> NDArray[np.int64]:
    """A ring without repeated neighbours, first and last included."""
    if ring.ndim != 1:
        raise ValueError("a ring is a list of vertex indices")
    return ring[ring != np.roll(ring, 1)] if len(ring) > 1 else ring


def _projected(points: Floats, normal: Floats) -> Floats:
    """Points on the plane square to the normal, so that a face counter-clockwise about it stays so."""
    unit = normal / np.linalg.norm(normal)
    axis = np.eye(3)[int(np.argmin(np.abs(unit)))]
    u = np.cross(axis, unit)
    u /= np.linalg.norm(u)
    return np.column_stack([points @ u, points @ np.cross(unit, u)])


def normals(shell: Shell) -> tuple[Floats, Floats]:
    """Unit normals (m, 3) and areas (m,) of the triangles."""
    a, b, c = (shell.positions[shell.triangles[:, k]] for k in range(3))
    cross = np.cross(b - a, c - a)
    length = np.linalg.norm(cross, axis=1)
    return cross / np.where(length > 0, length, 1)[:, None], length / 2


def infer(shell: Shell) -> Shell:
    """The same body with roof, wall and ground by slope; normals are taken to point outward."""
    up = normals(shell)[0][:, 2]
    surfaces = np.where(up > _ROOF_NZ, Surface.ROOF, np.where(up < _GROUND_NZ, Surface.GROUND, Surface.WALL))
    return Shell(shell.positions, shell.triangles, surfaces.astype(np.uint8))


def footprint(shell: Shell) -> shapely.Geometry | None:
    """The union of the ground surfaces seen from above, else of every surface; None without area."""
    for wanted in ([Surface.GROUND], None):
        chosen = shell.triangles if wanted is None else shell.triangles[np.isin(shell.surfaces, wanted)]
        if not len(chosen):
            continue
        corners = shell.positions[chosen][:, :, :2]
        shapes = shapely.polygons(np.concatenate([corners, corners[:, :1]], axis=1))
        shapes = shapes[shapely.area(shapes) > _NO_AREA]
        if not len(shapes):
            continue
        union = shapely.union_all(shapely.make_valid(shapes), grid_size=0.001)
        parts = [p for p in shapely.get_parts(union) if p.geom_type == "Polygon" and p.area > _NO_AREA]
        if parts:
            return parts[0] if len(parts) == 1 else shapely.multipolygons(parts)
    return None
