"""What terrain costs: a tile of it, and heights at places."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from layers.store import geopackage
from tests import dems
from tests.bench.report import Row, at_most
from tiles.cache import Cache
from tiles.terrain import tile
from tiles.terrain.ground import TerrainGround
from tiles.terrain.service import TerrainTiles
from tiles.terrain.sheet import Blocks

TIMES = 41
#: Zooms from where samples are as far apart as pixels to the deepest one.
ZOOMS = (15, 16, 17, 18)


def rows(folder: Path) -> Iterator[Row]:
    """A tile of each of the deep zooms, 1,000 heights, and what a ground of terrain adds to a 3D tile: CPU of
    one thread, of a DEM whose pixels are in memory."""
    folder.mkdir(parents=True)
    file = dems.write(folder / "rasters/dem.tif", dems.hills(2000, 2000))
    store = geopackage.open(folder / "city.gpkg")
    dems.record(store, "dem", file, below=folder)
    terrain = TerrainTiles(store, folder, Cache(64 << 20), Blocks())
    surface, ground = terrain.surface("dem"), TerrainGround(terrain)
    west, south, east, north = surface.relief.box
    lon, lat = (west + east) / 2, (south + north) / 2
    tiles = []
    for z in ZOOMS:
        size = 180 / (1 << z)
        at = z, int((lon + 180) / size), int((lat + 90) / size)
        tiles.append(cpu(partial(tile.terrain, surface, *at)))
    detail = f"quantized mesh with normals, zooms {ZOOMS[0]}…{ZOOMS[-1]}, the slowest"
    yield at_most("terrain: a tile (CPU)", max(tiles), 8, detail, " ms")
    random = np.random.default_rng(1)
    wide = random.uniform(west, east, 1000), random.uniform(south, north, 1000)
    spent = cpu(lambda: ground.at(*wide))
    yield at_most("terrain: heights at 1,000 places (CPU)", spent, 10, "all over the DEM", " ms")
    near = lon + random.uniform(-0.003, 0.003, 6500), lat + random.uniform(-0.002, 0.002, 6500)
    spent = cpu(lambda: ground.at(*near))
    detail = "6,500 places: their middles, corners and sides"
    yield at_most("terrain: below 500 buildings of a 3D tile (CPU)", spent, 1, detail, " ms")
    store.close()


def cpu(call: Callable[[], object]) -> float:
    """Milliseconds of this thread's CPU, the median of several calls."""
    call()
    spent = []
    for _ in range(TIMES):
        begun = time.thread_time()
        call()
        spent.append(time.thread_time() - begun)
    return statistics.median(spent) * 1000
