"""Tiles that were asked for before are answered without the application, as the application answers them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from uvicorn.server import ServerState

from layers.model import Layer
from tests.guests import KeyOrGuest
from tests.support import copy_city
from twin import app, server
from twin.access.rights import WHOLE, Share
from twin.city import City
from twin.http.respond import Receive, Scope, Send
from twin.transport import Protocol

TILE = "/tiles/buildings/15/18654/9484.mvt"
PAIR = "/tiles/buildings,addresses/15/18654/9484.mvt"
NODE = "/3dtiles/buildings/16/37308/18969.glb"
BLOCKS = "/3dtiles/buildings/blocks/13/4663/2371.glb"
GZIP = "Accept-Encoding: gzip"


@dataclass
class Line:
    """A connection to a city's server, and how often its application was asked."""

    city: City
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    asked: list[str]

    async def send(self, path: str, *headers: str, method: str = "GET") -> None:
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]
        self.writer.write("\r\n".join(lines).encode())
        await self.writer.drain()

    async def answer(self, *, bodiless: bool = False) -> tuple[int, dict[str, str], bytes]:
        """Status, headers but the date, and body."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        given = dict(one.split(": ", 1) for one in head[1:-2])
        assert given.pop("date")
        body = b"" if bodiless else await self.reader.readexactly(int(given.get("content-length", 0)))
        return int(head[0].split()[1]), given, body

    async def ask(self, path: str, *headers: str) -> tuple[int, dict[str, str], bytes]:
        await self.send(path, *headers)
        return await self.answer()

    async def again(self, path: str, *headers: str) -> bool:
        """Whether the same request gets the same answer twice, the second time without the application."""
        first, before = await self.ask(path, *headers), len(self.asked)
        assert await self.ask(path, *headers) == first
        assert first[0] in (200, 304)
        return len(self.asked) == before


@asynccontextmanager
async def connected(city: City) -> AsyncIterator[Line]:
    front = app.build(city)
    asked: list[str] = []

    class Counted:
        load, hits = front.load, front.hits

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            asked.append(scope["path"])
            await front(scope, receive, send)

    config = server.config(Counted())
    config.load()
    state = ServerState()
    state.default_headers = [(b"date", b"Tue, 01 Dec 2026 12:00:00 GMT")]
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: Protocol(config, state, {}), "127.0.0.1", 0)
    async with listening, asyncio.timeout(60):
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname()[:2])
        yield Line(city, reader, writer, asked)
        writer.close()


@pytest.fixture
def city(helsinki_template: Path, tmp_path: Path) -> Iterator[City]:
    made = app.open_city(copy_city(helsinki_template, tmp_path / "helsinki"))
    yield made
    made.close()


def run(city: City, test: Callable[[Line], Awaitable[None]]) -> None:
    async def go() -> None:
        async with connected(city) as line:
            await test(line)

    asyncio.run(go())


def test_the_second_answer_is_the_first_without_the_application(city: City) -> None:
    async def test(line: Line) -> None:
        for path in (TILE, PAIR, NODE, BLOCKS, f"{TILE}?v=7", f"{NODE}?compression=meshopt"):
            _, headers, body = await line.ask(path, GZIP)
            assert body
            assert await line.again(path, GZIP), path
            for name in ("If-None-Match", "if-none-match"):
                for tag in (headers["etag"], f"W/{headers['etag']}"):
                    condition = f"{name}: {tag}"
                    await line.ask(path, condition, GZIP)
                    before = len(line.asked)
                    status, unchanged, nothing = await line.ask(path, condition, GZIP)
                    assert (status, unchanged["etag"], nothing) == (304, headers["etag"], b"")
                    assert len(line.asked) == before
            status, _, again = await line.ask(path, 'If-None-Match: "another"', GZIP)
            assert (status, again) == (200, body)
        # a browser says much that changes nothing
        browser = ("User-Agent: a", "Sec-Fetch-Mode: cors", "Accept: */*", "Referer: http://127.0.0.1/", GZIP)
        assert await line.again(TILE, *browser)

    run(city, test)


def test_what_is_unusual_goes_to_the_application(city: City) -> None:
    async def test(line: Line) -> None:
        assert await line.again(TILE, GZIP)
        etag = (await line.ask(TILE, GZIP))[1]["etag"]
        key = city.keys.add("chief")
        for headers in (
            (),
            ("Accept-Encoding: identity",),
            ("Accept-Encoding: gzip;q=0",),
            (f"X-Api-Key: {key}", GZIP),
            ("Cookie: a=b", GZIP),
            ("X-Unheard-Of: a", GZIP),
            (f'If-None-Match: "a", {etag}', GZIP),
            ("If-None-Match: *", GZIP),
            (f"IF-NONE-MATCH: {etag}", GZIP),
        ):
            assert not await line.again(TILE, *headers), headers
        assert (await line.ask(TILE, f'If-None-Match: "a", {etag}', GZIP))[0] == 304
        assert "content-encoding" not in (await line.ask(TILE))[1]
        assert not await line.again(f"{TILE}?at=@{city.store.seq()}", GZIP)
        await line.send(TILE, GZIP, method="HEAD")
        assert (await line.answer(bodiless=True))[0] == 200
        status, _, body = await line.ask(TILE, "Host: elsewhere", GZIP)
        assert (status, b"Host" in body) == (400, True)

    run(city, test)


def test_several_requests_at_once_are_answered_in_their_order(city: City) -> None:
    async def test(line: Line) -> None:
        paths = [TILE, NODE, "/health/live", TILE, PAIR, NODE, TILE]
        alone = [await line.ask(path, GZIP) for path in paths]
        for path in paths:
            await line.send(path, GZIP)
        assert [await line.answer() for _ in paths] == alone
        for path in paths:
            await line.send(path, GZIP)
            await asyncio.sleep(0.002)
        assert [await line.answer() for _ in paths] == alone

    run(city, test)


def test_an_edit_is_seen_at_once(city: City) -> None:
    async def test(line: Line) -> None:
        view = city.catalogue.whole
        fid = int((view.tiles or view.make_tiles())._snapshot("buildings").node((16, 37308, 18969)).fids[0])
        for path in (TILE, NODE):
            await line.ask(path, GZIP)
        before = {path: await line.ask(path, GZIP) for path in (TILE, NODE)}
        requests = city.load.requests
        for number in range(3):
            city.store.patch("buildings", fid, {"properties": {"name": f"edit {number}"}})
            for path in (TILE, NODE):
                asked = len(line.asked)
                after = await line.ask(path, GZIP)
                assert after[1]["etag"] != before[path][1]["etag"]
                assert len(line.asked) == asked + 1
                assert await line.again(path, GZIP)
                before[path] = after
        assert city.load.requests == requests + 3 * 2 * 3

    run(city, test)


class Guests(KeyOrGuest):
    """Who has no key sees no names."""

    def share(self, rights: str, layer: Layer) -> Share | None:
        return Share(frozenset({"height_m"})) if layer.id == "buildings" else WHOLE


def test_who_sees_less_is_answered_by_the_application(helsinki_template: Path, tmp_path: Path) -> None:
    city = app.open_city(copy_city(helsinki_template, tmp_path / "helsinki"), rights=Guests())
    key = city.keys.add("chief")

    async def test(line: Line) -> None:
        for headers in ((GZIP,), (f"X-Api-Key: {key}", GZIP)):
            for path in (TILE, NODE):
                assert not await line.again(path, *headers)
        assert (await line.ask(TILE, GZIP))[1]["cache-control"] == "private, no-cache"

    run(city, test)
    city.close()
