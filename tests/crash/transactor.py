"""Commits transactions in turn, and tells each once the store acknowledged it.

Arguments: STORE FIRST."""

from __future__ import annotations

import itertools
import sys

from layers.model import Operation
from layers.store import geopackage

MADE = 40


def main() -> None:
    """Each counts ``levels`` of feature 1 of both layers up by one, and adds features with as many levels."""
    store = geopackage.open(sys.argv[1])
    print("ready", flush=True)
    for number in itertools.count(int(sys.argv[2])):
        levels = {"properties": {"levels": number}}
        body = {"type": "Feature", "geometry": None, **levels}
        made = [Operation(kind="create", layer="buildings", body=body) for _ in range(MADE)]
        store.transact(
            [
                Operation(kind="patch", layer="buildings", fid=1, body=levels),
                *made,
                Operation(kind="patch", layer="sheds", fid=1, body=levels),
            ]
        )
        print(number, flush=True)
