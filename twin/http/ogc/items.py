"""Features: a page of them, and one. The hot path of the API, on plain ASGI.

Every check comes before the read and every ETag before the body: a 304 costs no query.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import orjson

from layers import query as queries
from layers.errors import BadParameter, NotFound, shown
from layers.model import CRS84, Layer, Query
from twin.http import respond
from twin.http.ogc import answers, negotiate
from twin.http.ogc.context import Context, link, link_header
from twin.http.ogc.negotiate import GEOJSON, HTML, JSON
from twin.http.respond import Headers, Scope, Send

if TYPE_CHECKING:
    from twin.city import City
    from twin.http.ogc.pygeoapi_host import Host

type Pairs = list[tuple[str, str]]
#: Headers of a 304 beside its ETag; the client keeps the others of the answer it has.
NOT_MODIFIED: Headers = [answers.VARY, (b"access-control-allow-origin", b"*")]
#: A page up to this size is read in the event loop; a larger or filtered one in a reader thread.
INLINE = 1000


class Items:
    """``/ogc/collections/{id}/items`` and ``…/items/{fid}`` for reading."""

    def __init__(self, city: City, host: Host) -> None:
        self._city = city
        self._host = host

    async def page(self, scope: Scope, send: Send, layer_id: str) -> None:
        """A page of features (Features Part 1, clauses 7.15 and 7.16)."""
        city = self._city
        layer = city.store.layer(layer_id)
        f, pairs = split_format(respond.query_pairs(scope))
        query = queries.parse(layer, pairs)
        kind = negotiate.representation(scope, f)
        base = respond.base_url(city, scope) + "/ogc"
        if kind == "html":
            await self._page_html(scope, send, layer, query, pairs)
            return
        # the body has a time stamp: equal ETags mean equal features, not equal bytes, so it is weak
        etag = f'"{city.store.epoch}-{layer.seq}"'
        if respond.etag_matches(respond.header(scope, b"if-none-match"), etag):
            await respond.not_modified(send, f"W/{etag}", NOT_MODIFIED)
            return
        if query.limit <= INLINE and not query.equals:
            page = city.store.items(layer_id, query)
        else:
            page = await city.run(city.store.items, layer_id, query)
        links = page_links(base, layer_id, pairs, f, page.next_after)
        numbers = b'],"numberMatched":%d,"numberReturned":%d,"timeStamp":"' % (page.matched, page.returned)
        await answers.give(
            scope,
            send,
            (
                b'{"type":"FeatureCollection","features":[',
                page.features,
                numbers + _now() + b'","links":' + orjson.dumps(links) + b"}",
            ),
            [
                (b"content-type", b"application/geo+json"),
                (b"etag", b"W/" + etag.encode()),
                (b"content-crs", b"<%s>" % query.crs.encode()),
                (b"ogc-numbermatched", b"%d" % page.matched),
                (b"ogc-numberreturned", b"%d" % page.returned),
                (b"link", link_header(links)),
                answers.VARY,
            ],
        )

    async def feature(self, scope: Scope, send: Send, layer_id: str, text: str) -> None:
        """One feature (Features Part 1, clause 7.17). Its ETag is its revision."""
        city = self._city
        f, pairs = split_format(respond.query_pairs(scope)) if scope["query_string"] else (None, [])
        # each look at the store costs system calls, so a plain request takes just the one below
        crs = queries.parse_item(city.store.layer(layer_id), pairs) if pairs else CRS84
        fid = feature_id(layer_id, text)
        kind = negotiate.representation(scope, f)
        if kind == "html":
            await self._feature_html(scope, send, city.store.layer(layer_id), fid, Query(crs=crs))
            return
        revision = city.store.revision(layer_id, fid)
        etag = f'"{city.store.epoch}-{revision}"'
        if respond.etag_matches(respond.header(scope, b"if-none-match"), etag):
            await respond.not_modified(send, etag, NOT_MODIFIED)
            return
        item = city.store.item(layer_id, fid, crs)
        links = feature_links(respond.base_url(city, scope) + "/ogc", layer_id, fid, pairs)
        headers: Headers = [
            (b"content-type", b"application/geo+json"),
            (b"etag", f'"{city.store.epoch}-{item.revision}"'.encode()),
            (b"content-crs", b"<%s>" % crs.encode()),
            (b"link", link_header(links)),
            answers.VARY,
        ]
        body = item.body[:-1] + b',"links":' + orjson.dumps(links) + b"}"
        await answers.give(scope, send, (body,), headers)

    async def _page_html(self, scope: Scope, send: Send, layer: Layer, query: Query, pairs: Pairs) -> None:
        context = self._context(scope)
        here = f"{context.base}/collections/{layer.id}/items"
        extra = {"layer_title": context.title(layer), "json_href": _href(here, pairs, "json")}

        def next_href(after: int | None) -> str | None:
            return _next_href(here, pairs, "html", after)

        html = await self._city.run(self._host.items, context, layer.id, query, extra, next_href)
        await self._give_html(scope, send, html, context, query)

    async def _feature_html(self, scope: Scope, send: Send, layer: Layer, fid: int, query: Query) -> None:
        context = self._context(scope)
        html = await self._city.run(self._host.item, context, layer.id, fid, query)
        await self._give_html(scope, send, html, context, query)

    async def _give_html(self, scope: Scope, send: Send, html: bytes, context: Context, query: Query) -> None:
        headers: Headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-crs", b"<%s>" % query.crs.encode()),
            (b"content-language", context.lang.encode()),
            answers.VARY_LANGUAGE,
            *answers.HTML_HEADERS,
        ]
        await answers.give(scope, send, (html,), headers)

    def _context(self, scope: Scope) -> Context:
        city = self._city
        lang = negotiate.language(scope, city.settings.languages)
        return Context(city, respond.base_url(city, scope) + "/ogc", lang, scope["path"])


def split_format(pairs: Pairs) -> tuple[str | None, Pairs]:
    """``f`` and the other parameters. Raises BadParameter when ``f`` is given twice."""
    given = [value for name, value in pairs if name == "f"]
    if not given:
        return None, pairs
    if len(given) > 1:
        raise BadParameter("f", given[1], "given more than once")
    return given[0], [pair for pair in pairs if pair[0] != "f"]


def feature_id(layer_id: str, text: str) -> int:
    """A feature id of a path. Raises NotFound for what no id can look like."""
    if text.isascii() and text.isdigit() and len(text) < 19 and (text == "0" or text[0] != "0"):
        return int(text)
    raise NotFound(f"layer {layer_id} has no feature {shown(text)!r}")


def page_links(
    base: str, layer_id: str, pairs: Pairs, f: str | None, after: int | None
) -> list[dict[str, object]]:
    """self, alternate, next and collection of a page."""
    here = f"{base}/collections/{layer_id}/items"
    links = [
        link("self", _href(here, pairs, f), GEOJSON, "This page as GeoJSON"),
        link("alternate", _href(here, pairs, "html"), HTML, "This page as HTML"),
        link("collection", f"{base}/collections/{layer_id}", JSON, "The layer"),
    ]
    following = _next_href(here, pairs, f, after)
    if following is not None:
        links.append(link("next", following, GEOJSON, "The next page"))
    return links


def feature_links(base: str, layer_id: str, fid: int, pairs: Pairs) -> list[dict[str, object]]:
    """self, alternate and collection of one feature."""
    here = f"{base}/collections/{layer_id}/items/{fid}"
    return [
        link("self", _href(here, pairs, None), GEOJSON, "This feature as GeoJSON"),
        link("alternate", _href(here, pairs, "html"), HTML, "This feature as HTML"),
        link("collection", f"{base}/collections/{layer_id}", JSON, "The layer"),
    ]


def _next_href(here: str, pairs: Pairs, f: str | None, after: int | None) -> str | None:
    """The keyset cursor replaces the offset: a page deep in a layer costs what the first one costs."""
    if after is None:
        return None
    kept = [pair for pair in pairs if pair[0] not in ("offset", "after")]
    return _href(here, [*kept, ("after", str(after))], f)


def _href(here: str, pairs: Pairs, f: str | None) -> str:
    given = pairs if f is None else [*pairs, ("f", f)]
    return f"{here}?{urlencode(given, quote_via=quote, safe=',:/')}" if given else here


def _now() -> bytes:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
