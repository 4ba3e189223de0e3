"""Model versions and what is different between them, in JSON: the same for HTTP and the command line."""

from __future__ import annotations

from typing import Any

from layers.models.diff import KINDS, ElementChange, ModelCounts
from layers.models.versions import ModelVersion


def version(one: ModelVersion, current: str) -> dict[str, Any]:
    """A version; ``current`` is the name of the one that was made current last."""
    return {
        "name": one.name,
        "number": one.number,
        "layer": one.layer.id,
        "elements": one.layer.count,
        "current": one.name == current,
    }


def counted(counts: ModelCounts) -> dict[str, Any]:
    """The numbers of a comparison."""
    numbers: dict[str, Any] = {name: getattr(counts, name) for name in (*KINDS, "same")}
    told = numbers | {"fields": dict(sorted(counts.fields.items())), "geometry": counts.shape}
    if any(counts.nameless):
        told["nameless"] = {"old": counts.nameless[0], "new": counts.nameless[1]}
    return told


def _title(one: ElementChange) -> str:
    state = one.new or one.old
    return str((state is not None and state.values.get("name")) or one.id)


def change(one: ElementChange, layers: tuple[str, str]) -> dict[str, Any]:
    """One element; ``layers`` are those of the old and the new model. ``layer`` and ``id`` name the feature
    of the new one, or, if it is gone, of the old."""
    at = 0 if one.new is None else 1
    boxes = [None if state is None or state.box is None else list(state.box) for state in (one.old, one.new)]
    told: dict[str, Any] = {
        "layer": layers[at],
        "id": one.fids[at],
        "ids": {"old": one.fids[0], "new": one.fids[1]},
        "element": one.id,
        "title": _title(one),
        "change": one.kind,
        "fields": {name: {"old": old, "new": new} for name, (old, new) in one.fields.items()},
        "geometryChanged": one.shape_changed,
        "bodyChanged": one.shape_changed or one.surfaces_changed,
        "bbox": {"old": boxes[0], "new": boxes[1]},
    }
    if one.shift is not None and one.distance is not None:
        told["distance_m"] = round(one.distance, 3)
        told["shift_m"] = [round(part, 3) for part in one.shift]
    return told
