"""Documents as JSON and HTML: made when they are asked for, kept while the catalogue stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from layers.errors import NotFound
from layers.model import Layer, is_raster
from layers.parameters import AT
from layers.types import FEATURES, Form
from twin.http import answers, negotiate, past, respond
from twin.http.context import Context
from twin.http.formats import DOCUMENT, HTML, JSON
from twin.http.ogc.pygeoapi_host import Host
from twin.http.openapi_parts import answer, form, get
from twin.http.respond import Receive, Scope, Send
from twin.http.room import Past, Room, Route, Routes, RouteTarget

if TYPE_CHECKING:
    from twin.catalogue.view import View
    from twin.city import City

#: Rights and moment of a view; path, address of the API, language and form of a document.
type Key = tuple[tuple[str, int | None], str, str, str, str]
#: The layers, and the files of those that are rasters.
type State = tuple[list[Layer], list[str]]
#: Documents kept as bytes; each is good for as long as the layers, and the files of rasters, are those it was
#: made of.
KEPT = 64
#: The part of a path that stands for a layer.
LAYER = "{layer}"


@dataclass(frozen=True, slots=True)
class Document:
    """A document: where it is, what builds it, and what the API document says of it.

    ``build`` is called with the context, with the layer where the path has ``{layer}``, and with the other
    values of the path. ``schema`` names one of the API document. Its HTML form is the plain one (the JSON,
    readable) unless it has its own ``template``."""

    path: str
    build: Callable[..., dict[str, Any]]
    operation: str
    title: tuple[str, str]
    schema: str = "document"
    media: str = JSON
    template: str = "document.html"
    parameters: Sequence[Mapping[str, Any]] = ()
    #: The forms of layers that have it.
    forms: Collection[Form] = FEATURES
    #: The collection that it is of, where the path names it.
    collection: str | None = None
    #: Whether there is one of the city as it was.
    past: bool = False

    def describe(self, context: Context) -> dict[str, Any]:
        """Its path item, where it is of no layer."""
        return self._item(context, self.operation, self.collection or "city")

    def of_layers(self, context: Context) -> dict[str, dict[str, Any]]:
        """Its path items, one of each layer."""
        return {
            self.path.replace(LAYER, layer.id): self._item(context, f"{layer.id}.{self.operation}", layer.id)
            for layer in context.view.layers()
            if layer.form in self.forms
        }

    def layer(self, view: View, layer_id: str) -> Layer:
        """The layer that it is of. Raises NotFound, for a layer of another form too."""
        if self.forms == FEATURES:
            return view.feature_layer(layer_id)
        layer = view.layer(layer_id)
        if layer.form not in self.forms:
            raise NotFound(f"layer {layer.id} is of the form {layer.form}, which has none of this")
        return layer

    def _item(self, context: Context, operation: str, tag: str) -> dict[str, Any]:
        summary = context.say(*self.title)
        path_item = {
            "get": get(operation, tag, summary, answer(summary, {self.media: self.schema}), [form(DOCUMENT)])
        }
        return path_item | ({"parameters": list(self.parameters)} if self.parameters else {})


@dataclass(slots=True)
class Pages:
    """Answers for documents; one object a server."""

    city: City
    host: Host
    #: The rooms of the server, to which links lead.
    rooms: Sequence[Room] = ()
    _cache: dict[Key, tuple[State, bytes]] = field(default_factory=dict)
    _find: Callable[[str], tuple[RouteTarget, list[str]]] | None = None

    def route(self, document: Document, *, slash: bool = False) -> Route:
        """The route of a document."""

        async def give(scope: Scope, receive: Receive, send: Send, *values: str) -> None:
            await self._give(scope, send, document, values)

        methods = {"GET": give}
        past_: Past | None = "fresh" if document.past else None
        if LAYER in document.path:
            return Route(document.path, methods, describe_all=document.of_layers, slash=slash, past=past_)
        return Route(document.path, methods, document.describe, slash=slash, past=past_)

    async def _give(self, scope: Scope, send: Send, document: Document, values: Sequence[str]) -> None:
        city = self.city
        f = respond.query_map(scope, ("f", AT.name) if document.past else ("f",)).get("f")
        kind = negotiate.representation(scope, f, DOCUMENT).name
        lang = negotiate.language(scope, city.settings.languages)
        path = scope["path"].removeprefix("/ogc").rstrip("/")
        view = past.view(city, scope)
        context = Context(city, view, respond.base_url(city, scope) + "/ogc", lang, path)
        key = (view.key, path, context.base, lang, kind)
        read = city.read if view.moment is None else city.aside
        body = await read(self._cached, key, view)
        if body is None:
            body = await city.aside(self._made, key, context, document, values)
        await answers.give_document(scope, send, body, HTML if kind == "html" else document.media, lang)

    def _cached(self, key: Key, view: View) -> bytes | None:
        cached = self._cache.get(key)
        return cached[1] if cached is not None and cached[0] == self._state(view) else None

    def _state(self, view: View) -> State:
        layers, states = view.layers(), self.city.profiles.states
        return layers, [states.of(layer) for layer in layers if is_raster(layer)]

    def _made(self, key: Key, context: Context, document: Document, values: Sequence[str]) -> bytes:
        state = self._state(context.view)
        body = self._render(context, document, values, key[-1])
        if context.lacks:
            return body
        while len(self._cache) >= KEPT:
            self._cache.pop(next(iter(self._cache)), None)
        self._cache[key] = state, body
        return body

    def _render(self, context: Context, document: Document, values: Sequence[str], kind: str) -> bytes:
        shown: dict[str, Any] = {}
        if LAYER in document.path:
            layer = document.layer(context.view, values[0])
            body = document.build(context, layer, *values[1:])
            shown = {"layer_id": layer.id, "page": document.path.rsplit("/", 1)[-1]}
        else:
            body = document.build(context, *values)
            if document.collection is not None:
                shown = {"layer_id": document.collection, "page": document.path.rsplit("/", 1)[-1]}
        body = past.pinned(body, context, self._route)
        if kind == "json":
            return orjson.dumps(body)
        whole = {
            **body,
            **shown,
            "path": context.path,
            "heading": body.get("title") or context.path.rsplit("/", 1)[-1],
            "json": orjson.dumps(body, option=orjson.OPT_INDENT_2).decode(),
        }
        return self.host.page(context, document.template, whole)

    def _route(self, path: str) -> Route | None:
        """The route of a path, which a link names."""
        if self._find is None:
            self._find = Routes(self.rooms).find
        try:
            return self._find(path)[0].route
        except NotFound:
            return None
