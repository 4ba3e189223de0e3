"""The tiles of a store: what HTTP asks, made on demand and kept while it is true.

Every answer's ETag is known before anything is encoded. Freshness comes from the change log
only; see :mod:`tiles.freshness`.
"""

from __future__ import annotations

import math
import weakref
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import orjson
from isal import igzip
from numpy.typing import NDArray

from layers import kinds
from layers.errors import BadParameter, NotFound, shown
from layers.kinds import Body, Model, Prism
from layers.mesh import Mesh
from layers.model import Change, FeatureLayer
from layers.parts import Remainders
from layers.raster.files import OpenFiles
from layers.types import Bbox
from tiles import extent, freshness, held, scheme, storeys
from tiles.batch import Batch
from tiles.cache import Cache
from tiles.declared import Declared, covers
from tiles.far import FarViews
from tiles.feature_source import FeatureSource
from tiles.freshness import Versions
from tiles.ground import FLAT, ConstantGround, Feet, Ground
from tiles.layer_columns import LayerColumns
from tiles.made import Form, Tile, document
from tiles.past import PastColumns, PastSnapshot
from tiles.relations import Relations, States
from tiles.scene import build, fit, tree
from tiles.scene.tileset import tileset
from tiles.scene.tree import Node, Tree
from tiles.scene.tree import tree as make_tree
from tiles.scheme import SCENE_ZOOMS
from tiles.snapshots import Snapshot
from tiles.terrain.service import TerrainTiles
from tiles.terrain.sheet import Blocks
from tiles.vector import documents, overview
from tiles.vector.clip import Clip
from tiles.vector.options import ByLayer, Options
from tiles.vector.overview import Made

#: Joined to the epoch in every ETag; to be changed whenever the same features give other bytes.
EDITION = ".8"
#: Layers that one tile may join.
MOST_LAYERS = 32
#: Tiles told one by one in one change set; beyond it the layer is told as a whole.
MOST_TOLD = 400
#: Nodes of which the parts' mark is remembered.
MOST_MARKS = 65_536
#: How the boxes of a tileset are: as its content is, or with room for edits, for a page that holds it while
#: nodes change.
type Bounds = Literal["content", "edits"]
CACHE_BYTES = 256 << 20
FRAGMENT_BYTES = 64 << 20
_GZIP_LEVEL = 1


@dataclass(frozen=True, slots=True)
class Changed:
    """Tiles to fetch again (``url`` below the server's address, ``version``: the ETag without quotes), and
    layers to load anew."""

    tiles: list[dict[str, str]]
    layers: list[str]


class Caches:
    """Made tiles, and decoded heights, in memory. Their keys hold their ETags, so views of one store may
    share it."""

    def __init__(self, files: OpenFiles | None = None) -> None:
        """``files`` are the rasters of the city that are open."""
        self.tiles: Cache[Tile] = Cache(CACHE_BYTES)
        self.fragments: Cache[Made] = Cache(FRAGMENT_BYTES)
        self.blocks = Blocks(files)


class Tiles:
    """Vector and 3D tiles of all layers of a store. Safe to use from several threads."""

    def __init__(
        self,
        store: FeatureSource,
        derived: Path | Tiles,
        ground: Ground = FLAT,
        caches: Caches | None = None,
        copyright_: str = "",
        terrain: TerrainTiles | None = None,
        options: Mapping[str, Options] | None = None,
    ) -> None:
        """``derived`` is the folder of files that can be made again, or, of a store as it was, the tiles of
        what is now, which differ from these where something changed; ``ground`` is the drawn surface;
        ``caches`` is what is shared with the tiles of other views of the same store; ``copyright_`` stands in
        every file of 3D tiles; ``terrain`` is that of what is seen, which hears of changes here; ``options``
        is what the city says of the vector tiles of layers."""
        caches = caches or Caches()
        self._copyright = copyright_
        self._notice = f".c{zlib.crc32(copyright_.encode()):08x}" if copyright_ else ""
        self._store = store
        self.options = ByLayer(options or {})
        self._ground, self.terrain = ground, terrain
        take_in = None if terrain is None else terrain.take_in
        self._columns: LayerColumns | PastColumns = (
            LayerColumns(store, derived / "columns", take_in)
            if isinstance(derived, Path)
            else PastColumns(store, derived._columns)
        )
        #: What stands behind the addresses of tiles of what was.
        self.query = f"?at=@{store.seq()}" if isinstance(self._columns, PastColumns) else ""
        self._scenes: dict[str, Declared] = {}
        self._cache, self._fragments = caches.tiles, caches.fragments
        self._marks: dict[tuple[str, Node], tuple[States, str]] = {}
        self._fitted: dict[str, tuple[object, Tile]] = {}
        self._choices: dict[str, tuple[object, storeys.Choices]] = {}
        self.freshness: Versions = self._columns.freshness
        self.relations = Relations(self._columns.layers, self._snapshot, self.freshness, self._even)
        self._reaches = held.Reaches(store, self.freshness, self.relations, ground)
        self.far = FarViews(self._columns, self._scene_etag, caches.tiles, ground, copyright_)
        self.freshness.update()
        self._told_ground = ground.key

    def behind(self) -> list[str]:
        """The layers whose columns the next tile would wait for."""
        self.freshness.update()
        return self._columns.behind() if isinstance(self._columns, LayerColumns) else []

    def prepare(self, layer_id: str) -> None:
        """Have at hand what a layer's tiles are made of; who asks for one meanwhile waits for the same.
        Raises NotFound."""
        if isinstance(self._columns, LayerColumns):
            self._columns.prepare(layer_id)
            overview.prepare(self._snapshot(layer_id), documents.drawing(self._layer(layer_id)))

    def problems(self) -> dict[str, str]:
        """Why the columns of some layers could not be kept, by layer."""
        return self._columns.problems() if isinstance(self._columns, LayerColumns) else {}

    def _layer(self, layer_id: str) -> FeatureLayer:
        """The layer as listed at the last change. Raises NotFound."""
        return self._columns.layer(layer_id)

    def _even(self) -> bool:
        return math.isinf(self._ground.step)

    def _snapshot(self, layer_id: str) -> Snapshot | PastSnapshot:
        return self._columns.snapshot(layer_id)

    def _etag(self, ids: Iterable[str], at: tuple[int, int, int], clip: Clip = "buffer") -> str:
        form = "" if clip == "buffer" else f"-{clip}"
        mark, version = self.options.mark(ids), self.freshness.vector(ids, *at)
        return f'"{self._store.epoch}{EDITION}{mark}-{version}{form}"'

    def _scene_etag(self, version: int, mark: str = "", form: Form = "none") -> str:
        # other parts, other remainders
        parted = f".{mark}" if mark else ""
        # another ground or another notice, other bytes
        ground = f".{key}" if (key := self._ground.key) else ""
        held = "" if form == "none" else f"-{form}"
        return f'"{self._store.epoch}{EDITION}{ground}{self._notice}{parted}-{version}{held}"'

    @property
    def ground_key(self) -> str:
        """What tells the surface that bodies stand on from others."""
        return self._ground.key

    def choices(self, layer_id: str) -> storeys.Choices:
        """The storeys and categories of a layer's features; none where it has no such fields. Raises
        NotFound."""
        self.freshness.update()
        if self._layer(layer_id).field(storeys.NUMBER) is None:
            return storeys.Choices()
        state = self.freshness.epoch, self.freshness.layer(layer_id)
        known = self._choices.get(layer_id)
        if known is None or known[0] != state:
            known = self._choices[layer_id] = state, storeys.of(self._snapshot(layer_id))
        return known[1]

    # -- vector tiles ------------------------------------------------------------------------

    def vector_etag(self, ids: Sequence[str], z: int, x: int, y: int, clip: Clip = "buffer") -> str:
        """The ETag of a vector tile as of the last ``freshness.update``; encodes nothing. Raises NotFound."""
        for layer_id in ids:
            self._layer(layer_id)
        if z > (deepest := self.options.maxzoom(ids)):
            raise NotFound(
                f"there are no tiles beyond zoom {deepest}: deeper ones are drawn from those of it"
            )
        scheme.check_tile(z, x, y, (0, deepest))
        return self._etag(ids, (z, x, y), clip)

    def vector_held(self, ids: Sequence[str], z: int, x: int, y: int, etag: str) -> Tile | None:
        """The tile of that ETag if it is in memory."""
        return self._cache.get((ids, z, x, y, etag))

    def vector(self, ids: Sequence[str], z: int, x: int, y: int, clip: Clip = "buffer") -> Tile:
        """One vector tile of one or more layers, cut at its edge in one of two ways. Raises NotFound."""
        self.freshness.update()
        ids = tuple(ids)
        etag = self.vector_etag(ids, z, x, y, clip)
        return self._cache.make((ids, z, x, y, etag), lambda: self._join(ids, (z, x, y), clip, etag))

    def _join(self, ids: tuple[str, ...], at: tuple[int, int, int], clip: Clip, etag: str) -> Tile:
        budget = overview.Budget()
        parts = [self._fragment(layer_id, at, clip, budget, len(ids) > 1) for layer_id in ids]
        share = overview.shares(parts, budget)
        if share is not None:
            parts = [
                part if share.holds(part) else self._fragment(layer_id, at, clip, share, True)
                for layer_id, part in zip(ids, parts, strict=True)
            ]
        body = b"".join(part.body for part in parts)
        packed = igzip.compress(body, _GZIP_LEVEL, mtime=0) if body else b""
        thin = any(part.thin for part in parts)
        return Tile(packed, etag, sum(part.merged for part in parts), thin)

    def _fragment(
        self, layer_id: str, at: tuple[int, int, int], clip: Clip, budget: overview.Budget, keep: bool
    ) -> Made:
        if not keep:
            return self._encode(layer_id, at, clip, budget)
        version = self._etag((layer_id,), at, clip)
        key = layer_id, *at, version, budget
        return self._fragments.make(key, lambda: self._encode(layer_id, at, clip, budget))

    def _encode(self, layer_id: str, at: tuple[int, int, int], clip: Clip, budget: overview.Budget) -> Made:
        drawing = documents.drawing(self._layer(layer_id), self.options.of(layer_id).properties)
        return overview.layer(layer_id, self._snapshot(layer_id), drawing, at, clip, budget)

    def tilejson(self, ids: Sequence[str], base_url: str, attribution: str = "") -> Tile:
        """TileJSON 3.0.0 of one or more layers; ``attribution`` is HTML. Raises NotFound."""
        self.freshness.update()
        layers = [self._layer(layer_id) for layer_id in ids]
        joined, deepest = ",".join(ids), self.options.maxzoom(ids)
        said: dict[str, object] = {
            "tilejson": "3.0.0",
            "name": joined,
            "tiles": [f"{base_url}/tiles/{joined}/{{z}}/{{x}}/{{y}}.mvt{self.query}"],
            "minzoom": 0,
            "maxzoom": deepest,
            "vector_layers": [documents.vector_layer(layer, deepest) for layer in layers],
            "merging": documents.merging(base_url, deepest, self.query),
        }
        if attribution:
            said["attribution"] = attribution
        boxes = [(layer.extent, partial(self._spans, layer.id)) for layer in layers if layer.extent]
        if boxes:
            said["bounds"] = extent.around(boxes)
        return self._document(orjson.dumps(said))

    def crossing(self, layer_id: str, box: Bbox) -> Bbox:
        """A layer's box (degrees), west > east where it lies across the antimeridian. Raises NotFound."""
        self.freshness.update()
        return extent.crossing(box, self._spans(layer_id))

    def _spans(self, layer_id: str) -> NDArray[np.float64]:
        return self._snapshot(layer_id).spans

    def _document(self, body: bytes) -> Tile:
        return document(body, self._store.epoch)

    # -- 3D tiles ----------------------------------------------------------------------------

    def _body(self, layer_id: str) -> Body:
        """How the layer's kind is drawn in 3D. Raises NotFound when it is not."""
        layer = self._layer(layer_id)
        body = kinds.known(layer.kind).body
        if body is None:
            raise NotFound(f"layer {shown(layer_id)!r} has no 3D tiles: its kind is {layer.kind}")
        return body

    def has_scene(self, layer: FeatureLayer) -> bool:
        """Whether a layer of this kind has 3D tiles."""
        return kinds.known(layer.kind).body is not None

    def tileset(self, layer_id: str, bounds: Bounds = "content") -> Tile:
        """``tileset.json`` of a layer, in boxes that fit what is there, or with room for edits of it. Raises
        NotFound."""
        self.freshness.update()
        rule = self._body(layer_id)
        if bounds == "edits":
            return self._scene(layer_id).document
        state = self.freshness.layer(layer_id), self.relations.state(layer_id), self._ground.key
        known = self._fitted.get(layer_id)
        if known is None or known[0] != state:
            known = self._fitted[layer_id] = state, self._fit(layer_id, rule)
        return known[1]

    def _fit(self, layer_id: str, rule: Body) -> Tile:
        far = self.far.drawn(layer_id)
        found = self._reaches.of(layer_id, self.freshness.seq, self._snapshot(layer_id), rule)
        if far:
            found = replace(found, low=np.minimum(found.low, 0.0))  # blocks stand on the ground
        return self._document(
            fit.tileset(found, self._ground, self._copyright, self.query, far, build.largest(rule))
        )

    def _scene(self, layer_id: str) -> Declared:
        ground = self._ground.key
        state = self.freshness.layer(layer_id), self.relations.standing(layer_id), ground
        known = self._scenes.get(layer_id)
        if known is not None and known.state == state:
            return known
        snapshot = self._snapshot(layer_id)
        if known is not None and known.state[2] == ground and self._fits(layer_id, known, snapshot):
            scene = self._scenes[layer_id] = replace(known, state=state)
            return scene
        fresh = self._tree(layer_id)
        if known is not None and known.state[2] == ground and covers(known.tree, fresh):
            # pages hold this tree: keep it while everything fits into it
            scene = replace(known, state=state, base=weakref.ref(snapshot.base.fids))
        else:
            far, largest = self.far.drawn(layer_id), build.largest(self._body(layer_id))
            made = self._document(tileset(fresh, self._copyright, self.query, far, largest))
            since = 0 if known is None else self.freshness.seq
            scene = Declared(fresh, made, state, since, weakref.ref(snapshot.base.fids))
        self._scenes[layer_id] = scene
        return scene

    def _fits(self, layer_id: str, known: Declared, snapshot: Snapshot | PastSnapshot) -> bool:
        """Whether what was patched in, all that is new to a tree, lies in its nodes and boxes."""
        if known.tree is None or known.base is None or known.base() is not snapshot.base.fids:
            return False
        patch = snapshot.patch if isinstance(snapshot, Snapshot) else None
        if patch is None or not len(patch):
            return True
        low, high = build.span(self._body(layer_id), patch.numbers)
        farthest = self.relations.farthest(layer_id)
        return known.tree.admits(patch.boxes, make_tree(patch.boxes, low, high, self._ground, farthest))

    def _tree(self, layer_id: str) -> Tree | None:
        snapshot = self._snapshot(layer_id)
        if not len(snapshot.boxes):
            return None
        low, high = build.span(self._body(layer_id), snapshot.numbers)
        return make_tree(snapshot.boxes, low, high, self._ground, self.relations.farthest(layer_id))

    def glb_etag(self, layer_id: str, z: int, x: int, y: int, asked: Form = "none") -> str:
        """The ETag of a node as of the last ``freshness.update``. Raises NotFound."""
        form = self._form(layer_id, asked)
        scheme.check_tile(z, x, y, (SCENE_ZOOMS[0], SCENE_ZOOMS[-1]))
        return self._node_etag(layer_id, (z, x, y), form)

    def glb_etag_known(self, layer_id: str, z: int, x: int, y: int, asked: Form = "none") -> str | None:
        """As :meth:`glb_etag`, without a look at any feature; None where it needs one."""
        state = self.relations.state(layer_id)
        if state is None:
            return self.glb_etag(layer_id, z, x, y, asked)
        known = self._marks.get((layer_id, (z, x, y)))
        if known is None or known[0] != state:
            return None
        form = self._form(layer_id, asked)
        return self._scene_etag(self.freshness.scene(layer_id, z, x, y), known[1], form)

    def _form(self, layer_id: str, asked: Form) -> Form:
        """In which form a layer's nodes are: those that are stored or of points repeat, others are packed.
        Raises NotFound."""
        rule = self._body(layer_id)
        repeats = isinstance(rule, Model) or (isinstance(rule, Prism) and rule.stored)
        own: Form = "gpu" if repeats else "meshopt"
        return own if asked in (own, "both") else "none"

    def _node_etag(self, layer_id: str, node: Node, form: Form = "none") -> str:
        """Of its features' newest number, and the parts that are drawn in their place."""
        return self._scene_etag(self.freshness.scene(layer_id, *node), self._mark(layer_id, node), form)

    def _mark(self, layer_id: str, node: Node) -> str:
        state = self.relations.state(layer_id)
        if state is None:
            return ""
        known = self._marks.get((layer_id, node))
        if known is None or known[0] != state:
            known = state, self.relations.mark(layer_id, node)
            if len(self._marks) >= MOST_MARKS:
                self._marks.clear()
            self._marks[layer_id, node] = known
        return known[1]

    def glb_held(self, layer_id: str, z: int, x: int, y: int, etag: str) -> Tile | None:
        """The node of that ETag if it is in memory."""
        return self._cache.get(self._node_key(layer_id, (z, x, y), etag))

    def glb(self, layer_id: str, z: int, x: int, y: int, asked: Form = "none") -> Tile:
        """One node of a layer's tree, never empty, in the form that is asked for. Raises NotFound."""
        self.freshness.update()
        etag = self.glb_etag(layer_id, z, x, y, asked)
        key = self._node_key(layer_id, (z, x, y), etag)
        form = self._form(layer_id, asked)
        return self._cache.make(key, lambda: self._node(layer_id, (z, x, y), etag, form))

    def _node_key(self, layer_id: str, node: Node, etag: str) -> tuple[object, ...]:
        """Where a node is in memory. One of what was has the ETag of what is now where nothing changed; where
        it may name images, it names them as of then."""
        rule = self._body(layer_id)
        return "3d", layer_id, *node, etag, self.query if isinstance(rule, Prism) and rule.stored else ""

    def bodies(self, layer_id: str, fids: Collection[int]) -> dict[int, Mesh]:
        """The bodies of features as they are drawn, by fid, in degrees and metres above the ellipsoid; of one
        that is not drawn nothing. Raises NotFound."""
        self.freshness.update()
        rule, snapshot = self._body(layer_id), self._snapshot(layer_id)
        boxes = snapshot.boxes_of(np.unique(np.array(list(fids), np.int64)))
        found: dict[int, Mesh] = {}
        for z, x, y in np.unique(tree.nodes(boxes), axis=0).tolist():
            batch = snapshot.node((z, x, y))
            own = [fid for fid in batch.fids.tolist() if fid in fids]
            stored = self._meshes(layer_id, own) if isinstance(rule, Prism) and rule.stored else {}
            left, feet = self._placed(layer_id, (z, x, y), batch, rule)
            shape = build.shape(batch, rule, self._ground, stored, left, feet)
            found |= {fid: mesh for fid, mesh in build.each(shape, batch.fids) if fid in fids}
        return found

    def _meshes(self, layer_id: str, fids: Sequence[int]) -> Mapping[int, Mesh]:
        return self._store.rows(layer_id, fids, meshes=True).meshes

    def _placed(
        self, layer_id: str, node: Node, batch: Batch, rule: Body
    ) -> tuple[Remainders | None, Feet | None]:
        """What their parts leave of a node's features, and where those stand that stand elsewhere."""
        if not isinstance(rule, Prism):
            return None, None
        left = self.relations.remainders(layer_id, node, batch, *build.ends(batch, rule))
        return left, self.relations.feet(layer_id, node, batch)

    def _node(self, layer_id: str, node: Node, etag: str, form: Form) -> Tile:
        (batch, beyond), rule = build.within(self._snapshot(layer_id).node(node)), self._body(layer_id)
        left, feet = self._placed(layer_id, node, batch, rule)
        body = build.node(
            batch,
            node,
            rule,
            self._ground,
            partial(self._meshes, layer_id),
            left,
            feet,
            self._copyright,
            fields=self._layer(layer_id).fields,
            textures=lambda wanted: self._store.texture_types(layer_id, wanted),
            query=self.query,
            instanced=form == "gpu",
            packed=form == "meshopt",
            beyond=beyond,
        )
        return Tile(igzip.compress(body, _GZIP_LEVEL, mtime=0), etag, beyond=beyond)

    # -- what to tell open pages -------------------------------------------------------------

    def changed(self, changes: Iterable[Change]) -> Changed:
        """What open pages are to be told of these changes; call it once a change set.

        A layer is told as a whole when it changed as a whole, in too many tiles, or beyond the 3D
        tree that pages hold. The versions are served from now on."""
        self.freshness.update()
        changes = list(changes)
        result = Changed([], [])
        first = min((change.seq for change in changes), default=0)
        for layer_id, mine in freshness.by_layer(changes).items():
            if self._is_too_much(layer_id, mine) or self._is_outgrown(layer_id, first):
                result.layers.append(layer_id)
            else:
                result.tiles.extend(self._touched(layer_id, mine))
        self._related(changes, first, result)
        self._raised(result)
        return result

    def stale(self, changes: Iterable[Change]) -> dict[str, list[dict[str, str]] | None]:
        """What is to be fetched again after these changes, whoever made them and however long ago, by layer:
        entries as in :class:`Changed`, None for all of its tiles. The versions are served from now on.

        It remembers nothing. Where nodes of a 3D tree are among them, so is the tileset with room for edits,
        whose version tells whether the tree is still the one that somebody holds."""
        self.freshness.update()
        changes = list(changes)
        result: dict[str, list[dict[str, str]] | None] = {}
        for layer_id, mine in freshness.by_layer(changes).items():
            result[layer_id] = None if self._is_too_much(layer_id, mine) else self._touched(layer_id, mine)
        scenes = [layer.id for layer in self._columns.layers().values() if self.has_scene(layer)]
        if any(change.fid is None and self._may_raise(change.layer) for change in changes):
            result |= dict.fromkeys(scenes)
        for layer_id, nodes in self.relations.touched(changes).items():
            known = result.setdefault(layer_id, [])
            if layer_id not in scenes or known is None:
                continue
            entries = self._node_entries(layer_id, nodes)
            result[layer_id] = None if entries is None else known + entries
        for layer_id in scenes:
            entries = result.get(layer_id)
            if entries and any(entry["url"].startswith("3dtiles/") for entry in entries):
                entries.append(self._tree_entry(layer_id))
                result[layer_id] = list({entry["url"]: entry for entry in entries}.values())
        return result

    def _may_raise(self, layer_id: str) -> bool:
        """Whether bodies may stand otherwise once a layer has changed as a whole: the ground is made of
        surfaces, and this is one, or may have been one before it went."""
        return not isinstance(self._ground, ConstantGround) and layer_id not in self._columns.layers()

    def _tree_entry(self, layer_id: str) -> dict[str, str]:
        version = self._scene(layer_id).document.etag.strip('"')
        return {"url": f"3dtiles/{layer_id}/tileset.json?bounds=edits", "version": version}

    def _raised(self, changed: Changed) -> None:
        """Add the layers whose bodies stand on another ground than before."""
        ground = self._ground.key
        if ground != self._told_ground:
            self._told_ground = ground
            known = set(changed.layers)
            changed.layers.extend(
                layer.id
                for layer in self._columns.layers().values()
                if layer.id not in known and self.has_scene(layer)
            )

    def _related(self, changes: Iterable[Change], first: int, changed: Changed) -> None:
        """Add the nodes whose features have other parts than before, or stand elsewhere as parts."""
        urls = {entry["url"] for entry in changed.tiles}
        for layer_id, nodes in self.relations.touched(changes).items():
            if layer_id in changed.layers or not self.has_scene(self._layer(layer_id)):
                continue
            entries = self._node_entries(layer_id, nodes)
            if entries is None or self._is_outgrown(layer_id, first):
                changed.layers.append(layer_id)
            else:
                changed.tiles.extend(entry for entry in entries if entry["url"] not in urls)

    def _node_entries(self, layer_id: str, nodes: Collection[Node] | None) -> list[dict[str, str]] | None:
        """What is told of nodes that are drawn otherwise; None where the layer is told as a whole."""
        if nodes is None or len(nodes) > MOST_TOLD:
            return None
        return [self._node_entry(layer_id, node) for node in sorted(nodes)]

    def _node_entry(self, layer_id: str, node: Node) -> dict[str, str]:
        z, x, y = node
        version = self._node_etag(layer_id, node).strip('"')
        return {"url": f"3dtiles/{layer_id}/{z}/{x}/{y}.glb", "version": version}

    def _is_too_much(self, layer_id: str, changes: list[Change]) -> bool:
        """Whether a layer is told of as a whole: it changed so, or in too many tiles, or is gone."""
        if len(changes) > MOST_TOLD or any(change.fid is None for change in changes):
            return True
        tiles: set[tuple[int, int, int]] = set()
        for change in changes:
            for tile in freshness.touched(change, self.options.maxzoom((layer_id,))):
                tiles.add(tile)
                if len(tiles) > MOST_TOLD:
                    return True
        return layer_id not in self._columns.layers()

    def _is_outgrown(self, layer_id: str, first: int) -> bool:
        """Whether pages that hold the tree from before a number of the log hold one that does not do any
        more."""
        known = self._scenes.get(layer_id)
        return known is not None and self._scene(layer_id).since >= first

    def _touched(self, layer_id: str, changes: list[Change]) -> list[dict[str, str]]:
        deepest = self.options.maxzoom((layer_id,))
        tiles = dict.fromkeys(tile for change in changes for tile in freshness.touched(change, deepest))
        touched = [
            {
                "url": f"tiles/{layer_id}/{z}/{x}/{y}.mvt",
                "version": self._etag((layer_id,), (z, x, y)).strip('"'),
            }
            for z, x, y in tiles
        ]
        if self.has_scene(self._layer(layer_id)):
            nodes = dict.fromkeys(node for change in changes for node in freshness.touched_nodes(change))
            touched += [self._node_entry(layer_id, node) for node in nodes]
        if self.far.drawn(layer_id):
            above = dict.fromkeys(node for change in changes for node in freshness.touched_blocks(change))
            touched += [self.far.entry(layer_id, node) for node in above]
        return touched


def layer_ids(text: str) -> tuple[str, ...]:
    """Layer ids from a path segment ``a,b``. Raises BadParameter for a repeated id or too many."""
    ids = tuple(text.split(","))
    if len(ids) > MOST_LAYERS:
        raise BadParameter("layers", f"{len(ids)} ids", f"at most {MOST_LAYERS} in one tile")
    if len(set(ids)) < len(ids):
        raise BadParameter("layers", text, "each id once")
    return ids
