"""STAC 1.1 at ``/stac``: a catalogue of the raster layers, each a collection whose items are its files, and
the files themselves, by ranges of bytes, so that GDAL and QGIS open them where they lie."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson

from layers.content.kept import COG
from layers.errors import NotFound, Unavailable, shown
from layers.model import Asset, ContentLayer, Layer, is_raster
from layers.raster.coverage import Coverage
from layers.raster.files import located
from layers.raster.grid import code
from layers.types import lon_spans
from twin.access.caller import CALLER
from twin.http import answers, negotiate, ranges, respond
from twin.http.context import Context, Link, link
from twin.http.formats import GEOJSON, JSON
from twin.http.imagery import layer_parameter, raster
from twin.http.openapi_parts import BINARY, get, ok, path_parameter
from twin.http.respond import Headers, Receive, Scope, Send
from twin.http.room import Room, Route, Site

if TYPE_CHECKING:
    from twin.city import City

log = logging.getLogger("twin")

VERSION = "1.1.0"
PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
#: What is true at any time has no other interval than this one.
_ALWAYS = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"
#: How long a client may take nothing.
STALLED_SECONDS = 60.0


def make(site: Site) -> Sequence[Room]:
    """The routes of the catalogue."""
    city = site.city

    async def catalog(scope: Scope, receive: Receive, send: Send) -> None:
        context = _context(city, scope)
        layers = await city.read(context.view.layers)
        await _give(scope, send, _catalog(context, [one for one in layers if is_raster(one)]), context.lang)

    async def collection(scope: Scope, receive: Receive, send: Send, layer_id: str) -> None:
        context = _context(city, scope)
        layer = await raster(city, scope, layer_id)
        await _give(scope, send, await city.aside(_collection, context, layer), context.lang)

    async def item(scope: Scope, receive: Receive, send: Send, layer_id: str, item_id: str) -> None:
        context = _context(city, scope)
        layer = await raster(city, scope, layer_id)
        asset = _asset(layer, item_id)
        document = await city.aside(_item, context, layer, item_id, asset)
        await _give(scope, send, document, context.lang, GEOJSON)

    async def file(scope: Scope, receive: Receive, send: Send, layer_id: str, item_id: str) -> None:
        respond.query_map(scope, ())
        layer = await raster(city, scope, layer_id)
        await _file(city, scope, send, layer, _asset(layer, item_id))

    place = "/stac/{layer}"
    routes = (
        Route("/stac", {"GET": catalog}, _describe_catalog, slash=True),
        Route(place, {"GET": collection}, _describe_collection),
        Route(f"{place}/{{item}}", {"GET": item}, _describe_item),
        Route(f"{place}/{{item}}.tif", {"GET": file}, _describe_file),
    )
    title = ("Catalogue of the rasters (STAC)", "栅格目录（STAC）")
    return (Room("stac", title, routes, _landing, _links),)


def _context(city: City, scope: Scope) -> Context:
    respond.query_map(scope, ())
    lang = negotiate.language(scope, city.settings.languages)
    base = respond.base_url(city, scope) + "/ogc"
    return Context(city, city.catalogue.of(scope[CALLER]), base, lang, scope["path"])


async def _give(scope: Scope, send: Send, document: object, lang: str, media: str = JSON) -> None:
    await answers.give_document(scope, send, orjson.dumps(document), media, lang)


def _asset(layer: ContentLayer, item_id: str) -> Asset:
    """The file of an item. Raises NotFound."""
    by_id = dict(zip(_ids(layer), layer.assets, strict=True))
    if item_id not in by_id:
        raise NotFound(f"layer {layer.id} has no item {shown(item_id)}")
    return by_id[item_id]


def _ids(layer: ContentLayer) -> list[str]:
    """The ids of the items, in the order in which their files are drawn."""
    return [f"{layer.id}-{number}" for number in range(1, len(layer.assets) + 1)]


# -- documents -----------------------------------------------------------------------------------


def _catalog(context: Context, layers: Sequence[Layer]) -> dict[str, Any]:
    """STAC 1.1, Catalog."""
    here = f"{context.root}/stac"
    title = negotiate.text(context.city.settings.title, context.lang, "City")
    return {
        "type": "Catalog",
        "stac_version": VERSION,
        "id": "city",
        "title": title,
        "description": context.say(f"Rasters and terrain: {title}", f"栅格与地形：{title}"),
        "links": [
            link("root", here, JSON, title),
            link("self", here, JSON, title),
            *(link("child", f"{here}/{one.id}", JSON, context.title(one)) for one in layers),
        ],
    }


def _collection(context: Context, layer: ContentLayer) -> dict[str, Any]:
    """STAC 1.1, Collection."""
    root = f"{context.root}/stac"
    times = sorted(one.time for one in layer.assets if one.time is not None)
    timed = bool(times) and len(times) == len(layer.assets)
    box = layer.extent or (-180.0, -90.0, 180.0, 90.0)
    title = context.title(layer)
    document: dict[str, Any] = {
        "type": "Collection",
        "stac_version": VERSION,
        "id": layer.id,
        "title": title,
        "description": title,
        "license": "other",
        "extent": {
            "spatial": {"bbox": [list(box)]},
            "temporal": {"interval": [[_begin(times[0]), _end(times[-1])] if timed else [None, None]]},
        },
        "links": [
            link("root", root, JSON, "STAC"),
            link("parent", root, JSON, "STAC"),
            link("self", f"{root}/{layer.id}", JSON, title),
            *(link("item", f"{root}/{layer.id}/{one}", GEOJSON, one) for one in _ids(layer)),
            link("related", f"{context.base}/collections/{layer.id}", JSON, title),
        ],
    }
    if notice := context.city.settings.attribution:
        document["providers"] = [{"name": notice}]
    return document


def _begin(time: str) -> str:
    return time if len(time) > 10 else f"{time}T00:00:00Z"


def _end(time: str) -> str:
    return time if len(time) > 10 else f"{time}T23:59:59Z"


def _item(context: Context, layer: ContentLayer, item_id: str, asset: Asset) -> dict[str, Any]:
    """STAC 1.1, Item, with the projection extension. Raises Unavailable."""
    city, root = context.city, f"{context.root}/stac"
    here = f"{root}/{layer.id}"
    try:
        with city.rasters.lend(located(city.folder, asset)) as dataset:
            coverage = Coverage([dataset])
            west, south, east, north = coverage.lonlat
            of_file = _described(coverage)
    except Unavailable as error:
        raise Unavailable(f"layer {layer.id}: {error}") from error
    return {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": [PROJECTION],
        "id": item_id,
        "collection": layer.id,
        "bbox": [west, south, east, north],
        "geometry": _outline(west, south, east, north),
        "properties": {"title": context.title(layer), **_times(asset.time)},
        "assets": {
            "data": {
                "href": f"{here}/{item_id}.tif",
                "type": asset.media_type or COG,
                "title": context.title(layer),
                "roles": ["data"],
                **of_file,
            }
        },
        "links": [
            link("root", root, JSON, "STAC"),
            link("parent", here, JSON, context.title(layer)),
            link("collection", here, JSON, context.title(layer)),
            link("self", f"{here}/{item_id}", GEOJSON, item_id),
        ],
    }


def _outline(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    """A box as a geometry, cut at the antimeridian (RFC 7946, 3.1.9)."""
    rings = [[[[a, south], [b, south], [b, north], [a, north], [a, south]]] for a, b in lon_spans(west, east)]
    if len(rings) == 1:
        return {"type": "Polygon", "coordinates": rings[0]}
    return {"type": "MultiPolygon", "coordinates": rings}


def _times(time: str | None) -> dict[str, Any]:
    if time is None:
        return {"datetime": None, "start_datetime": _ALWAYS[0], "end_datetime": _ALWAYS[1]}
    if len(time) > 10:
        return {"datetime": time}
    return {"datetime": _begin(time), "start_datetime": _begin(time), "end_datetime": _end(time)}


def _described(coverage: Coverage) -> dict[str, Any]:
    """What an asset says of its file: grid and bands."""
    grid = coverage.grid
    number = code(grid.crs)
    bands: list[dict[str, Any]] = []
    for band in coverage.bands:
        words: dict[str, Any] = {"name": band.name, "description": band.title, "data_type": band.dtype}
        if band.nodata is not None:
            words["nodata"] = band.nodata if band.nodata == band.nodata else "nan"
        bands.append(words | ({"unit": band.unit} if band.unit else {}))
    return {
        "proj:code": number,
        **({} if number else {"proj:wkt2": grid.crs.to_wkt(version="WKT2_2019")}),
        "proj:shape": [grid.height, grid.width],
        "proj:bbox": list(grid.bounds),
        "proj:transform": list(grid.transform)[:6],
        "bands": bands,
    }


# -- the files -----------------------------------------------------------------------------------


async def _file(city: City, scope: Scope, send: Send, layer: ContentLayer, asset: Asset) -> None:
    """A file, or the part of it that is asked for. Raises Unavailable, WrongRange."""
    handle = await city.run(_open, layer, city, asset)
    try:
        state = os.fstat(handle)
        size = state.st_size
        epoch = city.catalogue.of(scope[CALLER]).epoch
        etag = f'"{epoch}-{state.st_ino:x}-{state.st_mtime_ns:x}-{state.st_ctime_ns:x}"'
        if await answers.fresh(scope, send, etag):
            return
        status, (first, last), more = ranges.part(scope, etag, size)
        headers: Headers = [
            (b"content-type", (asset.media_type or COG).encode()),
            (b"content-length", b"%d" % (last + 1 - first)),
            *more,
            answers.FRESH,
            answers.VARY_CODING,
        ]
        await answers.start(send, status, headers)
        if scope["method"] == "HEAD":
            last = first - 1
        async for piece, more_body in ranges.pieces(city.run, handle, first, last):
            async with asyncio.timeout(STALLED_SECONDS):
                await send({"type": "http.response.body", "body": piece, "more_body": more_body})
        if scope["method"] == "HEAD" or not size:
            await send({"type": "http.response.body", "body": b""})
    except TimeoutError:
        # the answer is left incomplete, and the server cuts the connection
        log.warning("a file of layer %s broke off: its client takes nothing", layer.id)
    finally:
        os.close(handle)


def _open(layer: ContentLayer, city: City, asset: Asset) -> int:
    try:
        return os.open(located(city.folder, asset), os.O_RDONLY)
    except OSError as error:
        raise Unavailable(f"layer {layer.id}: its raster cannot be read: {error.strerror}") from error


# -- links and the API document ------------------------------------------------------------------


def _landing(context: Context) -> list[Link]:
    return [link("related", f"{context.root}/stac", JSON, context.say("Rasters (STAC)", "栅格目录（STAC）"))]


def _links(context: Context, layer: Layer) -> list[Link]:
    if not is_raster(layer):
        return []
    title = context.say("Its files (STAC)", "数据文件（STAC）")
    return [link("related", f"{context.root}/stac/{layer.id}", JSON, title)]


def _describe_catalog(context: Context) -> dict[str, Any]:
    summary = context.say("Catalogue of the rasters", "栅格目录")
    return {"get": get("stac.catalog", "stac", summary, ok(summary, {JSON: "document"}), [])}


def _describe_collection(context: Context) -> dict[str, Any]:
    summary = context.say("A raster layer as a STAC collection", "栅格图层的 STAC 集合")
    content = ok(summary, {JSON: "document"})
    return {"get": get("stac.collection", "stac", summary, content, [layer_parameter(context)])}


def _item_id() -> dict[str, Any]:
    return path_parameter("item", {"type": "string"}, "The id of an item: the layer's, a hyphen and a number")


def _describe_item(context: Context) -> dict[str, Any]:
    summary = context.say("A file of a raster layer as a STAC item", "栅格文件的 STAC 条目")
    parameters = [layer_parameter(context), _item_id()]
    return {"get": get("stac.item", "stac", summary, ok(summary, {GEOJSON: "document"}), parameters)}


def _describe_file(context: Context) -> dict[str, Any]:
    summary = context.say("The file itself, whole or by ranges of bytes", "数据文件，可按字节范围读取")
    parameters = [layer_parameter(context), _item_id()]
    operation = get("stac.file", "stac", summary, ok(summary, {COG: BINARY}), parameters)
    partial = {"description": "The part that Range asks for", "content": {COG: {"schema": BINARY}}}
    operation["responses"] |= {"206": partial, "416": {"$ref": "#/components/responses/e416"}}
    operation["responses"] = dict(sorted(operation["responses"].items()))
    return {"get": operation}
