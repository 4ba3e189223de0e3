"""From the change log to every screen: the watcher that tells open pages which tiles changed."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from layers.errors import Busy, TwinError
from twin.threads import Threads

if TYPE_CHECKING:
    from layers.model import Change
    from layers.store.base import Store
    from tiles.service import Changed
    from twin.catalogue import Catalogue
    from twin.catalogue.view import View
    from twin.live.bus import Bus
    from twin.live.feed import Feed

log = logging.getLogger("twin")
POLL_SECONDS = 0.2
#: How long one wait for a notification of the database lasts; a lost database is noticed as often.
WAIT_SECONDS = 0.5


class Watched(Protocol):
    """What a watcher reads and tells: a store, its views, the pages, the readers of the feed; and why the
    store is lost, if it is."""

    store: Store
    catalogue: Catalogue
    bus: Bus
    feed: Feed
    lost: str | None


class Watcher:
    """Reads the change log four to five times a second, or waits for a database to tell of changes.

    A poll of a local store costs two PRAGMAs when nothing happened. The event goes out after
    ``tiles.changed`` has taken the change in, so the bytes behind a pushed version are already served.
    The watcher is also the one that finds out whether a database answers (``lost``)."""

    def __init__(self, city: Watched) -> None:
        self._city = city
        try:
            self._since = city.store.seq()
        except TwinError:
            self._since = 0
        self._epoch = city.store.epoch
        self._failing = False
        # its own thread: a wait must not take the place of a reader, nor stand in line for one
        self._thread = Threads(1, "twin-watch")

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
        self._thread.close()

    async def _newest(self) -> int:
        """The newest log number, after a while. Raises Unavailable."""
        if self._city.store.local:
            await asyncio.sleep(POLL_SECONDS)
            return self._city.store.seq()
        return await self._thread.run(self._waited)

    def _waited(self) -> int:
        store = self._city.store
        if not self._failing:
            store.wait(self._since, WAIT_SECONDS)
        return store.seq()

    async def _tell(self) -> None:
        """Tell each class of rights what changed of what it sees, and wake the readers of the feed."""
        try:
            for rights, changed, generations in await self._thread.run(self._changes):
                for layer_id in changed.layers:
                    event = {"id": layer_id, "generation": generations.get(layer_id, 0)}
                    self._city.bus.publish("layers", event, rights)
                if changed.tiles:
                    self._city.bus.publish("tiles", changed.tiles, rights)
        finally:
            # its readers read the log themselves, and try again where that fails
            self._city.feed.tell(self._epoch, self._since)

    def _changes(self) -> list[tuple[str, Changed, dict[str, int]]]:
        """What open pages are to be told, by class of rights, and the generations of the layers."""
        store = self._city.store
        changes: list[Change] | None = None
        if store.epoch != self._epoch:
            self._epoch, self._since = store.epoch, store.seq()
        else:
            changes = store.changes(self._since)
            # a log that was begun anew has lower numbers
            self._since = changes[-1].seq if changes else store.seq()
        views = [self._city.catalogue.view(rights) for rights in self._city.bus.audiences]
        return [(view.rights, *_changed(view, changes)) for view in views]

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


def _changed(view: View, changes: list[Change] | None) -> tuple[Changed, dict[str, int]]:
    """What changed of what is seen. None for the changes is another history under the same address, as after
    a restore: every layer is new."""
    changed = view.make_tiles().changed(view.seen(changes or []))
    layers = view.layers() if changed.layers or changes is None else []
    if changes is None:
        changed.layers.extend(layer.id for layer in layers)
    return changed, {layer.id: layer.generation for layer in layers}
