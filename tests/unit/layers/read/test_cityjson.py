"""CityJSON: volumes worked out by hand, semantics, parents, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely

from layers import load
from layers.batch import MESH, ROW, SOURCE_ID, WKB
from layers.errors import BadFile
from layers.mesh import Mesh, Part, Surface
from layers.source import Declared
from tests.cityjsons import GOLDEN, changed, features, read, solid


@pytest.mark.parametrize(
    ("name", "volume", "footprint"),
    [
        ("house-a", 10 * 6 * 5 + 6 * 3 / 2 * 10, 60),
        ("house-b", (20 * 20 - 10 * 10) * 4, 300),
        ("block-c-1", 5 * 5 * 3, 25),
        ("tank-d", 10 * 10 * 10 - 2 * 2 * 2, 100),
    ],
)
def test_volumes_by_hand(name: str, volume: float, footprint: float) -> None:
    row = features(GOLDEN)[name]
    body = solid(row)
    assert body.is_watertight
    assert body.is_winding_consistent
    assert body.volume == pytest.approx(volume, rel=1e-9)
    assert shapely.from_wkb(row[WKB]).area == pytest.approx(footprint, rel=1e-6)


def test_surfaces_have_their_semantics() -> None:
    rows = features(GOLDEN)
    for name, ground, roof in (
        ("house-a", 60, 2 * 10 * np.hypot(3, 3)),
        ("house-b", 300, 300),
        ("block-c-1", 25, 25),
    ):
        body = Mesh.from_bytes(rows[name][MESH])
        a, b, c = (body.positions[body.triangles[:, k]] for k in range(3))
        areas = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
        assert areas[body.surfaces == Surface.GROUND].sum() == pytest.approx(ground)
        assert areas[body.surfaces == Surface.ROOF].sum() == pytest.approx(roof)
        assert not (body.surfaces == Surface.UNKNOWN).any()


def test_a_courtyard_stays_open() -> None:
    footprint = shapely.from_wkb(features(GOLDEN)["house-b"][WKB])
    assert len(footprint.interiors) == 1


def test_parents_give_attributes_and_are_no_feature() -> None:
    rows = features(GOLDEN)
    assert set(rows) == {"house-a", "house-b", "block-c-1", "tank-d"}
    part = rows["block-c-1"]
    assert (part["name"], part["owner"], part["building_id"], part["lod"]) == (
        "Block C",
        "tenant",
        "block-c",
        "1.2",
    )
    assert part["mesh_height_m"] == 3.0
    assert part["base_m"] == 12.0


def test_a_type_can_be_chosen() -> None:
    assert set(features(GOLDEN, layer="OtherConstruction")) == {"tank-d"}


def test_loaded_it_lies_where_it_was_drawn() -> None:
    report = load.check(GOLDEN, layer_id="houses")
    assert (report.kind, report.crs, report.driver, report.kept) == ("cim", "EPSG:3879", "CityJSON", 4)
    assert report.sources == {"height_source": {"measured": 4}}
    to_lonlat = pyproj.Transformer.from_crs(3879, 4326, always_xy=True)
    assert to_lonlat.transform(25496500, 6672500) == pytest.approx((24.937, 60.170), abs=0.01)


@pytest.mark.parametrize("version", ["1.0", "1.0.3", "1.1", "1.1.3", "2.0.1"])
def test_other_versions_read_alike(tmp_path: Path, version: str) -> None:
    older = features(changed(tmp_path, lambda c: c.update(version=version)))
    for name, row in features(GOLDEN).items():
        assert row == {**older[name], ROW: row[ROW]}


def test_version_1_0_may_have_coordinates_as_vertices(tmp_path: Path) -> None:
    def change(city: dict[str, Any]) -> None:
        transform = city.pop("transform")
        scale, move = (np.array(transform[name]) for name in ("scale", "translate"))
        city.update(version="1.0", vertices=(np.array(city["vertices"]) * scale + move).tolist())

    older = features(changed(tmp_path, change))
    for name, row in features(GOLDEN).items():
        before, now = (Mesh.from_bytes(one[MESH]).positions for one in (older[name], row))
        assert np.abs(before - now).max() < 1e-6


def test_what_extensions_say_is_kept(tmp_path: Path) -> None:
    def change(city: dict[str, Any]) -> None:
        city["extensions"] = {"Noise": {"url": "https://example.org/noise.ext.json", "version": "1.0"}}
        city["+survey"] = {"year": 2021}
        city["+huge"] = ["x" * 5000]
        house = city["CityObjects"]["house-a"]
        house["attributes"]["+noise"] = 61.5
        house["+panels"] = [{"kWp": 4}]
        house["address"] = [{"Street": "Mill Lane"}]
        tank = city["CityObjects"]["tank-d"]
        city["CityObjects"]["barrier"] = {**tank, "type": "+NoiseBarrier", "attributes": {"year": 1999}}

    reading = read(changed(tmp_path, change))
    rows = {row[SOURCE_ID]: row for table in reading.batches() for row in table.to_pylist()}
    assert {row["+survey"] for row in rows.values()} == {'{"year":2021}'}
    house = rows["house-a"]
    assert (house["+noise"], house["+panels"]) == (61.5, '[{"kWp":4}]')
    assert house["address"] == '[{"Street":"Mill Lane"}]'
    assert (rows["barrier"]["object_type"], rows["barrier"]["year"]) == ("+NoiseBarrier", 1999)
    assert solid(rows["barrier"]).volume == pytest.approx(992)
    (note,) = [p.reason for p in reading.problems if p.rule == "cityjson.member"]
    assert "+huge" in note


def _without(*keys: str) -> Any:
    def change(city: dict[str, Any]) -> None:
        for key in keys:
            del city[key]

    return change


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda c: c.update(version="0.9"), "cityjson.version"),
        (lambda c: c.update(version="3.0"), "cityjson.version"),
        (lambda c: c.update(version=2), "cityjson.version"),
        (_without("transform"), "cityjson.vertices"),
        (_without("vertices"), "cityjson.shape"),
        (lambda c: c.update(CityObjects=[]), "cityjson.shape"),
        (lambda c: c.update(vertices=[[1, 2], [3]]), "cityjson.vertices"),
        (lambda c: c.update(vertices=[["x", 2, 3]]), "cityjson.vertices"),
        (lambda c: c["transform"].update(scale=[1, 2]), "cityjson.vertices"),
        (
            lambda c: [
                t.update(attributes={f"a{i}": i for i in range(2001)}) for t in c["CityObjects"].values()
            ],
            "limit.columns",
        ),
    ],
)
def test_refused(tmp_path: Path, change: Any, rule: str) -> None:
    with pytest.raises(BadFile) as caught:
        features(changed(tmp_path, change))
    assert caught.value.rule == rule


def test_no_crs_is_refused_and_can_be_declared(tmp_path: Path) -> None:
    file = changed(tmp_path, lambda c: c.pop("metadata"))
    with pytest.raises(BadFile, match=r"crs\.missing"):
        load.check(file)
    assert load.check(file, Declared(crs="EPSG:3879")).kept == 4


BROKEN: list[Any] = [
    99999,
    -1,
    "x",
    None,
    [],
    [[]],
    [[[0, 1]]],
    {"a": 1},
    [[[0, 1, 2.5]]],
    [[[0, 1, 99999]]],
    True,
]


@pytest.mark.parametrize("bad", BROKEN, ids=str)
@pytest.mark.parametrize("where", ["ring", "face", "shell", "boundaries"])
def test_a_broken_object_is_quarantined_and_the_others_stay(tmp_path: Path, bad: Any, where: str) -> None:
    def change(city: dict[str, Any]) -> None:
        geometry = city["CityObjects"]["house-a"]["geometry"][0]
        del geometry["semantics"]
        shell = geometry["boundaries"][0]
        if where == "ring":
            shell[0][0] = bad
        elif where == "face":
            shell[0] = bad
        elif where == "shell":
            geometry["boundaries"][0] = bad
        else:
            geometry["boundaries"] = bad

    file = changed(tmp_path, change)
    reading = read(file)
    ids = {i for table in reading.batches() for i in table[SOURCE_ID].to_pylist()}
    told = {p.source_id for p in reading.problems if p.source_id}
    assert ids >= {"house-b", "block-c-1", "tank-d"}
    assert "house-a" in ids | told


def test_semantics_that_do_not_fit_are_left_out(tmp_path: Path) -> None:
    def change(city: dict[str, Any]) -> None:
        city["CityObjects"]["house-a"]["geometry"][0]["semantics"]["values"] = [[0, 99, None, "x", -4, 2, 2]]
        city["CityObjects"]["house-b"]["geometry"][0]["semantics"] = {"surfaces": 5, "values": {"a": 1}}

    rows = features(changed(tmp_path, change))
    assert solid(rows["house-a"]).volume == pytest.approx(390)
    assert solid(rows["house-b"]).volume == pytest.approx(1200)


def test_attributes_of_mixed_types_become_text(tmp_path: Path) -> None:
    def change(city: dict[str, Any]) -> None:
        for value, thing in zip((1, "two", {"three": 3}, None), city["CityObjects"].values(), strict=False):
            thing.setdefault("attributes", {})["mixed"] = value
            thing["attributes"]["big"] = 10**30

    rows = features(changed(tmp_path, change))
    assert [rows[n]["mixed"] for n in ("house-a", "house-b")] == ["1", "two"]


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    deep: Any = 1
    for _ in range(40):
        deep = [deep]
    with pytest.raises(BadFile, match=r"json\.depth"):
        load.check(changed(tmp_path, lambda c: c.update(extra=deep)))


def test_delft_and_rotterdam(shared_data: Path) -> None:
    delft = load.check(shared_data / "delft_nl/delft.json", layer_id="delft")
    assert (delft.read, delft.kept, delft.crs) == (570, 570, "EPSG:28992")
    assert any(p.rule == "datum.vertical" and "NAP" in p.reason for p in delft.problems)
    rotterdam = load.check(shared_data / "rotterdam_nl/3-20-DELFSHAVEN.city.json", layer_id="rotterdam")
    assert (rotterdam.read, rotterdam.kept) == (853, 853)
    one = features(shared_data / "delft_nl/delft_1b.json")
    assert solid(next(iter(one.values()))).volume > 0


def instance(template: Any, at: Any, *matrix: float) -> dict[str, Any]:
    return {
        "type": "GeometryInstance",
        "template": template,
        "boundaries": [at],
        "transformationMatrix": list(matrix or np.eye(4).reshape(-1)),
    }


def with_trees(city: dict[str, Any], *instances: dict[str, Any]) -> None:
    """Trees of one template, a tetrahedron of 2 m by 2 m and 6 m height."""
    city["geometry-templates"] = {
        "templates": [
            {
                "type": "Solid",
                "lod": "2",
                "boundaries": [[[[0, 2, 1]], [[0, 1, 3]], [[1, 2, 3]], [[2, 0, 3]]]],
            }
        ],
        "vertices-templates": [[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 6]],
    }
    for number, one in enumerate(instances):
        city["CityObjects"][f"tree-{number}"] = {"type": "SolitaryVegetationObject", "geometry": [one]}


def test_instances_of_a_template_stand_where_they_are_put(tmp_path: Path) -> None:
    turned = (0, -3, 0, 0, 3, 0, 0, 0, 0, 0, 0.5, 10, 0, 0, 0, 1)  # a quarter to the left, thrice as wide
    plain, wide = instance(0, 0), instance(0, 1, *turned)
    found = features(changed(tmp_path, lambda city: with_trees(city, plain, wide)))
    city = json.loads(GOLDEN.read_text("utf-8"))
    scale, move = (np.array(city["transform"][name]) for name in ("scale", "translate"))
    points = [np.array(vertex) * scale + move for vertex in city["vertices"][:2]]
    for name, point, spans in (
        ("tree-0", points[0], ((0, 2), (0, 2), (0, 6))),
        ("tree-1", points[1], ((-6, 0), (0, 6), (10, 13))),
    ):
        positions = Mesh.from_bytes(found[name][MESH]).positions - point
        assert positions.min(axis=0) == pytest.approx([low for low, _ in spans], abs=1e-6)
        assert positions.max(axis=0) == pytest.approx([high for _, high in spans], abs=1e-6)
        assert solid(found[name]).is_watertight


@pytest.mark.parametrize(
    "broken",
    [
        instance(7, 0),
        instance(-1, 0),
        instance("x", 0),
        instance(0, 10**30),
        instance(0, "a"),
        instance(0, 0, 1, 2),
        {"type": "GeometryInstance", "template": 0},
        {"type": "GeometryInstance", "template": 0, "boundaries": [0]},
    ],
)
def test_an_instance_of_nothing_costs_itself_only(tmp_path: Path, broken: dict[str, Any]) -> None:
    found = read(changed(tmp_path, lambda city: with_trees(city, instance(0, 0), broken)))
    assert [p.source_id for p in found.problems if p.action == "quarantined"] == ["tree-1"]
    assert "tree-0" in [row[SOURCE_ID] for table in found.batches() for row in table.to_pylist()]


def test_points_and_lines_are_read_where_there_are_no_surfaces(tmp_path: Path) -> None:
    def change(city: dict[str, Any]) -> None:
        city["CityObjects"] = {
            "lamp": {"type": "CityFurniture", "geometry": [{"type": "MultiPoint", "boundaries": [0]}]},
            "lamps": {"type": "CityFurniture", "geometry": [{"type": "MultiPoint", "boundaries": [0, 1]}]},
            "kerb": {"type": "Road", "geometry": [{"type": "MultiLineString", "boundaries": [[0, 1, 2]]}]},
            "odd": {"type": "Road", "geometry": [{"type": "MultiLineString", "boundaries": [[0, 10**30]]}]},
            "none": {"type": "Road", "geometry": [{"type": "Curve", "boundaries": [0]}]},
        }

    path = changed(tmp_path, change)
    found = features(path)
    shapes = {name: shapely.from_wkb(row[WKB]) for name, row in found.items()}
    assert {name: shape.geom_type for name, shape in shapes.items()} == {
        "lamp": "Point",
        "lamps": "MultiPoint",
        "kerb": "LineString",
    }
    assert all(shape.has_z for shape in shapes.values())
    told = {p.source_id: p.reason for p in read(path).problems if p.action == "quarantined"}
    assert set(told) == {"odd", "none"}
    assert "Curve" in told["none"]
    report = load.check(path)
    assert (report.kind, report.kept) == ("feature", 3)


def test_surfaces_are_parts_with_their_types(tmp_path: Path) -> None:
    def change(city: dict[str, Any]) -> None:
        surfaces = city["CityObjects"]["house-a"]["geometry"][0]["semantics"]["surfaces"]
        surfaces[2] = {"type": "RoofSurface", "id": "roof-1", "name": "south"}
        surfaces.append({"type": "+SolarPanel"})

    body = Mesh.from_bytes(features(changed(tmp_path, change))["house-a"][MESH])
    assert body.parts is not None
    named = [body.part_table[part] for part in body.parts.tolist()]
    assert {part.type for part in named} == {"GroundSurface", "WallSurface", "RoofSurface"}
    roofs = {part for part, kind in zip(named, body.surfaces, strict=True) if kind == Surface.ROOF}
    assert roofs == {Part("roof-1", "RoofSurface", "south")}
    assert body.part_table[-1] == Part("", "+SolarPanel")


def _turned(city: dict[str, Any], *which: int) -> None:
    (shell,) = city["CityObjects"]["block-c-1"]["geometry"][1]["boundaries"]
    for at in which:
        shell[at] = [ring[::-1] for ring in shell[at]]


def _gone(city: dict[str, Any]) -> None:
    del city["CityObjects"]["block-c-1"]["geometry"][1]["boundaries"][0][5]


def _inside(city: dict[str, Any]) -> None:
    (shell,) = city["CityObjects"]["block-c-1"]["geometry"][1]["boundaries"]
    shell.append(shell[5])


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        (lambda city: None, set()),
        (_gone, {"solid.open"}),
        (lambda city: _turned(city, 1), {"solid.turned"}),
        (lambda city: _turned(city, *range(6)), {"solid.inverted"}),
        (_inside, {"solid.nonmanifold"}),
    ],
)
def test_solids_that_do_not_close_are_told(tmp_path: Path, change: Any, rules: set[str]) -> None:
    reading = read(changed(tmp_path, change))
    found = {p.rule for p in reading.problems if p.rule.startswith("solid.")}
    assert found == rules
    row = next(r for t in reading.batches() for r in t.to_pylist() if r[SOURCE_ID] == "block-c-1")
    body = solid(row)
    assert (body.is_watertight and body.is_winding_consistent and body.volume > 0) == (not rules)


#: Rule, or rules told of what is kept, of every file that is wrong.
VERDICTS = {
    "501.json": {"solid.overlap", "semantics.inferred"},
    "completely_empty.json": "file.empty",
    "empty_primitive.json": {"solid.empty", "semantics.inferred"},
    "emptygeom.json": "file.nothing_kept",
    "invalid_json_cityjson.json": "json.unbalanced",
    "invalid_schema_cityjson_2.json": "file.nothing_kept",
    "nonmanifold.json": {"solid.open", "semantics.inferred"},
    "notransform.city.jsonl": "cityjson.vertices",
    "several_lods_invalid.json": {"lod.chosen", "datum.vertical"},
    "unclosedbracket.city.jsonl": "json.syntax",
    "with-errors.json": "json.truncated",
}


def test_every_broken_file_has_its_verdict(shared_data: Path) -> None:
    folder = shared_data / "broken/cityjson"
    assert {file.name for file in folder.iterdir()} == set(VERDICTS)
    for name, wanted in VERDICTS.items():
        unplaced = name in ("501.json", "empty_primitive.json", "nonmanifold.json")
        declared = Declared(crs="EPSG:3857" if unplaced else None)
        if isinstance(wanted, set):
            rules = {p.rule for p in load.check(folder / name, declared).problems}
            assert rules - {"crs.declared", "datum.unknown"} == wanted, name
            continue
        with pytest.raises(BadFile) as caught:
            load.check(folder / name, declared)
        assert caught.value.rule == wanted, name


def test_what_is_a_part_keeps_its_height_in_the_whole(tmp_path: Path) -> None:
    """A dormer above a house: it stands where the house does, and not on the ground below it."""

    def change(city: dict[str, Any]) -> None:
        objects, first = city["CityObjects"], len(city["vertices"])
        (x, y, z) = city["vertices"][0]
        size = [(0, 0), (1000, 0), (1000, 1000), (0, 1000)]
        city["vertices"] += [[x + u, y + v, z + h] for h in (5000, 6000) for u, v in size]
        sides = [[3, 2, 1, 0], [4, 5, 6, 7], [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7]]
        shell = [[[first + corner for corner in side]] for side in sides]
        solid = {"type": "Solid", "lod": "2", "boundaries": [shell]}
        objects["dormer"] = {"type": "BuildingInstallation", "parents": ["house-a"], "geometry": [solid]}
        objects["house-a"]["children"] = ["dormer"]

    found = features(changed(tmp_path, change))
    house, dormer = found["house-a"], found["dormer"]
    assert (house["mesh_low_m"], dormer["mesh_low_m"], dormer["mesh_height_m"]) == (0, 5, 1)
    middle = shapely.from_wkb(house[WKB]).centroid
    lonlat = pyproj.Transformer.from_crs(3879, 4326, always_xy=True).transform(middle.x, middle.y)
    assert (house["foot_lon"], house["foot_lat"]) == pytest.approx(lonlat, abs=1e-6)
    assert (dormer["foot_lon"], dormer["foot_lat"]) == (house["foot_lon"], house["foot_lat"])
    assert "mesh_low_m" not in found["house-b"] or found["house-b"]["mesh_low_m"] is None


def test_members_of_a_group_stand_each_on_its_own_ground(tmp_path: Path) -> None:
    def change(city: dict[str, Any]) -> None:
        objects = city["CityObjects"]
        houses = ["house-a", "house-b"]
        objects["estate"] = {"type": "CityObjectGroup", "children": houses, "attributes": {"estate": "north"}}
        for name in houses:
            objects[name]["parents"] = ["estate"]

    found = features(changed(tmp_path, change))
    assert found["house-a"]["estate"] == "north"
    for name in ("house-a", "house-b"):
        assert found[name].get("mesh_low_m") is None
        assert found[name].get("building_id") is None


@pytest.mark.parametrize("value", [5, "house-b", {"house-b": 1}, [["house-b"], {"a": 1}, 7, None]])
@pytest.mark.parametrize("member", ["parents", "children"])
def test_what_names_no_objects_is_passed_over(tmp_path: Path, member: str, value: Any) -> None:
    found = features(changed(tmp_path, lambda city: city["CityObjects"]["house-a"].update({member: value})))
    assert {"house-a", "house-b"} <= set(found)
    assert found["house-a"].get("building_id") is None


@pytest.mark.parametrize(
    "change",
    [{"type": ["Solid"]}, {"boundaries": [[[[0, 1, 2]]]]}, {"boundaries": [[[[-1, 0, 1]]]]}, {"lod": "nan"}],
)
def test_a_part_that_cannot_be_read_costs_itself(tmp_path: Path, change: dict[str, Any]) -> None:
    def changing(city: dict[str, Any]) -> None:
        objects = city["CityObjects"]
        objects["house-a"]["children"], objects["house-b"]["parents"] = ["house-b"], ["house-a"]
        objects["house-b"]["geometry"][0].update(change)

    assert "house-a" in features(changed(tmp_path, changing))
