"""The connection under the HTTP server: what an answer's head and body go through."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: A body beyond this many bytes is not copied behind its head: the copy costs more than a write.
COPIED = 16_384


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

    def close(self) -> None:
        """Send what is held, then close."""
        self._end()
        self._transport.close()

    def _end(self) -> None:
        first, self._first = self._first, None
        if first and not self._transport.is_closing():
            self._transport.write(first)


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 over :class:`OneWrite`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        self.transport = cast(asyncio.Transport, OneWrite(transport, self.loop))
