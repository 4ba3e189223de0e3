"""The audit of a city that is served: what is done is sealed beside the requests, and sent on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from layers.audit.sealing import Sealer
from layers.errors import Busy, TwinError
from layers.store.base import Store
from twin.audit.exports import Sender

log = logging.getLogger("twin")

#: How long after a change it is sealed; changes in between are sealed together.
EVERY_S = 0.5
#: How long a stop waits for what is not sealed or sent yet; the rest is at the next start.
STOP_S = 5.0
#: How long one is waited for who was told that it is enough.
GRACE_S = 1.0
#: Between two looks whether entries are to be cut off.
PRUNE_S = 3600.0


class Auditor:
    """Seals by a thread of its own, which no edit waits for. Without a ``sealer`` there is no audit.
    ``facts`` are told of the server when it begins and ends."""

    def __init__(
        self,
        store: Store,
        sealer: Sealer | None,
        senders: Sequence[Sender] = (),
        facts: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self._store, self._sealer, self._senders, self._facts = store, sealer, senders, facts
        self._thread = threading.Thread(target=self._run, name="twin-audit", daemon=True)
        self._stopped = threading.Event()
        self._until = 0.0
        self._before: list[Callable[..., None]] = []
        self._seen, self._pruned = -1, 0.0
        self._failing = False

    @property
    def on(self) -> bool:
        """Whether there is one."""
        return self._sealer is not None

    def start(self) -> None:
        """Begin."""
        if self._sealer is not None:
            self._sealer.tell("server", action="started", **self._facts)
            self._thread.start()
            for sender in self._senders:
                sender.start()

    def tell(self, kind: str, **facts: Any) -> None:
        """Have something in the audit that is no change set."""
        if self._sealer is not None:
            self._sealer.tell(kind, **facts)

    def before_sealing(self, call: Callable[..., None]) -> None:
        """Have something called by the thread of the audit before each look, with ``last`` at the end."""
        self._before.append(call)

    def stop(self) -> None:
        """Seal what is there, and end, soon; what cannot be sealed or sent now is when the city is opened
        next. Again it does nothing."""
        if self._sealer is None or self._stopped.is_set() or not self._thread.is_alive():
            return
        self._sealer.tell("server", action="stopped", **self._facts)
        self._until = time.monotonic() + STOP_S
        self._stopped.set()
        self._thread.join(STOP_S + GRACE_S)
        until = max(self._until, time.monotonic() + GRACE_S)
        for sender in self._senders:
            sender.end(until)
        for sender in self._senders:
            sender.join(max(0.0, until + GRACE_S - time.monotonic()))

    def _enough(self) -> bool:
        return self._stopped.is_set() and time.monotonic() > self._until

    def _run(self) -> None:
        assert self._sealer is not None
        while not self._stopped.is_set():
            self._look()
            self._pause()
        self._look(last=True)

    def _pause(self) -> None:
        """Wait for a change where the store is told of it, else for a while."""
        began = time.monotonic()
        if not self._store.local and not self._failing:
            self._store.wait(self._seen, EVERY_S)
        self._stopped.wait(max(0.0, began + EVERY_S - time.monotonic()))

    def _look(self, *, last: bool = False) -> None:
        sealer = self._sealer
        assert sealer is not None
        try:
            for call in self._before:
                call(last=last)
            newest = self._store.seq()
            if newest != self._seen or sealer.waiting or last:
                sealer.seal(self._enough)
                self._seen = newest
            if time.monotonic() - self._pruned > PRUNE_S and not last:
                sealer.prune()
                self._pruned = time.monotonic()
            if self._failing:
                log.warning("the audit is written again")
            self._failing = False
        except Busy:  # others write; what is to be sealed is there the next time
            pass
        except TwinError as error:
            if not self._failing and not self._enough():
                log.warning("the audit cannot be written now, and goes on when it can: %s", error)
            self._failing = True
        except Exception:
            if self._enough():  # the store was closed, for there was no waiting any more
                return
            log.exception("the audit could not be written; tried again")
            self._stopped.wait(10.0)
