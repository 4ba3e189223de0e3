"""Bytes out: compressed where it pays, with the headers every answer of this API has."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from isal import isal_zlib

from twin.http import respond
from twin.http.respond import CORS, Headers, Scope, Send

#: Below this many bytes compressing costs more than it saves.
WORTH = 1024
#: Below this many bytes one write costs less than several.
SMALL = 65_536
#: From this many bytes compressing takes longer than the event loop may be held (gzip ≈ 1 ms a MB).
LARGE = 1_048_576
BROTLI_QUALITY = 4
#: brotli at that quality costs about five times as much as our gzip.
BROTLI_LARGE = LARGE // 5
#: The largest window (2^15), and 16 for a gzip header and trailer (zlib, deflateInit2).
_GZIP_WINDOW = 15 + 16
VARY = (b"vary", b"Accept, Accept-Encoding")
VARY_LANGUAGE = (b"vary", b"Accept, Accept-Encoding, Accept-Language")
FRESH = (b"cache-control", b"no-cache")
#: Headers of a 304 beside its ETag (RFC 9110, section 15.4.5); the client keeps the others of the answer
#: it has.
NOT_MODIFIED: Headers = [VARY, FRESH, (b"access-control-allow-origin", b"*")]
#: Pages have no script and load nothing: a name in the data can do nothing on them.
HTML_HEADERS: Headers = [
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
]


@dataclass(slots=True)
class Answer:
    """What a reading call answers: the headers and parts of a 200, or, without parts, a 304."""

    headers: Headers
    parts: Sequence[bytes] | None = None


def unchanged(etag: str) -> Answer:
    """A 304."""
    return Answer([(b"etag", etag.encode()), *NOT_MODIFIED])


def packer() -> Any:
    """A compressor of one gzip member, level 1: the fastest level of ISA-L that still shrinks JSON well."""
    return isal_zlib.compressobj(1, isal_zlib.DEFLATED, _GZIP_WINDOW)


def gzip(parts: Sequence[bytes]) -> bytes:
    """The parts as one gzip member (RFC 1952)."""
    packing = packer()
    return b"".join([*(packing.compress(part) for part in parts), packing.flush()])


def brotli(parts: Sequence[bytes]) -> bytes:
    """The parts as one brotli stream (RFC 7932)."""
    import brotli as coder  # type: ignore[import-untyped]

    packed: bytes = coder.compress(b"".join(parts), quality=BROTLI_QUALITY)
    return packed


async def answer(scope: Scope, send: Send, found: Answer) -> None:
    """Send what a reading call answered."""
    if found.parts is None:
        await send({"type": "http.response.start", "status": 304, "headers": found.headers})
        await send({"type": "http.response.body", "body": b""})
        return
    await give(scope, send, found.parts, found.headers)


async def give(scope: Scope, send: Send, parts: Sequence[bytes], headers: Headers) -> None:
    """A 200 answer to GET or HEAD (HEAD: the same headers without the body).

    The body comes in parts, because joining a megabyte costs as much as sending it."""
    length = sum(map(len, parts))
    coding = respond.encoding(scope) if length > WORTH else None
    if coding is not None:
        pack, large = (gzip, LARGE) if coding == "gzip" else (brotli, BROTLI_LARGE)
        parts = (pack(parts) if length < large else await asyncio.to_thread(pack, parts),)
        length = len(parts[0])
        headers = [*headers, (b"content-encoding", coding.encode())]
    headers = [*headers, *CORS, FRESH, (b"content-length", b"%d" % length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["method"] == "HEAD":
        parts = (b"",)
    elif length < SMALL:
        parts = (b"".join(parts),)
    for part in parts[:-1]:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": parts[-1]})


async def give_document(scope: Scope, send: Send, body: bytes, media: str, lang: str) -> None:
    """A document that is cheap to make: its ETag is a hash of it, so it can never be stale."""
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers: Headers = [
        (b"etag", etag.encode()),
        VARY_LANGUAGE,
        (b"content-language", lang.encode()),
    ]
    if respond.etag_matches(respond.header(scope, b"if-none-match"), etag):
        await respond.not_modified(send, etag, [*headers[1:], FRESH, *CORS])
        return
    if media == "text/html":
        headers += HTML_HEADERS
        media += "; charset=utf-8"
    await give(scope, send, (body,), [(b"content-type", media.encode()), *headers])
