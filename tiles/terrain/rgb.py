"""Terrain-RGB: heights as the colours of a PNG (Mapbox Terrain-RGB v1: metres = -10000 + 0.1 · number)."""

from __future__ import annotations

import numpy as np

from tiles import scheme as mercator
from tiles.scheme import CIRCUMFERENCE
from tiles.terrain.places import Lattice
from tiles.terrain.relief import Relief

SIZE = 256
LOWEST = -10_000.0
STEP = 0.1


def picture(relief: Relief, z: int, x: int, y: int) -> bytes:
    """A tile of heights in the vertical datum."""
    from tiles.imagery.paint import encode  # with it come rasterio and rio-tiler

    n = SIZE << z
    # one more than there are pixels: a lattice has whole strides
    at = np.arange(SIZE + 1) + 0.5
    lons, lats = mercator.lonlat((x * SIZE + at) / n, (y * SIZE + at) / n)
    heights = relief.heights(Lattice(lons, lats), CIRCUMFERENCE / n).reshape(SIZE + 1, SIZE + 1)[:-1, :-1]
    number = np.clip(np.rint((heights - LOWEST) / STEP), 0, (1 << 24) - 1).astype(np.uint32)
    bands = np.stack([number >> 16, number >> 8 & 255, number & 255]).astype(np.uint8)
    return encode(bands, np.full(number.shape, 255, np.uint8), "png")
