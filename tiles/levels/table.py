"""Sums by cell: the one form in which a pyramid is kept.

Tables are linear: that of two sets of features is the sum of theirs, so what an edit removes is taken off and
what it adds is put on, in whole numbers, and the result is what a new count would give.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

type Keys = NDArray[np.uint64]
type Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Table:
    """``keys`` uint64 (k,) ascending, each once; ``sums`` int64 (k, c)."""

    keys: Keys
    sums: Numbers

    def __len__(self) -> int:
        return len(self.keys)

    def at(self, keys: Keys) -> Numbers:
        """The sums (n, c) of some keys, 0 of those that are not there."""
        out = np.zeros((len(keys), self.sums.shape[1]), np.int64)
        if len(self.keys):
            place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
            there = self.keys[place] == keys
            out[there] = self.sums[place[there]]
        return out

    def within(self, cells: Keys, bits: int) -> tuple[NDArray[np.int64], Table]:
        """The part (ascending) whose keys without their last ``bits`` are among some cells, ascending, and of
        each row the number of its cell."""
        low = np.searchsorted(self.keys, cells << np.uint64(bits))
        high = np.searchsorted(self.keys, (cells + np.uint64(1)) << np.uint64(bits))
        counts = high - low
        ends = np.cumsum(counts)
        rows = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(low - ends + counts, counts)
        return np.repeat(np.arange(len(cells)), counts), Table(self.keys[rows], self.sums[rows])


def empty(columns: int) -> Table:
    """A table of nothing."""
    return Table(np.empty(0, np.uint64), np.empty((0, columns), np.int64))


def of(keys: Keys, sums: Numbers) -> Table:
    """A table of rows whose keys may repeat, in any order; rows of zeros are left out."""
    if not len(keys):
        return empty(sums.shape[1])
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return filled(Table(keys[starts], np.add.reduceat(sums[order], starts, axis=0)))


def filled(table: Table) -> Table:
    """The table without rows of zeros."""
    some = table.sums.any(axis=1)
    return table if some.all() else Table(table.keys[some], table.sums[some])


def joined(parts: Sequence[tuple[int, Table]]) -> Table:
    """The sum of tables, each times 1 or −1."""
    if len(parts) == 1 and parts[0][0] == 1:
        return parts[0][1]
    keys = np.concatenate([table.keys for _, table in parts])
    return of(keys, np.concatenate([sign * table.sums for sign, table in parts]))
