"""Stored meshes to flat-shaded triangles."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from layers.mesh import Mesh
from tiles import geocentric
from tiles.mesh import body, skin
from tiles.mesh.body import Body

#: Doubled area (m²) below which a triangle has no direction and is left out.
FLAT = 1e-9


def surface(meshes: Mapping[int, Mesh], lift: Mapping[int, float]) -> Body:
    """The meshes by row, each raised by ``lift`` metres. Every triangle has its own three vertices."""
    if not meshes:
        return body.empty()
    several = list(meshes.values())
    counts = [len(mesh.triangles) for mesh in several]
    places = np.concatenate([mesh.positions for mesh in several])
    sizes = [len(mesh.positions) for mesh in several]
    heights = places[:, 2] + np.repeat([lift[row] for row in meshes], sizes)
    points = geocentric.ecef(places[:, 0], places[:, 1], heights)
    starts = np.repeat(np.cumsum([0, *sizes[:-1]]), counts)
    corners = points[np.concatenate([mesh.triangles for mesh in several]) + starts[:, None]]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    keep = np.linalg.norm(normals, axis=1) > FLAT
    corners, normals = corners[keep], body.unit(normals[keep])
    rows = np.repeat(np.fromiter(meshes, np.int64, len(meshes)), counts)[keep]
    return Body(
        corners.reshape(-1, 3),
        np.repeat(normals, 3, axis=0),
        np.arange(3 * len(corners)).reshape(-1, 3),
        np.repeat(rows, 3),
        np.repeat(np.concatenate([mesh.surfaces for mesh in several])[keep], 3),
        skin.of(several, keep),
    )
