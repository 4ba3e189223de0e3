"""Packed nodes, unpacked by the decoder that browsers use."""

from __future__ import annotations

import base64
import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray

from layers.store.base import Store
from tests.support import ROOT
from tests.unit.tiles import gltf
from tests.unit.tiles.conftest import put, square
from tests.unit.tiles.test_skin import validated
from tiles import scheme
from tiles.scene import meshopt, tree
from tiles.service import Tiles

LON, LAT = 114.1, 28.2


def unpacked(entries: list[dict[str, Any]], folder: Path) -> list[bytes]:
    """What each entry (count, byteStride, mode, data) unpacks to."""
    file = folder / "packed.json"
    file.write_text(
        json.dumps([one | {"data": base64.b64encode(one["data"]).decode()} for one in entries]), "utf-8"
    )
    node, script = Path(sys.executable).with_name("node"), Path(__file__).with_name("unpack.mjs")
    done = subprocess.run(
        [node, script, ROOT / "twin/web/app/node_modules", file],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return [base64.b64decode(one) for one in json.loads(done.stdout)]


def test_whatever_is_packed_is_unpacked(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    entries, wanted = [], []
    for n in (1, 2, 15, 16, 17, 255, 256, 257, 4999):
        for stride in (4, 8, 12, meshopt.MOST_STRIDE):
            for most in (1, 4, 20, 256):
                rows = rng.integers(0, most, (n, stride)).cumsum(axis=0).astype(np.uint8)
                data = meshopt.attributes(rows)
                entries.append({"count": n, "byteStride": stride, "mode": "ATTRIBUTES", "data": data})
                wanted.append(rows.tobytes())
        for size, most, type_ in ((2, 2**16, "<u2"), (4, 2**29, "<u4")):
            sequence = rng.integers(0, most, n)
            data = meshopt.indices(sequence)
            entries.append({"count": n, "byteStride": size, "mode": "INDICES", "data": data})
            wanted.append(sequence.astype(type_).tobytes())
    assert unpacked(entries, tmp_path) == wanted


def plain(data: bytes, folder: Path) -> tuple[dict[str, Any], bytes]:
    """The document and the binary of a packed file, as if it had never been packed."""
    (length,) = struct.unpack_from("<I", data, 12)
    document, binary = json.loads(data[20 : 20 + length]), data[28 + length :]
    assert document["buffers"][1]["extensions"] == {"EXT_meshopt_compression": {"fallback": True}}
    assert document["extensionsRequired"] == ["EXT_meshopt_compression", "KHR_mesh_quantization"]
    views = [view for view in document["bufferViews"] if "extensions" in view]
    entries = []
    for view in views:
        said = view.pop("extensions")["EXT_meshopt_compression"]
        assert said["count"] * said["byteStride"] == view["byteLength"]
        assert view["byteOffset"] + view["byteLength"] <= document["buffers"][1]["byteLength"]
        end = said["byteOffset"] + said["byteLength"]
        entries.append(said | {"data": binary[said["byteOffset"] : end]})
    for view, raw in zip(views, unpacked(entries, folder), strict=True):
        view |= {"buffer": 0, "byteOffset": len(binary)}
        binary += raw + bytes(-len(raw) % 8)
    document["buffers"] = [{"byteLength": len(binary)}]
    for key in ("extensionsUsed", "extensionsRequired"):
        document[key] = [one for one in document[key] if one != "EXT_meshopt_compression"]
    return document, binary


def file_of(document: dict[str, Any], binary: bytes) -> bytes:
    """A GLB of both."""
    text = json.dumps(document).encode()
    text += b" " * ((4 - len(text)) % 8)
    head = struct.pack("<4sII", b"glTF", 2, 28 + len(text) + len(binary))
    return b"".join(
        (
            head,
            struct.pack("<I4s", len(text), b"JSON"),
            text,
            struct.pack("<I4s", len(binary), b"BIN\0"),
            binary,
        )
    )


def turned(quaternion: list[float], points: NDArray[Any]) -> NDArray[Any]:
    """Points (n, 3) turned by a unit quaternion."""
    vector, w = np.array(quaternion[:3]), quaternion[3]
    across = 2 * np.cross(vector, points)
    return points + w * across + np.cross(vector, across)


@pytest.mark.parametrize(
    ("kind", "shapes", "fields"),
    [
        (
            "building",
            [square(LON + i % 9 * 0.0003, LAT + i // 9 * 0.0003) for i in range(60)],
            {"height_m": [3.0 + i for i in range(60)]},
        ),
        # too large for a step of two centimetres
        ("building", [shapely.box(LON, LAT, LON + 0.02, LAT + 0.02)], {"height_m": [30.0]}),
        (
            "pipeline",
            [shapely.LineString([(LON, LAT), (LON + 0.0003, LAT), (LON + 0.0003, LAT + 0.0002)])],
            {"diameter_mm": [500.0], "depth_m": [2.0]},
        ),
    ],
)
def test_a_packed_node_is_the_plain_one_within_a_centimetre(
    store: Store, tmp_path: Path, kind: str, shapes: list[Any], fields: dict[str, Any]
) -> None:
    put(store, "things", kind, shapes, fields)
    tiles = Tiles(store, tmp_path / "d")
    node = tree.node_of(tuple(scheme.world_boxes(np.array([shapes[0].bounds]))[0].tolist()))
    known = tiles.glb("things", *node)
    made = tiles.glb("things", *node, "both")
    assert tiles.glb("things", *node, "meshopt") is made
    assert tiles.glb("things", *node, "gpu") is known
    assert made.etag != known.etag
    document, binary = plain(made.plain(), tmp_path)
    (primitive,), (where,) = document["meshes"][0]["primitives"], document["nodes"]
    read = {k: gltf.accessor(document, binary, i) for k, i in primitive["attributes"].items()}
    positions = turned(where["rotation"], read["POSITION"] * where.get("scale", [1, 1, 1]))
    positions += where["translation"]
    other = gltf.read(known.plain())
    assert (
        np.abs(np.stack([positions[:, 0], -positions[:, 2], positions[:, 1]], axis=1) - other.positions).max()
        < 0.015
    )
    normals = turned(where["rotation"], read["NORMAL"] / 127)
    facing = (np.stack([normals[:, 0], -normals[:, 2], normals[:, 1]], axis=1) * other.normals).sum(axis=1)
    assert facing.min() > 0.98
    assert (read["_FEATURE_ID_0"].ravel() == other.ids).all()
    triangles = gltf.accessor(document, binary, primitive["indices"]).reshape(-1, 3)
    assert (triangles == other.triangles).all()
    file = tmp_path / "node.glb"
    file.write_bytes(file_of(document, binary))
    issues = validated([file])[str(file)]["issues"]
    assert issues["numErrors"] == 0, issues
