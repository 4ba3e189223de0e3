"""Where the city lies: its plan in metres becomes easting and northing of a Gauss-Kruger zone of CGCS2000."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from layers.errors import BadParameter

#: Longitude and latitude of the middle: empty land.
MIDDLE = (114.3, 42.8)
#: EPSG of CGCS2000, and of the three-degree zone whose central meridian is 75° E (to 4554, that of 135°).
GEOGRAPHIC, _FIRST_ZONE, _FIRST_MERIDIAN, _LAST_MERIDIAN = 4490, 4534, 75, 135
#: EPSG of the national height datum of 1985.
VERTICAL = 5737

type Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    """The city at a place. Raises BadParameter: no zone of CGCS2000 is there."""

    lon: float = MIDDLE[0]
    lat: float = MIDDLE[1]

    def __post_init__(self) -> None:
        if not (_FIRST_MERIDIAN - 1.5 <= self.lon <= _LAST_MERIDIAN + 1.5 and 3 <= self.lat <= 54):
            raise BadParameter("at", f"{self.lon},{self.lat}", "a place in China, longitude first")

    @property
    def epsg(self) -> int:
        """The zone's code, of eastings without the zone's number."""
        return _FIRST_ZONE + round((self.lon - _FIRST_MERIDIAN) / 3)

    @cached_property
    def origin(self) -> tuple[float, float]:
        """Easting and northing of the middle, whole metres."""
        x, y = Transformer.from_crs(GEOGRAPHIC, self.epsg, always_xy=True).transform(self.lon, self.lat)
        return float(round(x)), float(round(y))

    def placed(self, plan: Floats) -> Floats:
        """Easting and northing (n, 2) of places on the plan, millimetres."""
        placed: Floats = np.round(plan + np.array(self.origin), 3)
        return placed

    def lonlat(self, plan: Floats) -> Floats:
        """Longitude and latitude (n, 2) of places on the plan, eight decimals."""
        x, y = self.placed(plan).T
        back = Transformer.from_crs(self.epsg, GEOGRAPHIC, always_xy=True)
        return np.round(np.stack(back.transform(x, y), axis=1), 8)
