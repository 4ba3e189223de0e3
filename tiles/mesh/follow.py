"""Lines that follow the ground: points are added where it is not straight between those a line has."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray

from tiles.batch import Batch
from tiles.ground import Ground
from tiles.mesh.body import spread
from tiles.scheme import CIRCUMFERENCE, Floats, lonlat

#: Metres by which the ground may leave the straight line between two points, up or down: less than a mesh of
#: the terrain differs from its samples.
TOLERANCE = 0.1
#: Metres at least between the places at which the ground is asked.
FINEST = 2.0
#: Places asked within a step of the ground: between its own heights it bends, at lines not known here.
WITHIN = 8
#: Places at most between two points of a line, so that a slip of one costs the others nothing; and of all.
MOST_EACH, MOST = 2_000, 40_000
#: Mean radius of the Earth (m): the straight line between two points lies below the ground of a sphere.
RADIUS = 6_371_000.0
#: Width of a sample against a metre of height, so that what is far from a profile's chord is so upright.
_FLAT = 1e4


def follow(lines: Batch, ground: Ground) -> tuple[Batch, Floats]:
    """Lines with points on their straight lines in Web Mercator, and the ground (m) at every coordinate.

    Between two coordinates the ground is within ``TOLERANCE`` of the straight line, at all places that are
    asked. On a ground whose ``step`` is infinite the lines stay as they are."""
    if math.isinf(ground.step):
        return lines, ground.at(*lines.lonlat())
    lengths = _lengths(lines)
    pieces = _pieces(lengths, max(ground.step / WITHIN, FINEST))
    of = np.repeat(np.arange(len(pieces)), pieces)
    first = np.concatenate([[0], np.cumsum(pieces)])
    part = (np.arange(len(of)) - first[of]) / pieces[of]
    ahead = np.diff(lines.xy, axis=0, append=lines.xy[-1:])
    xy = lines.xy[of] + part[:, None] * ahead[of]
    level = ground.at(*lonlat(*xy.T))
    keep = _needed(level, first, pieces, lengths)
    coords = np.concatenate([[0], np.cumsum(keep)])[first[lines.coords]]
    return replace(lines, xy=xy[keep], coords=coords), level[keep]


def _lengths(lines: Batch) -> Floats:
    """Metres from every coordinate to the next of its part; 0 from the last."""
    out = np.zeros(len(lines.xy))
    out[:-1] = np.hypot(*np.diff(lines.xy, axis=0).T)
    out[lines.coords[1:] - 1] = 0
    return np.asarray(out * CIRCUMFERENCE * np.cos(np.radians(lines.lonlat()[1])))


def _pieces(lengths: Floats, step: float) -> NDArray[np.int64]:
    """Into how many equal pieces each way to the next coordinate is cut."""
    wanted = np.clip(np.ceil(lengths / step), 1, MOST_EACH)
    share = min(1.0, MOST / max(float(wanted.sum()), 1.0))
    return np.maximum(wanted * share, 1).astype(np.int64)


def _needed(
    level: Floats, first: NDArray[np.int64], pieces: NDArray[np.int64], lengths: Floats
) -> NDArray[np.bool_]:
    """Which samples a line needs: its own coordinates, and those that Douglas and Peucker leave of the
    profile between them."""
    ways = np.flatnonzero(pieces > 1)
    counts = pieces[ways] + 1
    way = np.repeat(np.arange(len(ways)), counts)
    sample = spread(np.zeros(len(ways), np.int64), counts)
    along = sample * (lengths / pieces)[ways][way]
    profile = np.stack([sample * _FLAT, level[first[ways][way] + sample] - along**2 / (2 * RADIUS)], axis=1)
    left = shapely.simplify(shapely.linestrings(profile, indices=way), TOLERANCE, preserve_topology=False)
    points, of = shapely.get_coordinates(left, return_index=True)
    keep = np.zeros(len(level), bool)
    keep[first[:-1]] = True
    keep[first[ways][of] + np.rint(points[:, 0] / _FLAT).astype(np.int64)] = True
    return keep
