"""Geometries that end a native parser, stored by another program: told, and everything else served."""

from __future__ import annotations

import json
import logging
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import shapely

from layers import query
from layers.batch import MESH
from layers.errors import Unreadable
from layers.query import Query
from layers.store import geopackage, unreadable
from layers.store.base import Store
from layers.store.geopackage import blob
from tests.storing import features, fids, grid, load, spec, square, tetrahedron

NESTED = b"".join(b"\x01" + struct.pack("<II", 7, 1) for _ in range(13_000)) + shapely.to_wkb(
    shapely.Point(25, 60)
)
BAD = 3


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Ten squares, of which another program gave one a geometry of 13 000 collections in one another."""
    rows = grid(10)
    rows[BAD - 1][MESH] = tetrahedron(25.04, 60).to_bytes()
    path = tmp_path / "city.gpkg"
    made = geopackage.open(path)
    load(made, spec(), rows)
    features(made)
    known = made.rows("buildings", [BAD])
    assert known.wkb[0] is not None
    head = blob.encode(np.array([shapely.from_wkb(known.wkb[0])]))[0][:40]
    foreign = sqlite3.connect(path)
    for name, count in (("IsEmpty", 0), ("MinX", 25.0), ("MaxX", 25.1), ("MinY", 60.0), ("MaxY", 60.1)):
        foreign.create_function(f"ST_{name}", 1, lambda _, count=count: count)
    foreign.execute("UPDATE buildings SET geom = ? WHERE fid = ?", (head + NESTED, BAD))
    foreign.commit()
    foreign.close()
    unreadable._logged.clear()
    yield made
    made.close()


@pytest.mark.parametrize("restarted", [False, True])
def test_every_road_of_reading_stands(
    store: Store, restarted: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if restarted:
        store.close()
        store = geopackage.open(tmp_path / "city.gpkg")
    others = [n for n in range(1, 11) if n != BAD]
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            found = {f["id"]: f["geometry"] for f in features(store)}
            assert [n for n, geometry in found.items() if geometry is None] == [BAD]
            assert store.rows("buildings", meshes=True).fids.tolist() == others
            assert [n for rows in store.scan("buildings", Query()) for n in rows.fids] == list(range(1, 11))
            assert set(fids(store, bbox=(24, 59, 26, 61))) >= set(others)
            layer = store.feature_layer("buildings")
            for text in ("S_INTERSECTS(geometry, POLYGON((24 59,26 59,26 61,24 61,24 59)))", "levels >= 0"):
                wanted = query.parse(layer, [("filter", text), ("limit", "100")])
                assert set(fids(store, filter=wanted.filter)) >= set(others)
            for crs in ("http://www.opengis.net/def/crs/OGC/1.3/CRS84", "EPSG:3067"):
                with pytest.raises(Unreadable, match=rf"feature {BAD} .*16 deep"):
                    store.item("buildings", BAD, crs)
            assert json.loads(store.item("buildings", 1).body)["geometry"]["type"] == "Polygon"
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert f"feature {BAD} of layer buildings" in told[0]
    store.patch("buildings", BAD, {"properties": {"name": "named"}})  # what does not touch it is written
    with pytest.raises(Unreadable):
        store.item("buildings", BAD)
    store.patch("buildings", BAD, {"geometry": json.loads(shapely.to_geojson(square(25, 60)))})
    assert json.loads(store.item("buildings", BAD).body)["geometry"]["type"] == "Polygon"
    store.close()
