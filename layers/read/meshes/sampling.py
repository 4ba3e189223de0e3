"""How images go on beyond their edges: an image of a mesh by axis, one of a body here in one way for both."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from layers.read.texture.wrapping import Wrapping

#: How far beyond an edge coordinates lie by being rounded.
_ROUNDED = 1e-4


def sampled(
    uv: NDArray[np.float64], across: Wrapping, down: Wrapping
) -> tuple[Wrapping, NDArray[np.float64]]:
    """The one way for an image, and coordinates (m, 3, 2) that look the same with it. What lies beyond on one
    axis alone has the way of that; what is held at the edge on one axis is moved there, corner by corner. Of
    an image that is mirrored on one axis and repeated on the other, both are as the first."""
    outside = ((uv < -_ROUNDED) | (uv > 1 + _ROUNDED)).any(axis=(0, 1))
    if across == down or not outside[1]:
        return across, uv
    if not outside[0]:
        return down, uv
    held = [one.mode == "clamp" for one in (across, down)]
    if any(held):
        moved = np.where(held, np.clip(uv, 0, 1), uv)
        return (down if held[0] else across), moved
    return across, uv
