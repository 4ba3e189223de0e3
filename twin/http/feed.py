"""/changes, the feed: what changed after a cursor, as pages and as an event stream, for whoever keeps a copy.

Readers who ask for the same and have been told the same are one audience: one task has each page made and
encoded once, and pushes it to all of them. Who does not take it leaves the audience, reads what he missed
from the log at his own pace, and joins it again."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from layers.errors import BadParameter, Busy, Gone, NotFound, TwinError, Unavailable
from layers.parameters import AT
from twin.access.caller import CALLER
from twin.http import answers, negotiate, respond, sse
from twin.http import feed_document as documents
from twin.http.context import link, link_header
from twin.http.formats import JSON
from twin.http.ogc import links
from twin.http.respond import Headers, Receive, Scope, Send
from twin.http.room import Room, Route, Site
from twin.live.feed import DEFAULT, Cursor, FeedPage, Wanted
from twin.overload import Shares

if TYPE_CHECKING:
    from twin.catalogue.view import View
    from twin.city import City

#: Event streams of the feed that are open at a time.
MAX_CLIENTS = 2_000
#: Pages that are kept for readers who are not woken yet.
KEPT = 64
#: How long a reader waits before a page that could not be read is tried again.
AGAIN_SECONDS = 1.0
_MOMENT = re.compile(r"@.*|\d{4}-\d\d-\d\d[Tt ].*", re.ASCII)


def make(site: Site) -> Sequence[Room]:
    """The one route."""
    route = Route("/changes", {"GET": FeedRoute(site.city).answer}, documents.describe)
    title = ("What changed, as a feed", "变更订阅")
    return (
        Room(
            "feed", title, (route,), documents.landing, schemas=documents.schemas, streams=documents.streams
        ),
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one reader is told of, from where on, and how much at a time."""

    view: View
    wanted: Wanted
    cursor: Cursor | None
    limit: int


#: Rights, what is wanted, where a page begins, and up to where was told when it was asked for.
type _Key = tuple[str, Wanted, Cursor, tuple[str, int]]


class _Audience:
    """Readers who have been told the same, up to ``cursor``."""

    #: What tells them.
    task: asyncio.Task[None]

    def __init__(self, key: tuple[str, Wanted], cursor: Cursor) -> None:
        self.key, self.cursor = key, cursor
        # each with where it was told up to when it did not take what followed
        self._streams: dict[sse.Stream, asyncio.Future[Cursor]] = {}

    @property
    def empty(self) -> bool:
        """Whether nobody is in it."""
        return not self._streams

    def beat(self) -> bytes:
        """What its streams are sent now and then."""
        return _place(self.cursor)

    async def join(self, stream: sse.Stream) -> Cursor:
        """Be told until that has to wait; what it was told up to then."""
        behind: asyncio.Future[Cursor] = asyncio.get_running_loop().create_future()
        self._streams[stream] = behind
        return await behind

    def leave(self, stream: sse.Stream) -> None:
        """Be told no more."""
        self._streams.pop(stream, None)

    def tell(self, cursor: Cursor, data: bytes) -> None:
        """Have everybody told up to there; ``data`` is empty where nothing of it is for them."""
        slow = [stream for stream in self._streams if data and not stream.push(data)]
        for stream in slow:
            self._part(stream)
        self.cursor = cursor

    def disperse(self) -> None:
        """Have each read for itself."""
        for stream in list(self._streams):
            self._part(stream)

    def _part(self, stream: sse.Stream) -> None:
        behind = self._streams.pop(stream)
        if not behind.done():
            behind.set_result(self.cursor)


class FeedRoute:
    """Answers pages, and opens streams until there are too many."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._places = Shares(MAX_CLIENTS, MAX_CLIENTS // 10, "streams of the feed")
        self._streams = sse.Streams(city)
        self._audiences: dict[tuple[str, Wanted], _Audience] = {}
        self._pages: OrderedDict[_Key, asyncio.Task[tuple[FeedPage, bytes]]] = OrderedDict()

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A page, or a stream. Raises BadParameter, NotFound, Gone, Busy, Unavailable."""
        given = respond.query_values(scope, documents.PARAMETERS)
        own = negotiate.representation(scope, given.get("f"), documents.OFFER)
        streams = own is documents.AS_EVENTS
        if streams and "limit" in given:
            raise BadParameter("limit", given["limit"], "is of pages: a stream tells all")
        after = given.get("after")
        if streams:
            after = respond.header(scope, b"last-event-id") or after
        view = self._city.catalogue.of(scope[CALLER])
        asked = await self._city.aside(_asked, view, given, after)
        if streams:
            await self._stream(asked, scope, receive, send)
        else:
            await self._page(asked, scope, send)

    # -- pages -------------------------------------------------------------------------------

    async def _page(self, asked: _Asked, scope: Scope, send: Send) -> None:
        page = await self._city.aside(
            self._city.feed.page, asked.view, asked.cursor, asked.wanted, asked.limit
        )
        here = f"{respond.base_url(self._city, scope)}{scope['path']}"
        query = links.encoded([pair for pair in respond.query_pairs(scope) if pair[0] not in ("after", "f")])
        begun = [] if asked.cursor is None else [f"after={asked.cursor}"]
        own_links = [
            link("self", links.href(here, query, *begun, "f=json"), JSON, "This page"),
            link("next", links.href(here, query, f"after={page.cursor}", "f=json"), JSON, "What follows"),
            link("alternate", links.href(here, query, *begun, "f=sse"), sse.MEDIA, "The same as a stream"),
        ]
        headers: Headers = [(b"link", link_header(own_links)), answers.UNKEPT]
        document = page.document() | {"links": own_links}
        await answers.give_json(scope, send, document, headers, vary=answers.VARY)

    # -- streams -----------------------------------------------------------------------------

    async def _stream(self, asked: _Asked, scope: Scope, receive: Receive, send: Send) -> None:
        with self._places.place(respond.client(self._city, scope)):
            if scope["method"] == "HEAD":
                await answers.send(send, 200, b"", sse.HEADERS)
                return
            await self._streams.stream(partial(self._feed, asked), scope, receive, send)

    async def _feed(self, asked: _Asked, stream: sse.Stream) -> None:
        """One stream: a hello, unless it goes on, then events, and now and then where it is."""
        told, cursor = self._city.feed.told, asked.cursor
        if cursor is None:
            cursor = (await self._city.aside(self._city.feed.page, asked.view, None)).cursor
        await stream.write(b"retry: 1000\n" + _event("hello", cursor, {"cursor": str(cursor)}))
        waits = False
        while True:
            if waits:
                cursor = await self._told(asked, cursor, told, stream)
            told = self._city.feed.told
            try:
                page, data = await self._shared(asked, cursor, told)
            except (Busy, Unavailable):
                await asyncio.sleep(AGAIN_SECONDS)
                waits = False
                continue
            cursor, waits = page.cursor, page.complete
            if not page.empty:
                await stream.write(data)

    async def _told(self, asked: _Asked, cursor: Cursor, told: tuple[str, int], stream: sse.Stream) -> Cursor:
        """Of a reader who has all that there was when ``told``: return once there is news that he has to read
        himself, and where he is then."""
        audience = self._audience(asked, cursor, told)
        if audience.cursor != cursor:
            # he, or they, have read beyond what was told: the next news brings them together
            stream.beat = partial(_place, cursor)
            with stream.straight():
                await self._city.feed.wait(told)
            return cursor
        stream.beat = audience.beat
        try:
            with stream.straight():
                return await audience.join(stream)
        finally:
            audience.leave(stream)
            if audience.empty:
                self._forget(audience)
                audience.task.cancel()

    def _audience(self, asked: _Asked, cursor: Cursor, told: tuple[str, int]) -> _Audience:
        key = asked.view.rights, asked.wanted
        audience = self._audiences.get(key)
        if audience is None:
            audience = self._audiences[key] = _Audience(key, cursor)
            audience.task = asyncio.create_task(self._tell(audience, asked, told))
        return audience

    def _forget(self, audience: _Audience) -> None:
        if self._audiences.get(audience.key) is audience:
            del self._audiences[audience.key]

    async def _tell(self, audience: _Audience, asked: _Asked, told: tuple[str, int]) -> None:
        """Tell an audience what follows, until it is empty. What cannot be told each of them meets, and is
        answered, by itself."""
        complete = True
        try:
            while True:
                if complete:
                    await self._city.feed.wait(told)
                told = self._city.feed.told
                try:
                    page, data = await self._shared(asked, audience.cursor, told)
                except (Busy, Unavailable):
                    await asyncio.sleep(AGAIN_SECONDS)
                    complete = False
                else:
                    audience.tell(page.cursor, data)
                    complete = page.complete
        except TwinError:
            pass
        finally:
            self._forget(audience)
            audience.disperse()

    async def _shared(self, asked: _Asked, cursor: Cursor, told: tuple[str, int]) -> tuple[FeedPage, bytes]:
        """The page after a cursor, made once for all who ask for it, and anew where it failed. Raises
        Busy, Unavailable."""
        key = asked.view.rights, asked.wanted, cursor, told
        task = self._pages.get(key)
        if task is None:
            making = self._city.aside(self._encoded, asked, cursor)
            task = self._pages[key] = asyncio.create_task(making)
            task.add_done_callback(partial(self._forget_failed, key))
            if len(self._pages) > KEPT:
                self._pages.popitem(last=False)
        if task.done() and not task.cancelled() and task.exception() is None:
            return task.result()
        # who goes away does not take the page from the others
        return await asyncio.shield(task)

    def _forget_failed(self, key: _Key, task: asyncio.Task[tuple[FeedPage, bytes]]) -> None:
        failed = task.cancelled() or task.exception() is not None
        if failed and self._pages.get(key) is task:
            del self._pages[key]

    def _encoded(self, asked: _Asked, cursor: Cursor) -> tuple[FeedPage, bytes]:
        page = self._city.feed.page(asked.view, cursor, asked.wanted, asked.limit)
        return page, b"" if page.empty else _event("changes", page.cursor, page.document())


def _asked(view: View, given: dict[str, Any], after: str | None) -> _Asked:
    """Raises BadParameter, NotFound, Gone."""
    cursor = None if after is None else _cursor(view, after)
    ids: frozenset[str] | None = given.get("layers")
    for layer_id in sorted(ids or ()):
        _must_see(view, layer_id, cursor)
    return _Asked(view, Wanted(ids, given.get("bbox")), cursor, given.get("limit", DEFAULT))


def _must_see(view: View, layer_id: str, cursor: Cursor | None) -> None:
    """A reader who was told of a layer before it was dropped is told of that. Raises NotFound."""
    try:
        view.layer(layer_id)
    except NotFound:
        if cursor is None or cursor.epoch != view.epoch:
            raise
        try:
            view.then(f"@{cursor.seq}").layer(layer_id)
        except (BadParameter, Gone, NotFound):
            pass
        else:
            return
        raise


def _cursor(view: View, text: str) -> Cursor:
    """Raises BadParameter, Gone."""
    try:
        if not _MOMENT.fullmatch(text):
            return Cursor.parse(text)
        return Cursor(view.epoch, view.which(AT.parse(text)).seq)
    except ValueError as error:
        raise BadParameter("after", text, f"{error}; or a moment, as `at` takes it") from error
    except BadParameter as error:
        raise BadParameter("after", text, error.allowed) from error


def _event(name: str, cursor: Cursor, data: object) -> bytes:
    return b"event: %b\nid: %b\ndata: %b\n\n" % (name.encode(), _text(cursor), orjson.dumps(data))


def _place(cursor: Cursor) -> bytes:
    """Where a stream is: no event, but from there on it is asked for again."""
    return b"id: %b\n\n" % _text(cursor)


def _text(cursor: Cursor) -> bytes:
    return str(cursor).encode("ascii")
