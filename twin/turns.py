"""Whose turn it is on the event loop: requests wait in the order they came, and none for long.

More work than can be done is told by how long the oldest has waited, as CoDel does (RFC 8289): it needs no
guess of what a request costs. A refusal comes late on purpose, once a turn would have: whoever asks again
as soon as he is refused asks less often so, and what is left of the processor is for the answers.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

#: How long a request waits for its turn (seconds): its refusal is with the client within 100 ms.
WAIT_SECONDS = 0.08
#: As many wait always, however long: what a few open pages ask at once. A browser asks for up to 64 tiles
#: through a proxy (HTTP/2), and on a machine that is busy with other things they are slow, not refused.
BURST = 100
#: How many begin in one step of the event loop. New ones are read between steps, and wait from then.
STEP = 4
#: What the time between two looks at the clock counts for at most (seconds): a pause of the machine is no
#: work that waits.
_LONGEST_STEP = 0.02


class Waiter(Protocol):
    """Who waits: a connection with one whole request that was read and not parsed."""

    @property
    def held(self) -> bytes | None:
        """The request; None once it waits no more."""

    def proceed(self) -> None:
        """It is its turn."""

    def refuse(self) -> None:
        """It waited for too long."""


class Turns:
    """The queue. Called in the event loop alone."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._queue: deque[tuple[float, Waiter, bytes]] = deque()
        #: Those whose turn has come and that have not begun.
        self._coming = 0
        #: The time of the last look by the clock, and by what the times between looks counted for.
        self._last = self._time = 0.0

    @property
    def waiting(self) -> int:
        """How many have come and have not begun."""
        return len(self._queue) + self._coming

    @property
    def busy(self) -> bool:
        """Whether one more has to wait."""
        return self._coming >= STEP or bool(self._queue)

    def come(self) -> None:
        """A request begins in the next step."""
        self._coming += 1

    def begin(self) -> None:
        """One begins now."""
        if self._coming:  # else of no connection of ours: a test's, or another server's
            self._coming -= 1

    def wait(self, waiter: Waiter, request: bytes, loop: asyncio.AbstractEventLoop) -> None:
        """Let a request wait: ``proceed`` or ``refuse`` is called, unless ``held`` is another by then."""
        if not self._queue:
            loop.call_soon(self._step, loop)
        self._queue.append((self._now(), waiter, request))

    def _now(self) -> float:
        now = self._clock()
        self._time += min(now - self._last, _LONGEST_STEP)
        self._last = now
        return self._time

    def _step(self, loop: asyncio.AbstractEventLoop) -> None:
        queue, left, late = self._queue, STEP, self._now() - WAIT_SECONDS
        while queue and left:
            come, waiter, request = queue.popleft()
            if waiter.held is not request:
                continue
            if come < late and len(queue) >= BURST:
                waiter.refuse()
            else:
                left -= 1
                waiter.proceed()
        if queue:
            loop.call_soon(self._step, loop)
