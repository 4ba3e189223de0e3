"""3D Studio (.3ds): objects of a binary tree of chunks, as lib3ds documents them. trimesh has no reader of it
since it let go of Assimp, and a file has some fifteen kinds of chunks that matter."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from layers.errors import BadFile
from layers.mesh import Material
from layers.read.encodings import text_of
from layers.read.meshes.model import Indices, Piece, Scene, Thing, check_count, damaged
from layers.read.pictures import Images
from layers.read.texture.wrapping import Wrapping

_MAIN, _EDITOR, _OBJECT, _MESH = 0x4D4D, 0x3D3D, 0x4000, 0x4100
_VERTICES, _FACES, _OF_MATERIAL, _UV = 0x4110, 0x4120, 0x4130, 0x4140
_MATERIAL, _NAME, _DIFFUSE, _CLEAR, _MAP, _FILE = 0xAFFF, 0xA000, 0xA020, 0xA050, 0xA200, 0xA300
#: How a map goes on beyond its edges: a chunk of flags, and two of these.
_TILING, _MIRROR, _NO_TILE = 0xA351, 0x0002, 0x0010
#: Bytes of a file: as many triangles and corners as are taken have fewer.
_MOST = 128 << 20
_RGB_FLOAT, _RGB, _RGB_LINEAR, _RGB_FLOAT_LINEAR, _PERCENT = 0x0010, 0x0011, 0x0012, 0x0013, 0x0030


def load(path: Path, images: Images) -> Scene:
    """Read a file. Raises BadFile mesh.damaged, limit.bytes, limit.triangles."""
    if (size := path.stat().st_size) > _MOST:
        reason = f"the file has {size:,} bytes, the limit is {_MOST:,}"
        raise BadFile("limit.bytes", f"{reason}; divide it into tiles, or export it as GLB")
    data = path.read_bytes()
    try:
        (main,) = [each for each in _chunks(data, 0, len(data)) if each[0] == _MAIN]
        editors = [each for each in _chunks(data, main[1], main[2]) if each[0] == _EDITOR]
        inside = [each for editor in editors for each in _chunks(data, editor[1], editor[2])]
        check_count(sum(_counts(data, inside)), sum(each[0] == _OBJECT for each in inside))
        materials = dict(_material(data, each, images) for each in inside if each[0] == _MATERIAL)
        things = [made for each in inside if each[0] == _OBJECT for made in _object(data, each, materials)]
    except (struct.error, ValueError, IndexError) as error:
        raise damaged(f"a chunk is not as it says ({error})") from error
    return Scene("3DS", things)


def _counts(data: bytes, chunks: Iterable[_Chunk]) -> Iterator[int]:
    """The triangles of each object."""
    for kind, begin, end in chunks:
        if kind in (_OBJECT, _MESH):
            inside = begin if kind == _MESH else _text(data, begin, end)[1]
            yield from _counts(data, _chunks(data, inside, end))
        elif kind == _FACES:
            yield int(struct.unpack_from("<H", data, begin)[0])


type _Chunk = tuple[int, int, int]


def _chunks(data: bytes, begin: int, end: int) -> Iterator[_Chunk]:
    """(kind, begin, end) of the chunks between two bytes. Raises ValueError."""
    while begin + 6 <= end:
        kind, size = struct.unpack_from("<HI", data, begin)
        if size < 6 or begin + size > end:
            raise ValueError(f"chunk {kind:04x} at byte {begin} ends beyond the one around it")
        yield kind, begin + 6, begin + size
        begin += size


def _text(data: bytes, begin: int, end: int) -> tuple[str, int]:
    """A text that ends in a zero byte, and where it ends."""
    stop = data.index(0, begin, end)
    return text_of(data[begin:stop]), stop + 1


def _material(data: bytes, chunk: _Chunk, images: Images) -> tuple[str, Material]:
    name, color, alpha, texture = "", (255, 255, 255), 255, None
    for kind, begin, end in _chunks(data, chunk[1], chunk[2]):
        if kind == _NAME:
            name = _text(data, begin, end)[0]
        elif kind == _DIFFUSE:
            color = _color(data, begin, end) or color
        elif kind == _CLEAR:
            for inner, at, _ in _chunks(data, begin, end):
                if inner == _PERCENT:
                    alpha = round(255 * (1 - min(struct.unpack_from("<H", data, at)[0], 100) / 100))
        elif kind == _MAP:
            inside = {inner: (at, stop) for inner, at, stop in _chunks(data, begin, end)}
            flags = struct.unpack_from("<H", data, inside[_TILING][0])[0] if _TILING in inside else 0
            wrap = Wrapping("none" if flags & _NO_TILE else "mirror" if flags & _MIRROR else "wrap")
            if _FILE in inside:
                texture = images.name(_text(data, *inside[_FILE])[0], wrap)
    return name, Material(None, texture) if texture else Material((*color, alpha))


def _color(data: bytes, begin: int, end: int) -> tuple[int, int, int] | None:
    for kind, at, _ in _chunks(data, begin, end):
        if kind in (_RGB, _RGB_LINEAR):
            red, green, blue = struct.unpack_from("<3B", data, at)
            return red, green, blue
        if kind in (_RGB_FLOAT, _RGB_FLOAT_LINEAR):
            red, green, blue = (round(min(max(p, 0), 1) * 255) for p in struct.unpack_from("<3f", data, at))
            return red, green, blue
    return None


def _object(data: bytes, chunk: _Chunk, materials: dict[str, Material]) -> Iterator[Thing]:
    """The mesh of an object; cameras and lights have none."""
    name, begin = _text(data, chunk[1], chunk[2])
    for kind, at, end in _chunks(data, begin, chunk[2]):
        if kind == _MESH:
            pieces = list(_pieces(data, at, end, materials))
            if pieces:
                yield Thing(name, pieces)


def _pieces(data: bytes, begin: int, end: int, materials: dict[str, Material]) -> Iterator[Piece]:
    """The faces of an object by material; vertices of 3DS are in the scene's own axes already."""
    vertices, uv = np.empty((0, 3)), None
    faces: Indices = np.empty((0, 3), np.int64)
    of: dict[str, Any] = {}
    for kind, at, stop in _chunks(data, begin, end):
        if kind == _VERTICES:
            vertices = _array(data, at, "<f4", 3).astype(np.float64)
        elif kind == _UV:
            uv = _array(data, at, "<f4", 2).astype(np.float64)
        elif kind == _FACES:
            faces = _array(data, at, "<u2", 4)[:, :3].astype(np.int64)
            for inner, first, last in _chunks(data, at + 2 + 8 * len(faces), stop):
                if inner == _OF_MATERIAL:
                    name, behind = _text(data, first, last)
                    of[name] = _array(data, behind, "<u2", 1)[:, 0].astype(np.int64)
    if len(faces) and faces.max() >= len(vertices):
        raise ValueError("a face names a vertex that is not there")
    left = np.ones(len(faces), bool)
    for name, chosen in of.items():
        left[chosen] = False
        look = materials.get(name, Material())
        shown = uv is not None and len(uv) == len(vertices) and look.texture is not None
        corners = (
            (uv * [1, -1] + [0, 1])[faces[chosen]].astype(np.float32) if shown and uv is not None else None
        )
        yield Piece(vertices, faces[chosen], look, corners, None, name)
    if left.any():
        yield Piece(vertices, faces[left])


def _array(data: bytes, at: int, kind: str, columns: int) -> Any:
    """An array behind its number of rows."""
    (count,) = struct.unpack_from("<H", data, at)
    return np.frombuffer(data, kind, count * columns, at + 2).reshape(-1, columns)
