"""The terrain of a city: what HTTP asks of its surfaces, and the ground that its bodies stand on.

Of one class of callers: a surface that is not seen has no part in it."""

from __future__ import annotations

import math
import threading
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import orjson
from isal import igzip

from layers.errors import NotFound, TwinError, shown
from layers.model import Change, ContentLayer, Layer
from layers.raster.files import FileStates, at_time, located
from layers.types import Bbox
from tiles import scheme as mercator
from tiles.cache import Cache
from tiles.made import Tile
from tiles.scheme import METRES_PER_DEGREE, Floats
from tiles.terrain import rgb, scheme, tile
from tiles.terrain.places import Places
from tiles.terrain.relief import FADE, Relief
from tiles.terrain.sheet import Blocks, Sheet
from tiles.terrain.undulation import NONE, Undulation

#: To be changed whenever the same files give other bytes.
EDITION = "1"
#: Files that are named one by one in ``available``; of more, the box around them.
FEW = 8
_GZIP_LEVEL = 1


class LayerSource(Protocol):
    """What tells of the layers of every form."""

    @property
    def epoch(self) -> str:
        """Of the history and of what is seen of it."""

    def layers(self) -> list[Layer]:
        """Every layer of every form, by id."""


@dataclass(frozen=True)
class Surface:
    """A surface as it is at one moment: a layer's files, and behind them those of the others. ``key`` is
    another text for another state."""

    layer: str
    key: str
    relief: Relief
    undulation: Undulation

    @cached_property
    def resolution(self) -> float:
        """Metres of a pixel of its finest file."""
        return min(sheet.resolution for sheet in self.relief.sheets)

    @cached_property
    def last(self) -> int:
        """The deepest zoom of its tiles."""
        return scheme.deepest(self.resolution)

    @cached_property
    def available(self) -> list[list[scheme.Range]]:
        """Its tiles by zoom: far from the files, those that show how round the Earth is."""
        sheets = self.relief.sheets
        boxes = [sheet.box for sheet in sheets] if len(sheets) <= FEW else [self.relief.box]
        return scheme.available([_widened(box) for box in boxes], self.last)

    def heights(self, places: Places, spacing: float = 0.0) -> Floats:
        """Heights (m) above the ellipsoid. Raises Unavailable."""
        heights = self.relief.heights(places, spacing)
        return heights if self.undulation == NONE else heights + self.undulation.at(places)


class TerrainTiles:
    """Terrain of every surface that is seen. Safe to use from several threads."""

    def __init__(
        self,
        source: LayerSource,
        city: Path,
        cache: Cache[Tile],
        blocks: Blocks,
        undulation: Undulation = NONE,
    ) -> None:
        """``city`` is the folder below which files lie; ``cache`` and ``blocks`` are what views share."""
        self._source, self._city, self._cache, self._blocks = source, city, cache, blocks
        self._undulation, self._states = undulation, FileStates(city)
        self._lock = threading.Lock()
        self._layers: Mapping[str, ContentLayer] | None = None
        self._taken_in = 0
        self._surfaces: dict[str, Surface] = {}
        self._ground: tuple[str, Surface | None] | None = None

    def take_in(self, changes: Iterable[Change]) -> None:
        """Hear of changes of layers before any answer shows them."""
        if any(change.fid is None for change in changes):
            with self._lock:
                self._layers = None
                self._taken_in += 1
            if self._ground is not None:
                # here, and not where an ETag is asked for: it opens files
                with suppress(TwinError):
                    self.ground()

    # -- which surfaces there are ------------------------------------------------------------

    def layers(self) -> Mapping[str, ContentLayer]:
        """The surfaces by id."""
        known = self._layers
        if known is None:
            taken_in = self._taken_in
            known = {
                layer.id: layer
                for layer in self._source.layers()
                if layer.form == "surface" and isinstance(layer, ContentLayer)
            }
            with self._lock:
                # a list read before a change must not outlive it
                self._layers = known if taken_in == self._taken_in else None
        return known

    def layer(self, layer_id: str) -> ContentLayer:
        """One surface. Raises NotFound."""
        layer = self.layers().get(layer_id)
        if layer is None:
            raise NotFound(f"there is no surface {shown(layer_id)}")
        return layer

    def key(self, first: str = "") -> str:
        """A short text for the state of the surfaces and their files, with one before the others; empty
        without any."""
        layers = self.layers()
        if not layers:
            return ""
        state = [first, self._undulation.key, *((one.id, self._states.of(one)) for one in layers.values())]
        return f"t{zlib.crc32(orjson.dumps(state)):08x}"

    def etag(self, layer_id: str) -> str:
        """The ETag of all that is made of a surface. Raises NotFound."""
        self.layer(layer_id)
        return self._etag(self.key(layer_id))

    def _etag(self, key: str) -> str:
        return f'"{self._source.epoch}.{EDITION}-{key}"'

    def surface(self, layer_id: str) -> Surface:
        """One surface, with those of its vertical datum behind it, the finest first. Raises NotFound,
        Unavailable."""
        own = self.layer(layer_id)
        key = self.key(layer_id)
        known = self._surfaces.get(layer_id)
        if known is not None and known.key == key:
            return known
        sheets = self._sheets(own)
        datum = own.vertical_datum
        others = [one for one in self.layers().values() if one.id != own.id and one.vertical_datum == datum]
        behind = sorted((sheet for one in others for sheet in self._readable(one)), key=_resolution)
        made = Surface(layer_id, key, Relief((*sheets, *behind), self._blocks), self._undulation)
        self._surfaces[layer_id] = made
        return made

    def _sheets(self, layer: ContentLayer) -> tuple[Sheet, ...]:
        """The files of a layer, finest first. Raises NotFound, Unavailable."""
        # what is drawn later lies above
        files = [located(self._city, asset) for asset in reversed(at_time(layer))]
        if not files:
            raise NotFound(f"surface {shown(layer.id)} has no file")
        return tuple(sorted((self._blocks.sheet(file) for file in files), key=_resolution))

    def _readable(self, layer: ContentLayer) -> tuple[Sheet, ...]:
        try:
            return self._sheets(layer)
        except TwinError:
            return ()

    def lack(self) -> str | None:
        """Why the city has no terrain to stand on; None where it has."""
        if self.ground() is not None:
            return None
        for layer in self.layers().values():
            try:
                self._sheets(layer)
            except TwinError as error:
                return f"the terrain cannot be read: {error}"
        return "there is no layer of terrain"

    def ground(self) -> Surface | None:
        """The surface that the city stands on: the finest that can be read, None without one."""
        layers, key = self.layers(), self.key()
        known = self._ground
        if known is None or known[0] != key:
            sheets = {layer.id: self._readable(layer) for layer in layers.values()}
            finest = (
                min((files[0].resolution, one) for one, files in sheets.items() if files)
                if any(sheets.values())
                else None
            )
            known = self._ground = key, None if finest is None else self.surface(finest[1])
        return known[1]

    # -- tiles -------------------------------------------------------------------------------

    def held(self, layer_id: str, form: str, at: tuple[int, int, int], etag: str) -> Tile | None:
        """The tile of that ETag if it is in memory."""
        return self._cache.get((form, layer_id, *at, etag))

    def mesh(self, layer_id: str, z: int, x: int, y: int) -> Tile:
        """A tile as quantized mesh; ``y`` counts from the south. Raises NotFound, Unavailable."""
        surface = self.surface(layer_id)
        scheme.check(z, x, y, surface.last)
        if not scheme.holds(surface.available[z], x, y):
            raise NotFound(
                f"tile {z}/{x}/{y} is far from the terrain; draw that of zoom {scheme.WHOLE_EARTH}"
            )
        etag = self._etag(surface.key)
        return self._cache.make(
            ("mesh", layer_id, z, x, y, etag), lambda: _packed(tile.terrain(surface, z, x, y), etag)
        )

    def picture(self, layer_id: str, z: int, x: int, y: int) -> Tile:
        """A tile as terrain-RGB, XYZ in Web Mercator. Raises NotFound, Unavailable."""
        surface = self.surface(layer_id)
        mercator.check_tile(z, x, y, (0, surface.last))
        etag = self._etag(surface.key)
        return self._cache.make(
            ("rgb", layer_id, z, x, y, etag), lambda: _packed(rgb.picture(surface.relief, z, x, y), etag)
        )

    def layer_json(self, layer_id: str, attribution: str = "") -> Tile:
        """``layer.json``, which names the tiles there are. Raises NotFound, Unavailable."""
        surface = self.surface(layer_id)
        etag = self._etag(surface.key)
        document: dict[str, object] = {
            "tilejson": "2.1.0",
            "name": layer_id,
            "version": "1.0.0",
            "format": "quantized-mesh-1.0",
            "scheme": "tms",
            "projection": "EPSG:4326",
            "bounds": [-180.0, -90.0, 180.0, 90.0],
            "tiles": ["{z}/{x}/{y}.terrain?v=" + etag.strip('"')],
            "extensions": ["octvertexnormals"],
            "minzoom": 0,
            "maxzoom": surface.last,
            "available": surface.available,
        }
        if attribution:
            document["attribution"] = attribution
        return _document(document)

    def tilejson(self, layer_id: str, base_url: str, attribution: str = "") -> Tile:
        """TileJSON 3.0 of the terrain-RGB tiles; ``attribution`` is HTML. Raises NotFound, Unavailable."""
        surface = self.surface(layer_id)
        west, south, east, north = surface.relief.box
        document: dict[str, object] = {
            "tilejson": "3.0.0",
            "name": layer_id,
            "tiles": [f"{base_url}/terrain/{layer_id}/{{z}}/{{x}}/{{y}}.png"],
            "minzoom": 0,
            "maxzoom": surface.last,
            "bounds": [max(west, -180.0), south, min(east, 180.0), north],
            "tileSize": rgb.SIZE,
            "encoding": "mapbox",
        }
        if attribution:
            document["attribution"] = attribution
        return _document(document)


def _widened(box: Bbox) -> Bbox:
    """A box with all around it that is not yet as high as the sea."""
    west, south, east, north = box
    margin = FADE / METRES_PER_DEGREE
    across = margin / math.cos(math.radians(min(max(abs(south), abs(north)) + margin, 89.0)))
    return west - across, max(south - margin, -90.0), east + across, min(north + margin, 90.0)


def _resolution(sheet: Sheet) -> float:
    return sheet.resolution


def _packed(body: bytes, etag: str) -> Tile:
    return Tile(igzip.compress(body, _GZIP_LEVEL, mtime=0), etag)


def _document(document: dict[str, object]) -> Tile:
    body = orjson.dumps(document)
    return _packed(body, f'"{zlib.crc32(body):08x}"')
