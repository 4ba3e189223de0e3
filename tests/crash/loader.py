"""Loads one generation after the other until it is killed. Arguments: STORE BASE_COUNT FIRST."""

from __future__ import annotations

import itertools
import sys

import shapely

from layers.store import geopackage
from tests.storing import batch, count, row, spec


def main() -> None:
    """Each generation has its number in every row; ``levels`` of one read must be all alike."""
    path, base, first = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    store = geopackage.open(path)
    print("ready", flush=True)
    for number in itertools.count(first):
        rows = [
            row(f"p{i}", shapely.Point(25 + i * 1e-5, 60 + number * 1e-6), levels=number)
            for i in range(count(base, number))
        ]
        stage = store.stage(spec(geometry_type="Point"))
        for start in range(0, len(rows), 1000):
            stage.add(batch(rows[start : start + 1000]))
        print("staged", flush=True)
        print(store.publish(stage).generation, flush=True)
