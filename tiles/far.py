"""Far views of a layer: the blocks of each cell of its 3D tree, from the columns as they are now."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layers import kinds
from layers.errors import NotFound, shown
from layers.kinds import Kind, Prism
from tiles import far_sums, scheme
from tiles.batch import Batch
from tiles.cache import Cache
from tiles.ground import Ground
from tiles.layer_columns import LayerColumns
from tiles.made import Form, Tile
from tiles.past import PastColumns
from tiles.scene import blocks, build, tree
from tiles.scene.blocks import Cells
from tiles.scene.tileset import blocks_uri
from tiles.scene.tree import FAR_ZOOM, SPLIT, Node
from tiles.scheme import SCENE_ZOOMS
from tiles.snapshots import Snapshot

#: Bytes of sums that are kept, so that an edit adds up its own cells anew and no others.
CELL_BYTES = 64 << 20
#: What repeats in files of boxes is found by a closer look than others need: a quarter of their bytes.
_GZIP_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Members:
    """Features of a cell by id, with their heights (m) and areas (world units)."""

    fids: NDArray[np.int64]
    heights: NDArray[np.float64]
    areas: NDArray[np.float64]
    #: Whether no other feature has its middle in the cell.
    alone: bool

    @property
    def height(self) -> float | None:
        """Their mean height (m), each counting by its area."""
        total = self.areas.sum()
        return float((self.areas * self.heights).sum() / total) if total > 0 else None


class FarViews:
    """Blocks of all layers. Safe to use from several threads."""

    def __init__(
        self,
        columns: LayerColumns | PastColumns,
        etag: Callable[[int, str, Form], str],
        cache: Cache[Tile],
        ground: Ground,
        copyright_: str = "",
    ) -> None:
        """``etag`` gives the ETag of a version and a mark; ``cache`` keeps what is made."""
        self.columns, self._etag, self._cache = columns, etag, cache
        #: Whether files say where the features of a block are listed, which static ones have nowhere.
        self.lists_members = True
        self._ground, self._copyright = ground, copyright_
        self._cells: Cache[Cells] = Cache(CELL_BYTES)

    def drawn(self, layer_id: str) -> bool:
        """Whether blocks stand for a layer's features that are far away: footprints that are raised. Raises
        NotFound."""
        return far_sums.drawn(self._kind(layer_id))

    def etag(self, layer_id: str, z: int, x: int, y: int, asked: Form = "none") -> str:
        """The ETag of the blocks of a node as of the last ``freshness.update``. Raises NotFound."""
        self._check(layer_id, z, x, y, FAR_ZOOM)
        form: Form = "gpu" if asked in ("gpu", "both") else "none"
        return self._etag(self.columns.freshness.blocks(layer_id, z, x, y), "b", form)

    def entry(self, layer_id: str, node: Node) -> dict[str, str]:
        """What pages are told of blocks that changed: their address and version. Raises NotFound."""
        version = self.etag(layer_id, *node).strip('"')
        return {"url": f"3dtiles/{layer_id}/{blocks_uri(node)}", "version": version}

    def held(self, layer_id: str, z: int, x: int, y: int, etag: str) -> Tile | None:
        """The blocks of that ETag if they are in memory."""
        return self._cache.get(("blocks", layer_id, z, x, y, etag))

    def tile(self, layer_id: str, z: int, x: int, y: int, asked: Form = "none") -> Tile:
        """The blocks of a node as a GLB, never empty, for clients that draw one box at many places as that.
        Raises NotFound."""
        self.columns.freshness.update()
        etag = self.etag(layer_id, z, x, y, asked)
        key = ("blocks", layer_id, z, x, y, etag)
        return self._cache.make(key, lambda: self._tile(layer_id, (z, x, y), etag, asked in ("gpu", "both")))

    def _tile(self, layer_id: str, node: Node, etag: str, instanced: bool) -> Tile:
        held = self._held(layer_id, node)
        body = build.far(
            held,
            node,
            far_sums.style_of(self._kind(layer_id)),
            self._ground,
            self._copyright,
            instanced,
            self.lists_members,
        )
        return Tile(gzip.compress(body, _GZIP_LEVEL, mtime=0), etag)

    def members(self, layer_id: str, z: int, x: int, y: int, above: bool | None = None) -> Members:
        """The features for which the blocks of a cell stand: all, those of what stands ``above`` the others
        by itself, or the others. Raises NotFound."""
        self.columns.freshness.update()
        self._check(layer_id, z, x, y, FAR_ZOOM + SPLIT)
        batch = self._features(layer_id, (z, x, y), z - SPLIT)
        _, high = build.ends(batch, self._rule(layer_id))
        held = self._cells_of(layer_id, z - SPLIT, batch)
        mine = np.ones(len(batch), bool)
        if above is not None:
            error = tree.far_error((z - SPLIT, x >> SPLIT, y >> SPLIT))
            mine = blocks.stand_out(held, high, error) == above
        alone = bool(mine.all()) and len(batch) == len(self._features(layer_id, (z, x, y), 0))
        return Members(batch.fids[mine], high[mine], batch.measure[mine], alone)

    def _check(self, layer_id: str, z: int, x: int, y: int, deepest: int) -> None:
        if not self.drawn(layer_id):
            raise NotFound(f"layer {shown(layer_id)!r} has no blocks: its kind is {self._kind(layer_id).id}")
        scheme.check_tile(z, x, y, (0, deepest))

    def _kind(self, layer_id: str) -> Kind:
        return kinds.known(self.columns.layer(layer_id).kind)

    def _rule(self, layer_id: str) -> Prism:
        body = self._kind(layer_id).body
        assert isinstance(body, Prism)
        return body

    def _held(self, layer_id: str, node: Node) -> Cells:
        if node[0] > far_sums.ZOOM:
            return self._added_up(layer_id, node)
        freshness = self.columns.freshness
        key = freshness.epoch, layer_id, node, freshness.blocks(layer_id, *node)
        return self._cells.make(key, lambda: self._made(layer_id, node))

    def _made(self, layer_id: str, node: Node) -> Cells:
        z, x, y = node
        snapshot = self.columns.snapshot(layer_id)
        if z == far_sums.ZOOM:
            kept = None
            if isinstance(snapshot, Snapshot) and node not in snapshot.changed_cells:
                kept = far_sums.at(snapshot.index.kept, self._kind(layer_id), node)
            return self._added_up(layer_id, node) if kept is None else kept
        below = [(z + 1, 2 * x + i, 2 * y + j) for j in (0, 1) for i in (0, 1)]
        # the world has four times as many cells a zoom, a city a few of them
        below = [each for each in below if snapshot.may_hold(each)]
        if not below:
            return self._added_up(layer_id, node)
        return blocks.coarser([self._held(layer_id, each) for each in below])

    def _added_up(self, layer_id: str, node: Node) -> Cells:
        return self._cells_of(layer_id, node[0], self._features(layer_id, node, node[0]))

    def _cells_of(self, layer_id: str, z: int, batch: Batch) -> Cells:
        return far_sums.cells(self._kind(layer_id), z, batch)

    def _features(self, layer_id: str, cell: Node, shown_from: int) -> Batch:
        """The features whose middle is in a cell, but for those that nodes of zoom ``shown_from`` or above
        show."""
        rule, style = self._rule(layer_id), far_sums.style_of(self._kind(layer_id))
        names = [rule.low, rule.high, *([style[0]] if style else [])]
        z, x, y = cell
        batch = self.columns.snapshot(layer_id).meeting(np.array([scheme.tile_box(z, x, y)]), names)
        n = 1 << z
        middle = np.clip(np.floor((batch.boxes[:, :2] + batch.boxes[:, 2:]) / 2 * n), 0, n - 1)
        inside = (middle[:, 0] == x) & (middle[:, 1] == y)
        if shown_from >= SCENE_ZOOMS[0]:
            inside &= tree.nodes(batch.boxes)[:, 0] > shown_from
        return batch.take(np.flatnonzero(inside))
