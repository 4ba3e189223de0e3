"""Sealing: change sets and other events become links of the chain, in their order, after they are there.

An edit waits for nothing of it. A set that was committed right before the process ended is sealed by the
next one, as is what other programs do; several servers of one database make one chain: whoever appends first
wins, and the others begin again behind it.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from layers import instants
from layers.audit import chain, digests, hashes
from layers.audit.hashes import Algorithm
from layers.errors import Busy
from layers.model import ChangeSet, Link
from layers.store.base import Audit, Store

#: Change sets, and events, that are sealed in one transaction.
_BATCH = 100
#: How often it is begun again behind what another process appended.
_TRIES = 20
#: Entries that are looked at together.
_PAGE = 1_000
#: Events that wait to be written; of more only the number is kept.
MOST_WAITING = 10_000


type Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Batch:
    """What is appended together; ``events`` of those that were told, and ``lost`` of the others, are among
    it. ``full``: there may be more."""

    bodies: Sequence[Entry]
    epoch: str
    events: int
    lost: int
    full: bool


class Sealer:
    """Makes links of what a city's store did and of what is told. Safe to use from several threads.

    ``days``: entries that are older than that are no longer kept. A load is left for so many seconds of
    ``patience``, with what follows it, to the process that made it: a large one's digest is long work."""

    def __init__(
        self, store: Store, algorithm: Algorithm, days: float | None, *, patience: float = 0.0
    ) -> None:
        hashes.maker(algorithm)
        self._store, self._algorithm, self._days = store, algorithm, days
        self._patience = timedelta(seconds=patience)
        self._events: deque[Entry] = deque()
        self._lost = 0
        #: The last link that was appended here, by number and hash, and the history of the store then.
        self._known: tuple[int, str, str] | None = None
        self._left = False
        self._lock = threading.Lock()
        self._sealing = threading.Lock()

    def tell(self, kind: str, **facts: Any) -> None:
        """Have an event sealed that is no change set; it waits for :meth:`seal`."""
        with self._lock:
            if len(self._events) >= MOST_WAITING:
                self._lost += 1
                return
            self._events.append({"kind": kind, "at": now(), **{k: _plain(v) for k, v in facts.items()}})

    @property
    def waiting(self) -> bool:
        """Whether something is not sealed yet: what was told, or a load that was left to another process."""
        return bool(self._events) or self._left

    def seal(self, enough: Callable[[], bool] = lambda: False) -> int:
        """Append what is not in the chain yet; how many links that were. Raises Busy (others append all the
        time), ReadOnly, Unavailable; what was told is then kept for the next time. Once it is ``enough``,
        only what was told and the change sets that were looked at already are appended."""
        done = 0
        with self._sealing:
            while True:
                made, more = self._step(enough)
                done += made
                if not more or enough():
                    return done

    def _step(self, enough: Callable[[], bool]) -> tuple[int, bool]:
        audit = self._store.audit
        for _ in range(_TRIES):
            head = audit.head()
            batch = self._next(head, enough)
            if not batch.bodies:
                return 0, False
            links = chain.chained(head, batch.bodies, self._algorithm)
            if audit.append(0 if head is None else head.n, links):
                self._known = links[-1].n, links[-1].hash, batch.epoch
                with self._lock:
                    for _ in range(batch.events):
                        self._events.popleft()
                    self._lost -= batch.lost
                return len(links), batch.full
        raise Busy("others append to the audit all the time; try again")

    def _next(self, head: Link | None, enough: Callable[[], bool]) -> _Batch:
        """What comes next."""
        store, epoch = self._store, self._store.epoch
        sets: Sequence[ChangeSet] = []
        heading: list[Entry] = []
        if head is None:
            newest = store.change_sets(limit=1)
            first = newest[0].id if newest else 0
            heading.append({"kind": "begin", "at": now(), "epoch": epoch, "set": first})
        else:
            was = self._last_epoch(head)  # another process may have told of it meanwhile
            if was != epoch:
                heading.append({"kind": "restored", "at": now(), "epoch": epoch, "was": was})
            sets = self._due(store.audit.sets(store.audit.sealed() or 0, _BATCH))
        bodies: list[Entry] = []
        with suppress(digests.Enough):
            for one in sets:
                bodies.append(_of_set(one, digests.changed(store, one, self._algorithm, enough), epoch))
        with self._lock:
            events = [self._events[number] for number in range(min(len(self._events), _BATCH))]
            lost = self._lost
        bodies += events
        if lost:
            bodies.append({"kind": "lost", "at": now(), "entries": lost})
        bodies.sort(key=lambda body: str(body["at"]))  # in which change sets are already
        full = head is None or _BATCH in (len(sets), len(events))
        return _Batch([*heading, *bodies], epoch, len(events), lost, full)

    def _due(self, sets: Sequence[ChangeSet]) -> Sequence[ChangeSet]:
        """Those before the first load that was made right now."""
        moment = datetime.now(UTC)
        lately = (instants.utc(moment - self._patience), instants.utc(moment))
        due = [
            *itertools.takewhile(lambda one: one.via != "load" or not lately[0] < one.at <= lately[1], sets)
        ]
        self._left = len(due) < len(sets)
        return due

    def _last_epoch(self, head: Link) -> str:
        """The history of the store that the newest entry which names one is of."""
        for link in backwards(self._store.audit, head.n, _BATCH):
            if self._known is not None and (link.n, link.hash) == self._known[:2]:
                return self._known[2]
            epoch = orjson.loads(link.entry).get("epoch")
            if epoch is not None:
                return str(epoch)
        return ""

    def prune(self) -> int:
        """Cut off the entries that are older than is said, once a day's are; how many these were. The newest
        that seals a change set stays, for the next goes on from it. Raises as :meth:`seal`."""
        last = self._outlived()
        if last is None:
            return 0
        self.tell("cut", through=last.n, last=last.hash)
        self.seal()
        self._store.audit.cut(last.n)
        return last.n

    def _outlived(self) -> Link | None:
        """The last of the entries that are no longer to be kept."""
        audit, oldest = self._store.audit, self._store.audit.links(0, 1)
        if self._days is None or not oldest or _sealed_at(oldest[0]) >= _ago(self._days + 1):
            return None
        end, sealed = _ago(self._days), audit.sealed()
        found = None
        for link in every(audit):
            if _sealed_at(link) >= end or link.set == sealed:
                break
            found = link
        return found


def every(audit: Audit, after: int = 0) -> Iterator[Link]:
    """Every link behind a number."""
    while page := audit.links(after, _PAGE):
        yield from page
        after = page[-1].n


def backwards(audit: Audit, end: int, size: int = _PAGE) -> Iterator[Link]:
    """Every link up to a number, the newest first, read so many at a time."""
    while end > 0:
        yield from reversed([link for link in audit.links(end - size, size) if link.n <= end])
        end -= size


def now() -> str:
    """The present instant."""
    return instants.utc(datetime.now(UTC))


def _ago(days: float) -> str:
    return instants.utc(datetime.now(UTC) - timedelta(days=days))


def _sealed_at(link: Link) -> str:
    entry = orjson.loads(link.entry)
    return str(entry.get("sealed", entry["at"]))


def _of_set(one: ChangeSet, changed: digests.Changed, epoch: str) -> Entry:
    """A change set as an entry: its facts, and what it changed."""
    return {
        "kind": "change",
        **facts(one),
        "epoch": epoch,
        "layers": list(changed.layers),
        "features": changed.features,
        "digest": changed.digest,
        "sealed": now(),
    }


def facts(one: ChangeSet) -> dict[str, Any]:
    """What is said of a change set by the store."""
    return {("set" if name == "id" else name): value for name, value in asdict(one).items()}


def _plain(value: Any) -> Any:
    """A fact as canonical JSON can have it: a text that is no Unicode is read with replacements."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
