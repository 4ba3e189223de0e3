"""Contents of tiles: what they are by their heads, what else they need, and the box of their positions.

Batched 3D Model, Instanced 3D Model, Point Cloud and Composite as of OGC 22-025r4, annex A; glTF 2.0 clause
4.4 (GLB)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson

from layers.errors import BadFile
from layers.read.tileset.files import GZIP, begins, embedded, plain
from layers.read.tileset.volumes import Floats

type Type = Literal["b3dm", "i3dm", "cmpt", "pnts", "glb", "gltf", "tileset", "other"]

#: Bytes of a content, unpacked, that are read to find its box, and nodes of a glTF that are gone through.
_WHOLE, _NODES = 64 << 20, 100_000
_MAGIC: Mapping[bytes, Type] = {
    b"b3dm": "b3dm",
    b"i3dm": "i3dm",
    b"cmpt": "cmpt",
    b"pnts": "pnts",
    b"glTF": "glb",
    b"vctr": "other",
    b"geom": "other",
}
#: The length of each head, and of the tables that it counts.
_HEADS = {"b3dm": 28, "i3dm": 32, "pnts": 28, "cmpt": 16}
_DEEPEST = 8
_JSON, _BIN = 0x4E4F534A, 0x004E4942


class BadContent(Exception):
    """What a content is not."""


@dataclass(slots=True)
class Content:
    """A content: its type, files that it needs (as it names them), extensions of glTF that it requires."""

    type: Type
    needs: list[str] = field(default_factory=list)
    requires: set[str] = field(default_factory=set)
    #: Of glTF 1.0, which engines no longer draw.
    old: bool = False
    #: Geometries as glTF documents with their matrices.
    models: list[tuple[dict[str, Any], Floats]] = field(default_factory=list)


def type_of(path: Path) -> Type:
    """The type of a file by its first bytes. Raises BadContent, OSError."""
    head = begins(path, 32)
    with path.open("rb") as file:
        packed = file.read(2) == GZIP
    if packed and not head:
        raise BadContent("its gzip is damaged")
    return _type(head, None if packed else path.stat().st_size)


def _type(head: bytes, size: int | None) -> Type:
    if not head:
        raise BadContent("it is empty")
    known = _MAGIC.get(head[:4])
    if known is None:
        if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
            return "gltf"
        raise BadContent("it is no content of 3D Tiles")
    if known != "other" and len(head) >= 12 and size is not None:
        (length,) = struct.unpack_from("<I", head, 8)
        if length > size:
            raise BadContent(f"it says it has {length} bytes and has {size}: it is cut off")
    return known


def look(path: Path) -> Content:
    """What a content is made of, down to its positions. Raises BadContent, OSError."""
    try:
        data = plain(path, _WHOLE)
    except BadFile as error:
        raise BadContent("its gzip is damaged") from error
    if len(data) > _WHOLE:
        return Content(type_of(path))
    try:
        kind = _type(data[:32], len(data))
        found = Content(kind)
        _look(data, kind, found, 0)
    except (struct.error, *_DAMAGED) as error:
        raise BadContent(f"it is damaged ({type(error).__name__})") from error
    return found


#: What comes of members that are not what they are to be.
_DAMAGED = (ValueError, KeyError, TypeError, IndexError, AttributeError)


def _look(data: bytes, kind: Type, found: Content, depth: int) -> None:
    if kind == "cmpt":
        if depth > _DEEPEST:
            raise BadContent("it nests composites too deeply")
        for inner in _inner(data):
            _look(inner, _type(inner[:32], len(inner)), found, depth + 1)
    elif kind in ("b3dm", "i3dm"):
        head = _HEADS[kind]
        json_, binary, batch, more = struct.unpack_from("<IIII", data, 12)
        if kind == "b3dm" and (batch >= 570425344 or json_ >= 570425344):
            raise BadContent("its head is of a draft before 3D Tiles 1.0")
        table = orjson.loads(data[head : head + json_] or b"{}") if json_ else {}
        body = data[head + json_ + binary + batch + more :]
        if kind == "i3dm" and not struct.unpack_from("<I", data, 28)[0]:
            found.needs.append(body.rstrip(b"\0 ").decode())
            return
        matrix = np.eye(4)
        if kind == "b3dm" and isinstance(centre := table.get("RTC_CENTER"), list):
            matrix[:3, 3] = centre
        _glb(body, found, matrix, boxed=kind == "b3dm")
    elif kind == "glb":
        _glb(data, found, np.eye(4))
    elif kind == "gltf":
        document = orjson.loads(data)
        if "root" in document:
            found.type = "tileset"
        else:
            _document(document, found, np.eye(4))


def _inner(data: bytes) -> Iterator[bytes]:
    (count,) = struct.unpack_from("<I", data, 12)
    at = _HEADS["cmpt"]
    for _ in range(count):
        (length,) = struct.unpack_from("<I", data, at + 8)
        if length < 12 or at + length > len(data):
            raise BadContent("a content of it is cut off")
        yield data[at : at + length]
        at += length


def _glb(data: bytes, found: Content, matrix: Floats, *, boxed: bool = True) -> None:
    if data[:4] != b"glTF":
        raise BadContent("it has no glTF")
    version, length = struct.unpack_from("<II", data, 4)
    if version == 1:
        found.old = True
        return
    if length > len(data):
        raise BadContent("its glTF is cut off")
    size, kind = struct.unpack_from("<II", data, 12)
    if kind != _JSON:
        raise BadContent("its glTF does not begin with JSON")
    _document(orjson.loads(data[20 : 20 + size].rstrip(b"\0")), found, matrix, boxed=boxed)


def _document(document: dict[str, Any], found: Content, matrix: Floats, *, boxed: bool = True) -> None:
    for each in (*document.get("buffers", ()), *document.get("images", ())):
        if (uri := each.get("uri")) is not None and not embedded(uri):
            found.needs.append(uri)
    found.requires.update(document.get("extensionsRequired", ()))
    if isinstance(centre := (document.get("extensions") or {}).get("CESIUM_RTC", {}).get("center"), list):
        shift = np.eye(4)
        shift[:3, 3] = centre
        matrix = matrix @ shift
    if boxed:
        found.models.append((document, matrix))


def box(found: Content, up: str = "Y") -> Floats | None:
    """The corners (n, 3) of the boxes of all meshes, in the tile's own frame (z up: OGC 22-025r4, 6.7.1.6.1),
    None where they are not told; ``up`` is the axis of glTF that points up, Z in sets of before 1.0.
    Raises BadContent."""
    try:
        made = [_corners(document, matrix @ _UP[up]) for document, matrix in found.models]
    except _DAMAGED as error:
        raise BadContent(f"its glTF is damaged ({type(error).__name__})") from error
    corners = [one for one in made if one is not None]
    return np.concatenate(corners) if corners else None


#: glTF has y up, a tile z.
_UP = {
    "X": np.array([[0, 0, -1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], float),
    "Y": np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], float),
    "Z": np.eye(4),
}
_ENDS = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)


def _corners(document: dict[str, Any], matrix: Floats) -> Floats | None:
    nodes, meshes = document.get("nodes", []), document.get("meshes", [])
    accessors = document.get("accessors", [])
    scenes = document.get("scenes") or [{"nodes": list(range(len(nodes)))}]
    first = scenes[document.get("scene", 0)].get("nodes", [])
    made: list[Floats] = []
    waiting = [(node, matrix) for node in first]
    seen = 0
    while waiting:
        number, above = waiting.pop()
        node = nodes[number]
        seen += 1
        if seen > _NODES:
            raise BadContent("its nodes are a circle, or too many")
        here = above @ _local(node)
        waiting += [(child, here) for child in node.get("children", ())]
        if (mesh := node.get("mesh")) is None or "EXT_mesh_gpu_instancing" in node.get("extensions", {}):
            continue
        for primitive in meshes[mesh]["primitives"]:
            positions = accessors[primitive["attributes"]["POSITION"]]
            if "min" in positions and "max" in positions and not positions.get("normalized"):
                low, high = (np.array(positions[one], float) for one in ("min", "max"))
                ends = low + _ENDS * (high - low)
                made.append(ends @ here[:3, :3].T + here[:3, 3])
    return np.concatenate(made) if made else None


def _local(node: Mapping[str, Any]) -> Floats:
    if (matrix := node.get("matrix")) is not None:
        return np.array(matrix, float).reshape(4, 4).T
    made = np.eye(4)
    x, y, z, w = node.get("rotation", (0, 0, 0, 1))
    made[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    made[:3, :3] *= np.array(node.get("scale", (1, 1, 1)), float)
    made[:3, 3] = node.get("translation", (0, 0, 0))
    return made
