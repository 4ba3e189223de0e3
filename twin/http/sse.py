"""Event streams (WHATWG HTML, server-sent events): what each of them is sent as, and when it ends.

What is told to many is pushed to the connection of each (:meth:`Stream.push`), by whoever has it: the task of
a stream is woken only when its client does not take what it is sent. Heartbeats, and whether a reader is
still who he was, are one timer of all streams."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator

from twin.access.caller import CALLER, Caller
from twin.city import City
from twin.http import answers, respond
from twin.http.respond import PROTOCOL, Connection, Headers, Receive, Scope, Send
from twin.packing import Member, piece, shared_piece

HEARTBEAT_SECONDS = 15.0
#: How soon a stream ends whose reader's key was removed, or who sees something else by now.
RECHECK_SECONDS = 5.0
STALLED_SECONDS = 30.0
MEDIA = "text/event-stream"
HEADERS: Headers = [
    (b"content-type", MEDIA.encode() + b"; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
#: Tells a reader, and what lies between, that the stream goes on.
BEAT = b": still here\n\n"

#: What writes a stream.
type Feed = Callable[[Stream], Coroutine[None, None, None]]


class Stream:
    """An open stream: what is told to many is pushed, its own task writes the rest."""

    def __init__(self, scope: Scope, send: Send, *, packed: bool = False) -> None:
        self.scope = scope
        self._member = Member() if packed else None
        self._head = Member.BEGIN if packed else b""
        #: Done when the stream is to end.
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        #: What is sent now and then while nothing else is.
        self.beat: Callable[[], bytes] = lambda: BEAT
        self._began: Caller = scope[CALLER]
        self._send = send
        self._connection: Connection | None = scope.get(PROTOCOL)
        self._straight = False
        # without a connection to push to, what its own task writes and its heartbeats take turns
        self._turn = asyncio.Lock()
        self._beating: asyncio.Task[None] | None = None
        # when what is being written was begun
        self._begun: float | None = None
        # what waited when the client last took something, and when that was
        self._waited, self._took = 0, 0.0

    @contextlib.contextmanager
    def straight(self) -> Iterator[None]:
        """While nothing waits to be written, so that what is pushed leaves in its order."""
        self._straight = True
        try:
            yield
        finally:
            self._straight = False

    def push(self, data: bytes) -> bool:
        """Send whole events now. False, and nothing is sent until :meth:`straight` again, if that would have
        to wait: the task of the stream then writes them. Called in the event loop."""
        if self._straight and self._connection is not None:
            sent = data if self._member is None else shared_piece(data)
            if self._connection.push(self.scope, sent):
                if self._member is not None:
                    self._member.holds(data)
                return True
        self._straight = False
        return False

    async def write(self, data: bytes, packed: bytes | None = None) -> None:
        """Send whole events, once the client takes them; ``packed`` is their :func:`piece`, where it was
        made beside the event loop."""
        async with self._turn:
            self._begun = asyncio.get_running_loop().time()
            if self._member is None:
                body = data
            else:
                self._member.holds(data)
                body, self._head = self._head + (packed or piece(data)), b""
            await self._send({"type": "http.response.body", "body": body, "more_body": True})
            self._begun = None

    @property
    def packs(self) -> bool:
        """Whether what it sends is compressed."""
        return self._member is not None

    def rest(self) -> bytes:
        """What ends its body."""
        return b"" if self._member is None else self._head + self._member.end()

    def hearten(self) -> None:
        """Send the heartbeat, if its client takes it now. Called in the event loop."""
        if self._connection is not None:
            self.push(self.beat())
        elif self._beating is None or self._beating.done():
            # another server than ours hands on no connection: it is sent as events are
            self._beating = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        with contextlib.suppress(OSError):  # who is gone is told to the stream's own task
            await self.write(self.beat())

    def close(self) -> None:
        """No heartbeat follows."""
        if self._beating is not None:
            self._beating.cancel()

    @property
    def takes(self) -> bool:
        """Whether its client takes what it is sent."""
        return self._begun is None if self._connection is None else self._connection.takes

    def stalls(self, now: float) -> bool:
        """Whether its client has taken nothing for long, as far as that was asked; ``now`` in seconds."""
        if self._connection is None:
            return self._begun is not None and now - self._begun >= STALLED_SECONDS
        waits = 0 if self._connection.takes else self._connection.waiting
        if not waits or waits != self._waited:
            self._waited, self._took = waits, now
        return now - self._took >= STALLED_SECONDS

    def cut(self) -> None:
        """End its connection at once: a client that takes nothing would not take an end."""
        if self._connection is not None:
            self._connection.cut()

    def end(self) -> None:
        """Have it end."""
        if not self.ended.done():
            self.ended.set_result(None)

    def is_of(self, caller: Caller) -> bool:
        """Whether that is who it was opened for, with the rights of then."""
        return (caller.name, caller.rights) == (self._began.name, self._began.rights)


class Streams:
    """The open streams of a room."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._open: set[Stream] = set()
        self._keeper: asyncio.Task[None] | None = None

    async def stream(
        self, feed: Feed, scope: Scope, receive: Receive, send: Send, *, pack: bool = False
    ) -> None:
        """Answer with an event stream that ``feed`` writes, until the client goes away, stalls, is somebody
        else, or the server stops; ``pack``: as gzip, where the client takes it."""
        packed = pack and respond.accepts_gzip(scope)
        own = [answers.VARY_CODING, *([(b"content-encoding", b"gzip")] if packed else [])] if pack else []
        await answers.start(send, 200, [*HEADERS, *own])
        stream = Stream(scope, send, packed=packed)
        tasks = [asyncio.create_task(feed(stream)), asyncio.create_task(respond.gone(receive))]
        self._enter(stream)
        try:
            done, _ = await asyncio.wait([*tasks, stream.ended], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._leave(stream)
            stream.close()
            rest = [task for task in tasks if not task.done()]
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)
        for ended in done:
            if not isinstance(ended.exception(), OSError | None):
                await ended
        if tasks[0] in done or not stream.takes:
            stream.cut()
        else:
            # a body that ends well lets the server close without waiting; the peer may be gone
            with contextlib.suppress(OSError):
                await send({"type": "http.response.body", "body": stream.rest()})

    def _enter(self, stream: Stream) -> None:
        self._open.add(stream)
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.create_task(self._keep())

    def _leave(self, stream: Stream) -> None:
        self._open.discard(stream)
        if not self._open and self._keeper is not None:
            self._keeper.cancel()
            self._keeper = None

    async def _keep(self) -> None:
        """Look after all of them until the server stops."""
        now = asyncio.get_running_loop().time
        beats = now() + HEARTBEAT_SECONDS
        while not await self._closed(RECHECK_SECONDS):
            due = now() >= beats
            if due:
                beats = now() + HEARTBEAT_SECONDS
            for stream in self._open:
                if stream.stalls(now()) or not stream.is_of(self._city.callers.of(stream.scope)):
                    stream.end()
                elif due:
                    stream.hearten()
        for stream in self._open:
            stream.end()

    async def _closed(self, seconds: float) -> bool:
        """Whether the server stops, within some seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._city.bus.closed.wait()
        return self._city.bus.closed.is_set()
