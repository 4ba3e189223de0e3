"""The groups of snapshots, and their pyramids as arrays by name, as they lie beside the columns in a file.

Whatever fields :class:`tiles.levels.build.Levels` has, each array is named by its place in them."""

from __future__ import annotations

import dataclasses
import threading
import weakref
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import orjson
from numpy.typing import NDArray

from tiles.batch import Batch
from tiles.levels import table
from tiles.levels.build import Levels, Scheme
from tiles.levels.source import Halves, Ordered, Source
from tiles.levels.table import Table

#: To be changed whenever the same features give other tables, or another order: those of before are then
#: made anew.
EDITION = 1
_ORDER, _PLACES, _KEYS, _SUMS = "order", "places", "keys", "sums"

type Arrays = Mapping[str, NDArray[Any]]
type _Path = tuple[str, ...]


class Index(Protocol):
    """What all snapshots of the same columns have in common."""

    @property
    def kept(self) -> Arrays:
        """The arrays that lie beside the columns."""


class Columns(Halves, Protocol):
    """A layer at one moment."""

    @property
    def index(self) -> Index:
        """That of its columns."""


_LOCK = threading.Lock()
_BASES: weakref.WeakKeyDictionary[Index, dict[Scheme, Ordered]] = weakref.WeakKeyDictionary()
_SOURCES: weakref.WeakKeyDictionary[Columns, dict[Scheme, Source]] = weakref.WeakKeyDictionary()


def source(snapshot: Columns, scheme: Scheme) -> Source:
    """The groups of a snapshot."""
    known = _SOURCES.get(snapshot, {}).get(scheme)
    if known is not None:
        return known
    (base, live), *rest = snapshot.halves
    fresh = Ordered(rest[0][0], scheme) if rest else None
    with _LOCK:
        made = Source(_base(snapshot.index, base, scheme), live, fresh)
        return _SOURCES.setdefault(snapshot, {}).setdefault(scheme, made)


def _base(index: Index, batch: Batch, scheme: Scheme) -> Ordered:
    known = _BASES.setdefault(index, {})
    if scheme not in known:
        known[scheme] = opened(batch, scheme, index.kept)
    return known[scheme]


def held(kept: Arrays, scheme: Scheme) -> bool:
    """Whether the pyramids of a scheme are among some arrays."""
    return _prefix(scheme) + _ORDER in kept


def arrays(whole: Ordered) -> dict[str, NDArray[Any]]:
    """Of what :func:`opened` makes the same again."""
    prefix = _prefix(whole.scheme)
    found: dict[str, NDArray[Any]] = {prefix + _ORDER: whole.order, prefix + _PLACES: whole.places}
    for path, one in _tables(whole.levels):
        name = prefix + "/".join(path)
        found[f"{name}/{_KEYS}"], found[f"{name}/{_SUMS}"] = one.keys, one.sums
    return found


def opened(batch: Batch, scheme: Scheme, kept: Arrays) -> Ordered:
    """The groups of a batch: those that are kept, else new ones, whose pyramids are made when they are
    wanted."""
    if not held(kept, scheme):
        return Ordered(batch, scheme)
    prefix = _prefix(scheme)
    found: dict[_Path, Table] = {}
    for name in kept:
        path = tuple(name.removeprefix(prefix).split("/"))
        if name.startswith(prefix) and path[-1] == _KEYS:
            found[path[:-1]] = Table(kept[name], kept[name.removesuffix(_KEYS) + _SUMS])
    return Ordered(batch, scheme, (kept[prefix + _ORDER], kept[prefix + _PLACES]), _levels(found))


def summed(of: Source) -> Levels:
    """The pyramids of all features of a source, added up from those that there are."""
    paths: dict[_Path, list[tuple[int, Table]]] = {}
    for sign, levels in of.parts:
        for path, one in _tables(levels):
            paths.setdefault(path, []).append((sign, one))
    return _levels({path: table.joined(parts) for path, parts in paths.items()})


def _prefix(scheme: Scheme) -> str:
    said: list[Any] = [scheme.by, scheme.values]
    if scheme.rank is not None:
        said.append(scheme.rank)
    return f"levels/{EDITION}/{zlib.crc32(orjson.dumps(said)):08x}/"


def _tables(levels: Levels) -> Iterator[tuple[_Path, Table]]:
    """All tables with their places: a field of levels, then the numbers by which it is in it."""
    waiting: list[tuple[_Path, Any]] = [
        ((one.name,), getattr(levels, one.name)) for one in dataclasses.fields(Levels)
    ]
    while waiting:
        path, found = waiting.pop()
        if isinstance(found, Table):
            yield path, found
        else:
            waiting += [((*path, str(key)), below) for key, below in found.items()]


def _levels(tables: Mapping[_Path, Table]) -> Levels:
    fields: dict[str, Any] = {one.name: {} for one in dataclasses.fields(Levels)}
    for (name, *numbers, last), one in tables.items():
        at = fields[name]
        for number in numbers:
            at = at.setdefault(int(number), {})
        at[int(last)] = one
    return Levels(**fields)
