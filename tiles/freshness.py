"""How new every tile is, from the change log alone.

The version of a tile is the highest log number whose old or new box meets it; of a 3D node, the
highest whose old or new place is that node. Both follow from the log, so they are the same after
a restart, and are known before anything is encoded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from layers.model import Change
from layers.types import Bbox
from tiles import scheme
from tiles.feature_source import FeatureSource
from tiles.levels.cells import NEAR
from tiles.log_index import LogIndex
from tiles.scene import tree
from tiles.scheme import MAX_ZOOM
from tiles.vector import clip

#: Parts of a tile around it in which a feature may lie that changes it: one is drawn over the edge of tiles,
#: and whether it is drawn or merged follows from its neighbours, too.
BUFFER = max(clip.BUFFER / scheme.EXTENT, NEAR)
#: Log rows remembered a layer; beyond it the older half counts as a change of the whole layer.
REMEMBERED = 200_000
_PAGE = 10_000
_MEMO = 65_536


@dataclass(slots=True)
class _History:
    """The log of one layer: where it touched what, and the newest per 3D node."""

    floor: int = 0
    newest: int = 0
    boxes: LogIndex = field(default_factory=LogIndex)
    #: Where the middles of features were that changed: that of a box, or all of it where it tells no more.
    middles: LogIndex = field(default_factory=LogIndex)
    #: Where features changed of which nothing is told: every node there is new.
    regions: LogIndex = field(default_factory=LogIndex)
    nodes: dict[tree.Node, int] = field(default_factory=dict)

    def whole(self, seq: int) -> None:
        self.floor = self.newest = seq
        self.boxes, self.middles, self.regions, self.nodes = LogIndex(), LogIndex(), LogIndex(), {}

    def add(self, seq: int, box: Bbox, node: tree.Node, *, is_region: bool) -> None:
        self.newest = seq
        self.boxes.add(seq, box)
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        self.middles.add(seq, box if is_region else (x, y, x, y))
        self.nodes[node] = seq
        if len(self.boxes) > REMEMBERED:
            for index in (self.boxes, self.middles):
                self.floor = max(self.floor, index.forget(REMEMBERED - REMEMBERED // 2))
            self.nodes = {known: n for known, n in self.nodes.items() if n > self.floor}

    def region(self, seq: int, box: Bbox) -> None:
        """Every node in the box is new."""
        self.regions.add(seq, box)
        if len(self.regions) > REMEMBERED:
            self.floor = max(self.floor, self.regions.forget(REMEMBERED // 2))

    def touching(self, box: Bbox, *, by_middle: bool = False) -> int:
        return max(self.floor, (self.middles if by_middle else self.boxes).newest(box))

    def node(self, node: tree.Node) -> int:
        own = self.nodes.get(node, 0)
        return max(self.floor, own, self.regions.newest(scheme.tile_box(*node)) if len(self.regions) else 0)


def by_layer(changes: Iterable[Change]) -> dict[str, list[Change]]:
    """Log rows of each layer, in their order."""
    found: dict[str, list[Change]] = {}
    for change in changes:
        found.setdefault(change.layer, []).append(change)
    return found


class Versions(Protocol):
    """How new the tiles and nodes of a store are, as of a number of its log."""

    @property
    def seq(self) -> int:
        """The number of the log up to which it is known."""

    @property
    def epoch(self) -> str:
        """The history that numbers count in."""

    def current(self) -> bool:
        """Whether :meth:`update` would find nothing."""

    def update(self) -> list[Change]:
        """Take in what the log has got; the new rows."""

    def vector(self, layers: Iterable[str], z: int, x: int, y: int) -> int:
        """The version of a vector tile."""

    def scene(self, layer: str, z: int, x: int, y: int) -> int:
        """The version of a node of the layer's 3D tree."""

    def blocks(self, layer: str, z: int, x: int, y: int) -> int:
        """The version of what a cell of the layer's 3D tree holds, of features whose middle is in it."""

    def layer(self, layer: str) -> int:
        """The newest log number of a layer."""


class PastFreshness:
    """Versions as they were after a number of the log.

    What was not touched since has the version of what is now, and so its ETag; what was touched has that
    number, which is the version of nothing else."""

    def __init__(self, present: Versions, seq: int) -> None:
        self._present, self._seq = present, seq
        self._epoch = present.epoch

    @property
    def seq(self) -> int:
        """As :attr:`Versions.seq`."""
        return self._seq

    @property
    def epoch(self) -> str:
        """As :attr:`Versions.epoch`."""
        return self._epoch

    def current(self) -> bool:
        """As :meth:`Versions.current`, of what is now."""
        return self._present.current()

    def update(self) -> list[Change]:
        """As :meth:`Versions.update`, of what is now."""
        return self._present.update()

    def vector(self, layers: Iterable[str], z: int, x: int, y: int) -> int:
        """As :meth:`Versions.vector`."""
        return min(self._present.vector(layers, z, x, y), self._seq)

    def scene(self, layer: str, z: int, x: int, y: int) -> int:
        """As :meth:`Versions.scene`."""
        return min(self._present.scene(layer, z, x, y), self._seq)

    def blocks(self, layer: str, z: int, x: int, y: int) -> int:
        """As :meth:`Versions.blocks`."""
        return min(self._present.blocks(layer, z, x, y), self._seq)

    def layer(self, layer: str) -> int:
        """As :meth:`Versions.layer`."""
        return min(self._present.layer(layer), self._seq)


class Freshness:
    """Versions of the tiles and nodes of a store. Safe to use from several threads."""

    def __init__(
        self,
        store: FeatureSource,
        listen: Callable[[list[Change]], None] | None = None,
    ) -> None:
        """``listen`` is told of new log rows before any version shows them."""
        self._store = store
        self._listen = listen
        self._lock = threading.Lock()
        self._layers: dict[str, _History] = {}
        self._memo: dict[tuple[str, int, int, int], int] = {}
        self.seq = 0
        self._seen = -1
        self.epoch: str = store.epoch

    def current(self) -> bool:
        """Whether :meth:`update` would find nothing. Costs one ``store.seq()``."""
        return self._store.seq() == self._seen

    def update(self) -> list[Change]:
        """Take in what the log has got since the last call; the new rows. One ``store.seq()`` when idle."""
        now = self._store.seq()
        if now == self._seen:
            return []
        with self._lock:
            changes = self._restart() if now < self.seq or self._store.epoch != self.epoch else []
            while self.seq < now and (page := self._store.changes(self.seq, _PAGE)):
                if self._listen:
                    self._listen(page)
                self._take(page)
                changes += page
                self.seq = page[-1].seq
            self._seen = now
            if changes:
                self._memo.clear()
            return changes

    def _restart(self) -> list[Change]:
        """Another history under the same store: forget ours, and every layer is new."""
        gone = [Change(0, layer, None, None, None) for layer in self._layers]
        if self._listen:
            self._listen(gone)
        self._layers, self.seq, self.epoch = {}, 0, self._store.epoch
        self._memo.clear()
        return gone

    def vector(self, layers: Iterable[str], z: int, x: int, y: int) -> int:
        """The version of a vector tile: the highest over its layers, 0 if nothing ever touched it."""
        return max((self._one(layer, z, x, y) for layer in layers), default=0)

    def scene(self, layer: str, z: int, x: int, y: int) -> int:
        """The version of a node of the layer's 3D tree."""
        return self._memoised((f"{layer}/node", z, x, y), layer, lambda history: history.node((z, x, y)))

    def blocks(self, layer: str, z: int, x: int, y: int) -> int:
        """As :meth:`Versions.blocks`."""
        key = (f"{layer}/blocks", z, x, y)
        return self._memoised(
            key, layer, lambda history: history.touching(scheme.tile_box(z, x, y), by_middle=True)
        )

    def layer(self, layer: str) -> int:
        """The newest log number of a layer."""
        history = self._layers.get(layer)
        return history.newest if history else 0

    def _one(self, layer: str, z: int, x: int, y: int) -> int:
        key = (layer, z, x, y)
        return self._memoised(key, layer, lambda history: history.touching(scheme.tile_box(z, x, y, BUFFER)))

    def _memoised(self, key: tuple[str, int, int, int], layer: str, find: Callable[[_History], int]) -> int:
        known = self._memo.get(key)
        if known is None:
            with self._lock:
                history = self._layers.get(layer)
                known = 0 if history is None else find(history)
                if len(self._memo) >= _MEMO:
                    self._memo.clear()
                self._memo[key] = known
        return known

    def _take(self, page: list[Change]) -> None:
        numbered = [(i, box) for i, change in enumerate(page) for box in _boxes_of(change)]
        boxes = scheme.world_boxes(np.array([box for _, box in numbered], float).reshape(-1, 4))
        nodes = tree.nodes(boxes).tolist()
        rows = iter(zip((i for i, _ in numbered), boxes.tolist(), nodes, strict=True))
        row = next(rows, None)
        for i, change in enumerate(page):
            history = self._layers.setdefault(change.layer, _History())
            history.newest = change.seq
            if change.fid is None and (row is None or row[0] != i):
                history.whole(change.seq)
            while row is not None and row[0] == i:
                history.add(change.seq, tuple(row[1]), tuple(row[2]), is_region=change.fid is None)
                if change.fid is None:
                    # a region says nothing about the size of what changed in it
                    history.region(change.seq, tuple(row[1]))
                row = next(rows, None)


def _boxes_of(change: Change) -> list[Bbox]:
    boxes = [box for box in (change.old, change.new) if box is not None]
    return boxes[:1] if len(boxes) == 2 and boxes[0] == boxes[1] else boxes


def world_boxes_of(change: Change) -> list[Bbox]:
    """Old and new box of a change in world units, those that there are."""
    boxes = np.array(_boxes_of(change), float).reshape(-1, 4)
    return [tuple(row) for row in scheme.world_boxes(boxes).tolist()]


def touched(change: Change, deepest: int = MAX_ZOOM) -> Iterator[tuple[int, int, int]]:
    """The vector tiles (z, x, y) down to a zoom that a change of one feature touches, each once."""
    seen: set[tuple[int, int, int]] = set()
    for box in world_boxes_of(change):
        for z in range(deepest + 1):
            for tile in scheme.cells(box, z, BUFFER):
                if tile not in seen:
                    seen.add(tile)
                    yield tile


def touched_blocks(change: Change) -> list[tree.Node]:
    """The nodes whose blocks a change of one feature touches."""
    return list(dict.fromkeys(node for box in world_boxes_of(change) for node in tree.above(box)))


def touched_nodes(change: Change) -> list[tree.Node]:
    """The 3D nodes a change of one feature touches: where it was and where it is."""
    return list(dict.fromkeys(tree.node_of(box) for box in world_boxes_of(change)))
