"""The feed to many readers: how long after an edit is begun each of them has the event, and what a reader
costs beside a bare asyncio server that writes the same bytes."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from urllib.parse import urlsplit

import httpx

from tests.bench.data import LAYER
from tests.bench.measure import Target, usage
from tests.bench.processes import module, running, target
from tests.bench.report import Row, at_most
from tests.support import Server

READERS, FEW, EDITS, ROUNDS = 1_000, 50, 20, 5
#: Readers of one loopback address: the server lets no address have all of its places.
OF_ADDRESS = 90
SECONDS = 120.0
#: Bytes around a chunk of a thousand bytes or so.
CHUNK = 7
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
        #: Bytes of the newest event as it was sent, chunk and all.
        self.size = 0
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
                    self.size = len(had[number])
            missing = len(self._sockets) - len(moments)
            assert time.perf_counter() < end, f"{missing} readers had no {word!r}"
        return sorted(moments.values())

    def close(self) -> None:
        """End all streams."""
        for opened in self._sockets.values():
            opened.close()
        self._poll.close()


@contextmanager
def readers(url: str, count: int, query: str = "") -> Iterator[Readers]:
    """Some readers of a server."""
    made = Readers(url, count, query)
    try:
        yield made
    finally:
        made.close()


def waits(server: Server, crowd: Readers, layer: str, fid: int, edits: int) -> list[float]:
    """Seconds from the beginning of an edit until a reader has it, of every reader and edit, ascending."""
    found: list[float] = []
    for number in range(edits):
        begun = time.perf_counter()
        edit(server, layer, fid, f"name {number}")
        found += [moment - begun for moment in crowd.wait()]
    return sorted(found)


def edit(server: Server, layer: str, fid: int, name: str) -> None:
    """Give a feature a name."""
    answer = server.http.patch(
        f"/ogc/collections/{layer}/items/{fid}",
        json={"properties": {"name": name}},
        headers={"content-type": "application/merge-patch+json", **server.auth},
    )
    assert answer.is_success, answer.text


def share(values: list[float], part: float) -> float:
    """The value that a part of ascending ones does not exceed."""
    return values[min(len(values) - 1, int(part * len(values)))]


def figures(server: Server, layer: str = LAYER) -> Iterator[Row]:
    """Readers of everything, edits one after the other; wall time, since somebody waits for it."""
    fid = server.http.get(f"/ogc/collections/{layer}/items?limit=1").json()["features"][0]["id"]
    own = target("ours", server)
    with running("fan-out", module("tests.bench.fan_out")) as bare:
        with readers(server.url, READERS) as crowd:
            waits(server, crowd, layer, fid, 2)  # the first one makes the columns and the tree
            found = waits(server, crowd, layer, fid, EDITS)
            load = os.getloadavg()[0]
            size = crowd.size
        detail = (
            f"median {share(found, 0.5) * 1000:.0f} ms, most {found[-1] * 1000:.0f} ms, on the cores that the"
            f" readers share; load average {load:.1f}"
        )
        name = f"feed: an edit until each of {READERS:,} readers has the event, p99 (wall)"
        yield at_most(name, share(found, 0.99) * 1000, 500, detail, " ms")

        def floor() -> None:
            httpx.post(f"{bare.url}/{size - CHUNK}").raise_for_status()

        rounds = [
            (_reader(own, lambda: edit(server, layer, fid, "again")), _reader(bare, floor))
            for _ in range(ROUNDS)
        ]
    ours, theirs = (median(column) for column in zip(*rounds, strict=True))
    detail = f"{ours:.0f} µs, {theirs:.0f} µs: {size:,} bytes to each of {READERS:,}"
    ratio = median(one / other for one, other in rounds)
    yield at_most("feed: an event to one reader more, to a bare asyncio server", ratio, 2, detail)


def _reader(asked: Target, tell: Callable[[], object]) -> float:
    """Microseconds of CPU that a reader more costs an event: of many readers, less that of few."""
    spent = []
    for count in (FEW, READERS):
        with readers(asked.url, count) as crowd:
            for _ in range(2):
                tell()
                crowd.wait()
            before = usage(asked.pids)
            for _ in range(EDITS):
                tell()
                crowd.wait()
            spent.append(usage(asked.pids).since(before) / 1000 / EDITS)
    return (spent[1] - spent[0]) / (READERS - FEW)
