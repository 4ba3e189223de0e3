"""Whether a model version is in the way of anything: of its own parts, and of the models beside it.

Only what is new in it, was moved or has another shape is looked at: what was there before clashes with
nothing new. Rooms and sites are no bodies that stand in a way.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from layers import kinds
from layers.errors import BadParameter
from layers.kinds.base import Prism
from layers.models import clash
from layers.models.clash import Body, Clash, Frame, Group
from layers.models.diff import changes
from layers.models.versions import find
from layers.query import Query
from layers.types import Bbox

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
    """What a body is of."""

    layer: str
    fid: int
    values: Mapping[str, Any]

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
    which are not closed, it is only known whether surfaces cross. ``left_out`` are layers, and why."""

    pairs: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0
    looked: int = 0
    others: int = 0
    open: int = 0
    left_out: dict[str, str] = field(default_factory=dict)


def look(
    view: View,
    layer_id: str,
    name: str,
    beside: Sequence[str] | None = None,
    tolerance: float = TOLERANCE,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Found:
    """The clashes of a version, the deepest first. ``beside`` are the layers that it is held against; without
    them all with bodies of their own. Raises NotFound, BadParameter."""
    version = find(view, layer_id, name).layer
    others, left_out = _layers(view, layer_id, version, beside)
    fresh = _read(view, version.id, _new(view, layer_id, version.id))
    placed = [one for one in fresh if len(one[1].positions)]
    if not placed:
        return Found(left_out=left_out)
    search = _Search(view, placed, tolerance, progress)
    del placed  # it has made bodies of them
    search.against(version, same=True)
    for other in others:
        search.against(other, same=False)
    return search.found(left_out)


def _new(view: View, layer_id: str, version: str) -> list[int]:
    """The features of a version that are new, moved or of another shape."""
    found = []
    for one in changes(view, layer_id, view, version):
        if one.fids[1] is not None and (one.kind in ("added", "moved") or one.shape_changed):
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
        if not isinstance(body, Prism) or not body.stored:
            if beside is not None:
                left_out[one.id] = "its bodies are drawn from fields, and not kept"
        elif one.vertical_datum != version.vertical_datum:
            datum = one.vertical_datum or "nothing that is named"
            left_out[one.id] = f"its heights count from {datum}"
        else:
            out.append(one)
    return out, left_out


class _Search:
    """New bodies that are held against those of one layer after the other."""

    def __init__(
        self,
        view: View,
        placed: Sequence[tuple[Element, Mesh]],
        tolerance: float,
        progress: Callable[[int, int], None],
    ) -> None:
        self._view, self._tolerance, self._progress = view, tolerance, progress
        corners = [mesh.positions[:, :2] for _, mesh in placed]
        west, south = np.min([some.min(axis=0) for some in corners], axis=0).tolist()
        east, north = np.max([some.max(axis=0) for some in corners], axis=0).tolist()
        self._box: Bbox = (west, south, east, north)
        self._frame = Frame((west + east) / 2, (south + north) / 2)
        self._fresh = Group(_bodies(self._frame, placed))
        self._ours = {one.name.fid for one in self._fresh.bodies}
        #: The largest, the smallest of them first: its volume (m3), minus how many came before, what is told.
        self._pairs: list[tuple[float, int, dict[str, Any]]] = []
        self._count = self._others = self._open = 0

    def against(self, layer: FeatureLayer, *, same: bool) -> None:
        """Find the clashes with those of a layer; ``same``: it is their own, and each pair is told once."""
        fids = self._near(layer)
        for at in range(0, len(fids), _BATCH):
            others = _bodies(self._frame, _read(self._view, layer.id, fids[at : at + _BATCH]))
            self._others += len(others)
            self._open += sum(one.solid is None for one in others if not same)
            for mine, other in self._fresh.near(others, self._tolerance):
                if not same or self._told_here(mine, other):
                    self._keep(clash.between(mine, other, self._tolerance))
            self._progress(min(at + _BATCH, len(fids)), len(fids))

    def found(self, left_out: dict[str, str]) -> Found:
        """What all of them have shown."""
        fresh = self._fresh.bodies
        return Found(
            pairs=[told for _, _, told in sorted(self._pairs, key=itemgetter(0, 1), reverse=True)],
            count=self._count,
            looked=len(fresh),
            others=self._others,
            open=self._open + sum(one.solid is None for one in fresh),
            left_out=left_out,
        )

    def _near(self, layer: FeatureLayer) -> list[int]:
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

    def _keep(self, hit: Clash | None) -> None:
        if hit is None:
            return
        self._count += 1
        size = hit.volume or 0.0
        if len(self._pairs) < MOST:
            heapq.heappush(self._pairs, (size, -self._count, _told(self._frame, hit)))
        elif size > self._pairs[0][0]:
            heapq.heapreplace(self._pairs, (size, -self._count, _told(self._frame, hit)))


def _read(view: View, layer: str, fids: Sequence[int]) -> Iterator[tuple[Element, Mesh]]:
    """(what it is, mesh) of features that have a body which may be in a way."""
    for at in range(0, len(fids), _BATCH):
        rows: Rows = view.rows(layer, fids[at : at + _BATCH], meshes=True)
        for index, fid in enumerate(rows.fids.tolist()):
            values = {name: column[index] for name, column in rows.properties.items()}
            mesh = rows.meshes.get(fid)
            if mesh is not None and not any(values.get(k) in words for k, words in _NO_BODIES.items()):
                yield Element(layer, fid, values), mesh


def _bodies(frame: Frame, some: Iterable[tuple[Element, Mesh]]) -> list[Body]:
    made = (frame.body(element, mesh) for element, mesh in some)
    return [one for one in made if one is not None]


def _told(frame: Frame, one: Clash) -> dict[str, Any]:
    lon, lat, height = frame.place(one.at)
    told: dict[str, Any] = {
        "new": one.first.name.told(),
        "other": one.second.name.told(),
        "at": [round(lon, 9), round(lat, 9), round(height, 3)],
    }
    if one.volume is None or one.depth is None:
        return told | {"crossings": one.crossings}
    return told | {"volume_m3": round(one.volume, 6), "depth_m": round(one.depth, 4)}
