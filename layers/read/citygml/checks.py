"""What is wrong with the faces of a body, as those who correct it know it.

The rules are those of val3dity (https://val3dity.readthedocs.io, codes 102, 104, 201 and 203) and of the
quality checks of PLATEAU (L07, L09, L11, L13). A face that breaks one is drawn all the same.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from layers.read.triangles import Rings, normals

type Floats = NDArray[np.float64]
type Indices = NDArray[np.int64]

#: Positions nearer to one another than this (m) count as one.
ONE_M = 0.001
#: Distance from its plane (m) that a position of a face may have: PLATEAU's (L11); val3dity takes 0.01.
PLANE_M = 0.03
#: How much of the largest triangle of a ring the smallest has where none counts as turned the other way.
_CLEAR = 1e-9


def faults(rings: Rings, points: Floats) -> dict[int, Counter[str]]:
    """Of each body with a fault how many faces break which rule; ``points`` are the vertices of all in
    metres."""
    if not len(rings.flat):
        return {}
    flat, sizes, face_of_ring, ring = rings.flat, rings.sizes, rings.face_of_ring(), rings.ring()
    starts = np.cumsum(sizes) - sizes
    face = face_of_ring[ring]
    at = points[flat]
    following = np.arange(1, len(flat) + 1)
    following[starts + sizes - 1] = starts
    step = np.linalg.norm(at[following] - at, axis=1)
    closing = following == starts[ring]  # a ring ends where it begins: that is no repetition
    found = {"ring.repeated": np.unique(face[(step < ONE_M) & ~closing])}
    outer = np.searchsorted(face_of_ring, np.arange(len(rings.of_face)))
    normal = normals(at - at[starts[outer]][face], starts)[outer]
    length = np.linalg.norm(normal, axis=1)
    flat_faces = length > 0
    unit = normal / np.where(flat_faces, length, 1)[:, None]
    counts = np.bincount(face, minlength=len(rings.of_face))
    middle = np.column_stack([np.bincount(face, at[:, k], len(rings.of_face)) for k in range(3)])
    middle /= np.maximum(counts, 1)[:, None]
    away = np.abs(((at - middle[face]) * unit[face]).sum(axis=1))
    found["surface.nonplanar"] = np.unique(face[(away > PLANE_M) & flat_faces[face]])
    corners = sizes - (flat[starts] == flat[starts + sizes - 1])
    found.update(_crossed(at, ring, face, face_of_ring, corners, unit, flat_faces))
    body_of_face = rings.body_of_face()
    out: dict[int, Counter[str]] = defaultdict(Counter)
    for rule, which in found.items():
        for body in body_of_face[which].tolist():
            out[body][rule] += 1
    return out


def _is_seen_whole(seen: Floats, ring: Indices, corners: Indices) -> NDArray[np.bool_]:
    """Rings (their corners in the plane one after the other, the first perhaps once more) that lie on one
    side of their first line, and whose corners the first one sees in their order: these cross nothing. For
    others that is not known."""
    sizes = np.bincount(ring, minlength=len(corners))
    starts = np.cumsum(sizes) - sizes
    number = np.arange(len(ring)) - starts[ring]
    away = seen - seen[starts[ring]]
    x, y = away.T
    first = np.minimum(starts + 1, len(ring) - 1)[ring]
    inner = (number >= 1) & (number < corners[ring] - 1)
    following = np.append(away[1:], away[:1], axis=0)
    turns = np.where(inner, x * following[:, 1] - y * following[:, 0], np.nan)
    beside = np.where(inner, x[first] * following[:, 1] - y[first] * following[:, 0], np.nan)
    low, high = np.fmin(turns, beside), np.fmax(turns, beside)
    low, high = np.fmin.reduceat(low, starts), np.fmax.reduceat(high, starts)
    with np.errstate(invalid="ignore"):
        enough = _CLEAR * np.fmax(np.abs(low), np.abs(high))
        return np.asarray((low > enough) | (high < -enough))


def _crossed(
    at: Floats,
    ring: Indices,
    face: Indices,
    face_of_ring: Indices,
    corners: Indices,
    unit: Floats,
    flat_faces: NDArray[np.bool_],
) -> dict[str, Indices]:
    """Faces of which a ring crosses or touches itself, and those whose rings cross one another. A face that
    has no normal but more than one line crosses itself as a bow-tie does."""
    drop = np.argmax(np.abs(unit), axis=1)  # the axis that a face is seen along
    keep = np.array([[1, 2], [0, 2], [0, 1]])[drop]
    keep[~flat_faces] = [0, 1]
    seen = np.column_stack([at[np.arange(len(at)), keep[face][:, k]] for k in range(2)])
    alone = np.bincount(face_of_ring)[face_of_ring] == 1
    chosen = ((corners > 3) & ~(alone & _is_seen_whole(seen, ring, corners)))[ring]
    crossed = np.empty(0, np.int64)
    if chosen.any():
        names, index = np.unique(ring[chosen], return_inverse=True)
        lines = shapely.linearrings(seen[chosen], indices=index.reshape(-1))
        crossed = np.unique(face_of_ring[names[~shapely.is_valid(shapely.polygons(lines))]])
    several = np.flatnonzero(np.bincount(face_of_ring) > 1)
    begins = np.searchsorted(ring, np.arange(len(face_of_ring) + 1))
    crossing: list[int] = []
    for number in np.setdiff1d(several, crossed).tolist():
        first, last = np.searchsorted(face_of_ring, (number, number + 1))
        outlines = [seen[begins[k] : begins[k + 1]] for k in range(first, last)]
        polygon: Any = shapely.Polygon(outlines[0], outlines[1:])
        if not polygon.is_valid:
            crossing.append(number)
    return {"ring.crossed": crossed, "ring.interior": np.array(crossing, np.int64)}
