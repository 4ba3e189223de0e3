"""The files of a raster layer: where they lie, which are true at a time, and open ones to read from."""

from __future__ import annotations

import os
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from layers.errors import NotFound, Unavailable
from layers.model import Asset, ContentLayer
from layers.types import Interval

if TYPE_CHECKING:
    from rasterio import DatasetReader

#: Files that are held open, over all threads.
MOST_OPEN = 64
#: How long the state of a file is taken for granted (s).
TRUSTED = 1.0
#: What GDAL keeps of blocks that it has read (MB), over all files.
CACHE_MB = "128"
#: How a raster of the city is opened: GDAL looks for no files beside it, and a file is never another's list.
DRIVER = "GTiff"
#: How a grid of undulations is, where its name says so (as PROJ and NOAA publish them).
GRIDS = {".gtx": "GTX"}


def located(folder: Path, asset: Asset) -> Path:
    """Where an asset lies: below the city's ``folder``, or where it was registered.

    Raises Unavailable for one that is no file of this machine."""
    if "://" in asset.href:
        raise Unavailable("its raster lies on another server, which is not read")
    return folder / asset.href


def at_time(layer: ContentLayer, instant: str | None = None) -> tuple[Asset, ...]:
    """The assets that are true at an instant (``YYYY-MM-DD`` or ``YYYY-MM-DDThh:mm:ss.sssZ``; None: now), in
    the order in which they are drawn: those without a time, and those of the newest time that is not later.
    Empty where nothing is known of so long ago."""
    times = sorted({a.time for a in layer.assets if a.time is not None and not _later(a.time, instant)})
    newest = times[-1] if times else None
    return tuple(asset for asset in layer.assets if asset.time is None or asset.time == newest)


def true_at(layer: ContentLayer, instant: str | None = None) -> tuple[Asset, ...]:
    """As :func:`at_time`, at least one. Raises NotFound where nothing is known of so long ago."""
    if assets := at_time(layer, instant):
        return assets
    raise NotFound(f"layer {layer.id} has nothing of so long ago")


def instant_of(layer: ContentLayer, interval: Interval | None) -> str | None:
    """The instant at which :func:`at_time` finds what an interval asks for (None: now): its end, where
    something of the layer is as young as its beginning; one moment or day is asked for what was true then,
    however old that is. Raises NotFound where there is nothing of an interval."""
    if interval is None:
        return None
    start, end = interval
    if start is None or (end is not None and start[:10] == end[:10]):
        return end
    ends = [f"{a.time}T23:59:59.999Z" if len(a.time) == 10 else a.time for a in layer.assets if a.time]
    if ends and not any(start <= one and not _later(one[:10], end) for one in ends):
        raise NotFound(f"layer {layer.id} has nothing between {start} and {end or 'now'}")
    return end


def _later(time: str, instant: str | None) -> bool:
    """Whether a time is after an instant; a day begins at its first moment, and an instant that is a day ends
    with its last."""
    if instant is None:
        return False
    return time[:10] > instant if len(instant) == 10 else time > instant


@dataclass(frozen=True, slots=True)
class FileKey:
    """One state of a file: published anew it is another file.

    ``changed`` is the moment of the last change that no copy can set back, as ``cp -p`` does with the time of
    the content."""

    path: Path
    inode: int
    modified: int
    changed: int


class OpenFiles:
    """Open rasters, each lent to one thread at a time, as GDAL wants it. Safe to use from several threads."""

    def __init__(self, most: int = MOST_OPEN) -> None:
        self._idle: OrderedDict[FileKey, list[DatasetReader]] = OrderedDict()
        self._most, self._held = most, 0
        self._lock = threading.Lock()

    @contextmanager
    def lend(self, path: Path) -> Iterator[DatasetReader]:
        """An open raster. Raises Unavailable where the file is not there, is none, or cannot be read while it
        is lent."""
        key = file_key(path)
        dataset = self._take(key) or _open(path)
        _forget_errors()
        try:
            yield dataset
        except BaseException as error:
            dataset.close()
            if _is_of_gdal(error):
                raise _damaged() from error
            raise
        self._give_back(key, dataset)

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle = [dataset for every in self._idle.values() for dataset in every]
            self._idle.clear()
            self._held = 0
        for dataset in idle:
            dataset.close()

    def _take(self, key: FileKey) -> DatasetReader | None:
        with self._lock:
            idle = self._idle.get(key)
            if not idle:
                return None
            self._held -= 1
            dataset = idle.pop()
            if not idle:
                del self._idle[key]
            return dataset

    def _give_back(self, key: FileKey, dataset: DatasetReader) -> None:
        with self._lock:
            self._idle.setdefault(key, []).append(dataset)
            self._idle.move_to_end(key)
            self._held += 1
            oldest = self._oldest() if self._held > self._most else None
        if oldest is not None:
            oldest.close()

    def _oldest(self) -> DatasetReader:
        key, idle = next(iter(self._idle.items()))
        dataset = idle.pop(0)
        if not idle:
            del self._idle[key]
        self._held -= 1
        return dataset


def version(paths: Iterable[Path]) -> str:
    """A text that is another once one of the files was published anew. Raises Unavailable for one that is not
    there."""
    return digest(file_key(path) for path in paths)


class FileStates:
    """The state of the files of layers, asked of the disk at most every :data:`TRUSTED` seconds: for what is
    kept in memory. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is the city's."""
        self._folder = folder
        self._known: dict[str, tuple[float, int, str]] = {}

    def of(self, layer: ContentLayer) -> str:
        """A text that is another once one of a layer's files was published anew, went or came back."""
        known, now = self._known.get(layer.id), time.monotonic()
        if known is None or known[1] != layer.generation or now - known[0] >= TRUSTED:
            text = digest(self._keys(layer))
            known = self._known[layer.id] = now, layer.generation, f"{layer.generation}.{text}"
        return known[2]

    def _keys(self, layer: ContentLayer) -> Iterator[FileKey | str]:
        for asset in layer.assets:
            try:
                yield file_key(located(self._folder, asset))
            except Unavailable as error:
                yield str(error)


def digest(keys: Iterable[FileKey | str]) -> str:
    """A short text of states: of other ones another."""
    return f"{zlib.crc32(repr(list(keys)).encode()):08x}"


def file_key(path: Path) -> FileKey:
    """The state of a file. Raises Unavailable where it is not there."""
    try:
        state = path.stat()
    except OSError as error:
        raise Unavailable(f"its raster cannot be read: {error.strerror}") from error
    return FileKey(path, state.st_ino, state.st_mtime_ns, state.st_ctime_ns)


def _open(path: Path) -> DatasetReader:
    # read by GDAL at the first block; a twentieth of the machine's memory without it
    os.environ.setdefault("GDAL_CACHEMAX", CACHE_MB)
    import rasterio
    from rasterio.errors import RasterioIOError

    try:
        return rasterio.open(path, driver=GRIDS.get(path.suffix.lower(), DRIVER))
    except RasterioIOError as error:
        raise _damaged() from error


def _forget_errors() -> None:
    """GDAL keeps the last error of a thread, and rasterio takes what an earlier raster left there for one of
    this (rasterio, issue 2353): one damaged file made others unreadable."""
    from rasterio._err import stack_errors

    with stack_errors():
        pass


def _is_of_gdal(error: BaseException) -> bool:
    """Whether GDAL could not do something; rasterio lets some of its errors through as they are."""
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import RasterioError

    return isinstance(error, RasterioError | CPLE_BaseError)


def _damaged() -> Unavailable:
    return Unavailable("its raster cannot be read: it is damaged")
