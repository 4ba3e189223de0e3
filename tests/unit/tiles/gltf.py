"""A reader and checker of our GLB and tileset files, written from the specifications alone."""

from __future__ import annotations

import itertools
import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TYPES = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
COMPONENTS = {5120: np.int8, 5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
TABLE_TYPES = {
    "INT32": np.int32,
    "FLOAT64": np.float64,
    "UINT32": np.uint32,
    "UINT16": np.uint16,
    "UINT8": np.uint8,
}


@dataclass(frozen=True)
class File:
    """A GLB taken apart: geocentric positions, normals, feature ids, triangles, table by name; of surfaces
    (the second feature ids) the id of each vertex, −1 for none, and their table; of each triangle the number
    of its material, and the texture coordinates (v, 2) of vertices that have some, else NaN."""

    document: dict[str, Any]
    positions: NDArray[Any]
    normals: NDArray[Any]
    ids: NDArray[Any]
    triangles: NDArray[Any]
    table: dict[str, list[Any]]
    count: int
    parts: NDArray[Any]
    part_table: dict[str, list[Any]]
    materials: NDArray[Any]
    uv: NDArray[Any]

    def image(self, material: int) -> str | None:
        """The address of the image of a material."""
        pbr = self.document["materials"][material]["pbrMetallicRoughness"]
        if "baseColorTexture" not in pbr:
            return None
        texture = self.document["textures"][pbr["baseColorTexture"]["index"]]
        return str(self.document["images"][texture["source"]]["uri"])

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
    pieces = [piece for node in document["nodes"] for piece in _placed(document, binary, node)]
    starts = np.cumsum([0, *(len(piece[0]) for piece in pieces)])
    positions, normals, ids, parts, uv = (np.concatenate([piece[i] for piece in pieces]) for i in range(5))
    triangles = np.concatenate([piece[5] + start for piece, start in zip(pieces, starts, strict=False)])
    materials = np.concatenate([np.full(len(piece[5]), piece[6]) for piece in pieces])
    used = {p["material"] for mesh in document["meshes"] for p in mesh["primitives"]}
    assert used == set(range(len(document["materials"])))
    assert [node["mesh"] for node in document["nodes"]] == list(range(len(document["meshes"])))
    (count, table), *others = _tables(document, binary)
    assert ids.max() < count
    named, part_table = others[0] if others else (0, {})
    assert parts.max() < max(named, 1)
    # glTF is y-up; 3D Tiles turn it: x, -z, y
    turned = np.stack([positions[:, 0], -positions[:, 2], positions[:, 1]], axis=1)
    turned_normals = np.stack([normals[:, 0], -normals[:, 2], normals[:, 1]], axis=1)
    return File(
        document,
        turned,
        turned_normals,
        ids,
        triangles.astype(np.int64),
        table,
        count,
        parts,
        part_table,
        materials,
        uv,
    )


def _placed(document: dict[str, Any], binary: bytes, node: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The pieces of a node's mesh where they are: once, or at each place of EXT_mesh_gpu_instancing, of the
    feature that EXT_instance_features names."""
    extensions = node.get("extensions", {})
    primitives = document["meshes"][node["mesh"]]["primitives"]
    pieces = [_piece(document, binary, primitive, not extensions) for primitive in primitives]
    turned = _rotation(np.array(node.get("rotation", [0, 0, 0, 1]), float))
    if not extensions:
        return [
            (piece[0].astype(float) @ turned.T + node["translation"], piece[1] @ turned.T, *piece[2:])
            for piece in pieces
        ]
    assert set(extensions) == {"EXT_mesh_gpu_instancing", "EXT_instance_features"}
    assert set(extensions) <= set(document["extensionsUsed"])
    assert document["extensionsRequired"] == ["EXT_mesh_gpu_instancing"]
    tables = document["extensions"]["EXT_structural_metadata"]["propertyTables"]
    (ids,) = extensions["EXT_instance_features"]["featureIds"]
    assert ids == {"featureCount": tables[0]["count"], "attribute": 0, "propertyTable": 0}
    attributes = extensions["EXT_mesh_gpu_instancing"]["attributes"]
    assert set(attributes) - {"ROTATION", "SCALE"} == {"TRANSLATION", "_FEATURE_ID_0"}
    assert len(attributes) == 3
    shifts, rows = (accessor(document, binary, attributes[name]) for name in ("TRANSLATION", "_FEATURE_ID_0"))
    turns, sizes = np.tile([0.0, 0, 0, 1], (len(rows), 1)), np.ones((len(rows), 3))
    if "ROTATION" in attributes:
        turns = accessor(document, binary, attributes["ROTATION"])
    else:
        sizes = accessor(document, binary, attributes["SCALE"])
    assert len(shifts) == len(turns) == len(sizes) == len(rows)
    assert np.allclose(np.linalg.norm(turns, axis=1), 1, atol=1e-6)
    found = []
    each = zip(shifts.astype(float), turns, sizes.astype(float), rows.ravel().astype(int), strict=True)
    for shift, turn, size, row in each:
        rotation = _rotation(turn.astype(float))
        for positions, normals, _, parts, *rest in pieces:
            placed = ((positions * size) @ rotation.T + shift) @ turned.T + node["translation"]
            found.append((placed, normals @ rotation.T @ turned.T, np.full(len(placed), row), parts, *rest))
    return found


def _rotation(quaternion: NDArray[Any]) -> NDArray[Any]:
    """The matrix of a unit quaternion x, y, z, w (glTF 2.0, 5.25): each column an axis, turned."""
    vector, w = quaternion[:3], quaternion[3]
    turned = [
        2 * vector.dot(axis) * vector + (w * w - vector.dot(vector)) * axis + 2 * w * np.cross(vector, axis)
        for axis in np.eye(3)
    ]
    return np.column_stack(turned)


def _piece(
    document: dict[str, Any], binary: bytes, primitive: dict[str, Any], named: bool
) -> tuple[Any, ...]:
    """Positions, normals, ids of features (where vertices are ``named``) and of surfaces, coordinates in an
    image, triangles, material."""
    assert primitive["mode"] == 4
    names = primitive["attributes"]
    positions = accessor(document, binary, names["POSITION"])
    assert len({document["accessors"][i]["count"] for i in names.values()}) == 1
    normals = accessor(document, binary, names["NORMAL"])
    assert np.allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    every = np.arange(len(positions))
    triangles = accessor(document, binary, primitive["indices"]) if "indices" in primitive else every
    triangles = triangles.reshape(-1, 3)
    assert triangles.max() < len(positions)
    assert ("_FEATURE_ID_0" in names) == ("extensions" in primitive) == named
    if not named:
        nobody = np.full(len(positions), -1)
        uv = _coordinates(document, binary, primitive)
        return positions, normals, nobody, nobody, uv, triangles, primitive["material"]
    ids = accessor(document, binary, names["_FEATURE_ID_0"]).ravel().astype(int)
    metadata = document["extensions"]["EXT_structural_metadata"]
    first, *second = primitive["extensions"]["EXT_mesh_features"]["featureIds"]
    count = metadata["propertyTables"][0]["count"]
    assert first == {"featureCount": count, "attribute": 0, "propertyTable": 0}
    parts = np.full(len(positions), -1)
    assert len(second) == len(metadata["propertyTables"]) - 1
    if second:
        named = metadata["propertyTables"][1]["count"]
        assert second == [{"featureCount": named, "attribute": 1, "propertyTable": 1, "nullFeatureId": named}]
        parts = accessor(document, binary, names["_FEATURE_ID_1"]).ravel().astype(int)
        assert parts.max() <= named
        parts[parts == named] = -1
    uv = _coordinates(document, binary, primitive)
    return positions, normals, ids, parts, uv, triangles, primitive["material"]


def _coordinates(document: dict[str, Any], binary: bytes, primitive: dict[str, Any]) -> NDArray[Any]:
    """The texture coordinates of vertices, NaN where the material has no texture."""
    names = primitive["attributes"]
    pbr = document["materials"][primitive["material"]]["pbrMetallicRoughness"]
    assert ("TEXCOORD_0" in names) == ("baseColorTexture" in pbr)
    if "TEXCOORD_0" in names:
        return accessor(document, binary, names["TEXCOORD_0"])
    return np.full((document["accessors"][names["POSITION"]]["count"], 2), np.nan)


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


def _tables(document: dict[str, Any], binary: bytes) -> list[tuple[int, dict[str, list[Any]]]]:
    """The rows and columns of each property table."""
    metadata = document["extensions"]["EXT_structural_metadata"]
    enums = metadata["schema"].get("enums", {})
    assert all(entry.get("enumType") in {None, *enums} for entry in _entries(metadata))
    assert enums.keys() <= {entry.get("enumType") for entry in _entries(metadata)}
    out = []
    for table in metadata["propertyTables"]:
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
            enum = enums.get(schema.get("enumType"))
            found[schema.get("name", key)] = _values(document, binary, schema, entry, raw, count, enum)
        out.append((count, found))
    return out


def _entries(metadata: dict[str, Any]) -> list[dict[str, Any]]:
    """What the schema says of each property of each class."""
    classes = metadata["schema"]["classes"].values()
    return [entry for one in classes for entry in one["properties"].values()]


def _values(
    document: dict[str, Any],
    binary: bytes,
    schema: dict[str, Any],
    entry: dict[str, Any],
    raw: bytes,
    count: int,
    enum: dict[str, Any] | None,
) -> list[Any]:
    if schema["type"] == "ENUM":
        assert enum is not None
        names = {one["value"]: one["name"] for one in enum["values"]}
        assert len(names) == len(set(names.values())) == len(enum["values"])
        assert all(names.values())
        codes = np.frombuffer(raw, TABLE_TYPES[enum["valueType"]])
        assert len(codes) == count
        words = [names[code] for code in codes.tolist()]
        return [None if word == schema.get("noData") else word for word in words]
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
    """Check a tileset; its nodes of features by content URI. Raises AssertionError."""
    return {uri: node for uri, node in _contents(document).items() if not uri.startswith("blocks/")}


def check_blocks(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Check a tileset; its nodes of blocks by content URI. Raises AssertionError."""
    return {uri: node for uri, node in _contents(document).items() if uri.startswith("blocks/")}


def _contents(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    assert document["asset"]["version"] == "1.1"
    found: dict[str, dict[str, Any]] = {}
    _walk(document["root"], document["geometricError"], None, found)
    for uri, node in found.items():
        # what blocks stand for takes their place at once, and nothing else is ever hidden
        is_far = uri.startswith("blocks/")
        assert node.get("refine", "ADD") == ("REPLACE" if is_far else "ADD")
        assert all("content" in child for child in node.get("children", [])) or not is_far
        assert node.get("children") or not is_far
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
