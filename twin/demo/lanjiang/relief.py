"""The ground: it rises from the river, and there is a hill in the north-east."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from twin.demo.lanjiang.plan import HIGH, HILL, HILL_WIDE, RIVER_HIGH

type Floats = NDArray[np.float64]

#: Half the width of the river and of its banks (m), the level of its water and how deep it is.
RIVER, BANK, WATER_M, DEEP_M = 58.0, 24.0, 35.0, 3.5
#: The ground at the banks, how much it rises a metre away from them, and at most.
SHORE_M, RISE, MOST_M = 42.0, 0.004, 16.0
HILL_M = 74.0


def axis(x: Floats) -> Floats:
    """The y of the middle of the river."""
    middle = -HIGH - RIVER_HIGH / 2
    bend: Floats = 70 * np.sin(x / 1_700) + 9 * np.sin(x / 190)
    return middle + 110 * math.sin(middle / 2_300) + bend


def height(x: Floats, y: Floats) -> Floats:
    """Metres above the datum of 1985, to the centimetre; of the river, its bed."""
    off = np.abs(y - axis(x))
    ground = SHORE_M + np.minimum(np.maximum(off - RIVER - BANK, 0) * RISE, MOST_M)
    ground = ground + 0.5 * np.sin(x / 310) * np.cos(y / 270)
    away = np.hypot(x - HILL[0], y - HILL[1])
    ground = ground + HILL_M * np.exp(-((away / HILL_WIDE) ** 2))
    bed = WATER_M - DEEP_M * (1 - (np.minimum(off / RIVER, 1)) ** 2)
    share = np.clip((off - RIVER) / BANK, 0, 1)
    return np.round(np.where(off < RIVER, bed, WATER_M + (ground - WATER_M) * share), 2)
