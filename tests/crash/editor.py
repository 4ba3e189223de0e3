"""Patches, creates and deletes features in turn, and tells each edit once the store acknowledged it.

Arguments: STORE FIRST."""

from __future__ import annotations

import itertools
import sys

from layers.store import geopackage


def main() -> None:
    """Each round counts ``levels`` of feature 1 up by one, makes two features and removes the first."""
    store = geopackage.open(sys.argv[1])
    print("ready", flush=True)
    for number in itertools.count(int(sys.argv[2])):
        store.patch("buildings", 1, {"properties": {"levels": number}})
        print("patched", number, flush=True)
        made = []
        for _ in range(2):
            body = {"type": "Feature", "geometry": None, "properties": {"levels": number}}
            made.append(store.create("buildings", body)[0])
            print("created", made[-1], flush=True)
        store.delete("buildings", made[0])
        print("deleted", made[0], flush=True)
