"""Cutting shapes at the edge of a tile, in tile units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from tiles.batch import LINE, POINT, POLYGON, Batch, Flat, explode, successor
from tiles.dictionary import slices
from tiles.scheme import EXTENT, Floats

#: Tile units by which a tile reaches beyond its edge, as renderers expect: the edge of a cut area, half of
#: a wide stroke or of a symbol lies where nothing is drawn.
BUFFER = 64
#: Vertices beyond which a polygon is cut ring by ring: as an area that takes seconds where it crosses the box
#: thousands of times, or itself.
MANY = 4096
#: How a tile is cut: with the buffer, or exactly, for a client that draws all of a tile, as globes do. There
#: two neighbours would show the strip of an area and a point twice; lines keep it, or they had gaps.
type Clip = Literal["buffer", "exact"]
#: Tile units beyond the edge that are kept of points, lines and polygons.
MARGINS: Mapping[Clip, tuple[int, int, int]] = {"buffer": (BUFFER, BUFFER, BUFFER), "exact": (0, BUFFER, 0)}


def split(batch: Batch, boxes: Floats, clip: Clip = "buffer") -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows wholly inside their clip box, and rows that may cross it. ``boxes`` are in tile units."""
    margin = np.array(MARGINS[clip])[batch.dims]
    inside = (
        (boxes[:, 0] >= -margin)
        & (boxes[:, 1] >= -margin)
        & (boxes[:, 2] <= EXTENT + margin)
        & (boxes[:, 3] <= EXTENT + margin)
    )
    # what lies nowhere (NaN) meets nothing
    meets = (boxes[:, :2] <= EXTENT + margin[:, None]).all(axis=1) & (boxes[:, 2:] >= -margin[:, None]).all(
        axis=1
    )
    crossing = meets & ~inside & (batch.dims != POINT)
    # a point on the east or south edge belongs to the neighbour
    points = batch.dims == POINT
    owned = points & inside & (boxes[:, 2:] < EXTENT + MARGINS[clip][POINT]).all(axis=1)
    multi = points & meets & ~owned & (np.diff(batch.parts) > 1)
    return np.flatnonzero((inside & ~points) | owned), np.flatnonzero(crossing | multi)


def cut(batch: Batch, units: Floats, clip: Clip = "buffer") -> Flat:
    """The features of a batch cut at their clip box, in tile units; one with nothing left has no part.

    ``units`` float64 (m, 2) are the batch's coordinates in tile units. Lines come apart where they leave the
    box; so do polygons, as areas."""
    hard = tangled(batch, units, clip)
    rows = np.flatnonzero(~hard)
    if len(rows) == len(batch):
        return _sides(batch, units, clip)
    simple, apart = batch.take(rows), cut_areas(batch, units, np.flatnonzero(hard), MARGINS[clip][POLYGON])
    index, _ = slices(batch.coords[batch.parts], rows)
    plain = _sides(simple, units[index], clip)
    order = np.argsort(np.concatenate([rows, np.flatnonzero(hard)]), kind="stable")
    return _taken(_joined(plain, apart), order)


def tangled(batch: Batch, units: Floats, clip: Clip) -> NDArray[np.bool_]:
    """Polygons (n,) that may come apart at an edge of the clip box: with holes, or with a ring that crosses
    one of its lines more than twice."""
    margin = MARGINS[clip][POLYGON]
    follow, several = successor(batch.coords), batch.outer == 0
    for axis in (0, 1):
        for inside in (units[:, axis] >= -margin, units[:, axis] <= EXTENT + margin):
            crossed = (inside != inside[follow]).astype(np.int64)
            several = several | (np.add.reduceat(crossed, batch.coords[:-1]) > 2)
    return np.asarray(np.logical_or.reduceat(several, batch.parts[:-1]) & (batch.dims == POLYGON))


def _sides(batch: Batch, units: Floats, clip: Clip) -> Flat:
    """Features cut at one line of the box after the other (Sutherland & Hodgman 1974): what is left of a ring
    that crosses each at most twice is one ring."""
    margin = np.array(MARGINS[clip], float)[batch.dims]
    owner = np.repeat(np.arange(len(batch)), np.diff(batch.parts))
    flat = _Pieces(units, batch.coords, owner)
    for axis in (0, 1):
        for sign, limit in ((1.0, -margin), (-1.0, EXTENT + margin)):
            flat = _side(flat, batch.dims, axis, sign, limit)
    parts = np.concatenate([[0], np.cumsum(np.bincount(flat.owner, minlength=len(batch)))])
    return Flat(flat.xy, parts, flat.coords, np.ones(len(flat.owner), np.uint8))


class _Pieces(NamedTuple):
    """Parts (p,) with the feature of each."""

    xy: Floats
    coords: NDArray[np.int64]
    owner: NDArray[np.int64]


def _side(flat: _Pieces, dims: NDArray[np.uint8], axis: int, sign: float, limits: Floats) -> _Pieces:
    """What lies on one side of the line where a coordinate is ``limits`` (n,): above for sign 1, below for
    −1."""
    if not len(flat.xy):
        return flat
    part = np.repeat(np.arange(len(flat.owner)), np.diff(flat.coords))
    dim, limit, value = dims[flat.owner][part], limits[flat.owner][part], flat.xy[:, axis]
    # a point on the east or south edge belongs to the neighbour
    inside = value >= limit if sign > 0 else np.where(dim == POINT, value < limit, value <= limit)
    if inside.all():
        return flat
    follow = successor(flat.coords)
    crossed = inside != inside[follow]
    crossed[flat.coords[1:] - 1] &= dims[flat.owner] == POLYGON
    place = np.concatenate([[0], np.cumsum(inside.astype(np.int64) + crossed)])
    xy, at = np.empty((place[-1], 2)), np.flatnonzero(crossed)
    xy[place[:-1][inside]] = flat.xy[inside]
    # from inside to outside, so that neighbours with a common edge get the same point
    here, there = np.where(inside[at], at, follow[at]), np.where(inside[at], follow[at], at)
    near, far = flat.xy[here], flat.xy[there]
    other, spot = 1 - axis, place[at] + inside[at]
    ratio = (far[:, other] - near[:, other]) * (limit[at] - near[:, axis]) / (far[:, axis] - near[:, axis])
    xy[spot, axis], xy[spot, other] = limit[at], near[:, other] + ratio
    # a line that comes in again begins a piece
    begins = np.zeros(len(xy) + 1, bool)
    begins[place[flat.coords[:-1]]] = True
    begins[spot[(dim[at] == LINE) & ~inside[at]]] = True
    starts = np.flatnonzero(begins[:-1])
    source = np.repeat(part, np.diff(place))
    return _Pieces(xy, np.append(starts, len(xy)), flat.owner[source[starts]])


def cut_areas(batch: Batch, units: Floats, rows: NDArray[np.int64], margin: int) -> Flat:
    """Polygons of some rows, one at least, cut at the clip box, in that order."""
    index, _ = slices(batch.coords[batch.parts], rows)
    part = batch.take(rows)
    units = units[index]
    ends = part.coords[part.parts]
    large = np.diff(ends) > MANY
    if large.all():
        return _rings(part, units, margin)
    rest = np.flatnonzero(~large)
    index, _ = slices(ends, rest)
    few = part if not large.any() else part.take(rest)
    # tile units run south, so what is positive there is counter-clockwise to shapely
    flat = explode(_polygons(few, units[index], margin), few.dims, exterior_cw=False)
    if not large.any():
        return flat
    most = np.flatnonzero(large)
    index, _ = slices(ends, most)
    flat = _joined(flat, _rings(part.take(most), units[index], margin))
    return _taken(flat, np.argsort(np.concatenate([rest, most]), kind="stable"))


def _rings(batch: Batch, units: Floats, margin: int) -> Flat:
    """Polygons cut ring by ring, along the clip box from where one leaves it to where it comes back."""
    flat = _Pieces(units, batch.coords, np.arange(len(batch.outer)))
    dims = np.full(len(batch.outer), POLYGON, np.uint8)
    for axis in (0, 1):
        for sign, limit in ((1.0, -margin), (-1.0, EXTENT + margin)):
            flat = _side(flat, dims, axis, sign, np.full(len(dims), float(limit)))
    there = np.zeros(len(dims), bool)
    there[flat.owner] = True
    exterior = np.flatnonzero(batch.outer)[np.cumsum(batch.outer, dtype=np.int64) - 1]
    kept = np.flatnonzero(there[exterior[flat.owner]])
    index, coords = slices(flat.coords, kept)
    ring = flat.owner[kept]
    feature = np.repeat(np.arange(len(batch)), np.diff(batch.parts))[ring]
    parts = np.concatenate([[0], np.cumsum(np.bincount(feature, minlength=len(batch)))])
    return Flat(flat.xy[index], parts, coords, batch.outer[ring])


def _joined(first: Flat, second: Flat) -> Flat:
    return Flat(
        np.concatenate([first.xy, second.xy]),
        np.concatenate([first.parts, second.parts[1:] + first.parts[-1]]),
        np.concatenate([first.coords, second.coords[1:] + first.coords[-1]]),
        np.concatenate([first.outer, second.outer]),
    )


def _taken(flat: Flat, rows: NDArray[np.int64]) -> Flat:
    part_index, parts = slices(flat.parts, rows)
    index, coords = slices(flat.coords, part_index)
    return Flat(flat.xy[index], parts, coords, flat.outer[part_index])


def _window(margin: int) -> tuple[int, int, int, int]:
    return -margin, -margin, EXTENT + margin, EXTENT + margin


def _polygons(batch: Batch, units: Floats, margin: int) -> NDArray[Any]:
    sizes = np.diff(batch.coords)
    # from_ragged_array wants closed rings: each part is followed by its first point
    index, coords = _closed(batch.coords, sizes)
    polygons = np.flatnonzero(np.append(batch.outer, 1))
    kind = shapely.GeometryType.MULTIPOLYGON
    features = np.searchsorted(polygons, batch.parts)
    shapes = shapely.from_ragged_array(kind, units[index], (coords, polygons, features))
    try:
        return np.asarray(shapely.clip_by_rect(shapes, *_window(margin)))
    except shapely.errors.GEOSException:
        # a polygon that crosses itself cannot be cut as it is
        return np.asarray(shapely.intersection(shapely.make_valid(shapes), shapely.box(*_window(margin))))


def _closed(
    coords: NDArray[np.int64], sizes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices that repeat the first coordinate of every part at its end, and the new offsets."""
    offsets = coords + np.arange(len(coords))
    index = np.arange(offsets[-1]) - np.repeat(np.arange(len(sizes)), sizes + 1)
    index[offsets[1:] - 1] = coords[:-1]
    return index, offsets
