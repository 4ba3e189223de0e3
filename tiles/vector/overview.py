"""A layer in one tile within a budget: whole where that fits, else with less of it one by one.

What does not fit is merged (:mod:`tiles.levels`), never left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from isal import igzip
from numpy.typing import NDArray

from layers.types import Bbox
from tiles import large
from tiles import scheme as world
from tiles.batch import Batch
from tiles.large import Take
from tiles.levels import kept, source, tile
from tiles.levels.build import Scheme
from tiles.levels.cells import NEAR, Field, field
from tiles.levels.source import Source
from tiles.levels.tile import DETAILS, WHOLE_ZOOM, Content, Groups
from tiles.scheme import EXTENT
from tiles.vector import encode
from tiles.vector.clip import BUFFER, Clip

#: Bytes of a tile, gzipped, and its features.
MOST_BYTES, MOST_FEATURES = 500_000, 20_000
_LEVEL = 1


class Columns(kept.Columns, Protocol):
    """A layer at one moment."""

    def found(self, box: Bbox, take: Take = Batch.take) -> tuple[Batch, NDArray[np.int64]]:
        """A batch and the rows of it, ordered by fid, whose box meets a world box; ``take`` takes them."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """How a layer is drawn: what its pyramids count, the properties that its style or the city names, and
    those that are written on the map, from a zoom on."""

    scheme: Scheme
    named: frozenset[str]
    written: frozenset[str] = frozenset()
    written_from: int = 0

    def properties(self, zoom: int) -> frozenset[str]:
        """What features have at a zoom where others of their layer are merged."""
        return self.named | self.written if zoom >= self.written_from else self.named


@dataclass(frozen=True)
class Made:
    """A layer message of a tile, how many features it has, of how many others it tells as merged, and
    whether properties that are not drawn were left out."""

    body: bytes
    features: int
    merged: int
    thin: bool

    @cached_property
    def packed(self) -> int:
        """Bytes gzipped."""
        return len(igzip.compress(self.body, _LEVEL))

    @property
    def weight(self) -> int:
        """Bytes held."""
        return len(self.body) + 200


@dataclass(frozen=True, slots=True)
class Budget:
    """Bytes, gzipped, and features."""

    bytes: int = MOST_BYTES
    features: int = MOST_FEATURES

    def holds(self, made: Made) -> bool:
        """Whether a layer is within it."""
        small = len(made.body) <= self.bytes or made.packed <= self.bytes
        return small and made.features <= self.features


def shares(parts: Sequence[Made], budget: Budget) -> Budget | None:
    """What each of some layers may have of a tile, so that all are within its budget; None where they are.

    Layers that have less leave the rest to the others. It is a power of two below the budget, so that
    neighbouring tiles cut a layer alike."""
    features = _level([part.features for part in parts], budget.features)
    plain = sum(len(part.body) for part in parts)
    level = None if plain <= budget.bytes else _level([part.packed for part in parts], budget.bytes)
    return (
        None
        if level is None and features is None
        else Budget(level or budget.bytes, features or budget.features)
    )


def _level(sizes: Sequence[int], most: int) -> int | None:
    if sum(sizes) <= most:
        return None
    level = most
    while sum(min(size, level) for size in sizes) > most:
        level //= 2
    return level


def prepare(snapshot: Columns, drawing: Drawing) -> None:
    """Have at hand what far views are made of."""
    _ = kept.source(snapshot, drawing.scheme).parts


def layer(
    name: str,
    snapshot: Columns,
    drawing: Drawing,
    at: tuple[int, int, int],
    clip: Clip,
    budget: Budget,
) -> Made:
    """One layer of a tile within a budget."""
    if at[0] >= WHOLE_ZOOM:
        batch, rows = snapshot.found(world.tile_box(*at, BUFFER / EXTENT), large.taker(*at))
        if len(rows) <= budget.features:
            made = Made(encode.layer(name, batch, *at, clip, rows), len(rows), 0, False)
            if budget.holds(made):
                return made
    place = field(*at, near=at[0] >= WHOLE_ZOOM)
    sources: dict[int, Groups] = {}
    for detail in DETAILS:
        if detail.features > budget.features or (detail.of_large and not _has_large(snapshot)):
            continue
        if detail.coarser not in sources:
            take = large.taker(*at, detail.coarser)
            sources[detail.coarser] = Groups(_groups(snapshot, drawing, place, take), take)
        groups = sources[detail.coarser]
        named = drawing.properties(at[0])
        content = tile.content(groups, place, drawing.scheme, detail, named, clip == "exact")
        if len(content.batch) > budget.features and detail is not DETAILS[-1]:
            continue
        made = _made(name, content, at, clip)
        if budget.holds(made):
            break
    return made


def _has_large(snapshot: Columns) -> bool:
    return any(len(large.of(batch).rows) for batch, _ in snapshot.halves)


def _groups(snapshot: Columns, drawing: Drawing, place: Field, take: Take) -> Source:
    if place.z < WHOLE_ZOOM:
        return kept.source(snapshot, drawing.scheme)
    near = snapshot.window(world.tile_box(place.z, place.x, place.y, NEAR), take)
    return source.window_source(near, place, drawing.scheme)


def _made(name: str, content: Content, at: tuple[int, int, int], clip: Clip) -> Made:
    body = encode.layer(name, content.batch, *at, clip)
    return Made(body, len(content.batch), content.merged, content.thin)
