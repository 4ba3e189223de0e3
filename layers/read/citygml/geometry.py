"""Geometries of GML as faces, lines and points over the positions of one city object.

Source: GML 3.1.1 (OGC 03-105r1) and 3.2.1 (OGC 07-036), clauses 10 and 11; implicit geometries CityGML 2.0,
8.3; 3.0, 7.2.6.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import shapely
from lxml import etree
from numpy.typing import NDArray

from layers.mesh import Part, Surface
from layers.read.citygml.names import GML, XLINK, gml_id, local
from layers.read.citygml.positions import numbers
from layers.read.faces import Faces
from layers.read.frame import instanced

type Element = etree._Element
type Floats = NDArray[np.float64]
#: The element that a reference names, None where there is none.
type Find = Callable[[str], Element | None]

_PATCHES = frozenset({"Polygon", "PolygonPatch", "Triangle", "Rectangle"})
_PATCH_TAGS = tuple(f"{{{ns}}}{name}" for ns in GML for name in sorted(_PATCHES))
_BOUNDARIES = frozenset({"exterior", "interior", "outerBoundaryIs", "innerBoundaryIs"})
_LISTS = frozenset({"posList", "pos", "coordinates"})
_LIST_TAGS = tuple(f"{{{ns}}}{name}" for ns in GML for name in sorted(_LISTS))
_POINT_TAGS = tuple(f"{{{ns}}}Point" for ns in GML)
_CURVE_TAGS = tuple(f"{{{ns}}}{name}" for ns in GML for name in ("LineString", "Curve"))
_REFERS = etree.XPath(
    "boolean(.//@xlink:href) or boolean(descendant-or-self::*[local-name()='OrientableSurface'])",
    namespaces={"xlink": XLINK[1:].partition("}")[0]},
)
#: What a reference of a geometry may name: a ring it cannot.
_NAMED = etree.XPath(
    "descendant-or-self::*[(@a:id or @b:id) and not(self::a:LinearRing or self::b:LinearRing)]",
    namespaces=dict(zip("ab", GML, strict=True)),
)
_DEEPEST = 64
#: Positions below which a dict costs less than numpy.unique.
_FEW = 100
#: Elements within elements, over all references: below what Python's stack holds.
_NESTED = 400
SOLIDS = frozenset({"Solid", "MultiSolid", "CompositeSolid"})


@dataclass(slots=True)
class _Frame:
    """Rings of an implicit geometry, from one number to another: their matrix and reference point."""

    first: int
    last: int
    matrix: Floats
    point: int


@dataclass(slots=True)
class Shape:
    """What one city object has at one level of detail: texts of its rings, lines and points.

    ``faults`` counts what was found by rule: references that lead nowhere or round, faces left out."""

    find: Find
    dimension: int = 3
    north_first: bool = False
    degrees: bool = False
    faults: Counter[str] = field(default_factory=Counter)
    solid: bool = False
    _rings: list[str] = field(default_factory=list)
    _faces: list[list[int]] = field(default_factory=list)
    _surfaces: list[Surface] = field(default_factory=list)
    _flipped: list[bool] = field(default_factory=list)
    _parts: list[int] = field(default_factory=list)
    _part_table: list[Part] = field(default_factory=list)
    _part: int = 0
    _seen: set[Element] = field(default_factory=set)
    _frames: list[_Frame] = field(default_factory=list)
    _missing: set[str] = field(default_factory=set)
    _lines: list[list[int]] = field(default_factory=list)
    _points: list[int] = field(default_factory=list)
    _again: int = 0
    #: References that were followed to their end, by whether what they name was turned round.
    _followed: set[tuple[str, bool]] = field(default_factory=set)
    _depth: int = 0

    @property
    def missing(self) -> list[str]:
        """References that led nowhere."""
        return sorted(self._missing)

    def begin(self, part: Part) -> None:
        """What is added from here on belongs to a part."""
        if not self._part_table:
            self._part_table.append(Part("", ""))
        self._part = len(self._part_table)
        self._part_table.append(part)

    def end(self) -> None:
        """What is added from here on belongs to none."""
        self._part = 0

    def add_surfaces(self, element: Element, surface: Surface = Surface.UNKNOWN) -> None:
        """The polygons of a geometry, and those that it refers to."""
        if _REFERS(element):
            self._walk(element, surface, False, ())
        else:
            for patch in element.iter(*_PATCH_TAGS):
                self._patch(patch, surface, False)

    def add_solid(self, element: Element) -> None:
        """A solid: its polygons that are there already, as those of thematic surfaces, keep what they are.

        One that repeats thematic surfaces without referring to them adds nothing."""
        before, self._again = len(self._faces), 0
        rings = len(self._rings)
        self.add_surfaces(element)
        self.solid = True
        if before and not self._again and len(self._faces) > before:
            for each in (self._faces, self._surfaces, self._flipped, self._parts):
                del each[before:]
            del self._rings[rings:]
            self.faults["solid.repeats"] += 1

    def _walk(self, element: Element, surface: Surface, flipped: bool, path: tuple[str, ...]) -> None:
        name = local(element)
        if name in _PATCHES:
            self._patch(element, surface, flipped)
            return
        if name == "OrientableSurface":
            flipped ^= element.get("orientation") == "-"
        if (target := element.get(XLINK)) and not len(element):
            self._follow(target, surface, flipped, path)
            return
        if self._depth == _NESTED:
            self.faults["xlink.deep"] += 1
            return
        self._depth += 1
        for child in element.iterchildren(etree.Element):
            self._walk(child, surface, flipped, path)
        self._depth -= 1

    def _follow(self, href: str, surface: Surface, flipped: bool, path: tuple[str, ...]) -> None:
        if href in path or len(path) > _DEEPEST:
            self.faults["xlink.cycle"] += 1
            return
        if (href, flipped) in self._followed:  # else two of each that name two more never end
            self._again += 1
            return
        target = self.find(href)
        if target is None:
            self.faults["xlink.missing"] += 1
            self._missing.add(href)
            return
        self._walk(target, surface, flipped, (*path, href))
        self._followed.add((href, flipped))

    def _patch(self, patch: Element, surface: Surface, flipped: bool) -> None:
        if patch in self._seen:
            self._again += 1
            return
        self._seen.add(patch)
        rings = [
            self._text(boundary[0]) for boundary in patch if len(boundary) and local(boundary) in _BOUNDARIES
        ]
        self._faces.append(rings)
        self._surfaces.append(surface)
        self._flipped.append(flipped)
        self._parts.append(self._part)

    def _text(self, ring: Element) -> int:
        """The number of a ring or line whose text is kept."""
        number = len(self._rings)
        if len(ring) == 1 and len(ring[0]) == 0:
            only = ring[0]
            text = only.text or ""
            if local(only) == "coordinates":
                text = text.replace(",", " ")
        else:
            pieces = list(ring.iter(*_LIST_TAGS))
            text = " ".join(each.text or "" for each in pieces)
            if pieces and local(pieces[0]) == "coordinates":
                text = text.replace(",", " ")
        self._rings.append(text)
        return number

    def add_implicit(self, element: Element) -> None:
        """An implicit geometry: a shape in a frame of its own, turned by a matrix and moved to a point."""
        parts = {local(child): child for child in element.iterchildren(etree.Element)}
        shape = parts.get("relativeGMLGeometry", parts.get("relativeGeometry"))
        matrix, point = parts.get("transformationMatrix"), parts.get("referencePoint")
        if shape is None:
            self.faults["implicit.library" if "libraryObject" in parts else "implicit.empty"] += 1
            return
        values, _ = numbers([(matrix.text or "") if matrix is not None else ""])
        where = next(iter(point.iter(*_POINT_TAGS)), None) if point is not None else None
        if len(values) not in (0, 16) or not np.isfinite(values).all() or where is None:
            self.faults["implicit.frame"] += 1
            return
        at = self._text(where)
        first = len(self._rings)
        # one shape may be there several times, each in a frame of its own
        outside, self._seen, self._followed = (self._seen, self._followed), set(), set()
        self.add_surfaces(shape)
        self._seen, self._followed = outside
        frame = np.eye(4) if not len(values) else values.reshape(4, 4)
        self._frames.append(_Frame(first, len(self._rings), frame, at))

    def add_lines(self, element: Element) -> None:
        """The curves of a geometry; the segments of one are joined."""
        for line in element.iter(*_CURVE_TAGS):
            self._lines.append([self._text(line)])

    def add_points(self, element: Element) -> None:
        """The points of a geometry."""
        for point in element.iter(*_POINT_TAGS):
            self._points.append(self._text(point))

    def positions(self) -> tuple[Floats, NDArray[np.int64]]:
        """Positions (n, 3) of all texts, x first, and the index at which each ends. A text whose numbers are
        not so many as its dimension wants has none."""
        values, counts = numbers(self._rings)
        wrong = counts % self.dimension != 0
        if wrong.any():
            self.faults["gml.dimension"] += int(wrong.sum())
            values = values[~np.repeat(wrong, counts)]
            counts = np.where(wrong, 0, counts)
        out = np.zeros((len(values) // self.dimension, 3))
        out[:, : self.dimension] = values.reshape(-1, self.dimension)
        ends = np.cumsum(counts // self.dimension)
        starts = np.concatenate([[0], ends[:-1]])
        if self.north_first:
            local_frame = np.zeros(len(out), bool)
            for frame in self._frames:
                if frame.first < frame.last:
                    local_frame[starts[frame.first] : ends[frame.last - 1]] = True
            out[~local_frame, :2] = out[~local_frame, 1::-1]
        for frame in self._frames:
            if frame.first < frame.last and ends[frame.point] > starts[frame.point]:
                within = slice(starts[frame.first], ends[frame.last - 1])
                point = out[starts[frame.point]]
                out[within] = instanced(out[within], frame.matrix, point, degrees=self.degrees)
        return out, ends

    def faces(self) -> tuple[Faces, Floats] | None:
        """The faces over the positions that they use, without those that are not whole; None without any."""
        if not self._faces:
            return None
        positions, ends = self.positions()
        starts = np.concatenate([[0], ends[:-1]])
        finite = np.isfinite(positions).all(axis=1)
        unique, index = _merged(positions)
        rings: list[list[NDArray[np.int64]]] = []
        kept: list[int] = []
        for at, (texts, flipped) in enumerate(zip(self._faces, self._flipped, strict=True)):
            face = []
            for number in texts:
                start, end = starts[number], ends[number]
                if end - start < 3:
                    self.faults["ring.short"] += 1
                elif not finite[start:end].all():
                    self.faults["ring.nan"] += 1
                else:
                    if index[start] != index[end - 1]:
                        self.faults["ring.unclosed"] += 1
                    ring = index[start:end]
                    face.append(ring[::-1] if flipped else ring)
                    continue
                if not face:
                    break  # a face without its outer ring is none
            if face:
                rings.append(face)
                kept.append(at)
        if not rings:
            return None
        surfaces = [self._surfaces[at] for at in kept]
        faces = Faces(rings, surfaces, any(surfaces))
        if self._part_table:
            parts = [self._parts[at] for at in kept]
            faces = replace(faces, parts=parts, part_table=tuple(self._part_table))
        return faces, unique

    def line(self) -> shapely.Geometry | None:
        """The lines as one geometry; None without any."""
        return self._made([number for line in self._lines for number in line], points=False)

    def point(self) -> shapely.Geometry | None:
        """The points as one geometry; None without any."""
        return self._made(self._points, points=True)

    def _made(self, chosen: Iterable[int], *, points: bool) -> shapely.Geometry | None:
        positions, ends = self.positions()
        starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
        made: list[Any] = []
        for number in chosen:
            own = positions[starts[number] : ends[number]]
            if not np.isfinite(own).all():
                self.faults["ring.nan"] += 1
            elif points and len(own):
                made.append(shapely.points(own[0]))
            elif not points:
                own = (
                    own[np.concatenate([[True], (np.diff(own, axis=0) != 0).any(axis=1)])]
                    if len(own)
                    else own
                )
                if len(own) > 1:
                    made.append(shapely.linestrings(own))
                else:
                    self.faults["ring.short"] += 1
        if not made:
            return None
        if len(made) == 1:
            return made[0]
        return shapely.multipoints(made) if points else shapely.multilinestrings(made)


def _merged(positions: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Different positions (k, 3), and of each given one which it is."""
    if len(positions) < _FEW:
        known: dict[tuple[float, ...], int] = {}
        index = np.array(
            [known.setdefault(row, len(known)) for row in map(tuple, positions.tolist())], np.int64
        )
        return np.array(list(known), np.float64).reshape(-1, 3), index
    rows = np.ascontiguousarray(positions + 0.0).view(np.dtype((np.void, 24))).reshape(-1)
    _, first, index = np.unique(rows, return_index=True, return_inverse=True)
    return positions[first], index.reshape(-1)


def identified(member: Element) -> dict[str, Element]:
    """The elements of a member by gml:id; of two of one id the first."""
    out: dict[str, Element] = {}
    for element in _NAMED(member):
        out.setdefault(gml_id(element), element)
    return out
