"""A digest of what a change set changed: of every feature that it made, changed or removed, as it was before
and after, whatever reads it. It does not depend on how a store keeps old rows."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from layers.audit import hashes
from layers.audit.hashes import Algorithm
from layers.diff import touched
from layers.errors import Gone, NotFound
from layers.model import ChangeSet, ContentLayer
from layers.store.base import Past, Store

#: Features that are looked at together.
_BATCH = 500
#: Rows of the log of one change set that are looked at for its layers.
_LOGGED = 10_000


@dataclass(frozen=True, slots=True)
class Changed:
    """``layers`` of which a change set changed something, how many ``features``, and the digest; None where
    what it changed is not known any more, or not known at all: another program may log what is no layer."""

    layers: tuple[str, ...]
    features: int | None
    digest: str | None


class Enough(Exception):
    """Whoever asked for a digest wants it no longer."""


def changed(
    store: Store, one: ChangeSet, algorithm: Algorithm, enough: Callable[[], bool] = lambda: False
) -> Changed:
    """Of a change set that is in the log still. Raises what a read of the store does, and Enough, between
    some features and the next."""
    names = layers(store, one)
    try:
        count, text = digest(store, one, names, algorithm, enough)
    except (Gone, NotFound):
        return Changed(names, None, None)
    return Changed(names, count, text)


def layers(store: Store, one: ChangeSet) -> tuple[str, ...]:
    """The layers that the log names for a change set."""
    if one.layer is not None:
        return (one.layer,)
    found: set[str] = set()
    since = one.first - 1
    while since < one.last:
        page = [change for change in store.changes(since, _LOGGED) if change.seq <= one.last]
        if not page:
            break
        found.update(change.layer for change in page)
        since = page[-1].seq
    return tuple(sorted(found))


def digest(
    store: Store,
    one: ChangeSet,
    names: Sequence[str],
    algorithm: Algorithm,
    enough: Callable[[], bool] = lambda: False,
) -> tuple[int, str]:
    """How many features of these layers a change set changed, and the digest of that. Raises Gone: what was
    before it or after it is not kept; NotFound: there never was such a layer; Enough."""
    begun, count = hashes.maker(algorithm)(), 0
    before, after = store.as_of(one.first - 1), store.as_of(one.last)
    for name in names:
        for fid, old, new in _features(store, one, name, before, after, enough):
            begun.update(_text([name, fid, old, new]))
            count += fid is not None
    return count, hashes.named(algorithm, begun)


def _features(
    store: Store, one: ChangeSet, layer: str, before: Past, after: Past, enough: Callable[[], bool]
) -> Iterator[tuple[int | None, Any, Any]]:
    """The features that were not the same before and after, by id; of a layer of another form its record."""
    some = False
    for batch in itertools.batched(touched(store, layer, one.first - 1, one.last), _BATCH):
        if enough():
            raise Enough
        some = True
        fids = [touch.fid for touch in batch]
        old, new = _states(before, layer, fids), _states(after, layer, fids)
        for fid in fids:
            if old.get(fid) != new.get(fid):
                yield fid, old.get(fid), new.get(fid)
    if not some:
        records = _record(before, layer), _record(after, layer)
        if records[0] != records[1]:
            yield None, *records


def _states(past: Past, layer: str, fids: Sequence[int]) -> Mapping[int, Any]:
    """Features as [values by field, hash of the geometry's WKB, hash of the body]."""
    try:
        rows = past.chosen(layer, fids)
    except NotFound:
        return {}
    names = list(rows.properties)
    columns = zip(*rows.properties.values(), strict=True) if names else itertools.repeat(())
    found = {}
    for fid, wkb, values in zip(rows.fids.tolist(), rows.wkb, columns, strict=False):
        mesh = rows.meshes.get(fid)
        body = None if mesh is None else mesh.to_bytes()
        found[fid] = [dict(zip(names, values, strict=True)), _hash(wkb), _hash(body)]
    return found


def _hash(value: bytes | None) -> str | None:
    return None if value is None else hashlib.sha256(value).hexdigest()


def _record(past: Past, layer: str) -> Any:
    try:
        record = past.layer(layer)
    except NotFound:
        return None
    if not isinstance(record, ContentLayer):
        return None
    told = asdict(record)
    return _said(told, "model_version") | {"assets": [_said(asset, "transform") for asset in told["assets"]]}


def _said(told: dict[str, Any], *since: str) -> dict[str, Any]:
    """A record without those of its members that say nothing and that came since the first seals, which are
    to hold."""
    return {name: value for name, value in told.items() if value is not None or name not in since}


def _text(value: Any) -> bytes:
    """One line of JSON, always the same for the same values."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a number beyond 64 bits, bytes in a column of texts
        return json.dumps(value, sort_keys=True, default=repr).encode() + b"\n"
