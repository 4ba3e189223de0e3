"""What changed between two moments, of a layer or of the city, and the change sets that did it.

Everybody who sees a layer is told what changed of it, when and through what; by whom and why, callers who may
edit, since that names people."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from layers.errors import BadParameter, Gone, NotAllowed, NotFound
from layers.model import ChangeSet, Moment
from layers.parameters import Parameter
from twin.access.caller import CALLER
from twin.catalogue.changed import Asked, Found, Place, find, some
from twin.http import answers, etags, negotiate, readable, respond
from twin.http.context import Link, link, link_header
from twin.http.formats import Representation
from twin.http.ogc import change_documents as documents
from twin.http.ogc import change_forms, links, undo
from twin.http.respond import Headers, Receive, Scope, Send
from twin.http.room import Room, Route, Site, of_features

if TYPE_CHECKING:
    from layers.types import Bbox
    from twin.catalogue.view import View
    from twin.city import City

#: Change sets that the store is asked for at a time, where those up to a moment are looked for.
_SETS_AT_ONCE = 1_000
#: Change sets of a page that are held against a box.
_HELD_AT_ONCE = 200


def room(site: Site) -> Room:
    """The routes of changes and change sets."""
    city = site.city

    async def of_city(scope: Scope, receive: Receive, send: Send) -> None:
        await _changes(city, scope, receive, send, None)

    async def of_layer(scope: Scope, receive: Receive, send: Send, layer_id: str) -> None:
        await _changes(city, scope, receive, send, layer_id)

    async def sets(scope: Scope, receive: Receive, send: Send) -> None:
        await _sets(city, scope, receive, send)

    return Room(
        "changes",
        ("What changed", "变更"),
        (
            Route("/ogc/changes", {"GET": of_city}, describe=documents.describe),
            Route("/ogc/change-sets", {"GET": sets}, describe=documents.describe_sets),
            Route("/ogc/collections/{layer}/changes", {"GET": of_layer}, describe_all=documents.describe_all),
        ),
        landing=documents.landing,
        collection=of_features(documents.of_layer),
        schemas=lambda context: {"changes": documents.CHANGES, "changeSet": documents.SET},
    )


# -- what changed -------------------------------------------------------------------------------


async def _changes(city: City, scope: Scope, receive: Receive, send: Send, layer_id: str | None) -> None:
    given = respond.query_values(scope, documents.PARAMETERS | {"f": Parameter("f", "", {}, str)})
    own = negotiate.representation(scope, given.get("f"), documents.OFFER)
    named = _named(scope, given)
    view = city.catalogue.of(scope[CALLER])
    gone = partial(respond.gone, receive)
    form = None if own is documents.AS_HTML else f"{own.name}{'.named' * named}"
    held = respond.header(scope, b"if-none-match")
    asked, etag, found = await city.read(_find, view, layer_id, given, form, held, heavy=True, gone=gone)
    # what is told of people is kept by nobody but who asked for it
    keep: Headers = [answers.UNKEPT] if named else []
    if found is None:
        await answers.not_modified(send, f"W/{etag}", answers.VARY, *keep)
        return
    keep += [] if etag is None else [(b"etag", f"W/{etag}".encode())]
    here = f"{respond.base_url(city, scope)}{scope['path']}"
    pairs = [pair for pair in respond.query_pairs(scope) if pair[0] not in ("f", "after", "to")]
    if "set" not in given:
        pairs.append(("to", f"@{asked.last.seq}"))  # the next page is of the same moments
    after = None if found.following is None else f"{found.following[0]}.{found.following[1]}"
    own_links = _page_links(here, pairs, own, after)
    if own is documents.AS_CSV:
        body = change_forms.table(found.changes, named)
        headers: Headers = [(b"content-type", b"text/csv; charset=utf-8; header=present")]
        headers += [(b"link", link_header(own_links)), answers.VARY, *keep]
        await answers.give(scope, send, (body,), headers)
        return
    document = _document(asked, found, named, own_links, geojson=own is documents.AS_GEOJSON)
    if own is documents.AS_HTML:
        plain = links.href(here, links.encoded(pairs), "f=json")
        await readable.give(city, scope, send, ("What changed", "变更"), document, plain, own_links, keep)
        return
    media = answers.GEOJSON if own is documents.AS_GEOJSON else answers.JSON
    await answers.give_json(scope, send, document, keep, media=media, vary=answers.VARY)


def _named(scope: Scope, given: dict[str, Any]) -> bool:
    """Whether people are named to the caller. Raises NotAllowed where one is asked for who may not."""
    named = "edit" in scope[CALLER].may
    if "actor" in given and not named:
        raise NotAllowed("actor: who changed what is told to keys that may edit")
    return named


def _find(
    view: View, layer_id: str | None, given: dict[str, Any], form: str | None, held: str | None
) -> tuple[Asked, str | None, Found | None]:
    """What is asked, the entity tag of the answer in a form (None where it has none), and what is found: None
    where who asks holds that, as If-None-Match has it."""
    asked = _asked(view, layer_id, given)
    etag = None if form is None else _etag(view, asked, form)
    if etag is not None and etags.matches(held, etag) and _was(view, asked):
        return asked, etag, None
    return asked, etag, find(view, asked)


def _etag(view: View, asked: Asked, form: str) -> str | None:
    """What an answer is known by that is of two numbers of the log and will be no other; None where the last
    is the newest change set, which may still grow. (What of it is no longer kept one day was true.)"""
    return etags.tag(f"{view.epoch}-{asked.first.seq}", asked.last.seq, form) if asked.last.fixed else None


def _was(view: View, asked: Asked) -> bool:
    """Whether a layer that is asked of is, or was, seen."""
    for layer_id in asked.layers or ():
        for end in (view.present, view.present.at(asked.last), view.present.at(asked.first)):
            with suppress(Gone, NotFound):
                end.feature_layer(layer_id)
                return True
    return asked.layers is None


def _asked(view: View, layer_id: str | None, given: dict[str, Any]) -> Asked:
    if layer_id is not None and not given.keys() & {"from", "set"}:
        view.feature_layer(layer_id)  # that there is none goes before what the request lacks
    first, last = _moments(view, given, layer_id)
    after: Place | None = given.get("after")
    if after is not None and layer_id is not None and after[0] != layer_id:
        raise BadParameter("after", ".".join(map(str, after)), f"a place in layer {layer_id}")
    return Asked(
        first=first,
        last=last,
        layers=None if layer_id is None else [layer_id],
        actor=given.get("actor"),
        bbox=given.get("bbox"),
        limit=given.get("limit", documents.DEFAULT),
        after=after,
    )


def _newest(view: View, layer_id: str | None) -> tuple[Moment, Moment]:
    """Before and after the newest change set, of a layer or of the city; now twice without any."""
    now = view.which(f"@{view.seq()}")
    for one in view.change_sets(layer=layer_id, limit=1):
        with suppress(Gone):
            return view.which(f"@{one.first - 1}"), view.which(f"@{one.last}")
    return now, now


def _moments(view: View, given: dict[str, Any], layer_id: str | None) -> tuple[Moment, Moment]:
    """Raises BadParameter, NotFound, Gone."""
    if "set" in given:
        for name in ("from", "to"):
            if name in given:
                raise BadParameter(name, given[name], "is not given beside set, which has its own")
        one = view.change_set(given["set"])
        return view.which(f"@{one.first - 1}"), view.which(f"@{one.last}")
    if "from" not in given:
        if "to" in given:
            raise BadParameter("from", "", f"is needed beside to: {documents.MOMENT.lower()}")
        return _newest(view, layer_id)
    first = _which(view, "from", given["from"])
    last = _which(view, "to", given["to"]) if "to" in given else view.which(f"@{view.seq()}")
    if first.seq > last.seq:
        raise BadParameter("from", given["from"], "is not after `to`")
    return first, last


def _which(view: View, name: str, text: str) -> Moment:
    try:
        return view.which(text)
    except BadParameter as error:
        raise BadParameter(name, text, error.allowed) from error


def _document(
    asked: Asked, found: Found, named: bool, own_links: list[Link], *, geojson: bool
) -> dict[str, Any]:
    ends = {name: {"seq": one.seq, "at": one.at} for name, one in (("from", asked.first), ("to", asked.last))}
    document: dict[str, Any] = {"type": "FeatureCollection"} if geojson else {}
    document |= ends
    if found.counts is not None:
        document["summary"] = {layer: change_forms.counted(one) for layer, one in found.counts.items()}
        document["complete"] = found.complete
    if found.gone:
        document["gone"] = [{"layer": layer, "reason": why} for layer, why in found.gone.items()]
    if geojson:
        document["features"] = [change_forms.feature(one, named) for one in found.changes]
    else:
        document["changes"] = [change_forms.plain(one, named) for one in found.changes]
    return document | {"links": own_links}


def _page_links(here: str, pairs: links.Pairs, own: Representation, after: str | None) -> list[Link]:
    query = links.encoded(pairs)
    result = [link("self", links.href(here, query, f"f={own.name}"), own.media, f"This as {own.title[0]}")]
    for other in documents.OFFER:
        if other is not own:
            href = links.href(here, query, f"f={other.name}")
            result.append(link("alternate", href, other.media, f"This as {other.title[0]}"))
    if after is not None:
        href = links.href(here, query, f"after={after}", f"f={own.name}")
        result.append(link("next", href, own.media, "More changes"))
    return result


# -- change sets --------------------------------------------------------------------------------


async def _sets(city: City, scope: Scope, receive: Receive, send: Send) -> None:
    given = respond.query_values(scope, documents.SETS | {"f": Parameter("f", "", {}, str)})
    own = negotiate.representation(scope, given.get("f"), documents.SETS_OFFER)
    named = _named(scope, given)
    view = city.catalogue.of(scope[CALLER])
    gone = partial(respond.gone, receive)
    limit = given.get("limit", documents.DEFAULT)
    found, before = await city.read(_find_sets, view, given, limit, heavy=True, gone=gone)
    root = respond.base_url(city, scope)
    here = f"{root}{scope['path']}"
    query = links.encoded([pair for pair in respond.query_pairs(scope) if pair[0] not in ("f", "before")])
    own_links = [link("self", links.href(here, query, f"f={own.name}"), own.media, "This document")]
    if before is not None:
        href = links.href(here, query, f"before={before}", f"f={own.name}")
        own_links.append(link("next", href, own.media, "Older change sets"))
    document = {"changeSets": [_set(root, one, named) for one in found], "links": own_links}
    keep: Headers = [answers.UNKEPT] if named else []
    if own is documents.AS_HTML:
        plain = links.href(here, query, "f=json")
        await readable.give(city, scope, send, ("Change sets", "变更集"), document, plain, own_links, keep)
        return
    await answers.give_json(scope, send, document, keep, vary=answers.VARY)


def _set(root: str, one: ChangeSet, named: bool) -> dict[str, Any]:
    undoing = [undo.undo_link(root)] if named else []
    return {
        **change_forms.told(one, named),
        "layer": one.layer,
        "generation": one.generation,
        "links": [undo.changes_of(root, one.id), *undoing],
    }


def _find_sets(view: View, given: dict[str, Any], limit: int) -> tuple[list[ChangeSet], int | None]:
    """So many at most, and before which one more may be found. Raises BadParameter, Gone."""
    if "bbox" not in given:
        found = _chosen_sets(view, given, limit + 1)
        return found[:limit], found[limit - 1].id if len(found) > limit else None
    held = _chosen_sets(view, given, _HELD_AT_ONCE)
    found = []
    for one in held:
        if _meets(view, one, given["bbox"]):
            found.append(one)
        if len(found) == limit:
            return found, one.id
    return found, held[-1].id if len(held) == _HELD_AT_ONCE else None


def _meets(view: View, one: ChangeSet, bbox: Bbox) -> bool:
    """Whether it changed a feature that met the box; not where that is no longer known."""
    layers = None if one.layer is None else [one.layer]
    try:
        first, last = view.which(f"@{one.first - 1}"), view.which(f"@{one.last}")
        return some(view, Asked(first=first, last=last, layers=layers, bbox=bbox))
    except (Gone, NotFound):
        return False


def _chosen_sets(view: View, given: dict[str, Any], limit: int) -> list[ChangeSet]:
    """Raises BadParameter, Gone."""
    layer = given.get("layer")
    if layer is not None:
        view.feature_layer(layer)
    first = _which(view, "from", given["from"]).seq if "from" in given else 0
    last = _which(view, "to", given["to"]).seq if "to" in given else None
    found: list[ChangeSet] = []
    before: int | None = given.get("before")
    size = limit if last is None else max(limit, _SETS_AT_ONCE)
    while len(found) < limit:
        page = view.change_sets(before=before, actor=given.get("actor"), layer=layer, limit=size)
        found += [one for one in page if one.last > first and (last is None or one.last <= last)]
        if len(page) < size or page[-1].last <= first:
            break
        before = page[-1].id
    return found[:limit]
