"""Roof shapes over a footprint: the body of a building part as a closed mesh.

Shapes are those of OSM Simple 3D Buildings (roof:shape, roof:height, roof:orientation,
roof:direction). A shape that is not known, or that a footprint cannot carry, becomes flat and
is noted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from layers.errors import shown
from layers.kinds.base import STOREY_M, Columns, SourceBatch, metres, storeys
from layers.kinds.solid import Floats, Line, Solid, lift, split, triangulate, turned
from layers.mesh import Mesh

#: Metres of a degree of latitude on the sphere of WGS 84's semi-major axis.
_DEGREE_M = math.pi / 180 * 6_378_137.0

#: Outlines of a turned roof from the eaves (1, 0) to the top (0, 1).
_DOME = [(math.cos(a), math.sin(a)) for a in np.linspace(0, math.pi / 2, 7)]
_ONION = [(1, 0), (1.15, 0.15), (1.18, 0.3), (1.0, 0.48), (0.6, 0.64), (0.25, 0.8), (0.08, 0.92), (0, 1)]
TURNED = {
    "pyramidal": [(1.0, 0.0), (0.0, 1.0)],
    "cone": [(1.0, 0.0), (0.0, 1.0)],
    "dome": _DOME,
    "onion": _ONION,
}


@dataclass(frozen=True, slots=True)
class FootprintFrame:
    """The rectangle about a footprint: centre, unit vector of the ridge, half length and half width (m)."""

    centre: Floats
    along: Floats
    half_u: float
    half_v: float

    def uv(self, vertices: Floats) -> tuple[Floats, Floats]:
        """Offsets along and across the ridge, in metres."""
        d = vertices - self.centre
        return d @ self.along, d @ np.array([-self.along[1], self.along[0]])

    def line(self, u: float, v: float, c: float) -> Line:
        """The line u*U + v*V + c = 0 in local coordinates."""
        a, b = u * self.along + v * np.array([-self.along[1], self.along[0]])
        return float(a), float(b), float(c - a * self.centre[0] - b * self.centre[1])


type Field2 = tuple[list[Line], Callable[[Floats, Floats], Floats]]


def _profile(x: Floats, points: Sequence[tuple[float, float]]) -> Floats:
    return np.asarray(np.interp(x, [p[0] for p in points], [p[1] for p in points]))


def _across(f: FootprintFrame, points: Sequence[tuple[float, float]]) -> Field2:
    """A profile across the ridge: points are (distance from the ridge / half width, height 1..0)."""
    breaks = {sign * p[0] for p in points if p[0] < 1 for sign in (1, -1)}
    lines = [f.line(0, 1, -b * f.half_v) for b in sorted(breaks)]
    return lines, lambda _u, v: _profile(np.abs(v) / f.half_v, points)


def _hips(f: FootprintFrame, points: Sequence[tuple[float, float]], start: float) -> Field2:
    """Slopes from all four sides; ``start`` is the share of the height at which the gable is hipped."""
    shift = start * f.half_v
    lines = [f.line(0, 1, 0)] + [
        f.line(su, -sv, -(f.half_u + shift - f.half_v)) for su in (1, -1) for sv in (1, -1)
    ]
    for at in {p[0] for p in points if 0 < p[0] < 1}:
        lines += [f.line(0, s, -(1 - at) * f.half_v) for s in (1, -1)]
        lines += [f.line(s, 0, -(f.half_u + shift - at * f.half_v)) for s in (1, -1)]

    def height(u: Floats, v: Floats) -> Floats:
        inside = np.minimum(f.half_v - np.abs(v), f.half_u - np.abs(u) + shift) / f.half_v
        return _profile(np.clip(inside, 0, 1), points)

    return lines, height


_STRAIGHT = ((0.0, 0.0), (1.0, 1.0))
_ROUND = [(math.sin(a), math.cos(a)) for a in np.linspace(0, math.pi / 2, 7)]

FIELDS: dict[str, Callable[[FootprintFrame], Field2]] = {
    "gabled": lambda f: _across(f, [(0, 1), (1, 0)]),
    "round": lambda f: _across(f, _ROUND),
    "gambrel": lambda f: _across(f, [(0, 1), (0.6, 0.65), (1, 0)]),
    "hipped": lambda f: _hips(f, _STRAIGHT, 0.0),
    "half-hipped": lambda f: _hips(f, _STRAIGHT, 0.5),
    "mansard": lambda f: _hips(f, ((0.0, 0.0), (0.3, 0.75), (1.0, 1.0)), 0.0),
    "skillion": lambda f: ([], lambda _u, v: (1 - v / f.half_v) / 2),
    "lean_to": lambda f: ([], lambda _u, v: (1 - v / f.half_v) / 2),
}
_HIPPED = frozenset({"hipped", "half-hipped", "mansard"})
SHAPES = frozenset({"flat", *FIELDS, *TURNED})


def frame(polygon: shapely.Polygon, *, across: bool, direction: float | None) -> FootprintFrame:
    """The frame of a footprint in local metres.

    The ridge follows the longer side, the shorter one when ``across``; ``direction`` (degrees
    clockwise from north, the way the roof faces down) overrides both.
    """
    corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(polygon))[:4]
    sides = np.roll(corners, -1, axis=0) - corners
    along = sides[int(np.argmax(np.hypot(sides[:, 0], sides[:, 1])))]
    along = along / np.hypot(*along)
    if across:
        along = np.array([-along[1], along[0]])
    if direction is not None:
        bearing = math.radians(direction)
        down = np.array([math.sin(bearing), math.cos(bearing)])
        along = np.array([-down[1], down[0]]) * -1.0
    points = shapely.get_coordinates(polygon)
    normal = np.array([-along[1], along[0]])
    u, v = points @ along, points @ normal
    centre = along * (u.min() + u.max()) / 2 + normal * (v.min() + v.max()) / 2
    return FootprintFrame(centre, along, float(np.ptp(u)) / 2, float(np.ptp(v)) / 2)


def _rings(polygon: shapely.Polygon) -> list[Floats]:
    """Open rings without repeated points, the shell counter-clockwise."""
    out = []
    for ring in (polygon.exterior, *polygon.interiors):
        points = shapely.get_coordinates(ring)[:-1]
        out.append(points[np.any(points != np.roll(points, 1, axis=0), axis=1)])
    if not shapely.is_ccw(polygon.exterior):
        out[0] = out[0][::-1]
    return out


def _sees(ring: Floats, centre: Floats) -> bool:
    """Whether every edge of the counter-clockwise ring has the centre on its left."""
    a, b = ring - centre, np.roll(ring, -1, axis=0) - centre
    return bool(np.all(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0] > 1e-9))


@dataclass(frozen=True, slots=True)
class Roof:
    """What is asked for: shape, height of the roof within the total (m), ridge across, direction."""

    shape: str = "flat"
    height: float = 0.0
    across: bool = False
    direction: float | None = None


def body(polygon: shapely.Polygon, bottom: float, top: float, roof: Roof) -> tuple[Solid, str | None]:
    """The closed body of a footprint in local metres, and why its roof became flat (or None)."""
    rings = _rings(polygon)
    rise = min(roof.height, 0.95 * (top - bottom))
    eaves = top - rise
    if roof.shape in TURNED and rise > 0:
        centre = shapely.get_coordinates(polygon.centroid)[0]
        if len(rings) == 1 and _sees(rings[0], centre):
            outline = [(s, eaves + rise * z) for s, z in TURNED[roof.shape]]
            outline[-1] = (0.0, top)
            return turned(rings[0], centre, outline, bottom), None
        vertices, triangles = triangulate(rings)
        return lift(
            vertices, triangles, np.full(len(vertices), top), bottom
        ), "its footprint is not convex enough"
    vertices, triangles = triangulate(rings)
    if roof.shape not in FIELDS or rise <= 0:
        why = (
            None
            if roof.shape == "flat"
            else ("the shape is not known" if roof.shape not in SHAPES else "it has no height")
        )
        return lift(vertices, triangles, np.full(len(vertices), top), bottom), why
    around = frame(
        polygon,
        across=roof.across and roof.shape not in _HIPPED,
        direction=None if roof.shape in _HIPPED else roof.direction,
    )
    lines, height = FIELDS[roof.shape](around)
    for line in lines:
        vertices, triangles = split(vertices, triangles, line)
    share = np.clip(height(*around.uv(vertices)), 0.0, 1.0)
    return lift(vertices, triangles, eaves + rise * share, bottom), None


def mesh(footprint: shapely.Geometry, bottom: float, top: float, roof: Roof) -> tuple[Mesh, str | None]:
    """The body of a footprint given in lon/lat degrees; heights in metres. See :func:`body`."""
    origin = shapely.get_coordinates(footprint.centroid)[0]
    scale = np.array([_DEGREE_M * math.cos(math.radians(origin[1])), _DEGREE_M])
    local = shapely.transform(shapely.force_2d(footprint), lambda c: (c - origin) * scale)
    solids, why = [], None
    for polygon in shapely.get_parts(local):
        solid, reason = body(polygon, bottom, top, roof)
        solids.append(solid)
        why = why or reason
    starts = np.cumsum([0, *(len(s.positions) for s in solids[:-1])])
    positions = np.concatenate([s.positions for s in solids])
    positions[:, :2] = positions[:, :2] / scale + origin
    triangles = np.concatenate([s.triangles + k for s, k in zip(solids, starts, strict=True)])
    return Mesh(positions, triangles.astype(np.uint32), np.concatenate([s.surfaces for s in solids])), why


def _roof(
    shape: str, height: Any, levels: float | None, orientation: Any, direction: Any, bottom: float, top: float
) -> Roof:
    """What one row asks for; a sloped roof of unknown height gets a third of the body, at most a storey."""
    rise = metres(height) if height is not None else None
    if rise is None and levels:
        rise = levels * STOREY_M
    if rise is None and shape not in ("flat", ""):
        rise = min(STOREY_M, (top - bottom) / 3)
    facing = metres(direction)
    return Roof(shape, max(rise or 0.0, 0.0), str(orientation or "").casefold() == "across", facing)


def meshes(batch: SourceBatch, columns: Columns) -> list[bytes | None]:
    """The mesh blob of every row of a CIM layer, from the normalised columns and the roof tags."""
    levels = batch.first(("roof:levels", "roof_levels"))
    orientations = batch.first(("roof:orientation", "roof_orientation"))
    directions = batch.first(("roof:direction", "roof_direction"))
    out: list[bytes | None] = []
    for i in range(len(batch)):
        bottom, top = columns["min_height_m"][i], columns["height_m"][i]
        shape = columns["roof_shape"][i] or "flat"
        roof = _roof(
            shape,
            columns["roof_height_m"][i],
            storeys(levels[i]),
            orientations[i],
            directions[i],
            bottom,
            top,
        )
        built, why = mesh(batch.geometry[i], bottom, top, roof)
        if why is not None:
            batch.note(i, "roof.flat", f"roof {shown(shape)} is drawn flat: {why}")
        out.append(built.to_bytes())
    return out
