"""Binary glTF 2.0 with EXT_mesh_features and EXT_structural_metadata, written whole."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tiles import geocentric
from tiles.mesh.body import Body
from tiles.scene.metadata import PropertyColumn
from tiles.scheme import Floats

FLOAT, UNSIGNED_BYTE, UNSIGNED_SHORT, UNSIGNED_INT = 5126, 5121, 5123, 5125
ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963
#: A bright, matt, neutral material: the client's style multiplies its colour in.
MATERIAL = {
    "pbrMetallicRoughness": {
        "baseColorFactor": [0.9, 0.9, 0.9, 1.0],
        "metallicFactor": 0.0,
        "roughnessFactor": 1.0,
    }
}
#: Linear colours of the surfaces, by layers.mesh.Surface; the roof warmer than the wall.
SURFACES = np.array(
    [
        [225, 225, 222, 255],
        [168, 164, 158, 255],
        [226, 222, 212, 255],
        [214, 168, 140, 255],
        [226, 222, 212, 255],
        [168, 164, 158, 255],
        [226, 222, 212, 255],
        [150, 178, 198, 255],
        [158, 128, 104, 255],
    ],
    np.uint8,
)


class _Buffer:
    """The binary chunk and the views into it; every view starts at a multiple of eight bytes."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0
        self.views: list[dict[str, int]] = []
        self.accessors: list[dict[str, Any]] = []

    def view(self, data: bytes, target: int | None = None, stride: int | None = None) -> int:
        self.views.append({"buffer": 0, "byteOffset": self.size, "byteLength": len(data)})
        if target:
            self.views[-1]["target"] = target
        if stride:
            self.views[-1]["byteStride"] = stride
        padded = data + bytes(-len(data) % 8)
        self.parts.append(padded)
        self.size += len(padded)
        return len(self.views) - 1

    def accessor(self, view: int, component: int, count: int, type_: str, **more: Any) -> int:
        self.accessors.append(
            {"bufferView": view, "componentType": component, "count": count, "type": type_, **more}
        )
        return len(self.accessors) - 1


def glb(
    body: Body,
    table: Mapping[str, PropertyColumn],
    count: int,
    centre: Floats,
    *,
    colours: bool = False,
    copyright_: str = "",
) -> bytes:
    """The file of one tile.

    ``centre`` (3,) geocentric metres becomes the node's translation, positions are float32
    relative to it; ``count`` is the number of rows of the table, ``body.rows`` index them;
    ``colours`` adds the surface colours as COLOR_0; ``copyright_`` is shown by clients (glTF 2.0, 5.9)."""
    buffer = _Buffer()
    primitive = _primitive(buffer, body, centre, colours)
    primitive["extensions"] = {
        "EXT_mesh_features": {"featureIds": [{"featureCount": count, "attribute": 0, "propertyTable": 0}]}
    }
    document = {
        "asset": asset("2.0", copyright_) | {"generator": "onemap-twin"},
        "extensionsUsed": ["EXT_mesh_features", "EXT_structural_metadata"],
        "extensions": {"EXT_structural_metadata": _metadata(buffer, table, count)},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "translation": geocentric.y_up(centre).tolist()}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [MATERIAL],
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": buffer.size}],
    }
    return _container(orjson.dumps(document), b"".join(buffer.parts))


def asset(version: str, copyright_: str) -> dict[str, Any]:
    """The ``asset`` of a glTF file or of a tileset: its version and, where there is one, the notice."""
    return {"version": version} | ({"copyright": copyright_} if copyright_ else {})


def _primitive(buffer: _Buffer, body: Body, centre: Floats, colours: bool) -> dict[str, Any]:
    n = len(body.positions)
    positions = geocentric.y_up(body.positions - centre).astype("<f4")
    normals = geocentric.y_up(body.normals).astype("<f4")
    attributes = {
        "POSITION": buffer.accessor(
            buffer.view(positions.tobytes(), ARRAY_BUFFER, 12),
            FLOAT,
            n,
            "VEC3",
            min=positions.min(axis=0).astype(float).tolist(),
            max=positions.max(axis=0).astype(float).tolist(),
        ),
        "NORMAL": buffer.accessor(buffer.view(normals.tobytes(), ARRAY_BUFFER, 12), FLOAT, n, "VEC3"),
        "_FEATURE_ID_0": _feature_ids(buffer, body.rows),
    }
    if colours:
        shade = SURFACES[np.minimum(body.surfaces, len(SURFACES) - 1)]
        view = buffer.view(shade.tobytes(), ARRAY_BUFFER, 4)
        attributes["COLOR_0"] = buffer.accessor(view, UNSIGNED_BYTE, n, "VEC4", normalized=True)
    # 65535 is the primitive restart value (glTF 2.0, 3.7.2.1)
    small = n < 65_535
    index = body.triangles.astype("<u2" if small else "<u4").tobytes()
    indices = buffer.accessor(
        buffer.view(index, ELEMENT_ARRAY_BUFFER),
        UNSIGNED_SHORT if small else UNSIGNED_INT,
        body.triangles.size,
        "SCALAR",
    )
    return {"attributes": attributes, "indices": indices, "material": 0, "mode": 4}


def _feature_ids(buffer: _Buffer, rows: NDArray[np.int64]) -> int:
    """Rows as 16-bit numbers four bytes apart (vertex data is 4-byte aligned), as floats beyond 65 535."""
    if not len(rows) or rows.max() < 65_536:
        padded = np.zeros((len(rows), 2), "<u2")
        padded[:, 0] = rows
        view = buffer.view(padded.tobytes(), ARRAY_BUFFER, 4)
        return buffer.accessor(view, UNSIGNED_SHORT, len(rows), "SCALAR")
    view = buffer.view(rows.astype("<f4").tobytes(), ARRAY_BUFFER, 4)
    return buffer.accessor(view, FLOAT, len(rows), "SCALAR")


def _metadata(buffer: _Buffer, table: Mapping[str, PropertyColumn], count: int) -> dict[str, Any]:
    properties: dict[str, dict[str, Any]] = {}
    for key, column in table.items():
        entry: dict[str, Any] = {"values": buffer.view(column.values)}
        if column.offsets is not None:
            entry |= {"stringOffsets": buffer.view(column.offsets), "stringOffsetType": "UINT32"}
        properties[key] = entry
    schema = {key: column.schema for key, column in table.items()}
    return {
        "schema": {"id": "layer", "classes": {"feature": {"properties": schema}}},
        "propertyTables": [{"class": "feature", "count": count, "properties": properties}],
    }


def _container(document: bytes, binary: bytes) -> bytes:
    """Header and chunks (glTF 2.0, 4.4); the JSON is padded so that the binary data starts at 8 n."""
    document += b" " * ((4 - len(document)) % 8)
    total = 12 + 8 + len(document) + 8 + len(binary)
    return b"".join(
        (
            struct.pack("<4sII", b"glTF", 2, total),
            struct.pack("<I4s", len(document), b"JSON"),
            document,
            struct.pack("<I4s", len(binary), b"BIN\x00"),
            binary,
        )
    )
