"""Planar faces in space: triangles, the footprint below them, and what a face without a name is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import mapbox_earcut
import numpy as np
import shapely
from numpy.typing import NDArray

from layers.mesh import Material, Mesh, Part, Surface

type Floats = NDArray[np.float64]

#: A face smaller than this (m2) has no direction to speak of.
_NO_AREA = 1e-6
#: Vertical component of a unit normal beyond which a face is a roof, or (negative) ground.
_ROOF_NZ = 0.17
_GROUND_NZ = -0.7


@dataclass(frozen=True, slots=True)
class Faces:
    """Faces as lists of rings of vertex indices, one Surface a face; ``semantic`` says any is named.

    ``parts`` and ``materials`` are indices of each face into their tables, None where there are none;
    ``uv`` has the texture coordinates (k, 2) of the corners of each ring, an item None for a face without."""

    rings: Sequence[Any]
    surfaces: Sequence[Surface]
    semantic: bool
    parts: Sequence[int] | None = None
    part_table: tuple[Part, ...] = ()
    materials: Sequence[int] | None = None
    material_table: tuple[Material, ...] = ()
    uv: Sequence[Sequence[Any] | None] | None = None


@dataclass(frozen=True, slots=True)
class Shell(Mesh):
    """A mesh whose positions (n, 3) are still those of the source's CRS."""

    def mesh(self) -> Mesh:
        """The same as a mesh whose positions are still to be placed."""
        return Mesh(**{each.name: getattr(self, each.name) for each in fields(Mesh)})


def triangulated(faces: Faces, vertices: Floats) -> tuple[Shell, int]:
    """The faces as triangles over the vertices they use, and how many faces had no area.

    Raises ValueError, IndexError or TypeError when an index is not one of a vertex, or a ring has not as many
    texture coordinates as corners.
    """
    cuts: list[NDArray[np.int64]] = []  # triangles as vertex indices, and as corners of their face
    corners: list[NDArray[np.int64]] = []
    of: list[NDArray[np.int64]] = []  # the face of each triangle
    plain: list[Any] = []
    plain_of: list[int] = []
    lost = 0
    for face, rings in enumerate(faces.rings):
        if len(rings) == 1 and len(rings[0]) == 3:
            plain.append(rings[0])
            plain_of.append(face)
            continue
        cut = _face([np.array(ring, np.int64) for ring in rings], vertices)
        if cut is None:
            lost += 1
            continue
        cuts.append(cut[0])
        corners.append(cut[1])
        of.append(np.full(len(cut[0]), face, np.int64))
    if plain:
        triangles, whole = _plain(np.array(plain, np.int64), vertices)
        lost += len(plain) - len(triangles)
        cuts.append(triangles)
        corners.append(np.tile(np.arange(3), (len(triangles), 1)))
        of.append(np.array(plain_of, np.int64)[whole])
    if not sum(map(len, cuts)):
        return Shell(np.empty((0, 3)), np.empty((0, 3), np.uint32), np.empty(0, np.uint8)), lost
    used, index = np.unique(np.concatenate(cuts), return_inverse=True)
    face_of = np.concatenate(of)
    return (
        Shell(
            vertices[used],
            index.reshape(-1, 3).astype(np.uint32),
            np.array(faces.surfaces, np.uint8)[face_of],
            None if faces.parts is None else np.array(faces.parts, np.uint32)[face_of],
            faces.part_table,
            None if faces.materials is None else np.array(faces.materials, np.uint16)[face_of],
            faces.material_table,
            None if faces.uv is None else _uv(faces.rings, faces.uv, face_of, np.concatenate(corners)),
        ),
        lost,
    )


def _uv(
    rings: Sequence[Any],
    uv: Sequence[Sequence[Any] | None],
    face_of: NDArray[np.int64],
    corners: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Texture coordinates (m, 3, 2) of the corners of triangles, 0, 0 where a face has none. ``corners``
    count along the rings of their face. Raises ValueError."""
    starts = np.zeros(len(rings), np.int64)
    known: list[NDArray[np.float64]] = [np.zeros((1, 2))]
    at = 1
    for face, (each, coordinates) in enumerate(zip(rings, uv, strict=True)):
        if coordinates is None:
            continue
        if [len(ring) for ring in each] != [len(ring) for ring in coordinates]:
            raise ValueError("a ring has not as many texture coordinates as corners")
        starts[face] = at
        known += [np.array(ring, np.float64).reshape(-1, 2) for ring in coordinates]
        at += sum(map(len, coordinates))
    begin = starts[face_of][:, None]
    return np.concatenate(known)[np.where(begin > 0, begin + corners, 0)].astype(np.float32)


def _plain(triangles: NDArray[np.int64], vertices: Floats) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Faces that are triangles already, without those of no area; and which these are."""
    _within(triangles, vertices)
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    whole = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2 >= _NO_AREA
    return triangles[whole], whole


def _within(indices: NDArray[np.int64], vertices: Floats) -> None:
    if indices.min() < 0 or indices.max() >= len(vertices):
        raise IndexError("a boundary names a vertex that is not there")


def newell(points: Floats) -> Floats:
    """The area vector of a ring (Newell): its length is the area, its direction the normal."""
    x, y, z = points.T
    u, v, w = np.roll(points, -1, axis=0).T
    return np.array([y @ w - z @ v, z @ u - x @ w, x @ v - y @ u]) / 2


def _face(
    rings: list[NDArray[np.int64]], vertices: Floats
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Triangles of one face as vertex indices, and as corners counted along its rings; turned as its outer
    ring is; None without area."""
    starts = np.cumsum([0, *map(len, rings)])
    kept = [_open(ring) for ring in rings]
    known = [
        (ring[open_], at + open_)
        for ring, open_, at in zip(rings, kept, starts, strict=False)
        if len(open_) >= 3
    ]
    if not known:
        return None
    outer_ring = known[0][0]
    everything = np.concatenate([ring for ring, _ in known])
    corners = np.concatenate([corner for _, corner in known])
    _within(everything, vertices)
    outer = vertices[outer_ring] - vertices[outer_ring[0]]
    normal = newell(outer)
    if not np.isfinite(normal).all() or np.linalg.norm(normal) < _NO_AREA:
        return None
    if len(everything) == 3:
        return everything.reshape(1, 3), corners.reshape(1, 3)
    flat = _projected(vertices[everything] - vertices[outer_ring[0]], normal)
    ends = np.cumsum([len(ring) for ring, _ in known]).astype(np.uint32)
    cut = mapbox_earcut.triangulate_float64(np.ascontiguousarray(flat), ends).reshape(-1, 3)
    if not len(cut):
        return None
    a, b, c = (flat[cut[:, k]] for k in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    cut[area < 0] = cut[area < 0][:, ::-1]
    return np.asarray(everything[cut], np.int64), np.asarray(corners[cut], np.int64)


def _open(ring: NDArray[np.int64]) -> NDArray[np.int64]:
    """The corners of a ring without repeated neighbours, first and last included."""
    if ring.ndim != 1:
        raise ValueError("a ring is a list of vertex indices")
    return np.flatnonzero(ring != np.roll(ring, 1)) if len(ring) > 1 else np.arange(len(ring))


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
    return replace(shell, surfaces=surfaces.astype(np.uint8))


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
