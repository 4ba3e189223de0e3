"""Features as ragged columns in world units: the form that every tiler works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from layers import quadtree
from tiles import dictionary
from tiles.dictionary import DictionaryColumn, slices
from tiles.scheme import Floats, lonlat, world

POINT, LINE, POLYGON = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Batch:
    """n features with p parts (points, lines or rings) and m coordinates.

    fids int64 (n,) ascending; dims uint8 (n,) 0 point, 1 line, 2 polygon; parts int64 (n + 1)
    into the parts; coords int64 (p + 1) into xy; outer uint8 (p,) 1 for an exterior ring;
    xy float64 (m, 2) world units, rings without their closing point, exteriors clockwise on
    the map (so with positive area in tile coordinates, MVT 2.1 clause 4.3.3.3), holes the
    other way; boxes float64 (n, 4) world units; measure float64 (n,) world area of a polygon,
    world length of a line; places uint64 (n,) the cell around the middle of the whole feature's box and the
    box's size, see :func:`layers.quadtree.places_of`; props by name, ``fid`` among them.
    """

    fids: NDArray[np.int64]
    dims: NDArray[np.uint8]
    parts: NDArray[np.int64]
    coords: NDArray[np.int64]
    outer: NDArray[np.uint8]
    xy: Floats
    boxes: Floats
    measure: Floats
    places: NDArray[np.uint64]
    props: Mapping[str, DictionaryColumn]

    def __len__(self) -> int:
        return len(self.fids)

    def take(self, rows: NDArray[np.int64]) -> Batch:
        """The features of these rows, in that order."""
        part_index, parts = slices(self.parts, rows)
        coord_index, coords = slices(self.coords, part_index)
        return Batch(
            self.fids[rows],
            self.dims[rows],
            parts,
            coords,
            self.outer[part_index],
            self.xy[coord_index],
            self.boxes[rows],
            self.measure[rows],
            self.places[rows],
            {name: prop.take(rows) for name, prop in self.props.items()},
        )

    def lonlat(self) -> tuple[Floats, Floats]:
        """Longitude and latitude (degrees) of every coordinate."""
        return lonlat(self.xy[:, 0], self.xy[:, 1])

    def texts(self, name: str) -> list[str | None]:
        """A property as texts (n,); None for null and where there is no such property."""
        prop = self.props.get(name)
        if prop is None:
            return [None] * len(self)
        return [None if code < 0 else prop.values.text_of(code) for code in prop.codes.tolist()]

    def numbers(self, name: str, default: float = np.nan, rows: NDArray[np.int64] | None = None) -> Floats:
        """A numeric property as float64 (n,), or of some rows; null, another type or no such property is
        ``default``."""
        out = np.full(len(self) if rows is None else len(rows), default)
        prop = self.props.get(name)
        if prop is not None and prop.values.kind != "s" and len(prop.values):
            codes = prop.codes if rows is None else prop.codes[rows]
            known = codes >= 0
            out[known] = prop.values.numbers[codes[known]]
        return out


_NONE: Mapping[str, NDArray[Any]] = {
    "fids": np.empty(0, np.int64),
    "dims": np.empty(0, np.uint8),
    "parts": np.empty(0, np.int64),
    "coords": np.empty(0, np.int64),
    "outer": np.empty(0, np.uint8),
    "xy": np.empty((0, 2)),
    "boxes": np.empty((0, 4)),
    "measure": np.empty(0),
    "places": np.empty(0, np.uint64),
}


def polygons(batch: Batch) -> NDArray[Any]:
    """The polygons of a batch as shapely multipolygons in lon/lat (n,); None for other features."""
    rows = np.flatnonzero(batch.dims == POLYGON)
    out = np.full(len(batch), None, dtype=object)
    if not len(rows):
        return out
    own = batch.take(rows)
    rings = own.coords + np.arange(len(own.coords))
    first = np.flatnonzero(own.outer)
    of_polygon = np.append(first, len(own.outer))
    of_feature = np.searchsorted(first, own.parts)
    out[rows] = shapely.from_ragged_array(
        shapely.GeometryType.MULTIPOLYGON, _closed(own), (rings, of_polygon, of_feature)
    )
    return out


def _closed(batch: Batch) -> Floats:
    """Longitude, latitude of every ring's points with the first repeated at its end."""
    points = np.column_stack(batch.lonlat())
    return np.insert(points, batch.coords[1:], points[batch.coords[:-1]], axis=0)


def concat(first: Batch, second: Batch) -> Batch:
    """The features of two batches of one layer, ordered by fid."""
    joined = Batch(
        np.concatenate([first.fids, second.fids]),
        np.concatenate([first.dims, second.dims]),
        _joined(first.parts, second.parts),
        _joined(first.coords, second.coords),
        np.concatenate([first.outer, second.outer]),
        np.concatenate([first.xy, second.xy]),
        np.concatenate([first.boxes, second.boxes]),
        np.concatenate([first.measure, second.measure]),
        np.concatenate([first.places, second.places]),
        {name: dictionary.merge(prop, second.props[name]) for name, prop in first.props.items()},
    )
    return joined.take(np.argsort(joined.fids, kind="stable"))


def stacked(batches: list[Batch]) -> Batch:
    """The features of some batches without properties, one after the other. The list is emptied: each column
    is held twice only while it is joined."""
    if len(batches) == 1:
        return batches.pop()
    pieces = {name: [getattr(batch, name) for batch in batches] for name in _NONE}
    batches.clear()
    columns: dict[str, NDArray[Any]] = {}
    for name, none in _NONE.items():
        own = pieces.pop(name)
        if name in ("parts", "coords"):
            columns[name] = _offsets(np.concatenate([np.diff(one) for one in own] or [none]))
        else:
            columns[name] = np.concatenate(own or [none])
    return Batch(**columns, props={})


def like(batch: Batch, other: Batch) -> Batch:
    """The batch with the dictionaries of another one of its layer, for each property of which all features
    have the values that they have there: to join the two then costs nothing."""
    if not len(batch) or not len(other):
        return batch
    rows = np.minimum(np.searchsorted(other.fids, batch.fids), len(other) - 1)
    if not np.array_equal(other.fids[rows], batch.fids):
        return batch
    props = {name: dictionary.like(prop, other.props[name].take(rows)) for name, prop in batch.props.items()}
    return replace(batch, props=props)


def without(batch: Batch, fids: NDArray[np.int64]) -> Batch:
    """The batch without these features."""
    return batch.take(np.flatnonzero(~np.isin(batch.fids, fids)))


def from_shapes(
    fids: NDArray[np.int64], shapes: NDArray[Any], dims: NDArray[np.uint8] | None = None
) -> Batch:
    """Columns of shapely geometries in lon/lat, without properties. ``dims``: what is taken of a collection,
    else what is of its highest dimension."""
    dims = shapely.get_dimensions(shapes).astype(np.uint8) if dims is None else dims
    bounds = shapely.bounds(shapes).reshape(-1, 4)
    return from_flat(fids, dims, explode(shapes, dims, exterior_cw=True), bounds)


def from_flat(
    fids: NDArray[np.int64], dims: NDArray[np.uint8], flat: Flat, bounds: Floats | None = None
) -> Batch:
    """Columns of geometries in lon/lat, exteriors clockwise, without properties. ``bounds`` (n, 4) are those
    of the whole features, where these are not."""
    xy = np.stack(world(flat.xy[:, 0], flat.xy[:, 1]), axis=1)
    first = flat.coords[flat.parts[:-1]]
    boxes = _boxes(xy, first)
    measure = _measure(xy, flat.coords, flat.parts, dims)
    places = quadtree.places_of(_boxes(flat.xy, first) if bounds is None else bounds)
    return Batch(
        np.asarray(fids, np.int64), dims, flat.parts, flat.coords, flat.outer, xy, boxes, measure, places, {}
    )


@dataclass(frozen=True, slots=True)
class Flat:
    """Geometries as ragged arrays: coordinates, part and coordinate offsets, exterior flags."""

    xy: Floats
    parts: NDArray[np.int64]
    coords: NDArray[np.int64]
    outer: NDArray[np.uint8]


def explode(shapes: NDArray[Any], dims: NDArray[np.uint8], *, exterior_cw: bool) -> Flat:
    """Shapely geometries as ragged arrays, rings without their closing point.

    Of a collection only the parts of the dimension in ``dims`` (n,) are taken."""
    rings, owner, outer = _rings(shapes, dims, exterior_cw)
    xy, ring_of = shapely.get_coordinates(rings, return_index=True)
    # a ring's last point repeats its first
    keep = np.ones(len(xy), bool)
    last = np.flatnonzero(np.diff(ring_of, append=len(rings)))
    keep[last[dims[owner] == POLYGON]] = False
    coords = _offsets(np.bincount(ring_of[keep], minlength=len(rings)))
    parts = _offsets(np.bincount(owner, minlength=len(shapes)))
    return Flat(xy[keep], parts, coords, outer)


def _rings(
    shapes: NDArray[Any], dims: NDArray[np.uint8], exterior_cw: bool
) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.uint8]]:
    """Points, lines and rings of the geometries, the feature of each, and which are exteriors."""
    simple, owner = shapely.get_parts(shapes, return_index=True)
    while (shapely.get_type_id(simple) > 3).any():
        simple, inner = shapely.get_parts(simple, return_index=True)
        owner = owner[inner]
    wanted = (shapely.get_dimensions(simple) == dims[owner]) & ~shapely.is_empty(simple)
    simple, owner = simple[wanted], owner[wanted]
    flat = np.flatnonzero(shapely.get_type_id(simple) == 3)
    polygons = shapely.orient_polygons(simple[flat], exterior_cw=exterior_cw)
    rings, polygon = shapely.get_rings(polygons, return_index=True)
    rest = np.flatnonzero(shapely.get_type_id(simple) != 3)
    all_rings = np.concatenate([rings, simple[rest]])
    place = np.concatenate([flat[polygon], rest])
    outer = np.concatenate([np.diff(polygon, prepend=-1) > 0, np.ones(len(rest), bool)])
    order = np.argsort(place, kind="stable")
    return all_rings[order], owner[place[order]].astype(np.int64), outer[order].astype(np.uint8)


def _boxes(xy: Floats, first: NDArray[np.int64]) -> Floats:
    if not len(first):
        return np.empty((0, 4))
    low, high = np.minimum.reduceat(xy, first), np.maximum.reduceat(xy, first)
    return np.concatenate([low, high], axis=1)


def _measure(
    xy: Floats, coords: NDArray[np.int64], parts: NDArray[np.int64], dims: NDArray[np.uint8]
) -> Floats:
    """World area of polygons (holes taken off), world length of lines, 0 for points."""
    if not len(xy):
        return np.zeros(len(dims))
    follow = successor(coords)
    nxt = xy[follow]
    # relative to a point of its own: the shoelace sum of a small ring far from 0 loses its digits, and it is
    # the same whatever else is in the batch
    base = np.repeat(xy[coords[:-1]], np.diff(coords), axis=0)
    here, there = xy - base, nxt - base
    area = (here[:, 0] * there[:, 1] - there[:, 0] * here[:, 1]) / 2
    step = np.hypot(*(nxt - xy).T)
    step[coords[1:] - 1] = 0
    dim = np.repeat(dims, np.diff(coords[parts]))
    each = np.where(dim == POLYGON, area, np.where(dim == LINE, step, 0.0))
    return np.add.reduceat(each, coords[parts[:-1]])


def successor(coords: NDArray[np.int64]) -> NDArray[np.int64]:
    """Index of the next coordinate of the same part, the first again after the last."""
    follow = np.arange(1, coords[-1] + 1)
    follow[coords[1:] - 1] = coords[:-1]
    return follow


def _offsets(counts: NDArray[Any]) -> NDArray[np.int64]:
    out = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=out[1:])
    return out


def _joined(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([first, second[1:] + first[-1]])
