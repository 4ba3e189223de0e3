"""The history of a script's city against what the model and the store said when it was the present."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from layers.errors import BadParameter, Gone, NotFound
from layers.model import ChangeSet, Version
from layers.store.base import Past
from tests.histories import drawn, same
from tests.histories.model import City, LayerState
from tests.histories.scripts import Script
from tiles.service import Tiles


def check_all(script: Script) -> None:
    """Every past state in any order, every change set, every feature's versions."""
    seqs = list(script.states)
    script.eyes.shuffle(seqs)
    for seq in seqs:
        check_state(script, seq, script.store.as_of(seq))
    check_sets(script)
    check_versions(script)


def check_one(script: Script) -> None:
    """Any past state."""
    seq = script.eyes.choice(list(script.states))
    check_state(script, seq, script.store.as_of(seq))


def known_from(script: Script) -> int:
    """From which number on something is known of the city for sure: of a layer of which nothing was lost,
    even if that is gone by now; else from the first of the losses on."""
    names = {name for city in script.states.values() for name in city}
    return min((max(script.lost.get(name, {}).values(), default=0) for name in names), default=0)


def check_state(script: Script, seq: int, past: Past) -> None:
    """One past state: what the model has, and what was answered then."""
    assert past.seq() == seq
    if seq < script.store.kept().seq:
        assert seq < known_from(script)
        with suppress(Gone):  # so it is told to who asks for the moment; a store may know of no layer then
            assert past.layers() == []
        return
    lost = script.lost_at(seq)
    same.check(past, script.states[seq], script.eyes, lost)
    tiles = Tiles(past, script.tiles())
    drawn.check(tiles, script.states[seq], script.eyes, lost)
    seen = script.seen.get(seq)
    if seen is None:
        return
    for name, layer in seen.layers.items():
        if name in lost:
            continue
        then = past.feature_layer(name)
        told: Any = {"extent": None, "edits": (), "fixed_because": ""}
        assert replace(then, **told) == replace(layer, **told)
        assert past.interval(name) == seen.intervals[name]
    for (name, fid), revision in seen.revisions.items():
        if name not in lost:
            assert past.revision(name, fid) == revision
    for name, query, page in seen.pages:
        if name not in lost:
            assert past.items(name, query) == page, query
    drawn.check_again(tiles, seen.picture, script.states[seq], lost)
    changes = [change for change in script.store.changes(0) if change.seq <= seq]
    assert past.changes(0) == changes


def change_sets(script: Script, size: int = 7) -> list[ChangeSet]:
    """All change sets, oldest first, read in pages."""
    sets: list[ChangeSet] = []
    while page := script.store.change_sets(before=sets[-1].id if sets else None, limit=size):
        sets += page
    return sets[::-1]


def check_sets(script: Script) -> None:
    """Every number is of one set, in order; a set ends where an act ended, and says who it was."""
    sets = change_sets(script)
    assert [s.id for s in sets] == list(range(1, len(sets) + 1))
    assert [s.first for s in sets] == [1, *(s.last + 1 for s in sets[:-1])]
    assert (sets[-1].last if sets else 0) == script.store.seq()
    assert [s.at for s in sets] == sorted(s.at for s in sets)
    for one in sets:
        by = script.authors.get(one.last)
        if by is not None:
            assert (one.actor, one.via, one.message, one.address) == (
                by.actor,
                by.via,
                by.message,
                by.address,
            )
            assert one.last in script.states
        else:
            assert one.via in ("other", "repair")
    for name in {one.layer for one in sets if one.layer is not None}:
        some = script.store.change_sets(layer=name, limit=10_000)
        assert [s for s in some if s.layer is not None] == [s for s in sets[::-1] if s.layer == name]
    for actor in ("anna", "nobody"):
        some = script.store.change_sets(actor=actor, limit=10_000)
        assert some == [s for s in sets[::-1] if s.actor == actor]
    check_moments(script, sets)


def check_moments(script: Script, sets: list[ChangeSet]) -> None:
    """Numbers and instants name the state after a whole set."""
    known = script.store.kept().seq
    assert known <= known_from(script)
    for one in sets:
        newest = one.id == len(sets)
        not_after = [other for other in sets if other.at <= one.at][-1]
        for text, then in ((f"@{one.first}", one), (f"@{one.last}", one), (one.at, not_after)):
            if then.last < known:
                with pytest.raises(Gone):
                    script.store.moment(text)
                continue
            moment = script.store.moment(text)
            assert moment.seq == then.last
            if then is one:
                assert (moment.at, moment.fixed) == (one.at, not newest)
    with pytest.raises(BadParameter, match="at"):
        script.store.moment(f"@{script.store.seq() + 1}")


def versions(script: Script, name: str, fid: int) -> list[Version]:
    """All versions of a feature, newest first, read in pages of two."""
    found: list[Version] = []
    while page := script.store.versions(name, fid, before=found[-1].since if found else None, limit=2):
        found += page
    return found


def check_versions(script: Script) -> None:
    """A feature's versions meet, and it was the same between the two ends of each."""
    for name, state in script.city.items():
        if not isinstance(state, LayerState) or name in script.lost:
            continue
        with pytest.raises(NotFound):
            script.store.versions(name, 10**9)
        fids = sorted({fid for city in script.states.values() for fid in _bodies(city, name)})
        for fid in script.eyes.sample(fids, min(5, len(fids))):
            found = versions(script, name, fid)
            assert found[0].until is None
            assert [v.since for v in found[:-1]] == [v.until for v in found[1:]]
            for version in found:
                _check_version(script, name, fid, version)


def _check_version(script: Script, name: str, fid: int, version: Version) -> None:
    span = [
        _bodies(city, name).get(fid)
        for seq, city in script.states.items()
        if version.since <= seq and (version.until is None or seq < version.until)
    ]
    assert all((body is not None) == version.there for body in span)
    assert all(_known(body) == _known(span[0]) for body in span)
    assert version.set is not None
    assert version.set.first <= version.since <= version.set.last
    assert version.at == version.set.at


def _bodies(city: City, name: str) -> Any:
    state = city.get(name)
    return state.bodies if isinstance(state, LayerState) else {}


def _known(body: Any) -> Any:
    """What is of a feature: fields without a value come and go with loads."""
    return body and (
        body.wkb,
        body.mesh,
        {name: value for name, value in body.values.items() if value is not None},
    )
