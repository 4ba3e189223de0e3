"""The ground: the surface that a page draws, and on which bodies stand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from layers.types import Bbox
from tiles.scheme import Floats


class Ground(Protocol):
    """A height for every place, in metres above the ellipsoid of the map. Asked from several threads."""

    @property
    def key(self) -> str:
        """A short text of letters, digits and dots, part of ETags: another surface, another text."""

    @property
    def step(self) -> float:
        """Metres between places of which each has a height of its own; infinite where all have the same."""

    def at(self, lon: Floats, lat: Floats) -> Floats:
        """The heights (m, in the shape of ``lon``) at longitudes and latitudes in degrees."""

    def between(self, box: Bbox) -> tuple[float, float]:
        """The lowest and the highest height (m) within a box of degrees."""


@dataclass(frozen=True, slots=True)
class ConstantGround:
    """The same height (m) everywhere: what a globe without terrain draws."""

    height: float = 0.0

    @property
    def key(self) -> str:
        """The height; empty for the bare ellipsoid."""
        return f"{self.height:g}" if self.height else ""

    @property
    def step(self) -> float:
        """As :attr:`Ground.step`."""
        return math.inf

    def at(self, lon: Floats, lat: Floats) -> Floats:
        """As :meth:`Ground.at`."""
        return np.full(np.shape(lon), self.height)

    def between(self, box: Bbox) -> tuple[float, float]:
        """As :meth:`Ground.between`."""
        return self.height, self.height


@dataclass(frozen=True, slots=True)
class Feet:
    """Where features stand that are parts: rows int64 (k,) of a batch or of boxes, places float64 (k, 2) in
    world units, the middles of the boxes of their wholes."""

    rows: NDArray[np.int64]
    places: Floats


#: The bare ellipsoid.
FLAT = ConstantGround()
