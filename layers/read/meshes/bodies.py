"""Things as bodies: the pieces of many as arrays, which are gone through together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layers.mesh import Material, Part
from layers.read.anchor import Anchor
from layers.read.faces import Shell
from layers.read.meshes.model import Floats, Indices, Piece, Thing

#: Triangles, and things, that are gone through together.
_TRIANGLES, _THINGS = 200_000, 5_000
#: Colours of a body's triangles that are kept apart; of more there is one, their mean.
_MOST_COLORS = 256


@dataclass(frozen=True, slots=True)
class Named:
    """A thing, the number of its row and its id."""

    row: int
    thing: Thing
    id: str


@dataclass(frozen=True, slots=True)
class Bodies:
    """Bodies one after the other: vertices (n, 3) in metres, z up, and the body (n,) of each; triangles
    (m, 3) and the body (m,), part (m,) and material (m,) of each, the last two as indices into the tables of
    its body; ``uv`` (m, 3, 2), None where no body is ``textured``."""

    named: Sequence[Named]
    vertices: Floats
    of_vertex: Indices
    triangles: Indices
    body: Indices
    part: NDArray[np.uint32]
    part_tables: Sequence[tuple[Part, ...]]
    look: NDArray[np.uint16]
    look_tables: Sequence[tuple[Material, ...]]
    uv: NDArray[np.float32] | None
    textured: NDArray[np.bool_]

    def shells(
        self,
        positions: Floats,
        firsts: Indices,
        triangles: Indices,
        ends: Indices,
        kept: Indices,
        turned: NDArray[np.bool_],
    ) -> Iterator[Shell]:
        """The bodies over other positions, those of each from ``firsts`` on, and other triangles, which end
        at ``ends``: which of its own these are, and which of them are turned."""
        index = (triangles - np.repeat(firsts[:-1], np.diff(ends, prepend=0))[:, None]).astype(np.uint32)
        surfaces = np.zeros(len(triangles), np.uint8)
        part, look = self.part[kept], self.look[kept]
        uv = None if self.uv is None else self.uv[kept]
        if uv is not None:
            uv[turned] = uv[turned][:, ::-1]
        begin = 0
        for k, end in enumerate(ends.tolist()):
            parts, looks = self.part_tables[k], self.look_tables[k]
            named = len(parts) > 1 or bool(parts[0].name)
            plain = looks == (Material(),)
            yield Shell(
                positions[firsts[k] : firsts[k + 1]],
                index[begin:end],
                surfaces[begin:end],
                part[begin:end] if named else None,
                parts if named else (),
                None if plain else look[begin:end],
                () if plain else looks,
                uv[begin:end] if uv is not None and self.textured[k] else None,
            )
            begin = end


def several(named: Sequence[Named], anchor: Anchor) -> Iterator[Bodies]:
    """All things, some at a time."""
    some: list[Named] = []
    count = 0
    for each in named:
        some.append(each)
        count += sum(len(piece.triangles) for piece in each.thing.pieces)
        if count >= _TRIANGLES or len(some) >= _THINGS:
            yield _gathered(some, anchor)
            some, count = [], 0
    if some:
        yield _gathered(some, anchor)


def _gathered(named: Sequence[Named], anchor: Anchor) -> Bodies:
    pieces = [piece for each in named for piece in each.thing.pieces]
    of_piece = np.repeat(np.arange(len(named)), [len(each.thing.pieces) for each in named])
    corners = np.array([len(piece.vertices) for piece in pieces])
    counts = np.array([len(piece.triangles) for piece in pieces])
    first = np.repeat(np.cumsum(corners) - corners, counts)
    parts = [dict.fromkeys(Part("", "material", piece.name) for piece in each.thing.pieces) for each in named]
    numbers = [{part: number for number, part in enumerate(own)} for own in parts]
    part = [
        numbers[body][Part("", "material", piece.name)]
        for body, piece in zip(of_piece.tolist(), pieces, strict=True)
    ]
    looks: list[dict[Material, int]] = [{} for _ in named]
    look = [_looks(piece, looks[body]) for body, piece in zip(of_piece.tolist(), pieces, strict=True)]
    textured = np.zeros(len(named), bool)
    textured[
        [body for body, piece in zip(of_piece.tolist(), pieces, strict=True) if piece.uv is not None]
    ] = True
    uv = None
    if textured.any():
        uv = np.zeros((int(counts.sum()), 3, 2), np.float32)
        for piece, end in zip(pieces, np.cumsum(counts).tolist(), strict=True):
            if piece.uv is not None:
                uv[end - len(piece.uv) : end] = piece.uv
    return Bodies(
        named,
        anchor.metres(np.concatenate([piece.vertices for piece in pieces])),
        np.repeat(of_piece, corners),
        np.concatenate([piece.triangles for piece in pieces]) + first[:, None],
        np.repeat(of_piece, counts),
        np.repeat(np.array(part, np.uint32), counts),
        [tuple(own) for own in parts],
        np.concatenate(look),
        [tuple(own) for own in looks],
        uv,
        textured,
    )


def _looks(piece: Piece, looks: dict[Material, int]) -> NDArray[np.uint16]:
    """The number of the material of each triangle."""
    count = len(piece.triangles)
    if piece.colors is None or piece.material.texture:
        return np.full(count, looks.setdefault(piece.material, len(looks)), np.uint16)
    colors, index = np.unique(piece.colors, axis=0, return_inverse=True)
    if len(colors) > _MOST_COLORS:  # the nearest of so many steps of each part
        colors, index = np.unique(piece.colors // 43 * 43 + 21, axis=0, return_inverse=True)
    numbers = [looks.setdefault(Material(tuple(color)), len(looks)) for color in colors.tolist()]
    return np.array(numbers, np.uint16)[index.reshape(-1)]
