"""Terrain tiles by an independent reader: heights as rasterio has them, no crack, nothing missing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from layers.errors import NotFound
from layers.store import geopackage
from layers.store.base import Store
from tests import dems
from tests.unit.tiles.terrain import quantized_mesh
from tests.unit.tiles.terrain.quantized_mesh import MeshFile
from tiles import geocentric
from tiles.cache import Cache
from tiles.terrain import scheme
from tiles.terrain.places import Scattered
from tiles.terrain.service import TerrainTiles
from tiles.terrain.sheet import Blocks


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a DEM of hills, 1200 m by 1000 m, that has a hole."""
    folder = tmp_path_factory.mktemp("city")
    heights = dems.hills(500, 600)
    heights[200:240, 300:380] = -9999
    dems.write(folder / "rasters/hills.tif", heights, nodata=-9999)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = geopackage.open(tmp_path / "city.gpkg")
    yield opened
    opened.close()


@pytest.fixture
def terrain(store: Store, city: Path) -> TerrainTiles:
    dems.record(store, "dem", city / "rasters/hills.tif", below=city)
    return made(store, city)


def made(store: Store, folder: Path) -> TerrainTiles:
    return TerrainTiles(store, folder, Cache(64 << 20), Blocks())


def mesh(terrain: TerrainTiles, z: int, x: int, y: int) -> MeshFile:
    return quantized_mesh.read(terrain.mesh("dem", z, x, y).plain())


def middle(terrain: TerrainTiles, z: int) -> tuple[int, int]:
    """The tile of a zoom in the middle of the surface."""
    west, south, east, north = terrain.surface("dem").relief.box
    size = 180 / (1 << z)
    return int(((west + east) / 2 + 180) / size), int(((south + north) / 2 + 90) / size)


@pytest.mark.parametrize("z", [15, 16, 17, 18])
def test_a_mesh_has_the_heights_that_rasterio_reads(terrain: TerrainTiles, city: Path, z: int) -> None:
    x, y = middle(terrain, z)
    u, v = np.random.default_rng(z).uniform(0, 1, (2, 100))
    west, south, east, north = scheme.bounds(z, x, y)
    expected = dems.read(city / "rasters/hills.tif", west + u * (east - west), south + v * (north - south))
    found = mesh(terrain, z, x, y).at(u, v)
    known = np.isfinite(expected)
    assert known.sum() > 50
    # between samples of the zoom, a mesh knows no more of the surface than its samples do
    detail = 0.01 if scheme.spacing(z) < 1 else 6.0
    assert np.abs(found - expected)[known].max() <= scheme.tolerance(z) + detail


def edge(found: MeshFile, side: str) -> NDArray[Any]:
    """Place along an edge and height of its vertices, in order."""
    along = found.v if side in ("west", "east") else found.u
    at = found.edges[side]
    assert np.unique((found.u if side in ("west", "east") else found.v)[at]).tolist() == [
        1.0 if side in ("east", "north") else 0.0
    ]
    return np.array(sorted(zip(along[at].tolist(), found.height[at].tolist(), strict=True)))


@pytest.mark.parametrize("z", [0, 5, 10, 13, 15, 16, 18])
def test_neighbours_share_every_vertex_of_their_edge(terrain: TerrainTiles, z: int) -> None:
    x, y = middle(terrain, z)
    last = (2 << z) - 1, (1 << z) - 1
    columns = [min(max(x + i, 0), last[0]) for i in (-1, 0, 1)]
    rows = [min(max(y + i, 0), last[1]) for i in (-1, 0, 1)]
    tiles = {at: mesh(terrain, z, *at) for at in product(set(columns), set(rows))}
    compared = 0
    for a, b in ((a, b) for a, b in product(tiles, tiles) if a != b):
        sides = {(1, 0): ("east", "west"), (0, 1): ("north", "south")}.get((b[0] - a[0], b[1] - a[1]))
        if sides is None:
            continue
        one, other = edge(tiles[a], sides[0]), edge(tiles[b], sides[1])
        assert one[:, 0].tolist() == other[:, 0].tolist()
        assert np.abs(one[:, 1] - other[:, 1]).max() <= (tiles[a].quantum + tiles[b].quantum) / 2 + 1e-3
        compared += len(one)
    assert compared > (100 if z else 60)


def test_a_tile_is_whole(terrain: TerrainTiles) -> None:
    for z in (0, 3, 9, 16):
        found = mesh(terrain, z, *middle(terrain, z))
        x, y = found.u[found.triangles], found.v[found.triangles]
        area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
        assert (area > 0).all(), "seen from above, triangles turn left"
        assert area.sum() / 2 == pytest.approx(1, abs=1e-3)
        # no vertex lies on the side of a triangle that does not have it
        sides = np.sort(np.concatenate([found.triangles[:, [i, (i + 1) % 3]] for i in range(3)]), axis=1)
        _, count = np.unique(sides, axis=0, return_counts=True)
        outline = sum(len(one) - 1 for one in found.edges.values())
        assert set(count.tolist()) == {1, 2}
        assert (count == 1).sum() == outline


def test_the_header_holds_what_the_tile_has(terrain: TerrainTiles) -> None:
    for z in (1, 6, 12, 17):
        at = middle(terrain, z)
        found = mesh(terrain, z, *at)
        west, south, east, north = scheme.bounds(z, *at)
        lon, lat = west + found.u * (east - west), south + found.v * (north - south)
        points = geocentric.ecef(lon, lat, found.height)
        centre, radius = found.sphere
        far = np.linalg.norm(points - centre, axis=1)
        assert far.max() == pytest.approx(radius, abs=1 + radius * 1e-4)
        assert (found.normals * geocentric.up(lon, lat)).sum(axis=1).min() > 0.5
        # whoever sees a vertex sees the occlusion point
        axes = np.array([6_378_137.0, 6_378_137.0, 6_356_752.314245])
        rng = np.random.default_rng(z)
        for camera, far in zip(rng.normal(0, 1, (200, 3)), rng.uniform(1.0001, 4, 200), strict=True):
            eye = camera / np.linalg.norm(camera) * far
            if not hidden(eye, points / axes).all():
                assert not hidden(eye, found.occlusion[None]).any()


def hidden(eye: NDArray[Any], points: NDArray[Any]) -> NDArray[Any]:
    """Whether the unit sphere hides points from an eye (Cesium: EllipsoidalOccluder)."""
    to = points - eye
    beyond = float(eye @ eye) - 1
    towards = -(to @ eye)
    return np.asarray((towards > beyond) & (towards**2 / (to * to).sum(axis=1) > beyond))


def test_what_is_not_there_is_not_found(terrain: TerrainTiles) -> None:
    last = terrain.surface("dem").last
    for z, x, y in ((0, 2, 0), (0, 0, 1), (last + 1, 0, 0), (-1, 0, 0), (last, 0, 0)):
        with pytest.raises(NotFound):
            terrain.mesh("dem", z, x, y)
    with pytest.raises(NotFound):
        terrain.mesh("nowhere", 0, 0, 0)
    levels = terrain.surface("dem").available
    assert len(levels) == last + 1
    assert all(scheme.holds(levels[z], *middle(terrain, z)) for z in range(last + 1))
    assert [sum((r["endX"] - r["startX"] + 1) for r in one) for one in levels[:3]] == [2, 4, 8]


def test_the_edge_of_a_surface_is_no_cliff(terrain: TerrainTiles) -> None:
    west, south, _, north = terrain.surface("dem").relief.box
    lon = west - np.arange(-100, 30_000, 10) / 55_400
    heights = terrain.surface("dem").heights(Scattered(lon, np.full(len(lon), (south + north) / 2)))
    assert heights[0] > 20
    assert heights[-1] == 0
    assert np.abs(np.diff(heights)).max() < 10
