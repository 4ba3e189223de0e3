"""What lies beyond the edges of an image (CityGML 2.0, 9.3; 3.0, 7.4.3; CityJSON 2.0.1, 6.2: wrapMode)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

type Color = tuple[int, int, int, int]

MODES = ("wrap", "mirror", "clamp", "border", "none")
#: Modes whose image goes on for ever.
REPEATED = ("wrap", "mirror")
_COLORS, _OPAQUE = 3, 255


@dataclass(frozen=True, slots=True)
class Wrapping:
    """``mode`` is one of MODES; ``border`` the colour (RGBA, 0 to 255) around an image of the mode border."""

    mode: str = "wrap"
    border: Color | None = None

    @property
    def clear(self) -> bool:
        """Whether what lies beyond the edges is seen through."""
        return self.mode == "none" or (self.border is not None and self.border[3] < _OPAQUE)


WRAP = Wrapping()


def wrapping(mode: str, border: Sequence[float] = (), *, otherwise: Wrapping = WRAP) -> Wrapping:
    """Of a mode as files name it, and a colour of three or four numbers from 0 to 1; without the colour a
    border is seen through. What is no mode is ``otherwise``."""
    mode = mode.strip().casefold()
    if mode not in MODES:
        return otherwise
    if mode != "border":
        return Wrapping(mode)
    if not _COLORS <= len(border) <= _COLORS + 1:
        return Wrapping("none")
    r, g, b, a = (round(_OPAQUE * min(max(float(one), 0.0), 1.0)) for one in (*border, 1.0)[:4])
    return Wrapping(mode, (r, g, b, a))


def beyond(
    pixels: NDArray[np.uint8], first: tuple[int, int], size: tuple[int, int], wrap: Wrapping
) -> NDArray[np.uint8]:
    """``size`` columns and rows of an image (rows, columns, bands) from a ``first`` column and row on,
    which may lie beyond its edges. What is seen through there has the colour of the edge."""
    at = [np.arange(begin, begin + many) for begin, many in zip(first, size, strict=True)]
    high, wide = pixels.shape[:2]
    columns, rows = (np.clip(one, 0, most - 1) for one, most in zip(at, (wide, high), strict=True))
    out = pixels[rows][:, columns]
    outside = (at[1] != rows)[:, None] | (at[0] != columns)
    if wrap.mode == "none":
        out[outside, 3] = 0
    elif wrap.border is not None:
        out[outside] = wrap.border[: pixels.shape[2]]
    return out
