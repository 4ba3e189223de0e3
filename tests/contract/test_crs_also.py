"""Every layer is offered in the CRSs that the store was opened with, whatever it was loaded from."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import pytest
import shapely

from layers import crs, query
from layers.errors import BadParameter
from layers.query import Query
from layers.store.base import Store
from tests.storing import features, fids, grid, load, row, spec, square

GRID = crs.uri("EPSG:3879")
POLAR = crs.uri("EPSG:3067")
CENTIMETRE = 0.01


@pytest.fixture
def store(opener: Callable[..., Store]) -> Store:
    """Squares of a file in longitude and latitude, in a city with a grid of its own."""
    made = opener(("EPSG:3879",))
    load(made, spec(crs="EPSG:4326"), grid(20))
    return made


def test_from_the_first_call_on(opener: Callable[..., Store]) -> None:
    first = opener()
    load(first, spec(crs="EPSG:4326"), grid(3))
    assert GRID not in crs.supported(first.layer("buildings"))
    first.close()
    scanned, listed, asked = (opener(("EPSG:3879",)) for _ in range(3))
    next(scanned.scan("buildings", Query(limit=None)))
    for layer in (scanned.layer("buildings"), *listed.layers(), asked.layer("buildings")):
        assert crs.supported(layer)[1] == GRID
        assert layer.crs == "EPSG:4326"


def test_after_edits_and_loads(store: Store) -> None:
    store.patch("buildings", 1, {"properties": {"name": "new"}})
    assert GRID in crs.supported(store.layer("buildings"))
    load(store, spec(crs="EPSG:3067"), grid(3))
    assert crs.supported(store.layer("buildings"))[1:3] == (POLAR, GRID)


def test_there_and_back_within_a_centimetre(store: Store) -> None:
    plain = [np.array(f["geometry"]["coordinates"][0]) for f in features(store)]
    there = [np.array(f["geometry"]["coordinates"][0]) for f in features(store, crs=GRID)]
    for lonlat, grid_ in zip(plain, there, strict=True):
        northing, easting = grid_[:, 0], grid_[:, 1]
        assert (northing > 6_600_000).all()
        back = crs.to_lonlat(np.column_stack([easting, northing]), "EPSG:3879")
        metres = (back - lonlat) * [55_800, 111_400]
        assert np.abs(metres).max() < CENTIMETRE


def test_boxes_and_filters_in_it_choose_what_they_choose_in_degrees(store: Store) -> None:
    load(store, spec(crs="EPSG:4326"), _scattered())
    layer = store.layer("buildings")
    box = shapely.box(25.02, 60.01, 25.06, 60.05)
    corners = crs.from_lonlat(np.array([[25.02, 60.01], [25.06, 60.05]]), "EPSG:3879")
    turned = crs.shapes_from_lonlat(np.array([box], object), "EPSG:3879")[0]
    text = f"S_INTERSECTS(geometry, {turned.wkt})"
    asked = query.parse(layer, [("filter", text), ("filter-crs", GRID), ("limit", "1000")])
    wanted = query.parse(layer, [("filter", f"S_INTERSECTS(geometry, {box.wkt})"), ("limit", "1000")])
    found = _fids(store, asked)
    assert found == _fids(store, wanted)
    assert 0 < len(found) < layer.count
    boxed = query.parse(
        layer, [("bbox", ",".join(map(str, corners.ravel()))), ("bbox-crs", "EPSG:3879"), ("limit", "1000")]
    )
    clear = {fid for fid, shape in _shapes(store).items() if shape.within(box.buffer(-0.003))}
    near = {fid for fid, shape in _shapes(store).items() if shape.intersects(box.buffer(0.003))}
    assert clear < set(_fids(store, boxed)) < near | clear


def test_another_crs_is_still_refused(store: Store) -> None:
    with pytest.raises(BadParameter, match=GRID):
        query.parse(store.layer("buildings"), [("crs", POLAR)])


def _scattered() -> list[dict[str, object]]:
    random = Random(7)
    return [row(f"s{i}", square(random.uniform(25, 25.1), random.uniform(60, 60.1))) for i in range(300)]


def _fids(store: Store, asked: Query) -> list[int]:
    return fids(store, **{name: getattr(asked, name) for name in ("bbox", "filter", "limit")})


def _shapes(store: Store) -> dict[int, shapely.Geometry]:
    rows = store.rows("buildings")
    return dict(zip(rows.fids.tolist(), shapely.from_wkb(list(rows.wkb)), strict=True))
