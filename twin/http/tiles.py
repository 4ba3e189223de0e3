"""Vector tiles and TileJSON, on plain ASGI: a tile in memory costs little more than its bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from layers.errors import NotFound, shown
from tiles.service import Tile, Tiles, layer_ids
from twin.access.caller import CALLER
from twin.http import respond
from twin.http.errors import WrongMethod
from twin.http.respond import CORS, ASGIApp, Headers, Receive, Scope, Send

if TYPE_CHECKING:
    from twin.city import City

MVT = b"application/vnd.mapbox-vector-tile"
JSON = b"application/json"
METHODS = "GET, HEAD, OPTIONS"
#: Features that the budget of a tile left out, where it left out any.
DROPPED = b"features-dropped"
#: Parameters that a tile URL may carry: clients add ``v`` to tell generations apart.
PARAMETERS = frozenset({"v"})
_COMMON: Headers = [
    (b"cache-control", b"no-cache"),
    (b"vary", b"Accept-Encoding"),
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"ETag, Features-Dropped"),
    (b"timing-allow-origin", b"*"),
]
#: Headers of a 304 beside its ETag; the client keeps the others of the answer it has.
_NOT_MODIFIED: Headers = _COMMON[:3]
_DIGITS = 9


def make(city: City) -> ASGIApp:
    """``/tiles/{ids}/{z}/{x}/{y}.mvt`` (also ``.pbf``) and ``/tiles/{ids}.json``."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if await preflight(scope, send):
            return
        parts = scope["path"].split("/")
        if len(parts) == 6:
            name, _, extension = parts[5].rpartition(".")
            if extension in ("mvt", "pbf"):
                await _tile(city, scope, send, layer_ids(parts[2]), parts[3], parts[4], name)
                return
        if len(parts) == 3 and parts[2].endswith(".json"):
            base = respond.base_url(city, scope)
            view = city.catalogue.of(scope[CALLER])
            tiles = view.tiles
            if tiles is None:
                tiles = await city.aside(view.make_tiles)
            made = await city.aside(tiles.tilejson, layer_ids(parts[2][:-5]), base)
            await deliver(scope, send, made, JSON)
            return
        raise NotFound(f"no such tile resource: {shown(scope['path'])}")

    return app


async def vector_tile(city: City, scope: Scope, send: Send, layer: str, z: str, x: str, y: str) -> None:
    """One vector tile of one layer for another route (the OGC path orders z/y/x). Raises NotFound,
    BadParameter."""
    if not await preflight(scope, send):
        await _tile(city, scope, send, (layer,), z, x, y)


async def _tile(city: City, scope: Scope, send: Send, ids: tuple[str, ...], z: str, x: str, y: str) -> None:
    at = whole(z), whole(x), whole(y)
    view = city.catalogue.of(scope[CALLER])
    tiles = view.tiles
    if tiles is None:
        tiles = await city.aside(view.make_tiles)
    etag = await version(city, view.local, tiles, tiles.vector_etag, ids, *at)
    if await fresh(scope, send, etag):
        return
    made = tiles.vector_held(ids, *at, etag)
    if made is None:
        made = await city.aside(tiles.vector, ids, *at)
    await deliver(scope, send, made, MVT)


async def version(
    city: City,
    local: bool,
    tiles: Tiles,
    etag: Callable[..., str],
    *at: Any,
    known: Callable[..., str | None] | None = None,
) -> str:
    """The ETag of a tile once what the change log has got is taken in; a long log is read beside the
    event loop, and so is all that a database must be asked for. ``known`` gives the ETag where it
    takes no work, for one that may take some."""
    fresh = tiles.freshness
    if local and fresh.current() and (now := (known or etag)(*at)) is not None:
        return now

    def newest() -> str:
        fresh.update()
        return etag(*at)

    return await city.aside(newest)


def whole(text: str) -> int:
    """A tile index from a path segment. Raises NotFound for anything but a few digits."""
    if text.isascii() and text.isdigit() and len(text) <= _DIGITS:
        return int(text)
    raise NotFound(f"no tile at index {shown(text)!r}: whole numbers from 0")


async def preflight(scope: Scope, send: Send) -> bool:
    """Answer OPTIONS; True when done. Raises WrongMethod, and BadParameter for an unknown parameter."""
    method = scope["method"]
    if method == "OPTIONS":
        allow = METHODS.encode()
        headers: Headers = [
            (b"allow", allow),
            (b"access-control-allow-methods", allow),
            (b"access-control-allow-headers", b"*"),
            *CORS,
        ]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        return True
    if method not in ("GET", "HEAD"):
        raise WrongMethod(method, METHODS)
    if scope["query_string"]:
        respond.query_map(scope, PARAMETERS)
    return False


async def fresh(scope: Scope, send: Send, etag: str) -> bool:
    """Answer 304 when the client holds this version; True when done."""
    given = respond.header(scope, b"if-none-match")
    if given is None or not respond.etag_matches(given, etag):
        return False
    await respond.not_modified(send, etag, _NOT_MODIFIED)
    return True


async def deliver(scope: Scope, send: Send, tile: Tile, media: bytes) -> None:
    """A made tile: 304, 204 for an empty one, or its bytes, gzipped where the client takes it.

    The plain bytes are another representation of the same state, so they bear the tag as a weak
    one (RFC 9110, section 8.8.3.3)."""
    if await fresh(scope, send, tile.etag):
        return
    etag = tile.etag.encode()
    if not tile.body:
        await _start(send, 204, [(b"etag", etag), *_dropped(tile), *_COMMON])
        await send({"type": "http.response.body", "body": b""})
        return
    if respond.accepts_gzip(scope):
        body = tile.body
        headers: Headers = [(b"etag", etag), (b"content-encoding", b"gzip")]
    else:
        body = tile.plain()
        headers = [(b"etag", b"W/" + etag)]
    headers += [(b"content-type", media), (b"content-length", b"%d" % len(body)), *_dropped(tile), *_COMMON]
    await _start(send, 200, headers)
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def _start(send: Send, status: int, headers: Headers) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


def _dropped(tile: Tile) -> Headers:
    return [(DROPPED, b"%d" % tile.dropped)] if tile.dropped else []
