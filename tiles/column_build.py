"""Columns out of a store's rows, piece by piece: what is held is the columns, not a Python object a cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from layers import wkb, wkb_arrays
from layers.model import Rows
from layers.types import REST, Field, FieldType
from tiles import batch as batches
from tiles import dictionary
from tiles.batch import POLYGON, Batch, Flat
from tiles.dictionary import DictionaryColumn, Encoder, slices
from tiles.scheme import Floats

#: Columns that stay out of the tiles: the folded rest is for the attribute card.
HIDDEN = frozenset({REST, "fid"})
FID = "fid"
#: Positions from which a line is one, and a ring with its closing one.
_LEAST = np.array([1, 2, 4])
#: Parts of the box of a ring from which its area has a sign that rounding does not decide.
_FLAT = 1e-9


def from_rows(rows: Rows, fields: Sequence[Field]) -> Batch:
    """Columns of a store's rows. Features without a geometry, or at no place, are left out; a collection,
    which another program stored, has a row for its points, its lines and its polygons each, all of one
    fid."""
    return from_pieces([rows], fields)


def from_pieces(pieces: Iterable[Rows], fields: Sequence[Field]) -> Batch:
    """As :func:`from_rows`, of rows that come in pieces, ascending by fid."""
    types: dict[str, FieldType] = {field.name: field.type for field in fields}
    shapes: list[Batch] = []
    props: dict[str, Encoder] = {}
    for rows in pieces:
        present, batch = _shapes(rows)
        shapes.append(batch)
        chosen = None if np.array_equal(present, np.arange(len(rows.wkb))) else present.tolist()
        for name, column in rows.properties.items():
            if name not in HIDDEN:
                if name not in props:
                    props[name] = Encoder(types.get(name, "string"))
                props[name].add(column if chosen is None else [column[i] for i in chosen])
    batch = batches.stacked(shapes)
    columns = {FID: _numbered(batch.fids)}
    while props:
        name = next(iter(props))
        columns[name] = props.pop(name).column()
    return replace(batch, props=columns)


def _numbered(fids: NDArray[np.int64]) -> DictionaryColumn:
    """The fids (n,), ascending, as a property."""
    fresh = np.diff(fids, prepend=fids[0] - 1 if len(fids) else 0) != 0
    return DictionaryColumn(
        (np.cumsum(fresh, dtype=np.int64) - 1).astype(np.int32), dictionary.integers(fids[fresh])
    )


def _shapes(rows: Rows) -> tuple[NDArray[np.int64], Batch]:
    """The geometries of some rows as columns without properties, and the row that each is of."""
    there = np.flatnonzero([one is not None for one in rows.wkb])
    given = [one for one in rows.wkb if one is not None]
    fids = np.asarray(rows.fids, np.int64)
    plain, batch = _plain(given)
    rest = np.flatnonzero(~plain)
    batch = replace(batch, fids=there[plain])
    if len(rest):
        parsed = _parsed([given[at] for at in rest.tolist()])
        batch = batches.concat(batch, replace(parsed, fids=there[rest[parsed.fids]]))
    return batch.fids, replace(batch, fids=fids[batch.fids])


def _parsed(given: list[bytes]) -> Batch:
    """Columns of what a parser has to look at; their fids are the positions in the list."""
    shapes = shapely.force_2d(wkb.shapes(given))
    missing = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    places, owner = shapely.get_coordinates(shapes, return_index=True)
    missing[owner[~np.isfinite(places).all(axis=1)]] = True
    present = np.flatnonzero(~missing)
    present, dims = _dimensions(shapes, present)
    return batches.from_shapes(present, shapes[present], dims)


def _plain(given: Sequence[bytes]) -> tuple[NDArray[np.bool_], Batch]:
    """Which geometries are sound points, lines and polygons, single or several, and the columns of those."""
    data, offsets = wkb_arrays.joined(given)
    found = wkb_arrays.parts(data, offsets[:-1], offsets[1:])
    kind = found.dims[found.owner]
    wrong = found.count < _LEAST[kind]
    ring = np.flatnonzero((kind == POLYGON) & ~wrong)
    first = found.at[ring]
    ends = np.stack([first, first + (found.count[ring] - 1) * found.width[ring]])
    begins, closes = (wkb_arrays.positions(data, at) for at in ends)
    wrong[ring] = (begins != closes).any(axis=1)
    # a ring's last point repeats its first
    count = np.where(wrong, 0, found.count - (kind == POLYGON))
    coords = np.concatenate([[0], np.cumsum(count)])
    part = np.repeat(np.arange(len(count)), count)
    xy = wkb_arrays.positions(
        data, found.at[part] + (np.arange(coords[-1]) - coords[part]) * found.width[part]
    )
    wrong[part[~np.isfinite(xy).all(axis=1)]] = True
    area, size = _areas(xy, coords)
    wrong |= (kind == POLYGON) & ~(np.abs(area) > _FLAT * size)
    plain = found.plain.copy()
    plain[found.owner[wrong]] = False
    plain &= np.bincount(found.owner, minlength=len(given)) > 0
    kept = np.flatnonzero(plain[found.owner])
    turned = (kind == POLYGON) & ((area > 0) == found.outer)
    index, coords = slices(coords, kept)
    index = _turned(index, coords, turned[kept])
    parts = np.concatenate([[0], np.cumsum(np.bincount(found.owner[kept], minlength=len(given))[plain])])
    flat = Flat(xy[index], parts, coords, found.outer[kept].astype(np.uint8))
    rows = np.flatnonzero(plain)
    return plain, batches.from_flat(rows, found.dims[rows], flat)


def _areas(xy: Floats, coords: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Twice the signed area (p,) of each part as a ring, positive where it runs counterclockwise, and the
    area of its box."""
    area, size = np.zeros(len(coords) - 1), np.zeros(len(coords) - 1)
    held = np.flatnonzero(np.diff(coords))
    if not len(held):
        return area, size
    starts = coords[:-1][held]
    base = np.repeat(xy[starts], np.diff(coords)[held], axis=0)
    x, y = (xy - base).T
    follow = np.arange(1, len(xy) + 1)
    follow[coords[1:][held] - 1] = starts
    with np.errstate(invalid="ignore", over="ignore"):
        area[held] = np.add.reduceat(x * y[follow] - x[follow] * y, starts)
        low, high = np.minimum.reduceat(xy, starts), np.maximum.reduceat(xy, starts)
        size[held] = (high - low).prod(axis=1)
    return area, size


def _turned(
    index: NDArray[np.int64], coords: NDArray[np.int64], turned: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """The positions of parts with those of some parts the other way round, the first one staying."""
    if not turned.any():
        return index
    counts = np.diff(coords)
    place = np.arange(len(index)) - np.repeat(coords[:-1], counts)
    back = np.repeat(turned, counts) & (place > 0)
    source = np.arange(len(index))
    source[back] = (np.repeat(coords[:-1] + counts, counts) - place)[back]
    return index[source]


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
