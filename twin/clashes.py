"""Whether a model version is in the way of anything: of its own parts, and of the models beside it.

Only what is new in it, was moved or has another shape is looked at: what was there before clashes with
nothing new. Rooms and sites are no bodies that stand in a way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from layers import clash, kinds
from layers.clash import Body, Clash, Frame
from layers.errors import BadParameter
from layers.kinds.base import Prism
from layers.model_diff import changes
from layers.query import Query
from layers.types import Bbox, version_of
from layers.versions import find

if TYPE_CHECKING:
    from layers.model import FeatureLayer, Rows
    from twin.catalogue.view import View

#: What no body of is in a way, by the field that says it.
_NO_BODIES = {"category": frozenset({"space", "site"}), "object_type": frozenset({"Room", "BuildingRoom"})}
#: Metres that bodies may be in one another.
TOLERANCE = 0.01
#: Pairs that are told, and bodies of other layers that are read at a time and at most.
MOST, _BATCH, MOST_BODIES = 1_000, 500, 200_000


@dataclass(frozen=True, slots=True)
class Element:
    """What a body is of."""

    layer: str
    fid: int
    values: Mapping[str, Any]

    def told(self) -> dict[str, Any]:
        """In JSON."""
        shown = {name: self.values.get(name) for name in ("category", "storey", "storey_no", "building_id")}
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
    result = Found()
    rows = [*_read(view, version.id, _new(view, layer_id, version.id))]
    placed = [one for one in rows if len(one[1].positions)]
    if not placed:
        return result
    corners = np.concatenate([mesh.positions[:, :2] for _, mesh in placed])
    (west, south), (east, north) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    frame = Frame((west + east) / 2, (south + north) / 2)
    fresh = _bodies(frame, placed)
    box = (west, south, east, north)
    clashes = _against(view, frame, fresh, version, box, tolerance, result, progress, same=True)
    for other in _layers(view, layer_id, version, beside, result):
        clashes += _against(view, frame, fresh, other, box, tolerance, result, progress, same=False)
    result.looked = len(fresh)
    result.open += sum(one.solid is None for one in fresh)
    result.count = len(clashes)
    clashes.sort(key=lambda one: -(one.volume or 0.0))
    result.pairs = [_told(frame, one) for one in clashes[:MOST]]
    return result


def _new(view: View, layer_id: str, version: str) -> list[int]:
    """The features of a version that are new, moved or of another shape."""
    found = []
    for one in changes(view, layer_id, view, version):
        if one.fids[1] is not None and (one.kind in ("added", "moved") or one.shape_changed):
            found.append(one.fids[1])
    return found


def _layers(
    view: View, layer_id: str, version: FeatureLayer, beside: Sequence[str] | None, result: Found
) -> list[FeatureLayer]:
    """What a version is held against, beside itself. Raises NotFound, BadParameter."""
    chosen = view.feature_layers() if beside is None else [view.feature_layer(one) for one in beside]
    out = []
    for one in chosen:
        if one.id == layer_id or version_of(one.id) is not None:
            if beside is not None:
                raise BadParameter("with", one.id, "a version is held against its own parts anyway")
            continue
        body = kinds.known(one.kind).body
        if not isinstance(body, Prism) or not body.stored:
            if beside is not None:
                result.left_out[one.id] = "its bodies are drawn from fields, and not kept"
        elif one.vertical_datum != version.vertical_datum:
            datum = one.vertical_datum or "nothing that is named"
            result.left_out[one.id] = f"its heights count from {datum}"
        else:
            out.append(one)
    return out


def _against(
    view: View,
    frame: Frame,
    fresh: Sequence[Body],
    layer: FeatureLayer,
    box: Bbox,
    tolerance: float,
    result: Found,
    progress: Callable[[int, int], None],
    *,
    same: bool,
) -> list[Clash]:
    """Clashes of new bodies with those of a layer; ``same``: it is their own, and each pair is told once."""
    query = Query(bbox=box, properties=(), limit=MOST_BODIES)
    fids = view.select(layer.id, query).rows.fids.tolist()
    ours = {one.name.fid for one in fresh} if same else set()
    clashes: list[Clash] = []
    for at in range(0, len(fids), _BATCH):
        others = _bodies(frame, [*_read(view, layer.id, fids[at : at + _BATCH])])
        result.others += len(others)
        result.open += sum(one.solid is None for one in others if not same)
        for one in others:
            mine = [body for body in fresh if not same or _first(body.name.fid, one.name.fid, ours)]
            clashes += clash.found(mine, [one], tolerance)
        progress(min(at + _BATCH, len(fids)), len(fids))
    return clashes


def _first(fid: int, other: int, ours: set[int]) -> bool:
    return fid != other and (other not in ours or fid < other)


def _read(view: View, layer: str, fids: Sequence[int]) -> Any:
    """(what it is, mesh) of features that have a body which may be in a way."""
    for at in range(0, len(fids), _BATCH):
        rows: Rows = view.rows(layer, fids[at : at + _BATCH], meshes=True)
        for index, fid in enumerate(rows.fids.tolist()):
            values = {name: column[index] for name, column in rows.properties.items()}
            mesh = rows.meshes.get(fid)
            if mesh is not None and not any(values.get(k) in words for k, words in _NO_BODIES.items()):
                yield Element(layer, fid, values), mesh


def _bodies(frame: Frame, some: Sequence[tuple[Element, Any]]) -> list[Body]:
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
