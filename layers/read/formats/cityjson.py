"""CityJSON 1.1 and 2.0: solids and surfaces with their semantics as meshes.

One feature a city object; its highest level of detail is taken, of surfaces before lines and points. A
parent whose children carry a body of at least its level gives them its attributes and is no feature of its
own. Positions stay in the source CRS here; z stays in its vertical datum.
Source: CityJSON specification 2.0.1, https://www.cityjson.org/specs/2.0.1/.
"""

from __future__ import annotations

import codecs
import gc
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from layers.errors import BadFile, shown
from layers.mesh import Surface
from layers.read.base import ReadLimits, ReadOptions, Sink
from layers.read.cityobjects import SEMANTICS, CityRows
from layers.read.faces import Faces, Shell
from layers.read.format import Format, Reader
from layers.read.formats.geojson import ENDINGS, is_json, outlined
from layers.read.frame import body, instanced, is_degrees
from layers.read.jsontext import loads, utf8
from layers.read.sample import Sample
from layers.source import NOTHING, SourceLayer

type Floats = NDArray[np.float64]

#: Members of a city object of which nothing is lost (sections 2.2 and 2.3).
_MEMBERS = frozenset(
    {"type", "attributes", "geometry", "geographicalExtent", "parents", "children", "children_roles"}
)
VERSIONS = ("1.1", "2.0")
#: What has no surfaces, and so no body.
_FLAT = ("MultiPoint", "MultiLineString")
#: Depth of a geometry's boundaries above the face (a list of rings).
_NESTING = {
    "MultiSurface": 0,
    "CompositeSurface": 0,
    "Solid": 1,
    "MultiSolid": 2,
    "CompositeSolid": 2,
}


def _is_cityjson(sample: Sample, limits: ReadLimits) -> bool:
    """By the ``type`` of a single text. Raises BadFile json.*."""
    outline = outlined(sample, limits)
    return len(outline.values) == 1 and outline.value("type") in ("CityJSON", "CityJSONFeature")


def read(path: Path, options: ReadOptions, sink: Sink) -> None:
    """Read a file. Raises BadFile cityjson.version, cityjson.shape, cityjson.vertices, json.syntax,
    limit.columns."""
    text = utf8(path, options.declared.encoding)
    text.tell(sink)
    city = _load(text.path)
    vertices = _vertices(city)
    metadata = city.get("metadata")
    reference = metadata.get("referenceSystem") if isinstance(metadata, dict) else None
    if isinstance(reference, int):
        reference = f"EPSG:{reference}"
    sink.meta.update(driver="CityJSON", kind="cim", crs=reference if isinstance(reference, str) else None)
    rows = CityRows(sink, options.limits.columns)
    _Objects(city, vertices, options, sink, rows).add_all()
    rows.finish()


def layers(path: Path, options: ReadOptions) -> list[SourceLayer]:
    """The file as one layer. Raises BadFile."""
    whole = replace(options, declared=NOTHING)
    city = _load(utf8(path, options.declared.encoding).path)
    sink = Sink(None)
    objects = _Objects(city, np.empty((0, 3)), whole, sink, CityRows(sink, options.limits.columns))
    return [SourceLayer("", sum(1 for _ in objects.bodies()), "Solid")]


def _load(path: Path) -> dict[str, Any]:
    """The file's outermost object. Raises BadFile."""
    gc.disable()  # orjson builds millions of lists; collecting between them is most of the time
    try:
        city = loads(path.read_bytes().removeprefix(codecs.BOM_UTF8))
    except json.JSONDecodeError as error:
        raise BadFile("json.syntax", f"line {error.lineno}, column {error.colno}: {error.msg}") from error
    _check(city)
    loaded: dict[str, Any] = city
    return loaded


def _check(city: Any) -> None:
    if not isinstance(city, dict) or city.get("type") != "CityJSON":
        raise BadFile("cityjson.shape", "the file is not a CityJSON object")
    version = str(city.get("version"))
    if version not in VERSIONS:
        raise BadFile("cityjson.version", f"CityJSON {shown(version)} is not read; convert it to 1.1 or 2.0")
    if not isinstance(city.get("CityObjects"), dict) or not isinstance(city.get("vertices"), list):
        raise BadFile("cityjson.shape", "the members CityObjects and vertices must be there")


def _vertices(city: Mapping[str, Any]) -> NDArray[np.float64]:
    """Real coordinates (n, 3): the integers scaled and moved by ``transform``, which is required."""
    try:
        transform = city["transform"]
        scale, move = (np.array(transform[k], np.float64).reshape(3) for k in ("scale", "translate"))
        raw = np.array(city["vertices"], np.float64).reshape(-1, 3)
    except (KeyError, TypeError, ValueError) as error:
        raise BadFile(
            "cityjson.vertices", "transform or vertices are missing or are not triples of numbers"
        ) from error
    return np.asarray(raw * scale + move)


def _templates(city: Mapping[str, Any]) -> tuple[list[Any], Floats]:
    """The templates of a file and their vertices (n, 3), which are not scaled. Raises BadFile."""
    templates = city.get("geometry-templates")
    if not isinstance(templates, dict) or not isinstance(templates.get("templates"), list):
        return [], np.empty((0, 3))
    try:
        vertices = np.array(templates.get("vertices-templates"), np.float64).reshape(-1, 3)
        return templates["templates"], vertices
    except (TypeError, ValueError) as error:
        reason = "vertices-templates is missing or holds what is no triple of numbers"
        raise BadFile("cityjson.vertices", reason) from error


class _Objects:
    """The city objects of a file as features, one after the other."""

    def __init__(
        self,
        city: Mapping[str, Any],
        vertices: NDArray[np.float64],
        options: ReadOptions,
        sink: Sink,
        rows: CityRows,
    ) -> None:
        self._objects: Mapping[str, Any] = city["CityObjects"]
        self._vertices = vertices
        self._options = options
        self._sink = sink
        self._rows = rows
        self._templates, self._template_vertices = _templates(city)
        self._degrees = is_degrees(options.declared.crs or sink.meta["crs"])

    def add_all(self) -> None:
        """Hand on every object that is a feature; points and lines have no body."""
        for row, object_id, thing, geometry in self.bodies():
            if geometry["type"] in _FLAT:
                self._plain(row, object_id, thing, geometry)
            else:
                self._feature(row, object_id, thing, geometry)

    def bodies(self) -> Iterator[tuple[int, str, Mapping[str, Any], Mapping[str, Any]]]:
        """(row, id, object, geometry) of every object that is a feature; those that cannot be are dropped."""
        for row, (object_id, thing) in enumerate(self._objects.items(), 1):
            if not isinstance(thing, dict) or not isinstance(thing.get("type"), str):
                reason = "the city object is not an object with a type"
                self._drop("cityjson.object", reason, row, object_id)
                continue
            if self._options.declared.layer and self._kind(thing) != self._options.declared.layer:
                continue
            geometry = self._best(thing)
            if geometry is None:
                if self._told_by_children(thing):
                    continue
                geometry = _highest(thing, _FLAT)
            if geometry is None:
                self._drop("geometry.missing", _why_none(thing), row, object_id)
                continue
            if self._better_children(thing, geometry):
                continue
            yield row, object_id, thing, geometry

    def _feature(
        self, row: int, object_id: str, thing: Mapping[str, Any], geometry: Mapping[str, Any]
    ) -> None:
        try:
            geometry, vertices = self._placed(geometry)
            faces = _faces(geometry)
            if sum(len(ring) for face in faces.rings for ring in face) > self._options.limits.vertices:
                reason = f"the body has more than {self._options.limits.vertices} vertices"
                self._drop("limit.vertices", reason, row, object_id)
                return
            solid = geometry["type"] != "MultiSurface"
            made = body(faces, vertices, degrees=self._degrees, solid=solid)
        except (IndexError, OverflowError):
            reason = "the boundaries name a vertex that the file does not have"
            self._drop("geometry.unreadable", reason, row, object_id)
            return
        except (TypeError, ValueError, KeyError, AttributeError):
            reason = "the boundaries do not fit the geometry's type"
            self._drop("geometry.unreadable", reason, row, object_id)
            return
        if made.lost:
            reason = f"{made.lost} surfaces have no area and are left out"
            self._sink.note("surface.degenerate", reason, row, object_id)
        if not len(made.shell.triangles):
            self._drop("geometry.degenerate", "no surface of the body has an area", row, object_id)
            return
        self._rows.inferred += made.inferred
        if made.footprint is None:
            self._drop("geometry.degenerate", "the body has no footprint", row, object_id)
            return
        self._add(row, object_id, thing, geometry, made.shell, made.footprint)

    def _drop(self, rule: str, reason: str, row: int, object_id: str) -> None:
        held = {"id": object_id, **_own(self._objects[object_id])}
        self._sink.drop(rule, reason, row, object_id, held=held)

    def _kind(self, thing: Mapping[str, Any]) -> str:
        return str(thing["type"]).removesuffix("Part")

    def _best(self, thing: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The geometry with surfaces of the highest level of detail, or the place of a template that has."""
        usable = [g for g in _geometries(thing) if self._has_surfaces(g)]
        return max(usable, key=self._level, default=None)

    def _has_surfaces(self, geometry: Any) -> bool:
        if isinstance(geometry, dict) and geometry.get("type") == "GeometryInstance":
            return _is_filled(self._template(geometry), _NESTING)
        return _is_filled(geometry, _NESTING)

    def _template(self, instance: Mapping[str, Any]) -> Any:
        """The template that an instance names (section 3.4), None where there is none."""
        at: Any = instance.get("template")
        known = isinstance(at, int) and 0 <= at < len(self._templates)
        return self._templates[at] if known else None

    def _level(self, geometry: Mapping[str, Any]) -> float:
        return _level(self._template(geometry) if geometry["type"] == "GeometryInstance" else geometry)

    def _placed(self, geometry: Mapping[str, Any]) -> tuple[Mapping[str, Any], Floats]:
        """A geometry with surfaces, and the vertices that it names: a template's are turned by the matrix and
        moved to the reference point. Raises as the faces do."""
        if geometry["type"] != "GeometryInstance":
            return geometry, self._vertices
        (at,) = geometry["boundaries"]
        matrix = np.array(geometry["transformationMatrix"], np.float64).reshape(4, 4)
        if not isinstance(at, int) or not 0 <= at < len(self._vertices):
            raise IndexError("the reference point is no vertex of the file")
        placed = instanced(self._template_vertices, matrix, self._vertices[at], degrees=self._degrees)
        return self._template(geometry), placed

    def _plain(self, row: int, object_id: str, thing: Mapping[str, Any], geometry: Mapping[str, Any]) -> None:
        """Points or lines, which have no body."""
        try:
            made = _points_or_lines(geometry, self._vertices)
        except (TypeError, ValueError, IndexError, OverflowError):
            reason = "the boundaries do not fit the geometry's type"
            self._drop("geometry.unreadable", reason, row, object_id)
            return
        self._add(row, object_id, thing, geometry, None, made)

    def _children(self, thing: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        children = (self._objects.get(c) for c in thing.get("children") or () if isinstance(c, str))
        return [c for c in children if isinstance(c, dict)]

    def _told_by_children(self, thing: Mapping[str, Any]) -> bool:
        return any(self._best(child) is not None for child in self._children(thing))

    def _better_children(self, thing: Mapping[str, Any], geometry: Mapping[str, Any]) -> bool:
        levels = [
            self._level(g)
            for c in self._children(thing)
            if str(c.get("type", "")).endswith("Part") and (g := self._best(c))
        ]
        return bool(levels) and max(levels) >= self._level(geometry)

    def _add(
        self,
        row: int,
        object_id: str,
        thing: Mapping[str, Any],
        geometry: Mapping[str, Any],
        shell: Shell | None,
        base: shapely.Geometry,
    ) -> None:
        """Hand on an object with its attributes over those of its parents."""
        own: dict[str, Any] = {}
        parents = [p for p in thing.get("parents") or () if isinstance(p, str)]
        for parent in parents:
            own.update(_own(self._objects.get(parent)))
        own.update({n: v for n, v in _own(thing).items() if v is not None or n not in own})
        for name in thing.keys() - _MEMBERS:
            self._rows.members[str(name)] += 1
        self._rows.add(
            row,
            object_id,
            shell,
            shapely.to_wkb(base),
            own,
            object_type=thing["type"],
            lod=str(geometry.get("lod", "")),
            parent=parents[0] if parents else None,
        )


def _is_filled(geometry: Any, types: Collection[Any]) -> bool:
    """Whether a geometry is of one of these types, and has boundaries."""
    if not isinstance(geometry, dict) or geometry.get("type") not in types:
        return False
    return isinstance(geometry.get("boundaries"), list) and bool(geometry["boundaries"])


def _geometries(thing: Mapping[str, Any]) -> list[Any]:
    """What a city object has as its geometries, whatever each is."""
    geometries = thing.get("geometry")
    return geometries if isinstance(geometries, list) else []


def _highest(thing: Mapping[str, Any], types: Collection[Any]) -> Mapping[str, Any] | None:
    """The geometry of one of these types of the highest level of detail."""
    return max((g for g in _geometries(thing) if _is_filled(g, types)), key=_level, default=None)


def _why_none(thing: Mapping[str, Any]) -> str:
    """Why a city object has no geometry that is read."""
    kinds = {str(g.get("type")) for g in _geometries(thing) if isinstance(g, dict)}
    return f"nothing is read of its {shown(', '.join(sorted(kinds)))}" if kinds else "it has no geometry"


def _points_or_lines(geometry: Mapping[str, Any], vertices: Floats) -> shapely.Geometry:
    """A MultiPoint or MultiLineString (section 3.2), single where it has one member. Raises IndexError,
    TypeError, ValueError, OverflowError."""
    points = geometry["type"] == "MultiPoint"
    lines = [
        np.array(line, np.int64) for line in ([geometry["boundaries"]] if points else geometry["boundaries"])
    ]
    for line in lines:
        if line.ndim != 1 or line.min() < 0 or line.max() >= len(vertices):
            raise IndexError("a boundary names a vertex that is not there")
    if points:
        many = shapely.multipoints(vertices[lines[0]])
    else:
        many = shapely.multilinestrings([shapely.linestrings(vertices[line]) for line in lines])
    return many.geoms[0] if len(many.geoms) == 1 else many


def _own(thing: Any) -> dict[str, Any]:
    attributes = thing.get("attributes") if isinstance(thing, dict) else None
    if not isinstance(attributes, dict):
        return {}
    return {str(k): v if v != "" else None for k, v in attributes.items()}


def _level(geometry: Mapping[str, Any]) -> float:
    try:
        return float(geometry.get("lod", 0))
    except (TypeError, ValueError):
        return 0.0


def _faces(geometry: Mapping[str, Any]) -> Faces:
    """The faces of a geometry with their semantics, shells and solids one after the other."""
    rings: list[Any] = geometry["boundaries"]
    semantics = geometry.get("semantics")
    surfaces = semantics.get("surfaces") if isinstance(semantics, dict) else None
    values: Any = semantics.get("values") if isinstance(semantics, dict) else None
    for _ in range(_NESTING[geometry["type"]]):
        if isinstance(values, list) and len(values) == len(rings):
            padded = [
                v if isinstance(v, list) else [None] * len(r) for v, r in zip(values, rings, strict=True)
            ]
            values = [v for part in padded for v in part]
        else:
            values = None
        rings = [item for part in rings for item in part]
    codes = [Surface.UNKNOWN] * len(rings)
    if isinstance(surfaces, list) and isinstance(values, list) and len(values) == len(rings):
        named = [SEMANTICS.get(s.get("type", ""), Surface.UNKNOWN) for s in surfaces]
        codes = [named[v] if isinstance(v, int) and 0 <= v < len(named) else Surface.UNKNOWN for v in values]
    return Faces(rings, codes, any(codes))


FORMATS: tuple[Format, ...] = (
    Reader(
        name="cityjson",
        titles={"en": "CityJSON", "zh-CN": "CityJSON"},
        endings=ENDINGS,
        recognise=is_json,
        confirm=_is_cityjson,
        read=read,
        layers=layers,
    ),
)
