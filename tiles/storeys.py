"""The storeys and the categories that the features of a layer have, for whoever chooses among them."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tiles.batch import Batch
from tiles.past import PastSnapshot
from tiles.snapshots import Snapshot

type Rows = NDArray[np.int64]

#: The fields that say them.
NUMBER, NAME, ELEVATION, CATEGORY = "storey_no", "storey", "storey_elevation_m", "category"
#: Storeys, and categories, that are offered; more of them are no storeys of buildings.
_MOST = 300
#: The highest number of a storey, and the lowest under the ground; beyond them it is none.
_HIGHEST = 1000


@dataclass(frozen=True, slots=True)
class Storey:
    """A storey by its number (1 on the ground, −1 the first below), with the name that most of its features
    give it and the elevation (m) over the building's zero that goes with that; None where they give none."""

    number: int
    name: str
    elevation: float | None


@dataclass(frozen=True, slots=True)
class Choices:
    """The storeys, from the lowest to the highest, and the categories, by their codes."""

    storeys: tuple[Storey, ...] = ()
    categories: tuple[str, ...] = ()


def of(snapshot: Snapshot | PastSnapshot) -> Choices:
    """What the features of a snapshot have. What is no number of a storey, and more categories than anybody
    would choose among, is not offered."""
    named: dict[int, Counter[tuple[str, float | None]]] = defaultdict(Counter)
    categories: set[str] = set()
    for batch, live in snapshot.halves:
        rows = np.arange(len(batch)) if live is None else np.flatnonzero(live)
        _count(batch, rows, named)
        if len(categories) <= _MOST:
            categories |= _categories(batch, rows)
    storeys: list[Storey] = []
    for number in sorted(named)[:_MOST]:
        ((name, elevation), _), *_ = named[number].most_common(1)
        storeys.append(Storey(number, name, elevation))
    return Choices(tuple(storeys), () if len(categories) > _MOST else tuple(sorted(categories)))


def _count(batch: Batch, rows: Rows, named: dict[int, Counter[tuple[str, float | None]]]) -> None:
    """Count the names and elevations that rows give their storeys, equal ones at once."""
    numbers = batch.numbers(NUMBER)[rows]
    on = (np.abs(numbers) <= _HIGHEST) & (numbers == np.trunc(numbers))
    rows, numbers = rows[on], numbers[on].astype(np.int64)
    names, elevations = (_codes(batch, name, rows) for name in (NAME, ELEVATION))
    width, depth = (int(codes.max(initial=-1)) + 2 for codes in (names, elevations))
    key = ((numbers + _HIGHEST) * width + names + 1) * depth + elevations + 1
    _, first, counts = np.unique(key, return_index=True, return_counts=True)
    ours = batch.props.get(NAME)
    heights = batch.numbers(ELEVATION)[rows[first]].tolist()
    for at, height, count in zip(first.tolist(), heights, counts.tolist(), strict=True):
        number, code = int(numbers[at]), int(names[at])
        name = "" if ours is None or code < 0 else ours.values.text_of(code)
        # a NaN is like no other, so that nothing would be counted twice
        named[number][name or str(number), None if math.isnan(height) else height] += count


def _codes(batch: Batch, name: str, rows: Rows) -> Rows:
    prop = batch.props.get(name)
    return np.full(len(rows), -1) if prop is None else prop.codes[rows].astype(np.int64)


def _categories(batch: Batch, rows: Rows) -> set[str]:
    """The categories of rows; some of them where they are too many."""
    prop = batch.props.get(CATEGORY)
    if prop is None:
        return set()
    codes = np.unique(prop.codes[rows])
    codes = codes[codes >= 0][: _MOST + 2]  # one may be empty
    return {text for code in codes.tolist() if (text := prop.values.text_of(code))}
