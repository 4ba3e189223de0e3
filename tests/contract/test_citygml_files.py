"""Real CityGML: counts by XPath, positions by pyproj, volumes by trimesh, areas by shapely."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
import trimesh
from lxml import etree

from layers import guard, load
from layers.batch import MESH, SOURCE_ID, WKB
from layers.mesh import Mesh, Surface
from layers.source import Declared

PLATEAU = "plateau_jp/52397519_bldg_6697_op.gml"
OPERA = "citygml3/Opera-Lyon_CityGML3.0_LOD2_with_xAL3_FullyStructured.gml"


@pytest.fixture(scope="module")
def data(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue("shared_data")
    return folder


def rows(file: Path, layer: str | None = None) -> list[dict[str, Any]]:
    with guard.read(file, Declared(layer=layer)) as reading:
        return [row for table in reading.batches() for row in table.to_pylist()]


def _xy(file: Path) -> np.ndarray[Any, Any]:
    """All positions of a file's polygons as they are written."""
    texts = etree.parse(str(file)).xpath("//*[local-name()='LinearRing']/*[local-name()='posList']/text()")
    return np.concatenate([np.array(text.split(), float).reshape(-1, 3) for text in texts])


def test_a_ward_of_plateau(data: Path) -> None:
    file = data / PLATEAU
    tree = etree.parse(str(file))
    wholes = tree.xpath("//*[local-name()='Building'][not(*[local-name()='consistsOfBuildingPart'])]")
    parts = tree.xpath("//*[local-name()='BuildingPart']")
    ids = {e.get("{http://www.opengis.net/gml}id") for e in (*wholes, *parts)}
    found = {row[SOURCE_ID]: row for row in rows(file)}
    assert set(found) == ids
    themed = 0
    lats, lons = _xy(file)[:, 0], _xy(file)[:, 1]
    for row in found.values():
        mesh = Mesh.from_bytes(row[MESH])
        lon, lat = mesh.positions[:, 0], mesh.positions[:, 1]
        # to the last digit: no operation lies between the file and here
        assert np.isin(lon, lons).all()
        assert np.isin(lat, lats).all()
        themed += mesh.parts is not None
        assert {Surface.ROOF, Surface.WALL, Surface.GROUND} <= set(mesh.surfaces.tolist())
    assert themed == len(tree.xpath("//*[local-name()='RoofSurface']"))
    solids = [row for row in found.values() if row["lod"] == "1"]
    metres = pyproj.Transformer.from_crs(6668, 6677, always_xy=True)  # plane rectangular IX
    for row in solids:
        mesh = Mesh.from_bytes(row[MESH])
        x, y = metres.transform(mesh.positions[:, 0], mesh.positions[:, 1])
        body = trimesh.Trimesh(
            np.column_stack([x - x.mean(), y - y.mean(), mesh.positions[:, 2]]), mesh.triangles
        )
        assert body.is_watertight
        base = shapely.transform(
            shapely.from_wkb(row[WKB]), lambda p: np.column_stack(metres.transform(p[:, 0], p[:, 1]))
        )
        assert body.volume == pytest.approx(base.area * row["mesh_height_m"], rel=1e-3)


def test_a_ward_of_plateau_becomes_a_layer_in_its_place(data: Path) -> None:
    report = load.check(data / PLATEAU, layer_id="bldg")
    assert (report.kind, report.crs, report.kept, report.quarantined) == ("cim", "EPSG:6668", 14, 0)
    assert report.sources["height_source"] == {"measured": 14}


def test_the_opera_of_lyon(data: Path) -> None:
    file = data / OPERA
    (row,) = rows(file)
    mesh = Mesh.from_bytes(row[MESH])
    assert (row[SOURCE_ID], row["lod"], row["address_city"]) == ("OPERA_LYON_45", "2", "Lyon")
    tree = etree.parse(str(file))
    written: Counter[str] = Counter()
    for name in ("RoofSurface", "WallSurface", "GroundSurface"):
        for text in tree.xpath(
            f"//*[local-name()='{name}']//*[local-name()='exterior']//*[local-name()='posList']/text()"
        ):
            ring = np.array(text.split(), float).reshape(-1, 3)
            ring -= ring[0]
            written[name] += float(np.linalg.norm(np.cross(ring[:-1], ring[1:]).sum(axis=0)) / 2)
    a, b, c = (mesh.positions[mesh.triangles[:, k]] for k in range(3))
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    for name, code in (("RoofSurface", Surface.ROOF), ("GroundSurface", Surface.GROUND)):
        assert areas[mesh.surfaces == code].sum() == pytest.approx(written[name], rel=1e-3)
    assert np.ptp(mesh.positions[:, 2]) == pytest.approx(209.217361 - 170.786972, abs=0.01)
    assert load.check(file, layer_id="opera").crs == "EPSG:3946"


def test_land_use_has_the_areas_of_its_rings(data: Path) -> None:
    file = data / "plateau_jp/523836_luse_6668_op.gml"
    tree = etree.parse(str(file))
    found = {row[SOURCE_ID]: shapely.from_wkb(row[WKB]) for row in rows(file)}
    things = tree.xpath("//*[local-name()='LandUse']")
    assert len(found) == len(things) == 225
    for thing in things:
        polygons = []
        for polygon in thing.iter("{*}Polygon"):
            rings = [
                np.array(text.split(), float).reshape(-1, 3)[:, 1::-1]
                for text in polygon.xpath(".//*[local-name()='posList']/text()")
            ]
            polygons.append(shapely.Polygon(rings[0], rings[1:]))
        expected = shapely.union_all(shapely.make_valid(polygons))
        made = found[thing.get("{http://www.opengis.net/gml}id")]
        assert shapely.hausdorff_distance(made, expected) < 1e-9  # degrees: 0.1 mm


def test_the_file_names_axes_as_the_authority_has_them(data: Path) -> None:
    pipes = rows(data / "nagaoka_jp/08EE751_unf_10169_gas_op.gml")
    assert len(pipes) == 7
    lines = [shapely.from_wkb(row[WKB]) for row in pipes]
    assert all(20_000 < x < 23_000 and 150_000 < y < 160_000 for x, y, *_ in (g.coords[0] for g in lines))
    report = load.check(data / "nagaoka_jp/08EE751_unf_10169_gas_op.gml", layer_id="gas")
    assert (report.kind, report.crs, report.kept) == ("pipeline", "EPSG:6676", 7)


@pytest.mark.parametrize("name", ["SensorConnection_V1", "inline_Timeseries"])
def test_names_of_german_authorities(data: Path, name: str) -> None:
    file = data / f"citygml3/Building_CityGML3.0_with_Dynamizer_and_{name}.gml"
    report = load.check(file, layer_id="house")
    assert (report.crs, report.kept) == ("EPSG:31468", 1)
    (row,) = rows(file)
    mesh = Mesh.from_bytes(row[MESH])
    body = trimesh.Trimesh(mesh.positions - mesh.positions.mean(axis=0), mesh.triangles)
    assert body.is_watertight
    assert 100 < body.volume < 2000


def test_short_names_of_crs_have_x_first(data: Path) -> None:
    (row,) = rows(data / "citygml3/JeffersonBuilding_CityGML3.0_LOD1_with_xAL3_CommonTypes.gml")
    point = shapely.from_wkb(row[WKB]).centroid
    assert (point.x, point.y) == (
        pytest.approx(row["longitude"], abs=1e-3),
        pytest.approx(row["latitude"], abs=1e-3),
    )
