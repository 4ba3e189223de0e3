"""Features as ragged columns in world units: the form that every tiler works on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from layers import quadtree, wkb
from layers.model import Rows
from layers.types import REST, Field, FieldType
from tiles import dictionary
from tiles.dictionary import DictionaryColumn, slices
from tiles.scheme import Floats, lonlat, world

POINT, LINE, POLYGON = 0, 1, 2
#: Columns that stay out of the tiles: the folded rest is for the attribute card.
HIDDEN = frozenset({REST, "fid"})
FID = "fid"


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

    def numbers(self, name: str, default: float = np.nan) -> Floats:
        """A numeric property as float64 (n,); null, another type or no such property is ``default``."""
        out = np.full(len(self), default)
        prop = self.props.get(name)
        if prop is not None and prop.values.kind != "s" and len(prop.values):
            known = prop.codes >= 0
            out[known] = prop.values.numbers[prop.codes[known]]
        return out


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


def from_rows(rows: Rows, fields: Sequence[Field]) -> Batch:
    """Columns of a store's rows. Features without a geometry are left out; a collection, which another
    program stored, has a row for its points, its lines and its polygons each, all of one fid."""
    shapes = shapely.force_2d(wkb.shapes(rows.wkb))
    present = np.flatnonzero(~(shapely.is_missing(shapes) | shapely.is_empty(shapes)))
    present, dims = _dimensions(shapes, present)
    batch = from_shapes(np.asarray(rows.fids)[present], shapes[present], dims)
    types: dict[str, FieldType] = {field.name: field.type for field in fields}
    props = {FID: dictionary.encode(batch.fids.tolist(), "integer")}
    chosen = None if np.array_equal(present, np.arange(len(shapes))) else present.tolist()
    for name, column in rows.properties.items():
        if name not in HIDDEN:
            own = column if chosen is None else [column[i] for i in chosen]
            props[name] = dictionary.encode(own, types.get(name, "string"))
    return replace(batch, props=props)


def _dimensions(
    shapes: NDArray[Any], present: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Rows of geometries, once for each dimension that is in them, and that dimension."""
    dims = shapely.get_dimensions(shapes[present]).astype(np.uint8)
    chosen = np.flatnonzero(shapely.get_type_id(shapes[present]) == shapely.GeometryType.GEOMETRYCOLLECTION)
    pairs = [
        (present[at], lower) for at in chosen.tolist() for lower in _inside(shapes[present[at]]) - {dims[at]}
    ]
    if not pairs:
        return present, dims
    rows = np.concatenate([present, [row for row, _ in pairs]])
    dims = np.concatenate([dims, [lower for _, lower in pairs]]).astype(np.uint8)
    order = np.lexsort((dims, rows))
    return rows[order], dims[order]


def _inside(shape: Any) -> set[int]:
    """The dimensions of what a collection holds."""
    if shape.geom_type == "GeometryCollection":
        return set().union(*(_inside(one) for one in shape.geoms))
    return set() if shape.is_empty else {int(shapely.get_dimensions(shape))}


def from_shapes(
    fids: NDArray[np.int64], shapes: NDArray[Any], dims: NDArray[np.uint8] | None = None
) -> Batch:
    """Columns of shapely geometries in lon/lat, without properties. ``dims``: what is taken of a collection,
    else what is of its highest dimension."""
    dims = shapely.get_dimensions(shapes).astype(np.uint8) if dims is None else dims
    flat = explode(shapes, dims, exterior_cw=True)
    xy = np.stack(world(flat.xy[:, 0], flat.xy[:, 1]), axis=1)
    boxes = _boxes(xy, flat.coords[flat.parts[:-1]])
    measure = _measure(xy, flat.coords, flat.parts, dims)
    places = quadtree.places_of(shapely.bounds(shapes).reshape(-1, 4))
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
    # relative to one point: the shoelace sum of a small ring far from 0 loses its digits
    here, there = xy - xy[0], nxt - xy[0]
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
