"""Requests and answers on plain ASGI: conditional requests, encodings, bodies with a cap, one error shape."""

import asyncio
import gzip
import json
import threading

import pytest

from layers import errors
from layers.errors import BadBody, BadParameter, TooLarge
from twin.http import answers, etags, respond
from twin.http import errors as http_errors
from twin.threads import Threads


def scope(*headers: tuple[bytes, bytes], query: bytes = b"") -> dict[str, object]:
    return {"headers": list(headers), "query_string": query}


@pytest.mark.parametrize(
    ("given", "matches"),
    [
        (None, False),
        ("", False),
        ('"e-1"', True),
        ('W/"e-1"', True),
        ('"e-0", W/"e-1"', True),
        ("*", True),
        ('"e-11"', False),
        ('"e-1', False),
        ("e-1", False),
    ],
)
def test_if_none_match(given: str | None, matches: bool):
    assert etags.matches(given, '"e-1"') is matches


@pytest.mark.parametrize(
    ("given", "takes"),
    [
        (None, False),
        (b"gzip", True),
        (b"br, gzip;q=0.5", True),
        (b"gzip;q=0", False),
        (b"*", True),
        (b"*;q=0, gzip", True),
        (b"gzip;q=0, *", False),
        (b"br", False),
    ],
)
def test_accept_encoding(given: bytes | None, takes: bool):
    assert respond.accepts_gzip(scope(*([(b"accept-encoding", given)] if given else []))) is takes


@pytest.mark.parametrize(
    ("given", "coding"),
    [
        (None, None),
        (b"", None),
        (b"identity", None),
        (b"gzip", "gzip"),
        (b"br", "br"),
        (b"gzip, deflate, br", "gzip"),
        (b"gzip;q=0.5, br", "br"),
        (b"br;q=1.0, gzip;q=0.8, *;q=0.1", "br"),
        (b"gzip;q=0, br", "br"),
        (b"br;q=0, *", "gzip"),
        (b"*", "gzip"),
        (b"*;q=0", None),
        (b"gzip;q=0", None),
        (b"gzip;q=2", None),
        (b"deflate", None),
    ],
)
def test_content_coding(given: bytes | None, coding: str | None):
    assert respond.encoding(scope(*([(b"accept-encoding", given)] if given is not None else []))) == coding


def test_query_map_names_what_is_wrong():
    assert respond.query_map(scope(query=b"a=1&b=%E6%B0%B4"), ("a", "b")) == {"a": "1", "b": "水"}
    with pytest.raises(BadParameter, match="nosuch=2: unknown parameter"):
        respond.query_map(scope(query=b"nosuch=2"), ("a",))
    with pytest.raises(BadParameter, match="more than once"):
        respond.query_map(scope(query=b"a=1&a=2"), ("a",))
    with pytest.raises(BadParameter, match="UTF-8"):
        respond.query_map(scope(query=b"a=%ff"), ("a",))
    with pytest.raises(BadParameter, match="at most 16384"):
        respond.query_map(scope(query=b"a=" + b"1" * 20_000), ("a",))


def body_of(*chunks: bytes):
    left = list(chunks)

    async def receive() -> dict[str, object]:
        if not left:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    return receive


def read(limit: int, *chunks: bytes, declared: bytes | None = None) -> bytes:
    headers = [(b"content-length", declared)] if declared else []
    return asyncio.run(respond.read_body(scope(*headers), body_of(*chunks), limit))


def test_a_body_is_read_up_to_its_limit():
    assert read(6, b"abc", b"def") == b"abcdef"
    with pytest.raises(TooLarge):
        read(5, b"abc", b"def")
    with pytest.raises(TooLarge, match="50000000 bytes"):
        read(1000, declared=b"50000000")
    with pytest.raises(BadBody, match="went away"):
        read(1000)


def test_a_body_that_trickles_is_given_up():
    async def receive() -> dict[str, object]:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": True}

    with pytest.raises(http_errors.Late, match=r"not whole after 0\.2 s") as told:
        asyncio.run(respond.read_body(scope(), receive, 1000, 0.2))
    status, headers, _ = http_errors.problem(told.value)
    assert status == 408
    assert (b"connection", b"close") in headers


@pytest.mark.parametrize("text", [b"", b"{", b"NaN", b'{"a": Infinity}', b"\xff"])
def test_what_is_not_json_is_refused(text: bytes):
    with pytest.raises(BadBody, match="not JSON"):
        respond.read_json(text)


def all_errors(base: type[errors.TwinError]) -> list[type[errors.TwinError]]:
    return [base, *(found for sub in base.__subclasses__() for found in all_errors(sub))]


@pytest.mark.parametrize("name", [b"if-none-match", b"accept", b"content-type", b"range"])
def test_lines_of_one_header_are_one_list(name: bytes) -> None:
    asked = scope((name, b"a"), (b"x", b"y"), (name, b"b, c"))
    assert respond.header(asked, name) == "a, b, c"
    assert respond.header(asked, b"x") == "y"
    assert respond.header(asked, b"z") is None


def test_every_error_has_a_status_and_the_one_shape():
    for cls in all_errors(errors.TwinError):
        if cls is errors.TwinError:
            continue
        error = cls.__new__(cls)
        Exception.__init__(error, "why")
        assert 400 <= http_errors.status_of(error) <= 503, cls
        assert http_errors.status_of(error) != 500, cls
    status, headers, body = http_errors.problem(errors.NoKey("who?"))
    assert status == 401
    assert dict(headers)[b"www-authenticate"].startswith(b"Bearer")
    assert set(json.loads(body)) == {"type", "title", "status", "detail", "code", "description"}
    status, headers, _ = http_errors.problem(errors.Busy("later"))
    assert (status, dict(headers)[b"retry-after"]) == (503, b"2")


@pytest.mark.parametrize(("size", "thread"), [(answers.LARGE - 1, "MainThread"), (answers.LARGE, "twin-t-0")])
def test_a_long_compression_is_done_by_a_thread_of_the_server(
    monkeypatch: pytest.MonkeyPatch, size: int, thread: str
) -> None:
    threads, sent, where = Threads(1, "twin-t"), [], []
    own = answers.gzip

    def packed(parts: list[bytes]) -> bytes:
        where.append(threading.current_thread().name)
        return own(parts)

    async def send(message: respond.Message) -> None:
        sent.append(message)

    monkeypatch.setattr(answers, "gzip", packed)
    asked = scope((b"accept-encoding", b"gzip")) | {"method": "GET", answers.BESIDE: threads.run}
    asyncio.run(answers.give(asked, send, [b"x" * size], []))
    threads.close()
    assert where == [thread]
    assert gzip.decompress(sent[-1]["body"]) == b"x" * size
