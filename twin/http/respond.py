"""What every HTTP module needs of a request, on plain ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import parse_qsl, urlsplit

import orjson

from layers.errors import BadBody, BadParameter, NotAllowed, TooLarge, shown
from layers.parameters import AT, NOT_KEPT
from twin.http import forwarded
from twin.http.errors import Late, WrongMedia

if TYPE_CHECKING:
    from layers.parameters import Parameter
    from twin.city import City

type Scope = MutableMapping[str, Any]
type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
type Headers = list[tuple[bytes, bytes]]

#: In a scope: the connection of our own HTTP server that the request came on (:class:`Connection`).
PROTOCOL = "twin.protocol"
#: In a scope: its query string as pairs, once it was read.
_PAIRS = "twin.pairs"

#: Bytes of a query string, and how many parameters it may hold.
MAX_QUERY, MAX_FIELDS = 16_384, 100
#: Characters of the address of a client.
MAX_ADDRESS = 64
#: How long a body may take to arrive whole.
BODY_SECONDS = 60.0
#: Entries of an Accept-like header that are read, and characters of an Accept-Encoding that are.
MAX_WEIGHTED, MAX_ENCODING = 40, 200


class Connection(Protocol):
    """What answers ask of their connection: one that never ends, and one that may be given again."""

    #: The bytes of the request that is answered, where they are one whole request.
    asked: bytes | None

    @property
    def takes(self) -> bool:
        """Whether the client takes what it is sent as fast as it is sent it."""

    def push(self, scope: Scope, data: bytes) -> bool:
        """Send a piece of the body that answers ``scope`` now; False, and nothing is sent, if that would
        have to wait."""

    @property
    def waiting(self) -> int:
        """Bytes that the client has not taken yet."""

    def cut(self) -> None:
        """End it at once: what waits is not sent."""


def header(scope: Scope, name: bytes) -> str | None:
    """The header of that (lower-case) name, or None.

    Several lines are one list (RFC 9110, section 5.3): of a header that is no list, that is no value."""
    lines = [value for key, value in scope["headers"] if key == name]
    return b", ".join(lines).decode("latin-1") if lines else None


def accepts_gzip(scope: Scope) -> bool:
    """Whether the client takes gzip (an explicit q=0 is a no)."""
    return _codings(scope)[0] > 0


def encoding(scope: Scope) -> Literal["gzip", "br"] | None:
    """The content coding of an answer (RFC 9110 section 12.5.3); None for none.

    br only where the client prefers it or takes no gzip: it costs five times the CPU of our gzip for
    a quarter fewer bytes (docs/decisions.md)."""
    gzip, br = _codings(scope)
    if br > gzip:
        return "br"
    return "gzip" if gzip > 0 else None


def _codings(scope: Scope) -> tuple[float, float]:
    """The weights of gzip and br, 0 where the client does not take it."""
    accepted = header(scope, b"accept-encoding")
    return _weights(accepted) if accepted and len(accepted) < MAX_ENCODING else (0.0, 0.0)


@lru_cache(maxsize=256)
def _weights(accepted: str) -> tuple[float, float]:
    weights = dict(weighted(accepted))
    other = weights.get("*", 0.0)
    return weights.get("gzip", other), weights.get("br", other)


def weighted(value: str) -> list[tuple[str, float]]:
    """The entries of an Accept-like header, best first (RFC 9110 section 12.4.2), in lower case and
    without parameters."""
    pairs: list[tuple[str, float]] = []
    for part in value.lower().split(",")[:MAX_WEIGHTED]:
        name, *params = (piece.strip() for piece in part.split(";"))
        if name:
            pairs.append((name, next((_weight(one[2:]) for one in params if one.startswith("q=")), 1.0)))
    return sorted(pairs, key=lambda entry: -entry[1])


def _weight(text: str) -> float:
    """A quality value (RFC 9110 section 12.4.2); what is not one counts as 0."""
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0 <= value <= 1 else 0.0


def query_pairs(scope: Scope) -> list[tuple[str, str]]:
    """The query string as pairs, in order. Raises BadParameter when it is not UTF-8 or too long."""
    if _PAIRS not in scope:
        scope[_PAIRS] = _pairs(scope["query_string"])
    return list(scope[_PAIRS])


def _pairs(raw: bytes) -> list[tuple[str, str]]:
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
    values: dict[str, str] = {}
    for name, value in query_pairs(scope):
        if name not in known:
            # what is told from one moment to another takes those
            if name == AT.name and "from" not in known:
                raise BadParameter(name, value, NOT_KEPT)
            allowed = ", ".join(sorted(known)) or "there are none"
            raise BadParameter(name, value, f"unknown parameter; known: {allowed}")
        if name in values:
            raise BadParameter(name, value, "given more than once")
        values[name] = value
    return values


def query_values(scope: Scope, table: Mapping[str, Parameter]) -> dict[str, Any]:
    """The query string as the typed values of the parameters in a table, by name.

    Raises BadParameter on an unknown or repeated one, and on a value that it does not take."""
    return {name: table[name].read(text) for name, text in query_map(scope, table).items()}


async def gone(receive: Receive) -> None:
    """Return when the client goes away. For requests whose body nobody reads."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def read_body(scope: Scope, receive: Receive, limit: int, seconds: float = BODY_SECONDS) -> bytes:
    """The request body. Raises TooLarge beyond ``limit`` bytes, before reading what is declared so; Late
    when it is not whole after ``seconds``; BadBody when the client goes away."""
    declared = header(scope, b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise TooLarge(f"the body has {declared} bytes; at most {limit} are taken here")
    try:
        async with asyncio.timeout(seconds):
            return await _whole(receive, limit)
    except TimeoutError as error:
        raise Late(f"the body was not whole after {seconds:g} s") from error


async def _whole(receive: Receive, limit: int) -> bytes:
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


async def json_body(scope: Scope, receive: Receive, limit: int, *media: str) -> Any:
    """The body of a request as JSON. Raises WrongMedia for one of none of these media types or a compressed
    one (RFC 9110, sections 8.3 and 8.4), BadBody, TooLarge, Late."""
    return read_json(await body_of(scope, receive, limit, *media))


async def body_of(scope: Scope, receive: Receive, limit: int, *media: str) -> bytes:
    """The body of a request, of one of these media types. Raises as ``json_body``."""
    allowed = " or ".join(media)
    content_type = header(scope, b"content-type")
    if content_type is None:
        raise BadBody(f"Content-Type: is missing; {scope['method']} takes {allowed} here")
    named = content_type.partition(";")[0].strip().lower()
    if named not in media:
        raise WrongMedia(f"Content-Type: {shown(named) or 'empty'}: {scope['method']} takes {allowed} here")
    coding = header(scope, b"content-encoding")
    if coding is not None and coding.strip().lower() not in ("", "identity"):
        raise WrongMedia(f"Content-Encoding: {shown(coding)}: a body is taken as it is, not compressed")
    return await read_body(scope, receive, limit)


def read_json(body: bytes) -> Any:
    """A JSON body. Raises BadBody; NaN and Infinity are refused, as RFC 8259 has no such numbers."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadBody(f"not JSON: {error}") from error


def base_url(city: City, scope: Scope) -> str:
    """Where links begin, without a trailing slash: ``url`` of city.yml, else where it was asked.

    Raises as ``asked_url``."""
    return city.settings.url.rstrip("/") if city.settings.url else asked_url(city, scope)


def asked_url(city: City, scope: Scope) -> str:
    """The address that a request was sent to: what a trusted proxy says it was asked for, else the checked
    Host.

    Raises NotAllowed where nothing but a host that this server does not answer to is known of it: a proxy
    hands on what a client made up."""
    scheme, host, prefix = scope["scheme"], header(scope, b"host"), ""
    if city.trusts(scope):
        proxy = forwarded.read(scope["headers"])
        scheme, prefix = proxy.scheme or scheme, proxy.prefix
        if proxy.host is not None:
            if forwarded.host_name(proxy.host) in city.hosts:
                host = proxy.host
            elif not city.settings.url:
                raise NotAllowed(
                    "this server does not answer to the host that the proxy was asked for; add it to"
                    " allowed_hosts in city.yml, or set url"
                )
    return f"{scheme}://{host or '127.0.0.1'}{prefix}"


def client(city: City, scope: Scope) -> str:
    """The address that a request comes from; behind trusted proxies the nearest one that is none of them."""
    peer = (scope.get("client") or ("",))[0]
    if not city.trusts(scope):
        return str(peer)
    addresses = forwarded.clients(scope["headers"])
    far = (one for one in reversed(addresses) if one and one not in city.settings.trusted_proxies)
    return next(far, str(peer))[:MAX_ADDRESS]


type Origin = tuple[str, str, int]
_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> Origin | None:
    """Scheme, host and port of an address; None for what has none."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    if port is None or not parts.hostname:
        return None
    return parts.scheme, parts.hostname.lower(), port


def given_origin(scope: Scope) -> Origin | None:
    """What the one Origin header says, as RFC 6454 section 6.2 writes it: scheme, host, port and nothing
    else; None for ``null``, for another form and for several."""
    origins = [value for name, value in scope["headers"] if name == b"origin"]
    text = origins[0].decode("latin-1") if len(origins) == 1 else ""
    scheme, _, host = text.partition("://")
    if scheme not in _PORTS or forwarded.host_name(host) is None:
        return None
    return origin(text)


def own_origins(city: City, scope: Scope) -> set[Origin | None]:
    """The origins of our own pages: the public address, and that which was asked."""
    urls = [asked_url(city, scope), *([city.settings.url] if city.settings.url else ())]
    return {origin(url) for url in urls} - {None}
