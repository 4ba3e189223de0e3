"""The one door through which HTTP reads and writes the city's features: it knows its caller."""

from __future__ import annotations

import contextlib
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

from layers.errors import Unavailable
from layers.store.base import Store
from tiles.ground import ConstantGround
from tiles.service import Caches, Tiles
from twin.access.caller import Caller
from twin.access.rights import ALL, Rights
from twin.catalogue.narrow import NarrowedView
from twin.catalogue.view import View
from twin.settings import CitySettings


def view_of(
    store: Store, settings: CitySettings, tiles: Callable[[View], Tiles], rights: str, rules: Rights
) -> View:
    """What a class of rights sees of a store; ``tiles`` makes its tiles when they are asked for."""
    if rights == ALL:
        return View(store, settings, tiles)
    return NarrowedView(store, settings, tiles, rights, rules)


class Catalogue:
    """Views of one store by class of rights. Safe to use from several threads."""

    def __init__(self, store: Store, settings: CitySettings, rights: Rights, derived: Path) -> None:
        """``derived`` is the folder of files that can be made again."""
        self._store, self._settings, self._derived = store, settings, derived
        self.rights = rights
        self._ground = ConstantGround(settings.heights.ground)
        self._caches = Caches()
        self._lock = threading.Lock()
        self._views: dict[str, View] = {ALL: view_of(store, settings, self._tiles, ALL, rights)}
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
                self._views[rights] = view_of(self._store, self._settings, self._tiles, rights, self.rights)
            return self._views[rights]

    def _tiles(self, view: View) -> Tiles:
        folder = self._derived
        if view.rights != ALL:
            folder = folder / "rights" / f"{zlib.crc32(view.rights.encode()):08x}"
        return Tiles(view, folder, self._ground, self._caches, self._settings.attribution)
