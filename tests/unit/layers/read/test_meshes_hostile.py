"""Meshes of clumsy and of hostile programs: each costs itself, or is refused with a reason."""

from __future__ import annotations

import re
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import trimesh

from layers import load
from layers.mesh import Material
from layers.read.meshes import model
from layers.read.meshes.outline import outlines
from layers.source import Declared
from tests import meshes
from tests.meshes import dxf, glb, gltf, hall, obj_text
from tests.textured import image
from tests.unit.layers.read.test_meshes import UP, body, read, refused, rows, told

_PLY = (
    "ply\nformat ascii 1.0\nelement vertex 3000000\nproperty float x\nproperty float y\n"
    "property float z\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n"
)


def written(tmp_path: Path, name: str, data: bytes | str) -> Path:
    file = tmp_path / name
    file.write_bytes(data if isinstance(data, bytes) else data.encode())
    return file


def shown_by_nodes(folder: Path, doubled: int, *, geometry: bool = True, circle: bool = False) -> Path:
    """The hall in a tree of nodes of which each shows the one before twice."""
    file = meshes.written(folder, "dae")
    text = file.read_text()
    shown = re.search("<instance_geometry.*?</instance_geometry>", text, re.DOTALL)
    scene = re.search('<instance_visual_scene url="([^"]*)"', text)
    assert shown is not None
    assert scene is not None
    last = f'<instance_node url="#n{doubled}"/>' if circle else ""
    nodes = f'<node id="n0">{shown[0] if geometry else ""}{last}</node>'
    for at in range(doubled):
        nodes += f'<node id="n{at + 1}">{f"<instance_node url='#n{at}'/>" * 2}</node>'
    root = f'<node id="root"><instance_node url="#n{doubled}"/></node>'
    scenes = f'<library_visual_scenes><visual_scene id="s">{root}</visual_scene></library_visual_scenes>'
    whole = re.sub("<library_visual_scenes>.*</library_visual_scenes>", scenes, text, flags=re.DOTALL)
    nodes = f"<library_nodes>{nodes}</library_nodes><library_visual_scenes>"
    file.write_text(whole.replace("<library_visual_scenes>", nodes).replace(scene[1], "#s"))
    return file


def test_a_node_that_shows_others_again_is_each_of_them(tmp_path: Path) -> None:
    assert len(rows(read(shown_by_nodes(tmp_path, 2)))) == 4


@pytest.mark.parametrize(("doubled", "how"), [(40, {}), (40, {"geometry": False}), (3, {"circle": True})])
def test_nodes_without_end_are_refused_at_once(tmp_path: Path, doubled: int, how: dict[str, bool]) -> None:
    begin = time.process_time()
    found = refused(shown_by_nodes(tmp_path, doubled, **how))
    assert found.rule in ("mesh.cycle", "mesh.damaged")
    assert time.process_time() - begin < 10


@pytest.mark.parametrize("unit", ["0", "-1", "nan", "inf"])
def test_a_unit_that_is_none_is_refused(tmp_path: Path, unit: str) -> None:
    file = meshes.written(tmp_path, "dae")
    file.write_text(re.sub('meter="[^"]*"', f'meter="{unit}"', file.read_text()))
    found = refused(file, Declared(anchor=UP.anchor, crs=UP.crs))
    assert (found.rule, "its unit is" in found.reason) == ("mesh.damaged", True)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("cut.dxf", dxf(hall=hall())[:700], "it is cut off"),
        ("many.ply", _PLY, "the mesh cannot be read"),
    ],
)
def test_what_is_cut_off_is_refused(tmp_path: Path, name: str, data: str, says: str) -> None:
    found = refused(written(tmp_path, name, data))
    assert (found.rule, says in found.reason) == ("mesh.damaged", True)


def dressed(look: dict[str, Any], picture: dict[str, Any] | None = None) -> bytes:
    header, binary = gltf(
        hall().vertices,
        hall().faces,
        meshes=[{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1, "material": 0}]}],
        materials=[{"pbrMetallicRoughness": look}],
        textures=[{"source": 0}],
        images=[picture or {}],
    )
    return glb(header, binary)


@pytest.mark.parametrize("color", [[1], [1, 1, 1, 1, 1], []])
def test_a_colour_of_other_than_four_parts_is_refused(tmp_path: Path, color: list[int]) -> None:
    assert refused(written(tmp_path, "a.glb", dressed({"baseColorFactor": color}))).rule == "mesh.damaged"


@pytest.mark.parametrize("picture", [{"uri": 7}, {"uri": None, "bufferView": "a"}, {"bufferView": -9}, {}])
def test_an_image_that_is_none_costs_itself(tmp_path: Path, picture: dict[str, Any]) -> None:
    found = read(written(tmp_path, "a.glb", dressed({"baseColorTexture": {"index": 0}}, picture)))
    assert set(told(found)) == {"texture.unreadable"}
    assert set(rows(found)) == {"hall"}


def test_nodes_of_one_name_have_ids_that_are_no_others(tmp_path: Path) -> None:
    names = ["厅", "厅", "厅 (2)", "厅", "b"]
    nodes = [{"mesh": 0, "name": name} for name in names]
    header, binary = gltf(hall().vertices, hall().faces, nodes=nodes, scenes=[{"nodes": [0, 1, 2, 3, 4]}])
    found = rows(read(written(tmp_path, "a.glb", glb(header, binary))))
    assert [row["name"] for row in found.values()] == names
    assert list(found) == ["厅", "厅 (3)", "厅 (2)", "厅 (4)", "b"]


@pytest.mark.parametrize(("encoding", "declared"), [("gb18030", None), ("utf-8", None), ("gb18030", "GBK")])
def test_names_of_an_obj_are_read_in_its_encoding(
    tmp_path: Path, encoding: str, declared: str | None
) -> None:
    """图 in GBK is a letter of Greek in UTF-8: what stands beside it says which it is."""
    written(tmp_path, "图.png", image())
    look = "newmtl 砖墙\nKd 1 0 0\nnewmtl 贴图\nmap_Kd 图.png\n"
    written(tmp_path, "材质.mtl", look.encode(encoding))
    two = f"mtllib 材质.mtl\no 大厅\nusemtl 砖墙\n{obj_text(hall())}o 烟囱\nusemtl 贴图\nf 1 2 3\n"
    found = read(
        written(tmp_path, "a.obj", two.encode(encoding)),
        Declared(anchor=UP.anchor, crs=UP.crs, up="z", unit="m", encoding=declared),
    )
    made = rows(found)
    assert set(made) == {"大厅", "烟囱"}
    assert made["大厅"]["material"] == "砖墙"
    assert body(made["大厅"]).material_table == (Material((255, 0, 0, 255)),)
    assert not {"mesh.materials", "texture.missing"} & set(told(found))


def test_an_encoding_that_is_not_that_of_an_obj_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, "a.obj", f"o 大厅\n{obj_text(hall())}".encode("gb18030"))
    assert refused(file, Declared(anchor=UP.anchor, crs=UP.crs, encoding="UTF-8")).rule == "encoding.wrong"


def test_a_mesh_of_many_triangles_is_read_in_the_child(tmp_path: Path) -> None:
    """More than have their outline made exactly: the child has no drivers of GDAL but those of its format."""
    sphere = trimesh.creation.icosphere(5)
    sphere.vertices *= np.random.default_rng(3).uniform(0.9, 1.1, (len(sphere.vertices), 1))
    for name in ("many.ply", "many.dxf"):
        data = dxf(a=sphere) if name.endswith("dxf") else sphere.export(file_type="ply")
        report = load.check(written(tmp_path, name, data), UP)
        assert (report.kept, [each.rule for each in report.problems]) == (1, ["mesh.outline"])


def test_the_outline_of_what_is_scattered_is_made_of_wider_cells() -> None:
    places = np.random.default_rng(7).uniform(0, 500, (20_000, 2))
    corners = np.repeat(np.column_stack([places, np.zeros(len(places))]), 3, axis=0)
    corners += np.tile([[0, 0, 0], [0.3, 0, 0], [0, 0.3, 0]], (len(places), 1))
    begin = time.process_time()
    triangles = np.arange(len(corners)).reshape(-1, 3)
    (shape,), (side,) = outlines(corners, triangles, np.array([len(triangles)]), np.zeros(1, bool))
    assert time.process_time() - begin < 5
    assert side > 500 / 512 * 1.5
    assert shapely.is_valid(shape)
    assert shape.buffer(side * 2).contains(shapely.multipoints(places))


def test_faces_of_many_corners_count_as_their_triangles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "MOST_TRIANGLES", 90)
    ring = "".join(f"v {np.cos(at / 16)} {np.sin(at / 16)} 0\n" for at in range(100))
    assert refused(written(tmp_path, "a.obj", f"{ring}f {' '.join(map(str, range(1, 101)))}\n")).rule == (
        "limit.triangles"
    )


def test_an_image_of_too_many_pixels_is_told_as_that(tmp_path: Path) -> None:
    bomb = bytearray(image())
    bomb[16:24] = (60_000).to_bytes(4, "big") * 2  # in a header of a few bytes, whose sum is right
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    written(tmp_path, "big.png", bytes(bomb))
    written(tmp_path, "a.mtl", "newmtl a\nmap_Kd big.png\n")
    found = read(written(tmp_path, "a.obj", f"mtllib a.mtl\nmtllib\nusemtl a\n{obj_text(hall())}"))
    assert {rule: "more pixels" in reason for rule, reason in told(found).items()} == {
        "texture.unreadable": True
    }
