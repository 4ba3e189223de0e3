"""Bodies of building parts: watertight, of the right volume, and as asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.kinds import cim
from layers.kinds.base import SourceBatch
from layers.kinds.roofs import SHAPES, Roof, body, mesh
from layers.mesh import Mesh, Surface

PARTS = Path(__file__).parents[4] / "config/demo/helsinki/building_parts.geojson"
BOX = shapely.box(0, 0, 10, 6)
ELL = shapely.Polygon([(0, 0), (20, 0), (20, 6), (8, 6), (8, 15), (0, 15)])
COURT = shapely.Polygon(shapely.box(0, 0, 20, 10).exterior, [shapely.box(5, 3, 9, 7).exterior])
ROUND = shapely.Point(3, 4).buffer(5, quad_segs=3)


def solid(positions: Any, triangles: Any) -> trimesh.Trimesh:
    return trimesh.Trimesh(positions, triangles, process=True)


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("shape", sorted(SHAPES))
@pytest.mark.parametrize("footprint", [BOX, ELL, COURT, ROUND], ids=["box", "ell", "court", "round"])
def test_every_shape_over_every_footprint_is_closed(
    footprint: shapely.Polygon, shape: str, across: bool
) -> None:
    built, _ = body(footprint, 2, 10, Roof(shape, 3, across, None))
    checked = solid(built.positions, built.triangles)
    assert checked.is_watertight
    assert checked.is_winding_consistent
    assert footprint.area * 4.9 < checked.volume <= footprint.area * 8 + 1e-6
    assert checked.bounds[0][2] == 2
    assert checked.bounds[1][2] == pytest.approx(10)
    assert len(built.surfaces) == len(built.triangles)
    assert {Surface.GROUND, Surface.WALL, Surface.ROOF} == set(built.surfaces.tolist())


@pytest.mark.parametrize(
    ("shape", "volume"),
    [
        ("flat", 480.0),
        ("gabled", 60 * 5 + 60 * 3 / 2),
        ("skillion", 60 * 5 + 60 * 3 / 2),
        ("pyramidal", 60 * 5 + 60),
        ("hipped", 60 * 5 + (10 - 6) * 6 * 3 / 2 + 6 * 6 * 3 / 3),
    ],
)
def test_volumes_by_hand(shape: str, volume: float) -> None:
    built, why = body(BOX, 2, 10, Roof(shape, 3))
    assert why is None
    assert solid(built.positions, built.triangles).volume == pytest.approx(volume, rel=1e-9)


@pytest.mark.parametrize(("direction", "low"), [(0, "north"), (90, "east"), (180, "south"), (270, "west")])
def test_a_skillion_falls_where_it_faces(direction: float, low: str) -> None:
    built, _ = body(shapely.box(0, 0, 8, 8), 0, 10, Roof("skillion", 4, False, direction))
    roof = built.positions[np.unique(built.triangles[built.surfaces == Surface.ROOF])]
    axis, end = {"north": (1, 8), "east": (0, 8), "south": (1, 0), "west": (0, 0)}[low]
    assert roof[np.isclose(roof[:, axis], end), 2] == pytest.approx(6)
    assert roof[np.isclose(roof[:, axis], 8 - end), 2] == pytest.approx(10)


@pytest.mark.parametrize(("shape", "footprint"), [("dome", ELL), ("onion", COURT), ("weird", BOX)])
def test_what_cannot_be_built_is_flat_and_says_so(shape: str, footprint: shapely.Polygon) -> None:
    built, why = body(footprint, 0, 5, Roof(shape, 2))
    centre = shapely.contains(footprint, footprint.centroid)
    if why is not None:
        assert solid(built.positions, built.triangles).volume == pytest.approx(footprint.area * 5)
    assert why is not None or centre


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(3, 30), st.floats(0.05, 1)), min_size=3, max_size=14),
    st.sampled_from(sorted(SHAPES)),
    st.floats(0.5, 40),
    st.floats(0.1, 60),
)
def test_any_star_shaped_footprint_is_closed(
    spokes: list[tuple[float, float]], shape: str, rise: float, tall: float
) -> None:
    turns = np.cumsum([s for _, s in spokes])
    angles = turns / (turns[-1] + 0.05) * 2 * np.pi
    ring = [(r * np.cos(a), r * np.sin(a)) for (r, _), a in zip(spokes, angles, strict=True)]
    footprint = shapely.Polygon(ring)
    if not footprint.is_valid or footprint.area < 1:
        return
    built, _ = body(footprint, 1, 1 + tall, Roof(shape, rise))
    edges = np.sort(built.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    _, counts = np.unique(edges, axis=0, return_counts=True)
    assert set((counts % 2).tolist()) == {0}


def parts() -> list[dict[str, Any]]:
    features: list[dict[str, Any]] = json.loads(PARTS.read_text("utf-8"))["features"]
    return features


def test_all_of_helsinki_is_watertight() -> None:
    features = parts()
    names = sorted({k for f in features for k in f["properties"]})
    shapes = np.array([shapely.geometry.shape(f["geometry"]) for f in features], dtype=object)
    columns = {n: [f["properties"].get(n) for f in features] for n in names}
    batch = SourceBatch(
        columns, list(range(len(features))), [f["id"] for f in features], shapely.orient_polygons(shapes)
    )
    values = cim.KIND.normalise(batch)
    assert cim.KIND.mesh is not None
    blobs = cim.KIND.mesh(batch, values)
    assert len(blobs) == 126
    for blob, low, high in zip(blobs, values["min_height_m"], values["height_m"], strict=True):
        assert blob is not None
        built = Mesh.from_bytes(blob)
        local = (built.positions - built.positions[0]) * (55_000, 111_000, 1)
        checked = solid(local, built.triangles)
        assert checked.is_watertight
        assert checked.volume > 0
        assert built.positions[:, 2].min() == pytest.approx(low)
        assert built.positions[:, 2].max() == pytest.approx(high)
    assert not [p for p in batch.problems if p.rule == "roof.flat"]


def test_a_multipolygon_keeps_its_place() -> None:
    footprint = shapely.MultiPolygon(
        [shapely.box(24.94, 60.17, 24.941, 60.171), shapely.box(24.95, 60.17, 24.951, 60.171)]
    )
    built, why = mesh(footprint, 0, 10, Roof())
    assert why is None
    assert built.positions[:, 0].min() == pytest.approx(24.94, abs=1e-9)
    assert built.positions[:, 0].max() == pytest.approx(24.951, abs=1e-9)
    assert solid(built.positions, built.triangles).is_watertight
