"""OGC API Features: schemas, items, editing and downloads, declared as one room."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from layers.model import FeatureLayer, Layer, has_features, is_raster
from layers.types import FEATURES, RASTERS, EditKind
from layers.write import FORMATS, Format
from twin.http.context import REL, Context, Link, link
from twin.http.formats import GEOJSON, JSON, MERGE_PATCH, PAGE, SCHEMA, Representation
from twin.http.ogc import coverages, openapi_layer, schemas
from twin.http.ogc.conformance import classes
from twin.http.ogc.download import OF_RASTERS, Download
from twin.http.ogc.edit import ON_ITEM, ON_ITEMS, Edit
from twin.http.ogc.items import Items
from twin.http.ogc.pages import Document, Pages
from twin.http.respond import Scope
from twin.http.room import Allow, Paths, Room, Route, Site, never

CLASSES = classes(
    {
        "ogcapi-common-3/1.0": (
            "schemas advanced-property-roles returnables-and-receivables queryables sortables "
            "profile-parameter"
        ),
        "ogcapi-features-1/1.0": "core oas30 html geojson",
        "ogcapi-features-2/1.0": "crs",
        "ogcapi-features-3/1.0": "queryables queryables-query-parameters filter features-filter",
        "ogcapi-features-4/1.0": "create-replace-delete update optimistic-locking-etags features",
        "ogcapi-features-5/1.0": "schemas",
        "cql2/1.0": (
            "cql2-text cql2-json basic-cql2 advanced-comparison-operators case-insensitive-comparison "
            "accent-insensitive-comparison basic-spatial-functions basic-spatial-functions-plus "
            "spatial-functions temporal-functions array-functions property-property functions arithmetic"
        ),
        "json-fg-1/1.0": "core types-schemas profiles",
    }
)
_LAYER = "/ogc/collections/{layer}"
_SCHEMA = "collections/schema.html"
DOCUMENTS = (
    Document(
        f"{_LAYER}/schema",
        coverages.schema,
        "getSchema",
        ("Its schema", "模式"),
        "document",
        SCHEMA,
        _SCHEMA,
        forms=(*FEATURES, *RASTERS),
        past=True,
    ),
    Document(
        f"{_LAYER}/schema/geojson",
        schemas.geojson,
        "getGeojsonSchema",
        ("Its schema as GeoJSON", "GeoJSON 模式"),
        media=SCHEMA,
        past=True,
    ),
    Document(
        f"{_LAYER}/queryables",
        schemas.queryables,
        "getQueryables",
        ("Its queryables", "可查询属性"),
        "document",
        SCHEMA,
        _SCHEMA,
        past=True,
    ),
    Document(
        f"{_LAYER}/sortables",
        schemas.sortables,
        "getSortables",
        ("Its sortables", "可排序属性"),
        "document",
        SCHEMA,
        _SCHEMA,
        past=True,
    ),
)


def room(site: Site, pages: Pages) -> Room:
    """The routes of features, with their links, classes and schemas."""
    city = site.city
    items, edit, download = Items(city, pages.host), Edit(city), Download(city)
    functions = Document(
        "/ogc/functions",
        schemas.functions,
        "getFunctions",
        ("Functions of filters", "过滤函数"),
        "functions",
        template="functions.html",
    )
    routes = (
        pages.route(functions),
        *(pages.route(one) for one in DOCUMENTS),
        Route(
            f"{_LAYER}/items",
            {"GET": items.page, "POST": edit.create},
            describe_all=_of_layers("items", openapi_layer.items),
            allow=_allow(edit, ON_ITEMS),
            takes={"POST": GEOJSON},
            told=never,
            past="fixed",
        ),
        Route(
            f"{_LAYER}/items/{{feature}}",
            {"GET": items.feature, "PUT": edit.change, "PATCH": edit.change, "DELETE": edit.change},
            describe_all=_of_layers("items/{featureId}", openapi_layer.item),
            allow=_allow(edit, ON_ITEM),
            takes={"PUT": GEOJSON, "PATCH": MERGE_PATCH},
            told=never,
            past="fixed",
        ),
        Route(
            f"{_LAYER}/download",
            {"GET": download.give},
            describe_all=_downloads,
            past="fixed",
        ),
    )
    title = ("Features of the layers", "图层要素")
    return Room(
        "features",
        title,
        routes,
        _landing_links,
        _links,
        CLASSES,
        openapi_layer.all_schemas,
    )


def _allow(edit: Edit, methods: Mapping[EditKind, Collection[str]]) -> Allow:
    async def allow(scope: Scope, layer_id: str, *feature: str) -> Collection[str]:
        return await edit.allowed(scope, layer_id, methods)

    return allow


def _of_layers(
    below: str, describe: Callable[[Context, FeatureLayer], dict[str, Any]]
) -> Callable[[Context], Paths]:
    def paths(context: Context) -> Paths:
        return {
            f"/ogc/collections/{layer.id}/{below}": describe(context, layer)
            for layer in context.view.feature_layers()
        }

    return paths


def _downloads(context: Context) -> Paths:
    paths = dict(_of_layers("download", openapi_layer.download)(context))
    return paths | {
        f"/ogc/collections/{layer.id}/download": openapi_layer.raster_download(context, layer)
        for layer in context.view.layers()
        if is_raster(layer)
    }


def _links(context: Context, layer: Layer) -> list[Link]:
    if has_features(layer):
        return _collection_links(context, layer)
    if not is_raster(layer) or context.view.moment is not None:
        # of what was a raster's record is told, not its files
        return []
    here = f"{context.base}/collections/{layer.id}/download"
    return [
        link(
            "enclosure",
            f"{here}?f={one.name}",
            one.media,
            context.say(f"The layer as {one.title[0]}", f"图层（{one.title[1]}）"),
        )
        for one in OF_RASTERS
    ]


def _landing_links(context: Context) -> list[Link]:
    title = context.say("Functions of filters", "过滤函数")
    return [link(f"{REL}/functions", f"{context.base}/functions", JSON, title)]


def _collection_links(context: Context, layer: FeatureLayer) -> list[Link]:
    here, say = f"{context.base}/collections/{layer.id}", context.say
    return [
        link("items", f"{here}/items", GEOJSON, say("Features as GeoJSON", "要素（GeoJSON）")),
        *(_items_link(context, here, one) for one in PAGE[1:]),
        *(_download_link(context, here, one) for one in FORMATS.values()),
        link(f"{REL}/schema", f"{here}/schema", SCHEMA, say("Schema", "模式")),
        link("describedby", f"{here}/schema/geojson", SCHEMA, say("GeoJSON schema", "GeoJSON 模式")),
        # GDAL before 3.7 compares the letters, and without a schema cuts integers to 32 bits
        link("describedBy", f"{here}/schema/geojson", SCHEMA, say("GeoJSON schema", "GeoJSON 模式")),
        link(f"{REL}/queryables", f"{here}/queryables", SCHEMA, say("Queryables", "可查询属性")),
        link(f"{REL}/sortables", f"{here}/sortables", SCHEMA, say("Sortables", "可排序属性")),
    ]


def _items_link(context: Context, here: str, form: Representation) -> Link:
    title = context.say(f"Features as {form.title[0]}", f"要素（{form.title[1]}）")
    return link("items", f"{here}/items?f={form.name}", form.media, title)


def _download_link(context: Context, here: str, form: Format) -> Link:
    title = context.say(f"The whole layer as {form.title}", f"整个图层（{form.title}）")
    return link("enclosure", f"{here}/download?f={form.name}", form.media, title)
