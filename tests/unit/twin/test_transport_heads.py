"""Heads of requests are bounded in bytes and in time, on real sockets."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable

import pytest
from uvicorn.server import ServerState

from twin import connections, server
from twin.http import answers, respond
from twin.http.respond import Receive, Scope, Send
from twin.transport import Protocol

type Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
SECONDS = 0.4


class Small(Protocol):
    max_head = 1000
    head_seconds = SECONDS


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the path; ``/slow`` takes its time, ``/body`` reads first, ``/early`` never reads."""
    if scope["path"] == "/slow":
        await asyncio.sleep(2 * SECONDS)
    if scope["path"] == "/body":
        await respond.read_body(scope, receive, 1_000_000)
    await answers.send(send, 200, scope["path"].encode())


def talk(one: Talk) -> None:
    """One connection to a server of :class:`Small`."""

    async def go() -> None:
        config = server.config(application)
        config.load()
        loop = asyncio.get_running_loop()
        state = ServerState()
        listening = await loop.create_server(lambda: Small(config, state, {}), "127.0.0.1", 0)
        async with listening:
            reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname()[:2])
            async with asyncio.timeout(10):
                await one(reader, writer)
            writer.close()
            await writer.wait_closed()

    asyncio.run(go())


def problem(answer: bytes, status: int, code: str) -> None:
    """The whole of an answer is one problem of that status, and says that the connection ends."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer
    fields = head.lower().split(b"\r\n")
    assert b"connection: close" in fields
    assert b"content-type: application/problem+json" in fields
    assert b"content-length: %d" % len(body) in fields
    found = json.loads(body)
    assert (found["status"], found["code"]) == (status, code)
    assert found["detail"]


def padded(size: int) -> bytes:
    """A whole head that counts as ``size`` bytes: the target, and each header with ``: `` and CRLF."""
    rest = len(b"/") + len(b"Host") + len(b"a") + 4 + len(b"X") + 4
    return HEAD + b"X: " + b"x" * (size - rest) + b"\r\n\r\n"


async def body_of(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    (length,) = [line for line in head.split(b"\r\n") if line.startswith(b"content-length")]
    return await reader.readexactly(int(length.partition(b": ")[2]))


def test_a_head_of_the_limit_is_read_and_one_byte_more_is_not(caplog: pytest.LogCaptureFixture) -> None:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(padded(Small.max_head))
        assert await body_of(reader) == b"/"
        writer.write(padded(Small.max_head + 1))
        problem(await reader.read(), 431, "HeadTooLarge")

    with caplog.at_level(logging.INFO):
        talk(one)
    assert not [record for record in caplog.records if record.name.startswith(("uvicorn", "twin"))]


@pytest.mark.parametrize(("size", "taken"), [(Small.max_head, True), (Small.max_head + 1, False)])
def test_a_head_that_comes_in_parts_has_the_same_limit(size: int, taken: bool) -> None:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        whole = padded(size)
        for part in (whole[:600], whole[600:-2], whole[-2:]):
            writer.write(part)
            await asyncio.sleep(0.02)
        if taken:
            assert await body_of(reader) == b"/"
        else:
            problem(await reader.read(), 431, "HeadTooLarge")

    talk(one)


@pytest.mark.parametrize("part", [b"x" * 300, b"\r\nx: " + b"x" * 300, b"y:\r\n" * 75])
def test_a_head_without_an_end_is_refused_while_it_comes(part: bytes) -> None:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"X: ")
        answer = asyncio.ensure_future(reader.read())
        sent = 0
        while not answer.done() and sent < 100:
            writer.write(part)
            await asyncio.sleep(0.005)
            sent += 1
        assert sent < 10
        problem(await answer, 431, "HeadTooLarge")

    talk(one)


def test_a_refusal_waits_for_the_answers_before_it() -> None:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n" + padded(5000))
        assert await body_of(reader) == b"/slow"
        problem(await reader.read(), 431, "HeadTooLarge")

    talk(one)


def test_a_large_body_is_no_large_head() -> None:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        post = b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n"
        for _ in range(2):
            writer.write(post + b"x" * 200_000 + HEAD)
            assert await body_of(reader) == b"/body"
            writer.write(b"\r\n")
            assert await body_of(reader) == b"/"

    talk(one)


def test_what_is_no_request_gets_the_one_error_shape() -> None:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"no request at all\r\n\r\n")
        problem(await reader.read(), 400, "InvalidRequest")

    talk(one)


CHUNKED = b"POST %b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("good", [b"", b"3\r\nabc\r\n"])
@pytest.mark.parametrize(
    "bad", [b"zz\r\nabc\r\n0\r\n\r\n", b"-1\r\n", b"3\r\nabcdef\r\n", b"f" * 17 + b"\r\n"]
)
@pytest.mark.parametrize("parts", [True, False])
def test_a_body_in_bad_chunks_gets_a_400_and_an_end(
    good: bytes, bad: bytes, parts: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"\r\n")
        assert await body_of(reader) == b"/"
        head = CHUNKED % b"/body"
        for part in (head, good, bad) if parts else (head + good + bad,):
            writer.write(part)
            await asyncio.sleep(0.01)
        problem(await reader.read(), 400, "InvalidRequest")

    talk(one)
    assert not [record for record in caplog.records if record.levelno > logging.WARNING]


def test_what_is_made_of_a_body_in_bad_chunks_goes_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED % b"/slow" + b"zz\r\n")
        answer = asyncio.ensure_future(reader.read())
        await asyncio.sleep(2.5 * SECONDS)
        problem(await answer, 400, "InvalidRequest")

    talk(one)
    assert not [record for record in caplog.records if record.levelno > logging.WARNING]


def test_a_bad_chunk_behind_a_request_in_work_ends_the_connection() -> None:
    """An answer written here would be taken for that of the request before."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n" + CHUNKED % b"/body" + b"zz\r\n")
        assert await reader.read() == b""

    talk(one)


def test_a_silent_connection_is_closed_without_a_word() -> None:
    async def one(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        began = time.monotonic()
        assert await reader.read() == b""
        assert SECONDS * 0.9 < time.monotonic() - began < 5

    talk(one)


@pytest.mark.parametrize("answered", [0, 1])
def test_a_head_that_trickles_is_ended_whatever_still_comes(answered: int) -> None:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(answered):
            writer.write(HEAD + b"\r\n")
            assert await body_of(reader) == b"/"
        writer.write(HEAD)
        answer = asyncio.ensure_future(reader.read())
        began = time.monotonic()
        while not answer.done() and time.monotonic() - began < 5:
            writer.write(b"x")
            await asyncio.sleep(0.05)
        problem(await answer, 408, "RequestTimeout")
        assert time.monotonic() - began > SECONDS * 0.9

    talk(one)


def test_the_time_of_a_head_begins_with_it() -> None:
    """More than the time passes on the connection, less in each head."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(3):
            writer.write(HEAD)
            await asyncio.sleep(SECONDS / 2)
            writer.write(b"\r\n")
            assert await body_of(reader) == b"/"

    talk(one)


def test_an_answer_in_work_is_not_ended_by_half_a_head_behind_it() -> None:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n" + HEAD)
        assert await body_of(reader) == b"/slow"
        problem(await reader.read(), 408, "RequestTimeout")

    talk(one)


def test_what_belongs_to_no_request_does_not_keep_a_connection() -> None:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        assert await body_of(reader) == b"/early"
        rest = asyncio.ensure_future(reader.read())
        began = time.monotonic()
        while not rest.done() and time.monotonic() - began < 5:
            writer.write(b"x")
            await asyncio.sleep(0.05)
        assert await rest == b""

    talk(one)


def test_who_holds_every_connection_makes_room_for_the_next(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections.OPEN, "most", 5)

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = writer.get_extra_info("peername")[:2]
        idle = [await asyncio.open_connection(*address) for _ in range(8)]
        for probe_reader, probe in idle[-2:]:
            probe.write(HEAD + b"\r\n")
            assert await body_of(probe_reader) == b"/"
        assert await reader.read() == b"", "the oldest was closed"
        for _, other in idle:
            other.close()

    talk(one)
    assert [message for message in caplog.messages if "connections are open" in message]
    assert len(connections.OPEN) == 0
