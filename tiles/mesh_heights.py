"""How high the stored bodies of a layer are: read once, and again of the features that are changed."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import batched

import numpy as np
from numpy.typing import NDArray

from tiles.feature_source import FeatureSource
from tiles.freshness import Versions
from tiles.past import PastSnapshot
from tiles.snapshots import Snapshot

#: Meshes that are read at a time.
MESHES = 500
#: Log rows that are read at a time.
_PAGE = 10_000
#: The history and the load that heights are of.
type _Load = tuple[str, int]


class MeshHeights:
    """Heights by layer and feature. An edit may take a body away, and an undo may bring it back."""

    def __init__(self, store: FeatureSource, freshness: Versions) -> None:
        self._store, self._freshness = store, freshness
        self._known: dict[str, tuple[_Load, int, dict[int, float]]] = {}

    def of(
        self, layer_id: str, snapshot: Snapshot | PastSnapshot, fids: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """The heights (m) of the meshes of some features of a layer, 0 for one without."""
        heights = self._all(layer_id, snapshot)
        return np.array([heights.get(fid, 0.0) for fid in fids.tolist()], float)

    def _all(self, layer_id: str, snapshot: Snapshot | PastSnapshot) -> dict[int, float]:
        load, seq = (self._freshness.epoch, snapshot.generation), self._freshness.seq
        known = self._known.get(layer_id)
        changed: set[int | None] = {None}
        if known is not None and known[0] == load:
            changed = self._changed(layer_id, known[1]) if known[1] != seq else set()
        if known is None or None in changed:
            heights = self._read(layer_id, snapshot.fids.tolist())
        else:
            heights = known[2]
            if changed:
                again = self._read(layer_id, (fid for fid in changed if fid is not None))
                # in place: a million are not copied for one; who reads meanwhile is given either
                for fid in changed - again.keys():
                    heights.pop(fid, None)  # type: ignore[arg-type]
                heights.update(again)
        self._known[layer_id] = load, seq, heights
        return heights

    def _changed(self, layer_id: str, since: int) -> set[int | None]:
        """The features that were changed, with None where the layer was as a whole."""
        found: set[int | None] = set()
        while page := self._store.changes(since, _PAGE):
            found |= {change.fid for change in page if change.layer == layer_id}
            since = page[-1].seq
        return found

    def _read(self, layer_id: str, fids: Iterable[int]) -> dict[int, float]:
        heights: dict[int, float] = {}
        for some in batched(fids, MESHES):
            for fid, mesh in self._store.rows(layer_id, some, meshes=True).meshes.items():
                heights[fid] = float(np.ptp(mesh.positions[:, 2])) if len(mesh.positions) else 0.0
        return heights
