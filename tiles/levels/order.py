"""Chains, rings and connected parts out of links, by whole-array steps (list ranking by pointer doubling)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

type Numbers = NDArray[np.int64]


def ordered(links: Numbers) -> tuple[Numbers, Numbers]:
    """The elements (n,) chain by chain, each from its beginning, and a number of the chain of each so
    ordered, ascending.

    ``links`` int64 (n,) is what follows an element, −1 for nothing; each follows at most one. A ring begins
    at its least element."""
    n = len(links)
    end = _ends(links)
    rings = np.flatnonzero(end < 0)
    follow = links.copy()
    if len(rings):
        least = _least(links, rings)
        # it ends before its least element
        follow[rings[follow[rings] == least]] = -1
    last = follow < 0
    at = np.where(last, np.arange(n), follow)
    distance = (~last).astype(np.int64)
    while (step := distance[at]).any():
        distance += step
        at = at[at]
    # by chain, and within it from the farthest
    order = np.argsort((at + 1) * (int(distance.max(initial=0)) + 1) - distance)
    return order, at[order]


def _ends(links: Numbers) -> Numbers:
    """The last element (n,) of the chain of each, −1 in a ring."""
    at = np.where(links < 0, np.arange(len(links)), links)
    open_ = np.flatnonzero(links >= 0)
    span, longest = 1, len(open_)
    while len(open_) and span <= longest:
        at[open_] = at[at[open_]]
        open_ = open_[links[at[open_]] >= 0]
        span *= 2
    at[open_] = -1
    return at


def _least(links: Numbers, rings: Numbers) -> Numbers:
    """The least element of the ring of each of some elements that are whole rings."""
    place = np.empty(len(links), np.int64)
    place[rings] = np.arange(len(rings))
    at, low = place[links[rings]], np.arange(len(rings))
    while True:
        lower = np.minimum(low, low[at])
        # when no window that is twice as wide has a lesser one, all of a ring have the same
        if np.array_equal(lower, low):
            return rings[low]
        low, at = lower, at[at]


def parts(n: int, first: Numbers, second: Numbers) -> Numbers:
    """The least element (n,) of the connected part of each of n elements; ``first`` and ``second`` int64 (m,)
    are linked, in both directions or in one."""
    label = np.arange(n)
    while len(first):
        a, b = label[first], label[second]
        apart = a != b
        if not apart.any():
            break
        first, second, a, b = first[apart], second[apart], a[apart], b[apart]
        np.minimum.at(label, np.maximum(a, b), np.minimum(a, b))
        while not np.array_equal(up := label[label], label):
            label = up
    return label
