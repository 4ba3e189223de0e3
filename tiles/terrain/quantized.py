"""Quantized-mesh 1.0 (github.com/CesiumGS/quantized-mesh), with the extension octvertexnormals; vertices and
indices are written by quantized-mesh-encoder.

Header, heights and normals are ours: the package's horizon occlusion point is not in the scaled frame that
the specification asks for, its normals end at the edge of a tile, and it rounds heights down."""

from __future__ import annotations

import io
import struct

import numpy as np
from numpy.typing import NDArray

from layers.types import Bbox
from tiles import geocentric
from tiles.scheme import Floats

#: What a vertex' place in its tile, and its height between the lowest and the highest, is a part of.
PARTS = 32_767
_POLAR = geocentric.A * np.sqrt(1 - geocentric.E2)
_AXES = np.array([geocentric.A, geocentric.A, _POLAR])
#: In axes of the ellipsoid: as far as anything can be that hides nothing.
_FAR = 1e6


def encode(
    box: Bbox, across: Floats, along: Floats, heights: Floats, triangles: NDArray[np.uint32], normals: Floats
) -> bytes:
    """The file of a tile. ``across`` and ``along`` (n,) are parts (0 to 1) of its box from the south-west,
    ``heights`` (n,) ellipsoidal metres, ``normals`` (n, 3) geocentric unit vectors."""
    from quantized_mesh_encoder.encode import write_edge_indices, write_indices, write_vertices

    low, high = (float(np.float32(end)) for end in (heights.min(), heights.max()))
    step = (high - low) / PARTS
    levels = np.rint((heights - low) / step) if step > 0 else np.zeros(len(heights))
    places = np.stack([np.rint(across * PARTS), np.rint(along * PARTS), np.clip(levels, 0, PARTS)], axis=1)
    lon, lat = box[0] + across * (box[2] - box[0]), box[1] + along * (box[3] - box[1])
    to = io.BytesIO()
    to.write(_header(geocentric.ecef(lon, lat, heights), low, high))
    quantized = places.astype(np.int16)
    write_vertices(to, quantized, len(quantized))
    write_indices(to, triangles, len(quantized))
    write_edge_indices(to, quantized, len(quantized))
    oct_ = _oct(normals).tobytes()
    to.write(struct.pack("<BI", 1, len(oct_)) + oct_)
    return to.getvalue()


def _header(points: Floats, low: float, high: float) -> bytes:
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    radius = float(np.sqrt(((points - centre) ** 2).sum(axis=1).max()))
    return struct.pack("<3d2f4d3d", *centre, low, high, *centre, radius, *_occlusion(points, centre))


def _occlusion(points: Floats, centre: Floats) -> Floats:
    """The point, in axes of the ellipsoid, that is hidden behind the Earth only where all of the tile is
    (cesium.com/blog/2013/05/09/computing-the-horizon-occlusion-point)."""
    scaled = points / _AXES
    towards = centre / _AXES
    towards = towards / np.linalg.norm(towards)
    length = np.maximum(np.linalg.norm(scaled, axis=1), 1.0)
    cosine = np.clip(scaled @ towards / np.linalg.norm(scaled, axis=1), -1, 1)
    sine = np.sqrt(1 - cosine * cosine)
    below = (cosine - sine * np.sqrt(length * length - 1)) / length
    # a tile of half the Earth is hidden by none of it
    return np.asarray(towards / max(float(below.min()), 1 / _FAR))


def _oct(normals: Floats) -> NDArray[np.uint8]:
    """Unit vectors in two bytes each (Cigolle et al. 2014, as Cesium's AttributeCompression reads it)."""
    flat = normals / np.abs(normals).sum(axis=1, keepdims=True)
    x, y, z = flat.T
    lower = z < 0
    folded_x = np.where(lower, (1 - np.abs(y)) * np.where(x < 0, -1, 1), x)
    folded_y = np.where(lower, (1 - np.abs(x)) * np.where(y < 0, -1, 1), y)
    both = np.stack([folded_x, folded_y], axis=1)
    bytes_: NDArray[np.uint8] = np.rint((np.clip(both, -1, 1) * 0.5 + 0.5) * 255).astype(np.uint8)
    return bytes_
