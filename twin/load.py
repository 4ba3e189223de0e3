"""How much waits in this server, and who holds its places: whoever would wait too long is told at once."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from layers.errors import Busy

log = logging.getLogger("twin")

#: How long a request may wait for its turn on the event loop.
TURN_SECONDS = 0.05
#: As many wait always, however long: what a few open pages ask at once. A browser has 6 connections, the
#: map's engine asks for up to 18 tiles through a proxy.
BURST = 32
#: The weight of the newest measurement in a mean.
NEWEST = 0.05
#: What one turn counts for at most (seconds): a pause of the machine is no work.
_LONGEST_TURN = 0.01
#: How often the log is told of the same distress.
TOLD_SECONDS = 60.0


class Pace:
    """The mean time that one piece of work takes (seconds), as measured lately. One piece counts for no more
    than ``longest``: what took long once, at a cold start or beside other programs, tells little."""

    __slots__ = ("_longest", "mean")

    def __init__(self, longest: float = 1.0) -> None:
        self._longest = longest
        self.mean = 0.0

    def took(self, seconds: float) -> None:
        """One piece more was done."""
        self.mean += (min(seconds, self._longest) - self.mean) * NEWEST

    def too_long(self, waiting: int, places: int, seconds: float) -> bool:
        """Whether one more would wait for longer than ``seconds`` behind those that wait for ``places``.
        Never behind no more than a burst: a few pages on a slow machine are slow, and not refused."""
        return waiting >= BURST and waiting * self.mean > seconds * places


class Load:
    """Requests that have come and wait for their turn on the event loop, and what is counted of them.

    Called in the event loop alone. The time of one turn is measured between the beginnings of two requests
    while others wait: that is all the work there is."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._waiting = 0
        self._last: float | None = None
        self._turn = Pace(_LONGEST_TURN)
        self.requests = self.shed = self.connections = 0
        #: Requests that were refused, by status.
        self.refused: Counter[int] = Counter()

    def come(self) -> None:
        """A request has come whole and waits for its turn."""
        self._waiting += 1

    def begin(self) -> None:
        """It is the turn of one of those that wait."""
        self.requests += 1
        if not self._waiting:
            # not of a connection of ours: a test's, or another server's
            return
        self._waiting -= 1
        last, self._last = self._last, None
        if self._waiting or last is not None:
            now = self._clock()
            if last is not None:
                self._turn.took(now - last)
            if self._waiting:
                self._last = now

    @property
    def full(self) -> bool:
        """Whether one more would wait for too long."""
        return self._turn.too_long(self._waiting, 1, TURN_SECONDS)


class NoShare(Busy):
    """There are places, but none for this address."""


class Shares:
    """Places that nobody has all of: once ``free`` of them are held (half, unless it is said), an address
    gets no more than its share."""

    def __init__(self, most: int, share: int, what: str, free: int | None = None) -> None:
        self.most, self.share, self.what = most, share, what
        self._free = most // 2 if free is None else free
        self._held: Counter[str] = Counter()
        self._told = Told()

    @property
    def taken(self) -> int:
        """How many places are held."""
        return self._held.total()

    @contextmanager
    def place(self, address: str) -> Iterator[None]:
        """Hold one place. Raises Busy."""
        taken, own = self.taken, self._held[address]
        if taken >= self.most or (own >= self.share and taken >= self._free):
            if taken >= self.most // 2 and self._told.due():
                log.warning(
                    "%s: %d of %d places are held, %d by %s", self.what, taken, self.most, own, address
                )
            whose = "your address" if own >= self.share else "others"
            raise NoShare(
                f"{self.what}: all places that there are for you are held by {whose}; try again soon"
            )
        self._held[address] += 1
        try:
            yield
        finally:
            self._held[address] -= 1
            if not self._held[address]:
                del self._held[address]


class Told:
    """Whether it is time to tell the log again of something that goes on."""

    def __init__(self, seconds: float = TOLD_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._last: float | None = None

    def due(self) -> bool:
        """Whether to tell now."""
        now = self._clock()
        if self._last is not None and now - self._last < self._seconds:
            return False
        self._last = now
        return True
