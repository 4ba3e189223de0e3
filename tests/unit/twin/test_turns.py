"""Whose turn it is: a page's burst always waits, what waited for too long is refused, nothing is lost."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import pytest
from uvicorn.server import ServerState

from twin import server, turns
from twin.http import answers
from twin.http.respond import Receive, Scope, Send
from twin.overload import Load
from twin.transport import Protocol
from twin.turns import BURST, STEP, WAIT_SECONDS, Turns


class Loop(asyncio.AbstractEventLoop):
    """Runs what is called soon, one step at a time, on a clock that is set."""

    def __init__(self) -> None:
        self.now = 0.0
        self._soon: deque[Callable[[], None]] = deque()

    def call_soon(self, call: Callable[..., Any], *args: Any, context: Any = None) -> Any:
        self._soon.append(lambda: call(*args))

    def step(self) -> bool:
        """One step; whether there was anything to do."""
        for _ in range(count := len(self._soon)):
            self._soon.popleft()()
        return bool(count)


class Waiter:
    """A request that takes ``seconds`` of the loop when its turn comes."""

    def __init__(self, loop: Loop, seconds: float) -> None:
        self.held: bytes | None = b"GET"
        self._loop, self._seconds = loop, seconds
        self._since = loop.now
        self.served: float | None = None
        self.refused: float | None = None

    def proceed(self) -> None:
        self.held, self.served = None, self._loop.now - self._since
        self._loop.now += self._seconds

    def refuse(self) -> None:
        self.held, self.refused = None, self._loop.now - self._since


@pytest.mark.parametrize("seconds", [0.0002, 0.005, 0.5])
def test_the_requests_of_a_few_pages_wait_however_slow_the_machine_is(seconds: float) -> None:
    loop = Loop()
    queue = Turns(lambda: loop.now)
    for _ in range(3):
        waiters = [Waiter(loop, seconds) for _ in range(BURST)]
        for one in waiters:
            queue.wait(one, b"GET", loop)
        assert queue.waiting == BURST
        while loop.step():
            pass
        assert all(one.served is not None for one in waiters)
        assert not queue.busy


def test_more_than_can_be_done_is_refused_by_its_age_and_the_rest_is_done_at_full_rate() -> None:
    """Five times as much comes as can be done, at 2 ms each."""
    loop = Loop()
    queue = Turns(lambda: loop.now)
    waiters: list[Waiter] = []
    due = 0.0
    loop.call_soon(lambda: None)
    while loop.now < 3:
        while due <= loop.now:
            waiters.append(Waiter(loop, 0.002))
            queue.wait(waiters[-1], b"GET", loop)
            due += 0.002 / 5
        loop.step()
    served = [one.served for one in waiters if one.served is not None]
    refused = [one.refused for one in waiters if one.refused is not None]
    assert len(served) == pytest.approx(3 / 0.002, rel=0.01)
    assert len(refused) > 3 * len(served)
    assert min(refused) >= WAIT_SECONDS
    assert max(refused) < WAIT_SECONDS + 2 * STEP * 0.002 < 0.1
    assert max(served) < WAIT_SECONDS + 2 * STEP * 0.002


def test_a_pause_of_the_machine_refuses_nobody() -> None:
    loop = Loop()
    queue = Turns(lambda: loop.now)
    waiters = [Waiter(loop, 0.0001) for _ in range(3 * BURST)]
    for one in waiters:
        queue.wait(one, b"GET", loop)
    loop.step()
    loop.now += 5
    while loop.step():
        pass
    assert all(one.served is not None for one in waiters)


def test_a_request_that_waits_no_more_has_no_turn() -> None:
    loop = Loop()
    queue = Turns(lambda: loop.now)
    gone, other = Waiter(loop, 0.001), Waiter(loop, 0.001)
    for one in (gone, other):
        queue.wait(one, b"GET", loop)
    gone.held = None
    while loop.step():
        pass
    assert gone.served is None
    assert other.served is not None


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Holds the loop for 2 ms, health for none."""
    application.load.begin()  # type: ignore[attr-defined]
    if scope["path"] == "/":
        time.sleep(0.002)
    await answers.send(send, 200, scope["path"].encode())


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: bytes = b"/") -> int:
    writer.write(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
    head = await reader.readuntil(b"\r\n\r\n")
    (length,) = [line for line in head.split(b"\r\n") if line.startswith(b"content-length")]
    body = await reader.readexactly(int(length.partition(b": ")[2]))
    status = int(head[9:12])
    if status == 503:
        assert b"retry-after: 2\r\n" in head
        assert json.loads(body)["code"] == "Busy"
    else:
        assert body == path
    return status


def test_on_real_sockets_some_are_refused_and_every_connection_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Health is answered all the same, and so is who sends more than one request at once."""
    monkeypatch.setattr(turns, "BURST", 10)
    monkeypatch.setattr(turns, "WAIT_SECONDS", 0.02)
    load = Load()
    monkeypatch.setattr(application, "load", load, raising=False)

    async def go() -> Counter[int]:
        config = server.config(application)
        config.load()
        state = ServerState()
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(lambda: Protocol(config, state, {}), "127.0.0.1", 0)
        async with listening, asyncio.timeout(20):
            address = listening.sockets[0].getsockname()[:2]
            lines = [await asyncio.open_connection(*address) for _ in range(60)]
            few = await asyncio.gather(*(_ask(*line) for line in lines[:10]))
            assert set(few) == {200}
            found = Counter(await asyncio.gather(*(_ask(*line) for line in lines[:50])))
            crowd = asyncio.gather(*(_ask(*line) for line in lines[:50]))
            health = asyncio.gather(*(_ask(*line, b"/health/live") for line in lines[50:59]))
            reader, writer = lines[59]
            writer.write(b"GET /health/a HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert set(await health) == {200}
            await crowd
            assert (await reader.readuntil(b"/health/a")).startswith(b"HTTP/1.1 200")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            for line in lines[:50]:
                assert await _ask(*line) == 200
                line[1].close()
            for _, writer in lines:
                writer.close()
        return found

    found = asyncio.run(go())
    assert found[200] >= 10
    assert found[503] >= 5
    assert found.total() == 50
    assert load.shed >= found[503]
    assert load.turns.waiting == 0
