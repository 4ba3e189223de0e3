"""Pictures and values of rasters, against rio-tiler alone and the floor."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rio_tiler.colormap import cmap
from rio_tiler.io import Reader

from layers.model import ContentLayer
from tests import imagery
from tests.bench.helsinki import told
from tests.bench.measure import Case, Connection, Target, pair, per_request
from tests.bench.report import Row, at_most
from tiles.imagery.paint import Format
from tiles.imagery.style import Wanted
from twin.app import open_city

#: Cells a side of the rasters, and how many tiles that is.
SIDE, ACROSS = 2048, 8
LOW, HIGH = 0.0, 350.0
ZOOM = imagery.ZOOM
#: Tiles that are drawn in one turn.
TILES = [(ZOOM, imagery.COLUMN + i, imagery.ROW + j) for i in (1, 3, 4, 6) for j in (1, 2, 5, 6)]
TURNS = 9


def city(folder: Path) -> Path:
    """A city with a relief (one band of float32, its noise that of a lidar) and a photo (three of uint8)."""
    imagery.city(folder)
    rng = np.random.default_rng(5)
    rows, columns = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    hills = 175 + 120 * np.sin(columns / 300) * np.cos(rows / 220) + 25 * np.sin((columns + rows) / 31)
    relief = (hills + rng.normal(0, 0.05, hills.shape)).astype(np.float32)[None]
    picture = photo(hills, rng)
    colors = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    for name, values, more in (
        ("relief", relief, {"nodata": -9999.0}),
        ("photo", picture, {"colors": colors}),
    ):
        raw = imagery.write(folder / f"{name}-raw.tif", values, **more)  # type: ignore[arg-type]
        imagery.cog(raw, folder / f"{name}.tif")
        raw.unlink()
    imagery.record(folder, "relief", folder / "relief.tif", form="surface", box=None)
    imagery.record(folder, "photo", folder / "photo.tif", box=None)
    return folder


def photo(hills: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Fields with edges, and the noise of a sensor."""
    fields = (np.floor(hills / 20) * 37) % 120 + 60
    bands = [fields + shift + rng.normal(0, 2, hills.shape) for shift in (0, 20, -30)]
    return np.clip(np.stack(bands), 0, 255).astype(np.uint8)


def drawn(folder: Path) -> Iterator[Row]:
    """Tiles of warm files, drawn in this process, by us and by rio-tiler alone in turns."""
    opened = open_city(folder)
    try:
        for layer, style, form in (("relief", "terrain", "png"), ("photo", "", "png"), ("photo", "", "jpg")):
            ours = _ours(opened, layer, style, form)
            with rasterio.open(folder / f"{layer}.tif") as dataset:
                mine, theirs = _turns(ours, _theirs(Reader(None, dataset=dataset), style, form))
            name = f"raster tile of a warm file, {layer}, {form}"
            detail = f"{mine:.1f} ms, rio-tiler {theirs:.1f} ms"
            yield at_most(f"{name} (CPU)", mine, 5, detail, " ms")
            yield at_most(f"{name}: CPU to rio-tiler alone", mine / theirs, 1.3, detail)
    finally:
        opened.close()


type Draw = Callable[[int, int, int], bytes]


def _ours(opened: object, layer_id: str, style: str, form: Format) -> Draw:
    from tiles.imagery.place import of_tile
    from twin.city import City

    assert isinstance(opened, City)
    layer = opened.catalogue.whole.layer(layer_id)
    assert isinstance(layer, ContentLayer)
    asked = Wanted(style, (LOW, HIGH), hillshade=False) if style else Wanted()
    look = opened.imagery.look(layer, Wanted(), asked)
    return lambda z, x, y: opened.imagery.picture(look, of_tile(z, x, y), form).body


def _theirs(reader: Reader, style: str, form: Format) -> Draw:
    colors = cmap.get(style) if style else None
    driver = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}[form]

    def draw(z: int, x: int, y: int) -> bytes:
        how = {"resampling_method": "bilinear", "reproject_method": "bilinear"}
        image = reader.tile(x, y, z, tilesize=256, **how)
        if style:
            image.rescale(((LOW, HIGH),))
        return image.render(img_format=driver, colormap=colors)

    return draw


def _turns(ours: Draw, theirs: Draw) -> tuple[float, float]:
    """Median ms a tile of each."""
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(TURNS + 1):
        for draw, into in zip((ours, theirs), spent, strict=True):
            before = time.process_time()
            for tile in TILES:
                draw(*tile)
            into.append((time.process_time() - before) / len(TILES) * 1000)
    # the first turn makes the files warm
    return statistics.median(spent[0][1:]), statistics.median(spent[1][1:])


def asked(us: Target, floor: Target) -> Iterator[Row]:
    """What a running server takes: a cached tile and a 304 to the floor; values at a point, along a line."""
    z, x, y = TILES[5]
    path = f"/imagery/relief/{z}/{x}/{y}.png"
    _, headers, body = Connection(us.url).request(path)
    found = pair(Case(us, [path]), Case(floor, [f"/{len(body)}"]), 1000, 1000)
    detail = f"{told(found)}, {len(body)} bytes"
    yield at_most("cached raster tile: CPU to the floor", found.ratio, 3, detail)
    sent = [("if-none-match", headers["etag"])]
    found = pair(Case(us, [path], sent, 304), Case(floor, ["/304"], sent, 304), 1000, 1000)
    yield at_most("304 of a raster tile: CPU to the floor's 304", found.ratio, 2, told(found))
    west, south, east, north = _box()
    rng = np.random.default_rng(3)
    places = zip(rng.uniform(west, east, 64), rng.uniform(south, north, 64), strict=True)
    here = "/ogc/collections/relief"
    points = [f"{here}/position?coords=POINT({lon:.6f}%20{lat:.6f})" for lon, lat in places]
    cost = per_request(Case(us, points), 640) / 1000
    yield at_most("value of a raster at a point (CPU)", cost, 1, "", " ms")
    line = f"LINESTRING({west:.6f}%20{south:.6f},{east:.6f}%20{north:.6f})"
    profile = f"{here}/trajectory?coords={line}&resolution-x=1000"
    cost = per_request(Case(us, [profile]), 100) / 1000
    yield at_most("profile of 1000 values (CPU)", cost, 10, f"across {SIDE} cells, both ways", " ms")


def _box() -> tuple[float, float, float, float]:
    """A little less than where the rasters lie, in degrees."""
    from tiles import scheme

    west, _, _, north = scheme.tile_bounds(ZOOM, imagery.COLUMN, imagery.ROW)
    _, south, east, _ = scheme.tile_bounds(ZOOM, imagery.COLUMN + ACROSS - 1, imagery.ROW + ACROSS - 1)
    return west + 1e-4, south + 1e-4, east - 1e-4, north - 1e-4
