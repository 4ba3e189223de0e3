"""Taking back what was done: a change set, a person's edits, an area, or what became of a feature.

First a plan, which changes nothing: what each feature would become, what it is now, and where somebody has
changed it since. Then it is done, by new edits in one transaction and one change set: nothing is rewritten,
and an undo is undone as anything else.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from layers.diff import End, FeatureChange, Span, compared, meets, touched
from layers.errors import Conflict, NotEditable, NotFound, TooLarge, TwinError, shown
from layers.former import before_edits
from layers.model import Author, ChangeSet, FeatureLayer, Former, Layer, has_features
from layers.store.base import Store
from layers.types import Bbox

#: Features that are taken back at once.
MOST = 20_000


class Rights(Protocol):
    """Whose undo it is: of what he does not see, a plan says nothing."""

    def sees(self, layer: Layer) -> bool:
        """Whether anything of a layer, as it is or was, is seen."""

    def edits(self, layer: Layer) -> bool:
        """Whether features of a layer that is seen may be edited, as far as that is a matter of rights."""


class Everything:
    """Rights of who runs the server."""

    def sees(self, layer: Layer) -> bool:
        """As :meth:`Rights.sees`."""
        return True

    def edits(self, layer: Layer) -> bool:
        """As :meth:`Rights.edits`."""
        return True


EVERYTHING = Everything()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One feature: ``change`` is from what it is to what it was, and is to be again after change ``seq``;
    ``conflict`` the newest change set by which somebody else changed it since what is taken back."""

    seq: int
    change: FeatureChange
    conflict: ChangeSet | None


type LayerChange = Literal["added", "removed", "reverted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerStep:
    """A layer that is to be as a whole what it was after change ``seq``: there again (``added``), gone
    (``removed``), or with the fields and features of then (``reverted``). ``features`` is how many of these
    come, go or change, None where they are too many to be counted; ``conflict`` as of a :class:`Step`."""

    seq: int
    layer: str
    change: LayerChange
    features: int | None
    conflict: ChangeSet | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoPlan:
    """What would be done, as of change ``seq``; ``undone`` is the change set that is taken back, if one is.

    It has ``steps``, or else a ``whole`` layer.

    ``lost`` are fields by layer, whose values do not come back: they are gone by now, or of another type.
    ``left_out`` are layers of which nothing is taken back, with the reason."""

    seq: int
    undone: ChangeSet | None
    steps: tuple[Step, ...]
    lost: dict[str, tuple[str, ...]]
    left_out: dict[str, TwinError] = field(default_factory=dict)
    whole: LayerStep | None = None

    @property
    def conflicts(self) -> list[Step]:
        """The steps that would take back what somebody else did since."""
        return [step for step in self.steps if step.conflict is not None]

    @property
    def in_the_way(self) -> list[ChangeSet]:
        """What somebody else did since, of features and of a whole layer: a change set for each."""
        every: list[Step | LayerStep] = [*self.steps, *([] if self.whole is None else [self.whole])]
        return [one.conflict for one in every if one.conflict is not None]


def of_set(store: Store, number: int, rights: Rights = EVERYTHING) -> UndoPlan:
    """The plan to take back a change set: an edit, a load, a transaction, an undo.

    A layer that it made, dropped, or gave other fields is taken back as a whole; so is a load of more than
    :data:`MOST` features. Where somebody has changed features of it since, a load that gave it other fields
    is taken back feature by feature, without these fields.

    Raises NotFound (no such set, or nothing of it is seen), Conflict (the layer was dropped since, or made
    again), NotEditable, Gone (what was before it is not kept), TooLarge (more than :data:`MOST` features of
    other programs)."""
    found = store.change_sets(after=number - 1, before=number + 1, limit=1) if 0 < number < 2**63 - 1 else []
    if not found:
        raise NotFound(f"there is no change set {number}")
    one, now = found[0], store.seq()
    span = Span(store, store.as_of(now), store.as_of(one.first - 1))
    own = [] if one.layer is None else [one.layer]
    every = own or span.layers()
    of_set = [name for name in every if next(touched(store, name, one.first - 1, one.last), None)] or own
    if one.layer is not None and (whole := _whole(store, span, one, one.layer, rights)) is not None:
        return UndoPlan(seq=now, undone=one, steps=(), lost={}, whole=whole)
    chosen, left_out = _chosen(store, span, of_set, rights)
    if not chosen and of_set:
        raise next(iter(left_out.values()), NotFound(f"there is no change set {number}"))
    steps: list[Step] = []
    lost = {}
    for layer in chosen:
        touches = list(touched(store, layer, one.first - 1, one.last))
        later = {touch.fid: touch.set for touch in touched(store, layer, one.last, now)}
        for change in compared(span.before, span.after, layer, touches):
            steps.append(Step(seq=one.first - 1, change=change, conflict=later.get(change.fid)))
            _bound(steps)
        if touches and (names := _lost(span, layer)):
            lost[layer] = names
    return UndoPlan(seq=now, undone=one, steps=tuple(steps), lost=lost, left_out=left_out)


def of_feature(store: Store, layer: str, fid: int, seq: int, rights: Rights = EVERYTHING) -> UndoPlan:
    """The plan to make a feature what it was after change ``seq``.

    Raises NotFound (a feature that is not there and was not), Gone, Conflict and NotEditable as
    :func:`of_set`."""
    now = store.seq()
    span = Span(store, store.as_of(now), store.as_of(seq))
    _check(store, span, layer, rights)
    touches = [t for t in store.touched(layer, seq, now, beyond=fid - 1, limit=1) if t.fid == fid]
    found = list(compared(span.before, span.after, layer, touches))
    if not touches and not store.versions(layer, fid, limit=1)[0].there:
        raise NotFound(f"layer {layer} has no feature {fid}, and had none then")
    steps = tuple(Step(seq=seq, change=change, conflict=None) for change in found)
    names = _lost(span, layer)
    return UndoPlan(seq=now, undone=None, steps=steps, lost={layer: names} if names else {})


def of_actor(
    store: Store,
    actor: str,
    after: int,
    until: int,
    bbox: Bbox | None = None,
    rights: Rights = EVERYTHING,
) -> UndoPlan:
    """The plan to take back what a person did after one change and up to another; of features that meet a box
    (lon/lat), as they are or as they were before, where one is given.

    Each feature becomes what it was before the first of these edits. Raises Gone, TooLarge, and Conflict of a
    feature with too many versions."""
    now = store.seq()
    present = store.as_of(now)
    steps: list[Step] = []
    lost = {}
    whole = Span(store, present, store.as_of(after))
    made = [name for name in whole.layers() if next(touched(store, name, after, until, actor=actor), None)]
    chosen, left_out = _chosen(store, whole, made, rights)
    for layer in chosen:
        groups, conflicts = before_edits(store, layer, actor, after, until, now)
        for seq, touches in sorted(groups.items()):
            span = Span(store, present, store.as_of(seq))
            for change in compared(present, span.after, layer, touches):
                if bbox is None or meets(change, bbox):
                    steps.append(Step(seq=seq, change=change, conflict=conflicts[change.fid]))
                    _bound(steps)
            if names := _lost(span, layer):
                lost[layer] = names
    return UndoPlan(seq=now, undone=None, steps=tuple(steps), lost=lost, left_out=left_out)


def of_area(
    store: Store,
    bbox: Bbox,
    after: int,
    until: int,
    layers: Sequence[str] | None = None,
    rights: Rights = EVERYTHING,
) -> UndoPlan:
    """The plan to make the features of an area what they were after one change, of those that were changed
    up to another one, by whomever; of some layers, or of all that there were and are.

    A feature is of the area where it meets the box (lon/lat), as it is or as it was; who has changed it after
    ``until`` is told as conflict. Raises as :func:`of_actor`, and of a layer that is named NotFound, Conflict
    and NotEditable."""
    now = store.seq()
    span = Span(store, store.as_of(now), store.as_of(after))
    if layers is None:
        some = [name for name in span.layers() if next(touched(store, name, after, until), None)]
        chosen, left_out = _chosen(store, span, some, rights)
    else:
        chosen, left_out = list(dict.fromkeys(layers)), {}
        for layer in chosen:
            _check(store, span, layer, rights)
    steps: list[Step] = []
    lost = {}
    for layer in chosen:
        touches = touched(store, layer, after, until)
        found = [c for c in compared(span.before, span.after, layer, touches) if meets(c, bbox)]
        later = {touch.fid: touch.set for touch in touched(store, layer, until, now)} if found else {}
        steps += (Step(seq=after, change=change, conflict=later.get(change.fid)) for change in found)
        _bound(steps)
        if found and (names := _lost(span, layer)):
            lost[layer] = names
    return UndoPlan(seq=now, undone=None, steps=tuple(steps), lost=lost, left_out=left_out)


def apply(
    store: Store, plan: UndoPlan, by: Author, *, leave_out_conflicts: bool = False, agreed: int | None = None
) -> int:
    """Do it, in one transaction and one change set; the newest number of the log after it,
    or that of the plan where there is nothing to do.

    ``agreed`` is the ``seq`` of the plan that was shown, where this one was made again. Raises Conflict where
    a step would take back what somebody else did, unless those are left out, or where a feature was changed
    since the plan was made, or was shown; what of a change set cannot be taken back, unless that is left out;
    and what :meth:`Store.put_back` does."""
    since = plan.seq if agreed is None else min(agreed, plan.seq)
    if any(one.last > since for one in plan.in_the_way):
        raise Conflict("features of the plan were changed since it was made; make it again")
    if plan.in_the_way and not leave_out_conflicts:
        raise Conflict(refusal(plan))
    if plan.undone is not None and plan.left_out and not leave_out_conflicts:
        raise next(iter(plan.left_out.values()))
    undone = None if plan.undone is None else plan.undone.id
    by = replace(by, via="undo", undone=undone)
    if plan.whole is not None and plan.whole.conflict is None:
        return store.revert(plan.whole.layer, plan.whole.seq, by, unchanged_since=since)
    steps = [step for step in plan.steps if step.conflict is None]
    former = [Former(step.change.layer, step.change.fid, step.seq) for step in steps]
    if not former:
        return plan.seq
    return store.put_back(former, by, unchanged_since=since)


def refusal(plan: UndoPlan) -> str:
    """Why a plan is not done: what was changed since."""
    if plan.whole is not None:
        return f"layer {plan.whole.layer} was changed since"
    return f"{len(plan.conflicts)} of {len(plan.steps)} features were changed since"


def made_by(store: Store, seq: int) -> ChangeSet | None:
    """The change set of a number of the log, which is among the newest."""
    before: int | None = None
    while page := store.change_sets(before=before, limit=10):
        for one in page:
            if one.first <= seq:
                return one if seq <= one.last else None
        before = page[-1].id
    return None


def _whole(store: Store, span: Span, one: ChangeSet, layer: str, rights: Rights) -> LayerStep | None:
    """The step that takes back what a set did to its layer as a whole; None where it changed features alone.
    Raises as :func:`of_set`."""
    now, then = _layer(span.before, layer), _layer(span.after, layer)
    after = _layer(store.as_of(one.last), layer)
    known = after or then
    if known is None:
        _refuse_form((store.as_of(one.last), span.after), layer, rights)
        return None
    later = store.change_sets(after=one.id, layer=layer, limit=1)
    conflict = later[0] if later else None
    change, features = _change(store, one, layer, then, after)
    if change is None or (conflict is not None and features is not None and change == "reverted"):
        return None
    if not rights.sees(known):
        raise NotFound(f"there is no change set {one.id}")
    if not rights.edits(known):
        raise _in_part(layer)
    if change == "added" and now is not None:
        raise Conflict(f"layer {layer} was made again since")
    if change != "added" and now is None:
        raise Conflict(f"layer {layer} was dropped since")
    return LayerStep(
        seq=one.first - 1,
        layer=layer,
        change=change,
        features=now.count if change == "removed" and now is not None else features,
        conflict=conflict,
    )


def _change(
    store: Store, one: ChangeSet, layer: str, then: FeatureLayer | None, after: FeatureLayer | None
) -> tuple[LayerChange | None, int | None]:
    """What taking a set back does to the layer as a whole (None: nothing), which it found so and left so; to
    how many features."""
    if then is None or after is None:
        return ("removed", None) if then is None else ("added", then.count)
    if one.generation is None:
        return None, None
    count = sum(1 for _ in itertools.islice(touched(store, layer, one.first - 1, one.last), MOST + 1))
    features = count if count <= MOST else None
    if features is None or _said(then) != _said(after):
        return "reverted", features
    return None, features


def _said(layer: FeatureLayer) -> tuple[object, ...]:
    words = layer.fields, layer.geometry_type, layer.kind, layer.title, layer.time_field, layer.crs
    return *words, layer.model_version


def _in_part(layer: str) -> NotEditable:
    return NotEditable(f"layer {layer} is not edited: only a part of it is seen with these rights")


def _chosen(
    store: Store, span: Span, names: Sequence[str], rights: Rights
) -> tuple[list[str], dict[str, TwinError]]:
    """Those of the layers whose features can be taken back, and why not those of others that are seen."""
    chosen: list[str] = []
    left_out: dict[str, TwinError] = {}
    for name in names:
        try:
            _check(store, span, name, rights)
        except NotFound:
            continue
        except (Conflict, NotEditable) as error:
            left_out[name] = error
        else:
            chosen.append(name)
    return chosen, left_out


def _check(store: Store, span: Span, layer: str, rights: Rights) -> None:
    """Raises NotFound (nobody who asks sees such a layer), NotEditable, and Conflict where there is none at
    one of the moments."""
    now, then = _layer(span.before, layer), _layer(span.after, layer)
    known = now or then
    if known is None:
        _refuse_form((span.before, span.after), layer, rights)
    if known is None or not rights.sees(known):
        raise NotFound(f"there is no layer {shown(layer)}")
    if not rights.edits(known):
        raise _in_part(layer)
    if then is None or now is None:
        what = "was made by it, or after it" if then is None else "was dropped since"
        raise Conflict(f"layer {layer} {what}: features alone are taken back, and no layer")
    present = store.feature_layer(layer)
    if not present.edits:
        raise NotEditable(f"layer {layer} is not edited: {present.fixed_because}")


def _layer(end: End, layer: str) -> FeatureLayer | None:
    try:
        return end.feature_layer(layer)
    except NotFound:
        return None


def _refuse_form(ends: Sequence[End], layer: str, rights: Rights) -> None:
    """Raises Conflict where a layer that is seen has another form than features at one of some moments."""
    for end in ends:
        with suppress(NotFound):
            known = end.layer(layer)
            if not has_features(known) and rights.sees(known):
                raise Conflict(f"layer {layer} is a {known.form}: layers of features alone are taken back")


def _lost(span: Span, layer: str) -> tuple[str, ...]:
    now = {(f.name, f.type) for f in span.before.feature_layer(layer).fields}
    return tuple(f.name for f in span.after.feature_layer(layer).fields if (f.name, f.type) not in now)


def _bound(steps: list[Step]) -> None:
    if len(steps) > MOST:
        raise TooLarge(f"more than {MOST} features would be taken back; load the source of before again")
