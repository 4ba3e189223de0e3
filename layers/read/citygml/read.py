"""A CityGML file as rows: one pass over its members, and two more where they refer to one another."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from lxml import etree
from numpy.typing import NDArray

from layers import crs
from layers.errors import BadFile, shown
from layers.read.base import ReadOptions, Sink
from layers.read.citygml import checks, network
from layers.read.citygml.attributes import Reading
from layers.read.citygml.codelists import CodeLists
from layers.read.citygml.geometry import Shape, identified
from layers.read.citygml.names import Group, gml_id
from layers.read.citygml.objects import CityObject, Level, Parser
from layers.read.citygml.positions import Reference, reference
from layers.read.citygml.stream import Member, Members, envelope
from layers.read.cityobjects import CityRows
from layers.read.faces import Faces
from layers.read.frame import FacesOf, ShellBody, bodies, is_degrees, metres_of_degrees
from layers.source import SeveralLayers, SourceLayer, unknown_layer

type Element = etree._Element
type Floats = NDArray[np.float64]

_REFERRED = etree.XPath(".//@xlink:href", namespaces={"xlink": "http://www.w3.org/1999/xlink"})
#: How PLATEAU's gml:id is (standard data product specification, 4.2): a prefix and a UUID.
_PLATEAU_ID = re.compile(r"[a-z]+_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(_[\w-]+)?", re.IGNORECASE)
#: Members of the model that are no city objects.
_APPEARANCE = "appearanceMember"
#: What references may lead on to further members.
_ROUNDS = 4
#: Attributes that say until when an object was there (CityGML 2.0, 10.1.1; 3.0, 7.2.2).
_ENDS = ("terminationDate", "validTo")
_DATE = re.compile(r"\d{4}-\d\d", re.ASCII)
_TOLD = 5
#: Corners of surfaces of which bodies are made together.
_TOGETHER = 50_000
_FAULTS: Mapping[str, str] = {
    "xlink.missing": "{} references of geometries name nothing in the file, and are left out",
    "xlink.cycle": "{} references of geometries lead back to themselves, and are left out",
    "xlink.deep": "{} surfaces lie deeper in references than is read, and are left out",
    "gml.dimension": "{} lists of coordinates are not as long as their dimension wants, and are left out",
    "ring.short": "{} rings or lines have too few positions, and are left out",
    "ring.nan": "{} rings hold what is no number, and are left out",
    "ring.unclosed": "{} rings do not end where they begin, and are closed",
    "ring.repeated": "{} surfaces have a position twice, or two within 1 mm",
    "ring.crossed": "{} surfaces have a ring that crosses or touches itself",
    "ring.interior": "{} surfaces have rings that cross one another",
    "surface.nonplanar": "{} surfaces are not plane: a position lies more than 3 cm off",
    "solid.repeats": "{} solids repeat the surfaces without referring to them, and are left out",
    "implicit.library": "{} shapes lie in files of their own (libraryObject), and are left out",
    "implicit.empty": "{} implicit geometries have no shape",
    "implicit.frame": "{} implicit geometries have no matrix of 16 numbers, or no reference point",
}


def read(path: Path, options: ReadOptions, sink: Sink) -> None:
    """Read a file. Raises BadFile xml.*, limit.*, layer.choose, layer.unknown, crs.local."""
    _File(path, options, sink).read()


def layers(path: Path, _options: ReadOptions) -> list[SourceLayer]:
    """The themes of a file, each a layer. Raises BadFile xml.*."""
    counts: Counter[str] = Counter()
    for member in Members(path):
        if member.property != _APPEARANCE:
            counts.update(unit.group.layer for unit in _units(member.element))
    return [SourceLayer(name, count, "") for name, count in counts.items()]


@dataclass(frozen=True, slots=True)
class _Unit:
    """An object that is read for itself: a member's own, or a component of a network."""

    element: Element
    group: Group
    graph: network.Graph | None = None


@dataclass(slots=True)
class _Waiting:
    """A feature whose body is made with those of others: nothing of it holds an element."""

    row: int
    id: str | None
    name: str
    lod: str
    parent: str | None
    own: dict[str, Any]
    bodies: bool
    solid: bool = False
    faces: Faces | None = None
    vertices: Floats | None = None
    plain: shapely.Geometry | None = None
    made: ShellBody | None = None


def _units(element: Element) -> list[_Unit]:
    """What a member holds."""
    if network.is_material(element):
        return []
    if not network.is_network(element):
        return [_Unit(element, network.group(element))]
    parts = [(part, network.group(part)) for part in network.components(element)]
    graph = network.Graph(element) if parts else None
    return [_Unit(part, group, graph) for part, group in parts]


class _File:
    """One file on its way to rows."""

    def __init__(self, path: Path, options: ReadOptions, sink: Sink) -> None:
        self._path = path
        self._options = options
        self._sink = sink
        self._rows = CityRows(sink, options.limits.columns, guess=True)
        self._lists = CodeLists(path)
        self._reading = Reading(self._lists, self._rows.texts)
        self._local: dict[str, Element] | None = None
        self._member: Element | None = None
        self._far: dict[str, Element] = {}
        self._wanted: set[str] = set()
        self._final = False
        self._unresolved = False
        self._version = ""
        self._plateau = False
        self._parser = Parser(self._reading, self._find)
        self._reference: Reference | None = None
        self._degrees = False
        self._dimension = 3
        self._group: Group | None = None
        self._layers: Counter[str] = Counter()
        self._textures = 0
        self._materials: dict[str, str] = {}
        self._odd_ids: list[str] = []
        self._waiting: list[_Waiting] = []
        self._corners = 0
        self._lower: Counter[int] = Counter()
        self._ended = 0
        self._now = datetime.now(UTC).isoformat()

    def read(self) -> None:
        """Read it."""
        deferred = self._pass(None)
        if len(self._layers) > 1 and self._options.declared.layer is None:
            raise SeveralLayers([SourceLayer(name, count) for name, count in self._layers.items()])
        wanted = self._options.declared.layer
        if wanted is not None and wanted not in self._layers:
            raise unknown_layer(wanted, list(self._layers))
        if deferred:
            self._fetch()
            self._final = True
            self._pass(deferred)
        self._flush()
        sink = self._sink
        sink.meta.update(driver="CityGML", crs=self._reference.crs if self._reference else None)
        sink.meta["directed"] = self._reference is not None and self._reference.directed
        sink.meta["rows"] = ("member", 1)
        if self._group is not None:
            sink.meta["kind"] = self._group.kind
        self._tell()
        self._rows.finish()

    def _pass(self, only: set[int] | None) -> set[int]:
        """Go through the file; the rows of members that refer to others. ``only`` these are read."""
        deferred: set[int] = set()
        members = Members(self._path)
        first = only is None
        for member in members:
            if first and self._reference is None:
                self._begin(members)
            if member.property == _APPEARANCE:
                self._textures += first
                continue
            if only is not None and member.row not in only:
                continue
            if network.is_material(member.element):
                self._materials[gml_id(member.element)] = _type_of(member.element)
            units = _units(member.element)
            if first:
                self._layers.update(unit.group.layer for unit in units)
            wanted = self._options.declared.layer
            if wanted is not None:
                units = [unit for unit in units if unit.group.layer == wanted]
            elif len(self._layers) > 1:
                continue  # one of them is to be named: they are only counted
            if units and not self._read_member(member, units):
                deferred.add(member.row)
        self._version = members.version
        self._plateau = members.root is not None and any("/iur/uro" in n for n in members.root.nsmap.values())
        return deferred

    def _begin(self, members: Members) -> None:
        """What the envelope of the model says."""
        box = envelope(members.root) if members.root is not None else None
        if box is not None:
            if (name := box.get("srsName")) is not None:
                self._refer(name)
            if box.get("srsDimension") == "2":
                self._dimension = 2

    def _refer(self, name: str) -> None:
        declared = self._options.declared.crs
        if name.startswith("#") and not declared:
            reason = (
                f"the coordinates count in a system of the file's own, {shown(name)}; declare one with --crs"
            )
            raise BadFile("crs.local", reason)
        self._reference = reference(name)
        self._degrees = is_degrees(declared or self._reference.crs)

    def _find(self, href: str) -> Element | None:
        """What a reference names: in the member, else what was fetched of others."""
        name = href.rpartition("#")[2] if href.startswith("#") or "#" in href else href
        if self._local is None and self._member is not None:
            self._local = identified(self._member)
        found = (self._local or {}).get(name)
        if found is None:
            found = self._far.get(name)
        if found is None and href.startswith("#"):
            self._wanted.add(name)
            self._unresolved = True
        return found

    def _fetch(self) -> None:
        """Copy what references name in other members, and what that refers to."""
        for _ in range(_ROUNDS):
            looking = self._wanted - self._far.keys()
            if not looking:
                return
            more: set[str] = set()
            for member in Members(self._path):
                for element in member.element.iter(etree.Element):
                    name = gml_id(element)
                    if name in looking and name not in self._far:
                        kept = copy.deepcopy(element)
                        self._far[name] = kept
                        more.update(str(h)[1:] for h in _REFERRED(kept) if str(h).startswith("#"))
            self._wanted = more

    def _read_member(self, member: Member, units: list[_Unit]) -> bool:
        """Read what a member holds; False where it refers to others, which are not known yet."""
        self._member, self._local, self._unresolved = member.element, None, False
        self._group = units[0].group
        made = []
        for unit in units:
            thing = self._parser.parse(unit.element)
            if self._group.kind == "pipeline":
                thing.attributes = self._piped(thing, unit)
            for each, parent in thing.walk():
                made.append((each, parent, self._shape_of(each), thing))
        if self._unresolved and not self._final:
            return False
        for each, parent, shape, top in made:
            self._feature(member, each, parent, shape, top, self._group)
        return True

    def _piped(self, thing: CityObject, unit: _Unit) -> dict[str, Any]:
        """The attributes of a pipe, with those that it has of its network and its material."""
        own = {**(unit.graph.of(unit.element) if unit.graph is not None else {}), **thing.attributes}
        if (named := own.get("hasMaterial")) is not None:
            self._unresolved = self._unresolved or named not in self._materials
            own["material"] = self._materials.get(named) or named
        own.update(network.described(thing.name, own))
        self._rows.texts.update(("start_node", "end_node", "material"))
        return own

    def _shape_of(self, thing: CityObject) -> Shape | None:
        best = thing.best
        if best is None or not thing.levels[best].has_surfaces:
            return None
        level = thing.levels[best]
        return self._parser.shape(level, **self._frame(level))

    def _frame(self, level: Level) -> dict[str, Any]:
        if self._reference is None and (name := Parser.reference(level)):
            self._refer(name)
        known = self._reference
        return {
            "north_first": known is not None and known.north_first,
            "degrees": self._degrees,
            "dimension": Parser.dimension(level) or self._dimension,
        }

    def _feature(
        self,
        member: Member,
        thing: CityObject,
        parent: CityObject | None,
        shape: Shape | None,
        top: CityObject,
        group: Group,
    ) -> None:
        """Hand on an object, unless its parts stand for it."""
        parts = [c for c in thing.children if c.name.endswith("Part")]
        if parts and max(p.body_level for p in parts) >= thing.body_level:
            return
        best = thing.best
        if best is None:
            if not any(each.best is not None for each, _ in thing.walk()):
                waits = _Waiting(member.row, thing.id, thing.name, "", None, thing.attributes, False)
                self._drop("geometry.missing", "it has no geometry", waits)
            return
        if any(self._has_ended(each) for each in (thing, parent, top) if each is not None):
            self._ended += 1
            return
        for lod in thing.levels:
            if lod != best:
                self._lower[lod] += 1
        own: dict[str, Any] = {}
        if parent is not None and thing.name.endswith("Part"):
            own.update(parent.attributes)
        own.update(thing.attributes)
        if thing.id is not None and not _PLATEAU_ID.fullmatch(thing.id):
            self._odd_ids.append(thing.id)
        level = thing.levels[best]
        whole = top.id if thing is not top else None
        waits = _Waiting(member.row, thing.id, thing.name, str(best), whole, own, group.bodies)
        if shape is None:
            waits.plain = self._plain(member, thing, level)
            if waits.plain is None:
                return
        else:
            waits.solid, made = shape.solid, shape.faces()
            self._faults(member, thing, shape)
            if made is None:
                self._drop("geometry.unreadable", "no surface of it can be read", waits)
                return
            waits.faces, waits.vertices = made
            corners = sum(len(ring) for face in waits.faces.rings for ring in face)
            if corners > self._options.limits.vertices:
                reason = f"the body has more than {self._options.limits.vertices} vertices"
                self._drop("limit.vertices", reason, waits)
                return
            self._corners += corners
        self._waiting.append(waits)
        if self._corners > _TOGETHER or len(self._waiting) > _TOGETHER:
            self._flush()

    def _has_ended(self, thing: CityObject) -> bool:
        """Whether an object says of a day that is over that it was its last."""
        said = (str(thing.attributes[name]) for name in _ENDS if name in thing.attributes)
        return any(_DATE.match(each) is not None and each < self._now for each in said)

    def _flush(self) -> None:
        """Make the bodies of what waits, all together, and hand on the rows."""
        waiting, self._waiting, self._corners = self._waiting, [], 0
        shaped = [
            (each, FacesOf(each.faces, each.vertices, each.solid))
            for each in waiting
            if each.faces is not None and each.vertices is not None
        ]
        metres = []
        for _, of in shaped:
            near = of.vertices - of.vertices[0]
            metres.append(near * metres_of_degrees(of.vertices[0]) if self._degrees else near)
        faults = checks.faults([of.faces.rings for _, of in shaped], metres)
        made = bodies([of for _, of in shaped], degrees=self._degrees) if shaped else []
        for (each, _), found, done in zip(shaped, faults, made, strict=True):
            self._note(each.row, each.id, found)
            each.made = done
        for each in waiting:
            self._hand_on(each)

    def _hand_on(self, each: _Waiting) -> None:
        done, shell, base = each.made, None, each.plain
        if done is not None:
            if done.lost:
                reason = f"{done.lost} surfaces have no area and are left out"
                self._sink.note("surface.degenerate", reason, each.row, each.id)
            if not len(done.shell.triangles) or done.footprint is None:
                nothing = not len(done.shell.triangles)
                reason = "no surface of the body has an area" if nothing else "the body has no footprint"
                self._drop("geometry.degenerate", reason, each)
                return
            self._rows.inferred += done.inferred
            shell, base = done.shell, done.footprint
        self._rows.add(
            each.row,
            each.id or "",
            shell if each.bodies else None,
            shapely.to_wkb(base),
            each.own,
            object_type=each.name,
            lod=each.lod,
            parent=each.parent,
        )

    def _plain(self, member: Member, thing: CityObject, level: Level) -> shapely.Geometry | None:
        """Lines, else points."""
        shape = Shape(self._find, **self._frame(level))
        for element in level.curves:
            shape.add_lines(element)
        if not level.curves:
            for element in level.points:
                shape.add_points(element)
        made = shape.line() if level.curves else shape.point()
        self._faults(member, thing, shape)
        if made is None:
            waits = _Waiting(member.row, thing.id, thing.name, "", None, thing.attributes, False)
            self._drop("geometry.unreadable", "no position of it can be read", waits)
        return made

    def _faults(self, member: Member, thing: CityObject, shape: Shape) -> None:
        self._note(member.row, thing.id, shape.faults, shape.missing)

    def _note(
        self, row: int, object_id: str | None, faults: Counter[str], missing: Sequence[str] = ()
    ) -> None:
        for rule, count in faults.items():
            reason = _FAULTS[rule].format(count)
            if rule == "xlink.missing":
                reason += f": {', '.join(map(shown, missing[:_TOLD]))}"
            self._sink.note(rule, reason, row, object_id)

    def _drop(self, rule: str, reason: str, each: _Waiting) -> None:
        held = {"id": each.id, "object_type": each.name, **each.own}
        self._sink.drop(rule, reason, each.row, each.id, held=held)

    def _tell(self) -> None:
        """What was found of the whole file."""
        sink = self._sink
        if self._lower:
            lods = ", ".join(f"{lod} ({count})" for lod, count in sorted(self._lower.items()))
            reason = "the highest level of detail with more than windows and doors is taken"
            sink.note("lod.chosen", f"{reason}; there are also (objects): {lods}")
        if self._plateau and self._odd_ids:
            names = ", ".join(map(shown, self._odd_ids[:_TOLD]))
            reason = f"{len(self._odd_ids)} ids are no prefix and UUID, as PLATEAU wants them: {names}"
            sink.note("id.plateau", reason)
        known = self._reference
        if known is not None and not self._options.declared.crs and _is_flat(known.crs):
            sink.note("crs.flat", f"{shown(known.text)} has no heights: what they count from is not known")
        if self._ended:
            sink.note("history.ended", f"{self._ended} objects have ended, and are left out")
        if self._lists.absent:
            names = ", ".join(shown(name) for name in list(self._lists.absent)[:_TOLD])
            reason = (
                f"{len(self._lists.absent)} code lists are not beside the file; their codes are kept: {names}"
            )
            sink.note("codelist.absent", reason)
        if self._textures:
            sink.note("texture.left", "textures and colours of surfaces are left out")
        if self._version == "1.0":
            sink.note("citygml.version", "the file is CityGML 1.0, and was read as 2.0")
        if self._reading.dropped:
            reason = f"{self._reading.dropped} values repeat more than nine times or lie too deep; left out"
            sink.note("column.repeated", reason)


def _type_of(material: Element) -> str:
    """What a material is."""
    return next(((c.text or "").strip() for c in material.iterchildren("{*}type")), "")


def _is_flat(name: str) -> bool:
    """Whether a CRS has no heights."""
    try:
        return crs.vertical_datum(name) is None
    except BadFile:
        return False
