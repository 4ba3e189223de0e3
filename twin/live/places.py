"""Where every datastream stands and in which state it is: an index in memory, patched in place.

Places are kept as Web Mercator positions of 2³⁰ steps a side, so that a cell of the web map's quadtree
(zoom, x, y) is a shift away, and sorted by the cell of zoom 16, row by row: a box reads the rows of cells
that it meets and tests what is in them. Counts by state of any zoom are kept from when they are first
asked for.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layers.types import Bbox, lon_spans
from twin.live.registry import Datastream

#: From well to worst, as the page has them; what is silent stands between what is well and what is raised.
STATES = ("ok", "stale", "blue", "yellow", "orange", "red")
_CODES = {state: code for code, state in enumerate(STATES)}
#: Bits of a position a side, and those of the cells that it is sorted by.
BITS, _SORTED = 30, 16
SIDE = 1 << BITS
_SHIFT = BITS - _SORTED
#: The latitude at which the square of the web map ends.
MOST_LAT = math.degrees(math.atan(math.sinh(math.pi)))

type Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells of one zoom of the quadtree, all ends included."""

    zoom: int
    west: int
    north: int
    east: int
    south: int

    def steps(self) -> tuple[int, int, int, int]:
        """West, north, east and south end in steps of a position, the last two excluded."""
        shift = BITS - self.zoom
        return self.west << shift, self.north << shift, (self.east + 1) << shift, (self.south + 1) << shift

    def box(self) -> Bbox:
        """In degrees: west, south, east, north."""
        west, north, east, south = self.steps()
        return _lon(west), _lat(south), _lon(east), _lat(north)


def cells(box: Bbox, zoom: int) -> Cells:
    """The cells that a box (degrees; west ≤ east) meets."""
    shift = BITS - zoom
    west, north = position(box[0], box[3])
    east, south = position(box[2], box[1])
    return Cells(zoom, west >> shift, north >> shift, east >> shift, south >> shift)


def position(lon: float, lat: float) -> tuple[int, int]:
    """A place (degrees) in steps from the north-west corner of the web map."""
    lat = math.radians(min(max(lat, -MOST_LAT), MOST_LAT))
    across = (lon + 180.0) / 360.0
    down = 0.5 - math.asinh(math.tan(lat)) / (2 * math.pi)
    return min(max(int(across * SIDE), 0), SIDE - 1), min(max(int(down * SIDE), 0), SIDE - 1)


def _lon(step: float) -> float:
    return step / SIDE * 360.0 - 180.0


def _lat(step: float) -> float:
    return math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * step / SIDE))))


@dataclass(slots=True)
class Level:
    """Counts by state of the cells of one zoom that have something in them."""

    zoom: int
    #: The cells, ascending: y · 2³⁰ + x.
    keys: Ints
    #: Of each slot the index of its cell, -1 of one without a place.
    cell: Ints
    #: A row a cell, a column a state.
    counts: Ints
    #: The middle (degrees) of what is in each cell.
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    #: Indices of cells that changed since they were last told.
    changed: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Clusters:
    """Some cells of a zoom, as columns; ``states`` has a count for each of :data:`STATES`."""

    zoom: int
    x: list[int]
    y: list[int]
    lon: list[float]
    lat: list[float]
    states: list[list[int]]

    def inside(self, within: Cells) -> Clusters:
        """Those that lie in some cells of the same zoom or a coarser one."""
        shift = self.zoom - within.zoom
        some = [
            i
            for i, (x, y) in enumerate(zip(self.x, self.y, strict=True))
            if within.west <= x >> shift <= within.east and within.north <= y >> shift <= within.south
        ]
        return Clusters(
            self.zoom,
            [self.x[i] for i in some],
            [self.y[i] for i in some],
            [self.lon[i] for i in some],
            [self.lat[i] for i in some],
            [self.states[i] for i in some],
        )

    def columns(self) -> dict[str, Any]:
        """As it is sent."""
        count = [sum(states) for states in self.states]
        return {
            "zoom": self.zoom,
            "x": self.x,
            "y": self.y,
            "lon": self.lon,
            "lat": self.lat,
            "count": count,
            "states": self.states,
        }


class Places:
    """The index. Its methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        #: Another one whenever something stands elsewhere: counts of cells are then to be told anew.
        self.version = 0
        self._clear()

    def _clear(self) -> None:
        self._streams: list[Datastream] = []
        self._slots: dict[int, int] = {}
        self._x = np.empty(0, np.int64)
        self._y = np.empty(0, np.int64)
        self._lon = self._lat = np.empty(0)
        self._state = np.empty(0, np.int8)
        # slots that have a place, in the order of their cells, and those cells
        self._order = np.empty(0, np.int64)
        self._keys = np.empty(0, np.int64)
        self._levels: dict[int, Level] = {}
        #: Of all datastreams, those without a place too: a count for each of :data:`STATES`.
        self._totals = np.zeros(len(STATES), np.int64)
        self._simulated = 0

    def replace(self, streams: Iterable[Datastream]) -> None:
        """Have these and no other."""
        with self._lock:
            self._clear()
            self.put(streams)

    def put(self, streams: Iterable[Datastream]) -> None:
        """Datastreams that are new, stand elsewhere, or are others under their ids."""
        with self._lock:
            new = [one for one in streams if not self._again(one)]
            if new:
                self._add(new)

    def _again(self, one: Datastream) -> bool:
        """Whether it is known; then it is as it is now."""
        slot = self._slots.get(one.id)
        if slot is None:
            return False
        before = self._streams[slot]
        self._streams[slot] = one
        self._simulated += int(one.simulated) - int(before.simulated)
        self._restate([(slot, _CODES[one.state])])
        x, y = _place(one)
        self._lon[slot], self._lat[slot] = _degrees(one)
        if (x, y) != (self._x[slot], self._y[slot]):
            gone = self._order != slot
            self._order, self._keys = self._order[gone], self._keys[gone]
            self._x[slot], self._y[slot] = x, y
            self._sort_in(np.array([slot], np.int64))
        return True

    def _add(self, new: Sequence[Datastream]) -> None:
        first = len(self._streams)
        self._streams += new
        self._slots.update((one.id, first + i) for i, one in enumerate(new))
        at = np.array([_place(one) for one in new], np.int64)
        codes = np.array([_CODES[one.state] for one in new], np.int8)
        degrees = np.array([_degrees(one) for one in new])
        self._lon = np.concatenate([self._lon, degrees[:, 0]])
        self._lat = np.concatenate([self._lat, degrees[:, 1]])
        self._x = np.concatenate([self._x, at[:, 0]])
        self._y = np.concatenate([self._y, at[:, 1]])
        self._state = np.concatenate([self._state, codes])
        self._totals += np.bincount(codes, minlength=len(STATES))
        self._simulated += sum(one.simulated for one in new)
        self._sort_in(np.arange(first, first + len(new), dtype=np.int64))

    def _sort_in(self, slots: Ints) -> None:
        slots = slots[self._x[slots] >= 0]
        keys = _key(self._x[slots] >> _SHIFT, self._y[slots] >> _SHIFT)
        by_key = np.argsort(keys, kind="stable")
        slots, keys = slots[by_key], keys[by_key]
        at = np.searchsorted(self._keys, keys)
        self._order = np.insert(self._order, at, slots)
        self._keys = np.insert(self._keys, at, keys)
        self._levels = {}
        self.version += 1

    def restate(self, ids: Iterable[int], states: Iterable[str]) -> bool:
        """Datastreams have other states; whether any was another before."""
        with self._lock:
            slots = self._slots
            told = [(slots[id_], _CODES[s]) for id_, s in zip(ids, states, strict=True) if id_ in slots]
            return self._restate(told)

    def _restate(self, told: Iterable[tuple[int, int]]) -> bool:
        moved = [(slot, int(self._state[slot]), code) for slot, code in told if self._state[slot] != code]
        for slot, before, code in moved:
            self._state[slot] = code
            self._totals[before] -= 1
            self._totals[code] += 1
            for level in self._levels.values():
                cell = int(level.cell[slot])
                if cell >= 0:
                    level.counts[cell, before] -= 1
                    level.counts[cell, code] += 1
                    level.changed.add(cell)
        return bool(moved)

    # questions

    def __len__(self) -> int:
        return len(self._streams)

    def totals(self) -> dict[str, object]:
        """How many datastreams are in each state, and whether any is simulated."""
        with self._lock:
            counts = dict(zip(STATES, self._totals.tolist(), strict=True))
            return {"states": counts, "simulated": self._simulated > 0}

    def count(self, within: Cells) -> int:
        """How many stand in some cells."""
        with self._lock:
            return len(self._found(*within.steps()))

    def known(self, ids: Iterable[int]) -> list[Datastream]:
        """Those of some ids that there are."""
        with self._lock:
            return [self._streams[self._slots[id_]] for id_ in ids if id_ in self._slots]

    def of_cells(self, within: Cells) -> list[Datastream]:
        """Those that stand in some cells; in the one of zoom 0 all, also without a place."""
        with self._lock:
            if within.zoom == 0:
                return list(self._streams)
            return self._taken(self._found(*within.steps()))

    def within(self, box: Bbox) -> list[Datastream]:
        """Those that stand in a box (degrees; across the antimeridian where west > east), its edges
        included, by their own coordinates."""
        west, south, east, north = box
        found: list[Datastream] = []
        for start, end in lon_spans(west, east):
            x0, y0 = position(start, north)
            x1, y1 = position(end, south)
            with self._lock:
                slots = self._found(x0, y0, x1 + 1, y1 + 1)
                lon, lat = self._lon[slots], self._lat[slots]
                inside = slots[(lon >= start) & (lon <= end) & (lat >= south) & (lat <= north)]
                found += self._taken(inside)
        return found

    def _taken(self, slots: Ints) -> list[Datastream]:
        some = slots.tolist()
        if len(some) < 2:
            return [self._streams[slot] for slot in some]
        return list(itemgetter(*some)(self._streams))

    def _found(self, west: int, north: int, east: int, south: int) -> Ints:
        """The slots between some steps, the last two excluded."""
        if not len(self._order):
            return self._order
        first, last = int(self._keys[0]) >> BITS, int(self._keys[-1]) >> BITS
        rows = np.arange(max(north >> _SHIFT, first), min((south - 1) >> _SHIFT, last) + 1, dtype=np.int64)
        starts = np.searchsorted(self._keys, _key(west >> _SHIFT, rows))
        ends = np.searchsorted(self._keys, _key((east - 1) >> _SHIFT, rows), "right")
        some = starts < ends
        slots = np.concatenate(
            [self._order[:0], *(self._order[a:b] for a, b in zip(starts[some], ends[some], strict=True))]
        )
        x, y = self._x[slots], self._y[slots]
        found: Ints = slots[(x >= west) & (x < east) & (y >= north) & (y < south)]
        return found

    # clusters

    def clusters(self, within: Cells, zoom: int) -> Clusters:
        """The cells of a zoom (that of ``within`` or a finer one) that have something in them, there."""
        with self._lock:
            level = self._level(zoom)
            return _clusters(level, _inside(level, within, np.arange(len(level.keys))))

    def changes(self) -> Iterator[tuple[int, Clusters]]:
        """By zoom, the cells whose counts changed since this was asked last."""
        with self._lock:
            for zoom, level in self._levels.items():
                if level.changed:
                    yield zoom, _clusters(level, np.array(sorted(level.changed), np.int64))
                    level.changed = set()

    def keep(self, zooms: Iterable[int]) -> None:
        """Nobody asks for other zooms any more."""
        with self._lock:
            wanted = set(zooms)
            self._levels = {zoom: level for zoom, level in self._levels.items() if zoom in wanted}

    def _level(self, zoom: int) -> Level:
        level = self._levels.get(zoom)
        if level is None:
            level = self._levels[zoom] = self._counted(zoom)
        return level

    def _counted(self, zoom: int) -> Level:
        """A level from all places: made once, and again where places change."""
        slots = self._order
        shift = BITS - zoom
        x, y = self._x[slots], self._y[slots]
        keys, index = np.unique(_key(x >> shift, y >> shift), return_inverse=True)
        size, states = len(keys), len(STATES)
        counts = np.bincount(index * states + self._state[slots], minlength=size * states)
        cell = np.full(len(self._streams), -1, np.int64)
        cell[slots] = index
        number = np.maximum(np.bincount(index, minlength=size), 1)
        across = np.bincount(index, x, size) / number
        down = np.bincount(index, y, size) / number
        lat = np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * down / SIDE))))
        return Level(zoom, keys, cell, counts.reshape(size, states), across / SIDE * 360 - 180, lat)


def _inside(level: Level, within: Cells, some: Ints) -> Ints:
    """Of some cells of a level those that lie within others, with something in them."""
    shift = level.zoom - within.zoom
    x, y = level.keys[some] & (SIDE - 1), level.keys[some] >> BITS
    inside = (x >= within.west << shift) & (x < (within.east + 1) << shift)
    inside &= (y >= within.north << shift) & (y < (within.south + 1) << shift)
    return some[inside & (level.counts[some].sum(axis=1) > 0)]


def _clusters(level: Level, some: Ints) -> Clusters:
    keys = level.keys[some]
    return Clusters(
        level.zoom,
        (keys & (SIDE - 1)).tolist(),
        (keys >> BITS).tolist(),
        np.round(level.lon[some], 7).tolist(),
        np.round(level.lat[some], 7).tolist(),
        level.counts[some].tolist(),
    )


def _key(x: Ints | int, y: Ints) -> Ints:
    keys: Ints = (y << BITS) | x
    return keys


def _place(one: Datastream) -> tuple[int, int]:
    return (-1, -1) if one.lon is None or one.lat is None else position(one.lon, one.lat)


def _degrees(one: Datastream) -> tuple[float, float]:
    return (math.nan, math.nan) if one.lon is None or one.lat is None else (one.lon, one.lat)
