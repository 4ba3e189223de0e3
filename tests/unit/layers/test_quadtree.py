"""Cells of the quadtree: every place is in the cell whose edges hold it, every box fits what it fits."""

from __future__ import annotations

import numpy as np
import pytest

from layers import quadtree
from layers.quadtree import DEEPEST


def places(n: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.uniform(-180, 180, n), rng.uniform(-89, 89, n)


@pytest.mark.parametrize("z", [0, 1, 5, 12, 20, DEEPEST])
def test_a_place_lies_between_the_edges_of_its_cell(z: int) -> None:
    lon, lat = places()
    x, y = (part >> (DEEPEST - z) for part in quadtree.cells_of(lon, lat))
    assert ((quadtree.lon_of(x, z) <= lon) & (lon < quadtree.lon_of(x + 1, z))).all()
    square = np.abs(lat) < 85
    assert ((quadtree.lat_of(y, z) >= lat) & (lat > quadtree.lat_of(y + 1, z)))[square].all()


@pytest.mark.parametrize(("z", "x", "y"), [(12, 3370, 1700), (20, 5, 9), (26, 1, 2**26 - 2)])
def test_the_edges_are_exact(z: int, x: int, y: int) -> None:
    e = quadtree.edges(z, x, y)
    for lat, row in ((e.north, y), (np.nextafter(e.north, 90), y - 1), (e.south, y + 1)):
        assert quadtree.cells_of(np.array([e.west]), np.array([lat]))[1][0] >> (DEEPEST - z) == row
    for lon, column in ((e.west, x), (np.nextafter(e.west, -200), x - 1), (e.east, x + 1)):
        assert quadtree.cells_of(np.array([lon]), np.array([e.north]))[0][0] >> (DEEPEST - z) == column


def test_the_outermost_cells_reach_on() -> None:
    x, y = quadtree.cells_of(np.array([-180.0, 180, 200]), np.array([90.0, -90, 86]))
    assert x.tolist() == [0, 2**DEEPEST - 1, 2**DEEPEST - 1]
    assert y.tolist() == [0, 2**DEEPEST - 1, 0]
    assert quadtree.edges(0, 0, 0).box == (-180, -90, 180, 90)


def test_a_box_fits_all_zooms_to_its_size() -> None:
    lon, lat = places()
    rng = np.random.default_rng(2)
    w, h = 10 ** rng.uniform(-7, 2.2, (2, len(lon)))
    boxes = np.stack([lon - w / 2, lat - h / 2, lon + w / 2, lat + h / 2], axis=1)
    _, rows = quadtree.cells_of((boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2)
    sizes = quadtree.sizes_of(boxes, rows)
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    for z in range(1, DEEPEST + 1):
        row = rows >> (DEEPEST - z)
        high = quadtree.lat_of(row, z) - quadtree.lat_of(row + 1, z)
        fits = (width <= 360 / 2**z) & (height <= high)
        assert np.array_equal(fits, sizes >= z)
    assert quadtree.sizes_of(np.zeros((1, 4)), np.zeros(1, np.int64)).tolist() == [DEEPEST]


def test_numbers_along_the_curve() -> None:
    x, y = quadtree.cells_of(*places(1000))
    keys = quadtree.morton(x, y)
    assert all(np.array_equal(a, b) for a, b in zip(quadtree.columns_rows(keys), (x, y), strict=True))
    assert np.array_equal(keys >> np.uint64(20), quadtree.morton(x >> 10, y >> 10))


def test_a_box_of_next_to_nothing_fits_every_cell() -> None:
    least = float(np.nextafter(0.0, 1.0))
    boxes = np.array([[0.0, 0.0, least, 0.0], [0.0, 0.0, least, least], [0.0, 0.0, 0.0, 0.0]])
    assert quadtree.sizes_of(boxes, quadtree.cells_of(boxes[:, 0], boxes[:, 1])[1]).tolist() == [DEEPEST] * 3
