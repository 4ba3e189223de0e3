"""What each feature was before a person's edits, told for many at a time."""

from __future__ import annotations

from bisect import bisect_left

from layers.diff import touched
from layers.errors import Conflict
from layers.model import ChangeSet, Touch
from layers.store.base import Store

#: Versions of a feature that are looked at.
_VERSIONS = 1_000


def before_edits(
    store: Store, layer: str, actor: str, after: int, until: int, now: int
) -> tuple[dict[int, list[Touch]], dict[int, ChangeSet | None]]:
    """The features of a layer that a person changed after one change and up to another, by the number after
    which each was what it was before the first of these edits; and of each the newest change set by which
    somebody else, or that person at another time, has changed it since.

    Raises Conflict: a feature has more versions since than are looked at."""
    own = list(touched(store, layer, after, until, actor=actor))
    fids = {touch.fid for touch in own}
    every = {touch.fid: touch for touch in touched(store, layer, after, until) if touch.fid in fids}
    later = {touch.fid: touch.set for touch in touched(store, layer, until, now) if touch.fid in fids}
    reshaped = store.reshaped(layer, after, until)
    groups: dict[int, list[Touch]] = {}
    conflicts: dict[int, ChangeSet | None] = {}
    for touch in own:
        alone = every[touch.fid].times == touch.times and bisect_left(reshaped, touch.first) == 0
        if alone and (touch.fid not in later or later[touch.fid] is not None):
            # nobody else changed it in between, nor did its layer get other fields
            seq, conflicts[touch.fid] = after, later.get(touch.fid)
        else:
            seq, conflicts[touch.fid] = _by_versions(store, layer, touch, actor, after, until)
        groups.setdefault(seq, []).append(touch)
    return groups, conflicts


def _by_versions(
    store: Store, layer: str, touch: Touch, actor: str, after: int, until: int
) -> tuple[int, ChangeSet | None]:
    since = [v for v in store.versions(layer, touch.fid, limit=_VERSIONS) if v.since >= touch.first]
    sets = [version.set for version in since]
    first = sets[-1] if sets else None
    if first is None or since[-1].since != touch.first:
        raise Conflict(f"feature {touch.fid} of layer {layer} was changed too often since")
    others = (s for s in sets if s and (s.actor != actor or not after < s.last <= until))
    return first.first - 1, next(others, None)
