"""One layer of a vector tile through the compiled kernel: the same bytes as :mod:`tiles.vector.encode`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tiles.batch import Batch, Flat
from tiles.kernel import Kernel
from tiles.vector import clip
from tiles.vector.clip import EXTENT, MARGINS, Clip

_NOWHERE = np.zeros(1, np.int64)
_NOTHING = Flat(np.empty((0, 2)), _NOWHERE, _NOWHERE, np.empty(0, np.uint8))


def layer(
    kernel: Kernel, name: str, batch: Batch, rows: NDArray[np.int64], z: int, x: int, y: int, how: Clip
) -> bytes:
    """The layer message of these rows of a batch; empty when nothing is drawn."""
    place = EXTENT * float(1 << z), float(x * EXTENT), float(y * EXTENT)
    whole, crossing = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
    inside, over = kernel.split(
        batch.dims, batch.parts, batch.boxes, rows, place, MARGINS[how], EXTENT, whole, crossing
    )
    whole, crossing = whole[:inside], crossing[:over]
    cut = _NOTHING
    if over:
        outside = replace(batch, props={}).take(crossing)
        cut = clip.cut(outside, outside.xy * place[0] - np.array(place[1:]), how)
    properties = tuple(
        (key.encode(), prop.codes, prop.values.blob, prop.values.offsets) for key, prop in batch.props.items()
    )
    return kernel.layer(
        name.encode(),
        batch.fids,
        (batch.dims, batch.parts, batch.coords, batch.outer, batch.xy),
        whole,
        place,
        (None, cut.parts, cut.coords, cut.outer, cut.xy),
        crossing,
        properties,
        EXTENT,
    )
