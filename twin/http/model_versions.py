"""Model versions of a layer: the list, what is different in one, and which is to be the current one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from layers.errors import BadBody, NotFound, Stale, Unconditional
from layers.model import Author, FeatureLayer
from layers.models.versions import current, find, state, versions
from layers.parameters import PARAMETERS as OF_ITEMS
from layers.parameters import Parameter, between
from twin.access import caller
from twin.access.caller import CALLER
from twin.http import answers, author, etags, jobs, respond
from twin.http.answers import Header
from twin.http.context import Context, Link, link
from twin.http.formats import GEOJSON, JSON
from twin.http.ogc import change_forms, links
from twin.http.openapi_parts import TEXT, array_of, get, header_parameter, object_of, ok, reference, write
from twin.http.respond import Receive, Scope, Send
from twin.http.room import Paths, Room, Route, Site, of_features

if TYPE_CHECKING:
    from layers.models.diff import ElementChange
    from twin.catalogue.view import View
    from twin.city import City

_BASE = "/ogc/collections/{}/model-versions"
LIMIT, DEFAULT, BODY_BYTES = 1_000, 100, 4_000
LONGEST = 200
_TITLE = ("Model versions", "模型版本")
_IF_MATCH = header_parameter(
    "If-Match",
    "The ETag of the versions, or of the difference, that was looked at. A layer whose locking is strict asks"
    " for it.",
    {"type": "string", "pattern": etags.TAGS},
)


def _text(text: str) -> str:
    if not text or len(text) > LONGEST or "\0" in text:
        raise ValueError(f"1 to {LONGEST} characters")
    return text


def _shape(text: str) -> str:
    if text not in ("json", "geojson"):
        raise ValueError("json or geojson")
    return text


_PARAMETERS = {
    one.name: one
    for one in (
        Parameter("to", "The version that is looked at, by its name; the newest without it.", TEXT, _text),
        Parameter("from", "The version that it is compared with; what is there now without it.", TEXT, _text),
        Parameter(
            "limit",
            "How many elements at most.",
            {"type": "integer", "minimum": 1, "maximum": LIMIT, "default": DEFAULT},
            between(1, LIMIT),
        ),
        Parameter(
            "bbox",
            "Only elements that meet this box, in either model.",
            OF_ITEMS["bbox"].schema,
            OF_ITEMS["bbox"].parse,
        ),
        # an element's id, however long it is
        Parameter("after", "Where a page begins: after this element; `next` links carry it.", TEXT, str),
        Parameter("f", "json or geojson.", TEXT | {"enum": ["json", "geojson"]}, _shape),
    )
}


def make(site: Site) -> Sequence[Room]:
    """The four routes."""
    versions = _Versions(site.city)
    base = _BASE.format("{layer}")
    routes = (
        Route(base, {"GET": versions.listed}, describe_all=_describe_list),
        Route(f"{base}/changes", {"GET": versions.changed}, describe_all=_describe_changes),
        Route(
            f"{base}/clashes",
            {"POST": versions.clashes},
            describe_all=_describe_clashes,
            takes={"POST": JSON},
            told=lambda path: False,  # it writes nothing
        ),
        Route(
            f"{base}/current",
            {"PUT": versions.make_current},
            describe_all=_describe_current,
            takes={"PUT": JSON},
            told=lambda path: False,  # its change set does
        ),
    )
    return (Room("model-versions", _TITLE, routes, collection=of_features(_links)),)


class _Versions:
    """What the routes answer."""

    def __init__(self, city: City) -> None:
        self._city = city

    async def listed(self, scope: Scope, receive: Receive, send: Send, layer_id: str) -> None:
        """The versions of a layer."""
        respond.query_map(scope, ())
        root = respond.base_url(self._city, scope)
        etag, document = await self._city.read(_list, self._city.catalogue.of(scope[CALLER]), root, layer_id)
        await answers.give_json(scope, send, document, [etag], vary=answers.VARY)

    async def changed(self, scope: Scope, receive: Receive, send: Send, layer_id: str) -> None:
        """What is different in one."""
        given = respond.query_values(scope, _PARAMETERS)
        view, gone = self._city.catalogue.of(scope[CALLER]), partial(respond.gone, receive)
        here = f"{respond.base_url(self._city, scope)}{scope['path']}"
        pairs = respond.query_pairs(scope)
        etag, document = await self._city.read(
            _changes, view, here, layer_id, given, pairs, heavy=True, gone=gone
        )
        media = answers.GEOJSON if given.get("f") == "geojson" else answers.JSON
        await answers.give_json(scope, send, document, [etag], media=media, vary=answers.VARY)

    async def make_current(self, scope: Scope, receive: Receive, send: Send, layer_id: str) -> None:
        """Make one current; with If-Match only where nothing has changed since that was read."""
        by = author.author(self._city, scope)
        respond.query_map(scope, ())
        name = _name(await respond.json_body(scope, receive, BODY_BYTES, JSON))
        view, root = self._city.catalogue.of(scope[CALLER]), respond.base_url(self._city, scope)
        if_match = respond.header(scope, b"if-match")
        await self._city.write_alone(_make_current, view, layer_id, name, if_match, by)
        etag, document = await self._city.read(_list, view, root, layer_id)
        await answers.give_json(scope, send, document, [etag], vary=answers.VARY)

    async def clashes(self, scope: Scope, receive: Receive, send: Send, layer_id: str) -> None:
        """Start a job that looks for clashes. It waits until it is done, whoever asks meanwhile, so that the
        one who starts it has a key, as who ends it."""
        respond.query_map(scope, ())
        view = self._city.catalogue.of(caller.named(scope, "starting a job"))
        await self._city.read(view.feature_layer, layer_id)
        body = await respond.json_body(scope, receive, BODY_BYTES, JSON)
        if not isinstance(body, dict) or not isinstance(name := body.get("version"), str):
            raise BadBody('a JSON object with the name of a version is needed: {"version": "v2"}')
        await self._city.read(find, view, layer_id, name)
        job = await self._city.jobs.start("clash", {**body, "layer": layer_id}, scope[CALLER])
        root = respond.base_url(self._city, scope)
        headers = [(b"location", f"{root}/ogc/jobs/{job.record.id}".encode())]
        await answers.give_json(scope, send, jobs.status(job.record, root), headers, 201)


def _name(body: Any) -> str:
    if not isinstance(body, dict) or set(body) != {"name"} or not isinstance(body["name"], str):
        raise BadBody('a JSON object with the name of a version is needed: {"name": "v2"}')
    return str(body["name"])


def _make_current(view: View, layer_id: str, name: str, if_match: str | None, by: Author) -> None:
    """Raises BadParameter, NotFound, Stale, and Unconditional where the layer's locking is strict."""
    layer = view.feature_layer(layer_id)
    if if_match is None or if_match.strip() == "*":
        if view.published(layer_id).strict:
            raise Unconditional(f"layer {layer_id} is changed only with If-Match: the ETag of model-versions")
        view.make_current(layer_id, name, by)
        return
    if not etags.holds(if_match, _etag(view, layer_id)):
        raise Stale(f"layer {layer_id} or its model versions have changed: look at the difference again")
    view.make_current(layer_id, name, by, layer.seq)


def _etag(view: View, layer_id: str) -> str:
    """What is there of a layer and its versions, as entity tag. Raises NotFound."""
    return f'"{state(view, layer_id)}"'


def _list(view: View, root: str, layer_id: str) -> tuple[Header, dict[str, Any]]:
    """Raises NotFound."""
    from twin import model_documents

    etag = _etag(view, layer_id)
    here, name = f"{root}{_BASE.format(layer_id)}", current(view.feature_layer(layer_id))
    return (b"etag", etag.encode()), {
        "modelVersions": [
            {
                **model_documents.version(one, name),
                "links": [link("collection", f"{root}/ogc/collections/{one.layer.id}", JSON, one.name)],
            }
            for one in versions(view, layer_id)
        ],
        "links": [
            link("self", here, JSON, "This document"),
            link("changes", f"{here}/changes", JSON, "Changes"),
        ],
    }


def _changes(
    view: View, here: str, layer_id: str, given: dict[str, Any], pairs: links.Pairs
) -> tuple[Header, dict[str, Any]]:
    """Raises NotFound, BadParameter."""
    from layers.diff import meets
    from layers.models.diff import ModelCounts, changes
    from twin import model_documents

    etag = _etag(view, layer_id)
    newest = versions(view, layer_id)[-1:]
    if "to" not in given and newest:
        given = given | {"to": newest[0].name}
        pairs = [*pairs, ("to", newest[0].name)]  # the next page is of the same
    new = find(view, layer_id, given["to"]).layer.id if "to" in given else layer_id
    old = find(view, layer_id, given["from"]).layer.id if "from" in given else layer_id
    counts, after, limit = ModelCounts(), given.get("after"), given.get("limit", DEFAULT)
    tell = _feature if given.get("f") == "geojson" else model_documents.change
    page: list[dict[str, Any]] = []  # told at once: bodies are not held for a page
    last = ""
    more = False
    box = given.get("bbox")
    for one in changes(view, old, view, new, counts, after=after):
        if box is not None and not meets(one, box):
            continue
        if len(page) < limit:
            page.append(tell(one, (old, new)))
            last = one.id
        else:
            more = True
            if after is not None:
                break  # the first page has counted
    document: dict[str, Any] = {"layers": {"old": old, "new": new}}
    if after is None:
        document["summary"] = model_documents.counted(counts)
    if given.get("f") == "geojson":
        document["type"] = "FeatureCollection"
        document["features"] = page
    else:
        document["changes"] = page
    links = _page_links(here, pairs, last if more else None)
    return (b"etag", etag.encode()), document | {"links": links}


def _feature(one: ElementChange, layers: tuple[str, str]) -> dict[str, Any]:
    from twin import model_documents

    told = model_documents.change(one, layers)
    document: dict[str, Any] = {
        "type": "Feature",
        "id": f"{told['layer']}.{told['id']}",
        "geometry": change_forms.geometry(one.new or one.old),
        "properties": told,
    }
    if one.kind == "moved" or one.shape_changed:
        document["oldGeometry"] = change_forms.geometry(one.old)
    return document


def _page_links(here: str, pairs: links.Pairs, after: str | None) -> list[Link]:
    found = [link("self", links.href(here, links.encoded(pairs)), JSON, "This document")]
    if after is not None:
        others = [pair for pair in pairs if pair[0] != "after"]
        href = links.href(here, links.encoded([*others, ("after", after)]))
        found.append(link("next", href, JSON, "More elements"))
    return found


# what the documents say of it


def _links(context: Context, layer: FeatureLayer) -> list[Link]:
    of = layer.version_of
    if of is not None:
        try:
            context.view.layer(of)
        except NotFound:
            return []  # it was dropped, and its versions stay
        title = context.say("The layer of which it is a model version", "所属图层")
        # RFC 5829, 3.1
        return [link("latest-version", f"{context.base}/collections/{of}", JSON, title)]
    if layer.kind != "cim":
        return []
    return [link("version-history", f"{context.root}{_BASE.format(layer.id)}", JSON, context.say(*_TITLE))]


def _layers(context: Context) -> list[FeatureLayer]:
    return [layer for layer in context.view.feature_layers() if layer.version_of is None]


_VERSION = object_of(
    {
        "name": TEXT,
        "number": {"type": "integer"},
        "layer": TEXT,
        "elements": {"type": "integer"},
        "current": {"type": "boolean"},
        "links": array_of(reference("link")),
    },
    "name number layer elements current links",
)
_LIST = object_of(
    {"modelVersions": array_of(_VERSION), "links": array_of(reference("link"))}, "modelVersions links"
)


def _describe_list(context: Context) -> Paths:
    title = context.say(*_TITLE)
    return {
        _BASE.format(layer.id): {
            "get": get(f"{layer.id}.getModelVersions", layer.id, title, ok(title, {JSON: _LIST}), [])
        }
        for layer in _layers(context)
    }


def _describe_changes(context: Context) -> Paths:
    title = context.say("What is different in a model version, by element", "模型版本差异（按构件）")
    answer = ok(title, {JSON: {"type": "object"}, GEOJSON: "featureCollection"})
    given = [one.openapi() for one in _PARAMETERS.values()]
    return {
        f"{_BASE.format(layer.id)}/changes": {
            "get": get(f"{layer.id}.getModelChanges", layer.id, title, answer, given)
        }
        for layer in _layers(context)
    }


def _describe_current(context: Context) -> Paths:
    title = context.say("Make a model version the current one", "将模型版本设为当前版本")
    body = {JSON: object_of({"name": TEXT}, "name") | {"additionalProperties": False}}
    done = {"200": ok(title, {JSON: _LIST})}
    return {
        f"{_BASE.format(layer.id)}/current": {
            "put": write(
                f"{layer.id}.makeCurrent",
                layer.id,
                title,
                done,
                body,
                [author.PARAMETER, _IF_MATCH],
                (412, 428),
            )
        }
        for layer in _layers(context)
    }


def _describe_clashes(context: Context) -> Paths:
    title = context.say("Where a model version is in the way of something", "模型版本碰撞检查")
    body = object_of(
        {
            "version": TEXT,
            "beside": array_of(TEXT),
            "tolerance_m": {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 1},
            "clearance_m": {"type": "number", "minimum": 0, "maximum": 10, "default": 0},
        },
        "version",
    )
    begun = ok(title, {JSON: "job"})
    return {
        f"{_BASE.format(layer.id)}/clashes": {
            "post": write(
                f"{layer.id}.findClashes",
                layer.id,
                title,
                {"201": begun},
                {JSON: body | {"additionalProperties": False}},
            )
        }
        for layer in _layers(context)
    }
