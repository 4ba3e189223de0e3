"""A city that is open: its settings, store, tiles, live data and keys, held together."""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from layers.errors import Busy, NotFound, Unavailable
from layers.raster.files import OpenFiles
from layers.raster.profiles import RasterProfiles
from layers.store import cancellation
from layers.store.base import Store
from tiles.imagery.service import Imagery
from twin.access.caller import Callers
from twin.access.keys import Keys
from twin.access.sessions import Sessions
from twin.audit import Auditor
from twin.hits import Hits
from twin.live.clock import iso, now_ms
from twin.overload import Load, Pace
from twin.settings import CitySettings
from twin.threads import Threads

if TYPE_CHECKING:
    from twin.catalogue import Catalogue
    from twin.incidents import Incidents
    from twin.jobs import Jobs
    from twin.live import Live
    from twin.live.bus import Bus
    from twin.live.feed import Feed
    from twin.live.views import View
    from twin.live_layers import LiveLayers
    from twin.webhooks import Webhooks

T = TypeVar("T")
P = ParamSpec("P")
#: How long a heavy query waits for a place.
PLACE_SECONDS = 2.0
#: How long a call that writes for long waits for those before it.
TURN_SECONDS = 2.0
#: A call that ends with Unavailable after so long was not refused but left without an answer.
SILENCE_SECONDS = 0.5
#: After so long a call is watched for whether anybody still waits for it.
WATCHED_SECONDS = 0.02
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass
class City:
    """Everything an HTTP module may use. Built by :func:`twin.app.open_city`.

    ``pool`` does what needs no store (live data, files), ``readers``, ``makers`` and ``writers`` wait for
    the store: a database that does not answer must not hold up the rest of the server, nor the building of
    a layer's tiles a page of features. ``sensing`` answers questions about things, which anybody may make as
    long as he likes: nothing else waits behind them. ``lost`` says why the store cannot be reached now, and
    then no call is begun that would wait for it."""

    folder: Path
    settings: CitySettings
    store: Store
    catalogue: Catalogue
    live: Live
    incidents: Incidents
    bus: Bus
    feed: Feed
    keys: Keys
    sessions: Sessions
    callers: Callers
    jobs: Jobs
    audit: Auditor
    webhooks: Webhooks
    #: The rasters of the city that are open.
    rasters: OpenFiles = field(default_factory=OpenFiles)
    pool: Threads = field(default_factory=lambda: Threads(8, "twin-work"))
    sensing: Threads = field(default_factory=lambda: Threads(4, "twin-sense", modest=True))
    readers: Threads = field(init=False)
    makers: Threads = field(default_factory=lambda: Threads(8, "twin-make"))
    writers: Threads = field(init=False)
    lost: str | None = None
    profiles: RasterProfiles = field(init=False)
    imagery: Imagery = field(init=False)
    load: Load = field(default_factory=Load)
    #: Tiles that were asked for before.
    hits: Hits = field(init=False)
    _heavy: Pace = field(default_factory=lambda: Pace(2 * PLACE_SECONDS, 0.2))
    _heavy_waiting: int = 0
    #: Incidents and latest observations as layers that are read.
    live_layers: LiveLayers = field(init=False)
    _silent: tuple[float, str] = (0.0, "")
    _places: asyncio.Semaphore = field(init=False)
    _alone: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        from twin.live_layers import LiveLayers

        self.hits = Hits(self.load)
        self.profiles = RasterProfiles(self.folder, self.rasters)
        self.imagery = Imagery(self.profiles)
        self.live_layers = LiveLayers(self.live, self.incidents, self.settings, self.folder / "derived")
        database = self.settings.database()
        light, writing = (database.readers, database.writers) if database else (0, 4)
        heavy = self.settings.limits.heavy_queries
        self.readers = Threads(light + heavy, "twin-read")
        self.writers = Threads(writing, "twin-write")
        self._places = asyncio.Semaphore(heavy)

    @property
    def pools(self) -> tuple[Threads, ...]:
        """All that works beside the event loop, but for the writer of live data, the watcher and the jobs,
        which are one thread each."""
        return self.pool, self.sensing, self.readers, self.makers, self.writers

    def snapshot(self, view: View | None = None) -> dict[str, object]:
        """What a page needs to begin: every sensor, or what is in view, the worst of the open incidents, how
        many are open, the last that ended."""
        seen = {"sensors": self.live.sensors()} if view is None else self.bus.views.content(view)
        return {"time": iso(now_ms()), **seen, **self.incidents.board()}

    async def sense(
        self, call: Callable[..., T], *args: Any, gone: Callable[[], Awaitable[None]] | None = None
    ) -> T:
        """Run a question about things, ended soon after ``gone`` has returned. Raises Busy where it
        waits for 10 s, at once behind many where it would wait for 2 s, and what the call raises."""
        async with _noticed(gone) as stop:

            def stoppable() -> T:
                with cancellation.stoppable(stop):
                    return call(*args)

            return await self.sensing.run(stoppable)

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run blocking work that needs no store beside the event loop. Raises Busy."""
        return await self.pool.run(partial(call, *args, **kwargs))

    async def read(
        self,
        call: Callable[..., T],
        *args: Any,
        heavy: bool = False,
        gone: Callable[[], Awaitable[None]] | None = None,
    ) -> T:
        """Run a call that reads the store: at once where the store is local, else in a reader thread.

        ``heavy`` marks a call that may take long (a filter, a sort, thousands of features): it always
        runs in a thread, and only ``limits.heavy_queries`` of them run at a time. A place is given back
        when the call ends, which happens soon after ``gone`` has returned: nobody waits for it any more.
        Raises Busy when no place gets free within 2 s or no thread within 10 s, Unavailable, and what
        the call raises."""
        if not heavy and self.store.local:
            return call(*args)
        self._reachable()
        if not heavy:
            return await self.readers.run(self._begin, time.monotonic(), call, args)
        async with _noticed(gone) as stop:
            await self._place()

            def stoppable() -> T:
                begun = time.monotonic()
                try:
                    with cancellation.stoppable(stop):
                        return call(*args)
                finally:
                    self._heavy.took(time.monotonic() - begun)

            free = self._places.release
            return await self.readers.run(self._begin, time.monotonic(), stoppable, (), after=free)

    async def _place(self) -> None:
        """A place of a heavy query. Raises Busy: after a while, or at once where it would take longer."""
        detail = "too many long queries run at this moment; try again soon"
        places, waiting = self.settings.limits.heavy_queries, self._heavy_waiting + 1
        if self._places.locked() and self._heavy.too_long(waiting, places, PLACE_SECONDS):
            raise Busy(detail)
        self._heavy_waiting += 1
        try:
            async with asyncio.timeout(PLACE_SECONDS):
                await self._places.acquire()
        except TimeoutError as error:
            raise Busy(detail) from error
        finally:
            self._heavy_waiting -= 1

    async def aside(self, call: Callable[..., T], *args: Any) -> T:
        """Run a call that makes something of what it reads (a tile, a page in HTML) in a thread, wherever
        the store is: it would hold up the event loop by itself. Raises as ``read``."""
        self._reachable()
        return await self.makers.run(self._begin, time.monotonic(), call, args)

    async def write(self, call: Callable[..., T], *args: Any) -> T:
        """Run a call that writes the store in a writer thread. Raises as ``read``."""
        self._reachable()
        return await self.writers.run(self._begin, time.monotonic(), call, args)

    async def write_alone(self, call: Callable[..., T], *args: Any) -> T:
        """As ``write``, of a call that writes for long: one at a time, so that single edits always find a
        thread and a connection beside it. Raises Busy where the one before it takes too long."""
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._alone.acquire()
        except TimeoutError as error:
            raise Busy("another transaction is being written; try again") from error
        try:
            return await self.write(call, *args)
        finally:
            self._alone.release()

    def _begin(self, since: float, call: Callable[..., T], args: tuple[Any, ...]) -> T:
        # asked again: the store may have been lost while the call waited for a thread
        self._reachable()
        if since < self._silent[0]:
            raise Unavailable(self._silent[1])
        begun = time.monotonic()
        try:
            return call(*args)
        except Busy:
            raise
        except Unavailable as error:
            if not self.store.local and time.monotonic() - begun > SILENCE_SECONDS:
                # whoever waited behind this call would wait as long again to hear the same
                self._silent = time.monotonic(), str(error)
            raise

    def _reachable(self) -> None:
        if self.lost is not None:
            raise Unavailable(self.lost)

    def close(self) -> None:
        """End the threads once their calls have ended, then close the store."""
        for pool in self.pools:
            pool.close()
        self.audit.stop()
        self.live_layers.close()
        self.rasters.close()
        self.jobs.close()
        self.store.close()

    def unreadable(self) -> dict[str, str]:
        """As :func:`unreadable`, of this city."""
        return unreadable(self.settings, self.store)

    @cached_property
    def hosts(self) -> frozenset[str]:
        """The host names this server answers to."""
        public = urlsplit(self.settings.url).hostname if self.settings.url else None
        return (
            LOOPBACK
            | {host.lower() for host in self.settings.allowed_hosts}
            | ({public} if public else set())
        )

    def trusts(self, scope: Mapping[str, Any]) -> bool:
        """Whether the peer is a proxy whose headers of :mod:`twin.http.forwarded` are believed."""
        client = scope.get("client") or ("",)
        return client[0] in self.settings.trusted_proxies


def unreadable(settings: CitySettings, store: Store) -> dict[str, str]:
    """Why tables that city.yml names as layers cannot be read now, by layer. Raises Unavailable, Busy when
    the database cannot be asked."""
    problems: dict[str, str] = {}
    store.seq()  # a database that is away is no fault of its tables
    for layer_id, layer_settings in settings.layers.items():
        if not layer_settings.table:
            continue
        try:
            store.feature_layer(layer_id)
        except (NotFound, Unavailable) as error:
            problems[layer_id] = str(error)
    return problems


@asynccontextmanager
async def _noticed(gone: Callable[[], Awaitable[None]] | None) -> AsyncIterator[threading.Event]:
    """An event that is set when ``gone`` returns within the block."""
    stop = threading.Event()
    task: asyncio.Task[None] | None = None

    async def watch(gone: Callable[[], Awaitable[None]]) -> None:
        await gone()
        stop.set()

    def begin(gone: Callable[[], Awaitable[None]]) -> None:
        nonlocal task
        task = asyncio.create_task(watch(gone))

    # a task costs as much as a short call, which ends before anybody is gone
    timer = None if gone is None else asyncio.get_running_loop().call_later(WATCHED_SECONDS, begin, gone)
    try:
        yield stop
    finally:
        # who stops waiting, as when the server stops, lets the call end, too
        stop.set()
        if timer is not None:
            timer.cancel()
        if task is not None:
            task.cancel()


class Lock:
    """One server a city: an advisory lock on ``city.lock``, released by the kernel if we die."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "city.lock"
        self._handle: int | None = None
        self._folder_handle: int | None = None

    def take(self) -> None:
        """Take the lock. Raises Busy when another server has it; a read-only folder has no lock."""
        try:
            handle = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError:
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = os.pread(handle, 20, 0).decode("ascii", "replace").strip() or "?"
            os.close(handle)
            raise Busy(f"another server (process {pid}) serves this city already") from error
        try:
            # a file can be deleted while it is locked, and the next server then locks another
            self._folder_handle = _folder_lock(self._file.parent)
        except BlockingIOError as error:
            os.close(handle)
            raise Busy("another server serves this city already; its city.lock was deleted") from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        self._handle = handle

    def release(self) -> None:
        """Give the lock back."""
        for handle in (self._handle, self._folder_handle):
            if handle is not None:
                os.close(handle)
        self._handle = self._folder_handle = None


def _folder_lock(folder: Path) -> int | None:
    """A lock of the folder itself; None where the filesystem has none (NFS). Raises BlockingIOError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise
    except OSError:
        os.close(handle)
        return None
    return handle
