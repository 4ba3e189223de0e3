"""A whole layer, or what a query selects of it, as a file: rows within the limits, its pieces or its file.

Everything is of one moment (``Store.scan``). What can be streamed is written into a pipe while it is read;
the other formats are made as a file first.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec

from layers import query as queries
from layers import write
from layers.errors import Conflict, TooLarge, Unavailable
from layers.model import FeatureLayer, Rows
from layers.query import Query
from layers.write import FORMATS, Format
from twin.jobs import scratch
from twin.jobs.taking import PIPE
from twin.jobs.work import Work, WorkContext
from twin.packing import packer

log = logging.getLogger("twin")

#: Downloads at one time.
PLACES = 2
MOST_FEATURES = 5_000_000
#: Of a format that is made as a file first.
MOST_BYTES = 2 << 30
ASK_FOR_LESS = "ask for a part of it with bbox, filter or properties"
#: Rows read at a time.
BATCH = 2_000
#: Pieces smaller than this are sent together.
PIECE = 256 << 10


class Input(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What to give: the layer as of one load, the query's parameters, the format and the language of titles.

    ``piped``: in pieces, ``packed`` or not, to who reads the pipe; else as a file. The limits are those of
    whoever asks: features, bytes of a file, bytes that stay free on the disk."""

    layer: str
    generation: int
    title: str
    parameters: list[tuple[str, str]]
    format: str
    language: str
    #: What moment it is of, as a request names it; of now without one.
    at: str = ""
    piped: bool = False
    packed: bool = False
    most_features: int = MOST_FEATURES
    most_bytes: int = MOST_BYTES
    reserve: int = scratch.RESERVE_BYTES


def run(request: Input, context: WorkContext) -> dict[str, object]:
    """Write the pipe, or a file; its name and size in bytes. Raises TooLarge, Unavailable, Conflict."""
    made = _Download(request, context)
    return made.piped() if request.piped else made.filed()


def localized(layer: FeatureLayer, query: Query, language: str, title: str) -> FeatureLayer:
    """The layer as the file shows it: titles of one language, the fields that were asked for."""
    layer = replace(write.localized(layer, language), title={language: title})
    if query.properties is None:
        return layer
    return replace(layer, fields=tuple(f for f in layer.fields if f.name in query.properties))


class _Download:
    def __init__(self, request: Input, context: WorkContext) -> None:
        self._view = context.view.then(request.at)
        layer = self._view.feature_layer(request.layer)
        self._request, self._context = request, context
        self._query = queries.parse_download(layer, request.parameters)
        self._form: Format = FORMATS[request.format]
        self._count = layer.count
        self._check_generation()
        self._layer = localized(layer, self._query, request.language, request.title)

    def piped(self) -> dict[str, object]:
        size = 0
        with (self._context.folder / PIPE).open("wb", buffering=0) as pipe:
            for piece in self._pieces(self._request.packed, None):
                left = memoryview(piece)
                while left:
                    left = left[pipe.write(left) :]
                size += len(piece)
        return {"size": size}

    def filed(self) -> dict[str, object]:
        folder = self._context.folder
        path = folder / f"{self._layer.id}.{self._form.extension}"
        try:
            scratch.check_room(folder, self._request.reserve)
            if self._form.streamed:
                with path.open("wb") as out:
                    out.writelines(self._pieces(False, folder))
            else:
                rows = self._batches(self._query, folder)
                write.write(self._form.name, self._layer, rows, path, self._query.crs)
            self._check_size(folder)
            return {"file": path.name, "size": path.stat().st_size}
        except OSError as error:
            log.warning("a download could not be made: %s", error)
            raise Unavailable(scratch.NO_ROOM) from error

    def _pieces(self, packed: bool, folder: Path | None) -> Generator[bytes]:
        """The file in pieces that are worth a write each; ``folder`` is where they are kept, if they are."""
        pack = packer() if packed else None
        held, size = [], 0
        survey = self._batches(replace(self._query, properties=(), sort=()))
        rows = self._batches(self._query, folder)
        for one in write.stream(self._form.name, self._layer, rows, survey, self._query.crs):
            held.append(pack.compress(one) if pack else one)
            size += len(held[-1])
            if size >= PIECE:
                yield b"".join(held)
                held, size = [], 0
        yield b"".join([*held, pack.flush() if pack else b""])

    def _batches(self, query: Query, folder: Path | None = None) -> Iterator[Rows]:
        """What a query selects, within the limits. Raises TooLarge, Unavailable, Conflict."""
        count, most = 0, self._request.most_features
        with contextlib.closing(self._view.scan(self._layer.id, query, BATCH)) as batches:
            for rows in batches:
                if not count:
                    self._check_generation()
                count += len(rows.fids)
                if count > most:
                    raise TooLarge(f"more than {most} features match: {ASK_FOR_LESS}")
                if folder is not None:
                    scratch.check_room(folder, self._request.reserve)
                    self._check_size(folder)
                self._context.progress(count, self._count)
                yield rows

    def _check_generation(self) -> None:
        """Fields and rows, and the rows of two scans, are of one load. Raises Conflict."""
        if self._view.feature_layer(self._request.layer).generation != self._request.generation:
            raise Conflict(f"layer {self._request.layer} was loaded anew at this moment; try again")

    def _check_size(self, folder: Path) -> None:
        """Raises TooLarge."""
        size = sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())
        if size > self._request.most_bytes:
            raise TooLarge(
                f"the file would have more than {self._request.most_bytes >> 30} GB: {ASK_FOR_LESS}"
            )


WORK = Work("download", {"en": "Download", "zh-CN": "数据下载"}, Input, run, PLACES)
