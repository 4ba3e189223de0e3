"""Positions of many shapes at once: numpy's price is a call's, not a number's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from layers import crs
from layers.errors import BadFile
from layers.mesh import Material
from layers.read.citygml.appearance import Appearance
from layers.read.citygml.geometry import Shape
from layers.read.citygml.positions import numbers
from layers.read.faces import Bodies
from layers.read.frame import instanced
from layers.read.triangles import Rings

type Floats = NDArray[np.float64]
type Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Placed:
    """Positions (n, 3) of all rings, lines and points of shapes, x first; where each begins and ends among
    them, and the first of each shape. One whose numbers are not so many as its dimension wants has none."""

    positions: Floats
    starts: Indices
    ends: Indices
    first: Indices
    #: Texture coordinates of the positions as glTF counts them, NaN where there are none.
    uv: Floats | None

    def corners(self) -> list[int]:
        """How many positions each shape has."""
        ends = np.append(self.ends, 0)[
            np.maximum(self.first - 1, -1)
        ]  # of the ring before, 0 before the first
        return [int(many) for many in np.diff(ends)]

    def line(self, number: int, shape: Shape) -> shapely.Geometry | None:
        """The lines of a shape as one geometry; None without any."""
        return self._made(number, shape, shape.lines, points=False)

    def point(self, number: int, shape: Shape) -> shapely.Geometry | None:
        """The points of a shape as one geometry; None without any."""
        return self._made(number, shape, shape.points, points=True)

    def _made(self, of: int, shape: Shape, chosen: Iterable[int], *, points: bool) -> shapely.Geometry | None:
        made: list[Any] = []
        for number in chosen:
            ring = self.first[of] + number
            own = self.positions[self.starts[ring] : self.ends[ring]]
            if not np.isfinite(own).all():
                shape.faults["ring.nan"] += 1
            elif points and len(own):
                made.append(shapely.points(own[0]))
            elif not points:
                if len(own):
                    own = own[np.concatenate([[True], (np.diff(own, axis=0) != 0).any(axis=1)])]
                if len(own) > 1:
                    made.append(shapely.linestrings(own))
                else:
                    shape.faults["ring.short"] += 1
        if not made:
            return None
        if len(made) == 1:
            return made[0]
        return shapely.multipoints(made) if points else shapely.multilinestrings(made)


def placed(shapes: Sequence[Shape]) -> Placed:
    """The positions of shapes."""
    counted = np.array([len(shape.rings) for shape in shapes], np.int64)
    first = np.cumsum(np.append(0, counted))
    values, counts = numbers([text for shape in shapes for text in shape.rings])
    dimension = np.repeat(np.array([shape.frame.dimension for shape in shapes], np.int64), counted)
    wrong = counts % dimension != 0
    if wrong.any():
        owner = np.repeat(np.arange(len(shapes)), counted)
        for number in owner[wrong].tolist():
            shapes[number].faults["gml.dimension"] += 1
        values = values[~np.repeat(wrong, counts)]
        counts = np.where(wrong, 0, counts)
    many = counts // dimension
    out = np.zeros((int(many.sum()), 3))
    flat = np.repeat(dimension == 2, many)
    if flat.any():
        of_flat = np.repeat(dimension == 2, counts)
        out[flat, :2] = values[of_flat].reshape(-1, 2)
        out[~flat] = values[~of_flat].reshape(-1, 3)
    else:
        out = values.reshape(-1, 3)
    ends = np.cumsum(many)
    made = Placed(out, ends - many, ends, first, _uv(shapes, first, ends - many, ends))
    _turn(made, shapes, counted)
    _moved(made, shapes)
    return made


def _uv(shapes: Sequence[Shape], first: Indices, starts: Indices, ends: Indices) -> Floats | None:
    """The texture coordinates of all positions; those of a ring that has more or fewer are left out. The
    last of a ring may be missing, which is its first."""
    named = [(first[k] + ring, text) for k, shape in enumerate(shapes) for ring, text in shape.uv.items()]
    if not named:
        return None
    out = np.full((int(ends[-1]), 2), np.nan)
    values, counts = numbers([text for _, text in named])
    after = np.cumsum(counts).tolist()
    for (ring, _), begin, end in zip(named, (0, *after), after, strict=False):
        start, many = starts[ring], ends[ring] - starts[ring]
        own = values[begin:end]
        if len(own) == 2 * (many - 1):
            own = np.append(own, own[:2])
        if len(own) == 2 * many and np.isfinite(own).all():
            out[start : start + many] = own.reshape(-1, 2)
    out[:, 1] = 1 - out[:, 1]
    return out


def _turn(made: Placed, shapes: Sequence[Shape], counted: Indices) -> None:
    """Bring x before y, and implicit geometries to their places."""
    out, starts, ends = made.positions, made.starts, made.ends
    north = np.repeat(np.array([shape.frame.north_first for shape in shapes], bool), counted)
    framed = [(k, frame) for k, s in enumerate(shapes) for frame in s.implicit if frame.first < frame.last]
    for k, frame in framed:  # a shape in a frame of its own counts as that does
        north[made.first[k] + frame.first : made.first[k] + frame.last] = False
    if north.any():
        turned = np.repeat(north, ends - starts)
        out[turned, :2] = out[turned, 1::-1]
    for k, frame in framed:
        first = made.first[k]
        point = first + frame.point
        if ends[point] > starts[point]:
            within = slice(starts[first + frame.first], ends[first + frame.last - 1])
            at = out[starts[point]]
            out[within] = instanced(out[within], frame.matrix, at, degrees=shapes[k].frame.degrees)


def _moved(made: Placed, shapes: Sequence[Shape]) -> None:
    """Bring what is in a CRS of its own into that of the file; heights stay."""
    for number, shape in enumerate(shapes):
        own, file = shape.frame.own, shape.frame.file
        if own is None or file is None or not shape.rings:
            continue
        within = slice(made.starts[made.first[number]], made.ends[made.first[number + 1] - 1])
        try:
            lonlat = crs.to_lonlat(made.positions[within], own)
            made.positions[within] = crs.from_lonlat(lonlat, file, x_first=True)
        except BadFile:
            made.positions[within] = np.nan
            shape.faults["crs.mixed"] += 1


def bodies(
    shapes: Sequence[Shape], of: Placed, numbers_of: Sequence[int], appearance: Appearance
) -> tuple[Bodies, NDArray[np.bool_]]:
    """The faces of shapes, whose ``numbers_of`` among those that were placed these are, over the positions
    that they use, without those that are not whole; and which of the faces are."""
    faces = np.array([len(shape.face_rings) for shape in shapes], np.int64)
    owner = np.repeat(np.arange(len(shapes)), faces)
    first = of.first[np.array(numbers_of, np.int64)]
    counts = np.array([n for shape in shapes for n in shape.face_rings], np.int64)
    begins = np.array([n for shape in shapes for n in shape.face_first], np.int64) + first[owner]
    face = np.repeat(np.arange(len(counts)), counts)
    before = np.cumsum(counts) - counts
    ring = np.arange(len(face)) + (begins - before)[face]
    start, end = of.starts[ring], of.ends[ring]
    odd = np.append(0, np.cumsum(~np.isfinite(of.positions).all(axis=1)))
    short = end - start < 3
    nan = ~short & (odd[end] > odd[start])
    fine = np.append(~(short | nan), False)
    whole = (counts > 0) & fine[np.where(counts > 0, before, -1)]  # without its outer ring a face is none
    outer = np.zeros(len(face), bool)
    outer[before[counts > 0]] = True
    kept = fine[:-1] & whole[face]
    unclosed = kept.copy()
    unclosed[kept] = (of.positions[start[kept]] != of.positions[end[kept] - 1]).any(axis=1)
    told = outer | whole[face]
    for rule, which in (("ring.short", short & told), ("ring.nan", nan & told), ("ring.unclosed", unclosed)):
        for number in owner[face[which]].tolist():
            shapes[number].faults[rule] += 1
    flipped = np.array([one for shape in shapes for one in shape.flipped], bool)[face[kept]]
    sizes = (end - start)[kept]
    ramp = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    turn = np.repeat(flipped, sizes)
    at = np.where(turn, np.repeat(end[kept] - 1, sizes) - ramp, np.repeat(start[kept], sizes) + ramp)
    corner_owner = np.repeat(owner[face[kept]], sizes)
    vertices, own, flat = _merged(of.positions[at] + 0.0, corner_owner, len(shapes))
    rings = Rings(
        flat,
        sizes,
        np.bincount(face[kept], minlength=len(counts))[whole],
        np.bincount(owner[whole], minlength=len(shapes)),
    )
    looks = np.array([look for shape in shapes for look in shape.looks], np.int64)[whole]
    uv = None if of.uv is None else of.uv[at]
    if looks.any():
        uv = _projected(uv, looks, rings, of.positions[at], shapes, appearance)
    skin = _skin(shapes, rings, looks, uv, appearance)
    made = Bodies(
        rings,
        vertices,
        own,
        np.array([code for shape in shapes for code in shape.surfaces], np.uint8)[whole],
        np.array([part for shape in shapes for part in shape.parts], np.int64)[whole],
        [tuple(shape.part_table) for shape in shapes],
        *skin,
    )
    return made, whole


def solids(shapes: Sequence[Shape], rings: Rings, whole: NDArray[np.bool_]) -> tuple[Rings, Indices]:
    """The faces of the solids of shapes, of all faces those that are ``whole``, as rings of their own; and
    which solid of its shape each is of. A face that two solids have is there twice."""
    before = np.cumsum([0, *(len(shape.face_first) for shape in shapes)]).tolist()
    face: list[int] = []
    turned: list[bool] = []
    sizes: list[int] = []
    for shape, first in zip(shapes, before, strict=False):
        for own in shape.solids:
            sizes.append(len(own))
            face += [first + number for number, _ in own]
            turned += [turn for _, turn in own]
    chosen = np.array(face, np.int64)
    kept = whole[chosen]
    several = np.array([len(shape.solids) for shape in shapes], np.int64)
    begins = np.repeat(np.cumsum(several) - several, several)
    number = np.repeat(np.arange(len(sizes)) - begins, sizes)[kept]
    owner = np.repeat(np.repeat(np.arange(len(shapes)), several), sizes)[kept]
    chosen = (np.cumsum(whole) - 1)[chosen[kept]]
    of_body = np.bincount(owner, minlength=len(shapes))
    return rings.chosen(chosen, np.array(turned, bool)[kept], of_body), number


def _projected(
    uv: Floats | None,
    looks: Indices,
    rings: Rings,
    positions: Floats,
    shapes: Sequence[Shape],
    appearance: Appearance,
) -> Floats | None:
    """The texture coordinates of corners, with those that follow from their positions."""
    of_corner = looks[rings.face_of_ring()[rings.ring()]]
    north: NDArray[np.bool_] | None = None
    for number in np.unique(looks[looks > 0]).tolist():
        if not appearance.projects(number):
            continue
        mine = of_corner == number
        if north is None:
            north = np.array([shape.frame.north_first for shape in shapes], bool)[rings.body()]
        uv = np.full((len(of_corner), 2), np.nan) if uv is None else uv
        uv[mine] = appearance.projected(number, positions[mine], north[mine])
    return uv


def _skin(
    shapes: Sequence[Shape], rings: Rings, looks: Indices, uv: Floats | None, appearance: Appearance
) -> tuple[Indices, list[tuple[Material, ...]], Floats | None, NDArray[np.bool_]]:
    """Materials of faces, tables of them by body, texture coordinates, and which bodies have some."""
    tables: list[tuple[Material, ...]] = [()] * len(shapes)
    textured = np.zeros(len(shapes), bool)
    index = np.zeros(len(looks), np.int64)
    if not looks.any():
        return index, tables, None, textured
    lacking = np.zeros(len(looks), bool)
    face = rings.face_of_ring()[rings.ring()]
    lacking[face if uv is None else face[np.isnan(uv).any(axis=1)]] = True
    ends = np.cumsum(rings.of_body)
    for number in np.unique(rings.body_of_face()[looks > 0]).tolist():
        own = slice(ends[number] - rings.of_body[number], ends[number])
        materials = {look: appearance.material(look) for look in np.unique(looks[own]).tolist()}
        images = [look for look, made in materials.items() if made.texture is not None]
        blank = np.isin(looks[own], images) & lacking[own]
        if blank.any():
            shapes[number].faults["texture.coordinates"] += int(blank.sum())
        kept = np.where(blank, 0, looks[own])
        used = np.unique(kept)
        table = tuple(materials.get(look, Material()) for look in used.tolist())
        if any(made != Material() for made in table):
            tables[number] = table
            index[own] = np.searchsorted(used, kept)
            textured[number] = any(made.texture is not None for made in table)
    return index, tables, np.nan_to_num(uv) if uv is not None and textured.any() else None, textured


def _merged(positions: Floats, owner: Indices, count: int) -> tuple[Floats, Indices, Indices]:
    """The different positions of each owner, how many these are, and of each given one which it is."""
    order = np.lexsort((*positions.T, owner))
    sorted_, owners = positions[order], owner[order]
    new = np.ones(len(order), bool)
    new[1:] = (sorted_[1:] != sorted_[:-1]).any(axis=1) | (owners[1:] != owners[:-1])
    index = np.empty(len(order), np.int64)
    index[order] = np.cumsum(new) - 1
    return sorted_[new], np.bincount(owners[new], minlength=count), index
