"""What happened, to every open page: numbered frames, a ring for replay, bounded client queues.

``publish`` may be called from any thread. Frames are encoded once. Observations are merged for
150 ms, the last value of a datastream wins; everything else goes out at once.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twin.access.rights import ALL
from twin.live.client import Client, encode
from twin.live.places import Places
from twin.live.views import Views, Wanted

COALESCE_SECONDS = 0.15
RING_BYTES = 8_000_000
RING_FRAMES = 4_096
MAX_CLIENTS = 1_000
_ID = re.compile(r"o(\d{1,18})\.c(\d{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Frame:
    """One encoded event, its position (``o``: live data, ``c``: map changes), and the class of rights it is
    for (None: everybody). ``sensors``: it is of sensors, of which a client with a view is told what is in
    view."""

    at: tuple[int, int]
    data: bytes
    rights: str | None = None
    sensors: bool = False


class Bus:
    """The fan-out. Numbers begin at the wall clock in ms, so an id from before a restart is never
    taken for one of this run."""

    def __init__(self, places: Places | None = None) -> None:
        #: Where the sensors are, and what of them clients have in view.
        self.places = Places() if places is None else places
        self.views = Views(self.places)
        start = int(time.time() * 1000)
        self._at = (start, start)
        self._ring: deque[Frame] = deque()
        self._ring_bytes = 0
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._clients: set[Client] = set()
        # class of rights → the map changes from which on it is told of them
        self._audiences = {ALL: start}
        self._pending: dict[int, tuple[Any, Any, Any]] = {}
        self._flushing = False
        self.closed = asyncio.Event()

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take the loop that serves the clients. Frames published before it are in the ring."""
        self._loop = loop
        with self._lock:
            pending = bool(self._pending)
        if pending:
            loop.call_soon_threadsafe(self._later)

    def publish(self, event: str, data: object, rights: str | None = None) -> None:
        """Send an event to every open page (of that class of ``rights``, where one is given). ``obs`` data
        (columns) is merged and sent in a moment."""
        if event == "obs" and isinstance(data, Mapping):
            self._merge(data)
            return
        with self._lock:
            self._send(event, data, event in ("tiles", "layers"), rights)

    def restart(self) -> None:
        """Have every open page begin with a new snapshot: what was told before holds no more."""
        with self._lock:
            self._ring.clear()
            self._ring_bytes = 0
            self._pending.clear()
            self._at = (self._at[0] + 1, self._at[1])
        self._call(self._lose)

    def _lose(self) -> None:
        for client in self._clients:
            client.lose()

    def close(self) -> None:
        """End every open stream; a server that stops must not wait for them."""
        self._call(self.closed.set)

    @property
    def at(self) -> tuple[int, int]:
        """The position of the newest frame."""
        return self._at

    @property
    def audiences(self) -> list[str]:
        """The classes of rights that are, or were, somebody's who reads a stream."""
        return list(self._audiences)

    def subscribe(
        self, last_event_id: str | None = None, rights: str = ALL, wanted: Wanted | None = None
    ) -> tuple[Client, bool]:
        """A new client (call it in the loop), and whether it was given all it missed, of sensors only where
        it has no view: what is in view is then to be sent after it.

        False means that the caller must send a snapshot first."""
        client = Client(rights)
        with self._lock:
            missed = self._since(last_event_id, rights)
            self._audiences.setdefault(rights, self._at[1])
            self._clients.add(client)
        if wanted is not None:
            self.views.join(client, wanted)
        for frame in missed or ():
            if wanted is None or not frame.sensors:
                client.push(frame.data)
        if client.lost:
            client.lost = False
            return client, False
        return client, missed is not None

    def unsubscribe(self, client: Client) -> None:
        """Forget a client."""
        self._clients.discard(client)
        self.views.leave(client)

    @property
    def clients(self) -> int:
        """How many streams are open."""
        return len(self._clients)

    def _since(self, last_event_id: str | None, rights: str) -> Sequence[Frame] | None:
        """The frames for a class of rights after an id, or None when the ring does not reach back to it."""
        match = _ID.fullmatch(last_event_id or "")
        if match is None:
            return None
        at = (int(match[1]), int(match[2]))
        if rights not in self._audiences or at[1] < self._audiences[rights]:
            return None
        if at == self._at:
            return ()
        frames = list(self._ring)
        for i, frame in enumerate(frames):
            if frame.at == at:
                return [later for later in frames[i + 1 :] if later.rights in (None, rights)]
        return None

    def _send(self, event: str, data: object, change: bool, rights: str | None = None) -> None:
        """Number, keep and spread one frame. Under the lock, so that frames leave in the order of
        their numbers: a client that saw a number must have seen all before it."""
        o, c = self._at
        self._at = (o, c + 1) if change else (o + 1, c)
        frame = Frame(self._at, encode(event, data, self._at), rights, event in ("obs", "sensors"))
        self._ring.append(frame)
        self._ring_bytes += len(frame.data)
        while self._ring_bytes > RING_BYTES or len(self._ring) > RING_FRAMES:
            self._ring_bytes -= len(self._ring.popleft().data)
        self._call(self._spread, frame)
        if frame.sensors:
            self._call(self.views.observed if event == "obs" else self.views.made, data, frame.data, frame.at)

    def _call(self, call: Callable[..., object], *args: object) -> None:
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        loop.call_soon_threadsafe(call, *args)

    def _spread(self, frame: Frame) -> None:
        views = self.views
        for client in self._clients:
            if frame.rights not in (None, client.rights) or (frame.sensors and client in views):
                continue
            client.push(frame.data)

    def _merge(self, data: Mapping[str, Any]) -> None:
        with self._lock:
            for key, *rest in zip(data["id"], data["value"], data["time"], data["state"], strict=True):
                self._pending[key] = (rest[0], rest[1], rest[2])
            begin = not self._flushing and self._loop is not None
            self._flushing = self._flushing or begin
        if begin:
            self._call(self._later)

    def _later(self) -> None:
        asyncio.get_running_loop().call_later(COALESCE_SECONDS, self._flush)

    def _flush(self) -> None:
        with self._lock:
            pending, self._pending = self._pending, {}
            self._flushing = False
            if not pending:
                return
            columns = list(zip(*pending.values(), strict=True))
            self._send(
                "obs",
                {"id": list(pending), "value": columns[0], "time": columns[1], "state": columns[2]},
                False,
            )
