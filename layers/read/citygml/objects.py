"""City objects of a member: which are features, and their levels of detail, surfaces and attributes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from lxml import etree

from layers.mesh import Part, Surface
from layers.read.citygml.attributes import Reading, Values
from layers.read.citygml.geometry import SOLIDS, Find, Shape
from layers.read.citygml.names import CLASSES, GML, XLINK, gml_id, is_gml, local, split
from layers.read.cityobjects import SEMANTICS

type Element = etree._Element

_LOD = re.compile(r"(?:^l|L)od(\d)")
_CLIPPED = re.compile(r"TerrainIntersection")
#: Geometries that stand without a level of detail in their name.
_PLAIN = frozenset({"tin", "reliefPoints", "ridgeOrValleyLines", "breaklines", "geometry", "pointCloud"})
#: What holds thematic surfaces, and their openings.
_HOLDERS = frozenset({"boundedBy", "boundary", "opening", "fillingSurface"})
_SURFACES = {"WindowSurface": Surface.WINDOW, "DoorSurface": Surface.DOOR, **SEMANTICS}
_FILLINGS = frozenset({Surface.WINDOW, Surface.DOOR})
_MULTI = frozenset({"MultiSurface", "CompositeSurface", "Polygon", "TriangulatedSurface", "Tin", "Surface"})
_MULTI |= {"OrientableSurface", "PolyhedralSurface", "Triangle", "MultiGeometry", "GeometricComplex"}
_CURVES = frozenset({"MultiCurve", "LineString", "Curve", "CompositeCurve", "MultiLineString"})
_POINTS = frozenset({"Point", "MultiPoint"})
_DEEPEST = 40
_NAMES = tuple(f"{{{namespace}}}name" for namespace in GML)
_DIMENSION = etree.XPath("string((descendant-or-self::*/@srsDimension)[1])")
_REFERENCE = etree.XPath("string((descendant-or-self::*/@srsName)[1])")


@dataclass(slots=True)
class Level:
    """The geometries of an object at one level of detail."""

    solids: list[Element] = field(default_factory=list)
    surfaces: list[Element] = field(default_factory=list)
    themed: list[tuple[Surface, Part, Element]] = field(default_factory=list)
    implicit: list[Element] = field(default_factory=list)
    curves: list[Element] = field(default_factory=list)
    points: list[Element] = field(default_factory=list)

    @property
    def has_surfaces(self) -> bool:
        """Whether it may have a body."""
        return bool(self.solids or self.surfaces or self.themed or self.implicit)

    @property
    def is_whole(self) -> bool:
        """Whether it has surfaces beside those of windows and doors."""
        themed = any(code not in _FILLINGS for code, _, _ in self.themed)
        return themed or bool(self.solids or self.surfaces or self.implicit)

    def all(self) -> Iterator[Element]:
        """Every geometry."""
        yield from (*self.solids, *self.surfaces, *(e for _, _, e in self.themed), *self.implicit)
        yield from (*self.curves, *self.points)


@dataclass(slots=True)
class CityObject:
    """An object with its geometries by level, its attributes, and the objects that belong to it."""

    name: str
    id: str | None
    levels: dict[int, Level] = field(default_factory=dict)
    attributes: Values = field(default_factory=dict)
    children: list[CityObject] = field(default_factory=list)

    @property
    def best(self) -> int | None:
        """The highest level with surfaces (windows and doors alone only where there are no others), else
        that with lines, else that with points."""
        for wanted in ("is_whole", "has_surfaces", "curves", "points"):
            having = [lod for lod, level in self.levels.items() if getattr(level, wanted)]
            if having:
                return max(having)
        return None

    @property
    def body_level(self) -> int:
        """The highest level that has surfaces, -1 without."""
        return max((lod for lod, level in self.levels.items() if level.has_surfaces), default=-1)

    def walk(self) -> Iterator[tuple[CityObject, CityObject | None]]:
        """This object and all below it, each with the one that holds it."""
        waiting: list[tuple[CityObject, CityObject | None]] = [(self, None)]
        while waiting:
            each, parent = waiting.pop()
            yield each, parent
            waiting.extend((child, each) for child in reversed(each.children))


class Parser:
    """Makes city objects of elements. ``links`` finds what a reference names."""

    def __init__(self, reading: Reading, links: Find) -> None:
        self._reading = reading
        self._links = links

    def parse(self, element: Element, depth: int = 0) -> CityObject:
        """An element of a class as an object."""
        made = CityObject(local(element), gml_id(element) or None)

        def takes(child: Element, name: str) -> bool:
            return self._takes(made, child, name, depth)

        made.attributes = self._reading.of(element, takes)
        return made

    def _takes(self, made: CityObject, child: Element, name: str, depth: int) -> bool:
        """Whether a property is a geometry, a surface or an object, which is then kept as such."""
        inner = child[0] if len(child) else None  # comments are not read
        if (lod := _lod(name)) is not None and (inner is None or _is_shape(inner)):
            if inner is None and not child.get(XLINK):
                return False  # srcScaleLod1 and its like
            if not _CLIPPED.search(name):
                self._geometry(made, child, inner, name, lod)
            return True
        if inner is None:
            return name in _PLAIN
        if name in _PLAIN and _is_shape(inner):
            self._geometry(made, child, inner, name, 0)
            return True
        if name in _HOLDERS:
            return self._themed(made, child, depth)
        if _is_shape(inner):
            return True
        if local(inner) in CLASSES and depth < _DEEPEST:
            made.children.extend(self.parse(each, depth + 1) for each in child.iterchildren(etree.Element))
            return True
        return False

    def _geometry(
        self, made: CityObject, holder: Element, inner: Element | None, name: str, lod: int
    ) -> None:
        level = made.levels.setdefault(lod, Level())
        if inner is None:  # the whole geometry is somewhere else
            target = self._links(holder.get(XLINK) or "")
            kind = local(target) if target is not None else ("Solid" if "Solid" in name else "MultiSurface")
            inner = holder
        else:
            kind = local(inner)
        if kind in SOLIDS:
            level.solids.append(inner)
        elif kind in _CURVES:
            level.curves.append(inner)
        elif kind in _POINTS:
            level.points.append(inner)
        elif kind == "ImplicitGeometry":
            level.implicit.append(inner)
        elif kind in _MULTI and not (name == "lod0RoofEdge" and level.surfaces):
            if name == "lod0FootPrint":
                level.surfaces.clear()
            level.surfaces.append(inner)

    def _themed(self, made: CityObject, holder: Element, depth: int) -> bool:
        """Thematic surfaces and their openings; a space that bounds another is no surface."""
        for surface in holder.iterchildren(etree.Element):
            name = local(surface)
            if name in CLASSES:
                made.children.append(self.parse(surface, depth + 1))
                continue
            code = _SURFACES.get(name, Surface.UNKNOWN)
            part = Part(gml_id(surface), name, _name_of(surface))
            for child in surface.iterchildren(etree.Element):
                called = local(child)
                lod = _lod(called)
                inner = child[0] if len(child) else None
                if lod is not None and not _CLIPPED.search(called):
                    level = made.levels.setdefault(lod, Level())
                    if inner is not None and local(inner) == "ImplicitGeometry":
                        level.implicit.append(inner)
                    elif inner is None or local(inner) not in _CURVES:
                        level.themed.append((code, part, child))
                elif called in _HOLDERS and not is_gml(child) and depth < _DEEPEST:
                    self._themed(made, child, depth + 1)
        return True

    def shape(self, level: Level, *, north_first: bool, degrees: bool, dimension: int) -> Shape:
        """The geometries of a level as one shape, of surfaces, else lines, else points: surfaces with a theme
        first, which solids then repeat."""
        made = Shape(self._links, dimension, north_first, degrees)
        for surface, part, element in level.themed:
            made.begin(part)
            made.add_surfaces(element, surface)
        made.end()
        for element in level.surfaces:
            made.add_surfaces(element)
        for element in level.solids:
            made.add_solid(element)
        for element in level.implicit:
            made.add_implicit(element)
        if not level.has_surfaces:
            for element in level.curves:
                made.add_lines(element)
            for element in () if level.curves else level.points:
                made.add_points(element)
        return made

    @staticmethod
    def dimension(level: Level) -> int | None:
        """The dimension that the first of the geometries to say so has."""
        for element in level.all():
            if (said := _DIMENSION(element)) in ("2", "3"):
                return int(str(said))
        return None

    @staticmethod
    def reference(level: Level) -> str | None:
        """The CRS that the first of the geometries to say so has."""
        for element in level.all():
            if said := _REFERENCE(element):
                return str(said)
        return None


@lru_cache(maxsize=4096)
def _lod(name: str) -> int | None:
    """The level of detail that a name says."""
    found = _LOD.search(name)
    return int(found[1]) if found else None


def _name_of(element: Element) -> str:
    """The gml:name of an element."""
    for child in element.iterchildren(*_NAMES):
        return (child.text or "").strip()
    return ""


def _is_shape(element: Element) -> bool:
    """Whether an element is a geometry."""
    namespace, name = split(str(element.tag))
    return (namespace in GML and name != "Envelope") or name == "ImplicitGeometry"
