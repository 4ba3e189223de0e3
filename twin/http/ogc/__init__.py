"""OGC API Features and Tiles at ``/ogc``: paths to handlers, nothing more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from layers.errors import NotFound, shown
from layers.model import Layer
from twin.access.caller import CALLER
from twin.http import answers, negotiate, respond, tiles
from twin.http.context import Context
from twin.http.errors import WrongMethod
from twin.http.formats import DOCUMENT, HTML
from twin.http.ogc import pages
from twin.http.ogc.documents import TMS
from twin.http.ogc.download import Download
from twin.http.ogc.edit import ON_ITEM, ON_ITEMS, READ, Edit, allowed, options
from twin.http.ogc.items import Items
from twin.http.ogc.pygeoapi_host import Host
from twin.http.respond import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from twin.catalogue.view import View
    from twin.city import City

#: Class of rights, path, address of the API, language and form of a document.
type Key = tuple[str, str, str, str, str]
#: Documents kept as bytes; each is good for as long as the catalogue is equal to the one it was made of.
KEPT = 64


def make(city: City) -> ASGIApp:
    """The ASGI callable below /ogc."""
    return Ogc(city)


class Ogc:
    """Dispatch by path segments; every leaf is a small handler in its own module."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._host = Host(city)
        self._items = Items(city, self._host)
        self._edit = Edit(city)
        self._download = Download(city)
        self._kept: dict[Key, tuple[list[Layer], bytes]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request below /ogc."""
        segments = scope["path"].split("/")[2:]
        match segments:
            case ["collections", layer_id, "items"]:
                await self._features(scope, receive, send, layer_id)
            case ["collections", layer_id, "items", fid]:
                await self._feature(scope, receive, send, layer_id, fid)
            case ["collections", layer_id, "download"]:
                if await _reads(scope, send):
                    await self._download.give(scope, receive, send, layer_id)
            case ["collections", layer_id, "tiles", name, z, y, x]:
                if await _reads(scope, send):
                    await self._tile(scope, send, layer_id, (name, z, y, x))
            case _:
                page = pages.find(segments)
                if await _reads(scope, send):
                    await self._document(scope, send, page)

    async def _features(self, scope: Scope, receive: Receive, send: Send, layer_id: str) -> None:
        match scope["method"]:
            case "GET" | "HEAD":
                await self._items.page(scope, receive, send, layer_id)
            case "POST":
                await self._edit.create(scope, receive, send, layer_id)
            case "OPTIONS":
                await self._edit.options(scope, send, layer_id, ON_ITEMS)
            case method:
                layer = await self._city.read(self._city.catalogue.of(scope[CALLER]).layer, layer_id)
                raise WrongMethod(method, allowed(layer, ON_ITEMS))

    async def _feature(self, scope: Scope, receive: Receive, send: Send, layer_id: str, fid: str) -> None:
        match scope["method"]:
            case "GET" | "HEAD":
                await self._items.feature(scope, send, layer_id, fid)
            case "PUT" | "PATCH" | "DELETE":
                await self._edit.change(scope, receive, send, layer_id, fid)
            case "OPTIONS":
                await self._edit.options(scope, send, layer_id, ON_ITEM)
            case method:
                layer = await self._city.read(self._city.catalogue.of(scope[CALLER]).layer, layer_id)
                raise WrongMethod(method, allowed(layer, ON_ITEM))

    async def _tile(self, scope: Scope, send: Send, layer_id: str, place: tuple[str, str, str, str]) -> None:
        """A tile by row and column (Tiles Part 1, clause 8): the order differs from the XYZ alias."""
        await self._city.read(self._city.catalogue.of(scope[CALLER]).layer, layer_id)
        name, z, y, x = place
        if name != TMS:
            raise NotFound(f"layer {layer_id} has no tileset {shown(name)!r}; it has {TMS}")

        async def never_204(message: Message) -> None:
            # an empty tile is 200 with no bytes here: clients of the OGC path take 204 for an error
            if message["type"] == "http.response.start" and message["status"] == 204:
                length = (b"content-length", b"0")
                media = (b"content-type", tiles.MVT)
                kept = [one for one in message["headers"] if one[0] not in (length[0], media[0])]
                message = {**message, "status": 200, "headers": [*kept, length, media]}
            await send(message)

        await tiles.vector_tile(self._city, scope, never_204, layer_id, z, x, y)

    async def _document(self, scope: Scope, send: Send, page: pages.Page) -> None:
        city = self._city
        f = respond.query_map(scope, ("f",)).get("f")
        kind = negotiate.representation(scope, f, DOCUMENT).name
        lang = negotiate.language(scope, city.settings.languages)
        path = scope["path"].removeprefix("/ogc").rstrip("/")
        view = city.catalogue.of(scope[CALLER])
        context = Context(city, view, respond.base_url(city, scope) + "/ogc", lang, path)
        key = (view.rights, path, context.base, lang, kind)
        body = await city.read(self._known, key, view)
        if body is None:
            body = await city.aside(self._made, key, context, page)
        await answers.give_document(scope, send, body, HTML if kind == "html" else page.media, lang)

    def _known(self, key: Key, view: View) -> bytes | None:
        kept = self._kept.get(key)
        return kept[1] if kept is not None and kept[0] == view.layers() else None

    def _made(self, key: Key, context: Context, page: pages.Page) -> bytes:
        catalogue = context.view.layers()
        body = self._render(context, page, key[-1])
        while len(self._kept) >= KEPT:
            self._kept.pop(next(iter(self._kept)), None)
        self._kept[key] = catalogue, body
        return body

    def _render(self, context: Context, page: pages.Page, kind: str) -> bytes:
        document = page.build(context)
        if kind == "json":
            return orjson.dumps(document)
        document_ = {
            **document,
            **(page.extra or {}),
            "path": context.path,
            "heading": document.get("title") or context.path.rsplit("/", 1)[-1],
            "json": orjson.dumps(document, option=orjson.OPT_INDENT_2).decode(),
        }
        return self._host.page(context, page.template, document_)


async def _reads(scope: Scope, send: Send) -> bool:
    """True for GET and HEAD; OPTIONS is answered here. Raises WrongMethod."""
    if scope["method"] in ("GET", "HEAD"):
        return True
    if scope["method"] == "OPTIONS":
        await options(send, READ)
        return False
    raise WrongMethod(scope["method"], READ)
