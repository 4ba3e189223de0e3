"""City objects of a document as features: which of them are, and what of each is taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layers.errors import shown
from layers.read.base import ReadOptions, Sink
from layers.read.cityjson import geometry as shapes
from layers.read.cityjson import many
from layers.read.cityjson.appearance import Appearance
from layers.read.cityjson.document import Shared
from layers.read.cityjson.features import Feature, Features, Outline
from layers.read.cityjson.geometry import CORNERS, FLAT, NESTING, BadGeometry, is_filled, level
from layers.read.cityjson.wholes import Wholes, named, parents
from layers.read.cityobjects import CityRows
from layers.read.frame import instanced, is_degrees

type Floats = NDArray[np.float64]
type Thing = Mapping[str, Any]

#: Members of a city object that are no attributes (sections 2.2 and 2.3); any other is kept as one.
_MEMBERS = frozenset(
    {"type", "attributes", "geometry", "geographicalExtent", "parents", "children", "children_roles"}
)


#: Features of which geometries are made together.
_TOGETHER = 2000


@dataclass(frozen=True, slots=True)
class Document:
    """City objects by id, the coordinates (n, 3) that they name, what they look like, and the number of the
    first of them; of a line of a sequence all have that of the line."""

    objects: Mapping[str, Any]
    vertices: Floats
    appearance: Appearance
    row: int | None = None
    #: Whether all coordinates are numbers.
    finite: bool = True


class Objects:
    """Takes documents of one file and hands their features on."""

    def __init__(self, shared: Shared, options: ReadOptions, sink: Sink, rows: CityRows) -> None:
        self._shared = shared
        self._options = options
        self._sink = sink
        self._lower: Counter[float] = Counter()
        self._waiting: list[tuple[Feature, Thing, Document]] = []
        #: Features that were handed on.
        self.count = 0
        self._crs = options.declared.crs or shared.crs
        self._degrees = is_degrees(self._crs)
        self._features = Features(sink, rows, options.limits.vertices, degrees=self._degrees)
        #: What extensions say of the whole file, which every feature has then.
        self.common: Mapping[str, Any] = {}

    def add(self, document: Document) -> None:
        """Hand on every object that is a feature; points and lines have no body."""
        wholes = Wholes(document.objects, document.vertices, self._crs, self._best)
        for row, object_id, thing, geometry in self.bodies(document):
            feature = self._feature(document, row, object_id, thing, geometry)
            feature.ground = wholes.of(object_id, thing)
            if len(others := _geometries(thing)) > 1:
                levels = {self._level(each) for each in others if self._has_surfaces(each)}
                self._lower.update(levels - {self._level(geometry)})
            self._waiting.append((feature, geometry, document))
            if len(self._waiting) >= _TOGETHER:
                self._make()
        if self._options.limits.rows is not None:
            self._make()  # how many there are is asked for

    def _make(self) -> None:
        """Make the geometries of what waits, and hand on the features."""
        waiting, self._waiting = self._waiting, []
        made = many.outlines(
            [geometry for _, geometry, _ in waiting], [document.vertices for _, _, document in waiting]
        )
        for (feature, geometry, document), one in zip(waiting, made, strict=True):
            try:
                if one is not None and document.finite:
                    feature.outline = one
                elif geometry["type"] in FLAT:
                    feature.base = shapes.points_or_lines(geometry, document.vertices)
                else:
                    self._shape(feature, geometry, document)
            except BadGeometry as error:
                self._features.drop(error.rule, str(error), feature)
                continue
            self._features.add(feature)
            self.count += 1

    def finish(self) -> None:
        """Hand on what waits, and note which levels of detail were not taken."""
        self._make()
        self._features.flush()
        if self._lower:
            lods = ", ".join(f"{lod:g} ({count})" for lod, count in sorted(self._lower.items()))
            reason = "the highest level of detail with surfaces is taken"
            self._sink.note("lod.chosen", f"{reason}; there are also (objects): {lods}")

    def bodies(self, document: Document) -> Iterator[tuple[int, str, Thing, Thing]]:
        """(row, id, object, geometry) of every object that is a feature; those that cannot be are dropped."""
        objects = document.objects
        for count, (object_id, thing) in enumerate(objects.items(), 1):
            row = count if document.row is None else document.row
            if not isinstance(thing, dict) or not isinstance(thing.get("type"), str):
                reason = "the city object is not an object with a type"
                self._sink.drop("cityjson.object", reason, row, object_id, held={"id": object_id})
                continue
            if self._options.declared.layer and _kind(thing) != self._options.declared.layer:
                continue
            geometry = self._best(thing)
            if geometry is None:
                if any(self._best(child) is not None for child in _children(objects, thing)):
                    continue
                flat = (g for g in _geometries(thing) if is_filled(g, FLAT))
                geometry = max(flat, key=level, default=None)
            if geometry is None:
                feature = self._feature(document, row, object_id, thing, {})
                self._features.drop("geometry.missing", _why_none(thing), feature)
                continue
            if self._better_children(objects, thing, geometry):
                continue
            yield row, object_id, thing, geometry

    def _feature(
        self, document: Document, row: int, object_id: str, thing: Thing, geometry: Thing
    ) -> Feature:
        """An object with its attributes over those of its parents."""
        own: dict[str, Any] = dict(self.common)
        for parent in named(thing, "parents"):
            own.update(_own(document.objects.get(parent)))
        said = _own(thing)
        own = own | {n: v for n, v in said.items() if v is not None or n not in own} if own else said
        lod = str(geometry.get("lod", ""))
        whole = next(iter(parents(document.objects, thing)), None) if "parents" in thing else None
        return Feature(row, object_id, thing["type"], lod, whole, own)

    def _shape(self, feature: Feature, geometry: Thing, document: Document) -> None:
        """Give a feature its faces: a template's are turned by the matrix and moved to the reference point.
        Raises BadGeometry."""
        if geometry["type"] == "GeometryInstance":
            made = self._instance(feature, geometry, document)
            finite = bool(np.isfinite(made.vertices).all())
        else:
            made = shapes.outline(geometry, document.vertices, document.appearance)
            finite = document.finite or bool(np.isfinite(made.vertices[made.flat]).all())
        if not finite:
            raise BadGeometry("geometry.nan", "a coordinate of it is not a finite number")
        if made.empty:
            feature.faults["solid.empty"] = made.empty
        if made.sizes.min() < CORNERS or not made.of_face.all():
            shapes.whole(made, feature.faults)
        feature.outline = made

    def _instance(self, feature: Feature, geometry: Thing, document: Document) -> Outline:
        template = self._template(geometry)
        try:
            (at,) = geometry["boundaries"]
            matrix = np.array(geometry["transformationMatrix"], np.float64).reshape(4, 4)
        except (KeyError, TypeError, ValueError) as error:
            reason = "an instance of a template has one vertex and a transformationMatrix of 16 numbers"
            raise BadGeometry("geometry.unreadable", reason) from error
        if type(at) is not int or not 0 <= at < len(document.vertices):
            raise BadGeometry("geometry.unreadable", "its reference point is no vertex of the file")
        feature.lod = str(template.get("lod", ""))
        made = shapes.outline(template, self._shared.template_vertices, document.appearance)
        point = document.vertices[at]
        made.vertices = instanced(made.vertices, matrix, point, degrees=self._degrees)
        return made

    def _best(self, thing: Thing) -> Thing | None:
        """The geometry with surfaces of the highest level of detail, or the place of a template that has."""
        usable = [g for g in _geometries(thing) if self._has_surfaces(g)]
        return usable[0] if len(usable) == 1 else max(usable, key=self._level, default=None)

    def _has_surfaces(self, geometry: Any) -> bool:
        if isinstance(geometry, dict) and geometry.get("type") == "GeometryInstance":
            return is_filled(self._template(geometry), NESTING)
        return is_filled(geometry, NESTING)

    def _template(self, instance: Thing) -> Any:
        """The template that an instance names (section 3.4), None where there is none."""
        at: Any = instance.get("template")
        known = type(at) is int and 0 <= at < len(self._shared.templates)
        return self._shared.templates[at] if known else None

    def _level(self, geometry: Thing) -> float:
        return level(self._template(geometry) if geometry["type"] == "GeometryInstance" else geometry)

    def _better_children(self, objects: Mapping[str, Any], thing: Thing, geometry: Thing) -> bool:
        if "children" not in thing:
            return False
        levels = [
            self._level(g)
            for c in _children(objects, thing)
            if str(c.get("type", "")).endswith("Part") and (g := self._best(c))
        ]
        return bool(levels) and max(levels) >= self._level(geometry)


def _kind(thing: Thing) -> str:
    return str(thing["type"]).removesuffix("Part")


def _children(objects: Mapping[str, Any], thing: Thing) -> list[Thing]:
    children = (objects.get(name) for name in named(thing, "children"))
    return [c for c in children if isinstance(c, dict)]


def _geometries(thing: Thing) -> list[Any]:
    """What a city object has as its geometries, whatever each is."""
    geometries = thing.get("geometry")
    return geometries if isinstance(geometries, list) else []


def _why_none(thing: Thing) -> str:
    """Why a city object has no geometry that is read."""
    kinds = {str(g.get("type")) for g in _geometries(thing) if isinstance(g, dict)}
    return f"nothing is read of its {shown(', '.join(sorted(kinds)))}" if kinds else "it has no geometry"


def _own(thing: Any) -> dict[str, Any]:
    """The attributes of a city object, and what extensions and addresses say of it beside them."""
    if not isinstance(thing, dict):
        return {}
    attributes = thing.get("attributes")
    said = attributes if isinstance(attributes, dict) else {}
    made = {str(k): v if v != "" else None for k, v in said.items()}
    if thing.keys() - _MEMBERS:
        made = {str(name): value for name, value in thing.items() if name not in _MEMBERS} | made
    return made
