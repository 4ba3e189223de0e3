"""Who would wait too long is told at once, and nobody holds every place."""

from __future__ import annotations

import asyncio
import time

import pytest

from layers.errors import Busy
from twin.connections import Connections, descriptors
from twin.load import BURST, NEWEST, TURN_SECONDS, Load, Pace, Shares, Told
from twin.threads import Threads


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_turn_is_measured_while_others_wait_and_more_than_are_worth_it_are_too_many() -> None:
    clock = Clock()
    load = Load(clock)
    for _ in range(200):
        load.come()
        load.come()
        load.begin()
        clock.now += 0.001
        load.begin()
        clock.now += 5  # nobody waits: this is no work
    most = 0
    while not load.full:
        load.come()
        most += 1
    assert most == pytest.approx(TURN_SECONDS / 0.001, abs=2)
    for _ in range(most):
        load.begin()
    assert not load.full
    load.begin()
    assert load.requests == 400 + most + 1


@pytest.mark.parametrize("seconds", [0.02, 0.3, 5.0])
def test_the_requests_of_a_few_pages_wait_however_slow_the_machine_is(seconds: float) -> None:
    clock = Clock()
    load = Load(clock)
    for _ in range(100):
        while load._waiting < BURST:
            assert not load.full
            load.come()
        while load._waiting:
            load.begin()
            clock.now += seconds
    for _ in range(BURST):
        load.come()
    assert load.full, "one more than a burst would wait for long"


def test_a_pause_among_quick_turns_refuses_nobody() -> None:
    clock = Clock()
    load = Load(clock)
    for turn in range(400):
        load.come()
        load.come()
        load.begin()
        clock.now += 5.0 if turn == 399 else 0.0002
        load.begin()
    for _ in range(2 * BURST):
        assert not load.full
        load.come()


@pytest.mark.parametrize("places", [1, 2, 4, 8])
def test_what_took_long_once_at_a_cold_start_refuses_nobody_beyond_a_burst(places: int) -> None:
    pace = Pace()
    for _ in range(places):
        pace.took(60.0)
    assert not pace.too_long(BURST + places, places, 2.0)
    for _ in range(round(3 / NEWEST)):
        pace.took(60.0)
    assert not pace.too_long(BURST - 1, places, 2.0)
    assert pace.too_long(2 * BURST, places, 2.0)


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
    told = Told(60, clock)
    found = []
    for at in (0, 1, 59, 60, 61, 121):
        clock.now = at
        found.append(told.due())
    assert found == [True, False, False, True, False, True]


def test_who_would_wait_long_for_a_thread_is_told_at_once() -> None:
    async def main() -> None:
        threads = Threads(2, "few")
        for _ in range(12):
            await threads.run(time.sleep, 0.02)
        threads._pace.mean = 1.0
        given = 0

        def back() -> None:
            nonlocal given
            given += 1

        waiting = [asyncio.create_task(threads.run(time.sleep, 0.05)) for _ in range(2 + BURST)]
        await asyncio.sleep(0)
        begun = time.monotonic()
        with pytest.raises(Busy):
            await threads.run(time.sleep, 0.05, after=back)
        assert time.monotonic() - begun < 0.04
        assert given == 1, "its place is given back"
        await asyncio.gather(*waiting)
        threads.close()

    asyncio.run(main())
