"""Polygons to triangles: through the compiled kernel, or by whole arrays and mapbox-earcut."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tiles import kernel
from tiles.batch import Batch, successor
from tiles.kernel import Kernel
from tiles.mesh.body import spread


def triangulate(shapes: Batch) -> NDArray[np.int64]:
    """Triangles (t, 3) of the polygons of a batch, counter-clockwise on the map, indices into xy.

    A convex ring without holes becomes a fan; of others the ears are clipped."""
    compiled = kernel.compiled()
    return by_arrays(shapes) if compiled is None else _by_kernel(compiled, shapes)


def _by_kernel(compiled: Kernel, shapes: Batch) -> NDArray[np.int64]:
    made = np.empty((len(shapes.xy), 3), np.int64)
    left = np.empty(len(shapes.outer), np.int64)
    count, over = compiled.triangles(shapes.xy, shapes.coords, shapes.outer, made, left)
    if not over:
        return made[:count]
    ends = np.append(np.flatnonzero(shapes.outer), len(shapes.outer))
    after = ends[np.searchsorted(ends, left[:over], "right")]
    rest = zip(left[:over].tolist(), after.tolist(), strict=True)
    return np.concatenate([made[:count], *(_ears(shapes, first, end) for first, end in rest)])


def by_arrays(shapes: Batch) -> NDArray[np.int64]:
    """As :func:`triangulate`, where the kernel is not built."""
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
