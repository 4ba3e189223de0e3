"""Filters by tile: the middle of a feature's box, to the last bit, on every store."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from layers import quadtree
from layers.cql.parse import parse
from layers.errors import BadParameter
from layers.store.base import Store
from tests.storing import fids, load, row, spec

Z, X, Y = 12, 2333, 1186


def boxes() -> np.ndarray:
    """Boxes of many sizes whose middles lie on the edges of a tile, one double beside, and around it."""
    e = quadtree.edges(Z, X, Y)
    lons = [v for side in (e.west, e.east) for v in (side, np.nextafter(side, -200), np.nextafter(side, 200))]
    lats = [v for side in (e.south, e.north) for v in (side, np.nextafter(side, -90), np.nextafter(side, 90))]
    middles = [
        (lon, lat) for lon in [*lons, (e.west + e.east) / 2] for lat in [*lats, (e.south + e.north) / 2]
    ]
    rng = np.random.default_rng(3)
    points = [(lon, lat, lon, lat) for lon, lat in middles]
    for lon, lat in rng.uniform(
        (e.west - 0.1, e.south - 0.1), (e.east + 0.1, e.north + 0.1), (60, 2)
    ).tolist():
        w, h = (10.0 ** rng.uniform(-5, -0.5, 2)).tolist()
        points.append((lon - w, lat - h, lon + w, lat + h))
    w, h = e.width, e.height
    for wide, high in ((w, h), (np.nextafter(w, 1), h), (w, np.nextafter(h, 1))):
        points.append((0.0, 0.0, wide, high))  # from 0, so that the size is exact
    return np.array(points)


def shape(box: np.ndarray) -> object:
    west, south, east, north = box.tolist()
    if west == east and south == north:
        return shapely.Point(west, south)
    return shapely.LineString([(west, south), (east, north)])


def ids(store: Store, text: str) -> list[int]:
    return fids(store, "all", filter=parse(text, "cql2-text", store.feature_layer("all")))


@pytest.fixture
def loaded(store: Store) -> np.ndarray:
    every = boxes()
    words = spec("all", kind="feature", geometry_type="Geometry", crs="EPSG:4326")
    load(store, words, [row(f"s{i}", shape(box)) for i, box in enumerate(every)])
    return every


def test_middles_and_sizes(store: Store, loaded: np.ndarray) -> None:
    lon, lat = (loaded[:, 0] + loaded[:, 2]) / 2, (loaded[:, 1] + loaded[:, 3]) / 2
    x, y = quadtree.cells_of(lon, lat)
    sizes = quadtree.sizes_of(loaded, y)
    seen = 0
    for z in (0, 1, 7, Z, 13, 16, 26):
        mine = x >> (26 - z), y >> (26 - z)
        cells = (
            {*zip(*(part.tolist() for part in mine), strict=True)} if z < 14 else {(X << z - Z, Y << z - Z)}
        )
        for column, number in cells:
            inside = (mine[0] == column) & (mine[1] == number)
            place = f"{z},{column},{number}"
            assert ids(store, f"middle_in_tile({place})") == (np.flatnonzero(inside) + 1).tolist()
            both = f"middle_in_tile({place}) AND fits_tile({place})"
            small = np.flatnonzero(inside & (sizes >= z)) + 1
            assert ids(store, both) == small.tolist(), place
            seen += len(small)
    assert seen > 200


def test_as_conditions(store: Store, loaded: np.ndarray) -> None:
    inside = ids(store, f"middle_in_tile({Z},{X},{Y})")
    assert inside
    assert ids(store, f"middle_in_tile({Z},{X},{Y}) = TRUE") == inside
    outside = ids(store, f"NOT middle_in_tile({Z},{X},{Y})")
    assert sorted([*inside, *outside]) == list(range(1, len(loaded) + 1))
    assert ids(store, "fits_tile(0,0,0)") == list(range(1, len(loaded) + 1))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("middle_in_tile(3, 8, 0)", "no tile 3, 8, 0"),
        ("middle_in_tile(27, 0, 0)", "zooms are 0 to 26"),
        ("middle_in_tile(1, 0)", "3 operands"),
        ("fits_tile(1, 0.5, 0)", "integer"),
        ("middle_in_tile(levels, 0, 0)", "three whole numbers"),
    ],
)
def test_refused(unchanged: Store, text: str, told: str) -> None:
    with pytest.raises(BadParameter, match=told):
        parse(text, "cql2-text", unchanged.feature_layer("buildings"))
