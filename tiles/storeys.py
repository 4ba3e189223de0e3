"""The storeys and the categories that the features of a layer have, for whoever chooses among them."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np

from tiles import scheme
from tiles.batch import Batch
from tiles.past import PastSnapshot
from tiles.snapshots import Snapshot

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
    if not len(snapshot.fids):
        return Choices()
    everywhere = np.array([scheme.hull(snapshot.boxes)])
    batch = snapshot.meeting(everywhere, (NUMBER, NAME, ELEVATION, CATEGORY))
    numbers = batch.numbers(NUMBER)
    on = np.flatnonzero((np.abs(numbers) <= _HIGHEST) & (numbers == np.trunc(numbers)))
    ours = batch.take(on)
    names: dict[int, Counter[tuple[str, float | None]]] = defaultdict(Counter)
    for value, name, elevation in zip(
        numbers[on].tolist(), ours.texts(NAME), ours.numbers(ELEVATION).tolist(), strict=True
    ):
        # a NaN is like no other, so that nothing would be counted twice
        told = None if math.isnan(elevation) else elevation
        names[int(value)][name or str(int(value)), told] += 1
    storeys: list[Storey] = []
    for number in sorted(names)[:_MOST]:
        ((name, elevation), _), *_ = names[number].most_common(1)
        storeys.append(Storey(number, name, elevation))
    return Choices(tuple(storeys), _categories(batch))


def _categories(batch: Batch) -> tuple[str, ...]:
    prop = batch.props.get(CATEGORY)
    if prop is None:
        return ()
    codes = np.unique(prop.codes)
    codes = codes[codes >= 0]
    if len(codes) > _MOST:
        return ()
    return tuple(sorted({text for code in codes.tolist() if (text := prop.values.text_of(code))}))
