"""Where bodies are in one another's way: boxes first, then the solid that both fill.

What two closed bodies have in common is made exactly, by manifold3d. How deep they are in one another follows
from it: twice its volume by its surface, the thickness of a thin sheet. Bodies that touch have a sheet of no
thickness in common, so they do not clash. Of a body that is not closed nobody can say what it fills: its
triangles are asked whether an edge goes through the other's, by more than the tolerance on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from layers.mesh import Mesh
from layers.models import metres

type Floats = NDArray[np.float64]

#: Corners that are nearer (m) are one: of the digits of a degree nothing smaller is left.
WELDED_M = 1e-5
#: Edges times triangles that are looked at together.
_TOGETHER = 2_000_000
_NO_AREA = 1e-12


@dataclass(frozen=True, eq=False)
class Body:
    """A body with a name of its own; ``corners`` (n, 3) in metres, ``triangles`` (m, 3) indices into them."""

    name: Any
    corners: Floats
    triangles: NDArray[np.int64]

    @cached_property
    def box(self) -> Floats:
        """(2, 3): the lowest and the highest of each axis."""
        return np.stack([self.corners.min(axis=0), self.corners.max(axis=0)])

    @cached_property
    def solid(self) -> Any:
        """What it fills, as a Manifold; None of one that is not closed."""
        import manifold3d

        mesh = manifold3d.Mesh64(self.corners, self.triangles.astype(np.uint64))
        made = manifold3d.Manifold(mesh)
        return made if made.status() == manifold3d.Error.NoError and made.volume() > 0 else None


@dataclass(frozen=True, slots=True)
class Clash:
    """Two bodies, where they meet (m, in their frame), and what they have in common: its volume (m3) and how
    deep that is (m); both None where one of them is not closed, and ``crossings`` edges go through it. Of two
    that are only too near, ``gap`` is how far apart they are (m)."""

    first: Body
    second: Body
    at: tuple[float, float, float]
    volume: float | None
    depth: float | None
    crossings: int = 0
    gap: float | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """Metres east and north of a place in degrees; heights stay."""

    lon: float
    lat: float

    @property
    def _scale(self) -> Floats:
        return np.array([*metres.of_degrees(self.lat), 1.0])

    def body(self, name: Any, mesh: Mesh) -> Body | None:
        """A body, its corners welded; None of one without triangles."""
        corners = (mesh.positions - [self.lon, self.lat, 0.0]) * self._scale
        near = np.round(corners / WELDED_M).astype(np.int64)
        _, first, index = np.unique(near, axis=0, return_index=True, return_inverse=True)
        triangles = index.reshape(-1)[mesh.triangles.astype(np.int64)]
        a, b, c = triangles.T
        triangles = triangles[(a != b) & (b != c) & (a != c)]
        return Body(name, np.ascontiguousarray(corners[first]), triangles) if len(triangles) else None

    def place(self, at: tuple[float, float, float]) -> tuple[float, float, float]:
        """Longitude, latitude, height of a place in the frame."""
        lon, lat, height = (np.array(at) / self._scale + [self.lon, self.lat, 0.0]).tolist()
        return lon, lat, height


class Group:
    """Bodies that others are held against, found by their boxes."""

    def __init__(self, bodies: Sequence[Body]) -> None:
        self.bodies = bodies
        self._boxes = _boxes(bodies)
        self._tree = shapely.STRtree(_flat(self._boxes))

    def near(self, others: Sequence[Body], tolerance: float) -> list[tuple[Body, Body]]:
        """Pairs of one of these and one of the others whose boxes have more than the tolerance (m) in common
        along each axis; of a negative one, whose boxes are not farther apart."""
        boxes = _boxes(others)
        around = np.array([[tolerance], [-tolerance]]) if tolerance < 0 else 0.0
        other, one = self._tree.query(_flat(boxes + around))
        low = np.maximum(self._boxes[one, 0], boxes[other, 0])
        high = np.minimum(self._boxes[one, 1], boxes[other, 1])
        keep = (high - low > tolerance).all(axis=1)
        found = sorted(zip(one[keep].tolist(), other[keep].tolist(), strict=True))
        return [(self.bodies[i], others[j]) for i, j in found]


def _boxes(bodies: Sequence[Body]) -> Floats:
    return np.array([one.box for one in bodies]).reshape(-1, 2, 3)


def _flat(boxes: Floats) -> Any:
    return shapely.box(*boxes[:, 0, :2].T, *boxes[:, 1, :2].T)


def between(first: Body, second: Body, tolerance: float) -> Clash | None:
    """How two bodies clash; None where they are not deeper in one another than the tolerance (m)."""
    if first.solid is None or second.solid is None:
        return _crossed(first, second, tolerance)
    common = first.solid ^ second.solid
    volume, area = float(common.volume()), float(common.surface_area())
    if volume <= 0 or area <= 0 or 2 * volume / area <= tolerance:
        return None
    low_x, low_y, low_z, high_x, high_y, high_z = common.bounding_box()
    middle = ((low_x + high_x) / 2, (low_y + high_y) / 2, (low_z + high_z) / 2)
    return Clash(first, second, middle, volume, 2 * volume / area)


def apart(first: Body, second: Body, least: float) -> Clash | None:
    """Two closed bodies that are nearer to one another than ``least`` (m); None where they are not, have
    something in common, or are not closed."""
    if first.solid is None or second.solid is None:
        return None
    gap = float(first.solid.min_gap(second.solid, least))
    if gap >= least:
        return None
    low, high = np.maximum(first.box[0], second.box[0]), np.minimum(first.box[1], second.box[1])
    x, y, z = ((low + high) / 2).tolist()
    return Clash(first, second, (x, y, z), None, None, gap=gap)


def found(first: Sequence[Body], second: Sequence[Body], tolerance: float) -> list[Clash]:
    """All that clash of two groups of bodies."""
    pairs = Group(first).near(second, tolerance)
    return [hit for one, other in pairs if (hit := between(one, other, tolerance)) is not None]


def _crossed(first: Body, second: Body, tolerance: float) -> Clash | None:
    """Edges of the one through triangles of the other."""
    points = np.concatenate([_through(first, second, tolerance), _through(second, first, tolerance)])
    if not len(points):
        return None
    x, y, z = points.mean(axis=0).tolist()
    return Clash(first, second, (x, y, z), None, None, len(points))


def _through(edges_of: Body, triangles_of: Body, tolerance: float) -> Floats:
    """Where edges (of which each is taken once) go through triangles: both ends are farther from its plane
    than the tolerance, on either side, and the point between lies within."""
    low = np.maximum(edges_of.box[0], triangles_of.box[0]) - tolerance
    high = np.minimum(edges_of.box[1], triangles_of.box[1]) + tolerance
    pairs = np.concatenate([edges_of.triangles[:, pair] for pair in ([0, 1], [1, 2], [2, 0])])
    ends = edges_of.corners[np.unique(np.sort(pairs, axis=1), axis=0)]
    ends = ends[((ends.min(axis=1) <= high) & (ends.max(axis=1) >= low)).all(axis=1)]
    faces = triangles_of.corners[triangles_of.triangles]
    faces = faces[((faces.min(axis=1) <= high) & (faces.max(axis=1) >= low)).all(axis=1)]
    out = [np.empty((0, 3))]
    step = max(1, _TOGETHER // max(len(faces), 1))
    for at in range(0, len(ends), step):
        out.append(_points(ends[at : at + step], faces, tolerance))
    return np.concatenate(out)


def _points(ends: Floats, faces: Floats, tolerance: float) -> Floats:
    a, b, c = (faces[:, k] for k in range(3))
    normal = np.cross(b - a, c - a)
    size = np.linalg.norm(normal, axis=1)
    wide = size > _NO_AREA
    a, b, c, normal = a[wide], b[wide], c[wide], normal[wide] / size[wide, None]
    apart = [np.einsum("efk,fk->ef", ends[:, k, None] - a[None], normal) for k in (0, 1)]
    edge, face = np.nonzero((apart[0] * apart[1] < 0) & (np.abs(apart) > tolerance).all(axis=0))
    share = apart[0][edge, face] / (apart[0][edge, face] - apart[1][edge, face])
    points = ends[edge, 0] + (ends[edge, 1] - ends[edge, 0]) * share[:, None]
    inside = np.ones(len(points), bool)
    for p, q in ((a, b), (b, c), (c, a)):
        side = np.cross(q[face] - p[face], points - p[face])
        inside &= np.einsum("ik,ik->i", side, normal[face]) > 0
    return np.asarray(points[inside])
