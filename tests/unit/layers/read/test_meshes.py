"""Meshes of all formats: volumes worked out by hand, places by pyproj, faults that are put right and told."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
import trimesh
from PIL import Image

from layers import load
from layers.batch import MESH, SOURCE_ID, WKB
from layers.errors import BadFile
from layers.guard import Reading
from layers.mesh import Material, Mesh
from layers.read import sources
from layers.read.base import ReadLimits, ReadOptions, Sink
from layers.read.meshes.repair import Repaired, connected, repaired
from layers.source import Declared
from tests.meshes import CHIMNEY, HALL, box, chimney, dxf, glb, gltf, hall, obj_text, tds, written
from tests.textured import BLUE, GREEN, QUARTERS, RED, WHITE, image

type Rows = dict[str, dict[str, Any]]

EAST, NORTH, HEIGHT, GRID = 691_000.0, 5_334_000.0, 519.5, "EPSG:25832"
UP = Declared(anchor=f"{EAST},{NORTH},{HEIGHT}", crs=GRID, up="z", unit="m")
FORMS = ("glb", "gltf", "ply", "stl", "obj", "dae", "3ds", "dxf")


def read(path: Path, declared: Declared = UP, **limits: int) -> Reading:
    """The reader alone, in this process: a child a case would be slow."""
    folder = path.parent / "work"
    for number in range(100):
        if not (folder := path.parent / f"work{number}").exists():
            break
    folder.mkdir()
    sink = Sink(folder)
    sources.read(ReadOptions(str(path), declared, ReadLimits(**limits)), sink, folder)
    sink.finish()
    return Reading(folder, sink.meta, sink.problems)


def rows(reading: Reading) -> Rows:
    return {row[SOURCE_ID]: row for table in reading.batches() for row in table.to_pylist()}


def told(reading: Reading) -> dict[str, str]:
    return {problem.rule: problem.reason for problem in reading.problems}


def alone(vertices: Any, faces: Any) -> tuple[Repaired, trimesh.Trimesh]:
    """What was made of one body."""
    triangles = np.asarray(faces)
    made = repaired(np.asarray(vertices, np.float64), triangles, np.zeros(len(triangles), np.int64), 1)
    return made, trimesh.Trimesh(vertices, made.triangles, process=False)


def refused(path: Path, declared: Declared = UP, **limits: int) -> BadFile:
    with pytest.raises(BadFile) as caught:
        read(path, declared, **limits)
    return caught.value


def body(row: dict[str, Any]) -> Mesh:
    return Mesh.from_bytes(row[MESH])


def solid(row: dict[str, Any]) -> trimesh.Trimesh:
    mesh = body(row)
    return trimesh.Trimesh(mesh.positions - mesh.positions.mean(axis=0), mesh.triangles, process=False)


@pytest.mark.parametrize("form", FORMS)
def test_every_format_gives_its_objects_with_their_volumes(tmp_path: Path, form: str) -> None:
    declared = Declared(anchor=UP.anchor, crs=GRID, up="z")
    found = rows(read(written(tmp_path, form), declared))
    single = form in ("ply", "stl")
    assert set(found) == ({"model"} if single else {"hall", "chimney"})
    whole = found["model" if single else "hall"]
    for name, row, volume in (("hall", whole, HALL), ("chimney", found.get("chimney", whole), CHIMNEY)):
        if name == "chimney" and single:
            continue
        made = solid(row)
        assert made.is_watertight
        assert made.is_winding_consistent
        assert made.volume == pytest.approx(volume, rel=1e-5)
    assert body(whole).positions.min(axis=0) == pytest.approx([EAST, NORTH, HEIGHT], abs=1e-3)
    assert shapely.from_wkb(whole[WKB]).area == pytest.approx(60, rel=1e-4)
    assert (whole["mesh_height_m"], whole["mesh_low_m"], whole["base_m"]) == (4.0, 0.0, HEIGHT)
    middle = pyproj.Transformer.from_crs(GRID, 4326, always_xy=True).transform(EAST + 5, NORTH + 3)
    assert [(row["foot_lon"], row["foot_lat"]) for row in found.values()] == [pytest.approx(middle)] * len(
        found
    )
    if not single:
        assert (found["chimney"]["mesh_low_m"], found["chimney"]["mesh_height_m"]) == (4.0, 3.0)


@pytest.mark.parametrize("form", FORMS)
def test_every_format_is_known_by_its_content_and_read_in_the_child(tmp_path: Path, form: str) -> None:
    report = load.check(written(tmp_path, form), UP)
    assert (report.kind, report.kept) == ("cim", 1 if form in ("ply", "stl") else 2)
    assert report.crs == GRID


def test_about_a_longitude_and_latitude_it_lies_where_pyproj_says(tmp_path: Path) -> None:
    """Turned by 30 degrees, in millimetres, y up: the chimney's corner (4, 2, 4) within a millimetre."""
    lon, lat = 24.9384, 60.1699
    turned = hall().vertices[:, [0, 2, 1]] * [1000, 1000, -1000]
    file = tmp_path / "a.glb"
    file.write_bytes(glb(*gltf(turned, hall().faces)))
    declared = Declared(anchor=f"{lon},{lat},17.25", rotation=30, unit="mm", up="y")
    positions = body(rows(read(file, declared))["hall"]).positions
    geod = pyproj.Geod(ellps="WGS84")
    for x, y, z in ((0, 0, 0), (10, 0, 4), (10, 6, 0), (0, 6, 4)):
        # the model's y points 30 degrees clockwise from north, its x 120
        east = geod.fwd(lon, lat, np.degrees(np.arctan2(x, y)) + 30, np.hypot(x, y))
        away = [geod.inv(px, py, east[0], east[1])[2] for px, py, _ in positions]
        near = np.hypot(away, positions[:, 2] - 17.25 - z)
        assert near.min() < 0.001


def test_on_a_grid_it_lies_as_its_coordinates_say(tmp_path: Path) -> None:
    moved = hall()
    moved.apply_translation((EAST, NORTH, 3))
    file = tmp_path / "a.obj"
    file.write_text(obj_text(moved))
    found = rows(read(file, Declared(crs=GRID)))["a"]
    assert body(found).positions.min(axis=0) == pytest.approx([EAST, NORTH, 3], abs=1e-6)
    assert solid(found).volume == pytest.approx(HALL, rel=1e-6)


def test_an_anchor_beside_a_packed_file_places_it(tmp_path: Path) -> None:
    plain = written(tmp_path, "glb")
    packed = tmp_path / "model.glb.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    (tmp_path / "model.anchor.yml").write_text(f"point: [{EAST}, {NORTH}, {HEIGHT}]\ncrs: {GRID}\nup: z\n")
    plain.unlink()
    assert body(rows(read(packed, Declared()))["hall"]).positions.min(axis=0) == pytest.approx(
        [EAST, NORTH, HEIGHT], abs=1e-3
    )
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("m/model.glb", gzip.decompress(packed.read_bytes()))
        out.write(tmp_path / "model.anchor.yml", "m/model.anchor.yml")
    assert load.check(archive).kept == 2


@pytest.mark.parametrize("declared", [Declared(), Declared(crs="EPSG:4326")])
def test_without_an_anchor_it_is_refused_with_what_to_write(tmp_path: Path, declared: Declared) -> None:
    error = refused(written(tmp_path, "glb"), declared)
    assert error.rule == "anchor.missing"
    for part in ("--anchor LON,LAT,HEIGHT", "model.anchor.yml", "point: [", "--crs"):
        assert part in error.reason


def test_what_a_format_does_not_say_is_told(tmp_path: Path) -> None:
    note = told(read(written(tmp_path, "obj"), Declared(anchor=UP.anchor, crs=GRID)))["mesh.frame"]
    assert "metres are taken" in note
    assert "y is taken: it is 10 × 7 × 6 m" in note.replace("upright axis is declared, and ", "")


def test_a_model_that_reaches_beyond_its_city_is_refused(tmp_path: Path) -> None:
    far = hall()
    far.apply_translation((EAST, NORTH, 0))
    file = tmp_path / "a.ply"
    far.export(file)
    assert refused(file).rule == "mesh.far"


# -- what is put right and what is told ------------------------------------------------------


def _stl(tmp_path: Path, mesh: trimesh.Trimesh) -> Path:
    file = tmp_path / "a.stl"
    mesh.export(file)
    return file


def _obj(tmp_path: Path, vertices: Any, faces: Any) -> Path:
    file = tmp_path / "a.obj"
    file.write_text(obj_text(trimesh.Trimesh(vertices, faces, process=False, validate=False)))
    return file


def test_a_body_inside_out_is_turned(tmp_path: Path) -> None:
    file = _obj(tmp_path, hall().vertices, hall().faces[:, ::-1])
    reading = read(file)
    assert "turned outwards" in told(reading)["mesh.inverted"]
    assert solid(rows(reading)["a"]).volume == pytest.approx(HALL)


def test_triangles_against_their_neighbours_are_turned(tmp_path: Path) -> None:
    faces = hall().faces.copy()
    faces[3:5] = faces[3:5][:, ::-1]
    reading = read(_obj(tmp_path, hall().vertices, faces))
    assert told(reading)["mesh.turned"].startswith("2 triangles")
    assert solid(rows(reading)["a"]).is_winding_consistent
    assert solid(rows(reading)["a"]).volume == pytest.approx(HALL)


@pytest.mark.parametrize("seed", range(6))
def test_any_winding_of_a_closed_body_is_put_right(seed: int) -> None:
    random = np.random.default_rng(seed)
    ball = trimesh.creation.icosphere(2)
    faces = np.array(ball.faces)
    wrong = random.random(len(faces)) < random.random()
    faces[wrong] = faces[wrong][:, ::-1]
    made, whole = alone(ball.vertices, faces)
    assert made.closed.all()
    assert whole.volume == pytest.approx(ball.volume, rel=1e-3)


def test_a_hollow_stays_a_hollow() -> None:
    outer, inner = box((10, 10, 10)), box((2, 2, 2), (4, 4, 4))
    faces = np.concatenate([outer.faces, inner.faces[:, ::-1] + len(outer.vertices)])
    _, whole = alone(np.concatenate([outer.vertices, inner.vertices]), faces)
    assert whole.volume == pytest.approx(992)


def test_what_is_left_wrong_is_told(tmp_path: Path) -> None:
    open_ = hall()
    faces = np.concatenate([open_.faces[1:], open_.faces[5:6]])
    faces = np.concatenate([faces, [[0, 0, 1]]])
    reading = read(_obj(tmp_path, open_.vertices, faces))
    found = told(reading)
    assert found["mesh.open"].startswith("3 edges")
    assert found["mesh.doubled"].startswith("1 triangles")
    assert found["surface.degenerate"].startswith("1 surfaces")
    two = trimesh.util.concatenate([hall(), box((1, 1, 1), (20, 0, 0))])
    assert told(read(_stl(tmp_path, two)))["mesh.pieces"].startswith("it is 2 pieces")
    # two boxes that touch along an edge
    touching = trimesh.util.concatenate([hall(), box((10, 6, 4), (10, 6, 0))])
    assert told(read(_stl(tmp_path, touching)))["mesh.nonmanifold"].startswith("1 edges")


def test_what_no_inside_has_is_told() -> None:
    """A Möbius strip."""
    count = 24
    at = np.arange(count) / count * 2 * np.pi
    sides = [
        np.column_stack(
            [(2 + s * np.cos(at / 2)) * np.cos(at), (2 + s * np.cos(at / 2)) * np.sin(at), s * np.sin(at / 2)]
        )
        for s in (-0.5, 0.5)
    ]
    faces = []
    for k in range(count):
        a, b = (k, k + count) if k < count else (k, k)
        c, d = (k + 1, k + 1 + count) if k + 1 < count else (count, 0)
        faces += [[a, c, b], [b, c, d]]
    made, _ = alone(np.concatenate(sides), faces)
    assert made.faults["mesh.twisted"].tolist() == [1]


@pytest.mark.parametrize("seed", range(20))
def test_what_hangs_together_is_found(seed: int) -> None:
    random = np.random.default_rng(seed)
    count = int(random.integers(1, 60))
    links = random.integers(0, count, (int(random.integers(0, 70)), 2))
    parent = list(range(count))

    def root(at: int) -> int:
        return at if parent[at] == at else root(parent[at])

    for one, other in links.tolist():
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    assert connected(links, count).tolist() == [root(at) for at in range(count)]


@pytest.mark.parametrize(
    ("vertices", "rule"),
    [
        (np.array([[0, 0, 0], [1, 0, 0], [np.nan, 1, 0]]), "geometry.nan"),
        (np.array([[0, 0, 0], [1, 0, 0], [np.inf, 1, 0]]), "geometry.nan"),
        (np.array([[0, 0, 0], [1, 1, 1], [2, 2, 2]]), "geometry.degenerate"),
        (np.zeros((3, 3)), "geometry.degenerate"),
    ],
)
def test_a_body_that_is_none_is_set_aside(tmp_path: Path, vertices: Any, rule: str) -> None:
    file = tmp_path / "a.glb"
    file.write_bytes(glb(*gltf(vertices, [[0, 1, 2]])))
    (problem,) = [p for p in read(file).problems if p.action == "quarantined"]
    assert (problem.rule, problem.source_id) == (rule, "hall")


def test_ten_million_triangles_are_refused_before_they_are_read(tmp_path: Path) -> None:
    file = tmp_path / "a.ply"
    head = (
        "ply\nformat binary_little_endian 1.0\nelement vertex 5000000\nproperty float x\nproperty float y\n"
    )
    head += "property float z\nelement face 10000000\nproperty list uchar int vertex_indices\nend_header\n"
    with file.open("wb") as out:
        out.write(head.encode())
        out.truncate(len(head) + 5_000_000 * 12 + 10_000_000 * 13)
    error = refused(file)
    assert error.rule == "limit.triangles"
    assert "10,000,000 triangles" in error.reason
    assert "tiles" in error.reason


@pytest.mark.parametrize(("rough", "rule"), [(0, set()), (0.1, {"mesh.outline"})])
def test_a_large_mesh_has_the_outline_of_its_cells_where_it_is_not_simple(
    tmp_path: Path, rough: float, rule: set[str]
) -> None:
    ball = trimesh.creation.icosphere(5, radius=20)
    ball.vertices *= np.random.default_rng(1).uniform(1 - rough, 1, (len(ball.vertices), 1))
    file = tmp_path / "a.stl"
    ball.export(file)
    reading = read(file)
    shape = shapely.from_wkb(rows(reading)["a"][WKB])
    hull = shapely.multipoints(ball.vertices[:, :2]).convex_hull.area
    assert shape.area == pytest.approx(hull, rel=0.05 if rough else 1e-3)
    assert told(reading).keys() == rule
    assert solid(rows(reading)["a"]).is_watertight


# -- damaged files ---------------------------------------------------------------------------


def _changed(change: Any) -> bytes:
    header, binary = gltf(hall().vertices, hall().faces)
    change(header)
    return glb(header, binary)


def _endless(header: dict[str, Any]) -> None:
    header["nodes"] = [{"children": [1]}, {"children": [0], "mesh": 0}]


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (_changed(_endless), "gltf.cycle"),
        (_changed(lambda h: h.update(extensionsRequired=["KHR_draco_mesh_compression"])), "gltf.extension"),
        (_changed(lambda h: h["accessors"][0].update(sparse={})), "gltf.sparse"),
        (_changed(lambda h: h["asset"].update(version="1.0")), "gltf.version"),
        (_changed(lambda h: h["accessors"][1].update(count=10**9)), "limit.triangles"),
        (_changed(lambda h: h["accessors"][0].update(count=99)), "mesh.damaged"),
        (_changed(lambda h: h["bufferViews"][1].update(byteOffset=0)), "mesh.damaged"),
        (_changed(lambda h: h["meshes"][0]["primitives"][0]["attributes"].clear()), "mesh.damaged"),
        (_changed(lambda h: h.update(buffers=[{"uri": "none.bin", "byteLength": 9}])), "mesh.missing"),
        (_changed(lambda h: h.update(nodes=[{"mesh": 7}])), "mesh.damaged"),
        (_changed(lambda h: h.update(meshes=[], nodes=[{}])), "mesh.empty"),
        (_changed(lambda h: None)[:-40], "mesh.damaged"),
        (b"glTF\2\0\0\0", "mesh.damaged"),
    ],
)
def test_a_damaged_gltf_is_refused(tmp_path: Path, data: bytes, rule: str) -> None:
    file = tmp_path / "a.glb"
    file.write_bytes(data)
    assert refused(file).rule == rule


@pytest.mark.parametrize(
    ("name", "data", "rule"),
    [
        ("a.obj", b"v 0 0 0\nv 1 0 0\nf 1 2 9\n", "mesh.damaged"),
        ("a.obj", b"v 0 0 0\nv 1 0 0\nl 1 2\n", "mesh.empty"),
        (
            "a.ply",
            b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\n1\n",
            "mesh.damaged",
        ),
        ("a.stl", b"solid a\nfacet normal 0 0 1\nouter loop\nvertex 0 0\nendsolid\n", "mesh.damaged"),
        ("a.3ds", tds(("a", hall()))[:-9], "mesh.damaged"),
        ("a.3ds", b"MM" + bytes([12, 0, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0]), "mesh.damaged"),
        ("a.dxf", dxf().encode(), "dxf.faces"),
        ("a.dae", b"<COLLADA xmlns='http://www.collada.org/2005/11/COLLADASchema'/>", "mesh.damaged"),
        (
            "a.dae",
            b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><COLLADA>&b;</COLLADA>",
            "xml.doctype",
        ),
        ("a.glb", b"ply\nformat ascii 1.0\n", "file.disguised"),
        ("a.fbx", b"Kaydara FBX Binary  \x00", "file.type"),
        ("a.dwg", b"AC1032\0\0", "file.type"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, name: str, data: bytes, rule: str) -> None:
    file = tmp_path / name
    file.write_bytes(data)
    assert refused(file).rule == rule


# -- looks -----------------------------------------------------------------------------------


def shown(reading: Reading, row: dict[str, Any], at: tuple[float, float, float]) -> tuple[int, ...]:
    """The pixel at the corner of a body that lies there, in metres from the anchor."""
    mesh = body(row)
    where = np.abs(mesh.positions[mesh.triangles] - (np.array([EAST, NORTH, HEIGHT]) + at)).max(axis=2)
    assert mesh.materials is not None
    assert mesh.uv is not None
    for triangle, corner in zip(*np.nonzero(where < 0.01), strict=True):
        texture = mesh.material_table[int(mesh.materials[triangle])].texture
        if texture is None:
            continue
        ending = {"image/jpeg": "jpg", "image/png": "png"}[reading.meta["textures"][texture]]
        with Image.open(reading.folder / "textures" / f"{texture}.{ending}") as picture:
            # a little inside of the triangle: corners lie between pixels
            u, v = 0.9 * mesh.uv[triangle, corner] + 0.1 * mesh.uv[triangle].mean(axis=0)
            found = picture.convert("RGB").getpixel((int(u * picture.width), int(v * picture.height)))
            assert isinstance(found, tuple)
            return found
    raise AssertionError("no textured corner lies there")


def _near(found: tuple[int, ...], colour: tuple[int, ...]) -> bool:
    return bool(np.abs(np.array(found) - colour).max() < 40)


CORNERS = {(0, 6, 4): RED, (10, 6, 4): GREEN, (0, 0, 4): BLUE, (10, 0, 4): WHITE}


def _textured(folder: Path, form: str) -> Path:
    """The hall with an image of four quarters seen from above on it: the upper left of it lies north-west."""
    mesh = hall()
    uv = mesh.vertices[:, :2] / [10, 6]
    picture = folder / "tex.png"
    picture.write_bytes(image(QUARTERS))
    file = folder / f"model.{form}"
    if form == "obj":
        faces = "".join(f"f {a + 1}/{a + 1} {b + 1}/{b + 1} {c + 1}/{c + 1}\n" for a, b, c in mesh.faces)
        points = "".join(f"v {x} {y} {z}\n" for x, y, z in mesh.vertices)
        file.write_text(
            "mtllib my look.mtl\no hall\nusemtl photo\n"
            + points
            + "".join(f"vt {u} {v}\n" for u, v in uv)
            + faces
        )
        (folder / "my look.mtl").write_text("newmtl photo\nKd 0.8 0.8 0.8\nmap_Kd -s 1 1 1 .\\TEX.png\n")
    elif form == "3ds":
        file.write_bytes(tds(("hall", mesh), image="tex.png"))
    else:
        with Image.open(picture) as opened:
            look = trimesh.visual.TextureVisuals(
                uv=uv, material=trimesh.visual.material.PBRMaterial(baseColorTexture=opened.copy())
            )
        dressed = trimesh.Trimesh(mesh.vertices, mesh.faces, visual=look, process=False)
        trimesh.Scene({"hall": dressed}).export(file)
    return file


@pytest.mark.parametrize("form", ["obj", "glb", "3ds"])
def test_an_image_lies_where_it_lay(tmp_path: Path, form: str) -> None:
    reading = read(_textured(tmp_path, form))
    assert not {"texture.missing", "texture.unreadable", "mesh.materials"} & set(told(reading))
    (row,) = rows(reading).values()
    for at, colour in CORNERS.items():
        assert _near(shown(reading, row, at), colour)


@pytest.mark.parametrize("packing", ["zip", "gz"])
def test_an_image_is_found_beside_what_is_packed(tmp_path: Path, packing: str) -> None:
    file = _textured(tmp_path, "obj")
    packed = tmp_path / f"model.obj.{packing}"
    if packing == "gz":
        packed.write_bytes(gzip.compress(file.read_bytes()))
    else:
        packed = tmp_path / "model.zip"
        with zipfile.ZipFile(packed, "w") as archive:
            for each in (file, tmp_path / "my look.mtl", tmp_path / "tex.png"):
                archive.write(each, f"m/{each.name}")
    report = load.check(packed, UP)
    assert report.kept == 1
    assert not {"texture.missing", "mesh.materials", "source.ignored"} & {p.rule for p in report.problems}


def _bomb() -> bytes:
    return image(QUARTERS, (64, 64)).replace((64).to_bytes(4, "big"), (60_000).to_bytes(4, "big"), 2)


@pytest.mark.parametrize(
    ("data", "rule"),
    [(None, "texture.missing"), (b"GIF89a", "texture.unreadable"), (_bomb(), "texture.unreadable")],
)
def test_an_image_that_cannot_be_had_costs_itself(tmp_path: Path, data: bytes | None, rule: str) -> None:
    file = _textured(tmp_path, "obj")
    (tmp_path / "tex.png").unlink()
    if data is not None:
        (tmp_path / "tex.png").write_bytes(data)
    reading = read(file)
    assert "surfaces with it have no texture" in told(reading)[rule]
    assert solid(rows(reading)["hall"]).volume == pytest.approx(HALL)


def test_groups_of_a_material_are_parts_and_colours_theirs(tmp_path: Path) -> None:
    first = 1 + len(hall().vertices)
    (tmp_path / "a.mtl").write_text("newmtl red\nKd 1 0 0\nd 0.5\nnewmtl blue_2\nKd 0 0 1\nTr 0\n")
    file = tmp_path / "a.obj"
    text = f"usemtl red\n{obj_text(hall())}usemtl blue_2\n{obj_text(chimney(), first)}"
    file.write_text(f"mtllib a.mtl\ng house part\n{text}g yard\nv 0 0 0\nv 9 0 0\nv 0 9 0\nf -3 -2 -1\n")
    found = rows(read(file))
    assert set(found) == {"house part", "yard"}
    mesh = body(found["house part"])
    assert set(mesh.material_table) == {Material((255, 0, 0, 128)), Material((0, 0, 255, 255))}
    assert [part.name for part in mesh.part_table] == ["red", "blue_2"]
    assert solid(found["house part"]).volume == pytest.approx(HALL + CHIMNEY)
    assert found["house part"]["material"] == "red; blue_2"


def test_faces_of_any_number_of_corners_are_covered_once(tmp_path: Path) -> None:
    """An L of six corners, which a fan would not cover, beside a square and a triangle."""
    file = tmp_path / "a.obj"
    outline = [(0, 0), (4, 0), (4, 1), (1, 1), (1, 4), (0, 4)]
    points = "".join(f"v {x} {y} 0\n" for x, y in [*outline, (10, 0), (12, 0), (12, 2), (10, 2)])
    file.write_text(points + "f 1 2 3 4 5 6\nf 7 8 9 10\nf 7 8 10\n")
    made = solid(rows(read(file))["a"])
    assert made.area == pytest.approx(7 + 4 + 2)


def test_nodes_are_moved_turned_and_mirrored(tmp_path: Path) -> None:
    header, binary = gltf(hall().vertices, hall().faces)
    header["scenes"] = [{"nodes": [0]}]
    half = float(np.sqrt(0.5))
    header["nodes"] = [
        {"name": "site", "children": [1, 2, 3]},
        {"name": "turned", "mesh": 0, "rotation": [0, 0, half, half], "extras": {"storeys": 3}},
        {"name": "mirrored", "mesh": 0, "scale": [-1, 1, 1], "translation": [50, 0, 0]},
        {"name": "matrix", "mesh": 0, "matrix": [2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 100, 0, 0, 1]},
    ]
    file = tmp_path / "a.glb"
    file.write_bytes(glb(header, binary))
    reading = read(file)
    found = rows(reading)
    origin = np.array([EAST, NORTH, HEIGHT])
    boxes = {name: [*(body(row).positions.min(axis=0) - origin)[:2]] for name, row in found.items()}
    assert boxes["turned"] == pytest.approx([-6, 0], abs=1e-3)
    assert boxes["mirrored"] == pytest.approx([40, 0], abs=1e-3)
    assert boxes["matrix"] == pytest.approx([100, 0], abs=1e-3)
    volumes = {name: solid(row).volume for name, row in found.items()}
    assert volumes == pytest.approx({"turned": HALL, "mirrored": HALL, "matrix": 8 * HALL}, rel=1e-4)
    assert (found["turned"]["inside"], found["turned"]["storeys"]) == ("site", 3)
    assert "mesh.inverted" not in told(reading)


def test_colours_of_vertices_and_materials_are_kept(tmp_path: Path) -> None:
    mesh = hall()
    mesh.visual.face_colors = [10, 200, 30, 255]
    file = tmp_path / "a.ply"
    mesh.export(file)
    assert body(rows(read(file))["a"]).material_table == (Material((10, 200, 30, 255)),)
    header, binary = gltf(hall().vertices, hall().faces)
    header["materials"] = [
        {"name": "tile", "pbrMetallicRoughness": {"baseColorFactor": [1, 0.2140411, 0, 0.5]}}
    ]
    header["meshes"][0]["primitives"][0]["material"] = 0
    file = tmp_path / "b.glb"
    file.write_bytes(glb(header, binary))
    # linear 0.214 is the middle of sRGB; an opaque material has no alpha
    assert body(rows(read(file))["hall"]).material_table == (Material((255, 127, 0, 255)),)


def test_quantised_coordinates_of_images_are_those_of_0_to_1(tmp_path: Path) -> None:
    mesh = hall()
    header, binary = gltf(mesh.vertices, mesh.faces)
    uv = np.round(mesh.vertices[:, :2] / [10, 6] * [1, -1] * 65535 + [0, 65535]).astype("<u2")
    header["bufferViews"] += [
        {"buffer": 0, "byteOffset": len(binary), "byteLength": uv.nbytes},
        {"buffer": 0, "byteOffset": len(binary) + uv.nbytes, "byteLength": len(image(QUARTERS))},
    ]
    header["accessors"].append(
        {"bufferView": 2, "componentType": 5123, "normalized": True, "count": len(uv), "type": "VEC2"}
    )
    header["meshes"][0]["primitives"][0]["attributes"]["TEXCOORD_0"] = 2
    header["meshes"][0]["primitives"][0]["material"] = 0
    header["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}]
    header["textures"], header["images"] = [{"source": 0}], [{"bufferView": 3, "mimeType": "image/png"}]
    binary += uv.tobytes() + image(QUARTERS)
    header["buffers"][0]["byteLength"] = len(binary)
    file = tmp_path / "a.glb"
    file.write_bytes(glb(header, binary))
    reading = read(file)
    for at, colour in CORNERS.items():
        assert _near(shown(reading, rows(reading)["hall"], at), colour)


def test_a_gltf_without_its_scene_is_read(tmp_path: Path) -> None:
    header, binary = gltf(hall().vertices, hall().faces)
    del header["scenes"], header["scene"]
    (tmp_path / "b.bin").write_bytes(binary)
    header["buffers"] = [{"uri": "b.bin", "byteLength": len(binary)}]
    file = tmp_path / "a.gltf"
    file.write_text(json.dumps(header))
    assert solid(rows(read(file))["hall"]).volume == pytest.approx(HALL)
