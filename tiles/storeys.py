"""The storeys and the categories that the features of a layer have, for whoever chooses among them."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np

from tiles import scheme
from tiles.past import PastSnapshot
from tiles.snapshots import Snapshot

#: The fields that say them.
NUMBER, NAME, ELEVATION, CATEGORY = "storey_no", "storey", "storey_elevation_m", "category"
#: Storeys that are offered; more of them are no storeys of buildings.
_MOST = 300


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
    """What the features of a snapshot have."""
    if not len(snapshot.fids):
        return Choices()
    everywhere = np.array([scheme.hull(snapshot.boxes)])
    batch = snapshot.meeting(everywhere, (NUMBER, NAME, ELEVATION, CATEGORY))
    numbers, elevations = batch.numbers(NUMBER), batch.numbers(ELEVATION)
    names: dict[int, Counter[tuple[str, float]]] = defaultdict(Counter)
    for number, name, elevation in zip(numbers.tolist(), batch.texts(NAME), elevations.tolist(), strict=True):
        if not math.isnan(number):
            names[int(number)][name or str(int(number)), elevation] += 1
    storeys: list[Storey] = []
    for number in sorted(names)[:_MOST]:
        ((name, elevation), _), *_ = names[number].most_common(1)
        storeys.append(Storey(number, name, None if math.isnan(elevation) else elevation))
    return Choices(tuple(storeys), tuple(sorted({one for one in batch.texts(CATEGORY) if one})))
