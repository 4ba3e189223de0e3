"""Features: a page of them, and one. The hot path of the API, on plain ASGI.

Each handler first gathers what the request says, without the store; then one synchronous call reads
the store and makes the answer. Where that call runs follows from what it costs: see ``cost``.
Every check comes before the read and every ETag before the body: a 304 costs no query.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import orjson

from layers import query as queries
from layers.model import FeatureLayer, Item
from layers.query import Query
from layers.types import CRS84, Cursor
from twin.access.rights import ALL
from twin.http import answers, etags, formats, negotiate, past, respond
from twin.http.answers import Answer
from twin.http.context import Context, Link, link_header
from twin.http.formats import GEOJSON, HTML, Offer, Representation
from twin.http.ogc import cost, feature_pages, jsonfg, links, versions
from twin.http.ogc.ids import feature_id
from twin.http.ogc.links import Pairs
from twin.http.respond import Headers, Receive, Scope, Send

if TYPE_CHECKING:
    from twin.catalogue.view import View
    from twin.city import City
    from twin.http.ogc.pygeoapi_host import Host


@dataclass(slots=True)
class ItemsRequest:
    """A request for features as its line and headers say it; nothing is looked up in the store."""

    view: View
    layer_id: str
    here: str
    base: str
    query_text: str
    pairs: Pairs
    form: Representation
    media: str
    requested: str
    profile: str | None
    none_match: str | None
    lang: str
    cost: cost.Cost


class Items:
    """``/ogc/collections/{id}/items`` and ``…/items/{fid}`` for reading."""

    #: Whether what the features were is kept.
    versioned = True

    def __init__(self, city: City, host: Host) -> None:
        self._city = city
        self._host = host

    async def page(self, scope: Scope, receive: Receive, send: Send, layer_id: str) -> None:
        """A page of features (Features Part 1, clauses 7.15 and 7.16)."""
        request = self._request(scope, layer_id, formats.PAGE)
        city = self._city
        answer: Answer | None = None
        if request.cost == "light" and request.view.moment is not None:
            answer = await self._then(request, self._page, request)
        elif request.cost == "aside":
            answer = await city.aside(self._page, request)
        elif request.cost == "light":
            answer = await city.read(self._page, request)
        if answer is None:
            request.cost = "heavy"
            gone = partial(respond.gone, receive)
            answer = await city.read(self._page, request, heavy=True, gone=gone)
            assert answer is not None
        await answers.answer(scope, send, answer)

    async def feature(self, scope: Scope, receive: Receive, send: Send, layer_id: str, text: str) -> None:
        """One feature (Features Part 1, clause 7.17). Its ETag is its revision."""
        fid = feature_id(layer_id, text)
        city = self._city
        view = past.view(city, scope)
        if self.versioned and view.moment is None and respond.header(scope, b"accept-datetime") is not None:
            await versions.redirect(city, scope, send, view, fid, layer_id)
            return
        if not scope["query_string"] and _is_geojson(scope):
            call = self._plain_feature
            # city.read would do the same; a coroutine less is a tenth of what a 304 costs here
            asked_of = view, scope, layer_id, fid
            answer = call(*asked_of) if view.local else await city.aside(call, *asked_of)
            await answers.answer(scope, send, answer)
            return
        if past.alone(scope) and _is_geojson(scope):
            asked_of = view, scope, layer_id, fid
            stored = self._plain_then(*asked_of)
            answer = await city.aside(self._plain_feature, *asked_of) if stored is None else stored
            await answers.answer(scope, send, answer)
            return
        request = self._request(scope, layer_id, formats.FEATURE)
        if request.form.media == HTML:
            answer = await city.aside(self._feature_html, request, fid)
        else:
            read = city.read if request.view.moment is None else partial(self._then, request)
            answer = await read(self._feature, request, fid)
        await answers.answer(scope, send, answer)

    async def _then[T](self, request: ItemsRequest, call: Callable[..., T], *args: Any) -> T:
        """Read what was: at once where what has changed since is at hand, else in a reader thread, which puts
        it together."""
        found = request.view.at_once(request.layer_id, partial(call, *args))
        return await self._city.aside(call, *args) if found is None else found

    def _request(self, scope: Scope, layer_id: str, offer: Offer) -> ItemsRequest:
        f: str | None = None
        profile: str | None = None
        pairs: Pairs = []
        if scope["query_string"]:
            forms, pairs = negotiate.chosen(respond.query_pairs(scope), ("f", "profile"))
            f, profile = forms.get("f"), forms.get("profile")
        form = negotiate.representation(scope, f, offer)
        wanted = jsonfg.profile(profile) if profile is not None else None
        requested, media = links.form(f, profile), form.media
        if form.media == GEOJSON and wanted == "jsonfg":
            # profiles choose among the forms of one media type (OGC 21-045r1, clause 16)
            form = next(one for one in offer if one.media == formats.JSONFG)
        city = self._city
        base = respond.base_url(city, scope) + "/ogc"
        html = form.media == HTML
        view = past.view(city, scope)
        return ItemsRequest(
            view,
            layer_id,
            base + scope["path"].removeprefix("/ogc"),
            base,
            links.repeated(scope["query_string"], pairs) if pairs else "",
            pairs,
            form,
            media,
            requested,
            wanted,
            respond.header(scope, b"if-none-match"),
            negotiate.language(scope, city.settings.languages) if html else "",
            _cost(view, pairs, form),
        )

    def _page(self, request: ItemsRequest) -> Answer | None:
        """The answer; None where the layer shows that reading it is heavy, which the request did not."""
        view = request.view
        layer = view.feature_layer(request.layer_id)
        query = queries.parse(layer, past.others(request.pairs, view))
        if request.form.media == HTML:
            return self._page_html(request, layer, query)
        # the body has a time stamp: equal ETags mean equal features, not equal bytes, so it is weak
        kind = request.form.name
        etag = etags.tag(view.epoch, layer.seq, "" if kind == "json" else kind)
        if etags.matches(request.none_match, etag):
            return answers.unchanged(f"W/{etag}")
        if request.cost != "heavy" and cost.is_wide(layer, query):
            return None
        if kind in ("json", "jsonfg"):
            return self._page_json(request, layer, query, etag)
        return self._page_columns(request, layer, query, etag)

    def _page_json(self, request: ItemsRequest, layer: FeatureLayer, query: Query, etag: str) -> Answer:
        fg = request.form.name == "jsonfg"
        page = request.view.items(layer.id, jsonfg.wanted(layer, query) if fg else query)
        page_links = _page_links(request, query, page.next_after)
        features, root = page.features, b""
        if fg:
            schema = f"{request.base}/collections/{layer.id}/schema"
            features, root = jsonfg.collection(layer, query, features, schema)
        matched = b"" if page.matched is None else b'"numberMatched":%d,' % page.matched
        numbers = b'],%b"numberReturned":%d,"timeStamp":"' % (matched, page.returned)
        tail = b'","links":' + orjson.dumps(page_links + links.profiled(request.profile))
        parts = (
            b'{"type":"FeatureCollection","features":[',
            features,
            numbers + _now() + tail + root + b"}",
        )
        return Answer(_page_headers(request, query, etag, page.matched, page.returned, page_links), parts)

    def _page_columns(self, request: ItemsRequest, layer: FeatureLayer, query: Query, etag: str) -> Answer:
        """FlatGeobuf or CSV: counts and links are in the headers alone."""
        from layers import write

        selection = request.view.select(layer.id, query)
        body = write.page(request.form.name, layer, selection.rows, query.crs)
        page_links = _page_links(request, query, selection.next_after)
        returned = len(selection.rows.fids)
        return Answer(_page_headers(request, query, etag, selection.matched, returned, page_links), (body,))

    def _plain_feature(self, view: View, scope: Scope, layer_id: str, fid: int) -> Answer:
        """A feature as GeoJSON, without parameters: what clients ask for most.

        Each look at the store costs system calls or a round trip, so this takes one."""
        none_match = respond.header(scope, b"if-none-match")
        if none_match is not None:
            etag = etags.tag(view.epoch, view.revision(layer_id, fid))
            if etags.matches(none_match, etag):
                return answers.unchanged(etag, self._vary)
        return self._plain_answer(view, scope, layer_id, view.item(layer_id, fid))

    def _plain_then(self, view: View, scope: Scope, layer_id: str, fid: int) -> Answer | None:
        """The same of a feature that was, where its text is there to be given; else None."""
        item = view.stored_item(layer_id, fid)
        if item is None:
            return None
        none_match = respond.header(scope, b"if-none-match")
        if none_match is not None and etags.matches(none_match, etag := etags.tag(view.epoch, item.revision)):
            return answers.unchanged(etag, self._vary)
        return self._plain_answer(view, scope, layer_id, item)

    def _plain_answer(self, view: View, scope: Scope, layer_id: str, item: Item) -> Answer:
        layer = f"{respond.base_url(self._city, scope)}/ogc/collections/{layer_id}"
        then = "" if view.moment is None else past.with_at(layer, view.moment.name)
        query = scope["query_string"].decode()
        tail, header = links.of_plain_feature(
            f"{layer}/items", item.fid, formats.FEATURE, self._more, query, then
        )
        return self._feature_answer(view, item, CRS84, GEOJSON, item.body, tail, header)

    def _feature(self, request: ItemsRequest, fid: int) -> Answer:
        view, layer_id = request.view, request.layer_id
        crs = queries.parse_item(view.feature_layer(layer_id), past.others(request.pairs, view))
        fg = request.form.name == "jsonfg"
        # another form of the same address is another representation (RFC 9110 section 8.8.3)
        form = "jsonfg" if fg else ""
        if request.none_match is not None:
            etag = etags.tag(view.epoch, view.revision(layer_id, fid), form)
            if etags.matches(request.none_match, etag):
                return answers.unchanged(etag, self._vary)
        item = view.item(layer_id, fid, crs)
        item_links = links.of_feature(
            request.here, request.query_text, formats.FEATURE, request.form, request.requested
        )
        _pin(item_links, view)
        item_links += self._more(request.here)
        body = item.body
        if fg:
            schema = f"{request.base}/collections/{layer_id}/schema"
            body = jsonfg.feature(view.feature_layer(layer_id), crs, body, schema)
        tail = orjson.dumps(item_links + links.profiled(request.profile))
        return self._feature_answer(view, item, crs, request.media, body, tail, link_header(item_links), form)

    @property
    def _vary(self) -> answers.Header:
        return versions.VARY if self.versioned else answers.VARY

    def _more(self, here: str) -> list[Link]:
        """The links of a feature beside those of every one."""
        return versions.feature_links(here) if self.versioned else []

    def _feature_answer(
        self,
        view: View,
        item: Item,
        crs: str,
        media: str,
        body: bytes,
        tail: bytes,
        header: bytes,
        form: str = "",
    ) -> Answer:
        headers: Headers = [
            (b"content-type", media.encode()),
            (b"etag", etags.tag(view.epoch, item.revision, form).encode()),
            (b"content-crs", b"<%s>" % crs.encode()),
            (b"link", header),
            self._vary,
        ]
        return Answer(headers, (body[:-1] + b',"links":' + tail + b"}",))

    def _of_page(self, extra: dict[str, Any], layer: FeatureLayer) -> dict[str, Any]:
        """What the HTML of a page shows beside its features."""
        return extra

    def _of_feature(self, extra: dict[str, Any], layer: FeatureLayer, fid: int) -> dict[str, Any]:
        """What the HTML of a feature shows beside it; ``selection`` is what the map calls it."""
        return extra | {"selection": f"{layer.id}:{fid}"}

    def _page_html(self, request: ItemsRequest, layer: FeatureLayer, query: Query) -> Answer:
        context = Context(
            self._city, request.view, request.base, request.lang, request.here[len(request.base) :]
        )
        extra = self._of_page(
            feature_pages.of_page(context, layer, query, request.here, request.pairs), layer
        )

        def next_href(after: Cursor | None) -> str | None:
            if after is None:
                return None
            return links.next_href(request.here, request.pairs, "f=html", queries.cursor_text(query, after))

        return _html(self._host.items(context, layer.id, query, extra, next_href), context, query)

    def _feature_html(self, request: ItemsRequest, fid: int) -> Answer:
        layer = request.view.feature_layer(request.layer_id)
        query = Query(crs=queries.parse_item(layer, past.others(request.pairs, request.view)))
        context = Context(
            self._city, request.view, request.base, request.lang, request.here[len(request.base) :]
        )
        extra = feature_pages.of_feature(context, layer, query, request.here, request.pairs)
        extra = self._of_feature(extra, layer, fid)
        return _html(self._host.item(context, layer.id, fid, query, extra), context, query)


def _cost(view: View, pairs: Pairs, form: Representation) -> cost.Cost:
    """A view that is narrowed filters every page."""
    return "heavy" if view.rights != ALL else cost.of_request(past.others(pairs, view), form)


def _is_geojson(scope: Scope) -> bool:
    return negotiate.representation(scope, None, formats.FEATURE) is formats.FEATURE[0]


def _page_links(request: ItemsRequest, query: Query, after: Cursor | None) -> list[Link]:
    cursor = None if after is None else queries.cursor_text(query, after)
    page_links = links.of_page(
        request.here, request.query_text, request.pairs, formats.PAGE, request.form, request.requested, cursor
    )
    _pin(page_links, request.view)
    return page_links


def _pin(own: list[Link], view: View) -> None:
    """The collection as it was then; the other links repeat the request."""
    if view.moment is not None:
        for one in own:
            if one["rel"] == "collection":
                one["href"] = past.with_at(one["href"], view.moment.name)


def _page_headers(
    request: ItemsRequest, query: Query, etag: str, matched: int | None, returned: int, page_links: list[Link]
) -> Headers:
    header = links.of_header(page_links)
    return [
        (b"content-type", request.media.encode()),
        (b"etag", b"W/" + etag.encode()),
        (b"content-crs", b"<%s>" % query.crs.encode()),
        *([(b"ogc-numbermatched", b"%d" % matched)] if matched is not None else ()),
        (b"ogc-numberreturned", b"%d" % returned),
        *([(b"link", header)] if header else ()),
        answers.VARY,
    ]


def _html(html: bytes, context: Context, query: Query) -> Answer:
    headers: Headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-crs", b"<%s>" % query.crs.encode()),
        (b"content-language", context.lang.encode()),
        answers.VARY_LANGUAGE,
        *answers.HTML_HEADERS,
    ]
    return Answer(headers, (html,))


def _now() -> bytes:
    return _instant(int(time.time()))


@lru_cache(maxsize=4)
def _instant(second: int) -> bytes:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
