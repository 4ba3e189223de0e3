"""``/ogc/collections/{id}/items/{fid}/related``: the parts of a feature, and that of which it is a part.

Nothing of it is stored: it follows from the features as they are at this moment (:mod:`tiles.relations`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson

from layers import kinds
from layers.parameters import AT
from twin.http import answers, negotiate, past, respond
from twin.http.context import Context, Link, link
from twin.http.formats import GEOJSON, JSON
from twin.http.ogc.ids import feature_id
from twin.http.openapi_parts import array_of, get, object_of, ok, path_parameter, reference
from twin.http.respond import Receive, Scope, Send
from twin.http.room import Paths, Room, Route, Site

if TYPE_CHECKING:
    from layers.model import Layer
    from tiles.relations import Feature

#: Relation types of DCMI Metadata Terms.
HAS_PART, IS_PART_OF = "http://purl.org/dc/terms/hasPart", "http://purl.org/dc/terms/isPartOf"
_ITEM = "/ogc/collections/{}/items/{}"


def make(site: Site) -> Sequence[Room]:
    """The one route."""
    city = site.city

    async def related(scope: Scope, receive: Receive, send: Send, layer: str, feature: str) -> None:
        if scope["query_string"]:
            respond.query_map(scope, (AT.name,))
        fid = feature_id(layer, feature)
        lang = negotiate.language(scope, city.settings.languages)
        base, path = respond.base_url(city, scope) + "/ogc", scope["path"].removeprefix("/ogc")
        context = Context(city, past.view(city, scope), base, lang, path)
        body = await city.aside(_document, context, layer, fid)
        await answers.give_document(scope, send, body, JSON, lang)

    route = Route(
        _ITEM.format("{layer}", "{feature}") + "/related",
        {"GET": related},
        describe_all=_describe,
        past="fresh",
    )
    return (Room("related", ("Wholes and parts", "整体与部件"), (route,), collection=_links),)


def _document(context: Context, layer_id: str, fid: int) -> bytes:
    """Raises NotFound."""
    context.view.revision(layer_id, fid)
    tiles = context.view.make_tiles()
    tiles.freshness.update()
    whole = tiles.relations.whole(layer_id, fid)
    links = [
        link("self", f"{context.base}{context.path}", JSON, context.say("This document", "本文档")),
        _link(context, "up", (layer_id, fid)),
        *([_link(context, IS_PART_OF, whole)] if whole is not None else []),
        *(_link(context, HAS_PART, part) for part in tiles.relations.parts(layer_id, fid)),
    ]
    return orjson.dumps({"links": links})


def _link(context: Context, rel: str, feature: Feature) -> Link:
    layer_id, fid = feature
    href = f"{context.base}/collections/{layer_id}/items/{fid}"
    if context.view.moment is not None:
        href = past.with_at(href, context.view.moment.name)
    return link(rel, href, GEOJSON, f"{context.title(context.view.layer(layer_id))} {fid}")


def _links(context: Context, layer: Layer) -> list[Link]:
    if not kinds.may_relate(layer.kind):
        return []
    href = f"{context.base}/collections/{layer.id}/items/{{featureId}}/related"
    title = context.say("The parts of a feature, and its whole", "要素的部件与所属整体")
    return [link("related", href, JSON, title, templated=True)]


def _describe(context: Context) -> Paths:
    summary = context.say("The parts of a feature, and that of which it is one", "要素的部件及其所属整体")
    answer = ok(summary, {JSON: object_of({"links": array_of(reference("link"))}, "links")})
    fid = path_parameter("featureId", {"type": "integer", "format": "int64"}, "The feature's id")
    paths: dict[str, dict[str, Any]] = {}
    for layer in context.view.layers():
        if kinds.may_relate(layer.kind):
            operation = get(f"{layer.id}.getRelated", layer.id, summary, answer, [fid])
            paths[_ITEM.format(layer.id, "{featureId}") + "/related"] = {"get": operation}
    return paths
