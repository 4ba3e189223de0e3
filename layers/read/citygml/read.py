"""A CityGML file as rows: one pass over its members, and two more where they refer to one another."""

from __future__ import annotations

import gc
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from lxml import etree

from layers import crs, instants
from layers.errors import BadFile, shown
from layers.read.base import ReadOptions, Sink
from layers.read.citygml import network
from layers.read.citygml.appearance import Appearance
from layers.read.citygml.attributes import Reading
from layers.read.citygml.codelists import CodeLists
from layers.read.citygml.features import TOLD, Feature, Features
from layers.read.citygml.geometry import Frame, Shape
from layers.read.citygml.links import Links
from layers.read.citygml.names import Group, gml_id
from layers.read.citygml.objects import CityObject, Level, Parser
from layers.read.citygml.positions import Reference, reference
from layers.read.citygml.stream import Member, Members, envelope
from layers.read.cityobjects import CityRows
from layers.read.frame import is_degrees
from layers.source import SeveralLayers, SourceLayer, unknown_layer

type Element = etree._Element

#: How PLATEAU's gml:id is (standard data product specification, 4.2): a prefix and a UUID.
_PLATEAU_ID = re.compile(r"[a-z]+_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(_[\w-]+)?", re.IGNORECASE)
#: Members of the model that are no city objects.
_APPEARANCE = "appearanceMember"
#: Attributes that say since and until when an object is there (CityGML 2.0, 10.1.1; 3.0, 7.2.2).
_BEGINS = ("creationDate", "validFrom")
_ENDS = ("terminationDate", "validTo")
_DAY = 10
_DATE = re.compile(r"\d{4}-\d\d", re.ASCII)


def read(path: Path, options: ReadOptions, sink: Sink) -> None:
    """Read a file. Raises BadFile xml.*, limit.*, layer.choose, layer.unknown, crs.local."""
    collecting = gc.isenabled()
    gc.disable()  # it makes no circles, and looking for them among its elements is a tenth of the time
    try:
        _File(path, options, sink).read()
    finally:
        if collecting:
            gc.enable()


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


def _units(element: Element) -> list[_Unit]:
    """What a member holds."""
    if network.is_material(element):
        return []
    if not network.is_network(element):
        return [_Unit(element, network.group(element))]
    parts = [(part, network.group(part)) for part in network.components(element)]
    graph = network.Graph(element) if parts else None
    return [_Unit(part, group, graph) for part, group in parts]


class _Mixed(Exception):
    """Why the positions of an object cannot be placed with the others of its file."""


class _File:
    """One file on its way to rows."""

    def __init__(self, path: Path, options: ReadOptions, sink: Sink) -> None:
        self._path = path
        self._options = options
        self._sink = sink
        self._rows = CityRows(sink, options.limits.columns, guess=True)
        self._appearance = Appearance(path, sink)
        self._features = Features(sink, self._rows, self._appearance, options.limits.vertices)
        self._lists = CodeLists(path)
        self._reading = Reading(self._lists, self._rows.texts)
        self._links = Links(path)
        self._version = ""
        self._members = Members(path)
        self._plateau = False
        self._parser = Parser(
            self._reading, self._links.find, self._appearance if self._appearance.of else None
        )
        self._reference: Reference | None = None
        self._dimension = 3
        self._group: Group | None = None
        self._layers: Counter[str] = Counter()
        self._materials: dict[str, str] = {}
        self._odd_ids: list[str] = []
        self._wholes = 0
        self._lower: Counter[int] = Counter()
        self._other_times: Counter[str] = Counter()
        self._day = _day(options.declared.time)

    def read(self) -> None:
        """Read it."""
        deferred = self._pass(None)
        if len(self._layers) > 1 and self._options.declared.layer is None:
            raise SeveralLayers([SourceLayer(name, count) for name, count in self._layers.items()])
        wanted = self._options.declared.layer
        if wanted is not None and wanted not in self._layers:
            raise unknown_layer(wanted, list(self._layers))
        if deferred:
            self._links.fetch()
            self._pass(deferred)
        self._features.flush()
        sink = self._sink
        sink.meta.update(driver="CityGML", crs=self._reference.crs if self._reference else None)
        sink.meta["directed"] = self._reference is not None and self._reference.directed
        sink.meta["rows"] = ("member", 1)
        sink.meta["dated"] = True
        if self._group is not None:
            sink.meta["kind"] = self._group.kind
        self._tell()
        self._rows.finish()

    def _pass(self, only: set[int] | None) -> set[int]:
        """Go through the file; the rows of members that refer to others. ``only`` these are read."""
        deferred: set[int] = set()
        members = self._members = Members(self._path)
        first = only is None
        for member in members:
            if first and self._reference is None:
                self._begin(members)
            if member.property == _APPEARANCE:
                continue
            if only is not None and member.row not in only:
                continue
            if network.is_material(member.element):
                self._materials[gml_id(member.element)] = network.type_of(member.element)
            units = _units(member.element)
            if first:
                for unit in units:
                    self._layers[unit.group.layer] += 1
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
            if name := box.get("srsName", "").strip():  # an empty one names none
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
        self._features.degrees = is_degrees(declared or self._reference.crs)
        if self._reference.directed or not self._features.degrees:
            self._features.crs = declared or self._reference.crs

    def _read_member(self, member: Member, units: list[_Unit]) -> bool:
        """Read what a member holds; False where it refers to others, which are not known yet."""
        self._links.begin(member.element)
        self._group = units[0].group
        made: list[tuple[CityObject, CityObject | None, CityObject, Shape | str | None]] = []
        for unit in units:
            thing = self._parser.parse(unit.element)
            if self._group.kind == "pipeline":
                thing.attributes = self._piped(thing, unit)
            made += [(each, parent, thing, self._shape_of(each)) for each, parent in thing.walk()]
        if self._links.waits:
            return False
        for each, parent, top, shape in made:
            self._wholes += each is top
            self._feature(member, each, parent, shape, top, self._group)
        self._features.end()
        return True

    def _piped(self, thing: CityObject, unit: _Unit) -> dict[str, Any]:
        """The attributes of a pipe, with those that it has of its network and its material."""
        own = {**(unit.graph.of(unit.element) if unit.graph is not None else {}), **thing.attributes}
        if (named := own.get("hasMaterial")) is not None:
            if named not in self._materials:
                self._links.miss()
            own["material"] = self._materials.get(named) or named
        own.update(network.described(unit.element, own))
        self._rows.texts.update(("start_node", "end_node", "material"))
        return own

    def _shape_of(self, thing: CityObject) -> Shape | str | None:
        """The geometry of an object at its best level; why it cannot be placed."""
        best = thing.best
        if best is None:
            return None
        level = thing.levels[best]
        try:
            return self._parser.shape(level, self._frame(level))
        except _Mixed as error:
            return str(error)

    def _frame(self, level: Level) -> Frame:
        """How the positions of a level count. Raises _Mixed."""
        mentioned = self._members.mentioned
        names = Parser.references(level) if mentioned["srsName"] > 1 or self._reference is None else []
        if self._reference is None and names:
            self._refer(names[0])
        known = self._reference
        dimension = Parser.dimension(level) if mentioned["srsDimension"] > 1 else None
        frame = Frame(
            dimension or self._dimension, known is not None and known.north_first, self._features.degrees
        )
        if known is None or self._options.declared.crs or not set(names) - {known.text}:
            return frame
        if len(names) > 1:
            raise _Mixed(f"its geometries name several coordinate systems: {', '.join(map(shown, names))}")
        return self._other(frame, reference(names[0]), known)

    def _other(self, frame: Frame, own: Reference, known: Reference) -> Frame:
        """The frame of positions in a CRS of their own. Raises _Mixed."""
        frame = replace(frame, north_first=own.north_first)
        if own.crs == known.crs:
            return frame
        reason = f"it is in {shown(own.text)}, the file in {shown(known.text)}"
        try:
            crs.transformers(own.crs), crs.transformers(known.crs)
            heights = {crs.vertical_datum(each.crs) for each in (own, known)} - {None}
        except BadFile as error:
            raise _Mixed(f"{reason}: {error.reason}") from error
        if len(heights) > 1:
            raise _Mixed(f"{reason}: heights count from {' and '.join(sorted(map(str, heights)))}")
        return replace(frame, own=own.crs, file=known.crs)

    def _feature(
        self,
        member: Member,
        thing: CityObject,
        parent: CityObject | None,
        shape: Shape | str | None,
        top: CityObject,
        group: Group,
    ) -> None:
        """Hand on an object, unless its parts stand for it."""
        parts = [c for c in thing.children if c.name.endswith("Part")] if thing.children else ()
        if parts and max(p.body_level for p in parts) >= thing.body_level:
            return
        best = thing.best
        if best is None or shape is None:
            if not thing.children or not any(each.best is not None for each, _ in thing.walk()):
                self._features.lose(
                    "geometry.missing",
                    "it has no geometry",
                    member.row,
                    thing.id,
                    thing.name,
                    thing.attributes,
                )
            return
        around = [each for each in (thing, parent, top) if each is not None]
        for rule, is_other in (("history.ended", self._has_ended), ("history.begins", self._begins_later)):
            if any(map(is_other, around)):
                self._other_times[rule] += 1
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
        if isinstance(shape, str):
            self._features.lose("crs.mixed", shape, member.row, thing.id, thing.name, own)
            return
        if thing.surfaces:
            own["surface_attributes"] = orjson.dumps(thing.surfaces).decode()
            self._rows.texts.add("surface_attributes")
        whole = top.id if thing is not top else None
        self._features.add(
            Feature(
                *(member.row, thing.id, thing.name, str(best), whole, own, group.bodies, shape),
                whole=self._wholes,
                is_part=thing is not top,
            )
        )

    def _has_ended(self, thing: CityObject) -> bool:
        """Whether an object says of an earlier day that it was its last."""
        return any(each < self._day[: len(each)] for each in _dates(thing, _ENDS))

    def _begins_later(self, thing: CityObject) -> bool:
        """Whether an object says that it was not there yet."""
        return any(each[: len(self._day)] > self._day[: len(each)] for each in _dates(thing, _BEGINS))

    def _tell(self) -> None:
        """What was found of the whole file."""
        sink = self._sink
        if self._lower:
            lods = ", ".join(f"{lod} ({count})" for lod, count in sorted(self._lower.items()))
            reason = "the highest level of detail with more than windows and doors is taken"
            sink.note("lod.chosen", f"{reason}; there are also (objects): {lods}")
        if self._plateau and self._odd_ids:
            names = ", ".join(map(shown, self._odd_ids[:TOLD]))
            reason = f"{len(self._odd_ids)} ids are no prefix and UUID, as PLATEAU wants them: {names}"
            sink.note("id.plateau", reason)
        known = self._reference
        if known is not None and not self._options.declared.crs and _is_flat(known.crs):
            sink.note("crs.flat", f"{shown(known.text)} has no heights: what they count from is not known")
        for rule, count in self._other_times.items():
            what = "had ended" if rule == "history.ended" else "had not begun"
            sink.note(rule, f"{count} objects {what} on {self._day[:10]}, and are left out")
        if self._lists.absent:
            names = ", ".join(shown(name) for name in list(self._lists.absent)[:TOLD])
            reason = (
                f"{len(self._lists.absent)} code lists are not beside the file; their codes are kept: {names}"
            )
            sink.note("codelist.absent", reason)
        self._appearance.tell()
        if self._version == "1.0":
            sink.note("citygml.version", "the file is CityGML 1.0, and was read as 2.0")
        if self._reading.dropped:
            reason = f"{self._reading.dropped} values repeat more than nine times or lie too deep; left out"
            sink.note("column.repeated", reason)


def _day(declared: str | None) -> str:
    """The day or instant whose objects are wanted: now, where none is declared. Raises BadFile."""
    if declared is None:
        return datetime.now(UTC).isoformat()
    try:
        return instants.day(declared) if len(declared.strip()) == _DAY else instants.instant(declared)
    except ValueError as error:
        raise BadFile("time.unreadable", f"--time is a day or a time with its zone: {error}") from error


def _dates(thing: CityObject, names: Sequence[str]) -> list[str]:
    """What an object has as dates."""
    said = (str(thing.attributes[name]) for name in names if name in thing.attributes)
    return [each for each in said if _DATE.match(each) is not None]


def _is_flat(name: str) -> bool:
    """Whether a CRS has no heights."""
    try:
        return crs.vertical_datum(name) is None
    except BadFile:
        return False
