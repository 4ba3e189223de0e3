"""CityGML by hand: bodies, references, levels of detail, attributes, and what is refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from layers import load
from layers.batch import MESH, SOURCE_ID, WKB
from layers.errors import BadFile
from layers.guard import Reading
from layers.mesh import Mesh, Surface
from layers.read.base import ReadOptions, Sink
from layers.read.citygml.positions import numbers, reference
from layers.read.citygml.read import layers, read
from layers.read.formats import citygml
from layers.read.sample import Sample
from layers.source import Declared, SeveralLayers
from tests import gml

VERSIONS = ("2.0", "3.0")


def reading(tmp_path: Path, text: str, layer: str | None = None, name: str = "a.gml") -> Reading:
    """The reader alone, in this process: a child a case would be slow."""
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")
    folder = Path(mkdtemp(dir=tmp_path))
    sink = Sink(folder)
    read(file, ReadOptions(str(file), Declared(layer=layer)), sink)
    sink.finish()
    return Reading(folder, json.loads((folder / "result.json").read_bytes()), sink.problems)


def features(tmp_path: Path, text: str, layer: str | None = None) -> dict[str, dict[str, Any]]:
    found = reading(tmp_path, text, layer)
    return {row[SOURCE_ID]: row for table in found.batches() for row in table.to_pylist()}


def rules(found: Reading) -> set[str]:
    return {problem.rule for problem in found.problems}


def solid(row: dict[str, Any]) -> trimesh.Trimesh:
    body = Mesh.from_bytes(row[MESH])
    return trimesh.Trimesh(body.positions - body.positions.mean(axis=0), body.triangles, process=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_solid_of_references_is_that_of_its_surfaces(tmp_path: Path, version: str) -> None:
    text = gml.model(gml.member(gml.building(gml.themed(gml.corners(), version=version))), version=version)
    row = features(tmp_path, text)["b1"]
    body, mesh = solid(row), Mesh.from_bytes(row[MESH])
    assert body.is_watertight
    assert body.volume == pytest.approx(10 * 6 * 5)
    assert len(mesh.triangles) == 12  # no polygon is there twice
    assert {s: int((mesh.surfaces == s).sum()) for s in (Surface.GROUND, Surface.WALL, Surface.ROOF)} == {
        Surface.GROUND: 2,
        Surface.WALL: 8,
        Surface.ROOF: 2,
    }
    assert mesh.parts is not None
    roof = mesh.part_table[int(mesh.parts[mesh.surfaces == Surface.ROOF][0])]
    assert (roof.id, roof.type) == ("p-RoofSurface", "RoofSurface")
    assert shapely.from_wkb(row[WKB]).area == pytest.approx(60)
    assert (row["lod"], row["object_type"], row["mesh_height_m"], row["base_m"]) == (
        "2",
        "Building",
        5.0,
        10.0,
    )


def test_a_solid_that_repeats_its_surfaces_is_not_doubled(tmp_path: Path) -> None:
    inside = gml.themed(gml.corners()).rpartition("<bldg:lod2Solid>")[0] + gml.box(lod=2)
    found = reading(tmp_path, gml.model(gml.member(gml.building(inside))))
    (row,) = (r for t in found.batches() for r in t.to_pylist())
    assert len(Mesh.from_bytes(row[MESH]).triangles) == 12
    assert "solid.repeats" in rules(found)


def test_the_highest_level_is_taken_and_others_told(tmp_path: Path) -> None:
    low = gml.box((400_000, 6_700_000, 10))
    found = reading(tmp_path, gml.model(gml.member(gml.building(low + gml.themed(gml.corners())))))
    (row,) = (r for t in found.batches() for r in t.to_pylist())
    assert row["lod"] == "2"
    assert "lod.chosen" in rules(found)


def test_walls_of_another_building_are_found_in_either_direction(tmp_path: Path) -> None:
    mine = gml.faces(gml.corners(), "w")
    first = gml.building(f"<bldg:lod1Solid>{gml.solid([f'#w-{n}' for n in range(6)])}</bldg:lod1Solid>", "b1")
    second = gml.building(f"<bldg:lod1Solid>{gml.solid(mine)}</bldg:lod1Solid>", "b2")
    for order in ((first, second), (second, first)):
        rows = features(tmp_path, gml.model("".join(map(gml.member, order))))
        assert {name: round(solid(row).volume) for name, row in rows.items()} == {"b1": 300, "b2": 300}


def test_references_that_lead_nowhere_or_round_are_told(tmp_path: Path) -> None:
    some = [*gml.faces(gml.corners())[:5], "#nowhere"]
    round_ = '<gml:CompositeSurface gml:id="c"><gml:surfaceMember xlink:href="#c"/></gml:CompositeSurface>'
    text = gml.model(
        gml.member(gml.building(f"<bldg:lod1Solid>{gml.solid(some)}</bldg:lod1Solid>", "open"))
        + gml.member(gml.building(f"<bldg:lod2MultiSurface>{round_}</bldg:lod2MultiSurface>", "round"))
    )
    found = reading(tmp_path, text)
    told = {(p.rule, p.source_id, p.action) for p in found.problems}
    assert {("xlink.missing", "open", "noted"), ("xlink.cycle", "round", "noted")} <= told
    assert ("geometry.unreadable", "round", "quarantined") in told
    assert "#nowhere" in next(p.reason for p in found.problems if p.rule == "xlink.missing")


def test_parts_stand_for_the_whole_and_have_its_attributes(tmp_path: Path) -> None:
    part = gml.building(gml.box() + "<bldg:function>2000</bldg:function>", "p1", "BuildingPart")
    inside = f"<bldg:function>1000</bldg:function><bldg:usage>a</bldg:usage>{gml.box()}"
    inside += f"<bldg:consistsOfBuildingPart>{part}</bldg:consistsOfBuildingPart>"
    rows = features(tmp_path, gml.model(gml.member(gml.building(inside))))
    assert set(rows) == {"p1"}
    assert (rows["p1"]["function"], rows["p1"]["usage"]) == ("2000", "a")
    assert (rows["p1"]["building_id"], rows["p1"]["object_type"]) == ("b1", "BuildingPart")


def test_rooms_and_storeys_are_features_of_their_building(tmp_path: Path) -> None:
    room = f"<bldg:buildingRoom>{gml.building(gml.box(prefix=''), 'r', 'BuildingRoom')}</bldg:buildingRoom>"
    storey = gml.building(gml.box(prefix=""), "s", "Storey")
    inside = f"{gml.box(prefix='')}{room}<bldg:buildingSubdivision>{storey}</bldg:buildingSubdivision>"
    rows = features(tmp_path, gml.model(gml.member(gml.building(inside)), version="3.0"))
    assert {name: row["object_type"] for name, row in rows.items()} == {
        "b1": "Building",
        "r": "BuildingRoom",
        "s": "Storey",
    }
    assert rows["r"]["building_id"] == rows["s"]["building_id"] == "b1"


def _tree(name: str, at: str, shape: str) -> str:
    frame = "2 0 0 0 0 2 0 0 0 0 2 0 0 0 0 1"
    return gml.member(
        f'<veg:SolitaryVegetationObject gml:id="{name}"><veg:lod1ImplicitRepresentation><ImplicitGeometry>'
        f"<transformationMatrix>{frame}</transformationMatrix>{shape}"
        f"<referencePoint><gml:Point><gml:pos>{at}</gml:pos></gml:Point></referencePoint>"
        "</ImplicitGeometry></veg:lod1ImplicitRepresentation></veg:SolitaryVegetationObject>"
    )


@pytest.mark.parametrize(
    ("srs", "at"), [("EPSG:3067", "400000 6700000 7"), ("urn:ogc:def:crs:EPSG::4979", "60 25 7")]
)
def test_implicit_shapes_are_turned_and_moved(tmp_path: Path, srs: str, at: str) -> None:
    members = "".join(
        f"<gml:surfaceMember>{f}</gml:surfaceMember>" for f in gml.faces(gml.corners((0, 0, 0)))
    )
    shape = f'<gml:MultiSurface gml:id="shape">{members}</gml:MultiSurface>'
    text = gml.model(
        _tree("first", at, f"<relativeGMLGeometry>{shape}</relativeGMLGeometry>")
        + _tree("second", at, '<relativeGMLGeometry xlink:href="#shape"/>'),
        srs=srs,
    )
    rows = features(tmp_path, text)
    assert set(rows) == {"first", "second"}
    for row in rows.values():
        body = Mesh.from_bytes(row[MESH])
        assert body.positions[:, 2].min() == pytest.approx(7)
        assert np.ptp(body.positions[:, 2]) == pytest.approx(10)
        x, y = body.positions[:, 0].min(), body.positions[:, 1].min()
        assert (x, y) == ((400_000, 6_700_000) if srs == "EPSG:3067" else (25, 60))


def test_attributes_are_flattened_and_typed(tmp_path: Path) -> None:
    inside = (
        "<gml:name>Hall</gml:name>"
        '<gen:stringAttribute name="ref"><gen:value>007</gen:value></gen:stringAttribute>'
        '<gen:intAttribute name="n"><gen:value>3</gen:value></gen:intAttribute>'
        '<gen:measureAttribute name="area"><gen:value uom="m2">4.5</gen:value></gen:measureAttribute>'
        '<gen:genericAttributeSet name="set"><gen:dateAttribute name="day"><gen:value>2020-01-31</gen:value>'
        "</gen:dateAttribute></gen:genericAttributeSet>"
        "<bldg:yearOfConstruction>1901</bldg:yearOfConstruction>"
        "<bldg:usage>1</bldg:usage><bldg:usage>2</bldg:usage>"
        "<uro:buildingDetailAttribute><uro:BuildingDetailAttribute><uro:surveyYear>2016</uro:surveyYear>"
        "</uro:BuildingDetailAttribute></uro:buildingDetailAttribute>"
        "<uro:risk><uro:TsunamiRisk><uro:depth>1.5</uro:depth></uro:TsunamiRisk></uro:risk>"
        "<uro:risk><uro:FloodRisk><uro:depth>0.5</uro:depth></uro:FloodRisk></uro:risk>"
        "<bldg:address><Address><xalAddress><xAL:AddressDetails><xAL:Country>"
        "<xAL:CountryName>JP</xAL:CountryName><xAL:Locality><xAL:LocalityName>Yokosuka</xAL:LocalityName>"
        "<xAL:Thoroughfare><xAL:ThoroughfareName>Main</xAL:ThoroughfareName>"
        "<xAL:ThoroughfareNumber>5</xAL:ThoroughfareNumber></xAL:Thoroughfare></xAL:Locality>"
        "</xAL:Country></xAL:AddressDetails></xalAddress></Address></bldg:address>"
    )
    row = features(tmp_path, gml.model(gml.member(gml.building(inside + gml.box()))))["b1"]
    expected = {
        **{"name": "Hall", "ref": "007", "n": 3, "area": 4.5, "area_uom": "m2", "set_day": "2020-01-31"},
        **{"yearOfConstruction": 1901, "usage": "1", "usage_2": "2"},
        **{"buildingDetailAttribute_surveyYear": 2016, "risk": "TsunamiRisk", "risk_depth": 1.5},
        **{"risk_2": "FloodRisk", "risk_2_depth": 0.5, "address_country": "JP", "address_city": "Yokosuka"},
        **{"address_street": "Main", "address_number": "5"},
    }
    assert {name: row[name] for name in expected} == expected


def test_codes_are_those_of_the_lists_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "codelists").mkdir()
    (tmp_path / "codelists/usage.xml").write_text(gml.CODE_LIST, "utf-8")
    coded = '<bldg:usage codeSpace="../../codelists/usage.xml">422</bldg:usage>'
    coded += '<bldg:class codeSpace="../../codelists/none.xml">3</bldg:class>'
    coded += '<bldg:function codeSpace="../../../../../../etc/hosts.xml">1</bldg:function>'
    found = reading(tmp_path, gml.model(gml.member(gml.building(coded + gml.box()))), name="udx/bldg/a.gml")
    (row,) = (r for t in found.batches() for r in t.to_pylist())
    assert (row["usage"], row["usage_code"], row["class"], row["function"]) == ("School", "422", "3", "1")
    assert "none.xml" in next(p.reason for p in found.problems if p.rule == "codelist.absent")


def test_what_has_ended_is_left_out(tmp_path: Path) -> None:
    ended = gml.building(gml.box() + "<terminationDate>2001-01-01</terminationDate>", "old")
    still = gml.building(gml.box() + "<terminationDate>2999-01-01</terminationDate>", "new")
    found = reading(tmp_path, gml.model(gml.member(ended) + gml.member(still)))
    assert [r[SOURCE_ID] for t in found.batches() for r in t.to_pylist()] == ["new"]
    assert "history.ended" in rules(found)


def test_themes_are_layers(tmp_path: Path) -> None:
    area = f"<gml:surfaceMember>{gml.polygon(gml.corners()[:4])}</gml:surfaceMember>"
    road = f'<tran:Road gml:id="r"><tran:lod1MultiSurface><gml:MultiSurface>{area}</gml:MultiSurface>'
    road += "</tran:lod1MultiSurface></tran:Road>"
    text = gml.model(gml.member(gml.building(gml.box())) + gml.member(road))
    with pytest.raises(SeveralLayers) as refused:
        reading(tmp_path, text)
    assert {each.name: each.features for each in refused.value.layers} == {"Building": 1, "Transportation": 1}
    assert layers(tmp_path / "a.gml", ReadOptions("")) == list(refused.value.layers)
    found = reading(tmp_path, text, "Transportation")
    assert found.meta["kind"] == "road"
    assert [r[SOURCE_ID] for t in found.batches() for r in t.to_pylist()] == ["r"]
    with pytest.raises(BadFile, match=r"layer\.unknown"):
        reading(tmp_path, text, "Bridge")


@pytest.mark.parametrize(
    ("text", "crs", "north_first"),
    [
        ("http://www.opengis.net/def/crs/EPSG/0/6697", "http://www.opengis.net/def/crs/EPSG/0/6697", True),
        ("urn:ogc:def:crs:EPSG::10169", "urn:ogc:def:crs:EPSG::10169", True),
        ("urn:ogc:def:crs:EPSG::28992", "urn:ogc:def:crs:EPSG::28992", False),
        ("urn:ogc:def:crs,crs:EPSG::25832,crs:EPSG::5783", "EPSG:25832+5783", False),
        ("epsg:28992", "EPSG:28992", False),
        ("EPSG:4326", "EPSG:4326", False),
        ("http://www.opengis.net/gml/srs/epsg.xml#4326", "EPSG:4326", False),
        ("urn:adv:crs:DE_DHDN_3GK4*DE_DHHN92_NH", "EPSG:31468+5783", False),
        ("urn:adv:crs:ETRS89_UTM32*DE_DHHN2016_NH", "EPSG:25832+7837", False),
        ("urn:nowhere", "urn:nowhere", False),
    ],
)
def test_names_of_crs(text: str, crs: str, north_first: bool) -> None:
    found = reference(text)
    assert (found.crs, found.north_first) == (crs, north_first)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (gml.model(gml.member(gml.building(gml.box())))[:-200], "xml.syntax"),
        (gml.model("<a>" * 300 + "</a>" * 300), "xml.limit"),
        (gml.model(gml.member(gml.building(gml.box())), srs="#own"), "crs.local"),
        (gml.model(gml.member(gml.building("<gml:name>&x;</gml:name>"))), "xml.syntax"),
    ],
)
def test_refused(tmp_path: Path, text: str, rule: str) -> None:
    with pytest.raises(BadFile) as refused:
        reading(tmp_path, text)
    assert refused.value.rule == rule


def test_a_name_of_a_system_that_is_empty_is_none(tmp_path: Path) -> None:
    box = gml.box().replace("<gml:Solid", '<gml:Solid srsName=" "', 1)
    assert reading(tmp_path, gml.model(gml.member(gml.building(box)), srs="")).meta["crs"] is None


DOCTYPE = '<!DOCTYPE x [<!ENTITY a "{}">]>'


@pytest.mark.parametrize("before", ["", "<!--" + "x" * 9000 + "-->", "<?a b?>\n"])
def test_a_doctype_is_never_read_however_late_it_comes(tmp_path: Path, before: str) -> None:
    file = tmp_path / "a.gml"
    head, _, rest = gml.model("").partition("?>")
    file.write_text(f"{head}?>{before}{DOCTYPE.format('file:///etc/passwd')}{rest}", "utf-8")
    (form,) = citygml.FORMATS
    with pytest.raises(BadFile, match=r"xml\.doctype"):
        form.confirm(Sample.of(file), ReadOptions("").limits)  # type: ignore[union-attr, misc]


def _faulty(ring: str) -> str:
    line = f"<gml:LinearRing><gml:posList>{ring}</gml:posList></gml:LinearRing>"
    face = f"<gml:Polygon><gml:exterior>{line}</gml:exterior></gml:Polygon>"
    return gml.model(
        gml.member(
            gml.building(f"<bldg:lod1Solid>{gml.solid([*gml.faces(gml.corners()), face])}</bldg:lod1Solid>")
        )
    )


@pytest.mark.parametrize(
    ("ring", "rule"),
    [
        ("400000 6700000 0 400001 6700000 0 400001 6700001 nan 400000 6700000 0", "ring.nan"),
        ("400000 6700000 0 400001 x 0 400001 6700001 0 400000 6700000 0", "ring.nan"),
        ("400000 6700000 0 400001 6700000 0 400001 6700001 0", "ring.unclosed"),
        ("400000 6700000 0 400001 6700000 0 400001", "gml.dimension"),
        ("400000 6700000 0 400000 6700000 0", "ring.short"),
        ("", "ring.short"),
        ("400000 6700000 0 400001 6700000 0 400002 6700000 0 400000 6700000 0", "surface.degenerate"),
    ],
)
def test_a_faulty_face_costs_itself_and_is_told(tmp_path: Path, ring: str, rule: str) -> None:
    found = reading(tmp_path, _faulty(ring))
    assert rule in rules(found)
    (row,) = (r for t in found.batches() for r in t.to_pylist())
    assert shapely.from_wkb(row[WKB]).area >= 60


NUMBER = st.floats(allow_nan=False, allow_infinity=False).map(repr) | st.integers(-(10**9), 10**9).map(str)
WORD = NUMBER | st.sampled_from(["nan", "NaN", "x", "1,5", "1_0", "--1", "１", "0x10", "1e", "inf"])


@given(st.lists(st.lists(WORD, max_size=7), max_size=6), st.sampled_from([" ", "\n\t ", "  "]))
def test_lists_of_numbers_are_what_python_reads_word_by_word(words: list[list[str]], blank: str) -> None:
    def one(word: str) -> float:
        try:
            return float(word) if word.isascii() and "_" not in word else np.nan
        except ValueError:
            return np.nan

    values, counts = numbers([blank.join(each) for each in words])
    assert counts.tolist() == [len(each) for each in words]
    np.testing.assert_array_equal(values, [one(word) for each in words for word in each])


def _surfaces(members: str, lod: int = 2) -> str:
    name = f"bldg:lod{lod}MultiSurface"
    return f"<{name}><gml:MultiSurface>{members}</gml:MultiSurface></{name}>"


def _members(polygons: list[str]) -> str:
    return "".join(f"<gml:surfaceMember>{each}</gml:surfaceMember>" for each in polygons)


def test_references_that_double_at_each_step_end(tmp_path: Path) -> None:
    """Sixty that name the next one twice: followed one by one they are more than there is time for."""
    inside = "".join(
        f'<gml:surfaceMember><gml:CompositeSurface gml:id="c{k}">'
        f"{f'<gml:surfaceMember xlink:href="#c{k + 1}"/>' * 2}</gml:CompositeSurface></gml:surfaceMember>"
        for k in range(60)
    )
    last = f'<gml:CompositeSurface gml:id="c60">{_members(gml.faces(gml.corners()))}</gml:CompositeSurface>'
    text = gml.model(gml.member(gml.building(_surfaces(f"{inside}{_members([last])}"))))
    assert len(Mesh.from_bytes(features(tmp_path, text)["b1"][MESH]).triangles) == 12


def test_references_deeper_than_the_stack_are_told(tmp_path: Path) -> None:
    opened, closed = (
        "<gml:surfaceMember><gml:CompositeSurface>",
        "</gml:CompositeSurface></gml:surfaceMember>",
    )
    inside = "".join(
        f'<gml:surfaceMember><gml:CompositeSurface gml:id="d{k}">{opened * 50}'
        f'<gml:surfaceMember xlink:href="#d{k + 1}"/>{closed * 51}'
        for k in range(40)
    )
    inside += _members(
        [f'<gml:CompositeSurface gml:id="d40">{_members(gml.faces(gml.corners()))}</gml:CompositeSurface>']
    )
    found = reading(tmp_path, gml.model(gml.member(gml.building(_surfaces(inside)))))
    assert sum(len(table) for table in found.batches()) == 1
    assert "xlink.deep" in rules(found)


def test_one_shape_stands_at_each_of_its_points(tmp_path: Path) -> None:
    box = _members(gml.faces(gml.corners((0, 0, 0), (1, 1, 1))))
    windows = "".join(
        "<bldg:boundedBy><bldg:WallSurface><bldg:opening><bldg:Window><bldg:lod3ImplicitRepresentation>"
        "<ImplicitGeometry><relativeGMLGeometry"
        + (
            f'><gml:MultiSurface gml:id="shape">{box}</gml:MultiSurface></relativeGMLGeometry>'
            if k == 0
            else ' xlink:href="#shape"/>'
        )
        + f"<referencePoint><gml:Point><gml:pos>{400_000 + 5 * k} 6700000 10</gml:pos></gml:Point>"
        "</referencePoint></ImplicitGeometry></bldg:lod3ImplicitRepresentation></bldg:Window></bldg:opening></bldg:WallSurface>"
        "</bldg:boundedBy>"
        for k in range(3)
    )
    row = features(tmp_path, gml.model(gml.member(gml.building(windows))))["b1"]
    assert len(Mesh.from_bytes(row[MESH]).triangles) == 3 * 12
    assert shapely.from_wkb(row[WKB]).area == pytest.approx(3)


def test_windows_alone_are_not_the_building(tmp_path: Path) -> None:
    """Walls of level 2 with a window of level 3: the level of the walls is taken."""
    wall = gml.faces(gml.corners())
    window = f"<bldg:opening><bldg:Window>{_surfaces(_members(wall[1:2]), 3)}</bldg:Window></bldg:opening>"
    inside = f"{_surfaces(_members(wall))}{window}"
    text = f"<bldg:boundedBy><bldg:WallSurface>{inside}</bldg:WallSurface></bldg:boundedBy>"
    row = features(tmp_path, gml.model(gml.member(gml.building(text))))["b1"]
    assert (row["lod"], row["mesh_height_m"]) == ("2", 5.0)


def test_parts_end_with_their_building_and_no_date_ends_none(tmp_path: Path) -> None:
    part = gml.building(gml.box(lod=2), "part", "BuildingPart")
    part = f"<bldg:consistsOfBuildingPart>{part}</bldg:consistsOfBuildingPart>"
    ended = gml.building(f"<terminationDate>2001-01-01</terminationDate>{part}")
    odd = gml.building(f"<terminationDate>01.01.2090</terminationDate>{gml.box()}", "odd")
    found = features(tmp_path, gml.model(gml.member(ended) + gml.member(odd)))
    assert set(found) == {"odd"}


@pytest.mark.parametrize("way", ["link", "gzip", "around"])
def test_a_code_list_is_a_plain_file_below_its_folder(tmp_path: Path, way: str) -> None:
    folder, space = tmp_path / "udx", "list.xml"
    folder.mkdir()
    (tmp_path / "other.xml").write_text(gml.CODE_LIST)
    if way == "link":
        (folder / "list.xml").symlink_to(tmp_path / "other.xml")
    elif way == "gzip":
        (folder / "list.xml").write_bytes(gzip.compress(gml.CODE_LIST.encode()))
    else:
        (folder / "x").mkdir()
        space = "x/../../other.xml"
    text = gml.model(gml.member(gml.building(f'<bldg:usage codeSpace="{space}">422</bldg:usage>{gml.box()}')))
    found = reading(tmp_path, text, name="udx/a.gml")
    assert "codelist.absent" in rules(found)
    assert [row["usage"] for table in found.batches() for row in table.to_pylist()] == ["422"]


def _named(srs: str, at: tuple[float, float, float], id_: str, more: str = "") -> str:
    solid = gml.solid(gml.faces(gml.corners(at))).replace("<gml:Solid", f'<gml:Solid srsName="{srs}"')
    return gml.member(gml.building(f"<bldg:lod1Solid>{solid}</bldg:lod1Solid>{more}", id_))


def test_a_geometry_in_a_system_of_its_own_comes_to_its_place(tmp_path: Path) -> None:
    east, north = pyproj.Transformer.from_crs(3067, 3879, always_xy=True).transform(385_000, 6_672_000)
    text = gml.model(
        _named("EPSG:3067", (385_000, 6_672_000, 10), "same")
        + _named("EPSG:3879", (east, north, 10), "other")
        + _named("EPSG:28992", (east, north, 10), "elsewhere")
        + _named("urn:nowhere", (1, 2, 3), "unknown")
    )
    found = reading(tmp_path, text)
    rows = {r[SOURCE_ID]: r for t in found.batches() for r in t.to_pylist()}
    assert set(rows) == {"same", "other"}
    corner = Mesh.from_bytes(rows["other"][MESH]).positions
    at = np.linalg.norm(corner - [385_000, 6_672_000, 10], axis=1).min()
    assert at < 0.001
    told = {(p.rule, p.source_id) for p in found.problems if p.rule == "crs.mixed"}
    assert told == {("crs.mixed", "elsewhere"), ("crs.mixed", "unknown")}


def test_the_order_of_a_name_of_its_own_is_kept(tmp_path: Path) -> None:
    text = gml.model(_named("urn:ogc:def:crs:EPSG::4326", (60, 25, 0), "b"), srs="EPSG:4326")
    (row,) = (r for t in reading(tmp_path, text).batches() for r in t.to_pylist())
    assert Mesh.from_bytes(row[MESH]).positions[:, 0].min() == 25


def test_several_systems_in_one_object_are_told(tmp_path: Path) -> None:
    text = _named("EPSG:3067", (385_000, 6_672_000, 10), "b", "")
    text = text.replace("<gml:Polygon>", '<gml:Polygon srsName="EPSG:3879">', 1)
    found = reading(tmp_path, gml.model(text))
    assert [(p.rule, p.action) for p in found.problems if p.source_id == "b"] == [
        ("crs.mixed", "quarantined")
    ]


def _dated(id_: str, begins: str, ends: str = "") -> str:
    inside = f"{gml.box()}<creationDate>{begins}</creationDate>"
    return gml.member(
        gml.building(inside + (f"<terminationDate>{ends}</terminationDate>" if ends else ""), id_)
    )


@pytest.mark.parametrize(
    ("day", "there"),
    [
        (None, {"second", "always"}),
        ("1999-12-31", {"always"}),
        ("2000-01-01", {"first", "always"}),
        ("2010-06-01", {"first", "second", "always"}),
        ("2010-06-02T00:00:00Z", {"second", "always"}),
    ],
)
def test_the_objects_of_a_day_are_those_that_were_there(
    tmp_path: Path, day: str | None, there: set[str]
) -> None:
    file = tmp_path / "a.gml"
    text = _dated("first", "2000-01-01", "2010-06-01") + _dated("second", "2010-06-01")
    file.write_text(gml.model(text + gml.member(gml.building(gml.box(), "always"))), "utf-8")
    sink = Sink(tmp_path)
    read(file, ReadOptions(str(file), Declared(time=day)), sink)
    sink.finish()
    found = Reading(tmp_path, json.loads((tmp_path / "result.json").read_bytes()), sink.problems)
    assert {r[SOURCE_ID] for t in found.batches() for r in t.to_pylist()} == there
    told = {p.rule for p in sink.problems if p.rule.startswith("history.")}
    assert bool(told) == (len(there) < 3)
    assert found.meta["dated"]


def test_a_unit_is_bounded_by_the_surfaces_of_its_building(tmp_path: Path) -> None:
    themed = gml.themed(gml.corners(), version="3.0")
    bounds = "".join(f'<boundary xlink:href="#p-{name}"/>' for name in gml.SIDES)
    unit = gml.building(bounds, "u1", "BuildingUnit")
    inside = f"{themed}<bldg:buildingSubdivision>{unit}</bldg:buildingSubdivision>"
    for text in (
        gml.member(gml.building(inside)),
        gml.member(unit) + gml.member(gml.building(themed)),
    ):
        rows = features(tmp_path, gml.model(text, version="3.0"))
        assert set(rows) == {"b1", "u1"}
        assert solid(rows["u1"]).volume == pytest.approx(300)
        mesh = Mesh.from_bytes(rows["u1"][MESH])
        assert {Surface.ROOF, Surface.WALL, Surface.GROUND} == set(mesh.surfaces.tolist())


def test_what_surfaces_say_of_themselves_is_kept_by_their_id(tmp_path: Path) -> None:
    slope = '<gen:doubleAttribute name="slope"><gen:value>31.5</gen:value></gen:doubleAttribute>'
    themed = gml.themed(gml.corners()).replace(
        '<bldg:RoofSurface gml:id="p-RoofSurface">',
        f'<bldg:RoofSurface gml:id="p-RoofSurface"><creationDate>2001-01-01</creationDate>{slope}',
    )
    row = features(tmp_path, gml.model(gml.member(gml.building(themed))))["b1"]
    assert json.loads(row["surface_attributes"]) == {"p-RoofSurface": {"slope": 31.5}}
    assert "slope" not in row


@pytest.mark.parametrize(
    ("said", "depth"),
    [
        ('<uro:depth uom="m">1.2</uro:depth><uro:outerDiamiter uom="mm">300</uro:outerDiamiter>', 1.35),
        ("<uro:minDepth>1</uro:minDepth><uro:maxDepth>2</uro:maxDepth>", 1.5),
        ('<uro:depth uom="cm">80</uro:depth><uro:innerDiamiter uom="m">0.2</uro:innerDiamiter>', 0.9),
        ('<uro:depth uom="ft">3</uro:depth>', None),
        ("<uro:depth>deep</uro:depth>", None),
        ("", None),
    ],
)
def test_the_cover_of_a_pipe_of_plateau_is_the_depth_of_its_axis(
    tmp_path: Path, said: str, depth: float | None
) -> None:
    line = "<gml:LineString><gml:posList>385000 6672000 0 385010 6672000 0</gml:posList></gml:LineString>"
    pipe = f'<uro:WaterPipe gml:id="w">{said}<uro:lod1Geometry>{line}</uro:lod1Geometry></uro:WaterPipe>'
    row = features(tmp_path, gml.model(gml.member(pipe)))["w"]
    assert row.get("depth_m") == depth
    assert row["medium"] == "water"
    if depth is not None:
        report = load.check(tmp_path / "a.gml", layer_id="water")
        assert report.sources["depth_source"] == {"measured": 1}
        assert report.sources["diameter_source"] == {"measured" if "Diamiter" in said else "default": 1}


def test_what_is_in_a_building_keeps_its_height_there(tmp_path: Path) -> None:
    chimney = gml.building(gml.box((400_008, 6_700_004, 15)), "c", "BuildingInstallation")
    cellar = gml.building(gml.box((400_000, 6_700_000, 7)), "r", "Room")
    inside = f"{gml.box()}<bldg:outerBuildingInstallation>{chimney}</bldg:outerBuildingInstallation>"
    inside += f"<bldg:interiorRoom>{cellar}</bldg:interiorRoom>"
    text = gml.member(gml.building(inside)) + gml.member(
        gml.building(gml.box((400_100, 6_700_000, 20)), "b2")
    )
    rows = features(tmp_path, gml.model(text))
    assert {name: row["mesh_low_m"] for name, row in rows.items()} == {
        **{"b1": None, "b2": None},
        **{"c": 5.0, "r": -3.0},
    }
    lon, lat = pyproj.Transformer.from_crs(3067, 4326, always_xy=True).transform(400_009, 6_700_005)
    for name in ("b1", "c", "r"):
        assert (rows[name]["foot_lon"], rows[name]["foot_lat"]) == pytest.approx((lon, lat), abs=1e-9)
    assert rows["b2"]["foot_lon"] is None
    found = load.check(tmp_path / "a.gml", layer_id="town")
    assert (found.kind, found.kept) == ("cim", 4)


def test_a_model_in_utf_16_names_systems_of_its_own_too(tmp_path: Path) -> None:
    text = gml.model(
        _named("EPSG:3067", (385_000, 6_672_000, 10), "a") + _named("urn:nowhere", (1, 2, 3), "b")
    )
    file = tmp_path / "a.gml"
    file.write_text(text.replace("UTF-8", "UTF-16"), "utf-16")
    sink = Sink(tmp_path)
    read(file, ReadOptions(str(file)), sink)
    sink.finish()
    assert sink.meta["features"] == 1
    assert [p.source_id for p in sink.problems if p.rule == "crs.mixed"] == ["b"]
