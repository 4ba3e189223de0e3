"""``/ogc/collections/{id}/items/{fid}/related``: the parts of a feature, that of which it is a part, and the
dossier of a building; ``/ogc/dossiers?code=`` finds the building.

Nothing of it is stored: it follows from the features as they are at this moment (:mod:`tiles.relations`,
:mod:`twin.dossier`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from layers import kinds
from layers.parameters import AT, Parameter
from layers.types import LIVE_LAYERS
from twin.http import answers, negotiate, past, respond
from twin.http.context import Context, Link, link
from twin.http.formats import GEOJSON, JSON
from twin.http.ogc.ids import feature_id
from twin.http.openapi_parts import array_of, get, object_of, ok, path_parameter, reference
from twin.http.respond import Receive, Scope, Send
from twin.http.room import Paths, Room, Route, Site
from twin.live import clock

if TYPE_CHECKING:
    from layers.model import Layer
    from tiles.relations import Feature
    from twin.catalogue.view import View
    from twin.city import City
    from twin.dossier import Building, Dossier, Group, Member

#: Relation types of DCMI Metadata Terms.
HAS_PART, IS_PART_OF = "http://purl.org/dc/terms/hasPart", "http://purl.org/dc/terms/isPartOf"
_ITEM = "/ogc/collections/{}/items/{}"
#: Characters of a code.
LONGEST = 200


def _code(text: str) -> str:
    if not text.strip() or len(text.strip()) > LONGEST:
        raise ValueError(f"required: 1 to {LONGEST} characters")
    return text.strip()


CODE = Parameter(
    "code",
    "The code of a building: its source id or building_code, or what its parts give as building_id.",
    {"type": "string", "minLength": 1, "maxLength": LONGEST},
    _code,
)


def make(site: Site) -> Sequence[Room]:
    """What is related with a feature, and buildings by their code."""
    city = site.city

    def context(scope: Scope) -> Context:
        lang = negotiate.language(scope, city.settings.languages)
        base, path = respond.base_url(city, scope) + "/ogc", scope["path"].removeprefix("/ogc")
        return Context(city, past.view(city, scope), base, lang, path)

    async def related(scope: Scope, receive: Receive, send: Send, layer: str, feature: str) -> None:
        if scope["query_string"]:
            respond.query_map(scope, (AT.name,))
        fid = feature_id(layer, feature)
        asked = context(scope)
        building = await city.aside(_building, asked.view, layer, fid)
        with ExitStack() as read:
            live = {} if building is None else await _live(city, asked.view, read)
            body = await city.aside(_document, asked, layer, fid, building, live)
        await answers.give_document(scope, send, body, JSON, asked.lang)

    async def dossiers(scope: Scope, receive: Receive, send: Send) -> None:
        query = respond.query_values(scope, {one.name: one for one in (CODE, AT)})
        code = query.get(CODE.name) or CODE.read("")
        asked = context(scope)
        await answers.give_document(scope, send, await city.aside(_found, asked, code), JSON, asked.lang)

    item = Route(
        _ITEM.format("{layer}", "{feature}") + "/related",
        {"GET": related},
        describe_all=_describe,
        past="fresh",
    )
    coded = Route("/ogc/dossiers", {"GET": dossiers}, _describe_dossiers, past="fresh")
    title = ("Wholes, parts and dossiers", "整体、部件与档案")
    return (Room("related", title, (item, coded), _landing, collection=_links),)


async def _live(city: City, view: View, read: ExitStack) -> Mapping[str, View]:
    """The live layers of the view's moment; those of an instant are given back when ``read`` ends."""
    layers = city.live_layers
    if view.moment is None:
        for layer in LIVE_LAYERS:
            await city.sense(layers.refresh, layer)
        return dict.fromkeys(LIVE_LAYERS, layers.view())
    at, out = clock.parse(view.moment.at, AT.name), {}
    for layer in LIVE_LAYERS:
        instant = await city.sense(layers.at, layer, at)
        read.callback(instant.close)
        out[layer] = instant.view
    return out


def _building(view: View, layer_id: str, fid: int) -> Building | None:
    """Raises NotFound."""
    from twin import dossier

    view.revision(layer_id, fid)
    view.make_tiles().freshness.update()
    return dossier.building(view, layer_id, fid)


def _document(
    context: Context, layer_id: str, fid: int, building: Building | None, live: Mapping[str, View]
) -> bytes:
    relations = context.view.make_tiles().relations
    whole = relations.whole(layer_id, fid)
    links = [
        link("self", f"{context.base}{context.path}", JSON, context.say("This document", "本文档")),
        _link(context, "up", (layer_id, fid)),
        *([_link(context, IS_PART_OF, whole)] if whole is not None else []),
        *(_link(context, HAS_PART, part) for part in relations.parts(layer_id, fid)),
    ]
    if building is None:
        return orjson.dumps({"links": links})
    from twin import dossier

    return orjson.dumps({"links": links, "dossier": _told(context, dossier.of(context.view, live, building))})


def _told(context: Context, one: Dossier) -> dict[str, Any]:
    storeys = [
        {"number": each.number, "name": each.name, "elevation_m": each.elevation, "parts": each.parts}
        for each in one.storeys
    ]
    groups = {name: _group(context, group) for name, group in one.groups.items()}
    facts = {"properties": dict(one.properties)} if one.whole is not None else {}
    return {"code": one.code, **facts, "storeys": storeys, "groups": groups}


def _group(context: Context, group: Group) -> dict[str, Any]:
    title = negotiate.text(group.title, context.lang, "")
    members = [_member(context, member) for member in group.members]
    return {"title": title, "numberMatched": group.count, "numberReturned": len(members), "members": members}


def _member(context: Context, member: Member) -> dict[str, Any]:
    layer = member.layer
    told = {
        "layer": layer.id,
        "id": member.fid,
        "title": member.title or f"{context.title(layer)} {member.fid}",
        "belongs": member.how,
        "href": _href(context, (layer.id, member.fid)),
    }
    if member.distance is not None:
        told["distance_m"] = member.distance
    if member.how != "part" and member.properties:
        told["properties"] = dict(member.properties)
    return told


def _found(context: Context, code: str) -> bytes:
    from twin import dossier

    features = dossier.by_code(context.view, code)
    here = link("self", f"{context.base}{context.path}?code={quote(code)}", JSON, code)
    return orjson.dumps({"code": code, "links": [here, *_leading(context, features)]})


def _leading(context: Context, features: Sequence[Feature]) -> Iterator[Link]:
    for layer_id, fid in features:
        yield _link(context, "item", (layer_id, fid))
        title = context.say("Its dossier", "其档案")
        yield link("related", _href(context, (layer_id, fid), "/related"), JSON, title)


def _href(context: Context, feature: Feature, behind: str = "") -> str:
    href = f"{context.base}/collections/{feature[0]}/items/{feature[1]}{behind}"
    moment = context.view.moment
    return href if moment is None else past.with_at(href, moment.name)


def _link(context: Context, rel: str, feature: Feature) -> Link:
    layer_id, fid = feature
    title = f"{context.title(context.view.layer(layer_id))} {fid}"
    return link(rel, _href(context, feature), GEOJSON, title)


def _landing(context: Context) -> list[Link]:
    href = f"{context.base}/dossiers?code={{code}}"
    title = context.say("The dossier of a building, by its code", "按编码查询建筑档案")
    return [link("related", href, JSON, title, templated=True)]


def _links(context: Context, layer: Layer) -> list[Link]:
    if not kinds.may_relate(layer.kind):
        return []
    href = f"{context.base}/collections/{layer.id}/items/{{featureId}}/related"
    title = context.say("The parts of a feature, and its whole", "要素的部件与所属整体")
    return [link("related", href, JSON, title, templated=True)]


def _describe(context: Context) -> Paths:
    summary = context.say("The parts of a feature, and that of which it is one", "要素的部件及其所属整体")
    members = {"links": array_of(reference("link")), "dossier": {"type": "object"}}
    answer = ok(summary, {JSON: object_of(members, "links")})
    fid = path_parameter("featureId", {"type": "integer", "format": "int64"}, "The feature's id")
    paths: dict[str, dict[str, Any]] = {}
    for layer in context.view.layers():
        if kinds.may_relate(layer.kind):
            operation = get(f"{layer.id}.getRelated", layer.id, summary, answer, [fid])
            paths[_ITEM.format(layer.id, "{featureId}") + "/related"] = {"get": operation}
    return paths


def _describe_dossiers(context: Context) -> dict[str, Any]:
    summary = context.say("Buildings by code, with links to their dossiers", "按编码查询建筑及其档案链接")
    members = {"code": {"type": "string"}, "links": array_of(reference("link"))}
    answer = ok(summary, {JSON: object_of(members, "code links")})
    given = CODE.openapi() | {"required": True}
    return {"get": get("getDossiers", "related", summary, answer, [given])}
