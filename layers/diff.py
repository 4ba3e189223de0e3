"""What changed in a city between two moments: features added, removed, changed, with what they were and are.

A feature that is the same at both moments did not change, whatever was done to it meanwhile. Which ones may
have changed is told by the history of the store; what they were and are is read of both moments.
"""

from __future__ import annotations

import heapq
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
import shapely

from layers.cql.ast import FID, In, PropertyRef, Value
from layers.errors import NotFound
from layers.mesh import Mesh
from layers.model import ChangeSet, FeatureLayer, Layer, Rows, Selection, Touch
from layers.query import Query
from layers.types import Bbox, lon_spans
from layers.wkb import shapes

type Kind = Literal["added", "removed", "changed"]

#: Features that are compared at a time.
_BATCH = 500
#: Ids that are asked for at a time.
_PAGE = 10_000


class Moments(Protocol):
    """What tells which features were changed: :meth:`layers.store.base.Store.touched`."""

    def touched(
        self,
        layer_id: str,
        after: int,
        until: int,
        *,
        actor: str | None = None,
        beyond: int | None = None,
        limit: int = 1_000,
    ) -> list[Touch]: ...


class End(Protocol):
    """One of both moments: what is read of it, a part of :class:`layers.store.base.Readable`."""

    def seq(self) -> int: ...

    def feature_layers(self) -> list[FeatureLayer]: ...

    def feature_layer(self, layer_id: str) -> FeatureLayer: ...

    def layer(self, layer_id: str) -> Layer: ...

    def select(self, layer_id: str, query: Query) -> Selection: ...

    def rows(self, layer_id: str, fids: list[int] | None = None, *, meshes: bool = False) -> Rows: ...


@dataclass(frozen=True, slots=True)
class Span:
    """Two moments, the older first, and what tells what was changed between them."""

    history: Moments
    before: End
    after: End

    def layers(self) -> list[str]:
        """Ids of the layers of features that there are at either moment."""
        return sorted({layer.id for end in (self.before, self.after) for layer in end.feature_layers()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which changes are asked for: of features that a person has changed in between; of those whose old or
    new geometry meets a box (lon/lat, west > east across the antimeridian); with an id beyond one."""

    actor: str | None = None
    bbox: Bbox | None = None
    beyond: int | None = None


EVERY = Chosen()


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a feature is at a moment: values by field, its geometry as WKB in lon/lat, its body."""

    values: Mapping[str, Any]
    wkb: bytes | None
    mesh: bytes | None

    @property
    def box(self) -> Bbox | None:
        """The box of the geometry in lon/lat, None without one."""
        return None if self.wkb is None else _box(self.wkb)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureChange:
    """One feature that is not what it was: None where it is not there. ``set`` is the newest change set that
    touched it in between, ``seq`` its number; neither is known of what the layer lost with a field."""

    layer: str
    fid: int
    old: State | None
    new: State | None
    seq: int | None
    set: ChangeSet | None

    @property
    def kind(self) -> Kind:
        """Whether the feature was added, removed or changed."""
        return "added" if self.old is None else "removed" if self.new is None else "changed"

    @property
    def fields(self) -> dict[str, tuple[Any, Any]]:
        """The old and the new value of each field that differ; None of a field that there is not."""
        names = dict.fromkeys(name for end in (self.old, self.new) if end is not None for name in end.values)
        pairs = {name: (_value(self.old, name), _value(self.new, name)) for name in names}
        return {name: pair for name, pair in pairs.items() if not same(*pair)}

    @property
    def geometry_changed(self) -> bool:
        """Whether its geometry is another one, in any digit."""
        return _of(self.old, "wkb") != _of(self.new, "wkb")

    @property
    def mesh_changed(self) -> bool:
        """Whether its body is another one."""
        return _of(self.old, "mesh") != _of(self.new, "mesh")


@dataclass(slots=True)
class Counts:
    """How many features of a layer changed, and of how many a field did."""

    added: int = 0
    removed: int = 0
    changed: int = 0
    fields: dict[str, int] = field(default_factory=dict)
    geometry: int = 0

    def add(self, change: FeatureChange) -> None:
        """Count one."""
        setattr(self, change.kind, getattr(self, change.kind) + 1)
        if change.kind == "changed":
            for name in change.fields:
                self.fields[name] = self.fields.get(name, 0) + 1
            self.geometry += change.geometry_changed or change.mesh_changed


def changes(span: Span, layer_id: str, chosen: Chosen = EVERY) -> Iterator[FeatureChange]:
    """The features of a layer that are not the same at both moments, by ascending id.

    Reads as it goes on, a few hundred at a time. Raises Gone (the layer is not known at a moment), NotFound
    (a layer that there is at neither), and what a read of the layer does."""
    ends = (_layer(span.before, layer_id), _layer(span.after, layer_id))
    if ends == (None, None):
        raise NotFound(f"there is no layer {layer_id} at either moment")
    for change in compared(span.before, span.after, layer_id, _candidates(span, layer_id, ends, chosen)):
        if chosen.bbox is None or meets(change, chosen.bbox):
            yield change


def compared(before: End, after: End, layer_id: str, touches: Iterable[Touch]) -> Iterator[FeatureChange]:
    """Of the features that were touched, those that are not the same at two moments, in whatever order."""
    ends = (_layer(before, layer_id), _layer(after, layer_id))
    for batch in itertools.batched(touches, _BATCH):
        fids = [touch.fid for touch in batch]
        old = states(before, ends[0], fids)
        new = states(after, ends[1], fids)
        for touch in batch:
            change = FeatureChange(
                layer=layer_id,
                fid=touch.fid,
                old=old.get(touch.fid),
                new=new.get(touch.fid),
                seq=touch.seq or None,
                set=touch.set,
            )
            if differs(change):
                yield change


def differs(change: FeatureChange) -> bool:
    """Whether it is a change at all."""
    if change.old is None or change.new is None:
        return change.old is not change.new
    return change.geometry_changed or change.mesh_changed or bool(change.fields)


def same(one: Any, other: Any) -> bool:
    """Whether two values of a field are equal, as JSON: a truth is no number."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _layer(end: End, layer_id: str) -> FeatureLayer | None:
    try:
        return end.feature_layer(layer_id)
    except NotFound:
        return None


def _candidates(
    span: Span, layer_id: str, ends: tuple[FeatureLayer | None, ...], chosen: Chosen
) -> Iterator[Touch]:
    """What may have changed: what the history says; where a layer came, went, or has other fields, everything
    that was or is there."""
    told = touched(
        span.history, layer_id, span.before.seq(), span.after.seq(), actor=chosen.actor, beyond=chosen.beyond
    )
    kinds = [None if layer is None else [(f.name, f.type) for f in layer.fields] for layer in ends]
    if kinds[0] == kinds[1] or chosen.actor is not None:
        return told
    every = [_fids(end, layer, chosen) for end, layer in zip((span.before, span.after), ends, strict=True)]
    merged = heapq.merge(told, *every, key=lambda touch: touch.fid)
    groups = itertools.groupby(merged, key=lambda touch: touch.fid)
    return (max(group, key=lambda touch: touch.seq) for _, group in groups)


def touched(
    history: Moments,
    layer_id: str,
    after: int,
    until: int,
    *,
    actor: str | None = None,
    beyond: int | None = None,
) -> Iterator[Touch]:
    """All that :meth:`layers.store.base.Store.touched` tells, asked for in pages."""
    while True:
        page = history.touched(layer_id, after, until, actor=actor, beyond=beyond, limit=_PAGE)
        yield from page
        if len(page) < _PAGE:
            return
        beyond = page[-1].fid


def _fids(end: End, layer: FeatureLayer | None, chosen: Chosen) -> Iterator[Touch]:
    if layer is None:
        return
    after = None if chosen.beyond is None else (chosen.beyond,)
    query = Query(properties=(), limit=_PAGE, after=after)
    while True:
        page = end.select(layer.id, query)
        yield from (Touch(fid=int(fid), first=0, seq=0, set=None) for fid in page.rows.fids)
        if page.next_after is None:
            return
        query = replace(query, after=page.next_after)


def states(end: End, layer: FeatureLayer | None, fids: list[int]) -> dict[int, State]:
    """What some features are at a moment, by id: first what lies somewhere, with bodies, then the rest."""
    if layer is None or not fids:
        return {}
    found: dict[int, State] = {}
    rows = end.rows(layer.id, fids, meshes=True)
    _take(found, layer, rows, rows.meshes)
    missing = [fid for fid in fids if fid not in found]
    while missing:
        ids = tuple(Value(fid, "integer") for fid in missing)
        page = end.select(layer.id, Query(filter=In(PropertyRef(FID), ids), limit=len(missing)))
        _take(found, layer, page.rows, rows.meshes)
        if page.next_after is None:
            break
        missing = [fid for fid in missing if fid > page.rows.fids[-1]]
    return found


def _take(found: dict[int, State], layer: FeatureLayer, rows: Rows, meshes: Mapping[int, Mesh]) -> None:
    arrays = {f.name for f in layer.fields if f.type == "array"}
    names = list(rows.properties)
    columns: Iterable[tuple[Any, ...]] = zip(*rows.properties.values(), strict=True)
    if not names:
        columns = itertools.repeat(())
    for fid, wkb, values in zip(rows.fids.tolist(), rows.wkb, columns, strict=False):
        given = {
            name: json.loads(value) if name in arrays and isinstance(value, str) else value
            for name, value in zip(names, values, strict=True)
        }
        mesh = meshes.get(fid)
        found[fid] = State(values=given, wkb=wkb, mesh=None if mesh is None else mesh.to_bytes())


def _value(state: State | None, name: str) -> Any:
    return None if state is None else state.values.get(name)


def _of(state: State | None, part: Literal["wkb", "mesh"]) -> bytes | None:
    if state is None:
        return None
    return state.wkb if part == "wkb" else state.mesh


def _box(wkb: bytes) -> Bbox | None:
    bounds = shapely.bounds(shapes([wkb]))[0]
    if not np.isfinite(bounds).all():
        return None
    west, south, east, north = bounds.tolist()
    return west, south, east, north


class Changed(Protocol):
    """What has an old and a new state."""

    @property
    def old(self) -> State | None: ...

    @property
    def new(self) -> State | None: ...


def meets(change: Changed, box: Bbox) -> bool:
    """Whether the old or the new geometry meets a box in lon/lat, west > east across the antimeridian."""
    west, south, east, north = box
    wkb = [state.wkb for state in (change.old, change.new) if state is not None]
    placed = shapely.force_2d(shapes(wkb))
    return any(
        bool(shapely.intersects(placed, shapely.box(a, south, b, north)).any())
        for a, b in lon_spans(west, east)
    )
