"""How many features match a query: counted within bounds, and once while a layer does not change.

A page that shows a few matches of millions costs next to nothing; to count the millions does. So a count
ends at a number of matches, which is the same for every store, or after a time, and what was found out is
kept: a client that follows ``next`` pays once, and is told the same on every page.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

from layers.model import Layer
from layers.query import Query, expected
from layers.types import Bbox

_KEPT = 256
_SURELY = 4  # times as many as could be gathered


@dataclass(frozen=True, slots=True)
class Budget:
    """What counting may cost beyond the page itself.

    Up to ``few`` candidates are gathered whole, and so counted for nothing. More are counted up to
    ``matches``, for ``seconds`` at most."""

    few: int = 20_000
    matches: int = 1_000_000
    seconds: float = 1.0


ORDINARY = Budget()


def holds(box: Bbox, extent: Bbox | None) -> bool:
    """Whether a box holds every feature of a layer with that extent."""
    return extent is not None and (
        box[0] <= extent[0] and box[1] <= extent[1] and extent[2] <= box[2] and extent[3] <= box[3]
    )


def is_wide(layer: Layer, box: Bbox, few: int) -> bool:
    """Whether to gather what a box meets would likely be in vain."""
    return expected(layer, box) > _SURELY * few


class Counter:
    """The long counts of a store, kept from one change of a layer to the next; used by all threads."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._kept: OrderedDict[Hashable, int | None] = OrderedDict()
        self._lock = threading.Lock()

    def count(self, moment: Hashable, query: Query, count: Callable[[], int | None]) -> int | None:
        """What ``count`` gives for the conditions of a query: None where it takes too long to find out.

        ``moment`` names the layer and the state it is in."""
        key = (moment, conditions(query))
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        found = count()
        with self._lock:
            self._kept[key] = found
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return found


def conditions(query: Query) -> Query:
    """What of a query decides how many features match it."""
    return replace(query, sort=(), properties=None, limit=None, offset=0, after=None, crs="")


def told_by_page(query: Query, given: int, more: bool) -> int | None:
    """How many match, where a page of ``given`` features tells it by itself: it begins and ends with them."""
    if more or query.after is not None or (not given and query.offset):
        return None
    return query.offset + given
