"""The feed to many readers: how long after an edit is begun each of them has the event."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.bench.data import LAYER
from tests.bench.measure import usage
from tests.bench.report import Row, at_most
from tests.support import Server

READERS, EDITS = 1_000, 20
#: Readers of one loopback address: the server lets no address have all of its places.
OF_ADDRESS = 90
SECONDS = 120.0
_EVENT, _HELLO = b"event: changes\n", b"event: hello\n"


class Readers:
    """Open streams of the feed, all read by this thread."""

    def __init__(self, url: str, count: int, query: str = "") -> None:
        parts = urlsplit(url)
        self._to = parts.hostname or "", parts.port or 80
        self._head = (
            f"GET /changes{query} HTTP/1.1\r\nhost: {parts.netloc}\r\naccept: text/event-stream\r\n\r\n"
        ).encode()
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        for number in range(count):
            self._open(number)
        self.wait(_HELLO)

    def _open(self, number: int) -> None:
        source = f"127.0.1.{number // OF_ADDRESS + 1}"
        opened = socket.create_connection(self._to, timeout=30, source_address=(source, 0))
        opened.sendall(self._head)
        opened.setblocking(False)
        self._sockets[opened.fileno()] = opened
        self._poll.register(opened.fileno(), select.EPOLLIN)

    def wait(self, word: bytes = _EVENT) -> list[float]:
        """The moments (of ``perf_counter``) at which the readers had an event to its end, ascending."""
        had: dict[int, bytes] = {}
        moments: dict[int, float] = {}
        end = time.perf_counter() + SECONDS
        while len(moments) < len(self._sockets):
            for number, _ in self._poll.poll(1.0):
                data = self._sockets[number].recv(1 << 18)
                assert data, "a stream has ended"
                had[number] = had.get(number, b"") + data
                begun = had[number].find(word)
                if number not in moments and begun >= 0 and b"\n\n" in had[number][begun:]:
                    moments[number] = time.perf_counter()
            missing = len(self._sockets) - len(moments)
            assert time.perf_counter() < end, f"{missing} readers had no {word!r}"
        return sorted(moments.values())

    def close(self) -> None:
        """End all streams."""
        for opened in self._sockets.values():
            opened.close()
        self._poll.close()


@contextmanager
def readers(server: Server, count: int, query: str = "") -> Iterator[Readers]:
    """Some readers of a server."""
    made = Readers(server.url, count, query)
    try:
        yield made
    finally:
        made.close()


def waits(server: Server, crowd: Readers, layer: str, fid: int, edits: int) -> list[float]:
    """Seconds from the beginning of an edit until a reader has it, of every reader and edit, ascending."""
    found: list[float] = []
    for number in range(edits):
        begun = time.perf_counter()
        answer = server.http.patch(
            f"/ogc/collections/{layer}/items/{fid}",
            json={"properties": {"name": f"name {number}"}},
            headers={"content-type": "application/merge-patch+json", **server.auth},
        )
        assert answer.is_success, answer.text
        found += [moment - begun for moment in crowd.wait()]
    return sorted(found)


def share(values: list[float], part: float) -> float:
    """The value that a part of ascending ones does not exceed."""
    return values[min(len(values) - 1, int(part * len(values)))]


def figures(server: Server, layer: str = LAYER) -> Iterator[Row]:
    """Readers of everything, edits one after the other; wall time, since somebody waits for it."""
    fid = server.http.get(f"/ogc/collections/{layer}/items?limit=1").json()["features"][0]["id"]
    with readers(server, READERS) as crowd:
        waits(server, crowd, layer, fid, 2)  # the first one makes the columns and the tree
        before = usage((server.process.pid,))
        found = waits(server, crowd, layer, fid, EDITS)
        spent = usage((server.process.pid,)).since(before) / 1e6 / EDITS
    detail = (
        f"median {share(found, 0.5) * 1000:.0f} ms, most {found[-1] * 1000:.0f} ms; {spent:.0f} ms of CPU an"
        f" edit and {READERS:,} readers, on the cores that the readers share"
    )
    name = f"feed: an edit until each of {READERS:,} readers has the event, p99 (wall)"
    yield at_most(name, share(found, 0.99) * 1000, 500, detail, " ms")
