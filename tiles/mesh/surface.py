"""Stored meshes to flat-shaded triangles."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from layers.mesh import Mesh
from tiles import geocentric
from tiles.mesh import body
from tiles.mesh.body import Body

#: Doubled area (m²) below which a triangle has no direction and is left out.
FLAT = 1e-9


def surface(meshes: Mapping[int, Mesh], lift: Mapping[int, float]) -> Body:
    """The meshes by row, each raised by ``lift`` metres. Every triangle has its own three vertices."""
    return body.join([_one(mesh, row, lift[row]) for row, mesh in meshes.items()])


def _one(mesh: Mesh, row: int, lift: float) -> Body:
    points = geocentric.ecef(mesh.positions[:, 0], mesh.positions[:, 1], mesh.positions[:, 2] + lift)
    corners = points[mesh.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    keep = np.linalg.norm(normals, axis=1) > FLAT
    corners, normals = corners[keep], body.unit(normals[keep])
    count = 3 * len(corners)
    return Body(
        corners.reshape(-1, 3),
        np.repeat(normals, 3, axis=0),
        np.arange(count).reshape(-1, 3),
        np.full(count, row, np.int64),
        np.repeat(mesh.surfaces[keep], 3),
    )
