"""The rain of the city: one function of time and place, which all that is wet follows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from twin.demo.lanjiang.draws import key, uniform

type Floats = NDArray[np.float64]

#: Seconds of a cell of time, which has one storm or none.
_CELL = 43_200.0
#: The chance of a storm in a cell, by month: most of them in summer.
_WET = (0.08, 0.08, 0.12, 0.18, 0.25, 0.38, 0.42, 0.38, 0.25, 0.15, 0.1, 0.08)
#: Metres between places where it rains independently, and seconds that a storm comes sooner or later.
_APART, _SOONER = 3_000.0, 900.0
#: Part of a storm before its peak (a Chicago hyetograph is given one of 0.3 to 0.5).
_BEFORE = 0.4
#: Seconds of a year.
YEAR = 365.2425 * 86_400.0


def rain(seed: int, lon: float, lat: float, times: Floats) -> Floats:
    """Millimetres an hour at times (seconds since 1970), at a place (degrees)."""
    cells = np.floor(times / _CELL).astype(np.int64)
    fallen = np.zeros(len(times))
    for back in (0, 1):
        fallen += _storms(seed, lon, lat, times, cells - back)
    return fallen


def wetness(seed: int, lon: float, lat: float, times: Floats, minutes: float) -> Floats:
    """The rain (mm/h) as it arrives somewhere below: two reservoirs in a row, each of which empties in so
    many minutes, so that it comes later and longer (Nash cascade)."""
    empties = minutes * 60
    delays = np.arange(0.5, 24) * empties / 4
    shares = delays * np.exp(-delays / empties)
    shares /= shares.sum()
    many = (times[:, None] - delays[None, :]).ravel()
    arrived: Floats = rain(seed, lon, lat, many).reshape(len(times), -1) @ shares
    return arrived


def _storms(seed: int, lon: float, lat: float, times: Floats, cells: NDArray[np.int64]) -> Floats:
    """The rain of the storm of a cell, for each time."""
    drawn = [uniform(key(seed, "storm", what), cells) for what in ("wet", "begin", "long", "peak")]
    wet, begin, long, peak = drawn
    month = ((cells * _CELL / YEAR) % 1 * 12).astype(int)
    falls = wet < np.array(_WET)[month]
    lasts = 3_600 + 5 * 3_600 * long
    start = cells * _CELL + begin * (_CELL - 2 * _SOONER) + _SOONER * _varied(seed, "when", lon, lat, cells)
    share = (times - start) / lasts
    rising = np.clip(share / _BEFORE, 0, 1)
    falling = np.clip((1 - share) / (1 - _BEFORE), 0, 1)
    shape = np.where(share < _BEFORE, rising, falling) ** 2
    heavy = 1.5 + 9 * -np.log1p(-0.96 * peak)
    where = 0.75 + 0.25 * _varied(seed, "much", lon, lat, cells)
    fallen: Floats = np.where(falls & (share > 0) & (share < 1), heavy * where * shape, 0.0)
    return fallen


def _varied(seed: int, what: str, lon: float, lat: float, cells: NDArray[np.int64]) -> Floats:
    """In [-1, 1], smooth from place to place, of another kind in each cell of time."""
    x = lon * 111_320 * math.cos(math.radians(round(lat))) / _APART
    y = lat * 110_574 / _APART
    i, j = math.floor(x), math.floor(y)
    u, v = _blend(x - i), _blend(y - j)
    corners = ((0, 0, (1 - u) * (1 - v)), (1, 0, u * (1 - v)), (0, 1, (1 - u) * v), (1, 1, u * v))
    whole = sum(share * uniform(key(seed, what, i + a, j + b), cells) for a, b, share in corners)
    varied: Floats = np.asarray(whole) * 2 - 1
    return varied


def _blend(part: float) -> float:
    return part * part * (3 - 2 * part)
