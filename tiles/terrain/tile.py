"""One tile of terrain from a surface."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from layers.types import Bbox
from tiles import geocentric
from tiles.scheme import METRES_PER_DEGREE, Floats
from tiles.terrain import mesh, quantized, scheme
from tiles.terrain.places import Lattice
from tiles.terrain.scheme import SIZE


class Sampled(Protocol):
    """A surface that can be asked for heights above the ellipsoid."""

    def heights(self, places: Lattice, spacing: float = 0.0) -> Floats:
        """Heights (m) row by row, for samples so many metres apart."""


def terrain(surface: Sampled, z: int, x: int, y: int) -> bytes:
    """The quantized mesh of a tile (TMS)."""
    pad = mesh.PAD
    lons, lats = scheme.samples(z, x, y, pad)
    heights = surface.heights(Lattice(lons, lats), scheme.spacing(z))
    window = heights.reshape(len(lats), len(lons)).astype(np.float32)
    vertices, triangles = mesh.mesh(window, z, scheme.tolerance(z))
    column, row = vertices.T
    found = window[row + pad, column + pad].astype(float)
    normals = _normals(window, column + pad, row + pad, lons, lats)
    box: Bbox = scheme.bounds(z, x, y)
    return quantized.encode(box, column / SIZE, 1 - row / SIZE, found, triangles, normals)


def _normals(
    window: NDArray[np.float32], column: NDArray[np.int64], row: NDArray[np.int64], lons: Floats, lats: Floats
) -> Floats:
    """Geocentric normals (n, 3) of the samples, from their neighbours: alike in both tiles at an edge."""
    lon, lat = np.radians(lons[column]), np.radians(lats[row])
    apart = 2 * (lons[1] - lons[0]) * METRES_PER_DEGREE
    cos = np.maximum(np.cos(lat), 1e-6)
    east = (window[row, column + 1] - window[row, column - 1]) / (apart * cos)
    north = (window[row - 1, column] - window[row + 1, column]) / apart
    up = geocentric.up(lons[column], lats[row])
    to_east = np.stack([-np.sin(lon), np.cos(lon), np.zeros(len(lon))], axis=1)
    out: Floats = up - east[:, None] * to_east - north[:, None] * np.cross(up, to_east)
    return out / np.linalg.norm(out, axis=1, keepdims=True)
