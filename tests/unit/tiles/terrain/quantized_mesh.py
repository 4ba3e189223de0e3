"""A reader of quantized-mesh tiles, written from the specification alone (CesiumGS/quantized-mesh 1.0)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class MeshFile:
    """A tile taken apart: u and v (0 to 1 from the south-west), heights (m), triangles, the vertices of each
    edge, unit normals, and the header."""

    u: NDArray[Any]
    v: NDArray[Any]
    height: NDArray[Any]
    triangles: NDArray[Any]
    edges: dict[str, NDArray[Any]]
    normals: NDArray[Any]
    centre: NDArray[Any]
    low: float
    high: float
    sphere: tuple[NDArray[Any], float]
    occlusion: NDArray[Any]

    @property
    def quantum(self) -> float:
        """Metres of one step of height."""
        return (self.high - self.low) / 32767

    def at(self, u: NDArray[Any], v: NDArray[Any]) -> NDArray[Any]:
        """Heights of the mesh at parts of the tile: of the triangle that each lies in."""
        x, y = self.u[self.triangles], self.v[self.triangles]
        z = self.height[self.triangles]
        area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
        found = np.empty(len(u))
        for i, (a, b) in enumerate(zip(u, v, strict=True)):
            second = ((a - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (b - y[:, 0])) / area
            third = ((x[:, 1] - x[:, 0]) * (b - y[:, 0]) - (a - x[:, 0]) * (y[:, 1] - y[:, 0])) / area
            inside = np.flatnonzero((second >= -1e-9) & (third >= -1e-9) & (second + third <= 1 + 1e-9))[0]
            weights = 1 - second[inside] - third[inside], second[inside], third[inside]
            found[i] = np.dot(weights, z[inside])
        return found


def read(data: bytes) -> MeshFile:
    """Take a tile apart; every byte is accounted for."""
    header = struct.unpack_from("<3d2f4d3d", data)
    at = struct.calcsize("<3d2f4d3d")
    (count,) = struct.unpack_from("<I", data, at)
    at += 4
    numbers = np.frombuffer(data, "<u2", 3 * count, at).reshape(3, count).astype(np.int64)
    u, v, h = np.cumsum((numbers >> 1) ^ -(numbers & 1), axis=1)
    at += 6 * count
    kind, size = ("<u4", 4) if count > 65536 else ("<u2", 2)
    at += -at % size
    (triangles,) = struct.unpack_from("<I", data, at)
    codes = np.frombuffer(data, kind, 3 * triangles, at + 4).astype(np.int64)
    at += 4 + 3 * triangles * size
    highest, indices = 0, np.empty(len(codes), np.int64)
    for i, code in enumerate(codes.tolist()):
        indices[i] = highest - code
        highest += code == 0
    edges: dict[str, NDArray[Any]] = {}
    for name in ("west", "south", "east", "north"):
        (n,) = struct.unpack_from("<I", data, at)
        edges[name] = np.frombuffer(data, kind, n, at + 4).astype(np.int64)
        at += 4 + n * size
    extension, length = struct.unpack_from("<BI", data, at)
    assert (extension, length) == (1, 2 * count)
    normals = _normals(np.frombuffer(data, np.uint8, length, at + 5).reshape(count, 2))
    assert at + 5 + length == len(data)
    low, high = header[3:5]
    return MeshFile(
        u / 32767,
        v / 32767,
        low + h / 32767 * (high - low),
        indices.reshape(-1, 3),
        edges,
        normals,
        np.array(header[:3]),
        low,
        high,
        (np.array(header[5:8]), header[8]),
        np.array(header[9:12]),
    )


def _normals(pairs: NDArray[np.uint8]) -> NDArray[Any]:
    """Unit vectors of oct-encoded ones (Cigolle et al. 2014)."""
    x, y = (pairs / 255 * 2 - 1).T
    z = 1 - np.abs(x) - np.abs(y)
    folded = z < 0
    x, y = (
        np.where(folded, (1 - np.abs(y)) * np.where(x < 0, -1, 1), x),
        np.where(folded, (1 - np.abs(x)) * np.where(y < 0, -1, 1), y),
    )
    out = np.stack([x, y, z], axis=1)
    return np.asarray(out / np.linalg.norm(out, axis=1, keepdims=True))
