"""Features of very many vertices: what a tile needs of one is found without a look at the others.

For each zoom there is a form of every line and polygon of at least :data:`MANY` vertices: its vertices on a
grid of half a pixel, each once where several that follow one another fall into one cell. A cell has the same
middle for whoever comes by, in either direction, so what two features share they share in every form. Where
that leaves most of the vertices, the form is the feature as it is.

The vertices of a form are in chunks, with boxes. Of a chunk that lies wholly on one side of a window one
vertex is taken: what it stands for stays on that side, so that what lies within the window is the same.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layers.types import Bbox
from tiles import batch as batches
from tiles import scheme
from tiles.batch import POINT, POLYGON, Batch
from tiles.dictionary import slices
from tiles.scheme import Floats

type Numbers = NDArray[np.int64]
type Flags = NDArray[np.uint8]
#: Takes rows of a batch, in their order.
type Take = Callable[[Batch, Numbers], Batch]

#: Vertices of a large feature, and of a chunk.
MANY, CHUNK = 4096, 128
#: Zooms from a tile to its grid of half a pixel, and the deepest zoom that has a form of its own.
GRID, DEEPEST = 10, 16
#: The share of the vertices beyond which a form is not worth its memory.
_MOST = 0.7
#: Parts of a tile around it of which its content depends, and a little more.
_AROUND = 1 / 16 + 1 / 64
#: Vertices of a point, a line and a ring, at least.
_LEAST = np.array([1, 2, 3])


@dataclass(frozen=True, slots=True)
class Form:
    """Rows (n,) by their rings or lines (``parts`` (n + 1), ``outer`` (p,)), those by chunks (``chunks`` (p +
    1)), which are slices of ``xy`` from ``first`` to ``end`` (k,); ``boxes`` (k, 4) hold the vertex that
    follows, too."""

    xy: Floats
    parts: Numbers
    outer: Flags
    chunks: Numbers
    first: Numbers
    end: Numbers
    boxes: Floats

    def within(self, rows: Numbers, dims: Flags, box: Bbox) -> tuple[Floats, Numbers, Numbers, Flags]:
        """Vertices, parts, their offsets and which are exteriors of rows of these dimensions, as far as they
        are of use in a box. One of which nothing is there keeps a vertex, as often as a part needs."""
        rings, parts = slices(self.parts, rows)
        chunk, offsets = slices(self.chunks, rings)
        side = _sides(self.boxes[chunk], box)
        again = np.zeros(len(chunk), bool)
        again[1:] = side[1:] == side[:-1]
        again[offsets[:-1]] = False
        sizes = np.where(side == 0, self.end[chunk] - self.first[chunk], ~again)
        counts = np.add.reduceat(sizes, offsets[:-1])
        of = np.repeat(dims, np.diff(parts))
        kept = _sound(counts, of, self.outer[rings])
        first = self.first[chunk]
        lost = np.flatnonzero(~np.logical_or.reduceat(kept, parts[:-1]))
        least = parts[:-1][lost]
        kept[least] = True
        index = _ranges(first, sizes * np.repeat(kept, np.diff(offsets)))
        counts = np.where(kept, counts, 0)
        places = np.concatenate([[0], np.cumsum(counts)])
        short = np.maximum(_LEAST[of[least]] - counts[least], 0)
        index = np.insert(
            index, np.repeat(places[least], short), np.repeat(self.first[chunk[offsets[least]]], short)
        )
        counts[least] += short
        steps = np.concatenate([[0], np.cumsum(kept)])
        coords = np.concatenate([[0], np.cumsum(counts[kept])])
        return self.xy[index], steps[parts], coords, self.outer[rings][kept]


def _ranges(first: Numbers, sizes: Numbers) -> Numbers:
    """The numbers from each first one on, so many."""
    ends = np.cumsum(sizes)
    return np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(first - ends + sizes, sizes)


def _sides(boxes: Floats, box: Bbox) -> Flags:
    """On which sides of a box others (n, 4) lie wholly, a bit for each; 0 where they may meet it."""
    low, high = boxes[:, :2], boxes[:, 2:]
    outside = (high[:, 0] < box[0], low[:, 0] > box[2], high[:, 1] < box[1], low[:, 1] > box[3])
    side = np.zeros(len(boxes), np.uint8)
    for bit, there in enumerate(outside):
        side |= there.astype(np.uint8) << np.uint8(bit)
    return side


def _sound(counts: Numbers, dims: Flags, outer: Flags) -> NDArray[np.bool_]:
    """Parts that have vertices enough; a hole goes with its exterior."""
    enough = counts >= _LEAST[dims]
    return np.asarray(enough & enough[np.flatnonzero(outer)][np.cumsum(outer, dtype=np.int64) - 1])


def _form(xy: Floats, parts: Numbers, outer: Flags, first: Numbers, counts: Numbers) -> Form:
    """The form of parts that begin at ``first`` and have so many vertices, one at least."""
    pieces = -(-counts // CHUNK)
    chunks = np.concatenate([[0], np.cumsum(pieces)])
    start = _ranges(np.zeros(len(pieces), np.int64), pieces) * CHUNK + np.repeat(first, pieces)
    stop = np.minimum(start + CHUNK, np.repeat(first + counts, pieces))
    follow = np.append(start[1:], 0)
    follow[chunks[1:] - 1] = first
    boxes, after = _boxes(xy, start, stop), xy[follow]
    low, high = np.minimum(boxes[:, :2], after), np.maximum(boxes[:, 2:], after)
    return Form(xy, parts, outer, chunks, start, stop, np.concatenate([low, high], axis=1))


def _boxes(xy: Floats, start: Numbers, stop: Numbers) -> Floats:
    """The boxes of slices, one vertex at least each, ascending."""
    edges = np.stack([start, stop], axis=1).ravel()
    edges = edges[:-1] if edges[-1] == len(xy) else edges
    low, high = (np.asarray(fold.reduceat(xy, edges))[::2] for fold in (np.minimum, np.maximum))
    return np.concatenate([low, high], axis=1)


class Large:
    """The large features of a batch. Safe to use from several threads."""

    def __init__(self, batch: Batch) -> None:
        size = batch.coords[batch.parts[1:]] - batch.coords[batch.parts[:-1]]
        self.rows = np.flatnonzero((size >= MANY) & (batch.dims != POINT))
        self._lock = threading.RLock()
        self._forms: dict[int, Form] = {}
        self._levels: NDArray[np.int8] | None = None

    def take(self, batch: Batch, rows: Numbers, zoom: int, box: Bbox) -> Batch:
        """The features of rows of the batch that this was made of, ascending: the large ones in the form of a
        zoom, as far as they are of use in a box (world units)."""
        large = np.isin(rows, self.rows, assume_unique=True)
        if not large.any():
            return batch.take(rows)
        mine = rows[large]
        dims = batch.dims[mine]
        form = self._form(batch, zoom)
        xy, parts, coords, outer = form.within(np.searchsorted(self.rows, mine), dims, box)
        props = {name: prop.take(mine) for name, prop in batch.props.items()}
        known = batch.boxes[mine], batch.measure[mine], batch.places[mine]
        own = Batch(batch.fids[mine], dims, parts, coords, outer, xy, *known, props)
        return own if large.all() else batches.concat(batch.take(rows[~large]), own)

    def _form(self, batch: Batch, zoom: int) -> Form:
        zoom = min(zoom, DEEPEST + 1)
        with self._lock:
            if zoom not in self._forms:
                self._forms[zoom] = self._made(batch, zoom)
            return self._forms[zoom]

    def _made(self, batch: Batch, zoom: int) -> Form:
        rings, parts = slices(batch.parts, self.rows)
        first, counts, outer = batch.coords[rings], np.diff(batch.coords)[rings], batch.outer[rings]
        if zoom > DEEPEST:
            return _form(batch.xy, parts, outer, first, counts)
        dims = np.repeat(batch.dims[self.rows], np.diff(parts))
        if self._levels is None:
            self._levels = _levels(batch.xy, first, counts, dims)
        kept = np.flatnonzero(self._levels <= zoom)
        if len(kept) > _MOST * len(self._levels):
            return self._form(batch, DEEPEST + 1)
        whole = np.concatenate([[0], np.cumsum(counts)])
        ring = np.searchsorted(whole, kept, "right") - 1
        n = 2.0 ** (zoom + GRID)
        xy = (np.floor(batch.xy[kept + (first - whole[:-1])[ring]] * n) + 0.5) / n
        left = np.bincount(ring, minlength=len(rings))
        sound = _sound(left, dims, outer)
        lost = np.flatnonzero(~np.logical_or.reduceat(sound, parts[:-1]))
        # one that the grid swallows is the box of its largest part, of a cell at least
        widest = [
            _widest(batch.xy, first[a:b], counts[a:b])
            for a, b in zip(parts[lost], parts[lost + 1], strict=True)
        ]
        size = np.where(batch.dims[self.rows[lost]] == POLYGON, 4, 2)
        stands = [_box(box, 1 / n, corners) for box, corners in zip(widest, size.tolist(), strict=True)]
        row = np.append(np.repeat(np.arange(len(self.rows)), np.diff(parts))[sound], lost)
        order = np.argsort(row, kind="stable")
        begins = np.append((np.cumsum(left) - left)[sound], len(xy) + np.cumsum(size) - size)[order]
        sizes = np.append(left[sound], size)[order]
        xy = np.concatenate([xy, *stands])[_ranges(begins, sizes)]
        outer = np.append(outer[sound], np.ones(len(lost), np.uint8))[order]
        parts = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(self.rows)))])
        return _form(xy, parts, outer, np.cumsum(sizes) - sizes, sizes)


def _levels(xy: Floats, first: Numbers, counts: Numbers, dims: Flags) -> NDArray[np.int8]:
    """The zoom from which on each vertex of parts lies in another cell than the one before it (of a ring,
    the last is before the first); of the first of a line the lowest there is."""
    index = _ranges(first, counts)
    cells = np.floor(xy[index] * 2.0 ** (DEEPEST + GRID)).astype(np.int32)
    del index
    ends = np.cumsum(counts)
    other = np.empty(len(cells), np.int32)
    other[1:] = (cells[1:, 0] ^ cells[:-1, 0]) | (cells[1:, 1] ^ cells[:-1, 1])
    starts = ends - counts
    around = cells[starts] ^ cells[ends - 1]
    other[starts] = around[:, 0] | around[:, 1]
    levels = (DEEPEST + 1 - np.frexp(other.astype(np.float32))[1]).astype(np.int8)
    levels[starts[dims != POLYGON]] = np.iinfo(np.int8).min
    return levels


def _widest(xy: Floats, first: Numbers, counts: Numbers) -> Floats:
    """The box (4,) of the largest of some parts."""
    boxes = _boxes(xy, first, first + counts)
    return np.asarray(boxes[(boxes[:, 2:] - boxes[:, :2]).sum(axis=1).argmax()])


def _box(box: Floats, least: float, corners: int) -> Floats:
    """A box as a ring (4), clockwise on the map, or as a line across it (2); of a side at least."""
    middle, half = (box[:2] + box[2:]) / 2, np.maximum(box[2:] - box[:2], least) / 2
    ring = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    return np.asarray(middle + half * (ring if corners == 4 else ring[::2]))


_LOCK = threading.Lock()
_HELD: dict[int, tuple[weakref.ref[Any], Large]] = {}


def of(batch: Batch) -> Large:
    """The large features of a batch; they are held as long as its columns are."""
    key = id(batch.coords)
    with _LOCK:
        known = _HELD.get(key)
        if known is None or known[0]() is not batch.coords:
            known = _HELD[key] = weakref.ref(batch.coords, lambda _: _HELD.pop(key, None)), Large(batch)
        return known[1]


def taker(z: int, x: int, y: int, coarser: int = 0) -> Take:
    """What takes rows for a tile, large features in the form of so many zooms above."""
    box = scheme.tile_box(z, x, y, _AROUND)

    def take(batch: Batch, rows: Numbers) -> Batch:
        return of(batch).take(batch, rows, z - coarser, box)

    return take


def any_of(batch: Batch, rows: Numbers) -> bool:
    """Whether a large feature is among some rows, ascending."""
    large = of(batch).rows
    return bool(len(large)) and bool(np.isin(large, rows, assume_unique=True).any())
