"""Planar faces in space: triangles, the footprint below them, and what a face without a name is."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from layers.mesh import Material, Mesh, Part, Surface
from layers.read.triangles import NO_AREA, cut

type Floats = NDArray[np.float64]

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
    made = cut(faces.rings, vertices)
    if not len(made.triangles):
        return Shell(np.empty((0, 3)), np.empty((0, 3), np.uint32), np.empty(0, np.uint8)), made.lost
    used, index = np.unique(made.triangles, return_inverse=True)
    return (
        Shell(
            vertices[used],
            index.reshape(-1, 3).astype(np.uint32),
            np.array(faces.surfaces, np.uint8)[made.faces],
            None if faces.parts is None else np.array(faces.parts, np.uint32)[made.faces],
            faces.part_table,
            None if faces.materials is None else np.array(faces.materials, np.uint16)[made.faces],
            faces.material_table,
            None if faces.uv is None else _uv(faces.rings, faces.uv, made.faces, made.corners),
        ),
        made.lost,
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
        shapes = shapes[shapely.area(shapes) > NO_AREA]
        if not len(shapes):
            continue
        union = _union(shapes)
        parts = [p for p in shapely.get_parts(union) if p.geom_type == "Polygon" and p.area > NO_AREA]
        if parts:
            return parts[0] if len(parts) == 1 else shapely.multipolygons(parts)
    return None


def _union(triangles: Sequence[shapely.Geometry]) -> shapely.Geometry:
    """The union of triangles; fast where they lie beside one another, as those of one surface do."""
    with suppress(shapely.GEOSException):  # they cross, or meet in the middle of an edge
        beside = shapely.coverage_union_all(triangles)
        if beside.is_valid and abs(beside.area - shapely.area(triangles).sum()) <= NO_AREA * len(triangles):
            return beside
    return shapely.union_all(triangles, grid_size=0.001)
