"""Polylines with a diameter to closed tubes of eight sides, mitred at their joints."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from layers.mesh import Surface
from tiles import geocentric
from tiles.batch import LINE, Batch
from tiles.ground import FLAT, Ground
from tiles.mesh import body
from tiles.mesh.body import Body, unit
from tiles.mesh.follow import follow
from tiles.scheme import Floats

SIDES = 8
#: A joint is stretched at most by this factor (SVG 2, clause 13.5.5 uses the same default).
MITRE_LIMIT = 4.0
#: Points nearer than this (m) to their predecessor make no joint.
NEAR = 1e-3


def tube(
    batch: Batch, height: Floats, radius: Floats, ground: Ground = FLAT, rise: Floats | None = None
) -> Body:
    """Tubes along the lines of a batch; ``height`` (n,) of the axis above the ground, which it follows,
    and ``radius`` (n,), in metres. With ``rise`` (n,) the height is that of the middle, and the last point is
    so much higher than the first (m), evenly along the line.

    The cross-section stands on the bisector plane of each joint, capped at both ends. Features
    that are no lines, or have no positive radius, give nothing."""
    rows = np.flatnonzero((batch.dims == LINE) & (radius > 0))
    if not len(rows):
        return body.empty()
    lines, level = follow(batch.take(rows), ground)
    lon, lat = lines.lonlat()
    part_row = np.repeat(np.arange(len(rows)), np.diff(lines.parts))
    of = np.repeat(part_row, np.diff(lines.coords))
    above = height[rows][of]
    if rise is not None:
        above = above + rise[rows][of] * (_along(lines) - 0.5)
    axis = geocentric.ecef(lon, lat, level + above)
    keep, coords = _distinct(axis, lines.coords)
    parts = np.flatnonzero(np.diff(coords) >= 2)
    if not len(parts):
        return body.empty()
    use = body.spread(coords[:-1][parts], np.diff(coords)[parts])
    axis, upward = axis[keep][use], geocentric.up(lon[keep][use], lat[keep][use])
    offsets = np.concatenate([[0], np.cumsum(np.diff(coords)[parts])])
    of = np.repeat(part_row[parts], np.diff(offsets))
    return _build(axis, upward, offsets, radius[rows][of], rows[of])


def _along(lines: Batch) -> Floats:
    """Of every coordinate, which part of its feature's length lies before it; 0.5 where it has none."""
    steps = np.zeros(len(lines.xy))
    steps[1:] = np.hypot(*np.diff(lines.xy, axis=0).T)
    steps[lines.coords[:-1]] = 0  # from one part to the next is no length
    so_far = np.cumsum(steps)
    ends = lines.coords[lines.parts]
    first, last = so_far[ends[:-1]], so_far[ends[1:] - 1]
    of = np.repeat(np.arange(len(lines)), np.diff(ends))
    length = (last - first)[of]
    out: Floats = np.divide(so_far - first[of], length, out=np.full(len(so_far), 0.5), where=length > 0)
    return out


def _distinct(axis: Floats, coords: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    keep = np.ones(len(axis), bool)
    keep[1:] = np.linalg.norm(np.diff(axis, axis=0), axis=1) > NEAR
    keep[coords[:-1]] = True
    total = np.concatenate([[0], np.cumsum(keep)])
    return keep, total[coords]


def _build(
    axis: Floats, upward: Floats, offsets: NDArray[np.int64], radius: Floats, rows: NDArray[np.int64]
) -> Body:
    first, last = offsets[:-1], offsets[1:] - 1
    ahead = np.zeros_like(axis)
    ahead[:-1] = np.diff(axis, axis=0)
    ahead = unit(ahead - upward * (ahead * upward).sum(axis=1, keepdims=True))
    ahead[last] = ahead[last - 1]
    behind = np.roll(ahead, 1, axis=0)
    behind[first] = ahead[first]
    side = _mitre(behind, ahead, upward)
    angle = 2 * np.pi * np.arange(SIDES) / SIDES
    ring = np.cos(angle)[None, :, None] * side[:, None, :] + np.sin(angle)[None, :, None] * upward[:, None, :]
    points = axis[:, None, :] + radius[:, None, None] * ring
    hull = _hull(points, unit(ring), offsets, rows)
    caps = [
        _cap(points[first], -ahead[first], rows[first], False),
        _cap(points[last], behind[last], rows[last], True),
    ]
    return body.join([hull, *caps])


def _mitre(behind: Floats, ahead: Floats, upward: Floats) -> Floats:
    """The sideways vector of each ring, longer at a bend so that the tube keeps its width."""
    across = np.cross(ahead, upward)
    bisector = unit(np.cross(behind, upward) + across)
    turned = ~bisector.any(axis=1)
    bisector[turned] = across[turned]
    share = (bisector * across).sum(axis=1)
    return bisector / np.maximum(share, 1 / MITRE_LIMIT)[:, None]


def _hull(points: Floats, normals: Floats, offsets: NDArray[np.int64], rows: NDArray[np.int64]) -> Body:
    n = len(points)
    index = np.arange(n * SIDES).reshape(n, SIDES)
    starts = np.delete(np.arange(n), offsets[1:] - 1)
    a, b = index[starts], index[starts + 1]
    a2, b2 = np.roll(a, -1, axis=1), np.roll(b, -1, axis=1)
    triangles = np.stack([a, b2, a2, a, b, b2], axis=-1).reshape(-1, 3)
    return Body(
        points.reshape(-1, 3),
        normals.reshape(-1, 3),
        triangles,
        np.repeat(rows, SIDES),
        np.full(n * SIDES, Surface.UNKNOWN, np.uint8),
    )


def _cap(points: Floats, normals: Floats, rows: NDArray[np.int64], end: bool) -> Body:
    n = len(points)
    fan = np.stack([np.zeros(SIDES - 2, int), np.arange(1, SIDES - 1), np.arange(2, SIDES)], axis=1)
    if end:
        fan = fan[:, ::-1]
    triangles = (SIDES * np.arange(n)[:, None, None] + fan).reshape(-1, 3)
    return Body(
        points.reshape(-1, 3),
        np.repeat(normals, SIDES, axis=0),
        triangles,
        np.repeat(rows, SIDES),
        np.full(n * SIDES, Surface.UNKNOWN, np.uint8),
    )
