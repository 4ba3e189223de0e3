"""What is different between two models of one thing, element by element.

Elements are the same where their ids in the source are (GlobalId, gml:id, the key of a CityJSON object): the
number of a feature says nothing of another layer. What a program that writes a model anew changes in the last
digits is no change.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import shapely
from numpy.typing import NDArray

from layers import diff, metres
from layers.diff import End, State
from layers.mesh import Mesh
from layers.model import FeatureLayer
from layers.query import Query
from layers.wkb import shapes

type Floats = NDArray[np.float64]
type Kind = Literal["added", "removed", "moved", "changed"]
KINDS: tuple[Kind, ...] = ("added", "removed", "moved", "changed")

#: Metres by which corners may differ that are at the same place.
SAME_M = 0.002
#: By which share numbers may differ that are the same.
_SHARE = 1e-9
#: Elements that are compared, and ids that are asked for, at a time.
_BATCH, _PAGE = 500, 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementChange:
    """An element that is not what it is in the other model: None where it is not there. ``fids`` are its
    numbers in either layer. ``shift`` is by how much (m east, north and up) an element was moved whose shape
    is the same, None where it was not."""

    id: str
    kind: Kind
    fids: tuple[int | None, int | None]
    old: State | None
    new: State | None
    fields: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    shift: tuple[float, float, float] | None = None
    shape_changed: bool = False

    @property
    def distance(self) -> float | None:
        """Metres by which it was moved."""
        return None if self.shift is None else math.hypot(*self.shift)


@dataclass(slots=True)
class ModelCounts:
    """How many elements there are of each kind, and are the same; of how many a field differs; and how many
    of either model have no id, by which they could be known in the other."""

    added: int = 0
    removed: int = 0
    moved: int = 0
    changed: int = 0
    same: int = 0
    fields: dict[str, int] = field(default_factory=dict)
    shape: int = 0
    nameless: tuple[int, int] = (0, 0)

    def add(self, change: ElementChange) -> None:
        """Count one."""
        setattr(self, change.kind, getattr(self, change.kind) + 1)
        for name in change.fields if change.old is not None and change.new is not None else ():
            self.fields[name] = self.fields.get(name, 0) + 1
        self.shape += change.shape_changed


def changes(
    before: End,
    old_layer: str,
    now: End,
    new_layer: str,
    counts: ModelCounts | None = None,
    *,
    after: str | None = None,
) -> Iterator[ElementChange]:
    """The elements of two layers that are not the same, by ascending id, those behind ``after`` where it is
    given; ``counts`` are kept while it goes.

    Reads as it goes, a few hundred at a time. Raises NotFound."""
    layers = before.feature_layer(old_layer), now.feature_layer(new_layer)
    (old, bare_old), (new, bare_new) = _ids(before, layers[0]), _ids(now, layers[1])
    counts = ModelCounts() if counts is None else counts
    counts.nameless = bare_old, bare_new
    own = _common(*layers)
    every = sorted(one for one in old.keys() | new.keys() if after is None or one > after)
    for ids in itertools.batched(every, _BATCH):
        was = diff.states(before, layers[0], [old[one] for one in ids if one in old])
        is_ = diff.states(now, layers[1], [new[one] for one in ids if one in new])
        for one in ids:
            fids = old.get(one), new.get(one)
            found = _compared(one, fids, _of(was, fids[0]), _of(is_, fids[1]), own)
            if found is None:
                counts.same += 1
            else:
                counts.add(found)
                yield found


def _ids(end: End, layer: FeatureLayer) -> tuple[dict[str, int], int]:
    """The numbers of features by id, and how many have no id."""
    found: dict[str, int] = {}
    bare = 0
    query = Query(properties=("source_id",), limit=_PAGE)
    while True:
        page = end.select(layer.id, query)
        names = page.rows.properties["source_id"]
        for fid, name in zip(page.rows.fids.tolist(), names, strict=True):
            if name is None:
                bare += 1
            else:
                found[str(name)] = fid
        if page.next_after is None:
            return found, bare
        query = Query(properties=("source_id",), limit=_PAGE, after=page.next_after)


def _common(old: FeatureLayer, new: FeatureLayer) -> frozenset[str]:
    """The fields that both have. A column that a model came with or lost is told of the layer, and not of
    each element."""
    return frozenset(f.name for f in old.fields) & frozenset(f.name for f in new.fields)


def _of(states: dict[int, State], fid: int | None) -> State | None:
    return None if fid is None else states.get(fid)


def _compared(
    id_: str,
    fids: tuple[int | None, int | None],
    old: State | None,
    new: State | None,
    own: frozenset[str],
) -> ElementChange | None:
    if old is None or new is None:
        if old is new:
            return None
        return _there(id_, fids, old, new)
    fields = {
        name: (old.values.get(name), new.values.get(name))
        for name in old.values
        if name in own and not _alike(old.values.get(name), new.values.get(name))
    }
    shift = _shift(old, new)
    moved = shift is not None and math.hypot(*shift) > SAME_M
    if shift is not None and not moved and not fields:
        return None
    return ElementChange(
        id=id_,
        kind="moved" if moved else "changed",
        fids=fids,
        old=old,
        new=new,
        fields=fields,
        shift=shift if moved else None,
        shape_changed=shift is None,
    )


def _there(
    id_: str, fids: tuple[int | None, int | None], old: State | None, new: State | None
) -> ElementChange:
    """An element of one of the models."""
    kind: Kind = "added" if old is None else "removed"
    fields: dict[str, tuple[Any, Any]] = {}
    for at, state in enumerate((old, new)):
        if state is not None:
            filled = {name: value for name, value in state.values.items() if value is not None}
            fields = {name: (value, None) if at == 0 else (None, value) for name, value in filled.items()}
    return ElementChange(id=id_, kind=kind, fids=fids, old=old, new=new, fields=fields)


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, int | float) and not isinstance(other, bool):
        return math.isclose(one, other, rel_tol=_SHARE, abs_tol=1e-9)
    return diff.same(one, other)


def _shift(old: State, new: State) -> tuple[float, float, float] | None:
    """By how much (m east, north, up) the one shape would have to be moved to be the other; None where they
    are not the same shape."""
    if old.wkb == new.wkb and old.mesh == new.mesh:
        return 0.0, 0.0, 0.0
    if (old.mesh is None) != (new.mesh is None):
        return None
    bodies = [None if one.mesh is None else Mesh.from_bytes(one.mesh) for one in (old, new)]
    if bodies[0] is not None and bodies[1] is not None:
        return _moved(bodies[0].positions, bodies[1].positions)
    placed = shapes([old.wkb, new.wkb])
    if shapely.is_missing(placed).any():
        return None
    corners = [_corners(shape) for shape in placed]
    return _moved(*corners)


def _corners(shape: Any) -> Floats:
    out = shapely.get_coordinates(shape, include_z=bool(shapely.has_z(shape)))
    return np.asarray(out if out.shape[1] == 3 else np.column_stack([out, np.zeros(len(out))]))


def _moved(old: Floats, new: Floats) -> tuple[float, float, float] | None:
    """By how much corners (n, 3) in degrees and metres were moved, all alike, in whatever order."""
    if old.shape != new.shape or not len(old):
        return None
    middle = float((old[:, 1].min() + new[:, 1].min()) / 2)
    scale = np.array([*metres.of_degrees(middle), 1.0])
    first, second = ((corners - old[0]) * scale for corners in (old, new))
    for one, other in ((first, second), (_sorted(first), _sorted(second))):
        apart = other - one
        shift = apart.mean(axis=0)
        if np.abs(apart - shift).max() <= SAME_M:
            east, north, up = shift.tolist()
            return east, north, up
    return None


def _sorted(corners: Floats) -> Floats:
    """Corners (n, 3) in an order that moving them does not change."""
    near = np.round((corners - corners.min(axis=0)) / (10 * SAME_M))
    return np.asarray(corners[np.lexsort(near.T)])
