"""One open stream: what waits to be sent to it, and the form in which events are sent."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from twin.access.rights import ALL

CLIENT_BYTES = 1_000_000


def encode(event: str, data: object, at: tuple[int, int]) -> bytes:
    """One event of the event stream format (WHATWG HTML, server-sent events)."""
    return b"event: %b\nid: o%d.c%d\ndata: %b\n\n" % (event.encode("ascii"), *at, orjson.dumps(data))


@dataclass(eq=False)
class Client:
    """One open stream: frames that wait to be sent. ``lost`` when it was too slow to keep them. ``rights`` is
    the class of who reads it, ``straight`` sends a frame at once, or says that it has to wait."""

    rights: str = ALL
    straight: Callable[[bytes], bool] | None = None
    waiting: deque[bytes] = field(default_factory=deque)
    size: int = 0
    lost: bool = False
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def push(self, data: bytes) -> None:
        """Send a frame, or queue it behind others; a client that falls behind loses its queue and gets a
        snapshot instead."""
        if self.lost or (self.straight is not None and not self.waiting and self.straight(data)):
            return
        if self.size + len(data) > CLIENT_BYTES:
            self.lose()
        else:
            self.waiting.append(data)
            self.size += len(data)
            self.wake.set()

    def lose(self) -> None:
        """What waits is not sent: a snapshot comes in its place."""
        self.waiting.clear()
        self.size, self.lost = 0, True
        self.wake.set()

    def take(self) -> bytes:
        """All that waits, as one piece."""
        data = b"".join(self.waiting)
        self.waiting.clear()
        self.size = 0
        self.wake.clear()
        return data
