"""Rectangles on shelves: where images lie in an atlas.

Of our own: rectangles of an atlas are few hundred, and the known library for it had its
last release in 2021.
"""

from __future__ import annotations

from collections.abc import Sequence

type Place = tuple[int, int]


def packed(sizes: Sequence[tuple[int, int]], width: int, height: int) -> list[Place | None]:
    """Upper left corners of rectangles (width, height) in one of that size, highest first on shelves one
    below the other; None of what finds no room."""
    places: list[Place | None] = [None] * len(sizes)
    shelves: list[list[int]] = []  # of each shelf its upper side, its height, the free place on it
    below = 0
    for at in sorted(range(len(sizes)), key=lambda i: (-sizes[i][1], -sizes[i][0], i)):
        w, h = sizes[at]
        if w > width or h > height:
            continue
        shelf = next((one for one in shelves if one[1] >= h and width - one[2] >= w), None)
        if shelf is None:
            if below + h > height:
                continue
            shelf = [below, h, 0]
            shelves.append(shelf)
            below += h
        places[at] = shelf[2], shelf[0]
        shelf[2] += w
    return places
