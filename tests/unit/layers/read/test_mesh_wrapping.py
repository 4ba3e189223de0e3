"""What lies beyond the edges of an image: as a square of ground shows it whose last corner is beyond both."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from layers.guard import Reading
from tests.meshes import glb, gltf
from tests.textured import BLUE, GREEN, QUARTERS, RED, WHITE, image
from tests.unit.layers.read.test_meshes import _near, body, read, rows

POINTS = np.array([[0, 6, 0], [0, 0, 0], [10, 0, 0], [10, 6, 0]])
FACES = np.array([[0, 1, 2], [0, 2, 3]])
CODES = {"repeat": 10497, "clamp": 33071, "mirror": 33648}


def coordinates(last: float) -> Any:
    """Across and down, from the upper left corner of the image on."""
    return np.array([[0, 0], [0, 1], [1, 1], [1, 0]]) * last


def of_gltf(folder: Path, last: float, across: str, down: str) -> Path:
    header, binary = gltf(POINTS, FACES)
    uv, picture = coordinates(last).astype("<f4"), image(QUARTERS)
    header["bufferViews"] += [
        {"buffer": 0, "byteOffset": len(binary), "byteLength": uv.nbytes},
        {"buffer": 0, "byteOffset": len(binary) + uv.nbytes, "byteLength": len(picture)},
    ]
    header["accessors"].append({"bufferView": 2, "componentType": 5126, "count": 4, "type": "VEC2"})
    primitive = header["meshes"][0]["primitives"][0]
    primitive["attributes"]["TEXCOORD_0"], primitive["material"] = 2, 0
    sampler = {axis: CODES[mode] for axis, mode in (("wrapS", across), ("wrapT", down)) if mode in CODES}
    header |= {
        "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
        "textures": [{"source": 0, "sampler": 0}],
        "samplers": [sampler],
        "images": [{"bufferView": 3, "mimeType": "image/png"}],
    }
    binary += uv.tobytes() + picture
    header["buffers"][0]["byteLength"] = len(binary)
    file = folder / "a.glb"
    file.write_bytes(glb(header, binary))
    return file


def of_obj(folder: Path, last: float, mode: str) -> Path:
    (folder / "tex.png").write_bytes(image(QUARTERS))
    option = {"clamp": "-clamp on ", "repeat": "-clamp off "}[mode]
    (folder / "a.mtl").write_text(f"newmtl photo\nmap_Kd {option}tex.png\n")
    lines = ["mtllib a.mtl", "usemtl photo"]
    lines += ["v {} {} {}".format(*point) for point in POINTS.tolist()]
    lines += [f"vt {u} {1 - v}" for u, v in coordinates(last).tolist()]
    lines += ["f " + " ".join(f"{at + 1}/{at + 1}" for at in face) for face in FACES.tolist()]
    file = folder / "a.obj"
    file.write_text("\n".join(lines) + "\n")
    return file


def of_dae(folder: Path, last: float, mode: str) -> Path:
    (folder / "tex.png").write_bytes(image(QUARTERS))
    wrap = {"repeat": "WRAP", "clamp": "CLAMP", "mirror": "MIRROR"}[mode]

    def source(name: str, values: Any, axes: str) -> str:
        text = " ".join(map(str, np.asarray(values).ravel().tolist()))
        params = "".join(f'<param name="{axis}" type="float"/>' for axis in axes)
        return (
            f'<source id="{name}"><float_array id="{name}-a" count="{np.size(values)}">{text}</float_array>'
            f'<technique_common><accessor source="#{name}-a" count="4" stride="{len(axes)}">{params}'
            "</accessor></technique_common></source>"
        )

    corners = " ".join(f"{at} {at}" for at in FACES.ravel().tolist())
    uv = coordinates(last) * [1, -1] + [0, 1]
    file = folder / "a.dae"
    file.write_text(
        '<COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema" version="1.4.1">'
        '<asset><unit meter="1"/>'
        "<up_axis>Z_UP</up_axis></asset>"
        '<library_images><image id="i"><init_from>tex.png</init_from></image></library_images>'
        '<library_effects><effect id="e"><profile_COMMON><newparam sid="s"><surface type="2D"><init_from>i'
        '</init_from></surface></newparam><newparam sid="p"><sampler2D><source>s</source>'
        f"<wrap_s>{wrap}</wrap_s><wrap_t>{wrap}</wrap_t></sampler2D></newparam>"
        '<technique sid="c"><lambert><diffuse><texture texture="p" texcoord="UV"/></diffuse></lambert>'
        "</technique></profile_COMMON></effect></library_effects>"
        '<library_materials><material id="m"><instance_effect url="#e"/></material></library_materials>'
        f'<library_geometries><geometry id="g"><mesh>{source("gp", POINTS, "XYZ")}{source("gt", uv, "ST")}'
        '<vertices id="gv"><input semantic="POSITION" source="#gp"/></vertices>'
        '<triangles count="2" material="M">'
        '<input semantic="VERTEX" source="#gv" offset="0"/>'
        '<input semantic="TEXCOORD" source="#gt" offset="1"/>'
        f"<p>{corners}</p></triangles></mesh></geometry></library_geometries>"
        '<library_visual_scenes><visual_scene id="v"><node id="n"><instance_geometry url="#g"><bind_material>'
        '<technique_common><instance_material symbol="M" target="#m"/></technique_common></bind_material>'
        "</instance_geometry></node></visual_scene></library_visual_scenes>"
        '<scene><instance_visual_scene url="#v"/></scene></COLLADA>'
    )
    return file


def of_tds(folder: Path, last: float, mode: str) -> Path:
    (folder / "tex.png").write_bytes(image(QUARTERS))

    def chunk(kind: int, data: bytes) -> bytes:
        return struct.pack("<HI", kind, 6 + len(data)) + data

    def rows_(kind: int, values: Any, form: str) -> bytes:
        return chunk(kind, struct.pack("<H", len(values)) + np.asarray(values).astype(form).tobytes())

    flags = {"repeat": 0, "mirror": 2}[mode]
    look = chunk(0xA300, b"tex.png\0") + chunk(0xA351, struct.pack("<H", flags))
    uv = coordinates(last) * [1, -1] + [0, 1]
    of = chunk(0x4130, b"brick\0" + struct.pack("<3H", 2, 0, 1))
    corners = np.column_stack([FACES, [7, 7]]).astype("<u2").tobytes()
    faces = chunk(0x4120, struct.pack("<H", 2) + corners + of)
    mesh = chunk(0x4100, rows_(0x4110, POINTS, "<f4") + rows_(0x4140, uv, "<f4") + faces)
    inside = chunk(0xAFFF, chunk(0xA000, b"brick\0") + chunk(0xA200, look)) + chunk(0x4000, b"a\0" + mesh)
    file = folder / "a.3ds"
    file.write_bytes(chunk(0x4D4D, chunk(0x3D3D, inside)))
    return file


def last_corner(reading: Reading) -> tuple[int, ...]:
    """The pixel a little inside of the corner beyond, as a sampler that repeats finds it."""
    (row,) = rows(reading).values()
    mesh = body(row)
    assert mesh.materials is not None
    assert mesh.uv is not None
    east, south = mesh.positions[:, 0].max(), mesh.positions[:, 1].min()
    where = np.abs(mesh.positions[mesh.triangles][:, :, :2] - [east, south]).max(axis=2) < 0.01
    triangle, corner = next(zip(*np.nonzero(where), strict=True))
    texture = mesh.material_table[int(mesh.materials[triangle])].texture
    ending = {"image/jpeg": "jpg", "image/png": "png"}[reading.meta["textures"][texture]]
    with Image.open(reading.folder / "textures" / f"{texture}.{ending}") as picture:
        u, v = (0.98 * mesh.uv[triangle, corner] + 0.02 * mesh.uv[triangle].mean(axis=0)) % 1
        found = picture.convert("RGB").getpixel((int(u * picture.width), int(v * picture.height)))
    assert isinstance(found, tuple)
    return found


@pytest.mark.parametrize(
    ("across", "down", "last", "colour"),
    [
        ("repeat", "repeat", 1.4, RED),
        ("", "", 1.4, RED),
        ("clamp", "clamp", 1.4, WHITE),
        ("mirror", "mirror", 1.4, WHITE),
        ("mirror", "mirror", 1.8, RED),
        ("clamp", "repeat", 1.4, GREEN),
        ("repeat", "clamp", 1.4, BLUE),
        ("mirror", "clamp", 1.8, BLUE),
    ],
)
def test_an_image_of_gltf_goes_on_as_its_sampler_says(
    tmp_path: Path, across: str, down: str, last: float, colour: tuple[int, ...]
) -> None:
    assert _near(last_corner(read(of_gltf(tmp_path, last, across, down))), colour)


@pytest.mark.parametrize(
    ("make", "mode", "last", "colour"),
    [
        (of_obj, "repeat", 1.4, RED),
        (of_obj, "clamp", 1.4, WHITE),
        (of_dae, "repeat", 1.4, RED),
        (of_dae, "clamp", 1.4, WHITE),
        (of_dae, "mirror", 1.8, RED),
        (of_tds, "repeat", 1.4, RED),
        (of_tds, "mirror", 1.8, RED),
    ],
)
def test_an_image_goes_on_as_its_format_says(
    tmp_path: Path, make: Any, mode: str, last: float, colour: tuple[int, ...]
) -> None:
    assert _near(last_corner(read(make(tmp_path, last, mode))), colour)
