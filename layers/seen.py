"""Which texts were there before, of any number: eight bytes are kept of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

type Hashes = NDArray[np.int64]


class Seen:
    """Texts that were added batch by batch. Two texts may look alike, once in 10¹² pairs of a million each:
    whoever must be sure looks at both."""

    def __init__(self) -> None:
        self._runs: list[Hashes] = []  # sorted, each longer than the next

    def add(self, texts: Sequence[str | None]) -> NDArray[np.int64]:
        """Add the texts; the places of those that may have been there, in earlier batches or before in this
        one. None is no text."""
        at = np.array([i for i, text in enumerate(texts) if text is not None], np.int64)
        hashes = np.fromiter((hash(texts[i]) for i in at.tolist()), np.int64, len(at))
        order = np.argsort(hashes, kind="stable")
        ordered = hashes[order]
        again = np.zeros(len(at), bool)
        again[order[1:]] = ordered[1:] == ordered[:-1]
        for run in self._runs:
            places = np.minimum(np.searchsorted(run, ordered), len(run) - 1)
            again[order] |= run[places] == ordered
        self._keep(ordered)
        return at[again]

    def _keep(self, run: Hashes) -> None:
        """Merge runs of like length, so that there are few of them."""
        if not len(run):
            return
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        self._runs.append(run)
