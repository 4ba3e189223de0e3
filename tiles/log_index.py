"""The newest number of the log in a box, of boxes that come one by one in the order of their numbers.

What came last is looked through row by row; what came before is ordered along a Z-curve in blocks that know
their box and their newest number, so that neither a number that is added nor a box that is asked for costs a
look at all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from layers.types import Bbox
from tiles import scheme
from tiles.scheme import Floats

#: Rows that are looked through one by one before they are put in order.
_TAIL = 2048
_BLOCK = 128


class LogIndex:
    """Numbers, ascending, and world boxes."""

    def __init__(self) -> None:
        self._seqs, self._boxes = np.empty(0, np.int64), np.empty((0, 4))
        self._blocks, self._newest = np.empty((0, 4)), np.empty(0, np.int64)
        self._tail_seqs, self._tail_boxes = np.empty(_TAIL, np.int64), np.empty((_TAIL, 4))
        self._tail = 0

    def __len__(self) -> int:
        return len(self._seqs) + self._tail

    def add(self, seq: int, box: Bbox) -> None:
        """Take in the next."""
        if self._tail == _TAIL:
            self._settle()
        self._tail_seqs[self._tail], self._tail_boxes[self._tail] = seq, box
        self._tail += 1

    def newest(self, box: Bbox) -> int:
        """The highest number of a box that meets this one; 0 where none does."""
        met = np.flatnonzero(scheme.meets(self._tail_boxes[: self._tail], box))
        if len(met):
            return int(self._tail_seqs[met[-1]])
        touched = np.flatnonzero(scheme.meets(self._blocks, box))
        inside = scheme.within(self._blocks[touched], box)
        best = int(self._newest[touched[inside]].max(initial=0))
        for block in touched[~inside][np.argsort(-self._newest[touched[~inside]])].tolist():
            if self._newest[block] <= best:
                break
            own = slice(block * _BLOCK, (block + 1) * _BLOCK)
            best = max(best, int(self._seqs[own][scheme.meets(self._boxes[own], box)].max(initial=0)))
        return best

    def forget(self, most: int) -> int:
        """Forget all but the newest ``most``; the highest number that is forgotten, 0 where none is."""
        over = len(self) - most
        if over <= 0:
            return 0
        self._settle()
        order = np.argsort(self._seqs, kind="stable")
        last = int(self._seqs[order[over - 1]])
        kept = np.sort(order[over:])
        self._ordered(self._seqs[kept], self._boxes[kept])
        return last

    def _settle(self) -> None:
        own = slice(self._tail)
        seqs = np.concatenate([self._seqs, self._tail_seqs[own]])
        boxes = np.concatenate([self._boxes, self._tail_boxes[own]])
        order = np.argsort(scheme.morton(boxes), kind="stable")
        self._ordered(seqs[order], boxes[order])
        self._tail = 0

    def _ordered(self, seqs: NDArray[np.int64], boxes: Floats) -> None:
        self._seqs, self._boxes = seqs, boxes
        self._blocks = scheme.blocks(boxes, _BLOCK)
        starts = np.arange(0, len(seqs), _BLOCK)
        self._newest = np.maximum.reduceat(seqs, starts) if len(seqs) else np.empty(0, np.int64)
