"""Tiles that were asked for before, found by the bytes of a request: while nothing has changed, what answers
it is a look-up, before there is an application.

What is here was learnt from answers of the application, to callers without a key who see everything. It holds
as long as the store's log has nothing new; whatever is unusual about a request is not here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from layers.errors import TwinError
from tiles.made import Tile
from tiles.service import Tiles
from twin.overload import Load

#: Requests that are known, and who asks: how many, before all are forgotten.
MOST_LINES, MOST_ASKERS = 8_192, 1_024
#: Headers that change nothing about the answer of a tile, but for the coding, which is learnt.
PLAIN = frozenset(
    {
        b"host",
        b"connection",
        b"user-agent",
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"referer",
        b"origin",
        b"cache-control",
        b"pragma",
        b"dnt",
        b"priority",
        b"if-none-match",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-forwarded-port",
        b"x-real-ip",
        b"forwarded",
        b"via",
    }
)
_BROWSER = b"sec-"
_CONDITIONS = (b"\r\nif-none-match: ", b"\r\nIf-None-Match: ")

#: An epoch, and a number of its log.
type State = tuple[str, int]
type Headers = Iterable[tuple[bytes, bytes]]


def state(tiles: Tiles) -> State:
    """What versions of tiles are as of."""
    return tiles.freshness.epoch, tiles.freshness.seq


@dataclass(frozen=True, slots=True)
class Named:
    """What an address names: the tile of that ETag, ``held`` while it is in memory. ``ground`` is that which
    its bodies stand on, None where it has none: all else follows from the store's log."""

    tiles: Tiles
    state: State
    etag: str
    held: Callable[[], Tile | None]
    ground: str | None = None


@dataclass(slots=True)
class _Hit:
    named: Named
    etag: bytes
    #: The lines of the head, by status.
    heads: dict[int, bytes] = field(default_factory=dict)


class Hits:
    """The table. Used in the event loop alone."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._lines: dict[bytes, _Hit] = {}
        self._askers: set[bytes] = set()

    def find(self, request: bytes) -> tuple[int, bytes, bytes] | None:
        """Status, header lines and body that answer a whole request; None where the application is to be
        asked."""
        end = request.find(b"\r\n")
        hit = self._lines.get(request[:end])
        if hit is None:
            return None
        asker, condition = _parted(request[end:])
        if asker not in self._askers or not self._holds(hit.named):
            return None
        status, body = 200, b""
        if condition is not None and condition in (hit.etag, b"W/" + hit.etag):
            status = 304
        elif condition is not None and (b"," in condition or b"*" in condition):
            return None
        head = hit.heads.get(status)
        if head is None:
            return None
        if status == 200:
            tile = hit.named.held()
            if tile is None:
                return None
            body = tile.body
        self._load.requests += 1
        return status, head, body

    def _holds(self, named: Named) -> bool:
        try:
            if not named.tiles.freshness.current() or state(named.tiles) != named.state:
                self._lines.clear()
                return False
            return named.ground is None or named.ground == named.tiles.ground_key
        except TwinError:
            return False  # the application tells why

    def learn(
        self, request: bytes, names: Iterable[bytes], status: int, headers: Headers, named: Named
    ) -> None:
        """Remember how a request was answered. ``names`` are those of its headers, in small letters."""
        end = request.find(b"\r\n")
        line, (asker, condition) = request[:end], _parted(request[end:])
        given = list(names)
        if not line.endswith(b" HTTP/1.1") or given.count(b"if-none-match") != (condition is not None):
            return
        if not all(name in PLAIN or name.startswith(_BROWSER) for name in given):
            return
        if state(named.tiles) != named.state:
            return
        if len(self._askers) >= MOST_ASKERS:
            self._askers.clear()
        self._askers.add(asker)
        hit = self._lines.get(line)
        if hit is None or hit.named.etag != named.etag or hit.named.state != named.state:
            if len(self._lines) >= MOST_LINES:
                self._lines.clear()
            hit = self._lines[line] = _Hit(named, named.etag.encode())
        hit.heads[status] = b"".join(b"%b: %b\r\n" % header for header in headers)


def _parted(headers: bytes) -> tuple[bytes, bytes | None]:
    """Header lines, each behind its CRLF, without If-None-Match, and what that one says."""
    for name in _CONDITIONS:
        at = headers.find(name)
        if at >= 0:
            end = headers.index(b"\r\n", at + 2)
            return headers[:at] + headers[end:], headers[at + len(name) : end].strip()
    return headers, None
