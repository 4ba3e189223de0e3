"""glTF 2.0 as text with buffers beside it, and as GLB (Khronos glTF 2.0.1)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from layers.errors import BadFile, shown
from layers.mesh import Material
from layers.read.meshes.accessors import Accessors, mapped, of_uri, triangle_count
from layers.read.meshes.model import Floats, Indices, Piece, Scene, Thing, bytes_of, check_count, damaged
from layers.read.meshes.sampling import sampled
from layers.read.pictures import Images
from layers.read.texture.wrapping import WRAP, Wrapping

MAGIC = b"glTF"
#: What samplers say of what lies beyond the edges of an image; all else repeats it.
_WRAPPINGS = {33071: "clamp", 33648: "mirror"}
_JSON, _BIN = 0x4E4F534A, 0x004E4942
#: Nodes inside one another, and all of them, at most.
_DEEPEST, _MOST_NODES = 200, 500_000
#: Bytes of the JSON, which takes eight times as much once it is read.
_MOST_JSON = 128 << 20
#: Extensions that change where triangles lie or what they are, and are not read.
_UNREAD = re.compile(r"draco|meshopt|EXT_mesh_gpu_instancing|KHR_texture_basisu|splat", re.IGNORECASE)


def load(path: Path, images: Images) -> Scene:
    """Read a file. Raises BadFile mesh.damaged, gltf.*, limit.triangles."""
    try:
        header, binary = _parts(mapped(path))
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


def _parts(data: memoryview) -> tuple[dict[str, Any], memoryview]:
    """The JSON and the binary chunk of a file. Raises BadFile, ValueError, struct.error."""
    binary = memoryview(b"")
    text = data
    if bytes(data[: len(MAGIC)]) == MAGIC:
        _, version, length = struct.unpack_from("<4sII", data)
        if version != 2:
            raise BadFile("gltf.version", f"glTF {version} is not read; export it as glTF 2.0")
        if length > len(data):
            raise damaged(f"it ends after {len(data)} of {length} bytes; it is cut off")
        at = 12
        text = memoryview(b"")
        while at + 8 <= length:
            size, kind = struct.unpack_from("<II", data, at)
            chunk = data[at + 8 : at + 8 + size]
            if kind == _JSON and not text:
                text = chunk
            elif kind == _BIN and not binary:
                binary = chunk
            at += 8 + size + (-size % 4)
    if len(text) > _MOST_JSON:
        reason = f"its JSON has {len(text):,} bytes, the limit is {_MOST_JSON:,}"
        raise BadFile(
            "limit.bytes", f"{reason}; export it as GLB with fewer objects, or divide it into tiles"
        )
    header = orjson.loads(text[3:] if bytes(text[:3]) == b"\xef\xbb\xbf" else text)
    if not isinstance(header, dict):
        raise TypeError("its JSON is no object")
    version = str(header.get("asset", {}).get("version", ""))
    if not version.startswith("2"):
        raise BadFile("gltf.version", f"glTF {shown(version)} is not read; export it as glTF 2.0")
    return header, binary


class _Document:
    """One file."""

    def __init__(self, header: dict[str, Any], binary: memoryview, images: Images) -> None:
        self._header = header
        self._accessors = Accessors(header, binary, images.folder)
        self._images = images
        self._looks: dict[tuple[int, Wrapping], Material] = {}
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
        meshes = [self._nodes[at]["mesh"] for at, _, _ in nodes]
        counts = [
            sum(triangle_count(each, self._accessors) for each in mesh["primitives"]) for mesh in self._meshes
        ]
        check_count(sum(counts[mesh] for mesh in meshes), len(nodes))
        pieces = {mesh: self._pieces(self._meshes[mesh]["primitives"]) for mesh in set(meshes)}
        with np.errstate(invalid="ignore", over="ignore"):  # what is no finite number is told later
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

    def _walk(self) -> Iterator[tuple[int, Floats | None, str]]:
        """(number, matrix or None where it is not moved, names above) of every node with a mesh.

        Raises BadFile gltf.cycle."""
        scenes = self._header.get("scenes")
        if scenes:
            roots = scenes[self._header.get("scene", 0)].get("nodes", [])
        else:
            children = {child for node in self._nodes for child in node.get("children", ())}
            roots = [at for at in range(len(self._nodes)) if at not in children]
        waiting: list[tuple[int, Floats | None, str, int]] = [(at, None, "", 0) for at in reversed(roots)]
        seen = 0
        while waiting:
            at, matrix, inside, depth = waiting.pop()
            seen += 1
            if depth > _DEEPEST or seen > _MOST_NODES:
                reason = "its nodes lie in one another without end, or more than 200 deep"
                raise BadFile("gltf.cycle", f"{reason}; export it with fewer groups inside one another")
            node = self._nodes[at]
            own = _matrix(node)
            matrix = own if matrix is None else matrix if own is None else matrix @ own
            if "mesh" in node:
                yield at, matrix, inside
            name = str(node.get("name") or "")
            below = "/".join(filter(None, (inside, name)))[:500]
            waiting += [(child, matrix, below, depth + 1) for child in reversed(node.get("children", ()))]

    def _pieces(self, primitives: list[Mapping[str, Any]]) -> list[Piece]:
        """The primitives of a mesh that have triangles."""
        made = ((each, self._accessors.triangles(each)) for each in primitives)
        return [self._piece(each, triangles) for each, triangles in made if triangles is not None]

    def _piece(self, primitive: Mapping[str, Any], triangles: Indices) -> Piece:
        said = primitive["attributes"]
        count = self._accessors.count(said["POSITION"])
        if len(triangles) and not 0 <= triangles.min() <= triangles.max() < count:
            raise IndexError("an index is not one of a vertex")
        chosen: Indices | slice = slice(None)
        if count > triangles.size:  # of vertices that many primitives have together
            chosen, triangles = np.unique(triangles, return_inverse=True)
            triangles = triangles.reshape(-1, 3)
        vertices = self._accessors.points(said["POSITION"], chosen)
        material, uv, name = Material(), None, ""
        if "material" in primitive:
            of = self._header["materials"][primitive["material"]]
            texture = _texture(of)
            at = said.get(f"TEXCOORD_{int(texture.get('texCoord', 0))}")
            wrap, corners = WRAP, None
            if at is not None and "index" in texture:
                corners = _uv(self._accessors.array(at)[chosen], texture)[triangles]
                wrap, corners = sampled(corners, *self._wrapping(texture))
            name, material = str(of.get("name") or ""), self._look(primitive["material"], wrap)
            if corners is not None and material.texture:
                uv = corners.astype(np.float32)
        piece = Piece(vertices, triangles, material, uv, None, name)
        if "COLOR_0" in said and self._accessors.count(said["COLOR_0"]) == count:
            whole = bytes_of(self._accessors.array(said["COLOR_0"])[chosen], len(vertices))
            if whole is not None and (whole != whole[:1]).any():
                piece.colors = whole[triangles].mean(axis=1).astype(np.uint8)
        return piece

    def _wrapping(self, texture: Mapping[str, Any]) -> tuple[Wrapping, Wrapping]:
        """How an image goes on across and down (5.26.3, 5.26.4)."""
        at = self._header["textures"][texture["index"]].get("sampler")
        said = {} if at is None else self._header["samplers"][at]
        across, down = (Wrapping(_WRAPPINGS.get(said.get(axis, 0), "wrap")) for axis in ("wrapS", "wrapT"))
        return across, down

    def _look(self, at: int, wrap: Wrapping) -> Material:
        """A material: base colour (linear, 3.9.2) and image."""
        if (at, wrap) not in self._looks:
            said = self._header["materials"][at]
            pbr = said.get("pbrMetallicRoughness", {})
            factor = [float(part) for part in pbr.get("baseColorFactor", (1, 1, 1, 1))]
            if len(factor) != 4:
                raise ValueError(f"baseColorFactor has {len(factor)} numbers, and not 4")
            alpha = factor[3] if said.get("alphaMode", "OPAQUE") != "OPAQUE" else 1.0
            color = (*(_srgb(part) for part in factor[:3]), round(min(max(alpha, 0.0), 1.0) * 255))
            texture = self._image(_texture(said), wrap)
            plain = color == (255, 255, 255, 255)
            self._looks[at, wrap] = Material(None if plain and texture else color, texture)  # type: ignore[arg-type]
        return self._looks[at, wrap]

    def _image(self, texture: Mapping[str, Any], wrap: Wrapping) -> str | None:
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
            return self._images.name(uri, wrap)
        try:
            data = bytes(self._accessors.view(image["bufferView"])) if uri is None else of_uri(uri)
        except (BadFile, KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            data = str(error).encode()  # which is no image, and told so
        return self._images.sink.texture(data, called, wrap=wrap)


def _texture(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """The base colour texture of a material, also of the older specular one."""
    made = said.get("pbrMetallicRoughness", {}).get("baseColorTexture")
    older = (said.get("extensions") or {}).get("KHR_materials_pbrSpecularGlossiness", {})
    found: Mapping[str, Any] = made or older.get("diffuseTexture") or {}
    return found


def _matrix(node: Mapping[str, Any]) -> Floats | None:
    """Where a node lies in the one above it (3.5.2, 3.5.3); None where that is the same place."""
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    if not node.keys() & {"rotation", "scale", "translation"}:
        return None
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


def _moved(piece: Piece, matrix: Floats | None) -> Piece:
    """A piece where its node is; a mirrored one is turned over."""
    if matrix is None:
        return piece
    turn = matrix[:3, :3]
    vertices = piece.vertices @ turn.T + matrix[:3, 3]
    triangles, uv = piece.triangles, piece.uv
    (a, b, c), (d, e, f), (g, h, i) = turn.tolist()
    if a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g) < 0:
        triangles, uv = triangles[:, ::-1], None if uv is None else uv[:, ::-1]
    return Piece(vertices, triangles, piece.material, uv, piece.colors, piece.name)


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
