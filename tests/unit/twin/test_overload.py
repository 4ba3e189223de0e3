"""Who would wait too long is told at once, and nobody holds every place."""

from __future__ import annotations

import asyncio
import threading

import pytest

from layers.errors import Busy
from twin.connections import Connections, descriptors
from twin.overload import NEWEST, Pace, Reminder, Shares
from twin.threads import THREAD_SECONDS, WORTH_SECONDS, Threads
from twin.turns import BURST


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("places", [1, 2, 4, 8])
def test_what_took_long_once_at_a_cold_start_refuses_nobody_beyond_a_burst(places: int) -> None:
    pace = Pace()
    for _ in range(places):
        pace.took(60.0)
    assert not pace.too_long(BURST + places, places, THREAD_SECONDS)
    for _ in range(round(3 / NEWEST)):
        pace.took(60.0)
    assert pace.mean <= 1
    assert not pace.too_long(places, places, WORTH_SECONDS)
    assert pace.too_long(3 * places, places, WORTH_SECONDS)


def test_beyond_the_free_places_an_address_has_its_share(caplog: pytest.LogCaptureFixture) -> None:
    shares = Shares(10, 2, "streams")
    held = [shares.place("a") for _ in range(5)]
    for one in held:
        one.__enter__()
    with pytest.raises(Busy, match="your address"), shares.place("a"):
        pass
    with pytest.raises(Busy), shares.place("a"):
        pass
    assert len(caplog.messages) == 1, "told once a minute"
    others = [shares.place(name) for name in "bcdef"]
    for one in others:
        one.__enter__()
    with pytest.raises(Busy, match="others"), shares.place("g"):
        pass
    for one in [*held, *others]:
        one.__exit__(None, None, None)
    assert shares.taken == 0
    with shares.place("a"):
        assert shares.taken == 1


class Line:
    def __init__(self, *, idle: bool = True) -> None:
        self.idle = idle
        self.dropped = False

    def drop(self) -> None:
        self.dropped = True


def test_room_is_made_by_the_oldest_idle_connection_of_who_has_most(caplog: pytest.LogCaptureFixture) -> None:
    open_ = Connections(3)
    busy, first, second = Line(idle=False), Line(), Line()
    for line in (busy, first, second):
        open_.enter(line, "greedy")
    probe = Line()
    open_.enter(probe, "probe")
    assert [line.dropped for line in (busy, first, second, probe)] == [False, True, False, False]
    assert len(open_) == 3
    assert len(caplog.messages) == 1
    open_.leave(first)  # its end is told twice
    open_.leave(probe)
    another = Line(idle=False)
    open_.enter(another, "greedy")
    second.idle = False
    last = Line()
    open_.enter(last, "greedy")
    assert last.dropped, "where every connection is at work the newest goes"


def test_descriptors_are_raised_and_some_are_left() -> None:
    assert 64 <= descriptors() <= 65_536


def test_the_log_is_told_again_after_a_while() -> None:
    clock = Clock()
    told = Reminder(60, clock)
    found = []
    for at in (0, 1, 59, 60, 61, 121):
        clock.now = at
        found.append(told.due())
    assert found == [True, False, False, True, False, True]


@pytest.mark.parametrize(("waiting", "mean"), [(BURST, 0.1), (30, 0.9)])
def test_who_would_wait_long_for_a_thread_is_told_at_once(waiting: int, mean: float) -> None:
    """Beyond a burst for more than 2 s, within it for more than what is waited at all."""

    async def main() -> None:
        threads = Threads(2, "few")
        end = threading.Event()
        threads._pace.mean = mean
        given = 0

        def back() -> None:
            nonlocal given
            given += 1

        calls = [asyncio.create_task(threads.run(end.wait, 10)) for _ in range(2 + waiting)]
        await asyncio.sleep(0)
        refused = [call for call in calls if call.done()]
        assert len(refused) <= 10, "those before it wait"
        with pytest.raises(Busy):
            await threads.run(end.wait, 10, after=back)
        assert given == 1, "its place is given back"
        end.set()
        await asyncio.gather(*calls, return_exceptions=True)
        threads.close()

    asyncio.run(main())
