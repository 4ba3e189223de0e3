"""Columns of layers made before anybody asks for a tile: with a load, when a server starts, and beside it."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from layers.errors import NotFound, TwinError
from layers.store import cancellation
from layers.store.base import Store
from twin.access.rights import ALL, EVERYBODY
from twin.settings import CitySettings
from twin.threads import Threads

if TYPE_CHECKING:
    from twin.city import City

log = logging.getLogger("twin")
FOLDER = Path("derived") / "columns"
#: How often a server looks whether a layer has other columns now: who loaded it has begun to make them by
#: then, and is waited for.
LOOK_SECONDS = 1.0


def make(settings: CitySettings, store: Store, city: Path, layer_ids: Iterable[str]) -> None:
    """Make the columns of layers that were loaded, as a server of the city would on its first tile."""
    from rich.console import Console

    from tiles.layer_columns import LayerColumns
    from tiles.service import Caches, Tiles
    from twin.catalogue import tiles_of, view_of
    from twin.catalogue.view import View

    def tiles(view: View) -> Tiles:
        return tiles_of(view, settings, city, Caches())

    console = Console(stderr=True)
    columns = LayerColumns(view_of(store, settings, tiles, ALL, EVERYBODY), city / FOLDER)
    for layer_id in layer_ids:
        with console.status(f"columns of {layer_id}"):
            try:
                problem = columns.prepare(layer_id)
            except NotFound:
                # it was dropped meanwhile, or is of a form that has no features
                continue
            except TwinError as error:
                # the layer is loaded all the same
                problem = str(error)
        if problem is not None:
            print(
                f"twin: the columns of layer {layer_id} could not be made ({problem}); the server makes them",
                file=sys.stderr,
            )


def drop(city: Path, layer_id: str) -> None:
    """Remove what was made of a layer that is gone."""
    (city / FOLDER / f"{layer_id}.cols").unlink(missing_ok=True)


class Preparing:
    """Makes the columns of a served city in a thread of its own."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._thread = Threads(1, "twin-columns")
        self._failed: set[str] = set()
        self._stop = threading.Event()

    async def run(self) -> None:
        """Until cancelled. A layer that cannot be made is told once, and left to who asks for it."""
        while True:
            try:
                for layer_id in await self._thread.run(self._behind):
                    await self._thread.run(self._prepare, layer_id)
            except TwinError:
                # a store that does not answer is told by who watches it
                pass
            await asyncio.sleep(LOOK_SECONDS)

    def close(self) -> None:
        """End the thread, and what it is making."""
        self._stop.set()
        self._thread.close()

    def _behind(self) -> list[str]:
        if self._city.lost is not None:
            return []
        tiles = self._city.catalogue.whole.make_tiles()
        return [layer_id for layer_id in tiles.behind() if layer_id not in self._failed]

    def _prepare(self, layer_id: str) -> None:
        try:
            with cancellation.stoppable(self._stop):
                self._city.catalogue.whole.make_tiles().prepare(layer_id)
        except TwinError:
            pass
        except Exception:
            self._failed.add(layer_id)
            log.exception("the columns of layer %s cannot be made", layer_id)
