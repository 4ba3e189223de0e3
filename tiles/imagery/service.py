"""The pictures of raster layers: what HTTP asks, drawn on demand and kept while it is true.

Every answer's ETag is known before anything is drawn: it is of the layer's record, the state of its files and
the style."""

from __future__ import annotations

import math
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from layers.errors import Unavailable
from layers.model import ContentLayer
from layers.raster.files import TRUSTED, at_time, version
from layers.raster.profile import RasterProfile
from layers.raster.profiles import RasterProfiles
from layers.types import Bbox
from tiles import scheme
from tiles.cache import Cache
from tiles.imagery.colors import Rgb
from tiles.imagery.place import TILE, WEB_MERCATOR, Place, meet, of_tile
from tiles.imagery.style import Style, Wanted, resolve

if TYPE_CHECKING:
    from tiles.imagery.paint import Format

#: Joined to every ETag; to be changed whenever the same cells give other bytes.
EDITION = "1"
CACHE_BYTES = 128 << 20
#: Looks that are remembered.
MOST_LOOKS = 512
#: Mean radius of the Earth (m).
RADIUS = 6_371_008.8
#: The deepest zoom at which tiles are drawn.
MAX_ZOOM = 24


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's bytes."""

    body: bytes

    @property
    def weight(self) -> int:
        """Bytes held, with the object around them."""
        return len(self.body) + 200


@dataclass(frozen=True, slots=True)
class Look:
    """A raster layer as one request sees it: the files that are true at its time, in the order in which they
    are drawn, and how. ``version`` is another whenever it looks otherwise."""

    paths: tuple[Path, ...]
    profile: RasterProfile
    style: Style
    version: str


class Imagery:
    """Tiles and pictures of all raster layers of a city. Safe to use from several threads."""

    def __init__(self, profiles: RasterProfiles) -> None:
        self._profiles, self._files = profiles, profiles.files
        self._cache: Cache[Picture] = Cache(CACHE_BYTES)
        self._looks: OrderedDict[Hashable, tuple[float, Look]] = OrderedDict()
        self._lock = threading.Lock()

    def warm(self, layers: Iterable[ContentLayer]) -> None:
        """Import what draws, and look at these layers, so that no request waits for it."""
        from tiles.imagery import paint, read  # noqa: F401

        for layer in layers:
            with suppress(Unavailable):
                self._profiles.of(layer)

    # -- how it is drawn ---------------------------------------------------------------------

    def look(self, layer: ContentLayer, city: Wanted, asked: Wanted, instant: str | None = None) -> Look:
        """How a layer looks. Raises BadParameter, Unavailable."""
        profile = self._profiles.of(layer)
        style = resolve(profile, layer.form == "surface", city, asked)
        paths = self._profiles.paths(at_time(layer, instant))
        text = f"{EDITION} {layer.id} {layer.generation} {version(paths)} {style}"
        look = Look(paths, profile, style, f"{zlib.crc32(text.encode()):08x}")
        with self._lock:
            key = _key(layer, city, asked, instant)
            self._looks[key] = time.monotonic(), look
            self._looks.move_to_end(key)
            if len(self._looks) > MOST_LOOKS:
                self._looks.popitem(last=False)
        return look

    def look_held(
        self, layer: ContentLayer, city: Wanted, asked: Wanted, instant: str | None = None
    ) -> Look | None:
        """As :meth:`look` where its files need not be asked."""
        known = self._looks.get(_key(layer, city, asked, instant))
        return known[1] if known is not None and time.monotonic() - known[0] < TRUSTED else None

    # -- pictures ----------------------------------------------------------------------------

    def tile_held(self, look: Look, z: int, x: int, y: int, form: Format) -> Picture | None:
        """A tile that is in memory."""
        return self._cache.get((look.version, z, x, y, form))

    def tile(self, look: Look, z: int, x: int, y: int, form: Format) -> Picture:
        """A tile of WebMercatorQuad, transparent (JPEG: white) where nothing is. Raises NotFound beyond
        :data:`MAX_ZOOM` and the matrix, Unavailable."""
        scheme.check_tile(z, x, y, (0, MAX_ZOOM))

        def build() -> Picture:
            return self.picture(look, of_tile(z, x, y), form)

        return self._cache.make((look.version, z, x, y, form), build)

    def picture(self, look: Look, place: Place, form: Format, behind: Rgb | None = None) -> Picture:
        """A picture of any place, which is not kept, over a colour where one is behind it. Raises
        Unavailable."""
        from tiles.imagery import paint, read

        drawn = None
        box, cell = _ground(place)
        if meet(box, look.profile.bounds):
            around = place.widened() if look.style.hillshade else place
            smooth = look.profile.continuous or (look.profile.palette is None and len(look.style.bands) == 3)
            lent = [self._files.lend(path) for path in look.paths]
            drawn = read.cells(lent, around, look.style.bands, smooth)
        if drawn is None:
            return self._nothing(place, form, behind)
        return Picture(paint.picture(drawn, look.style, look.profile, cell, form, behind))

    def _nothing(self, place: Place, form: Format, behind: Rgb | None) -> Picture:
        from tiles.imagery import paint

        key = "nothing", place.width, place.height, form

        def build() -> Picture:
            return Picture(paint.blank(place.width, place.height, form, behind))

        kept = place.width == place.height == TILE and behind is None
        return self._cache.make(key, build) if kept else build()


def _ground(place: Place) -> tuple[Bbox, float]:
    """The box of a place in lon/lat, and the metres from one cell to the next in its middle."""
    from rasterio.warp import transform_bounds

    if place.crs == WEB_MERCATOR:
        half = scheme.CIRCUMFERENCE / 2
        x = np.array([place.bounds[0], place.bounds[2]]) / (2 * half) + 0.5
        y = 0.5 - np.array([place.bounds[1], place.bounds[3]]) / (2 * half)
        lon, lat = scheme.lonlat(x, y)
        box = float(lon[0]), float(lat[0]), float(lon[1]), float(lat[1])
    else:
        box = transform_bounds(place.crs, "OGC:CRS84", *place.bounds)
    # a degree of latitude is as long everywhere, to a hundredth
    return box, math.radians(box[3] - box[1]) * RADIUS / place.height


def _key(layer: ContentLayer, city: Wanted, asked: Wanted, instant: str | None) -> Hashable:
    return layer.id, layer.generation, city, asked, instant
