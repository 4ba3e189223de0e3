"""Light and shade of heights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Where the light comes from, degrees from north and above the horizon: the north-west, as maps have it.
AZIMUTH, ALTITUDE = 315.0, 45.0


def hillshade(heights: NDArray[np.float64], missing: NDArray[np.bool_], cell: float) -> NDArray[np.uint8]:
    """How bright each cell is, 0 to 255; heights (m) with a border of one cell around what is shaded,
    ``cell`` metres from one to the next.

    Slopes are those of Horn, *Hill shading and the reflectance map*, Proceedings of the IEEE 69 (1981), as
    ``gdaldem hillshade`` has them. A neighbour without height is taken to be as high as the cell."""
    middle = heights[1:-1, 1:-1]
    rows, cols = middle.shape

    def beside(down: int, right: int) -> NDArray[np.float64]:
        at = slice(1 + down, 1 + down + rows), slice(1 + right, 1 + right + cols)
        return np.where(missing[at], middle, heights[at])

    north_west, north, north_east = (beside(-1, side) for side in (-1, 0, 1))
    south_west, south, south_east = (beside(1, side) for side in (-1, 0, 1))
    east = north_east + 2 * beside(0, 1) + south_east - (north_west + 2 * beside(0, -1) + south_west)
    south_wards = south_west + 2 * south + south_east - (north_west + 2 * north + north_east)
    x, y = east / (8 * cell), -south_wards / (8 * cell)
    zenith, azimuth = np.radians(90 - ALTITUDE), np.radians(AZIMUTH)
    # the normal is (-x, -y, 1), and the light comes from (sin, cos) of the azimuth
    light = np.cos(zenith) - np.sin(zenith) * (x * np.sin(azimuth) + y * np.cos(azimuth))
    shade: NDArray[np.float64] = light / np.sqrt(1 + x * x + y * y)
    return np.clip(shade * 255.0, 0, 255).round().astype(np.uint8)
