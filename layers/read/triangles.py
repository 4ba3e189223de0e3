"""Triangles of planar faces in space, of all faces of a body together: ears are clipped of those only that
are neither triangles nor convex quadrangles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import mapbox_earcut
import numpy as np
from numpy.typing import NDArray

type Floats = NDArray[np.float64]
type Indices = NDArray[np.int64]

#: A face smaller than this (m2) has no direction to speak of.
NO_AREA = 1e-6
#: Share of the whole that a half of a quadrangle has at least, where it is cut along a diagonal.
_HALF = 1e-9


@dataclass(frozen=True, slots=True)
class Cut:
    """Triangles as vertex indices (m, 3), their corners counted along the rings of their face (m, 3), the
    face of each (m,), and how many faces had no area."""

    triangles: Indices
    corners: Indices
    faces: Indices
    lost: int


def cut(bodies: Sequence[Sequence[Any]], vertices: Floats, of_body: Sequence[int]) -> Cut:
    """Faces of bodies, each a list of rings of indices of the vertices of its body, as triangles that are
    turned as its outer ring is. ``of_body``: how many of the vertices are each body's, one after the other.

    Raises ValueError, IndexError or TypeError when an index is not one of a vertex."""
    faces = [face for body in bodies for face in body]
    rings = [ring for face in faces for ring in face]
    flat, sizes = _flat(rings)
    if not len(flat):
        return _nothing(len(faces))
    indices = np.array([sum(map(len, face)) for face in faces], np.int64)
    in_body = np.repeat(np.repeat(np.arange(len(bodies)), [len(body) for body in bodies]), indices)
    if flat.min() < 0 or (flat >= np.array(of_body)[in_body]).any():
        raise IndexError("a boundary names a vertex that is not there")
    flat += (np.cumsum(of_body) - of_body)[in_body]
    face_of_ring = np.repeat(np.arange(len(faces)), [len(face) for face in faces])
    ring = np.repeat(np.arange(len(rings)), sizes)
    # corners that repeat the one before, first and last included, and rings of fewer than three are none
    before = np.arange(-1, len(flat) - 1)
    starts = np.cumsum(sizes) - sizes
    before[starts[sizes > 0]] = (starts + sizes - 1)[sizes > 0]
    kept = (flat != flat[before]) | (sizes[ring] == 1)
    kept &= np.bincount(ring[kept], minlength=len(rings))[ring] >= 3
    face = face_of_ring[ring]
    corner = np.arange(len(flat)) - np.searchsorted(face, face)
    at, ring, face, corner = flat[kept], ring[kept], face[kept], corner[kept]
    if not len(at):
        return _nothing(len(faces))
    begins = np.flatnonzero(np.diff(face, prepend=-1))  # of each face that is left its first corner
    counts = np.diff(begins, append=len(at))
    ring_begins = np.flatnonzero(np.diff(ring, prepend=-1))
    points = vertices[at] - np.repeat(vertices[at[begins]], counts, axis=0)
    normal = normals(points, ring_begins)[np.searchsorted(ring_begins, begins)]
    length = np.linalg.norm(normal, axis=1)
    with np.errstate(invalid="ignore"):
        whole = np.isfinite(length) & (length >= NO_AREA)
    several = np.bincount(np.searchsorted(begins, ring_begins, "right") - 1, minlength=len(begins)) > 1
    unit = normal / np.where(whole, length, 1)[:, None]
    three = begins[whole & (counts == 3)]
    local = [three[:, None] + np.arange(3)]
    left = whole & (counts > 3)
    four = np.flatnonzero(left & (counts == 4) & ~several)
    halves, convex = _quadrangles(points, begins[four], unit[four], length[four])
    local.append(halves)
    left[four[convex]] = False
    clipped, lost = _clipped(points, ring_begins, np.flatnonzero(left), begins, counts, unit)
    local.append(clipped)
    made = np.concatenate(local)
    made = made[np.argsort(made[:, 0], kind="stable")] if len(made) else made
    made = made[np.argsort(face[made[:, 0]], kind="stable")]
    missing = len(faces) - int(whole.sum()) + lost
    return Cut(at[made], corner[made], face[made[:, 0]], missing)


def _nothing(lost: int) -> Cut:
    """No triangle of so many faces."""
    none = np.empty((0, 3), np.int64)
    return Cut(none, none, np.empty(0, np.int64), lost)


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


def normals(points: Floats, begins: Indices) -> Floats:
    """The area vector of each ring (Newell): its length is the area, its direction the normal."""
    following = np.arange(1, len(points) + 1)
    ends = np.append(begins[1:], len(points)) - 1
    following[ends] = begins
    x, y, z = points.T
    u, v, w = points[following].T
    cross = np.column_stack([y * w - z * v, z * u - x * w, x * v - y * u])
    return np.asarray(np.add.reduceat(cross, begins, axis=0) / 2)


def _quadrangles(
    points: Floats, begins: Indices, unit: Floats, area: Floats
) -> tuple[Indices, NDArray[np.bool_]]:
    """Two triangles of each quadrangle that a diagonal divides, and which these are."""
    made = np.full((len(begins), 2, 3), -1, np.int64)
    convex = np.zeros(len(begins), bool)
    for one, other in (((0, 1, 2), (0, 2, 3)), ((1, 2, 3), (1, 3, 0))):
        halves = begins[:, None, None] + np.array([one, other])
        a, b, c = (points[halves[:, :, k]] for k in range(3))
        sides = np.einsum("ijk,ik->ij", np.cross(b - a, c - a), unit) / 2
        good = (sides > _HALF * area[:, None]).all(axis=1) & ~convex
        made[good] = halves[good]
        convex |= good
    return made[convex].reshape(-1, 3), convex


def _clipped(
    points: Floats, ring_begins: Indices, chosen: Indices, begins: Indices, counts: Indices, unit: Floats
) -> tuple[Indices, int]:
    """Triangles of the chosen faces by ear clipping, and how many of these have none."""
    if not len(chosen):
        return np.empty((0, 3), np.int64), 0
    axis = np.eye(3)[np.argmin(np.abs(unit[chosen]), axis=1)]
    u = np.cross(axis, unit[chosen])
    u /= np.linalg.norm(u, axis=1)[:, None]
    v = np.cross(unit[chosen], u)
    made: list[Indices] = []
    lost = 0
    for k, (begin, count) in enumerate(zip(begins[chosen].tolist(), counts[chosen].tolist(), strict=True)):
        own = points[begin : begin + count]
        first, last = np.searchsorted(ring_begins, (begin, begin + count))
        ends = np.append(ring_begins[first + 1 : last], begin + count) - begin
        flat = np.empty((count, 2))
        flat[:, 0] = own @ u[k]
        flat[:, 1] = own @ v[k]
        ears = mapbox_earcut.triangulate_float64(flat, ends.astype(np.uint32)).reshape(-1, 3)
        lost += not len(ears)
        # all turned alike; what is turned against the face's outer ring is so throughout
        a, b, c = flat[ears[:, 0]], flat[ears[:, 1]], flat[ears[:, 2]]
        area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
        ears = ears.astype(np.int64) + begin
        ears[area < 0] = ears[area < 0][:, ::-1]
        made.append(ears)
    return np.concatenate(made), lost
