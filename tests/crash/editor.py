"""Patches one feature again and again, and tells each edit once the store acknowledged it.

Run: python editor.py STORE FIRST (its path holds the tests' root packages, see test_edit_killed)."""

from __future__ import annotations

import itertools
import sys

from layers.store import geopackage


def main() -> None:
    """Each edit counts ``levels`` up by one."""
    store = geopackage.open(sys.argv[1])
    print("ready", flush=True)
    for number in itertools.count(int(sys.argv[2])):
        store.patch("buildings", 1, {"properties": {"levels": number}})
        print(number, flush=True)


if __name__ == "__main__":
    main()
