"""The outlines of meshes by the edges of their patches: what hangs together of the triangles that look up (or
down) is seen from above as what lies within the rings of its edges, if these do not cross themselves.

Every place below such a patch is below it as often as its rings go round it: where one ring goes round and
the others are its holes, once. So no triangle is joined to another, and of a body that is one patch nothing
is joined at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from layers.read.faces import PRECISION
from layers.read.meshes.model import Floats, Indices
from layers.read.meshes.repair import connected
from layers.read.triangles import NO_AREA

type Geometries = NDArray[np.object_]
type Flags = NDArray[np.bool_]

#: Corners of a ring at least.
_CORNERS = 3


@dataclass(frozen=True, slots=True)
class Patches:
    """Polygons (p,), and the body of each; which bodies have patches that are none (b,), and how many corners
    those of each have (b,)."""

    polygons: Geometries
    body: Indices
    crossed: Flags
    corners: Indices


@dataclass(frozen=True, slots=True)
class _Rings:
    """Rings one after the other: positions (n, 2) in whole steps, where each begins, the patch of each."""

    at: Indices
    begins: Indices
    patch: Indices


def patches(vertices: Floats, triangles: Indices, body: Indices, closed: Flags, bodies: int) -> Patches:
    """The patches of bodies; ``body`` (m,) says which each triangle is of. Below a closed one, whose
    triangles are all turned the same way, lies nothing that is not below those that look up."""
    steps = (vertices[:, :2] / PRECISION).round().astype(np.int64)
    a, b, c = (steps[triangles[:, k]] for k in range(3))
    twice = _cross(b - a, c - a) * PRECISION**2
    up, down = twice > 2 * NO_AREA, (twice < -2 * NO_AREA) & ~closed[body]
    own = np.concatenate([triangles[up], triangles[down][:, ::-1]])
    of = np.concatenate([body[up], body[down]])
    return _joined(steps, own, of, int(up.sum()), bodies)


def _cross(u: Indices, v: Indices) -> Indices:
    out: Indices = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    return out


def _joined(steps: Indices, triangles: Indices, body: Indices, up: int, bodies: int) -> Patches:
    """The patches of triangles that are all seen from above, the first ``up`` of them apart from the others:
    these are turned over, and hang together with none of them."""
    count, crossed = len(steps), np.zeros(bodies, bool)
    if not len(triangles):
        return Patches(np.empty(0, object), np.empty(0, np.int64), crossed, np.zeros(bodies, np.int64))
    start, end = triangles.reshape(-1), np.roll(triangles, -1, axis=1).reshape(-1)
    start = start + np.where(np.arange(len(start)) < 3 * up, 0, count)
    end = end + np.where(np.arange(len(end)) < 3 * up, 0, count)
    key, back = start * (2 * count) + end, end * (2 * count) + start
    order = np.argsort(key)
    ordered = key[order]
    place = np.minimum(np.searchsorted(ordered, back), len(order) - 1)
    beside = ordered[place] == back
    twice = order[1:][ordered[1:] == ordered[:-1]]
    inner = np.flatnonzero(beside)
    links = np.column_stack([inner // 3, order[place[inner]] // 3])
    patch = connected(links[links[:, 0] < links[:, 1]], len(triangles))
    edges = np.flatnonzero(~beside)
    edges = edges[np.argsort(start[edges], kind="stable")]
    begin = start[edges]
    again = edges[1:][begin[1:] == begin[:-1]]
    crossed[body[np.concatenate([twice, again]) // 3]] = True
    edges = edges[~crossed[body[edges // 3]]]
    rings = _rings(steps, start[edges], end[edges], patch[edges // 3], count)
    return _polygons(rings, body, crossed)


def _rings(steps: Indices, start: Indices, end: Indices, patch: Indices, count: int) -> _Rings:
    """The rings of edges, which are in the order of their starts; corners in a line are left out."""
    following = np.searchsorted(start, end).tolist()
    seen = [False] * len(following)
    order: list[int] = []
    begins: list[int] = []
    for at in range(len(following)):
        if not seen[at]:
            begins.append(len(order))
        while not seen[at]:
            seen[at] = True
            order.append(at)
            at = following[at]
    first = np.array(begins, np.int64)
    ring = np.repeat(np.arange(len(first)), np.diff(first, append=len(order)))
    at_ = steps[start[np.array(order, np.int64)] % count]
    of = patch[np.array(order, np.int64)[first]]
    # those that are the same come first, for between two of them every corner is in a line
    for needless in (_again, _in_line):
        keep = ~needless(at_, ring)
        at_, ring = at_[keep], ring[keep]
    sizes = np.bincount(ring, minlength=len(of))
    whole = sizes >= _CORNERS
    at_ = at_[whole[ring]]
    return _Rings(at_, np.cumsum(sizes[whole]) - sizes[whole], of[whole])


def _neighbours(ring: Indices) -> tuple[Indices, Indices]:
    """The places before and behind each corner of rings."""
    sizes = np.bincount(ring)
    sizes = sizes[sizes > 0]
    last = np.cumsum(sizes) - 1
    first = last - sizes + 1
    before, behind = np.arange(-1, len(ring) - 1), np.arange(1, len(ring) + 1)
    before[first], behind[last] = last, first
    return before, behind


def _again(at: Indices, ring: Indices) -> Flags:
    before, _ = _neighbours(ring)
    out: Flags = (at == at[before]).all(axis=1)
    return out


def _in_line(at: Indices, ring: Indices) -> Flags:
    before, behind = _neighbours(ring)
    return np.asarray(_cross(at - at[before], at[behind] - at) == 0)


def _polygons(rings: _Rings, body: Indices, crossed: Flags) -> Patches:
    """A polygon a patch, whose ring that goes round the other way than its holes there is once."""
    bodies = len(crossed)
    if not len(rings.begins):
        return Patches(np.empty(0, object), np.empty(0, np.int64), crossed, np.zeros(bodies, np.int64))
    sizes = np.diff(rings.begins, append=len(rings.at))
    number = np.repeat(np.arange(len(sizes)), sizes)
    _, behind = _neighbours(number)
    local = rings.at - rings.at[rings.begins][number]
    twice = np.bincount(number, _cross(local, local[behind]))
    made = shapely.linearrings(rings.at / round(1 / PRECISION), indices=number)
    outer, inner = np.flatnonzero(twice > 0), np.flatnonzero(twice < 0)
    labels, shell, often = np.unique(rings.patch[outer], return_index=True, return_counts=True)
    hole = np.searchsorted(labels, rings.patch[inner])
    lost = (hole == len(labels)) | (labels[np.minimum(hole, max(len(labels) - 1, 0))] != rings.patch[inner])
    crossed[body[rings.patch[inner[lost]]]] = True
    crossed[body[labels[often > 1]]] = True
    group = np.concatenate([np.arange(len(labels)), hole[~lost]])
    order = np.argsort(group, kind="stable")  # the first ring of a polygon is the outer one
    polygons = shapely.polygons(
        made[np.concatenate([outer[shell], inner[~lost]])][order], indices=group[order]
    )
    of = body[labels]
    crossed[of[~shapely.is_valid(polygons)]] = True
    corners = np.bincount(body[rings.patch], sizes, bodies).astype(np.int64)
    return Patches(polygons, of, crossed, corners)
