"""A whole layer, or what a query selects of it, as one file: a job, and what it makes sent to who waits.

A file that breaks off is never ended cleanly: the connection is cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from layers import query as queries
from layers.errors import Busy, TooLarge, TwinError, Unavailable
from layers.model import FeatureLayer
from layers.query import Query
from layers.write import FORMATS, Format
from twin.access.caller import CALLER, Caller
from twin.http import answers, etags, negotiate, respond
from twin.http.formats import Offer, Representation
from twin.http.respond import Headers, Receive, Scope, Send
from twin.jobs import Ended, Job, scratch
from twin.jobs.taking import FileTaker, PipeTaker
from twin.jobs.works import download
from twin.jobs.works.download import localized

if TYPE_CHECKING:
    from twin.catalogue.view import View
    from twin.city import City

log = logging.getLogger("twin")

#: How long a download waits for its turn.
PLACE_SECONDS = 5.0
FILE_PIECE = 1 << 20
#: A client that takes nothing for so long is gone.
STALLED_SECONDS = 60.0
#: A download keeps a moment of the store alive, so it must end.
MOST_SECONDS = 3600.0
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]+')

#: What a download can be, the default first: also for links and the API document.
OFFER: Offer = tuple(
    Representation((one.name, *one.aliases), one.media, (one.media, *one.accepts), (one.title, one.title))
    for one in FORMATS.values()
)


@dataclass(slots=True)
class _Answer:
    """What is sent to one client, and whether it has begun: from there on there is no other answer."""

    send: Send
    headers: Headers
    begun: bool = False

    async def begin(self, *more: tuple[bytes, bytes]) -> None:
        self.begun = True
        await answers.start(self.send, 200, [*self.headers, *more])

    async def give(self, body: bytes, *, more: bool) -> None:
        async with asyncio.timeout(STALLED_SECONDS):
            await self.send({"type": "http.response.body", "body": body, "more_body": more})


class Download:
    """``/ogc/collections/{id}/download``."""

    def __init__(self, city: City) -> None:
        self._city = city

    async def give(self, scope: Scope, receive: Receive, send: Send, layer_id: str) -> None:
        """Answer GET or HEAD. Raises NotFound, BadParameter, NotAcceptable, TooLarge, Busy, Unavailable."""
        city = self._city
        caller: Caller = scope[CALLER]
        view = city.catalogue.of(caller)
        layer = await city.read(view.feature_layer, layer_id)
        forms, pairs = negotiate.chosen(respond.query_pairs(scope), ("f",))
        form = FORMATS[negotiate.representation(scope, forms.get("f"), OFFER).name]
        query = queries.parse_download(layer, pairs)
        lang = negotiate.language(scope, city.settings.languages)
        etag = etags.tag(view.epoch, layer.seq, f"{form.name}-{lang}")
        if etags.matches(respond.header(scope, b"if-none-match"), etag):
            await answers.not_modified(send, f"W/{etag}", answers.VARY_LANGUAGE)
            return
        if layer.count > download.MOST_FEATURES:
            await self._count(view, layer, query)
        title = negotiate.text(layer.title, lang, layer.id)
        # before HTTP/1.1 nothing but its length tells whether an answer is whole
        piped = form.streamed and scope.get("http_version") != "1.0"
        packed = piped and respond.accepts_gzip(scope)
        answer = _Answer(send, _headers(localized(layer, query, lang, title), form, query.crs, etag))
        if packed:
            answer.headers.append((b"content-encoding", b"gzip"))
        if scope["method"] == "HEAD":
            await answers.start(send, 200, answer.headers)
            await send({"type": "http.response.body", "body": b""})
            return
        given = download.Input(
            layer.id, layer.generation, title, list(pairs), form.name, lang, piped, packed,
            download.MOST_FEATURES, download.MOST_BYTES, scratch.RESERVE_BYTES,
        )  # fmt: skip
        await self._run(answer, given, caller, receive)

    async def _count(self, view: View, layer: FeatureLayer, query: Query) -> None:
        most = download.MOST_FEATURES
        if await self._city.read(view.count, layer.id, query, most, heavy=True) is None:
            raise TooLarge(f"more than {most} features match: {download.ASK_FOR_LESS}")

    async def _run(self, answer: _Answer, given: download.Input, caller: Caller, receive: Receive) -> None:
        """Give the file. Once the answer has begun, what goes wrong is told to the operator only: the
        answer is left incomplete, and the server cuts the connection."""
        taker = PipeTaker() if given.piped else FileTaker()
        try:
            async with asyncio.timeout(MOST_SECONDS), self._job(given, caller, taker, receive) as job:
                if isinstance(taker, PipeTaker):
                    await _stream(answer, taker, job)
                else:
                    await self._file(answer, taker, job)
        except Ended:
            if self._city.bus.closed.is_set() and not answer.begun:
                raise Unavailable("the server is stopping; try again soon") from None
        except TimeoutError:
            if not answer.begun:
                raise Unavailable(f"this download takes too long; {download.ASK_FOR_LESS}") from None
            log.warning("a download of layer %s broke off: its client is too slow", given.layer)
        except Busy as error:
            raise Busy(
                f"{download.PLACES} downloads are being made at this moment; try again soon"
            ) from error
        except TwinError as error:
            if not answer.begun:
                raise
            log.warning("a download of layer %s broke off: %s", given.layer, error)
        finally:
            taker.close()

    @asynccontextmanager
    async def _job(
        self, given: download.Input, caller: Caller, taker: PipeTaker | FileTaker, receive: Receive
    ) -> AsyncIterator[Job]:
        """The job, ended with the block, and when the client goes away or the server stops."""
        jobs = self._city.jobs
        told: dict[str, Any] = msgspec.to_builtins(given)
        job = await jobs.start(download.WORK.id, told, caller, patience=PLACE_SECONDS, taker=taker)
        watch = asyncio.create_task(self._watch(receive, job))
        try:
            yield job
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
            await jobs.drop(job)

    async def _watch(self, receive: Receive, job: Job) -> None:
        ends = [
            asyncio.create_task(respond.gone(receive)),
            asyncio.create_task(self._city.bus.closed.wait()),
        ]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            await self._city.jobs.drop(job)
        finally:
            for one in ends:
                one.cancel()

    async def _file(self, answer: _Answer, taker: FileTaker, job: Job) -> None:
        await job.result()
        assert taker.file is not None
        await answer.begin((b"content-length", b"%d" % taker.size))
        left = taker.size
        while left > 0:
            piece = await self._city.run(taker.file.read, min(FILE_PIECE, left))
            left -= len(piece)
            await answer.give(piece, more=left > 0)


async def _stream(answer: _Answer, taker: PipeTaker, job: Job) -> None:
    async with contextlib.aclosing(taker.pieces(job)) as pieces:
        # what goes wrong mostly does so before the first piece, when there is a whole answer for it
        async for piece in pieces:
            if not answer.begun:
                await answer.begin()
            await answer.give(piece, more=True)
        if not answer.begun:
            await answer.begin()
        await answer.give(b"", more=False)


def _headers(layer: FeatureLayer, form: Format, crs: str, etag: str) -> Headers:
    """The headers of a file that bears the title of the layer; its id for clients that take only ASCII."""
    (title,) = layer.title.values()
    name = _UNSAFE.sub("_", title).strip(" .") or layer.id
    told = quote(f"{name}.{form.extension}", safe="")
    plain = f"{layer.id}.{form.extension}"
    media = form.media + ("; charset=utf-8" if form.media.startswith("text/") else "")
    return [
        (b"content-type", media.encode()),
        (b"content-disposition", f"attachment; filename=\"{plain}\"; filename*=UTF-8''{told}".encode()),
        (b"etag", f"W/{etag}".encode()),
        (b"content-crs", f"<{crs}>".encode()),
        answers.FRESH,
        answers.VARY_LANGUAGE,
    ]
