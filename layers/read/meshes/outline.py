"""The outlines of meshes seen from above."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from layers.read.faces import PRECISION, joined
from layers.read.meshes.model import Floats, Indices
from layers.read.meshes.patches import patches
from layers.read.triangles import NO_AREA

type Geometries = NDArray[np.object_]

#: Triangles whose union is made exactly, and as many corners as they have of what is seen from above without
#: one; of more the outline is that of cells.
_EXACT, _CORNERS = 5_000, 3
#: Cells along the longer side.
_CELLS = 512
#: Runs of cells whose union is made; of more cells twice as wide are taken.
_RUNS = 5_000
#: Points that are marked together.
_POINTS = 1 << 20
#: Half the width (m) of the outline of what stands upright and has no area from above.
_HALF_WIDTH = 0.001


def outlines(
    vertices: Floats, triangles: Indices, ends: Indices, closed: NDArray[np.bool_]
) -> tuple[Geometries, Floats]:
    """The outline of each body in the units of the vertices, None where it has no triangle, and the side of
    the cells that it follows, 0 where it is exact. Of an upright sheet it is a strip of two millimetres.

    ``ends`` (b,) says where the triangles (m, 3) of each body end, and ``closed`` (b,) which are closed, all
    of their triangles turned the same way."""
    bodies = len(ends)
    sizes = np.diff(ends, prepend=0)
    body = np.repeat(np.arange(bodies), sizes)
    sides = np.zeros(bodies)
    made = patches(vertices, triangles, body, closed, bodies)
    simple = ~made.crossed & (made.corners <= _CORNERS * _EXACT)
    whole = simple[made.body]
    out = _together(made.polygons[whole], made.body[whole], bodies)
    left = ~simple & (sizes <= _EXACT)
    mine = left[body]
    corners = vertices[triangles[mine]][:, :, :2]
    shapes = shapely.polygons(np.concatenate([corners, corners[:, :1]], axis=1))
    with_area = shapely.area(shapes) > NO_AREA
    out[left] = _together(shapes[with_area], body[mine][with_area], bodies)[left]
    for k in np.flatnonzero(~simple & ~left).tolist():
        out[k], sides[k] = _cells(vertices, triangles[ends[k] - sizes[k] : ends[k]])
    flat = shapely.is_missing(out) & (sizes > 0)
    sides[flat] = 0
    out[flat] = _strips(vertices, triangles[flat[body]], body[flat[body]])
    return out, sides


def _together(shapes: Geometries, body: Indices, bodies: int) -> Geometries:
    """The union of the shapes of each body, those of many bodies by one call; None without area."""
    out = np.full(bodies, None, object)
    order = np.argsort(body, kind="stable")
    shapes, body = shapes[order], body[order]
    counts = np.bincount(body, minlength=bodies)
    place = np.arange(len(body)) - (np.cumsum(counts) - counts)[body]
    single = counts[body] == 1
    out[body[single]] = shapes[single]
    width = 1 << np.ceil(np.log2(np.maximum(counts, 1))).astype(int)
    for each in np.unique(width[counts > 1]).tolist():
        chosen = np.flatnonzero((width == each) & (counts > 1))
        mine = (width == each)[body] & ~single
        rows = np.full((len(chosen), each), None, object)
        rows[np.searchsorted(chosen, body[mine]), place[mine]] = shapes[mine]
        out[chosen] = shapely.union_all(rows, grid_size=PRECISION, axis=1)
    plain = (shapely.get_type_id(out) == shapely.GeometryType.POLYGON) & (shapely.area(out) > NO_AREA)
    for k in np.flatnonzero(~plain & ~shapely.is_missing(out)).tolist():
        out[k] = joined(out[k])
    return out


def _strips(vertices: Floats, triangles: Indices, body: Indices) -> Geometries:
    """What has no area from above, body after body, as strips."""
    if not len(body):
        return np.empty(0, object)
    _, number = np.unique(body, return_inverse=True)
    points = shapely.multipoints(vertices[triangles.reshape(-1), :2], indices=np.repeat(number, 3))
    made = shapely.buffer(shapely.convex_hull(points), _HALF_WIDTH, quad_segs=1, cap_style="square")
    return np.asarray(made, object)


def _cells(vertices: Floats, triangles: Indices) -> tuple[shapely.Geometry | None, float]:
    """The outline by the cells that lie below a triangle."""
    used = vertices[np.unique(triangles)][:, :2]
    low, high = used.min(axis=0), used.max(axis=0)
    side = float((high - low).max()) / _CELLS
    if side <= 0:
        return None, 0.0
    columns, rows = (int(n) + 2 for n in (high - low) / side)
    below = np.zeros((rows, columns), np.uint8)
    _mark(below, (vertices[:, :2] - low) / side, triangles)
    runs = _runs(below)
    while len(runs) > _RUNS:  # of what is scattered
        below = np.pad(below, [(0, n % 2) for n in below.shape])
        below = below.reshape(len(below) // 2, 2, -1, 2).max(axis=(1, 3))
        runs, side = _runs(below), side * 2
    simple = shapely.make_valid(shapely.simplify(shapely.union_all(runs), 1))
    placed = shapely.transform(simple, lambda cells: cells * side + low)
    parts = [part for part in shapely.get_parts(placed) if part.geom_type == "Polygon"]
    return (shapely.multipolygons(parts) if len(parts) > 1 else parts[0]) if parts else None, side


def _runs(below: NDArray[np.uint8]) -> NDArray[np.object_]:
    """Cells that are marked, those side by side in a row as one box. GDAL would trace them, but the reading
    process has none of its rasters."""
    ends = np.diff(below.astype(np.int8), axis=1, prepend=0, append=0)
    row, begin = np.nonzero(ends == 1)
    return np.asarray(shapely.box(begin, row, np.nonzero(ends == -1)[1], row + 1))


def _mark(below: NDArray[np.uint8], at: Floats, triangles: Indices) -> None:
    """Mark the cells in which points of triangles lie, that are spread over each a cell apart at most; ``at``
    are positions (n, 2) in cells."""
    corners = at[triangles]
    longest = np.abs(corners - np.roll(corners, 1, axis=1)).max(axis=(1, 2))
    steps = 1 << np.ceil(np.log2(np.maximum(longest, 1))).astype(int)
    for count in np.unique(steps).tolist():
        first, second = np.nonzero(np.add.outer(np.arange(count + 1), np.arange(count + 1)) <= count)
        weights = np.column_stack([count - first - second, first, second]) / count
        own = corners[steps == count]
        size = max(1, _POINTS // len(weights))
        for begin in range(0, len(own), size):
            cells = (weights @ own[begin : begin + size]).reshape(-1, 2).astype(int)
            below[cells[:, 1], cells[:, 0]] = 1
