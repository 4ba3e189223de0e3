"""An answer leaves in one write; nothing is held beyond a step of the event loop, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from twin.transport import COPIED, OneWrite


class Recorder(asyncio.Transport):
    """A transport that keeps what each call gave it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.calls.append(bytes(data))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        assert not self.closed
        self.calls.append(b"".join(list_of_data))

    def write_eof(self) -> None:
        self.calls.append(b"<eof>")

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


def run(*steps: list[bytes]) -> tuple[Recorder, list[int]]:
    """Write each step's data in a step of an event loop; how many calls there were after each."""
    below = Recorder()
    told: list[int] = []

    async def go() -> None:
        above = OneWrite(below, asyncio.get_running_loop())
        for step in steps:
            for data in step:
                above.write(data)
            await asyncio.sleep(0)
            told.append(len(below.calls))

    asyncio.run(go())
    return below, told


def test_head_and_body_leave_together() -> None:
    below, _ = run([b"head", b"body"], [b"head2", b"body2"])
    assert below.calls == [b"headbody", b"head2body2"]


def test_a_head_alone_leaves_at_the_end_of_its_step() -> None:
    below, told = run([b"head"], [b"event"], [b"event"])
    assert below.calls == [b"head", b"event", b"event"]
    assert told == [1, 2, 3]


@pytest.mark.parametrize("size", [COPIED, COPIED + 1, 5_000_000])
def test_every_byte_in_its_order(size: int) -> None:
    parts = [b"head", b"x" * size, b"y", b"z" * size, b""]
    below, _ = run(parts, [b"next"])
    assert b"".join(below.calls) == b"".join(parts) + b"next"


def test_an_empty_body_does_not_keep_the_head() -> None:
    below, told = run([b"head", b""])
    assert below.calls == [b"head"]
    assert told == [1]


def test_closing_sends_what_is_held_and_then_nothing() -> None:
    below = Recorder()

    async def go() -> None:
        above = OneWrite(below, asyncio.get_running_loop())
        above.write(b"head")
        above.close()
        await asyncio.sleep(0)

    asyncio.run(go())
    assert (below.calls, below.closed) == ([b"head"], True)


def test_the_end_follows_what_is_held() -> None:
    below = Recorder()

    async def go() -> None:
        above = OneWrite(below, asyncio.get_running_loop())
        above.write(b"head")
        above.write_eof()
        await asyncio.sleep(0)

    asyncio.run(go())
    assert below.calls == [b"head", b"<eof>"]


def test_a_connection_that_was_lost_is_not_written_to() -> None:
    below = Recorder()

    async def go() -> None:
        above = OneWrite(below, asyncio.get_running_loop())
        above.write(b"head")
        below.closed = True
        await asyncio.sleep(0)

    asyncio.run(go())
    assert below.calls == []
