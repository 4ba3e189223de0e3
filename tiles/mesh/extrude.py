"""Footprints to closed prisms with flat normals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from layers.mesh import Surface
from tiles import geocentric
from tiles.batch import POLYGON, Batch, successor
from tiles.mesh import body
from tiles.mesh.body import Body, spread
from tiles.scheme import Floats

#: Directions of walls in a full turn, and degrees between places that have an upward direction of their own:
#: what is lit is not seen to differ by 0.05°, and the same numbers again and again are packed to little.
DIRECTIONS, UPRIGHT = 3600, 0.01


def extrude(batch: Batch, base: Floats, top: Floats) -> Body:
    """Prisms over the polygons of a batch, from ``base`` to ``top`` (n,), ellipsoidal metres.

    Every ring gives walls; every polygon a floor and a roof. Features that are no polygons, or
    whose top is not above their base, give nothing."""
    rows = np.flatnonzero((batch.dims == POLYGON) & (top > base))
    if not len(rows):
        return body.empty()
    shapes = batch.take(rows)
    lon, lat = shapes.lonlat()
    of = np.repeat(np.arange(len(rows)), np.diff(shapes.coords[shapes.parts]))
    low = geocentric.ecef(lon, lat, base[rows][of])
    high = geocentric.ecef(lon, lat, top[rows][of])
    frame = _frames(lon, lat)
    caps = triangulate(shapes)
    upward = frame[:, 2]
    prisms = body.join(
        [
            _walls(low, high, shapes, frame, rows[of]),
            _cap(high, upward, caps, rows[of], Surface.ROOF),
            _cap(low, -upward, caps[:, ::-1], rows[of], Surface.GROUND),
        ]
    )
    return body.grouped(prisms)


def _frames(lon: Floats, lat: Floats) -> Floats:
    """East, north and up (n, 3, 3) near places."""
    lon, lat = (np.round(each / UPRIGHT) * UPRIGHT for each in (lon, lat))
    upward, turned = geocentric.up(lon, lat), np.radians(lon)
    east = np.stack([-np.sin(turned), np.cos(turned), np.zeros(len(lon))], axis=1)
    return np.stack([east, np.cross(upward, east), upward], axis=1)


def _walls(low: Floats, high: Floats, shapes: Batch, frame: Floats, rows: NDArray[np.int64]) -> Body:
    """One quad an edge. Exteriors run clockwise on the map and holes the other way, so that the
    outside lies to the left of every edge."""
    follow = successor(shapes.coords)
    quads = np.stack([low, low[follow], high[follow], high], axis=1)
    ahead = shapes.xy[follow] - shapes.xy
    # Web Mercator is that of a sphere: its north is longer than its east on the ellipsoid
    north = ahead[:, 1] * ((1 - geocentric.E2) / (1 - geocentric.E2 * frame[:, 2, 2] ** 2))
    turns = np.round(np.arctan2(ahead[:, 0], north) * (DIRECTIONS / (2 * np.pi)))
    angle = turns * (2 * np.pi / DIRECTIONS)
    normals = np.cos(angle)[:, None] * frame[:, 0] + np.sin(angle)[:, None] * frame[:, 1]
    first = 4 * np.arange(len(low))[:, None]
    pattern = np.array([0, 2, 1, 0, 3, 2])
    return Body(
        quads.reshape(-1, 3),
        np.repeat(normals, 4, axis=0),
        (first + pattern).reshape(-1, 3),
        np.repeat(rows, 4),
        np.full(4 * len(low), Surface.WALL, np.uint8),
    )


def _cap(
    points: Floats, normals: Floats, triangles: NDArray[np.int64], rows: NDArray[np.int64], kind: Surface
) -> Body:
    return Body(points, normals, triangles, rows, np.full(len(points), kind, np.uint8))


def triangulate(shapes: Batch) -> NDArray[np.int64]:
    """Triangles (t, 3) of the polygons of a batch, counter-clockwise on the map, indices into xy.

    A convex ring without holes becomes a fan; the others go through ear clipping."""
    sizes = np.diff(shapes.coords)
    owner = np.cumsum(shapes.outer) - 1
    single = np.bincount(owner) == 1
    outer = np.flatnonzero(shapes.outer)
    plain = single & _convex(shapes)[outer]
    fans = _fans(shapes.coords[outer[plain]], sizes[outer[plain]])
    ends = np.append(outer[1:], len(sizes))
    ears = [_ears(shapes, int(outer[p]), int(ends[p])) for p in np.flatnonzero(~plain)]
    return np.concatenate([fans, *ears])


def _fans(first: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    middle = spread(first + 1, sizes - 2)
    # exteriors run clockwise on the map: the fan is turned
    return np.stack([np.repeat(first, sizes - 2), middle + 1, middle], axis=1)


def _convex(shapes: Batch) -> NDArray[np.bool_]:
    """Parts that turn only one way, and only once around."""
    nxt = successor(shapes.coords)
    edge = shapes.xy[nxt] - shapes.xy
    after = edge[nxt]
    turn = edge[:, 0] * after[:, 1] - edge[:, 1] * after[:, 0]
    bearing = np.arctan2(turn, (edge * after).sum(axis=1))
    starts = shapes.coords[:-1]
    once = np.abs(np.add.reduceat(bearing, starts)) < 3 * np.pi
    return np.asarray((np.minimum.reduceat(turn, starts) >= 0) & once)


def _ears(shapes: Batch, first: int, end: int) -> NDArray[np.int64]:
    import mapbox_earcut

    at = shapes.coords[first : end + 1]
    xy = shapes.xy[at[0] : at[-1]]
    # metres near 0: ear clipping compares areas, and world units are about 1e-7 apart
    near = (xy - xy[0]) * 1e7
    ears = mapbox_earcut.triangulate_float64(near, (at[1:] - at[0]).astype(np.uint32))
    triangles = np.asarray(ears, np.int64).reshape(-1, 3)
    a, b, c = near[triangles[:, 0]], near[triangles[:, 1]], near[triangles[:, 2]]
    turn = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    # world y runs south: what turns right there turns left on the map
    triangles[turn > 0] = triangles[turn > 0][:, ::-1]
    return np.asarray(triangles + at[0])
