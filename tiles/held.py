"""What every 3D node of a layer reaches: added up once of its columns, and again of nodes that changed.

Where bodies follow from more than their features, all of them are looked at: meshes that are stored, wholes
that make room for their parts, parts that stand where their whole does."""

from __future__ import annotations

import threading
import weakref
from functools import partial

import numpy as np

from layers.kinds import Body, Prism
from tiles import scheme
from tiles.ground import Ground
from tiles.mesh_heights import MeshHeights
from tiles.past import PastSnapshot
from tiles.relations import Relations
from tiles.scene import build, fit, tree
from tiles.scene.fit import Held
from tiles.scheme import Floats
from tiles.snapshots import Snapshot, SpatialIndex

_LOCK = threading.Lock()
_BASES: weakref.WeakKeyDictionary[SpatialIndex, Held] = weakref.WeakKeyDictionary()


def of(
    layer_id: str,
    snapshot: Snapshot | PastSnapshot,
    rule: Body,
    relations: Relations,
    heights: MeshHeights,
    ground: Ground,
) -> Held:
    """The nodes of a layer, whose features are drawn by this rule."""
    stored = isinstance(rule, Prism) and rule.stored
    if isinstance(snapshot, Snapshot) and not stored and not relations.alter(layer_id):
        return _patched(snapshot, rule)
    low, high = build.reach(rule, snapshot.numbers)
    if stored:
        # a mesh stands on the low end, however high the feature's field says it is
        high = np.maximum(high, low + heights.of(layer_id, snapshot))
    high = relations.raised(layer_id, snapshot.boxes, high)
    below, above = _elsewhere(layer_id, snapshot.boxes, relations, ground)
    return fit.held(snapshot.boxes, low - below, high + above)


def _elsewhere(layer_id: str, boxes: Floats, relations: Relations, ground: Ground) -> tuple[Floats, Floats]:
    """Metres (n,) by which the ground under the middles of features with world boxes (n, 4) may be above
    that on which they stand as parts, and below it."""
    below, above = np.zeros(len(boxes)), np.zeros(len(boxes))
    feet = relations.possible_feet(layer_id, boxes) if len(boxes) else None
    if feet is not None and len(feet.rows):
        own = (boxes[feet.rows, :2] + boxes[feet.rows, 2:]) / 2
        here, there = (ground.at(*scheme.lonlat(*places.T)) for places in (own, feet.places))
        np.maximum.at(below, feet.rows, here - there)
        np.maximum.at(above, feet.rows, there - here)
    return below, above


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
