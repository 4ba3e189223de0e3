"""Every answer leaves through here: whole, made smaller where it pays, unchanged, or begun and streamed.

One rule for all: any origin may read (CORS), no browser may guess a type (nosniff), and Vary names what
the answer was chosen by. A 304 has neither of the first two but the origin: the client keeps the others
of the answer that it has (RFC 9110, section 15.4.5)."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

import orjson

from twin.http import etags, respond
from twin.http.respond import Headers, Scope, Send
from twin.packing import packer

#: Below this many bytes compressing costs more than it saves.
WORTH = 1024
#: Below this many bytes one write costs less than several.
SMALL = 65_536
#: From this many bytes compressing takes longer than the event loop may be held (gzip ≈ 1 ms a MB).
LARGE = 1_048_576
BROTLI_QUALITY = 4
#: brotli at that quality costs about five times as much as our gzip.
BROTLI_LARGE = LARGE // 5

ORIGIN = (b"access-control-allow-origin", b"*")
#: What every answer has but a 304.
ALWAYS: Headers = [
    ORIGIN,
    (
        b"access-control-expose-headers",
        b"Accept-Ranges, Allow, Content-Crs, Content-Disposition, Content-Range, ETag, Features-Merged, "
        b"Link, Location, Memento-Datetime, OGC-NumberMatched, OGC-NumberReturned, Retry-After, "
        b"Tile-Properties",
    ),
    (b"x-content-type-options", b"nosniff"),
]
VARY_CODING = (b"vary", b"Accept-Encoding")
VARY = (b"vary", b"Accept, Accept-Encoding")
VARY_LANGUAGE = (b"vary", b"Accept, Accept-Encoding, Accept-Language")
FRESH = (b"cache-control", b"no-cache")
#: Of what is told of people, or is for one caller once: nobody keeps it.
UNKEPT = (b"cache-control", b"no-store")
#: A year, which is as long as HTTP has words for (RFC 9111, section 1.2.2; RFC 8246).
_FOREVER = b"max-age=31536000, immutable"
_ALWAYS_FRESH: Headers = [*ALWAYS, FRESH]
#: Pages have no script and load nothing: a name in the data can do nothing on them.
HTML_HEADERS: Headers = [
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
]
JSON = (b"content-type", b"application/json")
GEOJSON = (b"content-type", b"application/geo+json")
type Header = tuple[bytes, bytes]
type Pack = Callable[[Sequence[bytes]], bytes]
#: In a scope: what runs a long compression in a thread of the server.
BESIDE = "twin.beside"


def forever(*, shared: bool) -> Header:
    """The header of an answer that is never another one; not ``shared``: only its caller may keep it."""
    return b"cache-control", (b"public, " if shared else b"private, ") + _FOREVER


@dataclass(slots=True)
class Answer:
    """What a reading call answers: the headers and parts of a 200, or, without parts, a 304."""

    headers: Headers
    parts: Sequence[bytes] | None = None


async def start(to: Send, status: int, headers: Iterable[Header]) -> None:
    """The head of an answer whose body follows."""
    await to({"type": "http.response.start", "status": status, "headers": [*headers, *ALWAYS]})


async def send(to: Send, status: int, body: bytes = b"", headers: Iterable[Header] = ()) -> None:
    """One whole answer as it is, with its length (a 204 has none: RFC 9110 section 8.6)."""
    length = [] if status == 204 else [(b"content-length", b"%d" % len(body))]
    await start(to, status, [*headers, *length])
    await to({"type": "http.response.body", "body": body})


async def exactly(scope: Scope, to: Send, body: bytes, headers: Iterable[Header]) -> None:
    """A 200 to GET or HEAD with this body and these headers, caching among them: nothing is compressed."""
    await start(to, 200, [*headers, (b"content-length", b"%d" % len(body))])
    await to({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def unchanged(etag: str, vary: Header = VARY) -> Answer:
    """A 304."""
    return Answer([(b"etag", etag.encode()), vary, FRESH, ORIGIN])


async def not_modified(to: Send, etag: str, vary: Header = VARY_CODING, keep: Header = FRESH) -> None:
    """Send a 304 with the ETag and what the 200 says of caching, as RFC 9110 section 15.4.5 asks."""
    headers = [(b"etag", etag.encode()), vary, keep, ORIGIN]
    await to({"type": "http.response.start", "status": 304, "headers": headers})
    await to({"type": "http.response.body", "body": b""})


async def fresh(scope: Scope, to: Send, etag: str, vary: Header = VARY_CODING, keep: Header = FRESH) -> bool:
    """Answer 304 when the client holds this version; True when done. ``keep``: how it may be cached."""
    condition = respond.header(scope, b"if-none-match")
    if condition is None or not etags.matches(condition, etag):
        return False
    await not_modified(to, etag, vary, keep)
    return True


async def answer(scope: Scope, to: Send, result: Answer) -> None:
    """Send what a reading call answered."""
    if result.parts is None:
        await to({"type": "http.response.start", "status": 304, "headers": result.headers})
        await to({"type": "http.response.body", "body": b""})
        return
    await give(scope, to, result.parts, result.headers)


async def give(
    scope: Scope, to: Send, parts: Sequence[bytes], headers: Iterable[Header], status: int = 200
) -> None:
    """An answer to GET or HEAD (HEAD: the same headers without the body), compressed where it pays.

    The body comes in parts, because joining a megabyte costs as much as sending it."""
    length = sum(map(len, parts))
    coding = respond.encoding(scope) if length > WORTH else None
    if coding is not None:
        pack, large = (gzip, LARGE) if coding == "gzip" else (brotli, BROTLI_LARGE)
        parts = (pack(parts) if length < large else await _beside(scope, pack, parts),)
        length = len(parts[0])
        headers = [*headers, (b"content-encoding", coding.encode())]
    headers = [*headers, *_ALWAYS_FRESH, (b"content-length", b"%d" % length)]
    await to({"type": "http.response.start", "status": status, "headers": headers})
    if scope["method"] == "HEAD":
        parts = (b"",)
    elif length < SMALL:
        parts = (b"".join(parts),)
    for part in parts[:-1]:
        await to({"type": "http.response.body", "body": part, "more_body": True})
    await to({"type": "http.response.body", "body": parts[-1]})


async def _beside(scope: Scope, pack: Pack, parts: Sequence[bytes]) -> bytes:
    run: Callable[[Pack, Sequence[bytes]], Awaitable[bytes]] = scope[BESIDE]
    return await run(pack, parts)


async def give_json(
    scope: Scope,
    to: Send,
    value: object,
    headers: Iterable[Header] = (),
    status: int = 200,
    media: Header = JSON,
    vary: Header = VARY_CODING,
) -> None:
    """A value as JSON."""
    await give(scope, to, (orjson.dumps(value),), [media, vary, *headers], status)


async def give_document(scope: Scope, to: Send, body: bytes, media: str, lang: str) -> None:
    """A document that is cheap to make: its ETag is a hash of it, so it can never be stale."""
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    if await fresh(scope, to, etag, VARY_LANGUAGE):
        return
    headers: Headers = [
        (b"etag", etag.encode()),
        VARY_LANGUAGE,
        (b"content-language", lang.encode()),
    ]
    if media == "text/html":
        headers += HTML_HEADERS
        media += "; charset=utf-8"
    await give(scope, to, (body,), [(b"content-type", media.encode()), *headers])


async def give_packed(
    scope: Scope,
    to: Send,
    packed: bytes,
    plain: Callable[[], bytes],
    etag: str,
    headers: Iterable[Header],
) -> None:
    """A body that is kept as gzip, as it is or, where the client takes none, unpacked.

    The plain bytes are another representation of the same state, so they bear the tag as a weak one
    (RFC 9110, section 8.8.3.3)."""
    if respond.accepts_gzip(scope):
        body = packed
        own: Headers = [(b"etag", etag.encode()), (b"content-encoding", b"gzip")]
    else:
        body = plain()
        own = [(b"etag", b"W/" + etag.encode())]
    length = (b"content-length", b"%d" % len(body))
    start_ = [*own, length, *headers, VARY_CODING, *_ALWAYS_FRESH]
    await to({"type": "http.response.start", "status": 200, "headers": start_})
    await to({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def gzip(parts: Sequence[bytes]) -> bytes:
    """The parts as one gzip member (RFC 1952)."""
    packing = packer()
    return b"".join([*(packing.compress(part) for part in parts), packing.flush()])


def brotli(parts: Sequence[bytes]) -> bytes:
    """The parts as one brotli stream (RFC 7932)."""
    import brotli as coder  # type: ignore[import-untyped]

    packed: bytes = coder.compress(b"".join(parts), quality=BROTLI_QUALITY)
    return packed
