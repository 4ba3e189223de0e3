"""Footprints to closed prisms with flat normals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from layers.mesh import Surface
from tiles import geocentric
from tiles.batch import POLYGON, Batch, successor
from tiles.mesh import body
from tiles.mesh.body import Body
from tiles.mesh.triangles import triangulate
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
    frame = frames(lon, lat)
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


def frames(lon: Floats, lat: Floats) -> Floats:
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
