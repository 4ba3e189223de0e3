"""Models of the generated city: closed solids on the outlines of their buildings, read as any CityJSON."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import shapely

from layers.batch import MESH, WKB
from layers.mesh import Mesh, Surface
from tests.cityjsons import City as Document
from tests.cityjsons import features
from tests.cityjsons import solid as body_of
from twin.demo.lanjiang import models, plan, relief
from twin.demo.lanjiang.buildings import Building
from twin.demo.lanjiang.frame import Frame
from twin.demo.lanjiang.known import Known
from twin.demo.lanjiang.subject import City

SEED = 1


@pytest.fixture(scope="module")
def houses() -> dict[str, Building]:
    """Those of size S that have a model."""
    return {house.id: house for cell in plan.cells("S") for house in models.chosen(Known(SEED, *cell, "S"))}


def test_bodies_are_closed_and_stand_on_their_outlines(tmp_path: Path, houses: dict[str, Building]) -> None:
    frame = Frame()
    made = models.SUBJECT.whole
    assert made is not None
    told = made(City("S", SEED, frame, tmp_path, lambda name: iter(())))
    rows = features(tmp_path / models.FILE)
    assert told.counts == {"models": len(rows)}
    assert 28 <= len(rows) <= 52
    assert {row["building_id"] for row in rows.values()} == set(houses)
    for row in rows.values():
        house = houses[row["building_id"]]
        body = body_of(row)
        assert body.is_watertight
        assert body.is_winding_consistent
        assert body.volume > 0
        outline = shapely.Polygon(frame.placed(np.array(house.ring)))
        assert shapely.from_wkb(row[WKB]).symmetric_difference(outline).area < 0.1
        low = float(relief.height(*np.array(house.ring).T).min())
        assert row["base_m"] == pytest.approx(low, abs=0.01)
        assert abs(row["mesh_height_m"] - house.height_m) < 4
        mesh = Mesh.from_bytes(row[MESH])
        assert set(np.unique(mesh.surfaces)) == {Surface.GROUND, Surface.WALL, Surface.ROOF}
        assert row["说明"] == "虚构演示数据"


def test_faces_are_level_or_plane_and_roofs_differ(houses: dict[str, Building]) -> None:
    forms: Counter[str] = Counter()
    for house in houses.values():
        made = models.solid(house)
        forms[made.roof] += 1
        for face in made.faces:
            corners = np.array([corner for ring in face for corner in ring])
            off = corners - corners.mean(axis=0)
            assert np.linalg.svd(off, compute_uv=False)[-1] < 0.03
    assert len(forms) == 3


def test_a_smaller_city_has_the_same_models() -> None:
    for cell in ((0, 0), (-1, 0), (0, -1)):
        one, other = (models.chosen(Known(SEED, *cell, size)) for size in ("S", "L"))
        assert one == other
    document: Document = models.cityjson(Frame(), iter([(house, models.solid(house)) for house in one]))
    assert len(document["vertices"]) == len({tuple(at) for at in document["vertices"]})
