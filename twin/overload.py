"""How much waits in this server, and who holds its places: whoever would wait too long is told at once."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from layers.errors import Busy
from twin.turns import Turns

log = logging.getLogger("twin")

#: The weight of the newest measurement in a mean.
NEWEST = 0.05
#: How often the log is told of the same distress.
TOLD_SECONDS = 60.0


class Pace:
    """The mean time that one piece of work takes (seconds), as measured lately. ``newest`` is the weight of
    one piece, and ``longest`` what it counts for at most: what took long once, at a cold start or beside
    other programs, tells little."""

    __slots__ = ("_longest", "_newest", "mean")

    def __init__(self, longest: float = 1.0, newest: float = NEWEST) -> None:
        self._longest, self._newest = longest, newest
        self.mean = 0.0

    def took(self, seconds: float) -> None:
        """One piece more was done."""
        self.mean += (min(seconds, self._longest) - self.mean) * self._newest

    def too_long(self, waiting: int, places: int, seconds: float) -> bool:
        """Whether the last of ``waiting`` waits for one of the ``places`` for longer than ``seconds``."""
        return waiting * self.mean > seconds * places


class Load:
    """What is counted of requests and connections. Called in the event loop alone."""

    def __init__(self) -> None:
        #: Who waits for a turn on the event loop.
        self.turns = Turns()
        self.requests = self.shed = self.connections = 0
        #: Requests that were refused, by status.
        self.refused: Counter[int] = Counter()

    def begin(self) -> None:
        """A request is begun."""
        self.requests += 1
        self.turns.begin()


class NoShare(Busy):
    """There are places, but none for this address."""


class Shares:
    """Places that nobody has all of: once ``free`` of them are held (half, unless it is said), an address
    gets no more than its share."""

    def __init__(self, most: int, share: int, what: str, free: int | None = None) -> None:
        self.most, self.share, self.what = most, share, what
        self._free = most // 2 if free is None else free
        self._held: Counter[str] = Counter()
        self._told = Reminder()

    @property
    def taken(self) -> int:
        """How many places are held."""
        return self._held.total()

    @contextmanager
    def place(self, address: str) -> Iterator[None]:
        """Hold one place. Raises Busy."""
        used, own = self.taken, self._held[address]
        if used >= self.most or (own >= self.share and used >= self._free):
            if used >= self.most // 2 and self._told.due():
                log.warning(
                    "%s: %d of %d places are held, %d by %s", self.what, used, self.most, own, address
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


class Reminder:
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
