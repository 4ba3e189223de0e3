"""A city whose every moment is noted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from layers.batch import MESH
from layers.store import geopackage
from tests.storing import grid, load, spec, tetrahedron
from tests.unit.layers.store.geopackage.told import Told


@pytest.fixture
def city(tmp_path: Path) -> Any:
    """A store of ten squares, one with a body, one without a place, with a time and a key."""
    rows = grid(10, seen="2024-01-02T03:04:05.000Z")
    rows[4][MESH] = tetrahedron(25.04, 60).to_bytes()
    store = geopackage.open(tmp_path / "city.gpkg")
    load(store, spec(time_field="seen", key=("name",)), rows)
    load(store, spec("other"), grid(3))
    store.create("buildings", {"type": "Feature", "geometry": None, "properties": {"name": "nowhere"}})
    made = Told(tmp_path / "city.gpkg", store)
    made.note()
    yield made
    made.store.close()
