"""Map tilesets of rasters: OGC API Tiles Part 1 (OGC 20-057) with pictures, as OGC API Maps Part 1 has them
(OGC 20-058, clause 12). The tiles themselves are drawn by ``twin.http.imagery``."""

from __future__ import annotations

from typing import Any

from layers.model import ContentLayer, Layer, is_raster
from layers.types import CRS84, RASTERS
from tiles.imagery.service import MAX_ZOOM
from twin.http import imagery, negotiate, respond
from twin.http.context import REL, Context, Link, link
from twin.http.formats import JSON
from twin.http.imagery import MEDIA, OFFER, raster_tile, style_parameters
from twin.http.ogc.conformance import classes
from twin.http.ogc.pages import Document, Pages
from twin.http.ogc.tilesets import TMS, listing, summary, tile_parameters
from twin.http.openapi_parts import BINARY, form, get, ok
from twin.http.respond import Receive, Scope, Send
from twin.http.room import Paths, Room, Route, Site
from twin.http.tiles import whole

CLASSES = classes({"ogcapi-tiles-1/1.0": "png jpeg datetime", "ogcapi-maps-1/1.0": "tilesets"})
_FORMS = {one: form_ for one in OFFER for form_ in MEDIA if form_ == one.name}
_LAYER = "/ogc/collections/{layer}"
_PLACE = f"map/tiles/{TMS}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}"


def room(site: Site, pages: Pages) -> Room:
    """The routes of map tiles below /ogc, with their links and classes."""
    city = site.city

    async def tile(scope: Scope, receive: Receive, send: Send, layer: str, z: str, y: str, x: str) -> None:
        """By row and column: the order differs from the XYZ address."""
        asked = dict(respond.query_pairs(scope)).get("f") if scope["query_string"] else None
        kind = negotiate.representation(scope, asked, OFFER)
        at = whole(z), whole(x), whole(y)
        await raster_tile(city, scope, send, layer, at, _FORMS[kind], known=("f",), by_accept=asked is None)

    routes = (
        *(pages.route(one) for one in DOCUMENTS),
        Route(f"{_LAYER}/{_PLACE}", {"GET": tile}, describe_all=_describe),
    )
    title = ("Map tiles of the rasters", "栅格地图瓦片")
    return Room("ogc-map-tiles", title, routes, collection=_links, conformance=CLASSES)


def _links(context: Context, layer: Layer) -> list[Link]:
    if not is_raster(layer):
        return []
    href = f"{context.base}/collections/{layer.id}/map/tiles"
    return [link(f"{REL}/tilesets-map", href, JSON, context.say("Map tiles", "地图瓦片"))]


def _describe(context: Context) -> Paths:
    title = context.say("A map tile", "地图瓦片")
    parameters = [*tile_parameters(), form(OFFER), *style_parameters()]
    content = ok(title, dict.fromkeys(MEDIA.values(), BINARY))
    return {
        f"/ogc/collections/{layer.id}/{_PLACE}": {
            "get": get(f"{layer.id}.map.getTile", layer.id, title, content, parameters)
        }
        for layer in context.view.layers()
        if is_raster(layer)
    }


def tilesets(context: Context, layer: ContentLayer) -> dict[str, Any]:
    """``…/map/tiles``: the list, of one (OGC 20-057, clause 10)."""
    words = context.say("map tiles", "地图瓦片")
    return listing(context, layer, words, "map/tiles", "map", _templates(context, layer))


def tileset(context: Context, layer: ContentLayer) -> dict[str, Any]:
    """``…/map/tiles/WebMercatorQuad``: the tileset metadata (OGC 20-057, clause 9). Raises Unavailable."""
    profile = context.city.profiles.of(layer)
    west, south, east, north = profile.bounds
    document = summary(context, layer, "map/tiles", "map")
    here = f"{context.base}/collections/{layer.id}"
    document["links"] = [
        *document["links"],
        *_templates(context, layer),
        link("geodata", here, JSON, context.title(layer)),
    ]
    document["boundingBox"] = {"lowerLeft": [west, south], "upperRight": [east, north], "crs": CRS84}
    document["mediaTypes"] = list(MEDIA.values())
    document["layers"] = [
        {
            "id": layer.id,
            "title": context.title(layer),
            "dataType": "map",
            "minTileMatrix": "0",
            "maxTileMatrix": str(min(profile.zoom, MAX_ZOOM)),
        }
    ]
    return document


def _templates(context: Context, layer: Layer) -> list[Link]:
    """The addresses of the tiles, row first as the OGC has it, and column first as maps have it."""
    here = f"{context.base}/collections/{layer.id}/{_PLACE}"
    title = context.say("Map tiles", "地图瓦片")
    forms = [link("item", f"{here}?f={one.name}", one.media, title, templated=True) for one in OFFER]
    return [*forms, *imagery.links(context, layer)]


DOCUMENTS = (
    Document(
        f"{_LAYER}/map/tiles", tilesets, "getMapTilesets", ("Its map tilesets", "地图瓦片集"), forms=RASTERS
    ),
    Document(
        f"{_LAYER}/map/tiles/{TMS}",
        tileset,
        "getMapTileset",
        ("Its map tileset metadata", "地图瓦片集元数据"),
        forms=RASTERS,
    ),
)
