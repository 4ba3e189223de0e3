"""Where most of a source lies: its outliers, and points at 0, 0 that nobody measured, are told from it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from layers.types import Bbox

type Floats = NDArray[np.float64]

#: Features of a batch that are looked at.
_SAMPLE = 1000
#: Of a hundred features so many at either end may be far away.
_TAIL = 2.5
#: Farther from the middle ones than this many times their span is an outlier, and at least so many degrees.
_TIMES, _LEAST = 2.0, 0.05
#: Degrees from all others beyond which 0, 0 is no place of theirs.
_FAR = 1.0


@dataclass(slots=True)
class Bulk:
    """Gathers where the features of a source lie, batch by batch."""

    #: Row number → type code of a point whose coordinates in the file are 0, 0.
    zeros: dict[int, int] = field(default_factory=dict)
    _zero: Floats | None = None
    _boxes: list[Floats] = field(default_factory=list)

    def add(self, placed: NDArray[Any], zero: NDArray[np.bool_], rows: NDArray[np.int64]) -> None:
        """Geometries in lon/lat (None: not kept), which of them are ``zero``, and their row numbers."""
        there = ~shapely.is_missing(placed)
        for at in np.flatnonzero(zero & there).tolist():
            self.zeros[int(rows[at])] = int(shapely.get_type_id(placed[at]))
            self._zero = shapely.get_coordinates(placed[at])[0]
        chosen = _some(np.flatnonzero(there & ~zero))
        if len(chosen):
            self._boxes.append(shapely.bounds(placed[chosen]))

    def sample(self, boxes: Floats) -> None:
        """The boxes (n, 4) in lon/lat of features that are all kept, and none of them zero."""
        chosen = _some(np.arange(len(boxes)))
        if len(chosen):
            self._boxes.append(boxes[chosen])

    def unmeasured(self) -> Counter[int]:
        """Of the points at 0, 0 how many have which type, where all others lie far from there; else none."""
        if self._zero is None or not self._boxes:
            return Counter()
        box = self.box() or self._around(self._all())
        away = max(
            box[0] - self._zero[0], self._zero[0] - box[2], box[1] - self._zero[1], self._zero[1] - box[3]
        )
        return Counter(self.zeros.values()) if away > _FAR else Counter()

    def box(self) -> Bbox | None:
        """The box of most features; None where there are no outliers."""
        if not self._boxes:
            return None
        boxes = self._all()
        middle = np.column_stack([boxes[:, [0, 2]].mean(axis=1), boxes[:, [1, 3]].mean(axis=1)])
        low, high = np.percentile(middle, [_TAIL, 100 - _TAIL], axis=0)
        room = np.maximum((high - low) * _TIMES, _LEAST)
        inside = ((middle >= low - room) & (middle <= high + room)).all(axis=1)
        return None if inside.all() or not inside.any() else self._around(boxes[inside])

    def _all(self) -> Floats:
        return np.concatenate(self._boxes)

    def _around(self, boxes: Floats) -> Bbox:
        west, south = boxes[:, :2].min(axis=0).tolist()
        east, north = boxes[:, 2:].max(axis=0).tolist()
        return west, south, east, north


def _some(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """At most as many of some places as are looked at, from the first to the last."""
    if len(places) <= _SAMPLE:
        return places
    return places[np.linspace(0, len(places) - 1, _SAMPLE).astype(np.int64)]


def most(boxes: Iterable[tuple[Bbox, int]]) -> Bbox | None:
    """The box around boxes of so many features each, but for those far from all others that hold few of all
    features. None where there is no box."""
    left = sorted(boxes, key=lambda one: -one[1])
    if not left:
        return None
    total = sum(count for _, count in left)
    hull = left.pop(0)[0]
    while near := [one for one in left if _apart(one[0], hull) <= _FAR]:
        left = [one for one in left if one not in near]
        hull = _hull([hull, *(box for box, _ in near)])
    few = sum(count for _, count in left) * 100 <= _TAIL * total
    return hull if few else _hull([hull, *(box for box, _ in left)])


def _hull(boxes: Sequence[Bbox]) -> Bbox:
    west, south, east, north = zip(*boxes, strict=True)
    return min(west), min(south), max(east), max(north)


def _apart(one: Bbox, other: Bbox) -> float:
    """Degrees between two boxes, along the axis on which they are farther from each other."""
    return max(one[0] - other[2], other[0] - one[2], one[1] - other[3], other[1] - one[3])


def is_zero(shapes: NDArray[Any]) -> NDArray[np.bool_]:
    """Which geometries are points at exactly 0, 0."""
    out = np.zeros(len(shapes), bool)
    points = np.flatnonzero(np.isin(shapely.get_type_id(shapes), (0, 4)))
    if len(points):
        coords, index = shapely.get_coordinates(shapes[points], return_index=True)
        elsewhere = np.unique(index[(coords != 0).any(axis=1)])
        out[points] = True
        out[points[elsewhere]] = False
        out[points] &= ~shapely.is_empty(shapes[points])
    return out


def within(box: Bbox | None, extent: Bbox | None) -> Bbox | None:
    """The part of a box inside an extent; the extent where there is none."""
    if box is None or extent is None or not all(map(math.isfinite, box)):
        return extent
    west, south = max(box[0], extent[0]), max(box[1], extent[1])
    east, north = min(box[2], extent[2]), min(box[3], extent[3])
    return (west, south, east, north) if west <= east and south <= north else extent
