"""Cutting shapes at the edge of a tile, in tile units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import shapely
from numpy.typing import NDArray

from tiles.batch import LINE, POINT, POLYGON, Batch, Flat, explode
from tiles.dictionary import slices
from tiles.scheme import Floats

#: Side of a tile in its own units (MVT 2.1, clause 4.1).
EXTENT = 4096
#: Tile units by which a tile reaches beyond its edge, as renderers expect: the edge of a cut area, half of
#: a wide stroke or of a symbol lies where nothing is drawn.
BUFFER = 64
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

    ``units`` float64 (m, 2) are the batch's coordinates in tile units. Parts of a lower dimension
    (of a polygon that only touches the edge) are dropped."""
    shapes = np.empty(len(batch), object)
    for dim, within in ((POINT, _points), (LINE, _lines), (POLYGON, _polygons)):
        rows = np.flatnonzero(batch.dims == dim)
        if len(rows):
            part = batch.take(rows)
            index, _ = slices(batch.coords[batch.parts], rows)
            shapes[rows] = within(part, units[index], MARGINS[clip][dim])
    # tile units run south, so what is positive there is counter-clockwise to shapely
    return explode(shapes, batch.dims, exterior_cw=False)


def _points(batch: Batch, units: Floats, margin: int) -> NDArray[Any]:
    owned = ((units >= -margin) & (units < EXTENT + margin)).all(axis=1)
    total = np.concatenate([[0], np.cumsum(owned)])
    if not owned.any():  # shapely makes no array of geometries that are all empty
        return np.full(len(batch), shapely.MultiPoint())
    return np.asarray(
        shapely.from_ragged_array(shapely.GeometryType.MULTIPOINT, units[owned], (total[batch.parts],))
    )


def _lines(batch: Batch, units: Floats, margin: int) -> NDArray[Any]:
    kind = shapely.GeometryType.MULTILINESTRING
    shapes = shapely.from_ragged_array(kind, units, (batch.coords, batch.parts))
    return np.asarray(shapely.clip_by_rect(shapes, *_window(margin)))


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
