"""Files of many objects: gone through together they become what each of them becomes alone, and in time."""

from __future__ import annotations

import re
import resource
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from numpy.random import Generator

from layers.batch import MESH, WKB
from layers.guard import Reading
from layers.read.meshes import bodies, model
from tests.meshes import box, chimney, glb, gltf, hall, written
from tests.unit.layers.read.test_meshes import body, read, refused, rows, solid, told

type Faces = Any


def _shape(random: Generator) -> trimesh.Trimesh:
    made = [
        lambda: box(tuple(random.uniform(1, 9, 3))),
        lambda: trimesh.creation.icosphere(2, random.uniform(0.5, 5)),
        lambda: trimesh.creation.annulus(1, 2, 3),
        lambda: trimesh.util.concatenate(
            [box((3, 3, 3)), box((1, 1, 1), (random.choice([1, 2.5, 5]), 0, 0))]
        ),
        lambda: box((5, 3, 0.0001 * random.integers(0, 3))),
    ][random.integers(5)]()
    if random.random() < 0.5:
        made.apply_transform(trimesh.transformations.random_rotation_matrix(random.random(3)))
    return made


def _spoiled(vertices: Any, faces: Faces, random: Generator) -> tuple[Any, Faces]:
    match random.integers(9):
        case 0:  # open
            faces = faces[random.random(len(faces)) < 0.9]
        case 1:  # turned against one another
            wrong = random.random(len(faces)) < 0.2
            faces[wrong] = faces[wrong][:, ::-1]
        case 2:  # inside out
            faces = faces[:, ::-1]
        case 3:  # doubled
            faces = np.concatenate([faces, faces[:3], faces[:2, ::-1], [[0, 0, 1]]])
        case 4:  # every triangle for itself, and not quite where the next is
            vertices, faces = vertices[faces].reshape(-1, 3), np.arange(faces.size).reshape(-1, 3)
            vertices = vertices + random.uniform(-4e-5, 4e-5, vertices.shape)
        case 5:  # no area from above
            vertices[:, 1] = 7
        case 6:  # nowhere
            vertices[0, 0] = np.nan
    return vertices, faces if len(faces) else np.array([[0, 1, 2]])


def _odd(count: int) -> list[tuple[Any, Faces]]:
    random = np.random.default_rng(5)
    out = []
    for _ in range(count):
        made = _shape(random)
        made.apply_translation(random.uniform(0, [500, 500, 5]))
        out.append(_spoiled(np.array(made.vertices), np.array(made.faces), random))
    return out


def _file(folder: Path, name: str, several: dict[str, tuple[Any, Faces]]) -> Path:
    """A PLY cannot hold several, and an OBJ rounds nothing."""
    lines, first = [], 1
    for called, (vertices, faces) in several.items():
        lines.append(f"o {called}")
        lines += ["v {!r} {!r} {!r}".format(*each) for each in vertices.tolist()]
        lines += ["f {} {} {}".format(*each) for each in (faces + first).tolist()]
        first += len(vertices)
    file = folder / name
    file.write_text("\n".join(lines) + "\n")
    return file


def _found(reading: Reading) -> dict[str | None, Any]:
    """Of each object what was told of it, its body and its outline."""
    out: dict[str | None, Any] = {}
    for problem in reading.problems:
        out.setdefault(problem.source_id, []).append((problem.rule, problem.reason, problem.action))
    for called, row in rows(reading).items():
        out.setdefault(called, []).append((row[MESH], row[WKB], row["mesh_height_m"]))
    return out


@pytest.mark.parametrize("some", [7, 5000])
def test_many_become_what_each_becomes_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, some: int
) -> None:
    several = {f"t{number}": each for number, each in enumerate(_odd(60))}
    monkeypatch.setattr(bodies, "_THINGS", some)
    together = _found(read(_file(tmp_path, "all.obj", several)))
    assert together.keys() == several.keys()
    assert {rule for told_ in together.values() for rule, *_ in told_ if isinstance(rule, str)} >= {
        *("mesh.open", "mesh.turned", "mesh.inverted", "mesh.doubled", "mesh.pieces"),
        *("surface.degenerate", "geometry.nan"),
    }
    for called, each in several.items():
        assert _found(read(_file(tmp_path, "one.obj", {called: each}))) == {called: together[called]}


def _city(count: int, **more: Any) -> bytes:
    """As many boxes, each a node with a mesh and accessors of its own."""
    side = int(np.ceil(count**0.5))
    at = np.arange(count)
    corners = hall().vertices + np.column_stack([at % side, at // side, 0 * at])[:, None] * [20, 20, 1]
    header, binary = gltf(corners.reshape(-1, 3), np.tile(hall().faces, (count, 1)), **more)
    points, faces = len(hall().vertices) * 12, hall().faces.size * 4
    header["accessors"] = [
        made
        for number in range(count)
        for made in (
            {**header["accessors"][0], "byteOffset": number * points, "count": len(hall().vertices)},
            {**header["accessors"][1], "byteOffset": number * faces, "count": hall().faces.size},
        )
    ]
    header["meshes"] = [
        {"primitives": [{"attributes": {"POSITION": 2 * number}, "indices": 2 * number + 1}]}
        for number in range(count)
    ]
    header["nodes"] = [{"mesh": number, "name": f"house {number}"} for number in range(count)]
    header["scenes"] = [{"nodes": list(range(count))}]
    return glb(header, binary)


def test_many_objects_are_read_in_time(tmp_path: Path) -> None:
    """Each took 4 ms on a loaded machine, and takes a tenth of that."""
    file = tmp_path / "city.glb"
    file.write_bytes(_city(4000))
    begin = time.process_time()
    reading = read(file)
    assert time.process_time() - begin < 8
    assert reading.meta["features"] == 4000
    assert not reading.problems


def test_faces_of_several_forms_stay_with_their_objects(tmp_path: Path) -> None:
    """Of an OBJ: corners with and without numbers of images and normals, of three, four and five sides, in
    turns; remarks behind them, and an object that goes on after another."""
    lines = ["vt 0 0", "vt 1 0", "vt 0 1", "vn 0 0 1", "o first"]
    for x in range(8):
        lines += [f"v {10 * x} {y} {z}" for y, z in ((0, 0), (3, 0), (3, 2), (0, 2))] + [f"v {10 * x} -1 1"]
    for x in range(6):
        a, b, c, d, e = range(5 * x + 1, 5 * x + 6)
        lines += [f"o {'first' if x % 2 else 'second'}", f"f {a} {b} {c} # a remark"]
        lines += [f"f\t{a}/1 {c}/2 {d}/3", f" f {a}//1 {d}//1 {e}//1"]
    lines += ["o second", "f 31 32 33 34", "f 36/1/1 37/2/1 38/2/1 39/3/1 40/3/1"]
    file = tmp_path / "a.obj"
    file.write_text("\n".join(lines) + "\n")
    found = {row["name"]: solid(row).area for row in rows(read(file)).values()}
    one = 3 + 3 + 1
    assert found == {"first": pytest.approx(3 * one), "second": pytest.approx(3 * one + 6 + 7)}


def test_too_many_objects_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "MOST_THINGS", 30)
    file = tmp_path / "city.glb"
    file.write_bytes(_city(31))
    error = refused(file)
    assert (error.rule, "31 objects" in error.reason) == ("limit.objects", True)


def _ten_million(folder: Path, form: str) -> Path:
    """A file that says so, or has them, as small as that can be."""
    file = folder / f"a.{form}"
    count = 10_000_000
    match form:
        case "glb":
            header, binary = gltf(hall().vertices, hall().faces)
            header["accessors"][1]["count"] = 3 * count
            file.write_bytes(glb(header, binary))
        case "obj":
            file.write_bytes(b"o a\nv 0 0 0\nv 1 0 0\nv 0 1 0\n" + b"f 1 2 3\n" * count)
        case "stl":
            with file.open("wb") as out:
                out.write(bytes(80) + count.to_bytes(4, "little"))
                out.truncate(84 + 50 * count)
        case "dae":
            text = written(folder, "dae").read_text()
            text = re.sub(r"<triangles([^>]*?)count=.\d+.", rf'<triangles\1count="{count}"', text)
            file.write_text(text)
        case "3ds":
            faces = struct.pack("<H", 65535) + bytes(8 * 65535)
            mesh = _chunk(0x4100, _chunk(0x4110, struct.pack("<H3f", 1, 0, 0, 0)) + _chunk(0x4120, faces))
            each = _chunk(0x4000, b"a\0" + mesh)
            file.write_bytes(_chunk(0x4D4D, _chunk(0x3D3D, each * (count // 65535 + 1))))
        case "dxf":
            file.write_bytes(b"0\nSECTION\n2\nENTITIES\n" + b"0\n3DFACE\n" * count + b"0\nENDSEC\n0\nEOF\n")
    return file


def _chunk(kind: int, data: bytes) -> bytes:
    return struct.pack("<HI", kind, 6 + len(data)) + data


@pytest.mark.parametrize("form", ["glb", "obj", "stl", "dae", "3ds", "dxf"])
def test_ten_million_triangles_are_refused_at_once(tmp_path: Path, form: str) -> None:
    file = _ten_million(tmp_path, form)
    begin, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    error = refused(file)
    assert (error.rule, "the limit is 1,250,000" in error.reason) == ("limit.triangles", True)
    assert time.process_time() - begin < 10
    # no more than the file at most is in memory: a 3DS, which is small
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 << 10


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.obj", b"v 0 0 0\n" * 4_000_000 + b"f 1 2 3\n"),
        ("a.ply", b"ply\nformat ascii 1.0\nelement vertex 99999999999\nelement face 1\nend_header\n"),
        ("a.dxf", b"0\nSECTION\n2\nENTITIES\n" + b"0\nVERTEX\n" * 4_000_000 + b"0\nEOF\n"),
    ],
)
def test_positions_without_number_are_refused(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    error = refused(tmp_path / name)
    assert (error.rule, "the limit is 3,750,000" in error.reason) == ("limit.positions", True)


# -- accessors of glTF -----------------------------------------------------------------------


def test_primitives_may_share_their_vertices(tmp_path: Path) -> None:
    """One accessor of all positions, as many exporters write it: each object has its own of them."""
    both = trimesh.util.concatenate([hall(), chimney()])
    header, binary = gltf(both.vertices, both.faces)
    half = hall().faces.size
    header["accessors"][1]["count"] = half
    header["accessors"].append({**header["accessors"][1], "byteOffset": half * 4, "count": half})
    header["meshes"] = [{"primitives": [{"attributes": {"POSITION": 0}, "indices": at}]} for at in (1, 2)]
    header["nodes"] = [{"mesh": 0, "name": "hall"}, {"mesh": 1, "name": "chimney"}]
    header["scenes"] = [{"nodes": [0, 1]}]
    file = tmp_path / "a.glb"
    file.write_bytes(glb(header, binary))
    found = rows(read(file))
    assert {name: round(solid(row).volume, 2) for name, row in found.items()} == {"hall": 240, "chimney": 12}
    assert [len(body(row).positions) for row in found.values()] == [8, 8]


@pytest.mark.parametrize(("mode", "corners", "area"), [(5, [0, 1, 2, 3, 4, 5], 2), (6, [0, 1, 3, 2], 1)])
def test_strips_and_fans_are_triangles(tmp_path: Path, mode: int, corners: list[int], area: int) -> None:
    """Squares of 1 m, turned upwards."""
    header, binary = gltf([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 2, 0], [1, 2, 0]], corners)
    header["meshes"][0]["primitives"][0]["mode"] = mode
    file = tmp_path / "a.glb"
    file.write_bytes(glb(header, binary))
    reading = read(file)
    made = solid(rows(reading)["hall"])
    assert (len(made.faces), made.area) == (len(corners) - 2, pytest.approx(area, rel=1e-6))
    assert (made.face_normals[:, 2] > 0).all()
    assert told(reading).keys() == {"mesh.open"}


def test_positions_may_be_whole_numbers_and_lie_apart(tmp_path: Path) -> None:
    """KHR_mesh_quantization, each position in eight bytes, as files for the web have them."""
    header, _ = gltf(hall().vertices, hall().faces)
    stored = np.zeros((8, 4), "<i2")
    stored[:, :3] = np.round(hall().vertices / 10 * 32767)
    binary = stored.tobytes() + hall().faces.astype("<u4").tobytes()
    header["bufferViews"][0].update(byteLength=64, byteStride=8)
    header["bufferViews"][1].update(byteOffset=64)
    header["buffers"][0]["byteLength"] = len(binary)
    header["accessors"][0].update(componentType=5122, normalized=True)
    header["nodes"][0]["scale"] = [10, 10, 10]
    header["extensionsRequired"] = ["KHR_mesh_quantization"]
    file = tmp_path / "a.glb"
    file.write_bytes(glb(header, binary))
    assert solid(rows(read(file))["hall"]).volume == pytest.approx(240, rel=1e-3)
