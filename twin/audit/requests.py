"""What is told of requests: those that wrote without making a change set, those that were refused, and keys
that are none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, MutableMapping
from typing import Any

from layers.errors import NoKey, TooMany
from twin.access.caller import CALLER, Caller, Scope
from twin.audit import Auditor

#: Refused requests that are told of one by one in a minute, of those with a key and of those without one: of
#: more only how many there were. Anybody may send the latter, and they hide none of the former.
MOST, MOST_NAMELESS = 1_000, 60
_MINUTE = 60.0


class _Budget:
    """How many are told of one by one in a minute, and how many more there were."""

    def __init__(self, most: int) -> None:
        self._most, self._told, self._more = most, 0, 0

    def take(self) -> bool:
        """Whether one more is told of."""
        self._told += 1
        if self._told > self._most:
            self._more += 1
        return self._told <= self._most

    def count(self) -> None:
        """One more that is only counted."""
        self._more += 1

    def roll(self) -> int:
        """Begin a minute; how many more there were in the last."""
        more, self._told, self._more = self._more, 0, 0
        return more


class Requests:
    """Tells of requests to an audit. For the event loop: nothing waits; the thread of the audit tells of a
    minute that is over, and of the last one."""

    def __init__(self, audit: Auditor, clock: Callable[[], float] = time.monotonic) -> None:
        self._audit, self._clock = audit, clock
        self._since, self._lock = clock(), threading.Lock()
        self._named, self._nameless = _Budget(MOST), _Budget(MOST_NAMELESS)
        audit.before_sealing(self.roll)

    @property
    def on(self) -> bool:
        """Whether anything is told."""
        return self._audit.on

    def done(self, send: Any, address: str, scope: Scope) -> Any:
        """What sends the answer to a request that writes, and tells of one that did what it was to do."""

        async def sending(message: MutableMapping[str, Any]) -> None:
            await send(message)
            if message["type"] == "http.response.start" and message["status"] < 400:
                self._tell(address, scope, status=message["status"], result="done")

        return sending

    def refused(self, address: str, scope: Scope, status: int, code: str) -> None:
        """A request that wanted to write, and did not."""
        if _is_flood(scope):
            self.roll()
            with self._lock:
                self._nameless.count()
            return
        result = "refused" if status < 500 else "failed"
        self._bounded(address, scope, status=status, code=code, result=result)

    def unknown_key(self, caller: Caller, address: str, scope: Scope) -> None:
        """A reader with a key that is none, who is answered as one without."""
        if isinstance(caller.problem, NoKey):  # keys that cannot be read, or a flood, are no wrong key
            self._bounded(address, scope, code="UnknownKey", result="unknown key")

    def roll(self, *, last: bool = False) -> None:
        """Tell how many more there were in a minute that is over, or in the ``last``."""
        with self._lock:
            now = self._clock()
            if now - self._since < _MINUTE and not last:
                return
            self._since = now
            for budget, named in ((self._named, True), (self._nameless, False)):
                if more := budget.roll():
                    self._audit.tell("request", result="refused", more=more, named=named)

    def _bounded(self, address: str, scope: Scope, **facts: Any) -> None:
        self.roll()
        caller = scope.get(CALLER)
        budget = self._nameless if caller is None or caller.name is None else self._named
        with self._lock:
            one_by_one = budget.take()
        if one_by_one:
            self._tell(address, scope, **facts)

    def _tell(self, address: str, scope: Scope, **facts: Any) -> None:
        caller = scope.get(CALLER)
        said = {
            "actor": None if caller is None else caller.name,
            "address": address,
            "method": scope["method"][:16],
            "path": scope["path"][:500],
        }
        self._audit.tell("request", **said, **facts)


def _is_flood(scope: Scope) -> bool:
    """Whether the sender is one of whom all is refused for a while."""
    caller = scope.get(CALLER)
    return caller is not None and isinstance(caller.problem, TooMany)
