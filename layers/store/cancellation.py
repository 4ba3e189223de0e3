"""Ending a read for which nobody waits any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_STOP: ContextVar[threading.Event | None] = ContextVar("stop", default=None)


@contextmanager
def stoppable(stop: threading.Event) -> Iterator[None]:
    """Reads that this thread makes within the block end with Busy, soon after the event is set."""
    token = _STOP.set(stop)
    try:
        yield
    finally:
        _STOP.reset(token)


def current() -> threading.Event | None:
    """What would end a read that this thread makes now."""
    return _STOP.get()


def is_stopped() -> bool:
    """Whether nobody waits any more for what this thread reads."""
    stop = _STOP.get()
    return stop is not None and stop.is_set()
