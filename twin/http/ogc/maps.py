"""OGC API Maps (OGC 20-058): pictures of raster layers, of any part, size and CRS, drawn as their
tiles are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from layers.crs import uri
from layers.model import ContentLayer, Layer, is_raster
from layers.raster.files import instant_of
from layers.raster.grid import code
from tiles.imagery import maps
from tiles.imagery.colors import WHITE
from tiles.imagery.maps import MapQuery
from tiles.imagery.place import Place
from twin.access.caller import CALLER
from twin.http import answers, negotiate, respond
from twin.http.context import REL, Context, Link, link
from twin.http.formats import Representation
from twin.http.imagery import OFFER, STYLE, look_as, raster, style_parameters
from twin.http.ogc.conformance import classes
from twin.http.ogc.coverage_documents import box_in, check_crs, crs_of, opened
from twin.http.openapi_parts import BINARY, errors, form, get, ok
from twin.http.respond import Headers, Receive, Scope, Send
from twin.http.room import Paths, Room, Route, Site

if TYPE_CHECKING:
    from tiles.imagery.paint import Format
    from tiles.imagery.service import Look
    from twin.city import City

CLASSES = classes(
    {
        "ogcapi-maps-1/1.0": (
            "core collection-map scaling display-resolution spatial-subsetting datetime crs png jpeg cors "
            "oas30"
        )
    }
)
_LAYER = "/ogc/collections/{layer}"


def room(site: Site) -> Room:
    """The route of maps, with its links and classes."""
    city = site.city

    async def picture(scope: Scope, receive: Receive, send: Send, layer_id: str) -> None:
        """GET or HEAD. Raises NotFound, BadParameter, NotAcceptable, TooLarge, Busy, Unavailable."""
        layer = await raster(city, scope, layer_id)
        forms, pairs = negotiate.chosen(respond.query_pairs(scope), ("f", *STYLE.keys() - {"datetime"}))
        kind = negotiate.representation(scope, forms.pop("f", None), OFFER)
        query = maps.parse(pairs)
        look = await look_as(city, layer, forms, instant_of(layer, query.interval))
        etag = f'"{city.catalogue.of(scope[CALLER]).epoch}-{look.version}-{kind.name}"'
        if await answers.fresh(scope, send, etag, answers.VARY):
            return
        gone = respond.gone
        headers, body = await city.read(
            _drawn, city, layer, query, look, kind, heavy=True, gone=lambda: gone(receive)
        )
        headers += [(b"etag", etag.encode()), answers.FRESH, (b"vary", b"Accept")]
        await answers.exactly(scope, send, body, headers)

    return Room(
        "maps",
        ("Maps of rasters", "栅格地图"),
        (Route(f"{_LAYER}/map", {"GET": picture}, describe_all=_describe),),
        collection=_links,
        conformance=CLASSES,
    )


def _drawn(
    city: City, layer: ContentLayer, query: MapQuery, look: Look, kind: Representation
) -> tuple[Headers, bytes]:
    """Headers and body of the answer, in a thread."""
    with opened(city, layer, instant_of(layer, query.interval)) as coverage:
        own = code(coverage.grid.crs)
        check_crs((query.region, query.center), query.crs, crs_of(city, layer, own), own)
        grid = maps.placed(coverage, query)
        time = coverage.time
    crs = query.crs or own
    place = Place(grid.crs.to_wkt(), grid.bounds, grid.width, grid.height)
    form = cast("Format", kind.name)
    behind = None if query.transparent and form != "jpg" else query.background or WHITE
    picture = city.imagery.picture(look, place, form, behind).body
    box = ",".join(format(end, ".12g") for end in box_in(grid, crs))
    headers: Headers = [(b"content-type", kind.media.encode()), (b"content-bbox", box.encode())]
    if crs is not None:
        headers.append((b"content-crs", f"<{uri(crs)}>".encode()))
    if time is not None:
        headers.append((b"content-datetime", time.encode()))
    return headers, picture


def _links(context: Context, layer: Layer) -> list[Link]:
    if not is_raster(layer):
        return []
    here = f"{context.base}/collections/{layer.id}/map"
    return [
        link(
            f"{REL}/map",
            here if one is OFFER[0] else f"{here}?f={one.name}",
            one.media,
            context.say(f"A map as {one.title[0]}", f"地图（{one.title[1]}）"),
        )
        for one in OFFER
    ]


def _describe(context: Context) -> Paths:
    return {
        f"/ogc/collections/{layer.id}/map": _path(context, layer)
        for layer in context.view.layers()
        if is_raster(layer)
    }


def _path(context: Context, layer: Layer) -> dict[str, Any]:
    summary = context.say("A map of the layer", "图层地图")
    content = {one.media: BINARY for one in OFFER}
    styled = [one for one in style_parameters() if one["name"] not in maps.TABLE]
    parameters = [form(OFFER), *(one.openapi() for one in maps.TABLE.values()), *styled]
    operation = get(f"{layer.id}.getMap", layer.id, summary, ok(summary, content), parameters)
    operation["responses"] |= errors(413)
    return {"get": operation}
