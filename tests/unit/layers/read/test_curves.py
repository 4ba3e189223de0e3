"""Arcs of a GeoPackage: read as lines; surfaces that no plane geometry says are set aside."""

from __future__ import annotations

import math
import sqlite3
import struct
from pathlib import Path

import pytest
import shapely

from layers import load
from layers.source import Declared
from layers.store import geopackage
from tests.unit.layers.load.test_load_times import by_gdal

_HEAD = b"GP\x00\x01" + struct.pack("<i", 4326)
ARC = struct.pack("<II6d", 8, 3, 24, 60, 24.5, 60.5, 25, 60)
CIRCLE = struct.pack("<II6d", 8, 3, 24, 60, 25, 60, 24, 60)  # start, the point opposite, start


def wkb(code: int, *parts: bytes) -> bytes:
    """A collection of that type."""
    return struct.pack("<II", code, len(parts)) + b"".join(b"\x01" + part for part in parts)


SHAPES = {
    "arc": ARC,
    "compound": wkb(9, ARC, struct.pack("<II4d", 2, 2, 25, 60, 26, 60)),
    "disc": wkb(10, CIRCLE),
    "discs": wkb(12, wkb(10, CIRCLE)),
    "tin": wkb(1016),
}


def test_arcs_are_lines(tmp_path: Path) -> None:
    file = by_gdal(tmp_path / "a.gpkg", {"name": ("text", ["point"])})
    con = sqlite3.connect(file)
    for trigger in con.execute("SELECT name FROM sqlite_master WHERE type='trigger'").fetchall():
        con.execute(f'DROP TRIGGER "{trigger[0]}"')
    for name, shape in SHAPES.items():
        con.execute("INSERT INTO a (geom, name) VALUES (?, ?)", (_HEAD + b"\x01" + shape, name))
    con.execute("UPDATE gpkg_geometry_columns SET geometry_type_name='GEOMETRY'")
    con.commit()
    con.close()
    store = geopackage.open(tmp_path / "city.gpkg")
    report = load.run(store, file, Declared(kind="feature"), layer_id="things")
    rows = store.rows("things")
    found = dict(zip(rows.properties["name"], shapely.from_wkb(list(rows.wkb)), strict=True))
    store.close()
    assert {name: shape.geom_type for name, shape in found.items()} == {
        "point": "Point",
        "arc": "LineString",
        "compound": "LineString",
        "disc": "Polygon",
        "discs": "MultiPolygon",
    }
    assert found["arc"].length == pytest.approx(math.pi / 2, rel=1e-3)
    assert found["compound"].length == pytest.approx(math.pi / 2 + 1, rel=1e-3)
    assert found["disc"].area == pytest.approx(math.pi / 4, rel=1e-2)
    assert found["discs"].area == pytest.approx(found["disc"].area)
    assert [(p.rule, p.row) for p in report.problems if p.action == "quarantined"] == [
        ("geometry.unreadable", 6)
    ]
