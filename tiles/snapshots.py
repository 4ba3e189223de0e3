"""The columns of a layer: made once from the store, kept in a file, patched from the change log."""

from __future__ import annotations

import contextlib
import errno
import logging
import math
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layers import kinds, quadtree
from layers.errors import Busy
from layers.model import Change, FeatureLayer, Rows
from layers.query import Query
from layers.store.cancellation import is_stopped
from layers.types import Bbox
from tiles import batch as batches
from tiles import column_build, columnfile, far_sums, large, making, scheme
from tiles import extent as extents
from tiles.batch import Batch
from tiles.feature_source import FeatureSource
from tiles.large import Take
from tiles.levels import kept
from tiles.levels.source import Ordered
from tiles.scene import tree
from tiles.scheme import SCENE_ZOOMS, Floats
from tiles.vector import documents

log = logging.getLogger("tiles")

FORMAT = 2
#: Rows that are read at once when a layer's columns are made.
PIECE = 20_000
#: Rows of one block of the spatial index.
BLOCK = 256
#: Patched features from which the columns are made anew: this many, more of a large layer.
COMPACT_ROWS = 2000
#: The share of a layer from which changes are not read one by one.
COMPACT_SHARE = 0.05


class SpatialIndex:
    """Boxes ordered along a Z-curve, with the box of every block of them; and by their 3D node."""

    def __init__(self, boxes: Floats, kept: Mapping[str, NDArray[Any]] | None = None) -> None:
        """``kept`` are the :attr:`arrays` of the same boxes, and what else follows from the columns."""
        self._boxes = boxes
        if kept is None:
            order = np.argsort(scheme.morton(boxes), kind="stable")
            kept = {"order": order, "blocks": scheme.blocks(boxes[order], BLOCK)}
        #: What lies beside the columns.
        self.kept = kept
        self._order, self._blocks = kept["order"], kept["blocks"]
        if "node_order" in kept:
            self.__dict__["_nodes"] = kept["node_order"], kept["node_keys"]

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """What makes the index without a look at the boxes."""
        order, keys = self._nodes
        return {"order": self._order, "blocks": self._blocks, "node_order": order, "node_keys": keys}

    def search(self, box: Bbox) -> NDArray[np.int64]:
        """Rows whose box meets this one, ascending."""
        blocks = np.flatnonzero(scheme.meets(self._blocks, box))
        if not len(blocks):
            return np.empty(0, np.int64)
        rows = np.concatenate([self._order[b * BLOCK : (b + 1) * BLOCK] for b in blocks.tolist()])
        return np.sort(rows[scheme.meets(self._boxes[rows], box)])

    def node(self, node: tree.Node) -> NDArray[np.int64]:
        """Rows of a 3D node, in no set order."""
        return self.nodes(tree.keys(np.array([node], np.int64)))

    def nodes(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of the 3D nodes with these numbers, ascending, those of one after those of the other."""
        order, ordered = self._nodes
        return order[rows_of(ordered, keys)]

    @property
    def by_node(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All rows ordered by the number of their 3D node, and those numbers."""
        return self._nodes

    @cached_property
    def cells(self) -> NDArray[np.uint64]:
        """As :func:`cells_of`, of the nodes of all rows."""
        return cells_of(self._nodes[1])

    @cached_property
    def _nodes(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The rows ordered by their 3D node, and those nodes, each as one number."""
        keys = tree.keys(tree.nodes(self._boxes))
        order = np.argsort(keys, kind="stable")
        return order, keys[order]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A layer's columns at one moment: those of the file without the patched rows, and the patched ones."""

    base: Batch
    index: SpatialIndex
    #: The rows of the base (k,) that do not count, ascending.
    gone: NDArray[np.int64]
    patch: Batch | None
    generation: int

    @cached_property
    def live(self) -> NDArray[np.bool_]:
        """Which rows of the base count."""
        live = np.ones(len(self.base), bool)
        live[self.gone] = False
        return live

    def _alive(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of some rows of the base that count."""
        if not len(self.gone):
            return rows
        at = np.minimum(np.searchsorted(self.gone, rows), len(self.gone) - 1)
        alive: NDArray[np.int64] = rows[self.gone[at] != rows]
        return alive

    @property
    def is_crowded(self) -> bool:
        """Whether so much was patched in that new columns are worth their price."""
        return self.patch is not None and len(self.patch) > max(COMPACT_ROWS, 4 * math.isqrt(len(self.base)))

    @cached_property
    def boxes(self) -> Floats:
        """The world boxes of all features, in no set order."""
        own = self.base.boxes[self.live]
        return own if self.patch is None else np.concatenate([own, self.patch.boxes])

    @cached_property
    def fids(self) -> NDArray[np.int64]:
        """The ids of all features in the order of ``boxes``."""
        own = self.base.fids[self.live]
        return own if self.patch is None else np.concatenate([own, self.patch.fids])

    @property
    def halves(self) -> tuple[tuple[Batch, NDArray[np.bool_] | None], ...]:
        """The columns of the file with which rows of them count, and the patched ones, if there are any."""
        patch = () if self.patch is None else ((self.patch, None),)
        return (self.base, self.live if len(self.gone) else None), *patch

    @cached_property
    def spans(self) -> Floats:
        """West and east (world units) of all features, wide ones by their parts: see :mod:`tiles.extent`."""
        spans = extents.spans(self.base, self.live)
        return spans if self.patch is None else np.concatenate([spans, extents.spans(self.patch)])

    def numbers(self, name: str) -> Floats:
        """A numeric property of all features in the order of ``boxes``; NaN for null."""
        own = self.base.numbers(name)[self.live]
        return own if self.patch is None else np.concatenate([own, self.patch.numbers(name)])

    def window(self, box: Bbox, take: Take = Batch.take) -> Batch:
        """The features whose box meets a world box, ordered by fid; ``take`` takes them."""
        batch = take(self.base, self._alive(self.index.search(box)))
        if self.patch is not None and len(hits := np.flatnonzero(scheme.meets(self.patch.boxes, box))):
            return batches.concat(batch, take(self.patch, hits))
        return batch

    def found(self, box: Bbox, take: Take = Batch.take) -> tuple[Batch, NDArray[np.int64]]:
        """A batch and the rows of it, ordered by fid, whose box meets a world box: that of the file where
        nothing was patched there, and nothing large is (:mod:`tiles.large`)."""
        patched = self.patch is not None and scheme.meets(self.patch.boxes, box).any()
        rows = self._alive(self.index.search(box))
        if not patched and (take is Batch.take or not large.any_of(self.base, rows)):
            return self.base, rows
        window = self.window(box, take)
        return window, np.arange(len(window))

    def node(self, node: tree.Node) -> Batch:
        """The features of a 3D node, ordered by fid."""
        return self._select(*self._node_rows(node))

    def node_boxes(self, node: tree.Node) -> tuple[NDArray[np.int64], Floats]:
        """The fids (n,) and world boxes (n, 4) of the features of a 3D node, in no set order."""
        rows, hits = self._node_rows(node)
        rows = self._alive(rows)
        fids, boxes = self.base.fids[rows], self.base.boxes[rows]
        if hits is None or self.patch is None:
            return fids, boxes
        return np.concatenate([fids, self.patch.fids[hits]]), np.concatenate([boxes, self.patch.boxes[hits]])

    def meeting(self, boxes: Floats, names: Sequence[str]) -> Batch:
        """The features whose box meets one of some world boxes (n, 4), n > 0, ordered by fid, with some
        of their properties alone."""
        hull = scheme.hull(boxes)
        rows = self.index.search(hull)
        rows = rows[scheme.meets_any(self.base.boxes[rows], boxes)]
        hits = None if self.patch is None else np.flatnonzero(scheme.meets_any(self.patch.boxes, boxes))
        return self._select(rows, hits, names)

    def may_hold(self, cell: tree.Node) -> bool:
        """Whether the middle of a feature may lie in a cell of the first zoom of 3D nodes or one above;
        never where none was when the columns were made and none was patched in."""
        up = 2 * (SCENE_ZOOMS[0] - cell[0])
        first = int(quadtree.morton(np.array([cell[1]]), np.array([cell[2]]))[0]) << up
        ends = np.array([first, first + (1 << up)], np.uint64)
        return any(np.diff(np.searchsorted(cells, ends))[0] > 0 for cells in self._cells)

    @cached_property
    def _cells(self) -> tuple[NDArray[np.uint64], ...]:
        patch = () if self.patch is None else (np.sort(tree.keys(tree.nodes(self.patch.boxes))),)
        return self.index.cells, *map(cells_of, patch)

    def feature(self, fid: int) -> Floats | None:
        """The world box (4,) of one feature, None where it is not there or has no geometry."""
        own = self.boxes_of(np.array([fid]))
        return np.array(scheme.hull(own)) if len(own) else None  # a collection has several

    @cached_property
    def changed_cells(self) -> frozenset[tree.Node]:
        """The nodes of the zoom of :mod:`tiles.far_sums` in which features are or were that differ from those
        of the file."""
        patch = np.empty((0, 4)) if self.patch is None else self.patch.boxes
        cells = far_sums.nodes_of(np.concatenate([self.base.boxes[self.gone], patch]))
        return frozenset((z, x, y) for z, x, y in tree.of_keys(np.unique(cells)).tolist())

    def rows_in(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows of the base that count, of the 3D nodes with these numbers, which ascend."""
        return self._alive(np.sort(self.index.nodes(keys)))

    def boxes_of(self, fids: NDArray[np.int64]) -> Floats:
        """The world boxes (n, 4) of what there is of some features, whose ids ascend."""
        own = self.base.boxes[self._alive(rows_of(self.base.fids, fids))]
        return (
            own
            if self.patch is None
            else np.concatenate([own, self.patch.boxes[rows_of(self.patch.fids, fids)]])
        )

    def _node_rows(self, node: tree.Node) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
        rows = self.index.node(node)
        if self.patch is None:
            return rows, None
        wanted = tree.keys(np.array([node], np.int64))[0]
        return rows, np.flatnonzero(tree.keys(tree.nodes(self.patch.boxes)) == wanted)

    def _select(
        self, rows: NDArray[np.int64], hits: NDArray[np.int64] | None, names: Sequence[str] | None = None
    ) -> Batch:
        batch = narrowed(self.base, names).take(self._alive(rows))
        if self.patch is None or hits is None or not len(hits):
            return batch
        return batches.concat(batch, narrowed(self.patch, names).take(hits))


def narrowed(batch: Batch, names: Sequence[str] | None) -> Batch:
    """The batch with some of its properties alone, None for all."""
    if names is None:
        return batch
    return replace(batch, props={name: batch.props[name] for name in names if name in batch.props})


def cells_of(keys: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The cells of the first zoom of 3D nodes that hold nodes of these ascending keys, each once, as places
    on the Z-curve, ascending."""
    z, x, y = tree.of_keys(keys[np.flatnonzero(np.diff(keys, prepend=-1))]).T
    up = z - SCENE_ZOOMS[0]
    return np.unique(quadtree.morton(x >> up, y >> up))


class Columns:
    """Keeps one layer's snapshot in step with the store. Safe to use from several threads."""

    def __init__(self, store: FeatureSource, layer: str, file: Path) -> None:
        self._store = store
        self._layer = layer
        self._file = file
        self._lock = threading.Lock()
        # its own lock: a change is marked from the event loop, which must not wait for a build
        self._marks = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._pending: set[int] = set()
        #: Features that were patched in since the columns were begun that are being compacted.
        self._patches: set[int] = set()
        #: A number of the log up to which the snapshot is told of all changes.
        self._seq = self._marked_seq = 0
        self._stale = False
        # marks taken in, and marks that the snapshot shows: between the two a reader must wait
        self._marked = self._shown = 0
        self.builds = 0
        #: Why the file could not be written when it was tried last.
        self.problem: str | None = None

    def is_behind(self, layer: FeatureLayer) -> bool:
        """Whether the next :meth:`snapshot` has more to do than to read a few features."""
        known = self._snapshot
        if known is None or known.generation != layer.generation:
            return True
        bare = not _has_all(known, layer)
        return bare or known.is_crowded or self._stale or len(self._pending) > COMPACT_ROWS

    def forget(self) -> None:
        """The layer is gone: so is its file."""
        with self._lock, contextlib.suppress(OSError), making.alone(self._file):
            self._snapshot = None
            self._file.unlink(missing_ok=True)

    def mark(self, changes: Iterable[Change]) -> None:
        """Remember what the log says changed; the next :meth:`snapshot` reads it."""
        with self._marks:
            self._marked += 1
            for change in changes:
                self._marked_seq = change.seq
                if change.fid is None:
                    self._stale = True
                else:
                    self._pending.add(change.fid)

    @property
    def known(self) -> Snapshot | None:
        """The newest snapshot that was made."""
        return self._snapshot

    def snapshot(self) -> Snapshot:
        """The layer as it is now. Raises NotFound when the layer is gone."""
        known = self._snapshot
        if known is not None and self._shown == self._marked:
            return known
        with self._lock:
            if self._snapshot is not None and self._shown == self._marked:
                return self._snapshot
            with self._marks:
                pending, stale, marked = self._pending, self._stale, self._marked
                marked_seq = self._marked_seq
                self._pending, self._stale = set(), False
            try:
                self._snapshot = self._renewed(self._store.feature_layer(self._layer), pending, stale)
            except BaseException:
                with self._marks:
                    self._pending |= pending
                    self._stale |= stale
                raise
            self._shown = marked
            # those of the file are known further than marks were taken in
            self._seq = max(self._seq, marked_seq)
            return self._snapshot

    def _renewed(self, layer: FeatureLayer, pending: set[int], stale: bool) -> Snapshot:
        known = self._snapshot
        if known is None or stale or known.generation != layer.generation:
            known, since = self._made(layer)
            pending |= since
        if len(pending) > max(COMPACT_ROWS, COMPACT_SHARE * layer.count):
            return self._build(layer)
        return self._patched(known, layer, np.array(sorted(pending), np.int64)) if pending else known

    def _made(self, layer: FeatureLayer) -> tuple[Snapshot, set[int]]:
        """The columns of the file, which a load may have made or be making, else new ones; and the features
        changed since."""
        known, since = self._open(layer)
        if known is None:
            with making.alone(self._file):
                known, since = self._open(layer)
                if known is None:
                    return self._build(layer), set()
        return known, since

    def _tag(self, layer: FeatureLayer) -> columnfile.Tag:
        fields = [[field.name, field.type] for field in layer.fields]
        return {
            "format": FORMAT,
            "epoch": self._store.epoch,
            "layer": layer.id,
            "generation": layer.generation,
            "fields": fields,
        }

    def _moment(self, seq: int) -> columnfile.Tag:
        return {"seq": seq, "nonce": self._store.nonce(seq)}

    def _open(self, layer: FeatureLayer) -> tuple[Snapshot | None, set[int]]:
        """The columns of the file and the features changed since; None if it does not fit the store."""
        read = columnfile.read(self._file)
        if read is None:
            return None, set()
        batch, tag, extras = read
        since, nonce = tag.pop("seq", None), tag.pop("nonce", None)
        if not isinstance(since, int) or since > self._store.seq():
            return None, set()
        own = self._tag(layer)
        if tag.get("epoch") != own["epoch"] and nonce is not None and self._store.nonce(since) == nonce:
            # a store that was copied or put back has a new epoch, and with this row all that was before it
            tag["epoch"] = own["epoch"]
        if tag != own:
            return None, set()
        pending: set[int] = set()
        while page := self._store.changes(since):
            mine = [change.fid for change in page if change.layer == self._layer]
            if None in mine:
                return None, set()
            pending |= {fid for fid in mine if fid is not None}
            since = page[-1].seq
        self._seq = since
        # whoever wrote it had room again
        self.problem = None
        return snapshot_of(batch, layer.generation, extras), pending

    def _build(self, layer: FeatureLayer) -> Snapshot:
        """All columns from the store, and the file where it can be written."""
        # the number comes first: what is logged while the rows are read is read again
        seq = self._store.seq()
        tag = self._tag(layer) | self._moment(seq)
        self.builds += 1
        self._seq = seq
        batch = self._read(layer)
        return self._kept(Ordered(batch, documents.drawing(layer).scheme), tag, layer)

    def _kept(self, whole: Ordered, tag: columnfile.Tag, layer: FeatureLayer) -> Snapshot:
        """A snapshot of columns: those of their file where it can be written."""
        batch = whole.batch
        extras = SpatialIndex(batch.boxes).arrays | kept.arrays(whole)
        extras |= far_sums.arrays(kinds.known(layer.kind), batch)
        try:
            columnfile.write(self._file, batch, tag, extras)
        except OSError as error:
            self._cannot(error)
            return snapshot_of(batch, layer.generation, extras)
        self.problem = None
        stored = columnfile.read(self._file)
        if stored is None or stored[1] != tag:
            return snapshot_of(batch, layer.generation, extras)
        return snapshot_of(stored[0], layer.generation, stored[2])

    def _cannot(self, error: OSError) -> None:
        """Tell once why the file was not written; that nothing can be is as somebody set it."""
        why = error.strerror or str(error)
        if self.problem is None and error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
            log.warning("the columns of layer %s stay in memory: %s", self._layer, why)
        self.problem = why

    def _read(self, layer: FeatureLayer) -> Batch:
        with contextlib.closing(self._store.scan(self._layer, Query(limit=None), PIECE)) as pieces:
            return column_build.from_pieces(_while_waited_for(pieces), layer.fields)

    def _patched(self, known: Snapshot, layer: FeatureLayer, fids: NDArray[np.int64]) -> Snapshot:
        fresh = column_build.from_rows(self._store.rows(self._layer, fids.tolist()), layer.fields)
        if kinds_of(fresh) != kinds_of(known.base):
            # another program gave the table another column
            return self._build(layer)
        # what an edit left as it was shares its dictionary with the columns, so joining them costs nothing
        fresh = batches.like(fresh, known.base)
        patch = fresh if known.patch is None else batches.concat(batches.without(known.patch, fids), fresh)
        self._patches |= set(fids.tolist())
        gone = without(known.gone, rows_of(known.base.fids, fids))
        return Snapshot(known.base, known.index, gone, patch, known.generation)

    def prepare(self) -> None:
        """Have columns that little was patched in, and beside them all that follows from them. Raises
        NotFound when the layer is gone."""
        known = self.snapshot()
        if known.is_crowded or not _has_all(known, self._store.feature_layer(self._layer)):
            self.compact()

    def compact(self) -> None:
        """Take what was patched in into the columns and what follows from them, and make of that what their
        file has not, beside whoever patches and reads meanwhile. Raises NotFound when the layer is gone."""
        with self._lock:
            known, seq, self._patches = self._snapshot, self._seq, set()
        layer = self._store.feature_layer(self._layer)
        if known is None or known.generation != layer.generation:
            return
        whole = self._kept(_together(known, layer), self._tag(layer) | self._moment(seq), layer)
        with self._lock:
            now = self._snapshot
            if now is None or now.base is not known.base:
                return
            fids = np.array(sorted(self._patches), np.int64)
            if now.patch is not None and len(fids):
                patch = now.patch.take(rows_of(now.patch.fids, fids))
                whole = replace(whole, gone=rows_of(whole.base.fids, fids), patch=patch)
            self._snapshot = whole


def _has_all(known: Snapshot, layer: FeatureLayer) -> bool:
    """Whether all that is kept beside columns lies beside these."""
    own = known.index.kept
    return kept.held(own, documents.drawing(layer).scheme) and far_sums.held(own, kinds.known(layer.kind))


def _together(known: Snapshot, layer: FeatureLayer) -> Ordered:
    """The columns of a snapshot with what was patched in, and their pyramids."""
    source = kept.source(known, documents.drawing(layer).scheme)
    if known.patch is None and not len(known.gone):
        return source.base
    own = known.base.take(np.flatnonzero(known.live))
    batch = own if known.patch is None else batches.concat(own, known.patch)
    return Ordered(batch, source.base.scheme, levels=kept.summed(source))


def _while_waited_for(pieces: Iterable[Rows]) -> Iterator[Rows]:
    """Raises Busy once nobody waits any more for what this thread makes."""
    for piece in pieces:
        if is_stopped():
            raise Busy("nobody waits for these columns any more")
        yield piece


def kinds_of(batch: Batch) -> dict[str, str]:
    """The names and kinds of a batch's properties: those of batches that can be joined are equal."""
    return {name: prop.values.kind for name, prop in batch.props.items()}


def snapshot_of(batch: Batch, generation: int, kept: Mapping[str, NDArray[Any]] | None = None) -> Snapshot:
    """A snapshot that nothing was patched in; ``kept`` are the arrays of its index."""
    return Snapshot(batch, SpatialIndex(batch.boxes, kept), np.empty(0, np.int64), None, generation)


def rows_of(ordered: NDArray[np.int64], fids: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows, ascending, at which some fids (ascending) stand among others that are in order."""
    low, high = np.searchsorted(ordered, fids), np.searchsorted(ordered, fids, "right")
    counts = high - low
    before = np.cumsum(counts) - counts
    return np.repeat(low - before, counts) + np.arange(int(counts.sum()))


def without(gone: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows that do not count, with some more; both ascending, as is what comes of them."""
    return np.union1d(gone, rows) if len(gone) else rows
