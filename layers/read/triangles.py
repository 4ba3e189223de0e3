"""Triangles of planar faces in space, of all faces of a body together: ears are clipped of those only that
are no triangles, and that neither a diagonal nor a fan about a corner divides."""

from __future__ import annotations

from dataclasses import dataclass

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
class Rings:
    """Rings of the faces of bodies, one after the other: ``flat`` has the vertices of their corners as
    indices into those of all bodies, ``sizes`` the corners of each ring, ``of_face`` the rings of each face
    and ``of_body`` the faces of each body."""

    flat: Indices
    sizes: Indices
    of_face: Indices
    of_body: Indices

    def ring(self) -> Indices:
        """The ring of each corner."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    def face_of_ring(self) -> Indices:
        """The face of each ring."""
        return np.repeat(np.arange(len(self.of_face)), self.of_face)

    def body_of_face(self) -> Indices:
        """The body of each face."""
        return np.repeat(np.arange(len(self.of_body)), self.of_body)

    def body(self) -> Indices:
        """The body of each corner."""
        return self.body_of_face()[self.face_of_ring()[self.ring()]]

    def chosen(self, faces: Indices, turned: NDArray[np.bool_], of_body: Indices) -> Rings:
        """These faces, ``of_body`` of each body, those that are ``turned`` with their corners backwards."""
        of_face = self.of_face[faces]
        ring = _spread((np.cumsum(self.of_face) - self.of_face)[faces], of_face)
        sizes = self.sizes[ring]
        starts = (np.cumsum(self.sizes) - self.sizes)[ring]
        at = _spread(starts, sizes)
        if turned.any():
            back = np.repeat(np.repeat(turned, of_face), sizes)
            mirrored = np.repeat(2 * starts + sizes - 1, sizes) - at
            at = np.where(back, mirrored, at)
        return Rings(self.flat[at], sizes, of_face, of_body)


def _spread(firsts: Indices, counts: Indices) -> Indices:
    """As many numbers as ``counts`` says from each first one on, one after the other."""
    ends = np.cumsum(counts)
    return np.asarray(np.arange(counts.sum()) + np.repeat(firsts - (ends - counts), counts))


@dataclass(frozen=True, slots=True)
class Cut:
    """Triangles as vertex indices (m, 3), their corners counted along the rings of all bodies (m, 3), and
    the face of each (m,)."""

    triangles: Indices
    corners: Indices
    faces: Indices


def cut(rings: Rings, vertices: Floats) -> Cut:
    """Faces of bodies over the vertices of all as triangles that are turned as its outer ring is."""
    flat, sizes = rings.flat, rings.sizes
    if not len(flat):
        return _nothing()
    ring, face_of_ring = rings.ring(), rings.face_of_ring()
    # corners that repeat the one before, first and last included, and rings of fewer than three are none
    before = np.arange(-1, len(flat) - 1)
    starts = np.cumsum(sizes) - sizes
    before[starts[sizes > 0]] = (starts + sizes - 1)[sizes > 0]
    kept = (flat != flat[before]) | (sizes[ring] == 1)
    kept &= np.bincount(ring[kept], minlength=len(sizes))[ring] >= 3
    face = face_of_ring[ring]
    corner = np.arange(len(flat))
    at, ring, face, corner = flat[kept], ring[kept], face[kept], corner[kept]
    if not len(at):
        return _nothing()
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
    more = np.flatnonzero(left & ~several)
    fans, starlike = _fans(points, begins[more], counts[more], unit[more], length[more])
    local.append(fans)
    left[more[starlike]] = False
    local.append(_clipped(points, ring_begins, np.flatnonzero(left), begins, counts, unit))
    made = np.concatenate(local)
    made = made[np.argsort(made[:, 0], kind="stable")] if len(made) else made
    made = made[np.argsort(face[made[:, 0]], kind="stable")]
    return Cut(at[made], corner[made], face[made[:, 0]])


def _nothing() -> Cut:
    """No triangle."""
    none = np.empty((0, 3), np.int64)
    return Cut(none, none, np.empty(0, np.int64))


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


def _fans(
    points: Floats, begins: Indices, counts: Indices, unit: Floats, area: Floats
) -> tuple[Indices, NDArray[np.bool_]]:
    """Triangles about the first corner of each face that all of it is seen from, and which these are."""
    several = counts - 2
    of = np.repeat(np.arange(len(begins)), several)
    step = np.arange(len(of)) - np.repeat(np.cumsum(several) - several, several)
    first = begins[of]
    made = np.column_stack([first, first + step + 1, first + step + 2])
    a, b, c = (points[made[:, k]] for k in range(3))
    sides = np.einsum("ij,ij->i", np.cross(b - a, c - a), unit[of]) / 2
    starlike = np.ones(len(begins), bool)
    starlike[of[sides <= _HALF * area[of]]] = False
    return made[starlike[of]], starlike


def _clipped(
    points: Floats, ring_begins: Indices, chosen: Indices, begins: Indices, counts: Indices, unit: Floats
) -> Indices:
    """Triangles of the chosen faces by ear clipping."""
    if not len(chosen):
        return np.empty((0, 3), np.int64)
    axis = np.eye(3)[np.argmin(np.abs(unit[chosen]), axis=1)]
    u = np.cross(axis, unit[chosen])
    u /= np.linalg.norm(u, axis=1)[:, None]
    v = np.cross(unit[chosen], u)
    made: list[Indices] = []
    for k, (begin, count) in enumerate(zip(begins[chosen].tolist(), counts[chosen].tolist(), strict=True)):
        own = points[begin : begin + count]
        first, last = np.searchsorted(ring_begins, (begin, begin + count))
        ends = np.append(ring_begins[first + 1 : last], begin + count) - begin
        flat = np.empty((count, 2))
        flat[:, 0] = own @ u[k]
        flat[:, 1] = own @ v[k]
        ears = mapbox_earcut.triangulate_float64(flat, ends.astype(np.uint32)).reshape(-1, 3)
        # all turned alike; what is turned against the face's outer ring is so throughout
        a, b, c = flat[ears[:, 0]], flat[ears[:, 1]], flat[ears[:, 2]]
        area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
        ears = ears.astype(np.int64) + begin
        ears[area < 0] = ears[area < 0][:, ::-1]
        made.append(ears)
    return np.concatenate(made)
