"""Searching the city as it was: the index of what is now, but for what has changed since."""

from __future__ import annotations

import heapq
import threading

import numpy as np

from tiles.past import ChangedSince, Departed
from twin.catalogue.search_index import SearchEntry, SearchIndex, distinct
from twin.catalogue.view import View

type _Found = list[tuple[SearchEntry, float]]


class PastSearch:
    """The search of one moment. Safe to use from several threads."""

    def __init__(self, view: View, now: SearchIndex) -> None:
        """``now`` is the index of what the same view sees now."""
        self._view, self._now = view, now
        self._since = ChangedSince(view.present, view.seq())
        self._lock = threading.Lock()
        #: What has changed since, as it was; and which features of each layer that is, None for all.
        self._then = SearchIndex(view, empty=True)
        self._taken: dict[str, Departed | None] = {}

    def search(self, text: str, limit: int) -> _Found:
        """As :meth:`SearchIndex.search`."""
        self._take()
        found = self._now.search(text, limit, self._is_other)
        while self._take():
            # what it shows of later changes was not known to have changed
            found = self._now.search(text, limit, self._is_other)
        then = self._then.search(text, limit)
        return distinct(heapq.merge(found, then, key=lambda one: -one[1]), limit)

    def _is_other(self, entry: SearchEntry) -> bool:
        """Whether a feature of now may have been another one then."""
        departed = self._taken.get(entry.layer)
        return departed is None or departed.holds(entry.fid)

    def _take(self) -> bool:
        """Take in what has changed since the last look; whether anything has."""
        with self._lock:
            news = False
            for layer in self._view.feature_layers():
                if layer.version_of is not None:
                    continue
                departed, known = self._since.of(layer.id), self._taken.get(layer.id)
                if layer.id in self._taken and departed is known:
                    continue
                if departed is None:
                    self._then.add(layer, None)
                else:
                    fids = departed.fids if known is None else np.setdiff1d(departed.fids, known.fids)
                    self._then.add(layer, fids.tolist())
                self._taken[layer.id] = departed
                news = True
            return news
