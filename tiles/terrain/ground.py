"""The ground of a city that has terrain."""

from __future__ import annotations

import numpy as np

from layers.types import Bbox
from tiles.scheme import Floats
from tiles.terrain.places import Scattered
from tiles.terrain.service import Surface, TerrainTiles

#: Pixels on the longer side of a box up to which its lowest and highest are those of all pixels.
MOST_PIXELS = 2048
#: Places on a side at which a box is asked besides, where files have holes or end.
PLACES = 9


class TerrainGround:
    """The finest of the surfaces that are seen (see :class:`tiles.ground.Ground`); without one that can be
    read, the bare ellipsoid."""

    def __init__(self, terrain: TerrainTiles) -> None:
        self._terrain = terrain

    @property
    def key(self) -> str:
        """As :attr:`Ground.key`."""
        surface = self._terrain.ground()
        return "" if surface is None else surface.key

    def at(self, lon: Floats, lat: Floats) -> Floats:
        """As :meth:`Ground.at`. Raises Unavailable."""
        surface = self._terrain.ground()
        if surface is None or not np.size(lon):
            return np.zeros(np.shape(lon))
        places = Scattered(np.ravel(np.asarray(lon, float)), np.ravel(np.asarray(lat, float)))
        return surface.heights(places).reshape(np.shape(lon))

    def between(self, box: Bbox) -> tuple[float, float]:
        """As :meth:`Ground.between`. Raises Unavailable."""
        surface = self._terrain.ground()
        return (0.0, 0.0) if surface is None else _between(surface, box)


def _between(surface: Surface, box: Bbox) -> tuple[float, float]:
    """The lowest and highest of the pixels in a box, and of what is made up where a file has none.

    Where there are too many pixels, means of them are asked, and the steps between those are added."""
    lons = np.linspace(box[0], box[2], PLACES)
    lats = np.linspace(box[1], box[3], PLACES)
    lon, lat = (axis.ravel() for axis in np.meshgrid(lons, lats))
    places = Scattered(lon, lat)
    heights = surface.heights(places)
    low, high = float(heights.min()), float(heights.max())
    relief, raised = surface.relief, surface.undulation.at(places)
    least, most = float(np.min(raised)), float(np.max(raised))
    for sheet in relief.sheets:
        column, row = sheet.pixels(places)
        if not np.isfinite(column).all() or not np.isfinite(row).all():
            continue
        c0, c1 = max(int(column.min()) - 1, 0), min(int(column.max()) + 3, sheet.width)
        r0, r1 = max(int(row.min()) - 1, 0), min(int(row.max()) + 3, sheet.height)
        if c0 >= c1 or r0 >= r1:
            continue
        found = sheet.extremes(relief.blocks, (c0, r0, c1, r1), MOST_PIXELS)
        if found is not None:
            low, high = min(low, found[0] + least), max(high, found[1] + most)
    return low, high
