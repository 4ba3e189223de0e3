"""What bodies of a city model cost: a node of them with images, surfaces and materials, made anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from layers.batch import MESH
from layers.store import geopackage
from layers.store.base import Store
from layers.textures import Texture
from tests.bench.report import Row, at_most
from tests.bench.terrain import cpu
from tests.storing import load, row, spec, square
from tests.textured import box, image, textured
from tiles import scheme
from tiles.service import Tiles

#: Bodies of the node, and the images that they share.
HOUSES, ATLASES = 200, 4
#: The node, of which the bodies fill a part: rows of twenty from its south-west corner on.
NODE = (16, 37308, 18969)
#: Parts of its sides between one body and the next.
STEP = 0.04


def rows(folder: Path) -> Iterator[Row]:
    """A node of textured bodies, and one of the same bodies without parts and materials: CPU of one thread,
    nothing of a node in memory, each body of twelve triangles, six surfaces and three materials."""
    folder.mkdir(parents=True)
    store = geopackage.open(folder / "city.gpkg")
    west, south, east, north = scheme.tile_bounds(*NODE)
    images = [Texture.of(image(size=(512, 512 + i), form="JPEG"), "image/jpeg") for i in range(ATLASES)]
    for layer in ("plain", "rich"):
        staged = []
        for i in range(HOUSES):
            lon = west + (1 + i % 20) * STEP * (east - west)
            lat = south + (1 + i // 20) * STEP * (north - south)
            body = box(lon, lat, 6, 6)
            made = textured(body, images[i * ATLASES // HOUSES].sha) if layer == "rich" else body
            staged.append(row(f"h{i}", square(lon, lat, 0.00005), height_m=6.0, **{MESH: made.to_bytes()}))
        load(store, spec(layer, kind="cim"), staged, textures=images if layer == "rich" else ())
    spent = {layer: _node(store, folder, layer) for layer in ("plain", "rich")}
    store.close()
    detail = f"{spent['rich'] / spent['plain']:.1f} × the same bodies without parts, colours and images"
    name = f"3D node of {HOUSES} textured bodies, cold (CPU)"
    yield at_most(name, spent["rich"], 60, detail, " ms")


def _node(store: Store, folder: Path, layer: str) -> float:
    """Milliseconds of the node with all of them."""
    tiles = Tiles(store, folder / "derived")
    assert len(tiles._snapshot(layer).node(NODE)) == HOUSES
    return cpu(lambda: tiles._node(layer, NODE, "", False))
