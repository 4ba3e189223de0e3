"""A city on a slope, by its verbs alone: where buildings and their parts stand, as the served files say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyproj import Transformer

from tests import dems
from tests.support import Server, init, twin
from tests.unit.tiles import gltf

CELLS, PIXEL, RISE = 300, 2.0, 0.2
TO = Transformer.from_crs(dems.GRID, 4326, always_xy=True)
TO_LONLAT = Transformer.from_crs(4978, 4979, always_xy=True)
#: East of the middle (m), underside and top (m) of the parts of a building of 66 m on a slope of 20 %.
PARTS = [(-33.0, 0.0, 12.0), (-11.0, 6.0, 30.0), (11.0, 0.0, 18.0)]


def block(east: float, wide: float) -> dict[str, Any]:
    """A block of 20 m from south to north, in the middle of the DEM."""
    x, y = dems.EAST + CELLS * PIXEL / 2 + east, dems.NORTH - CELLS * PIXEL / 2
    corners = [(x, y - 10), (x + wide, y - 10), (x + wide, y + 10), (x, y + 10), (x, y - 10)]
    return {"type": "Polygon", "coordinates": [[list(TO.transform(*corner)) for corner in corners]]}


def write(path: Path, *features: tuple[dict[str, Any], dict[str, Any]]) -> str:
    made = [{"type": "Feature", "geometry": shape, "properties": values} for shape, values in features]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": made}), "utf-8")
    return str(path)


@pytest.fixture(scope="module")
def slope(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    folder = tmp_path_factory.mktemp("slope")
    city = init(folder / "city")
    text = (city / "city.yml").read_text("utf-8").replace("  ground: 0", "  ground: terrain")
    (city / "city.yml").write_text(text, "utf-8")
    heights = np.tile(50 + RISE * PIXEL * np.arange(CELLS, dtype=np.float32), (CELLS, 1))
    dem = dems.write(folder / "dem.tif", heights, cog=False)
    houses = write(folder / "houses.geojson", (block(-33, 66), {"height": 18}))
    roofs = ("gabled", "flat", "pyramidal")
    parts = write(
        folder / "parts.geojson",
        *(
            (block(east, 22), {"height": high, "min_height": low, "roof:shape": roof})
            for (east, low, high), roof in zip(PARTS, roofs, strict=True)
        ),
    )
    manifest = folder / "load.yml"
    layers = [
        {"id": "ground", "file": str(dem), "kind": "terrain", "vertical": "EPSG:3900"},
        {"id": "houses", "file": houses, "kind": "building"},
        {"id": "parts", "file": parts, "kind": "cim"},
    ]
    manifest.write_text(json.dumps({"layers": layers}), "utf-8")
    twin("load", "--manifest", str(manifest), "--city", str(city))
    server = Server.start(city)
    yield server, dem
    server.stop()


def test_the_parts_of_a_building_share_its_foot(slope: tuple[Server, Path]) -> None:
    server, dem = slope
    middle = np.array(block(-33, 66)["coordinates"][0])[:4].mean(axis=0)
    foot = float(dems.read(dem, *middle[:, None])[0])
    content = gltf.check_tileset(server.http.get("/3dtiles/parts/tileset.json").json())
    drawn: dict[float, tuple[float, float]] = {}
    for uri, tile in content.items():
        file = gltf.read(server.http.get(f"/3dtiles/parts/{uri}").content)
        height = TO_LONLAT.transform(*file.positions.T)[2]
        low, high = tile["boundingVolume"]["region"][4:]
        assert low <= height.min()
        assert height.max() <= high
        for row, top in enumerate(file.table["height_m"]):
            mine = file.ids == row
            drawn[top] = float(height[mine].min()), float(height[mine].max())
    assert len(drawn) == len(PARTS)
    for east, low, high in PARTS:
        lowest, highest = drawn[high]
        assert highest - foot == pytest.approx(high, abs=0.01)
        # the ground on the valley's side of the block, of which none is left open
        valley = foot + RISE * east
        assert lowest - foot == pytest.approx(low if low else min(valley - foot, 0), abs=0.02)
