"""What every 3D node of a layer reaches: added up once, and again of nodes that changed.

Where bodies follow from more than their features (meshes that are stored, wholes that make room for their
parts, parts that stand where their whole does), an edit touches the nodes of what it is related to, too."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from layers.kinds import Body, Prism
from tiles import freshness, scheme
from tiles.feature_source import FeatureSource
from tiles.freshness import Versions
from tiles.ground import Ground
from tiles.mesh_heights import MeshHeights
from tiles.past import PastSnapshot
from tiles.relations import Relations
from tiles.scene import build, fit, tree
from tiles.scene.fit import Held
from tiles.scheme import Floats
from tiles.snapshots import Snapshot, SpatialIndex

#: Nodes from which all features are looked at.
MOST = 2_000
_PAGE = 10_000
_LOCK = threading.Lock()
_BASES: weakref.WeakKeyDictionary[SpatialIndex, Held] = weakref.WeakKeyDictionary()


class Reaches:
    """The nodes of the layers of a store. Safe to use from several threads."""

    def __init__(
        self, store: FeatureSource, freshness: Versions, relations: Relations, ground: Ground
    ) -> None:
        self._store, self._freshness, self._relations, self._ground = store, freshness, relations, ground
        self._heights = MeshHeights(store, freshness)
        self._known: dict[str, tuple[object, int, Held]] = {}

    def of(self, layer_id: str, seq: int, snapshot: Snapshot | PastSnapshot, rule: Body) -> Held:
        """The nodes of a layer, whose features are drawn by this rule; the snapshot has all changes up to
        that number of the log."""
        if not isinstance(snapshot, Snapshot):
            return self._all(layer_id, snapshot, rule)
        if not _is_stored(rule) and not self._relations.alter(layer_id):
            return _patched(snapshot, rule)
        state = self._freshness.epoch, self._ground.key, self._relations.layout(layer_id)
        known = self._known.get(layer_id)
        touched = self._touched(layer_id, known[1]) if known is not None and known[0] == state else None
        if known is None or touched is None:
            found = self._all(layer_id, snapshot, rule)
        elif touched:
            keys = np.unique(tree.keys(np.array(sorted(touched), np.int64)))
            found = fit.joined(known[2].without(keys), self._some(layer_id, snapshot, rule, keys))
        else:
            found = known[2]
        self._known[layer_id] = state, seq, found
        return found

    def _touched(self, layer_id: str, since: int) -> set[tree.Node] | None:
        """The nodes that may reach otherwise than at a number of the log; None for all."""
        found: set[tree.Node] = set()
        while page := self._store.changes(since, _PAGE):
            related = self._relations.touched(page).get(layer_id, set())
            own = [change for change in page if change.layer == layer_id]
            if related is None or any(change.fid is None for change in own):
                return None
            found |= related
            found.update(node for change in own for node in freshness.touched_nodes(change))
            if len(found) > MOST:
                return None
            since = page[-1].seq
        return found

    def _all(self, layer_id: str, snapshot: Snapshot | PastSnapshot, rule: Body) -> Held:
        boxes = snapshot.boxes
        return self._added(layer_id, snapshot, rule, snapshot.fids, boxes, snapshot.numbers)

    def _some(self, layer_id: str, snapshot: Snapshot, rule: Body, keys: NDArray[np.int64]) -> Held:
        """Of the features in the nodes of these ascending keys."""
        base, patch, rows = snapshot.base, snapshot.patch, snapshot.rows_in(keys)
        if patch is None:
            numbers = partial(base.numbers, rows=rows)
            return self._added(layer_id, snapshot, rule, base.fids[rows], base.boxes[rows], numbers)
        hits = np.flatnonzero(np.isin(tree.keys(tree.nodes(patch.boxes)), keys))

        def both(name: str) -> Floats:
            return np.concatenate([base.numbers(name, rows=rows), patch.numbers(name, rows=hits)])

        fids = np.concatenate([base.fids[rows], patch.fids[hits]])
        boxes = np.concatenate([base.boxes[rows], patch.boxes[hits]])
        return self._added(layer_id, snapshot, rule, fids, boxes, both)

    def _added(
        self,
        layer_id: str,
        snapshot: Snapshot | PastSnapshot,
        rule: Body,
        fids: NDArray[np.int64],
        boxes: Floats,
        numbers: Callable[[str], Floats],
    ) -> Held:
        low, high = build.reach(rule, numbers)
        if _is_stored(rule):
            # a mesh stands on the low end, however high the feature's field says it is
            high = np.maximum(high, low + self._heights.of(layer_id, snapshot, fids))
        high = self._relations.raised(layer_id, boxes, high)
        below, above = self._elsewhere(layer_id, boxes, numbers)
        return fit.held(boxes, low - below, high + above)

    def _elsewhere(
        self, layer_id: str, boxes: Floats, numbers: Callable[[str], Floats]
    ) -> tuple[Floats, Floats]:
        """Metres (n,) by which the ground under the middles of features with world boxes (n, 4) may be above
        that on which they stand as parts, and below it."""
        below, above = np.zeros(len(boxes)), np.zeros(len(boxes))
        feet = self._relations.possible_feet(layer_id, boxes, numbers) if len(boxes) else None
        if feet is not None and len(feet.rows):
            own = (boxes[feet.rows, :2] + boxes[feet.rows, 2:]) / 2
            here, there = (self._ground.at(*scheme.lonlat(*places.T)) for places in (own, feet.places))
            np.maximum.at(below, feet.rows, here - there)
            np.maximum.at(above, feet.rows, there - here)
        return below, above


def _is_stored(rule: Body) -> bool:
    return isinstance(rule, Prism) and rule.stored


def _patched(snapshot: Snapshot, rule: Body) -> Held:
    base = _base(snapshot, rule)
    patch = snapshot.patch
    if patch is None:
        return base
    moved = tree.keys(tree.nodes(np.concatenate([snapshot.base.boxes[snapshot.gone], patch.boxes])))
    touched = np.unique(moved)
    rows = snapshot.rows_in(touched)
    own = fit.held(snapshot.base.boxes[rows], *build.reach(rule, partial(snapshot.base.numbers, rows=rows)))
    fresh = fit.held(patch.boxes, *build.reach(rule, patch.numbers))
    return fit.joined(base.without(touched), fit.joined(own, fresh))


def _base(snapshot: Snapshot, rule: Body) -> Held:
    """The nodes of all rows of the columns, whether they count or not."""
    with _LOCK:
        known = _BASES.get(snapshot.index)
        if known is None:
            own = snapshot.base
            known = fit.held(own.boxes, *build.reach(rule, own.numbers))
            _BASES[snapshot.index] = known
        return known
