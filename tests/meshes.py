"""Meshes for tests, in every format that is read: a hall of 10 by 6 by 4 m with a chimney of 2 by 2 by 3 m on
it, its origin at the south-west corner, z up."""

from __future__ import annotations

import io
import json
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

type Floats = NDArray[np.float64]

HALL, CHIMNEY = 240.0, 12.0


def box(size: tuple[float, ...], at: tuple[float, ...] = (0, 0, 0)) -> trimesh.Trimesh:
    """A closed box whose lowest corner lies there."""
    made = trimesh.creation.box(size)
    made.apply_translation(np.array(at) + np.array(size) / 2)
    return made


def hall() -> trimesh.Trimesh:
    return box((10, 6, 4))


def chimney() -> trimesh.Trimesh:
    return box((2, 2, 3), (4, 2, 4))


def glb(header: dict[str, Any], binary: bytes = b"") -> bytes:
    """A GLB of a header and its binary chunk."""
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text
    if binary:
        chunks += struct.pack("<II", len(binary), 0x004E4942) + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def gltf(vertices: Floats, triangles: Any, **more: Any) -> tuple[dict[str, Any], bytes]:
    """A header with one node and one mesh, and its binary."""
    points, faces = np.asarray(vertices, "<f4"), np.asarray(triangles, "<u4")
    binary = points.tobytes() + faces.tobytes()
    header = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "hall"}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": len(points), "type": "VEC3"},
            {"bufferView": 1, "componentType": 5125, "count": faces.size, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": points.nbytes},
            {"buffer": 0, "byteOffset": points.nbytes, "byteLength": faces.nbytes},
        ],
        "buffers": [{"byteLength": len(binary)}],
        **more,
    }
    return header, binary


def obj_text(mesh: trimesh.Trimesh, first: int = 1) -> str:
    """Vertices and faces as OBJ has them."""
    points = "".join(f"v {x} {y} {z}\n" for x, y, z in mesh.vertices.tolist())
    return points + "".join(f"f {a + first} {b + first} {c + first}\n" for a, b, c in mesh.faces.tolist())


def tds(*objects: tuple[str, trimesh.Trimesh], image: str | None = None) -> bytes:
    """A 3DS file; with an image the coordinates of its corners are x / 10 and y / 6."""

    def chunk(kind: int, data: bytes) -> bytes:
        return struct.pack("<HI", kind, 6 + len(data)) + data

    inside = chunk(0x0100, struct.pack("<f", 1.0))
    look = chunk(0xA000, b"brick\0") + chunk(0xA020, chunk(0x0011, bytes([200, 30, 30])))
    look += chunk(0xA050, chunk(0x0030, struct.pack("<H", 20)))
    if image is not None:
        look += chunk(0xA200, chunk(0xA300, image.encode() + b"\0"))
    inside += chunk(0xAFFF, look)
    for name, mesh in objects:
        points, faces = np.asarray(mesh.vertices, "<f4"), np.asarray(mesh.faces)
        own = chunk(0x4110, struct.pack("<H", len(points)) + points.tobytes())
        uv = np.asarray(mesh.vertices[:, :2] / [10, 6], "<f4")
        own += chunk(0x4140, struct.pack("<H", len(uv)) + uv.tobytes())
        corners = np.column_stack([faces, np.full(len(faces), 7)]).astype("<u2")
        of = chunk(
            0x4130, b"brick\0" + struct.pack("<H", len(faces)) + np.arange(len(faces), dtype="<u2").tobytes()
        )
        own += chunk(0x4120, struct.pack("<H", len(faces)) + corners.tobytes() + of)
        inside += chunk(0x4000, name.encode() + b"\0" + chunk(0x4100, own))
    return chunk(0x4D4D, chunk(0x0002, struct.pack("<I", 3)) + chunk(0x3D3D, inside))


def dxf(**layers: trimesh.Trimesh) -> str:
    """3DFACEs by layer."""
    lines: list[Any] = [0, "SECTION", 2, "ENTITIES"]
    for name, mesh in layers.items():
        for face in mesh.faces:
            a, b, c = mesh.vertices[face]
            lines += [0, "3DFACE", 8, name]
            for number, point in enumerate((a, b, c, c)):
                for axis, value in zip((10, 20, 30), point, strict=True):
                    lines += [axis + number, value]
    return "\n".join(
        map(str, [*lines, 0, "LINE", 8, "axis", 10, 0, 20, 0, 11, 1, 21, 1, 0, "ENDSEC", 0, "EOF", ""])
    )


def written(folder: Path, form: str) -> Path:
    """The hall and its chimney as a file; of formats of one surface the hall alone."""
    file = folder / f"model.{form}"
    both = trimesh.Scene()
    both.add_geometry(hall(), node_name="hall")
    both.add_geometry(chimney(), node_name="chimney")
    match form:
        case "glb":
            file.write_bytes(both.export(file_type="glb"))
        case "gltf":
            for name, data in both.export(file_type="gltf").items():
                (folder / name).write_bytes(data)
        case "ply":
            hall().export(file)
        case "stl":
            hall().export(file)
        case "obj":
            two = obj_text(chimney(), 1 + len(hall().vertices))
            file.write_text(f"o hall\n{obj_text(hall())}o chimney\n{two}")
        case "dae":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of numpy, of how pycollada shapes its arrays
                file.write_bytes(collada())
        case "3ds":
            file.write_bytes(tds(("hall", hall()), ("chimney", chimney())))
        case "dxf":
            file.write_text(dxf(hall=hall(), chimney=chimney()))
    return file


def collada() -> bytes:
    """The hall and its chimney in a node each, made by pycollada, z up, in centimetres."""
    import collada as library

    made = library.Collada()
    made.assetInfo.upaxis = "Z_UP"
    made.assetInfo.unitmeter, made.assetInfo.unitname = 0.01, "centimeter"
    effect = library.material.Effect("e", [], "phong", diffuse=(1.0, 0.5, 0.0, 1.0))
    material = library.material.Material("m", "clay", effect)
    made.effects.append(effect)
    made.materials.append(material)
    nodes = []
    for name, mesh in (("hall", hall()), ("chimney", chimney())):
        source = library.source.FloatSource(f"{name}-points", mesh.vertices.ravel() * 100, ("X", "Y", "Z"))
        geometry = library.geometry.Geometry(made, f"{name}-mesh", f"{name}-mesh", [source])
        inputs = library.source.InputList()
        inputs.addInput(0, "VERTEX", f"#{name}-points")
        geometry.primitives.append(geometry.createTriangleSet(mesh.faces.ravel(), inputs, "look"))
        made.geometries.append(geometry)
        look = library.scene.MaterialNode("look", material, inputs=[])
        nodes.append(library.scene.Node(name, children=[library.scene.GeometryNode(geometry, [look])]))
    scene = library.scene.Scene("scene", nodes)
    made.scenes.append(scene)
    made.scene = scene
    out = io.BytesIO()
    made.write(out)
    return out.getvalue()
