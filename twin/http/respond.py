"""What every HTTP module needs of a request and an answer, on plain ASGI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, MutableMapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl

import orjson

from layers.errors import BadBody, BadParameter, TooLarge

if TYPE_CHECKING:
    from twin.city import City

type Scope = MutableMapping[str, Any]
type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
type Headers = list[tuple[bytes, bytes]]

#: Bytes of a query string, and how many parameters it may hold.
MAX_QUERY, MAX_FIELDS = 16_384, 100

CORS: Headers = [
    (b"access-control-allow-origin", b"*"),
    (
        b"access-control-expose-headers",
        b"ETag, Link, Location, Content-Crs, Content-Disposition, OGC-NumberMatched, OGC-NumberReturned",
    ),
]


async def send(
    send: Send, status: int, body: bytes = b"", headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """One whole answer; Content-Length is added."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [*headers, (b"content-length", str(len(body)).encode())],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def send_json(
    to: Send, value: object, status: int = 200, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """One JSON answer with open CORS."""
    await send(to, status, orjson.dumps(value), [(b"content-type", b"application/json"), *CORS, *headers])


async def not_modified(to: Send, etag: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """304 with the ETag, as RFC 9110 section 15.4.5 asks."""
    await to(
        {
            "type": "http.response.start",
            "status": 304,
            "headers": [(b"etag", etag.encode("ascii")), *headers],
        }
    )
    await to({"type": "http.response.body", "body": b""})


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of that (lower-case) name, or None."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return None


def etag_matches(given: str | None, etag: str) -> bool:
    """Whether an If-None-Match value names this ETag (weak comparison, RFC 9110 section 8.8.3.2)."""
    if not given:
        return False
    if given == etag or given == f"W/{etag}" or given.strip() == "*":
        return True
    return "," in given and any(part.strip().removeprefix("W/") == etag for part in given.split(","))


def accepts_gzip(scope: Scope) -> bool:
    """Whether the client takes gzip (an explicit q=0 is a no)."""
    given = header(scope, b"accept-encoding")
    if not given:
        return False
    for part in given.lower().split(","):
        name, _, params = part.strip().partition(";")
        if name in ("gzip", "*"):
            return params.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def encoding(scope: Scope) -> Literal["gzip", "br"] | None:
    """The content coding of an answer (RFC 9110 section 12.5.3); None for none.

    br only where the client prefers it or takes no gzip: it costs five times the CPU of our gzip for
    a quarter fewer bytes (docs/decisions.md)."""
    given = header(scope, b"accept-encoding")
    return _encoding(given) if given and len(given) < 200 else None


@lru_cache(maxsize=256)
def _encoding(given: str) -> Literal["gzip", "br"] | None:
    weights = dict(_weighted(part) for part in given.lower().split(","))
    other = weights.get("*", 0.0)
    gzip, br = weights.get("gzip", other), weights.get("br", other)
    if br > gzip:
        return "br"
    return "gzip" if gzip > 0 else None


def _weighted(part: str) -> tuple[str, float]:
    name, *params = (piece.strip() for piece in part.split(";"))
    return name, next((weight(one[2:]) for one in params if one.startswith("q=")), 1.0)


def weight(text: str) -> float:
    """A quality value (RFC 9110 section 12.4.2); what is not one counts as 0."""
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0 <= value <= 1 else 0.0


def query_pairs(scope: Scope) -> list[tuple[str, str]]:
    """The query string as pairs, in order. Raises BadParameter when it is not UTF-8 or too long."""
    raw: bytes = scope["query_string"]
    if not raw:
        return []
    if len(raw) > MAX_QUERY:
        raise BadParameter("query string", f"{len(raw)} bytes", f"at most {MAX_QUERY}")
    try:
        return parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except (UnicodeDecodeError, ValueError) as error:
        raise BadParameter("query string", raw[:40].decode("latin-1"), "percent-encoded UTF-8") from error


def query_map(scope: Scope, known: Collection[str]) -> dict[str, str]:
    """The query string as a dict of known parameters.

    Raises BadParameter on an unknown or repeated one."""
    found: dict[str, str] = {}
    for name, value in query_pairs(scope):
        if name not in known:
            raise BadParameter(name, value, "unknown parameter; known: " + ", ".join(sorted(known)))
        if name in found:
            raise BadParameter(name, value, "given more than once")
        found[name] = value
    return found


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The request body. Raises TooLarge beyond ``limit`` bytes, before reading what is declared so."""
    declared = header(scope, b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise TooLarge(f"the body has {declared} bytes; at most {limit} are taken here")
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadBody("the client went away before the body was complete")
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"the body is longer than the {limit} bytes taken here")
        parts.append(chunk)
        if not message.get("more_body"):
            return b"".join(parts)


def read_json(body: bytes) -> Any:
    """A JSON body. Raises BadBody; NaN and Infinity are refused, as RFC 8259 has no such numbers."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadBody(f"not JSON: {error}") from error


def base_url(city: City, scope: Scope) -> str:
    """Where links begin, without a trailing slash: ``url`` of city.yml, else the checked Host."""
    if city.settings.url:
        return city.settings.url.rstrip("/")
    scheme = scope["scheme"]
    host = header(scope, b"host")
    if city.trusts(scope):
        scheme = header(scope, b"x-forwarded-proto") or scheme
        host = header(scope, b"x-forwarded-host") or host
    return f"{scheme}://{host or '127.0.0.1'}"
