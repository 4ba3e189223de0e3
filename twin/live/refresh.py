"""From the change log to every screen: the watcher that tells open pages which tiles changed."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from layers.errors import TwinError

if TYPE_CHECKING:
    from twin.city import City

log = logging.getLogger("twin")
POLL_SECONDS = 0.2


class Watcher:
    """Reads the change log four to five times a second and publishes what it says.

    A poll costs two PRAGMAs when nothing happened. The event goes out after ``tiles.changed``
    has taken the change in, so the bytes behind a pushed version are already served."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._since = city.store.seq()

    async def run(self) -> None:
        """Until cancelled. A store that fails is reported once and tried again."""
        failing = False
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self._poll()
                failing = False
            except TwinError as error:
                if not failing:
                    log.warning("the change log cannot be read: %s", error)
                failing = True

    async def _poll(self) -> None:
        city = self._city
        if city.store.seq() == self._since:
            return
        changes = await city.run(city.store.changes, self._since)
        if not changes:
            self._since = city.store.seq()
            return
        self._since = changes[-1].seq
        told = await city.run(city.tiles.changed, changes)
        for layer_id in told.layers:
            city.bus.publish("layers", {"id": layer_id, "generation": self._generation(layer_id)})
        if told.tiles:
            city.bus.publish("tiles", told.tiles)

    def _generation(self, layer_id: str) -> int:
        found = [layer.generation for layer in self._city.store.layers() if layer.id == layer_id]
        return found[0] if found else 0
