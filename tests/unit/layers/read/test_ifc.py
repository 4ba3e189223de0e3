"""IFC: places by ifcopenshell's own conversion and pyproj, volumes by hand, storeys, properties, and what is
refused."""

from __future__ import annotations

import re
import sys
import zipfile
from collections import Counter
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import ifcopenshell
import numpy as np
import pyproj
import pytest
import shapely
import trimesh
from ifcopenshell.util.geolocation import auto_xyz2enh

from layers import guard
from layers.batch import MESH, SOURCE_ID, WKB
from layers.errors import BadFile
from layers.guard import Reading
from layers.mesh import Mesh
from layers.read.base import ReadLimits, ReadOptions, Sink
from layers.read.formats import ifc
from layers.read.ifc import bodies
from layers.source import Declared
from tests.ifcs import AXIS, EAST, HEIGHT, MAP, NORTH, WALL, Model, house

type Rows = dict[str, dict[str, Any]]


def read(path: Path, declared: Declared | None = None, **limits: int) -> Reading:
    """The reader alone, in this process: a child a case would be slow."""
    folder = Path(mkdtemp())
    sink = Sink(folder)
    ifc.read(path, ReadOptions(str(path), declared or Declared(), ReadLimits(**limits)), sink)
    return Reading(folder, sink.meta, sink.problems)


def rows(reading: Reading) -> Rows:
    """Rows by the name of their element."""
    return {row["name"]: row for table in reading.batches() for row in table.to_pylist()}


def refused(path: Path, declared: Declared | None = None, **limits: int) -> BadFile:
    with pytest.raises(BadFile) as caught:
        read(path, declared, **limits)
    return caught.value


def told(reading: Reading) -> set[str]:
    return {problem.rule for problem in reading.problems}


def solid(row: dict[str, Any]) -> trimesh.Trimesh:
    body = Mesh.from_bytes(row[MESH])
    return trimesh.Trimesh(body.positions - body.positions.mean(axis=0), body.triangles, process=True)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    return rows(read(house().write(tmp_path_factory.mktemp("ifc") / "house.ifc")))


def test_a_small_model_is_small(tmp_path: Path) -> None:
    model = Model()
    model.element("IfcWall", "south", WALL, model.storey("Ground", 0.0))
    model.mapped(EAST, NORTH, HEIGHT, AXIS, MAP)
    path = model.write(tmp_path / "a.ifc")
    assert path.stat().st_size < 4096
    assert set(rows(read(path))) == {"south"}


@pytest.mark.parametrize("schema", ["IFC2X3", "IFC4", "IFC4X3"])
@pytest.mark.parametrize(("unit", "prefix"), [("METRE", None), ("METRE", "MILLI"), ("FOOT", None)])
def test_bodies_have_their_volumes_in_every_version_and_unit(
    tmp_path: Path, schema: str, unit: str, prefix: str | None
) -> None:
    model = house(schema, unit, prefix, mapped=False)
    found = rows(read(model.write(tmp_path / "a.ifc"), Declared(crs=MAP)))
    volumes = {"south": 10 * 0.3 * 3 - 0.3 * 2, "floor": 16.0, "lid": 16.0, "footing": 24.0, "door": 0.2}
    for name, volume in volumes.items():
        body = solid(found[name])
        assert body.is_watertight, name
        assert body.volume == pytest.approx(volume, rel=1e-6), name
    assert shapely.from_wkb(found["floor"][WKB]).area == pytest.approx(80, rel=1e-6)
    assert found["south"]["Pset_WallCommon.Width"] == pytest.approx(0.3)
    assert found["door"]["overall_height_m"] == pytest.approx(2)
    assert found["lid"]["storey_elevation_m"] == pytest.approx(3)


@pytest.mark.parametrize(("unit", "prefix"), [("METRE", None), ("METRE", "MILLI"), ("FOOT", None)])
def test_positions_are_those_of_its_own_conversion(tmp_path: Path, unit: str, prefix: str | None) -> None:
    """By ifcopenshell's own function and pyproj, within a millimetre."""
    path = house(unit=unit, prefix=prefix).write(tmp_path / "a.ifc")
    model = ifcopenshell.open(path)
    scale = {("METRE", None): 1.0, ("METRE", "MILLI"): 0.001, ("FOOT", None): 0.3048}[unit, prefix]
    corners = [(x / scale, y / scale, z / scale) for x in (0, 10) for y in (0, 0.3) for z in (0, 3)]
    wanted = np.array([auto_xyz2enh(model, *corner) for corner in corners])
    with guard.read(path) as reading:
        assert reading.meta["crs"] == MAP
        positions = Mesh.from_bytes(rows(reading)["south"][MESH]).positions
    away = np.linalg.norm(wanted[:, None] - positions[None], axis=2).min(axis=1)
    assert away.max() < 1e-3


def test_storeys_are_numbered_from_the_ground(small: Rows) -> None:
    storeys = {
        name: (row["storey"], row["storey_no"], row["storey_elevation_m"]) for name, row in small.items()
    }
    assert storeys["footing"] == ("Cellar", -1, -2.8)
    assert storeys["south"] == storeys["door"] == storeys["A101 Hall"] == ("Ground", 1, 0.0)
    assert storeys["lid"] == ("Upper", 2, 3.0)
    lows = {name: row["mesh_low_m"] for name, row in small.items()}
    assert (lows["footing"], lows["south"], lows["lid"], lows["pipe"]) == (-2.8, 0.0, 5.8, 3.0)
    assert small["lid"]["base_m"] == pytest.approx(HEIGHT + 5.8)


def test_elements_say_where_their_building_meets_the_ground(small: Rows) -> None:
    """One place for all of them, inside the house by pyproj."""
    [(lon, lat)] = {(row["foot_lon"], row["foot_lat"]) for row in small.values()}
    to_lonlat = pyproj.Transformer.from_crs(MAP, 4326, always_xy=True)
    outlines = [shapely.from_wkb(row[WKB]) for row in small.values()]
    house_ = shapely.transform(
        shapely.union_all(outlines).convex_hull, to_lonlat.transform, interleaved=False
    )
    assert shapely.dwithin(house_, shapely.Point(lon, lat), 1e-8)


def test_a_new_version_of_a_model_stands_where_the_old_one_does(small: Rows, tmp_path: Path) -> None:
    """Whatever becomes of single elements."""
    model = house()
    storey = model.storey("Annex", 0.0)
    wall = model.element("IfcWall", "north", WALL, storey)
    wall.ObjectPlacement = model.place(9.0, 5.0, 0.0, storey.ObjectPlacement)
    again = rows(read(model.write(tmp_path / "b.ifc")))
    assert len(again) > len(small)
    for rows_ in (small, again):
        [place] = {(row["foot_lon"], row["foot_lat"]) for row in rows_.values()}
        assert place == (small["south"]["foot_lon"], small["south"]["foot_lat"])


def test_what_an_element_is_and_belongs_to(small: Rows) -> None:
    categories = {name: row["category"] for name, row in small.items()}
    assert categories == {
        "south": "wall",
        "door": "door",
        "floor": "slab",
        "lid": "roof",
        "footing": "foundation",
        "A101 Hall": "space",
        "pipe": "equipment",
    }
    assert (small["pipe"]["system"], small["pipe"]["zone"]) == ("Cold water", "Flat 1")
    assert small["south"]["object_type"] == "IfcWall"
    assert small["south"]["Pset_WallCommon.IsExternal"] is True
    assert len({row["building_id"] for row in small.values()}) == 1
    assert all(len(row[SOURCE_ID]) == 22 for row in small.values())


# -- where it lies ---------------------------------------------------------------------------


def test_a_map_conversion_goes_before_a_site_that_says_another_place(tmp_path: Path) -> None:
    model = house()
    model.site.RefLatitude, model.site.RefLongitude = (41, 52, 27, 840000), (-87, -38, -21, -839999)
    reading = read(model.write(tmp_path / "a.ifc"))
    assert "ifc.places" in told(reading)
    centre = shapely.from_wkb(rows(reading)["floor"][WKB]).centroid
    assert np.hypot(centre.x - EAST, centre.y - NORTH) < 10


def test_coordinates_that_are_those_of_the_map_are_not_moved_once_more(tmp_path: Path) -> None:
    model = house()
    model.building.ObjectPlacement.RelativePlacement.Location.Coordinates = (EAST, NORTH, HEIGHT)
    reading = read(model.write(tmp_path / "a.ifc"))
    assert "ifc.doubled" in told(reading)
    floor = rows(reading)["floor"]
    assert shapely.from_wkb(floor[WKB]).bounds == pytest.approx((EAST, NORTH, EAST + 10, NORTH + 8))
    assert (floor["base_m"], floor["mesh_low_m"]) == pytest.approx((HEIGHT - 0.2, -0.2))


def test_a_map_in_feet_and_a_model_in_millimetres(tmp_path: Path) -> None:
    """EPSG:2263 (New York) has US survey feet: its numbers are feet, whatever unit the model has."""
    model = house(prefix="MILLI", mapped=False)
    feet = 1200 / 3937
    model.mapped(986_000.0, 212_000.0, 30.0, (1.0, 0.0), "EPSG:2263", Scale=0.001 / feet)
    floor = rows(read(model.write(tmp_path / "a.ifc")))["floor"]
    west, south, east, north = shapely.from_wkb(floor[WKB]).bounds
    assert (west, south) == pytest.approx((986_000, 212_000))
    assert ((east - west) * feet, (north - south) * feet) == pytest.approx((10, 8))
    assert floor["base_m"] == pytest.approx(30 * feet - 0.2, abs=1e-3)


def test_a_scale_that_would_make_a_house_of_ten_kilometres_is_left_out(tmp_path: Path) -> None:
    model = house(prefix="MILLI", mapped=False)
    metre = model.make("IfcSIUnit", UnitType="LENGTHUNIT", Name="METRE")
    model.mapped(EAST, NORTH, HEIGHT, AXIS, MAP, grid={"MapUnit": metre})
    reading = read(model.write(tmp_path / "a.ifc"))
    assert "ifc.scale" in told(reading)
    assert shapely.from_wkb(rows(reading)["floor"][WKB]).area == pytest.approx(80)


def test_of_ifc_2x3_the_property_sets_say_it(tmp_path: Path) -> None:
    model = house("IFC2X3", mapped=False)
    said = {"Eastings": EAST, "Northings": NORTH, "OrthogonalHeight": HEIGHT}
    model.properties(
        "ePset_MapConversion",
        {name: ("IfcLengthMeasure", value) for name, value in said.items()}
        | {"XAxisAbscissa": ("IfcReal", AXIS[0]), "XAxisOrdinate": ("IfcReal", AXIS[1])},
        model.site,
    )
    model.properties("ePset_ProjectedCRS", {"Name": ("IfcLabel", "EPSG:25832")}, model.site)
    reading = read(model.write(tmp_path / "a.ifc"))
    assert reading.meta["crs"] == MAP
    corner = np.array([EAST + 10 * AXIS[0], NORTH + 10 * AXIS[1]])
    outline = shapely.get_coordinates(shapely.from_wkb(rows(reading)["south"][WKB]))
    assert np.linalg.norm(outline - corner, axis=1).min() < 1e-3


def test_without_a_map_conversion_the_site_places_it_and_it_is_told(tmp_path: Path) -> None:
    model = house(mapped=False)
    model.site.RefLatitude, model.site.RefLongitude = (48, 8, 14, 0), (11, 34, 31, 500000)
    model.site.RefElevation = 519.0
    model.context.TrueNorth = model.make("IfcDirection", (1.0, 0.0))  # its x axis points to the north
    reading = read(model.write(tmp_path / "a.ifc"))
    assert "ifc.site" in told(reading)
    west, south, east, north = shapely.from_wkb(rows(reading)["floor"][WKB]).bounds
    geod = pyproj.Geod(ellps="WGS84")
    assert (east, south) == pytest.approx((11 + 34 / 60 + 31.5 / 3600, 48 + 8 / 60 + 14 / 3600), abs=1e-9)
    assert geod.inv(west, south, west, north)[2] == pytest.approx(10, abs=1e-3)
    assert geod.inv(west, south, east, south)[2] == pytest.approx(8, abs=1e-3)


def test_an_anchor_places_it_turned_clockwise_from_north(tmp_path: Path) -> None:
    path = house().write(tmp_path / "a.ifc")
    reading = read(path, Declared(anchor="11.5,48.1,520", rotation=90.0))
    assert reading.meta["crs"] == "EPSG:4326"
    floor = rows(reading)["floor"]
    west, south, east, north = shapely.from_wkb(floor[WKB]).bounds
    geod = pyproj.Geod(ellps="WGS84")
    # the model's y axis points to the east, its x axis to the south
    assert (west, north) == pytest.approx((11.5, 48.1), abs=1e-9)
    assert geod.inv(west, south, west, north)[2] == pytest.approx(10, abs=1e-3)
    assert geod.inv(west, north, east, north)[2] == pytest.approx(8, abs=1e-3)
    assert floor["base_m"] == pytest.approx(519.8)
    # the same in a file beside it, in a grid
    (tmp_path / "a.anchor.yml").write_text(f"point: [{EAST}, {NORTH}]\ncrs: {MAP}\nrotation: 90\n", "utf-8")
    again = read(path)
    assert again.meta["crs"] == MAP
    bounds = shapely.from_wkb(rows(again)["floor"][WKB]).bounds
    assert bounds == pytest.approx((EAST, NORTH - 10, EAST + 8, NORTH))


@pytest.mark.parametrize(
    "declared",
    [
        Declared(anchor="here"),
        Declared(anchor="500000,4000000"),
        Declared(anchor="11,48", unit="mm"),
        Declared(anchor="11,48", unit="cubit"),
        Declared(anchor="11,48", up="x"),
        Declared(rotation=20.0),
        Declared(anchor="11,48", rotation=float("nan")),
        Declared(anchor="500,500", crs="EPSG:4258"),
    ],
)
def test_an_anchor_that_is_none_is_refused(tmp_path: Path, declared: Declared) -> None:
    assert refused(house().write(tmp_path / "a.ifc"), declared).rule == "anchor.unreadable"


def test_without_any_place_it_is_refused_with_what_to_declare(tmp_path: Path) -> None:
    error = refused(house(mapped=False).write(tmp_path / "a.ifc"))
    assert error.rule == "ifc.nowhere"
    assert "--anchor" in error.reason


# -- what is refused -------------------------------------------------------------------------


def test_without_ifcopenshell_it_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ifcopenshell", None)
    error = refused(house().write(tmp_path / "a.ifc"))
    assert error.rule == "reader.missing"
    assert "pip install 'onemap-twin[ifc]'" in error.reason


def test_a_file_that_is_cut_off_or_of_another_schema_is_refused(tmp_path: Path) -> None:
    text = house().write(tmp_path / "a.ifc").read_bytes()
    cases = {
        "ifc.truncated": text[: len(text) // 2],
        "ifc.schema": text.replace(b"'IFC4'", b"'AUTOMOTIVE_DESIGN'"),
        "ifc.damaged": b"ISO-10303-21;\ngarbage FILE_SCHEMA(('IFC4'));\nEND-ISO-10303-21;\n",
    }
    for rule, content in cases.items():
        (tmp_path / "b.ifc").write_bytes(content)
        assert refused(tmp_path / "b.ifc").rule == rule
    (tmp_path / "b.ifc").write_bytes(text.replace(b"FILE_SCHEMA", b"FILE_NOTHING"))
    assert "names no schema" in refused(tmp_path / "b.ifc").reason


def test_a_model_without_bodies_is_refused_with_what_it_has(tmp_path: Path) -> None:
    model = Model()
    model.storey("Ground", 0.0)
    model.mapped(EAST, NORTH, HEIGHT, AXIS, MAP)
    error = refused(model.write(tmp_path / "a.ifc"))
    assert error.rule == "ifc.no_bodies"
    assert "IfcBuildingStorey 1" in error.reason


def test_an_element_that_cannot_be_made_is_named_and_the_others_are_kept(tmp_path: Path) -> None:
    model = house()
    bad = model.element("IfcBeam", "broken", (0, 0, 0, 1, 1, 1))
    bad.Representation.Representations[0].Items[0].Depth = 0.0
    reading = read(model.write(tmp_path / "a.ifc"))
    assert len(rows(reading)) == 7
    (problem,) = [p for p in reading.problems if p.action == "quarantined"]
    assert problem.source_id == bad.GlobalId
    assert "IfcBeam broken" in problem.reason
    assert "Non-positive extrusion height" in problem.reason


@pytest.mark.parametrize("told", ["grid", "empty", "axes"])
def test_a_placement_that_is_none_takes_no_other_element_with_it(tmp_path: Path, told: str) -> None:
    model = house()
    slab, *_ = model.file.by_type("IfcSlab")
    if told == "grid":
        crossing = model.make(
            "IfcVirtualGridIntersection", IntersectingAxes=_grid(model), OffsetDistances=[0.0]
        )
        slab.ObjectPlacement = model.make("IfcGridPlacement", PlacementLocation=crossing)
    elif told == "empty":
        slab.ObjectPlacement.RelativePlacement = None
    else:
        slab.ObjectPlacement.RelativePlacement.Axis = model.make("IfcDirection", (0.0, 0.0, 0.0))
    reading = read(model.write(tmp_path / "a.ifc"))
    assert set(rows(reading)) == {"south", "door", "lid", "footing", "A101 Hall", "pipe"}
    (problem,) = [p for p in reading.problems if p.action == "quarantined"]
    assert problem.source_id == slab.GlobalId
    assert "place" in problem.reason


def _grid(model: Model) -> list[Any]:
    return [
        model.make(
            "IfcGridAxis",
            AxisTag=tag,
            AxisCurve=model.make("IfcPolyline", [model.point(0, 0), model.point(*end)]),
            SameSense=True,
        )
        for tag, end in (("A", (9, 0)), ("1", (0, 9)))
    ]


def test_of_several_bodies_of_an_element_one_is_kept(tmp_path: Path) -> None:
    model = house()
    wall, *_ = model.file.by_type("IfcWall")
    other = model.body((0, 0, 0, 10, 0.3, 3)).Representations[0]
    other.RepresentationIdentifier = "Facetation"
    wall.Representation.Representations = [*wall.Representation.Representations, other]
    reading = read(model.write(tmp_path / "a.ifc"))
    assert reading.meta["features"] == len(rows(reading)) == 7


def test_a_mirrored_body_has_its_faces_outwards(tmp_path: Path) -> None:
    model = house()
    slab, *_ = model.file.by_type("IfcSlab")
    source = model.make(
        "IfcRepresentationMap",
        MappingOrigin=model.axes(0, 0, 0),
        MappedRepresentation=slab.Representation.Representations[0],
    )
    west, north, up = (
        model.make("IfcDirection", each) for each in ((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    )
    mirror = model.make(
        "IfcCartesianTransformationOperator3D",
        Axis1=west,
        Axis2=north,
        Axis3=up,
        LocalOrigin=model.point(0, 0, 0),
        Scale=1.0,
    )
    shape = model.make(
        "IfcShapeRepresentation",
        ContextOfItems=model.context,
        RepresentationIdentifier="Body",
        RepresentationType="MappedRepresentation",
        Items=[model.make("IfcMappedItem", MappingSource=source, MappingTarget=mirror)],
    )
    model.root(
        "IfcSlab",
        "mirrored",
        ObjectPlacement=model.place(0, 0, 0),
        Representation=model.make("IfcProductDefinitionShape", Representations=[shape]),
    )
    found = rows(read(model.write(tmp_path / "a.ifc")))
    assert [solid(found[name]).volume for name in ("floor", "mirrored")] == pytest.approx([16, 16], rel=1e-6)


@pytest.mark.parametrize("of", ["parts", "placements"])
def test_a_circle_is_refused_with_the_element_in_it(tmp_path: Path, of: str) -> None:
    """ifcopenshell would go round in it for ever, or until its stack ends."""
    model = house()
    wall = next(iter(model.file.by_type("IfcWall")))
    if of == "parts":
        assembly = model.root("IfcElementAssembly", "circle")
        model.whole(assembly, wall)
        model.whole(wall, assembly)
    else:
        wall.ObjectPlacement.PlacementRelTo = model.place(0, 0, 0, wall.ObjectPlacement)
    error = refused(model.write(tmp_path / "a.ifc"))
    assert error.rule == "ifc.circle"
    assert wall.GlobalId in error.reason or "circle" in error.reason


def test_chains_of_placements_and_references_to_nothing(tmp_path: Path) -> None:
    model = house()
    wall = model.element("IfcWall", "deep", WALL)
    for _ in range(1000):
        _move(model, wall)
    text = model.write(tmp_path / "a.ifc").read_text()
    (tmp_path / "a.ifc").write_text(
        text.replace(
            "ENDSEC;\nEND-ISO", "#99999=IFCRELAGGREGATES('x',$,$,$,#99998,(#99997));\nENDSEC;\nEND-ISO"
        )
    )
    found = rows(read(tmp_path / "a.ifc"))
    outline = shapely.get_coordinates(shapely.from_wkb(found["deep"][WKB]))
    first = np.array([EAST + 1 * AXIS[0], NORTH + 1 * AXIS[1]])  # 1000 times a millimetre along x
    assert np.linalg.norm(outline - first, axis=1).min() < 1e-3


def _move(model: Model, element: Any) -> None:
    """Put it into one more placement, a millimetre along x from where it is."""
    element.ObjectPlacement = model.place(0.001, 0, 0, element.ObjectPlacement)


def test_an_upright_sheet_has_a_strip_as_its_outline() -> None:
    positions = np.array([[0, 0, 0], [4, 3, 0], [4, 3, 2], [0, 0, 2]], float)
    outline = bodies.outline(positions, np.array([[0, 1, 2], [0, 2, 3]], np.uint32))
    assert outline.area == pytest.approx(5 * 0.002, rel=0.01)


def test_more_properties_than_columns_are_gathered(tmp_path: Path) -> None:
    model = house()
    wall = next(iter(model.file.by_type("IfcWall")))
    model.properties("Many", {f"p{i}": ("IfcLabel", f"v{i}") for i in range(300)}, wall)
    row = rows(read(model.write(tmp_path / "a.ifc"), columns=60))["south"]
    assert '"Many.p299":"v299"' in row["other"]
    assert len(row) <= 60 + 4
    # what few elements have beside their properties stays a column: the kind wants it
    model.properties(
        "More", {f"p{i}": ("IfcReal", 1.0) for i in range(60)}, *model.file.by_type("IfcElement")
    )
    assert rows(read(model.write(tmp_path / "a.ifc"), columns=60))["pipe"]["system"] == "Cold water"


@pytest.mark.parametrize(("encoding", "declared"), [("gb18030", None), ("utf-8", None), ("big5", "big5")])
def test_names_that_are_no_ascii_are_kept(tmp_path: Path, encoding: str, declared: str | None) -> None:
    """Programs write them as they are, and not as the standard says; ifcopenshell would leave them out."""
    model = house()
    model.file.by_type("IfcBuildingStorey")[1].Name = "Floor of the ground"
    model.file.by_type("IfcWall")[0].Name = "南牆 A"
    path = model.write(tmp_path / "a.ifc")
    path.write_bytes(path.read_bytes().replace(b"Floor of the ground", "首層功能許".encode(encoding)))
    reading = read(path, Declared(encoding=declared))
    assert rows(reading)["南牆 A"]["storey"] == "首層功能許"
    assert ("encoding.sniffed" in told(reading)) == (declared is None)


@pytest.mark.parametrize("name", ["南牆 A", "South wall"])
def test_null_characters_are_left_out_of_names_and_nothing_behind_them(tmp_path: Path, name: str) -> None:
    """ifcopenshell ends a name at one, and the file at a null byte."""
    model = house()
    model.file.by_type("IfcBuildingStorey")[1].Name = "Floor of the ground"
    model.file.by_type("IfcWall")[0].Name = "WALL"
    path = model.write(tmp_path / "a.ifc")
    raw = path.read_bytes()
    (number,) = re.findall(rb"#(\d+)=IFCBUILDINGSTOREY[^;]*Floor of", raw)
    written = rb"Gr\X2\000000FC0000006E\X0\d\X4\00000000\X0\fl\X\00oor"
    raw = raw.replace(b"Floor of the ground", written).replace(b"'WALL'", b"'%b\0'" % name.encode())
    path.write_bytes(raw + b"\0\0")
    reading = read(path, Declared(encoding=None if name.isascii() else "utf-8"))
    assert rows(reading)[name]["storey"] == "Gründfloor"
    (problem,) = [each for each in reading.problems if each.rule == "text.null"]
    assert problem.reason.endswith(f" #{number.decode()}")


def test_in_an_ifczip_and_in_a_zip(tmp_path: Path) -> None:
    path = house().write(tmp_path / "a.ifc")
    for name in ("a.ifczip", "a.zip"):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path, "model.ifc")
        with guard.read(tmp_path / name) as reading:
            assert len(rows(reading)) == 7
    (tmp_path / "a.anchor.yml").write_text("point: [11.5, 48.1]\n")
    assert read(tmp_path / "a.ifczip").meta["crs"] == "EPSG:4326"
    with zipfile.ZipFile(tmp_path / "b.ifczip", "w") as archive:
        archive.writestr("notes.txt", "nothing")
    assert refused(tmp_path / "b.ifczip").rule == "file.zip"


def test_ifcxml_and_an_anchor_for_what_needs_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.ifcxml").write_text('<?xml version="1.0"?>\n<ifcXML xmlns="x"/>')
    with zipfile.ZipFile(tmp_path / "b.ifczip", "w") as archive:
        archive.write(tmp_path / "a.ifcxml", "b.ifcXML")
    for name in ("a.ifcxml", "b.ifczip"):
        with pytest.raises(BadFile) as caught, guard.read(tmp_path / name):
            pass
        assert "ifcXML file, which is not read; export the model again as IFC" in caught.value.reason
    (tmp_path / "a.csv").write_text("lon,lat\n1,2\n")
    with pytest.raises(BadFile) as caught, guard.read(tmp_path / "a.csv", Declared(anchor="1,2")):
        pass
    assert caught.value.rule == "anchor.surplus"


def test_what_ends_the_reader_names_the_element_that_was_the_last(tmp_path: Path) -> None:
    """Six holes in each of 400 walls take the reader longer than its two seconds."""
    model = Model()
    ground = model.storey("Ground", 0.0)
    for number in range(400):
        wall = model.element("IfcWall", f"wall {number}", WALL, ground)
        for hole in range(6):
            model.hole(wall, (1 + hole, -0.1, 0.5 + number / 1000, 1.5 + hole, 0.4, 2))
    model.mapped(EAST, NORTH, HEIGHT, AXIS, MAP)
    path = model.write(tmp_path / "a.ifc")
    with pytest.raises(BadFile) as caught, guard.read(path, limits=ReadLimits(seconds=2)):
        pass
    assert caught.value.rule == "limit.time"
    assert "IfcWall wall" in caught.value.reason


# -- the real one ----------------------------------------------------------------------------


def test_the_duplex(shared_data: Path) -> None:
    """Counts by class by a query of the text, volumes by OpenCASCADE, its place by the numbers in it."""
    path = shared_data / "ifc/Duplex_A_20110907_georeferenced.ifc"
    if not path.exists():
        pytest.skip("the Duplex is not among the shared data")
    with guard.read(path) as reading:
        found = [row for table in reading.batches() for row in table.to_pylist()]
        assert reading.meta["crs"] == "EPSG:9897"
        assert told(reading) >= {"ifc.places"}
    lines = path.read_text("latin-1").splitlines()
    counted = Counter(line.split("=", 1)[1].split("(")[0] for line in lines if line.startswith("#"))
    classes = Counter(row["object_type"] for row in found)
    whole = {"IfcRoof": 0, "IfcStair": 0}  # they have no body of their own
    assert sum(classes.values()) == len(found) == 236
    colours = [Mesh.from_bytes(row[MESH]).material_table for row in found]
    assert {one.color for table in colours for one in table} >= {None, (128, 128, 128, 255)}
    for name, count in classes.items():
        assert count == counted[name.upper()], name
    assert all(name not in classes for name in whole)
    storeys = Counter((row["storey_no"], row["storey"]) for row in found)
    assert set(storeys) == {(-1, "T/FDN"), (1, "Level 1"), (2, "Level 2"), (3, "Roof")}
    middle = shapely.MultiPoint([shapely.from_wkb(row[WKB]).centroid for row in found]).centroid
    assert np.hypot(middle.x - 76_670, middle.y - 77_179) < 20
    _volumes_agree(path, found)


def _volumes_agree(path: Path, found: list[dict[str, Any]]) -> None:
    """Of walls, slabs and footings: by the other kernel, and ifcopenshell's own sum over its triangles."""
    from ifcopenshell import geom
    from ifcopenshell.util.shape import get_volume

    model = ifcopenshell.open(path)
    checked = 0
    for row in found:
        if row["object_type"] not in ("IfcWallStandardCase", "IfcSlab", "IfcFooting", "IfcBeam"):
            continue
        shape = geom.create_shape(geom.settings(), model.by_guid(row[SOURCE_ID]))
        body = Mesh.from_bytes(row[MESH])
        a, b, c = ((body.positions - body.positions[0])[body.triangles[:, k]] for k in range(3))
        volume = float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum()) / 6
        assert volume == pytest.approx(get_volume(shape.geometry), rel=5e-3), row["name"]
        checked += 1
    assert checked == 56 + 21 + 7 + 8
