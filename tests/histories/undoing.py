"""Whether an undo makes of the store what it makes of the model, and the undo of it what there was."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from layers import undo
from layers.errors import Conflict, Gone
from layers.model import Author, ChangeSet
from tests.histories import same
from tests.histories.acting import Acting
from tests.histories.model import Body, City, LayerState

BY = Author(actor="anna", message="taken back")


def check(script: Acting) -> int:
    """Take back each change set of the script that can be, and take that back; how many these were."""
    done = 0
    for one in script.store.change_sets(limit=1_000):
        with suppress(Conflict, Gone):
            done += _check(script, one)
    return done


def _check(script: Acting, one: ChangeSet) -> int:
    store, before = script.store, script.states.get(one.first - 1)
    plan = undo.of_set(store, one.id)
    if plan.whole is not None and plan.whole.conflict is None and before is not None:
        return _check_whole(script, one, plan.whole.layer, before)
    steps = [step for step in plan.steps if step.conflict is None]
    if before is None or not steps:
        return 0
    now = dict(script.city)
    for layer in {step.change.layer for step in steps}:
        old, new = before[layer], now[layer]
        assert isinstance(old, LayerState)
        assert isinstance(new, LayerState)
        if old.fields != new.fields or layer in script.lost:
            return 0
        back: dict[int, Body | None] = {
            step.change.fid: old.bodies.get(step.change.fid) for step in steps if step.change.layer == layer
        }
        now[layer] = new.with_bodies(back)
    undo.apply(store, plan, BY, leave_out_conflicts=True)
    same.check(store, now, script.eyes)
    made = store.change_sets(limit=1)[0]
    assert (made.via, made.actor, made.message, made.undone) == ("undo", "anna", "taken back", one.id)
    again = undo.of_set(store, made.id)
    assert again.conflicts == []
    assert {(s.change.layer, s.change.fid) for s in again.steps} == {
        (s.change.layer, s.change.fid) for s in steps
    }
    undo.apply(store, again, replace(BY, message=""))
    same.check(store, script.city, script.eyes)
    return 1


def _check_whole(script: Acting, one: ChangeSet, layer: str, before: City) -> int:
    """A layer that comes, goes or is reverted as a whole: a generation of its own, else as it was."""
    store, was = script.store, before.get(layer)
    if layer in script.lost:
        return 0
    now = dict(script.city)
    for number, state in ((one.id, was), (None, script.city.get(layer))):
        plan = undo.of_set(store, number or store.change_sets(limit=1)[0].id)
        assert plan.in_the_way == []
        undo.apply(store, plan, BY)
        now.pop(layer, None)
        if isinstance(state, LayerState):
            generation = store.feature_layer(layer).generation
            assert generation > max(one.generation or 0, state.generation)
            now[layer] = replace(state, generation=generation)
        same.check(store, now, script.eyes)
    script.city = now
    return 1
