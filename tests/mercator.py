"""Where a place lies in the WebMercatorQuad tile matrix set (OGC 17-083r4, annex D.1)."""

from __future__ import annotations

import math


def cell(z: int, lon: float, lat: float) -> tuple[int, int, int]:
    """The (z, x, y) of the tile that a longitude and latitude (degrees) fall into."""
    x = int((lon + 180) / 360 * 2**z)
    y = int((1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * 2**z)
    return z, x, y
