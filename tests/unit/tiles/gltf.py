"""A reader and checker of our GLB and tileset files, written from the specifications alone."""

from __future__ import annotations

import itertools
import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TYPES = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}
COMPONENTS = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
TABLE_TYPES = {"INT32": np.int32, "FLOAT64": np.float64, "UINT32": np.uint32}


@dataclass(frozen=True)
class File:
    """A GLB taken apart: geocentric positions, normals, feature ids, triangles, table by name."""

    document: dict[str, Any]
    positions: NDArray[Any]
    normals: NDArray[Any]
    ids: NDArray[Any]
    triangles: NDArray[Any]
    table: dict[str, list[Any]]
    count: int

    def of(self, row: int) -> NDArray[Any]:
        """The triangles of one row."""
        return self.triangles[self.ids[self.triangles[:, 0]] == row]


def read(data: bytes) -> File:
    """Take a GLB apart and check all that the specifications ask of it. Raises AssertionError."""
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    json_length, json_type = struct.unpack_from("<I4s", data, 12)
    assert json_type == b"JSON"
    assert json_length % 4 == 0
    document = json.loads(data[20 : 20 + json_length])
    bin_length, bin_type = struct.unpack_from("<I4s", data, 20 + json_length)
    start = 28 + json_length
    assert bin_type == b"BIN\0"
    # EXT_structural_metadata: property buffers lie on 8 bytes, of the file too
    assert start % 8 == 0
    assert start + bin_length == len(data)
    binary = data[start:]
    assert document["buffers"] == [{"byteLength": bin_length}]
    for view in document["bufferViews"]:
        assert view["byteOffset"] % 8 == 0
        assert view["byteLength"] >= 1
        assert view["byteOffset"] + view["byteLength"] <= bin_length
    (mesh,) = document["meshes"]
    (primitive,) = mesh["primitives"]
    assert primitive["mode"] == 4
    names = primitive["attributes"]
    positions = accessor(document, binary, names["POSITION"])
    assert len({document["accessors"][i]["count"] for i in names.values()}) == 1
    normals = accessor(document, binary, names["NORMAL"])
    assert np.allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    triangles = accessor(document, binary, primitive["indices"]).reshape(-1, 3)
    assert triangles.max() < len(positions)
    ids = accessor(document, binary, names["_FEATURE_ID_0"]).ravel().astype(int)
    count, table = _table(document, binary)
    (feature_ids,) = primitive["extensions"]["EXT_mesh_features"]["featureIds"]
    assert feature_ids == {"featureCount": count, "attribute": 0, "propertyTable": 0}
    assert ids.max() < count
    (node,) = document["nodes"]
    placed = positions.astype(float) + node["translation"]
    # glTF is y-up; 3D Tiles turn it: x, -z, y
    turned = np.stack([placed[:, 0], -placed[:, 2], placed[:, 1]], axis=1)
    turned_normals = np.stack([normals[:, 0], -normals[:, 2], normals[:, 1]], axis=1)
    return File(document, turned, turned_normals, ids, triangles.astype(np.int64), table, count)


def accessor(document: dict[str, Any], binary: bytes, index: int) -> NDArray[Any]:
    """The numbers of an accessor; alignment, bounds, minimum and maximum checked."""
    entry = document["accessors"][index]
    view = document["bufferViews"][entry["bufferView"]]
    dtype, width = np.dtype(COMPONENTS[entry["componentType"]]), TYPES[entry["type"]]
    stride = view.get("byteStride", dtype.itemsize * width)
    if view.get("target") == 34962:
        assert stride % 4 == 0
    assert (entry["count"] - 1) * stride + dtype.itemsize * width <= view["byteLength"]
    raw = np.frombuffer(binary, np.uint8, entry["count"] * stride, view["byteOffset"])
    rows = raw.reshape(entry["count"], stride)[:, : dtype.itemsize * width]
    numbers = np.ascontiguousarray(rows).view(dtype).reshape(entry["count"], width)
    if "min" in entry:
        assert np.allclose(numbers.min(axis=0), entry["min"], rtol=0, atol=0)
        assert np.allclose(numbers.max(axis=0), entry["max"], rtol=0, atol=0)
    return numbers


def _table(document: dict[str, Any], binary: bytes) -> tuple[int, dict[str, list[Any]]]:
    metadata = document["extensions"]["EXT_structural_metadata"]
    (table,) = metadata["propertyTables"]
    properties = metadata["schema"]["classes"][table["class"]]["properties"]
    assert set(properties) == set(table["properties"])
    count = table["count"]
    found: dict[str, list[Any]] = {}
    for key, schema in properties.items():
        assert key.replace("_", "a").isalnum()
        assert key.isascii()
        assert not key[0].isdigit()
        entry = table["properties"][key]
        view = document["bufferViews"][entry["values"]]
        raw = binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
        found[schema.get("name", key)] = _values(document, binary, schema, entry, raw, count)
    return count, found


def _values(
    document: dict[str, Any],
    binary: bytes,
    schema: dict[str, Any],
    entry: dict[str, Any],
    raw: bytes,
    count: int,
) -> list[Any]:
    if schema["type"] == "BOOLEAN":
        assert len(raw) == (count + 7) // 8
        return np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")[:count].astype(bool).tolist()
    if schema["type"] == "STRING":
        view = document["bufferViews"][entry["stringOffsets"]]
        assert entry["stringOffsetType"] == "UINT32"
        offsets = np.frombuffer(binary, np.uint32, count + 1, view["byteOffset"])
        assert view["byteLength"] == 4 * (count + 1)
        assert offsets[0] == 0
        assert (np.diff(offsets.astype(int)) >= 0).all()
        assert offsets[-1] == len(raw)
        texts = [raw[a:b].decode() for a, b in itertools.pairwise(offsets)]
        return [None if t == schema.get("noData") else t for t in texts]
    numbers = np.frombuffer(raw, TABLE_TYPES[schema["componentType"]])
    assert len(numbers) == count
    return [None if "noData" in schema and n == schema["noData"] else n for n in numbers.tolist()]


def check_tileset(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Check a tileset; its nodes by content URI. Raises AssertionError."""
    assert document["asset"]["version"] == "1.1"
    found: dict[str, dict[str, Any]] = {}
    _walk(document["root"], document["geometricError"], None, found)
    return found


def _walk(
    node: dict[str, Any], error: float, around: list[float] | None, found: dict[str, dict[str, Any]]
) -> None:
    west, south, east, north, low, high = region = node["boundingVolume"]["region"]
    assert west < east
    assert south < north
    assert low < high
    assert node["geometricError"] <= error
    if around is not None:
        assert (np.array(region)[[0, 1, 4]] >= np.array(around)[[0, 1, 4]] - 1e-12).all()
        assert (np.array(region)[[2, 3, 5]] <= np.array(around)[[2, 3, 5]] + 1e-12).all()
    if "content" in node:
        assert node["content"]["uri"] not in found
        found[node["content"]["uri"]] = node
    for child in node.get("children", []):
        _walk(child, node["geometricError"], region, found)
