"""Planar faces in space: triangles, the footprint below them, and what a face without a name is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from itertools import chain, pairwise
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from layers.mesh import Material, Mesh, Part, Surface
from layers.read.triangles import NO_AREA, Rings, cut

type Floats = NDArray[np.float64]
type Indices = NDArray[np.int64]

#: Vertical component of a unit normal beyond which a face is a roof, or (negative) ground.
_ROOF_NZ = 0.17
_GROUND_NZ = -0.7
#: Metres to which corners of triangles that cross are rounded where they are joined.
PRECISION = 0.001


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


@dataclass(frozen=True, slots=True)
class Bodies:
    """The faces of several bodies as arrays, body after body, over the vertices (n, 3) of all of them.

    ``of_vertices`` counts those of each body; ``surfaces``, ``parts`` and ``materials`` have an item a face,
    the last two indices into the tables of its body, which are empty where it has none; ``uv`` (k, 2) has the
    texture coordinates of every corner, None where no body is ``textured``."""

    rings: Rings
    vertices: Floats
    of_vertices: Indices
    surfaces: NDArray[np.uint8]
    parts: Indices
    part_tables: Sequence[tuple[Part, ...]]
    materials: Indices
    material_tables: Sequence[tuple[Material, ...]]
    uv: Floats | None
    textured: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Triangulated:
    """Bodies as triangles, how many faces of each had no area, and the face of each triangle among all."""

    shells: list[Shell]
    lost: list[int]
    faces: Indices


def gathered(several: Sequence[Faces], vertices: Sequence[Floats]) -> Bodies:
    """The faces of bodies, each over vertices of its own.

    Raises ValueError, IndexError or TypeError when an index is not one of a vertex, or a ring has not as many
    texture coordinates as corners.
    """
    faces = [face for one in several for face in one.rings]
    every = [ring for face in faces for ring in face]
    flat, sizes = _flat(every)
    own = np.array([len(each) for each in vertices], np.int64)
    rings = Rings(
        flat,
        sizes,
        np.array([len(face) for face in faces], np.int64),
        np.array([len(one.rings) for one in several], np.int64),
    )
    body = rings.body()
    if len(flat) and (flat.min() < 0 or (flat >= own[body]).any()):
        raise IndexError("a boundary names a vertex that is not there")
    flat += (np.cumsum(own) - own)[body]

    def of_faces(of: Callable[[Faces], Sequence[int] | None], kind: Any) -> NDArray[Any]:
        made = [np.zeros(len(one.rings), kind) if of(one) is None else np.array(of(one)) for one in several]
        return np.concatenate(made).astype(kind) if made else np.empty(0, kind)

    return Bodies(
        rings,
        np.concatenate(vertices) if len(vertices) != 1 else vertices[0],
        own,
        of_faces(lambda one: one.surfaces, np.uint8),
        of_faces(lambda one: one.parts, np.int64),
        [one.part_table if one.parts is not None else () for one in several],
        of_faces(lambda one: one.materials, np.int64),
        [one.material_table if one.materials is not None else () for one in several],
        _uv(several, len(flat)),
        np.array([one.uv is not None for one in several], bool),
    )


def _flat(rings: Sequence[Any]) -> tuple[Indices, Indices]:
    """The indices of all rings one after the other, and how many each has. Raises ValueError, TypeError."""
    sizes = np.array([len(ring) for ring in rings], np.int64)
    if rings and isinstance(rings[0], np.ndarray):
        flat = np.concatenate(rings)
    else:
        flat = np.array(list(chain.from_iterable(rings)), np.int64)
    if flat.ndim != 1 or len(flat) != sizes.sum():
        raise ValueError("a ring is a list of vertex indices")
    return flat.astype(np.int64), sizes


def _uv(several: Sequence[Faces], corners: int) -> Floats | None:
    """Texture coordinates of all corners, 0, 0 where a face has none. Raises ValueError."""
    if all(one.uv is None for one in several):
        return None
    out = np.zeros((corners, 2))
    at = 0
    for one in several:
        for face, coordinates in zip(one.rings, one.uv or [None] * len(one.rings), strict=True):
            size = sum(map(len, face))
            if coordinates is not None:
                if [len(ring) for ring in face] != [len(ring) for ring in coordinates]:
                    raise ValueError("a ring has not as many texture coordinates as corners")
                out[at : at + size] = np.array(list(chain.from_iterable(coordinates)), np.float64)
            at += size
    return out


def triangulated(several: Sequence[Faces], vertices: Sequence[Floats]) -> tuple[list[Shell], list[int]]:
    """The faces of bodies, each over vertices of its own, as triangles over those that they use; and how many
    faces of each had no area. Raises as :func:`gathered`."""
    made = triangles(gathered(several, vertices))
    return made.shells, made.lost


def triangles(bodies: Bodies) -> Triangulated:
    """Bodies as triangles over the vertices that they use."""
    first_vertex = np.cumsum([0, *bodies.of_vertices])
    of_body = bodies.rings.of_body
    first_face = np.cumsum([0, *of_body])
    made = cut(bodies.rings, bodies.vertices)
    used = np.zeros(len(bodies.vertices) + 1, bool)
    used[made.triangles] = True
    number = np.cumsum(used) - 1
    used = np.flatnonzero(used)
    begins = np.searchsorted(used, first_vertex).tolist()
    ends = np.searchsorted(made.faces, first_face)
    own = np.repeat(np.arange(len(of_body)), np.diff(ends))
    index = (number[made.triangles] - np.array(begins)[own][:, None]).astype(np.uint32)
    positions = bodies.vertices[used]
    surfaces = bodies.surfaces[made.faces]
    parts = bodies.parts[made.faces].astype(np.uint32)
    materials = bodies.materials[made.faces].astype(np.uint16)
    uv = None if bodies.uv is None else bodies.uv[made.corners].astype(np.float32)
    drawn = np.zeros(first_face[-1], np.int64)
    drawn[made.faces] = 1
    lost = of_body - np.bincount(bodies.rings.body_of_face(), drawn, len(of_body)).astype(np.int64)
    shells = []
    for k, (begin, end) in enumerate(pairwise(ends.tolist())):
        part_table, material_table = bodies.part_tables[k], bodies.material_tables[k]
        shells.append(
            Shell(
                positions[begins[k] : begins[k + 1]],
                index[begin:end],
                surfaces[begin:end],
                parts[begin:end] if part_table else None,
                part_table,
                materials[begin:end] if material_table else None,
                material_table,
                uv[begin:end] if uv is not None and bodies.textured[k] else None,
            )
        )
    return Triangulated(shells, lost.tolist(), made.faces)


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


def footprints(bodies: Bodies, made: Triangulated) -> list[shapely.Geometry | None]:
    """The union of the ground surfaces of each body seen from above, else of every surface; None without
    area. Where these are a single ring that is whole, it is the union."""
    shells = made.shells
    ends = np.cumsum([len(one.triangles) for one in shells], dtype=np.int64)
    if not len(ends) or not ends[-1]:
        return [None] * len(shells)
    body = np.repeat(np.arange(len(shells)), np.diff(ends, prepend=0))
    ground = np.concatenate([one.surfaces for one in shells]) == Surface.GROUND
    corners = np.concatenate([one.positions[one.triangles][:, :, :2] for one in shells if len(one.triangles)])
    a, b, c = corners.transpose(1, 0, 2)
    area = np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    # a ground that stands upright has no area to speak of: every surface counts then
    grounded = np.bincount(body, ground & (area > NO_AREA), len(shells)) > 0
    chosen = np.flatnonzero((ground | ~grounded[body]) & (area > NO_AREA))
    out: list[shapely.Geometry | None] = [None] * len(shells)
    begins = np.searchsorted(body[chosen], np.arange(len(shells) + 1))
    single = _single(bodies, made.faces[chosen], area[chosen], begins)
    for k, (begin, end) in enumerate(pairwise(begins.tolist())):
        if k in single:
            out[k] = single[k]
        elif end > begin:
            own = corners[chosen[begin:end]]
            shapes = shapely.polygons(np.concatenate([own, own[:, :1]], axis=1))
            out[k] = joined(_union(shapes))
    return out


def _single(bodies: Bodies, faces: Indices, area: Floats, begins: Indices) -> dict[int, shapely.Geometry]:
    """The outlines, by body, of those whose chosen triangles make one face of one ring."""
    having = np.flatnonzero(np.diff(begins))
    first, last = faces[begins[having]], faces[begins[having + 1] - 1]
    rings = bodies.rings
    one = (first == last) & (rings.of_face[first] == 1)
    having, face = having[one], first[one]
    if not len(having):
        return {}
    ring = (np.cumsum(rings.of_face) - rings.of_face)[face]
    sizes = rings.sizes[ring]
    number = np.repeat(np.arange(len(ring)), sizes)
    starts = (np.cumsum(rings.sizes) - rings.sizes)[ring]
    at = np.arange(sizes.sum()) + np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)
    lines = shapely.linearrings(bodies.vertices[rings.flat[at]][:, :2], indices=number)
    shapes = shapely.polygons(lines)
    wanted = np.add.reduceat(area, begins[:-1][np.diff(begins) > 0])[one]
    whole = shapely.is_valid(shapes) & (np.abs(shapely.area(shapes) - wanted) <= NO_AREA * sizes)
    return dict(zip(having[whole].tolist(), shapes[whole], strict=True))


def shadow(corners: Floats) -> shapely.Geometry | None:
    """The union of triangles (m, 3, 2); None without area."""
    shapes = shapely.polygons(np.concatenate([corners, corners[:, :1]], axis=1))
    shapes = shapes[shapely.area(shapes) > NO_AREA]
    return joined(_union(shapes)) if len(shapes) else None


def joined(union: shapely.Geometry) -> shapely.Geometry | None:
    """The polygons of a union that have an area, as one geometry."""
    parts = shapely.get_parts(union)
    parts = parts[
        (shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & (shapely.area(parts) > NO_AREA)
    ]
    if len(parts) < 2:
        return parts[0] if len(parts) else None
    return shapely.multipolygons(parts)


def _union(triangles: Sequence[shapely.Geometry]) -> shapely.Geometry:
    """The union of triangles; fast where they lie beside one another, as those of one surface do."""
    with suppress(shapely.GEOSException):  # they cross, or meet in the middle of an edge
        beside = shapely.coverage_union_all(triangles)
        if beside.is_valid and abs(beside.area - shapely.area(triangles).sum()) <= NO_AREA * len(triangles):
            return beside
    return shapely.union_all(triangles, grid_size=PRECISION)
