"""The work of one download: its rows within the limits, its pieces or its file, in threads of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, ParamSpec, TypeVar

from layers import write
from layers.errors import Conflict, TooLarge, Unavailable
from layers.model import FeatureLayer, Rows
from layers.query import Query
from layers.write import Format
from twin.http import answers, respond
from twin.http.ogc import scratch
from twin.http.respond import Headers, Receive, Send

if TYPE_CHECKING:
    from twin.catalogue.view import View
    from twin.city import City

P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger("twin")

MOST_FEATURES = 5_000_000
#: Of a format that is made as a file first.
MOST_BYTES = 2 << 30
ASK_FOR_LESS = "ask for a part of it with bbox, filter or properties"
#: Rows read at a time.
BATCH = 2_000
#: Pieces smaller than this are sent together.
PIECE = 256 << 10


class Gone(Exception):
    """Nobody waits for this download any more."""


class Job:
    """One download: what its threads do, and whether anybody still waits for it."""

    def __init__(
        self,
        city: City,
        view: View,
        layer: FeatureLayer,
        query: Query,
        form: Format,
        threads: ThreadPoolExecutor,
    ) -> None:
        self.layer = layer
        self.begun = False
        self.form = form
        self._city, self._view, self._query, self._threads = city, view, query, threads
        self._gone = threading.Event()
        self._turn = threading.Lock()

    @asynccontextmanager
    async def watched(self, receive: Receive) -> AsyncIterator[None]:
        """Notice when the client goes away or the server stops, and end the work then."""
        watch = asyncio.create_task(self._watch(receive))
        try:
            yield
        finally:
            self._gone.set()
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch

    async def _watch(self, receive: Receive) -> None:
        ends = [
            asyncio.create_task(respond.gone(receive)),
            asyncio.create_task(self._city.bus.closed.wait()),
        ]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            self._gone.set()
        finally:
            for one in ends:
                one.cancel()

    async def begin(self, send: Send, headers: Headers) -> None:
        """Send the head of the answer: from here on there is no other answer."""
        self.begun = True
        await answers.start(send, 200, headers)

    async def beside(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one step in a thread of the downloads; the steps of one download never overlap."""

        def step() -> T:
            with self._turn:
                return call(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._threads, step)

    def pieces(self, packed: bool, folder: Path | None = None) -> Generator[bytes]:
        """The file in pieces that are worth a write each; ``folder`` is where they are kept, if they are.
        Raises Gone."""
        packer = answers.packer() if packed else None
        held, size = [], 0
        survey = self._batches(replace(self._query, properties=(), sort=()))
        found = self._batches(self._query, folder)
        for one in write.stream(self.form.name, self.layer, found, survey, self._query.crs):
            held.append(packer.compress(one) if packer else one)
            size += len(held[-1])
            if size >= PIECE:
                yield b"".join(held)
                held, size = [], 0
        yield b"".join([*held, packer.flush() if packer else b""])

    def made(self, space: scratch.Scratch) -> tuple[BinaryIO, int]:
        """The file, open and without a name any more, and its size. Raises TooLarge, Unavailable, Gone."""
        with space.folder() as folder:
            path = folder / f"{self.layer.id}.{self.form.extension}"
            try:
                scratch.check_room(folder)
                if self.form.streamed:
                    with path.open("wb") as out:
                        out.writelines(self.pieces(False, folder))
                else:
                    found = self._batches(self._query, folder)
                    write.write(self.form.name, self.layer, found, path, self._query.crs)
                size = _size(folder)
                return path.open("rb"), size
            except OSError as error:
                log.warning("a download could not be made: %s", error)
                raise Unavailable(scratch.NO_ROOM) from error

    def _batches(self, query: Query, folder: Path | None = None) -> Iterator[Rows]:
        """What a query selects, within the limits. Raises Gone, TooLarge, Unavailable, Conflict."""
        count = 0
        with contextlib.closing(self._view.scan(self.layer.id, query, BATCH)) as found:
            for rows in found:
                if not count:
                    self._check_generation()
                count += len(rows.fids)
                if self._gone.is_set():
                    raise Gone
                if count > MOST_FEATURES:
                    raise TooLarge(f"more than {MOST_FEATURES} features match: {ASK_FOR_LESS}")
                if folder is not None:
                    scratch.check_room(folder)
                    _size(folder)
                yield rows

    def _check_generation(self) -> None:
        """Fields and rows, and the rows of two scans, are of one load. Raises Conflict."""
        now = self._view.feature_layer(self.layer.id).generation
        if now != self.layer.generation:
            raise Conflict(f"layer {self.layer.id} was loaded anew at this moment; try again")


def _size(folder: Path) -> int:
    """Bytes of the files in a folder. Raises TooLarge."""
    size = sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())
    if size > MOST_BYTES:
        raise TooLarge(f"the file would have more than {MOST_BYTES >> 30} GB: {ASK_FOR_LESS}")
    return size
