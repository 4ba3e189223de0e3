"""The threads of an open city: bounded, never a hang, and a place is given back when its call ends."""

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from layers.errors import Busy, NotFound, Unavailable
from twin import app, city, threads
from twin.access.caller import CALLER, Caller
from twin.city import City
from twin.http import search
from twin.template import template


@pytest.fixture
def opened(tmp_path) -> Iterator[City]:
    text = template("Town").replace(
        "# limits: {heavy_queries: 4, wrong_keys: 300}", "limits: {heavy_queries: 2}"
    )
    (tmp_path / "city.yml").write_text(text, "utf-8")
    found = app.open_city(tmp_path)
    yield found
    found.close()
    found.live.stop()


class Gate:
    """A call that stays in its thread until it is opened."""

    def __init__(self) -> None:
        self.inside = 0
        self._open = threading.Event()
        self._lock = threading.Lock()

    def __call__(self, value: int = 0) -> int:
        with self._lock:
            self.inside += 1
        assert self._open.wait(30)
        with self._lock:
            self.inside -= 1
        return value

    def open(self) -> None:
        self._open.set()

    async def holds(self, count: int) -> None:
        async with asyncio.timeout(10):
            while self.inside != count:
                await asyncio.sleep(0.001)


def test_a_light_read_of_a_local_store_stays_in_the_thread_of_the_caller(opened: City):
    async def main() -> None:
        assert await opened.read(threading.get_ident) == threading.get_ident()
        assert await opened.read(threading.get_ident, heavy=True) != threading.get_ident()
        assert await opened.aside(threading.get_ident) != threading.get_ident()
        assert await opened.read(opened.store.seq) == opened.store.seq()

    asyncio.run(main())


def test_what_a_call_raises_reaches_the_caller(opened: City):
    async def main() -> None:
        for ask in (opened.read, opened.aside, opened.write):
            with pytest.raises(NotFound, match="nowhere"):
                await ask(opened.store.layer, "nowhere")

    asyncio.run(main())


def test_heavy_reads_are_bounded_and_the_next_one_is_told_to_come_again(opened: City, monkeypatch):
    monkeypatch.setattr(city, "PLACE_SECONDS", 0.1)
    gate = Gate()

    async def main() -> None:
        two = [asyncio.create_task(opened.read(gate, number, heavy=True)) for number in (1, 2)]
        await gate.holds(2)
        before = time.monotonic()
        with pytest.raises(Busy, match="long queries"):
            await opened.read(gate, 3, heavy=True)
        assert time.monotonic() - before < 5
        # what makes something has threads of its own
        assert await opened.aside(opened.store.seq) == 0
        gate.open()
        assert await asyncio.gather(*two) == [1, 2]
        assert await opened.read(gate, 4, heavy=True) == 4

    asyncio.run(main())


def test_who_would_wait_for_a_place_in_vain_is_told_so_at_once(opened: City):
    """As far as can be told by what long queries took lately; while a place is free nobody is refused."""
    gate = Gate()

    async def main() -> None:
        opened._heavy.mean = 4.0
        two = [asyncio.create_task(opened.read(gate, number, heavy=True)) for number in (1, 2)]
        await gate.holds(2)
        opened._heavy.mean = 2.5
        before = time.monotonic()
        refused = [asyncio.create_task(opened.read(gate, 3, heavy=True)) for _ in range(2)]
        with pytest.raises(Busy, match="long queries"):
            await refused[1]
        assert time.monotonic() - before < city.PLACE_SECONDS / 2
        gate.open()
        assert await asyncio.gather(*two, refused[0]) == [1, 2, 3]

    asyncio.run(main())


def test_a_heavy_read_that_nobody_waits_for_keeps_its_place_until_it_ends(opened: City, monkeypatch):
    monkeypatch.setattr(city, "PLACE_SECONDS", 0.1)
    gate = Gate()

    async def main() -> None:
        two = [asyncio.create_task(opened.read(gate, number, heavy=True)) for number in (1, 2)]
        await gate.holds(2)
        for one in two:
            one.cancel()
        assert [type(error) for error in await asyncio.gather(*two, return_exceptions=True)] == [
            asyncio.CancelledError
        ] * 2
        with pytest.raises(Busy):
            await opened.read(gate, 3, heavy=True)
        gate.open()
        await gate.holds(0)
        assert await opened.read(gate, 4, heavy=True) == 4

    asyncio.run(main())


def test_a_call_that_gets_no_thread_is_busy_and_never_hangs(opened: City, monkeypatch):
    monkeypatch.setattr(threads, "THREAD_SECONDS", 0.1)
    gate = Gate()

    async def main() -> None:
        many = [asyncio.create_task(opened.aside(gate, number)) for number in range(20)]
        done = await asyncio.gather(opened.aside(gate, -1), return_exceptions=True)
        assert isinstance(done[0], Busy)
        gate.open()
        found = await asyncio.gather(*many, return_exceptions=True)
        served = [number for number in found if isinstance(number, int)]
        assert served == list(range(len(served)))
        assert 0 < len(served) < 20
        assert {type(one) for one in found} == {int, Busy}

    asyncio.run(main())


def test_a_call_that_was_given_up_before_it_began_never_begins(opened: City):
    gate = Gate()
    begun: list[int] = []

    async def main() -> None:
        held = [asyncio.create_task(opened.aside(gate, number)) for number in range(8)]
        await gate.holds(8)
        waiting = [asyncio.create_task(opened.aside(begun.append, number)) for number in range(5)]
        await asyncio.sleep(0)
        for one in waiting[:3]:
            one.cancel()
        await asyncio.gather(*waiting[:3], return_exceptions=True)
        gate.open()
        assert await asyncio.gather(*held) == list(range(8))
        await asyncio.gather(*waiting[3:])
        assert sorted(begun) == [3, 4]

    asyncio.run(main())


def test_threads_end_when_their_city_is_closed(tmp_path):
    (tmp_path / "city.yml").write_text(template("Town"), "utf-8")
    opened = app.open_city(tmp_path)
    gate = Gate()

    async def main() -> None:
        running = asyncio.create_task(opened.aside(gate, 1))
        await gate.holds(1)
        gate.open()
        assert await running == 1

    asyncio.run(main())
    alive = [thread for thread in threading.enumerate() if thread.name.startswith("twin-make")]
    assert alive
    opened.close()
    opened.live.stop()
    assert not any(thread.is_alive() for thread in alive)


def test_nothing_is_begun_while_the_store_is_lost(opened: City):
    gate = Gate()

    async def main() -> None:
        many = [asyncio.create_task(opened.aside(gate, number)) for number in range(20)]
        await gate.holds(8)
        opened.lost = "the database is away"
        for refused in (
            opened.aside(gate, 0),
            opened.write(gate, 0),
            opened.read(gate, 0, heavy=True),
        ):
            with pytest.raises(Unavailable, match="is away"):
                await refused
        assert await opened.run(threading.get_ident) != threading.get_ident()
        gate.open()
        found = await asyncio.gather(*many, return_exceptions=True)
        # those that waited for a thread were told as well, without a look at the store
        assert [type(one) for one in found] == [int] * 8 + [Unavailable] * 12
        opened.lost = None
        assert await opened.aside(gate, 7) == 7

    asyncio.run(main())


def test_searches_that_wait_for_the_index_hold_no_thread(opened: City, monkeypatch):
    gate = Gate()
    monkeypatch.setattr(search, "_hits", lambda city, index, text, limit: [gate() and {}])
    monkeypatch.setattr(search, "TURN_SECONDS", 0.2)
    find = search.Search(opened).answer

    async def room(scope: Any, receive: Any, send: Any) -> None:
        await find({**scope, CALLER: Caller()}, receive, send)

    async def main() -> None:
        transport = httpx.ASGITransport(app=room)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            first = asyncio.create_task(client.get("/search?q=a"))
            await gate.holds(1)
            more = [asyncio.create_task(client.get("/search?q=a")) for _ in range(20)]
            assert await opened.aside(opened.store.seq) == 0
            for refused in await asyncio.gather(*more, return_exceptions=True):
                assert isinstance(refused, Busy)
            assert gate.inside == 1
            gate.open()
            assert (await first).status_code == 200
            assert (await client.get("/search?q=a")).status_code == 200

    asyncio.run(main())
