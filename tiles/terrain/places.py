"""Places at which heights are asked: scattered ones, and the samples of a tile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from layers.types import Bbox
from tiles.scheme import Floats

type Project = Callable[[Floats, Floats], tuple[Floats, Floats]]

#: Degrees between the places that are projected exactly; between them a plane is good to 1 cm.
STEP = 0.004
#: Samples of a lattice between those that are projected exactly.
STRIDE = 32
#: Degrees between such samples beyond which every sample is projected.
WIDE = 1.0


class Places(Protocol):
    """Where heights are asked, in degrees; longitudes of a lattice may lie beyond ±180."""

    @property
    def lonlat(self) -> tuple[Floats, Floats]:
        """Longitudes and latitudes, one of each a place."""

    @property
    def box(self) -> Bbox:
        """What holds them."""

    def projected(self, project: Project, middle: float) -> tuple[Floats, Floats]:
        """The places through a smooth function of longitude and latitude; longitudes are within 180° of
        ``middle``."""


def turned(lon: Floats, middle: float) -> Floats:
    """Longitudes within 180° of one."""
    return np.asarray((lon - middle + 180.0) % 360.0 - 180.0 + middle)


@dataclass(frozen=True, slots=True)
class Scattered:
    """Places anywhere: longitudes and latitudes (n,)."""

    lon: Floats
    lat: Floats

    @property
    def lonlat(self) -> tuple[Floats, Floats]:
        """As :attr:`Places.lonlat`."""
        return self.lon, self.lat

    @property
    def box(self) -> Bbox:
        """As :attr:`Places.box`."""
        return (
            float(self.lon.min()),
            float(self.lat.min()),
            float(self.lon.max()),
            float(self.lat.max()),
        )

    def projected(self, project: Project, middle: float) -> tuple[Floats, Floats]:
        """As :meth:`Places.projected`. Many places near to one another share what is projected exactly."""
        lon = turned(self.lon, middle)
        across, along = lon / STEP, self.lat / STEP
        column, row = np.floor(across).astype(np.int64), np.floor(along).astype(np.int64)
        first, low = int(column.min()), int(row.min())
        columns, rows = int(column.max()) - first + 2, int(row.max()) - low + 2
        if 2 * columns * rows > len(lon):
            return project(lon, self.lat)
        node_lon, node_lat = np.meshgrid((np.arange(columns) + first) * STEP, (np.arange(rows) + low) * STEP)
        right, up = across - column, along - row
        corner = (row - low) * columns + column - first

        def between(nodes: Floats) -> Floats:
            flat = nodes.ravel()
            below = flat[corner] + (flat[corner + 1] - flat[corner]) * right
            over = corner + columns
            above = flat[over] + (flat[over + 1] - flat[over]) * right
            return np.asarray(below + (above - below) * up)

        x, y = project(node_lon.ravel(), node_lat.ravel())
        return between(x), between(y)


@dataclass(frozen=True, slots=True)
class Lattice:
    """The samples of a tile: longitudes (m,) of its columns and latitudes (k,) of its rows, where m - 1 and
    k - 1 are multiples of ``STRIDE``.

    A sample that two tiles share is projected alike in both, to the last bit: what is projected exactly is
    every sample whose number is a multiple of ``STRIDE``, and between them lie planes."""

    lons: Floats
    lats: Floats

    @property
    def lonlat(self) -> tuple[Floats, Floats]:
        """As :attr:`Places.lonlat`, row by row."""
        return np.tile(self.lons, len(self.lats)), np.repeat(self.lats, len(self.lons))

    @property
    def box(self) -> Bbox:
        """As :attr:`Places.box`."""
        return (
            float(self.lons.min()),
            float(self.lats.min()),
            float(self.lons.max()),
            float(self.lats.max()),
        )

    def projected(self, project: Project, middle: float) -> tuple[Floats, Floats]:
        """As :meth:`Places.projected`."""
        lons = turned(self.lons, middle)
        stride = STRIDE
        torn = bool((np.diff(lons) < 0).any())
        if torn or abs(lons[1] - lons[0]) * STRIDE > WIDE or abs(self.lats[1] - self.lats[0]) * STRIDE > WIDE:
            stride = 1
        node_lon, node_lat = np.meshgrid(lons[::stride], self.lats[::stride])
        x, y = project(node_lon.ravel(), node_lat.ravel())
        if stride == 1:
            return x, y
        return _finer(x.reshape(node_lon.shape)).ravel(), _finer(y.reshape(node_lon.shape)).ravel()


def _finer(nodes: Floats) -> Floats:
    """Values at every sample from those at every ``STRIDE``-th (rows, columns)."""
    rows = np.empty(((len(nodes) - 1) * STRIDE + 1, nodes.shape[1]))
    _between(nodes.T, rows.T)
    out = np.empty((len(rows), (nodes.shape[1] - 1) * STRIDE + 1))
    _between(rows, out)
    return out


def _between(nodes: Floats, out: Floats) -> None:
    """Fill the columns of ``out``, every ``STRIDE``-th of which is one of ``nodes``."""
    part = np.arange(STRIDE) / STRIDE
    # a view: an axis is split, nothing moves
    inner = out[:, :-1].reshape(len(nodes), nodes.shape[1] - 1, STRIDE)
    np.multiply(np.diff(nodes, axis=1)[:, :, None], part, out=inner)
    inner += nodes[:, :-1, None]
    out[:, -1] = nodes[:, -1]
