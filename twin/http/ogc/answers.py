"""Bytes out: compressed where it pays, with the headers every answer of this API has."""

from __future__ import annotations

import hashlib

from isal import isal_zlib

from twin.http import respond
from twin.http.respond import CORS, Headers, Scope, Send

#: Below this many bytes compressing costs more than it saves.
WORTH = 1024
_GZIP_WINDOW = 31
VARY = (b"vary", b"Accept, Accept-Encoding")
VARY_LANGUAGE = (b"vary", b"Accept, Accept-Encoding, Accept-Language")
#: Pages have no script and load nothing: a name in the data can do nothing on them.
HTML_HEADERS: Headers = [
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
]


def gzip(body: bytes) -> bytes:
    """One gzip member, level 1: the fastest level of ISA-L that still shrinks JSON well."""
    packer = isal_zlib.compressobj(1, isal_zlib.DEFLATED, _GZIP_WINDOW)
    return packer.compress(body) + packer.flush()


async def give(scope: Scope, send: Send, body: bytes, headers: Headers) -> None:
    """A 200 answer to GET or HEAD (HEAD: the same headers without the body)."""
    if len(body) > WORTH and respond.accepts_gzip(scope):
        body = gzip(body)
        headers = [*headers, (b"content-encoding", b"gzip")]
    headers = [*headers, *CORS, (b"cache-control", b"no-cache"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def give_document(scope: Scope, send: Send, body: bytes, media: str, lang: str) -> None:
    """A document that is cheap to make: its ETag is a hash of it, so it can never be stale."""
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers: Headers = [
        (b"etag", etag.encode()),
        VARY_LANGUAGE,
        (b"content-language", lang.encode()),
    ]
    if respond.etag_matches(respond.header(scope, b"if-none-match"), etag):
        await respond.not_modified(send, etag, [*headers[1:], *CORS])
        return
    if media == "text/html":
        headers += HTML_HEADERS
        media += "; charset=utf-8"
    await give(scope, send, body, [(b"content-type", media.encode()), *headers])
