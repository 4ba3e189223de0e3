"""Incidents and the latest observations as collections of OGC API Features: read, filtered and paged like any
layer, reported and moved elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from layers.crs import supported, uri
from layers.model import FeatureLayer
from twin.access.caller import Caller
from twin.http import past
from twin.http.context import REL, Context, Link, link
from twin.http.formats import GEOJSON, HTML, JSON, PAGE, SCHEMA
from twin.http.ogc import openapi_layer, schemas
from twin.http.ogc.items import Items
from twin.http.ogc.pages import Document, Pages
from twin.http.ogc.pygeoapi_host import Host
from twin.http.respond import Message, Receive, Scope, Send
from twin.http.room import Handler, Room, Route, Site
from twin.live_layers import INCIDENTS, READ_ONLY, Instant

if TYPE_CHECKING:
    from twin.catalogue.view import View
    from twin.city import City

#: What a selection is called in an address of the map.
_SELECTED = {INCIDENTS: "incident"}
_OTHERWISE = "sensor"


class _Catalogue:
    """The door to the live layers: everybody sees the same."""

    def __init__(self, city: City) -> None:
        self._city = city

    @property
    def whole(self) -> View:
        return self._city.live_layers.view()

    def of(self, caller: Caller) -> View:
        return self._city.live_layers.view()


class _Door:
    """A city with the live layers for its catalogue. A database that is away is none of their business."""

    def __init__(self, city: City) -> None:
        self._city = city
        self.catalogue = _Catalogue(city)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._city, name)

    async def read(
        self,
        call: Callable[..., Any],
        *args: Any,
        heavy: bool = False,
        gone: Callable[[], Awaitable[None]] | None = None,
    ) -> Any:
        return await self._city.sense(call, *args, gone=gone) if heavy else call(*args)

    async def aside(self, call: Callable[..., Any], *args: Any) -> Any:
        return await self._city.sense(call, *args)


class _LiveItems(Items):
    """Pages without downloads of the whole, which a process beside the server's could not read."""

    versioned = False

    def _of_page(self, extra: dict[str, Any], layer: FeatureLayer) -> dict[str, Any]:
        return extra | {"downloads": []}

    def _of_feature(self, extra: dict[str, Any], layer: FeatureLayer, fid: int) -> dict[str, Any]:
        return extra | {"selection": f"{_SELECTED.get(layer.id, _OTHERWISE)}:{fid}"}


def room(site: Site) -> Room:
    """The collections of what changes by the second, with all paths of a layer but tiles and downloads."""
    city = site.city
    door = cast("City", _Door(city))
    host = Host(door)
    pages, items = Pages(door, host), _LiveItems(door, host)
    routes = [route for layer_id in READ_ONLY for route in _routes(city, layer_id, pages, items)]
    title = ("Incidents and latest observations", "事件与最新观测")
    made = Room(
        "live-collections",
        title,
        tuple(routes),
        collections=partial(_collections, city),
        schemas=partial(_schemas, city),
    )
    pages.rooms = (made,)
    return made


def _routes(city: City, layer_id: str, pages: Pages, items: Items) -> list[Route]:
    here = f"/ogc/collections/{layer_id}"

    def fresh(handler: Handler) -> Handler:
        async def handle(scope: Scope, receive: Receive, send: Send, *values: str) -> None:
            at = past.then(scope)
            if at is None:
                await city.sense(city.live_layers.refresh, layer_id)
                await handler(scope, receive, send, *values)
                return
            instant = await city.sense(city.live_layers.at, layer_id, at)
            past.show(scope, instant.view)
            try:
                await handler(scope, receive, _closing(send, instant), *values)
            finally:
                instant.close()

        return handle

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await items.page(scope, receive, send, layer_id)

    async def feature(scope: Scope, receive: Receive, send: Send, feature: str) -> None:
        await items.feature(scope, receive, send, layer_id, feature)

    routes = [pages.route(one) for one in _documents(layer_id)]
    routes += [
        Route(f"{here}/items", {"GET": page}, _described(city, layer_id, openapi_layer.items)),
        Route(
            f"{here}/items/{{featureId}}", {"GET": feature}, _described(city, layer_id, openapi_layer.item)
        ),
    ]
    return [
        replace(one, methods={name: fresh(h) for name, h in one.methods.items()}, past="live")
        for one in routes
    ]


def _closing(send: Send, instant: Instant) -> Send:
    """An answer is made before it is sent: who reads it slowly holds no instant."""

    async def wrapped(message: Message) -> None:
        instant.close()
        await send(message)

    return wrapped


def _documents(layer_id: str) -> list[Document]:
    here = f"/ogc/collections/{layer_id}"

    def of_layer(
        build: Callable[[Context, FeatureLayer], dict[str, Any]],
    ) -> Callable[[Context], dict[str, Any]]:
        return lambda context: build(context, context.view.feature_layer(layer_id))

    def schema(
        name: str, build: Any, title: tuple[str, str], template: str = "collections/schema.html"
    ) -> Document:
        operation = f"{layer_id}.get{name.title().replace('/', '')}"
        made = of_layer(build)
        return Document(
            f"{here}/{name}",
            made,
            operation,
            title,
            "document",
            SCHEMA,
            template,
            collection=layer_id,
            past=True,
        )

    return [
        Document(
            here,
            of_layer(collection),
            f"{layer_id}.getCollection",
            ("The collection", "集合"),
            "collection",
            template="collections/collection.html",
            collection=layer_id,
            past=True,
        ),
        schema("schema", schemas.schema, ("Its schema", "模式")),
        schema("schema/geojson", schemas.geojson, ("Its schema as GeoJSON", "GeoJSON 模式"), "document.html"),
        schema("queryables", schemas.queryables, ("Its queryables", "可查询属性")),
        schema("sortables", schemas.sortables, ("Its sortables", "可排序属性")),
    ]


def collection(context: Context, layer: FeatureLayer) -> dict[str, Any]:
    """What a collections document says of a live layer: its extent moves with every report, so none."""
    here, say, title = f"{context.base}/collections/{layer.id}", context.say, context.title(layer)
    return {
        "id": layer.id,
        "title": title,
        "description": say(f"{title}, read only", f"{title}（只读）") + f": {layer.fixed_because}",
        "itemType": "feature",
        "crs": list(supported(layer)),
        "storageCrs": uri(layer.storage_crs),
        "links": [
            link("self", f"{here}?f=json", JSON, say("This collection as JSON", "本集合（JSON）")),
            link("alternate", f"{here}?f=html", HTML, say("This collection as HTML", "本集合（网页）")),
            link("items", f"{here}/items", GEOJSON, say("Features as GeoJSON", "要素（GeoJSON）")),
            *(
                link("items", f"{here}/items?f={one.name}", one.media, say(*_as(one.title)))
                for one in PAGE[1:]
            ),
            *_schema_links(context, here),
        ],
    }


def _as(title: tuple[str, str]) -> tuple[str, str]:
    return f"Features as {title[0]}", f"要素（{title[1]}）"


def _schema_links(context: Context, here: str) -> list[Link]:
    say = context.say
    return [
        link(f"{REL}/schema", f"{here}/schema", SCHEMA, say("Schema", "模式")),
        link("describedby", f"{here}/schema/geojson", SCHEMA, say("GeoJSON schema", "GeoJSON 模式")),
        link("describedBy", f"{here}/schema/geojson", SCHEMA, say("GeoJSON schema", "GeoJSON 模式")),
        link(f"{REL}/queryables", f"{here}/queryables", SCHEMA, say("Queryables", "可查询属性")),
        link(f"{REL}/sortables", f"{here}/sortables", SCHEMA, say("Sortables", "可排序属性")),
    ]


def _seen(city: City, context: Context) -> Context:
    return replace(context, view=city.live_layers.view())


def _collections(city: City, context: Context) -> list[dict[str, Any]]:
    on = _seen(city, context)
    return [collection(on, on.view.feature_layer(layer_id)) for layer_id in READ_ONLY]


def _schemas(city: City, context: Context) -> dict[str, Any]:
    return openapi_layer.all_schemas(_seen(city, context))


def _described(
    city: City, layer_id: str, describe: Callable[[Context, FeatureLayer], dict[str, Any]]
) -> Callable[[Context], dict[str, Any]]:
    def path_item(context: Context) -> dict[str, Any]:
        on = _seen(city, context)
        return describe(on, on.view.feature_layer(layer_id))

    return path_item
