"""A plan of an undo as JSON: what of the city would be again as it was, and what stands in the way."""

from __future__ import annotations

from typing import Any

from layers.diff import State
from layers.model import ChangeSet
from layers.undo import LayerStep, Step, UndoPlan


def plan(of: UndoPlan, most: int | None = None) -> dict[str, Any]:
    """The document of a plan, with ``most`` steps at most (None: all)."""
    steps = of.steps if most is None else of.steps[:most]
    return {
        "seq": of.seq,
        "set": None if of.undone is None else of.undone.id,
        "summary": summary(of),
        "complete": len(steps) == len(of.steps),
        "steps": [step(one) for one in steps],
        "layers": [] if of.whole is None else [_layer(of.whole)],
        "lost": {layer: list(names) for layer, names in of.lost.items()},
        "leftOut": [{"layer": layer, "reason": str(error)} for layer, error in of.left_out.items()],
    }


def summary(of: UndoPlan, *, done: bool = False) -> dict[str, int]:
    """How many features would be there again, be gone, be as they were, or (``done``) are, without those in
    conflict; and of how many somebody else has changed since, a whole layer as one. Of a layer that is
    reverted as a whole and has too many to be counted, there is no number."""
    counts = {"added": 0, "removed": 0, "changed": 0, "conflicts": len(of.in_the_way)}
    for one in of.steps:
        counts[one.change.kind] += not (done and one.conflict)
    if (whole := of.whole) is not None and not (done and whole.conflict):
        counts["changed" if whole.change == "reverted" else whole.change] += whole.features or 0
    return counts


def _layer(of: LayerStep) -> dict[str, Any]:
    return {
        "id": of.layer,
        "change": of.change,
        "features": of.features,
        "conflict": None if of.conflict is None else conflict(of.conflict),
    }


def step(of: Step) -> dict[str, Any]:
    """One feature: from what it is (``old``) to what it would be."""
    change = of.change
    return {
        "layer": change.layer,
        "id": change.fid,
        "change": change.kind,
        "fields": {name: {"old": old, "new": new} for name, (old, new) in change.fields.items()},
        "geometryChanged": change.geometry_changed,
        "bodyChanged": change.mesh_changed,
        "bbox": {"old": _box(change.old), "new": _box(change.new)},
        "conflict": None if of.conflict is None else conflict(of.conflict),
    }


def conflict(since: ChangeSet) -> dict[str, Any]:
    """Who has changed it since, when, and through what."""
    return {"set": since.id, "actor": since.actor, "via": since.via, "at": since.at}


def _box(state: State | None) -> list[float] | None:
    box = None if state is None else state.box
    return None if box is None else list(box)
