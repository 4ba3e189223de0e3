"""Closed bodies over a footprint whose top is a piecewise linear height field.

The footprint is triangulated once; every break line of the roof splits the triangles it crosses
(both neighbours of an edge get the same new vertex), the vertices are lifted, the outer edges
become walls and the same triangles reversed become the underside. So the body is watertight by
construction. Coordinates here are local metres.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import mapbox_earcut
import numpy as np
from numpy.typing import NDArray

from layers.mesh import Surface

type Floats = NDArray[np.float64]
type Indices = NDArray[np.int64]
#: a*x + b*y + c = 0
type Line = tuple[float, float, float]

#: Closer than this to a break line, a vertex counts as on it (metres).
_ON_LINE = 1e-6


@dataclass(frozen=True, slots=True)
class Solid:
    """positions (n, 3) local metres, triangles (m, 3), surfaces (m,) of Surface."""

    positions: Floats
    triangles: Indices
    surfaces: NDArray[np.uint8]


def triangulate(rings: Sequence[Floats]) -> tuple[Floats, Indices]:
    """Vertices (n, 2) and counter-clockwise triangles of a polygon given as open rings."""
    vertices = np.ascontiguousarray(np.concatenate(rings), np.float64)
    ends = np.cumsum([len(r) for r in rings]).astype(np.uint32)
    triangles = mapbox_earcut.triangulate_float64(vertices, ends).reshape(-1, 3).astype(np.int64)
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    triangles[area < 0] = triangles[area < 0][:, ::-1]
    return vertices, triangles[area != 0]


def split(vertices: Floats, triangles: Indices, line: Line) -> tuple[Floats, Indices]:
    """The same surface with no triangle crossing the line."""
    side = vertices @ np.array(line[:2]) + line[2]
    side[np.abs(side) < _ON_LINE * np.hypot(line[0], line[1])] = 0.0
    sign = np.sign(side)
    marks = sign[triangles]
    crossed = (marks.min(axis=1) < 0) & (marks.max(axis=1) > 0)
    if not crossed.any():
        return vertices, triangles
    points = list(vertices)
    made: dict[tuple[int, int], int] = {}

    def crossing(i: int, j: int) -> int:
        low, high = min(i, j), max(i, j)
        if (low, high) not in made:
            t = side[low] / (side[low] - side[high])
            points.append(vertices[low] + t * (vertices[high] - vertices[low]))
            made[low, high] = len(points) - 1
        return made[low, high]

    out: list[tuple[int, ...]] = []
    for triangle in triangles[crossed]:
        for wanted in (1.0, -1.0):
            piece = _half(triangle, sign, wanted, crossing)
            out.extend((piece[0], piece[k], piece[k + 1]) for k in range(1, len(piece) - 1))
    return np.array(points), np.concatenate([triangles[~crossed], np.array(out, np.int64)])


def _half(triangle: Indices, sign: Floats, wanted: float, crossing: Callable[[int, int], int]) -> list[int]:
    """The part of a triangle on one side of the line, as a polygon of vertex indices."""
    piece: list[int] = []
    for k in range(3):
        i, j = int(triangle[k]), int(triangle[(k + 1) % 3])
        if sign[i] * wanted >= 0:
            piece.append(i)
        if sign[i] * sign[j] < 0:
            piece.append(crossing(i, j))
    return piece


def lift(vertices: Floats, triangles: Indices, top: Floats, bottom: float) -> Solid:
    """The closed body between ``top`` (a height a vertex, above bottom) and a flat underside."""
    n = len(vertices)
    upper = np.column_stack([vertices, top])
    lower = np.column_stack([vertices, np.full(n, bottom)])
    edges = triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    codes = edges[:, 0] * n + edges[:, 1]
    outer = edges[~np.isin(codes, edges[:, 1] * n + edges[:, 0])]
    i, j = outer[:, 0], outer[:, 1]
    walls = np.concatenate([np.column_stack([i + n, j + n, j]), np.column_stack([i + n, j, i])])
    ground = triangles[:, ::-1] + n
    surfaces = np.concatenate(
        [
            np.full(len(triangles), Surface.ROOF, np.uint8),
            np.full(len(walls), Surface.WALL, np.uint8),
            np.full(len(ground), Surface.GROUND, np.uint8),
        ]
    )
    return Solid(np.concatenate([upper, lower]), np.concatenate([triangles, walls, ground]), surfaces)


def turned(ring: Floats, centre: Floats, profile: Sequence[tuple[float, float]], bottom: float) -> Solid:
    """The body over a ring that sees its centre: the ring scaled about the centre, level by level.

    ``profile`` holds (scale, height) from the eaves (1, eaves height) to the top (0, height).
    """
    n = len(ring)
    levels = [np.column_stack([centre + (ring - centre) * s, np.full(n, z)]) for s, z in profile[:-1]]
    base = np.column_stack([ring, np.full(n, bottom)])
    apex = np.array([[centre[0], centre[1], profile[-1][1]]])
    positions = np.concatenate([base, *levels, apex])
    here, there = np.arange(n), np.roll(np.arange(n), -1)
    parts, kinds = [triangulate([ring])[1][:, ::-1]], [Surface.GROUND]
    for k in range(len(levels)):
        low, high = k * n, (k + 1) * n
        parts.append(np.column_stack([here + low, there + low, there + high]))
        parts.append(np.column_stack([here + low, there + high, here + high]))
        kinds += [Surface.WALL if k == 0 else Surface.ROOF] * 2
    top = len(levels) * n
    parts.append(np.column_stack([here + top, there + top, np.full(n, len(positions) - 1)]))
    kinds.append(Surface.ROOF)
    surfaces = np.concatenate([np.full(len(p), k, np.uint8) for p, k in zip(parts, kinds, strict=True)])
    return Solid(positions, np.concatenate(parts), surfaces)
