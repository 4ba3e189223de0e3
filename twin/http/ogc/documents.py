"""Landing page, conformance, collections: the JSON documents of OGC API Common and Features."""

from __future__ import annotations

from typing import Any

from layers.crs import COMMON, supported, uri
from layers.model import Layer
from layers.types import CRS84, Interval
from layers.write import FORMATS, Format
from twin.http.context import REL, Context, link
from twin.http.formats import GEOJSON, HTML, JSON, OPENAPI, PAGE, SCHEMA, Representation
from twin.http.negotiate import text
from twin.http.ogc.conformance import CLASSES

TMS = "WebMercatorQuad"


def landing(context: Context) -> dict[str, Any]:
    """``/ogc`` (Features Part 1, clause 7.2; Common Part 1, clause 9)."""
    say, base = context.say, context.base
    settings = context.city.settings
    return {
        "title": text(settings.title, context.lang, "City"),
        "description": say(
            "Layers of the city as OGC API Features and Tiles.", "城市图层的 OGC API 要素与瓦片服务。"
        ),
        "attribution": " · ".join(credit.text for credit in settings.credits),
        "links": [
            *context.self_links(),
            link("service-desc", f"{base}/api", OPENAPI, say("API definition", "接口定义（OpenAPI）")),
            link("service-doc", f"{base}/api?f=html", HTML, say("API documentation", "接口文档")),
            link("conformance", f"{base}/conformance", JSON, say("Conformance classes", "符合性类")),
            link(f"{REL}/conformance", f"{base}/conformance", JSON, say("Conformance classes", "符合性类")),
            link("data", f"{base}/collections", JSON, say("Layers", "图层")),
            link(f"{REL}/data", f"{base}/collections", JSON, say("Layers", "图层")),
            link(f"{REL}/functions", f"{base}/functions", JSON, say("Functions of filters", "过滤函数")),
            link(
                f"{REL}/tiling-schemes", f"{base}/tileMatrixSets", JSON, say("Tile matrix sets", "瓦片矩阵集")
            ),
        ],
    }


def conformance(context: Context) -> dict[str, Any]:
    """``/ogc/conformance``."""
    return {"conformsTo": list(CLASSES), "links": context.self_links()}


def functions(context: Context) -> dict[str, Any]:
    """``/ogc/functions``: what a filter may call (Features Part 3, clause 8; CQL2, Functions)."""
    from layers.cql.functions import FUNCTIONS

    return {
        "functions": [
            {
                "name": one.name,
                "description": one.description,
                "arguments": [{"title": arg.title, "type": sorted(arg.types)} for arg in one.arguments],
                "returns": [one.returns],
            }
            for one in FUNCTIONS.values()
        ],
        "links": context.self_links(),
    }


def collections(context: Context, layers: list[Layer]) -> dict[str, Any]:
    """``/ogc/collections``; the global CRS list is referred to by each one as ``#/crs``."""
    return {
        "links": context.self_links(),
        "crs": list(COMMON),
        "numberMatched": len(layers),
        "numberReturned": len(layers),
        "collections": [collection(context, layer) for layer in layers],
    }


def collection(context: Context, layer: Layer) -> dict[str, Any]:
    """``/ogc/collections/{id}`` (Features Part 1 clause 7.14, Part 2 clause 6.2)."""
    found: dict[str, Any] = {
        "id": layer.id,
        "title": context.title(layer),
        "description": _description(context, layer),
        "itemType": "feature",
        "crs": list(supported(layer)),
        "storageCrs": uri(layer.storage_crs),
        "links": _collection_links(context, layer),
        "extent": {"spatial": {"bbox": [_extent(layer)], "crs": CRS84}},
    }
    if layer.time_field:
        found["extent"]["temporal"] = {"interval": [_interval(context.view.interval(layer.id))]}
    if credits_ := [credit.text for credit in context.city.settings.credits]:
        found["attribution"] = " · ".join(credits_)
    return found


_WORLD = (-180.0, -90.0, 180.0, 90.0)


def _extent(layer: Layer) -> list[float]:
    """The layer's box, or the world's; an index rounds outward, so it is cut to ±180, ±90."""
    west, south, east, north = layer.extent or _WORLD
    return [max(west, -180.0), max(south, -90.0), min(east, 180.0), min(north, 90.0)]


def _interval(interval: Interval) -> list[str | None]:
    """RFC 3339 date-times (Features Part 1, clause 7.13.2, extent): a date is its whole day in UTC."""
    clocks = ("T00:00:00.000Z", "T23:59:59.999Z")
    return [
        f"{end}{clock}" if end is not None and len(end) == 10 else end
        for end, clock in zip(interval, clocks, strict=True)
    ]


def _description(context: Context, layer: Layer) -> str:
    return context.say(
        f"{context.title(layer)}: {layer.count} features of kind {layer.kind}",
        f"{context.title(layer)}：{layer.count} 个要素（{layer.kind}）",
    )


def _collection_links(context: Context, layer: Layer) -> list[dict[str, Any]]:
    here, say = f"{context.base}/collections/{layer.id}", context.say
    return [
        link("self", f"{here}?f=json", JSON, say("This layer as JSON", "本图层（JSON）")),
        link("alternate", f"{here}?f=html", HTML, say("This layer as HTML", "本图层（网页）")),
        link("items", f"{here}/items", GEOJSON, say("Features as GeoJSON", "要素（GeoJSON）")),
        *(_items_link(context, here, one) for one in PAGE[1:]),
        *(_download_link(context, here, one) for one in FORMATS.values()),
        link(f"{REL}/schema", f"{here}/schema", SCHEMA, say("Schema", "模式")),
        link("describedby", f"{here}/schema/geojson", SCHEMA, say("GeoJSON schema", "GeoJSON 模式")),
        link(f"{REL}/queryables", f"{here}/queryables", SCHEMA, say("Queryables", "可查询属性")),
        link(f"{REL}/sortables", f"{here}/sortables", SCHEMA, say("Sortables", "可排序属性")),
        link(f"{REL}/tilesets-vector", f"{here}/tiles", JSON, say("Vector tiles", "矢量瓦片")),
    ]


def _items_link(context: Context, here: str, form: Representation) -> dict[str, Any]:
    title = context.say(f"Features as {form.title[0]}", f"要素（{form.title[1]}）")
    return link("items", f"{here}/items?f={form.name}", form.media, title)


def _download_link(context: Context, here: str, form: Format) -> dict[str, Any]:
    title = context.say(f"The whole layer as {form.title}", f"整个图层（{form.title}）")
    return link("enclosure", f"{here}/download?f={form.name}", form.media, title)
