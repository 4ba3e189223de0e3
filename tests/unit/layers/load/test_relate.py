"""Buildings and parts: whose part it is, and what is left of a building beside its parts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from layers import load
from layers.model import Mesh
from layers.relate import covered, remainder
from layers.source import Declared
from layers.store import geopackage
from tests.gdal_edit import edit

#: Degrees of one metre near 60.17 N, as the bodies' local frame has it.
M = np.array([180 / np.pi / 6_378_137 / np.cos(np.radians(60.17)), 180 / np.pi / 6_378_137])
AT = np.array([24.94, 60.17])


def box(x0: float, y0: float, x1: float, y1: float) -> Any:
    return shapely.transform(shapely.box(x0, y0, x1, y1), lambda c: c * M + AT)


def volume(mesh: Mesh) -> float:
    local = (mesh.positions - np.append(AT, 0)) / np.append(M, 1)
    a, b, c = (local[mesh.triangles[:, k]] for k in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Any]:
    opened = geopackage.open(tmp_path / "city.gpkg")
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(box(0, 0, 20, 20), 0.0)], None),
        ([(box(0, 0, 10, 20), 0.0)], 10 * 20 * 12),
        ([(box(0, 0, 20, 20), 6.0)], 20 * 20 * 6),
        ([(box(0, 0, 10, 20), 6.0)], 10 * 20 * 12 + 10 * 20 * 6),
        ([(box(0, 0, 20, 20), 0.0), (box(5, 5, 10, 10), 9.0)], None),
        ([(box(0, 0, 10, 20), 0.0), (box(0, 0, 20, 20), 6.0)], 10 * 20 * 6),
        ([(box(0.1, 0, 20, 20), 0.0)], None),
        ([(box(-5, 0, 10, 20), 6.0)], 10 * 20 * 12 + 10 * 20 * 6),
    ],
    ids=["whole", "half", "above", "half above", "tower on base", "base and upper", "sliver", "overhang"],
)
def test_what_is_left_of_a_building(parts: list[tuple[Any, float]], expected: float | None) -> None:
    left = remainder(box(0, 0, 20, 20), 0.0, 12.0, parts)
    if expected is None:
        assert left is None
        return
    assert left is not None
    assert volume(left) == pytest.approx(expected, rel=1e-4)
    edges = np.sort(left.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    assert set(np.unique(edges, axis=0, return_counts=True)[1].tolist()) == {2}


def test_cover() -> None:
    assert covered(box(0, 0, 20, 20), [box(0, 0, 10, 20), box(5, 0, 15, 20)]) == pytest.approx(0.75)


def feature(source_id: str, shape: Any, **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": source_id,
        "properties": properties,
        "geometry": shapely.geometry.mapping(shape),
    }


def write(path: Path, *features: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_a_part_goes_to_the_smallest_building_and_leaves_when_it_moves(store: Any, tmp_path: Path) -> None:
    houses = write(
        tmp_path / "houses.geojson",
        feature("big", box(0, 0, 100, 100), height=9),
        feature("small", box(0, 0, 20, 20), height=9),
        feature("far", box(200, 0, 220, 20), height=9),
    )
    parts = write(tmp_path / "parts.geojson", feature("p", box(2, 2, 12, 12), height=20, building_id=None))
    load.run(store, houses, Declared(kind="building"), layer_id="houses")
    load.run(store, parts, Declared(kind="cim"), layer_id="parts")
    assert store.rows("parts").properties["building_id"] == ["small"]
    assert store.rows("houses").properties["has_parts"] == [False, True, False]
    assert set(store.rows("houses", meshes=True).meshes) == {2}
    write(parts, feature("p", box(202, 2, 212, 12), height=20))
    load.run(store, parts, Declared(kind="cim"), layer_id="parts", mode="replace")
    assert store.rows("parts").properties["building_id"] == ["far"]
    assert store.rows("houses").properties["has_parts"] == [False, False, True]
    assert set(store.rows("houses", meshes=True).meshes) == {3}
    write(parts, feature("p", box(502, 2, 512, 12), height=20))
    report = load.run(store, parts, Declared(kind="cim"), layer_id="parts", mode="replace")
    assert store.rows("parts").properties["building_id"] == [None]
    assert store.rows("houses").properties["has_parts"] == [False, False, False]
    assert "part.no_building" in {p.rule for p in report.problems}


def test_curves_of_another_program_cost_themselves_only(store: Any, tmp_path: Path) -> None:
    houses = write(
        tmp_path / "houses.geojson",
        *(feature(f"h{i}", box(i * 100, 0, i * 100 + 20, 20), height=9) for i in range(3)),
    )
    parts = write(
        tmp_path / "parts.geojson",
        *(feature(f"p{i}", box(i * 100 + 2, 2, i * 100 + 12, 12), height=20) for i in range(3)),
    )
    load.run(store, houses, Declared(kind="building"), layer_id="houses")
    load.run(store, parts, Declared(kind="cim"), layer_id="parts")
    assert store.rows("parts").properties["building_id"] == ["h0", "h1", "h2"]
    bodies = {fid: mesh.to_bytes() for fid, mesh in store.rows("houses", meshes=True).meshes.items()}
    round_ = "CURVEPOLYGON (CIRCULARSTRING (24.94 60.17, 24.95 60.18, 24.96 60.17, 24.95 60.16, 24.94 60.17))"
    edit(tmp_path / "city.gpkg", "bend", "houses", 1, round_)
    edit(tmp_path / "city.gpkg", "bend", "parts", 2, round_)

    # relates all layers, and reads what the others hold
    load.run(store, parts, Declared(kind="cim"), layer_id="new")
    assert store.rows("new").properties["building_id"] == [None, "h1", "h2"]
    # remembers, and mends the curve
    load.run(store, houses, Declared(kind="building"), layer_id="houses", mode="replace")
    assert store.rows("houses").properties["has_parts"] == [True, True, True]
    assert store.rows("new").properties["building_id"] == ["h0", "h1", "h2"]
    assert store.rows("houses", meshes=True).meshes[3].to_bytes() == bodies[3]
