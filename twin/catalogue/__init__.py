"""The one door through which HTTP reads and writes the city's features: it knows its caller."""

from __future__ import annotations

import contextlib
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

from layers.errors import BadConfig, TwinError, Unavailable, shown
from layers.raster.files import OpenFiles
from layers.store.base import Store
from tiles.ground import ConstantGround
from tiles.service import Caches, Tiles
from tiles.terrain.ground import TerrainGround
from tiles.terrain.service import TerrainTiles
from tiles.terrain.undulation import Undulation, of_grid
from twin.access.caller import Caller
from twin.access.rights import ALL, Rights
from twin.catalogue.narrow import NarrowedView
from twin.catalogue.pasts import Pasts
from twin.catalogue.view import View
from twin.settings import FILE, CitySettings


def view_of(
    store: Store,
    settings: CitySettings,
    tiles: Callable[[View], Tiles],
    rights: str,
    rules: Rights,
    pasts: Pasts[View] | None = None,
) -> View:
    """What a class of rights sees of a store; ``tiles`` makes its tiles when they are asked for, ``pasts``
    keeps the views of what was."""
    if rights == ALL:
        return View(store, settings, tiles, pasts)
    return NarrowedView(store, settings, tiles, rights, rules, pasts)


def _undulation(declared: float | str, folder: Path, files: OpenFiles) -> Undulation:
    """Raises BadConfig where a grid cannot be read."""
    if not isinstance(declared, str):
        return Undulation(declared)
    try:
        return of_grid(folder / declared, files)
    except TwinError as error:
        raise BadConfig(
            f"{FILE}: heights.undulation: {shown(declared)} cannot be read as a grid: {error}"
        ) from None


def tiles_of(view: View, settings: CitySettings, folder: Path, caches: Caches) -> Tiles:
    """The tiles of what a view sees of the city in a folder, on the ground that its settings
    name. Raises BadConfig."""
    derived = folder / "derived"
    if view.rights != ALL:
        derived = derived / "rights" / f"{zlib.crc32(view.rights.encode()):08x}"
    heights = settings.heights
    undulation = _undulation(heights.undulation, folder, caches.blocks.files)
    terrain = TerrainTiles(view, folder, caches.tiles, caches.blocks, undulation)
    ground = TerrainGround(terrain) if heights.ground == "terrain" else ConstantGround(heights.ground)
    of = derived if view.moment is None else view.present.make_tiles()
    return Tiles(view, of, ground, caches, settings.attribution, terrain, settings.tiles())


class Catalogue:
    """Views of one store by class of rights. Safe to use from several threads."""

    def __init__(
        self,
        store: Store,
        settings: CitySettings,
        rights: Rights,
        folder: Path,
        files: OpenFiles | None = None,
    ) -> None:
        """``folder`` is the city's, ``files`` are its rasters that are open."""
        self._store, self._settings, self._folder = store, settings, folder
        self.rights = rights
        self._caches = Caches(files)
        self._lock = threading.Lock()
        self._pasts: Pasts[View] = Pasts()
        self._views: dict[str, View] = {ALL: self._view(ALL)}
        # made now, so that no request waits for it; of a store that cannot be read, by who asks
        with contextlib.suppress(Unavailable):
            self.whole.make_tiles()

    @property
    def whole(self) -> View:
        """The view of those who see all."""
        return self._views[ALL]

    def of(self, caller: Caller) -> View:
        """What a caller sees."""
        return self._views.get(caller.rights) or self.view(caller.rights)

    def view(self, rights: str) -> View:
        """What a class of rights sees."""
        with self._lock:
            if rights not in self._views:
                self._views[rights] = self._view(rights)
            return self._views[rights]

    def _view(self, rights: str) -> View:
        return view_of(self._store, self._settings, self._tiles, rights, self.rights, self._pasts)

    def _tiles(self, view: View) -> Tiles:
        return tiles_of(view, self._settings, self._folder, self._caches)
