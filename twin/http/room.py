"""A room: one API of the server, declared in one place.

It says its routes, the links by which the landing page and the collections name it, its conformance
classes and its paths in the API document. Dispatch, landing page, collections, conformance and the API
document are made of these declarations, so they are true by construction."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from layers.errors import NotFound, shown
from layers.model import has_features
from layers.parameters import AT
from twin.http import answers
from twin.http.context import Context, Link
from twin.http.errors import WrongMethod
from twin.http.openapi_parts import errors
from twin.http.respond import Headers, Scope, Send

if TYPE_CHECKING:
    from layers.model import FeatureLayer, Layer
    from twin.city import City

#: Called with scope, receive, send and the values of the path, in its order.
type Handler = Callable[..., Awaitable[None]]
#: Called with scope and the values of the path: the methods that this resource has for this caller.
type Allow = Callable[..., Awaitable[Collection[str]]]
#: An OpenAPI path item, by path.
type Paths = Mapping[str, Mapping[str, Any]]
#: The links of one layer, of whatever form.
type LinksOfLayer = Callable[[Context, Layer], list[Link]]
#: What a room says of a layer in its collection, beside links.
type MembersOfLayer = Callable[[Context, Layer], Mapping[str, Any]]
type Make = Callable[[Site], Sequence[Room]]
#: What can be read as it was: ``fixed``, made of rows of the store alone and so the same for ever, or
#: ``fresh``, made of settings, titles or files too; or ``live``, of what is no part of the store, which the
#: handler makes of the instant. See :mod:`twin.http.past`.
type Past = Literal["fixed", "fresh", "live"]

READING = ("GET", "HEAD", "OPTIONS")
#: How Allow lists methods.
METHODS = (*READING, "POST", "PUT", "PATCH", "DELETE")
#: Request headers that a page of another origin may send.
_ASKED = (
    b"Accept, Accept-Datetime, Accept-Language, Authorization, If-None-Match, If-Range, Last-Event-ID, "
    b"Range, X-Api-Key"
)
_PREFLIGHT: Headers = [
    (b"access-control-allow-methods", ", ".join(READING).encode()),
    (b"access-control-allow-headers", _ASKED),
    (b"access-control-max-age", b"86400"),
]
_VALUE = re.compile(r"\{(\w+)(\.\.\.)?\}(?:\.(\w+))?")


def always(path: str) -> bool:
    """Whatever the path."""
    return True


def never(path: str) -> bool:
    """Not whatever the path."""
    return False


@dataclass(frozen=True, slots=True)
class Route:
    """Resources at one template of paths.

    A part ``{name}`` of the path is one segment of any text, ``{name}.ext`` a last one with that
    extension, ``{name...}`` all that follows, slashes too. GET serves HEAD; OPTIONS and the refusal of
    other methods are the dispatcher's. ``allow`` is there where not every resource has every method.
    ``describe`` gives the path item of the template for the API document, ``describe_all`` several;
    a route with neither is no part of an API. ``takes`` has the media type of the body by method."""

    path: str
    methods: Mapping[str, Handler]
    describe: Callable[[Context], Mapping[str, Any]] | None = None
    describe_all: Callable[[Context], Paths] | None = None
    allow: Allow | None = None
    takes: Mapping[str, str] = field(default_factory=dict)
    #: Whether the path with a slash behind it is the same resource.
    slash: bool = False
    #: Whether the audit tells of what was written at a path; not where a change set does.
    told: Callable[[str], bool] = always
    #: Whether GET takes ``at``; what it reads is then :func:`twin.http.past.view`.
    past: Past | None = None

    def paths(self, context: Context) -> Paths:
        """What the API document says of it, by path as it is served."""
        if self.describe is not None:
            paths: Paths = {self.path: self.describe(context)}
        else:
            paths = self.describe_all(context) if self.describe_all is not None else {}
        return paths if self.past is None else {path: _with_at(item) for path, item in paths.items()}


def _with_at(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """A path item of which GET takes ``at``, and may find it no longer kept."""
    get = item["get"]
    given = [*get.get("parameters", []), AT.openapi()]
    answers_ = {**get["responses"], **errors(410)}
    return {**item, "get": {**get, "parameters": given, "responses": answers_}}


@dataclass(frozen=True, slots=True)
class EventStream:
    """An event stream at a route, for the AsyncAPI document: what it is, and by the name of each event what
    it tells (as text) and the schema of its data, written as in :attr:`Room.schemas`."""

    path: str
    title: str
    events: Mapping[str, tuple[str, Mapping[str, Any]]]


def _no_streams(context: Context) -> list[EventStream]:
    return []


def _no_links(context: Context) -> list[Link]:
    return []


def _no_links_of_layer(context: Context, layer: Layer) -> list[Link]:
    return []


def _no_members(context: Context, layer: Layer) -> Mapping[str, Any]:
    return {}


def of_features(links: Callable[[Context, FeatureLayer], list[Link]]) -> LinksOfLayer:
    """The links of a layer that has features; none of one of another form."""

    def of_layer(context: Context, layer: Layer) -> list[Link]:
        return links(context, layer) if has_features(layer) else []

    return of_layer


def _no_collections(context: Context) -> list[dict[str, Any]]:
    return []


def _no_schemas(context: Context) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Room:
    """One API: ``title`` in English and Chinese, conformance classes as URIs, ``schemas`` for
    ``components.schemas`` of the API document."""

    name: str
    title: tuple[str, str]
    routes: tuple[Route, ...]
    landing: Callable[[Context], list[Link]] = _no_links
    collection: LinksOfLayer = _no_links_of_layer
    conformance: tuple[str, ...] = ()
    schemas: Callable[[Context], Mapping[str, Any]] = _no_schemas
    #: Collections that are no layers of the store, as the collections document has them.
    collections: Callable[[Context], list[dict[str, Any]]] = _no_collections
    #: Members of the collection of a layer; objects are joined with those of other rooms.
    members: MembersOfLayer = _no_members
    #: Those of its routes that answer with event streams.
    streams: Callable[[Context], Sequence[EventStream]] = _no_streams


@dataclass(slots=True)
class Site:
    """A city as it is served: every room is made of it, and finds the others in it when it is asked."""

    city: City
    rooms: list[Room] = field(default_factory=list)


class RouteTarget:
    """A route made ready: its handlers by method, HEAD among them."""

    __slots__ = ("handlers", "route")

    def __init__(self, route: Route) -> None:
        self.route = route
        self.handlers = dict(route.methods)
        if "GET" in self.handlers:
            self.handlers["HEAD"] = self.handlers["GET"]

    async def other(self, scope: Scope, send: Send, values: Sequence[str]) -> None:
        """Answer OPTIONS. Raises WrongMethod for a method that has no handler.

        Pages of other origins may read; their writes are refused, so none is announced to a preflight, which
        no page of our own sends."""
        route = self.route
        methods: Collection[str] = self.handlers
        if route.allow is not None:
            methods = await route.allow(scope, *values)
        allow = allowed(methods)
        if scope["method"] != "OPTIONS":
            raise WrongMethod(scope["method"], allow)
        headers: Headers = [
            (b"allow", allow.encode()),
            *_PREFLIGHT,
        ]
        for method, media in route.takes.items():
            if method in methods and method in ("POST", "PATCH"):
                headers.append((f"accept-{method.lower()}".encode(), media.encode()))
        await answers.send(send, 200, b"", headers)


def allowed(methods: Collection[str]) -> str:
    """The value of Allow: what is read has HEAD, and everything has OPTIONS."""
    have = {*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
    return ", ".join(method for method in METHODS if method in have)


class _Node:
    __slots__ = ("any", "by_extension", "depth", "fixed", "tail", "target")

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.fixed: dict[str, _Node] = {}
        self.any: _Node | None = None
        self.target: RouteTarget | None = None
        self.by_extension: dict[str, RouteTarget] = {}
        self.tail: RouteTarget | None = None


class Routes:
    """Finds the route of a path: a tree of its segments, so as many look-ups as the path has parts."""

    def __init__(self, rooms: Iterable[Room]) -> None:
        self._root = _Node(1)
        for room in rooms:
            for route in room.routes:
                self._add(route)

    def _add(self, route: Route) -> None:
        target, node = RouteTarget(route), self._root
        for segment in route.path.split("/")[1:]:
            value = _VALUE.fullmatch(segment)
            if value is None:
                node = node.fixed.setdefault(segment, _Node(node.depth + 1))
                continue
            _, rest, extension = value.groups()
            if rest:
                node.tail = target
                return
            if node.any is None:
                node.any = _Node(node.depth + 1)
            node = node.any
            if extension:
                node.by_extension[extension] = target
                return
        if node.target is not None:
            raise ValueError(f"two routes have the path {route.path}")
        node.target = target
        if route.slash:
            node.fixed.setdefault("", _Node(node.depth + 1)).target = target

    def find(self, path: str) -> tuple[RouteTarget, list[str]]:
        """The route of a path and the values of its template. Raises NotFound."""
        node = self._root
        values: list[str] = []
        parts = path.split("/")
        for segment in parts[1:]:
            below = node.fixed.get(segment)
            if below is None:
                below = node.any if segment else None
                if below is None:
                    if node.tail is not None:
                        return node.tail, [*values, "/".join(parts[node.depth :])]
                    return self._tail(path, parts)
                values.append(segment)
            node = below
        if node.by_extension:
            name, _, extension = parts[-1].rpartition(".")
            by_extension = node.by_extension.get(extension)
            if by_extension is not None and name:
                values[-1] = name
                return by_extension, values
        if node.target is not None:
            return node.target, values
        return self._tail(path, parts)

    def _tail(self, path: str, parts: list[str]) -> tuple[RouteTarget, list[str]]:
        """The nearest route that takes all that follows."""
        node: _Node | None = self._root
        best: tuple[RouteTarget, list[str]] | None = None
        values: list[str] = []
        for segment in (*parts[1:], ""):
            if node is None:
                break
            if node.tail is not None:
                best = node.tail, [*values, "/".join(parts[node.depth :])]
            below = node.fixed.get(segment)
            if below is None and node.any is not None and segment:
                below = node.any
                values.append(segment)
            node = below
        if best is None:
            raise NotFound(f"there is nothing at {shown(path)}")
        return best
