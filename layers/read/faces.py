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


def triangulated(several: Sequence[Faces], vertices: Sequence[Floats]) -> tuple[list[Shell], list[int]]:
    """The faces of bodies, each over vertices of its own, as triangles over those that they use; and how many
    faces of each had no area.

    Raises ValueError, IndexError or TypeError when an index is not one of a vertex, or a ring has not as many
    texture coordinates as corners.
    """
    first_vertex = np.cumsum([0, *map(len, vertices)])
    first_face = np.cumsum([0, *(len(one.rings) for one in several)])
    every = np.concatenate(vertices) if len(vertices) > 1 else vertices[0]
    made = cut([one.rings for one in several], every, [len(own) for own in vertices])
    used, index = np.unique(made.triangles, return_inverse=True)
    index = index.reshape(-1, 3)
    begins = np.searchsorted(used, first_vertex)
    triangles = np.searchsorted(made.faces, first_face)
    drawn = np.zeros(first_face[-1] + 1, np.int64)
    drawn[np.unique(made.faces) + 1] = 1
    lost = np.diff(first_face) - np.diff(np.cumsum(drawn)[first_face])
    shells = []
    for k, faces in enumerate(several):
        mine = slice(triangles[k], triangles[k + 1])
        face_of = made.faces[mine] - first_face[k]
        corners = made.corners[mine]
        shells.append(
            Shell(
                every[used[begins[k] : begins[k + 1]]],
                (index[mine] - begins[k]).astype(np.uint32),
                np.array(faces.surfaces, np.uint8)[face_of],
                None if faces.parts is None else np.array(faces.parts, np.uint32)[face_of],
                faces.part_table,
                None if faces.materials is None else np.array(faces.materials, np.uint16)[face_of],
                faces.material_table,
                None if faces.uv is None else _uv(faces.rings, faces.uv, face_of, corners),
            )
        )
    return shells, lost.tolist()


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


def infer(shells: Sequence[Shell], chosen: Sequence[bool]) -> list[Shell]:
    """The same bodies, the chosen ones with roof, wall and ground by slope; normals are taken to point
    outward."""
    out = list(shells)
    wanted = [k for k, one in enumerate(chosen) if one and len(shells[k].triangles)]
    if not wanted:
        return out
    a, b, c = np.concatenate([shells[k].positions[shells[k].triangles] for k in wanted]).transpose(1, 0, 2)
    cross = np.cross(b - a, c - a)
    length = np.linalg.norm(cross, axis=1)
    up = cross[:, 2] / np.where(length > 0, length, 1)
    surfaces = np.where(up > _ROOF_NZ, Surface.ROOF, np.where(up < _GROUND_NZ, Surface.GROUND, Surface.WALL))
    ends = np.cumsum([len(shells[k].triangles) for k in wanted])
    for k, own in zip(wanted, np.split(surfaces.astype(np.uint8), ends[:-1]), strict=True):
        out[k] = replace(shells[k], surfaces=own)
    return out


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
