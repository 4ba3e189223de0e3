"""Ranks of features: which of them are seen from afar, by class and size.

A layer's rule names a property whose values are listed from the highest rank down (0, 1, 2 …), or the least
number of each; what has none of them is below all. A line or an area of rank k is large enough to be seen
from the zoom at which it is :data:`SEEN` · 2ᵏ pixels, so a lane has to be longer than a main road.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tiles.batch import POINT, POLYGON, Batch
from tiles.dictionary import DictionaryColumn

type Numbers = NDArray[np.int64]

#: Pixels of a tile, and of the side of an area or of a line of rank 0 that is seen.
PIXELS, SEEN = 512, 1.4


@dataclass(frozen=True, slots=True)
class Rank:
    """The property ``by``, and the ``values`` of each rank or the ``least`` number of each, descending."""

    by: str
    values: tuple[tuple[str, ...], ...] = ()
    least: tuple[float, ...] = ()

    @property
    def last(self) -> int:
        """The rank of what has none of the values."""
        return len(self.values) + len(self.least)

    def of(self, batch: Batch) -> Numbers:
        """The rank (n,) of each feature."""
        column = batch.props.get(self.by)
        if column is None:
            return np.full(len(batch), self.last)
        return self._by_value(column)[column.codes]

    def _by_value(self, column: DictionaryColumn) -> Numbers:
        """The rank of each value of a column, and last that of null."""
        count, of = len(column.values), self._one
        return np.array([*(of(column.values.text_of(code)) for code in range(count)), self.last])

    @property
    def _one(self) -> Callable[[str], int]:
        if self.values:
            known = {value: rank for rank, some in enumerate(self.values) for value in some}
            return lambda text: known.get(text, self.last)
        return self._of_number

    def _of_number(self, text: str) -> int:
        try:
            number = float(text)
        except ValueError:
            return self.last
        return next((rank for rank, least in enumerate(self.least) if number >= least), self.last)


def rank_of(style: Mapping[str, object]) -> Rank | None:
    """The rule of a layer that is drawn in a style (as ``/config.json`` gives it)."""
    said = style.get("rank")
    if not isinstance(said, Mapping):
        return None
    values = tuple(tuple(some) for some in said["values"])
    return Rank(str(said["property"]), values, tuple(float(one) for one in said["least"]))


def seen_from(batch: Batch, rank: Rank | None, deepest: int) -> Numbers:
    """The first zoom (n,) at which each feature is large enough to be seen; no rank makes it deeper than
    ``deepest``."""
    side = np.where(batch.dims == POLYGON, np.sqrt(batch.measure), batch.measure)
    with np.errstate(divide="ignore"):
        zoom = np.ceil(np.log2(SEEN / PIXELS / np.where(batch.dims == POINT, 1.0, side)))
    zoom = np.clip(zoom, 0, 99).astype(np.int64)
    if rank is None:
        return zoom
    later = np.where(batch.dims == POINT, 0, rank.of(batch))
    return np.asarray(np.maximum(zoom, np.minimum(zoom + later, deepest)))


def kept_from(batch: Batch, rank: Rank | None, deepest: int) -> Numbers:
    """The first zoom (n,) at which a line is part of what stands for its group: of rank 0 any."""
    if rank is None:
        return np.zeros(len(batch), np.int64)
    return np.asarray(np.where(rank.of(batch) == 0, 0, np.minimum(seen_from(batch, rank, deepest), deepest)))
