"""glTF 2.0 as text with buffers beside it, and as GLB (Khronos glTF 2.0.1).

trimesh reads buffers and primitives; nodes, materials and images are read here, so that names, missing images
and what the file needs are told.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from layers.errors import BadFile, shown
from layers.mesh import Material
from layers.read import beside
from layers.read.meshes.model import Floats, Piece, Scene, Thing, bytes_of, check_count, damaged
from layers.read.pictures import Images

MAGIC = b"glTF"
_JSON, _BIN = 0x4E4F534A, 0x004E4942
_TRIANGLES, _STRIP = 4, 5
#: Nodes inside one another, and all of them, at most.
_DEEPEST, _MOST_NODES = 200, 500_000
#: Bytes of a buffer beside the file.
_MOST_BUFFER = 2 << 30
#: Extensions that change where triangles lie or what they are, and are not read.
_UNREAD = re.compile(r"draco|meshopt|EXT_mesh_gpu_instancing|KHR_texture_basisu|splat", re.IGNORECASE)


def load(path: Path, images: Images) -> Scene:
    """Read a file. Raises BadFile mesh.damaged, gltf.*, limit.triangles."""
    data = path.read_bytes()
    try:
        header, binary = _parts(data)
        document = _Document(header, binary, images)
        return document.scene()
    except (
        KeyError,
        IndexError,
        TypeError,
        ValueError,
        AttributeError,
        AssertionError,
        struct.error,
    ) as error:
        raise damaged(f"{type(error).__name__}: {error}") from error


def _parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The JSON and the binary chunk of a file. Raises BadFile, ValueError, struct.error."""
    binary = b""
    text = data
    if data.startswith(MAGIC):
        _, version, length = struct.unpack_from("<4sII", data)
        if version != 2:
            raise BadFile("gltf.version", f"glTF {version} is not read; export it as glTF 2.0")
        if length > len(data):
            raise damaged(f"it ends after {len(data)} of {length} bytes; it is cut off")
        at = 12
        text = b""
        while at + 8 <= length:
            size, kind = struct.unpack_from("<II", data, at)
            chunk = data[at + 8 : at + 8 + size]
            if kind == _JSON and not text:
                text = chunk
            elif kind == _BIN and not binary:
                binary = chunk
            at += 8 + size + (-size % 4)
    header = orjson.loads(text.removeprefix(b"\xef\xbb\xbf"))
    if not isinstance(header, dict):
        raise TypeError("its JSON is no object")
    version = str(header.get("asset", {}).get("version", ""))
    if not version.startswith("2"):
        raise BadFile("gltf.version", f"glTF {shown(version)} is not read; export it as glTF 2.0")
    return header, binary


class _Document:
    """One file."""

    def __init__(self, header: dict[str, Any], binary: bytes, images: Images) -> None:
        self._header = header
        self._binary = binary
        self._images = images
        self._looks: dict[int, Material] = {}
        self._nodes: list[Any] = header.get("nodes", [])
        self._meshes: list[Any] = header.get("meshes", [])
        needed = [str(name) for name in header.get("extensionsRequired", [])]
        if unread := [name for name in needed if _UNREAD.search(name)]:
            reason = f"the file needs {shown(', '.join(unread))}, which is not read"
            raise BadFile("gltf.extension", f"{reason}; export it without compression")
        if any("sparse" in each for each in header.get("accessors", [])):
            raise BadFile("gltf.sparse", "the file has sparse accessors, which are not read; export it anew")

    def scene(self) -> Scene:
        """Its nodes with a mesh. Raises BadFile gltf.cycle, limit.triangles."""
        nodes = list(self._walk())
        counts = [sum(map(self._count, each["primitives"])) for each in self._meshes]
        check_count(sum(counts[self._nodes[at]["mesh"]] for at, _, _ in nodes))
        pieces = self._pieces()
        things = [
            Thing(self._called(at), [_moved(one, matrix) for one in of], inside, self._extras(at))
            for at, matrix, inside in nodes
            if (of := pieces[self._nodes[at]["mesh"]])
        ]
        return Scene("glTF", things, 1.0, "y")

    def _extras(self, at: int) -> dict[str, Any]:
        extras = self._nodes[at].get("extras")
        return extras if isinstance(extras, dict) else {}

    def _called(self, at: int) -> str:
        node = self._nodes[at]
        return str(node.get("name") or self._meshes[node["mesh"]].get("name") or f"node {at}")

    def _count(self, primitive: Mapping[str, Any]) -> int:
        """Triangles of a primitive."""
        accessors = self._header["accessors"]
        at = primitive.get("indices", primitive["attributes"].get("POSITION"))
        corners = int(accessors[at]["count"])
        return corners // 3 if primitive.get("mode", _TRIANGLES) == _TRIANGLES else corners

    def _walk(self) -> Iterator[tuple[int, Floats, str]]:
        """(number, matrix, names above) of every node with a mesh. Raises BadFile gltf.cycle."""
        scenes = self._header.get("scenes")
        if scenes:
            roots = scenes[self._header.get("scene", 0)].get("nodes", [])
        else:
            children = {child for node in self._nodes for child in node.get("children", ())}
            roots = [at for at in range(len(self._nodes)) if at not in children]
        waiting = [(at, np.eye(4), "", 0) for at in reversed(roots)]
        seen = 0
        while waiting:
            at, matrix, inside, depth = waiting.pop()
            seen += 1
            if depth > _DEEPEST or seen > _MOST_NODES:
                reason = "its nodes lie in one another without end, or more than 200 deep"
                raise BadFile("gltf.cycle", f"{reason}; export it with fewer groups inside one another")
            node = self._nodes[at]
            matrix = matrix @ _matrix(node)
            if "mesh" in node:
                yield at, matrix, inside
            name = str(node.get("name") or "")
            below = "/".join(filter(None, (inside, name)))[:500]
            waiting += [(child, matrix, below, depth + 1) for child in reversed(node.get("children", ()))]

    def _pieces(self) -> Mapping[int, list[Piece]]:
        """The primitives of each mesh."""
        from trimesh.exchange import gltf

        header = {
            name: value
            for name, value in self._header.items()
            if name in ("asset", "buffers", "bufferViews", "accessors")
        }
        header["meshes"] = [
            {"name": f"m{at}", "primitives": [*map(_bare, mesh["primitives"])]}
            for at, mesh in enumerate(self._meshes)
        ]
        header["materials"] = [{"name": str(at)} for at in range(len(self._header.get("materials", [])))]
        header["buffers"] = [self._buffer(at) for at in range(len(self._header.get("buffers", [])))]
        text = orjson.dumps(header)
        text += b" " * (-len(text) % 4)
        chunks = struct.pack("<II", len(text), _JSON) + text
        if self._binary:
            chunks += struct.pack("<II", len(self._binary), _BIN) + self._binary
        packed = struct.pack("<4sII", MAGIC, 2, 12 + len(chunks)) + chunks
        made = gltf.load_glb(io.BytesIO(packed))["geometry"]
        out: dict[int, list[Piece]] = defaultdict(list)
        for name, kwargs in made.items():
            if "faces" in kwargs:
                out[int(name.split("_")[0][1:])].append(self._piece(kwargs))
        return out

    def _buffer(self, at: int) -> dict[str, Any]:
        """A buffer as trimesh is given it: of a file beside it as a data URI. Raises BadFile mesh.missing."""
        said = self._header["buffers"][at]
        uri = said.get("uri")
        if uri is None or uri.startswith("data:"):
            return dict(said)
        try:
            data = beside.find(self._images.folder, uri, _MOST_BUFFER).read_bytes()
        except (beside.NotBeside, OSError) as error:
            reason = f"its buffer {shown(uri)} cannot be had ({error})"
            reason += "; lay it beside the file, or export it as GLB"
            raise BadFile("mesh.missing", reason) from error
        return {**said, "uri": "data:application/octet-stream;base64," + base64.b64encode(data).decode()}

    def _piece(self, kwargs: Mapping[str, Any]) -> Piece:
        vertices = np.asarray(kwargs["vertices"], np.float64)
        triangles = np.asarray(kwargs["faces"], np.int64).reshape(-1, 3)
        if len(triangles) and not 0 <= triangles.min() <= triangles.max() < len(vertices):
            raise IndexError("an index is not one of a vertex")
        visual = kwargs.get("visual")
        colors, material, uv, name = kwargs.get("vertex_colors"), Material(), None, ""
        if visual is not None:
            colors = visual.vertex_attributes.get("color", colors)
            at = int(visual.material.name)
            said = self._header["materials"][at]
            name, material = str(said.get("name") or ""), self._look(at)
            texture = _texture(said)
            stored = (kwargs.get("vertex_attributes") or {}).get(
                f"_TEXCOORD_{int(texture.get('texCoord', 0))}"
            )
            if stored is not None and material.texture:
                uv = _uv(stored, texture)[triangles].astype(np.float32)
        piece = Piece(vertices, triangles, material, uv, None, name)
        whole = None if colors is None else bytes_of(colors, len(vertices))
        if whole is not None and (whole != whole[:1]).any():
            piece.colors = whole[triangles].mean(axis=1).astype(np.uint8)
        return piece

    def _look(self, at: int) -> Material:
        """A material: base colour (linear, 3.9.2) and image."""
        if at not in self._looks:
            said = self._header["materials"][at]
            pbr = said.get("pbrMetallicRoughness", {})
            factor = [float(part) for part in pbr.get("baseColorFactor", (1, 1, 1, 1))]
            if len(factor) != 4:
                raise ValueError(f"baseColorFactor has {len(factor)} numbers, and not 4")
            alpha = factor[3] if said.get("alphaMode", "OPAQUE") != "OPAQUE" else 1.0
            color = (*(_srgb(part) for part in factor[:3]), round(min(max(alpha, 0.0), 1.0) * 255))
            texture = self._image(_texture(said))
            plain = color == (255, 255, 255, 255)
            self._looks[at] = Material(None if plain and texture else color, texture)  # type: ignore[arg-type]
        return self._looks[at]

    def _image(self, texture: Mapping[str, Any]) -> str | None:
        if "index" not in texture:
            return None
        said = self._header["textures"][texture["index"]]
        source = said.get("source")
        for extension in (said.get("extensions") or {}).values():
            source = source if source is not None else extension.get("source")
        if source is None:
            return None
        image = self._header["images"][source]
        called = str(image.get("name") or str(image.get("uri", ""))[:80] or f"image {source}")
        uri = image.get("uri")
        if isinstance(uri, str) and not uri.startswith("data:"):
            return self._images.name(uri)
        try:
            data = self._view(image["bufferView"]) if uri is None else _of_uri(uri)
        except (BadFile, KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            data = str(error).encode()  # which is no image, and told so
        return self._images.sink.texture(data, called)

    def _view(self, at: int) -> bytes:
        view = self._header["bufferViews"][at]
        buffer = self._buffer(view["buffer"])
        data = self._binary if "uri" not in buffer else _of_uri(buffer["uri"])
        begin = view.get("byteOffset", 0)
        return data[begin : begin + view["byteLength"]]


def _of_uri(uri: str) -> bytes:
    """What a data URI holds. Raises ValueError."""
    head, _, text = uri.partition(",")
    if not head.endswith(";base64"):
        raise ValueError("a data URI that is not in base64")
    try:
        return base64.b64decode(text)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def _texture(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """The base colour texture of a material, also of the older specular one."""
    made = said.get("pbrMetallicRoughness", {}).get("baseColorTexture")
    older = (said.get("extensions") or {}).get("KHR_materials_pbrSpecularGlossiness", {})
    found: Mapping[str, Any] = made or older.get("diffuseTexture") or {}
    return found


def _bare(primitive: Mapping[str, Any]) -> dict[str, Any]:
    """A primitive as trimesh is given it: it hands texture coordinates on as they are under another name."""
    said = primitive["attributes"]
    named = {f"_{name}" if name.startswith("TEXCOORD_") else name: at for name, at in said.items()}
    kept = {name: primitive[name] for name in ("indices", "mode", "material") if name in primitive}
    return {**kept, "attributes": {name: at for name, at in named.items() if name != "NORMAL"}}


def _matrix(node: Mapping[str, Any]) -> Floats:
    """Where a node lies in the one above it (3.5.2, 3.5.3)."""
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    out = np.eye(4)
    if "rotation" in node:
        x, y, z, w = (float(part) for part in node["rotation"])
        out[:3, :3] = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    out[:3, :3] *= np.array(node.get("scale", (1, 1, 1)), np.float64)
    out[:3, 3] = np.array(node.get("translation", (0, 0, 0)), np.float64)
    return out


def _moved(piece: Piece, matrix: Floats) -> Piece:
    """A piece where its node is; a mirrored one is turned over."""
    with np.errstate(invalid="ignore"):  # what is no finite number is told later
        vertices = piece.vertices @ matrix[:3, :3].T + matrix[:3, 3]
    if np.linalg.det(matrix[:3, :3]) >= 0:
        return replace(piece, vertices=vertices)
    uv = None if piece.uv is None else piece.uv[:, ::-1]
    return replace(piece, vertices=vertices, triangles=piece.triangles[:, ::-1], uv=uv)


def _uv(stored: Any, texture: Mapping[str, Any]) -> Floats:
    """Texture coordinates; whole numbers stand for 0 to 1 (3.7.2.1)."""
    made = np.asarray(stored)
    out = made.astype(np.float64)
    if made.dtype.kind == "u":
        out /= np.iinfo(made.dtype).max
    moved = (texture.get("extensions") or {}).get("KHR_texture_transform")
    if moved:
        out = out * np.array(moved.get("scale", (1, 1)), np.float64)
        turn = float(moved.get("rotation", 0))
        cos, sin = np.cos(turn), np.sin(turn)
        out = out @ np.array([[cos, sin], [-sin, cos]]).T + np.array(moved.get("offset", (0, 0)), np.float64)
    return out


def _srgb(linear: float) -> int:
    """A linear part as a byte of sRGB (IEC 61966-2-1)."""
    part = min(max(linear, 0.0), 1.0)
    return round(255 * (12.92 * part if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055))
