"""Places at which heights are asked: scattered ones, and the samples of a tile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from layers.types import Bbox
from tiles.scheme import Floats

type Project = Callable[[Floats, Floats], tuple[Floats, Floats]]

#: Of fewer places, or of places over more degrees, each is projected: a curve is good to 2 mm over so many.
FEW, NEAR = 40, 0.2
#: Degrees of a box of no extent.
TINY = 1e-6
_HALVES = np.array([0.0, 0.5, 1.0])
#: Values at -1, 0 and 1 to the factors of 1, x and x².
_LAGRANGE = np.array([[0.0, 1.0, 0.0], [-0.5, 0.0, 0.5], [0.5, -1.0, 0.5]])
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
        """As :meth:`Places.projected`. Of many places near to one another, nine around them are projected,
        and a surface of the second degree goes through those."""
        lon = turned(self.lon, middle)
        _, south, _, north = self.box
        if len(lon) < FEW or max(float(np.ptp(lon)), north - south) > NEAR:
            return project(lon, self.lat)
        first = float(lon.min())
        wide, high = max(float(lon.max()) - first, TINY), max(north - south, TINY)
        node_lon, node_lat = np.meshgrid(first + wide * _HALVES, south + high * _HALVES, indexing="ij")
        x, y = project(node_lon.ravel(), node_lat.ravel())
        u, v = (lon - first) * (2 / wide) - 1, (self.lat - south) * (2 / high) - 1
        return _curved(x.reshape(3, 3), u, v), _curved(y.reshape(3, 3), u, v)


def _curved(nodes: Floats, u: Floats, v: Floats) -> Floats:
    """Of values at -1, 0 and 1 along both axes, those at ``u`` and ``v`` between."""
    c = _LAGRANGE @ nodes @ _LAGRANGE.T
    parts = [c[i, 0] + v * (c[i, 1] + v * c[i, 2]) for i in range(3)]
    return np.asarray(parts[0] + u * (parts[1] + u * parts[2]))


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
