"""``twin undo``: what would be taken back is shown first, then it is asked, then done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from layers import undo
from layers.errors import NotFound, shown
from layers.model import ChangeSet
from layers.parameters import PARAMETERS
from layers.store.base import Store
from layers.undo import LayerStep, Step, UndoPlan
from twin import settings, undo_documents
from twin.operator import operator
from twin.verbs import opened, out

#: Features that are listed; ``--json`` has all.
SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoOptions:
    """How it is done: ``ask`` puts a question and does not return where the answer is no (None: unasked)."""

    ask: Callable[[str], object] | None
    dry_run: bool
    leave_out_conflicts: bool
    message: str
    as_json: bool


def of_set(city: Path, number: int, options: UndoOptions) -> None:
    """Take back a change set. Raises NotFound, Conflict, Gone, TooLarge, ReadOnly."""
    with opened(settings.load(city), city) as store:
        _undo(store, undo.of_set(store, number), f"Change set {number}", options)


def of_load(city: Path, layer: str, generation: int | None, options: UndoOptions) -> None:
    """Take back a load of a layer, the newest without a generation. Raises as :func:`of_set`."""
    with opened(settings.load(city), city) as store:
        one = _load(store, layer, generation)
        _undo(store, undo.of_set(store, one.id), f"Load {one.generation} of layer {layer}", options)


def _load(store: Store, layer: str, generation: int | None) -> ChangeSet:
    """The change set of a load. Raises NotFound."""
    before: int | None = None
    while page := store.change_sets(layer=layer, before=before, limit=1_000):
        for one in page:
            if one.via == "load" and generation in (None, one.generation):
                return one
        before = page[-1].id
    which = "" if generation is None else f" {generation}"
    raise NotFound(f"no load{which} of layer {shown(layer)} is known that changed anything")


def of_feature(city: Path, layer: str, fid: int, to: str, options: UndoOptions) -> None:
    """Make a feature what it was at a moment. Raises as :func:`of_set`, and BadParameter."""
    with opened(settings.load(city), city) as store:
        plan = undo.of_feature(store, layer, fid, store.moment(to).seq)
        _undo(store, plan, f"Feature {fid} of layer {layer}", options)


def of_actor(
    city: Path, actor: str, first: str, last: str | None, bbox: str | None, options: UndoOptions
) -> None:
    """Take back what a person did between two moments. Raises as :func:`of_feature`."""
    box = None if bbox is None else PARAMETERS["bbox"].read(bbox)
    with opened(settings.load(city), city) as store:
        until = store.seq() if last is None else store.moment(last).seq
        plan = undo.of_actor(store, actor, store.moment(first).seq, until, box)
        _undo(store, plan, f"Edits by {actor}", options)


def of_area(
    city: Path, bbox: str, first: str, last: str | None, layers: Sequence[str] | None, options: UndoOptions
) -> None:
    """Take back what anybody did in an area between two moments. Raises as :func:`of_feature`."""
    box = PARAMETERS["bbox"].read(bbox)
    with opened(settings.load(city), city) as store:
        until = store.seq() if last is None else store.moment(last).seq
        plan = undo.of_area(store, box, store.moment(first).seq, until, layers or None)
        _undo(store, plan, f"Edits in {bbox}", options)


def _undo(store: Store, plan: UndoPlan, what: str, options: UndoOptions) -> None:
    if options.as_json:
        out.print(orjson.dumps(undo_documents.plan(plan), option=orjson.OPT_INDENT_2).decode(), markup=False)
    else:
        show(plan, what)
    leave_out = options.leave_out_conflicts
    steps = len(plan.steps) - len(plan.conflicts) if leave_out else len(plan.steps)
    whole = plan.whole if plan.whole is None or not (leave_out and plan.whole.conflict) else None
    if options.dry_run or not (steps or whole):
        return
    told = _number(steps) if whole is None else f"layer {whole.layer}"
    if options.ask is not None and (leave_out or not plan.in_the_way):
        options.ask(f"Take back {told}?")
    seq = undo.apply(store, plan, operator(options.message), leave_out_conflicts=leave_out)
    if not options.as_json:
        out.print(f"{told[0].upper()}{told[1:]} as before; the city is at change @{seq}.")


def _number(steps: int) -> str:
    return "1 feature" if steps == 1 else f"{steps} features"


def show(plan: UndoPlan, what: str) -> None:
    """Print a plan for people."""
    if plan.undone is not None:
        one = plan.undone
        by = f" by {one.actor}" if one.actor else ""
        said = f": {one.message}" if one.message else ""
        what = f"{what} ({one.via}{by}, {one.at}{said})"
    kinds = [step.change.kind for step in plan.steps]
    counts = {
        "again there": kinds.count("added"),
        "gone": kinds.count("removed"),
        "as before": kinds.count("changed"),
    }
    told = ", ".join(f"{n} {words}" for words, n in counts.items() if n) or "nothing to take back"
    told = told if plan.whole is None else _layer(plan.whole)
    out.print(f"{what}: {told}", style="bold", markup=False)
    for step in plan.steps[:SHOWN]:
        out.print(f"  {_line(step)}", markup=False)
    if len(plan.steps) > SHOWN:
        out.print(f"  … and {len(plan.steps) - SHOWN} more")
    for layer, names in plan.lost.items():
        out.print(f"  fields of layer {layer} that do not come back: {', '.join(names)}", markup=False)
    for layer, why in plan.left_out.items():
        out.print(f"  nothing of layer {layer}: {why}", markup=False)
    if plan.conflicts:
        out.print(
            f"  {_number(len(plan.conflicts))} changed since by others: --leave-out-conflicts", markup=False
        )


def _layer(whole: LayerStep) -> str:
    words = {"added": "is there again", "removed": "goes", "reverted": "is as it was, fields and all"}
    count = "" if whole.features is None else f" ({_number(whole.features)})"
    return f"layer {whole.layer} {words[whole.change]}{count}{_since(whole.conflict)}"


def _since(conflict: ChangeSet | None) -> str:
    if conflict is None:
        return ""
    return f" (changed since by {conflict.actor or conflict.via}, {conflict.at})"


def _line(step: Step) -> str:
    change = step.change
    parts = [f"{name} {old!r} → {new!r}" for name, (old, new) in change.fields.items()]
    parts = parts[:4] if change.kind == "changed" else []
    if change.kind == "changed" and (change.geometry_changed or change.mesh_changed):
        parts.append("geometry")
    words = {"added": "is there again", "removed": "goes", "changed": "; ".join(parts)}[change.kind]
    return f"{change.layer} {change.fid}: {words}{_since(step.conflict)}"
