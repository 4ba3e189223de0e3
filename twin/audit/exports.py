"""Sending entries on, from the one that was sent last: nothing is left out or sent twice, whatever ends in
between."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import orjson

from layers.audit.sealing import backwards, every
from layers.errors import TwinError
from layers.model import Link
from layers.store.base import Audit, Store

log = logging.getLogger("twin")

#: Between two looks for new entries.
EVERY_S = 0.5
#: After a failure, and at most.
RETRY_S, MOST_RETRY_S = 1.0, 60.0


@dataclass(frozen=True, slots=True)
class Sent:
    """The entry that was sent last: its number and hash."""

    n: int
    hash: str


NOTHING = Sent(0, "")


class Export(Protocol):
    """Where entries go."""

    name: str

    def sent(self) -> Sent:
        """What was sent last, as far as it is certain to be there."""

    def send(self, links: list[Link], *, anew: bool) -> None:
        """Send entries; when it returns they are there. ``anew``: they do not follow on what was sent, for
        the store is another copy by now. Raises OSError, after which :meth:`sent` tells."""

    def close(self) -> None:
        """Let go of files and sockets."""


class Sender(threading.Thread):
    """Sends what is in a chain and was not sent yet, until it is stopped; failures are told once."""

    BATCH = 200

    def __init__(self, store: Store, export: Export) -> None:
        super().__init__(name=f"twin-audit-{export.name}", daemon=True)
        self._store, self._export = store, export
        self._stopped = threading.Event()
        self._until = 0.0
        self._failing = False

    def run(self) -> None:
        """Look from time to time, and once more at the end."""
        pause = EVERY_S
        while not self._stopped.wait(pause):
            pause = EVERY_S if self._tried() else min(max(RETRY_S, 2 * pause), MOST_RETRY_S)
        self._tried()
        self._export.close()

    def end(self, until: float) -> None:
        """Have it end, after what is there by now, or the batch that is on its way at a time (of
        ``time.monotonic``): the rest is sent at the next start."""
        self._until = until
        self._stopped.set()

    def _enough(self) -> bool:
        return self._stopped.is_set() and time.monotonic() > self._until

    def _tried(self) -> bool:
        try:
            for links, anew in unsent(self._store.audit, self._export.sent(), self.BATCH):
                if anew:
                    log.warning(
                        "the audit of the store is another one than was sent to %s: it goes on from entry %d",
                        self._export.name,
                        links[0].n,
                    )
                self._export.send(links, anew=anew)
                if self._enough():
                    break
            if self._failing:
                log.warning("the audit goes to %s again", self._export.name)
            self._failing = False
        except TwinError:  # the database is away: told by others
            return False
        except OSError as error:
            if not self._failing:
                why = error.strerror or type(error).__name__
                log.warning("the audit waits, and does not get to %s: %s", self._export.name, why)
            self._failing = True
            return False
        except Exception:
            if self._enough():  # the store was closed, for there was no waiting any more
                return False
            log.exception("the audit could not be sent to %s", self._export.name)
            return False
        return True


def unsent(audit: Audit, sent: Sent, size: int) -> Iterator[tuple[list[Link], bool]]:
    """What follows on what was sent, in batches, and whether it begins anew: of a copy of the store that was
    put in its place, the entries since it told of that; of another chain all."""
    head = audit.head()
    anew = False
    if head is None or (head.n, head.hash) == (sent.n, sent.hash):
        return
    following = audit.links(sent.n, 1)
    if sent != NOTHING and (not following or _prev(following[0]) != sent.hash):
        anew = True
        sent = Sent(_restored(audit, head) - 1, "")
    batch: list[Link] = []
    for link in every(audit, sent.n):
        batch.append(link)
        if len(batch) == size:
            yield batch, anew
            batch, anew = [], False
    if batch:
        yield batch, anew


def _prev(link: Link) -> str:
    return str(orjson.loads(link.entry)["prev"])


def _restored(audit: Audit, head: Link) -> int:
    """The number of the newest entry that tells of another copy of the store; 1 without one."""
    entries = ((link.n, orjson.loads(link.entry)["kind"]) for link in backwards(audit, head.n))
    return next((n for n, kind in entries if kind == "restored"), 1)
