"""From the change log to every screen: the watcher that tells open pages which tiles changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from layers.errors import Busy, TwinError

if TYPE_CHECKING:
    from layers.store.base import Store
    from tiles.service import Changed, Tiles
    from twin.live.bus import Bus

log = logging.getLogger("twin")
POLL_SECONDS = 0.2
#: How long one wait for a notification of the database lasts; a lost database is noticed as often.
WAIT_SECONDS = 0.5


class Watched(Protocol):
    """What a watcher reads and tells: a store, its tiles, the pages; and why the store is lost, if it is."""

    store: Store
    tiles: Tiles
    bus: Bus
    lost: str | None


class Watcher:
    """Reads the change log four to five times a second, or waits for a database to tell of changes.

    A poll of a local store costs two PRAGMAs when nothing happened. The event goes out after
    ``tiles.changed`` has taken the change in, so the bytes behind a pushed version are already served.
    The watcher is also the one that finds out whether a database answers (``lost``)."""

    def __init__(self, city: Watched) -> None:
        self._city = city
        self._since = city.store.seq()
        self._epoch = city.store.epoch
        self._failing = False
        # its own thread: a wait must not take the place of a reader, nor stand in line for one
        self._thread = ThreadPoolExecutor(1, "twin-watch")

    async def run(self) -> None:
        """Until cancelled. A store that fails is reported once and tried again."""
        while True:
            try:
                if await self._newest() != self._since or self._city.store.epoch != self._epoch:
                    await self._tell()
                self._answers()
            except Busy:
                await asyncio.sleep(POLL_SECONDS)
            except TwinError as error:
                self._fails(error)
                await asyncio.sleep(POLL_SECONDS)

    def close(self) -> None:
        """End the watcher's thread."""
        self._thread.shutdown(cancel_futures=True)

    async def _newest(self) -> int:
        """The newest log number, after a while. Raises Unavailable."""
        if self._city.store.local:
            await asyncio.sleep(POLL_SECONDS)
            return self._city.store.seq()
        return await self._alone(self._waited)

    def _waited(self) -> int:
        store = self._city.store
        if not self._failing:
            store.wait(self._since, WAIT_SECONDS)
        return store.seq()

    async def _tell(self) -> None:
        changed, generations = await self._alone(self._changes)
        for layer_id in changed.layers:
            told = {"id": layer_id, "generation": generations.get(layer_id, 0)}
            self._city.bus.publish("layers", told)
        if changed.tiles:
            self._city.bus.publish("tiles", changed.tiles)

    async def _alone[T](self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def _changes(self) -> tuple[Changed, dict[str, int]]:
        """What open pages are to be told, and the generation of every layer."""
        city, store = self._city, self._city.store
        if store.epoch != self._epoch:
            changed = self._restored()
        else:
            changes = store.changes(self._since)
            # a log that was begun anew has lower numbers
            self._since = changes[-1].seq if changes else store.seq()
            changed = city.tiles.changed(changes)
        layers = store.layers() if changed.layers else []
        return changed, {layer.id: layer.generation for layer in layers}

    def _restored(self) -> Changed:
        """Another history under the same address, as after a restore: every layer is new."""
        store = self._city.store
        self._epoch, self._since = store.epoch, store.seq()
        changed = self._city.tiles.changed([])
        changed.layers.extend(layer.id for layer in store.layers())
        return changed

    def _fails(self, error: TwinError) -> None:
        if not self._failing:
            log.warning("the store does not answer: %s", error)
        self._failing = True
        if not self._city.store.local:
            self._city.lost = str(error)

    def _answers(self) -> None:
        if self._failing:
            log.warning("the store answers again")
        self._failing = False
        self._city.lost = None
