"""What is to be done once, however often it is sent: a key of the sender's, and what came of it.

It is written in the transaction that it is about, so either both are there or neither. A request that is sent
again within a day gets what the first one got (draft-ietf-httpapi-idempotency-key-header-07)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Protocol

from layers.errors import KeyReused
from layers.model import Once, Outcome

#: How long what came of a request is known.
KEPT_DAYS = 1


class Done(Protocol):
    """Where a store keeps it, within a transaction that writes."""

    def find(self, once: Once) -> tuple[str, str] | None:
        """Digest and outcomes of the request of that key."""

    def keep(self, once: Once, outcomes: str) -> None:
        """Remember what came of a request, and forget those that are old."""


def known(done: Done, once: Once) -> list[Outcome] | None:
    """What came of the request, if it was done. Raises KeyReused where the key is of another one."""
    found = done.find(once)
    if found is None:
        return None
    if found[0] != once.digest:
        raise KeyReused(f"Idempotency-Key {once.key} was given to another request: each has a key of its own")
    return [Outcome(fid, revision) for fid, revision in json.loads(found[1])]


def keep(done: Done, once: Once, outcomes: Sequence[Outcome]) -> None:
    """Remember what came of a request that was done whole."""
    done.keep(once, json.dumps([(one.fid, one.revision) for one in outcomes]))
