"""Geometries of GML as faces, lines and points over the positions of one city object.

Source: GML 3.1.1 (OGC 03-105r1) and 3.2.1 (OGC 07-036), clauses 10 and 11; implicit geometries CityGML 2.0,
8.3; 3.0, 7.2.6.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from lxml import etree
from numpy.typing import NDArray

from layers.mesh import Part, Surface
from layers.read.citygml.appearance import Appearance
from layers.read.citygml.names import GML, TAGS, XLINK, gml_id, local
from layers.read.citygml.positions import numbers

type Element = etree._Element
type Floats = NDArray[np.float64]
#: The element that a reference names, None where there is none.
type Find = Callable[[str], Element | None]

_PATCHES = frozenset({"Polygon", "PolygonPatch", "Triangle", "Rectangle"})
_PATCH_TAGS = tuple(f"{{{ns}}}{name}" for ns in GML for name in sorted(_PATCHES))
_ORIENTABLE = tuple(f"{{{ns}}}OrientableSurface" for ns in GML)
_BOUNDARIES = frozenset({"exterior", "interior", "outerBoundaryIs", "innerBoundaryIs"})
_LISTS = frozenset({"posList", "pos", "coordinates"})
_LIST_TAGS = tuple(f"{{{ns}}}{name}" for ns in GML for name in sorted(_LISTS))
_POINT_TAGS = tuple(f"{{{ns}}}Point" for ns in GML)
_CURVE_TAGS = tuple(f"{{{ns}}}{name}" for ns in GML for name in ("LineString", "Curve"))
_REFERENCES = etree.XPath(
    "descendant-or-self::*/@xlink:href",
    namespaces={"xlink": XLINK[1:].partition("}")[0]},
    smart_strings=False,
)
#: What a reference of a geometry may name: a ring it cannot.
_NAMED = etree.XPath(
    "descendant-or-self::*[(@a:id or @b:id) and not(self::a:LinearRing or self::b:LinearRing)]",
    namespaces=dict(zip("ab", GML, strict=True)),
)
_DEEPEST = 64
#: Elements within elements, over all references: below what Python's stack holds.
_NESTED = 400
SOLIDS = frozenset({"Solid", "MultiSolid", "CompositeSolid"})
#: Solids of an object of which it is known which faces are theirs: each follows references anew.
_MOST_SOLIDS = 200


@dataclass(frozen=True, slots=True)
class Frame:
    """How the positions of a shape count: their ``dimension``, whether north (or latitude) is first, whether
    the CRS of the file has degrees, and the CRS of their own in which they are, where that is another."""

    dimension: int = 3
    north_first: bool = False
    degrees: bool = False
    own: str | None = None
    file: str | None = None


@dataclass(slots=True)
class Implicit:
    """Rings of an implicit geometry, from one number to another: their matrix and reference point."""

    first: int
    last: int
    matrix: Floats
    point: int


@dataclass(slots=True)
class Shape:
    """What one city object has at one level of detail: texts of its rings, lines and points.

    ``rings`` has the texts of all; of each face ``face_first`` is its first ring, ``face_rings`` how many it
    has. ``faults`` counts what was found by rule: references that lead nowhere or round, faces left out."""

    find: Find
    frame: Frame
    faults: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    solid: bool = False
    rings: list[str] = field(default_factory=list)
    face_first: list[int] = field(default_factory=list)
    face_rings: list[int] = field(default_factory=list)
    surfaces: list[Surface] = field(default_factory=list)
    flipped: list[bool] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)
    part_table: list[Part] = field(default_factory=list)
    implicit: list[Implicit] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    points: list[int] = field(default_factory=list)
    #: The faces of each solid, as (number, whether it is turned round from what the face is).
    solids: list[list[tuple[int, bool]]] = field(default_factory=list)
    #: How each face looks (a number of the appearance, 0 for the colour of its kind), and by the number of a
    #: ring its texture coordinates.
    appearance: Appearance | None = None
    looks: list[int] = field(default_factory=list)
    uv: dict[int, str] = field(default_factory=dict)
    _look: int = 0
    _part: int = 0
    #: The faces of patches that are there, and by what names them those that were not turned round.
    _seen: dict[Element, int] = field(default_factory=dict)
    _named: dict[str, int] = field(default_factory=dict)
    _missing: set[str] = field(default_factory=set)
    _again: int = 0
    #: References that were followed to their end, by whether what they name was turned round.
    _followed: set[tuple[str, bool]] = field(default_factory=set)
    _depth: int = 0
    #: The faces of the solid that is read, None outside of one.
    _solid: list[tuple[int, bool]] | None = None

    @property
    def missing(self) -> list[str]:
        """References that led nowhere."""
        return sorted(self._missing)

    def close(self) -> int:
        """Let go of the elements; how many characters its positions have."""
        self._seen, self._followed, self._named = {}, set(), {}
        return sum(map(len, self.rings))

    def begin(self, part: Part) -> None:
        """What is added from here on belongs to a part."""
        if not self.part_table:
            self.part_table.append(Part("", ""))
        self._part = len(self.part_table)
        self.part_table.append(part)

    def end(self) -> None:
        """What is added from here on belongs to none."""
        self._part = 0

    def add_surfaces(self, element: Element, surface: Surface = Surface.UNKNOWN) -> None:
        """The polygons of a geometry, and those that it refers to."""
        self._walk(element, surface, False, ())
        self._solid = None

    def add_solid(self, element: Element) -> None:
        """A solid: its polygons that are there already, as those of thematic surfaces, keep what they are.

        One that repeats thematic surfaces without referring to them adds nothing."""
        self.solid = True
        if self._repeats(element):
            return
        before, self._again = len(self.face_first), 0
        rings, solids = len(self.rings), len(self.solids)
        self.add_surfaces(element)
        if before and not self._again and len(self.face_first) > before:
            for each in (
                self.face_first,
                self.face_rings,
                self.surfaces,
                self.flipped,
                self.parts,
                self.looks,
            ):
                del each[before:]
            self.uv = {ring: text for ring, text in self.uv.items() if ring < rings}
            del self.rings[rings:], self.solids[solids:]
            self.faults["solid.repeats"] += 1

    def _repeats(self, solid: Element) -> bool:
        """Whether a solid has no polygon, and refers to none that is not there: these are its faces."""
        named = self._named
        if not named or next(solid.iter(*_PATCH_TAGS, *_ORIENTABLE), None) is not None:
            return False
        references = [str(href) for href in _REFERENCES(solid)]
        if TAGS[solid.tag].name != "Solid" or not references or not named.keys() >= set(references):
            return False
        self.solids.append([(named[href], False) for href in references])
        return True

    def _begin_solid(self) -> None:
        """The faces that are walked from here on are those of a solid."""
        self._solid = None
        if len(self.solids) < _MOST_SOLIDS:
            self._solid = []
            self.solids.append(self._solid)
            self._followed = set()

    def _walk(self, element: Element, surface: Surface, flipped: bool, path: tuple[str, ...]) -> None:
        name = TAGS[element.tag].name
        if name in _PATCHES:
            self._patch(element, surface, flipped)
            return
        if name == "Solid":
            self._begin_solid()
        elif name == "OrientableSurface":
            flipped ^= element.get("orientation") == "-"
        if not len(element):
            if target := element.get(XLINK):
                self._follow(target, surface, flipped, path)
            return
        if self._depth == _NESTED:
            self.faults["xlink.deep"] += 1
            return
        self._depth += 1
        outside = self._look
        if self.appearance is not None:
            self._look = self.appearance.of.get(gml_id(element), outside)
        for child in element:
            self._walk(child, surface, flipped, path)
        self._look = outside
        self._depth -= 1
        if name == "Solid":
            self._solid = None

    def _follow(self, href: str, surface: Surface, flipped: bool, path: tuple[str, ...]) -> None:
        if href in path or len(path) > _DEEPEST:
            self.faults["xlink.cycle"] += 1
            return
        if (href, flipped) in self._followed:  # else two of each that name two more never end
            self._again += 1
            if self._solid is not None and (face := self._named.get(href)) is not None:
                self._solid.append((face, flipped))
            return
        target = self.find(href)
        if target is None:
            self.faults["xlink.missing"] += 1
            self._missing.add(href)
            return
        self._walk(target, surface, flipped, (*path, href))
        self._followed.add((href, flipped))

    def _patch(self, patch: Element, surface: Surface, flipped: bool) -> None:
        if (face := self._seen.get(patch)) is not None:
            self._again += 1
            if self._solid is not None:
                self._solid.append((face, flipped != self.flipped[face]))
            return
        face = self._seen[patch] = len(self.face_first)
        if self._solid is not None:
            self._solid.append((face, False))
        if not flipped and (name := gml_id(patch)):
            self._named[f"#{name}"] = face
        first = len(self.rings)
        for boundary in patch:
            if TAGS[boundary.tag].name in _BOUNDARIES and len(boundary):
                self.rings.append(_text(boundary[0]))
        self.face_first.append(first)
        self.face_rings.append(len(self.rings) - first)
        self.surfaces.append(surface)
        self.flipped.append(flipped)
        self.parts.append(self._part)
        self.looks.append(0 if self.appearance is None else self._looks(patch, first, self.appearance))

    def _looks(self, patch: Element, first: int, appearance: Appearance) -> int:
        """How a patch looks; the texture coordinates of its rings are kept."""
        ring = first
        for boundary in patch:
            if TAGS[boundary.tag].name in _BOUNDARIES and len(boundary):
                if (text := appearance.rings.get(gml_id(boundary[0]))) is not None:
                    self.uv[ring] = text
                ring += 1
        return appearance.of.get(gml_id(patch), self._look)

    def _text(self, ring: Element) -> int:
        """The number of a line or point whose text is kept."""
        self.rings.append(_text(ring))
        return len(self.rings) - 1

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
        first = len(self.rings)
        # one shape may be there several times, each in a frame of its own
        outside = self._seen, self._followed, self._named
        self._seen, self._followed, self._named = {}, set(), {}
        self.add_surfaces(shape)
        self._seen, self._followed, self._named = outside
        frame = np.eye(4) if not len(values) else values.reshape(4, 4)
        self.implicit.append(Implicit(first, len(self.rings), frame, at))

    def add_lines(self, element: Element) -> None:
        """The curves of a geometry; the segments of one are joined."""
        for line in element.iter(*_CURVE_TAGS):
            self.lines.append(self._text(line))

    def add_points(self, element: Element) -> None:
        """The points of a geometry."""
        for point in element.iter(*_POINT_TAGS):
            self.points.append(self._text(point))


def _text(ring: Element) -> str:
    """The coordinates of a ring, line or point."""
    if len(ring) == 1 and not len(only := ring[0]):
        text = only.text or ""
        return text.replace(",", " ") if TAGS[only.tag].name == "coordinates" else text
    pieces = list(ring.iter(*_LIST_TAGS))
    text = " ".join(each.text or "" for each in pieces)
    return text.replace(",", " ") if pieces and TAGS[pieces[0].tag].name == "coordinates" else text


def identified(member: Element) -> dict[str, Element]:
    """The elements of a member by gml:id; of two of one id the first."""
    out: dict[str, Element] = {}
    for element in _NAMED(member):
        out.setdefault(gml_id(element), element)
    return out
