"""Whether what a store says that changed between two moments is what differs in the model."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import Any

from layers.diff import EVERY, Chosen, End, FeatureChange, Span, changes
from layers.errors import Gone
from tests.histories.acting import Acting
from tests.histories.model import Body, City, LayerState

#: Fields with another value, whether the geometry is another one, and whether the body is.
type Difference = tuple[str, dict[str, tuple[Any, Any]], bool, bool]


def differences(old: City, new: City, name: str) -> dict[int, Difference]:
    """What differs between two states of a layer, by fid."""
    before, after = _bodies(old, name), _bodies(new, name)
    found = {}
    for fid in sorted({*before, *after}):
        difference = _difference(before.get(fid), after.get(fid))
        if difference is not None:
            found[fid] = difference
    return found


def _bodies(city: City, name: str) -> dict[int, Body]:
    state = city.get(name)
    return dict(state.bodies) if isinstance(state, LayerState) else {}


def _difference(old: Body | None, new: Body | None) -> Difference | None:
    values = [{} if body is None else body.values for body in (old, new)]
    names = dict.fromkeys([*values[0], *values[1]])
    pairs = {name: (values[0].get(name), values[1].get(name)) for name in names}
    fields = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    wkb = (old and old.wkb) != (new and new.wkb)
    mesh = (old and old.mesh) != (new and new.mesh)
    if old is None or new is None:
        return ("added" if old is None else "removed", fields, wkb, mesh)
    return ("changed", fields, wkb, mesh) if fields or wkb or mesh else None


def said(change: FeatureChange) -> Difference:
    """A change of the store as the model has it."""
    return change.kind, change.fields, change.geometry_changed, change.mesh_changed


def check(script: Acting, first: int, last: int, chosen: Chosen = EVERY) -> None:
    """Every layer's changes between two moments are the model's."""
    store = script.store
    old, new = script.states[first], script.states[last]
    span = Span(store, store.as_of(first), store.as_of(last))
    names = {name for city in (old, new) for name, state in city.items() if isinstance(state, LayerState)}
    for name in sorted(names):
        unsure = name in script.lost_at(first)
        with suppress(Gone) if unsure else nullcontext():
            found = {change.fid: said(change) for change in changes(span, name, chosen)}
            assert list(found) == sorted(found)
            if unsure:  # a program took a column with what it held
                before, after = _told(span.before, old, name), _told(span.after, new, name)
            else:
                before, after = old, new
            assert found == differences(before, after, name), (name, first, last)


def _told(end: End, city: City, name: str) -> City:
    """The city without what the store has no field for."""
    state = city.get(name)
    if not isinstance(state, LayerState):
        return city
    there = {f.name for f in end.feature_layer(name).fields}
    for lost in [f.name for f in state.fields if f.name not in there]:
        state = state.without_column(lost)
    return {**city, name: state}
