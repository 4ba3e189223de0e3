"""City objects of a member: which are features, and their levels of detail, surfaces and attributes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from lxml import etree

from layers.mesh import Part, Surface
from layers.read.citygml.appearance import Appearance
from layers.read.citygml.attributes import Reading, Values
from layers.read.citygml.geometry import SOLIDS, Find, Frame, Shape
from layers.read.citygml.names import GML, TAGS, XLINK, Tag, gml_id, local
from layers.read.cityobjects import SEMANTICS

type Element = etree._Element

_SURFACES = {"WindowSurface": Surface.WINDOW, "DoorSurface": Surface.DOOR, **SEMANTICS}
_FILLINGS = frozenset({Surface.WINDOW, Surface.DOOR})
_MULTI = frozenset({"MultiSurface", "CompositeSurface", "Polygon", "TriangulatedSurface", "Tin", "Surface"})
_MULTI |= {"OrientableSurface", "PolyhedralSurface", "Triangle", "MultiGeometry", "GeometricComplex"}
_CURVES = frozenset({"MultiCurve", "LineString", "Curve", "CompositeCurve", "MultiLineString"})
_POINTS = frozenset({"Point", "MultiPoint"})
_DEEPEST = 40
#: What is not kept of a surface: its name is that of its part, its days are those of its object.
_OF_NO_SURFACE = frozenset({"name", "creationDate", "terminationDate", "validFrom", "validTo"})
_NAMES = tuple(f"{{{namespace}}}name" for namespace in GML)
_DIMENSION = etree.XPath("string((descendant-or-self::*/@srsDimension)[1])")
_REFERENCES = etree.XPath("descendant-or-self::*/@srsName[normalize-space()]", smart_strings=False)


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
        if self.solids or self.surfaces or self.implicit:
            return True
        return any(code not in _FILLINGS for code, _, _ in self.themed)

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
    #: What its thematic surfaces say of themselves, by their gml:id.
    surfaces: dict[str, Values] = field(default_factory=dict)

    @property
    def best(self) -> int | None:
        """The highest level with surfaces (windows and doors alone only where there are no others), else
        that with lines, else that with points."""
        if not self.levels:
            return None
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
        if not self.children:
            yield self, None
            return
        waiting: list[tuple[CityObject, CityObject | None]] = [(self, None)]
        while waiting:
            each, parent = waiting.pop()
            yield each, parent
            waiting.extend((child, each) for child in reversed(each.children))


class Parser:
    """Makes city objects of elements. ``links`` finds what a reference names; without an ``appearance``
    surfaces have the colours of their kinds."""

    def __init__(self, reading: Reading, links: Find, appearance: Appearance | None) -> None:
        self._reading = reading
        self._links = links
        self._appearance = appearance

    def parse(self, element: Element, depth: int = 0) -> CityObject:
        """An element of a class as an object."""
        made = CityObject(local(element), gml_id(element) or None)

        def takes(child: Element, tag: Tag, inner: Element | None, inside: Tag | None) -> bool:
            return self._takes(made, child, tag, inner, inside, depth)

        made.attributes = self._reading.of(element, takes)
        return made

    def _takes(
        self,
        made: CityObject,
        child: Element,
        tag: Tag,
        inner: Element | None,
        inside: Tag | None,
        depth: int,
    ) -> bool:
        """Whether a property is a geometry, a surface or an object, which is then kept as such."""
        shaped = inside is not None and inside.shape
        if tag.lod is not None and (inner is None or shaped):
            if inner is None and not child.get(XLINK):
                return False  # srcScaleLod1 and its like
            if not tag.clipped:
                self._geometry(made, child, inner, tag.name, tag.lod)
            return True
        if inner is None or inside is None:
            if tag.holder and (href := child.get(XLINK)):
                self._bound(made, href, depth)
                return True
            return tag.plain
        if tag.plain and shaped:
            self._geometry(made, child, inner, tag.name, 0)
            return True
        if tag.holder:
            return self._themed(made, child, depth)
        if shaped:
            return True
        if inside.thing and depth < _DEEPEST:
            made.children.extend(self.parse(each, depth + 1) for each in child)
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
        for surface in holder:
            if TAGS[surface.tag].thing:
                made.children.append(self.parse(surface, depth + 1))
            else:
                self._surface(made, surface, depth)
        return True

    def _bound(self, made: CityObject, href: str, depth: int) -> None:
        """A surface that another object has, too (CityGML 3.0, 7.2.3)."""
        target = self._links(href)
        if target is not None and not TAGS[target.tag].thing and depth < _DEEPEST:
            self._surface(made, target, depth + 1)

    def _surface(self, made: CityObject, surface: Element, depth: int) -> None:
        """A thematic surface with its openings."""
        name = TAGS[surface.tag].name
        code = _SURFACES.get(name, Surface.UNKNOWN)
        part = Part(gml_id(surface), name, _name_of(surface))
        more = False
        for child in surface:
            tag = TAGS[child.tag]
            if tag.lod is not None and not tag.clipped:
                level = made.levels.get(tag.lod) or made.levels.setdefault(tag.lod, Level())
                inside = TAGS[child[0].tag].name if len(child) else ""
                if inside == "ImplicitGeometry":
                    level.implicit.append(child[0])
                elif inside not in _CURVES:
                    level.themed.append((code, part, child))
            elif tag.holder and not tag.gml:
                if len(child) and depth < _DEEPEST:
                    self._themed(made, child, depth + 1)
                elif href := child.get(XLINK):
                    self._bound(made, href, depth)
            else:
                more = more or tag.name not in _OF_NO_SURFACE
        if more and (own := self._reading.of(surface, _is_no_attribute)):
            made.surfaces[part.id or f"{name}_{len(made.surfaces) + 1}"] = {
                key: value for key, value in own.items() if key not in _OF_NO_SURFACE
            }

    def shape(self, level: Level, frame: Frame) -> Shape:
        """The geometries of a level as one shape, of surfaces, else lines, else points: surfaces with a theme
        first, which solids then repeat."""
        made = Shape(self._links, frame, appearance=self._appearance)
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
    def references(level: Level) -> list[str]:
        """The CRSs that its geometries name, each once."""
        return list(dict.fromkeys(str(name) for each in level.all() for name in _REFERENCES(each)))


def _is_no_attribute(_child: Element, tag: Tag, _inner: Element | None, inside: Tag | None) -> bool:
    """Whether a property of a surface is a geometry, or holds other surfaces or objects."""
    return tag.special or (inside is not None and (inside.shape or inside.thing))


def _name_of(element: Element) -> str:
    """The gml:name of an element."""
    for child in element.iterchildren(*_NAMES):
        return (child.text or "").strip()
    return ""
