"""Samples of a tile to triangles (Evans, Kirkpatrick & Townsend 2001: right-triangulated irregular networks;
the triangles are found by pymartini).

A vertex is drawn where the error of leaving it out, or any that hangs on it, is over the tolerance. That of
one at the edge of a tile depends on samples of both sides, so the errors are found over a window that is
wider by ``PAD``: then both tiles draw the same vertices, and there is no crack. For that, every ``PAD``-th
sample is drawn in any case; it also keeps the mesh of a flat tile as round as the Earth."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles.terrain.scheme import SIZE
from tiles.terrain.sheet import Heights

#: Samples around a tile that the errors at its edge may depend on.
PAD = 16
#: Below these zooms, samples that are drawn in any case are nearer, for the Earth is round: by zoom.
ROUND = ((4, 4), (7, 8))

_local = threading.local()


def mesh(window: Heights, z: int, tolerance: float) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Vertices (n, 2: column and row of the tile's samples, from its north-west) and triangles (t, 3),
    counter-clockwise on the map, of samples with ``PAD`` around them (SIZE + 1 + 2 · PAD on a side)."""
    tile = _tile()
    found = np.asarray(tile.errors_view).reshape(SIZE + 1, SIZE + 1)
    if float(np.ptp(window)) <= tolerance:
        found[:] = 0
    else:
        found[:] = errors(window)[PAD:-PAD, PAD:-PAD]
    step = next((step for below, step in ROUND if z < below), PAD)
    found[::step, ::step] = np.inf
    vertices, triangles = tile.get_mesh(tolerance)
    return vertices.astype(np.int64), triangles[:, ::-1] if _clockwise(vertices, triangles) else triangles


def _clockwise(vertices: NDArray[np.uint16], triangles: NDArray[np.uint32]) -> bool:
    """Whether triangles, which all turn one way, turn right on a map whose rows run from the north."""
    a, b, c = vertices[triangles[0]].astype(np.int64)
    return bool((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) > 0)


def _tile() -> Any:
    """The mesher of this thread: it is asked with errors of ours, and must not be shared."""
    tile = getattr(_local, "tile", None)
    if tile is None:
        from pymartini import Martini

        side = SIZE + 1
        tile = _local.tile = Martini(side).create_tile(np.zeros(side * side, np.float32))
    return tile


def errors(h: Heights) -> Heights:
    """The error (m) of leaving out each sample, with those that hang on it: 0 at every ``PAD``-th sample."""
    out = np.zeros_like(h)
    half = np.float32(0.5)
    s = 1
    while s < PAD:
        corner = h[:: 2 * s, :: 2 * s]
        across, down = out[:: 2 * s, s :: 2 * s], out[s :: 2 * s, :: 2 * s]
        # the middles of the sides of squares of 2 s
        np.abs((corner[:, :-1] + corner[:, 1:]) * half - h[:: 2 * s, s :: 2 * s], out=across)
        np.abs((corner[:-1] + corner[1:]) * half - h[s :: 2 * s, :: 2 * s], out=down)
        if s > 1:
            # on each hang the middles of the four squares of s around it
            finer = out[s // 2 :: s, s // 2 :: s]
            beside = np.maximum(finer[:, ::2], finer[:, 1::2])
            np.maximum(across[:-1], beside[::2], out=across[:-1])
            np.maximum(across[1:], beside[1::2], out=across[1:])
            above = np.maximum(finer[::2], finer[1::2])
            np.maximum(down[:, :-1], above[:, ::2], out=down[:, :-1])
            np.maximum(down[:, 1:], above[:, 1::2], out=down[:, 1:])
        # the middle of each square, on the diagonal that the next larger triangles have
        middle = out[s :: 2 * s, s :: 2 * s]
        main = (corner[:-1, :-1] + corner[1:, 1:]) * half
        other = (corner[:-1, 1:] + corner[1:, :-1]) * half
        main[::2, 1::2], main[1::2, ::2] = other[::2, 1::2], other[1::2, ::2]
        np.abs(main - h[s :: 2 * s, s :: 2 * s], out=middle)
        for side in (across[:-1], across[1:], down[:, :-1], down[:, 1:]):
            np.maximum(middle, side, out=middle)
        s *= 2
    return out
