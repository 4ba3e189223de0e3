"""Geometries of city objects as faces over the vertices that they use (sections 3 and 6.3)."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from layers.mesh import Material, Part, Surface
from layers.read.cityjson.appearance import Appearance
from layers.read.cityjson.features import Outline
from layers.read.cityobjects import SEMANTICS

type Floats = NDArray[np.float64]

#: What has no surfaces, and so no body.
FLAT = ("MultiPoint", "MultiLineString")
#: Depth of a geometry's boundaries above the face (a list of rings).
NESTING = {
    "MultiSurface": 0,
    "CompositeSurface": 0,
    "Solid": 1,
    "MultiSolid": 2,
    "CompositeSolid": 2,
}
SOLIDS = ("Solid", "MultiSolid", "CompositeSolid")
#: Of these a level of nesting is a solid among several.
_SEVERAL = ("MultiSolid", "CompositeSolid")
CORNERS = 3
_NO_PART = Part("", "")


class BadGeometry(ValueError):
    """Why nothing can be made of a geometry, in words of a report, and the rule that it breaks."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule


def level(geometry: Mapping[str, Any]) -> float:
    """The level of detail, 0 where it is none."""
    try:
        said = float(geometry.get("lod", 0))
    except (TypeError, ValueError):
        return 0.0
    return said if math.isfinite(said) else 0.0


def is_filled(geometry: Any, types: Collection[Any]) -> bool:
    """Whether a geometry is of one of these types, and has boundaries."""
    if not isinstance(geometry, dict) or not isinstance(kind := geometry.get("type"), str):
        return False
    if kind not in types:
        return False
    return isinstance(geometry.get("boundaries"), list) and bool(geometry["boundaries"])


def points_or_lines(geometry: Mapping[str, Any], vertices: Floats) -> shapely.Geometry:
    """A MultiPoint or MultiLineString (section 3.2), single where it has one member. Raises BadGeometry."""
    try:
        points = geometry["type"] == "MultiPoint"
        lines = [
            np.array(line, np.int64)
            for line in ([geometry["boundaries"]] if points else geometry["boundaries"])
        ]
        for line in lines:
            if line.ndim != 1 or line.min() < 0 or line.max() >= len(vertices):
                raise BadGeometry("geometry.unreadable", _NO_VERTEX)
        if points:
            many = shapely.multipoints(vertices[lines[0]])
        else:
            many = shapely.multilinestrings([shapely.linestrings(vertices[line]) for line in lines])
    except OverflowError as error:
        raise BadGeometry("geometry.unreadable", _NO_VERTEX) from error
    except (TypeError, ValueError) as error:
        raise BadGeometry(*_UNFIT) from error
    return many.geoms[0] if len(many.geoms) == 1 else many


_NO_VERTEX = "the boundaries name a vertex that the file does not have"
_UNFIT = ("geometry.unreadable", "the boundaries do not fit the geometry's type")


def outline(geometry: Mapping[str, Any], vertices: Floats, appearance: Appearance) -> Outline:
    """The faces of a geometry, shells and solids one after the other, with semantics and appearance. Raises
    BadGeometry."""
    kind = geometry["type"]
    depth = NESTING[kind]
    try:
        faces = flattened(geometry["boundaries"], depth)
        rings = list(chain.from_iterable(faces))
        flat = array("q", chain.from_iterable(rings))
        sizes = list(map(len, rings))
        of_face = list(map(len, faces))
    except OverflowError as error:
        raise BadGeometry("geometry.unreadable", _NO_VERTEX) from error
    except TypeError as error:
        raise BadGeometry(*_UNFIT) from error
    if not len(flat):
        raise BadGeometry("geometry.missing", "its boundaries hold no surface")
    if min(flat) < 0 or max(flat) >= len(vertices):
        raise BadGeometry("geometry.unreadable", _NO_VERTEX)
    made = Outline(
        vertices,
        np.frombuffer(flat, np.int64),
        np.array(sizes, np.int64),
        np.array(of_face, np.int64),
        np.zeros(len(faces), np.int64),
        closes=kind in SOLIDS,
    )
    made.solid = kind != "MultiSurface"
    _name(made, geometry, depth)
    if appearance and ("texture" in geometry or "material" in geometry):
        _dress(made, geometry, depth, appearance)
    if kind in _SEVERAL:
        counts = [sum(map(len, shells)) for shells in geometry["boundaries"]]
        made.empty = counts.count(0)
        made.solids = np.repeat(np.arange(len(counts)), counts)
    return made


def whole(made: Outline, faults: Counter[str]) -> None:
    """Leave rings of fewer than three corners out, and faces without their outer ring, and count them. Raises
    BadGeometry where nothing is left."""
    sizes, of_face = made.sizes, made.of_face
    good = sizes >= CORNERS
    firsts = np.cumsum(of_face) - of_face
    kept = of_face > 0
    kept[kept] = good[firsts[kept]]
    good &= np.repeat(kept, of_face)
    faults["ring.short"] += int((~good).sum()) + int((of_face == 0).sum())
    if not kept.any():
        raise BadGeometry("geometry.degenerate", "no surface of it has three corners")
    corners = np.repeat(good, sizes)
    made.flat = made.flat[corners]
    if made.uv is not None:
        made.uv = made.uv[corners]
    face = np.repeat(np.arange(len(of_face)), of_face)
    made.sizes = sizes[good]
    made.of_face = np.bincount(face[good], minlength=len(of_face))[kept]
    made.surfaces = made.surfaces[kept]
    for name in ("parts", "materials", "solids"):
        values = getattr(made, name)
        if values is not None:
            setattr(made, name, values[kept])


def flattened(values: Any, depth: int) -> list[Any]:
    """A nested list with so many levels less. Raises TypeError."""
    for _ in range(depth):
        values = list(chain.from_iterable(values))
    if not isinstance(values, list):
        raise TypeError("no list")
    return values


def _alike(values: Any, boundaries: Sequence[Any], depth: int) -> list[Any] | None:
    """What is said of each face, None for those of a part that nothing is said of; None where it does not
    fit the boundaries."""
    for _ in range(depth):
        if not isinstance(values, list) or len(values) != len(boundaries):
            return None
        padded = [
            v if isinstance(v, list) else [None] * len(b) for v, b in zip(values, boundaries, strict=True)
        ]
        values = [v for part in padded for v in part]
        boundaries = [b for part in boundaries for b in part]
    return values if isinstance(values, list) and len(values) == len(boundaries) else None


def _name(made: Outline, geometry: Mapping[str, Any], depth: int) -> None:
    """Say which semantic surfaces the faces are of (section 3.3)."""
    semantics = geometry.get("semantics")
    if not isinstance(semantics, dict) or not isinstance(surfaces := semantics.get("surfaces"), list):
        return
    values = _alike(semantics.get("values"), geometry["boundaries"], depth)
    if values is None or not all(isinstance(each, dict) for each in surfaces):
        return
    known = len(surfaces)
    at = [v + 1 if type(v) is int and 0 <= v < known else 0 for v in values]
    if all(map(_is_bare, surfaces)):
        table, codes = bare_table(tuple(each["type"] for each in surfaces))
    else:
        kinds = [str(each.get("type", "")) for each in surfaces]
        table, codes = (_NO_PART, *map(_part, surfaces, kinds)), _codes(kinds)
    made.parts, made.part_table = np.array(at, np.int64), table
    made.surfaces = np.array(codes, np.int64)[made.parts]


def _is_bare(surface: Mapping[str, Any]) -> bool:
    """Whether a surface has its type only, as most have."""
    return len(surface) == 1 and isinstance(surface.get("type"), str)


@lru_cache(maxsize=4096)
def bare_table(kinds: tuple[str, ...]) -> tuple[tuple[Part, ...], list[Surface]]:
    """The parts that surfaces of these types are, behind one that is none, and what each is."""
    return (_NO_PART, *(Part("", kind) for kind in kinds)), _codes(kinds)


def _codes(kinds: Sequence[str]) -> list[Surface]:
    return [Surface.UNKNOWN, *(SEMANTICS.get(kind, Surface.UNKNOWN) for kind in kinds)]


def _part(said: Mapping[str, Any], kind: str) -> Part:
    own, name = (said.get(member, "") for member in ("id", "name"))
    return Part(str(own) if isinstance(own, str | int) else "", kind, name if isinstance(name, str) else "")


def _dress(made: Outline, geometry: Mapping[str, Any], depth: int, appearance: Appearance) -> None:
    """Give the faces their textures, where those can be had, else the colours of materials."""
    table: dict[Material, int] = {Material(): 0}
    materials = [0] * len(made.of_face)
    ring_sizes, rings_of = made.sizes.tolist(), made.of_face.tolist()
    for at, value in enumerate(_themed(geometry.get("material"), geometry, depth, appearance) or ()):
        colour = appearance.material(value)
        if colour is not None:
            materials[at] = table.setdefault(colour, len(table))
    ring, corner = 0, 0
    for at, rings in enumerate(_themed(geometry.get("texture"), geometry, depth, appearance) or ()):
        sizes = ring_sizes[ring : ring + rings_of[at]]
        found = _placed(rings, sizes, appearance)
        if found is not None:
            if made.uv is None:
                made.uv = np.zeros((len(made.flat), 2))
            image, made.uv[corner : corner + sum(sizes)] = found
            materials[at] = table.setdefault(image, len(table))
        ring += len(sizes)
        corner += sum(sizes)
    if len(table) > 1:
        made.materials, made.material_table = np.array(materials, np.int64), tuple(table)


def _themed(themes: Any, geometry: Mapping[str, Any], depth: int, appearance: Appearance) -> list[Any] | None:
    """What the first theme that fits says of each face (sections 6.3, 6.4); None without one."""
    found: list[Any] | None = None
    for name, theme in themes.items() if isinstance(themes, dict) else ():
        if found is not None:
            appearance.images.themes[str(name)] += 1
        elif isinstance(theme, dict):
            if "value" in theme:
                found = [theme["value"]] * len(flattened(geometry["boundaries"], depth))
            else:
                found = _alike(theme.get("values"), geometry["boundaries"], depth)
    return found


def _placed(said: Any, sizes: Sequence[int], appearance: Appearance) -> tuple[Material, Floats] | None:
    """The image of a face, and the coordinates (k, 2) of the corners of all of its rings, which are so many;
    None where what is said of it is not that."""
    if not isinstance(said, list) or len(said) != len(sizes) or not said:
        return None
    if not all(isinstance(ring, list) and len(ring) == n + 1 for ring, n in zip(said, sizes, strict=True)):
        return None
    image = appearance.texture(said[0][0])
    if image is None:
        return None
    try:
        at = np.frombuffer(array("q", chain.from_iterable(ring[1:] for ring in said)), np.int64)
    except (TypeError, OverflowError):
        return None
    if at.min(initial=0) < 0 or at.max(initial=-1) >= len(appearance.uv):
        return None
    return image, appearance.uv[at]
