"""The 3D body of a feature: triangles, and what each of them is, belongs to and looks like.

A mesh of nothing but triangles is written as it always was (``MSH1``), so that a load of equal bodies writes
nothing; one that has parts, materials or texture coordinates has them behind (``MSH2``). Both are read.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Self

import numpy as np
import orjson
from numpy.typing import NDArray

#: What a texture is named by: the SHA-256 of its bytes in lower-case hexadecimal digits.
TEXTURE = re.compile(r"[0-9a-f]{64}\Z")
_HEADER = struct.Struct("<4sII")
_PLAIN = b"MSH1"
#: What the bytes of a mesh begin with that has parts, materials or texture coordinates: of no other are there
#: textures.
RICH = b"MSH2"
#: Which of the further arrays a rich mesh has.
_PARTS, _MATERIALS, _UV = 1, 2, 4


class Surface(IntEnum):
    """Semantic surface types (CityGML 2.0 clause 10.3.2, CityJSON 2.0 section 3.3)."""

    UNKNOWN = 0
    GROUND = 1
    WALL = 2
    ROOF = 3
    CEILING = 4
    FLOOR = 5
    CLOSURE = 6
    WINDOW = 7
    DOOR = 8


@dataclass(frozen=True, slots=True)
class Part:
    """What triangles belong to inside a feature: a semantic surface, an installation, an element.

    ``id`` is the source's own (gml:id, GlobalId), ``type`` its class there (``RoofSurface``, ``Window``,
    ``IfcDoor``), ``name`` its name; each empty where the source has none."""

    id: str
    type: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Material:
    """How triangles look: ``color`` in sRGB and alpha, 0 to 255 each, None for that of the kind of surface;
    ``texture`` the SHA-256 (hex) under which the store keeps the image, None without one. Where there are
    both, the colour is multiplied in (glTF 2.0, 3.9.2)."""

    color: tuple[int, int, int, int] | None = None
    texture: str | None = None


@dataclass(frozen=True, slots=True)
class Mesh:
    """The 3D body of a feature.

    positions: float64 (n, 3) longitude, latitude (degrees), height (m);
    triangles: uint32 (m, 3) indices into positions, counter-clockwise seen from outside;
    surfaces: uint8 (m,) one :class:`Surface` a triangle;
    parts: uint32 (m,) indices into part_table, or None where the source names no parts; what belongs to none
    among others has ``Part("", "")``;
    materials: uint16 (m,) indices into material_table, or None for the colours of the kinds of surface;
    uv: float32 (m, 3, 2) texture coordinates of the corners as glTF counts them (0, 0 is the upper left of
    the image, v goes down; glTF 2.0, 3.8.2), or None where no material has a texture.
    """

    positions: NDArray[np.float64]
    triangles: NDArray[np.uint32]
    surfaces: NDArray[np.uint8]
    parts: NDArray[np.uint32] | None = None
    part_table: tuple[Part, ...] = ()
    materials: NDArray[np.uint16] | None = None
    material_table: tuple[Material, ...] = ()
    uv: NDArray[np.float32] | None = None

    def textures(self) -> set[str]:
        """The images that its materials name."""
        return {one.texture for one in self.material_table if one.texture is not None}

    def to_bytes(self) -> bytes:
        """Little-endian blob: ``MSH1``, counts (uint32 each), positions, triangles, surfaces.

        ``MSH2`` where there is more: the same, then a byte that tells which of parts (1), materials (2) and
        uv (4) follow in this order, and JSON of the two tables."""
        blob = [
            np.ascontiguousarray(self.positions, "<f8").tobytes(),
            np.ascontiguousarray(self.triangles, "<u4").tobytes(),
            np.ascontiguousarray(self.surfaces, "u1").tobytes(),
        ]
        has = 0
        more: list[bytes] = []
        for bit, array, kind in ((_PARTS, self.parts, "<u4"), (_MATERIALS, self.materials, "<u2")):
            if array is not None:
                has |= bit
                more.append(np.ascontiguousarray(array, kind).tobytes())
        if self.uv is not None:
            has |= _UV
            more.append(np.ascontiguousarray(self.uv, "<f4").tobytes())
        head = _HEADER.pack(RICH if has else _PLAIN, len(self.positions), len(self.triangles))
        if not has:
            return b"".join([head, *blob])
        tables = {
            "parts": [[one.id, one.type, one.name] for one in self.part_table],
            "materials": [[one.color, one.texture] for one in self.material_table],
        }
        return b"".join([head, *blob, bytes([has]), *more, orjson.dumps(tables)])

    @classmethod
    def from_bytes(cls, blob: bytes) -> Self:
        """The inverse of :meth:`to_bytes`. Raises ValueError on a blob that is not one."""
        if len(blob) < _HEADER.size:
            raise ValueError("mesh blob is truncated")
        magic, n, m = _HEADER.unpack_from(blob)
        at = _HEADER.size + n * 24 + m * 13
        whole = len(blob) == at if magic == _PLAIN else magic == RICH and len(blob) > at
        if not whole:
            raise ValueError("not a mesh blob")
        positions = np.frombuffer(blob, "<f8", n * 3, _HEADER.size).reshape(n, 3)
        triangles = np.frombuffer(blob, "<u4", m * 3, at - m * 13).reshape(m, 3)
        surfaces = np.frombuffer(blob, "u1", m, at - m)
        if m and int(triangles.max()) >= n:
            raise ValueError("a triangle of the mesh is beyond its positions")
        if magic == _PLAIN:
            return cls(positions, triangles, surfaces)
        has = blob[at]
        at += 1
        sizes = {_PARTS: 4 * m, _MATERIALS: 2 * m, _UV: 24 * m}
        if not has or has & ~sum(sizes) or len(blob) < at + sum(size for b, size in sizes.items() if has & b):
            raise ValueError("not a mesh blob")
        parts = materials = uv = None
        if has & _PARTS:
            parts = np.frombuffer(blob, "<u4", m, at)
            at += sizes[_PARTS]
        if has & _MATERIALS:
            materials = np.frombuffer(blob, "<u2", m, at)
            at += sizes[_MATERIALS]
        if has & _UV:
            uv = np.frombuffer(blob, "<f4", 6 * m, at).reshape(m, 3, 2)
            at += sizes[_UV]
        tables = orjson.loads(memoryview(blob)[at:])
        part_table = _rows(tables, "parts", _part, parts)
        material_table = _rows(tables, "materials", _material, materials)
        return cls(positions, triangles, surfaces, parts, part_table, materials, material_table, uv)


def _rows[T](tables: Any, name: str, row: Callable[[Any], T], used: NDArray[Any] | None) -> tuple[T, ...]:
    """A table of the tail. Raises ValueError if it is none, or if an index is beyond it."""
    known = tables.get(name) if isinstance(tables, dict) else None
    if not isinstance(known, list):
        raise ValueError(f"the mesh has no table of {name}")
    if used is not None and len(used) and int(used.max()) >= len(known):
        raise ValueError(f"a triangle of the mesh is beyond its table of {name}")
    return tuple(row(one) for one in known)


def _part(row: Any) -> Part:
    match row:
        case [str(id_), str(type_), str(name)]:
            return Part(id_, type_, name)
    raise ValueError("a part of the mesh is none")


def _material(row: Any) -> Material:
    match row:
        case [None | list() as color, None | str() as texture]:
            if texture is None or TEXTURE.match(texture):
                return Material(_color(color), texture)
    raise ValueError("a material of the mesh is none")


def _color(values: Sequence[Any] | None) -> tuple[int, int, int, int] | None:
    if values is None:
        return None
    match values:
        case [int(r), int(g), int(b), int(a)] if all(0 <= one <= 255 for one in (r, g, b, a)):
            return r, g, b, a
    raise ValueError("a colour of the mesh is none")
