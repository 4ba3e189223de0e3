"""What is told of requests: those that wrote without making a change set, those that were refused, and keys
that are none."""

from __future__ import annotations

import time
from collections.abc import Callable, MutableMapping
from typing import Any

from layers.errors import TooMany
from twin.access.caller import CALLER, Caller, Scope
from twin.audit import Auditor

#: Refused requests that are told of one by one in a minute; of more only how many there were: anybody may
#: send them.
MOST = 1_000
_MINUTE = 60.0


class Requests:
    """Tells of requests to an audit. For the event loop: nothing waits, and nothing is thread-safe."""

    def __init__(self, audit: Auditor, clock: Callable[[], float] = time.monotonic) -> None:
        self._audit, self._clock = audit, clock
        self._since, self._told, self._more = clock(), 0, 0

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
            self._more += 1
            return
        result = "refused" if status < 500 else "failed"
        self._bounded(address, scope, status=status, code=code, result=result)

    def unknown_key(self, caller: Caller, address: str, scope: Scope) -> None:
        """A reader with a key that is none, who is answered as one without."""
        if not isinstance(caller.problem, TooMany):
            self._bounded(address, scope, code="UnknownKey", result="unknown key")

    def _bounded(self, address: str, scope: Scope, **facts: Any) -> None:
        now = self._clock()
        if now - self._since >= _MINUTE:
            if self._more:
                self._audit.tell("request", result="refused", more=self._more)
            self._since, self._told, self._more = now, 0, 0
        if self._told >= MOST:
            self._more += 1
            return
        self._told += 1
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
