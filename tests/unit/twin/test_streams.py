"""Event streams over real sockets: pushed to who takes them, kept for who does not, in order to both."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol

from layers.store import geopackage
from layers.store.geopackage.connection import connect, transaction
from tests.storing import grid, load, spec
from twin import app, server
from twin.city import City
from twin.http import feed, sse, stream

#: Features: the event of all of them does not fit into what a connection holds.
COUNT = 900
EDITS, FRAMES = 8, 400


@pytest.fixture
def city(tmp_path: Path) -> City:
    """Buildings; closed by the server's end."""
    store = geopackage.open(tmp_path / "city.gpkg")
    load(store, spec(), grid(COUNT))
    store.close()
    (tmp_path / "city.yml").write_text("themes: []\n")
    return app.open_city(tmp_path)


def change(city: City, name: str) -> None:
    """Change every feature."""
    con = connect(city.folder / "city.gpkg", "rw")
    with transaction(con):
        con.execute("UPDATE buildings SET name = ?", (name,))
    con.close()


class Client:
    """A connection that holds little: what its server cannot send waits there."""

    #: The id of its first event.
    began: bytes

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._text = b""

    async def event(self, name: bytes) -> tuple[bytes, Any]:
        """Id and data of the next event, which has that name."""
        found = re.search(rb"event: (\w+)\nid: (\S+)\ndata: (.*)\n\n", await self.until(rb"\ndata: .*\n\n"))
        assert found is not None
        assert found[1] == name
        return found[2], orjson.loads(found[3])

    async def until(self, pattern: bytes) -> bytes:
        """Everything that was sent, to the end of what is looked for."""
        async with asyncio.timeout(20):
            while (found := re.search(pattern, self._text)) is None:
                size = int((await self._reader.readuntil(b"\r\n")), 16)
                assert size, "the stream has ended"
                self._text += (await self._reader.readexactly(size + 2))[:-2]
        text, self._text = self._text[: found.end()], self._text[found.end() :]
        return text

    async def slowly(self, bite: int, rest: float) -> None:
        """Take the next chunk, so many bytes at a time with so many seconds between."""
        left = int((await self._reader.readuntil(b"\r\n")), 16) + 2
        while left:
            part = await self._reader.readexactly(min(bite, left))
            left -= len(part)
            self._text += part
            await asyncio.sleep(rest)
        self._text = self._text[:-2]

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


@asynccontextmanager
async def opened(port: int, path: bytes, first: bytes, count: int) -> AsyncIterator[list[Client]]:
    """Clients that have the head of an answer and its first event, which has that name."""
    clients: list[Client] = []
    try:
        for _ in range(count):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
            reader, writer = await asyncio.open_connection(sock=sock, limit=4096)
            client = Client(reader, writer)
            clients.append(client)
            writer.write(b"GET %b HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n\r\n" % path)
            await reader.readuntil(b"\r\n\r\n")
            client.began, _ = await client.event(first)
        yield clients
    finally:
        for client in clients:
            await client.close()


def serve(city: City, scenario: Callable[[int], Awaitable[None]], http: type | None = None) -> None:
    """Run a scenario against our HTTP server, or another protocol's, whose connections hold little."""

    async def main() -> None:
        sock = server.bind("127.0.0.1", 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        front, ready = app.build(city, rooms=[feed.make, stream.make]), asyncio.Event()
        config = server.config(front)
        config.http = config.http if http is None else http
        serving = server.Server(config, ready.set, city.bus.close)
        task = asyncio.create_task(serving.serve([sock]))
        await ready.wait()
        try:
            await scenario(sock.getsockname()[1])
        finally:
            serving.should_exit = True
            await task

    asyncio.run(main())


def test_a_reader_of_the_feed_who_is_slow_misses_nothing_and_holds_up_nobody(city: City) -> None:
    async def scenario(port: int) -> None:
        async with opened(port, b"/changes", b"hello", 2) as (slow, quick):
            for number in range(EDITS):
                await asyncio.to_thread(change, city, f"name {number}")
                newest, told = await quick.event(b"changes")
                assert len(told["features"]) == COUNT
            had = [b""]
            while had[-1] != newest:
                last, told = await slow.event(b"changes")
                assert len(told["features"]) == COUNT
                had.append(last)
            assert len(set(had)) == len(had)
            assert len(had) - 1 < EDITS  # what it did not take was merged
            await asyncio.to_thread(change, city, "together again")
            assert await slow.event(b"changes") == await quick.event(b"changes")

    serve(city, scenario)


@pytest.mark.parametrize("http", [None, H11Protocol])
def test_an_idle_reader_of_the_feed_is_told_where_it_is(
    city: City, monkeypatch: pytest.MonkeyPatch, http: type | None
) -> None:
    """Also by a server that is none of ours, to whose connections nothing is pushed."""
    monkeypatch.setattr(sse, "RECHECK_SECONDS", 0.02)
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.04)

    async def scenario(port: int) -> None:
        async with opened(port, b"/changes?layers=buildings", b"hello", 1) as (reader,):
            for _ in range(3):
                assert await reader.until(b"\n\n") == b"id: %b\n\n" % reader.began
            await asyncio.to_thread(change, city, "later")
            newest, told = await reader.event(b"changes")
            assert len(told["features"]) == COUNT
            assert await reader.until(b"\n\n") == b"id: %b\n\n" % newest

    serve(city, scenario, http)


def test_a_page_of_another_server_that_takes_nothing_loses_its_place(
    city: City, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sse, "RECHECK_SECONDS", 0.05)
    monkeypatch.setattr(sse, "STALLED_SECONDS", 0.5)
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.1)  # the first that waits for what is before it

    async def scenario(port: int) -> None:
        async with opened(port, b"/stream", b"snapshot", 1), asyncio.timeout(5):
            while city.bus.clients:
                city.bus.publish("incident", {"id": 1, "title": "x" * 50_000})
                await asyncio.sleep(0.01)

    serve(city, scenario, H11Protocol)
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []


def test_a_page_that_is_slow_gets_every_frame_in_its_order(city: City) -> None:
    async def scenario(port: int) -> None:
        async with opened(port, b"/stream", b"snapshot", 2) as (slow, quick):
            for number in range(FRAMES):
                city.bus.publish("incident", {"id": number, "title": "x" * 1000})
                assert (await quick.event(b"incident"))[1]["id"] == number
            assert [(await slow.event(b"incident"))[1]["id"] for _ in range(FRAMES)] == list(range(FRAMES))

    serve(city, scenario)


async def stalled(city: City, port: int, ends: Callable[[], None]) -> None:
    """A page that takes nothing of one large frame, after which nothing happens: its place is free soon after
    what ends it, although it still takes nothing."""
    async with opened(port, b"/stream", b"snapshot", 1) as (slow,):
        city.bus.publish("incident", {"id": 1, "title": "x" * 8_000_000})
        await asyncio.sleep(0.2)
        ends()
        async with asyncio.timeout(3):
            while city.bus.clients:
                await asyncio.sleep(0.02)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await slow.until(rb"0\r\n\r\n")


def test_a_page_that_takes_nothing_for_long_loses_its_place(
    city: City, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sse, "RECHECK_SECONDS", 0.05)
    monkeypatch.setattr(sse, "STALLED_SECONDS", 0.5)
    serve(city, lambda port: stalled(city, port, lambda: None))
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []


def test_a_stop_waits_for_no_page_that_takes_nothing(city: City, caplog: pytest.LogCaptureFixture) -> None:
    serve(city, lambda port: stalled(city, port, city.bus.close))
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []


def test_a_page_that_takes_a_little_at_a_time_keeps_its_place(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "RECHECK_SECONDS", 0.05)
    monkeypatch.setattr(sse, "STALLED_SECONDS", 1.5)

    async def scenario(port: int) -> None:
        async with opened(port, b"/stream", b"snapshot", 1) as (slow,):
            city.bus.publish("incident", {"id": 1, "title": "x" * 400_000})
            await asyncio.sleep(0.1)
            city.bus.publish("incident", {"id": 2, "title": "y"})
            await slow.slowly(16_000, 0.1)
            assert (await slow.event(b"incident"))[1]["id"] == 1
            assert (await slow.event(b"incident"))[1]["id"] == 2

    serve(city, scenario)
