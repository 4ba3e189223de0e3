"""A whole layer, or what a query selects of it, as one file.

Everything is of one moment (``Store.scan``). What can be streamed is sent while it is read; the other
formats are made as a file first. The work has threads of its own, so that reading never waits for it.
A file that breaks off is never ended cleanly: the connection is cut.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from layers import query as queries
from layers import write
from layers.errors import Busy, TooLarge, TwinError, Unavailable
from layers.model import FeatureLayer
from layers.query import Query
from layers.write import FORMATS, Format
from twin.access.caller import CALLER
from twin.http import answers, etags, negotiate, respond
from twin.http.formats import Offer, Representation
from twin.http.ogc import download_job, scratch
from twin.http.ogc.download_job import Gone, Job
from twin.http.respond import Headers, Receive, Scope, Send

if TYPE_CHECKING:
    from twin.catalogue.view import View
    from twin.city import City

log = logging.getLogger("twin")

#: Downloads at one time, and how long one waits for its turn.
PLACES = 2
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


class Download:
    """``/ogc/collections/{id}/download``. One object a server: it holds the places."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._places = asyncio.Semaphore(PLACES)
        self._threads = ThreadPoolExecutor(PLACES, "twin-download")
        self._scratch = scratch.Scratch(city.folder / "derived" / "downloads")

    async def give(self, scope: Scope, receive: Receive, send: Send, layer_id: str) -> None:
        """Answer GET or HEAD. Raises NotFound, BadParameter, NotAcceptable, TooLarge, Busy, Unavailable."""
        city = self._city
        view = city.catalogue.of(scope[CALLER])
        layer = await city.read(view.feature_layer, layer_id)
        forms, pairs = negotiate.chosen(respond.query_pairs(scope), ("f",))
        form = FORMATS[negotiate.representation(scope, forms.get("f"), OFFER).name]
        query = queries.parse_download(layer, pairs)
        lang = negotiate.language(scope, city.settings.languages)
        etag = etags.tag(view.epoch, layer.seq, f"{form.name}-{lang}")
        if etags.matches(respond.header(scope, b"if-none-match"), etag):
            await answers.not_modified(send, f"W/{etag}", answers.VARY_LANGUAGE)
            return
        if layer.count > download_job.MOST_FEATURES:
            await self._count(view, layer, query)
        title = negotiate.text(layer.title, lang, layer.id)
        layer = replace(write.localized(layer, lang), title={lang: title})
        # before HTTP/1.1 nothing but its length tells whether an answer is whole
        streamed = form.streamed and scope.get("http_version") != "1.0"
        packed = streamed and respond.accepts_gzip(scope)
        headers = _headers(layer, form, query.crs, etag)
        if packed:
            headers.append((b"content-encoding", b"gzip"))
        if scope["method"] == "HEAD":
            await answers.start(send, 200, headers)
            await send({"type": "http.response.body", "body": b""})
            return
        if query.properties is not None:
            layer = replace(layer, fields=tuple(f for f in layer.fields if f.name in query.properties))
        async with self._place():
            job = Job(city, view, layer, query, form, self._threads)
            async with job.watched(receive):
                give = (
                    self._stream(send, job, headers, packed) if streamed else self._file(send, job, headers)
                )
                await self._run(give, job)

    async def _count(self, view: View, layer: FeatureLayer, query: Query) -> None:
        most = download_job.MOST_FEATURES
        if await self._city.read(view.count, layer.id, query, most, heavy=True) is None:
            raise TooLarge(f"more than {most} features match: {download_job.ASK_FOR_LESS}")

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(PLACE_SECONDS):
                await self._places.acquire()
        except TimeoutError as error:
            raise Busy(f"{PLACES} downloads are being made at this moment; try again soon") from error
        try:
            yield
        finally:
            self._places.release()

    async def _run(self, give: Coroutine[Any, Any, None], job: Job) -> None:
        """Give the file. Once the answer has begun, what goes wrong is told to the operator only: the
        answer is left incomplete, and the server cuts the connection."""
        try:
            async with asyncio.timeout(MOST_SECONDS):
                await give
        except Gone:
            if self._city.bus.closed.is_set() and not job.begun:
                raise Unavailable("the server is stopping; try again soon") from None
        except TimeoutError:
            if not job.begun:
                raise Unavailable(f"this download takes too long; {download_job.ASK_FOR_LESS}") from None
            log.warning("a download of layer %s broke off: its client is too slow", job.layer.id)
        except TwinError as error:
            if not job.begun:
                raise
            log.warning("a download of layer %s broke off: %s", job.layer.id, error)

    async def _stream(self, send: Send, job: Job, headers: Headers, packed: bool) -> None:
        pieces = job.pieces(packed)
        try:
            # what goes wrong mostly does so before the first piece, when there is a whole answer for it
            piece = await job.beside(next, pieces, None)
            await job.begin(send, headers)
            while piece is not None:
                await _send(send, piece, more=True)
                piece = await job.beside(next, pieces, None)
            await _send(send, b"", more=False)
        finally:
            await job.beside(pieces.close)

    async def _file(self, send: Send, job: Job, headers: Headers) -> None:
        file, size = await job.beside(job.made, self._scratch)
        try:
            length = (b"content-length", b"%d" % size)
            await job.begin(send, [*headers, length])
            left = size
            while left > 0:
                piece = await job.beside(file.read, min(FILE_PIECE, left))
                left -= len(piece)
                await _send(send, piece, more=left > 0)
        finally:
            file.close()


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


async def _send(send: Send, body: bytes, *, more: bool) -> None:
    async with asyncio.timeout(STALLED_SECONDS):
        await send({"type": "http.response.body", "body": body, "more_body": more})
