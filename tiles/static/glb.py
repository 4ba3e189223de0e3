"""What a check reads of a GLB of ours: where its vertices are, and the rows of its first property table."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tiles.scheme import Floats

_COMPONENTS = {5120: "i1", 5121: "u1", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_TABLE = {"INT32": "<i4", "FLOAT64": "<f8"}
_HEAD, _MAGIC = 20, b"glTF"


@dataclass(frozen=True, slots=True)
class Content:
    """positions float64 (v, 3) in geocentric metres; numbers are those properties of the table by name."""

    positions: Floats
    count: int
    numbers: dict[str, NDArray[Any]]
    #: Features that are more than the file may have.
    beyond: int


def read(data: bytes) -> Content:
    """Take a file apart, in its plain form. Raises ValueError."""
    try:
        magic, version, length, json_length, _ = struct.unpack_from("<4sII I4s", data)
        if (magic, version, length) != (_MAGIC, 2, len(data)):
            raise ValueError("is no GLB of its length")
        document = orjson.loads(data[_HEAD : _HEAD + json_length])
        binary = data[_HEAD + json_length + 8 :]
        metadata = document["extensions"]["EXT_structural_metadata"]
        table = metadata["propertyTables"][0]
        properties = metadata["schema"]["classes"][table["class"]]["properties"]
        numbers = {
            name: _view(document, binary, table["properties"][name]["values"], _TABLE[one["componentType"]])
            for name, one in properties.items()
            if one["type"] == "SCALAR"
        }
        every = [_placed(document, binary, node) for node in document["nodes"]]
    except (KeyError, IndexError, TypeError, struct.error, orjson.JSONDecodeError) as error:
        raise ValueError(f"cannot be read: {error!r}") from error
    beyond = int(document["asset"].get("extras", {}).get("features_beyond_budget", 0))
    return Content(np.concatenate(every), table["count"], numbers, beyond)


def _placed(document: dict[str, Any], binary: bytes, node: dict[str, Any]) -> Floats:
    found = [
        _vectors(document, binary, one["attributes"]["POSITION"])
        for one in document["meshes"][node["mesh"]]["primitives"]
    ]
    points = np.concatenate(found)
    if "rotation" in node:
        vector, w = np.array(node["rotation"][:3]), node["rotation"][3]
        across = 2 * np.cross(vector, points)
        points = points + w * across + np.cross(vector, across)
    points = points + np.array(node["translation"])
    # glTF is y-up: 3D Tiles turn it
    return np.stack([points[:, 0], -points[:, 2], points[:, 1]], axis=1)


def _vectors(document: dict[str, Any], binary: bytes, index: int) -> Floats:
    accessor = document["accessors"][index]
    type_ = np.dtype(_COMPONENTS[accessor["componentType"]])
    flat = _view(document, binary, accessor["bufferView"], type_)
    return flat.reshape(accessor["count"], _WIDTHS[accessor["type"]]).astype(float)


def _view(document: dict[str, Any], binary: bytes, index: int, type_: Any) -> NDArray[Any]:
    view = document["bufferViews"][index]
    start = view["byteOffset"]
    return np.frombuffer(binary[start : start + view["byteLength"]], type_)
