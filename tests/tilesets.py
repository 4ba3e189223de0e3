"""Tilesets as other programs write them: photo meshes, instances, composites, points, implicit tiling."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from PIL import Image

from tiles import geocentric

type Json = dict[str, Any]
#: Metres of the side of a photo mesh, and of its tallest hill.
SIDE, TALL = 200.0, 12.0


def frame(lon: float, lat: float, height: float = 0.0) -> list[float]:
    """East, north, up at a place, as a transform of 3D Tiles."""
    made = np.eye(4)
    made[:3, :3] = geocentric.axes(lon, lat)
    made[:3, 3] = geocentric.ecef(np.array([lon]), np.array([lat]), np.array([height]))[0]
    return [float(one) for one in made.T.ravel()]


def photo(size: int = 64) -> bytes:
    """A picture as JPEG: red to the west, green to the north."""
    across, down = np.meshgrid(np.linspace(0, 255, size), np.linspace(255, 0, size))
    pixels = np.stack([255 - across, down, np.full_like(across, 90)], axis=2).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=90)
    return out.getvalue()


def ground(cells: int, box: tuple[float, float, float, float] = (0, 0, 1, 1)) -> trimesh.Trimesh:
    """Hills over a part (west, south, east, north of 0 to 1) of the square, z up, with the picture on it."""
    u, v = np.meshgrid(np.linspace(box[0], box[2], cells + 1), np.linspace(box[1], box[3], cells + 1))
    z = TALL / 2 * (1 + np.sin(u * 9) * np.cos(v * 7))
    corners = np.column_stack([(u.ravel() - 0.5) * SIDE, (v.ravel() - 0.5) * SIDE, z.ravel()])
    first = (np.arange(cells)[:, None] * (cells + 1) + np.arange(cells)).ravel()
    faces = np.concatenate(
        [
            np.column_stack([first, first + 1, first + cells + 2]),
            np.column_stack([first, first + cells + 2, first + cells + 1]),
        ]
    )
    material = trimesh.visual.material.PBRMaterial(
        baseColorTexture=Image.open(io.BytesIO(photo())), metallicFactor=0.0, roughnessFactor=1.0
    )
    visual = trimesh.visual.TextureVisuals(uv=np.column_stack([u.ravel(), v.ravel()]), material=material)
    return trimesh.Trimesh(corners, faces, visual=visual, process=False)


def batched(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """A mesh that is one feature of its tile, the first."""
    mesh.vertex_attributes["_BATCHID"] = np.zeros(len(mesh.vertices), np.float32)
    return mesh


def glb(mesh: trimesh.Trimesh) -> bytes:
    """A mesh that has z up as glTF, which has y up."""
    turned = mesh.copy()
    turned.apply_transform([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    return bytes(turned.export(file_type="glb"))


def _padded(raw: bytes, to: int = 8, by: bytes = b" ", before: int = 0) -> bytes:
    return raw + by * (-(before + len(raw)) % to)


def b3dm(model: bytes, centre: list[float] | None = None, names: list[str] | None = None) -> bytes:
    """Batched 3D Model (OGC 22-025r4, A.2)."""
    table: Json = {"BATCH_LENGTH": len(names or [])}
    if centre is not None:
        table["RTC_CENTER"] = centre
    feature = _padded(json.dumps(table).encode(), before=28)
    batch = _padded(json.dumps({"name": names}).encode()) if names else b""
    model = _padded(model, by=b"\0")
    length = 28 + len(feature) + len(batch) + len(model)
    return (
        struct.pack("<4sIIIIII", b"b3dm", 1, length, len(feature), 0, len(batch), 0) + feature + batch + model
    )


def i3dm(model: bytes | str, places: np.ndarray) -> bytes:
    """Instanced 3D Model (OGC 22-025r4, A.3), of a model in it or beside it."""
    positions = places.astype("<f4").tobytes()
    table = {"INSTANCES_LENGTH": len(places), "POSITION": {"byteOffset": 0}}
    feature = _padded(json.dumps(table).encode(), before=32)
    binary = _padded(positions, by=b"\0")
    body = _padded(
        model.encode() if isinstance(model, str) else model, by=b" " if isinstance(model, str) else b"\0"
    )
    length = 32 + len(feature) + len(binary) + len(body)
    head = struct.pack("<4sIIIIII", b"i3dm", 1, length, len(feature), len(binary), 0, 0)
    return head + struct.pack("<I", 0 if isinstance(model, str) else 1) + feature + binary + body


def pnts(places: np.ndarray, colours: np.ndarray) -> bytes:
    """Point Cloud (OGC 22-025r4, A.4)."""
    data = places.astype("<f4").tobytes()
    table = {
        "POINTS_LENGTH": len(places),
        "POSITION": {"byteOffset": 0},
        "RGB": {"byteOffset": len(data)},
    }
    feature = _padded(json.dumps(table).encode(), before=28)
    binary = _padded(data + colours.astype("u1").tobytes(), by=b"\0")
    length = 28 + len(feature) + len(binary)
    return struct.pack("<4sIIIIII", b"pnts", 1, length, len(feature), len(binary), 0, 0) + feature + binary


def cmpt(*inner: bytes) -> bytes:
    """Composite (OGC 22-025r4, A.5)."""
    return struct.pack("<4sIII", b"cmpt", 1, 16 + sum(map(len, inner)), len(inner)) + b"".join(inner)


def box(mesh: trimesh.Trimesh) -> Json:
    """The volume of a mesh."""
    low, high = mesh.bounds
    half = (high - low) / 2
    return {"box": [*((low + high) / 2).tolist(), half[0], 0, 0, 0, half[1], 0, 0, 0, half[2]]}


def write(folder: Path, files: dict[str, bytes | Json]) -> Path:
    """The files of a set; where its root is."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return folder / "tileset.json"


def photo_mesh(lon: float, lat: float, height: float = 0.0) -> dict[str, bytes | Json]:
    """A photo mesh in two levels: a coarse tile, and four fine ones in a tileset of their own."""
    coarse = ground(8)
    quarters = [(0, 0, 0.5, 0.5), (0.5, 0, 1, 0.5), (0, 0.5, 0.5, 1), (0.5, 0.5, 1, 1)]
    fine = [ground(24, part) for part in quarters]
    children = [
        {"boundingVolume": box(one), "geometricError": 0, "content": {"uri": f"fine_{n}.b3dm"}}
        for n, one in enumerate(fine)
    ]
    whole = box(coarse)
    inner = {
        "asset": {"version": "1.0"},
        "geometricError": 16,
        # without a content of its own it is never fine enough
        "root": {"boundingVolume": whole, "geometricError": 16, "refine": "REPLACE", "children": children},
    }
    root: Json = {
        "boundingVolume": whole,
        "geometricError": 16,
        "refine": "REPLACE",
        "content": {"uri": "Data/coarse.b3dm"},
        "children": [
            {"boundingVolume": whole, "geometricError": 16, "content": {"uri": "Data/Tile_0/tileset.json"}}
        ],
        "transform": frame(lon, lat, height),
    }
    return {
        "tileset.json": {"asset": {"version": "1.0"}, "geometricError": 400, "root": root},
        "Data/coarse.b3dm": b3dm(glb(coarse)),
        "Data/Tile_0/tileset.json": inner,
        **{
            f"Data/Tile_0/fine_{n}.b3dm": b3dm(glb(batched(one)), names=[f"part {n}"])
            for n, one in enumerate(fine)
        },
    }
