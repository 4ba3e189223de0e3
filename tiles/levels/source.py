"""What a tile is made of: the pyramids of a layer as they are now, and its features by group."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from layers.quadtree import DEEPEST, SIZE_BITS
from layers.types import Bbox
from tiles import batch as batches
from tiles import scheme as world
from tiles.batch import Batch
from tiles.large import Take
from tiles.levels import build, table
from tiles.levels.build import Levels, Scheme
from tiles.levels.cells import DEEPER, Field, size_of
from tiles.levels.table import Numbers, Table


class Halves(Protocol):
    """A snapshot: batches, each with which of its rows count (None: all)."""

    @property
    def halves(self) -> tuple[tuple[Batch, NDArray[np.bool_] | None], ...]:
        """The columns of the file, then those of what has changed since."""

    def window(self, box: Bbox, take: Take = Batch.take) -> Batch:
        """The features whose box meets a world box; ``take`` takes them."""


class Ordered:
    """The rows of a batch by group, and those that are too large for one; with its pyramids."""

    def __init__(
        self,
        batch: Batch,
        scheme: Scheme,
        order: tuple[Numbers, NDArray[np.uint64]] | None = None,
        levels: Levels | None = None,
    ) -> None:
        """``order`` is that of the rows by place, with the places in it; what is not given is made."""
        self.batch, self.scheme = batch, scheme
        self._lock = threading.Lock()
        self._levels = levels
        if order is None:
            rows = np.argsort(batch.places, kind="stable")
            order = rows, batch.places[rows]
        self.order, self.places = order

    @property
    def levels(self) -> Levels:
        """The pyramids of all rows."""
        if self._levels is None:
            with self._lock:
                if self._levels is None:
                    self._levels = self._build()
        return self._levels

    def _build(self) -> Levels:
        return build.build(self.batch, self.scheme)

    @cached_property
    def _large(self) -> tuple[Numbers, Numbers]:
        """Rows that are too large for a group at some zoom, by size, and their sizes."""
        size = size_of(self.batch.places)
        rows = np.flatnonzero(size < build.DEEPEST_KEPT + DEEPER)
        rows = rows[np.argsort(size[rows], kind="stable")]
        return rows, size[rows]

    def members(self, cells: NDArray[np.uint64], depth: int) -> Numbers:
        """The rows whose groups are these cells of a depth, ascending."""
        bits = np.uint64(SIZE_BITS + 2 * (DEEPEST - depth))
        low = np.searchsorted(self.places, cells << bits)
        high = np.searchsorted(self.places, (cells + np.uint64(1)) << bits)
        counts = high - low
        ends = np.cumsum(counts)
        at = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(low - ends + counts, counts)
        rows = self.order[at]
        return np.sort(rows[size_of(self.batch.places[rows]) >= depth])

    def large(self, depth: int, box: Bbox) -> Numbers:
        """The rows whose box is larger than a cell of a depth and meets a world box, ascending."""
        rows, sizes = self._large
        rows = rows[: np.searchsorted(sizes, depth)]
        return np.sort(rows[world.meets(self.batch.boxes[rows], box)])


@dataclass(frozen=True)
class Source:
    """The groups of a layer at the zooms of which pyramids are kept: what its file holds, without what has
    changed since, and with that."""

    base: Ordered
    live: NDArray[np.bool_] | None
    fresh: Ordered | None

    @cached_property
    def parts(self) -> tuple[tuple[int, Levels], ...]:
        """Pyramids, each times 1 or −1."""
        out = [(1, self.base.levels)]
        if self.live is not None:
            gone = self.base.batch.take(np.flatnonzero(~self.live))
            out.append((-1, build.build(gone, self.base.scheme)))
        if self.fresh is not None:
            out.append((1, self.fresh.levels))
        return tuple(out)

    def sums(
        self, pick: Callable[[Levels], Table | None], cells: NDArray[np.uint64], columns: int
    ) -> Numbers:
        """The sums of a table at some cells."""
        out = np.zeros((len(cells), columns), np.int64)
        for sign, levels in self.parts:
            if (found := pick(levels)) is not None:
                out += sign * found.at(cells)
        return out

    def within(
        self, pick: Callable[[Levels], Table | None], cells: NDArray[np.uint64], bits: int, columns: int
    ) -> Table:
        """The rows of a table within some cells."""
        found = [(sign, one.within(cells, bits)[1]) for sign, levels in self.parts if (one := pick(levels))]
        return table.filled(table.joined(found)) if found else table.empty(columns)

    def features(self, field: Field, drawn: NDArray[np.uint64], box: Bbox, take: Take) -> Batch:
        """The features that are drawn one by one: those of some groups, and those that are in none; of both
        those whose box meets a world box. Ordered by fid; ``take`` takes them."""
        out: Batch | None = None
        for half, live in ((self.base, self.live), (self.fresh, None)):
            if half is None:
                continue
            rows = np.union1d(half.members(drawn, field.depth), half.large(field.depth, box))
            rows = rows[world.meets(half.batch.boxes[rows], box)]
            own = take(half.batch, rows if live is None else rows[live[rows]])
            out = own if out is None else batches.concat(out, own) if len(own) else out
        assert out is not None
        return out


def window_source(window: Batch, field: Field, scheme: Scheme) -> Source:
    """The same of one tile, out of the features near it."""
    return Source(_Window(window, field, scheme), None, None)


class _Window(Ordered):
    """The groups of one tile: cells count from the first of them."""

    def __init__(self, batch: Batch, field: Field, scheme: Scheme) -> None:
        super().__init__(batch, scheme)
        self._field = field

    def _build(self) -> Levels:
        return build.build(self.batch, self.scheme, (self._field.z,), self._field.origin)

    def large(self, depth: int, box: Bbox) -> Numbers:
        """As :meth:`Ordered.large`."""
        large = size_of(self.batch.places) < depth
        return np.flatnonzero(large & world.meets(self.batch.boxes, box))
