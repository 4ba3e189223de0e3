"""Single byte ranges (RFC 9110, section 14)."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable

from layers.errors import Unavailable
from twin.http import respond
from twin.http.errors import WrongRange
from twin.http.respond import Headers, Scope

#: First and last byte, both included, as asked for: one of the two may be open.
type ByteRange = tuple[int | None, int | None]

#: Bytes that are read of a file at a time.
PIECE = 1 << 20
_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE | re.ASCII)


def requested(scope: Scope) -> ByteRange | None:
    """The one range that a GET asks for; None for none, for several, and for what is no range of bytes,
    which a server passes over (section 14.2)."""
    value = respond.header(scope, b"range")
    match = None if value is None or scope["method"] != "GET" else _RANGE.fullmatch(value)
    if match is None:
        return None
    first, last = (int(one) if one else None for one in match.groups())
    if (first is None and last is None) or (first is not None and last is not None and last < first):
        return None
    return first, last


def holds(scope: Scope, etag: str) -> bool:
    """Whether the condition of a range holds: no If-Range, or the strong ETag of this very file
    (section 13.1.5). A date never does, for files have none."""
    condition = respond.header(scope, b"if-range")
    return condition is None or condition.strip() == etag


def within(wanted: ByteRange, size: int) -> tuple[int, int] | None:
    """First and last byte of a range in a file; None where nothing of it is there (section 15.5.17)."""
    first, last = wanted
    if first is None:
        assert last is not None
        return (max(size - last, 0), size - 1) if last and size else None
    if first >= size:
        return None
    return first, size - 1 if last is None else min(last, size - 1)


async def pieces(
    run: Callable[..., Awaitable[bytes]], handle: int, first: int, last: int
) -> AsyncIterator[tuple[bytes, bool]]:
    """The bytes of an open file from the first to the last, both included, and with each piece whether more
    follow; ``run`` runs what may wait for a disk. Raises Unavailable where the file ends before."""
    while first <= last:
        piece = await run(os.pread, handle, min(PIECE, last + 1 - first), first)
        if not piece:
            raise Unavailable("a file is shorter than it was")
        first += len(piece)
        yield piece, first <= last


def part(scope: Scope, etag: str, size: int) -> tuple[int, tuple[int, int], Headers]:
    """How a file of ``size`` bytes is answered: the status, first and last byte (the last before the first
    where it is empty), and its headers. Raises WrongRange."""
    headers: Headers = [(b"accept-ranges", b"bytes"), (b"etag", etag.encode())]
    wanted = requested(scope)
    if wanted is None or not holds(scope, etag):
        return 200, (0, size - 1), headers
    found = within(wanted, size)
    if found is None:
        raise WrongRange(size)
    return 206, found, [*headers, (b"content-range", b"bytes %d-%d/%d" % (*found, size))]
