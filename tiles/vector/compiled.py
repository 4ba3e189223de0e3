"""One layer of a vector tile through the compiled kernel: the same bytes as :mod:`tiles.vector.encode`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tiles import kernel
from tiles.batch import POLYGON, Batch
from tiles.kernel import Kernel, Shapes
from tiles.scheme import EXTENT
from tiles.vector import clip
from tiles.vector.clip import MARGINS, Clip

_NOWHERE = np.zeros(1, np.int64)
_NOTHING: Shapes = (None, _NOWHERE, _NOWHERE, np.empty(0, np.uint8), np.empty((0, 2)))


def layer(
    compiled: Kernel, name: str, batch: Batch, rows: NDArray[np.int64], z: int, x: int, y: int, how: Clip
) -> bytes:
    """The layer message of these rows of a batch; empty when nothing is drawn."""
    tile: kernel.Tile = EXTENT * float(1 << z), float(x * EXTENT), float(y * EXTENT), EXTENT, MARGINS[how]
    shapes: Shapes = batch.dims, batch.parts, batch.coords, batch.outer, batch.xy
    room = np.empty((3, len(rows)), np.int64)
    sizes = compiled.split(shapes, batch.boxes, rows, (room[0], room[1], room[2]), tile)
    whole, crossing, tangled = (row[:size] for row, size in zip(room, sizes, strict=True))
    cut = _cut(batch, tangled, tile) if len(tangled) else _NOTHING
    properties = tuple(
        (key.encode(), prop.codes, prop.values.blob, prop.values.offsets) for key, prop in batch.props.items()
    )
    return compiled.layer(
        name.encode(), batch.fids, shapes, (whole, crossing, tangled), cut, properties, tile
    )


def _cut(batch: Batch, rows: NDArray[np.int64], tile: kernel.Tile) -> Shapes:
    scale, x, y, _, margins = tile
    own = replace(batch, props={}).take(rows)
    flat = clip.cut_areas(own, own.xy * scale - np.array([x, y]), np.arange(len(own)), int(margins[POLYGON]))
    return None, flat.parts, flat.coords, flat.outer, flat.xy
