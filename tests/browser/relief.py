"""A small city on hills: a terrain, an orthophoto, a raster of two times, and what stands there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from pyproj import Transformer
from rasterio.enums import ColorInterp

from layers.model import Asset
from layers.store.base import FormSpec
from layers.store.open import open_store
from tests import dems
from tests import imagery as rasters
from tests.support import init, twin

#: Cells of the terrain and of the rasters on it, and their size (m).
CELLS, PIXEL = 300, 4.0
#: Of the orthophoto, and of the raster at its two times.
PHOTO, BEFORE, AFTER = (200, 120, 40), (250, 20, 20), (20, 20, 250)
_TO = Transformer.from_crs(dems.GRID, 4326, always_xy=True)


def at(east: float, north: float) -> tuple[float, float]:
    """Degrees of a place so many metres from the middle of the terrain."""
    half = CELLS * PIXEL / 2
    lon, lat = _TO.transform(dems.EAST + half + east, dems.NORTH - half + north)
    return float(lon), float(lat)


def ring(east: float, north: float, half: float) -> list[list[float]]:
    """A square in degrees around a place."""
    corners = ((-half, -half), (half, -half), (half, half), (-half, half), (-half, -half))
    return [list(at(east + x, north + y)) for x, y in corners]


#: Layer → kind, geometry type, coordinates and properties of its only feature.
FEATURES = {
    "houses": ("building", "Polygon", [ring(0, 0, 20)], {"height_m": 20}),
    "roads": ("road", "LineString", [list(at(-200, -60)), list(at(200, -60))], {"class": "street"}),
    "pipes": (
        "pipeline",
        "LineString",
        [list(at(east, 80)) for east in range(-150, 151, 20)],
        {"diameter_mm": 600, "depth_m": 1.5},
    ),
    "greens": ("cover", "Polygon", [ring(120, 120, 40)], {"class": "green"}),
    "posts": ("feature", "Point", list(at(-120, 120)), {"name": "post"}),
}


def _load(city: Path, files: Path) -> None:
    entries = []
    for layer, (kind, shape, coordinates, properties) in FEATURES.items():
        feature = {
            "type": "Feature",
            "geometry": {"type": shape, "coordinates": coordinates},
            "properties": properties,
        }
        path = files / f"{layer}.geojson"
        path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}), "utf-8")
        entries.append({"id": layer, "file": str(path), "kind": kind})
    manifest = files / "load.yml"
    manifest.write_text(json.dumps({"layers": entries}), "utf-8")
    twin("load", "--manifest", str(manifest), "--city", str(city))


def picture(folder: Path, name: str, colour: tuple[int, int, int]) -> Path:
    values = np.broadcast_to(np.array(colour, np.uint8)[:, None, None], (3, CELLS, CELLS))
    meant = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    grid = {"crs": dems.GRID, "origin": (dems.EAST, dems.NORTH), "cell": PIXEL}
    plain = rasters.write(folder / f"{name}.plain.tif", values, colors=meant, **grid)
    return rasters.cog(plain, folder / f"{name}.tif", aligned=False)


def make(folder: Path) -> Path:
    """The city; its folder."""
    city, files = init(folder / "city"), folder / "files"
    files.mkdir()
    text = (city / "city.yml").read_text("utf-8").replace("  ground: 0", "  ground: terrain")
    (city / "city.yml").write_text(text, "utf-8")
    _load(city, files)
    below = city / "rasters"
    ground = dems.write(below / "ground.tif", dems.hills(CELLS, CELLS), pixel=PIXEL)
    west, south = at(-CELLS * PIXEL / 2, -CELLS * PIXEL / 2)
    east, north = at(CELLS * PIXEL / 2, CELLS * PIXEL / 2)
    box = west, south, east, north
    photo, before, after = (
        picture(below, name, colour)
        for name, colour in (("photo", PHOTO), ("before", BEFORE), ("after", AFTER))
    )

    def asset(path: Path, time: str | None = None) -> Asset:
        return Asset(href=f"rasters/{path.name}", time=time)

    store = open_store(city)
    dems.record(store, "ground", ground, below=city)
    for layer, title, assets in (
        ("photo", {"en": "Photo", "zh-CN": "影像"}, (asset(photo),)),
        ("flood", {"en": "Flood"}, (asset(before, "2024-05-01"), asset(after, "2024-06-01"))),
    ):
        store.record(FormSpec(layer, "coverage", "raster", title, dems.GRID, box, assets=assets))
    store.close()
    return city
