"""A tile in which more large features lie than it may hold: one feature stands for all of it.

Which of them are seen is a choice: the largest, of different places, as far as the bytes reach. How many
there are and which is told all the same.
"""

from __future__ import annotations

import numpy as np

from layers import quadtree
from tiles.batch import POINT, Batch
from tiles.dictionary import slices
from tiles.levels import merged
from tiles.levels.build import Scheme, classes_of
from tiles.levels.cells import Field, cell_of
from tiles.levels.merged import Merged, Shapes
from tiles.levels.table import Numbers


def whole(field: Field, scheme: Scheme, sums: Numbers, large: Batch, vertices: int) -> Merged:
    """What stands for the features whose middles lie in a tile: ``sums`` of its groups, and those that are
    in no group (and meet it); the shapes have up to so many vertices."""
    inside = cell_of(large.places, field.z) == quadtree.morton(*(np.array([v]) for v in (field.x, field.y)))
    mine = np.unique(large.fids[inside])
    count = int(sums[field.own][:, :3].sum()) + len(mine)
    props: dict[str, tuple[list[object], str]] = {
        merged.COUNT: ([count], "integer"),
        merged.FILTER: ([f"middle_in_tile({field.z},{field.x},{field.y})"], "string"),
    }
    if scheme.by is not None and len(large):
        names = [*scheme.values, None]
        props[scheme.by] = ([names[int(np.bincount(classes_of(large, scheme)).argmax())]], "string")
    ids = np.array([merged.FIRST_ID], np.int64)
    none = np.zeros(1, np.int64)
    return Merged(none, none - 1, _largest(large, vertices), None, ids, props)  # type: ignore[arg-type]


def _largest(large: Batch, vertices: int) -> Shapes:
    """The shapes of the largest features, one of those that have one box, of the dimension that most have."""
    dim = int(np.bincount(large.dims).argmax())
    rows = np.flatnonzero(large.dims == dim)
    rows = rows[np.unique(large.boxes[rows], axis=0, return_index=True)[1]]
    rows = rows[np.lexsort((large.fids[rows], -large.measure[rows]))]
    size = (large.coords[large.parts[rows + 1]] - large.coords[large.parts[rows]]).cumsum()
    chosen = rows[: int(np.searchsorted(size, vertices, "right"))]
    dims = np.array([dim], np.uint8)
    if len(chosen):
        parts, _ = slices(large.parts, chosen)
        index, coords = slices(large.coords, parts)
        steps = np.array([0, len(parts)])
        return Shapes(dims, steps, coords, large.outer[parts], large.xy[index])
    west, north, east, south = large.boxes[rows[0]].tolist()
    ring = np.array([(west, north), (east, north), (east, south), (west, south)])
    ring = ring[[0, 2]] if dim != 2 else ring
    assert dim != POINT, "points are in groups"
    return Shapes(dims, np.array([0, 1]), np.array([0, len(ring)]), np.ones(1, np.uint8), ring)
