"""What is wrong with the faces of a body, as those who correct it know it.

The rules are those of val3dity (https://val3dity.readthedocs.io, codes 102, 104, 201 and 203) and of the
quality checks of PLATEAU (L07, L09, L11, L13). A face that breaks one is drawn all the same.
"""

from __future__ import annotations

from collections import Counter
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


def faults(rings: Rings, points: Floats) -> list[Counter[str]]:
    """Of each body how many faces break which rule; ``points`` are the vertices of all in metres."""
    count = len(rings.of_body)
    if not len(rings.flat):
        return [Counter() for _ in range(count)]
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
    out: list[Counter[str]] = [Counter() for _ in range(count)]
    for rule, which in found.items():
        for body in body_of_face[which].tolist():
            out[body][rule] += 1
    return out


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
    chosen = (corners > 3)[ring]  # a triangle crosses nothing
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
