"""Whether an audit is true: of exported lines alone, or of a city, whose change sets and rows must be what
its entries say. Nothing is written, and no server is needed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from layers.audit import chain, digests, hashes
from layers.audit.chain import Fault
from layers.audit.sealing import every, facts
from layers.errors import Gone, NotFound
from layers.model import ChangeSet, Link
from layers.store.base import Audit, Store


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What was looked at: entries ``first`` to ``last``, the latter with ``hash``; ``changes`` of them seal a
    change set. Of these ``compared`` are equal to what the city's history has, of ``not_kept`` it does not
    reach back so far. ``unsealed`` change sets have no entry yet. ``before`` is the hash of what was before
    the first, empty where that is the beginning. ``fault`` is the first entry that is not true."""

    first: int = 0
    last: int = 0
    hash: str = ""
    before: str = ""
    entries: int = 0
    changes: int = 0
    compared: int = 0
    not_kept: int = 0
    unsealed: int = 0
    fault: Fault | None = None
    #: Of each cut that an entry tells: its last number, and the hash of that.
    _cuts: dict[int, str] = field(default_factory=dict, repr=False)

    def take(self, link: Link, entry: dict[str, Any]) -> None:
        """Count an entry that is true."""
        if not self.entries:
            self.first, self.before = link.n, entry["prev"]
        self.entries += 1
        self.last, self.hash = link.n, link.hash
        if entry.get("kind") == "cut":
            self._cuts[entry.get("through", 0)] = entry.get("last", "")
        self.changes += entry.get("kind") == "change"

    @property
    def is_told(self) -> bool:
        """Whether the entries that are no longer there before the first were cut off as an entry says."""
        return self.first <= 1 or self._cuts.get(self.first - 1) == self.before


def lines(texts: Iterable[str], city: Store | None = None) -> Verdict:
    """Of an export; with a ``city``, whether its chain still is that one."""
    verdict = Verdict()
    beside = None if city is None else _Beside(city.audit)
    for link in chain.followed(_parsed(texts, verdict)):
        if isinstance(link, Fault):
            verdict.fault = link
            break
        if beside is not None and (why := beside.differs(link)) is not None:
            verdict.fault = Fault(link.n, why)
            break
        verdict.take(link, json.loads(link.entry))
    return verdict


def _parsed(texts: Iterable[str], verdict: Verdict) -> Iterator[Link]:
    for number, text in enumerate(texts, 1):
        if not text.strip():
            continue
        try:
            yield chain.of_line(text)
        except ValueError as error:
            verdict.fault = Fault(verdict.last + 1, f"cannot be read (line {number}): {error}")
            return


class _Beside:
    """The chain of a city, walked beside one whose links come in the order of their numbers."""

    def __init__(self, audit: Audit) -> None:
        head = audit.head()
        self._audit, self._newest = audit, 0 if head is None else head.n
        self._links: Iterator[Link] | None = None
        self._here: Link | None = None

    def differs(self, link: Link) -> str | None:
        """What is otherwise in the city; what it has cut off is not known to be."""
        if link.n > self._newest:
            return "is not in the city: its audit ends before"
        if self._links is None:
            self._links = every(self._audit, link.n - 1)
            self._here = next(self._links, None)
        while self._here is not None and self._here.n < link.n:
            self._here = next(self._links, None)
        if self._here is not None and self._here.n == link.n and self._here.hash != link.hash:
            return "is another one in the city"
        return None


def city(store: Store) -> Verdict:
    """Of a city, which is read only: its chain, its change sets, and the rows that its history keeps."""
    verdict = Verdict()
    sets = _sets(store)
    since: int | None = None  # the newest change set that has an entry
    for link in chain.followed(every(store.audit)):
        if isinstance(link, Fault):
            verdict.fault = link
            return verdict
        entry = json.loads(link.entry)
        if entry["kind"] == "change":
            one, why = _next(sets, entry, since)
            why = why or _differs(store, one, entry, verdict)
            if why is not None:
                verdict.fault = Fault(link.n, why)
                return verdict
        verdict.take(link, entry)
        since = since if link.set is None else link.set
    if not verdict.is_told:
        verdict.fault = Fault(verdict.first, "is the first; no entry says that those before were cut off")
    verdict.unsealed = 0 if since is None else sum(one.id > since for one in sets)
    return verdict


def _sets(store: Store) -> Iterator[ChangeSet]:
    """Every change set of the city, by id; those that other programs made and nobody has looked at since are
    not among them."""
    after = 0
    while page := store.audit.sets(after, 1_000):
        yield from page
        after = page[-1].id


def _next(
    sets: Iterator[ChangeSet], entry: dict[str, Any], since: int | None
) -> tuple[ChangeSet | None, str | None]:
    """The change set that an entry seals, and what is wrong with it."""
    for one in sets:
        if one.id == entry["set"]:
            return one, None
        if one.id > entry["set"]:
            break
        if since is not None and one.id > since:
            return None, f"does not seal change set {one.id}, which comes first"
    return None, f"seals change set {entry['set']}, which is gone"


def _differs(store: Store, one: ChangeSet | None, entry: dict[str, Any], verdict: Verdict) -> str | None:
    """What the city has otherwise than an entry says."""
    if one is None:
        return None
    for name, value in facts(one).items():
        if entry.get(name) != value:
            return f"seals change set {one.id} with another {name}: {entry.get(name)!r}, now {value!r}"
    stored = entry["digest"]
    algorithm = None if stored is None else hashes.algorithm_of(stored)
    if algorithm is None:
        verdict.not_kept += 1
        return None
    try:
        _, found = digests.digest(store, one, entry["layers"], algorithm)
    except (Gone, NotFound):
        verdict.not_kept += 1
        return None
    if found != stored:
        return f"seals change set {one.id}, of which the rows are no longer what it made"
    verdict.compared += 1
    return None
