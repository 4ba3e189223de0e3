"""The ground of a city that has terrain."""

from __future__ import annotations

import math

import numpy as np

from layers.types import Bbox
from tiles.scheme import Floats
from tiles.terrain import relief
from tiles.terrain.places import Scattered
from tiles.terrain.service import Surface, TerrainTiles
from tiles.terrain.sheet import Sheet

#: To be changed whenever what lies on the same surface lies otherwise, on a constant ground as before.
EDITION = "3"
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
        return "" if surface is None else f"{surface.key}.{EDITION}"

    @property
    def step(self) -> float:
        """As :attr:`Ground.step`: the pixels of the finest file."""
        surface = self._terrain.ground()
        return math.inf if surface is None else surface.resolution

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
    across, along = np.meshgrid(np.linspace(box[0], box[2], PLACES), np.linspace(box[1], box[3], PLACES))
    some = Scattered(across[::2, ::2].ravel(), along[::2, ::2].ravel())
    near = surface.relief.near(box)
    if near and (whole := _in_one(surface, near[0], some)) is not None:
        return whole
    lon, lat = across.ravel(), along.ravel()
    places = Scattered(lon, lat)
    heights = surface.heights(places)
    lows, highs = [float(heights.min())], [float(heights.max())]
    raised = surface.undulation.at(places)
    for sheet in near:
        column, row = sheet.pixels(places)
        if not np.isfinite(column).all() or not np.isfinite(row).all():
            continue
        (c0, c1), (r0, r1) = _ends(column, sheet.width), _ends(row, sheet.height)
        found = sheet.extremes(surface.relief.blocks, (c0, r0, c1, r1), MOST_PIXELS)
        if found is None or found.gaps:
            # a hole is filled smoothly: no more lies between the places than between two of them
            square = heights.reshape(PLACES, PLACES)
            step = max(float(np.abs(np.diff(square, axis=axis)).max()) for axis in (0, 1))
            lows, highs = [*lows, lows[0] - step], [*highs, highs[0] + step]
        if found is not None:
            left = relief.faded(np.array([relief.apart(sheet, box), *relief.distance(sheet, lon, lat)]))
            ends = relief.SEA + (np.array([found.low, found.high])[:, None] - relief.SEA) * left
            lows.append(float(ends.min() + np.min(raised)))
            highs.append(float(ends.max() + np.max(raised)))
    return min(lows), max(highs)


def _in_one(surface: Surface, sheet: Sheet, places: Scattered) -> tuple[float, float] | None:
    """The lowest and highest around places in a file that has no hole there; None where they are not."""
    column, row = sheet.pixels(places)
    if not sheet.holds(column, row):
        return None
    (c0, c1), (r0, r1) = _ends(column, sheet.width), _ends(row, sheet.height)
    found = sheet.extremes(surface.relief.blocks, (c0, r0, c1, r1), MOST_PIXELS)
    if found is None or found.gaps:
        return None
    raised = surface.undulation.at(places)
    return found.low + float(np.min(raised)), found.high + float(np.max(raised))


def _ends(at: Floats, count: int) -> tuple[int, int]:
    """First pixel and end of those around some columns or rows; beyond a file, its edge."""
    first = min(max(int(np.floor(at.min())) - 1, 0), count - 1)
    return first, max(min(int(np.floor(at.max())) + 3, count), first + 1)
