"""The pictures of raster layers: what HTTP asks, drawn on demand and kept while it is true.

Every answer's ETag is known before anything is drawn: it is of the layer's record, the state of its files and
the style."""

from __future__ import annotations

import math
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from layers.errors import Unavailable
from layers.model import Asset, ContentLayer
from layers.raster.files import OpenFiles, at_time, located, version
from layers.raster.profile import BandValues, RasterProfile, profile
from layers.types import Bbox
from tiles import scheme
from tiles.cache import Cache
from tiles.imagery.place import TILE, WEB_MERCATOR, Place, meet, of_tile
from tiles.imagery.style import Style, Wanted, resolve

if TYPE_CHECKING:
    from tiles.imagery.paint import Format

#: Joined to every ETag; to be changed whenever the same cells give other bytes.
EDITION = "1"
CACHE_BYTES = 128 << 20
#: Looks that are remembered, and how long the state of their files is taken for granted (s).
MOST_LOOKS, TRUSTED = 512, 1.0
#: Files of a layer that tell what its values are like.
ASKED = 16
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

    def __init__(self, folder: Path, files: OpenFiles) -> None:
        """``folder`` is the city's."""
        self._folder, self._files = folder, files
        self._cache: Cache[Picture] = Cache(CACHE_BYTES)
        self._profiles: dict[str, tuple[str, RasterProfile]] = {}
        self._looks: OrderedDict[Hashable, tuple[float, Look]] = OrderedDict()
        self._lock = threading.Lock()

    # -- what is there -----------------------------------------------------------------------

    def profile(self, layer: ContentLayer) -> RasterProfile:
        """What a layer's files have in common: bands and colours of the first, the values of the first
        :data:`ASKED`. Raises Unavailable."""
        paths = self._paths(layer.assets)
        state = f"{layer.generation}.{version(paths)}"
        known = self._profiles.get(layer.id)
        if known is None or known[0] != state:
            if not paths:
                raise Unavailable(f"layer {layer.id} has no file")
            profiles = []
            for path in paths[:ASKED]:
                with self._files.lend(path) as dataset:
                    profiles.append(profile(dataset))
            known = self._profiles[layer.id] = state, _joined(profiles)
        return known[1]

    def _paths(self, assets: Sequence[Asset]) -> tuple[Path, ...]:
        return tuple(located(self._folder, asset) for asset in assets)

    # -- how it is drawn ---------------------------------------------------------------------

    def look(self, layer: ContentLayer, city: Wanted, asked: Wanted, instant: str | None = None) -> Look:
        """How a layer looks. Raises BadParameter, Unavailable."""
        style = resolve(self.profile(layer), layer.form == "surface", city, asked)
        paths = self._paths(at_time(layer, instant))
        text = f"{EDITION} {layer.id} {layer.generation} {version(paths)} {style}"
        look = Look(paths, self.profile(layer), style, f"{zlib.crc32(text.encode()):08x}")
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

    def picture(self, look: Look, place: Place, form: Format) -> Picture:
        """A picture of any place, which is not kept. Raises Unavailable."""
        from tiles.imagery import paint, read

        drawn = None
        box, cell = _ground(place)
        if meet(box, look.profile.bounds):
            around = place.widened() if look.style.hillshade else place
            smooth = look.profile.continuous or (look.profile.palette is None and len(look.style.bands) == 3)
            lent = [self._files.lend(path) for path in look.paths]
            drawn = read.cells(lent, around, look.style.bands, smooth)
        if drawn is None:
            return self._nothing(place, form)
        return Picture(paint.picture(drawn, look.style, look.profile, cell, form))

    def _nothing(self, place: Place, form: Format) -> Picture:
        from tiles.imagery import paint

        key = "nothing", place.width, place.height, form

        def build() -> Picture:
            return Picture(paint.blank(place.width, place.height, form))

        return self._cache.make(key, build) if place.width == place.height == TILE else build()


def _joined(profiles: Sequence[RasterProfile]) -> RasterProfile:
    """The profile of rasters of one layer: that of the first, with the values of all and where all lie."""
    first = profiles[0]
    bands = [
        _band(band, [other.bands[at] for other in profiles if len(other.bands) > at])
        for at, band in enumerate(first.bands)
    ]
    bounds = first.bounds
    for other in profiles[1:]:
        bounds = _around(bounds, other.bounds)
    zoom = max(one.zoom for one in profiles)
    return replace(first, bands=tuple(bands), bounds=bounds, zoom=zoom)


def _band(band: BandValues, all_: Sequence[BandValues]) -> BandValues:
    with_values = [one for one in all_ if not math.isnan(one.low)]
    if len(with_values) < 2:
        return with_values[0] if with_values else band
    return replace(
        band,
        least=min(one.least for one in with_values),
        most=max(one.most for one in with_values),
        low=min(one.low for one in with_values),
        high=max(one.high for one in with_values),
    )


def _around(one: Bbox, other: Bbox) -> Bbox:
    """The box around two; of which one crosses the antimeridian, the whole way round."""
    south, north = min(one[1], other[1]), max(one[3], other[3])
    if one[0] <= one[2] and other[0] <= other[2]:
        return min(one[0], other[0]), south, max(one[2], other[2]), north
    if one[0] > one[2] and other[0] > other[2]:
        return min(one[0], other[0]), south, max(one[2], other[2]), north
    return -180.0, south, 180.0, north


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
