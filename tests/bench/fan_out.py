"""The floor of the feed: a bare asyncio server that writes the same bytes to all who are connected.

``GET`` is answered as a stream is begun, ``POST /<n>`` has an event of n bytes sent to each of them. Run:
``python -m tests.bench.fan_out``.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, cast

import uvloop

from tests.bench.floor import told
from twin import server

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
HELLO, EVENT = b"event: hello\n", b"event: changes\n"
DONE = b"HTTP/1.1 204 No Content\r\n\r\n"


class Connection(asyncio.Protocol):
    """A reader, or who has all readers told."""

    readers: ClassVar[set[asyncio.Transport]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has come."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """And gone."""
        self.readers.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        """A whole request: nobody sends it in parts here."""
        method, path, _ = data.split(b" ", 2)
        if method == b"GET":
            self._transport.write(HEAD + chunk(HELLO + b"\n"))
            self.readers.add(self._transport)
            return
        event = chunk(EVENT.ljust(int(path[1:]) - 2, b"x") + b"\n\n")
        for reader in self.readers:
            reader.write(event)
        self._transport.write(DONE)


def chunk(data: bytes) -> bytes:
    """As it is sent (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


async def main() -> None:
    """Serve on a free port and print the address."""
    sock = server.bind("127.0.0.1", 0)
    sock.listen(2048)
    serving = await asyncio.get_running_loop().create_server(Connection, sock=sock, backlog=2048)
    told("fan-out", server.address(sock))
    await serving.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
