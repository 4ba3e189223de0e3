"""The columns of a layer as it was: those of what is now, but for what has changed since.

The log says which features those are and where each lay at the time; only they are read of what was, and of
them only those that a tile holds. What is now is not copied: a moment keeps a mark for each of its rows.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from layers.errors import NotFound, shown
from layers.model import Change, FeatureLayer
from layers.types import Bbox
from tiles import batch as batches
from tiles import column_build, scheme
from tiles.batch import Batch
from tiles.feature_source import FeatureSource
from tiles.freshness import PastFreshness
from tiles.large import Take
from tiles.layer_columns import LayerColumns
from tiles.scene import tree
from tiles.scheme import Floats
from tiles.snapshots import (
    COMPACT_ROWS,
    Snapshot,
    SpatialIndex,
    kinds_of,
    narrowed,
    rows_of,
    snapshot_of,
    without,
)

#: Reads features of what was as columns.
type Read = Callable[[NDArray[np.int64]], Batch]


@dataclass(frozen=True)
class Departed:
    """The features of a layer that have changed since a moment, and where those lay that were there.

    ``fids`` int64 (n,) ascending; ``placed`` int64 (m,) those with a geometry then, m <= n, and ``boxes``
    float64 (m, 4) their world boxes."""

    fids: NDArray[np.int64]
    placed: NDArray[np.int64]
    boxes: Floats

    @cached_property
    def index(self) -> SpatialIndex:
        """The places of ``boxes``."""
        return SpatialIndex(self.boxes)

    def holds(self, fid: int) -> bool:
        """Whether a feature is among them."""
        at = int(np.searchsorted(self.fids, fid))
        return at < len(self.fids) and int(self.fids[at]) == fid


class ChangedSince:
    """What has changed since a number of the log. Safe to use from several threads."""

    def __init__(self, source: FeatureSource, seq: int) -> None:
        """``source`` is what is now."""
        self._source = source
        self._lock = threading.Lock()
        self._seq = seq
        self._boxes: dict[str, dict[int, Bbox | None]] = {}
        self._whole: set[str] = set()
        self._made: dict[str, Departed] = {}

    def of(self, layer_id: str) -> Departed | None:
        """The features of a layer that have changed up to now; None where they may be any."""
        with self._lock:
            while page := self._source.changes(self._seq):
                self._take(page)
                self._seq = page[-1].seq
            if layer_id in self._whole:
                return None
            if layer_id not in self._made:
                self._made[layer_id] = self._departed(self._boxes.get(layer_id, {}))
            return self._made[layer_id]

    def _departed(self, boxes: Mapping[int, Bbox | None]) -> Departed:
        fids = sorted(boxes)
        there = [(fid, box) for fid in fids if (box := boxes[fid]) is not None]
        placed = np.array([box for _, box in there], float).reshape(-1, 4)
        return Departed(
            np.array(fids, np.int64),
            np.array([fid for fid, _ in there], np.int64),
            scheme.world_boxes(placed),
        )

    def _take(self, page: Sequence[Change]) -> None:
        for change in page:
            self._made.pop(change.layer, None)
            if change.fid is None:
                self._whole.add(change.layer)
            else:
                # its first change since tells where it lay
                self._boxes.setdefault(change.layer, {}).setdefault(change.fid, change.old)


class PastSnapshot:
    """A layer at a moment, with the questions of :class:`tiles.snapshots.Snapshot`."""

    def __init__(self, rest: Snapshot, departed: Departed, read: Read, base: Batch) -> None:
        """``rest`` is what is now without what has changed since; its columns are of ``base``."""
        self.base, self.generation = base, rest.generation
        self._rest, self._departed, self._read = rest, departed, read
        self._asked = 0

    @cached_property
    def _whole(self) -> Snapshot:
        fresh = batches.like(self._read(self._departed.fids), self._rest.base)
        patch = fresh if self._rest.patch is None else batches.concat(self._rest.patch, fresh)
        return replace(self._rest, patch=patch)

    @property
    def _at_once(self) -> bool:
        """Whether what has changed is read at once, and not as tiles ask for it: where it is little, and once
        as much was read tile by tile."""
        whole = len(self._departed.fids)
        return whole <= max(COMPACT_ROWS, self._asked) or "_whole" in self.__dict__

    @property
    def index(self) -> SpatialIndex:
        """As :attr:`Snapshot.index`."""
        return self._rest.index

    @property
    def boxes(self) -> Floats:
        """As :attr:`Snapshot.boxes`."""
        return self._whole.boxes

    @property
    def fids(self) -> NDArray[np.int64]:
        """As :attr:`Snapshot.fids`."""
        return self._whole.fids

    @property
    def halves(self) -> tuple[tuple[Batch, NDArray[np.bool_] | None], ...]:
        """As :attr:`Snapshot.halves`."""
        return self._whole.halves

    @property
    def spans(self) -> Floats:
        """As :attr:`Snapshot.spans`."""
        return self._whole.spans

    def numbers(self, name: str) -> Floats:
        """As :meth:`Snapshot.numbers`."""
        return self._whole.numbers(name)

    def may_hold(self, cell: tree.Node) -> bool:
        """As :meth:`Snapshot.may_hold`."""
        if self._at_once:
            return self._whole.may_hold(cell)
        near = self._departed.index.search(scheme.tile_box(*cell))
        return len(near) > 0 or self._rest.may_hold(cell)

    def feature(self, fid: int) -> Floats | None:
        """As :meth:`Snapshot.feature`."""
        if not self._departed.holds(fid):
            return self._rest.feature(fid)
        fresh = self._read(np.array([fid]))
        return np.array(scheme.hull(fresh.boxes)) if len(fresh) else None

    def boxes_of(self, fids: NDArray[np.int64]) -> Floats:
        """As :meth:`Snapshot.boxes_of`."""
        changed = np.isin(fids, self._departed.fids)
        rest = self._rest.boxes_of(fids[~changed])
        return np.concatenate([rest, self._read(fids[changed]).boxes]) if changed.any() else rest

    def window(self, box: Bbox, take: Take = Batch.take) -> Batch:
        """As :meth:`Snapshot.window`."""
        if self._at_once:
            return self._whole.window(box, take)
        near = self._departed.index.search(box)
        return self._with(
            self._rest.window(box, take), near, None, lambda fresh: scheme.meets(fresh.boxes, box)
        )

    def found(self, box: Bbox, take: Take = Batch.take) -> tuple[Batch, NDArray[np.int64]]:
        """As :meth:`Snapshot.found`."""
        window = self.window(box, take)
        return window, np.arange(len(window))

    def node(self, node: tree.Node) -> Batch:
        """As :meth:`Snapshot.node`."""
        return self._whole.node(node) if self._at_once else self._of_node(node, None)

    def node_boxes(self, node: tree.Node) -> tuple[NDArray[np.int64], Floats]:
        """As :meth:`Snapshot.node_boxes`."""
        if self._at_once:
            return self._whole.node_boxes(node)
        batch = self._of_node(node, ())
        return batch.fids, batch.boxes

    def meeting(self, boxes: Floats, names: Sequence[str]) -> Batch:
        """As :meth:`Snapshot.meeting`."""
        if self._at_once:
            return self._whole.meeting(boxes, names)
        near = self._departed.index.search(scheme.hull(boxes))
        near = near[scheme.meets_any(self._departed.boxes[near], boxes)]
        rest = self._rest.meeting(boxes, names)
        return self._with(rest, near, names, lambda fresh: scheme.meets_any(fresh.boxes, boxes))

    def _of_node(self, node: tree.Node, names: Sequence[str] | None) -> Batch:
        wanted = tree.keys(np.array([node], np.int64))[0]
        near = self._departed.index.node(node)
        rest = narrowed(self._rest.node(node), names)
        return self._with(rest, near, names, lambda fresh: tree.keys(tree.nodes(fresh.boxes)) == wanted)

    def _with(
        self,
        rest: Batch,
        near: NDArray[np.int64],
        names: Sequence[str] | None,
        belongs: Callable[[Batch], NDArray[np.bool_]],
    ) -> Batch:
        """Some features of the rest with those of the departed that belong to them; ``near`` are the places
        of those that may."""
        if not len(near):
            return rest
        self._asked += len(near)
        fresh = narrowed(self._read(self._departed.placed[near]), names)
        own = belongs(fresh)
        fresh = fresh if own.all() else fresh.take(np.flatnonzero(own))
        # what changed of a feature is mostly one of its properties
        return batches.concat(rest, batches.like(fresh, self._rest.base))


class _Copies:
    """Layers that are held whole for a moment: few, however many moments are looked at."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[int, str], dict[str, PastSnapshot | Snapshot]] = OrderedDict()

    def hold(self, layer_id: str, snapshots: dict[str, PastSnapshot | Snapshot]) -> None:
        """Remember that a layer is held whole among those; the one longest ago is let go of."""
        with self._lock:
            self._held[id(snapshots), layer_id] = snapshots
            if len(self._held) > self._most:
                (_, layer), others = self._held.popitem(last=False)
                others.pop(layer, None)


_COPIES = _Copies(2)


class PastColumns:
    """Layers, snapshots and versions of a store as it was. Safe to use from several threads."""

    def __init__(self, store: FeatureSource, present: LayerColumns | PastColumns) -> None:
        """``present`` are those of what is now."""
        assert isinstance(present, LayerColumns)
        self._store, self._present = store, present
        seq = store.seq()
        self.freshness = PastFreshness(present.freshness, seq)
        self.since = ChangedSince(present.store, seq)
        self._lock = threading.Lock()
        self._snapshots: dict[str, PastSnapshot | Snapshot] = {}

    @cached_property
    def _layers(self) -> Mapping[str, FeatureLayer]:
        return {layer.id: layer for layer in self._store.feature_layers()}

    def layers(self) -> Mapping[str, FeatureLayer]:
        """All that there were, by id."""
        return self._layers

    def layer(self, layer_id: str) -> FeatureLayer:
        """A layer as it was. Raises NotFound."""
        if layer_id not in self._layers:
            raise NotFound(f"there was no layer {shown(layer_id)}")
        return self._layers[layer_id]

    def snapshot(self, layer_id: str) -> PastSnapshot | Snapshot:
        """A layer as it was. Raises NotFound, Gone."""
        held = self._snapshots.get(layer_id)
        if held is None or self._is_left(layer_id, held):
            with self._lock:
                held = self._snapshots.get(layer_id)
                if held is None or self._is_left(layer_id, held):
                    held = self._snapshots[layer_id] = self._made(self.layer(layer_id))
                    if isinstance(held, Snapshot):
                        _COPIES.hold(layer_id, self._snapshots)
        return held

    def _is_left(self, layer_id: str, held: PastSnapshot | Snapshot) -> bool:
        """Whether what is now has other columns than those that are held for it: two would be held."""
        known = self._present.known(layer_id)
        return isinstance(held, PastSnapshot) and known is not None and known.base is not held.base

    def _made(self, layer: FeatureLayer) -> PastSnapshot | Snapshot:
        def read(fids: NDArray[np.int64] | None) -> Batch:
            chosen = None if fids is None else fids.tolist()
            return column_build.from_rows(self._store.rows(layer.id, chosen), layer.fields)

        rest = self._rest(layer, read)
        if rest is None:
            return snapshot_of(read(None), layer.generation)
        return PastSnapshot(*rest)

    def _rest(self, layer: FeatureLayer, read: Read) -> tuple[Snapshot, Departed, Read, Batch] | None:
        """What is now without what has changed since, and that; None where nothing of it can be used."""
        try:
            now = self._present.layer(layer.id)
            snapshot = self._present.snapshot(layer.id)
        except NotFound:
            return None
        # after the snapshot, so that nothing that it shows is missed
        departed = self.since.of(layer.id)
        types = {field.name: field.type for field in now.fields}
        if departed is None or any(types.get(field.name) != field.type for field in layer.fields):
            return None
        fresh = read(np.empty(0, np.int64))
        names = tuple(fresh.props)
        base = narrowed(snapshot.base, names)
        if kinds_of(base) != kinds_of(fresh):
            return None
        gone = without(snapshot.gone, rows_of(snapshot.base.fids, departed.fids))
        patch = snapshot.patch
        if patch is not None:
            patch = batches.without(narrowed(patch, names), departed.fids)
        rest = Snapshot(base, snapshot.index, gone, patch, layer.generation)
        return rest, departed, read, snapshot.base
