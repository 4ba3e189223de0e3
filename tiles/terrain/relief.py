"""The heights of a stack of files as one surface over the whole Earth.

Finest first; where a file has no height the next one has, and where none has:

- in a hole, a mean of what lies around it, taken over ever larger pixels until one has a height, which joins
  the edge of the hole without a step;
- outside, the height at the nearest edge, which falls to sea level within ``FADE`` metres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layers.types import Bbox
from tiles.scheme import METRES_PER_DEGREE, Floats
from tiles.terrain.places import Places, turned
from tiles.terrain.sheet import Blocks, Sheet

#: Metres from the edge of what is known to where the height is ``SEA``.
FADE = 20_000.0
#: Height (m) in the vertical datum of what is far from everything that is known.
SEA = 0.0
#: Less than this of a height is not looked for any more.
LITTLE = 1e-4


@dataclass(frozen=True, slots=True)
class Relief:
    """A surface of files, finest first."""

    sheets: tuple[Sheet, ...]
    blocks: Blocks

    @property
    def box(self) -> Bbox:
        """What the files cover together, in degrees, longitudes around the middle of the first."""
        boxes = np.array([self._turned(sheet) for sheet in self.sheets])
        west, south = boxes[:, :2].min(axis=0).tolist()
        east, north = boxes[:, 2:].max(axis=0).tolist()
        return west, south, east, north

    def _turned(self, sheet: Sheet) -> Bbox:
        west, south, east, north = sheet.box
        by = float(turned(np.array(sheet.middle), self.sheets[0].middle)) - sheet.middle
        return west + by, south, east + by, north

    def heights(self, places: Places, spacing: float = 0.0) -> Floats:
        """Heights (m, in the vertical datum) at places, for samples ``spacing`` metres apart."""
        box = places.box
        near = self.near(box)
        if not near:
            return np.full(len(places.lonlat[0]), SEA)
        out, lacking = np.zeros(0), np.zeros(0)
        for sheet in (one for one in near if apart(one, box) == 0):
            column, row = sheet.pixels(places)
            if not len(out):
                if sheet.holds(column, row):
                    found, share = sheet.at(self.blocks, sheet.level(spacing), column, row)
                    if share is None:
                        return found.astype(float)
                out, lacking = np.zeros(len(column)), np.ones(len(column))
            some = np.flatnonzero(sheet.inside(column, row) & (lacking > 0))
            if some.size:
                found, share = sheet.at(self.blocks, sheet.level(spacing), column[some], row[some])
                known = lacking[some] if share is None else lacking[some] * share
                out[some] += known * found
                lacking[some] -= known
                if not lacking.any():
                    return out
        if not len(out):
            count = len(places.lonlat[0])
            out, lacking = np.zeros(count), np.ones(count)
        rest = np.flatnonzero(lacking > LITTLE)
        if rest.size:
            out[rest] += lacking[rest] * self._around(places, near, rest, spacing)
        return out

    def near(self, box: Bbox) -> list[Sheet]:
        """The files within ``FADE`` of a box."""
        return [sheet for sheet in self.sheets if apart(sheet, box) < FADE]

    def _around(
        self, places: Places, near: Sequence[Sheet], rest: NDArray[np.int64], spacing: float
    ) -> Floats:
        """Heights at those places that no file knows: of the nearest file, less the farther away."""
        lon, lat = (all_[rest] for all_ in places.lonlat)
        far = np.stack([distance(sheet, lon, lat) for sheet in near])
        nearest = far.argmin(axis=0)
        found = np.full(len(rest), SEA)
        for i in np.unique(nearest).tolist():
            sheet = near[i]
            mine = np.flatnonzero((nearest == i) & (far[i] < FADE))
            if not mine.size:
                continue
            column, row = (all_[rest[mine]] for all_ in sheet.pixels(places))
            reached = np.isfinite(column)
            mine, column, row = mine[reached], column[reached], row[reached]
            if mine.size:
                filled = self._filled(sheet, column, row, spacing)
                found[mine] = SEA + (filled - SEA) * faded(far[i][mine])
        return found

    def _filled(self, sheet: Sheet, column: Floats, row: Floats, spacing: float) -> Floats:
        """Heights of one file at columns and rows, with its holes filled from its coarser levels."""
        column, row = np.clip(column, 0, sheet.width - 1), np.clip(row, 0, sheet.height - 1)
        out, lacking = np.zeros(len(column)), np.ones(len(column))
        some = np.arange(len(column))
        for level in range(sheet.level(spacing), sheet.top + 1):
            found, share = sheet.at(self.blocks, level, column[some], row[some])
            known = lacking[some] if share is None else lacking[some] * share
            out[some] += known * found
            lacking[some] -= known
            some = some[lacking[some] > LITTLE]
            if not some.size:
                break
        return out + lacking * SEA


def faded(metres: Floats) -> Floats:
    """How much (1 to 0) of the height at the edge is left so many metres away."""
    part = np.clip(metres / FADE, 0, 1)
    return np.asarray(1 - part * part * (3 - 2 * part))


def distance(sheet: Sheet, lon: Floats, lat: Floats) -> Floats:
    """Metres from places to the box of a file; 0 within."""
    west, south, east, north = sheet.box
    lon = turned(lon, sheet.middle)
    dy = np.maximum(np.maximum(south - lat, lat - north), 0)
    dx = np.maximum(np.maximum(west - lon, lon - east), 0) * np.cos(np.radians(np.clip(lat, south, north)))
    return np.asarray(np.hypot(dx, dy) * METRES_PER_DEGREE)


def apart(sheet: Sheet, box: Bbox) -> float:
    """At most the metres between a box and that of a file."""
    west, south, east, north = sheet.box
    dy = max(south - box[3], box[1] - north, 0.0)
    middle = (box[0] + box[2]) / 2
    half = (box[2] - box[0]) / 2
    by = abs(float(turned(np.array(middle), sheet.middle)) - sheet.middle)
    dx = max(by - half - (east - west) / 2, 0.0) * np.cos(np.radians(max(abs(south), abs(north))))
    return float(np.hypot(dx, dy)) * METRES_PER_DEGREE
