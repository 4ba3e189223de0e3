"""Whether a model version is in the way of anything: of its own parts, and of what is beside it.

Only what is new in it, was moved or has another shape is looked at: what was there before clashes with
nothing new. Rooms and sites are no bodies that stand in a way. Two bodies that are kept are held against one
another as their sources place them; what is drawn from fields, a footprint that is raised or a line with a
diameter, is held against bodies as the page draws both, on the same ground.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from layers import kinds
from layers.errors import BadParameter
from layers.kinds.base import Model, Prism, Tube
from layers.models import clash, metres
from layers.models.clash import Body, Clash, Frame, Group
from layers.models.diff import ElementChange, changes
from layers.models.versions import find
from layers.query import Query
from layers.types import Bbox
from twin.dossier import CODES

if TYPE_CHECKING:
    from layers.mesh import Mesh
    from layers.model import FeatureLayer, Rows
    from twin.catalogue.view import View

#: What no body of is in a way, by the field that says it.
_NO_BODIES = {"category": frozenset({"space", "site"}), "object_type": frozenset({"Room", "BuildingRoom"})}
#: What is told of an element beside its title; heights are metres above the ground on which its model stands.
_SHOWN = ("category", "storey", "storey_no", "building_id", "min_height_m", "height_m")
#: Metres that bodies may be in one another.
TOLERANCE = 0.01
#: Pairs that are told, bodies that are read, and ids that are asked for at a time.
MOST, _BATCH, _PAGE = 1_000, 500, 10_000


@dataclass(frozen=True, slots=True)
class Element:
    """What a body is of; ``drawn`` from fields, where no body of it is kept."""

    layer: str
    fid: int
    values: Mapping[str, Any]
    drawn: bool = False

    def told(self) -> dict[str, Any]:
        """In JSON."""
        shown = {name: self.values.get(name) for name in _SHOWN}
        title = self.values.get("name") or self.values.get("source_id") or f"{self.layer} {self.fid}"
        element = self.values.get("source_id")
        filled = {name: value for name, value in shown.items() if value is not None}
        return {"layer": self.layer, "id": self.fid, "element": element, "title": str(title), **filled}


@dataclass(slots=True)
class Found:
    """``pairs`` of ``count`` clashes; ``looked`` new bodies were held against ``others``; of ``open`` ones,
    which are not closed, it is only known whether surfaces cross. ``left_out`` are layers, and why. ``near``
    are pairs of ``near_count`` that are in nothing, and nearer to one another than was asked for."""

    pairs: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0
    looked: int = 0
    others: int = 0
    open: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    near: list[dict[str, Any]] = field(default_factory=list)
    near_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """``beside`` are the layers that a version is held against; without them all that have bodies.
    ``tolerance`` (m) is how deep bodies may be in one another, ``clearance`` (m) how far from pipes they have
    to be."""

    beside: Sequence[str] | None = None
    tolerance: float = TOLERANCE
    clearance: float = 0.0


def look(
    view: View,
    layer_id: str,
    name: str,
    asked: Question | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Found:
    """The clashes of a version, the deepest first. Raises NotFound, BadParameter."""
    asked = asked or Question()
    version = find(view, layer_id, name).layer
    others, left_out = _layers(view, layer_id, version, asked.beside)
    fresh = _read(view, version, _new(view, layer_id, version))
    search = _Search(view, version, fresh, asked, progress)
    if not search.looked:
        return Found(left_out=left_out)
    del fresh  # it has made bodies of them
    search.against(version)
    for other in others:
        search.against(other)
    return search.found(left_out)


def _new(view: View, layer_id: str, version: FeatureLayer) -> list[int]:
    """The features of a version that are new, moved or of another shape."""
    body = kinds.known(version.kind).body
    drawn = {body.low, body.high} if isinstance(body, Prism) else set()
    drawn |= {body.depth, body.diameter, body.change} if isinstance(body, Tube) else set()

    def reshaped(one: ElementChange) -> bool:
        bare = one.new is not None and one.new.mesh is None
        return one.shape_changed or (bare and not drawn.isdisjoint(one.fields))

    found = []
    for one in changes(view, layer_id, view, version.id):
        if one.fids[1] is not None and (one.kind in ("added", "moved") or reshaped(one)):
            found.append(one.fids[1])
    return found


def _layers(
    view: View, layer_id: str, version: FeatureLayer, beside: Sequence[str] | None
) -> tuple[list[FeatureLayer], dict[str, str]]:
    """What a version is held against, beside itself; and what is left out of that, and why. Raises NotFound,
    BadParameter."""
    named = dict.fromkeys(beside or ())
    chosen = view.feature_layers() if beside is None else [view.feature_layer(one) for one in named]
    out: list[FeatureLayer] = []
    left_out: dict[str, str] = {}
    for one in chosen:
        if one.id == layer_id or one.version_of is not None:
            if beside is not None:
                raise BadParameter("beside", one.id, "a version is held against its own parts anyway")
            continue
        body = kinds.known(one.kind).body
        if body is None or isinstance(body, Model):
            # of a set form is not how large it is
            if beside is not None:
                left_out[one.id] = "it has no bodies"
        elif isinstance(body, Prism) and body.stored and one.vertical_datum != version.vertical_datum:
            datum = one.vertical_datum or "nothing that is named"
            left_out[one.id] = f"its heights count from {datum}"
        else:
            out.append(one)
    return out, left_out


#: An element and its mesh; None of one whose body is drawn from fields.
type _Placed = tuple[Element, Mesh | None]


class _Largest:
    """The pairs that are told: the :data:`MOST` that are worst, and how many there were."""

    def __init__(self) -> None:
        self._kept: list[tuple[float, int, dict[str, Any]]] = []
        self.count = 0

    def add(self, size: float, told: Callable[[], dict[str, Any]]) -> None:
        """One more; ``size`` is larger of a worse one."""
        self.count += 1
        if len(self._kept) < MOST:
            heapq.heappush(self._kept, (size, -self.count, told()))
        elif size > self._kept[0][0]:
            heapq.heapreplace(self._kept, (size, -self.count, told()))

    def told(self) -> list[dict[str, Any]]:
        """The worst first."""
        return [told for _, _, told in sorted(self._kept, key=itemgetter(0, 1), reverse=True)]


class _Search:
    """New bodies that are held against those of one layer after the other."""

    def __init__(
        self,
        view: View,
        version: FeatureLayer,
        fresh: Sequence[_Placed],
        asked: Question,
        progress: Callable[[int, int], None],
    ) -> None:
        self._view, self._version, self._asked, self._progress = view, version, asked, progress
        kept = [(one, mesh) for one, mesh in fresh if mesh is not None and len(mesh.positions)]
        bare = _drawn(view, version.id, [one for one, mesh in fresh if mesh is None])
        self._fresh = kept, bare
        #: By how much (m) a body is drawn above the height that its source says, by feature.
        self._lifts: dict[int, float] = {}
        self._pairs, self._near = _Largest(), _Largest()
        self.looked = self._others = self._open = 0
        corners = [mesh.positions[:, :2] for _, mesh in (*kept, *bare)]
        if not corners:
            return
        west, south = np.min([some.min(axis=0) for some in corners], axis=0).tolist()
        east, north = np.max([some.max(axis=0) for some in corners], axis=0).tolist()
        self._frame = Frame((west + east) / 2, (south + north) / 2)
        lon, lat = asked.clearance / np.array(metres.of_degrees(self._frame.lat))
        self._box: Bbox = (west - lon, south - lat, east + lon, north + lat)
        self._kept, self._bare = (Group(_bodies(self._frame, some)) for some in self._fresh)
        fresh_bodies = [*self._kept.bodies, *self._bare.bodies]
        self._ours = {one.name.fid for one in fresh_bodies}
        self._open = sum(one.solid is None for one in fresh_bodies)
        self.looked = len(fresh_bodies)

    @cached_property
    def _drawn(self) -> Group:
        """All of the new bodies as they are drawn."""
        kept, bare = self._fresh
        tops = {one.fid: float(mesh.positions[:, 2].max()) for one, mesh in kept}
        drawn = _drawn(self._view, self._version.id, [one for one, _ in kept])
        for one, mesh in drawn:
            self._lifts[one.fid] = float(mesh.positions[:, 2].max()) - tops[one.fid]
        return Group(_bodies(self._frame, [*drawn, *bare]))

    def against(self, layer: FeatureLayer) -> None:
        """Find the clashes with those of a layer, which may be the version's own."""
        same = layer.id == self._version.id
        clearance = self._asked.clearance if isinstance(kinds.known(layer.kind).body, Tube) else 0.0
        fids = self._near_by(layer)
        for at in range(0, len(fids), _BATCH):
            rows = _read(self._view, layer, fids[at : at + _BATCH])
            others = [(one, mesh) for one, mesh in rows if mesh is not None]
            self._hold(self._kept, _bodies(self._frame, others), 0.0, same=same, known=False)
            if self._bare.bodies and others:
                drawn = _drawn(self._view, layer.id, [one for one, _ in others])
                self._hold(self._bare, _bodies(self._frame, drawn), 0.0, same=same, known=True)
            if bare := [one for one, mesh in rows if mesh is None]:
                drawn = _drawn(self._view, layer.id, bare)
                self._hold(self._drawn, _bodies(self._frame, drawn), clearance, same=same, known=False)
            self._progress(min(at + _BATCH, len(fids)), len(fids))

    def _hold(
        self, fresh: Group, others: Sequence[Body], clearance: float, *, same: bool, known: bool
    ) -> None:
        """Hold some of the new bodies against some others, which are counted but where they are ``known``."""
        if not known:
            self._others += len(others)
            self._open += sum(one.solid is None for one in others if not same)
        tolerance = self._asked.tolerance
        for mine, other in fresh.near(others, -clearance if clearance else tolerance):
            if (same and not self._told_here(mine, other)) or self._is_in(mine.name, other.name):
                continue
            hit = clash.between(mine, other, tolerance)
            if hit is not None:
                self._pairs.add(hit.volume or 0.0, lambda hit=hit: self._told(hit))  # type: ignore[misc]
            elif clearance and (close := clash.apart(mine, other, clearance)) is not None:
                self._near.add(-(close.gap or 0.0), lambda hit=close: self._told(hit))  # type: ignore[misc]

    def found(self, left_out: dict[str, str]) -> Found:
        """What all of them have shown."""
        return Found(
            pairs=self._pairs.told(),
            count=self._pairs.count,
            looked=self.looked,
            others=self._others,
            open=self._open,
            left_out=left_out,
            near=self._near.told(),
            near_count=self._near.count,
        )

    def _near_by(self, layer: FeatureLayer) -> list[int]:
        """All features of a layer that may meet one of the new bodies."""
        fids: list[int] = []
        query = Query(bbox=self._box, properties=(), limit=_PAGE)
        while True:
            page = self._view.select(layer.id, query)
            fids += page.rows.fids.tolist()
            if page.next_after is None:
                return fids
            query = replace(query, after=page.next_after)

    def _told_here(self, mine: Body, other: Body) -> bool:
        """Whether a pair of one layer is looked at in this order: of two new bodies it is met twice."""
        return mine.name.fid != other.name.fid and (
            other.name.fid not in self._ours or mine.name.fid < other.name.fid
        )

    def _is_in(self, mine: Element, other: Element) -> bool:
        """Whether a new element says that it is part of the other one, whose body makes room for it."""
        parent = kinds.known(self._version.kind).parent
        code = None if parent is None or other.layer == mine.layer else mine.values.get(parent)
        return code is not None and code in [other.values.get(name) for name in CODES]

    def _told(self, one: Clash) -> dict[str, Any]:
        mine: Element = one.first.name
        lon, lat, height = self._frame.place(one.at)
        if one.second.name.drawn or mine.drawn:
            height -= self._lifts.get(mine.fid, 0.0)
        told: dict[str, Any] = {
            "new": mine.told(),
            "other": one.second.name.told(),
            "at": [round(lon, 9), round(lat, 9), round(height, 3)],
        }
        if one.gap is not None:
            return told | {"gap_m": round(one.gap, 4)}
        if one.volume is None or one.depth is None:
            return told | {"crossings": one.crossings}
        return told | {"volume_m3": round(one.volume, 6), "depth_m": round(one.depth, 4)}


def _read(view: View, layer: FeatureLayer, fids: Sequence[int]) -> list[_Placed]:
    """Features that have a body which may be in a way."""
    body = kinds.known(layer.kind).body
    found: list[_Placed] = []
    for at in range(0, len(fids), _BATCH):
        stored = isinstance(body, Prism) and body.stored
        rows: Rows = view.rows(layer.id, fids[at : at + _BATCH], meshes=stored)
        for index, fid in enumerate(rows.fids.tolist()):
            values = {name: column[index] for name, column in rows.properties.items()}
            mesh = rows.meshes.get(fid) if stored else None
            if body is not None and not any(values.get(k) in words for k, words in _NO_BODIES.items()):
                found.append((Element(layer.id, fid, values, drawn=mesh is None), mesh))
    return found


def _drawn(view: View, layer: str, elements: Sequence[Element]) -> list[tuple[Element, Mesh]]:
    """The bodies of elements as they are drawn, of those that are."""
    if not elements:
        return []
    bodies = view.make_tiles().bodies(layer, {one.fid for one in elements})
    return [(one, bodies[one.fid]) for one in elements if one.fid in bodies]


def _bodies(frame: Frame, some: Iterable[tuple[Element, Mesh]]) -> list[Body]:
    made = (frame.body(element, mesh) for element, mesh in some)
    return [one for one in made if one is not None]
