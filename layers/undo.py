"""Taking back what was done: a change set, a person's edits, or what became of a feature since a moment.

First a plan, which changes nothing: what each feature would become, what it is now, and where somebody has
changed it since. Then it is done, by new edits in one transaction and one change set: nothing is rewritten,
and an undo is undone as anything else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from layers.diff import FeatureChange, Span, compared, meets, touched
from layers.errors import Conflict, NotFound, TooLarge
from layers.model import Author, ChangeSet, Former, Touch
from layers.store.base import Store
from layers.types import Bbox

#: Features that are taken back at once.
MOST = 20_000
#: Versions of a feature that are looked at.
_VERSIONS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One feature: ``change`` is from what it is to what it was, and is to be again after change ``seq``;
    ``conflict`` the newest change set by which somebody else changed it since what is taken back."""

    seq: int
    change: FeatureChange
    conflict: ChangeSet | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoPlan:
    """What would be done, as of change ``seq``; ``undone`` is the change set that is taken back, if one is.

    ``lost`` are fields by layer, whose values do not come back: they are gone by now, or of another type."""

    seq: int
    undone: ChangeSet | None
    steps: tuple[Step, ...]
    lost: dict[str, tuple[str, ...]]

    @property
    def conflicts(self) -> list[Step]:
        """The steps that would take back what somebody else did since."""
        return [step for step in self.steps if step.conflict is not None]


def of_set(store: Store, number: int) -> UndoPlan:
    """The plan to take back a change set: an edit, a load, a transaction, an undo.

    Raises NotFound (no such set), Conflict (it made a layer, or the layer was dropped since), Gone (what was
    before it is not kept), TooLarge (more than :data:`MOST` features)."""
    found = store.change_sets(after=number - 1, before=number + 1, limit=1) if 0 < number < 2**63 - 1 else []
    if not found:
        raise NotFound(f"there is no change set {number}")
    one, now = found[0], store.seq()
    span = Span(store, store.as_of(now), store.as_of(one.first - 1))
    steps: list[Step] = []
    lost = {}
    for layer in _layers(store, span, one):
        touches = list(touched(store, layer, one.first - 1, one.last))
        later = {touch.fid: touch.set for touch in touched(store, layer, one.last, now)}
        for change in compared(span.before, span.after, layer, touches):
            steps.append(Step(seq=one.first - 1, change=change, conflict=later.get(change.fid)))
            _bound(steps)
        if touches and (names := _lost(span, layer)):
            lost[layer] = names
    return UndoPlan(seq=now, undone=one, steps=tuple(steps), lost=lost)


def of_feature(store: Store, layer: str, fid: int, seq: int) -> UndoPlan:
    """The plan to make a feature what it was after change ``seq``.

    Raises NotFound (a feature that is not there and was not), Gone, and Conflict as :func:`of_set`."""
    now = store.seq()
    span = Span(store, store.as_of(now), store.as_of(seq))
    _both_have(span, layer)
    touches = [t for t in store.touched(layer, seq, now, beyond=fid - 1, limit=1) if t.fid == fid]
    found = list(compared(span.before, span.after, layer, touches))
    if not touches and not store.versions(layer, fid, limit=1)[0].there:
        raise NotFound(f"layer {layer} has no feature {fid}, and had none then")
    steps = tuple(Step(seq=seq, change=change, conflict=None) for change in found)
    names = _lost(span, layer)
    return UndoPlan(seq=now, undone=None, steps=steps, lost={layer: names} if names else {})


def of_actor(store: Store, actor: str, after: int, until: int, bbox: Bbox | None = None) -> UndoPlan:
    """The plan to take back what a person did after one change and up to another; of features that meet a box
    (lon/lat), as they are or as they were before, where one is given.

    Each feature becomes what it was before the first of these edits. Raises as :func:`of_set`."""
    now = store.seq()
    present = store.as_of(now)
    steps: list[Step] = []
    lost = {}
    for layer in Span(store, store.as_of(after), present).layers():
        groups: dict[int, list[Touch]] = {}
        conflicts: dict[int, ChangeSet | None] = {}
        for touch in touched(store, layer, after, until, actor=actor):
            since = [v for v in store.versions(layer, touch.fid, limit=_VERSIONS) if v.since >= touch.first]
            sets = [version.set for version in since]
            first = sets[-1] if sets else None
            if first is None or since[-1].since != touch.first:
                raise Conflict(f"feature {touch.fid} of layer {layer} was changed too often since")
            groups.setdefault(first.first - 1, []).append(touch)
            others = (s for s in sets if s and (s.actor != actor or not after < s.last <= until))
            conflicts[touch.fid] = next(others, None)
        for seq, touches in sorted(groups.items()):
            span = Span(store, present, store.as_of(seq))
            _both_have(span, layer)
            for change in compared(present, span.after, layer, touches):
                if bbox is None or meets(change, bbox):
                    steps.append(Step(seq=seq, change=change, conflict=conflicts[change.fid]))
                    _bound(steps)
            if names := _lost(span, layer):
                lost[layer] = names
    return UndoPlan(seq=now, undone=None, steps=tuple(steps), lost=lost)


def apply(store: Store, plan: UndoPlan, by: Author, *, leave_out_conflicts: bool = False) -> int:
    """Do it, in one transaction and one change set; the newest number of the log after it.

    Raises Conflict where a step would take back what somebody else did, unless those are left out, or where a
    feature of the plan was changed since it was made; and what :meth:`Store.put_back` does."""
    conflicts = plan.conflicts
    if conflicts and not leave_out_conflicts:
        raise Conflict(f"{len(conflicts)} of {len(plan.steps)} features were changed since")
    steps = [step for step in plan.steps if step.conflict is None]
    former = [Former(step.change.layer, step.change.fid, step.seq) for step in steps]
    if not former:
        return store.seq()
    undone = None if plan.undone is None else plan.undone.id
    return store.put_back(former, replace(by, via="undo", undone=undone), unchanged_since=plan.seq)


def _layers(store: Store, span: Span, one: ChangeSet) -> list[str]:
    """The layers of a change set. Raises Conflict."""
    names = [one.layer] if one.layer is not None else span.layers()
    of_set = [name for name in names if next(touched(store, name, one.first - 1, one.last), None)]
    for layer in of_set or ([one.layer] if one.layer is not None else []):
        _both_have(span, layer)
    return of_set


def _both_have(span: Span, layer: str) -> None:
    """Raises Conflict where there is no such layer at one of the moments."""
    for end, what in ((span.after, "was made by it, or after it"), (span.before, "was dropped since")):
        try:
            end.feature_layer(layer)
        except NotFound as error:
            raise Conflict(f"layer {layer} {what}: features alone are taken back, and no layer") from error


def _lost(span: Span, layer: str) -> tuple[str, ...]:
    now = {(f.name, f.type) for f in span.before.feature_layer(layer).fields}
    return tuple(f.name for f in span.after.feature_layer(layer).fields if (f.name, f.type) not in now)


def _bound(steps: list[Step]) -> None:
    if len(steps) > MOST:
        raise TooLarge(f"more than {MOST} features would be taken back; load the source of before again")
