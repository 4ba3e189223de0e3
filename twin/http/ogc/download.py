"""A whole layer, or what a query selects of it, as one file: a job, and what it makes sent to who waits.

What can be streamed is sent while it is made. A client that asks for the length of a file (HEAD) or for a
part of it (Range) gets it from the file as a whole, which is then kept for its next requests. A file that
breaks off is never ended cleanly: the connection is cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from layers import query as queries
from layers.errors import BadParameter, Busy, TooLarge, TwinError, Unavailable
from layers.model import ContentLayer, FeatureLayer, is_raster
from layers.parameters import AT, NOT_KEPT
from layers.query import Query
from layers.raster import query as coverage_queries
from layers.raster.files import instant_of
from layers.raster.query import Region
from layers.write import FORMATS, Format
from tiles.imagery import maps
from tiles.imagery.style import Wanted
from twin.access.caller import CALLER, Caller
from twin.http import answers, etags, negotiate, past, ranges, respond
from twin.http.formats import Offer, Representation
from twin.http.imagery import STYLE, of_city, wanted
from twin.http.ogc.coverage_documents import check_offered, tag
from twin.http.ogc.coverages import GEOTIFF
from twin.http.respond import Headers, Receive, Scope, Send
from twin.jobs import Ended, Job, scratch
from twin.jobs.kept import Held, Made
from twin.jobs.taking import FileTaker, PipeTaker
from twin.jobs.works import download, raster_download
from twin.jobs.works.download import localized
from twin.overload import NoShare, Shares

if TYPE_CHECKING:
    from twin.catalogue.view import View
    from twin.city import City

log = logging.getLogger("twin")

#: How long a download waits for its turn.
PLACE_SECONDS = 5.0
#: Downloads without a key that run or wait.
KEYLESS = 100
#: A client that takes nothing for so long is gone.
STALLED_SECONDS = 60.0
#: A place is not held for a client that takes less than so many bytes a second, after a while.
LEAST_RATE, GRACE_SECONDS = 32_768, 20.0
#: A download keeps a moment of the store alive, so it must end.
MOST_SECONDS = 3600.0
#: What stands in no file name, and the most characters of one: at three bytes each it fits into a folder.
_UNSAFE = re.compile(r'[/\\:*?"<>|]+')
_LONGEST = 60
#: The mark of a kept file at the end of its ETag.
_MARK = re.compile(r'\.[0-9a-f]{8}"')

#: What a download can be, the default first: also for links and the API document.
OFFER: Offer = tuple(
    Representation((one.name, *one.aliases), one.media, (one.media, *one.accepts), (one.title, one.title))
    for one in FORMATS.values()
)
#: The same of rasters.
OF_RASTERS: Offer = (
    Representation(("geotiff", "tiff", "tif"), GEOTIFF, ("image/tiff", GEOTIFF), ("GeoTIFF", "GeoTIFF")),
    Representation(
        (raster_download.PNG,),
        "application/zip",
        ("application/zip", "image/png"),
        ("PNG and world file", "PNG 与坐标文件"),
    ),
)
type _Request = download.Input | raster_download.Input
_WORKS: Mapping[type, str] = {
    download.Input: download.WORK.id,
    raster_download.Input: raster_download.WORK.id,
}


@dataclass(slots=True)
class _Answer:
    """What is sent to one client, and whether it has begun: from there on there is no other answer."""

    send: Send
    headers: Headers
    address: str
    begun: bool = False
    #: How long the client has had us wait, and for how many bytes.
    waited: float = 0.0
    size: int = 0

    async def begin(self, *more: tuple[bytes, bytes], status: int = 200) -> None:
        self.begun = True
        await answers.start(self.send, status, [*self.headers, *more])

    async def give(self, body: bytes, *, more: bool) -> None:
        allowed = GRACE_SECONDS + self.size / LEAST_RATE - self.waited
        begun = time.monotonic()
        async with asyncio.timeout(min(STALLED_SECONDS, allowed + len(body) / LEAST_RATE)):
            await self.send({"type": "http.response.body", "body": body, "more_body": more})
        self.waited += time.monotonic() - begun
        self.size += len(body)


class Download:
    """``/ogc/collections/{id}/download``."""

    def __init__(self, city: City) -> None:
        self._city = city
        # without a key nobody has all places: the pool's are for all
        self._places = Shares(KEYLESS, download.PLACES - 1, "downloads", free=0)

    async def give(self, scope: Scope, receive: Receive, send: Send, layer_id: str) -> None:
        """Answer GET or HEAD. Raises NotFound, BadParameter, NotAcceptable, TooLarge, Busy, Unavailable,
        WrongRange."""
        city = self._city
        caller: Caller = scope[CALLER]
        view = past.view(city, scope)
        read = city.read if view.moment is None else city.aside
        record = await read(view.layer, layer_id)
        if is_raster(record):
            if view.moment is not None:
                raise BadParameter(AT.name, past.name(view), NOT_KEPT)
            await self._of_raster(scope, receive, send, record, view)
            return
        layer = await read(view.feature_layer, layer_id)
        forms, pairs = negotiate.chosen(respond.query_pairs(scope), ("f",))
        pairs = past.others(pairs, view)
        form = FORMATS[negotiate.representation(scope, forms.get("f"), OFFER).name]
        query = queries.parse_download(layer, pairs)
        lang = negotiate.language(scope, city.settings.languages)
        etag = etags.tag(view.epoch, layer.seq, f"{form.name}-{lang}")
        none_match = respond.header(scope, b"if-none-match")
        if none_match and etags.matches(_MARK.sub('"', none_match), etag):
            await answers.not_modified(send, f"W/{etag}", answers.VARY_LANGUAGE)
            return
        if layer.count > download.MOST_FEATURES:
            await self._count(view, layer, query)
        title = negotiate.text(layer.title, lang, layer.id)
        # before HTTP/1.1 nothing but its length tells whether an answer is whole
        piped = form.streamed and scope.get("http_version") != "1.0"
        headers = _headers(localized(layer, query, lang, title), form, query.crs)
        answer = _Answer(send, headers, respond.client(city, scope))
        request = download.Input(
            layer.id, layer.generation, title, list(pairs), form.name, lang, past.name(view), False, False,
            download.MOST_FEATURES, download.MOST_BYTES, scratch.RESERVE_BYTES,
        )  # fmt: skip
        key = (view.key, etag, *request.parameters)
        if not piped or key in city.jobs.kept or scope["method"] == "HEAD" or ranges.requested(scope):
            try:
                await self._whole(scope, answer, key, etag, request, caller, receive)
                return
            except (TooLarge, Unavailable):
                # what is no file can still be streamed
                if not piped or answer.begun:
                    raise
        answer.headers.append((b"etag", f"W/{etag}".encode()))
        if scope["method"] == "HEAD":
            await answers.start(send, 200, answer.headers)
            await send({"type": "http.response.body", "body": b""})
            return
        packed = respond.accepts_gzip(scope)
        if packed:
            answer.headers.append((b"content-encoding", b"gzip"))
        await self._piped(
            answer, msgspec.structs.replace(request, piped=True, packed=packed), caller, receive
        )

    async def _of_raster(
        self, scope: Scope, receive: Receive, send: Send, layer: ContentLayer, view: View
    ) -> None:
        """A part of a raster as GeoTIFF, or as a picture with a world file: always a whole file."""
        city = self._city
        caller: Caller = scope[CALLER]
        styles = STYLE.keys() - {"datetime", "v"}
        forms, pairs = negotiate.chosen(respond.query_pairs(scope), ("f",))
        form = negotiate.representation(scope, forms.get("f"), OF_RASTERS)
        own = asked = Wanted()
        regions: Sequence[Region | None]
        if form.name == raster_download.PNG:
            texts, pairs = negotiate.chosen(pairs, styles)
            own, asked = of_city(city, layer.id), wanted(texts)
            of_map = maps.parse(pairs)
            interval, regions, crs = of_map.interval, (of_map.region, of_map.center), of_map.crs
        else:
            of_values = coverage_queries.parse(pairs)
            interval, regions, crs = of_values.interval, (of_values.region,), of_values.crs
        etag = tag(city, view, layer, form.name)
        await city.aside(check_offered, city, layer, instant_of(layer, interval), regions, crs)
        title = negotiate.text(layer.title, negotiate.language(scope, city.settings.languages), layer.id)
        request = raster_download.Input(
            layer.id, layer.generation, title, list(pairs), form.name, own, asked,
            raster_download.MOST_BYTES, scratch.RESERVE_BYTES,
        )  # fmt: skip
        extension = "zip" if form.name == raster_download.PNG else "tif"
        headers: Headers = [
            (b"content-type", form.media.encode()),
            _disposition(title, layer.id, extension),
            answers.FRESH,
            answers.VARY_LANGUAGE,
        ]
        answer = _Answer(send, headers, respond.client(city, scope))
        key = (view.key, etag, *request.parameters, own, asked)
        await self._whole(scope, answer, key, etag, request, caller, receive)

    async def _count(self, view: View, layer: FeatureLayer, query: Query) -> None:
        most = download.MOST_FEATURES
        if await self._city.read(view.count, layer.id, query, most, heavy=True) is None:
            raise TooLarge(f"more than {most} features match: {download.ASK_FOR_LESS}")

    async def _whole(
        self,
        scope: Scope,
        answer: _Answer,
        key: tuple[object, ...],
        etag: str,
        request: _Request,
        caller: Caller,
        receive: Receive,
    ) -> None:
        """Give the file, or the part of it that is asked for, from where it is kept."""

        async def make() -> Made:
            taker = FileTaker()
            try:
                async with self._job(request, caller, taker, receive, answer.address) as job:
                    await job.result()
            except BaseException:
                taker.close()
                raise
            assert taker.file is not None
            return taker.file, taker.size

        with self._failures(answer, request.layer):
            async with asyncio.timeout(MOST_SECONDS), self._city.jobs.kept.of(key, make) as held:
                await self._file(scope, answer, held, f'{etag[:-1]}.{held.mark}"')

    async def _piped(self, answer: _Answer, request: _Request, caller: Caller, receive: Receive) -> None:
        """Give what is written while it is written."""
        taker = PipeTaker()
        try:
            with self._failures(answer, request.layer):
                job_ = self._job(request, caller, taker, receive, answer.address)
                async with asyncio.timeout(MOST_SECONDS), job_ as job:
                    await _stream(answer, taker, job)
        finally:
            taker.close()

    @contextmanager
    def _failures(self, answer: _Answer, layer_id: str) -> Iterator[None]:
        """What goes wrong, as its client is told. Once the answer has begun, the operator alone is: it
        is left incomplete, and the server cuts the connection."""
        try:
            yield
        except Ended:
            if self._city.bus.closed.is_set() and not answer.begun:
                raise Unavailable("the server is stopping; try again soon") from None
        except TimeoutError:
            if not answer.begun:
                raise Unavailable(f"this download takes too long; {download.ASK_FOR_LESS}") from None
            log.warning("a download of layer %s broke off: its client is too slow", layer_id)
        except NoShare:
            raise
        except Busy as error:
            raise Busy(
                f"{download.PLACES} downloads are being made at this moment; try again soon"
            ) from error
        except TwinError as error:
            if not answer.begun:
                raise
            log.warning("a download of layer %s broke off: %s", layer_id, error)

    @asynccontextmanager
    async def _job(
        self,
        request: _Request,
        caller: Caller,
        taker: PipeTaker | FileTaker,
        receive: Receive,
        address: str,
    ) -> AsyncIterator[Job]:
        """The job, ended with the block, and when the client goes away or the server stops."""
        with contextlib.ExitStack() as share:
            if caller.name is None:
                share.enter_context(self._places.place(address))
            async with self._shared(request, caller, taker, receive) as job:
                yield job

    @asynccontextmanager
    async def _shared(
        self, request: _Request, caller: Caller, taker: PipeTaker | FileTaker, receive: Receive
    ) -> AsyncIterator[Job]:
        jobs = self._city.jobs
        document: dict[str, Any] = msgspec.to_builtins(request)
        job = await jobs.start(_WORKS[type(request)], document, caller, patience=PLACE_SECONDS, taker=taker)
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

    async def _file(self, scope: Scope, answer: _Answer, held: Held, etag: str) -> None:
        """The whole file or a part of it. Raises WrongRange."""
        status, (first, last), headers = ranges.part(scope, etag, held.size)
        await answer.begin(*headers, (b"content-length", b"%d" % (last + 1 - first)), status=status)
        if scope["method"] == "HEAD" or last < first:
            await answer.give(b"", more=False)
            return
        file = held.file.fileno()
        async for piece, more in ranges.pieces(self._city.run, file, first, last):
            await answer.give(piece, more=more)


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


def file_name(title: str) -> str:
    """A title as the name of a file, without what file systems refuse or a reader cannot see; it may be
    empty."""
    seen = "".join(char if char.isprintable() else "_" for char in title)
    return re.sub("_{2,}", "_", _UNSAFE.sub("_", seen))[:_LONGEST].strip(" .")


def _disposition(title: str, layer_id: str, extension: str) -> tuple[bytes, bytes]:
    quoted = quote(f"{file_name(title) or layer_id}.{extension}", safe="")
    plain = f"{layer_id}.{extension}"
    text = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quoted}"
    return b"content-disposition", text.encode()


def _headers(layer: FeatureLayer, form: Format, crs: str) -> Headers:
    """The headers of a file that bears the title of the layer; its id for clients that take only ASCII."""
    (title,) = layer.title.values()
    media = form.media + ("; charset=utf-8" if form.media.startswith("text/") else "")
    return [
        (b"content-type", media.encode()),
        _disposition(title, layer.id, form.extension),
        (b"content-crs", f"<{crs}>".encode()),
        answers.FRESH,
        answers.VARY_LANGUAGE,
    ]
