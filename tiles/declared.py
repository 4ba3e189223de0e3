"""The tree of a layer that open pages hold."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tiles.made import Tile
from tiles.relations import State
from tiles.scene.tree import Tree


@dataclass(frozen=True, slots=True)
class Declared:
    """The declared tree of a layer, its document, the state of the layer, of the wholes of its features and
    of the ground at which it was checked, and the number of the log at which it took the place of another
    (0: the first one)."""

    tree: Tree | None
    document: Tile
    state: tuple[int, State | None, str]
    since: int = 0
    #: The columns at which all features were looked at, as long as there are these.
    base: weakref.ref[NDArray[np.int64]] | None = None


def covers(known: Tree | None, fresh: Tree | None) -> bool:
    """Whether what pages hold does for a tree that was made anew."""
    if known is None or fresh is None:
        return fresh is None
    return known.covers(fresh)
