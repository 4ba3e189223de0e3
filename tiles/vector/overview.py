"""A layer in one tile within a budget: whole where that fits, else with less of it one by one.

What does not fit is merged (:mod:`tiles.levels`), never left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from isal import igzip

from layers.types import Bbox
from tiles import scheme as world
from tiles.batch import Batch
from tiles.levels import source, tile
from tiles.levels.build import Scheme
from tiles.levels.cells import NEAR, field
from tiles.levels.source import Halves
from tiles.levels.tile import DETAILS, WHOLE_ZOOM, Content
from tiles.vector import encode
from tiles.vector.clip import BUFFER, EXTENT, Clip

#: Bytes of a tile, gzipped, and its features.
MOST_BYTES, MOST_FEATURES = 500_000, 20_000
_LEVEL = 1


class Columns(Halves, Protocol):
    """A layer at one moment."""

    @property
    def index(self) -> object:
        """What all moments have in common whose columns lie in one file."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """How a layer is drawn: what its pyramids count, and the properties that a style or a label names."""

    scheme: Scheme
    named: frozenset[str]


@dataclass(frozen=True, slots=True)
class Made:
    """A layer message of a tile, its size gzipped, how many features are merged in it, and whether properties
    that are not drawn were left out."""

    body: bytes
    packed: int
    merged: int
    thin: bool


def layer(
    name: str,
    snapshot: Columns,
    drawing: Drawing,
    at: tuple[int, int, int],
    clip: Clip,
    most: int = MOST_BYTES,
    features: int = MOST_FEATURES,
) -> Made:
    """One layer of a tile in so many bytes, gzipped, and features."""
    whole = _whole(snapshot, at) if at[0] >= WHOLE_ZOOM else None
    if whole is not None and len(whole) <= features:
        made = _made(name, Content(whole, 0, False), at, clip)
        if made.packed <= most:
            return made
    place = field(*at, near=at[0] >= WHOLE_ZOOM)
    if at[0] >= WHOLE_ZOOM:
        near = snapshot.window(world.tile_box(*at, NEAR))
        groups = source.window_source(near, place, drawing.scheme)
    else:
        groups = source.source(snapshot, snapshot.index, drawing.scheme)
    for detail in DETAILS:
        if detail.features > features and detail is not DETAILS[-1]:
            continue
        content = tile.content(groups, place, drawing.scheme, detail, drawing.named, clip == "exact")
        made = _made(name, content, at, clip)
        if made.packed <= most:
            break
    return made


def _whole(snapshot: Columns, at: tuple[int, int, int]) -> Batch:
    box: Bbox = world.tile_box(*at, BUFFER / EXTENT)
    return snapshot.window(box)


def _made(name: str, content: Content, at: tuple[int, int, int], clip: Clip) -> Made:
    body = encode.layer(name, content.batch, *at, clip)
    return Made(body, len(igzip.compress(body, _LEVEL)), content.merged, content.thin)
