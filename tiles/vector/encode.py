"""One layer of a Mapbox Vector Tile (version 2.1) from a batch of features, by whole-array steps.

Every number of a feature message is a varint, lengths and field keys too, so the feature block
is built as one integer array and packed once. The bytes depend on the features alone: order by
fid, values in order of first use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles import kernel
from tiles.batch import POINT, POLYGON, Batch, successor
from tiles.dictionary import DictionaryColumn, slices, varint
from tiles.scheme import EXTENT, Floats
from tiles.vector import clip, wire
from tiles.vector import compiled as by_kernel
from tiles.vector.clip import Clip
from tiles.vector.wire import Words

MOVE_TO, LINE_TO, CLOSE_PATH = 1, 2, 7


@dataclass(frozen=True, slots=True)
class TileFeatures:
    """Features in tile units, ready to be written.

    rows int64 (n,) into the batch; dims uint8 (n,); parts (n + 1); coords (p + 1);
    xy int64 (m, 2)."""

    rows: NDArray[np.int64]
    dims: NDArray[np.uint8]
    parts: NDArray[np.int64]
    coords: NDArray[np.int64]
    outer: NDArray[np.uint8]
    xy: NDArray[np.int64]


def layer(
    name: str,
    batch: Batch,
    z: int,
    x: int,
    y: int,
    how: Clip = "buffer",
    rows: NDArray[np.int64] | None = None,
) -> bytes:
    """The layer message of a tile with its key and length; empty when nothing is drawn in it. ``rows`` are
    those of the batch that are meant, in that order, None for all."""
    compiled = kernel.compiled()
    if compiled is not None:
        rows = np.arange(len(batch)) if rows is None else rows
        return by_kernel.layer(compiled, name, batch, rows, z, x, y, how)
    return by_arrays(name, batch if rows is None else batch.take(rows), z, x, y, how)


def by_arrays(name: str, batch: Batch, z: int, x: int, y: int, how: Clip) -> bytes:
    """As :func:`layer`, where the kernel is not built."""
    drawn = draw(batch, z, x, y, how)
    if not len(drawn.rows):
        return b""
    props = {key: prop.take(drawn.rows).compact() for key, prop in batch.props.items()}
    props = {key: prop for key, prop in props.items() if len(prop.values)}
    features = _features(batch.fids[drawn.rows], drawn, list(props.values()))
    title = name.encode()
    keys = b"".join(b"\x1a" + varint(len(raw)) + raw for raw in (key.encode() for key in props))
    entries = b"".join(prop.values.blob.tobytes() for prop in props.values())
    body = b"".join(
        (
            b"\x78\x02\x0a",
            varint(len(title)),
            title,
            features,
            keys,
            entries,
            b"\x28" + varint(EXTENT),
        )
    )
    return b"\x1a" + varint(len(body)) + body


def draw(batch: Batch, z: int, x: int, y: int, how: Clip = "buffer") -> TileFeatures:
    """The batch in the units of a tile: clipped, rounded, and without what rounding collapsed."""
    scale = EXTENT * float(1 << z)
    origin = np.array([x, y], float) * EXTENT
    boxes = batch.boxes * scale - np.tile(origin, 2)
    whole, crossing = clip.split(batch, boxes, how)
    inside = batch if len(whole) == len(batch) else batch.take(whole)
    parts, coords, outer = inside.parts, inside.coords, inside.outer
    units = inside.xy * scale - origin
    rows, dims = whole, inside.dims
    if len(crossing):
        outside = batch.take(crossing)
        flat = clip.cut(outside, outside.xy * scale - origin, how)
        rows, dims = np.concatenate([whole, crossing]), np.concatenate([dims, outside.dims])
        parts = np.concatenate([parts, flat.parts[1:] + parts[-1]])
        coords = np.concatenate([coords, flat.coords[1:] + coords[-1]])
        outer, units = np.concatenate([outer, flat.outer]), np.concatenate([units, flat.xy])
    return _rounded(rows, dims, parts, coords, outer, units)


def _rounded(
    rows: NDArray[np.int64],
    dims: NDArray[np.uint8],
    parts: NDArray[np.int64],
    coords: NDArray[np.int64],
    outer: NDArray[np.uint8],
    units: Floats,
) -> TileFeatures:
    xy = np.rint(units).astype(np.int64)
    part_dim = np.repeat(dims, np.diff(parts))
    feature = np.repeat(np.arange(len(rows)), np.diff(parts))
    xy, coords = _distinct(xy, coords, part_dim)
    keep = np.diff(coords) >= np.array([1, 2, 3])[part_dim]
    flat = part_dim == POLYGON
    if flat.any():
        keep &= ~flat | _wound_right(xy, coords, outer)
        # a hole goes with its exterior
        ring_of = np.cumsum(outer) - 1
        keep &= keep[np.flatnonzero(outer)][ring_of]
    index, coords = slices(coords, np.flatnonzero(keep))
    counts = np.bincount(feature[keep], minlength=len(rows))
    alive = counts > 0
    return TileFeatures(
        rows[alive],
        dims[alive],
        np.concatenate([[0], np.cumsum(counts[alive])]),
        coords,
        outer[keep],
        xy[index],
    )


def _distinct(
    xy: NDArray[np.int64], coords: NDArray[np.int64], part_dim: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Without points that repeat their predecessor in the part (in a ring: cyclically)."""
    if not len(xy):
        return xy, coords
    is_point = np.repeat(part_dim == POINT, np.diff(coords))
    keep = np.ones(len(xy), bool)
    keep[1:] = (xy[1:] != xy[:-1]).any(axis=1) | is_point[1:]
    filled = np.diff(coords) > 0
    keep[coords[:-1][filled]] = True
    xy, coords = xy[keep], np.concatenate([[0], np.cumsum(keep)])[coords]
    rings = np.flatnonzero((part_dim == POLYGON) & (np.diff(coords) > 1))
    first, last = coords[:-1][rings], coords[1:][rings] - 1
    closing = last[(xy[first] == xy[last]).all(axis=1)]
    if not len(closing):
        return xy, coords
    keep = np.ones(len(xy), bool)
    keep[closing] = False
    return xy[keep], np.concatenate([[0], np.cumsum(keep)])[coords]


def _wound_right(
    xy: NDArray[np.int64], coords: NDArray[np.int64], outer: NDArray[np.uint8]
) -> NDArray[np.bool_]:
    """Parts whose doubled area has the sign of their role; a sliver that rounding turned has not."""
    nxt = xy[successor(coords)] if len(xy) else xy
    doubled = xy[:, 0] * nxt[:, 1] - nxt[:, 0] * xy[:, 1]
    total = np.concatenate([[0], np.cumsum(doubled)])
    area = total[coords[1:]] - total[coords[:-1]]
    return np.asarray(np.where(outer == 1, area > 0, area < 0))


def _features(fids: NDArray[np.int64], drawn: TileFeatures, props: list[DictionaryColumn]) -> bytes:
    """The feature messages, each with its key and length."""
    n = len(fids)
    tags, tag_at = _tags(props, n)
    geometry, geometry_at = _geometry(drawn)
    tag_bytes = _sum(wire.sizes(tags), tag_at)
    geometry_bytes = _sum(wire.sizes(geometry), geometry_at)
    ids = fids.astype(np.uint64)
    lengths = np.stack([tag_bytes, geometry_bytes], axis=1).astype(np.uint64)
    inner = (
        1 + wire.sizes(ids) + 1 + wire.sizes(lengths[:, 0]) + tag_bytes
        + 2 + 1 + wire.sizes(lengths[:, 1]) + geometry_bytes
    )  # fmt: skip
    tag_count, geometry_count = np.diff(tag_at), np.diff(geometry_at)
    start = np.concatenate([[0], np.cumsum(10 + tag_count + geometry_count)])
    words = np.empty(int(start[-1]), np.uint64)
    at = start[:-1]
    types = drawn.dims.astype(np.uint64) + np.uint64(1)
    _fill(words, at, 0x12, inner, 0x08, ids, 0x12, lengths[:, 0])
    middle = at + 6 + tag_count
    _fill(words, middle, 0x18, types, 0x22, lengths[:, 1])
    words[_spread(at + 6, tag_at)] = tags
    words[_spread(middle + 4, geometry_at)] = geometry
    return wire.pack(words)


def _fill(words: Words, at: NDArray[np.int64], *values: Any) -> None:
    """Write the values, each one number or one a feature, one word after the other."""
    for offset, value in enumerate(values):
        words[at + offset] = value


def _tags(props: list[DictionaryColumn], n: int) -> tuple[Words, NDArray[np.int64]]:
    """Key and value indices of the features, nulls left out, and the offsets of each feature."""
    base, columns = 0, []
    for prop in props:
        columns.append(np.where(prop.codes < 0, -1, prop.codes + base))
        base += len(prop.values)
    table = np.stack(columns, axis=1) if columns else np.empty((n, 0), np.int64)
    row, key = np.nonzero(table >= 0)
    tags = np.empty(2 * len(row), np.uint64)
    tags[0::2] = key
    tags[1::2] = table[row, key]
    counts = np.bincount(row, minlength=n)
    return tags, np.concatenate([[0], np.cumsum(2 * counts)])


def _geometry(drawn: TileFeatures) -> tuple[Words, NDArray[np.int64]]:
    """Commands and parameters (MVT 2.1, clause 4.3) and the offsets of each feature."""
    size = np.diff(drawn.coords)
    part_dim = np.repeat(drawn.dims, np.diff(drawn.parts))
    first_part = np.zeros(len(size), bool)
    first_part[drawn.parts[:-1]] = True
    is_point = part_dim == POINT
    # words before the coordinates of a part: MoveTo; after its first coordinate: LineTo
    before = np.where(is_point, first_part.astype(np.int64), 1)
    after = np.where(is_point, 0, 1)
    close = (part_dim == POLYGON).astype(np.int64)
    start = np.concatenate([[0], np.cumsum(before + 2 * size + after + close)])
    words = np.empty(int(start[-1]), np.uint64)
    points_of = np.add.reduceat(size, drawn.parts[:-1])
    move_count = np.where(is_point, np.repeat(points_of, np.diff(drawn.parts)), 1)
    moves = before > 0
    words[start[:-1][moves]] = (move_count[moves] << 3) | MOVE_TO
    lines = ~is_point
    words[(start[:-1] + 3)[lines]] = ((size[lines] - 1) << 3) | LINE_TO
    words[(start[1:] - 1)[close > 0]] = (1 << 3) | CLOSE_PATH
    delta = np.diff(drawn.xy, axis=0, prepend=np.zeros((1, 2), np.int64))
    feature_first = drawn.coords[drawn.parts[:-1]]
    delta[feature_first] = drawn.xy[feature_first]
    place = _spread(start[:-1] + before, np.concatenate([[0], np.cumsum(2 * size)]))
    shift = np.repeat(after, 2 * size)
    shift[2 * drawn.coords[:-1]] = 0
    shift[2 * drawn.coords[:-1] + 1] = 0
    words[place + shift] = wire.zigzag(delta).ravel()
    return words, start[drawn.parts]


def _spread(start: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions start[i], start[i] + 1, … of runs whose lengths are the steps of ``offsets``."""
    shift: NDArray[np.int64] = np.repeat(start - offsets[:-1], np.diff(offsets))
    return np.arange(offsets[-1]) + shift


def _sum(values: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    total = np.concatenate([[0], np.cumsum(values)])
    return np.asarray(total[offsets[1:]] - total[offsets[:-1]])
