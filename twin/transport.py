"""The connection under the HTTP server: what an answer's head and body go through."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from itertools import chain
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from twin import connections
from twin.hits import Hits
from twin.http import answers, errors, respond
from twin.http.respond import PROTOCOL, Receive, Scope, Send
from twin.overload import Load

#: Bytes of a request's head (request line and headers), and how long it may take to arrive.
MAX_HEAD, HEAD_SECONDS = 65_536, 20.0
#: How long what a refused client still sends is read away, so that its answer is not lost with it.
LINGER_SECONDS = 2.0
#: A body beyond this many bytes is not copied behind its head: the copy costs more than a write.
COPIED = 16_384
#: What requests begin with that may be answered without the application.
_TILES = (b"GET /tiles/", b"GET /3dtiles/")


class OneWrite:
    """A transport whose first two writes of a step of the event loop leave together.

    The HTTP server writes the head of an answer and its body apart, which is two system calls, two
    segments, and a client that wakes for a head without a body."""

    __slots__ = ("_first", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        # None: nothing was written in this step; b"": what came first has left
        self._first: bytes | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send at once, or, what comes first in a step, with what follows it or at the step's end."""
        first = self._first
        if first is None:
            self._first = data
            self._loop.call_soon(self._end)
            return
        self._first = b""
        if not first:
            self._transport.write(data)
        elif len(data) <= COPIED:
            self._transport.write(first + data)
        else:
            self._transport.writelines((first, data))

    def at_once(self, data: bytes) -> None:
        """Send what is held and this, without waiting for what else the step has."""
        first = self._first
        if first:
            self._first = b""
            data = first + data
        self._transport.write(data)

    def whole(self, head: bytes, body: bytes) -> None:
        """Send what is held and a whole answer, without waiting for what else the step has."""
        if len(body) <= COPIED:
            self.at_once(head + body)
            return
        first = self._first or b""
        self._first = b"" if first else self._first
        self._transport.writelines((first + head, body))

    def close(self) -> None:
        """Send what is held, then close."""
        self._end()
        self._transport.close()

    def write_eof(self) -> None:
        """Send what is held, then the end of what is sent."""
        self._end()
        self._transport.write_eof()

    def _end(self) -> None:
        first, self._first = self._first, None
        if first and not self._transport.is_closing():
            self._transport.write(first)


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 over :class:`OneWrite`, with heads of bounded size and time.

    431 (RFC 6585 section 5) for a head of more than ``max_head`` bytes, 408 (RFC 9110 section 15.5.9) for
    one that is not whole ``head_seconds`` after the connection or its own first byte; both end the
    connection, and so does silence on a new one. After an answer uvicorn's keep-alive time holds."""

    max_head = MAX_HEAD
    head_seconds = HEAD_SECONDS

    #: Requests that are answered however much waits: who asks for these must not be turned away.
    first = (b"GET /health/", b"GET /incidents", b"GET /stream", b"GET /metrics")

    #: Runs while no whole head is being answered, except in the keep-alive time.
    _clock: asyncio.TimerHandle | None = None
    #: The scope of a head that has not ended, and the bytes of it after the read it began in.
    _begun: Any = None
    _size = 0
    #: The bytes of the present read.
    _read = 0
    _refused = False
    #: A request that waits for its turn.
    held: bytes | None = None
    #: The bytes of the request that is being answered, where they are one whole request for reading.
    asked: bytes | None = None
    #: What is being answered; the newest head may be one that waits behind it.
    _answered: Any = None
    #: When the last answer left that the application was not asked for (the loop's time).
    _idle_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        self.transport = cast(asyncio.Transport, OneWrite(transport, self.loop))
        self._bare = transport
        self._load = getattr(self.app, "load", None) or Load()
        self._hits: Hits | None = getattr(self.app, "hits", None)
        self._load.connections += 1
        self._start()
        connections.OPEN.enter(self, self.client[0] if self.client else "")

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._stop()
        self.held = None
        self._load.connections -= 1
        connections.OPEN.leave(self)
        super().connection_lost(exc)

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        return self.held is None and not self._answering()

    def drop(self) -> None:
        """Close the connection: its place is needed."""
        self._stop()
        self._refused = True
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Some bytes of a request, or of several."""
        if self._refused:
            return
        if self.held is not None:
            # a client that does not wait for its answer does not wait for its turn
            data, self.held = self.held + data, None
        elif self._load.turns.busy and self._may_wait(data):
            self.held = data
            self._load.turns.wait(self, data, self.loop)
            return
        self._take(data)

    def _take(self, data: bytes) -> None:
        whole = self._hits is not None and data.startswith(_TILES) and self._may_wait(data)
        if whole and self._answered_again(data):
            return
        self.asked = data if whole else None
        self._read = len(data)
        super().data_received(data)
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope and not cycle.response_complete:
            if self._clock is not None:
                self._stop()
        else:
            self._waiting()

    def _answered_again(self, request: bytes) -> bool:
        """Answer what was asked for before; False, and nothing is sent, where the application is asked."""
        if self._hits is None or self.flow.write_paused or self.transport.is_closing():
            return False
        found = self._hits.find(request)
        if found is None:
            return False
        if self._clock is not None:
            self._stop()
        status, lines, body = found
        always = b"".join(b"%b: %b\r\n" % header for header in self.server_state.default_headers)
        cast(OneWrite, self.transport).whole(b"%b%b%b\r\n" % (STATUS_LINE[status], always, lines), body)
        self.server_state.total_requests += 1
        self._rest()
        return True

    def _rest(self) -> None:
        """The connection is idle from now on."""
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._idle_for(self.timeout_keep_alive)

    def _may_wait(self, data: bytes) -> bool:
        """Whether this is one whole request for reading, which can be refused before anything is parsed: a
        server that is asked for more than it can do does less of it the more it does for those it turns
        away."""
        if not data.startswith(b"GET /") or not data.endswith(b"\r\n\r\n") or data.startswith(self.first):
            return False
        whole = data.count(b"\r\n\r\n") == 1 and b"lose\r\n" not in data
        return whole and not (self._answering() or self._in_head())

    def proceed(self) -> None:
        """Answer the request that waited."""
        data, self.held = self.held, None
        if data is not None and not self._refused:
            self._take(data)

    def refuse(self) -> None:
        """503 for the request that waited; the connection stays."""
        self.held = None
        self._load.shed += 1
        if self._clock is not None:
            self._stop()
        # nothing is to follow in this step, so it need not wait for it
        self._bare.write(_SHED)
        self._rest()

    def timeout_keep_alive_handler(self) -> None:
        """The connection was idle for as long as may be, or had an answer without the application
        meanwhile: a timer that is moved with each costs as much as the answer."""
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if self.held is None and left <= 0:
            super().timeout_keep_alive_handler()
        else:
            self._idle_for(max(left, 1.0))

    def shutdown(self) -> None:
        """The server stops: what waits is still answered."""
        self.proceed()
        super().shutdown()

    def _idle_for(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def on_headers_complete(self) -> None:
        """A head is whole."""
        # one that began in this read is no longer than it
        may_be = self._read > self.max_head or self._begun is self.scope
        if may_be and self._head_bytes() > self.max_head:
            self.app = self._too_large
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if app is self.config.loaded_app:
            self._load.turns.come()
        self._answered = cycle
        cycle.scope[PROTOCOL] = self
        super()._start_asgi_task(cycle, app)

    @property
    def takes(self) -> bool:
        """Whether the client takes what it is sent as fast as it is sent it."""
        return not self.flow.write_paused

    def push(self, scope: Scope, data: bytes) -> bool:
        """Send a piece of the body that answers ``scope`` now, without a task that waits for it; False, and
        nothing is sent, where the client does not take it, or the answer is no body in chunks (RFC 9112
        section 7.1) that goes on."""
        cycle = self._answered
        if self.flow.write_paused or cycle.scope is not scope or not cycle.chunked_encoding:
            return False
        if cycle.disconnected or cycle.response_complete or self.transport.is_closing():
            return False
        cast(OneWrite, self.transport).at_once(_chunk(data))
        return True

    @property
    def waiting(self) -> int:
        """Bytes that the client has not taken yet."""
        return self._bare.get_write_buffer_size()

    def cut(self) -> None:
        """End the connection at once: what waits is not sent."""
        if self._answered is not None:
            self._answered.disconnected = True
        self._stop()
        self._refused = True
        self._bare.abort()

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP, or its body is not in chunks as it says."""
        cycle = self.cycle
        if cycle is not None and cycle.more_body and not (cycle.response_started or self.pipeline):
            # nothing of its answer has left: this one is it, and what is still made of it goes nowhere
            cycle.disconnected = cycle.response_complete = True
            cycle.message_event.set()
            msg = _BAD_CHUNK
        self._refuse(400, "InvalidRequest", msg)

    def handle_websocket_upgrade(self) -> None:
        """The connection is another protocol's from here on."""
        self._stop()
        self._refused = True
        super().handle_websocket_upgrade()

    def _waiting(self) -> None:
        """A read that ended before a head did, or with what belongs to none."""
        if self._refused or self.transport.is_closing():
            return
        if self._clock is None:
            self._start()
        if not self._in_head():
            return
        if self._begun is not self.scope:
            # where in this read it began is not known: what came before may be another's body
            self._begun, self._size = self.scope, 0
            return
        self._size += self._read
        if self._size > self.max_head:
            self._refuse(431, "HeadTooLarge", self._too_large_text())

    def _head_bytes(self) -> int:
        """Of a head that is whole; ``: `` and CRLF count with each header."""
        parts = chain.from_iterable(self.headers)
        return len(self.url) + sum(map(len, parts)) + 4 * len(self.headers)

    def _in_head(self) -> bool:
        return self.scope is not None and (self.cycle is None or self.cycle.scope is not self.scope)

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _start(self) -> None:
        self._clock = self.loop.call_later(self.head_seconds, self._late)

    def _stop(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _late(self) -> None:
        if self.held is not None or self._answering():
            # the head of a later request: its time begins when the answer before it has left
            self._start()
        elif self._in_head():
            message = f"the head of the request was not whole after {self.head_seconds:g} s"
            self._refuse(408, "RequestTimeout", message)
        else:
            self.transport.close()

    def _too_large_text(self) -> str:
        return f"the request line and headers have more than the {self.max_head} bytes taken here"

    async def _too_large(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application that answers a head which came whole but too large."""
        await answers.send(send, 431, errors.body(431, "HeadTooLarge", self._too_large_text()), _CLOSING)

    def _refuse(self, status: int, code: str, detail: str) -> None:
        """Answer a head that nobody will see whole, and end the connection (RFC 9112 section 9.6)."""
        self._refused = True
        self._stop()
        if self._answering():
            # an answer written here would be taken for that of the request before
            self.transport.close()
            return
        body = errors.body(status, code, detail)
        length = (b"content-length", b"%d" % len(body))
        headers = [*self.server_state.default_headers, *_CLOSING, *answers.ALWAYS, length]
        lines = (b"%b: %b\r\n" % header for header in headers)
        self.transport.write(b"".join((STATUS_LINE[status], *lines, b"\r\n", body)))
        self.transport.write_eof()
        self._clock = self.loop.call_later(LINGER_SECONDS, self.transport.close)


@lru_cache(maxsize=2)
def _chunk(data: bytes) -> bytes:
    """The same bytes go to many."""
    return b"%x\r\n%b\r\n" % (len(data), data)


_BAD_CHUNK = "the body is not in chunks as its Transfer-Encoding says (RFC 9112 section 7.1)"
_BUSY = errors.body(503, "Busy", "more is asked for than this server can do; try again soon")
_BUSY_HEADERS: respond.Headers = [
    (b"content-type", b"application/problem+json"),
    (b"retry-after", b"2"),
    (b"cache-control", b"no-store"),
    answers.ORIGIN,
    (b"access-control-expose-headers", b"Retry-After"),
    (b"content-length", b"%d" % len(_BUSY)),
]
_SHED = b"".join((STATUS_LINE[503], *(b"%b: %b\r\n" % header for header in _BUSY_HEADERS), b"\r\n", _BUSY))
_CLOSING: respond.Headers = [
    (b"content-type", b"application/problem+json"),
    (b"connection", b"close"),
]
