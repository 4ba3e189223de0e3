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
from layers.rules import ADVICE
from layers.source import Declared, SeveralLayers
from tests.textured import image

PLATEAU = "plateau_jp/52397519_bldg_6697_op.gml"
BROKEN = "bldg_145717e9-2260-4205-aed7-4df9fa8cc296"
LAND_USE = "plateau_jp/523836_luse_6668_op.gml"
OPERA = "citygml3/Opera-Lyon_CityGML3.0_LOD2_with_xAL3_FullyStructured.gml"

GML_ID = "{http://www.opengis.net/gml}id"


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
    file = data / LAND_USE
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


def test_pipes_of_a_network_know_their_medium_material_and_nodes(data: Path) -> None:
    file = data / "rotterdam_nl/hoogvliet_sewer_utilitynetwork.gml"
    with pytest.raises(SeveralLayers) as refused:
        load.check(file, layer_id="sewer")
    tree = etree.parse(str(file))

    def count(*names: str) -> int:
        return sum(len(tree.xpath(f"//*[local-name()='{name}']")) for name in names)

    assert {each.name: each.features for each in refused.value.layers} == {
        "Pipe": count("RoundPipe", "OtherShapePipe"),
        "Node": count("SimpleFunctionalElement"),
        "CityFurniture": count("CityFurniture"),
    }
    found = rows(file, "Pipe")
    assert len(found) == 246
    assert {row["medium"] for row in found} == {"drainage"}
    assert {row["material"] for row in found} == {"PVC", "BT"}
    assert Counter(row["diameter"] is not None for row in found) == {True: 190, False: 56}
    # pipes that share a node meet there, and every end is one
    places: dict[str, list[tuple[float, ...]]] = {}
    for row in found:
        line = shapely.from_wkb(row[WKB])
        for node, at in ((row["start_node"], line.coords[0]), (row["end_node"], line.coords[-1])):
            places.setdefault(node, []).append(at[:2])
    assert max(map(len, places.values())) > 2
    for at in places.values():
        assert np.ptp(np.array(at), axis=0).max() < 0.001
    report = load.check(file, Declared(layer="Pipe"), layer_id="sewer")
    assert (report.kind, report.kept) == ("pipeline", 246)
    assert report.sources["diameter_source"] == {"measured": 190, "default": 56}


def test_pipes_of_plateau_are_lines_or_bodies(data: Path) -> None:
    file = data / "nagaoka_jp/08EE753_unf_10169_sewer_op.gml"
    lines, bodies = rows(file, "Pipe"), rows(file, "PipeBody")
    assert (len(lines), len(bodies)) == (138, 20)
    assert {row["medium"] for row in lines} == {"drainage"}
    assert {row["name"] for row in lines} >= {"雨水管路"}
    for row in bodies:
        mesh = Mesh.from_bytes(row[MESH])
        assert trimesh.Trimesh(mesh.positions - mesh.positions[0], mesh.triangles).is_watertight


@pytest.mark.parametrize(
    ("name", "rule", "source_id", "faults"),
    [
        ("L05_54377074_bldg_6697_op", "crs.flat", None, set()),
        ("L07_LOD1_l7_fail", "ring.repeated", BROKEN, {"ring.repeated", "solid.turned"}),
        (
            "L09_LOD1_01_L09_01",
            "ring.crossed",
            "bldg_b3eef116-02e4-11f0-a3af-18ece7a5508c",
            {"ring.crossed", "surface.degenerate", "solid.open", "solid.turned"},
        ),
        (
            "L13_LOD1_01_l13_fail_interior_exterior_crossing",
            "ring.interior",
            BROKEN,
            {"ring.interior", "ring.unclosed", "solid.open"},
        ),
        ("X-invalid-gml-id_54377074_bldg_6697_op", "id.plateau", None, set()),
        (
            "Z-fld-02_degenerate-triangle_01_49300001_fld_6697_l1_op",
            "geometry.degenerate",
            "fld_degenerate_line",
            {"ring.repeated", "surface.degenerate"},
        ),
    ],
)
def test_each_fault_of_plateau_is_told_by_its_rule(
    data: Path, name: str, rule: str, source_id: str | None, faults: set[str]
) -> None:
    """The faults of surfaces and solids are those that val3dity has codes for, and no other."""
    with guard.read(data / f"broken/citygml/{name}.gml") as reading:
        told = {problem.rule: problem for problem in reading.problems}
    assert {each for each in told if each.startswith(("ring.", "surface.", "solid."))} == faults
    assert rule in told
    assert rule in ADVICE
    assert told[rule].source_id == source_id


def test_what_is_whole_has_none_of_these_faults(data: Path) -> None:
    """Land use has two outlines that touch themselves, as shapely finds, too."""
    touching = set()
    for thing in etree.parse(str(data / LAND_USE)).iter("{*}LandUse"):
        for text in thing.xpath(".//*[local-name()='exterior']//*[local-name()='posList']/text()"):
            outline = shapely.Polygon(np.array(text.split(), float).reshape(-1, 3)[:, :2])
            if not outline.is_valid:
                touching.add(thing.get("{http://www.opengis.net/gml}id"))
    assert len(touching) == 2
    for name in (PLATEAU, LAND_USE, "plateau_jp/52385721_fld_6697_l1_op.gml"):
        with guard.read(data / name) as reading:
            faults = [
                (problem.rule, problem.source_id)
                for problem in reading.problems
                if problem.rule.startswith(("ring.", "surface.", "xlink.", "geometry."))
            ]
        assert set(faults) == ({("ring.crossed", one) for one in touching} if name == LAND_USE else set())


def test_the_images_of_a_ward_lie_on_its_roofs(data: Path, tmp_path: Path) -> None:
    """The set has the file without its images: these are made."""
    source = data / PLATEAU
    tree = etree.parse(str(source))
    copy = tmp_path / "udx/bldg" / source.name
    copy.parent.mkdir(parents=True)
    copy.write_bytes(source.read_bytes())
    for uri in {(each.text or "").strip() for each in tree.iter("{*}imageURI")}:
        (copy.parent / uri).parent.mkdir(exist_ok=True)
        (copy.parent / uri).write_bytes(image(size=(256, 256), form="JPEG"))
    targets = {each.get("uri").removeprefix("#") for each in tree.iter("{*}target")}
    written = Counter(
        next(a.get(GML_ID) for a in one.iterancestors("{*}Building", "{*}BuildingPart"))
        for one in tree.iter("{*}Polygon")
        if one.get(GML_ID) in targets
    )
    with guard.read(tmp_path / "udx") as reading:
        found = [row for table in reading.batches() for row in table.to_pylist()]
        rules = {problem.rule for problem in reading.problems}
    assert not {rule for rule in rules if rule.startswith("texture.")}
    textured = {}
    for row in found:
        mesh = Mesh.from_bytes(row[MESH])
        if mesh.uv is not None and mesh.materials is not None:
            images = np.array([one.texture is not None for one in mesh.material_table])[mesh.materials]
            assert (mesh.surfaces[images] == Surface.ROOF).all()
            assert mesh.uv[images].min() >= 0
            assert mesh.uv[images].max() <= 1
            textured[row[SOURCE_ID]] = int(images.sum())
    assert set(textured) == set(written)
    assert all(textured[name] >= count for name, count in written.items())
