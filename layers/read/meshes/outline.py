"""The outlines of meshes seen from above."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from layers.read.faces import PRECISION, joined, shadow
from layers.read.meshes.model import Floats, Indices
from layers.read.triangles import NO_AREA

type Geometries = NDArray[np.object_]

#: Triangles whose union is made exactly; of more the outline is that of cells.
_EXACT = 5_000
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

    ``ends`` (b,) says where the triangles (m, 3) of each body end, and ``closed`` (b,) which are closed."""
    sizes = np.diff(ends, prepend=0)
    sides = np.zeros(len(ends))
    together = closed & (sizes <= _EXACT)
    out = _of_closed(vertices, triangles, np.repeat(np.arange(len(ends)), sizes), together)
    for k in np.flatnonzero(shapely.is_missing(out) & (sizes > 0)).tolist():
        own = triangles[ends[k] - sizes[k] : ends[k]]
        if sizes[k] > _EXACT:
            out[k], sides[k] = _cells(vertices, own)
        elif not together[k]:
            out[k] = shadow(vertices[own][:, :, :2])
        if out[k] is None:
            sides[k] = 0
            hull = shapely.multipoints(vertices[np.unique(own)][:, :2]).convex_hull
            out[k] = shapely.buffer(hull, _HALF_WIDTH, quad_segs=1, cap_style="square")
    return out, sides


def _of_closed(vertices: Floats, triangles: Indices, body: Indices, wanted: NDArray[np.bool_]) -> Geometries:
    """The outlines of the wanted bodies, which are closed: their triangles lie above one another, so that
    none is a coverage, and those of many bodies are joined by one call."""
    out = np.full(len(wanted), None, object)
    own = np.flatnonzero(wanted[body])
    corners = vertices[triangles[own]][:, :, :2]
    shapes = shapely.polygons(np.concatenate([corners, corners[:, :1]], axis=1))
    with_area = shapely.area(shapes) > NO_AREA
    shapes, of = shapes[with_area], body[own[with_area]]
    counts = np.bincount(of, minlength=len(wanted))
    place = np.arange(len(of)) - (np.cumsum(counts) - counts)[of]
    width = 1 << np.ceil(np.log2(np.maximum(counts, 1))).astype(int)
    for each in np.unique(width[counts > 0]).tolist():
        chosen = np.flatnonzero((width == each) & (counts > 0))
        mine = (width == each)[of]
        rows = np.full((len(chosen), each), None, object)
        rows[np.searchsorted(chosen, of[mine]), place[mine]] = shapes[mine]
        out[chosen] = shapely.union_all(rows, grid_size=PRECISION, axis=1)
    single = (shapely.get_type_id(out) == shapely.GeometryType.POLYGON) & (shapely.area(out) > NO_AREA)
    for k in np.flatnonzero(~single & ~shapely.is_missing(out)).tolist():
        out[k] = joined(out[k])
    return out


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
