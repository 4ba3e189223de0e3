"""Vector tiles and TileJSON, on plain ASGI: a tile in memory costs little more than its bytes."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple, get_args
from weakref import WeakKeyDictionary

import orjson

from layers.errors import BadParameter, NotFound, shown
from layers.parameters import AT
from tiles.made import Tile
from tiles.scheme import DEEPEST_ZOOM, EXTENT
from tiles.service import MOST_LAYERS, Tiles, layer_ids
from tiles.vector.clip import BUFFER, Clip
from twin.hits import Named, State, state
from twin.http import answers, past, readable, respond
from twin.http.context import Context, Link, link
from twin.http.learning import heard
from twin.http.openapi_parts import BINARY, get, ok, path_parameter, query_parameter, tile_place
from twin.http.respond import Headers, Receive, Scope, Send
from twin.http.room import Room, Route, Site, of_features

if TYPE_CHECKING:
    from layers.model import FeatureLayer
    from twin.city import City
    from twin.settings import Credit

MVT = "application/vnd.mapbox-vector-tile"
JSON = "application/json"
#: Features that are merged in a tile, where any are; and that it has only the properties that are drawn.
MERGED, THIN = b"features-merged", (b"tile-properties", b"drawn")
BEYOND = b"features-beyond-budget"
#: Parameters that a tile URL may carry: clients add ``v`` to tell generations apart.
PARAMETERS = frozenset({"v"})
CLIPS: tuple[Clip, ...] = get_args(Clip.__value__)
#: The same of tiles of features, which can be read as they were.
OF_FEATURES = PARAMETERS | {AT.name}
#: Parameters of a vector tile.
OF_VECTOR = OF_FEATURES | {"clip"}
#: The names of the one form that a tile at an OGC path has.
FORMS = ("mvt", "pbf", MVT)
#: Pages of other origins may see how long a tile took, as a map that tunes itself wants to know.
_TIMING = (b"timing-allow-origin", b"*")
_DIGITS = 9
#: Addresses of tiles of which is known what they name.
MOST_ADDRESSES = 65_536


def make(site: Site) -> Sequence[Room]:
    """``/tiles/{ids}/{z}/{x}/{y}.mvt`` (also ``.pbf``) and ``/tiles/{ids}.json``."""
    city = site.city

    async def tile(scope: Scope, receive: Receive, send: Send, layers: str, z: str, x: str, y: str) -> None:
        if not await _again(city, scope, send):
            await vector_tile(city, scope, send, layer_ids(layers), z, x, y)

    async def tilejson(scope: Scope, receive: Receive, send: Send, layers: str) -> None:
        f = respond.query_map(scope, OF_FEATURES | {"f"}).get("f") if scope["query_string"] else None
        if f not in (None, "json", readable.HTML):
            raise BadParameter("f", f, "one of json, html")
        base = respond.base_url(city, scope)
        tiles = await tiles_of(city, scope)
        notice = attribution(city.settings.credits)
        made = await city.aside(tiles.tilejson, layer_ids(layers), base, notice)
        if f != readable.HTML:
            await deliver(scope, send, made, JSON)
            return
        here = f"{base}/tiles/{layers}"
        document = orjson.loads(made.plain())
        template = link("xyz", document["tiles"][0], MVT, "XYZ", templated=True)
        await readable.give(
            city, scope, send, ("TileJSON", "TileJSON"), document, f"{here}.json{tiles.query}", [template]
        )

    place = "/tiles/{layers}/{z}/{x}/{y}"
    routes = (
        Route(f"{place}.mvt", {"GET": tile}, partial(_describe_tile, "mvt"), past="fixed"),
        Route(f"{place}.pbf", {"GET": tile}, partial(_describe_tile, "pbf"), past="fixed"),
        Route("/tiles/{layers}.json", {"GET": tilejson}, _describe_tilejson, past="fresh"),
    )
    title = ("Vector tiles by zoom, column and row", "矢量瓦片（z/x/y）")
    return (Room("tiles", title, routes, _landing_links, of_features(_links)),)


def _landing_links(context: Context) -> list[Link]:
    layers = [layer.id for layer in context.view.feature_layers()][:MOST_LAYERS]
    if not layers:
        return []
    title = context.say("TileJSON of all layers", "全部图层的 TileJSON")
    return [link("tilejson", f"{context.root}/tiles/{','.join(layers)}.json", JSON, title)]


def _links(context: Context, layer: FeatureLayer) -> list[Link]:
    """As map servers name them (the STAC extension *web map links*)."""
    here, say = f"{context.root}/tiles/{layer.id}", context.say
    template = f"{here}/{{z}}/{{x}}/{{y}}.mvt"
    return [
        link("tilejson", f"{here}.json", JSON, "TileJSON"),
        link("xyz", template, MVT, say("Vector tiles, z/x/y", "矢量瓦片（z/x/y）"), templated=True),
    ]


def _describe_tile(extension: str, context: Context) -> dict[str, Any]:
    summary = context.say("A vector tile of one or several layers", "一个或多个图层的矢量瓦片")
    parameters = [_layers(), *tile_place(DEEPEST_ZOOM), clip_parameter(), version_parameter()]
    operation = get(f"tiles.{extension}", "tiles", summary, ok(summary, {MVT: BINARY}), parameters)
    operation["responses"]["204"] = {"description": "The tile is empty"}
    return {"get": operation}


def _describe_tilejson(context: Context) -> dict[str, Any]:
    summary = context.say("TileJSON 3.0 of one or several layers", "一个或多个图层的 TileJSON 3.0")
    forms = query_parameter("f", {"type": "string", "enum": ["json", readable.HTML]}, "The representation")
    parameters = [_layers(), forms, version_parameter()]
    return {"get": get("tiles.tilejson", "tiles", summary, ok(summary, {JSON: "document"}), parameters)}


def _layers() -> dict[str, Any]:
    one = "[a-z][a-z0-9_]{0,62}"
    schema = {"type": "string", "pattern": f"^{one}(,{one})*$"}
    return path_parameter("layers", schema, "Ids of layers, separated by commas")


def version_parameter() -> dict[str, Any]:
    """The parameter ``v`` of a tile."""
    return query_parameter("v", {"type": "string"}, "Anything: an address of its own for each version")


def clip_parameter() -> dict[str, Any]:
    """The parameter ``clip`` of a vector tile."""
    description = (
        f"How the tile is cut: with {BUFFER} of {EXTENT} units around it, as renderers of maps expect, or"
        " exactly at its edge, for clients that draw all of a tile (areas and points; lines keep the buffer)"
    )
    return query_parameter("clip", {"type": "string", "enum": list(CLIPS), "default": CLIPS[0]}, description)


def form_parameter() -> dict[str, Any]:
    """The parameter ``f`` of a tile, which has one form."""
    return query_parameter("f", {"type": "string", "enum": list(FORMS[:2])}, "The representation")


def attribution(credits_: Iterable[Credit]) -> str:
    """The credits as HTML, which is what clients take a TileJSON's ``attribution`` for."""

    def one(credit: Credit) -> str:
        text = html.escape(credit.text)
        return f'<a href="{html.escape(credit.url)}">{text}</a>' if credit.url else text

    return " · ".join(map(one, credits_))


async def vector_tile(
    city: City,
    scope: Scope,
    send: Send,
    ids: tuple[str, ...],
    z: str,
    x: str,
    y: str,
    empty: int = 204,
    known: frozenset[str] = OF_VECTOR,
) -> None:
    """One vector tile of some layers; ``empty`` is the status of one without features, ``known`` the
    parameters that it has here. Raises NotFound, BadParameter."""
    raw = scope["query_string"]
    clip = _clip(raw, known) if raw else CLIPS[0]
    at = whole(z), whole(x), whole(y)
    view = past.view(city, scope)
    tiles = view.tiles
    if tiles is None:
        tiles = await city.aside(view.make_tiles)
    before = state(tiles)
    etag = await version(city, view.present.local, tiles, tiles.vector_etag, ids, *at, clip)
    if view.local:
        _ADDRESSES.learn(tiles, before, scope, _Address(ids, at, etag))
        held = partial(tiles.vector_held, ids, *at, etag)
        send = heard(city, scope, send, Named(tiles, before, etag, held))
    if await answers.fresh(scope, send, etag):
        return
    made = tiles.vector_held(ids, *at, etag)
    if made is None:
        made = await city.aside(tiles.vector, ids, *at, clip)
    await deliver(scope, send, made, MVT, empty)


class _Address(NamedTuple):
    """What the address of a tile names, and the ETag there."""

    ids: tuple[str, ...]
    at: tuple[int, int, int]
    etag: str


class _Addresses:
    """What addresses of vector tiles name, while nothing changes: reading one and finding its ETag takes
    longer than to answer that it is known."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Tiles, tuple[State, dict[tuple[str, bytes], _Address]]]
        self._known = WeakKeyDictionary()

    def learn(self, tiles: Tiles, then: State, scope: Scope, address: _Address) -> None:
        """Remember the address of a request, which was read in this state."""
        if then != state(tiles):
            return
        known = self._known.get(tiles)
        if known is None or known[0] != then or len(known[1]) >= MOST_ADDRESSES:
            known = self._known[tiles] = then, {}
        known[1][scope["path"], scope["query_string"]] = address

    def find(self, tiles: Tiles, scope: Scope) -> _Address | None:
        """What the address of a request names, if it is known and nothing changed since."""
        known = self._known.get(tiles)
        if known is None or not tiles.freshness.current() or known[0] != state(tiles):
            return None
        return known[1].get((scope["path"], scope["query_string"]))


_ADDRESSES = _Addresses()


async def _again(city: City, scope: Scope, send: Send) -> bool:
    """Answer for a tile that was asked for since the last change and is in memory, or at the client; True
    when done."""
    view = past.view(city, scope)
    tiles = view.tiles
    if tiles is None or not view.local:
        return False
    address = _ADDRESSES.find(tiles, scope)
    if address is None:
        return False
    held = partial(tiles.vector_held, address.ids, *address.at, address.etag)
    send = heard(city, scope, send, Named(tiles, state(tiles), address.etag, held))
    if await answers.fresh(scope, send, address.etag):
        return True
    made = held()
    if made is None:
        return False
    await deliver(scope, send, made, MVT)
    return True


@lru_cache(maxsize=256)
def _clip(raw: bytes, known: frozenset[str]) -> Clip:
    """How a query string asks a tile to be cut: pages ask for hundreds of tiles with the same one."""
    parameters = respond.query_map({"query_string": raw}, known)
    if parameters.get("f", FORMS[0]).replace(" ", "+") not in FORMS:
        raise BadParameter("f", parameters["f"], "one of " + ", ".join(FORMS))
    wanted = parameters.get("clip", CLIPS[0])
    for clip in CLIPS:
        if clip == wanted:
            return clip
    raise BadParameter("clip", wanted, "one of " + ", ".join(CLIPS))


async def tiles_of(city: City, scope: Scope) -> Tiles:
    """The tiles of what the caller sees."""
    view = past.view(city, scope)
    tiles = view.tiles
    return await city.aside(view.make_tiles) if tiles is None else tiles


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


async def deliver(scope: Scope, send: Send, tile: Tile, media: str, empty: int = 204) -> None:
    """A made tile: 304, ``empty`` for one of nothing, or its bytes."""
    if await answers.fresh(scope, send, tile.etag):
        return
    headers: Headers = [(b"content-type", media.encode()), _TIMING]
    if tile.merged:
        headers.append((MERGED, b"%d" % tile.merged))
    if tile.beyond:
        headers.append((BEYOND, b"%d" % tile.beyond))
    if tile.thin:
        headers.append(THIN)
    if tile.body:
        await answers.give_packed(scope, send, tile.body, tile.plain, tile.etag, headers)
        return
    headers = headers[1:] if empty == 204 else headers
    etag = (b"etag", tile.etag.encode())
    await answers.send(send, empty, b"", [etag, *headers, answers.VARY_CODING, answers.FRESH])
