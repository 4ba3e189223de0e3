"""Pictures of raster layers as map tiles: ``/imagery/{id}/{z}/{x}/{y}.png`` (also ``.jpg``, ``.webp``), and
their TileJSON ``/imagery/{id}.json``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import orjson

from layers.errors import NotFound, shown
from layers.model import ContentLayer, Layer, is_raster
from layers.parameters import PARAMETERS, Parameter
from layers.raster.files import instant_of
from layers.types import Interval
from tiles import scheme
from tiles.imagery import style as styles
from tiles.imagery.service import MAX_ZOOM
from tiles.imagery.style import Wanted
from twin.access.caller import CALLER
from twin.http import answers, respond
from twin.http.context import Context, Link, link
from twin.http.formats import Offer, Representation
from twin.http.openapi_parts import BINARY, get, ok, path_parameter, tile_place
from twin.http.respond import Headers, Receive, Scope, Send
from twin.http.room import Room, Route, Site
from twin.http.tiles import JSON, attribution, version_parameter, whole

if TYPE_CHECKING:
    from tiles.imagery.paint import Format
    from tiles.imagery.service import Look, Picture
    from twin.city import City

#: The media type of each extension.
MEDIA: Mapping[Format, str] = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}
#: The same as OGC's APIs offer them; their names in code are those of :data:`MEDIA`.
OFFER: Offer = (
    Representation(("png",), MEDIA["png"], (MEDIA["png"],), ("PNG", "PNG")),
    Representation(("jpg", "jpeg"), MEDIA["jpg"], (MEDIA["jpg"],), ("JPEG", "JPEG")),
    Representation(("webp",), MEDIA["webp"], (MEDIA["webp"],), ("WebP", "WebP")),
)
_TIMING = (b"timing-allow-origin", b"*")
_NAMES = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3}

#: How a picture is drawn, in every request for one.
STYLE: Mapping[str, Parameter] = {
    one.name: one
    for one in (
        Parameter(
            "colormap",
            "The colours of one band, by rio-tiler's name (terrain, gray, viridis, …)",
            {"type": "string"},
            styles.read_colormap,
        ),
        Parameter(
            "range",
            "The values that the first and the last colour stand for, low,high",
            {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
            styles.read_range,
        ),
        Parameter("bands", "One band, or red, green and blue, by number or name", _NAMES, styles.read_bands),
        Parameter(
            "hillshade", "Whether heights are drawn as light and shade", {"type": "boolean"}, styles.read_flag
        ),
        Parameter(
            "datetime",
            "The time whose files are drawn: the newest not later than it (RFC 3339)",
            {"type": "string"},
            PARAMETERS["datetime"].parse,
        ),
        Parameter("v", "Anything: an address of its own for each version", {"type": "string"}, str),
    )
}


def make(site: Site) -> Sequence[Room]:
    """The routes of the tiles."""
    city = site.city

    async def tile(
        form: Format, scope: Scope, receive: Receive, send: Send, layer: str, z: str, x: str, y: str
    ) -> None:
        await raster_tile(city, scope, send, layer, (whole(z), whole(x), whole(y)), form)

    async def tilejson(scope: Scope, receive: Receive, send: Send, layer: str) -> None:
        record = await raster(city, scope, layer)
        look = await look_of(city, scope, record)
        base, query = respond.base_url(city, scope), scope["query_string"].decode("latin-1")
        document = _tilejson(f"{base}/imagery/{layer}", query, layer, look)
        if notice := attribution(city.settings.credits):
            document["attribution"] = notice
        await _document(scope, send, orjson.dumps(document))

    async def colormap(scope: Scope, receive: Receive, send: Send, colormap: str) -> None:
        respond.query_map(scope, ())
        if colormap not in styles.colormaps():
            raise NotFound(f"there is no colour map {shown(colormap)}; config.json lists them by layer")
        colors = await city.aside(_ramp, colormap)
        await _document(scope, send, orjson.dumps({"name": colormap, "colors": colors}))

    place = "/imagery/{layer}/{z}/{x}/{y}"
    routes = (
        *(
            Route(f"{place}.{form}", {"GET": partial(tile, form)}, partial(_describe_tile, form))
            for form in MEDIA
        ),
        Route("/imagery/{layer}.json", {"GET": tilejson}, _describe_tilejson),
        Route("/imagery/colormaps/{colormap}.json", {"GET": colormap}, _describe_colormap),
    )
    title = ("Pictures of rasters as map tiles", "栅格图层的地图瓦片")
    return (Room("imagery", title, routes, collection=links),)


# -- what other rooms ask, too ------------------------------------------------------------------


async def raster(city: City, scope: Scope, layer_id: str) -> ContentLayer:
    """The raster layer of an id, as the caller sees it. Raises NotFound."""
    return as_raster(await city.read(city.catalogue.of(scope[CALLER]).layer, layer_id))


def as_raster(layer: Layer) -> ContentLayer:
    """The layer, which is a raster. Raises NotFound."""
    if not is_raster(layer):
        raise NotFound(
            f"layer {layer.id} is of the form {layer.form}: it has neither pictures nor values of cells"
        )
    return layer


async def look_of(city: City, scope: Scope, layer: ContentLayer, known: Collection[str] = ()) -> Look:
    """How a request wants a layer drawn; ``known`` are parameters that it may have besides. Raises
    BadParameter, Unavailable."""
    asked, interval = _asked(scope["query_string"], frozenset(known))
    instant = instant_of(layer, interval)
    how = layer, of_city(city, layer.id), asked, instant
    look = city.imagery.look_held(*how)
    return await city.aside(city.imagery.look, *how) if look is None else look


async def look_as(city: City, layer: ContentLayer, texts: Mapping[str, str], instant: str | None) -> Look:
    """As :func:`look_of`, by parameters of :data:`STYLE` that another room has read. Raises BadParameter,
    Unavailable."""
    how = layer, of_city(city, layer.id), wanted(texts), instant
    look = city.imagery.look_held(*how)
    return await city.aside(city.imagery.look, *how) if look is None else look


def of_city(city: City, layer_id: str) -> Wanted:
    """What city.yml says of how a layer is drawn."""
    own = city.settings.layers.get(layer_id)
    return styles.of_city(own.style or {}) if own is not None else Wanted()


async def raster_tile(
    city: City,
    scope: Scope,
    send: Send,
    layer_id: str,
    at: tuple[int, int, int],
    form: Format,
    known: Collection[str] = (),
    by_accept: bool = False,
) -> None:
    """One tile; ``by_accept``: Accept may choose another form of it. Raises NotFound, BadParameter,
    Unavailable."""
    layer = await raster(city, scope, layer_id)
    scheme.check_tile(*at, (0, MAX_ZOOM))
    look = await look_of(city, scope, layer, known)
    etag = f'"{city.catalogue.of(scope[CALLER]).epoch}-{look.version}-{form}"'
    vary = answers.VARY if by_accept else answers.VARY_CODING
    if await answers.fresh(scope, send, etag, vary):
        return
    made = city.imagery.tile_held(look, *at, form)
    if made is None:
        made = await city.aside(city.imagery.tile, look, *at, form)
    await give_picture(scope, send, made, form, etag, vary)


async def give_picture(
    scope: Scope, send: Send, made: Picture, form: Format, etag: str, vary: answers.Header
) -> None:
    """A picture's bytes, with its ETag and what it was chosen by."""
    headers: Headers = [(b"content-type", MEDIA[form].encode()), (b"etag", etag.encode())]
    await answers.exactly(scope, send, made.body, [*headers, _TIMING, answers.FRESH, vary])


@lru_cache(maxsize=512)
def _asked(raw: bytes, known: frozenset[str]) -> tuple[Wanted, Interval | None]:
    """What a query string asks for: pages ask for hundreds of tiles with the same one."""
    texts = respond.query_map({"query_string": raw}, STYLE.keys() | known)
    time = texts.get("datetime")
    return wanted(texts), None if time is None else STYLE["datetime"].read(time)


def wanted(texts: Mapping[str, str]) -> Wanted:
    """What parameters of :data:`STYLE` ask for. Raises BadParameter."""
    values = {name: STYLE[name].read(text) for name, text in texts.items() if name in STYLE}
    return Wanted(*(values.get(name) for name in ("colormap", "range", "bands", "hillshade")))


def _tilejson(here: str, query: str, name: str, look: Look) -> dict[str, Any]:
    """TileJSON 3.0.0; the tiles are drawn as its own address asks."""
    west, south, east, north = look.profile.bounds
    if west > east:  # clients take no west beyond east (TileJSON 3.0.0, section 3.4)
        west, east = -180.0, 180.0
    limit = scheme.MAX_LATITUDE
    return {
        "tilejson": "3.0.0",
        "name": name,
        "scheme": "xyz",
        "tiles": [f"{here}/{{z}}/{{x}}/{{y}}.png" + (f"?{query}" if query else "")],
        "minzoom": 0,
        "maxzoom": look.profile.zoom,
        "bounds": [west, max(south, -limit), east, min(north, limit)],
    }


async def _document(scope: Scope, send: Send, body: bytes) -> None:
    await answers.give_document(scope, send, body, JSON, "en")


def _ramp(name: str) -> list[str]:
    from tiles.imagery import paint  # rio-tiler is imported with the first picture

    return paint.ramp(name)


# -- what the API document and the collections say -----------------------------------------------


def style_parameters() -> list[dict[str, Any]]:
    """The parameters of a picture, for the API document."""
    return [one.openapi() for one in STYLE.values() if one.name != "v"] + [version_parameter()]


def links(context: Context, layer: Layer) -> list[Link]:
    """As map servers name them (the STAC extension *web map links*)."""
    if not is_raster(layer):
        return []
    here, say = f"{context.root}/imagery/{layer.id}", context.say
    template = f"{here}/{{z}}/{{x}}/{{y}}.png"
    return [
        link("tilejson", f"{here}.json", JSON, "TileJSON"),
        link("xyz", template, MEDIA["png"], say("Map tiles, z/x/y", "地图瓦片（z/x/y）"), templated=True),
    ]


def layer_parameter(context: Context) -> dict[str, Any]:
    """The id of a raster layer in a path, for the API document."""
    known = [layer.id for layer in context.view.layers() if is_raster(layer)]
    return path_parameter("layer", {"type": "string", **({"enum": known} if known else {})}, "A layer's id")


def _describe_tile(form: Format, context: Context) -> dict[str, Any]:
    summary = context.say("A map tile of a raster layer", "栅格图层的一个地图瓦片")
    parameters = [layer_parameter(context), *tile_place(MAX_ZOOM), *style_parameters()]
    content = ok(summary, {MEDIA[form]: BINARY})
    return {"get": get(f"imagery.{form}", "imagery", summary, content, parameters)}


def _describe_tilejson(context: Context) -> dict[str, Any]:
    summary = context.say("TileJSON 3.0 of a raster layer", "栅格图层的 TileJSON 3.0")
    parameters = [layer_parameter(context), *style_parameters()]
    return {"get": get("imagery.tilejson", "imagery", summary, ok(summary, {JSON: "document"}), parameters)}


def _describe_colormap(context: Context) -> dict[str, Any]:
    summary = context.say("The colours of a colour map, from the least value to the greatest", "色带的颜色")
    name = path_parameter("colormap", {"type": "string"}, "A name of rio-tiler's")
    colors = {"type": "array", "items": {"type": "string", "pattern": "^#[0-9a-f]{6}$"}}
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "colors": colors}}
    content = ok(summary, {JSON: schema})
    return {"get": get("imagery.colormap", "imagery", summary, content, [name])}
