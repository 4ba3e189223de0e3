"""What the vertices of a body belong to and look like, where a source says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from layers.mesh import Material, Mesh, Part

#: The first row of both tables of a skin: of what is said nothing.
NO_PART, NO_MATERIAL = Part("", ""), Material()


@dataclass(frozen=True, slots=True)
class Skin:
    """Of v vertices: parts int64 (v,) indices into part_table, whose rows are one a part of one feature, with
    the kind of surface of each (:class:`layers.mesh.Surface`); materials int64 (v,) indices into
    material_table, each row of it once; uv float32 (v, 2) as in :class:`layers.mesh.Mesh`. The first row of
    either table is that of a vertex of which nothing is said."""

    parts: NDArray[np.int64]
    materials: NDArray[np.int64]
    uv: NDArray[np.float32]
    part_table: tuple[Part, ...] = (NO_PART,)
    part_surfaces: tuple[int, ...] = (0,)
    material_table: tuple[Material, ...] = (NO_MATERIAL,)


@dataclass(slots=True)
class _Tables:
    """The tables of several skins as one."""

    parts: list[Part] = field(default_factory=lambda: [NO_PART])
    surfaces: list[int] = field(default_factory=lambda: [0])
    materials: dict[Material, int] = field(default_factory=lambda: {NO_MATERIAL: 0})

    def shift(self, skin: Skin) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where the rows of a skin's tables are, once they are added."""
        first = len(self.parts) - 1
        self.parts += skin.part_table[1:]
        self.surfaces += skin.part_surfaces[1:]
        parts = np.arange(len(skin.part_table)) + first
        parts[0] = 0
        materials = [self.materials.setdefault(one, len(self.materials)) for one in skin.material_table]
        return parts, np.array(materials, np.int64)


def none(vertices: int) -> Skin:
    """The skin of vertices of which nothing is said."""
    return Skin(
        np.zeros(vertices, np.int64), np.zeros(vertices, np.int64), np.zeros((vertices, 2), np.float32)
    )


def join(skins: Sequence[Skin | None], vertices: Sequence[int]) -> Skin | None:
    """The skins of bodies with so many vertices as one; None where none of them has any."""
    if not any(skins):
        return None
    tables = _Tables()
    parts, materials, uv = [], [], []
    for one, count in zip(skins, vertices, strict=True):
        skin = none(count) if one is None else one
        part_at, material_at = tables.shift(skin)
        parts.append(part_at[skin.parts])
        materials.append(material_at[skin.materials])
        uv.append(skin.uv)
    return Skin(
        np.concatenate(parts),
        np.concatenate(materials),
        np.concatenate(uv),
        tuple(tables.parts),
        tuple(tables.surfaces),
        tuple(tables.materials),
    )


def of(meshes: Sequence[Mesh], keep: NDArray[np.bool_]) -> Skin | None:
    """The skin of those triangles of meshes, one mesh after the other, three vertices each; None for meshes
    of triangles alone."""
    if all(mesh.parts is None and mesh.materials is None for mesh in meshes):
        return None
    parts: list[Part] = [NO_PART]
    looks: dict[Material, int] = {NO_MATERIAL: 0}
    part_of: list[NDArray[np.int64]] = []
    look_of: list[NDArray[np.int64]] = []
    for mesh in meshes:
        count = len(mesh.triangles)
        if mesh.parts is None:
            part_of.append(np.zeros(count, np.int64))
        else:
            part_of.append(mesh.parts.astype(np.int64) + len(parts))
            parts += mesh.part_table
        if mesh.materials is None:
            look_of.append(np.zeros(count, np.int64))
        else:
            table = np.array([looks.setdefault(one, len(looks)) for one in mesh.material_table], np.int64)
            look_of.append(table[mesh.materials])
    uv = [
        np.zeros((len(mesh.triangles), 3, 2), np.float32) if mesh.uv is None else mesh.uv for mesh in meshes
    ]
    kinds = np.concatenate([mesh.surfaces for mesh in meshes])[keep]
    numbers, named, surfaces = _used(np.concatenate(part_of)[keep], parts, kinds)
    return Skin(
        np.repeat(numbers, 3),
        np.repeat(np.concatenate(look_of)[keep], 3),
        np.concatenate(uv)[keep].reshape(-1, 2),
        named,
        surfaces,
        tuple(looks),
    )


def _used(
    numbers: NDArray[np.int64], parts: Sequence[Part], kinds: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], tuple[Part, ...], tuple[int, ...]]:
    """The parts that triangles belong to, numbered anew, those that say nothing as the first; with the kind
    of surface that the first triangle of each has."""
    used, first, index = np.unique(numbers, return_index=True, return_inverse=True)
    named = [parts[i] for i in used.tolist()]
    told = np.array([bool(one.id or one.type or one.name) for one in named], bool)
    at = np.where(told, np.cumsum(told), 0)
    table = (NO_PART, *(one for one, is_told in zip(named, told.tolist(), strict=True) if is_told))
    return at[index.reshape(-1)], table, (0, *kinds[first][told].tolist())
