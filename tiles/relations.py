"""Which parts a building has, derived from the columns of the layers as they are now.

Nothing of it is kept: the features near a place decide, by the rule of :mod:`layers.parts`. A feature's
parts follow from the parts whose box meets its own, and the whole of a part from the wholes whose box
meets the part's. What is drawn of wholes bears a mark, a digest of the parts that they have: the same
after a restart, another one after an edit that changes them, and the old one after its undo. On a ground
that is not even, parts stand where their whole does, and what is drawn of them bears a mark of that place.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray

from layers import kinds, parts
from layers.errors import NotFound
from layers.kinds import Prism
from layers.model import Change, FeatureLayer
from tiles import freshness as fresh
from tiles import scheme
from tiles.batch import Batch, polygons
from tiles.freshness import Versions
from tiles.ground import Feet
from tiles.mesh import body as bodies
from tiles.past import PastSnapshot
from tiles.scene import tree
from tiles.scheme import Floats
from tiles.snapshots import Snapshot

type Feature = tuple[str, int]
_SOURCE_ID = "source_id"
#: Nodes of which the relation is kept for a moment.
_HELD = 16
#: Boxes up to which what meets them is looked for, not everything looked at.
_FEW = 2_000


@dataclass(frozen=True, slots=True)
class Family:
    """The layers of wholes of one kind, and the layers whose features may be parts of them."""

    wholes: tuple[str, ...]
    parts: tuple[str, ...]


#: A family, the newest number of the log of its layers, and the epoch of the log.
type State = tuple[Family, int, str]
#: Of the family in which a layer's features are wholes, and of that in which they are parts that stand where
#: their wholes do.
type States = tuple[State | None, State | None]


@dataclass(slots=True)
class _State:
    """The families by kind of the wholes, of these layers at this number of the log."""

    layers: Mapping[str, FeatureLayer]
    seq: int
    families: dict[str, State | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Features:
    """Features of several layers: id and geometry, and one text and one number of each."""

    ids: list[Feature]
    boxes: Floats
    shapes: NDArray[np.object_]
    names: list[str | None]
    low: Floats


#: Parts, wholes, and the whole of every part.
type _Related = tuple[_Features, _Features, NDArray[np.int64]]


class Relations:
    """Wholes and parts of all layers. Safe to use from several threads."""

    def __init__(
        self,
        layers: Callable[[], Mapping[str, FeatureLayer]],
        snapshot: Callable[[str], Snapshot | PastSnapshot],
        freshness: Versions,
        even: Callable[[], bool] = lambda: True,
    ) -> None:
        """``even`` tells whether the ground has the same height everywhere: it does not matter then where on
        it a body stands."""
        self._layers = layers
        self._even = even
        self._snapshot = snapshot
        self._freshness = freshness
        self._state: _State = _State({}, -1)
        self._held: dict[tuple[str, tree.Node, Family], tuple[State, _Related]] = {}

    # -- which layers ------------------------------------------------------------------------

    def of_wholes(self, layer_id: str) -> Family | None:
        """The family in which the layer's features are wholes; None where nothing can be their part."""
        layers = self._layers()
        layer = layers.get(layer_id)
        return None if layer is None else self._family(layers, layer.kind)

    def of_parts(self, layer_id: str) -> Family | None:
        """The family in which the layer's features are parts."""
        layers = self._layers()
        layer = layers.get(layer_id)
        whole = None if layer is None else kinds.known(layer.kind).part_of
        return None if whole is None else self._family(layers, whole)

    def _family(self, layers: Mapping[str, FeatureLayer], whole: str) -> Family | None:
        family = self._known(layers, whole)
        return None if family is None else family[0]

    def _known(self, layers: Mapping[str, FeatureLayer], whole: str) -> State | None:
        state = self._state
        if state.layers is not layers or state.seq != self._freshness.seq:
            state = self._state = _State(layers, self._freshness.seq)
        if whole not in state.families:
            family = _members(layers, whole)
            newest = max((self._freshness.layer(id_) for id_ in (*family.wholes, *family.parts)), default=0)
            complete = family.wholes and family.parts
            state.families[whole] = (family, newest, self._freshness.epoch) if complete else None
        return state.families[whole]

    def state(self, layer_id: str) -> States | None:
        """What changes whenever a mark of the layer's nodes may; None where they have none."""
        states = self._parted(layer_id), self.standing(layer_id)
        return None if states == (None, None) else states

    def _parted(self, layer_id: str) -> State | None:
        layers = self._layers()
        layer = layers.get(layer_id)
        return None if layer is None else self._known(layers, layer.kind)

    def standing(self, layer_id: str) -> State | None:
        """What changes whenever the places at which the layer's features stand may, those of their wholes;
        None where it does not matter, or they are no parts of bodies."""
        layers = self._layers()
        layer = layers.get(layer_id)
        whole = None if layer is None or self._even() else kinds.known(layer.kind).part_of
        solid = whole is not None and isinstance(kinds.known(whole).body, Prism)
        return self._known(layers, whole) if whole and solid else None

    def alter(self, layer_id: str) -> bool:
        """Whether a body of the layer may be another, or stand elsewhere, than its feature by itself says."""
        layer = self._layers().get(layer_id)
        rule = None if layer is None else kinds.known(layer.kind).body
        placed = isinstance(rule, Prism) and rule.foot is not None and not self._even()
        return placed or self.of_wholes(layer_id) is not None or self.standing(layer_id) is not None

    def layout(self, layer_id: str) -> tuple[tuple[str, int], ...]:
        """The layers, each as it was loaded, on whose features the layer's bodies may depend."""
        layers = self._layers()
        families = self.of_wholes(layer_id), self.of_parts(layer_id)
        ids = {layer_id, *(id_ for one in families if one is not None for id_ in (*one.wholes, *one.parts))}
        return tuple((id_, layers[id_].generation) for id_ in sorted(ids) if id_ in layers)

    # -- what belongs to what ----------------------------------------------------------------

    def remainders(
        self, layer_id: str, node: tree.Node, batch: Batch, low: Floats, high: Floats
    ) -> parts.Remainders | None:
        """What their parts leave over of the features of a 3D node, by row; None where none has parts.

        ``low`` and ``high`` (n,) are the ends of the features' bodies (m above ground)."""
        state = self._parted(layer_id)
        if state is None or not len(batch):
            return None
        members, wholes, owner = self._of_node(layer_id, node, state, state[0], batch.boxes)
        rows = {(layer_id, fid): row for row, fid in enumerate(batch.fids.tolist())}
        row = np.array([rows.get(feature, -1) for feature in wholes.ids] + [-1], np.int64)
        mine = np.flatnonzero(row[owner] >= 0)  # the last stands for no whole
        if not len(mine):
            return None
        used, of = np.unique(owner[mine], return_inverse=True)
        at = row[used]
        left = parts.remainders(
            wholes.shapes[used], low[at], high[at], members.shapes[mine], of, members.low[mine]
        )
        return parts.Remainders(at, at[left.whole], left.shape, left.top)

    def raised(self, layer_id: str, boxes: Floats, high: Floats) -> Floats:
        """The high ends (n,) of features with world boxes (n, 4) where one with parts may be drawn up to the
        underside of a part that begins above it."""
        family = self.of_wholes(layer_id)
        if family is None or not len(boxes):
            return high
        out = high.copy()
        near = shapely.STRtree(shapely.box(*boxes.T))
        for part in family.parts:
            rule = kinds.known(self._layers()[part].kind).body
            if not isinstance(rule, Prism):
                continue
            some = self._around(part, boxes, (rule.low,))
            if some is not None and len(some.boxes):
                bottom = bodies.known(some.numbers(rule.low), 0.0)
                its, whole = near.query(shapely.box(*some.boxes.T))
                np.maximum.at(out, whole, bottom[its])
        return out

    def feet(self, layer_id: str, node: tree.Node, batch: Batch) -> Feet | None:
        """Where those features of a 3D node stand that stand elsewhere than where they are: parts where their
        wholes do, others where they say; None where none does."""
        if not len(batch):
            return None
        said = self._said(layer_id, batch.numbers)
        placed = dict(zip(said.rows.tolist(), map(tuple, said.places.tolist()), strict=True))
        state = self.standing(layer_id)
        if state is not None:
            rows = {fid: row for row, fid in enumerate(batch.fids.tolist())}
            for fid, place in self._placed(layer_id, node, state, batch.boxes):
                if (row := rows.get(fid)) is not None:
                    placed[row] = place
        return Feet(np.array(list(placed)), np.array(list(placed.values()))) if placed else None

    def _said(self, layer_id: str, numbers: Callable[[str], Floats]) -> Feet:
        """Where those features stand whose fields say it, of which these are the numbers."""
        layer = self._layers().get(layer_id)
        rule = None if layer is None or self._even() else kinds.known(layer.kind).body
        if not isinstance(rule, Prism) or rule.foot is None:
            return Feet(np.empty(0, np.int64), np.empty((0, 2)))
        lon, lat = map(numbers, rule.foot)
        rows = np.flatnonzero((np.abs(lon) <= 180) & (np.abs(lat) <= 90))
        return Feet(rows, np.column_stack(scheme.world(lon[rows], lat[rows])))

    def _placed(
        self, layer_id: str, node: tree.Node, state: State, boxes: Floats
    ) -> list[tuple[int, tuple[float, float]]]:
        """Parts near the features of a 3D node, which have these boxes, and where they stand."""
        family = Family(state[0].wholes, (layer_id,))
        members, wholes, owner = self._of_node(layer_id, node, state, family, boxes)
        west, north, east, south = wholes.boxes.T
        x, y = (west + east) / 2, (north + south) / 2
        return [
            (members.ids[part][1], (float(x[owner[part]]), float(y[owner[part]])))
            for part in np.flatnonzero(owner >= 0).tolist()
        ]

    def possible_feet(self, layer_id: str, boxes: Floats, numbers: Callable[[str], Floats]) -> Feet:
        """Where features of a layer, with these world boxes (n, 4) and numbers (n,), may stand, each at any
        number of places: where they say, and where all wholes do whose box meets theirs."""
        state = self.standing(layer_id)
        said = self._said(layer_id, numbers)
        rows, places = [said.rows], [said.places]
        others = () if state is None else state[0].wholes
        near = shapely.STRtree(shapely.box(*boxes.T)) if others else None
        for whole in others:
            some = self._around(whole, boxes, ())
            if some is None:
                continue
            its = some.boxes
            of, row = near.query(shapely.box(*its.T))  # type: ignore[union-attr]
            rows.append(row)
            places.append(((its[:, :2] + its[:, 2:]) / 2)[of])
        return Feet(np.concatenate(rows), np.concatenate(places))

    def farthest(self, layer_id: str) -> float:
        """Metres at most from the box of a feature to where it stands, as its whole does or as it says; else
        0."""
        state = self.standing(layer_id)
        wholes = () if state is None else state[0].wholes
        reaches = [tree.sizes(self._snapshot(whole).boxes) / 2 for whole in wholes]
        snapshot = self._snapshot(layer_id)
        said = self._said(layer_id, snapshot.numbers)
        if len(said.rows):
            own = snapshot.boxes[said.rows]
            # across the larger of the two sides of a box around both
            around = np.minimum(own[:, :2], said.places), np.maximum(own[:, 2:], said.places)
            reaches.append(tree.sizes(np.hstack(around)) * np.sqrt(2))
        return max((float(each.max(initial=0.0)) for each in reaches), default=0.0)

    def parts(self, layer_id: str, fid: int) -> list[Feature]:
        """The parts of a feature."""
        family = self.of_wholes(layer_id)
        box = self._snapshot(layer_id).feature(fid) if family else None
        if family is None or box is None:
            return []
        members, wholes, owner = self._related(family, box[None])
        return [
            members.ids[p]
            for p, w in enumerate(owner.tolist())
            if w >= 0 and wholes.ids[w] == (layer_id, fid)
        ]

    def whole(self, layer_id: str, fid: int) -> Feature | None:
        """The whole of which a feature is a part."""
        family = self.of_parts(layer_id)
        box = self._snapshot(layer_id).feature(fid) if family else None
        if family is None or box is None:
            return None
        members, wholes, owner = self._related(family, box[None])
        whole = next((w for p, w in enumerate(owner.tolist()) if members.ids[p] == (layer_id, fid)), -1)
        return None if whole < 0 else wholes.ids[whole]

    def _of_node(
        self, layer_id: str, node: tree.Node, state: State, family: Family, boxes: Floats
    ) -> _Related:
        """As ``_related``; kept a moment: whoever asks for a node's mark then asks for its body."""
        held = self._held.get((layer_id, node, family))
        if held is None or held[0] != state:
            held = state, self._related(family, boxes)
            if len(self._held) >= _HELD:
                self._held.clear()
            self._held[layer_id, node, family] = held
        return held[1]

    def _related(self, family: Family, boxes: Floats) -> _Related:
        """The parts that meet some boxes, the wholes that may hold them, and the whole of every part."""
        members = self._features(family.parts, boxes, part=True)
        wholes = self._features(family.wholes, members.boxes, part=False)
        return members, wholes, parts.owners(members.shapes, wholes.shapes, members.names, wholes.names)

    def _features(self, layer_ids: Iterable[str], boxes: Floats, *, part: bool) -> _Features:
        """The polygons of some layers whose box meets one of some world boxes."""
        out = _Features([], np.empty((0, 4)), np.empty(0, dtype=object), [], np.empty(0))
        layers = self._layers()
        for layer_id in layer_ids:
            kind = kinds.known(layers[layer_id].kind)
            name = (kind.parent or "") if part else _SOURCE_ID
            low = kind.body.low if isinstance(kind.body, Prism) else ""
            batch = self._near(layer_id, boxes, (name, low))
            if batch is None:
                continue
            shapes = polygons(batch)
            present = np.flatnonzero(~shapely.is_missing(shapes))
            names = batch.texts(name)
            out = _Features(
                [*out.ids, *((layer_id, fid) for fid in batch.fids[present].tolist())],
                np.concatenate([out.boxes, batch.boxes[present]]),
                np.concatenate([out.shapes, shapes[present]]),
                [*out.names, *(names[i] for i in present.tolist())],
                np.concatenate([out.low, bodies.known(batch.numbers(low, 0.0)[present], 0.0)]),
            )
        return out

    # -- how new it is -----------------------------------------------------------------------

    def mark(self, layer_id: str, node: tree.Node) -> str:
        """A digest of the parts that the features of a 3D node have, and of where they stand that are parts;
        empty where there is nothing of either."""
        states = self.state(layer_id)
        if states is None:
            return ""
        of_wholes, of_parts = states
        fids, boxes = self._snapshot(layer_id).node_boxes(node)
        known = set(fids.tolist())
        digest = hashlib.blake2b(digest_size=6)
        untouched = digest.digest()
        if of_wholes is not None:
            members, wholes, owner = self._of_node(layer_id, node, of_wholes, of_wholes[0], boxes)
            for part in np.flatnonzero(owner >= 0).tolist():
                layer, fid = wholes.ids[owner[part]]
                if layer == layer_id and fid in known:
                    low = float(members.low[part])
                    digest.update(struct.pack("<qd", fid, low) + shapely.to_wkb(members.shapes[part]))
        if of_parts is not None:
            for fid, place in self._placed(layer_id, node, of_parts, boxes):
                if fid in known:
                    digest.update(struct.pack("<qdd", fid, *place))
        return "" if digest.digest() == untouched else digest.hexdigest()

    def touched(self, changes: Iterable[Change]) -> dict[str, set[tree.Node] | None]:
        """The 3D nodes, by layer, of wholes whose parts these changes may have changed, and of parts that
        they may have put elsewhere; None for all."""
        by_layer: dict[str, list[Change]] = {}
        for change in changes:
            by_layer.setdefault(change.layer, []).append(change)
        out: dict[str, set[tree.Node] | None] = {}
        for family in self._families_touched(by_layer):
            self._add(out, family.wholes, self._touched_boxes(family, by_layer))
            if not self._even():
                self._add(out, family.parts, self._moved_boxes(family, by_layer))
        return out

    def _add(
        self, out: dict[str, set[tree.Node] | None], layer_ids: Iterable[str], boxes: Floats | None
    ) -> None:
        """Add the nodes of the features of some layers that meet world boxes; all where there are no boxes
        to tell them by."""
        for layer_id in layer_ids:
            if boxes is None:
                out[layer_id] = None
            elif len(boxes):
                met = {(z, x, y) for z, x, y in tree.nodes(self._meeting((layer_id,), boxes)).tolist()}
                known = out.setdefault(layer_id, set())
                if known is not None:
                    known |= met

    def _families_touched(self, by_layer: Mapping[str, Sequence[Change]]) -> list[Family]:
        """The families of which a layer changed. Where the last layer of parts, or of wholes, has gone, one
        without."""
        layers = self._layers()
        gone = not by_layer.keys() <= layers.keys()
        out: dict[str, Family] = {}
        for layer_id in layers:
            kind = layers[layer_id].kind
            for whole in (kind, kinds.known(kind).part_of or kind):
                family = self._family(layers, whole)
                if family is None and gone and kinds.parts_of(whole):
                    family = _members(layers, whole)
                if family is not None:
                    out[whole] = family
        return list(out.values())

    def _touched_boxes(self, family: Family, by_layer: Mapping[str, Sequence[Change]]) -> Floats | None:
        """Boxes of changed parts, and of parts near changed wholes; None where a change names no box."""
        # a layer that is gone may have held parts
        gone = by_layer.keys() - self._layers().keys()
        members = [c for id_ in (*family.parts, *sorted(gone)) for c in by_layer.get(id_, ())]
        wholes = [c for id_ in family.wholes for c in by_layer.get(id_, ())]
        if any(c.old is None and c.new is None for c in (*members, *wholes)):
            return None
        return np.concatenate([_boxes(members), self._meeting(family.parts, _boxes(wholes))])

    def _moved_boxes(self, family: Family, by_layer: Mapping[str, Sequence[Change]]) -> Floats | None:
        """Boxes of changed wholes, which meet those of their parts; None where a change names no box."""
        gone = by_layer.keys() - self._layers().keys()
        wholes = [c for id_ in (*family.wholes, *sorted(gone)) for c in by_layer.get(id_, ())]
        if any(c.old is None and c.new is None for c in wholes):
            return None
        return _boxes(wholes)

    def _meeting(self, layer_ids: Iterable[str], boxes: Floats) -> Floats:
        """The boxes of the features of some layers that meet one of some world boxes."""
        met = [batch.boxes for id_ in layer_ids if (batch := self._near(id_, boxes, ())) is not None]
        return np.concatenate([np.empty((0, 4)), *met])

    def _near(self, layer_id: str, boxes: Floats, names: Sequence[str]) -> Batch | None:
        """The features of a layer that meet one of some world boxes; None where the layer has just gone."""
        try:
            return self._snapshot(layer_id).meeting(boxes, names) if len(boxes) else None
        except NotFound:
            return None

    def _around(
        self, layer_id: str, boxes: Floats, names: Sequence[str]
    ) -> Batch | Snapshot | PastSnapshot | None:
        """The features of a layer among which are all that meet some world boxes: these alone where the boxes
        are few."""
        return self._near(layer_id, boxes, names) if len(boxes) <= _FEW else self._snapshot(layer_id)


def _members(layers: Mapping[str, FeatureLayer], whole: str) -> Family:
    """The family of the wholes of a kind; either side may be empty. Model versions that wait belong to none:
    they take nothing from what is there."""
    current = {id_: layer for id_, layer in layers.items() if layer.version_of is None}
    return Family(
        tuple(sorted(id_ for id_, layer in current.items() if layer.kind == whole)),
        tuple(sorted(id_ for id_, layer in current.items() if kinds.known(layer.kind).part_of == whole)),
    )


def _boxes(changes: Iterable[Change]) -> Floats:
    return np.array([box for c in changes for box in fresh.world_boxes_of(c)], float).reshape(-1, 4)
